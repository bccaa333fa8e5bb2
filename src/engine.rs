//! The node's brain: events in, effects out.
//!
//! [`Engine::handle`] takes one event and returns effects. It never blocks and never fails, does no I/O, reads no
//! clock, starts no thread and draws no random number: the same events at the same times give the same effects. A
//! peer's misbehaviour is data here, not an error.
//!
//! After each event the same steps run: move the best chain along, send verdicts, request wanted data that is not in
//! flight, keep the miner on the best template. The wanted data is always derived from the state, so nothing depends on
//! remembering to ask.
//!
//! | module | subject |
//! | --- | --- |
//! | [`event`] | the vocabulary between the engine and the world |
//! | `header_tree` | the tree of all valid headers |
//! | `chain`, `bodies` | the best chain, and the way to a better one |
//! | `orphans` | blocks that come too soon |
//! | [`mempool`] | pending transactions, and the order in which they are mined |
//! | `lag` | when the pool follows the chain |
//! | `peers` | sessions with peers, and their faults |
//! | [`budget`] | how much peers may send and ask, and what we ask of them |
//! | [`pace`] | timeouts and request sizes, by the measured speed of a peer |
//! | `sync` | requests to peers, and their timeouts |
//! | [`catch_up`] | whether the chain is up to date enough to mine on |
//! | `gossip` | verdicts on blocks, and their announcement |
//! | `bundles` | the same for transactions, which travel in bundles |
//! | `compact` | reconstruction of blocks that are announced without their transactions |
//! | `serve` | answers to peers' requests |
//! | `mining` | the template for the miner |
//! | `release` | effects that wait for the disk |
//! | `rollback` | transactions whose blocks left the best chain |
//! | `checkpoint` | refusal of chains that leave out the checkpoint |
//! | `bounds` | the bound of every container, and how full it is |
//! | `command`, `submit` | answers to the node's own user |
//! | [`view`] | the snapshot that readers see |
//!
//! Every container is bounded: the constants next to them give the bound and the eviction.

mod bodies;
mod bounds;
pub mod budget;
mod bundles;
pub mod catch_up;
mod chain;
mod checkpoint;
mod command;
mod compact;
mod dated;
pub mod event;
mod gossip;
mod header_tree;
mod lag;
pub mod mempool;
mod mining;
mod orphans;
pub mod pace;
pub mod peers;
mod release;
mod rivals;
mod rollback;
mod serve;
mod submit;
pub mod sync;
pub mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use quipu_protocol::compact::WHOLE_BYTES_MAX;
use quipu_protocol::{Address, BlockId, CheckedTransaction, Millis, Network, Wei};

pub use event::{Effect, Event, Now, Wake};
pub use view::View;

use bundles::{OpenBundle, Origin, Outbox, Unchecked};
use catch_up::CatchUp;
use chain::{Chain, ChainAdvance};
use compact::Reconstructions;
use event::{
    Answer, CommandError, Key, LoadEffect, MiningMode, Notice, PeerEffect, PeerKey, Stored, Ticket, UserEffect, Write,
};
use gossip::{Announcer, RefusedIds};
use header_tree::BlockRef;
use mempool::Mempool;
use mining::MiningState;
use orphans::Orphans;
use peers::Peers;
use release::Gate;
use submit::{Refusals, Submitted};

/// The longest time between two calls of the engine.
const TICK_INTERVAL: Millis = Millis(2_000);

/// The configuration of an engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The parameters of the network, and its genesis block.
    pub network: Arc<Network>,
    /// The node's own account.
    pub account: Address,
    /// The node's nickname.
    pub nickname: String,
    /// Random bytes, for decisions that peers must not be able to predict.
    pub seed: [u8; 32],
    /// The mining mode at the start.
    pub mining: MiningMode,
}

/// A check under way.
#[derive(Debug)]
enum Check {
    Offered {
        origin: PeerKey,
        ticket: Option<Ticket>,
        block: BlockRef,
    },
    Sync {
        peer: PeerKey,
        blocks: Vec<BlockRef>,
        bytes: usize,
    },
    Transactions {
        origins: Vec<Origin>,
    },
    /// Transactions that a block under reconstruction lacked.
    Pulled,
}

/// The node's brain.
#[derive(Debug)]
pub struct Engine {
    network: Arc<Network>,
    account: Address,
    nickname: String,
    chain: Chain,
    mempool: Mempool,
    refused: RefusedIds,
    peers: Peers,
    orphans: Orphans,
    reconstructions: Reconstructions,
    sync: sync::Sync,
    catch_up: CatchUp,
    mining: MiningState,
    announcer: Announcer,
    whole_bytes_max: usize,
    resolving: Vec<command::Resolving>,
    refused_tips: checkpoint::RefusedTips,
    not_followed: checkpoint::RefusedTips,
    dated_tips: checkpoint::RefusedTips,
    /// Peers' requests that wait for their budgets.
    delayed: usize,
    /// Requests whose blocks are being read.
    serving: usize,
    /// The checks under way, by the key of the effect.
    checks: BTreeMap<Key, Check>,
    unchecked: Unchecked,
    /// Peers' bundles whose transactions are not all judged yet.
    judged: BTreeMap<Ticket, OpenBundle>,
    /// Transactions that are about to be announced.
    outbox: Outbox,
    awaiting_verdict: Vec<(PeerKey, Ticket, BlockRef)>,
    /// Submitted blocks that are not connected yet.
    submitted: Submitted,
    /// Why blocks were refused lately.
    refusals: Refusals,
    /// Blocks that were mined here and are not connected yet. The oldest are forgotten first.
    mined_here: VecDeque<BlockId>,
    loading: Option<Key>,
    /// The time at which the tip became the tip. `None` if it was stored.
    tip_came_at: Option<Millis>,
    last_key: u64,
    writes: Vec<Write>,
    /// The effects that wait for the disk.
    gate: Gate,
    /// Messages for peers, sent at the end of the call, each with the batch that it waits for.
    publications: Vec<(u64, event::Gossip)>,
    notices: Vec<Notice>,
    answers: Vec<(Ticket, Result<Answer, CommandError>)>,
    /// Accounts with pending transactions that changed since the pool was last updated.
    changed_accounts: BTreeSet<Address>,
    /// When the pool follows the blocks that it lags behind, at the latest.
    pool_due: Option<Millis>,
    /// Commands, and requests for headers, that wait for the end of a reorganisation. The shell bounds the commands.
    deferred: Vec<Event>,
    view: Option<Arc<View>>,
    view_is_old: bool,
}

impl Engine {
    /// An engine that continues from the stored state.
    pub fn new(config: EngineConfig, stored: Stored) -> Self {
        let hash_key = u64::from_le_bytes(*config.seed.first_chunk().expect("32 bytes hold 8"));
        let chain = Chain::new(config.network.clone(), config.account, &stored, hash_key);
        let mut mempool = Mempool::default();
        let mut refused = Vec::new();
        // In the order of nonces, since a reorganisation stores older transactions after newer ones, and the pool
        // bounds how far a nonce may be ahead.
        let recall = |signed| CheckedTransaction::recall(signed, &config.network);
        let mut pending: Vec<_> = stored.pending.into_iter().map(recall).collect();
        pending.sort_by_key(|transaction| transaction.signed().transaction.nonce);
        for transaction in pending {
            if mempool.add_own(transaction.clone(), chain.ledger()).is_err() {
                refused.push(transaction);
            }
        }
        let mut engine = Self {
            mining: MiningState::new(config.mining),
            network: config.network,
            account: config.account,
            nickname: config.nickname,
            chain,
            mempool,
            refused: RefusedIds::default(),
            peers: Peers::default(),
            orphans: Orphans::default(),
            reconstructions: Reconstructions::default(),
            sync: sync::Sync::default(),
            catch_up: CatchUp::default(),
            announcer: Announcer::default(),
            whole_bytes_max: WHOLE_BYTES_MAX,
            resolving: Vec::new(),
            refused_tips: checkpoint::RefusedTips::default(),
            not_followed: checkpoint::RefusedTips::default(),
            dated_tips: checkpoint::RefusedTips::default(),
            delayed: 0,
            serving: 0,
            checks: BTreeMap::new(),
            unchecked: Unchecked::default(),
            judged: BTreeMap::new(),
            outbox: Outbox::default(),
            awaiting_verdict: Vec::new(),
            submitted: Submitted::default(),
            refusals: Refusals::default(),
            mined_here: VecDeque::new(),
            tip_came_at: None,
            loading: None,
            last_key: 0,
            writes: Vec::new(),
            gate: Gate::default(),
            publications: Vec::new(),
            notices: Vec::new(),
            answers: Vec::new(),
            changed_accounts: BTreeSet::new(),
            pool_due: None,
            deferred: Vec::new(),
            view: None,
            view_is_old: true,
        };
        refused.into_iter().for_each(|transaction| engine.give_up(&transaction, false));
        engine
    }

    /// Processes one event, and appends the resulting effects in order.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) -> Wake {
        // These events do not change what peers are to be asked.
        let is_quiet = matches!(
            event,
            Event::Gossip { gossip: event::Gossip::Transactions(_), .. }
                | Event::TransactionsChecked { .. }
                | Event::Request { .. }
                | Event::Response { .. }
                | Event::Served { .. }
                | Event::HashRate(_)
        );
        // Between two chains there is no state to answer from.
        let needs_state = matches!(
            event,
            Event::Command { .. } | Event::Request { request: quipu_protocol::Request::Headers { .. }, .. }
        );
        self.catch_up_before(&event, now);
        if needs_state && self.chain.is_reorganising() {
            self.defer(event, now, effects);
        } else {
            self.route(now, event, effects);
        }
        self.answer_delayed(now, effects);
        self.revisit_orphans(now, effects);
        self.expire_pulls(now, effects);
        self.check_transactions(effects);
        self.plan_rivals(now);
        self.plan(is_quiet, now, effects);
        let unfinished = self.advance(now, effects);
        // Before deferred events are routed, since their blocks have not had their chance yet.
        self.settle_submitted();
        self.settle_mined();
        if !self.chain.is_reorganising() && !self.deferred.is_empty() {
            self.catch_up_pool();
            for event in std::mem::take(&mut self.deferred) {
                self.route(now, event, effects);
            }
        }
        self.settle_verdicts(effects);
        self.plan_rest(now);
        self.plan_mining(now, effects);
        self.announce(now);
        self.announce_transactions(now);
        self.settle_resolving(now);
        self.plan_catch_up(now);
        self.flush(effects);
        self.view_is_old = true;
        if unfinished { Wake::Now } else { Wake::At(self.next_wake()) }
    }

    fn route(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::PeerConnected { peer } => self.peers.connect(peer, now),
            Event::PeerDisconnected { peer } => self.on_disconnected(peer, now, effects),
            Event::Gossip { peer, ticket, gossip } => self.on_gossip(peer, ticket, gossip, now, effects),
            Event::Misbehaved { peer, fault } => self.peers.punish(peer, fault, effects),
            Event::Request { peer, ticket, request } => self.on_request(peer, ticket, request, now, effects),
            Event::Response { peer, key, result } if self.reconstructions.awaits(peer, key) => {
                self.on_pulled(key, result, now, effects);
            }
            Event::Response { peer, key, result } => self.on_response(peer, key, result, now, effects),
            Event::BlocksChecked { key, results } => match self.checks.remove(&key) {
                Some(Check::Sync { peer, blocks, bytes }) => {
                    self.on_sync_checked(peer, (blocks, bytes), results, effects);
                }
                Some(Check::Offered { origin, ticket, block }) => {
                    for result in results {
                        self.on_offered_checked(origin, ticket, block, result, effects);
                    }
                }
                Some(Check::Transactions { .. } | Check::Pulled) | None => {}
            },
            Event::TransactionsChecked { key, results } => match self.checks.remove(&key) {
                Some(Check::Transactions { origins }) => self.on_transactions_checked(origins, results, effects),
                Some(Check::Pulled) => self.on_pulled_checked(key, results, now, effects),
                Some(Check::Sync { .. } | Check::Offered { .. }) | None => {}
            },
            Event::Loaded { key, blocks } => {
                if self.loading == Some(key) {
                    self.loading = None;
                    self.chain.insert_loaded(blocks);
                }
            }
            Event::Served { peer, unused_bytes } => self.on_served(peer, unused_bytes),
            Event::Persisted { sequence } => self.gate.on_persisted(sequence, effects),
            Event::Mined { key, nonce } => self.on_mined(key, nonce),
            Event::Command { ticket, command } => self.on_command(ticket, command, now),
            Event::HashRate(rate) => self.mining.note_hash_rate(rate),
            Event::Tick => {}
        }
    }

    fn on_disconnected(&mut self, peer: PeerKey, now: Now, effects: &mut Vec<Effect>) {
        if let Some(session) = self.peers.disconnect(peer) {
            self.refuse_delayed(&session, effects);
            self.forget_flights(session);
        }
        self.mempool.forget_peer(peer);
        self.orphans.forget_peer(peer);
        self.forget_pulls(peer, now, effects);
        self.refuse_deferred(peer, effects);
        self.note_resolved(peer);
    }

    /// Moves the best chain along, with everything that depends on it. Returns whether there is more to do at once.
    fn advance(&mut self, now: Now, effects: &mut Vec<Effect>) -> bool {
        let tip_before = self.chain.tip();
        let progress = self.chain.advance();
        self.note_fetched(progress.connected.len(), now);
        if !progress.wanted.is_empty() && self.loading.is_none() {
            let key = self.new_key();
            self.loading = Some(key);
            self.writes.extend(self.chain.take_writes());
            self.flush_writes(effects);
            let load = LoadEffect::Blocks { key, places: progress.wanted.clone() };
            self.gate.emit_after(self.gate.emitted(), load, effects);
        }
        let unfinished = progress.unfinished;
        if !progress.connected.is_empty() || !progress.undone.is_empty() || !progress.refused.is_empty() {
            self.peers.note_changed();
        }
        self.follow(progress, effects);
        let tip = self.chain.tip();
        if tip != tip_before {
            self.tip_came_at = Some(now.elapsed);
            self.refused.clear();
            // The next blocks may have to be requested.
            self.choose_goal();
            // A gossiped block is forwarded by its verdict.
            let passed_on = self.awaiting_verdict.iter().any(|(_, _, block)| *block == tip);
            self.plan_rest(now);
            if !passed_on && !self.is_resting() {
                self.announcer.want();
            }
        }
        unfinished
    }

    fn follow(&mut self, progress: ChainAdvance, effects: &mut Vec<Effect>) {
        for (place, violation) in &progress.refused {
            self.refusals.note(place.id, violation);
            self.notify(Notice::BlockRefused { place: *place, violation: violation.clone() });
            self.drop_condemned_peers(violation, effects);
        }
        self.note_changes(&progress);
        // Between two chains there is no state for the pool.
        if self.chain.is_reorganising() {
            return;
        }
        if !self.changed_accounts.is_empty() {
            self.mempool.update(std::mem::take(&mut self.changed_accounts), self.chain.ledger());
            self.note_dropped();
        }
        let reorganised = progress.reorganised.as_ref();
        let (reorg_depth, fell) = reorganised.map_or((0, Wei::ZERO), |done| (done.depth, done.fell));
        let returned = reorganised.map_or(0, |done| self.reinstate(done));
        if let Some((last, _)) = progress.connected.last() {
            let ours = self.mined_here.contains(&last.id());
            for (block, _) in &progress.connected {
                self.mined_here.retain(|mined| *mined != block.id());
            }
            let tip = self.chain.tip_place();
            tracing::debug!(block = %tip.id, height = tip.height.0, reorg_depth, ours, "new tip");
            self.notify(Notice::Tip { tip, reorg_depth, returned, fell, ours });
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Answer, CommandError>) {
        self.answers.push((ticket, answer));
    }

    /// Publishes a message once its own transactions, if any, are durable up to this batch.
    fn publish(&mut self, gossip: event::Gossip, after: u64) {
        self.publications.push((after, gossip));
    }

    fn notify(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    fn new_key(&mut self) -> Key {
        self.last_key += 1;
        Key(self.last_key)
    }

    /// Emits the writes as one batch, then the messages for peers and the user.
    fn flush(&mut self, effects: &mut Vec<Effect>) {
        self.flush_writes(effects);
        for (after, gossip) in std::mem::take(&mut self.publications) {
            self.gate.emit_after(after, PeerEffect::Publish(gossip), effects);
        }
        // A user who waits for an answer has then heard of everything that led to it.
        effects.extend(self.notices.drain(..).map(|notice| UserEffect::Notify(notice).into()));
        for (ticket, answer) in std::mem::take(&mut self.answers) {
            let after = self.gate.batch_of_answer(&answer);
            self.gate.emit_after(after, UserEffect::Answer { ticket, answer }, effects);
        }
        self.gate.hurry(effects);
    }

    fn flush_writes(&mut self, effects: &mut Vec<Effect>) {
        let mut writes = self.chain.take_writes();
        writes.append(&mut self.writes);
        if !writes.is_empty() {
            self.gate.write(writes, effects);
        }
    }

    fn next_wake(&self) -> Millis {
        let announced = [self.announcer.due(), self.outbox.due()];
        let asked = [self.resolve_deadline(), self.reconstructions.deadline(), self.delayed_due()];
        let planned = [Some(self.plan_due()), self.mining.deadline(), self.pool_due, self.catch_up.deadline()];
        let deadlines = planned.into_iter().chain([self.rival_deadline()]);
        deadlines.into_iter().chain(announced).chain(asked).flatten().min().expect("one of them is always there")
    }

    /// Whether effects are held until the last batches are durable.
    pub fn awaits_disk(&self) -> bool {
        self.gate.held() > 0
    }

    /// Sets the bytes of encoded blocks, with their deltas, that are cached beside the store: less than the default
    /// where many engines share one memory. It only affects how often [`Effect::Load`] asks for blocks.
    pub fn set_cached_bytes_max(&mut self, bytes_max: usize) {
        self.chain.set_cached_bytes_max(bytes_max);
    }

    /// Sets the longest block that is announced whole, in bytes: less than the default in tests of compact
    /// announcements.
    pub fn set_whole_bytes_max(&mut self, bytes_max: usize) {
        self.whole_bytes_max = bytes_max;
    }
}

#[cfg(test)]
mod tests;
