//! The node itself: its state and its peers.

use std::net::SocketAddr;

use libp2p::{Multiaddr, PeerId};
use serde::Serialize;
use utoipa::ToSchema;

use super::words::{AddressText, BalanceText, IdText, ModeWord, WaitWord};
use super::{Identity, PlaceRow, as_text};
use crate::engine::View;
use crate::engine::event::{MiningMode, Place};
use crate::engine::view::{MiningView, MiningWait, PeerView, SyncView};
use crate::node::event::PeerRow;
use crate::node::handle::ask::Resolution;
use crate::node::wallet::Current;
use crate::protocol::{Address, BlockId, Height, UnixMillis, Wei};

/// The side that dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer.
    Inbound,
    Outbound,
}

impl From<&PeerRow> for Direction {
    fn from(row: &PeerRow) -> Self {
        if row.outbound { Self::Outbound } else { Self::Inbound }
    }
}

/// A connected peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Peer {
    /// Its id.
    pub peer_id: String,
    /// Its address.
    #[schema(value_type = String)]
    pub address: Multiaddr,
    /// The owner's name for it; empty if unknown.
    pub name: String,
    /// Its software.
    pub agent: String,
    /// Its height; null until it is known.
    #[schema(value_type = Option<u64>)]
    pub height: Option<Height>,
    /// The block at that height; null until it is known.
    #[schema(value_type = Option<IdText>)]
    pub tip: Option<BlockId>,
    /// The side that dialled.
    pub direction: Direction,
    /// The last round trip; null until it is measured.
    pub ping_ms: Option<u64>,
    /// The peer's clock minus ours; null until it is known.
    #[serde(skip)]
    pub clock_offset_millis: Option<i64>,
}

impl Peer {
    /// Combines the connection with the peer's own figures.
    pub fn new(row: &PeerRow, told: Option<&PeerView>) -> Self {
        Self {
            peer_id: row.peer_id.to_string(),
            address: row.address.clone(),
            name: told.map(|told| told.nickname.clone()).unwrap_or_default(),
            agent: row.agent.clone(),
            height: told.and_then(|told| told.height),
            tip: told.and_then(|told| told.tip),
            direction: row.into(),
            ping_ms: row.ping_millis,
            clock_offset_millis: told.and_then(|told| told.clock_offset_millis),
        }
    }
}

/// The state of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Status)]
pub struct NodeStatus {
    /// The owner's name for the node.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// The network's genesis block.
    #[schema(value_type = IdText)]
    pub genesis: BlockId,
    /// The height of the best block.
    #[schema(value_type = u64)]
    pub height: Height,
    /// The best block.
    #[schema(value_type = IdText)]
    pub tip: BlockId,
    /// The work of the best chain, in expected hashes; 128 bits, so as text.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub work: u128,
    /// The number of connected peers.
    pub peers: usize,
    /// The number of pending transactions.
    pub pending: usize,
    /// The balance of the node's own account.
    #[schema(value_type = BalanceText)]
    pub balance: Wei,
    /// The node's own account.
    #[schema(value_type = AddressText)]
    pub address: Address,
    /// The wallet that holds its key.
    pub wallet: String,
    /// Whether that key is unavailable until it is unlocked.
    pub locked: bool,
    /// The checkpoint; null if there is none.
    pub checkpoint: Option<PlaceRow>,
    /// The state of the miner.
    pub mining: Mining,
    /// Whether a better chain is being fetched.
    pub syncing: bool,
    /// The address of its page and its API.
    pub http: Option<String>,
    /// The node's id among peers.
    #[serde(skip)]
    pub peer_id: PeerId,
    /// The progress of a synchronisation.
    #[serde(skip)]
    pub sync: Option<SyncView>,
    /// The addresses at which others may reach it.
    #[serde(skip)]
    pub listen: Vec<Multiaddr>,
    /// The age of the best block.
    #[serde(skip)]
    pub tip_age_millis: u64,
    /// How far the best block is dated ahead of this machine's clock.
    #[serde(skip)]
    pub tip_ahead_millis: u64,
}

/// The state of the miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mining {
    /// The mode: when the node mines.
    #[schema(value_type = ModeWord)]
    pub mode: MiningMode,
    /// Hashes per second, zero when the miner rests.
    pub hash_rate: u64,
    /// Why the node does not mine although its mode says so; else null.
    #[schema(value_type = Option<WaitWord>)]
    pub waits_for: Option<MiningWait>,
    /// The blocks that were asked for; null while the node mines by itself or rests.
    pub job: Option<MiningJob>,
}

/// A number of blocks that are being mined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct MiningJob {
    /// Those that are found.
    pub done: u64,
    /// Those that were asked for.
    pub wanted: u64,
}

impl From<MiningView> for Mining {
    fn from(view: MiningView) -> Self {
        let job = view.job.map(|(done, wanted)| MiningJob { done, wanted });
        Self { mode: view.mode, hash_rate: view.hash_rate, waits_for: view.waits_for, job }
    }
}

impl NodeStatus {
    pub fn new(
        identity: &Identity,
        view: &View,
        wallet: &Current,
        peers: usize,
        (listen, http): (Vec<Multiaddr>, Option<SocketAddr>),
        now: UnixMillis,
    ) -> Self {
        Self {
            name: identity.name.clone(),
            network: identity.network.clone(),
            genesis: identity.genesis,
            height: view.tip.height,
            tip: view.tip.id,
            work: view.work.0,
            peers,
            pending: view.pending,
            balance: view.balance,
            address: view.account,
            wallet: wallet.name.clone(),
            locked: wallet.is_locked,
            checkpoint: view.checkpoint.map(Into::into),
            mining: view.mining.into(),
            syncing: view.syncing.is_some(),
            http: http.map(url),
            peer_id: identity.peer_id,
            sync: view.syncing,
            listen,
            tip_age_millis: now.saturating_since(view.tip_timestamp).0,
            tip_ahead_millis: view.tip_timestamp.saturating_since(now).0,
        }
    }
}

/// The URL of a server.
pub(in crate::node) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Blocks that were mined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mined {
    /// Oldest first; fewer than asked for if it was stopped.
    pub blocks: Vec<PlaceRow>,
}

impl From<Vec<Place>> for Mined {
    fn from(places: Vec<Place>) -> Self {
        Self { blocks: places.into_iter().map(Into::into).collect() }
    }
}

/// The result of asking all peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Resolved {
    /// Whether another chain replaced ours.
    pub replaced: bool,
    /// The number of peers that answered.
    pub answered: usize,
    /// The number of peers that were asked.
    pub asked: usize,
    /// The best block now.
    pub tip: PlaceRow,
    /// The time until which a better chain is kept back, because its blocks are dated ahead of this machine's clock, in
    /// Unix milliseconds.
    #[schema(value_type = Option<u64>)]
    pub kept_back_until: Option<UnixMillis>,
}

impl From<Resolution> for Resolved {
    fn from(resolution: Resolution) -> Self {
        let Resolution { replaced, answered, asked, tip, kept_back_until } = resolution;
        Self { replaced, answered, asked, tip: tip.into(), kept_back_until }
    }
}

/// A copy of the data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// Where it is.
    pub folder: String,
    pub files: u64,
    /// Their length.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saved {
    pub file: String,
    /// The number of its blocks, genesis included.
    pub blocks: u64,
    /// Its length.
    pub bytes: u64,
}
