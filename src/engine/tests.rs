//! An engine alone. The test plays every peer.

mod account;
mod aside;
mod attacks;
mod budgets;
mod bundles;
mod checkpoints;
mod claims;
mod compact;
mod dated;
mod durability;
mod fees;
mod floods;
mod lag;
mod lost;
mod made;
mod pool;
mod presync;
mod promises;
mod refused;
mod rivals;
mod rollbacks;
mod slow;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use quipu_protocol::check::{check_block, check_transactions};
use quipu_protocol::{
    Action, Address, Amount, Block, BlockId, CheckedBlock, Header, LeafHash, Millis, Network, Parameters, Peaks,
    Request, Response, SecretKey, SignedTransaction, Status, Transaction, UnixMillis, Work,
};

use super::budget::QUESTION_GAP;
use super::event::{
    Answer, Batch, CheckEffect, Command, CommandError, Effect, Event, Fault, Gossip, Key, LoadEffect, MineEffect,
    MiningMode, Notice, Now, PeerEffect, PeerKey, Place, RequestFailure, StoreEffect, Stored, Ticket, UserEffect,
    Verdict,
};
use super::{Engine, EngineConfig};
use crate::sim::disk::VirtualDisk;

/// The engine's effects that the bench did not carry out.
#[derive(Debug, Default)]
struct Seen {
    asked: Vec<(PeerKey, Key, Request)>,
    replied: Vec<(Ticket, Option<Response>)>,
    served: Vec<Vec<Place>>,
    verdicts: Vec<(Ticket, Verdict)>,
    closed: Vec<(PeerKey, Fault)>,
    published: Vec<Gossip>,
    notices: Vec<Notice>,
    answers: Vec<(Ticket, Result<Answer, CommandError>)>,
    /// The number of checked blocks, and of transactions checked by themselves.
    checked: (usize, usize),
    syncs: usize,
}

/// An engine whose checks, disk and clock belong to the test.
struct Bench {
    engine: Engine,
    network: Arc<Network>,
    disk: VirtualDisk,
    /// Of each block that the bench made and all below it.
    histories: RefCell<HashMap<BlockId, Peaks>>,
    now: Millis,
    counter: u64,
    seen: Seen,
    /// Transactions that came in bundles.
    heard: HashSet<LeafHash>,
    /// The header that the miner searches.
    template: Option<(Key, Header)>,
    /// Results of checks that the test delivers itself.
    hold_checks: bool,
    hold_loads: bool,
    hold_transactions: bool,
    hold_persisted: bool,
    /// Batches that the test writes itself, with [`Bench::persist`].
    hold_writes: bool,
    unwritten: VecDeque<Batch>,
    held: Vec<Event>,
    /// How far the machine's clock is ahead.
    clock_ahead: Millis,
}

impl Bench {
    fn new() -> Self {
        Self::with(Parameters::dev())
    }

    fn with(parameters: Parameters) -> Self {
        let network = Arc::new(Network::new(parameters).expect("valid parameters"));
        let engine = Engine::new(config(&network), Stored::default());
        Self {
            engine,
            network,
            disk: VirtualDisk::default(),
            histories: RefCell::default(),
            now: Millis(0),
            clock_ahead: Millis(0),
            counter: 0,
            seen: Seen::default(),
            heard: HashSet::new(),
            template: None,
            hold_checks: false,
            hold_loads: false,
            hold_transactions: false,
            hold_persisted: false,
            hold_writes: false,
            unwritten: VecDeque::new(),
            held: Vec::new(),
        }
    }

    /// Restarts the engine from the persisted data; its peers are gone.
    fn restart(&mut self) {
        self.engine = Engine::new(config(&self.network), self.disk.stored());
        self.seen = Seen::default();
    }

    fn clock(&self) -> UnixMillis {
        self.network.genesis().header.timestamp + Millis::from_secs(1_000_000) + self.now + self.clock_ahead
    }

    /// Feeds an event, and the events that follow from its checks and writes.
    fn event(&mut self, event: Event) {
        match &event {
            Event::Gossip { gossip: Gossip::Transactions(bundle), .. } => {
                self.heard.extend(bundle.iter().map(SignedTransaction::leaf));
            }
            Event::Response { result: Ok(Response::Blocks(blocks)), .. } => {
                let transactions = blocks.iter().flat_map(|block| &*block.body.transactions);
                self.heard.extend(transactions.map(SignedTransaction::leaf));
            }
            _ => {}
        }
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut effects = Vec::new();
            let now = Now { elapsed: self.now, unix: self.clock() };
            let wake = self.engine.handle(now, event, &mut effects);
            for effect in effects {
                events.extend(self.carry_out(effect));
            }
            if wake == super::Wake::Now {
                events.push(Event::Tick);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Peer(PeerEffect::Publish(gossip)) => {
                let is_own = |signed: &SignedTransaction| !self.heard.contains(&signed.leaf());
                assert!(self.disk.holds_own(&gossip, is_own), "own transactions are durable: {gossip:?}");
                self.seen.published.push(gossip);
            }
            Effect::Peer(PeerEffect::Verdict { ticket, verdict, .. }) => self.seen.verdicts.push((ticket, verdict)),
            Effect::Peer(PeerEffect::Ask { peer, key, request }) => self.seen.asked.push((peer, key, request)),
            Effect::Peer(PeerEffect::Reply { ticket, response }) => self.seen.replied.push((ticket, response)),
            Effect::Peer(PeerEffect::Close { peer, fault, .. }) => self.seen.closed.push((peer, fault)),
            Effect::User(UserEffect::Notify(notice)) => self.seen.notices.push(notice),
            Effect::Check(CheckEffect::Blocks { key, blocks }) => {
                self.seen.checked.0 += blocks.len();
                let results = blocks.into_iter().map(|block| check_block(block, &self.network)).collect();
                return self.hold_if(self.hold_checks, Event::BlocksChecked { key, results });
            }
            Effect::Check(CheckEffect::Transactions { key, transactions }) => {
                self.seen.checked.1 += transactions.len();
                let results = check_transactions(transactions, &self.network);
                return self.hold_if(self.hold_transactions, Event::TransactionsChecked { key, results });
            }
            Effect::Store(StoreEffect::Persist(batch)) if self.hold_writes => self.unwritten.push_back(batch),
            Effect::Store(StoreEffect::Persist(batch)) => {
                self.disk.write(&batch);
                return Some(Event::Persisted { sequence: batch.sequence }).filter(|_| !self.hold_persisted);
            }
            Effect::Store(StoreEffect::Sync) => self.seen.syncs += 1,
            Effect::Load(LoadEffect::Blocks { key, places }) => {
                return self.hold_if(self.hold_loads, Event::Loaded { key, blocks: self.disk.load(&places) });
            }
            Effect::Mine(MineEffect::Search { key, header }) => self.template = Some((key, header)),
            Effect::Mine(MineEffect::Stop) => self.template = None,
            Effect::User(UserEffect::Answer { ticket, answer }) => self.seen.answers.push((ticket, answer)),
            Effect::Load(LoadEffect::Serve { places, .. }) => self.seen.served.push(places),
        }
        None
    }

    /// Makes the next batch durable.
    fn persist(&mut self) {
        let batch = self.unwritten.pop_front().expect("something was to be written");
        self.disk.write(&batch);
        self.event(Event::Persisted { sequence: batch.sequence });
    }

    fn hold_if(&mut self, is_held: bool, event: Event) -> Option<Event> {
        if !is_held {
            return Some(event);
        }
        self.held.push(event);
        None
    }

    fn release_held(&mut self) {
        self.hold_checks = false;
        self.hold_loads = false;
        self.hold_transactions = false;
        for event in std::mem::take(&mut self.held) {
            self.event(event);
        }
    }

    fn wait(&mut self, span: Millis) {
        self.now = self.now + span;
        self.event(Event::Tick);
    }

    fn connect(&mut self) -> PeerKey {
        self.counter += 1;
        let peer = PeerKey(self.counter);
        self.event(Event::PeerConnected { peer });
        peer
    }

    /// Connects a peer that reports a tip with this much work.
    fn connect_with(&mut self, tip: &Header, work: u128) -> PeerKey {
        let peer = self.connect();
        self.tell(peer, tip, work);
        peer
    }

    fn tell(&mut self, peer: PeerKey, tip: &Header, work: u128) {
        let status = self.status_of(tip, work);
        let key = self.take_asked(peer, |request| matches!(request, Request::Status(_))).0;
        self.answer(peer, key, Response::Status(status));
    }

    fn status_of(&self, tip: &Header, work: u128) -> Status {
        Status {
            tip: tip.id(),
            height: tip.height,
            work: Work(work),
            clock: self.clock(),
            pending: 0,
            nickname: Vec::new().into(),
        }
    }

    /// Removes the next question to a peer that fits, which may have to keep its distance from the one before.
    fn take_asked(&mut self, peer: PeerKey, fits: impl Fn(&Request) -> bool) -> (Key, Request) {
        if !self.is_asked(peer, &fits) {
            self.wait(QUESTION_GAP);
        }
        let asked = &mut self.seen.asked;
        let at = asked.iter().position(|(to, _, request)| *to == peer && fits(request));
        let at = at.unwrap_or_else(|| panic!("{peer:?} was not asked that, but {asked:?}"));
        let (_, key, request) = asked.remove(at);
        (key, request)
    }

    fn is_asked(&self, peer: PeerKey, fits: impl Fn(&Request) -> bool) -> bool {
        self.seen.asked.iter().any(|(to, _, request)| *to == peer && fits(request))
    }

    fn is_asked_for_blocks(&self, peer: PeerKey) -> bool {
        self.is_asked(peer, |request| matches!(request, Request::Blocks { .. }))
    }

    fn answer(&mut self, peer: PeerKey, key: Key, response: Response) {
        self.event(Event::Response { peer, key, result: Ok(response) });
    }

    fn fail(&mut self, peer: PeerKey, key: Key) {
        self.event(Event::Response { peer, key, result: Err(RequestFailure::Timeout) });
    }

    fn answer_headers(&mut self, peer: PeerKey, headers: &[Header]) {
        let (key, _) = self.take_asked(peer, |request| matches!(request, Request::Headers { .. }));
        self.answer(peer, key, Response::Headers(headers.to_vec().into()));
    }

    fn answer_blocks(&mut self, peer: PeerKey, blocks: &[Block]) {
        let (key, _) = self.take_asked(peer, |request| matches!(request, Request::Blocks { .. }));
        self.answer(peer, key, Response::Blocks(blocks.to_vec().into()));
    }

    /// Sends a block by gossip and returns the verdict.
    fn gossip_block(&mut self, peer: PeerKey, block: &Block) -> Verdict {
        self.gossip(peer, Gossip::Block(Box::new(block.clone())))
    }

    fn gossip(&mut self, peer: PeerKey, gossip: Gossip) -> Verdict {
        self.counter += 1;
        let ticket = Ticket(self.counter);
        self.event(Event::Gossip { peer, ticket, gossip });
        let at = self.seen.verdicts.iter().position(|(of, _)| *of == ticket).expect("every message gets a verdict");
        self.seen.verdicts.remove(at).1
    }

    /// Gives a command that is answered at once.
    fn command(&mut self, command: Command) -> Result<Answer, CommandError> {
        self.counter += 1;
        let ticket = Ticket(self.counter);
        self.event(Event::Command { ticket, command });
        let at = self.seen.answers.iter().position(|(of, _)| *of == ticket).expect("an answer");
        self.seen.answers.remove(at).1
    }

    fn height(&mut self) -> u64 {
        self.engine.view().tip.height.0
    }

    fn tip(&mut self) -> BlockId {
        self.engine.view().tip.id
    }

    fn occupancy(&self, name: &str) -> usize {
        self.engine.occupancy().iter().find(|(of, _)| *of == name).expect("a container of that name").1
    }

    fn is_closed(&self, peer: PeerKey) -> bool {
        self.seen.closed.iter().any(|(closed, _)| *closed == peer)
    }
}

fn config(network: &Arc<Network>) -> EngineConfig {
    EngineConfig {
        network: network.clone(),
        account: key(0).public_key().address(),
        nickname: String::new(),
        seed: [5; 32],
        mining: MiningMode::Off,
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn headers(blocks: &[Block]) -> Vec<Header> {
    blocks.iter().map(|block| block.header).collect()
}

#[test]
fn gossip_extends_the_chain_and_is_passed_on() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let blocks = bench.chain(&bench.genesis(), 2, 1);
    assert_eq!(bench.gossip_block(peer, &blocks[0]), Verdict::Accept);
    assert_eq!(bench.gossip_block(peer, &blocks[0]), Verdict::Ignore, "the second time it is known");
    assert_eq!(bench.gossip_block(peer, &blocks[1]), Verdict::Accept);
    assert_eq!(bench.tip(), blocks[1].header.id());
}

#[test]
fn blocks_out_of_order_meet_in_the_end() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let blocks = bench.chain(&bench.genesis(), 3, 1);
    assert_eq!(bench.gossip_block(peer, &blocks[2]), Verdict::Ignore);
    assert_eq!(bench.gossip_block(peer, &blocks[1]), Verdict::Ignore);
    assert_eq!(bench.height(), 0);
    assert_eq!(bench.gossip_block(peer, &blocks[0]), Verdict::Accept);
    assert_eq!((bench.height(), bench.occupancy("orphans")), (3, 0));
}

#[test]
fn a_longer_branch_takes_over_and_a_shorter_one_does_not() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let genesis = bench.genesis();
    let (short, long) = (bench.chain(&genesis, 2, 1), bench.chain(&genesis, 3, 2));
    for block in &short {
        bench.gossip_block(peer, block);
    }
    for block in &long[..2] {
        assert_eq!(bench.gossip_block(peer, block), Verdict::Ignore);
        assert_eq!(bench.tip(), short[1].header.id());
    }
    assert_eq!(bench.gossip_block(peer, &long[2]), Verdict::Accept);
    assert_eq!(bench.tip(), long[2].header.id());
    let reorganised = |notice: &Notice| matches!(notice, Notice::Tip { reorg_depth: 2, .. });
    assert_eq!(bench.seen.notices.iter().filter(|notice| reorganised(notice)).count(), 1);
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let genesis = bench.genesis();
    for block in bench.chain(&genesis, 4, 1).iter().chain(&bench.chain(&genesis, 3, 2)) {
        bench.gossip_block(peer, block);
    }
    let config = EngineConfig {
        network: bench.network.clone(),
        account: Address([0; 20]),
        nickname: String::new(),
        seed: [6; 32],
        mining: MiningMode::Off,
    };
    let tip = bench.tip();
    let mut again = Engine::new(config, bench.disk.stored());
    assert_eq!(again.view().tip.id, tip);
    assert_eq!(
        again.occupancy(),
        bench
            .engine
            .occupancy()
            .iter()
            .map(|(name, used)| match *name {
                "cached_body_bytes" | "cached_bodies" | "aside_bytes" | "peers" => (*name, 0),
                // Those of the side branch are unknown again.
                "headers" => (*name, used - 3),
                _ => (*name, *used),
            })
            .collect::<Vec<_>>()
    );
}

/// A reorganisation stores older transactions after newer ones.
#[test]
fn pending_transactions_come_back_in_whatever_order_they_were_stored() {
    let bench = Bench::new();
    let sender = key(1);
    let record = |nonce| {
        let action = Action::Record { data: vec![].into() };
        let transaction = Transaction { sender: sender.public_key(), nonce, fee: Amount::ZERO, action };
        transaction.sign(&bench.network.genesis_id(), &sender)
    };
    let config = EngineConfig {
        network: bench.network.clone(),
        account: sender.public_key().address(),
        nickname: String::new(),
        seed: [6; 32],
        mining: MiningMode::Off,
    };
    let stored = Stored { pending: (0..200).rev().map(record).collect(), ..Stored::default() };
    assert_eq!(Engine::new(config, stored).view().pending, 200);
}

#[test]
fn a_recalled_block_equals_the_checked_one() {
    let bench = Bench::new();
    let block = bench.block(&bench.genesis(), 1, vec![bench.send(1, 0, 2, 5, 0)]);
    let checked = check_block(block.clone(), &bench.network).expect("valid without its context");
    assert_eq!(CheckedBlock::recall(block, &bench.network), checked);
}
