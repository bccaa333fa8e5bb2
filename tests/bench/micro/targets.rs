//! The ratios that have a target. Both sides are measured by turns, in processor time, which other programs stretch
//! less than the clock's.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use crate::connecting::{self, TRANSACTIONS};
use crate::reorganising::{self, BranchTimes, Other};
use crate::statistics::quantile;

/// The most time beyond its map operations for a transaction whose signature was verified before.
const CONNECT_MORE_MAX: Duration = Duration::from_micros(1);
/// The greatest ratio of a reorganisation to connecting the branch that is left.
const REORGANISE_RATIO_MAX: f64 = 1.5;
/// The number of measurements of each.
const CONNECT_ROUNDS: usize = 31;
const REORGANISE_ROUNDS: usize = 5;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputForm {
    /// For people.
    Table,
    /// For `scripts/bench`.
    Rows,
}

/// A figure and its reference.
struct TargetFigure {
    what: String,
    value: f64,
    unit: &'static str,
    beside: Option<(&'static str, f64)>,
    /// The upper bound of the ratio, or of the figure if it has no reference.
    at_most: Option<f64>,
}

impl TargetFigure {
    fn judged(&self) -> f64 {
        self.beside.map_or(self.value, |(_, reference)| self.value / reference)
    }

    fn is_met(&self) -> bool {
        self.at_most.is_none_or(|most| self.judged() <= most)
    }

    fn print(&self, shown: OutputForm) {
        let Self { what, value, unit, beside, at_most } = self;
        match shown {
            OutputForm::Table => {
                let (name, beside) = beside.map_or((String::new(), String::new()), |(name, reference)| {
                    (format!(" : {name}"), format!("{reference:.2} {unit}"))
                });
                let (what, value) = (format!("{what}{name}"), format!("{value:.2} {unit}"));
                let limit = at_most.map(|most| most.to_string()).unwrap_or_default();
                println!("{what:<78} {value:>11} {beside:>11} {:>8.2} {limit:>6}", self.judged());
            }
            OutputForm::Rows => {
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

/// Measures all and prints them; returns whether the targets are met.
pub(crate) fn are_met(shown: OutputForm) -> bool {
    if shown == OutputForm::Table {
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
    figures.iter().all(TargetFigure::is_met)
}

fn connect() -> Vec<TargetFigure> {
    let mut case = connecting::ConnectCase::new();
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
        TargetFigure {
            what: "connect a block of 5,000 known transactions".to_owned(),
            value: millis(whole),
            unit: "ms",
            beside: Some(("the map operations alone", millis(bare))),
            at_most: None,
        },
        TargetFigure {
            what: "connect: more than the map operations, each transaction".to_owned(),
            value: more.as_nanos() as f64,
            unit: "ns",
            beside: None,
            at_most: Some(CONNECT_MORE_MAX.as_nanos() as f64),
        },
    ]
}

fn reorganise(other: Other, name: &str, at_most: Option<f64>) -> TargetFigure {
    let case = reorganising::ReorganiseCase::new(other);
    let rounds: Vec<BranchTimes> = (0..REORGANISE_ROUNDS).map(|_| case.run()).collect();
    let connect = median(rounds.iter().map(|round| round.connect));
    let reorganise = median(rounds.iter().map(|round| round.reorganise));
    TargetFigure {
        what: format!("reorganise from 1,000 blocks of 100 {name}"),
        value: millis(reorganise),
        unit: "ms",
        beside: Some(("connecting those", millis(connect))),
        at_most,
    }
}

/// The processor time of this thread.
pub(crate) fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it only grows")
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    quantile(&mut times.collect::<Vec<_>>(), 50)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
