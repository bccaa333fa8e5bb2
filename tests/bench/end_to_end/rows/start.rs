//! The time of a node with a long chain from the start of its process until it is ready, and the memory for a block of
//! that chain.
//!
//! The memory for a block is the slope between a chain and one of half its length: it excludes common parts, such as
//! the program itself and the database's cache, which both have filled. Mapped files do not count.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::Context;
use crate::figure::{FigureRow, PlotLine};
use crate::fixture::Fixture;
use crate::plot::Frame;
use crate::process::{NodeProcess, NodeProcessOptions};
use crate::statistics::spread;

pub(super) const NAME: &str = "start";
pub(super) const PLOTS: &[Frame] = &[Frame {
    file: "start-by-blocks",
    name: "Start, from the process to ready",
    x: "blocks",
    y: "seconds",
    ours: "quipu",
    reference: "",
}];
const SECONDS_MAX: f64 = 1.0;
const BLOCK_BYTES_MAX: f64 = 128.0;
/// The time after which memory needed only for startup is given back.
const SETTLE_SPAN: Duration = Duration::from_secs(3);

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let blocks = context.size(1_000_000, 10_000);
    let (long, half) = (Fixture::empty(blocks)?.copy()?, Fixture::empty(blocks / 2)?.copy()?);
    let (mut times, mut empty, mut memory, mut half_memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..context.size(5, 1) {
        let node = NodeProcess::start(&NodeProcessOptions::default());
        empty.push(node.start_time().as_secs_f64());
        node.stop();
        let node = NodeProcess::start_in(long.path(), &NodeProcessOptions::default());
        times.push(node.start_time().as_secs_f64());
        memory.push(settled(&node));
        node.stop();
        let node = NodeProcess::start_in(half.path(), &NodeProcessOptions::default());
        half_memory.push(settled(&node));
        node.stop();
    }
    let [time, empty, memory, half_memory] = [times, empty, memory, half_memory].map(|values| spread(&values).0);
    context.point(PLOTS[0].file, PlotLine::Ours, 0.0, empty);
    context.point(PLOTS[0].file, PlotLine::Ours, blocks as f64, time);
    for blocks in if context.quick { vec![1_000] } else { vec![10_000, 30_000, 100_000, 300_000] } {
        let node = NodeProcess::start_owning(Fixture::empty(blocks)?.copy()?, &NodeProcessOptions::default());
        context.point(PLOTS[0].file, PlotLine::Ours, blocks as f64, node.start_time().as_secs_f64());
    }
    let slope = (memory - half_memory) / (blocks - blocks / 2) as f64;
    Ok(vec![
        FigureRow::new(NAME, &format!("ready with {blocks} blocks"), time, "s").at_most(SECONDS_MAX),
        FigureRow::new(NAME, "ready with none", empty, "s"),
        FigureRow::new(NAME, "memory a block, from the second half of them", slope, "B").at_most(BLOCK_BYTES_MAX),
        FigureRow::new(NAME, &format!("memory with {blocks} blocks"), memory / f64::from(1 << 20), "MiB"),
    ])
}

fn settled(node: &NodeProcess) -> f64 {
    thread::sleep(SETTLE_SPAN);
    node.own_memory_bytes() as f64
}
