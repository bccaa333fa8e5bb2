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
    /// Whether it measures the node's program, of which there may be an earlier build.
    pub(crate) runs_nodes: bool,
    /// The plots of its points.
    pub(crate) plots: &'static [Frame],
}

/// All of them, in the order in which they run.
pub(crate) const ALL: &[Benchmark] = &[
    Benchmark {
        name: limits::NAME,
        what: "what the bare libraries and the machine can do",
        run: limits::run,
        runs_nodes: false,
        plots: &[],
    },
    Benchmark {
        name: programs::MINING,
        what: "how fast nonces are tried, and how soon threads follow a new template",
        run: programs::mining,
        runs_nodes: false,
        plots: &[],
    },
    Benchmark {
        name: programs::ENGINE,
        what: "how long connecting and reorganising take in the engine alone",
        run: programs::engine,
        runs_nodes: false,
        plots: &[],
    },
    Benchmark {
        name: propagation::NAME,
        what: "how long a near-empty block takes to 8 nodes",
        run: propagation::run,
        runs_nodes: true,
        plots: propagation::PLOTS,
    },
    Benchmark {
        name: known::NAME,
        what: "how long a block of 5,000 known transactions takes to 8 nodes, and what crosses the links",
        run: known::run,
        runs_nodes: true,
        plots: known::PLOTS,
    },
    Benchmark {
        name: sync::NAME,
        what: "how long a new node takes to 100,000 and to 1,000,000 near-empty blocks",
        run: sync::run,
        runs_nodes: true,
        plots: sync::PLOTS,
    },
    Benchmark {
        name: sync_full::NAME,
        what: "how fast a new node takes in full blocks, and how much memory that needs",
        run: sync_full::run,
        runs_nodes: true,
        plots: sync_full::PLOTS,
    },
    Benchmark {
        name: transactions::NAME,
        what: "how fast a node takes in transactions from 4 peers",
        run: transactions::run,
        runs_nodes: true,
        plots: &[],
    },
    Benchmark {
        name: prompt::NAME,
        what: "how fast payments of a script are answered",
        run: prompt::run,
        runs_nodes: true,
        plots: &[],
    },
    Benchmark {
        name: start::NAME,
        what: "how long a start with 1,000,000 blocks takes, and how much memory a block",
        run: start::run,
        runs_nodes: true,
        plots: start::PLOTS,
    },
    Benchmark {
        name: rest::NAME,
        what: "what a node with 8 peers takes while nothing happens",
        run: rest::run,
        runs_nodes: true,
        plots: &[],
    },
    Benchmark {
        name: latency::NAME,
        what: "how long status takes while the node is busy",
        run: latency::run,
        runs_nodes: true,
        plots: &[],
    },
    Benchmark {
        name: binary::NAME,
        what: "the size of the program; with --build how long a clean build takes",
        run: binary::run,
        runs_nodes: true,
        plots: &[],
    },
];
