//! The interface for callers that play the nodes' users: named nodes with an event log, and single links to change.

use super::{SOON, mine};
use crate::engine::event::{Command, Notice, Write};
use crate::protocol::{Address, Millis, Network, Parameters};
use crate::sim::event_log::LogEntry;
use crate::sim::id::NodeId;
use crate::sim::link::Quality;
use crate::sim::world::World;

const WELL: Quality = Quality { latency_millis: 1, jitter_millis: 0, bytes_per_second: None };

fn world(nodes: u32) -> (World, Vec<NodeId>) {
    let mut world = World::new(Network::new(Parameters::dev()).expect("a preset is valid"), 7);
    let nodes: Vec<_> = (0..nodes).map(|number| world.add_named_node(&format!("n{number}"))).collect();
    nodes.iter().for_each(|node| world.start(*node));
    for (at, a) in nodes.iter().enumerate() {
        nodes[at + 1..].iter().for_each(|b| world.link_with(*a, *b, WELL));
    }
    world.run_for(Millis::from_secs(1));
    (world, nodes)
}

fn height(world: &mut World, node: NodeId) -> u64 {
    world.view(node).tip.height.0
}

#[test]
fn the_event_log_has_nothing_before_the_batch_it_needs() {
    let (mut world, nodes) = world(2);
    world.take_event_log(nodes[1]);
    mine(&mut world, nodes[0], 3);
    world.run_for(SOON);
    let (mut written, mut told, mut shown) = (0, 0, 0);
    for entry in world.take_event_log(nodes[1]) {
        match entry {
            LogEntry::Written(batch) => {
                let blocks = batch.writes.iter().filter(|write| matches!(write, Write::Connect { .. }));
                written += blocks.count() as u64;
            }
            LogEntry::Told(Notice::Tip { tip, .. }) => told = tip.height.0,
            LogEntry::Shown(view) => shown = view.tip.height.0,
            _ => {}
        }
        assert!(told <= written && shown <= written, "{told} and {shown} of {written}");
    }
    assert_eq!((written, told, shown), (3, 3, 3));
    assert!(world.take_event_log(nodes[1]).is_empty(), "it was taken");
}

#[test]
fn the_event_log_has_sessions_and_is_kept_on_request_only() {
    let (mut world, nodes) = world(2);
    let plain = world.add_node();
    world.connect(nodes[0], plain);
    world.run_for(Millis::from_secs(1));
    world.disconnect(nodes[0], plain);
    let peers = world.take_event_log(nodes[0]).into_iter().filter_map(|entry| match entry {
        LogEntry::Joined { session, peer } => Some((session, Some(peer))),
        LogEntry::Left { session } => Some((session, None)),
        _ => None,
    });
    let peers: Vec<_> = peers.collect();
    let [(_, first), (joined, second), (left, none)] = peers[..] else { panic!("{peers:?}") };
    assert_eq!((first, second, none), (Some(nodes[1]), Some(plain), None));
    assert_eq!(joined, left);
    assert!(world.take_event_log(plain).is_empty());
}

#[test]
fn a_named_node_is_paid_where_it_is_told_to_be() {
    let (mut world, nodes) = world(2);
    let other = Address([5; 20]);
    world.set_address(nodes[0], other);
    world.crash(nodes[0]);
    world.start(nodes[0]);
    mine(&mut world, nodes[0], 1);
    assert_eq!(world.disk(nodes[0]).chain().next().map(|block| block.reward().to), Some(other));
    world.run_for(SOON);
    let view = world.view(nodes[1]);
    let peers = &view.peers;
    assert!(peers.iter().any(|peer| peer.nickname == "n0"), "{peers:?}");
}

/// A crash loses writes on their way to the disk, a stop does not.
#[test]
fn a_stop_writes_the_queue_of_the_disk() {
    for (stops, wanted) in [(true, 1), (false, 0)] {
        let (mut world, nodes) = world(1);
        world.begin(nodes[0], Command::Mine { count: 1, to: None });
        // Found, and not yet written.
        world.run_until(SOON, |world| height(world, nodes[0]) == 1);
        assert_eq!(world.disk(nodes[0]).best().count(), 0, "the case tells nothing");
        world.take_event_log(nodes[0]);
        if stops {
            world.stop(nodes[0]);
        } else {
            world.crash(nodes[0]);
        }
        assert_eq!(world.disk(nodes[0]).best().count(), wanted);
        let written =
            world.take_event_log(nodes[0]).iter().filter(|entry| matches!(entry, LogEntry::Written(_))).count();
        assert_eq!(written, wanted);
    }
}

#[test]
fn one_cut_is_mended_and_another_stays() {
    let (mut world, nodes) = world(3);
    let [a, b, c] = nodes[..] else { panic!("three were made") };
    world.cut(&[a], &[b]);
    world.cut(&[a], &[c]);
    world.cut(&[b], &[c]);
    mine(&mut world, a, 1);
    world.run_for(Millis(500));
    assert_eq!((height(&mut world, b), height(&mut world, c)), (0, 0));
    world.mend(&[a], &[b]);
    world.run_for(Millis(500));
    assert_eq!((height(&mut world, b), height(&mut world, c)), (1, 0), "the held messages went on");
    world.mend(&[a], &[c]);
    world.run_for(Millis(500));
    assert_eq!(height(&mut world, c), 1);
    assert!(world.is_cut(b, c));
}

#[test]
fn a_link_is_slow_from_now_on_and_after_a_reset() {
    let (mut world, nodes) = world(2);
    let [a, b] = nodes[..] else { panic!("two were made") };
    world.set_quality(a, b, Quality { latency_millis: 3_000, ..WELL });
    for _ in 0..2 {
        let before = height(&mut world, b);
        mine(&mut world, a, 1);
        world.run_for(Millis(2_500));
        assert_eq!(height(&mut world, b), before);
        world.run_for(SOON);
        assert_eq!(height(&mut world, b), before + 1);
        world.disconnect(a, b);
        world.run_until(SOON, |world| world.are_linked(a, b));
    }
}
