//! The rules one by one, in a network: a node that breaks one is cut off for it, stays away, and is on nobody's chain.

use super::adversaries::world;
use super::{NodeId, agree_at, heights, mine, send};
use crate::engine::event::{Command, Fault};
use crate::engine::peers::BAN;
use crate::protocol::Millis;
use crate::sim::adversary::Adversary;
use crate::sim::adversary::forger::{Breaks, Forger};
use crate::sim::adversary::spam::Spam;
use crate::sim::judge::Judge;
use crate::sim::link::Quality;
use crate::sim::miner::HashRate;
use crate::sim::setup::Topology;

/// The time in which a block every ten seconds makes the target harder than the easiest.
const SETTLING_SPAN: Millis = Millis::from_secs(300);
/// The time in which a miner with a third of the hash rate finds a block.
const FINDING_SPAN: Millis = Millis::from_secs(300);

#[test]
fn a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain() {
    for breaks in Breaks::ALL {
        let mut world = world(5, &[40, 30, 30], Topology::Full);
        let mut judge = Judge::new(&world, Millis::from_secs(1));
        world.run(SETTLING_SPAN);
        let forger = NodeId(0);
        world.corrupt(forger, Adversary::Forger(Forger { breaks }));
        let for_it = |fault: &Fault| matches!(fault, Fault::Invalid(violation) if violation.rule() == breaks.rule());
        let end = world.now() + FINDING_SPAN;
        while !world.closed().iter().any(|(_, who, fault)| *who == forger && for_it(fault)) {
            assert!(world.now() < end, "{breaks:?}: nobody was cut off for it, but {:?}", world.closed());
            world.run_for(Millis(100));
            judge.check(&mut world).unwrap_or_else(|finding| panic!("{breaks:?}: {finding}"));
        }
        world.run(Millis(BAN.0 / 2));
        judge.check(&mut world).unwrap_or_else(|finding| panic!("{breaks:?}: {finding}"));
        let by = |node: u32| world.closed().iter().filter(|(by, who, _)| (*by, *who) == (NodeId(node), forger)).count();
        assert!(by(1) <= 1 && by(2) <= 1, "{breaks:?}: it comes back: {:?}", world.closed());
    }
}

/// A liar's change to a body says nothing about the block: peers with the true one are believed.
#[test]
fn a_block_whose_body_was_changed_on_the_way_is_taken_from_others() {
    let mut world = world(3, &[100, 0, 0], Topology::Given(vec![(0, 1)]));
    let mut judge = Judge::new(&world, Millis::from_secs(1));
    let [forger, first, second] = [0, 1, 2].map(NodeId);
    world.corrupt(forger, Adversary::Forger(Forger { breaks: Breaks::BodyRoot }));
    world.run_until(FINDING_SPAN, |world| world.closed().iter().any(|(by, ..)| *by == first));
    world.set_hash_rate(forger, HashRate::PerHour(0));
    let found = world.view(forger).tip;
    world.link(forger, second);
    world.run_until(Millis::from_secs(30), |world| world.tip(second) == found);
    world.link(first, second);
    judge.await_agreement(&mut world, Millis::from_secs(30)).unwrap_or_else(|finding| panic!("{finding}"));
}

#[test]
fn a_flood_fills_no_container() {
    let mut world = world(2, &[50, 50], Topology::Full);
    let mut judge = Judge::new(&world, Millis::from_secs(1));
    world.corrupt(NodeId(0), Adversary::Spam(Spam::modest()));
    let mut orphans = 0;
    for _ in 0..100 {
        world.run_for(Millis(200));
        judge.check(&mut world).unwrap_or_else(|finding| panic!("{finding}"));
        let occupancy = world.engine(NodeId(1)).occupancy();
        orphans = orphans.max(occupancy.iter().find(|(name, _)| *name == "orphans").expect("it is there").1);
    }
    assert!(orphans > 20, "else it was no flood: {orphans}");
}

#[test]
fn coins_that_a_reorganisation_takes_away_are_not_spent_any_more() {
    let (mut world, nodes) = super::world(2);
    mine(&mut world, nodes[0], 1);
    send(&mut world, nodes[0], nodes[1], 90_000_000);
    mine(&mut world, nodes[1], 2);
    world.connect(nodes[0], nodes[1]);
    agree_at(&mut world, &nodes, 2);
    assert_eq!(world.view(nodes[0]).pending, 0, "nobody could ever mine it");
}

/// Ties go to the block seen first, or two halves of a network would change places for nothing.
#[test]
fn each_miner_keeps_its_own_of_two_simultaneous_blocks() {
    let (mut world, nodes) = super::world(2);
    world.connect_with(nodes[0], nodes[1], Quality { latency_millis: 200, jitter_millis: 0, bytes_per_second: None });
    mine(&mut world, nodes[0], 1);
    agree_at(&mut world, &nodes, 1);
    for node in &nodes {
        world.begin(*node, Command::Mine { count: 1, to: None });
    }
    world.run_for(Millis(150));
    let tips = [world.tip(nodes[0]), world.tip(nodes[1])];
    assert_eq!(heights(&mut world, &nodes), [2, 2]);
    assert_ne!(tips[0], tips[1]);
    world.run_for(Millis::from_secs(30));
    assert_eq!([world.tip(nodes[0]), world.tip(nodes[1])], tips);
}
