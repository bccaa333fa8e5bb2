//! Real prompts over a virtual network: what one types is carried out by the node's own parser and jobs, on a real store,
//! index and wallet; engines, network, disks, clocks and miners are those of the simulator.
//!
//! | real | virtual |
//! | --- | --- |
//! | the engine; commands and their JSON; `chain.redb`, `index.redb`, wallets, names, receipts; proofs of work | links and gossip, what a write takes and what a crash loses, the time of day, when a miner finds a nonce |
//!
//! Always so: virtual time stands still but for [`Rehearsal::run`] and for a command that waits for its engine. What a
//! prompt sees is in the node's real store, and at each start the store and the virtual disk hold the same. The same calls
//! on a rehearsal with the same seed give the same ids, answers and trace, as long as no line asks for chance (`wallet new`
//! does) and no file outside differs.
//!
//! Not here: sockets, so `connect ADDRESS` finds nobody (links are made in the [`World`]); changes of a transaction's life
//! told by themselves; how long a wallet stays unlocked, which the machine's clock measures.

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
use crate::sim::clock::{self, Clock};
use crate::sim::event_log::LogEntry;
use crate::sim::id::NodeId;
use crate::sim::miner::HashRate;
use crate::sim::world::World;

/// What a node's miner tries in a virtual second: about what a real one does, on one thread.
const HASHES_PER_SECOND: u64 = 4 << 20;
/// All clocks begin so long after the genesis of their network.
const CLOCK_START: Millis = Millis::from_secs(3600);
/// What nodes do in this time is kept in memory until prompts see it.
const STEP: Millis = Millis(100);
/// Batches that wait to be written to a real store until somebody looks at it.
const BATCHES_MAX: usize = 256;

/// Why a rehearsal can't go on: the machine refuses what a real node needs, too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RehearsalError {
    /// A node does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its wallets can't be used.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// What happened can't be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Nodes with prompts, in a virtual network.
pub struct Rehearsal {
    world: World,
    /// By their numbers.
    players: Vec<Player>,
}

struct Player {
    name: String,
    folder: PathBuf,
    files: PathBuf,
    passwords: Sources,
    /// While it runs.
    front: Option<DetachedNode>,
    /// While it runs, and does not type.
    typist: Option<Typist>,
    /// What the virtual disk holds and the real store does not yet.
    batches: Vec<Batch>,
}

impl Rehearsal {
    /// Without nodes.
    pub fn new(network: Network, seed: u64) -> Self {
        Self { world: World::new(network, seed), players: Vec::new() }
    }

    /// Adds a node that does not run yet, and has no links. Its data goes to `folder`; files that are named at its prompt
    /// are in `files`. Its name decides its keys.
    pub fn add(&mut self, name: &str, folder: &Path, files: &Path, passwords: Sources) -> NodeId {
        let node = self.world.add_named_node(name);
        let start = self.world.network().parameters().genesis_time + CLOCK_START;
        self.world.set_clock(node, Clock { offset_millis: start.signed_since(clock::START), drift_ppm: 0 });
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

    /// Since the rehearsal began.
    pub fn now(&self) -> Millis {
        self.world.now()
    }

    /// The network around the nodes: links, cuts, time that has passed. Whoever starts, ends or commands nodes in there
    /// leaves their prompts behind.
    pub fn world(&mut self) -> &mut World {
        &mut self.world
    }

    /// Starts a node that does not run, from what is in its folder.
    ///
    /// # Panics
    ///
    /// If the folder holds something else than the node has written there: our own fault, or somebody else's.
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
        assert_eq!(parts(stored), parts(disk), "the store holds what was persisted");
        front.set_clock(self.world.time_of_day(node));
        player.typist = Some(Typist::new(front.handle(), &player.name, player.files.clone(), player.passwords.clone()));
        player.front = Some(front);
        Ok(())
    }

    /// Cuts a running node's power: what is not persisted is lost.
    pub fn kill(&mut self, node: NodeId) -> Result<(), RehearsalError> {
        self.catch_up()?;
        self.world.crash(node);
        self.close(node)
    }

    /// Ends a running node in order: what its disk was given is written.
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

    /// Types a line at the prompt of a running node. Time goes on until it is answered, at most for so long. The answer is a
    /// line of JSON; `None`: none in time, or there is nothing in the line.
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
        // The job waits for its engine, and the engine for the time that goes on here. Only one of the two ever runs.
        let answer = thread::scope(|scope| {
            let (done, answered) = bounded(1);
            let typist = &typist;
            scope.spawn(move || done.send(typist.answer(line)));
            let mut in_time = true;
            loop {
                select! {
                    recv(commands) -> command => {
                        let command = command.expect("the front is there, and sends");
                        // The scope waits for the job, so nothing may keep that one waiting.
                        in_time &= self.carry_out(node, command, until).inspect_err(|_| self.front(node).close())?;
                    }
                    recv(answered) -> answer => return Ok(answer.ok().flatten().filter(|_| in_time)),
                }
            }
        });
        self.players[node.0 as usize].typist = Some(typist);
        answer
    }

    /// Has the engine carry out a command. Whether it was answered in time; if not, the prompt is told that the node ends.
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

    /// What a running node's user was told since the last time, a line of JSON for each.
    ///
    /// # Panics
    ///
    /// If the node does not run.
    pub fn events(&mut self, node: NodeId) -> Result<Vec<String>, RehearsalError> {
        self.catch_up()?;
        self.write(node)?;
        Ok(self.players[node.0 as usize].typist.as_mut().expect("the node runs").events())
    }

    /// Lets time go on.
    pub fn run(&mut self, span: Millis) -> Result<(), RehearsalError> {
        let end = self.world.now() + span;
        while self.world.now() < end {
            self.world.run_for(STEP.min(end.saturating_sub(self.world.now())));
            self.catch_up()?;
        }
        Ok(())
    }

    /// Copies a running node's chain to another folder, as a power cut would leave it now.
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
                    // One that is gone by now was never of any use.
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

    /// Writes what is persisted to the real store. To be called before anybody looks.
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

/// The same for the same purpose and name, in every rehearsal: nothing in one is worth anything outside.
fn seed(purpose: &str, name: &str) -> [u8; 32] {
    tagged_hash("quipu rehearsal 1", &[purpose.as_bytes(), &[0], name.as_bytes()])
}

/// What is compared. An account that never was, and one that a reorganisation has emptied again, are the same.
fn parts(stored: Stored) -> impl PartialEq + std::fmt::Debug {
    let Stored { headers, tip, mut accounts, pending, checkpoint } = stored;
    accounts.retain(|(_, account)| *account != Account::default());
    let headers: Vec<_> = headers.into_iter().map(|stored| (stored.id, stored.condemned)).collect();
    (headers, tip, accounts, pending, checkpoint)
}

#[cfg(test)]
mod tests;
