//! An immutable snapshot of the engine for readers: prompt, HTTP, metrics.

use quipu_protocol::{Address, Amount, Height, Work};
use serde::Serialize;

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
    pub balance: Amount,
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
    /// The peer's nickname; empty if it has none.
    pub nickname: String,
    /// The peer's clock less ours in milliseconds, once it reported its time.
    pub clock_offset_millis: Option<i64>,
}
