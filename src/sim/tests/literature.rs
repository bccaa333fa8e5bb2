//! The simulator against published results. Each test prints both numbers.

use super::seeds::from_environment;
use crate::protocol::{Address, Millis, Network, Parameters};
use crate::sim::adversary::Adversary;
use crate::sim::adversary::selfish::{Selfish, revenue};
use crate::sim::id::NodeId;
use crate::sim::random::Spread;
use crate::sim::setup::{Links, Setup, Topology};
use crate::sim::world::World;

/// Mean time between two blocks of all miners together, in seconds: 250 times the delay of a block between neighbours
/// where no delay is configured.
const INTERVAL_SECONDS: u64 = 5;
/// Runs of each case, with different seeds: their differences estimate the error of the mean.
const RUNS: u64 = 8;
/// Mean number of blocks in one run, unless `QUIPU_TEST_BLOCKS` is set.
const BLOCKS_DEFAULT: u64 = 500;
/// A mean fails if it is off by more standard errors than this. With 7 degrees of freedom, one in 200 fails by chance;
/// the seeds are fixed.
const ERRORS_MAX: f64 = 4.0;

fn blocks() -> u64 {
    from_environment("QUIPU_TEST_BLOCKS", BLOCKS_DEFAULT)
}

/// The mean of some numbers, and its standard error.
fn mean(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let variance = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// Fixed difficulty, so that a miner's yield follows from its hash rate alone; links with little delay.
fn setup(seed: u64, hash_shares: &[f64], pairs: &[(u32, u32)]) -> Setup {
    let network = Network::new(Parameters::dev()).expect("a preset is valid");
    let hashes_per_hour = 3_600.0 * network.parameters().easiest_target.work().0 as f64 / INTERVAL_SECONDS as f64;
    // Hash rates are whole numbers.
    let rate = |share: &f64| (share * hashes_per_hour).round() as u64;
    Setup {
        seed,
        network,
        topology: Topology::Given(pairs.to_vec()),
        links: Links {
            latency_millis: Spread::Constant(2),
            jitter_millis: Spread::Constant(0),
            bytes_per_second: None,
            regions: None,
        },
        hash_rates: hash_shares.iter().map(rate).collect(),
        transactions_per_hour: 0,
        clock_offset_millis_max: 0,
        clock_drift_ppm_max: 0,
        ..Setup::lan(hash_shares.len())
    }
}

/// The part of a node's chain that pays this address.
fn share_of(world: &World, at: NodeId, address: Address) -> f64 {
    let (mut all, mut own) = (0_u32, 0_u32);
    for block in world.disk(at).chain() {
        all += 1;
        own += u32::from(block.reward().to == address);
    }
    f64::from(own) / f64::from(all)
}

/// With a gamma of 0, the honest miners are one node, which never works on another block of the same height than its
/// own. With a gamma of 1/2, they are two nodes that hear of each other through the selfish miner alone: it shows its
/// block before it forwards theirs, so the one that did not find theirs works on its block.
fn selfish_run(seed: u64, alpha: f64, gamma: f64) -> f64 {
    let honest = 1.0 - alpha;
    let setup = match gamma {
        0.0 => setup(seed, &[alpha, honest], &[(0, 1)]),
        _ => setup(seed, &[alpha, honest / 2.0, honest / 2.0], &[(0, 1), (0, 2)]),
    };
    let mut world = setup.build().expect("a possible world");
    world.corrupt(NodeId(0), Adversary::Selfish(Selfish::default()));
    world.run(Millis::from_secs(blocks() * INTERVAL_SECONDS));
    share_of(&world, NodeId(1), world.address(NodeId(0)))
}

#[test]
fn selfish_mining_earns_what_eyal_and_sirer_say() {
    for (alpha, gamma) in [(0.25, 0.0), (1.0 / 3.0, 0.0), (0.4, 0.0), (0.25, 0.5), (1.0 / 3.0, 0.5), (0.4, 0.5)] {
        let shares: Vec<f64> = (1..=RUNS).map(|seed| selfish_run(seed, alpha, gamma)).collect();
        let (found, error) = mean(&shares);
        let said = revenue(alpha, gamma);
        eprintln!(
            "selfish mining, alpha {alpha:.3}, gamma {gamma}: revenue {found:.4} +- {error:.4}, by the formula {said:.4}"
        );
        assert!(error < 0.03, "too few blocks to tell: {error}");
        assert!((found - said).abs() < ERRORS_MAX * error, "alpha {alpha}, gamma {gamma}: {found} is not {said}");
    }
}

/// Miners in a full mesh, with a delay that is a part of the interval.
fn stale_run(seed: u64, delay: Millis) -> (f64, f64) {
    const MINERS: usize = 6;
    let pairs: Vec<(u32, u32)> = (0..MINERS as u32).flat_map(|a| (a + 1..MINERS as u32).map(move |b| (a, b))).collect();
    let mut setup = setup(seed, &[1.0 / MINERS as f64; MINERS], &pairs);
    setup.links.latency_millis = Spread::Constant(delay.0);
    let mut world = setup.build().expect("a possible world");
    world.run(Millis::from_secs(blocks() * INTERVAL_SECONDS));
    let summary = world.summary();
    // While a block is under way, the others search for one that will be stale: the sum of 1 - f(t), where all have the
    // same hash rate.
    let unaware_seconds = summary.propagation_ms.p50 as f64 / 1_000.0 * (MINERS as f64 - 1.0) / MINERS as f64;
    let blocks_per_second = 1.0 / INTERVAL_SECONDS as f64;
    // Their (1 - P)^n in steps of a second, taken to the limit of short steps.
    let forks = 1.0 - (-blocks_per_second * unaware_seconds).exp();
    // Per block of the best chain, converted to a part of all blocks.
    (summary.stale_rate, forks / (1.0 + forks))
}

/// Decker and Wattenhofer 2013, "Information propagation in the Bitcoin network", equation 4: the chance of a fork
/// while a block spreads. Each fork makes a block stale; forks of forks, which the equation leaves out, are within the
/// error.
#[test]
fn stale_blocks_are_as_many_as_decker_and_wattenhofer_say() {
    for delay in [Millis(50), Millis(200), Millis(400)] {
        let runs: Vec<(f64, f64)> = (1..=RUNS).map(|seed| stale_run(seed, delay)).collect();
        let (found, error) = mean(&runs.iter().map(|(found, _)| *found).collect::<Vec<_>>());
        let (said, _) = mean(&runs.iter().map(|(_, said)| *said).collect::<Vec<_>>());
        eprintln!(
            "a delay of {delay} in {INTERVAL_SECONDS} s: {found:.4} +- {error:.4} stale, by the formula {said:.4}"
        );
        assert!(error < 0.015, "too few blocks to tell: {error}");
        // A few stale blocks in a few runs may be alike by chance, and then understate the error.
        let error = error.max((said * (1.0 - said) / (RUNS * blocks()) as f64).sqrt());
        assert!((found - said).abs() < ERRORS_MAX * error, "{delay}: {found} is not {said}");
    }
}
