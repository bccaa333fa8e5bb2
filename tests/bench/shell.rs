//! An engine with a played store, checks and one peer, so that nothing but the engine is measured.
//!
//! Blocks need no check here: the peer's are checked before it sends them. Everything else is done as in a node, and
//! every call of the engine goes through one function that can count or time it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use quipu::engine::event::{
    CheckEffect, Effect, Event, Gossip, LoadEffect, MiningMode, Now, PeerEffect, PeerKey, StoreEffect, Stored, Ticket,
    Verdict, Wake,
};
use quipu::engine::{Engine, EngineConfig};
use quipu::protocol::check::check_transactions;
use quipu::protocol::message::{RESPONSE_BYTES_SOFT_MAX, RESPONSE_HEADERS_MAX};
use quipu::protocol::{
    Account, Address, BlockId, Bundle, CheckedBlock, Millis, Network, Request, Response, SignedTransaction, Status,
    Work,
};
use quipu::sim::disk::VirtualDisk;

/// Runs the measured work.
pub(crate) type Around<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

/// The engine and its surroundings.
pub(crate) struct BenchShell {
    pub(crate) engine: Engine,
    network: Arc<Network>,
    disk: VirtualDisk,
    /// The peer's chain, oldest first, and all blocks that it ever had.
    chain: Vec<CheckedBlock>,
    known: HashMap<BlockId, CheckedBlock>,
    peers: u64,
    accepted: usize,
}

impl BenchShell {
    /// An engine at genesis, where these accounts have coins.
    pub(crate) fn new(network: &Arc<Network>, accounts: impl Iterator<Item = (Address, Account)>) -> Self {
        let config = EngineConfig {
            network: network.clone(),
            account: Address([0; 20]),
            nickname: "bench".to_owned(),
            seed: [7; 32],
            mining: MiningMode::Off,
        };
        let engine = Engine::new(config, Stored { accounts: accounts.collect(), ..Stored::default() });
        let (disk, chain, known) = (VirtualDisk::default(), Vec::new(), HashMap::new());
        Self { engine, network: network.clone(), disk, chain, known, peers: 0, accepted: 0 }
    }

    /// A peer with this chain connects, and leaves when the engine has it too.
    pub(crate) fn follow(&mut self, chain: Vec<CheckedBlock>, around: Around) {
        self.known.extend(chain.iter().map(|block| (block.id(), block.clone())));
        self.chain = chain;
        self.peers += 1;
        let peer = PeerKey(self.peers);
        self.handle(Event::PeerConnected { peer }, around);
        assert_eq!(self.engine.view().tip.id, self.tip(), "the engine follows the peer's chain");
        self.handle(Event::PeerDisconnected { peer }, around);
    }

    /// A peer spreads transactions in full bundles. All of them are new and good.
    pub(crate) fn gossip(&mut self, transactions: Vec<SignedTransaction>, around: Around) {
        self.peers += 1;
        let peer = PeerKey(self.peers);
        self.handle(Event::PeerConnected { peer }, &mut |work| work());
        let bundles = Bundle::pack(transactions);
        let wanted = self.accepted + bundles.len();
        for (number, bundle) in (0..).zip(bundles) {
            let gossip = Gossip::Transactions(bundle);
            self.handle(Event::Gossip { peer, ticket: Ticket(number), gossip }, around);
        }
        assert_eq!(self.accepted, wanted, "every bundle is forwarded");
        self.handle(Event::PeerDisconnected { peer }, &mut |work| work());
    }

    fn tip(&self) -> BlockId {
        self.chain.last().map_or(self.network.genesis_id(), CheckedBlock::id)
    }

    /// Handles an event and the events that follow from it.
    fn handle(&mut self, event: Event, around: Around) {
        let unix = self.network.genesis().header.timestamp + Millis::from_secs(1_000_000);
        let now = Now { elapsed: Millis(0), unix };
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut effects = Vec::new();
            let (mut given, mut wake) = (Some(event), None);
            around(&mut || {
                wake = given.take().map(|event| self.engine.handle(now, event, &mut effects));
            });
            for effect in effects {
                events.extend(self.carry_out(effect, now));
            }
            if wake == Some(Wake::Now) {
                events.push_back(Event::Tick);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, now: Now) -> Option<Event> {
        match effect {
            Effect::Peer(PeerEffect::Ask { peer, key, request }) => {
                Some(Event::Response { peer, key, result: Ok(self.answer(&request, now)) })
            }
            Effect::Check(CheckEffect::Blocks { key, blocks }) => {
                let results = blocks.iter().map(|block| Ok(self.known[&block.header.id()].clone())).collect();
                Some(Event::BlocksChecked { key, results })
            }
            Effect::Check(CheckEffect::Transactions { key, transactions }) => {
                Some(Event::TransactionsChecked { key, results: check_transactions(transactions, &self.network) })
            }
            Effect::Store(StoreEffect::Persist(batch)) => {
                self.disk.write(&batch);
                Some(Event::Persisted { sequence: batch.sequence })
            }
            Effect::Load(LoadEffect::Blocks { key, places }) => {
                Some(Event::Loaded { key, blocks: self.disk.load(&places) })
            }
            Effect::Peer(PeerEffect::Verdict { verdict, .. }) => {
                self.accepted += usize::from(verdict == Verdict::Accept);
                None
            }
            Effect::Peer(PeerEffect::Close { fault, .. }) => {
                panic!("the peer keeps the rules, and is cut off: {fault:?}")
            }
            _ => None,
        }
    }

    fn answer(&self, request: &Request, now: Now) -> Response {
        match request {
            Request::Status(_) => Response::Status(self.status(now)),
            Request::Headers { locator } => {
                let on_chain = |id: &BlockId| Some(self.chain.iter().position(|block| block.id() == *id)? + 1);
                let first = locator.iter().find_map(on_chain).unwrap_or(0);
                let headers = self.chain[first..].iter().take(RESPONSE_HEADERS_MAX);
                Response::Headers(headers.map(|block| *block.header()).collect())
            }
            Request::Blocks { ids } => {
                let mut room = RESPONSE_BYTES_SOFT_MAX;
                let blocks = ids.iter().map(|id| &self.known[id]);
                let fitting = blocks.take_while(|block| {
                    let fits = room > 0;
                    room = room.saturating_sub(block.length());
                    fits
                });
                Response::Blocks(fitting.map(CheckedBlock::to_block).collect())
            }
            Request::Pending => Response::Pending(Vec::new().into()),
            Request::Transactions { .. } => Response::Transactions(Vec::new().into()),
            Request::BlockTransactions { .. } => unreachable!("nothing is announced here"),
        }
    }

    fn status(&self, now: Now) -> Status {
        let work = self.chain.iter().fold(Work::ZERO, |work, block| work + block.header().target.work());
        let height = self.chain.last().map_or(self.network.genesis().header.height, |block| block.header().height);
        Status { tip: self.tip(), height, work, clock: now.unix, pending: 0, nickname: Vec::new().into() }
    }
}
