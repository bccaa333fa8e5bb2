//! The ratios that have a target. What they compare is measured by turns, and by the time that the processor was at it,
//! which other programs stretch less than the clock's.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::connecting::{self, TRANSACTIONS};
use crate::reorganising::{self, Other, Times};

/// A transaction of a block whose signatures were verified before may take this much more than its map operations.
const CONNECT_MORE_MAX: Duration = Duration::from_micros(1);
/// A reorganisation may take so many times what connecting the branch that is left took.
const REORGANISE_RATIO_MAX: f64 = 1.5;
/// How often each is measured.
const CONNECT_ROUNDS: usize = 31;
const REORGANISE_ROUNDS: usize = 5;

/// Measures and prints all of them.
pub(crate) fn are_met() -> bool {
    println!("\n{:<62} {:>10} {:>10} {:>8} {:>8}", "target", "measured", "beside", "ratio", "limit");
    let connected = connect();
    // Where the other branch has none of them, most of the time goes into putting them back into the pool.
    reorganise(Other::None, "no", None);
    reorganise(Other::Same, "the same", Some(REORGANISE_RATIO_MAX)) && connected
}

fn connect() -> bool {
    let mut case = connecting::Case::new();
    let mut rounds = Vec::new();
    for _ in 0..CONNECT_ROUNDS {
        let start = processor_time();
        let delta = case.connect();
        case.apply(&delta);
        let whole = processor_time() - start;
        case.revert(&delta);
        let start = processor_time();
        case.bare();
        rounds.push((whole, processor_time() - start));
    }
    let (whole, bare) = (median(rounds.iter().map(|round| round.0)), median(rounds.iter().map(|round| round.1)));
    let more = whole.saturating_sub(bare) / TRANSACTIONS as u32;
    println!(
        "{:<62} {:>7.2} ms {:>7.2} ms {:>8.2} {:>8}",
        "connect a block of 5,000 transactions : bare map operations",
        millis(whole),
        millis(bare),
        whole.as_secs_f64() / bare.as_secs_f64(),
        ""
    );
    println!(
        "{:<62} {:>7} ns {:>10} {:>8} {:>5} ns",
        "  more than those, each transaction",
        more.as_nanos(),
        "",
        "",
        CONNECT_MORE_MAX.as_nanos()
    );
    more <= CONNECT_MORE_MAX
}

fn reorganise(other: Other, name: &str, ratio_max: Option<f64>) -> bool {
    let case = reorganising::Case::new(other);
    let rounds: Vec<Times> = (0..REORGANISE_ROUNDS).map(|_| case.run()).collect();
    let connect = median(rounds.iter().map(|round| round.connect));
    let reorganise = median(rounds.iter().map(|round| round.reorganise));
    let ratio = reorganise.as_secs_f64() / connect.as_secs_f64();
    println!(
        "{:<62} {:>7.1} ms {:>7.1} ms {ratio:>8.2} {:>8}",
        format!("reorganise 1,000 blocks of 100 ({name} transactions) : connect"),
        millis(reorganise),
        millis(connect),
        ratio_max.map(|most| most.to_string()).unwrap_or_default()
    );
    ratio_max.is_none_or(|most| ratio <= most)
}

/// Of this thread.
pub(crate) fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it only grows")
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
