//! Whole swarms on loopback, with a test in the engine's place.

use std::time::Instant;

use crossbeam_channel::unbounded;
use libp2p::identity::Keypair;

use super::*;
use crate::engine::Event;
use crate::engine::event::{Fault, Gossip, Key, RequestFailure, Verdict};
use crate::node::inbox::{OFFERED_EVENTS_MAX, Queues};
use crate::protocol::encode::encode;
use crate::protocol::{Action, Address, Amount, Block, Millis, Parameters, Request, SecretKey, Transaction};

/// A test that waits this long has failed: nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(40);

fn network(name: &str) -> Arc<Network> {
    Arc::new(Network::new(Parameters { name: name.to_owned(), ..Parameters::dev() }).expect("a valid name"))
}

fn loopback() -> Multiaddr {
    "/ip4/127.0.0.1/tcp/0".parse().expect("a multiaddr")
}

/// A swarm with its ends in the hands of the test.
struct Node {
    handle: SwarmHandle,
    offered: Receiver<Event>,
    results: Receiver<Event>,
    user: Receiver<UserEvent>,
    folder: Arc<tempfile::TempDir>,
    keypair: Keypair,
    network: Arc<Network>,
    runtime: tokio::runtime::Handle,
}

impl Node {
    fn start(runtime: &tokio::runtime::Runtime, network: &Arc<Network>) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        Self::start_as(runtime.handle(), network, Keypair::generate_ed25519(), folder, loopback(), &[])
    }

    fn start_as(
        runtime: &tokio::runtime::Handle,
        network: &Arc<Network>,
        keypair: Keypair,
        folder: Arc<tempfile::TempDir>,
        listen: Multiaddr,
        peers: &[Multiaddr],
    ) -> Self {
        let (engine, Queues { offered, results, .. }) = EngineSender::new();
        let (tell, user) = unbounded();
        let config = SwarmConfig {
            keypair: keypair.clone(),
            network: network.clone(),
            listen: vec![listen],
            is_visit: false,
            peers: peers.to_vec(),
            mdns: false,
            folder: folder.path().to_owned(),
        };
        let handle =
            start(config, runtime, engine, None, move |event| drop(tell.send(event))).expect("loopback is there");
        Self { handle, offered, results, user, folder, keypair, network: network.clone(), runtime: runtime.clone() }
    }

    /// Ends it and starts it again at the same address with the same folder.
    fn restart(self) -> Self {
        let listen = address::split(self.address()).0;
        self.handle.shut_down();
        Self::start_as(&self.runtime, &self.network, self.keypair, self.folder, listen, &[])
    }

    fn address(&self) -> Multiaddr {
        self.handle.listen().first().expect("it listens").clone()
    }

    fn connect(&self, address: Multiaddr) -> Result<PeerRow, ConnectError> {
        let (done, result) = crossbeam_channel::bounded(1);
        self.handle.command(SwarmCommand::Connect { address, done });
        result.recv_timeout(PATIENCE).expect("every connect is answered")
    }

    fn connect_to(&self, other: &Self) -> PeerRow {
        self.connect(other.address()).expect("it listens")
    }

    /// The next session that begins.
    fn session(&self) -> PeerKey {
        self.offered(|event| match event {
            Event::PeerConnected { peer } => Some(peer),
            _ => None,
        })
    }

    /// The next session that ends.
    fn parting(&self) -> PeerKey {
        self.offered(|event| match event {
            Event::PeerDisconnected { peer } => Some(peer),
            _ => None,
        })
    }

    fn offered<T>(&self, which: impl FnMut(Event) -> Option<T>) -> T {
        wait_for(&self.offered, which)
    }

    fn gossip(&self) -> (PeerKey, Ticket, Gossip) {
        self.offered(|event| match event {
            Event::Gossip { peer, ticket, gossip } => Some((peer, ticket, gossip)),
            _ => None,
        })
    }

    fn response(&self) -> (PeerKey, Key, Result<Response, RequestFailure>) {
        wait_for(&self.results, |event| match event {
            Event::Response { peer, key, result } => Some((peer, key, result)),
            _ => None,
        })
    }

    fn request(&self) -> (PeerKey, Ticket, Request) {
        self.offered(|event| match event {
            Event::Request { peer, ticket, request } => Some((peer, ticket, request)),
            _ => None,
        })
    }

    fn publish(&self, gossip: &Gossip) {
        self.handle.carry_out(PeerEffect::Publish(gossip.clone()));
    }

    fn user_saw<T>(&self, which: impl FnMut(UserEvent) -> Option<T>) -> T {
        wait_for(&self.user, which)
    }
}

/// The first event of that kind; those before it are dropped.
fn wait_for<E: std::fmt::Debug, T>(events: &Receiver<E>, mut which: impl FnMut(E) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = which(events.recv_deadline(end).expect("the event comes")) {
            return found;
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
}

/// A transaction for each number.
fn transaction(nonce: u64) -> Gossip {
    let key = SecretKey::from_seed([7; 32]);
    let action = Action::Transfer { to: Address([9; 20]), amount: Amount::COIN };
    let transaction = Transaction { sender: key.public_key(), nonce, fee: Amount::ZERO, action };
    Gossip::Transactions(transaction.sign(&network("test").genesis_id(), &key).into())
}

fn block() -> Block {
    network("test").genesis().clone()
}

#[test]
fn two_nodes_connect_and_part() {
    let runtime = runtime();
    let network = network("test");
    let (a, b) = (Node::start(&runtime, &network), Node::start(&runtime, &network));
    let row = a.connect_to(&b);
    assert_eq!(row.peer, a.session());
    assert_eq!(row.peer_id, b.keypair.public().to_peer_id());
    assert_eq!(row.address, address::split(b.address()).0);
    assert_eq!(row.agent, concat!("quipu/", env!("CARGO_PKG_VERSION")));
    assert!(row.outbound);
    let session = b.session();
    assert!(!b.handle.peers()[0].outbound);
    assert_eq!(a.connect_to(&b).peer, row.peer, "connecting again finds the same session");
    b.user_saw(|event| match event {
        UserEvent::PeerConnected(row) if row.peer == session => Some(()),
        _ => None,
    });

    a.handle.shut_down();
    assert_eq!(b.parting(), session);
    b.user_saw(|event| match event {
        UserEvent::PeerDisconnected(row) if row.peer == session => Some(()),
        _ => None,
    });
    assert!(b.handle.peers().is_empty());
}

#[test]
fn gossip_waits_for_the_verdict() {
    let runtime = runtime();
    let network = network("test");
    let [a, b, c] = [(); 3].map(|()| Node::start(&runtime, &network));
    a.connect_to(&b);
    c.connect_to(&b);
    let from_a = b.session();
    b.session();
    for (number, verdict) in [(1, Verdict::Reject), (2, Verdict::Ignore), (3, Verdict::Accept)] {
        a.publish(&transaction(number));
        let (peer, ticket, gossip) = b.gossip();
        assert_eq!((peer, gossip), (from_a, transaction(number)));
        b.handle.carry_out(PeerEffect::Verdict { peer, ticket, verdict });
    }
    assert_eq!(c.gossip().2, transaction(3), "what was not accepted is not passed on");
    c.publish(&Gossip::Block(Box::new(block())));
    assert_eq!(b.gossip().2, Gossip::Block(Box::new(block())), "and the other way, on the other topic");
}

#[test]
fn what_is_said_at_once_is_heard() {
    let runtime = runtime();
    let network = network("test");
    let b = Node::start(&runtime, &network);
    for round in 0..20 {
        let a = Node::start(&runtime, &network);
        let (done, _row) = crossbeam_channel::bounded(1);
        a.handle.command(SwarmCommand::Connect { address: b.address(), done });
        // In odd rounds the one that was dialled speaks first.
        let (speaker, listener) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let peer = speaker.session();
        speaker.publish(&transaction(round));
        speaker.handle.carry_out(PeerEffect::Ask { peer, key: Key(round), request: Request::Pending });
        listener.session();
        let (mut heard, mut asked) = (false, false);
        while !(heard && asked) {
            match listener.offered(Some) {
                Event::Gossip { gossip, .. } => heard |= gossip == transaction(round),
                Event::Request { request, .. } => asked |= request == Request::Pending,
                _ => {}
            }
        }
        a.handle.shut_down();
    }
}

#[test]
fn requests_are_answered_or_refused() {
    let runtime = runtime();
    let network = network("test");
    let (a, b) = (Node::start(&runtime, &network), Node::start(&runtime, &network));
    a.connect_to(&b);
    let (to_b, from_a) = (a.session(), b.session());
    let pending = Response::Pending(vec![].into());
    let replies = [
        (Some(Reply::Response(pending.clone())), Ok(pending)),
        (Some(Reply::Blocks(vec![encode(&block())])), Ok(Response::Blocks(vec![block()].into()))),
        (None, Err(RequestFailure::Refused)),
    ];
    for (number, (reply, expected)) in (1..).zip(replies) {
        a.handle.carry_out(PeerEffect::Ask { peer: to_b, key: Key(number), request: Request::Pending });
        let (peer, ticket, request) = b.request();
        assert_eq!((peer, request), (from_a, Request::Pending));
        b.handle.command(match reply {
            Some(Reply::Blocks(blocks)) => SwarmCommand::Serve { ticket, blocks, place: None },
            Some(Reply::Response(response)) => {
                SwarmCommand::Engine(PeerEffect::Reply { ticket, response: Some(response) })
            }
            None => SwarmCommand::Engine(PeerEffect::Reply { ticket, response: None }),
        });
        assert_eq!(a.response(), (to_b, Key(number), expected));
    }
}

#[test]
fn an_engine_that_is_behind_costs_requests_but_no_connection() {
    let runtime = runtime();
    let network = network("test");
    let (a, b) = (Node::start(&runtime, &network), Node::start(&runtime, &network));
    a.connect_to(&b);
    let to_b = a.session();
    // Nobody reads what `b` is offered.
    let ask = |key| a.handle.carry_out(PeerEffect::Ask { peer: to_b, key: Key(key), request: Request::Pending });
    (0..3000).for_each(|number| a.publish(&transaction(number)));
    let full = Instant::now() + PATIENCE;
    while b.offered.len() < OFFERED_EVENTS_MAX {
        assert!(Instant::now() < full, "{} events arrived", b.offered.len());
        std::thread::yield_now();
    }
    ask(1);
    assert_eq!(a.response(), (to_b, Key(1), Err(RequestFailure::Refused)));
    while b.offered.try_recv().is_ok() {}
    ask(2);
    let (_, ticket, _) = b.request();
    let response = Some(Response::Pending(vec![].into()));
    b.handle.carry_out(PeerEffect::Reply { ticket, response });
    assert!(matches!(a.response(), (_, Key(2), Ok(_))));
}

#[test]
fn networks_leave_each_other_alone() {
    let runtime = runtime();
    let (a, b) = (Node::start(&runtime, &network("test")), Node::start(&runtime, &network("other")));
    let error = a.connect(b.address()).expect_err("another network");
    assert!(error.to_string().contains("it is of another network ("), "{error}");
    let c = Node::start(&runtime, &network("test"));
    let row = a.connect_to(&c);
    assert_eq!(a.session(), row.peer, "the first and only session that was reported");
    assert_eq!(a.handle.peers().len(), 1);
    let UserEvent::Warning(told) = b.user.recv_timeout(Duration::from_secs(30)).expect("who is called is told, too")
    else {
        panic!("a warning")
    };
    assert!(told.contains("is not joined: it is of another network ("), "{told}");
    assert!(b.results.is_empty() && b.offered.is_empty() && b.user.is_empty());
}

#[test]
fn addresses_that_lead_nowhere_are_explained() {
    let runtime = runtime();
    let network = network("test");
    let a = Node::start(&runtime, &network);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let refused = format!("/ip4/127.0.0.1/tcp/{}", nobody.port()).parse().expect("a multiaddr");
    let text = a.connect(refused).expect_err("nobody there").0;
    assert!(text.ends_with("refused: no program listens there"), "{text}");
    assert!(a.connect(a.address()).expect_err("ourselves").0.ends_with("that is this node itself"));
    let b = Node::start(&runtime, &network);
    let wrong = address::split(b.address()).0.with(Protocol::P2p(PeerId::random()));
    assert!(a.connect(wrong).expect_err("another").0.contains("another node answers there"));
    let unsupported = "/ip4/127.0.0.1/udp/5".parse().expect("a multiaddr");
    assert!(a.connect(unsupported).expect_err("bare UDP").0.contains("not an address that can be dialled"));
}

#[test]
fn a_busy_port_is_a_clear_error() {
    let runtime = runtime();
    let network = network("test");
    let a = Node::start(&runtime, &network);
    let (engine, _queues) = EngineSender::new();
    let config = SwarmConfig {
        keypair: Keypair::generate_ed25519(),
        network,
        listen: vec![address::split(a.address()).0],
        peers: Vec::new(),
        is_visit: false,
        mdns: false,
        folder: a.folder.path().to_owned(),
    };
    let text = start(config, runtime.handle(), engine, None, |_| ()).err().expect("the port is taken").to_string();
    assert!(text.contains("/ip4/127.0.0.1/tcp/") && text.contains("already in use by another program"), "{text}");
}

#[test]
fn dialling_each_other_at_once_works() {
    let runtime = runtime();
    let network = network("test");
    for _ in 0..10 {
        let (a, b) = (Node::start(&runtime, &network), Node::start(&runtime, &network));
        let dial = |from: &Node, to: &Node| {
            let (done, row) = crossbeam_channel::bounded(1);
            from.handle.command(SwarmCommand::Connect { address: to.address(), done });
            row
        };
        for row in [dial(&a, &b), dial(&b, &a)] {
            row.recv_timeout(PATIENCE).expect("answered").expect("connected");
        }
        a.publish(&transaction(1));
        assert_eq!(b.gossip().2, transaction(1));
        b.publish(&transaction(2));
        assert_eq!(a.gossip().2, transaction(2));
    }
}

#[test]
fn a_node_that_comes_back_is_found_by_those_it_left() {
    let runtime = runtime();
    let network = network("test");
    let (a, b) = (Node::start(&runtime, &network), Node::start(&runtime, &network));
    a.connect_to(&b);
    let first = a.session();
    let b = b.restart();
    let second = a.session();
    assert_ne!(first, second);
    a.publish(&transaction(1));
    assert_eq!(b.gossip().2, transaction(1));
}

#[test]
fn a_node_remembers_its_peers() {
    let runtime = runtime();
    let network = network("test");
    let (a, b) = (Node::start(&runtime, &network), Node::start(&runtime, &network));
    a.connect_to(&b);
    b.session();
    // Nobody but `a` could dial: `b` has forgotten everything.
    a.handle.shut_down();
    let listen = address::split(b.address()).0;
    b.handle.shut_down();
    let empty = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let b = Node::start_as(runtime.handle(), &network, b.keypair, empty, listen, &[]);
    let _a = Node::start_as(runtime.handle(), &network, a.keypair.clone(), a.folder, loopback(), &[]);
    b.session();
}

#[test]
fn the_user_may_name_another_address_than_the_one_being_dialled() {
    let runtime = runtime();
    let network = network("test");
    let b = Node::start(&runtime, &network);
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = mute.local_addr().expect("bound").port();
    let peer = address::split(b.address()).1.expect("with the identity");
    let stale = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}").parse().expect("a multiaddr");
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let keypair = Keypair::generate_ed25519();
    let a = Node::start_as(runtime.handle(), &network, keypair, folder, loopback(), &[stale]);
    let _unanswered = mute.accept().expect("it is dialled");
    assert_eq!(a.connect_to(&b).peer_id, peer);
}

#[test]
fn a_named_peer_is_waited_for() {
    let runtime = runtime();
    let network = network("test");
    let b = Node::start(&runtime, &network);
    let named = address::split(b.address()).0;
    b.handle.shut_down();
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let keypair = Keypair::generate_ed25519();
    let a = Node::start_as(runtime.handle(), &network, keypair, folder, loopback(), std::slice::from_ref(&named));
    let _b = Node::start_as(runtime.handle(), &network, b.keypair.clone(), b.folder, named, &[]);
    a.session();
}

#[test]
fn a_banned_peer_stays_away_until_its_user_is_asked() {
    let runtime = runtime();
    let network = network("test");
    let (a, b) = (Node::start(&runtime, &network), Node::start(&runtime, &network));
    b.connect_to(&a);
    let peer = a.session();
    a.handle.carry_out(PeerEffect::Close { peer, fault: Fault::Malformed, ban: Millis(3_600_000) });
    assert_eq!(a.parting(), peer);
    b.parting();
    b.connect(a.address()).expect_err("banned");
    assert!(a.handle.peers().is_empty());
    a.connect_to(&b);
    assert_ne!(a.session(), peer);
}

#[test]
fn strangers_from_an_offenders_address_wait_and_known_peers_do_not() {
    let runtime = runtime();
    let network = network("test");
    let [a, offender, stranger, friend] = std::array::from_fn(|_| Node::start(&runtime, &network));
    a.connect_to(&friend);
    let first = a.session();
    offender.connect_to(&a);
    let peer = a.session();
    a.handle.carry_out(PeerEffect::Close { peer, fault: Fault::Malformed, ban: Millis(60_000) });
    assert_eq!(a.parting(), peer);
    let told = a.user_saw(|event| match event {
        UserEvent::Warning(line) => Some(line),
        _ => None,
    });
    assert!(told.contains("127.0.0.1") && told.contains("have to wait"), "{told}");

    stranger.connect(a.address()).expect_err("a stranger from the same address");
    assert_eq!(a.handle.peers().iter().map(|row| row.peer).collect::<Vec<_>>(), [first], "who was there stays");
    let friend = friend.restart();
    friend.connect_to(&a);
    assert_ne!(a.session(), first, "its user had named it once");
    a.connect_to(&stranger);
    a.session();
}

/// Else a bad link would keep out everybody behind it.
#[test]
fn who_only_did_not_answer_is_held_against_nobody_else() {
    let runtime = runtime();
    let network = network("test");
    let [a, silent, stranger] = std::array::from_fn(|_| Node::start(&runtime, &network));
    silent.connect_to(&a);
    let peer = a.session();
    a.handle.carry_out(PeerEffect::Close { peer, fault: Fault::Silent, ban: Millis(60_000) });
    assert_eq!(a.parting(), peer);
    stranger.connect_to(&a);
    a.session();
}

mod hostile;
mod silence;
