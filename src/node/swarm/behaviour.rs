//! The libp2p behaviours that make up a node, the transports below them, and every limit on both.
//!
//! The order of the fields of [`Behaviour`] matters: what denies connections comes before what keeps state for them.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::upgrade;
use libp2p::gossipsub::{IdentTopic, MessageAuthenticity, MessageId, ValidationMode};
use libp2p::metrics::{BandwidthTransport, Registry};
use libp2p::request_response::ProtocolSupport;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    StreamProtocol, Swarm, Transport, allow_block_list, connection_limits, gossipsub, identify, mdns, noise, ping,
    quic, request_response, tcp, yamux,
};
use sha2::{Digest, Sha256};
use socket2::{Domain, Protocol, Socket, Type};

use super::address::Subnets;
use super::admission::Admission;
use super::closing::ClosesSoon;
use super::codec::SyncCodec;
use super::handshakes::BoundedHandshakes;
use super::muxer::{BoundedYamux, ShedsStreams};
use super::names::NamesByTheSystem;
use super::{SwarmConfig, scores};
use crate::protocol::Network;
use crate::protocol::message::{PROTOCOL_VERSION, gossip_bytes_max, topic};

/// Connections that others opened. Beyond, one of them makes way for each new one.
pub(super) const INBOUND_CONNECTIONS_MAX: usize = 224;
/// The same for connections of one host, other than this machine. A class behind one router fits in.
pub(super) const INBOUND_CONNECTIONS_PER_HOST_MAX: usize = 64;
/// Connections that others opened, with those that are being closed. More are denied.
const INBOUND_CONNECTIONS_WITH_CLOSING_MAX: u32 = 320;
/// Connections with one peer. Above 2, so that a restarted peer is not kept out by its dead connections.
const CONNECTIONS_PER_PEER_MAX: u32 = 8;
/// A dial or a handshake that takes longer has failed. Short, so that a link that comes back is tried again soon.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections are closed by us for a reason, never because they are quiet.
const IDLE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);
/// A connection on which sent data stays unanswered for this long is dead.
const DEAD_CONNECTION_TIMEOUT: Duration = Duration::from_secs(8);
/// How often a peer is pinged, which also measures the round trip.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// A connection on which the peer has been silent for this long is dead: it has missed a ping. Systems that time out
/// TCP connections themselves, and QUIC, notice a broken link sooner, because the engine asks each peer something every
/// few seconds.
pub(super) const SILENCE_TIMEOUT: Duration = PING_INTERVAL.saturating_add(DEAD_CONNECTION_TIMEOUT);
/// A request without a response by then has failed. Longer than any timeout of the engine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(75);
/// Requests at once on one connection, both directions together. More are refused. Honest peers have three or four.
const STREAMS_PER_CONNECTION_MAX: usize = 16;
/// Streams of a connection whose protocol is not agreed on yet. More are refused.
const NEGOTIATING_STREAMS_MAX: usize = 16;
/// All streams of a connection: requests, gossip, ping, identify, and those that are being closed. Each may hold the 256 KiB that
/// yamux buffers.
const MUXED_STREAMS_MAX: usize = 64;
/// Bytes of a QUIC stream that may have arrived and not been read, twice as many of a connection. They are no bound on the
/// speed up to 250 MB/s at a round trip of a millisecond.
const QUIC_STREAM_BYTES_MAX: u32 = 256 << 10;
/// Room in a gossip frame around our largest message. A frame that is too long would silence the link.
const GOSSIP_FRAME_MARGIN_BYTES: usize = 64 << 10;
/// From this length on, in bytes, the receiver of a message tells its mesh not to send it again (IDONTWANT of gossipsub
/// v1.2), so that an announcement seldom crosses a link in both directions.
const IDONTWANT_BYTES_MIN: usize = 1_000;
/// Messages that may wait for one peer that reads slowly. Each is a copy. More are dropped for it, and it pulls them. Room for what one
/// user sends at once: 500 records are some thirty messages.
const GOSSIP_QUEUE_MAX: usize = 32;
/// Peers that each message is relayed to at most: each of them has a queue. gossipsub goes back to six of them.
const MESH_PEERS_MAX: usize = 8;
/// For how long a message is kept until its verdict, in heartbeats.
const GOSSIP_HISTORY_HEARTBEATS: usize = 2;
/// How long a message is remembered, so that it is not relayed twice.
const DUPLICATE_CACHE_TIME: Duration = Duration::from_secs(120);
/// How often peers are looked for on the LAN, and how long their answers hold.
const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(5);
const MDNS_TTL: Duration = Duration::from_secs(30);

/// Gossip restricted to our own topics.
pub(super) type Gossipsub = gossipsub::Behaviour<gossipsub::IdentityTransform, gossipsub::WhitelistSubscriptionFilter>;

/// Everything that runs on a node's connections.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    pub(super) bans: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    /// After the bans, so that a banned peer takes no stranger's turn.
    pub(super) admission: Admission,
    pub(super) gossipsub: Gossipsub,
    pub(super) sync: request_response::Behaviour<SyncCodec>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    /// Over IPv6, on a machine that had no IPv4 address when the node started.
    mdns_v6: Toggle<mdns::tokio::Behaviour>,
}

/// Topics and protocols of a network.
#[derive(Debug, Clone)]
pub(super) struct ProtocolNames {
    pub(super) blocks: IdentTopic,
    pub(super) transactions: IdentTopic,
    pub(super) sync: StreamProtocol,
    /// As identify tells it: `/quipu/VERSION/NETWORK`.
    pub(super) version: String,
}

impl ProtocolNames {
    pub(super) fn of(network: &Network) -> Self {
        Self {
            blocks: IdentTopic::new(topic(network, "blocks")),
            transactions: IdentTopic::new(topic(network, "transactions")),
            sync: StreamProtocol::try_from_owned(topic(network, "sync")).expect("it starts with a slash"),
            version: format!("/quipu/{PROTOCOL_VERSION}/{}", network.tag()),
        }
    }
}

/// Builds a swarm that does not listen yet. The warning says why mDNS could not start. To be called in the context of a
/// tokio runtime. `metrics` gets those of gossipsub and of the bytes on the wire.
pub(super) fn build(
    config: &SwarmConfig,
    mut metrics: Option<&mut Registry>,
) -> anyhow::Result<(Swarm<Behaviour>, Option<String>)> {
    let names = ProtocolNames::of(&config.network);
    let local_peer = config.keypair.public().to_peer_id();
    let (mdns, warning) = match config.mdns.then(|| start_mdns(local_peer)) {
        None => (None, None),
        Some(Ok((mdns, mdns_v6))) => (Some((mdns, mdns_v6)), None),
        Some(Err(error)) => {
            let warning = format!("no search for peers on this network, use --peer instead: mDNS: {error}");
            (None, Some(warning))
        }
    };
    let (mdns, mdns_v6) = mdns.unzip();
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established_incoming(Some(INBOUND_CONNECTIONS_WITH_CLOSING_MAX))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        bans: allow_block_list::Behaviour::default(),
        admission: Admission::default(),
        gossipsub: gossipsub(&names, &config.network, metrics.as_deref_mut())?,
        sync: request_response::Behaviour::new(
            [(names.sync.clone(), ProtocolSupport::Full)],
            request_response::Config::default()
                .with_request_timeout(REQUEST_TIMEOUT)
                .with_max_concurrent_streams(STREAMS_PER_CONNECTION_MAX),
        ),
        identify: identify::Behaviour::new(
            identify::Config::new(names.version, config.keypair.public())
                .with_agent_version(concat!("quipu/", env!("CARGO_PKG_VERSION")).to_owned())
                .with_push_listen_addr_updates(true)
                .with_cache_size(0), // the dial book remembers addresses
        ),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(PING_INTERVAL).with_timeout(DEAD_CONNECTION_TIMEOUT),
        ),
        mdns: mdns.into(),
        mdns_v6: mdns_v6.flatten().into(),
    };
    let swarm_config = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_TIMEOUT)
        .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS_MAX);
    let transport = BoundedHandshakes::new(transport(&config.keypair, metrics)?).boxed();
    Ok((Swarm::new(transport, behaviour, local_peer, swarm_config), warning))
}

fn gossipsub(names: &ProtocolNames, network: &Network, metrics: Option<&mut Registry>) -> anyhow::Result<Gossipsub> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message: &gossipsub::Message| message_id(message.topic.as_str(), &message.data))
        .max_transmit_size(gossip_bytes_max(network) + GOSSIP_FRAME_MARGIN_BYTES)
        .flood_publish(true)
        .idontwant_message_size_threshold(IDONTWANT_BYTES_MIN)
        .heartbeat_interval(Duration::from_secs(1))
        .duplicate_cache_time(DUPLICATE_CACHE_TIME)
        .mesh_n_high(MESH_PEERS_MAX)
        .connection_handler_queue_len(GOSSIP_QUEUE_MAX)
        .history_length(GOSSIP_HISTORY_HEARTBEATS)
        // Messages are offered to nobody by their ids (IHAVE) and copied for nobody who asks for them (IWANT): any peer could
        // have its queue filled by that. Peers' status tells what was lost.
        .history_gossip(0)
        .gossip_retransimission(0)
        .build()?;
    let topics = [&names.blocks, &names.transactions];
    let filter =
        gossipsub::WhitelistSubscriptionFilter(topics.iter().map(|topic| topic.hash()).collect::<HashSet<_>>());
    let mut gossipsub = Gossipsub::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(anyhow::Error::msg)?;
    if let Some(registry) = metrics {
        let registry = registry.sub_registry_with_prefix("libp2p_gossipsub");
        gossipsub = gossipsub.with_metrics(registry, gossipsub::MetricsConfig::default());
    }
    gossipsub.with_peer_score(scores::params(names), scores::thresholds()).map_err(anyhow::Error::msg)?;
    for topic in topics {
        gossipsub.subscribe(topic)?;
    }
    Ok(gossipsub)
}

/// SHA-256 of the topic's name and the data: a message is identified by its content alone.
fn message_id(topic: &str, data: &[u8]) -> MessageId {
    MessageId::new(&Sha256::new().chain_update(topic).chain_update(data).finalize())
}

fn transport(
    keypair: &libp2p::identity::Keypair,
    metrics: Option<&mut Registry>,
) -> anyhow::Result<libp2p::core::transport::Boxed<(libp2p::PeerId, StreamMuxerBox)>> {
    let mut muxer = yamux::Config::default();
    muxer.set_max_num_streams(MUXED_STREAMS_MAX);
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(|stream, _| {
            fail_fast(&stream.0);
            stream
        })
        .upgrade(upgrade::Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(BoundedYamux(muxer))
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(ClosesSoon::new(ShedsStreams::new(muxer)))));
    let mut quic = quic::Config::new(keypair);
    quic.max_concurrent_stream_limit = MUXED_STREAMS_MAX as u32;
    (quic.max_stream_data, quic.max_connection_data) = (QUIC_STREAM_BYTES_MAX, 2 * QUIC_STREAM_BYTES_MAX);
    let quic = quic::tokio::Transport::new(quic)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(ClosesSoon::new(ShedsStreams::new(muxer)))));
    let both = quic.or_transport(tcp).map(|either, _| either.into_inner());
    let transport = TransportTimeout::new(NamesByTheSystem::new(both.boxed()), CONNECTION_TIMEOUT).boxed();
    Ok(match metrics {
        None => transport,
        Some(registry) => BandwidthTransport::new(transport, registry)
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed(),
    })
}

/// Has the system end a connection on which data stays unacknowledged. Otherwise it could not even be closed for a
/// quarter of an hour, and its peer would seem connected for as long.
fn fail_fast(stream: &tokio::net::TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(DEAD_CONNECTION_TIMEOUT)) {
        tracing::debug!(%error, "no timeout on a TCP connection");
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = stream;
}

/// mDNS over IPv4, and over IPv6 where there is nothing else. It reports no error if its port is taken, so that is tried
/// first.
fn start_mdns(local_peer: libp2p::PeerId) -> io::Result<(mdns::tokio::Behaviour, Option<mdns::tokio::Behaviour>)> {
    try_mdns_port()?;
    let start = |enable_ipv6: bool| {
        let config = mdns::Config { ttl: MDNS_TTL, query_interval: MDNS_QUERY_INTERVAL, enable_ipv6 };
        mdns::tokio::Behaviour::new(config, local_peer)
    };
    let has_v4 = Subnets::of_this_machine().own_v4().next().is_some();
    Ok((start(false)?, if has_v4 { None } else { Some(start(true)?) }))
}

/// Whether mDNS can have its port, as its library would take it.
fn try_mdns_port() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5353);
    socket.bind(&address.into()).map_err(|error| io::Error::new(error.kind(), format!("UDP port 5353: {error}")))
}
