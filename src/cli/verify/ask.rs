//! Asks a chain whether a block is on it: the store in a data folder, or a running node over the sync protocol.
//!
//! A locked store belongs to a running node, which notes in the lock file where it listens. The asking program is a
//! peer like any other, with a new identity and no chain: it makes one connection, refuses all requests, and leaves.
//! Takes no longer than [`ASK_TIMEOUT`] and the goodbyes.
//!
//! Not here: proof. A node's answer is its word.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select};
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use tokio::runtime::Runtime;

use crate::engine::Event;
use crate::engine::event::{Key, PeerEffect, PeerKey, Place};
use crate::node::clock::unix_now;
use crate::node::inbox::{EngineSender, Queues};
use crate::node::store::{FolderLock, Store, StoreError};
use crate::node::swarm::{self, SwarmCommand, SwarmConfig, SwarmHandle};
use crate::protocol::{Height, Network, Request, Response, Status, Work};

/// Time for reaching a node and for its answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(7);
/// Repeated questions to a node whose chain grew between two of its answers.
const ATTEMPTS_MAX: u64 = 4;
/// The asking program's name in the folder's lock and in lists of peers.
const NAME: &str = "verify";

/// The chain to ask.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whom<'a> {
    Folder(&'a Path),
    Node(&'a Multiaddr),
}

/// A chain's answer about a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// The block is on the best chain.
    pub(super) is_best: bool,
    /// The height of the best chain.
    pub(super) height: Height,
}

/// The reason why there was no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No node has used the folder.
    #[error("{} holds no chain: choose another --data-dir, or ask a node with --node=ADDRESS", .0.display())]
    NoChain(PathBuf),
    /// The data folder can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder's node holds the lock, but listens nowhere yet.
    #[error("the node of {} is still starting: try again in a moment", .0.display())]
    Starting(PathBuf),
    /// The node can't be connected to, or speaks another network.
    #[error("the node can't be asked: {0}")]
    Unreachable(String),
    /// The node did not answer.
    #[error("the node at {address} did not answer within {} s: try again, or ask another", ASK_TIMEOUT.as_secs())]
    Silent { address: Multiaddr },
    /// The system gives no threads, no random numbers or no folder for temporary files.
    #[error("the system refuses what asking a node needs: {0}")]
    System(#[from] io::Error),
}

/// Whether a block is on the best chain of the asked node or folder.
pub(super) fn ask(whom: Whom<'_>, network: &Arc<Network>, block: Place) -> Result<Standing, AskError> {
    match whom {
        Whom::Folder(folder) if !Store::is_in(folder) => Err(AskError::NoChain(folder.to_owned())),
        Whom::Folder(folder) => match FolderLock::acquire(folder, NAME) {
            Ok(lock) => look(lock, network, block),
            Err(StoreError::Locked { .. }) => ask_holder(folder, network, block),
            Err(error) => Err(error.into()),
        },
        Whom::Node(address) => ask_any(std::slice::from_ref(address), network, block),
    }
}

fn look(lock: FolderLock, network: &Arc<Network>, block: Place) -> Result<Standing, AskError> {
    let (store, _) = Store::open(lock, network)?;
    let snapshot = store.reader().snapshot()?;
    let is_best = snapshot.block(&block.id)?.is_some_and(|(_, is_best)| is_best);
    Ok(Standing { is_best, height: snapshot.tip().height })
}

fn ask_holder(folder: &Path, network: &Arc<Network>, block: Place) -> Result<Standing, AskError> {
    let listens = FolderLock::holder_listens(folder);
    let mut addresses: Vec<Multiaddr> = listens.iter().filter_map(|address| address.parse().ok()).collect();
    if addresses.is_empty() {
        return Err(AskError::Starting(folder.to_owned()));
    }
    // It is on this machine, so loopback is the surest way.
    addresses.sort_by_key(|address| !address.to_string().contains("/127.0.0.1/"));
    ask_any(&addresses, network, block)
}

/// Asks the node at the first of its addresses that is reached.
fn ask_any(addresses: &[Multiaddr], network: &Arc<Network>, block: Place) -> Result<Standing, AskError> {
    let folder = TemporaryFolder::new()?;
    let caller = Caller::start(network, &folder.0)?;
    let mut result = Err(AskError::Unreachable("no address".to_owned()));
    for address in addresses {
        result = caller.connect(address).and_then(|peer| caller.standing(peer, address, block));
        if !matches!(result, Err(AskError::Unreachable(_))) {
            break;
        }
    }
    caller.end();
    result
}

/// A swarm with nothing behind it.
struct Caller {
    swarm: SwarmHandle,
    offered: Receiver<Event>,
    results: Receiver<Event>,
    network: Arc<Network>,
    until: Instant,
    runtime: Runtime,
}

impl Caller {
    fn start(network: &Arc<Network>, folder: &Path) -> Result<Self, AskError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (engine, Queues { offered, results, .. }) = EngineSender::new();
        let config = SwarmConfig {
            keypair: Keypair::generate_ed25519(),
            network: Arc::clone(network),
            listen: vec![],
            is_visit: true,
            peers: vec![],
            mdns: false,
            folder: folder.to_owned(),
        };
        let swarm = swarm::start(config, runtime.handle(), engine, None, |_| {})
            .map_err(|error| AskError::Unreachable(format!("{error:#}")))?;
        let until = Instant::now() + ASK_TIMEOUT;
        Ok(Self { swarm, offered, results, network: Arc::clone(network), until, runtime })
    }

    fn connect(&self, address: &Multiaddr) -> Result<PeerKey, AskError> {
        let (done, connected) = bounded(1);
        self.swarm.command(SwarmCommand::Connect { address: address.clone(), done });
        match connected.recv_deadline(self.until) {
            Ok(Ok(row)) => Ok(row.peer),
            Ok(Err(error)) => Err(AskError::Unreachable(error.to_string())),
            Err(_) => Err(AskError::Silent { address: address.clone() }),
        }
    }

    /// A node answers with the headers that follow a block on its best chain, or else with those from genesis on.
    fn standing(&self, peer: PeerKey, address: &Multiaddr, block: Place) -> Result<Standing, AskError> {
        let unexpected = || AskError::Unreachable(format!("{address} answers what was not asked: ask another"));
        for attempt in 0..ATTEMPTS_MAX {
            let status = Request::Status(self.status());
            let Response::Status(status) = self.exchange(peer, address, Key(2 * attempt), status)? else {
                return Err(unexpected());
            };
            let headers = Request::Headers { locator: vec![block.id].into() };
            let Response::Headers(headers) = self.exchange(peer, address, Key(2 * attempt + 1), headers)? else {
                return Err(unexpected());
            };
            let height = status.height;
            match headers.first() {
                Some(first) => return Ok(Standing { is_best: first.parent == block.id, height }),
                None if status.tip == block.id => return Ok(Standing { is_best: true, height }),
                None if height == Height::GENESIS => return Ok(Standing { is_best: false, height }),
                // The block became the tip after the status was sent.
                None => {}
            }
        }
        Err(AskError::Silent { address: address.clone() })
    }

    /// The status of a node without a chain, as this program is one.
    fn status(&self) -> Status {
        Status {
            tip: self.network.genesis_id(),
            height: Height::GENESIS,
            work: Work::ZERO,
            clock: unix_now(),
            pending: 0,
            nickname: NAME.bytes().collect(),
        }
    }

    /// Asks, and refuses what the peer asks meanwhile.
    fn exchange(&self, peer: PeerKey, address: &Multiaddr, key: Key, request: Request) -> Result<Response, AskError> {
        self.swarm.carry_out(PeerEffect::Ask { peer, key, request });
        loop {
            let event = select! {
                recv(self.results) -> event => event,
                recv(self.offered) -> event => event,
                default(self.until.saturating_duration_since(Instant::now())) => {
                    return Err(AskError::Silent { address: address.clone() });
                }
            };
            let gone = |_| AskError::Unreachable(format!("{address} has hung up: try again"));
            match event.map_err(gone)? {
                Event::Response { key: answered, result, .. } if answered == key => {
                    return result.map_err(|_| AskError::Silent { address: address.clone() });
                }
                Event::Request { ticket, .. } => self.swarm.carry_out(PeerEffect::Reply { ticket, response: None }),
                Event::PeerDisconnected { peer: gone } if gone == peer => {
                    return Err(AskError::Unreachable(format!("{address} has hung up: try again")));
                }
                _ => {}
            }
        }
    }

    fn end(self) {
        self.swarm.shut_down();
        self.runtime.shutdown_background();
    }
}

/// A folder for the peers that the swarm remembers, which are of no use here. Removed when it is dropped.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::from)?;
        let folder = std::env::temp_dir().join(format!("quipu-verify-{}", hex::encode(random)));
        // Fails if the folder exists: then it belongs to another process.
        std::fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // A leftover is a few bytes in a folder that the system empties.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
