//! Real prompts over a virtual network: the node's own parser and jobs carry out typed lines, on a real store, index
//! and wallet; engines, network, disks, clocks and miners are the simulator's.
//!
//! | real | virtual |
//! | --- | --- |
//! | the engine; commands and their JSON; `chain.redb`, `index.redb`, wallets, names, receipts; proofs of work | links and gossip, the duration of writes and the losses of crashes, the time of day, the time at which a miner finds a nonce |
//!
//! Always true: virtual time stands still except during [`Rehearsal::run`] and while a command waits for its engine. A
//! prompt sees only data of the node's real store, and at each start the store and the virtual disk hold the same. The
//! same calls on a rehearsal with the same seed give the same ids, answers and trace, as long as no line draws random
//! bytes (`wallet new` does) and no file outside differs.
//!
//! Not here: sockets, so `connect ADDRESS` finds nobody (links are made in the [`World`]); unprompted reports of a
//! watched transaction; the lock timeout of wallets, which the machine's clock measures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{bounded, select};

use crate::engine::Event;
use crate::engine::event::{Batch, CommandError, Stored};
use crate::node::StartError;
use crate::node::event::UserEvent;
use crate::node::front::{DetachedNode, FrontOptions};
use crate::node::keys::identity_of;
use crate::node::prompt::Typist;
use crate::node::store::StoreError;
use crate::node::wallet::password::Sources;
use crate::node::wallet::{WalletError, Wallets};
use crate::protocol::hash::tagged_hash;
use crate::protocol::{Account, Millis, Network};
use crate::sim::clock::{self, WallClock};
use crate::sim::event_log::LogEntry;
use crate::sim::id::NodeId;
use crate::sim::miner::HashRate;
use crate::sim::world::World;

/// A node's hash rate, in hashes per virtual second: about that of one thread of a real miner.
const HASHES_PER_SECOND: u64 = 4 << 20;
/// The time between the genesis of a network and the start of all clocks.
const CLOCK_START: Millis = Millis::from_secs(3600);
/// The longest span that runs before prompts catch up with their nodes.
const STEP: Millis = Millis(100);
/// Batches that wait to be written to a real store until somebody looks at it.
const BATCHES_MAX: usize = 256;

/// The reason why a rehearsal cannot go on: real nodes' parts can fail for reasons of the machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RehearsalError {
    /// A node does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A node's wallets cannot be used.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// A node's batches cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Nodes with prompts, in a virtual network.
pub struct Rehearsal {
    world: World,
    /// The players, by the numbers of their nodes.
    players: Vec<Player>,
}

struct Player {
    name: String,
    folder: PathBuf,
    files: PathBuf,
    passwords: Sources,
    /// Present while the node runs.
    front: Option<DetachedNode>,
    /// Present while the node runs and does not type.
    typist: Option<Typist>,
    /// Batches on the virtual disk that the real store lacks.
    batches: Vec<Batch>,
}

impl Rehearsal {
    /// A rehearsal without nodes.
    pub fn new(network: Network, seed: u64) -> Self {
        Self { world: World::new(network, seed), players: Vec::new() }
    }

    /// Adds a node that does not run yet, and has no links. Its data goes to `folder`; files named at its prompt are in
    /// `files`. Its name decides its keys.
    pub fn add(&mut self, name: &str, folder: &Path, files: &Path, passwords: Sources) -> NodeId {
        let node = self.world.add_named_node(name);
        let start = self.world.network().parameters().genesis_time + CLOCK_START;
        self.world.set_clock(node, WallClock { offset_millis: start.signed_since(clock::START), drift_ppm: 0 });
        self.world.set_hash_rate(node, HashRate::PerHour(HASHES_PER_SECOND * 3600));
        self.players.push(Player {
            name: name.to_owned(),
            folder: folder.to_owned(),
            files: files.to_owned(),
            passwords,
            front: None,
            typist: None,
            batches: Vec::new(),
        });
        node
    }

    /// The virtual time since the rehearsal began.
    pub fn now(&self) -> Millis {
        self.world.now()
    }

    /// The network around the nodes: links, cuts, the time. To start, stop or command nodes there bypasses their
    /// prompts.
    pub fn world(&mut self) -> &mut World {
        &mut self.world
    }

    /// Starts a stopped node from the data in its folder.
    ///
    /// # Panics
    ///
    /// If the folder holds other data than the node has written there.
    pub fn start(&mut self, node: NodeId) -> Result<(), RehearsalError> {
        let player = self.player(node);
        let password = player.passwords.given()?;
        let wallets = Wallets::open_seeded(&player.folder, seed("account", &player.name), password)?;
        self.world.set_address(node, wallets.address());
        let disk = self.world.disk(node).stored();
        self.world.start(node);
        let view = self.world.view(node);
        let network = Arc::clone(self.world.network());
        let player = &mut self.players[node.0 as usize];
        let identity = identity_of(seed("peer", &player.name));
        let opened = DetachedNode::open(FrontOptions {
            folder: &player.folder,
            name: &player.name,
            number: node.0.into(),
            network: &network,
            identity: &identity,
            wallets,
            view,
        });
        let (front, stored) = opened.inspect_err(|_| self.world.crash(node))?;
        assert_eq!(parts(stored), parts(disk), "the store holds the persisted data");
        front.set_clock(self.world.time_of_day(node));
        player.typist = Some(Typist::new(front.handle(), &player.name, player.files.clone(), player.passwords.clone()));
        player.front = Some(front);
        Ok(())
    }

    /// Cuts a running node's power: unwritten data is lost.
    pub fn kill(&mut self, node: NodeId) -> Result<(), RehearsalError> {
        self.catch_up()?;
        self.world.crash(node);
        self.close(node)
    }

    /// Stops a running node in order: the queue of its disk is written.
    pub fn stop(&mut self, node: NodeId) -> Result<(), RehearsalError> {
        self.catch_up()?;
        self.world.stop(node);
        self.close(node)
    }

    fn close(&mut self, node: NodeId) -> Result<(), RehearsalError> {
        self.catch_up()?;
        self.write(node)?;
        let player = &mut self.players[node.0 as usize];
        (player.front, player.typist) = (None, None);
        Ok(())
    }

    /// Types a line at the prompt of a running node. Time advances until it is answered, at most for `within`. Returns
    /// a line of JSON; `None` if the line is empty or not answered in time.
    ///
    /// # Panics
    ///
    /// If the node does not run.
    pub fn type_line(&mut self, node: NodeId, line: &str, within: Millis) -> Result<Option<String>, RehearsalError> {
        self.catch_up()?;
        self.write(node)?;
        let typist = self.players[node.0 as usize].typist.take().expect("the node runs");
        let commands = self.front(node).commands().clone();
        let until = self.world.now() + within;
        // The job waits for its engine, and the engine for the time that advances here. Only one of the two ever runs.
        let answer = thread::scope(|scope| {
            let (done, answered) = bounded(1);
            let typist = &typist;
            scope.spawn(move || done.send(typist.answer(line)));
            let mut in_time = true;
            loop {
                select! {
                    recv(commands) -> command => {
                        let command = command.expect("the front is there, and sends");
                        // The scope waits for the job, so nothing may keep the job waiting.
                        in_time &= self.carry_out(node, command, until).inspect_err(|_| self.front(node).close())?;
                    }
                    recv(answered) -> answer => return Ok(answer.ok().flatten().filter(|_| in_time)),
                }
            }
        });
        self.players[node.0 as usize].typist = Some(typist);
        answer
    }

    /// Has the engine carry out a command. Returns whether it was answered in time; if not, the prompt is told that the
    /// node stops.
    fn carry_out(&mut self, node: NodeId, event: Event, until: Millis) -> Result<bool, RehearsalError> {
        let Event::Command { ticket, command } = event else { unreachable!("a user only gives commands: {event:?}") };
        let begun = self.world.begin(node, command);
        loop {
            if let Some(answer) = self.world.take_answer(node, begun) {
                self.write(node)?;
                self.front(node).answer(ticket, answer);
                return Ok(true);
            }
            if self.world.now() >= until {
                self.front(node).answer(ticket, Err(CommandError::Closing));
                return Ok(false);
            }
            self.run(Millis(1))?;
        }
    }

    /// The events that a running node's user was told since the last call, a line of JSON each.
    ///
    /// # Panics
    ///
    /// If the node does not run.
    pub fn events(&mut self, node: NodeId) -> Result<Vec<String>, RehearsalError> {
        self.catch_up()?;
        self.write(node)?;
        Ok(self.players[node.0 as usize].typist.as_mut().expect("the node runs").events())
    }

    /// Advances the time.
    pub fn run(&mut self, span: Millis) -> Result<(), RehearsalError> {
        let end = self.world.now() + span;
        while self.world.now() < end {
            self.world.run_for(STEP.min(end.saturating_sub(self.world.now())));
            self.catch_up()?;
        }
        Ok(())
    }

    /// Copies a running node's chain to another folder, in the state that a power cut would leave now.
    ///
    /// # Panics
    ///
    /// If the node does not run.
    pub fn copy_chain(&mut self, node: NodeId, folder: &Path) -> Result<(), RehearsalError> {
        self.write(node)?;
        Ok(self.front(node).copy_chain(folder)?)
    }

    /// Brings the prompts up to the virtual present.
    fn catch_up(&mut self) -> Result<(), RehearsalError> {
        for node in self.world.nodes() {
            let entries = self.world.take_event_log(node);
            if self.player(node).front.is_none() {
                continue;
            }
            self.front(node).set_clock(self.world.time_of_day(node));
            for entry in entries {
                let front = self.front(node);
                match entry {
                    LogEntry::Written(batch) => self.players[node.0 as usize].batches.push(batch),
                    LogEntry::Told(notice) => front.tell(UserEvent::Notice(notice)),
                    LogEntry::Shown(view) => front.show(view),
                    // A session that is gone by now was never of any use.
                    LogEntry::Joined { session, peer } => {
                        self.player(peer).front.iter().for_each(|peer| front.meet(session, peer.handle()));
                    }
                    LogEntry::Left { session } => front.part(session),
                }
            }
            if self.player(node).batches.len() > BATCHES_MAX {
                self.write(node)?;
            }
        }
        Ok(())
    }

    /// Writes persisted batches to the real store. To be called before anybody reads it.
    fn write(&mut self, node: NodeId) -> Result<(), RehearsalError> {
        let player = &mut self.players[node.0 as usize];
        let batches = std::mem::take(&mut player.batches);
        Ok(player.front.iter_mut().try_for_each(|front| front.write(&batches))?)
    }

    fn player(&self, node: NodeId) -> &Player {
        &self.players[node.0 as usize]
    }

    fn front(&self, node: NodeId) -> &DetachedNode {
        self.player(node).front.as_ref().expect("the node runs")
    }
}

/// A seed that depends on its arguments alone, and so is the same in every rehearsal: no key of a rehearsal is worth
/// anything outside.
fn seed(purpose: &str, name: &str) -> [u8; 32] {
    tagged_hash("quipu rehearsal 1", &[purpose.as_bytes(), &[0], name.as_bytes()])
}

/// The parts of a store that are compared. An account that was never used equals one that a reorganisation has emptied.
fn parts(stored: Stored) -> impl PartialEq + std::fmt::Debug {
    let Stored { headers, tip, mut accounts, pending, checkpoint } = stored;
    accounts.retain(|(_, account)| *account != Account::default());
    let headers: Vec<_> = headers.into_iter().map(|stored| (stored.id, stored.condemned)).collect();
    (headers, tip, accounts, pending, checkpoint)
}

#[cfg(test)]
mod tests;
