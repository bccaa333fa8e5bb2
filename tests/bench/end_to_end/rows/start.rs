//! How long a node with a long chain takes from the start of its process until it is ready, and how much memory a block of
//! that chain takes.
//!
//! The memory of a block is the slope between a chain and one of half its length: what both take, such as the program
//! itself and the database's cache, which both have filled, stands in neither. Files that are mapped do not count.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::Context;
use crate::figure::{Line, Row, spread};
use crate::fixture::Fixture;
use crate::plot::Frame;
use crate::process::{Node, Options};

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
/// After the start, what was needed for it only is given back.
const SETTLE_TIME: Duration = Duration::from_secs(3);

pub(super) fn run(context: &mut Context) -> Result<Vec<Row>> {
    let blocks = context.size(1_000_000, 10_000);
    let (long, half) = (Fixture::empty(blocks)?.copy()?, Fixture::empty(blocks / 2)?.copy()?);
    let (mut times, mut empty, mut memory, mut half_memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..context.size(5, 1) {
        let node = Node::start(&Options::default());
        empty.push(node.start_time().as_secs_f64());
        node.stop();
        let node = Node::start_in(long.path(), &Options::default());
        times.push(node.start_time().as_secs_f64());
        memory.push(settled(&node));
        node.stop();
        let node = Node::start_in(half.path(), &Options::default());
        half_memory.push(settled(&node));
        node.stop();
    }
    let [time, empty, memory, half_memory] = [times, empty, memory, half_memory].map(|values| spread(&values).0);
    context.point(PLOTS[0].file, Line::Ours, 0.0, empty);
    context.point(PLOTS[0].file, Line::Ours, blocks as f64, time);
    for blocks in if context.quick { vec![1_000] } else { vec![10_000, 30_000, 100_000, 300_000] } {
        let node = Node::start_owning(Fixture::empty(blocks)?.copy()?, &Options::default());
        context.point(PLOTS[0].file, Line::Ours, blocks as f64, node.start_time().as_secs_f64());
    }
    let slope = (memory - half_memory) / (blocks - blocks / 2) as f64;
    Ok(vec![
        Row::new(NAME, &format!("ready with {blocks} blocks"), time, "s").at_most(SECONDS_MAX),
        Row::new(NAME, "ready with none", empty, "s"),
        Row::new(NAME, "memory a block, from the second half of them", slope, "B").at_most(BLOCK_BYTES_MAX),
        Row::new(NAME, &format!("memory with {blocks} blocks"), memory / f64::from(1 << 20), "MiB"),
    ])
}

fn settled(node: &Node) -> f64 {
    thread::sleep(SETTLE_TIME);
    node.own_memory_bytes() as f64
}
