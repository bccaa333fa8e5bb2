//! Two halves of a network after a time without contact.

use crate::harness::{Cluster, agree, ids, number, text};

/// All nodes adopt the longer chain; transactions that only the shorter one had mined become pending, and are mined
/// again.
pub(crate) fn the_longer_chain_wins_and_transactions_return() {
    let mut nodes = Cluster::start(4);
    nodes.connect_all();
    nodes[0].run("mine 2");
    assert_eq!(nodes.agree(), 2);
    nodes.part();

    let (left, right) = nodes.split_at(2);
    left[0].connect(&left[1]);
    right[0].connect(&right[1]);
    let payment = text(&left[0].run(&format!("tx {} 0.75", right[0].address())), "id");
    let record = text(&left[1].run("record from the losing side"), "id");
    left[0].wait_event("transaction", |event| event["id"] == *record);
    left[0].run("mine 3");
    right[0].run("mine 5");
    assert_eq!((agree(&[&left[0], &left[1]]), agree(&[&right[0], &right[1]])), (5, 7));
    assert!(left[1].mined_ids().contains(&payment));
    let marks = [left[0].mark(), left[1].mark()];

    left[1].connect(&right[0]);
    assert_eq!(nodes.agree(), 7);
    for (node, mark) in nodes[..2].iter().zip(marks) {
        let tip = node.wait_event_since(mark, "tip", |event| number(event, "reorg_depth") > 0);
        assert_eq!(number(&tip, "reorg_depth"), 3, "{tip}");
    }
    assert!(nodes[2].events("tip").iter().all(|tip| number(tip, "reorg_depth") == 0), "the winner changed nothing");
    for node in &nodes[..2] {
        let waiting = ids(&node.run("pending"));
        assert!(waiting.contains(&payment) && waiting.contains(&record), "{waiting:?}");
    }
    assert_eq!(nodes[3].balance(&nodes[0].address()), "2", "its three blocks are gone, the first two are not");

    nodes[0].run("mine 1");
    assert_eq!(nodes.agree(), 8);
    for node in nodes.iter() {
        let mined = node.mined_ids();
        assert!(mined.contains(&payment) && mined.contains(&record));
        assert_eq!(node.balance(&nodes[0].address()), "2.25");
        assert_eq!(node.balance(&nodes[2].address()), "5.75");
    }
}

/// Two chains of one length: each node stays on the one it saw first, and the next block decides for all.
pub(crate) fn ties_go_to_the_chain_seen_first() {
    let nodes = Cluster::start(2);
    let (a, b) = (&nodes[0], &nodes[1]);
    a.run("mine 2");
    b.run("mine 2");
    let tips = (a.tip(), b.tip());
    assert_ne!(tips.0, tips.1);
    nodes.connect_all();
    // When `resolve` is answered, both have reported their chains to each other.
    a.run("resolve");
    b.run("resolve");
    assert_eq!(tips, (a.tip(), b.tip()));

    let mark = a.mark();
    b.run("mine 1");
    assert_eq!(nodes.agree(), 3);
    let tip = a.wait_event_since(mark, "tip", |event| number(event, "reorg_depth") > 0);
    assert_eq!((number(&tip, "height"), number(&tip, "reorg_depth")), (3, 2));
}

/// `resolve` asks now: the shorter chain is replaced, the longer one is authoritative.
pub(crate) fn resolve_finds_the_better_chain() {
    let nodes = Cluster::start(2);
    nodes[0].run("mine 4");
    nodes.connect_all();
    nodes[1].run("resolve");
    assert_eq!(nodes[1].height(), 4, "it has the chain afterwards, whether by itself or by the command");
    let tip = nodes[0].tip();
    let answer = nodes[0].run("resolve");
    assert_eq!(answer["replaced"], false, "{answer}");
    assert_eq!(nodes[0].tip(), tip);
}
