//! The benchmarks, one file for each.

mod binary;
mod known;
mod limits;
mod propagation;

use anyhow::Result;

use crate::Context;
use crate::figure::Row;
use crate::plot::Frame;

/// Something that can be named on the command line.
pub(crate) struct Benchmark {
    pub(crate) name: &'static str,
    /// For `--list`.
    pub(crate) what: &'static str,
    pub(crate) run: fn(&mut Context) -> Result<Vec<Row>>,
    /// What its points are drawn in.
    pub(crate) plots: &'static [Frame],
}

/// All of them, in the order in which they run.
pub(crate) const ALL: &[Benchmark] = &[
    Benchmark {
        name: limits::NAME,
        what: "what the bare libraries and the machine can do",
        run: limits::run,
        plots: &[],
    },
    Benchmark {
        name: propagation::NAME,
        what: "how long a near-empty block takes to 8 nodes",
        run: propagation::run,
        plots: propagation::PLOTS,
    },
    Benchmark {
        name: known::NAME,
        what: "how long a block of 5,000 known transactions takes to 8 nodes, and what crosses the links",
        run: known::run,
        plots: known::PLOTS,
    },
    Benchmark {
        name: binary::NAME,
        what: "the size of the program; with --build how long a clean build takes",
        run: binary::run,
        plots: &[],
    },
];
