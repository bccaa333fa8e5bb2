//! What commands give back, as plain data with the names and the order of the JSON answers.
//!
//! Nothing here needs a running node, so [`super::render`] and [`super::json`] are tested without one. Fields that
//! are only for people are skipped in JSON.

mod ledger;
mod wallet;

use std::net::SocketAddr;

use libp2p::{Multiaddr, PeerId};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::command::Entry;
use super::names::Names;
use crate::engine::View;
use crate::engine::event::{MiningMode, Place};
use crate::engine::view::{MiningView, PeerView, SyncView};
use crate::node::handle::Handle;
use crate::node::swarm::PeerRow;
use crate::node::wallet::Current;
use crate::protocol::{
    Action, Address, Amount, Block, BlockId, CheckedTransaction, Height, Network, Reward, SignedTransaction, Target,
    TransactionId, UnixMillis,
};

pub use self::ledger::{FileRow, HistoryRow, LifeRow, RecordRow};
pub use self::wallet::{AliasRow, WalletChange, WalletMade, WalletRow};

/// The answer to a command that worked. [`super::json`] documents each shape.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the fields are described with the JSON shapes")]
pub enum Outcome {
    Mined {
        blocks: Vec<PlaceRow>,
        #[serde(skip)]
        wanted: u64,
    },
    MiningSet {
        mode: MiningMode,
    },
    Sent {
        id: TransactionId,
        /// What was recorded of a file.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<FileRow>,
    },
    Chain {
        length: u64,
        blocks: Vec<BlockRow>,
    },
    Block {
        #[serde(flatten)]
        block: BlockRow,
        best_chain: bool,
    },
    Pending(Vec<TransactionRow>),
    Balance {
        address: Address,
        balance: Amount,
        nonce: u64,
        pending: u64,
        #[serde(skip)]
        spendable: Amount,
    },
    Address {
        address: Address,
    },
    Records {
        records: Vec<RecordRow>,
        next: Option<String>,
    },
    History {
        address: Address,
        entries: Vec<HistoryRow>,
        next: Option<String>,
    },
    Watched(LifeRow),
    Watching(Vec<LifeRow>),
    Unwatched {
        id: TransactionId,
    },
    Receipt {
        file: String,
        id: TransactionId,
        height: Height,
        confirmations: u64,
        bytes: u64,
    },
    Tip {
        height: Height,
        id: BlockId,
        timestamp: UnixMillis,
    },
    Checkpoint {
        checkpoint: Option<PlaceRow>,
    },
    Aliases(Vec<AliasRow>),
    AliasSet(AliasRow),
    AliasRemoved(AliasRow),
    Wallets(Vec<WalletRow>),
    Wallet {
        #[serde(flatten)]
        wallet: WalletRow,
        #[serde(skip)]
        change: WalletChange,
    },
    WalletMade(WalletMade),
    Peers(Vec<Peer>),
    Connected {
        peer_id: String,
        address: Multiaddr,
        agent: String,
        direction: Direction,
    },
    Resolved {
        replaced: bool,
        answered: usize,
        asked: usize,
        height: Height,
        tip: BlockId,
    },
    Saved {
        file: String,
        blocks: u64,
        bytes: u64,
    },
    Status(Box<Status>),
    Help {
        commands: Vec<HelpRow>,
    },
    Quit {},
}

/// Who this node is. Only the names change while it runs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// What its owner calls it.
    pub name: String,
    /// Who it is to peers.
    pub peer_id: PeerId,
    /// Its own account, and what others are called.
    pub names: Names,
    /// The network's name.
    pub network: String,
    /// The network's genesis block.
    pub genesis: BlockId,
    /// Whether it looks for nodes on the LAN.
    pub finds_peers: bool,
}

impl Identity {
    /// Of a running node.
    pub fn of(handle: &Handle, name: String, finds_peers: bool) -> Self {
        Self {
            name,
            peer_id: handle.peer_id(),
            names: Names::of(handle),
            network: handle.network().parameters().name.clone(),
            genesis: handle.network().genesis_id(),
            finds_peers,
        }
    }
}

/// A block's height and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlaceRow {
    /// Its height.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its id.
    #[schema(value_type = String)]
    pub id: BlockId,
}

impl From<Place> for PlaceRow {
    fn from(place: Place) -> Self {
        Self { height: place.height, id: place.id }
    }
}

/// A block with all its transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlockRow {
    /// Genesis has 0.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its id.
    #[schema(value_type = String)]
    pub id: BlockId,
    /// The id of the block below. In genesis: the hash of the network's parameters.
    #[schema(value_type = String)]
    pub parent: BlockId,
    /// When it was made, in Unix milliseconds.
    #[schema(value_type = u64)]
    pub timestamp: UnixMillis,
    /// The bound of the id, compact.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub target: Target,
    /// 64 bits; the miner of this program stays far below 2^53.
    pub nonce: u64,
    /// Who got the reward.
    #[schema(value_type = String)]
    pub miner: Address,
    /// The reward first.
    pub transactions: Vec<TransactionRow>,
}

impl BlockRow {
    /// How users see a block.
    pub fn new(block: &Block, network: &Network) -> Self {
        let (header, reward) = (&block.header, &block.body.reward);
        let others = block.body.transactions.iter().map(|signed| {
            TransactionRow::new(
                signed,
                signed.transaction.id(&network.genesis_id()),
                signed.transaction.sender.address(),
            )
        });
        Self {
            height: header.height,
            id: header.id(),
            parent: header.parent,
            timestamp: header.timestamp,
            target: header.target,
            nonce: header.nonce,
            miner: reward.to,
            transactions: std::iter::once(TransactionRow::reward(reward, reward.id(&header.parent)))
                .chain(others)
                .collect(),
        }
    }
}

/// A transaction, or the reward of a block in the form of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TransactionRow {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TransactionId,
    /// What it does.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Who signed it; `None` (`"0"` in JSON): a reward, which nobody sends.
    #[serde(serialize_with = "sender")]
    #[schema(value_type = String)]
    pub sender: Option<Address>,
    /// How many transactions the sender had made before; a reward has none.
    pub nonce: Option<u64>,
    /// For the miner.
    #[schema(value_type = String)]
    pub fee: Amount,
    /// Who gets the coins.
    #[schema(value_type = Option<String>)]
    pub to: Option<Address>,
    /// How many.
    #[schema(value_type = Option<String>)]
    pub amount: Option<Amount>,
    /// What a record says.
    pub data: Option<Data>,
}

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Coins for the miner of a block.
    Reward,
    /// Moves coins.
    Transfer,
    /// Puts data on the chain.
    Record,
}

/// The bytes of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Data {
    /// They are UTF-8.
    Text(String),
    /// They are not.
    Bytes {
        /// In hex.
        hex: String,
    },
}

impl TransactionRow {
    /// How users see a transaction.
    pub fn new(signed: &SignedTransaction, id: TransactionId, sender: Address) -> Self {
        let content = &signed.transaction;
        let base = Self {
            id,
            kind: Kind::Record,
            sender: Some(sender),
            nonce: Some(content.nonce),
            fee: content.fee,
            to: None,
            amount: None,
            data: None,
        };
        match &content.action {
            Action::Transfer { to, amount } => {
                Self { kind: Kind::Transfer, to: Some(*to), amount: Some(*amount), ..base }
            }
            Action::Record { data } => {
                let data = match std::str::from_utf8(data) {
                    Ok(text) => Data::Text(text.to_owned()),
                    Err(_) => Data::Bytes { hex: hex::encode(&**data) },
                };
                Self { data: Some(data), ..base }
            }
        }
    }

    /// How users see a reward.
    pub fn reward(reward: &Reward, id: TransactionId) -> Self {
        Self {
            id,
            kind: Kind::Reward,
            sender: None,
            nonce: None,
            fee: Amount::ZERO,
            to: Some(reward.to),
            amount: Some(reward.amount),
            data: None,
        }
    }
}

impl From<&CheckedTransaction> for TransactionRow {
    fn from(checked: &CheckedTransaction) -> Self {
        Self::new(checked.signed(), checked.id(), checked.sender())
    }
}

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
pub(super) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A command, as help shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HelpRow {
    /// The first word.
    pub name: &'static str,
    /// The name and what may follow it.
    pub usage: String,
    /// One line.
    pub summary: &'static str,
    /// More, if there is more to say.
    pub details: &'static str,
}

impl From<&Entry> for HelpRow {
    fn from(entry: &Entry) -> Self {
        Self { name: entry.name, usage: entry.usage(), summary: entry.summary, details: entry.details }
    }
}

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn sender<S: Serializer>(sender: &Option<Address>, serializer: S) -> Result<S::Ok, S::Error> {
    match sender {
        Some(address) => address.serialize(serializer),
        None => serializer.serialize_str("0"),
    }
}
