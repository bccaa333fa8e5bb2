//! The benchmarks, one file for each.

mod binary;
mod known;
mod latency;
mod limits;
mod programs;
mod prompt;
mod propagation;
mod rest;
mod start;
mod sync;
mod sync_full;
mod transactions;

use anyhow::Result;

use crate::Context;
use crate::figure::FigureRow;
use crate::plot::Frame;

/// A benchmark that can be named on the command line.
pub(crate) struct Benchmark {
    pub(crate) name: &'static str,
    /// Its description for `--list`.
    pub(crate) what: &'static str,
    pub(crate) run: fn(&mut Context) -> Result<Vec<FigureRow>>,
    /// The plots of its points.
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
        name: programs::MINING,
        what: "how fast nonces are tried, and how soon threads follow a new template",
        run: programs::mining,
        plots: &[],
    },
    Benchmark {
        name: programs::ENGINE,
        what: "how long connecting and reorganising take in the engine alone",
        run: programs::engine,
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
        name: sync::NAME,
        what: "how long a new node takes to 100,000 and to 1,000,000 near-empty blocks",
        run: sync::run,
        plots: sync::PLOTS,
    },
    Benchmark {
        name: sync_full::NAME,
        what: "how fast a new node takes in full blocks, and how much memory that needs",
        run: sync_full::run,
        plots: sync_full::PLOTS,
    },
    Benchmark {
        name: transactions::NAME,
        what: "how fast a node takes in transactions from 4 peers",
        run: transactions::run,
        plots: &[],
    },
    Benchmark { name: prompt::NAME, what: "how fast payments of a script are answered", run: prompt::run, plots: &[] },
    Benchmark {
        name: start::NAME,
        what: "how long a start with 1,000,000 blocks takes, and how much memory a block",
        run: start::run,
        plots: start::PLOTS,
    },
    Benchmark {
        name: rest::NAME,
        what: "what a node with 8 peers takes while nothing happens",
        run: rest::run,
        plots: &[],
    },
    Benchmark {
        name: latency::NAME,
        what: "how long status takes while the node is busy",
        run: latency::run,
        plots: &[],
    },
    Benchmark {
        name: binary::NAME,
        what: "the size of the program; with --build how long a clean build takes",
        run: binary::run,
        plots: &[],
    },
];
