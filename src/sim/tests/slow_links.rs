//! Links so slow that every answer exceeds the usual timeout, and peers that never answer beside them.
//!
//! | two nodes with forks of 200 and 201 blocks | they agree within |
//! | --- | --- |
//! | five seconds one way | 60 s |
//! | two kilobytes a second | 120 s |
//! | both | 180 s |
//!
//! The same with a third node, on a fast link, that reports the better chain and then falls silent.

use super::{NodeId, World, connect_all, heights, mine, world};
use crate::engine::event::Fault;
use crate::protocol::Millis;
use crate::sim::judge::Judge;
use crate::sim::link::Quality;

/// The longer fork, in blocks; the other one is one shorter.
const FORK_BLOCKS: u64 = 201;
/// Long enough for a session to begin on a fast link, and too short for any long answer.
const GREETING_SPAN: Millis = Millis(30);

const LINKS: [(&str, Quality, Millis); 3] = [
    ("5 s one way", quality(5_000, None), Millis::from_secs(60)),
    ("2 kB/s", quality(50, Some(2_000)), Millis::from_secs(120)),
    ("both", quality(5_000, Some(2_000)), Millis::from_secs(180)),
];

const fn quality(latency_millis: u64, bytes_per_second: Option<u64>) -> Quality {
    Quality { latency_millis, jitter_millis: 20, bytes_per_second }
}

/// Two nodes with forks that have never met.
fn forked() -> (World, Vec<NodeId>) {
    let (mut world, nodes) = world(2);
    mine(&mut world, nodes[0], FORK_BLOCKS - 1);
    mine(&mut world, nodes[1], FORK_BLOCKS);
    (world, nodes)
}

#[test]
fn forks_meet_over_very_slow_links() {
    for (what, quality, limit) in LINKS {
        let (mut world, nodes) = forked();
        let mut judge = Judge::new(&world, Millis::from_secs(1));
        world.connect_with(nodes[0], nodes[1], quality);
        judge.await_agreement(&mut world, limit).unwrap_or_else(|finding| panic!("{what}: {finding}"));
        assert_eq!(heights(&mut world, &nodes), [FORK_BLOCKS; 2], "{what}");
        assert!(world.closed().is_empty(), "{what}: {:?}", world.closed());
        eprintln!("{what}: agreed after {}", world.now());
    }
}

#[test]
fn forks_meet_over_very_slow_links_beside_one_that_never_answers() {
    for (what, quality, limit) in LINKS {
        let (mut world, nodes) = forked();
        let staller = world.add_node();
        world.connect(nodes[1], staller);
        world.run_until(Millis::from_secs(30), |world| world.view(staller).tip.height.0 == FORK_BLOCKS);
        world.disconnect(nodes[1], staller);
        world.connect_with(nodes[0], staller, self::quality(10, None));
        world.run_for(GREETING_SPAN);
        world.stall(staller, nodes[0], Millis::from_secs(3_600));
        world.connect_with(nodes[0], nodes[1], quality);
        let agreed = |world: &mut World| world.tip(nodes[0]) == world.tip(nodes[1]);
        world.run_until(limit, agreed);
        assert_eq!(heights(&mut world, &nodes), [FORK_BLOCKS; 2], "{what}");
        // The silent peer is not kept for ever, either.
        world.run_until(Millis::from_secs(180), |world| world.closed().iter().any(|(by, ..)| *by == nodes[0]));
        // No fault of either node concerns the other's answers.
        let is_about_staller =
            |(by, who, fault): &(NodeId, NodeId, Fault)| (*by == staller || *who == staller) && *fault == Fault::Silent;
        assert!(world.closed().iter().all(is_about_staller), "{what}: {:?}", world.closed());
    }
}

/// The staller is asked for everything first; a node that joins later is asked when that is overdue.
#[test]
fn one_that_never_answers_costs_seconds_when_there_is_a_fast_one() {
    let (mut world, nodes) = world(3);
    mine(&mut world, nodes[1], FORK_BLOCKS);
    connect_all(&mut world, &nodes[1..]);
    world.run_until(Millis::from_secs(30), |world| world.view(nodes[2]).tip.height.0 == FORK_BLOCKS);
    world.connect_with(nodes[0], nodes[1], quality(10, None));
    world.run_for(GREETING_SPAN);
    world.stall(nodes[1], nodes[0], Millis::from_secs(3_600));
    world.connect_with(nodes[0], nodes[2], quality(10, None));
    world.run_until(Millis::from_secs(10), |world| world.view(nodes[0]).tip.height.0 == FORK_BLOCKS);
}
