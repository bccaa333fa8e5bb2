//! The cost of the HTTP server for the node, and its latency: `cargo bench --bench http`.
//!
//! Starts two real nodes on this machine and prints
//!
//! - the time of a block from one to the other, without load and with 10,000 requests a second offered to one of them,
//!   in turns; the number of answers, and their latency. An answer's time counts from when its request was due, so a
//!   server that stalls can't hide it;
//! - the time until 500 clients of the event stream have heard of a block;
//! - the additional memory that the node needs while it sends a chain of 200,000 blocks (`QUIPU_BENCH_BLOCKS` makes it
//!   shorter).
//!
//! Exits with 1 if blocks take more than 1.2 times as long under load, a client misses its block, or the chain needs 20
//! MiB or more. The clients run on the same processors: their work is part of the load.

mod load;
#[allow(dead_code, reason = "each benchmark asks what it needs")]
#[path = "../process.rs"]
mod process;
#[allow(dead_code, reason = "each benchmark asks what it needs")]
#[path = "../statistics.rs"]
mod statistics;

use std::io::{BufReader, Read};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use load::{EventListener, Load};
use process::{NodeProcess, NodeProcessOptions};
use statistics::quantile;

/// The greatest ratio of delays under load to those without.
const SLOWER_MAX: f64 = 1.2;
/// The most additional memory for sending a chain.
const CHAIN_EXTRA_BYTES_MAX: u64 = 20 << 20;
const EVENT_CLIENTS: usize = 500;
/// Turns with and without load.
const TURNS: usize = 12;
/// Blocks of a turn, half of them from each node.
const TURN_BLOCKS: usize = 30;
/// Interval between two blocks of a turn.
const BLOCK_INTERVAL: Duration = Duration::from_millis(100);

/// The options of a node that serves HTTP and mines on one thread.
fn options() -> NodeProcessOptions {
    NodeProcessOptions {
        http: true,
        arguments: ["--threads", "1"].map(str::to_owned).into(),
        ..NodeProcessOptions::default()
    }
}

fn main() -> ExitCode {
    let blocks = std::env::var("QUIPU_BENCH_BLOCKS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let is_good = [propagation(), events(), chain(blocks)];
    if is_good.iter().all(|good| *good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures blocks from node to node, with and without load on one of them.
fn propagation() -> bool {
    let (asked, other) = (NodeProcess::start(&options()), NodeProcess::start(&options()));
    asked.connect(&other);
    asked.ask("mine 20");
    let load = Load::start(asked.http());
    let (mut quiet, mut loaded) = (Vec::new(), Vec::new());
    for turn in 0..2 * TURNS {
        let is_loaded = turn % 2 == 1;
        load.set(is_loaded);
        let times = if is_loaded { &mut loaded } else { &mut quiet };
        for block in 0..TURN_BLOCKS {
            std::thread::sleep(BLOCK_INTERVAL);
            let (from, to) = if block % 2 == 0 { (&asked, &other) } else { (&other, &asked) };
            times.push(mine_for(from, to));
        }
    }
    load.set(false);
    let told = load.stop();
    let (quiet, loaded) = (quantiles(&mut quiet), quantiles(&mut loaded));
    let ratio = loaded.0.as_secs_f64() / quiet.0.as_secs_f64();
    println!("offered {:.0} requests/s, answered {:.0}/s, {} not with 200", told.offered, told.answered, told.failed);
    println!("answers in {:.2?} (median), {:.2?} (99 %)", told.median, told.p99);
    println!("blocks without load in {:.2?} (median), {:.2?} (90 %)", quiet.0, quiet.1);
    println!("blocks under load   in {:.2?} (median), {:.2?} (90 %): {ratio:.2} x", loaded.0, loaded.1);
    ratio <= SLOWER_MAX && told.failed == 0
}

/// Mines one block; returns the delay between the two nodes.
fn mine_for(from: &NodeProcess, to: &NodeProcess) -> Duration {
    from.say("mine 1");
    let mined = from.answer();
    let id = &mined.value["result"]["blocks"][0]["id"];
    let arrived = to.event(|event| event["event"] == "tip" && event["id"] == *id);
    arrived.at.saturating_duration_since(mined.at)
}

/// The median and the 90 % quantile.
fn quantiles(times: &mut [Duration]) -> (Duration, Duration) {
    (quantile(times, 50), quantile(times, 90))
}

/// Checks that many clients hear of a block.
fn events() -> bool {
    let node = NodeProcess::start(&options());
    let mut clients: Vec<EventListener> = (0..EVENT_CLIENTS).map(|_| EventListener::follow(node.http())).collect();
    let begin = Instant::now();
    node.ask("mine 1");
    let heard = clients.iter_mut().filter_map(|client| client.next_of("tip")).count();
    println!("{heard} of {EVENT_CLIENTS} event streams had the block {:.1?} after it was asked for", begin.elapsed());
    heard == EVENT_CLIENTS
}

/// Measures the memory for sending a whole chain.
fn chain(blocks: u64) -> bool {
    let node = NodeProcess::start(&options());
    node.ask(&format!("mine {blocks}"));
    // A fresh process has not yet had the memory that mining took.
    let node = node.restart(&options());
    drop(load::get(node.http(), "/api/v1/blocks?limit=100"));
    let before = node.memory_peak_bytes();
    let begin = Instant::now();
    let mut answer = BufReader::with_capacity(1 << 16, load::get(node.http(), "/chain"));
    let (mut bytes, mut end) = (0, Vec::new());
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = answer.read(&mut piece) {
        bytes += length;
        end.extend_from_slice(&piece[..length]);
        end.drain(..end.len().saturating_sub(64));
    }
    let extra = node.memory_peak_bytes() - before;
    let is_whole = String::from_utf8_lossy(&end).contains(&format!("\"length\":{}}}", blocks + 1));
    println!(
        "/chain of {blocks} blocks: {} MB in {:.1?}, {:.1} MiB more memory at its peak",
        bytes / 1_000_000,
        begin.elapsed(),
        extra as f64 / f64::from(1 << 20)
    );
    is_whole && extra < CHAIN_EXTRA_BYTES_MAX
}
