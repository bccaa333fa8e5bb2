//! The node itself: how it is, and who is connected.

use std::net::SocketAddr;

use libp2p::{Multiaddr, PeerId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Identity, PlaceRow, as_text};
use crate::engine::View;
use crate::engine::event::{MiningMode, Place};
use crate::engine::view::{MiningView, PeerView, SyncView};
use crate::node::event::PeerRow;
use crate::node::handle::ask::Resolution;
use crate::node::wallet::Current;
use crate::protocol::{Address, Amount, BlockId, Height, UnixMillis};

/// Which side dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer.
    Inbound,
    /// We.
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
    /// Who it is.
    pub peer_id: String,
    /// Where it is.
    #[schema(value_type = String)]
    pub address: Multiaddr,
    /// What its owner calls it; empty if it has not told.
    pub name: String,
    /// Its software.
    pub agent: String,
    /// Its height, once it told.
    #[schema(value_type = Option<u64>)]
    pub height: Option<Height>,
    /// Which side dialled.
    pub direction: Direction,
    /// Last round trip, once measured.
    pub ping_ms: Option<u64>,
    /// Its clock less ours, once it told.
    #[serde(skip)]
    pub clock_offset_millis: Option<i64>,
}

impl Peer {
    /// What the connection shows, with what the peer has told.
    pub fn new(row: &PeerRow, told: Option<&PeerView>) -> Self {
        Self {
            peer_id: row.peer_id.to_string(),
            address: row.address.clone(),
            name: told.map(|told| told.nickname.clone()).unwrap_or_default(),
            agent: row.agent.clone(),
            height: told.and_then(|told| told.height),
            direction: row.into(),
            ping_ms: row.ping_millis,
            clock_offset_millis: told.and_then(|told| told.clock_offset_millis),
        }
    }
}

/// How the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Status {
    /// What its owner calls it.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// The network's genesis block.
    #[schema(value_type = String)]
    pub genesis: BlockId,
    /// Of the best block.
    #[schema(value_type = u64)]
    pub height: Height,
    /// The best block.
    #[schema(value_type = String)]
    pub tip: BlockId,
    /// Of the best chain, in expected hashes; 128 bits, so as text.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub work: u128,
    /// How many are connected.
    pub peers: usize,
    /// How many transactions wait.
    pub pending: usize,
    /// Of the node's own account.
    #[schema(value_type = String)]
    pub balance: Amount,
    /// The node's own account.
    #[schema(value_type = String)]
    pub address: Address,
    /// The wallet with its key.
    pub wallet: String,
    /// Whether that key can't be used now.
    pub locked: bool,
    /// The block that is never left.
    pub checkpoint: Option<PlaceRow>,
    /// What the miner is at.
    pub mining: Mining,
    /// Whether a better chain is being fetched.
    pub syncing: bool,
    /// Where its page and its API are.
    pub http: Option<String>,
    /// Who it is to peers.
    #[serde(skip)]
    pub peer_id: PeerId,
    /// How far a synchronisation is.
    #[serde(skip)]
    pub sync: Option<SyncView>,
    /// Where others may reach it.
    #[serde(skip)]
    pub listen: Vec<Multiaddr>,
    /// How old the best block is.
    #[serde(skip)]
    pub tip_age_millis: u64,
}

/// What the miner is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mining {
    /// When the node mines by itself.
    #[schema(value_type = String)]
    pub mode: MiningMode,
    /// Hashes per second, zero when the miner rests.
    pub hash_rate: u64,
}

impl From<MiningView> for Mining {
    fn from(view: MiningView) -> Self {
        Self { mode: view.mode, hash_rate: view.hash_rate }
    }
}

impl Status {
    /// From one view.
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
        }
    }
}

/// The address of a server.
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

/// What came of asking all peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Resolved {
    /// Whether another chain took the place of ours.
    pub replaced: bool,
    /// How many peers answered.
    pub answered: usize,
    /// How many were asked.
    pub asked: usize,
    /// The best block now.
    pub tip: PlaceRow,
}

impl From<Resolution> for Resolved {
    fn from(resolution: Resolution) -> Self {
        let Resolution { replaced, answered, asked, tip } = resolution;
        Self { replaced, answered, asked, tip: tip.into() }
    }
}

/// A chain in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// The file.
    pub file: String,
    /// How many blocks it holds, genesis counted.
    pub blocks: u64,
    /// How long it is.
    pub bytes: u64,
}
