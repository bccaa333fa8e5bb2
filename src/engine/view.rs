//! An immutable snapshot of the engine for readers (prompt, HTTP, metrics), and what else they may look up.

use std::sync::Arc;

use quipu_protocol::check::Parent;
use quipu_protocol::{Address, BlockId, Header, Height, Ledger, Status, TransactionId, Wei, Work};
use serde::Serialize;

use super::Engine;
use super::event::{MiningMode, PeerKey, Place};
use super::mempool::PoolPrice;

/// The state of the node at one moment. Cheap to make, shared by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Number of the last batch that was emitted before: once it is durable, the store holds all that is shown here.
    pub batch: u64,
    /// Height and id of the best block.
    pub tip: Place,
    /// The work of the best chain.
    pub work: Work,
    /// The timestamp of the best block.
    pub tip_timestamp: quipu_protocol::UnixMillis,
    /// The node's own account.
    pub account: Address,
    /// The own account's balance at the tip.
    pub balance: Wei,
    /// The number of pending transactions.
    pub pending: usize,
    /// The price of room in the memory pool.
    pub pool_price: PoolPrice,
    /// The block that the chain never leaves, if there is one.
    pub checkpoint: Option<Place>,
    /// The state of mining.
    pub mining: MiningView,
    /// `Some` while a better chain is being fetched.
    pub syncing: Option<SyncView>,
    /// Whether blocks of that chain keep coming, or did until a moment ago.
    pub is_fetching: bool,
    /// The peers' sessions, oldest first.
    pub peers: Vec<PeerView>,
}

/// The state of mining.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MiningView {
    /// The condition under which the node mines.
    pub mode: MiningMode,
    /// Hashes per second, zero when the miner rests.
    pub hash_rate: u64,
    /// Blocks done and blocks wanted of a running `mine N`.
    pub job: Option<(u64, u64)>,
    /// The reason why the node does not mine by itself although its mode says so.
    pub waits_for: Option<MiningWait>,
}

/// The reason why a node that mines by itself does not mine now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MiningWait {
    /// A better chain is being fetched.
    Chain,
    /// No transaction is pending, and the mode is [`MiningMode::Pending`].
    Transactions,
}

/// The progress of a synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncView {
    /// Our height.
    pub height: Height,
    /// The greatest height of the chains that peers have shown; until the node has caught up once, also of those that
    /// they claim.
    pub target: Height,
}

/// The last status of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// The key of the session.
    pub peer: PeerKey,
    /// The peer's height, once it reported one.
    pub height: Option<Height>,
    /// The block at that height.
    pub tip: Option<BlockId>,
    /// The peer's nickname; empty if it has none.
    pub nickname: String,
    /// The peer's clock less ours in milliseconds, once it reported its time.
    pub clock_offset_millis: Option<i64>,
}

impl Engine {
    /// The state for readers, renewed only if an event was handled since the last call. During a reorganisation it
    /// stays as it was before.
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
        let peers = self.peers.iter().map(|(peer, session)| {
            let reported = session.status.as_ref().map(|status| Place { height: status.height, id: status.tip });
            // A block that the peer has sent since may be above its reported tip.
            let sent = session.best.filter(|best| reported.is_none_or(|place| tree.height(*best) > place.height));
            let best = sent.map(|best| tree.place(best)).or(reported);
            PeerView {
                peer,
                height: best.map(|place| place.height),
                tip: best.map(|place| place.id),
                nickname: session.status.as_ref().map(Status::nickname).unwrap_or_default(),
                clock_offset_millis: session.clock_offset_millis,
            }
        });
        View {
            batch: self.gate.emitted(),
            tip: self.chain.tip_place(),
            work: tree.work(tip),
            tip_timestamp: tree.timestamp(tip),
            account: self.account,
            balance: self.chain.ledger().account(&self.account).balance,
            pending: self.mempool.len(),
            pool_price: self.mempool.price(),
            checkpoint: self.chain.checkpoint(),
            mining: self.mining_view(),
            syncing: self.sync_view(),
            is_fetching: self.is_fetching(),
            peers: peers.collect(),
        }
    }

    /// The header of a known block.
    pub fn header(&self, id: &BlockId) -> Option<Header> {
        let tree = self.chain.tree();
        tree.find(id).map(|block| tree.header(block))
    }

    /// The parts of a known block's header that the rules on its children need.
    pub fn as_parent(&self, id: &BlockId) -> Option<Parent> {
        let tree = self.chain.tree();
        tree.find(id).map(|block| tree.as_parent(block))
    }

    /// Whether a transaction is pending.
    pub fn is_pending(&self, id: &TransactionId) -> bool {
        self.mempool.get(id).is_some()
    }

    /// All accounts after the tip; during a reorganisation, after a block on the way.
    pub fn ledger(&self) -> &Ledger {
        self.chain.ledger()
    }
}
