//! The cost of a simulated node: `cargo bench --bench simulation`.
//!
//! Runs the `lan` setup for a virtual hour with 10, 100 and 1,000 nodes, with 2 and with 20 transactions a second, with
//! the judge checking everything every ten minutes, and prints for each
//!
//! - the real time, the judge's part of it, the processor time, and the peak of memory;
//! - the processor time per node and virtual second, and per event that an engine handled;
//! - the growth of both from the row before: the exponent of the number of nodes, 1 if twice the nodes take twice as
//!   much;
//! - the results: height, stale blocks, propagation, and the trace hash, which has to be the same everywhere.
//!
//! `QUIPU_BENCH_NODES=10000`, `QUIPU_BENCH_RATES=2`, `QUIPU_BENCH_SECONDS=600` and `QUIPU_BENCH_THREADS=1` choose
//! others (lists by commas). Each run is a process of its own, since the peak of memory is that of a whole process.
//!
//! Exits with 1 if 1,000 nodes with 2 transactions a second take 60 s or 4 GiB for a whole hour.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use quipu::protocol::Millis;
use quipu::sim::judge::Judge;
use quipu::sim::setup::Setup;
use rustix::time::{ClockId, clock_gettime};

/// The most real time, and memory, for a virtual hour of 1,000 nodes.
const TIME_MAX: Duration = Duration::from_secs(60);
const MEMORY_MIB_MAX: u64 = 4096;
/// The judge's interval, in virtual time.
const CHECK_SPAN: Millis = Millis::from_secs(600);

fn main() -> ExitCode {
    if let Ok(run) = std::env::var("QUIPU_BENCH_RUN") {
        let numbers: Vec<u64> = run.split(',').filter_map(|text| text.parse().ok()).collect();
        let [nodes, rate, seconds, threads] = numbers[..] else { panic!("a run is four numbers, not {run}") };
        return measure(nodes, rate, seconds, threads);
    }
    let seconds = list("QUIPU_BENCH_SECONDS", &[3_600])[0];
    let threads = list("QUIPU_BENCH_THREADS", &[2])[0];
    println!(
        "{:>6} {:>5} {:>8} {:>8} {:>8} {:>9} {:>14} {:>10} {:>6} {:>6} {:>7} {:>7} {:>15} {:>10}",
        "nodes",
        "tx/s",
        "real s",
        "judge s",
        "cpu s",
        "peak MiB",
        "us/node/second",
        "ns/event",
        "n^cpu",
        "n^MiB",
        "height",
        "stale",
        "p50/p95/p99 ms",
        "trace"
    );
    let mut is_good = true;
    for rate in list("QUIPU_BENCH_RATES", &[2, 20]) {
        let mut before = String::new();
        for nodes in list("QUIPU_BENCH_NODES", &[10, 100, 1_000]) {
            let run = format!("{nodes},{rate},{seconds},{threads}");
            let program = std::env::current_exe().expect("a running program has a path");
            let mut command = Command::new(program);
            command
                .env("QUIPU_BENCH_RUN", run)
                .env("QUIPU_BENCH_BEFORE", &before)
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit());
            let output = command.output().expect("it starts once more");
            is_good &= output.status.success();
            // The row, and below it the base of the next one's growth.
            let told = String::from_utf8_lossy(&output.stdout);
            let (row, cost) = told.trim_end().split_once('\n').unwrap_or_default();
            println!("{row}");
            before = cost.to_owned();
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn list(name: &str, default: &[u64]) -> Vec<u64> {
    let parse = |text: String| text.split(',').map(|number| number.parse().expect("a number")).collect();
    std::env::var(name).map_or_else(|_| default.to_vec(), parse)
}

fn measure(nodes: u64, rate: u64, seconds: u64, threads: u64) -> ExitCode {
    let began = Instant::now();
    let setup = Setup { transactions_per_hour: 3_600 * rate, threads: threads as usize, ..Setup::lan(nodes as usize) };
    let mut world = setup.build().expect("a possible setup");
    // The clocks of this setup are off by less.
    let mut judge = Judge::new(&world, Millis::from_secs(1));
    let end = Millis::from_secs(seconds);
    let mut judging = Duration::ZERO;
    while world.now() < end {
        world.run(end.saturating_sub(world.now()).min(CHECK_SPAN));
        let began = Instant::now();
        judge.check(&mut world).unwrap_or_else(|finding| panic!("{finding}"));
        judging += began.elapsed();
    }
    judge.check_memory(&mut world).unwrap_or_else(|finding| panic!("{finding}"));
    let (real, cpu) = (began.elapsed(), processor_time());
    let summary = world.summary();
    let memory = peak_memory_mib();
    let quantiles = summary.propagation_ms;
    let cost = [nodes as f64, cpu.as_secs_f64(), memory as f64];
    let [_, cpu_growth, memory_growth] = growth(cost);
    println!(
        "{nodes:>6} {rate:>5} {:>8.1} {:>8.1} {:>8.1} {memory:>9} {:>14.2} {:>10.0} {cpu_growth:>6} {memory_growth:>6} {:>7} \
         {:>6.2}% {:>15} {:>10}",
        real.as_secs_f64(),
        judging.as_secs_f64(),
        cpu.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / (nodes * seconds) as f64,
        cpu.as_secs_f64() * 1e9 / summary.events as f64,
        summary.height,
        summary.stale_rate * 100.0,
        format!("{}/{}/{}", quantiles.p50, quantiles.p95, quantiles.p99),
        &summary.trace_hash[..10],
    );
    println!("{}", cost.map(|number| number.to_string()).join(","));
    let counts = (nodes, rate) == (1_000, 2) && seconds <= 3_600;
    if counts && (real >= TIME_MAX || memory >= MEMORY_MIB_MAX) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The exponent of the number of nodes by which each of these has grown since the row before. Empty in the first row.
fn growth(cost: [f64; 3]) -> [String; 3] {
    let before = std::env::var("QUIPU_BENCH_BEFORE").unwrap_or_default();
    let before: Vec<f64> = before.split(',').filter_map(|text| text.parse().ok()).collect();
    let exponent = |at: usize| match before.get(at) {
        Some(old) if before[0] != cost[0] => format!("{:.2}", (cost[at] / old).ln() / (cost[0] / before[0]).ln()),
        _ => "-".to_owned(),
    };
    [exponent(0), exponent(1), exponent(2)]
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The peak memory of this process, if the system reports it.
fn peak_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() / 1024
}
