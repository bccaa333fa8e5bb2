//! An immutable snapshot of the engine for readers: prompt, metrics, later a web page.

use quipu_protocol::{Address, Amount, Height, Work};

use super::event::{MiningMode, PeerKey, Place};

/// What the node knows at one moment. Cheap to make, shared by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The best block.
    pub tip: Place,
    /// The work of the best chain.
    pub work: Work,
    /// When the best block was made, in Unix milliseconds.
    pub tip_timestamp: quipu_protocol::UnixMillis,
    /// The node's own account.
    pub account: Address,
    /// Its balance at the tip.
    pub balance: Amount,
    /// How many transactions wait.
    pub pending: usize,
    /// The block that is never left, if there is one.
    pub checkpoint: Option<Place>,
    /// What the miner is at.
    pub mining: MiningView,
    /// `Some` while a better chain is being fetched.
    pub syncing: Option<SyncView>,
    /// The peers' sessions, oldest first.
    pub peers: Vec<PeerView>,
}

/// What the miner is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MiningView {
    /// When to mine.
    pub mode: MiningMode,
    /// Hashes per second, zero when the miner rests.
    pub hash_rate: u64,
    /// Blocks done and wanted of a running `mine N`.
    pub job: Option<(u64, u64)>,
}

/// How far a synchronisation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncView {
    /// Our height.
    pub height: Height,
    /// The height of the best chain that peers have told us of.
    pub target: Height,
}

/// What a peer has told about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// The session.
    pub peer: PeerKey,
    /// Its height, once it told.
    pub height: Option<Height>,
    /// What its owner calls it; empty if nothing.
    pub nickname: String,
    /// Its clock less ours in milliseconds, once it told.
    pub clock_offset_millis: Option<i64>,
}
