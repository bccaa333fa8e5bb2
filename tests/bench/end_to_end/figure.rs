//! Figures with their references, and points of plots.

use serde::{Deserialize, Serialize};

/// A figure of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FigureRow {
    /// The name of the benchmark on the command line.
    pub(crate) name: String,
    /// The measured quantity. With the name the same in every run.
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// The figure's reference, from the same run.
    pub(crate) reference: Option<Reference>,
    pub(crate) target: Option<FigureTarget>,
    /// The same figure of the earlier build, measured right after, if there is one to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<f64>,
}

/// The limit that a figure is compared with, in the same unit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) what: String,
    pub(crate) value: f64,
}

/// The goal of a figure: for its ratio to the reference, or in its own unit if it has none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FigureTarget {
    AtLeast(f64),
    AtMost(f64),
}

impl FigureRow {
    /// A figure without reference and target.
    pub(crate) fn new(name: &str, what: &str, value: f64, unit: &str) -> Self {
        let (name, what, unit) = (name.to_owned(), what.to_owned(), unit.to_owned());
        Self { name, what, value, unit, reference: None, target: None, before: None }
    }

    /// Adds a reference, which was measured in the same run and unit.
    pub(crate) fn beside(self, what: &str, value: f64) -> Self {
        Self { reference: Some(Reference { what: what.to_owned(), value }), ..self }
    }

    /// Sets a lower bound for the ratio, or for the figure if it has no reference.
    pub(crate) fn at_least(self, bound: f64) -> Self {
        Self { target: Some(FigureTarget::AtLeast(bound)), ..self }
    }

    /// Sets an upper bound for the ratio, or for the figure if it has no reference.
    pub(crate) fn at_most(self, bound: f64) -> Self {
        Self { target: Some(FigureTarget::AtMost(bound)), ..self }
    }

    pub(crate) fn ratio(&self) -> Option<f64> {
        self.reference.as_ref().map(|reference| self.value / reference.value)
    }

    /// The number that the target applies to.
    pub(crate) fn judged(&self) -> f64 {
        self.ratio().unwrap_or(self.value)
    }
}

impl FigureTarget {
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
    pub(crate) line: PlotLine,
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// The line that a point belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlotLine {
    Ours,
    Reference,
}
