//! The user's side of a node over an engine that lives elsewhere: a [`Handle`] with a real store, index, wallets and
//! names, but no network, engine, clock or miner behind it.
//!
//! The owner of the engine takes the commands from [`DetachedNode::commands`] and answers them. It must keep the
//! promise that nothing is seen before it is durable: [`DetachedNode::write`] before [`DetachedNode::answer`],
//! [`DetachedNode::tell`] and [`DetachedNode::show`]. Nothing in here runs by itself but the index, which follows the
//! store.
//!
//! Not here: following transactions. [`watch`](super::watch) asks the engine of its own accord, at moments that depend
//! on threads. `watch ID` answers; nothing is reported afterwards.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;

use super::aliases::Aliases;
use super::event::{PeerRow, UserEvent};
use super::handle::{Clock, Handle, Profile, Users};
use super::inbox::{EngineSender, Queues};
use super::index::ChainIndex;
use super::lost::Lost;
use super::store::{FolderLock, Store, StoreError};
use super::swarm::SwarmHandle;
use super::wallet::Wallets;
use super::{StartError, start_index};
use crate::engine::event::{Answer, Batch, CommandError, PeerKey, Stored, Ticket};
use crate::engine::{Event, View};
use crate::protocol::{Network, UnixMillis};

/// A data folder and everything behind its user's handle. Dropping it closes the store and unlocks the folder.
pub struct DetachedNode {
    handle: Handle,
    commands: Receiver<Event>,
    swarm: Arc<SwarmHandle>,
    clock: Arc<AtomicU64>,
    /// `None` when it ends.
    store: Option<Store>,
    index: Option<(ChainIndex, JoinHandle<()>)>,
}

/// The options of a [`DetachedNode`].
pub struct FrontOptions<'a> {
    /// Its data folder.
    pub folder: &'a Path,
    pub name: &'a str,
    /// Its number, unique among those that are shown to each other as peers: its address is `/memory/NUMBER`.
    pub number: u64,
    /// The network of its chain.
    pub network: &'a Arc<Network>,
    /// Its identity towards peers.
    pub identity: &'a Keypair,
    pub wallets: Wallets,
    /// The first view that its user sees.
    pub view: Arc<View>,
}

impl DetachedNode {
    /// Opens its folder, or makes it. Also returns the stored state, from which its engine must have started.
    pub fn open(options: FrontOptions<'_>) -> Result<(Self, Stored), StartError> {
        let FrontOptions { folder, name, number, network, identity, wallets, view } = options;
        let lock = FolderLock::acquire(folder, name)?;
        let aliases = Aliases::open(folder)?;
        let (store, stored) = Store::open(lock, network)?;
        let (engine, Queues { commands, .. }) = EngineSender::new();
        let (users, _) = Users::new();
        let users = Arc::new(users);
        let listen = Multiaddr::empty().with(Protocol::Memory(number));
        let (peer_id, clock) = (identity.public().to_peer_id(), Arc::new(AtomicU64::new(0)));
        let swarm = Arc::new(SwarmHandle::absent(peer_id, listen));
        let reader = store.reader();
        let index = start_index(folder, &reader, network, &users)?;
        let (network, set) = (Arc::clone(network), Clock::Set(Arc::clone(&clock)));
        let lost = Lost::open(folder, &network);
        let profile = Profile { network, peer_id, wallets, aliases, lost, http: None, page: None, clock: set };
        let user_index = Some(index.0.clone());
        let handle = Handle::new(profile, engine, reader, user_index, Arc::clone(&swarm), view, Arc::clone(&users));
        users.ready(handle.listen(), None);
        Ok((Self { handle, commands, swarm, clock, store: Some(store), index: Some(index) }, stored))
    }

    /// The user's handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// [`Event::Command`]s of the user, each to be answered once.
    pub fn commands(&self) -> &Receiver<Event> {
        &self.commands
    }

    /// Writes batches in their order, in one durable commit.
    pub fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        if !batches.is_empty() {
            self.store.as_mut().expect("only dropping takes it").write(batches)?;
            self.index.iter().for_each(|(index, _)| index.nudge());
        }
        Ok(())
    }

    /// Copies the chain to another folder, in the state that a power cut would leave behind now.
    pub fn copy_chain(&self, folder: &Path) -> Result<(), StoreError> {
        self.store.as_ref().expect("only dropping takes it").copy_to(folder)
    }

    /// Answers a command.
    pub fn answer(&self, ticket: Ticket, answer: Result<Answer, CommandError>) {
        self.handle.answer(ticket, answer);
    }

    /// Refuses all commands, open and future ones.
    pub fn close(&self) {
        self.handle.close();
    }

    /// Reports an event to the user.
    pub fn tell(&self, event: UserEvent) {
        self.handle.publish(event);
    }

    /// Shows the user this state.
    pub fn show(&self, view: Arc<View>) {
        self.handle.show(view);
    }

    /// Sets the user's clock.
    pub fn set_clock(&self, now: UnixMillis) {
        self.clock.store(now.0, Ordering::Relaxed);
    }

    /// Shows the user a peer, and reports its connection. The lower number has dialled.
    pub fn meet(&self, session: PeerKey, other: &Handle) {
        let (Some(address), Some(own)) = (number_of(other), number_of(&self.handle)) else { return };
        let row = PeerRow {
            peer: session,
            peer_id: other.peer_id(),
            address: Multiaddr::empty().with(Protocol::Memory(address)),
            agent: concat!("quipu/", env!("CARGO_PKG_VERSION")).to_owned(),
            outbound: own < address,
            ping_millis: None,
        };
        self.swarm.show_peer(row.clone());
        self.tell(UserEvent::PeerConnected(row));
    }

    /// Removes a peer from the user's view, and reports the end of its connection.
    pub fn part(&self, session: PeerKey) {
        if let Some(row) = self.swarm.hide_peer(session) {
            self.tell(UserEvent::PeerDisconnected(row));
        }
    }
}

impl Drop for DetachedNode {
    fn drop(&mut self) {
        // The store takes its readers with it, and the index reads to its end.
        if let Some((index, thread)) = self.index.take() {
            index.stop();
            // A thread that panicked has reported it.
            let _ = thread.join();
        }
        drop(self.store.take());
        self.close();
    }
}

/// The number in the only address of a detached node.
fn number_of(handle: &Handle) -> Option<u64> {
    let listen = handle.listen();
    listen.first()?.iter().find_map(|part| if let Protocol::Memory(number) = part { Some(number) } else { None })
}
