//! What is known of a run when it is over: all that the summary and the report tell.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::{BlockId, Height, Millis};
use crate::sim::metrics::{Made, Summary};
use crate::sim::world::World;

/// What happened in a run.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) summary: Summary,
    /// Real time, from making the world on.
    pub(super) wall: Duration,
    pub(super) interrupted: bool,
    /// All blocks that were found, in the order in which they were.
    pub(super) blocks: Vec<Made>,
    /// The best chain, without genesis.
    pub(super) chain: Vec<ChainBlock>,
    /// From a block's being found to its being accepted by another node, in milliseconds, in ascending order.
    pub(super) delays: Vec<u64>,
    /// Sent by each node.
    pub(super) messages: Vec<u64>,
}

/// A block of the best chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainBlock {
    pub(super) height: Height,
    /// When it was found, since the world began.
    pub(super) at: Millis,
    /// How many hashes its target asks for.
    pub(super) hashes: u128,
}

impl Facts {
    pub(super) fn of(world: &mut World, wall: Duration, interrupted: bool) -> Self {
        let blocks = world.blocks();
        let found: BTreeMap<BlockId, Millis> = blocks.iter().map(|made| (made.id, made.at)).collect();
        let best = world.best_node();
        let chain = best.into_iter().flat_map(|node| world.disk(node).chain()).filter_map(|block| {
            let (header, at) = (block.header(), *found.get(&block.id())?);
            Some(ChainBlock { height: header.height, at, hashes: header.target.work().0 })
        });
        let chain = chain.collect();
        let (delays, messages) = (world.propagation(), world.messages());
        Self { summary: world.summary(), wall, interrupted, blocks, chain, delays, messages }
    }
}
