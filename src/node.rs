//! The only place that knows tokio, libp2p, redb, files, threads and clocks: thin shells around the engine.
//!
//! | module | runs on | what it does |
//! | --- | --- | --- |
//! | [`inbox`], [`event`] | | leaves: the way into the engine, events for the user |
//! | [`driver`] | one thread | owns the engine: events in, effects out |
//! | [`swarm`] | one tokio task | the network |
//! | [`store`] | one thread that writes | the durable state; group commit |
//! | [`loader`] | one thread | reads the store for the engine and for peers |
//! | [`index`] | one thread | the places of transactions and records |
//! | [`checker`] | a thread for each core | the rules that need no state |
//! | [`miner`] | the configured number of threads | nonces |
//! | [`http`] | a runtime of its own | the API, events |
//! | [`page`] | | the files of the page, and the one that verifies receipts without a node |
//! | [`handle`] | any | the node, as its user's front ends see it |
//! | [`api`] | any | users' questions and answers as plain data, shared by all front ends |
//! | [`front`] | any | the same over an engine that lives elsewhere |
//! | [`watch`], [`watched`] | one thread | follows transactions for the user |
//! | [`lost`] | any | transactions that can no longer be mined |
//! | [`aliases`] | any | names for addresses |
//! | [`wallet`] | any | keys in files, and the one that signs |
//! | [`config`], [`keys`], [`telemetry`], [`prompt`] | the main thread | configuration, the identity, logs, the user |
//! | `private_file` | any | files for their owner alone |
//! | [`clock`] | any | the time of day |
//! | [`thread`] | | threads that report their failure |
//!
//! No two of them ever wait for each other; [`driver`] says who may wait for whom. A thread that fails ends the node
//! with one line.

pub mod aliases;
pub mod api;
pub mod checker;
pub mod clock;
pub mod config;
pub mod driver;
pub mod event;
#[cfg(test)]
pub(crate) mod fixture;
pub mod front;
pub mod handle;
pub mod http;
pub mod inbox;
pub mod index;
pub mod keys;
pub mod loader;
pub mod lost;
mod memory;
pub mod miner;
pub mod page;
pub(crate) mod private_file;
pub mod prompt;
pub mod store;
pub mod swarm;
pub mod telemetry;
pub mod thread;
pub mod wallet;
pub mod watch;
pub mod watched;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use libp2p::identity::Keypair;
use libp2p::metrics::Registry;
use tokio::runtime::Runtime;

use aliases::{AliasError, Aliases};
use api::rows::Identity;
use checker::Checker;
use config::Config;
use driver::{Driver, Inputs, Shells};
use event::UserEvent;
use handle::{Clock, Handle, Profile, Users};
use http::HttpError;
use inbox::EngineSender;
use index::ChainIndex;
use lost::Lost;
use miner::Miner;
use store::writer::{self, Writer};
use store::{FolderLock, Reader, Store, StoreError};
use swarm::{SwarmConfig, SwarmHandle};
use thread::Stoppable;
use wallet::Wallets;

use crate::engine::event::{Batch, LoadEffect};
use crate::engine::{Engine, EngineConfig};
use crate::protocol::Network;

/// Threads of the network's runtime at most: one for the swarm's task, one for the connections. On two cores, which the engine
/// and the checks need too, the second one gains less than waking it costs.
const RUNTIME_THREADS_MAX: usize = 2;
/// The time that the network's runtime has to finish at the end.
const RUNTIME_END_TIMEOUT: Duration = Duration::from_millis(500);

/// The reason why a node did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder or its content.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user's names for addresses.
    #[error(transparent)]
    Aliases(#[from] AliasError),
    /// The network: an address that can't be listened on, or that is none.
    #[error("{0:#}")]
    Swarm(anyhow::Error),
    /// The API's address or token.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The system gives no threads or no random numbers.
    #[error("the system refuses what every node needs: {0}")]
    System(#[from] io::Error),
}

impl StartError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Aliases(error) => error.code(),
            Self::Http(error) => error.code(),
            Self::Swarm(_) => "cannot_listen",
            Self::System(_) => "system",
        }
    }
}

/// A running node. Dropping it ends it, as [`Node::join`] does.
pub struct Node {
    handle: Handle,
    ended: Receiver<Option<String>>,
    running: Option<Running>,
}

struct Running {
    driver: Stoppable,
    swarm: Arc<SwarmHandle>,
    writer: JoinHandle<()>,
    loader: JoinHandle<()>,
    index: Option<(ChainIndex, JoinHandle<()>)>,
    watch: Stoppable,
    memory: Option<Stoppable>,
    http: Option<http::Server>,
    runtime: Runtime,
}

/// Starts a node that is `identity` to peers and signs with the wallet in use. Returns when it listens and has read its
/// store.
pub fn start(config: Config, identity: Keypair, wallets: Wallets) -> Result<Node, StartError> {
    let lock = FolderLock::acquire(&config.data_dir, &config.name)?;
    let aliases = Aliases::open(&config.data_dir)?;
    let notes = lock.notes();
    let (store, stored) = Store::open(lock, &config.network)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::from)?;
    let mut engine = Engine::new(
        EngineConfig {
            network: Arc::clone(&config.network),
            account: wallets.address(),
            nickname: config.name.clone(),
            seed,
            mining: config.mine,
        },
        stored,
    );
    let view = engine.view();

    let (sender, queues) = EngineSender::new();
    let (users, ended) = Users::new();
    let users = Arc::new(users);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads((cores - 1).clamp(1, RUNTIME_THREADS_MAX))
        .thread_name("quipu-network")
        .enable_all()
        .build()?;
    let peer_id = identity.public().to_peer_id();
    let mut bound = config.http.as_ref().map(|http| http::Bound::new(http, &config.data_dir)).transpose()?;
    let (name, finds_peers) = (config.name.clone(), config.mdns);
    let http = bound.as_ref().map(http::Bound::address);
    let profile = Profile {
        network: Arc::clone(&config.network),
        peer_id,
        wallets,
        aliases,
        lost: Lost::open(&config.data_dir, &config.network),
        http,
        page: bound.as_ref().map(http::Bound::page),
        clock: Clock::Machine,
    };
    let (threads, network) = (config.threads, Arc::clone(&config.network));
    let index_folder = config.index.then(|| config.data_dir.clone());
    let swarm = start_swarm(config, identity, &runtime, &sender, &users, bound.as_mut().map(http::Bound::registry))?;
    let reader = store.reader();
    let index = index_folder.map(|folder| start_index(&folder, &reader, &network, &users)).transpose()?;
    let handle = Handle::new(
        profile,
        sender.clone(),
        reader.clone(),
        index.as_ref().map(|(index, _)| index.clone()),
        Arc::clone(&swarm),
        Arc::clone(&view),
        Arc::clone(&users),
    );

    let failed = {
        let handle = handle.clone();
        move |line| handle.fail(line)
    };
    let (writer, batches) = Writer::new(&store);
    let writer_thread = spawn_writer(store, batches, &handle, sender.clone(), failed.clone())?;
    let (loader, loads) = unbounded();
    let loader_thread = spawn_loader(reader, loads, sender.clone(), Arc::clone(&swarm), failed.clone())?;
    let checker = Checker::start(cores, &network, sender.clone(), failed.clone())?;
    let miner = Miner::start(threads, sender, failed.clone())?;
    let shells = Shells { swarm: Arc::clone(&swarm), writer, loader, checker, miner, user: handle.clone() };
    let watch = watch::start(handle.clone(), failed.clone())?;
    let memory = memory::start(failed.clone())?;
    let driver = Stoppable::spawn("engine", failed.clone(), move |stop| {
        Driver::new(engine, view, Inputs { queues, stop }, shells).run();
    })?;

    let serves = http.map(api::rows::url);
    notes.listens(swarm.listen().iter().map(ToString::to_string).chain(serves))?;
    let me = Identity::of(&handle, name, finds_peers);
    let http = bound.map(|bound| http::Server::start(bound, handle.clone(), me, failed)).transpose()?;
    users.ready(swarm.listen(), handle.http());
    let (writer, loader) = (writer_thread, loader_thread);
    let running = Running { driver, swarm, writer, loader, index, watch, memory, http, runtime };
    Ok(Node { handle, ended, running: Some(running) })
}

fn start_swarm(
    config: Config,
    keypair: Keypair,
    runtime: &Runtime,
    engine: &EngineSender,
    users: &Arc<Users>,
    metrics: Option<&mut Registry>,
) -> Result<Arc<SwarmHandle>, StartError> {
    let users = Arc::clone(users);
    let config = SwarmConfig {
        keypair,
        network: config.network,
        listen: config.listen,
        is_visit: false,
        peers: config.peers,
        mdns: config.mdns,
        folder: config.data_dir,
    };
    let swarm = swarm::start(config, runtime.handle(), engine.clone(), metrics, move |event| users.publish(event));
    swarm.map(Arc::new).map_err(StartError::Swarm)
}

fn start_index(
    folder: &Path,
    reader: &Reader,
    network: &Arc<Network>,
    users: &Arc<Users>,
) -> io::Result<(ChainIndex, JoinHandle<()>)> {
    let users = Arc::clone(users);
    ChainIndex::start(folder, reader.clone(), network, move |tip| users.publish(UserEvent::Indexed(tip)))
}

fn spawn_writer(
    store: Store,
    batches: Receiver<Vec<Batch>>,
    handle: &Handle,
    engine: EngineSender,
    failed: impl Fn(String) + Clone + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let index = handle.index().cloned();
    let committed = move || index.iter().for_each(ChainIndex::nudge);
    thread::spawn("store", failed.clone(), move || {
        if let Err(error) = writer::run(store, &batches, &engine, committed) {
            failed(error.to_string());
        }
    })
}

fn spawn_loader(
    reader: Reader,
    loads: Receiver<LoadEffect>,
    engine: EngineSender,
    swarm: Arc<SwarmHandle>,
    failed: impl Fn(String) + Clone + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::spawn("loader", failed.clone(), move || {
        match loader::run(&reader, &loads, &engine, |command| swarm.command(command)) {
            // The store closes before the last requests are read, when the node ends.
            Ok(()) | Err(StoreError::Closed) => {}
            Err(error) => failed(error.to_string()),
        }
    })
}

impl Node {
    /// The user's handle.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until the node is asked to end or cannot go on, and ends it in order. An error says why it could not go
    /// on.
    pub fn join(mut self) -> Result<(), String> {
        let end = self.ended.recv().expect("the handle of this node holds a sender");
        self.stop();
        // A part may have failed while the node was asked to end.
        end.into_iter().chain(self.ended.try_iter().flatten()).next().map_or(Ok(()), Err)
    }

    /// Ends the parts that ask before the parts that answer, so that no part waits for one that has ended.
    fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        let Running { driver, swarm, writer, loader, index, watch, memory, http, runtime } = running;
        self.handle.refuse_commands();
        let (watch, memory) = (watch.signal(), memory.map(Stoppable::signal));
        // The engine's thread ends, and with it those of the miner and the checker. A thread that panicked has reported
        // it.
        driver.stop();
        // The last messages of the engine go out before the goodbyes.
        swarm.shut_down();
        // Blocks that the index does not reach now are indexed at the next startup.
        let index = index.map(|(index, thread)| {
            index.stop();
            thread
        });
        // The queue is written and answered, then the database is closed and the folder unlocked.
        let _ = writer.join();
        let _ = loader.join();
        let _ = index.map(JoinHandle::join);
        // Commands that are still open are refused.
        self.handle.close();
        let _ = watch.join();
        let _ = memory.map(JoinHandle::join);
        if let Some(http) = http {
            http.stop();
        }
        runtime.shutdown_timeout(RUNTIME_END_TIMEOUT);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
pub(crate) mod tests;
