//! A node that starts late.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Cluster, Node, NodeOptions, agree, number, scale, text};

/// Far above the time for the longest chain here, in a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(900);

/// A late node with three peers that hold a long chain gets all of it, although one of them stops answering in the
/// middle, and a transaction sent meanwhile reaches it.
pub(crate) fn a_late_node_gets_all_while_one_of_three_peers_stalls() {
    let length = scale("QUIPU_TEST_CHAIN_BLOCKS", 20_000);
    let holders = Cluster::start(3);
    holders[0].run_within(&format!("mine {length}"), LONG);
    holders.connect_all();
    for holder in &holders[1..] {
        holder.wait_event_within("tip", LONG, |event| number(event, "height") == length);
    }
    assert_eq!(holders.agree(), length);

    let peers = holders.iter().map(Node::listen).collect();
    let late = Node::start(NodeOptions { peers, ..NodeOptions::default() });
    let first = late.wait_event("tip", |event| number(event, "height") >= 1);
    holders[0].signal(Signal::STOP);
    let sent = text(&holders[1].run("record sent meanwhile"), "id");
    late.wait_event_within("transaction", LONG, |event| event["id"] == *sent);
    let at_transaction = late.height();
    late.wait_event_within("tip", LONG, |event| number(event, "height") == length);
    eprintln!(
        "sync of {length} blocks: a peer stalled at {}, the transaction was there at {at_transaction}",
        number(&first, "height")
    );
    assert_eq!(agree(&[&late, &holders[1], &holders[2]]), length);

    // The stalled peer wakes up and is one of them again.
    holders[0].signal(Signal::CONT);
    late.run("mine 1");
    assert_eq!(agree(&[&late, &holders[0], &holders[1], &holders[2]]), length + 1);
    assert!(holders[0].mined_ids().contains(&sent));
}
