//! What is known of a run when it is over: all that the summary and the report tell.

use std::collections::BTreeMap;
use std::time::Duration;

use super::scenario::Scenario;
use super::selfish::{self, Phase};
use crate::protocol::{BlockId, Height, Millis};
use crate::sim::judge::Finding;
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
    /// What selfish miners got.
    pub(super) selfish: Vec<Phase>,
    /// What the judge says.
    pub(super) checks: Checks,
}

/// What the judge of a run has found.
#[derive(Debug)]
pub(super) struct Checks {
    /// Different blocks of honest nodes' best chains that the reference model has judged.
    pub(super) blocks: usize,
    /// What does not hold.
    pub(super) broken: Option<Finding>,
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
    pub(super) fn of(
        scenario: &Scenario,
        world: &mut World,
        checks: Checks,
        wall: Duration,
        interrupted: bool,
    ) -> Self {
        let blocks = world.blocks();
        let found: BTreeMap<BlockId, Millis> = blocks.iter().map(|made| (made.id, made.at)).collect();
        let best = world.best_node();
        let chain = best.into_iter().flat_map(|node| world.disk(node).chain()).filter_map(|block| {
            let (header, at) = (block.header(), *found.get(&block.id())?);
            Some(ChainBlock { height: header.height, at, hashes: header.target.work().0 })
        });
        let chain = chain.collect();
        let (delays, messages) = (world.propagation(), world.messages());
        let selfish = selfish::phases(scenario, &blocks);
        Self { summary: world.summary(), wall, interrupted, blocks, chain, delays, messages, selfish, checks }
    }
}
