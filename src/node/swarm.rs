//! The libp2p swarm and its one task.
//!
//! The task translates between the network and the engine and decides nothing about blocks or transactions. It never
//! waits: commands come in through a bounded queue, events go out without blocking, and an engine that is behind
//! costs gossip and requests, never the connections.
//!
//! | module | what it does |
//! | --- | --- |
//! | `behaviour` | transports, behaviours and all their limits |
//! | `listen` | the addresses to listen on |
//! | `task` | the loop: events of the network, commands of the node |
//! | `connect` | users who wait for a connection |
//! | `sessions` | the connected peers |
//! | `dial` | the choice of peers to dial, and of the moment |
//! | `remembered` | peers of earlier runs |
//! | `translate` | bytes and the engine's types |
//! | `closing` | connections that end soon after they are closed |
//! | `scores` | which peers gossipsub prefers |
//! | `codec` | requests and responses on a stream |
//! | `frames` | memory for those that have not arrived whole |
//! | `handshakes` | limits on inbound connections before their peer is known |
//! | `admission` | strangers from addresses of offenders; who goes when the house is full |
//! | `address`, `failure` | judging addresses, describing failed dials |

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use crossbeam_channel::Receiver;
use libp2p::metrics::{Metrics, Registry};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

pub use self::ahead::{ResponsePlace, ResponsePlaces};
pub(in crate::node) use self::listen::DEFAULT_PORT;
use super::event::{ConnectError, PeerRow, UserEvent};
use super::inbox::EngineSender;
use crate::engine::event::{PeerEffect, PeerKey, Ticket};
use crate::protocol::{Network, Response};

mod address;
mod admission;
mod ahead;
mod behaviour;
mod clones;
mod closing;
mod codec;
mod connect;
mod dial;
mod failure;
mod frames;
mod handshakes;
mod listen;
mod muxer;
mod names;
mod remembered;
mod scores;
mod serving;
mod sessions;
mod strangers;
mod task;
mod translate;

pub(super) use self::address::for_others;

#[cfg(test)]
mod tests;

/// Commands that may wait for the swarm.
const COMMANDS_MAX: usize = 1024;
/// How long startup waits for the system to name the addresses that we listen on.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a shutdown waits for the goodbyes.
const SHUT_DOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// The configuration of a swarm.
#[derive(Debug, Clone)]
pub struct SwarmConfig {
    /// Our identity towards peers.
    pub keypair: libp2p::identity::Keypair,
    pub network: Arc<Network>,
    /// Where to listen. Empty: TCP on all interfaces, IPv4 and IPv6, port 7787 or any free one if it is taken.
    pub listen: Vec<Multiaddr>,
    /// Listen nowhere instead: for a short visit, after which no peer is to dial back.
    pub is_visit: bool,
    /// Peers to stay connected to.
    pub peers: Vec<Multiaddr>,
    /// Whether to look for peers on the LAN.
    pub mdns: bool,
    /// Where addresses of peers are remembered (a file `peers.json` in it).
    pub folder: PathBuf,
}

/// A command to the swarm.
#[derive(Debug)]
pub enum SwarmCommand {
    /// By the engine.
    Engine(PeerEffect),
    /// Answer a peer's request with blocks that the store holds in encoded form.
    Serve {
        /// The ticket of the event.
        ticket: Ticket,
        /// The encoded blocks.
        blocks: Vec<Vec<u8>>,
        /// Lets the loader go on when this was taken up.
        place: Option<ResponsePlace>,
    },
    /// By the user.
    Connect {
        /// The peer, with or without `/p2p/…`.
        address: Multiaddr,
        /// Told once, when the peer is ready or it is clear that it will not be.
        done: crossbeam_channel::Sender<Result<PeerRow, ConnectError>>,
    },
    /// Say goodbye and end.
    ShutDown,
}

/// A reply to a peer: a response, or blocks that the store holds in encoded form.
#[derive(Debug)]
pub enum Reply {
    Response(Response),
    /// A [`Response::Blocks`] of these encoded blocks.
    Blocks(Vec<Vec<u8>>),
}

/// A running swarm.
pub struct SwarmHandle {
    local: PeerId,
    commands: mpsc::Sender<SwarmCommand>,
    board: Arc<Board>,
    /// Disconnected when the task has ended.
    ended: Receiver<()>,
}

/// The state that the task shows to readers.
#[derive(Debug, Default)]
struct Board {
    peers: RwLock<BTreeMap<PeerKey, PeerRow>>,
    listen: RwLock<Vec<Multiaddr>>,
}

impl Board {
    fn write_peers(&self, change: impl FnOnce(&mut BTreeMap<PeerKey, PeerRow>)) {
        change(&mut self.peers.write());
    }

    fn set_listen(&self, addresses: Vec<Multiaddr>) {
        *self.listen.write() = addresses;
    }
}

/// Starts to listen, then runs the swarm on a task of `runtime`. Returns as soon as it listens. Blocks for a moment, so
/// it is not for async code. `tell_user` is called on the swarm's task and must not wait for anything.
pub fn start(
    config: SwarmConfig,
    runtime: &tokio::runtime::Handle,
    engine: EngineSender,
    mut metrics: Option<&mut Registry>,
    tell_user: impl Fn(UserEvent) + Send + Sync + 'static,
) -> anyhow::Result<SwarmHandle> {
    for peer in &config.peers {
        if address::carrier(peer).is_none() {
            bail!(failure::not_dialable(peer));
        }
    }
    let _context = runtime.enter();
    let (mut swarm, mdns_warning) = behaviour::build(&config, metrics.as_deref_mut())?;
    let is_visit = config.is_visit;
    let port_warning = if is_visit { None } else { listen::listen(&mut swarm, &config.listen)? };
    for warning in mdns_warning.into_iter().chain(port_warning) {
        tell_user(UserEvent::Warning(warning));
    }
    let (commands, command_receiver) = mpsc::channel(COMMANDS_MAX);
    let (ended_sender, ended) = crossbeam_channel::bounded(0);
    let (listens_sender, listens) = crossbeam_channel::bounded(1);
    let board = Arc::new(Board::default());
    let local = *swarm.local_peer_id();
    let metrics = metrics.map(Metrics::new);
    let task = task::SwarmTask::new(config, swarm, engine, metrics, Box::new(tell_user), board.clone());
    runtime.spawn(async move {
        task.run(command_receiver, listens_sender).await;
        drop(ended_sender);
    });
    if !is_visit {
        // Silence until then means a machine without any address yet; it listens all the same.
        let _ = listens.recv_timeout(LISTEN_TIMEOUT);
    }
    Ok(SwarmHandle { local, commands, board, ended })
}

impl SwarmHandle {
    /// A handle without a swarm: it ignores commands, and shows what it is given.
    pub(super) fn absent(local: PeerId, listen: Multiaddr) -> Self {
        let board = Arc::new(Board::default());
        board.set_listen(vec![listen]);
        let (commands, _) = mpsc::channel(1);
        let (_, ended) = crossbeam_channel::bounded(0);
        Self { local, commands, board, ended }
    }

    /// Shows a peer as connected.
    pub(super) fn show_peer(&self, row: PeerRow) {
        self.board.write_peers(|peers| drop(peers.insert(row.peer, row)));
    }

    /// Shows a peer no more.
    pub(super) fn hide_peer(&self, peer: PeerKey) -> Option<PeerRow> {
        let mut row = None;
        self.board.write_peers(|peers| row = peers.remove(&peer));
        row
    }

    /// Hands over a command; blocks while the queue is full (not for long, because the swarm never waits). Not
    /// for async code.
    pub fn command(&self, command: SwarmCommand) {
        // A swarm that has ended does nothing more; what waits for an answer sees its sender dropped.
        let sent = match self.commands.try_send(command) {
            // Waiting costs more than sending.
            Err(TrySendError::Full(command)) => self.commands.blocking_send(command).map_err(|refused| refused.0),
            Err(TrySendError::Closed(command)) => Err(command),
            Ok(()) => Ok(()),
        };
        if let Err(SwarmCommand::Connect { done, .. }) = sent {
            // The caller may have stopped waiting.
            let _ = done.send(Err(ConnectError("this node has no network to dial through (any more)".to_owned())));
        }
    }

    /// Does what the engine asks for. Blocks as [`Self::command`] does.
    pub fn carry_out(&self, effect: PeerEffect) {
        self.command(SwarmCommand::Engine(effect));
    }

    /// The connected peers of our network.
    pub fn peers(&self) -> Vec<PeerRow> {
        self.board.peers.read().values().cloned().collect()
    }

    /// Where we listen, with `/p2p/<peer id>`.
    pub fn listen(&self) -> Vec<Multiaddr> {
        let listen = self.board.listen.read();
        listen.iter().map(|address| address.clone().with(Protocol::P2p(self.local))).collect()
    }

    /// Says goodbye to all peers and waits until that is done, at most a few seconds.
    pub fn shut_down(&self) {
        self.command(SwarmCommand::ShutDown);
        let _ = self.ended.recv_timeout(SHUT_DOWN_TIMEOUT);
    }
}
