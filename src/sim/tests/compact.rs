//! Compact blocks crossing a network.

use super::{SOON, agree_at, mine, send, world};
use crate::engine::event::{Command, Notice};
use crate::protocol::Height;
use crate::sim::id::NodeId;
use crate::sim::world::World;

/// The transactions in the pool of every node when a block includes them.
const TRANSACTIONS: u64 = 400;

/// Eight nodes with four links each, all of which know the same transactions.
fn busy_world() -> (World, Vec<NodeId>) {
    let (mut world, nodes) = world(8);
    for at in 0..8 {
        for step in [1, 3] {
            world.connect(nodes[at], nodes[(at + step) % 8]);
        }
    }
    mine(&mut world, nodes[0], 1);
    agree_at(&mut world, &nodes, 1);
    for _ in 0..TRANSACTIONS {
        send(&mut world, nodes[0], nodes[1], 1);
    }
    world.run_until(SOON, |world| nodes.iter().all(|node| world.view(*node).pending as u64 == TRANSACTIONS));
    (world, nodes)
}

fn bytes_sent(world: &World, nodes: &[NodeId]) -> u64 {
    nodes.iter().map(|node| world.node(*node).counters.bytes).sum()
}

#[test]
fn a_block_of_known_transactions_crosses_a_link_in_a_fiftieth_of_its_bytes() {
    let (mut world, nodes) = busy_world();
    let before = bytes_sent(&world, &nodes);
    mine(&mut world, nodes[5], 1);
    agree_at(&mut world, &nodes, 2);
    let sent = bytes_sent(&world, &nodes) - before;
    let block = world.disk(nodes[5]).chain().last().expect("it is there").clone();
    assert_eq!((block.header().height, block.transactions().len() as u64), (Height(2), TRANSACTIONS));
    // Once or twice over each of sixteen links: the model has no IDONTWANT.
    let most = 2 * 16 * block.length() as u64 / 50;
    assert!(sent <= most, "{sent} bytes for a block of {}, {most} are allowed", block.length());
    assert!(world.closed().is_empty());
}

/// A node pulls missing transactions from the announcer of the block, or else fetches the block from another peer.
#[test]
fn a_node_that_lacks_most_of_a_block_gets_it_too() {
    let (mut world, mut nodes) = busy_world();
    let late = world.add_node();
    world.connect(nodes[2], late);
    // It has the chain, and is about to ask for pending transactions.
    world.run_until(SOON, |world| world.view(late).tip.height == Height(1));
    let ticket = world.begin(nodes[5], Command::Mine { count: 1, to: None });
    nodes.push(late);
    agree_at(&mut world, &nodes, 2);
    assert!(world.take_answer(nodes[5], ticket).is_some_and(|answer| answer.is_ok()));
    let tips = world.notices(late).iter().filter(|notice| matches!(notice, Notice::Tip { .. })).count();
    assert!(tips >= 1 && world.closed().is_empty());
}
