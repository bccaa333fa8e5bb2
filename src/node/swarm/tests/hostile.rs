//! A peer that speaks libp2p but not our messages.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, ValidationMode};
use libp2p::request_response::{self, Message, OutboundFailure, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux};

use super::*;
use crate::node::swarm::behaviour::ProtocolNames;
use crate::protocol::message::{REQUEST_BYTES_MAX, gossip_bytes_max};

/// Sends and takes bare bytes.
#[derive(Clone, Default)]
struct Bytes;

impl request_response::Codec for Bytes {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&bytes).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&bytes).await
    }
}

#[derive(NetworkBehaviour)]
struct Hostile {
    gossipsub: gossipsub::Behaviour,
    identify: identify::Behaviour,
    sync: request_response::Behaviour<Bytes>,
}

fn hostile(names: &ProtocolNames, topics: &[&IdentTopic]) -> Swarm<Hostile> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("a new key")
        .with_behaviour(|key| {
            let config = gossipsub::ConfigBuilder::default()
                .validation_mode(ValidationMode::Anonymous)
                .max_transmit_size(64 << 20)
                .build()
                .expect("a valid configuration");
            let mut gossipsub =
                gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).expect("a valid configuration");
            for topic in topics {
                gossipsub.subscribe(topic).expect("any topic");
            }
            let protocols = [(names.sync.clone(), ProtocolSupport::Full)];
            Hostile {
                gossipsub,
                identify: identify::Behaviour::new(identify::Config::new("/any".to_owned(), key.public())),
                sync: request_response::Behaviour::new(protocols, request_response::Config::default()),
            }
        })
        .expect("nothing in it fails")
        .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
        .build()
}

/// Runs the hostile swarm against a node until `done`, which sees all its events.
fn attack<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    mut swarm: Swarm<Hostile>,
    node: &Node,
    mut done: impl FnMut(&mut Swarm<Hostile>, SwarmEvent<HostileEvent>) -> Option<T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    let address = node.address();
    runtime.spawn(async move {
        swarm.dial(address).expect("a plain address");
        loop {
            let event = swarm.select_next_some().await;
            if let Some(result) = done(&mut swarm, event) {
                return result;
            }
        }
    })
}

fn start_one(
    names: impl Fn(&ProtocolNames) -> Vec<IdentTopic>,
) -> (tokio::runtime::Runtime, Node, Swarm<Hostile>, ProtocolNames) {
    let runtime = runtime();
    let network = network("test");
    let node = Node::start(&runtime, &network);
    let own = ProtocolNames::of(&network);
    let topics = names(&own);
    let swarm = {
        let _context = runtime.enter();
        hostile(&own, &topics.iter().collect::<Vec<_>>())
    };
    (runtime, node, swarm, own)
}

fn both(names: &ProtocolNames) -> Vec<IdentTopic> {
    vec![names.blocks.clone(), names.transactions.clone()]
}

fn misbehaved(node: &Node) -> (PeerKey, Fault) {
    node.offered(|event| match event {
        Event::Misbehaved { peer, fault } => Some((peer, fault)),
        _ => None,
    })
}

/// Publishes bytes as soon as the node has a session with the attacker, whose key is returned.
fn publish_in_session(
    runtime: &tokio::runtime::Runtime,
    mut swarm: Swarm<Hostile>,
    node: &Node,
    topic: IdentTopic,
    bytes: Vec<u8>,
) -> PeerKey {
    let address = node.address();
    let (begun, mut has_begun) = tokio::sync::oneshot::channel();
    runtime.spawn(async move {
        swarm.dial(address).expect("a plain address");
        let mut publishes = false;
        loop {
            tokio::select! {
                _ = swarm.select_next_some() => {}
                _ = &mut has_begun, if !publishes => publishes = true,
            }
            if publishes {
                // Fails until the node's subscription is there, and once it was published.
                let _ = swarm.behaviour_mut().gossipsub.publish(topic.clone(), bytes.clone());
            }
        }
    });
    let peer = node.session();
    begun.send(()).expect("the attack runs");
    peer
}

#[test]
fn malformed_gossip_is_reported_and_not_passed_on() {
    let (runtime, node, swarm, names) = start_one(both);
    let witness = Node::start(&runtime, &network("test"));
    witness.connect_to(&node);
    node.session();
    let peer = publish_in_session(&runtime, swarm, &node, names.transactions, b"no transaction".to_vec());
    assert_eq!(misbehaved(&node), (peer, Fault::Malformed));
    node.publish(&transaction(1));
    assert_eq!(witness.gossip().2, transaction(1));
    assert!(witness.offered.is_empty(), "the witness saw nothing else");
}

#[test]
fn gossip_above_the_limit_of_a_message_is_refused() {
    let (runtime, node, swarm, names) = start_one(both);
    let long = gossip_bytes_max(&network("test")) + 1;
    let peer = publish_in_session(&runtime, swarm, &node, names.blocks, vec![0; long]);
    assert_eq!(misbehaved(&node), (peer, Fault::Malformed));
}

#[test]
fn an_oversize_request_is_refused_and_reported() {
    let (runtime, node, swarm, _) = start_one(both);
    let claimed = u32::try_from(REQUEST_BYTES_MAX + 1).expect("far below 4 GiB").to_le_bytes().to_vec();
    let (ready, is_ready) = crossbeam_channel::bounded::<()>(1);
    let mut asked = false;
    let refused = attack(&runtime, swarm, &node, move |swarm, event| {
        if !asked && is_ready.try_recv().is_ok() {
            asked = true;
            let peer = *swarm.connected_peers().next().expect("the node");
            swarm.behaviour_mut().sync.send_request(&peer, claimed.clone());
        }
        match event {
            SwarmEvent::Behaviour(HostileEvent::Sync(request_response::Event::Message {
                message: Message::Response { response, .. },
                ..
            })) => Some(response),
            SwarmEvent::Behaviour(HostileEvent::Sync(request_response::Event::OutboundFailure { error, .. })) => {
                assert!(matches!(error, OutboundFailure::Io(_)), "{error}");
                Some(Vec::new())
            }
            _ => None,
        }
    });
    let peer = node.session();
    ready.send(()).expect("the attack runs");
    // Any message wakes the attacker.
    node.publish(&transaction(1));
    assert_eq!(misbehaved(&node), (peer, Fault::Malformed));
    assert_eq!(runtime.block_on(refused).expect("no panic"), b"", "no response came back");
}

#[test]
fn a_malformed_response_is_called_that() {
    let (runtime, node, swarm, _) = start_one(both);
    let answering = attack(&runtime, swarm, &node, |swarm, event| {
        if let SwarmEvent::Behaviour(HostileEvent::Sync(request_response::Event::Message {
            message: Message::Request { channel, .. },
            ..
        })) = event
        {
            let _ = swarm.behaviour_mut().sync.send_response(channel, b"\x04\0\0\0\x09\0\0\0".to_vec());
        }
        None::<()>
    });
    let peer = node.session();
    node.handle.carry_out(PeerEffect::Ask { peer, key: Key(1), request: Request::Pending });
    assert_eq!(node.response(), (peer, Key(1), Err(RequestFailure::Malformed)));
    answering.abort();
}

/// For programs that only synchronise.
#[test]
fn a_peer_that_wants_one_topic_is_heard_a_little_later() {
    let (runtime, node, swarm, _) = start_one(|names| vec![names.blocks.clone()]);
    let mut asked = false;
    let attack = attack(&runtime, swarm, &node, move |swarm, event| {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = event
            && !asked
        {
            asked = true;
            swarm.behaviour_mut().sync.send_request(&peer_id, b"\x04\0\0\0\x03\0\0\0".to_vec());
        }
        None::<()>
    });
    let peer = node.session();
    let (asker, _, request) = node.request();
    assert_eq!((asker, request), (peer, Request::Pending));
    attack.abort();
}

#[test]
fn nonsense_before_the_greeting_is_a_fault() {
    let (runtime, node, swarm, _) = start_one(|_| Vec::new());
    let closed = attack(&runtime, swarm, &node, move |swarm, event| match event {
        SwarmEvent::ConnectionEstablished { peer_id, .. } => {
            swarm.behaviour_mut().sync.send_request(&peer_id, b"\x04\0\0\0\x09\0\0\0".to_vec());
            None
        }
        SwarmEvent::ConnectionClosed { .. } => Some(()),
        _ => None,
    });
    let closed = async { tokio::time::timeout(PATIENCE, closed).await };
    runtime.block_on(closed).expect("closed in time").expect("no panic");
    let told = node.user_saw(|event| match event {
        UserEvent::Warning(line) => Some(line),
        _ => None,
    });
    assert!(told.contains("broke the rules"), "{told}");
    assert!(node.offered.is_empty(), "the engine never knew it");
}

#[test]
fn a_node_with_a_copy_of_our_key_is_called_that() {
    let (runtime, network) = (runtime(), network("test"));
    let a = Node::start(&runtime, &network);
    let (plain, _) = address::split(a.address());
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let named = [plain.clone()];
    let copy = Node::start_as(runtime.handle(), &network, a.keypair.clone(), folder, loopback(), &named);
    let warned = copy.user_saw(|event| match event {
        UserEvent::Warning(line) => Some(line),
        _ => None,
    });
    let by_id = copy.connect(a.address()).expect_err("the same id").0;
    let by_address = copy.connect(plain).expect_err("the same id").0;
    for told in [warned, by_id, by_address] {
        assert!(told.contains("node.key") && told.contains("copied"), "{told}");
    }
}
