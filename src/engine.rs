//! The node's brain: events in, effects out.
//!
//! [`Engine::handle`] takes in one event and says what is to be done. It never blocks and never fails, does no I/O,
//! reads no clock, starts no thread and draws no random number: the same events at the same times give the same
//! effects. A peer's misbehaviour is data here, not an error.
//!
//! After each event the same steps run: move the best chain along, give verdicts, ask peers for what is wanted and
//! not in flight, keep the miner at what is worth mining. What is wanted is always derived from the state, so nothing
//! depends on remembering to ask.
//!
//! | module | what it decides |
//! | --- | --- |
//! | [`event`] | nothing: the vocabulary between the engine and the world |
//! | `header_tree` | the tree of all valid headers |
//! | `chain`, `bodies` | which chain is the best, and how to get there |
//! | `orphans` | what becomes of blocks that come too soon |
//! | [`mempool`] | which transactions wait, and which are mined first |
//! | `peers` | what peers may send, and when they are cut off |
//! | [`pace`] | how long a peer is waited for, and how much it is asked for at once |
//! | `sync` | what to ask, whom, and when to give up |
//! | `gossip` | what is passed on |
//! | `bundles` | the same for transactions, and what is told of together |
//! | `compact` | how a block is put together that is announced without its transactions |
//! | `serve` | what peers are answered |
//! | `mining` | what the miner searches for |
//! | `release` | what waits for the disk |
//! | `rollback` | what becomes of transactions whose blocks left the best chain |
//! | `checkpoint` | how a chain is turned down that leaves out the checkpoint |
//! | `bounds` | nothing: the bound of every container, and how full it is |
//! | `command` | what the node's own user is answered |
//! | [`view`] | the snapshot that readers see |
//!
//! Every container is bounded: the constants next to them say by how much, and what is given up first.

mod bodies;
mod bounds;
mod bundles;
mod chain;
mod checkpoint;
mod command;
mod compact;
pub mod event;
mod gossip;
mod header_tree;
pub mod mempool;
mod mining;
mod orphans;
pub mod pace;
pub mod peers;
mod release;
mod rollback;
mod serve;
mod submit;
pub mod sync;
pub mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use quipu_protocol::compact::WHOLE_BYTES_MAX;
use quipu_protocol::{Address, BlockId, CheckedTransaction, Ledger, Millis, Network};

pub use event::{Effect, Event, Now, Wake};
pub use view::View;

use bundles::{OpenBundle, Origin, Outbox, Unchecked};
use chain::{Chain, ChainAdvance};
use compact::Reconstructions;
use event::{
    Answer, CommandError, Key, LoadEffect, MiningMode, Notice, PeerEffect, PeerKey, Stored, Ticket, UserEffect, Write,
};
use gossip::{Announcer, RefusedIds};
use header_tree::BlockRef;
use mempool::Mempool;
use mining::Mining;
use orphans::Orphans;
use peers::Peers;
use release::Gate;
use submit::Submitted;
use view::PeerView;

/// How long the engine may go without being called.
const TICK_INTERVAL: Millis = Millis(2_000);

/// What an engine is made with.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The network.
    pub network: Arc<Network>,
    /// The node's own account.
    pub account: Address,
    /// What the node calls itself.
    pub nickname: String,
    /// Random bytes, for what peers must not be able to predict.
    pub seed: [u8; 32],
    /// When to mine from the start.
    pub mining: MiningMode,
}

/// Something that is being checked.
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
    /// What a block lacked that is being put together.
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
    mining: Mining,
    announcer: Announcer,
    whole_bytes_max: usize,
    resolving: Vec<command::Resolving>,
    refused_tips: checkpoint::RefusedTips,
    /// What the checker pool is at, by the key of the effect.
    checks: BTreeMap<Key, Check>,
    unchecked: Unchecked,
    /// Bundles of peers whose transactions are not all judged yet.
    judged: BTreeMap<Ticket, OpenBundle>,
    /// Transactions that peers are about to be told of.
    outbox: Outbox,
    awaiting_verdict: Vec<(PeerKey, Ticket, BlockRef)>,
    /// Blocks of the node's user that were not connected yet.
    submitted: Submitted,
    /// Blocks that were mined here and are not connected yet. The oldest are forgotten first.
    mined_here: VecDeque<BlockId>,
    loading: Option<Key>,
    last_key: u64,
    writes: Vec<Write>,
    /// What waits for the disk.
    gate: Gate,
    /// For peers and for the user, at the end of the call. Each publication with the batch that it waits for.
    publications: Vec<(u64, event::Gossip)>,
    notices: Vec<Notice>,
    answers: Vec<(Ticket, Result<Answer, CommandError>)>,
    /// Accounts with something in the pool that changed since that was brought up to date.
    changed_accounts: BTreeSet<Address>,
    /// Commands, and requests for headers, that wait for the end of a reorganisation. The shell bounds the commands.
    deferred: Vec<Event>,
    view: Option<Arc<View>>,
    view_is_old: bool,
}

impl Engine {
    /// An engine that goes on from what was stored.
    pub fn new(config: EngineConfig, stored: Stored) -> Self {
        let hash_key = u64::from_le_bytes(*config.seed.first_chunk().expect("32 bytes hold 8"));
        let chain = Chain::new(config.network.clone(), config.account, &stored, hash_key);
        let mut mempool = Mempool::default();
        let mut refused = Vec::new();
        // In the order of nonces, since a reorganisation stores older transactions after newer ones, and the pool bounds
        // how far a nonce may be ahead.
        let recall = |signed| CheckedTransaction::recall(signed, &config.network);
        let mut pending: Vec<_> = stored.pending.into_iter().map(recall).collect();
        pending.sort_by_key(|transaction| transaction.signed().transaction.nonce);
        for transaction in pending {
            let id = transaction.id();
            if mempool.add(transaction, None, true, chain.ledger()).is_err() {
                refused.push(id);
            }
        }
        let mut engine = Self {
            mining: Mining::new(config.mining),
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
            announcer: Announcer::default(),
            whole_bytes_max: WHOLE_BYTES_MAX,
            resolving: Vec::new(),
            refused_tips: checkpoint::RefusedTips::default(),
            checks: BTreeMap::new(),
            unchecked: Unchecked::default(),
            judged: BTreeMap::new(),
            outbox: Outbox::default(),
            awaiting_verdict: Vec::new(),
            submitted: Submitted::default(),
            mined_here: VecDeque::new(),
            loading: None,
            last_key: 0,
            writes: Vec::new(),
            gate: Gate::default(),
            publications: Vec::new(),
            notices: Vec::new(),
            answers: Vec::new(),
            changed_accounts: BTreeSet::new(),
            deferred: Vec::new(),
            view: None,
            view_is_old: true,
        };
        engine.writes.extend(refused.into_iter().map(Write::DropPending));
        engine
    }

    /// Takes in one event, and adds to `effects` what is to be done, in order.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) -> Wake {
        // Nothing that these say changes what peers are to be asked.
        let is_quiet = matches!(
            event,
            Event::Gossip { gossip: event::Gossip::Transactions(_), .. }
                | Event::TransactionsChecked { .. }
                | Event::Request { .. }
                | Event::Response { .. }
                | Event::HashRate(_)
        );
        // Between two chains there is no state to answer from.
        let needs_state = matches!(
            event,
            Event::Command { .. } | Event::Request { request: quipu_protocol::Request::Headers { .. }, .. }
        );
        if needs_state && self.chain.is_reorganising() {
            self.defer(event, effects);
        } else {
            self.route(now, event, effects);
        }
        self.revisit_orphans(now, effects);
        self.expire_pulls(now, effects);
        self.check_transactions(effects);
        self.plan(is_quiet, now, effects);
        let unfinished = self.advance(effects);
        // Before what was deferred is routed: that has not had its chance yet.
        self.settle_submitted();
        if !self.chain.is_reorganising() {
            for event in std::mem::take(&mut self.deferred) {
                self.route(now, event, effects);
            }
        }
        self.settle_verdicts(effects);
        self.plan_mining(now, effects);
        self.announce(now);
        self.announce_transactions(now);
        self.settle_resolving(now);
        self.flush(effects);
        self.view_is_old = true;
        if unfinished { Wake::Now } else { Wake::At(self.next_wake()) }
    }

    fn route(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::PeerConnected { peer } => self.peers.connect(peer, now),
            Event::PeerDisconnected { peer } => self.on_disconnected(peer, effects),
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
                Some(Check::Pulled) => self.on_pulled_checked(key, results, effects),
                Some(Check::Sync { .. } | Check::Offered { .. }) | None => {}
            },
            Event::Loaded { key, blocks } => {
                if self.loading == Some(key) {
                    self.loading = None;
                    self.chain.insert_loaded(blocks);
                }
            }
            Event::Persisted { sequence } => self.gate.on_persisted(sequence, effects),
            Event::Mined { key, nonce } => self.on_mined(key, nonce),
            Event::Command { ticket, command } => self.on_command(ticket, command, now),
            Event::HashRate(rate) => self.mining.note_hash_rate(rate),
            Event::Tick => {}
        }
    }

    fn on_disconnected(&mut self, peer: PeerKey, effects: &mut Vec<Effect>) {
        if let Some(session) = self.peers.disconnect(peer) {
            self.forget_flights(session);
        }
        self.mempool.forget_peer(peer);
        self.orphans.forget_peer(peer);
        self.forget_pulls(peer, effects);
        self.refuse_deferred(peer, effects);
        self.note_resolved(peer);
    }

    /// Moves the best chain along, and everything that follows it. Whether there is more to do at once.
    fn advance(&mut self, effects: &mut Vec<Effect>) -> bool {
        let tip_before = self.chain.tip();
        let progress = self.chain.advance();
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
            self.refused.clear();
            // What comes next may need somebody.
            self.choose_goal();
            // What came by gossip goes on by its verdict.
            let passed_on = self.awaiting_verdict.iter().any(|(_, _, block)| *block == tip);
            if !passed_on && !self.is_far_behind() {
                self.announcer.want();
            }
        }
        unfinished
    }

    fn follow(&mut self, progress: ChainAdvance, effects: &mut Vec<Effect>) {
        for (place, violation) in &progress.refused {
            self.notify(Notice::BlockRefused { place: *place, violation: violation.clone() });
            self.drop_condemned_peers(violation, effects);
        }
        // Between two chains there is no state to bring the pool up to date with. Nothing is admitted there, so whoever has
        // nothing in the pool now has nothing there then.
        if self.chain.is_reorganising() {
            let changed = progress.changed_accounts().filter(|address| self.mempool.has_any_from(address));
            return self.changed_accounts.extend(changed);
        }
        let changed = std::mem::take(&mut self.changed_accounts).into_iter().chain(progress.changed_accounts());
        self.mempool.update(changed, self.chain.ledger());
        self.note_dropped();
        let reorganised = progress.reorganised.as_ref();
        let (reorg_depth, returned) = reorganised.map_or((0, 0), |done| (done.depth, self.reinstate(done)));
        if let Some((last, _)) = progress.connected.last() {
            let ours = self.mined_here.contains(&last.id());
            for (block, _) in &progress.connected {
                self.mined_here.retain(|mined| *mined != block.id());
            }
            let tip = self.chain.tip_place();
            self.notify(Notice::Tip { tip, reorg_depth, returned, ours });
        }
    }

    fn note_dropped(&mut self) {
        self.writes.extend(self.mempool.take_dropped_durable().into_iter().map(Write::DropPending));
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Answer, CommandError>) {
        self.answers.push((ticket, answer));
    }

    /// Spreads something when the own transactions that it shows, if any, are durable up to this batch.
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

    /// Emits what is to be written as one batch, then what peers and the user are told.
    fn flush(&mut self, effects: &mut Vec<Effect>) {
        self.flush_writes(effects);
        for (after, gossip) in std::mem::take(&mut self.publications) {
            self.gate.emit_after(after, PeerEffect::Publish(gossip), effects);
        }
        // Whoever waits for an answer has then heard of all that led to it.
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
        let asked = [self.resolve_deadline(), self.reconstructions.deadline()];
        let deadlines = [Some(self.plan_due()), self.mining.deadline()];
        deadlines.into_iter().chain(announced).chain(asked).flatten().min().expect("one of them is always there")
    }

    /// The state for readers. Made anew only when something was handled since the last call. In the middle of a
    /// reorganisation it stays as it was before.
    pub fn view(&mut self) -> Arc<View> {
        let kept = self.view.clone().filter(|_| !self.view_is_old || self.chain.is_reorganising());
        let view = kept.unwrap_or_else(|| Arc::new(self.make_view()));
        self.view_is_old &= self.chain.is_reorganising();
        self.view = Some(view.clone());
        view
    }

    fn make_view(&self) -> View {
        let tip = self.chain.tip();
        let tree = self.chain.tree();
        let peers = self.peers.iter().map(|(peer, session)| PeerView {
            peer,
            // A block that it has sent since may be above the one it told of.
            height: session.status.as_ref().map(|status| status.height).max(session.best.map(|best| tree.height(best))),
            nickname: session.status.as_ref().map(quipu_protocol::Status::nickname).unwrap_or_default(),
            clock_offset_millis: session.clock_offset_millis,
        });
        View {
            batch: self.gate.emitted(),
            tip: self.chain.tip_place(),
            work: tree.work(tip),
            tip_timestamp: tree.timestamp(tip),
            account: self.account,
            balance: self.chain.ledger().account(&self.account).balance,
            pending: self.mempool.len(),
            checkpoint: self.chain.checkpoint(),
            mining: self.mining.view(),
            syncing: self.sync_view(),
            peers: peers.collect(),
        }
    }

    /// Whether something is done or told when the last batches are durable.
    pub fn awaits_disk(&self) -> bool {
        self.gate.held() > 0
    }

    /// How many bytes of encoded blocks, with what undoes them, are kept in memory beside the store: less than the default
    /// where many engines share one memory. It only changes how often [`Effect::Load`] asks for some.
    pub fn set_cached_bytes_max(&mut self, bytes_max: usize) {
        self.chain.set_cached_bytes_max(bytes_max);
    }

    /// How long a block may be that is announced whole, in bytes: less than the default where blocks are short and the other way
    /// is to be seen.
    pub fn set_whole_bytes_max(&mut self, bytes_max: usize) {
        self.whole_bytes_max = bytes_max;
    }

    /// All accounts after the tip; in the middle of a reorganisation, after a block on the way.
    pub fn ledger(&self) -> &Ledger {
        self.chain.ledger()
    }
}

#[cfg(test)]
mod tests;
