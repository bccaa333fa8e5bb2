//! The surroundings of the engine under test: a disk that writes in order and loses the rest in a crash, checks that
//! end when the script says so, sessions, tickets; and the judge of all effects.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quipu::engine::event::{
    Answer, Batch, CheckEffect, Command, CommandError, Effect, Event, Fault, Gossip, Key, LoadEffect, MineEffect,
    MiningMode, Notice, Now, PeerEffect, PeerKey, Place, StoreEffect, Ticket, UserEffect, Wake, Write,
};
use quipu::engine::{Engine, EngineConfig, View};
use quipu::protocol::check::{check_block, check_header, check_transactions};
use quipu::protocol::encode::encode;
use quipu::protocol::hash::sha256;
use quipu::protocol::{Address, Header, Millis, Request, SignedTransaction, UnixMillis, Wei};
use quipu::sim::disk::VirtualDisk;
use quipu::sim::reference::Model;

use super::pool::{ANY_TIME, ScriptPool};

/// The age of the network when the script begins, so that some of the pool's blocks are too early.
const START_AGE: Millis = Millis(300_000);
/// The longest time, bans and timeouts included, in which one honest peer must have brought the best chain, in virtual
/// time.
const CATCH_UP_TIMEOUT: Millis = Millis(120_000);
/// Steps of time while waiting.
const STEP: Millis = Millis(500);
/// Hashes tried for a block of the engine's own.
const HASHES_MAX: u64 = 100_000;
/// Bounds that no script may exceed; the engine's own constants have the same values.
const BOUNDS: [(&str, usize); 10] = [
    ("cached_body_bytes", 32 << 20),
    ("mempool_bytes", 128 << 20),
    ("orphan_bytes", 8 << 20),
    ("requested_blocks", 2 * 8_192),
    ("unchecked_transactions", 65_536),
    ("unchecked_bytes", 32 << 20),
    ("judged_bundles", 65_536 + 4 * 256),
    ("transactions_to_announce", 256),
    ("refused_transactions", 16_384),
    ("orphans", 32 * 6),
];
/// Containers that must be empty when no peer is there and everything has been answered.
const EMPTY_AT_REST: [&str; 8] = [
    "peers",
    "orphans",
    "requested_blocks",
    "unchecked_transactions",
    "unchecked_bytes",
    "judged_bundles",
    "transactions_to_announce",
    "checks",
];

/// A task of the disk; tasks are done one after the other.
enum Disked {
    Write(Batch),
    Load { key: Key, places: Vec<Place> },
}

/// The engine's surroundings.
pub(super) struct FuzzShell<'a> {
    pub(super) pool: &'a ScriptPool,
    engine: Engine,
    disk: VirtualDisk,
    model: Model,
    elapsed: Millis,
    counter: u64,
    /// The sessions, with the branch of each peer.
    pub(super) peers: BTreeMap<PeerKey, usize>,
    closing: BTreeSet<PeerKey>,
    /// The fault for which the last session was closed.
    fault: Option<Fault>,
    pub(super) asked: Vec<(PeerKey, Key, Request)>,
    checks: Vec<Event>,
    disk_queue: VecDeque<Disked>,
    template: Option<(Key, Header)>,
    gossiped: BTreeSet<Ticket>,
    requested: BTreeSet<Ticket>,
    /// Commands without an answer, with the account that one asks for.
    commanded: BTreeMap<Ticket, Option<Address>>,
    mined: usize,
    sequence: u64,
    view: std::sync::Arc<View>,
    trace: Option<[u8; 32]>,
}

impl<'a> FuzzShell<'a> {
    pub(super) fn new(pool: &'a ScriptPool, is_traced: bool) -> Self {
        let disk = VirtualDisk::default();
        let mut engine = start(pool, &disk);
        Self {
            pool,
            view: engine.view(),
            engine,
            disk,
            model: pool.model.clone(),
            elapsed: Millis(0),
            counter: 0,
            peers: BTreeMap::new(),
            closing: BTreeSet::new(),
            fault: None,
            asked: Vec::new(),
            checks: Vec::new(),
            disk_queue: VecDeque::new(),
            template: None,
            gossiped: BTreeSet::new(),
            requested: BTreeSet::new(),
            commanded: BTreeMap::new(),
            mined: 0,
            sequence: 0,
            trace: is_traced.then_some([0; 32]),
        }
    }

    /// The wall clock.
    pub(super) fn unix(&self) -> UnixMillis {
        self.pool.network().genesis().header.timestamp + START_AGE + self.elapsed
    }

    /// The hash of all effects so far, if they are traced: hashing takes most of the time.
    pub(super) fn trace(&self) -> Option<[u8; 32]> {
        self.trace
    }

    /// Feeds one event. Returns whether the engine wants to be called again at once.
    pub(super) fn handle(&mut self, event: Event) -> bool {
        let now = Now { elapsed: self.elapsed, unix: self.unix() };
        let mut effects = Vec::new();
        let wake = self.engine.handle(now, event, &mut effects);
        // The view first: answers are about this state.
        self.judge_view();
        for effect in effects {
            if let Some(trace) = &mut self.trace {
                *trace = sha256(&[&trace[..], format!("{effect:?}").as_bytes()]);
            }
            self.carry_out(effect);
        }
        wake == Wake::Now
    }

    /// Feeds one event, and calls the engine again until it is done.
    fn handle_all(&mut self, event: Event) {
        let mut again = self.handle(event);
        while again {
            again = self.handle(Event::Tick);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Peer(PeerEffect::Publish(gossip)) => {
                let is_own = |signed: &SignedTransaction| !self.pool.any_transactions.contains(signed);
                assert!(self.disk.holds_own(&gossip, is_own), "own transactions are durable: {gossip:?}");
            }
            Effect::Peer(PeerEffect::Verdict { ticket, verdict, .. }) => {
                assert!(self.gossiped.remove(&ticket), "a message gets one verdict: {verdict:?}");
            }
            Effect::Peer(PeerEffect::Ask { peer, key, request }) => {
                assert!(self.peers.contains_key(&peer), "only present peers are asked: {peer:?}");
                self.asked.push((peer, key, request));
            }
            Effect::Peer(PeerEffect::Reply { ticket, .. }) => {
                assert!(self.requested.remove(&ticket), "a request gets one reply");
            }
            Effect::Load(LoadEffect::Serve { peer, ticket, places, bytes_max }) => {
                assert!(self.requested.remove(&ticket), "a request gets one reply");
                // Served blocks have been written.
                let bytes = self.disk.load(&places).iter().map(|loaded| encode(&*loaded.block).len()).sum();
                self.checks.push(Event::Served { peer, unused_bytes: bytes_max.saturating_sub(bytes) });
            }
            Effect::Peer(PeerEffect::Close { peer, fault, .. }) => {
                self.fault = Some(fault);
                self.closing.insert(peer);
            }
            Effect::Check(CheckEffect::Blocks { key, blocks }) => {
                let network = self.pool.network();
                let results = blocks.into_iter().map(|block| check_block(block, network)).collect();
                self.checks.push(Event::BlocksChecked { key, results });
            }
            Effect::Check(CheckEffect::Transactions { key, transactions }) => {
                let results = check_transactions(transactions, self.pool.network());
                self.checks.push(Event::TransactionsChecked { key, results });
            }
            Effect::Store(StoreEffect::Persist(batch)) => {
                self.sequence += 1;
                assert_eq!(batch.sequence, self.sequence, "batches are numbered without gaps");
                for write in &batch.writes {
                    if let Write::Block(block) = write {
                        // The block is stored before it is connected, so it may well be refused.
                        let _refused = self.model.offer(&encode(&block.to_block()), ANY_TIME).is_err();
                    }
                }
                self.disk_queue.push_back(Disked::Write(batch));
            }
            // The engine asks once for held effects, and this disk is as quick as it is.
            Effect::Store(StoreEffect::Sync) => {}
            Effect::Load(LoadEffect::Blocks { key, places }) => self.disk_queue.push_back(Disked::Load { key, places }),
            Effect::Mine(MineEffect::Search { key, header }) => self.template = Some((key, header)),
            Effect::Mine(MineEffect::Stop) => self.template = None,
            Effect::User(UserEffect::Answer { ticket, answer }) => {
                let asked = self.commanded.remove(&ticket).expect("a command gets one answer");
                if let Ok(answer) = &answer {
                    assert!(self.disk.holds_answered(answer), "an answered command is durable: {answer:?}");
                }
                self.judge_answer(asked, &answer);
            }
            Effect::User(UserEffect::Notify(notice)) => {
                if let Notice::Tip { tip, .. } = notice {
                    assert!(self.is_valid(&tip), "the user is told of a tip that is not valid: {tip:?}");
                }
            }
        }
    }

    fn is_valid(&self, place: &Place) -> bool {
        self.model.state(&place.id).is_some_and(|state| state.height == place.height.0)
    }

    fn judge_answer(&self, asked: Option<Address>, answer: &Result<Answer, CommandError>) {
        match answer {
            Ok(Answer::Account { account, spendable, .. }) => {
                let address = asked.expect("an account was asked for");
                if let Some(state) = self.model.state(&self.view.tip.id) {
                    assert_eq!(*account, state.account(&address), "the account is that of the tip");
                }
                assert!(Wei::from(*spendable) <= account.balance, "no more can be spent than there is");
            }
            Ok(Answer::Mined(places)) => {
                for place in places {
                    assert!(self.is_valid(place), "a block mined here is not valid: {place:?}");
                }
            }
            _ => {}
        }
    }

    /// Checks that the tip that readers see is valid, not too early, and only replaced by one with more work.
    fn judge_view(&mut self) {
        let view = self.engine.view();
        let before = std::mem::replace(&mut self.view, view.clone());
        if view.tip != before.tip {
            assert!(view.work > before.work, "{:?} replaced {:?} without more work", view.tip, before.tip);
        }
        let ahead = self.pool.network().parameters().future_time_max;
        assert!(view.tip_timestamp <= self.unix() + ahead, "the tip is too early");
        // The model learns of a block of the engine's own from the batch that follows.
        if let Some(state) = self.model.state(&view.tip.id) {
            assert_eq!((state.height, state.work), (view.tip.height.0, view.work.0), "the view is that of the tip");
            assert_eq!(state.account(&view.account).balance, view.balance, "the balance is that of the tip");
        }
    }

    pub(super) fn connect(&mut self, branch: usize) -> PeerKey {
        self.counter += 1;
        let peer = PeerKey(self.counter);
        self.peers.insert(peer, branch);
        self.handle(Event::PeerConnected { peer });
        peer
    }

    pub(super) fn disconnect(&mut self, peer: PeerKey) {
        self.peers.remove(&peer);
        self.closing.remove(&peer);
        self.asked.retain(|(asked, _, _)| *asked != peer);
        self.handle(Event::PeerDisconnected { peer });
    }

    pub(super) fn gossip(&mut self, peer: PeerKey, gossip: Gossip) {
        self.counter += 1;
        let ticket = Ticket(self.counter);
        self.gossiped.insert(ticket);
        self.handle(Event::Gossip { peer, ticket, gossip });
    }

    pub(super) fn request(&mut self, peer: PeerKey, request: Request) {
        self.counter += 1;
        let ticket = Ticket(self.counter);
        self.requested.insert(ticket);
        self.handle(Event::Request { peer, ticket, request });
    }

    pub(super) fn command(&mut self, command: Command) {
        self.counter += 1;
        let ticket = Ticket(self.counter);
        let asked = if let Command::Account { address } = &command { Some(*address) } else { None };
        self.commanded.insert(ticket, asked);
        self.handle(Event::Command { ticket, command });
    }

    pub(super) fn wait(&mut self, span: Millis) {
        self.elapsed = self.elapsed + span;
        self.handle(Event::Tick);
    }

    /// Ends a check; the workers finish in any order.
    pub(super) fn finish_check(&mut self, number: usize) {
        if !self.checks.is_empty() {
            let check = self.checks.remove(number % self.checks.len());
            self.handle(check);
        }
    }

    /// Does the next task of the disk.
    pub(super) fn run_disk(&mut self) {
        match self.disk_queue.pop_front() {
            Some(Disked::Write(batch)) => {
                self.disk.write(&batch);
                self.judge_batch(&batch);
                self.handle(Event::Persisted { sequence: batch.sequence });
            }
            Some(Disked::Load { key, places }) => {
                let blocks = self.disk.load(&places);
                self.handle(Event::Loaded { key, blocks });
            }
            None => {}
        }
    }

    fn judge_batch(&self, batch: &Batch) {
        for write in &batch.writes {
            match write {
                Write::Connect { place, delta } => {
                    let state = self.model.state(&place.id);
                    let state = state.unwrap_or_else(|| panic!("a block that is not valid is connected: {place:?}"));
                    for change in delta.changes.iter() {
                        assert_eq!(change.after, state.account(&change.address), "{} after {place:?}", change.address);
                    }
                }
                Write::Condemn { place } => {
                    assert!(self.model.state(&place.id).is_none(), "a good block is condemned: {place:?}");
                }
                _ => {}
            }
        }
    }

    /// Finds a nonce for the header that the miner searches.
    pub(super) fn find_nonce(&mut self) {
        let Some((key, mut header)) = self.template.take() else { return };
        let mut tries = 0..HASHES_MAX;
        let nonce = tries.find(|nonce| {
            header.nonce = *nonce;
            check_header(&header, self.pool.network()).is_ok()
        });
        if let Some(nonce) = nonce {
            self.mined += 1;
            self.handle(Event::Mined { key, nonce });
        }
    }

    /// Completes everything under way within the node.
    pub(super) fn settle(&mut self) {
        loop {
            if !self.checks.is_empty() {
                let check = self.checks.remove(0);
                self.handle_all(check);
            } else if !self.disk_queue.is_empty() {
                self.run_disk();
            } else if !self.handle(Event::Tick) && self.checks.is_empty() && self.disk_queue.is_empty() {
                break;
            }
        }
        for peer in std::mem::take(&mut self.closing) {
            self.disconnect(peer);
        }
    }

    /// Stops at once. Data that is not on the disk is lost.
    pub(super) fn crash(&mut self) {
        self.peers.clear();
        self.closing.clear();
        self.asked.clear();
        self.checks.clear();
        self.disk_queue.clear();
        self.template = None;
        self.gossiped.clear();
        self.requested.clear();
        self.commanded.clear();
        self.sequence = 0;
        self.engine = start(self.pool, &self.disk);
        self.view = self.engine.view();
        let tip = self.disk.best().last().unwrap_or(self.pool.genesis_id());
        assert_eq!(self.view.tip.id, tip, "the node goes on from the tip on its disk");
        self.judge_view();
    }

    pub(super) fn check_bounds(&self) {
        let occupancy: BTreeMap<_, _> = self.engine.occupancy().into_iter().collect();
        for (name, max) in BOUNDS {
            assert!(occupancy[name] <= max, "{name}: {} of {max}", occupancy[name]);
        }
        assert_eq!(occupancy["peers"], self.peers.len(), "the engine's sessions are the shell's");
        let known = 1 + self.pool.blocks.len() + self.mined;
        assert!(occupancy["headers"] <= known, "headers: {} of {known}", occupancy["headers"]);
    }

    /// Ends the script: an honest peer comes while the others fall silent, then all leave and the node comes to rest.
    pub(super) fn finish(&mut self) {
        self.settle();
        self.command(Command::SetMining { mode: MiningMode::Off, to: None });
        self.command(Command::CancelMining);
        self.command(Command::SetCheckpoint { height: None });
        self.settle();
        self.catch_up();
        self.judge_disk();

        let peers: Vec<PeerKey> = self.peers.keys().copied().collect();
        for peer in peers {
            self.disconnect(peer);
        }
        self.settle();
        self.wait(CATCH_UP_TIMEOUT);
        self.settle();
        let waiting = [self.gossiped.len(), self.requested.len(), self.commanded.len()];
        assert_eq!(waiting, [0; 3], "verdicts, replies and answers that never came");
        let occupancy: BTreeMap<_, _> = self.engine.occupancy().into_iter().collect();
        for name in EMPTY_AT_REST {
            assert_eq!(occupancy[name], 0, "{name} at rest");
        }
    }

    /// Checks that one honest peer is enough to get the best chain.
    fn catch_up(&mut self) {
        let branch = self.pool.best;
        let tip = self.pool.branches[branch].last().expect("a branch has blocks").header;
        // By now no block of it is early.
        self.elapsed = self.elapsed + Millis(tip.timestamp.0.saturating_sub(self.unix().0));
        let work = self.model.state(&tip.id()).expect("the best branch is good").work;
        let honest = self.connect(branch);
        let end = self.elapsed + CATCH_UP_TIMEOUT;
        while self.view.work.0 < work {
            assert!(self.elapsed < end, "at {:?} after {CATCH_UP_TIMEOUT:?} with an honest peer", self.view);
            assert!(self.peers.contains_key(&honest), "the honest peer was cut off: {:?}", self.fault);
            let (asked, silent): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.asked).into_iter().partition(|(peer, ..)| *peer == honest);
            self.asked = silent;
            for (peer, key, request) in asked {
                let response = self.pool.answer(branch, &request, self.unix());
                self.handle_all(Event::Response { peer, key, result: Ok(response) });
            }
            self.settle();
            if self.asked.iter().all(|(peer, ..)| *peer != honest) {
                self.wait(STEP);
            }
        }
        self.settle();
    }

    /// Checks that the disk has the chain of the tip, and the accounts of the model.
    fn judge_disk(&self) {
        let state = self.model.state(&self.view.tip.id).expect("the tip is valid");
        assert_eq!(self.disk.best().last(), Some(state.tip), "the disk has the tip");
        assert_eq!(self.disk.best().count() as u64, state.height, "the disk has the chain");
        let accounts = self.disk.changed_accounts();
        for (address, account) in &state.accounts {
            assert_eq!(accounts.get(address).copied().unwrap_or_default(), *account, "{address} on disk");
        }
    }
}

fn start(pool: &ScriptPool, disk: &VirtualDisk) -> Engine {
    let config = EngineConfig {
        network: pool.network().clone(),
        account: pool.forge.keys()[0].public_key().address(),
        nickname: "fuzzed".to_owned(),
        seed: [7; 32],
        mining: MiningMode::Off,
    };
    Engine::new(config, disk.stored())
}
