//! The hash rate, and the delay in following a new template: `cargo bench --bench mining`.
//!
//! Prints
//!
//! - for each kernel that this processor offers, hashes per second on one core beside a bare loop with the same
//!   instructions that shares nothing between hashes except the midstate (`portable`: `sha2`'s compression function);
//! - the mining kernel beside plain `sha2`, which hashes all 96 bytes;
//! - the rate of all cores beside one, with that kernel and with its bare loop: if two cores are halves of one, or
//!   share its power, no loop scales;
//! - the time from a new template to its first block, one nonce in 4,096, while the threads are at another, beside
//!   threads of the same priority that only look for a change.
//!
//! Compared loops run in turns of less than a millisecond, and the ratio is the median of those of neighbours, so that
//! noise from elsewhere meets both. Exits with 1 if a vector kernel is slower than its bare loop, the fastest one less
//! than 7 times as fast as plain `sha2` where it has AVX-512, threads scale to less than 0.95 of the bare loop's
//! scaling, or half of all templates are followed 10 ms later than by the threads that only look.

mod bare;
#[allow(dead_code, reason = "each benchmark asks what it needs")]
#[path = "../statistics.rs"]
mod statistics;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};

use quipu::engine::Event;
use quipu::engine::event::Key;
use quipu::node::inbox::{EngineSender, Queues};
use quipu::node::miner::Miner;
use quipu::node::miner::kernel::Kernel;
use quipu::node::miner::search::Search;
use quipu::node::thread::lower_priority;
use quipu::protocol::block::VERSION;
use quipu::protocol::{BlockId, Header, Height, LeafHash, Target, UnixMillis};
use serde_json::{Value, json};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use statistics::median;

/// Turns of each comparison of one core, and of all cores.
const TURNS: usize = 1001;
const SCALING_TURNS: usize = 41;
/// Hashes of a turn: with vectors, and one by one.
const HASHES: u32 = 1 << 14;
const FEW_HASHES: u32 = 1 << 13;
/// The time that all cores work in a turn.
const SCALING_SPAN: Duration = Duration::from_millis(20);
const TEMPLATES: u64 = 200;
/// The time that a template is searched before the next one comes.
const TEMPLATE_SPAN: Duration = Duration::from_millis(3);
/// One nonce in 4,096 meets it.
const QUICK: Target = Target(0x1f0f_ffff);

/// The targets of the figures.
const KERNEL_RATIO_MIN: f64 = 1.0;
const PLAIN_RATIO_MIN: f64 = 7.0;
const SCALING_RATIO_MIN: f64 = 0.95;
const TEMPLATE_TIME_MAX: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let is_good = [kernels(), threads(), templates()];
    if is_good.iter().all(|good| *good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether figures are printed as rows instead of in words.
static WANTS_ROWS: LazyLock<bool> = LazyLock::new(|| std::env::args().any(|argument| argument == "--rows"));

/// A line for people.
fn say(line: &str) {
    if !*WANTS_ROWS {
        println!("{line}");
    }
}

/// Prints a figure and its unit, its reference and its target, for `scripts/bench`.
fn tell(what: &str, (value, unit): (f64, &str), reference: Option<(&str, f64)>, target: &Value) {
    if *WANTS_ROWS {
        let reference = reference.map(|(what, value)| json!({"what": what, "value": value}));
        let row = json!({
            "name": "mining", "what": what, "value": value, "unit": unit, "reference": reference, "target": target
        });
        println!("{row}");
    }
}

fn header(target: Target, number: u64) -> Header {
    let (parent, root) = (BlockId([3; 32]), LeafHash([5; 32]));
    Header { version: VERSION, height: Height(7), parent, root, timestamp: UnixMillis(number), target, nonce: 0 }
}

/// A kind of work: it tries that many hashes when it is called.
type HashLoop<'a> = (&'a (dyn Fn(u32) + Sync), u32);

fn kernels() -> bool {
    let header = header(Target::HARDEST, 0);
    let search = Search::new(&header).expect("a target");
    let plain = |hashes: u32| {
        let mut bytes = header.to_bytes();
        for nonce in 0..u64::from(hashes) {
            bytes[88..].copy_from_slice(&nonce.to_le_bytes());
            black_box(Sha256::digest(bytes));
        }
    };
    let one_block = |hashes: u32| {
        let mut block = [1; 64];
        for nonce in 0..u64::from(hashes) {
            block[24..32].copy_from_slice(&nonce.to_le_bytes());
            let mut state = [2; 8];
            compress256(&mut state, std::slice::from_ref(&block));
            black_box(state);
        }
    };
    say(&format!("{:<10} {:>8}   {:<28} {:>8} {:>7} {:>7}", "kernel", "MH/s", "beside", "MH/s", "ratio", "least"));
    let mut is_good = true;
    for (place, kernel) in Kernel::offered().enumerate() {
        let ours = |hashes: u32| {
            black_box(search.find(kernel, 0..hashes.into()));
        };
        let bare_loop = bare_loop(kernel);
        let hashes = if bare_loop.is_some() { HASHES } else { FEW_HASHES };
        let mut row = |name: &str, other: HashLoop<'_>, least: Option<f64>| {
            let [rate, reference, ratio] = compare((&ours, hashes), other);
            let least_shown = least.map_or("-".to_owned(), |least| format!("{least:.2}"));
            let kernel = kernel.name();
            say(&format!("{kernel:<10} {rate:>8.1}   {name:<28} {reference:>8.1} {ratio:>7.2} {least_shown:>7}"));
            let target = least.map_or(Value::Null, |least| json!({"at_least": least}));
            tell(&format!("{kernel} on one core, beside {name}"), (rate, "MH/s"), Some((name, reference)), &target);
            is_good &= least.is_none_or(|least| ratio >= least);
        };
        match &bare_loop {
            Some((name, bare_loop)) => row(name, (bare_loop, HASHES), Some(KERNEL_RATIO_MIN)),
            None => row("compression by `sha2`", (&one_block, FEW_HASHES), None),
        }
        if place == 0 {
            row("compression by `sha2`", (&one_block, FEW_HASHES), None);
            let least = (kernel.name() == "avx512").then_some(PLAIN_RATIO_MIN);
            row("digest of 96 bytes by `sha2`", (&plain, FEW_HASHES), least);
        }
    }
    is_good
}

#[cfg(target_arch = "x86_64")]
fn bare_loop(kernel: Kernel) -> Option<(&'static str, impl Fn(u32) + Sync)> {
    let input = bare::HashInput { midstate: [2; 8], block: [1; 16] };
    let (name, run) = bare::like(kernel.name())?;
    let expected = (0..64_u32).map(|number| {
        let mut block = [[0, 0, 0, 1]; 16];
        block[7] = number.to_be_bytes();
        let mut state = input.midstate;
        compress256(&mut state, &[block.as_flattened().try_into().expect("16 words have 64 bytes")]);
        state[0]
    });
    assert_eq!(run(&input, 64), expected.fold(0, u32::wrapping_add), "{name} must be SHA-256");
    Some((name, move |hashes| {
        black_box(run(&input, hashes));
    }))
}

#[cfg(not(target_arch = "x86_64"))]
fn bare_loop(_: Kernel) -> Option<(&'static str, fn(u32))> {
    None
}

/// Millions of hashes per second of both, and the ratio of the first to the second.
fn compare(ours: HashLoop<'_>, other: HashLoop<'_>) -> [f64; 3] {
    let rate = |(work, hashes): HashLoop<'_>| {
        let began = Instant::now();
        work(hashes);
        f64::from(hashes) / began.elapsed().as_secs_f64() / 1e6
    };
    let turns: Vec<[f64; 2]> = (0..TURNS).map(|_| [rate(ours), rate(other)]).collect();
    let of = |map: fn(&[f64; 2]) -> f64| median(turns.iter().map(map));
    [of(|rates| rates[0]), of(|rates| rates[1]), of(|rates| rates[0] / rates[1])]
}

fn threads() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = Kernel::fastest();
    let search = Search::new(&header(Target::HARDEST, 0)).expect("a target");
    let ours = |hashes: u32| {
        black_box(search.find(kernel, 0..hashes.into()));
    };
    let bare_loop = bare_loop(kernel);
    let works: Vec<&(dyn Fn(u32) + Sync)> =
        [&ours as &(dyn Fn(u32) + Sync)].into_iter().chain(bare_loop.iter().map(|(_, run)| run as _)).collect();
    // The fastest turns of one thread and of all, which were disturbed least.
    let mut rates = vec![[0_f64; 2]; works.len()];
    for _ in 0..SCALING_TURNS {
        for (work, [one, all]) in works.iter().zip(&mut rates) {
            *one = one.max(rate_of_threads(*work, 1));
            *all = all.max(rate_of_threads(*work, cores));
        }
    }
    let scales: Vec<f64> = rates.into_iter().map(|[one, all]| all / (one * cores as f64)).collect();
    let ours = scales[0];
    say(&format!("\n{cores} threads with {}: {ours:.3} of {cores} times one", kernel.name()));
    let bare = scales.get(1).copied();
    let what = format!("{cores} threads, of {cores} times one");
    tell(&what, (ours, ""), bare.map(|bare| ("its bare loop", bare)), &json!({"at_least": SCALING_RATIO_MIN}));
    let Some(bare) = bare else { return ours >= SCALING_RATIO_MIN };
    say(&format!("its bare loop: {bare:.3}; ratio {:.3}, at least {SCALING_RATIO_MIN}", ours / bare));
    ours / bare >= SCALING_RATIO_MIN
}

/// Hashes per second of that many threads together.
fn rate_of_threads(work: &(dyn Fn(u32) + Sync), threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let count = || {
        barrier.wait();
        let (began, mut hashes) = (Instant::now(), 0);
        while began.elapsed() < SCALING_SPAN {
            work(FEW_HASHES);
            hashes += FEW_HASHES;
        }
        f64::from(hashes) / began.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        running.into_iter().map(|thread| thread.join().expect("counting can't panic")).sum()
    })
}

fn templates() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut is_good = true;
    say("");
    for threads in [1, cores] {
        let (engine, Queues { results, .. }) = EngineSender::new();
        let miner = Miner::start(threads, engine, |line| panic!("{line}")).expect("threads");
        let (mut followed, mut looked) = (Vec::new(), Vec::new());
        for number in 0..TEMPLATES {
            miner.mine(Key(0), &header(Target::HARDEST, number));
            std::thread::sleep(TEMPLATE_SPAN);
            let began = Instant::now();
            miner.mine(Key(1), &header(QUICK, number));
            let is_mined = |event| matches!(event, Event::Mined { key: Key(1), .. });
            assert!(results.iter().any(is_mined), "the miner has ended");
            followed.push(began.elapsed());
            looked.push(time_to_look(threads));
        }
        let [followed, looked] = [followed, looked].map(|mut times| {
            times.sort();
            [times[times.len() / 2], times[times.len() * 99 / 100]]
        });
        let millis = |[median, p99]: [Duration; 2]| {
            format!("{:.2} ms, p99 {:.2} ms", median.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3)
        };
        let (shown, shown_looked) = (millis(followed), millis(looked));
        say(&format!(
            "{threads} threads follow a new template after {shown}; as many that only look see it after {shown_looked}"
        ));
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let what = format!("threads that follow a new template, {threads}: beyond those that only look, p50");
        let target = json!({"at_most": millis(TEMPLATE_TIME_MAX)});
        tell(&what, (millis(followed[0].saturating_sub(looked[0])), "ms"), None, &target);
        let what = format!("threads that follow a new template, {threads}: p99");
        let reference = Some(("those that only look", millis(looked[1])));
        tell(&what, (millis(followed[1]), "ms"), reference, &Value::Null);
        is_good &= followed[0] < looked[0] + TEMPLATE_TIME_MAX;
    }
    is_good
}

/// The time until one of that many threads sees a change, if they do nothing but look, with the priority of mining
/// threads. Other load on the machine delays them as much.
fn time_to_look(threads: usize) -> Duration {
    let has_changed = AtomicBool::new(false);
    let look = || {
        lower_priority();
        while !has_changed.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        Instant::now()
    };
    std::thread::scope(|scope| {
        let looking: Vec<_> = (0..threads).map(|_| scope.spawn(look)).collect();
        std::thread::sleep(TEMPLATE_SPAN);
        let began = Instant::now();
        has_changed.store(true, Ordering::Relaxed);
        let seen = looking.into_iter().map(|thread| thread.join().expect("looking can't panic"));
        seen.min().expect("a thread").saturating_duration_since(began)
    })
}
