//! Machines on one bridge, where mDNS is real.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::harness::{Lan, Node, agree, ids, number, text};

/// Five nodes without addresses find each other, and one `mine 5` and one `tx` reach all.
pub(crate) fn five_nodes_find_each_other_by_mdns() {
    let lan = Lan::up(5);
    let mut nodes: Vec<_> = (1..=4).map(|machine| lan.start(machine)).collect();
    let last_start = Instant::now();
    nodes.push(lan.start(5));
    let ready = last_start.elapsed();
    all_connected(&nodes);
    let connected = last_start.elapsed();
    eprintln!("lan: the last of five nodes was ready after {ready:.0?}, and all were connected after {connected:.0?}");

    nodes[0].run("mine 5");
    assert_eq!(agree(&nodes.iter().collect::<Vec<_>>()), 5);
    let sent = text(&nodes[0].run(&format!("tx {} 1.5 --fee 0.5", nodes[4].address())), "id");
    for node in &nodes[1..] {
        node.wait_event("transaction", |event| event["id"] == *sent);
    }
    nodes[2].run("mine 1");
    assert_eq!(agree(&nodes.iter().collect::<Vec<_>>()), 6);
    for node in &nodes {
        let balances = [0, 2, 4, 1].map(|owner| node.balance(&nodes[owner].address()));
        assert_eq!(balances, ["3", "1.5", "1.5", "0"]);
    }
}

/// A cable is unplugged, both sides mine on, it is plugged in again: all adopt the longer chain, and the loser's
/// transactions become pending and are mined again.
pub(crate) fn a_cut_and_healed_link_leaves_one_chain() {
    let lan = Lan::up(3);
    let nodes: Vec<_> = (1..=3).map(|machine| lan.start(machine)).collect();
    let everyone: Vec<_> = nodes.iter().collect();
    all_connected(&nodes);
    nodes[0].run("mine 1");
    assert_eq!(agree(&everyone), 1);

    lan.cut(1);
    let sent = text(&nodes[0].run(&format!("tx {} 0.5", nodes[2].address())), "id");
    nodes[0].run("mine 2");
    nodes[1].run("mine 4");
    assert_eq!(agree(&everyone[1..]), 5);
    assert_eq!(nodes[0].height(), 3);
    let mark = nodes[0].mark();

    lan.heal(1);
    let healed = Instant::now();
    assert_eq!(agree(&everyone), 5);
    eprintln!("lan: one chain again {:.1?} after the link came back", healed.elapsed());
    let tip = nodes[0].wait_event_since(mark, "tip", |event| number(event, "reorg_depth") > 0);
    assert_eq!(number(&tip, "reorg_depth"), 2);
    assert!(nodes[0].mined_ids().contains(&sent) || ids(&nodes[0].run("pending")).contains(&sent));
    // Gossip over the link may not work yet: mine another block instead of waiting for a status.
    nodes[0].run("mine 1");
    assert_eq!(agree(&everyone), 6);
    for node in &nodes {
        assert!(node.mined_ids().contains(&sent));
        assert_eq!(node.balance(&nodes[2].address()), "0.5");
    }
}

/// A killed node that restarts on another port is found by the others, or finds them.
pub(crate) fn a_restarted_node_is_found_again() {
    let lan = Lan::up(3);
    let mut nodes: Vec<_> = (1..=3).map(|machine| lan.start(machine)).collect();
    all_connected(&nodes);
    nodes[1].kill();
    nodes[1].restart();
    all_connected(&nodes);
    nodes[1].run("mine 2");
    assert_eq!(agree(&nodes.iter().collect::<Vec<_>>()), 2);
}

/// If mDNS's port is taken, the node says so and does everything else.
pub(crate) fn mdns_that_cannot_start_is_a_warning() {
    let lan = Lan::up(2);
    let taken = lan.on(1, || UdpSocket::bind("0.0.0.0:5353").expect("nobody else is on this machine"));
    let (node, other) = (lan.start(1), lan.start(2));
    node.wait_event("warning", |event| text(event, "message").contains("mDNS"));
    node.run("mine 2");
    let port = port(&other);
    node.run(&format!("connect /ip4/{}/tcp/{port}", Lan::ip(2)));
    assert_eq!(agree(&[&node, &other]), 2);
    drop(taken);
}

/// One machine that opens connections without end does not keep another out.
pub(crate) fn many_connections_from_one_machine() {
    let lan = Lan::up(3);
    let victim = lan.start(1);
    victim.run("mine 3");
    let address = SocketAddr::new(Lan::ip(1), port(&victim));
    let held: Vec<_> = lan.on(2, move || {
        let open = |_| TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok();
        (0..600).filter_map(open).collect()
    });
    assert!(held.len() > 100, "only {} connections were opened", held.len());
    let honest = lan.start(3);
    honest.wait_connected(&victim.peer_id());
    assert_eq!(agree(&[&honest, &victim]), 3);
    drop(held);
}

fn port(node: &Node) -> u16 {
    node.listen().split('/').nth(4).and_then(|port| port.parse().ok()).expect("/ip4/…/tcp/PORT")
}

fn all_connected(nodes: &[Node]) {
    for node in nodes {
        for other in nodes.iter().filter(|other| other.peer_id() != node.peer_id()) {
            node.wait_connected(&other.peer_id());
        }
    }
}
