//! What is measured: figures with what they are compared with, and points of plots.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A figure of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The benchmark, as it is called on the command line.
    pub(crate) name: String,
    /// What was measured. With the name the same in every run.
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// Measured in the same run.
    pub(crate) reference: Option<Reference>,
    pub(crate) target: Option<Target>,
}

/// What a figure is compared with, in the same unit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) what: String,
    pub(crate) value: f64,
}

/// What a figure is to reach: of its ratio to the reference, or in its own unit if it has none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Row {
    /// A figure that is compared with nothing and has no target.
    pub(crate) fn new(name: &str, what: &str, value: f64, unit: &str) -> Self {
        let (name, what, unit) = (name.to_owned(), what.to_owned(), unit.to_owned());
        Self { name, what, value, unit, reference: None, target: None }
    }

    /// Compared with this, which was measured in the same run and unit.
    pub(crate) fn beside(self, what: &str, value: f64) -> Self {
        Self { reference: Some(Reference { what: what.to_owned(), value }), ..self }
    }

    /// The ratio, or the figure if there is none, is to be so much or more.
    pub(crate) fn at_least(self, bound: f64) -> Self {
        Self { target: Some(Target::AtLeast(bound)), ..self }
    }

    /// The ratio, or the figure if there is none, is to be so much or less.
    pub(crate) fn at_most(self, bound: f64) -> Self {
        Self { target: Some(Target::AtMost(bound)), ..self }
    }

    pub(crate) fn ratio(&self) -> Option<f64> {
        self.reference.as_ref().map(|reference| self.value / reference.value)
    }

    /// What the target is about.
    pub(crate) fn judged(&self) -> f64 {
        self.ratio().unwrap_or(self.value)
    }
}

impl Target {
    pub(crate) fn is_met(self, judged: f64) -> bool {
        match self {
            Self::AtLeast(bound) => judged >= bound,
            Self::AtMost(bound) => judged <= bound,
        }
    }
}

/// A point of a plot. All points of the same file are one plot, those of the same line are joined.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Point {
    /// The plot's file, without its ending.
    pub(crate) plot: String,
    pub(crate) line: Line,
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// Whose figure a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    Ours,
    Reference,
}

/// What so many of a hundred stay below, in milliseconds (nearest rank). `times` are sorted by it.
pub(crate) fn quantile_ms(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times[rank - 1].as_secs_f64() * 1e3
}

/// Median, least and most.
pub(crate) fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    (median, sorted[0], sorted[sorted.len() - 1])
}
