//! Machines on one bridge, where mDNS is real.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use libp2p::identity::Keypair;

use crate::harness::{Lan, Node, NodeOptions, agree, ids, number, text};
use crate::hostile::attacker::{Attacker, ByteDelays};
use crate::hostile::crowd::Crowd;
use crate::hostile::honest_answers;

/// Sessions of an attacker at each of the nodes that it wants to keep apart.
const SITTERS: usize = 200;
/// Peers that want in at once: more than a node has connections, those that it is closing included.
const KNOCKERS: usize = 340;
/// Connections that never say a word, at once: more than a node has handshakes.
const MUTES: usize = 300;

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

/// Two machines without IPv4 find each other.
pub(crate) fn machines_with_ipv6_alone_find_each_other() {
    let lan = Lan::up(2);
    let start = |machine: usize| {
        lan.remove_addresses(machine);
        lan.add_addresses(machine, &[format!("fd00:77::{machine}").parse().expect("an IPv6 address")]);
        Node::start(NodeOptions { listen: vec!["/ip6/::/tcp/0".to_owned()], ..lan.options(machine) })
    };
    let nodes = [start(1), start(2)];
    all_connected(&nodes);
    nodes[0].run("mine 2");
    assert_eq!(agree(&[&nodes[0], &nodes[1]]), 2);
}

/// Without IPv4, too, two machines with one key are told of each other.
pub(crate) fn clones_with_ipv6_alone_are_told() {
    let lan = Lan::up(2);
    let options = |machine: usize| {
        lan.remove_addresses(machine);
        lan.add_addresses(machine, &[format!("fd00:77::{machine}").parse().expect("an IPv6 address")]);
        NodeOptions { listen: vec!["/ip6/::/tcp/0".to_owned()], ..lan.options(machine) }
    };
    let node = Node::start(options(1));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(node.folder().join("node.key"), folder.path().join("node.key")).expect("it has a key");
    let clone = Node::start_in(folder.path(), options(2));
    assert_eq!(node.peer_id(), clone.peer_id());
    for (one, other) in [(&node, 2), (&clone, 1)] {
        let told = |event: &serde_json::Value| text(event, "message").contains("has the key of this one");
        let warning = one.wait_event("warning", told);
        assert!(text(&warning, "message").contains(&format!("fd00:77::{other}")), "{warning}");
    }
}

/// Nodes that see each other and don't join say why: one key, another network, no address to be dialled at.
pub(crate) fn nodes_that_do_not_join_say_why() {
    let lan = Lan::up(4);
    let node = lan.start(1);
    let warned = |node: &Node, words: &str| {
        node.wait_event("warning", |event| text(event, "message").contains(words));
    };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(node.folder().join("node.key"), folder.path().join("node.key")).expect("it has a key");
    let clone = Node::start_in(folder.path(), lan.options(2));
    assert_eq!(node.peer_id(), clone.peer_id());
    warned(&node, "has the key of this one");
    warned(&clone, "has the key of this one");

    let stranger = Node::start(NodeOptions { network: "lan".to_owned(), ..lan.options(3) });
    warned(&stranger, "it is of another network (");
    warned(&node, "it is of another network (");

    lan.remove_addresses(4);
    let cut_off = Node::start(NodeOptions { listen: vec!["/ip6/::/tcp/0".to_owned()], ..lan.options(4) });
    warned(&cut_off, "only link-local IPv6 addresses");
    assert!(!cut_off.run("status").to_string().contains("fe80"), "nobody can dial that");
    let refused = cut_off.try_run("connect /ip6/fe80::1/tcp/7787").expect_err("without an interface");
    assert!(refused.message.contains("link-local"), "{refused:?}");
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

/// Two nodes that lose each other meet again, though both are full of an attacker's sessions.
pub(crate) fn nodes_meet_again_though_strangers_sit_on_both() {
    let lan = Lan::up(3);
    let addresses = more_addresses(&lan, 3, 4);
    let nodes = [lan.start(1), lan.start(2)];
    all_connected(&nodes);
    let crowds = [&nodes[0], &nodes[1]].map(|node| lan.on(3, || Crowd::of_peers(node, &addresses, SITTERS)));
    nodes.iter().zip(&crowds).for_each(|(node, crowd)| crowd.wait_seated(node, SITTERS));
    lan.set_broken(1, Lan::ip(2), true);
    for (node, other) in [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])] {
        let id = other.peer_id();
        node.wait_event("peer_disconnected", |event| text(event, "peer_id") == id);
    }
    nodes[0].run("mine 2");
    nodes[1].run("mine 3");
    lan.set_broken(1, Lan::ip(2), false);
    let healed = Instant::now();
    all_connected(&nodes);
    assert_eq!(agree(&[&nodes[0], &nodes[1]]), 3);
    eprintln!("lan: together again {:.1?} after the link came back, between {SITTERS} sitters each", healed.elapsed());
    for (node, crowd) in nodes.iter().zip(&crowds) {
        crowd.wait_seated(node, SITTERS); // it was there all the time
    }
}

/// A newcomer gets in while connections that say nothing and sessions that do nothing want all places of a node.
pub(crate) fn a_newcomer_gets_in_while_all_doors_are_knocked_at() {
    let lan = Lan::up(3);
    let addresses = more_addresses(&lan, 3, 8);
    let quiet = |machine, peers| Node::start(NodeOptions { mdns: false, peers, ..lan.options(machine) });
    let victim = quiet(1, vec![]);
    victim.run("mine 3");
    let to = SocketAddr::new(Lan::ip(1), port(&victim));
    let knockers = lan.on(3, || Crowd::of_peers(&victim, &addresses, KNOCKERS));
    let mutes = lan.on(3, || Crowd::of_mutes(to, &addresses, MUTES));
    // The house is full, and those inside make way for those that wait.
    knockers.wait_shown_out(&victim, 100);
    mutes.wait_shown_out(&victim, MUTES);
    let begin = Instant::now();
    let newcomer = quiet(2, vec![format!("/ip4/{}/tcp/{}", Lan::ip(1), port(&victim))]);
    newcomer.wait_connected(&victim.peer_id());
    assert_eq!(agree(&[&newcomer, &victim]), 3);
    eprintln!("lan: a newcomer got into a full house in {:.1?}", begin.elapsed());
    // Nor is it the next to go.
    knockers.wait_shown_out(&victim, 100);
    victim.run("mine 1");
    assert_eq!(agree(&[&newcomer, &victim]), 4);
    let lost = newcomer.events("peer_disconnected");
    assert!(lost.is_empty(), "it was shown the door again: {lost:?}");
}

/// On one's own network each IPv6 address is a host: a neighbour's faults are its own.
pub(crate) fn a_neighbours_faults_close_no_door_to_a_newcomer() {
    let lan = Lan::up(3);
    let ip = |machine: u16| IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, machine]);
    (1..=3).for_each(|machine| lan.add_addresses(machine, &[ip(machine as u16)]));
    let start = |machine: u16| {
        let listen = vec![format!("/ip6/{}/tcp/0", ip(machine))];
        Node::start(NodeOptions { mdns: false, listen, ..lan.options(machine.into()) })
    };
    let (victim, newcomer) = (start(1), start(2));
    let come = || {
        let keypair = Keypair::generate_ed25519();
        Attacker::connect_from(&victim, ip(3), &keypair, ByteDelays::default(), honest_answers())
    };
    lan.on(3, || {
        let attacker = come().expect("nothing is held against it yet");
        attacker.publish("blocks", b"no block".to_vec());
        attacker.wait_closed(&victim);
        assert!(come().is_none(), "its address is on probation");
    });
    // The first attempt succeeds.
    newcomer.run(&format!("connect {}", victim.listen()));
}

/// A machine's own addresses, beside its first.
fn more_addresses(lan: &Lan, machine: usize, count: u8) -> Vec<IpAddr> {
    let addresses: Vec<_> = (101..101 + count).map(Lan::ip).collect();
    lan.add_addresses(machine, &addresses);
    addresses
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
