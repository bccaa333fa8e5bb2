//! The ratios that have a target. What they compare is measured by turns, and by the time that the processor was at it,
//! which other programs stretch less than the clock's.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use crate::connecting::{self, TRANSACTIONS};
use crate::reorganising::{self, Other, Times};

/// A transaction of a block whose signatures were verified before may take this much more than its map operations.
const CONNECT_MORE_MAX: Duration = Duration::from_micros(1);
/// A reorganisation may take so many times what connecting the branch that is left took.
const REORGANISE_RATIO_MAX: f64 = 1.5;
/// How often each is measured.
const CONNECT_ROUNDS: usize = 31;
const REORGANISE_ROUNDS: usize = 5;

/// How they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// For people.
    Table,
    /// For `scripts/bench`.
    Rows,
}

/// A figure, and what it is measured beside.
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    beside: Option<(&'static str, f64)>,
    /// Of the ratio, or of the figure if there is none.
    at_most: Option<f64>,
}

impl Figure {
    fn judged(&self) -> f64 {
        self.beside.map_or(self.value, |(_, reference)| self.value / reference)
    }

    fn is_met(&self) -> bool {
        self.at_most.is_none_or(|most| self.judged() <= most)
    }

    fn print(&self, shown: Shown) {
        let Self { what, value, unit, beside, at_most } = self;
        match shown {
            Shown::Table => {
                let (name, beside) = beside.map_or((String::new(), String::new()), |(name, reference)| {
                    (format!(" : {name}"), format!("{reference:.2} {unit}"))
                });
                let (what, value) = (format!("{what}{name}"), format!("{value:.2} {unit}"));
                let limit = at_most.map(|most| most.to_string()).unwrap_or_default();
                println!("{what:<78} {value:>11} {beside:>11} {:>8.2} {limit:>6}", self.judged());
            }
            Shown::Rows => {
                let reference = beside.map(|(what, value)| json!({"what": what, "value": value}));
                let target = at_most.map(|most| json!({"at_most": most}));
                let row = json!({
                    "name": "engine", "what": what, "value": value, "unit": unit, "reference": reference,
                    "target": target
                });
                println!("{row}");
            }
        }
    }
}

/// Measures and tells all of them.
pub(crate) fn are_met(shown: Shown) -> bool {
    if shown == Shown::Table {
        println!("\n{:<78} {:>11} {:>11} {:>8} {:>6}", "target", "measured", "beside", "judged", "limit");
    }
    let mut figures = connect();
    figures.push(reorganise(
        Other::Same,
        "to one with the same transactions in other blocks",
        Some(REORGANISE_RATIO_MAX),
    ));
    // Here most of the time goes into putting all of them back into the pool.
    figures.push(reorganise(Other::None, "to one without any", None));
    figures.iter().for_each(|figure| figure.print(shown));
    figures.iter().all(Figure::is_met)
}

fn connect() -> Vec<Figure> {
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
    vec![
        Figure {
            what: "connect a block of 5,000 known transactions".to_owned(),
            value: millis(whole),
            unit: "ms",
            beside: Some(("the map operations alone", millis(bare))),
            at_most: None,
        },
        Figure {
            what: "connect: more than the map operations, each transaction".to_owned(),
            value: more.as_nanos() as f64,
            unit: "ns",
            beside: None,
            at_most: Some(CONNECT_MORE_MAX.as_nanos() as f64),
        },
    ]
}

fn reorganise(other: Other, name: &str, at_most: Option<f64>) -> Figure {
    let case = reorganising::Case::new(other);
    let rounds: Vec<Times> = (0..REORGANISE_ROUNDS).map(|_| case.run()).collect();
    let connect = median(rounds.iter().map(|round| round.connect));
    let reorganise = median(rounds.iter().map(|round| round.reorganise));
    Figure {
        what: format!("reorganise from 1,000 blocks of 100 {name}"),
        value: millis(reorganise),
        unit: "ms",
        beside: Some(("connecting those", millis(connect))),
        at_most,
    }
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
