//! Worlds made from a setup: their summaries, and that the number of threads changes nothing.

use crate::protocol::Millis;
use crate::sim::change::Change;
use crate::sim::id::NodeId;
use crate::sim::link::Quality;
use crate::sim::metrics::Summary;
use crate::sim::miner::HashRate;
use crate::sim::random::Spread;
use crate::sim::setup::{Links, Setup, SetupError, Topology};
use crate::sim::world::World;

fn nodes(numbers: std::ops::Range<u32>) -> Vec<NodeId> {
    numbers.map(NodeId).collect()
}

/// Twenty nodes that suffer every kind of fault within a minute.
fn troubled(seed: u64, threads: usize) -> World {
    let changes = [
        (5, Change::Partition(vec![nodes(0..8), nodes(8..20)])),
        (8, Change::Crash(NodeId(3))),
        (20, Change::Start(NodeId(3))),
        (25, Change::Heal),
        (28, Change::Cut { from: nodes(5..9), to: nodes(0..20) }),
        (30, Change::Heal),
        (32, Change::Reset(NodeId(0), NodeId(1))),
        (33, Change::Stall { from: NodeId(2), to: NodeId(4), span: Millis(6_000) }),
        (35, Change::Join { links: 4 }),
        (38, Change::Leave(NodeId(8))),
        (40, Change::HashRate(NodeId(0), HashRate::PerHour(0))),
    ];
    let changes = changes.map(|(at, change)| (Millis::from_secs(at), change)).to_vec();
    let links = Links { latency_millis: Spread::Uniform(2, 40), ..Links::default() };
    Setup { seed, threads, changes, links, ..Setup::lan(20) }.build().expect("a possible world")
}

fn run(mut world: World, seconds: u64) -> (World, Summary) {
    world.run(Millis::from_secs(seconds));
    let summary = world.summary();
    (world, summary)
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let summaries = [1, 2, 3].map(|threads| run(troubled(5, threads), 50).1);
    assert_eq!(summaries[0], summaries[1]);
    assert_eq!(summaries[0], summaries[2]);
}

#[test]
fn a_run_in_pieces_is_the_same_run() {
    let whole = run(troubled(6, 2), 45).1;
    let mut world = troubled(6, 1);
    for piece in [1, 999, 23_000, 7] {
        world.run(Millis(piece));
    }
    world.run_for(Millis(45_000).saturating_sub(world.now()));
    assert_eq!(world.summary(), whole);
}

#[test]
fn another_seed_is_another_story() {
    assert_ne!(run(troubled(1, 1), 30).1.trace_hash, run(troubled(2, 1), 30).1.trace_hash);
}

#[test]
fn after_trouble_all_agree() {
    let (mut world, _) = run(troubled(7, 1), 50);
    world.run_until(Millis::from_secs(60), |world| world.agree());
    assert!(world.closed().is_empty(), "nobody did wrong, but {:?}", world.closed());
}

/// Properties of every summary, and values close to the setup's.
#[test]
fn a_summary_tells_what_was_set_up() {
    let (mut world, summary) = run(Setup { seed: 3, ..Setup::lan(12) }.build().expect("possible"), 1_800);
    assert_eq!((summary.nodes, summary.virtual_seconds), (12, 1_800.0));
    // Poisson: three deviations of 180 blocks and of 3,600 transactions.
    assert!((140..=240).contains(&summary.blocks), "{}", summary.blocks);
    assert!((3_420..=3_780).contains(&summary.transactions_sent), "{}", summary.transactions_sent);
    assert!(summary.transactions_mined <= summary.transactions_sent);
    assert!(summary.transactions_mined + 200 > summary.transactions_sent, "{}", summary.transactions_mined);
    let stale = (summary.blocks as f64 * summary.stale_rate).round() as u64;
    assert_eq!(summary.height, summary.blocks - stale);
    let quantiles = summary.propagation_ms;
    assert!(0 < quantiles.p50 && quantiles.p50 <= quantiles.p95 && quantiles.p95 <= quantiles.p99);
    assert!(quantiles.p99 < 500, "{quantiles:?}");
    assert_eq!(summary.miners.len(), 12);
    assert!((summary.miners.iter().map(|miner| miner.chain).sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(summary.miners[0].blocks > summary.miners[11].blocks);
    let tree = world.blocks();
    assert_eq!(tree.iter().filter(|made| made.is_best).count() as u64, summary.height);
}

#[test]
fn slow_links_are_slow() {
    let delays = |bytes_per_second: Option<u64>| {
        let links = Links { bytes_per_second: bytes_per_second.map(Spread::Constant), ..Links::default() };
        let setup = Setup { links, hash_rates: vec![3_000_000], ..Setup::lan(12) };
        run(setup.build().expect("possible"), 200).1.propagation_ms.p50
    };
    assert!(delays(Some(20_000)) > delays(None) + 20, "{} {}", delays(Some(20_000)), delays(None));
}

#[test]
fn a_one_way_cut_ends_the_connection_and_it_comes_back() {
    let setup = Setup { hash_rates: Vec::new(), transactions_per_hour: 0, ..Setup::lan(2) };
    let mut world = setup.build().expect("possible");
    let peers = |world: &mut World| world.nodes().map(|node| world.view(node).peers.len()).collect::<Vec<_>>();
    world.run(Millis::from_secs(1));
    assert_eq!(peers(&mut world), [1, 1]);
    world.cut(&nodes(0..1), &nodes(1..2));
    world.run(Millis::from_secs(12));
    assert_eq!(peers(&mut world), [0, 0]);
    world.heal();
    world.run(Millis::from_secs(2));
    assert_eq!(peers(&mut world), [1, 1]);
}

#[test]
fn impossible_setups_are_refused() {
    let refuse = |change: fn(&mut Setup)| {
        let mut setup = Setup::lan(20);
        change(&mut setup);
        setup.check().expect_err("not a world")
    };
    assert_eq!(refuse(|setup| setup.nodes = 0), SetupError::Nodes { nodes: 0 });
    assert_eq!(refuse(|setup| setup.nodes = 4), SetupError::Miners { miners: 20, nodes: 4 });
    assert_eq!(refuse(|setup| setup.threads = 0), SetupError::Threads { threads: 0 });
    let degree = |setup: &mut Setup| setup.topology = Topology::Random { degree: 20 };
    assert_eq!(refuse(degree), SetupError::Degree { degree: 20, nodes: 20 });
    let link = |setup: &mut Setup| setup.topology = Topology::Given(vec![(0, 1), (3, 20)]);
    assert_eq!(refuse(link), SetupError::Link { a: 3, b: 20 });
    let spread = |setup: &mut Setup| setup.links.latency_millis = Spread::Table(Vec::new());
    assert_eq!(refuse(spread), SetupError::Spread { field: "latency" });
}

#[test]
fn a_link_keeps_its_own_quality() {
    let setup = Setup { hash_rates: Vec::new(), topology: Topology::Given(Vec::new()), ..Setup::lan(2) };
    let mut world = setup.build().expect("possible");
    let quality = Quality { latency_millis: 700, jitter_millis: 0, bytes_per_second: None };
    world.link_with(NodeId(0), NodeId(1), quality);
    // It hears of the other node with that one's first question.
    world.run(Millis(700));
    assert_eq!(world.view(NodeId(0)).peers[0].height, None);
    world.run(Millis(2));
    assert!(world.view(NodeId(0)).peers[0].height.is_some());
}
