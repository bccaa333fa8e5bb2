//! Runs every fuzz target on the stable toolchain: on its committed corpus, and on random variations of it.
//!
//! Inputs depend on a number alone, so a failure names the number that repeats it: `QUIPU_TEST_FUZZ_SEED=7 cargo test
//! --test fuzz blocks::generated` runs that one input. By default each target gets a fixed number of inputs; with
//! `QUIPU_TEST_FUZZ_SECONDS` it gets as many as fit into that time, from the seed on.
//!
//! With a nightly toolchain, `cargo fuzz run blocks --fuzz-dir tests/fuzz` runs the same functions, guided by coverage.

mod mutator;
mod targets;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

/// The time after which an input counts as hanging. Far above that of the slowest, which derives a key from a password.
const INPUT_TIMEOUT: Duration = Duration::from_secs(120);
/// The number of the first input.
const FIRST_SEED: u64 = 1;

fn main() {
    let arguments = Arguments::from_args();
    let seconds = number("QUIPU_TEST_FUZZ_SECONDS").map(Duration::from_secs);
    let seed = number("QUIPU_TEST_FUZZ_SEED");
    let mut trials = Vec::new();
    for (name, _) in targets::ALL {
        let corpus = Arc::new(corpus(name));
        let files = corpus.clone();
        trials.push(Trial::test(format!("{name}::corpus"), move || {
            watch(name, 0..files.len() as u64, None, move |number| files[number as usize].clone())
                .map_err(|failed| Failed::from(format!("{failed}: inputs are files of the corpus, from 0")))
        }));
        trials.push(Trial::test(format!("{name}::generated"), move || {
            let first = seed.unwrap_or(FIRST_SEED);
            let last = match (seconds, seed) {
                (Some(_), _) => u64::MAX,
                (None, Some(seed)) => seed + 1,
                (None, None) => first + inputs(name),
            };
            watch(name, first..last, seconds, move |number| mutator::input(&corpus, number))
                .map_err(|failed| Failed::from(format!("{failed}: QUIPU_TEST_FUZZ_SEED repeats it")))
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The number of inputs if no time is given: about a second for each target, without optimisation.
fn inputs(target: &str) -> u64 {
    match target {
        "engine" => 200,
        "keys" | "wallets" => 60,
        "networks" | "aliases" => 300,
        _ => 2000,
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

/// The files of a target, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| std::fs::read(file).expect("a readable file")).collect()
}

/// Runs inputs on a thread of their own, so that an input that panics or hangs can be named.
fn watch(
    target: &'static str,
    numbers: std::ops::Range<u64>,
    time: Option<Duration>,
    input: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
) -> Result<(), String> {
    let input = Arc::new(input);
    let current = Arc::new(AtomicU64::new(numbers.start));
    let (done, ended) = channel();
    let worker = std::thread::spawn({
        let (input, current) = (input.clone(), current.clone());
        move || {
            let start = Instant::now();
            for number in numbers {
                if time.is_some_and(|time| start.elapsed() > time) {
                    break;
                }
                current.store(number, Ordering::Relaxed);
                targets::run(target, &input(number));
            }
            drop(done);
        }
    });
    let mut before = u64::MAX;
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(INPUT_TIMEOUT) as Result<(), _> {
        let number = current.load(Ordering::Relaxed);
        if number == before {
            return Err(format!("{target}, input {number}: it hangs"));
        }
        before = number;
    }
    worker.join().map_err(|panic| {
        let number = current.load(Ordering::Relaxed);
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        let bytes = input(number);
        format!("{target}, input {number} ({} bytes, {}): {words}", bytes.len(), escaped(&bytes))
    })
}

/// The beginning of an input, in one line.
fn escaped(bytes: &[u8]) -> String {
    const SHOWN_BYTES: usize = 400;
    bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii().to_string()
}
