//! A block without transactions, mined at one of 8 nodes: the time until the last one reports it as its tip. Beside it
//! stands gossipsub alone, with as many bytes over the same links, in turns.
//!
//! Both are timed from the command on, so a node's time has all of it: making the block, finding its nonce, checking,
//! connecting, syncing to disk at the first and at the last node. The disk's time for such a block is reported too, and
//! so is the propagation with the nodes' data in memory, without that disk, which all nodes share here.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use quipu::protocol::encode::encode;
use quipu::protocol::{Network, Parameters};
use tempfile::TempDir;

use crate::Context;
use crate::figure::{FigureRow, PlotLine};
use crate::limits::append::AppendFile;
use crate::network::{Arrivals, gossips, nodes_in};
use crate::plot::Frame;
use crate::process::{NodeProcessOptions, folder, memory_folder};
use crate::statistics::quantile_ms;

pub(super) const NAME: &str = "propagation";
pub(super) const PLOTS: &[Frame] = &[Frame {
    file: "propagation-by-nodes",
    name: "Near-empty block at the last node, p95",
    x: "nodes",
    y: "milliseconds",
    ours: "quipu",
    reference: "gossipsub alone",
}];
const NODES: usize = 8;
/// The other sizes in the plot.
const OTHER_SIZES: [usize; 3] = [2, 4, 16];
const WARM_UP_BLOCKS: usize = 20;
/// Pause between two blocks, so that the effects of one are over before the next.
const PAUSE: Duration = Duration::from_millis(40);
/// The greatest ratio of the last node's p95 to that of gossipsub alone.
const RATIO_MAX: f64 = 1.6;

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let blocks = context.size(300, 30);
    let Measured { ours, bare, mut disk } = measure(NODES, blocks, folder)?;
    let mut point = |count: usize, ours: &Arrivals, bare: &Arrivals| {
        for (line, arrivals) in [(PlotLine::Ours, ours), (PlotLine::Reference, bare)] {
            context.point(PLOTS[0].file, line, count as f64, quantile_ms(&mut arrivals.last.clone(), 95));
        }
    };
    point(NODES, &ours, &bare);
    for count in OTHER_SIZES {
        let Measured { ours, bare, .. } = measure(count, blocks / 3, folder)?;
        point(count, &ours, &bare);
    }
    let row = |what: &str, of: fn(&Arrivals) -> Vec<Duration>, percent| {
        let [value, reference] = [&ours, &bare].map(|arrivals| quantile_ms(&mut of(arrivals), percent));
        FigureRow::new(NAME, what, value, "ms").beside("gossipsub alone, as many bytes", reference)
    };
    let mut rows = vec![
        row("near-empty block, 8 nodes, at the last one, p95", |arrivals| arrivals.last.clone(), 95).at_most(RATIO_MAX),
        row("near-empty block, 8 nodes, at the last one, p50", |arrivals| arrivals.last.clone(), 50),
        row("near-empty block, 8 nodes, at each other one, p95", |arrivals| arrivals.each.clone(), 95),
        row("near-empty block, 8 nodes, at each other one, p50", |arrivals| arrivals.each.clone(), 50),
        row("near-empty block, at the node that mines it, p95", |arrivals| arrivals.origin.clone(), 95),
        row("near-empty block, at the node that mines it, p50", |arrivals| arrivals.origin.clone(), 50),
        row("near-empty block, from there to the last one, p95", Arrivals::after_origin, 95),
        row("near-empty block, from there to the last one, p50", Arrivals::after_origin, 50),
        FigureRow::new(NAME, "as many bytes appended to a file, with fdatasync, p95", quantile_ms(&mut disk, 95), "ms"),
        FigureRow::new(NAME, "as many bytes appended to a file, with fdatasync, p50", quantile_ms(&mut disk, 50), "ms"),
    ];
    if memory_folder().is_some() {
        let in_memory = || memory_folder().expect("there was room a moment ago");
        let Measured { mut ours, mut bare, .. } = measure(NODES, blocks / 3, in_memory)?;
        rows.extend([95, 50].map(|percent| {
            let what = format!("near-empty block, 8 nodes with their data in memory, at the last one, p{percent}");
            FigureRow::new(NAME, &what, quantile_ms(&mut ours.last, percent), "ms")
                .beside("gossipsub alone, as many bytes", quantile_ms(&mut bare.last, percent))
        }));
    }
    Ok(rows)
}

/// The delays of both, measured in turns.
#[derive(Default)]
struct Measured {
    ours: Arrivals,
    /// gossipsub alone.
    bare: Arrivals,
    /// Appends to a file.
    disk: Vec<Duration>,
}

fn measure(count: usize, blocks: usize, folder: impl Fn() -> TempDir) -> Result<Measured> {
    let nodes = nodes_in(count, &NodeProcessOptions::default(), &folder, |_| Ok(()))?;
    let gossips = gossips(count)?;
    let journal_folder = folder();
    let mut journal = AppendFile::create(journal_folder.path());
    // Every near-empty block is as long as the genesis block.
    let length = encode(Network::new(Parameters::dev())?.genesis()).len();
    let mut measured = Measured::default();
    for block in 0..WARM_UP_BLOCKS + blocks {
        if block == WARM_UP_BLOCKS {
            measured = Measured::default();
        }
        let (origin, height) = (block % count, block as u64 + 1);
        thread::sleep(PAUSE);
        measured.ours.measure(&nodes, origin, "mine 1", height);
        nodes[origin].answer();
        thread::sleep(PAUSE);
        measured.bare.measure(&gossips, origin, &format!("publish {height} {length}"), height);
        thread::sleep(PAUSE);
        measured.disk.push(journal.append(length));
    }
    Ok(measured)
}
