//! The facts about a finished run that the summary and the report present.

use std::collections::BTreeMap;
use std::time::Duration;

use super::scenario::Scenario;
use super::selfish::{self, SelfishSpan};
use crate::protocol::{BlockId, Height, Millis};
use crate::sim::judge::Finding;
use crate::sim::metrics::{Made, Summary};
use crate::sim::world::World;

/// The facts about a run.
#[derive(Debug)]
pub(super) struct RunFacts {
    pub(super) summary: Summary,
    /// Real time, from the building of the world on.
    pub(super) wall: Duration,
    pub(super) interrupted: bool,
    /// All blocks that were found, in that order.
    pub(super) blocks: Vec<Made>,
    /// The best chain, without genesis.
    pub(super) chain: Vec<ChainBlock>,
    /// Delays from a block's discovery to its acceptance by another node, in milliseconds, ascending.
    pub(super) delays: Vec<u64>,
    /// Messages sent by each node.
    pub(super) messages: Vec<u64>,
    pub(super) selfish: Vec<SelfishSpan>,
    pub(super) checks: CheckResult,
}

/// The judge's result.
#[derive(Debug)]
pub(super) struct CheckResult {
    /// The number of different blocks of honest nodes' best chains that the reference model judged.
    pub(super) blocks: usize,
    /// The violated property.
    pub(super) broken: Option<Finding>,
}

/// A block of the best chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainBlock {
    pub(super) height: Height,
    /// The time of its discovery, since the world began.
    pub(super) at: Millis,
    /// The expected number of hashes for its target.
    pub(super) hashes: u128,
}

impl RunFacts {
    pub(super) fn of(
        scenario: &Scenario,
        world: &mut World,
        checks: CheckResult,
        wall: Duration,
        interrupted: bool,
    ) -> Self {
        let blocks = world.blocks();
        let found: BTreeMap<BlockId, Millis> = blocks.iter().map(|made| (made.id, made.at)).collect();
        let best = world.best_node();
        let chain = best.into_iter().flat_map(|node| world.disk(node).chain()).filter_map(|block| {
            let header = block.header();
            let at = *found.get(&block.id())?;
            Some(ChainBlock { height: header.height, at, hashes: header.target.work().0 })
        });
        let chain = chain.collect();
        let delays = world.propagation();
        let messages = world.messages();
        let selfish = selfish::phases(scenario, &blocks);
        Self { summary: world.summary(), wall, interrupted, blocks, chain, delays, messages, selfish, checks }
    }
}
