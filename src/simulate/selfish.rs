//! Selfish miners' yields against Eyal and Sirer's formula: one line for each of them and each span between two changes
//! of hash rates.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::scenario::Scenario;
use crate::protocol::{BlockId, Height, Millis};
use crate::sim::adversary::{Role, selfish};
use crate::sim::change::Change;
use crate::sim::id::NodeId;
use crate::sim::metrics::Made;
use crate::sim::miner::HashRate;

/// Parts of a span that are compared with each other, to estimate the influence of chance on the whole.
const BATCHES: usize = 10;
/// The least blocks in each part; with fewer, chance is not estimated.
const BATCH_BLOCKS_MIN: usize = 10;

/// A selfish miner during a span of constant hash rates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SelfishSpan {
    pub(super) node: NodeId,
    pub(super) from_seconds: f64,
    pub(super) to_seconds: f64,
    /// Its part of the whole hash rate, from 0 to 1.
    pub(super) hash_rate: f64,
    /// Its part of the best chain's blocks of that span, from 0 to 1.
    pub(super) chain: f64,
    /// The standard error of that. `None`: too few blocks to tell.
    pub(super) chain_error: Option<f64>,
    /// In races, the part of the honest blocks found next that were on top of its own block.
    pub(super) gamma: f64,
    /// The part of the chain by the formula, for this hash rate and gamma. `None` with several selfish miners: the
    /// formula is for one.
    pub(super) formula: Option<f64>,
}

/// All spans of all selfish miners, in the order of time.
pub(super) fn phases(scenario: &Scenario, blocks: &[Made]) -> Vec<SelfishSpan> {
    let changes = &scenario.setup.changes;
    let selfish: BTreeMap<NodeId, Millis> = changes
        .iter()
        .filter_map(|(at, change)| match change {
            Change::Corrupt(node, Role::Selfish) => Some((*node, *at)),
            _ => None,
        })
        .collect();
    let is_border = |change: &Change| matches!(change, Change::HashRate(..) | Change::Corrupt(_, Role::Selfish));
    let mut borders: BTreeSet<Millis> =
        changes.iter().filter(|(_, change)| is_border(change)).map(|(at, _)| *at).collect();
    borders.extend([Millis(0), scenario.span]);
    let borders: Vec<Millis> = borders.into_iter().collect();
    let mut phases = Vec::new();
    for span in borders.windows(2).map(|pair| (pair[0], pair[1])) {
        for (node, _) in selfish.iter().filter(|(_, since)| **since <= span.0) {
            phases.extend(phase(scenario, blocks, *node, span, selfish.len() == 1));
        }
    }
    phases
}

fn phase(
    scenario: &Scenario,
    blocks: &[Made],
    node: NodeId,
    span: (Millis, Millis),
    alone: bool,
) -> Option<SelfishSpan> {
    let hash_rate = share_of_hash_rate(scenario, node, span.0);
    let found: Vec<&Made> = blocks.iter().filter(|made| (span.0..span.1).contains(&made.at)).collect();
    let best: Vec<bool> = found.iter().filter(|made| made.is_best).map(|made| made.miner == node).collect();
    if best.is_empty() || hash_rate == 0.0 {
        return None;
    }
    let gamma = gamma(blocks, &found, node);
    Some(SelfishSpan {
        node,
        from_seconds: span.0.0 as f64 / 1000.0,
        to_seconds: span.1.0 as f64 / 1000.0,
        hash_rate,
        chain: share(&best),
        chain_error: error(&best),
        gamma,
        formula: (alone && hash_rate < 0.5).then(|| selfish::revenue(hash_rate, gamma)),
    })
}

fn share_of_hash_rate(scenario: &Scenario, node: NodeId, at: Millis) -> f64 {
    let setup = &scenario.setup;
    let mut rates: BTreeMap<NodeId, u64> = (0..).map(NodeId).zip(setup.hash_rates.iter().copied()).collect();
    for (_, change) in setup.changes.iter().filter(|(when, _)| *when <= at) {
        if let Change::HashRate(node, HashRate::PerHour(rate)) = change {
            rates.insert(*node, *rate);
        }
    }
    let all: u64 = rates.values().sum();
    rates.get(&node).map_or(0.0, |rate| *rate as f64 / all.max(1) as f64)
}

fn share(of: &[bool]) -> f64 {
    of.iter().filter(|own| **own).count() as f64 / of.len() as f64
}

/// Blocks in a row are not independent of each other; parts of many blocks nearly are.
fn error(own: &[bool]) -> Option<f64> {
    let size = own.len() / BATCHES;
    if size < BATCH_BLOCKS_MIN {
        return None;
    }
    let shares: Vec<f64> = own.chunks_exact(size).take(BATCHES).map(share).collect();
    let mean = shares.iter().sum::<f64>() / BATCHES as f64;
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (BATCHES - 1) as f64;
    Some((variance / BATCHES as f64).sqrt())
}

fn gamma(blocks: &[Made], found: &[&Made], node: NodeId) -> f64 {
    let heights = |own: bool| -> BTreeSet<Height> {
        blocks.iter().filter(|made| (made.miner == node) == own).map(|made| made.height).collect()
    };
    let (own, others) = (heights(true), heights(false));
    let miners: BTreeMap<BlockId, NodeId> = blocks.iter().map(|made| (made.id, made.miner)).collect();
    let (mut on_own, mut all) = (0_u32, 0_u32);
    for made in found.iter().filter(|made| made.miner != node) {
        let below = Height(made.height.0.saturating_sub(1));
        if own.contains(&below) && others.contains(&below) {
            all += 1;
            on_own += u32::from(miners.get(&made.parent) == Some(&node));
        }
    }
    f64::from(on_own) / f64::from(all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(number: u8, parent: u8, height: u64, miner: u32, is_best: bool) -> Made {
        let id = |number| BlockId([number; 32]);
        let (id, parent, height) = (id(number), id(parent), Height(height));
        Made { id, parent, height, miner: NodeId(miner), at: Millis(u64::from(number) * 1_000), is_best }
    }

    /// Two races at heights 1 and 3: one honest miner builds on the selfish block, one on the other.
    #[test]
    fn gamma_is_the_part_of_the_honest_that_build_on_the_selfish_block() {
        let blocks = [
            made(1, 0, 1, 0, true),
            made(2, 0, 1, 1, false),
            made(3, 1, 2, 1, true),
            made(4, 3, 3, 0, false),
            made(5, 3, 3, 2, true),
            made(6, 5, 4, 1, true),
        ];
        let found: Vec<&Made> = blocks.iter().collect();
        assert_eq!(gamma(&blocks, &found, NodeId(0)), 0.5);
        assert_eq!(gamma(&blocks, &found[..3], NodeId(0)), 1.0);
        assert_eq!(gamma(&blocks[..1], &found[..1], NodeId(0)), 0.0);
    }

    #[test]
    fn chance_is_estimated_from_the_differences_of_parts() {
        let alike: Vec<bool> = (0..1_000).map(|number| number % 4 == 0).collect();
        assert_eq!((share(&alike), error(&alike)), (0.25, Some(0.0)));
        let apart: Vec<bool> = (0..1_000).map(|number| number < 500).collect();
        // Five parts of 1 and five of 0: sqrt(10 * 0.25 / 9 / 10).
        assert!(error(&apart).is_some_and(|error| (error - 0.1667).abs() < 0.001), "{:?}", error(&apart));
        assert_eq!(error(&alike[..99]), None);
    }
}
