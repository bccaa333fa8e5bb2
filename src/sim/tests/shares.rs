//! The share of the chain that a share of the hash rate gets on the rules of `lan`, by what its miner does.

use super::adversaries::world;
use super::seeds::from_environment;
use crate::protocol::Millis;
use crate::sim::adversary::Adversary;
use crate::sim::adversary::selfish::{Selfish, revenue};
use crate::sim::adversary::uncle::Uncle;
use crate::sim::id::NodeId;
use crate::sim::setup::Topology;

/// Mean number of blocks in a run, unless `QUIPU_TEST_BLOCKS` is set.
const BLOCKS_DEFAULT: u64 = 600;
/// Runs of each case, with different seeds: their differences estimate the error of the mean.
const RUNS: u64 = 4;
/// Blocks at the beginning, while the target finds its place, that do not count.
const SETTLING_BLOCKS: usize = 60;
/// Standard errors by which a mean may be off.
const ERRORS_MAX: f64 = 4.0;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Miner {
    Honest,
    UncleMaker,
    Selfish,
    Stubborn,
}

/// The share of a miner with so many percent of the hash rate against one honest node with the rest. With one, the
/// honest hash rate never works on a block of the miner's own that came second: a gamma of 0.
fn share(miner: Miner, percent: u64, seed: u64) -> f64 {
    let mut world = world(seed, &[percent, 100 - percent], Topology::Full);
    match miner {
        Miner::Honest => {}
        Miner::UncleMaker => world.corrupt(NodeId(0), Adversary::Uncle(Uncle::default())),
        Miner::Selfish => world.corrupt(NodeId(0), Adversary::Selfish(Selfish::default())),
        // One second less than what blocks may be ahead of a clock: it still takes those of the others.
        Miner::Stubborn => world.corrupt(NodeId(0), Adversary::Selfish(Selfish::stubborn(Millis::from_secs(59)))),
    }
    world.run(Millis::from_secs(10 * from_environment("QUIPU_TEST_BLOCKS", BLOCKS_DEFAULT)));
    let own = world.address(NodeId(0));
    let paid: Vec<bool> = world.disk(NodeId(1)).chain().map(|block| block.reward().to == own).collect();
    let counted = &paid[SETTLING_BLOCKS.min(paid.len())..];
    assert!(counted.len() > 100, "{} blocks", paid.len());
    counted.iter().filter(|own| **own).count() as f64 / counted.len() as f64
}

/// Uncle makers (Yaish, Stern and Zohar 2023) get at most their honest share, selfish miners what Eyal and Sirer say for a
/// gamma of 0: the retargeting gives neither more, and no branch wins by being dated back.
#[test]
fn no_miner_gets_more_than_the_literature_says() {
    for percent in [10, 20, 30, 38, 45] {
        for miner in [Miner::Honest, Miner::UncleMaker, Miner::Selfish, Miner::Stubborn] {
            let shares: Vec<f64> = (1..=RUNS).map(|seed| share(miner, percent, seed)).collect();
            let mean = shares.iter().sum::<f64>() / RUNS as f64;
            let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (RUNS - 1) as f64;
            let alpha = percent as f64 / 100.0;
            let said = match miner {
                Miner::Honest | Miner::UncleMaker => alpha,
                Miner::Selfish => revenue(alpha, 0.0),
                Miner::Stubborn => revenue(alpha, 0.0).max(alpha),
            };
            // Few runs may be alike by chance, and then understate the error.
            let blocks = (RUNS * from_environment("QUIPU_TEST_BLOCKS", BLOCKS_DEFAULT)) as f64;
            let error = (variance / RUNS as f64).sqrt().max((alpha * (1.0 - alpha) / blocks).sqrt());
            eprintln!("{percent} % of the hash rate, {miner:?}: {mean:.4} +- {error:.4} of the blocks, {said:.4} said");
            assert!(error < 0.08, "too few blocks to tell: {error}");
            assert!(mean < said + ERRORS_MAX * error, "{percent} %, {miner:?}: {mean} is more than {said}");
            // Long secret branches follow their own, smaller hash rate, and get less work than as many blocks of the others.
            let is_exact = miner == Miner::Honest || miner == Miner::Selfish && percent < 40;
            assert!(
                !is_exact || mean > said - ERRORS_MAX * error,
                "{percent} %, {miner:?}: {mean} is less than {said}"
            );
        }
    }
}
