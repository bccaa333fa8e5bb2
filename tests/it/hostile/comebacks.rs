//! Attackers that were cut off and come back: as themselves, and under new names.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use libp2p::identity::Keypair;

use super::attacker::{Attacker, ByteDelays};
use super::honest_answers;
use super::siege::Siege;
use crate::harness::{Node, NodeOptions, agree};

/// The number of attempts to come back.
const COMEBACKS: usize = 30;
/// The wait of strangers after the first fault of their address.
const WAIT_MIN: Duration = Duration::from_secs(10);

/// Connects to the node, and commits a fault if it is let in. Returns whether it was.
fn attack(node: &Node, from: Ipv4Addr, keypair: &Keypair) -> bool {
    let attacker = Attacker::connect_from(node, from.into(), keypair, ByteDelays::default(), honest_answers());
    attacker.is_some_and(|attacker| {
        // The node ignores messages that it has seen before, so each is different.
        attacker.publish("blocks", keypair.public().to_peer_id().to_bytes());
        attacker.wait_closed(node);
        true
    })
}

/// An identity that was cut off for a fault is not let in again, however often it tries and from whatever address.
pub(crate) fn the_same_identity_stays_out() {
    let siege = Siege::begin();
    let keypair = Keypair::generate_ed25519();
    let from = |number: usize| Ipv4Addr::new(127, 2, 0, number as u8 + 1);
    assert!(attack(&siege.node, from(0), &keypair), "nothing is held against it yet");
    siege.during("the same identity comes back", || {
        (1..=COMEBACKS).for_each(|number| assert!(!attack(&siege.node, from(number), &keypair), "it was let in"));
    });
}

/// A new key for each attempt does not help: the address is on probation. A proven peer on the same address stays and
/// comes back, a newcomer gets in after the wait, and strangers from other addresses do not wait.
pub(crate) fn new_names_from_one_address_stay_out() {
    let mut siege = Siege::begin();
    siege.honest_peer_proves_itself();
    let come = |from| attack(&siege.node, from, &Keypair::generate_ed25519());
    let offended = Instant::now();
    assert!(come(Ipv4Addr::LOCALHOST), "nothing is held against the address yet");
    let again = siege.during("the same address comes back under new names", || {
        (0..COMEBACKS).filter(|_| come(Ipv4Addr::LOCALHOST)).map(|_| offended.elapsed()).collect::<Vec<_>>()
    });
    // On a slow machine some come after the wait.
    eprintln!("siege: {} of {COMEBACKS} were let in, within {:.0?}", again.len(), offended.elapsed());
    assert!(again.iter().all(|when| *when >= WAIT_MIN), "let in after {again:?}");
    let told = siege.node.events("warning");
    let told = told.iter().filter(|event| event["message"].as_str().is_some_and(|text| text.contains("have to wait")));
    assert_eq!(told.count(), 1, "the user is told once");
    assert!(come(Ipv4Addr::new(127, 3, 0, 1)), "another address is another matter");

    siege.honest_peer_comes_back();
    let newcomer = Node::start(NodeOptions { peers: vec![siege.node.listen()], ..NodeOptions::default() });
    newcomer.wait_connected(&siege.node.peer_id());
    agree(&[&newcomer, &siege.node]);
}
