//! Gossip through several nodes.

use crate::harness::{Cluster, Node, NodeOptions, agree, ids, number, scale, text};

/// The new node at the end of a line of five sends at the very moment it learns of its peer: the other end gets it.
/// Every time.
pub(crate) fn a_transaction_sent_at_peer_connected_arrives() {
    let line = Cluster::start(4);
    line.connect_line();
    let far = &line[3];
    let mut sent = Vec::new();
    for round in 0..scale("QUIPU_TEST_FIRST_MESSAGES", 20) {
        let first = Node::start(NodeOptions { peers: vec![line[0].listen()], ..NodeOptions::default() });
        first.wait_event("peer_connected", |_| true);
        let id = text(&first.run(&format!("record round {round}")), "id");
        far.wait_event("transaction", |event| event["id"] == *id);
        sent.push(id);
    }
    // No block was mined in between, so they are all pending there.
    let waiting = ids(&far.run("pending"));
    assert!(sent.iter().all(|id| waiting.contains(id)));
}

/// A block found at one end of a line becomes the tip at the other, and its transactions are no longer pending there.
pub(crate) fn a_block_crosses_a_line_of_five() {
    let line = Cluster::start(5);
    line.connect_line();
    let sent = text(&line[0].run("record across"), "id");
    line[4].wait_event("transaction", |event| event["id"] == *sent);

    let mined = line[4].run("mine 1");
    let id = text(&mined["blocks"][0], "id");
    let tip = line[0].wait_event("tip", |event| event["id"] == *id);
    assert_eq!((number(&tip, "height"), number(&tip, "reorg_depth")), (1, 0));
    assert_eq!(line.agree(), 1);
    for node in line.iter() {
        assert!(node.mined_ids().contains(&sent));
        assert!(ids(&node.run("pending")).is_empty());
    }
}

/// A block of known transactions crosses as short ids alone; no node asks for more, on any link.
pub(crate) fn a_block_of_known_transactions_crosses_by_its_short_ids() {
    let logging =
        || NodeOptions { arguments: vec!["--log".to_owned(), "quipu=debug".to_owned()], ..NodeOptions::default() };
    let line = [logging(), logging(), logging()].map(Node::start);
    line[0].connect(&line[1]);
    line[1].connect(&line[2]);
    let sent: Vec<String> =
        (0..60).map(|number| text(&line[0].run(&format!("record number {number}")), "id")).collect();
    for id in &sent {
        line[2].wait_event("transaction", |event| event["id"] == *id);
    }
    line[2].run("mine 1");
    assert_eq!(agree(&[&line[0], &line[1], &line[2]]), 1);
    for node in &line[..2] {
        let mined = node.mined_ids();
        assert!(sent.iter().all(|id| mined.contains(id)));
        let log = node.stderr();
        let count = |what: &str| log.iter().filter(|line| line.contains(what)).count();
        let announced = log.iter().any(|line| line.contains("block announced") && line.contains("transactions=60"));
        assert!(announced, "{log:?}");
        assert_eq!(count("missing transactions asked for"), 0, "{log:?}");
    }
}
