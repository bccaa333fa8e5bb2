//! Answers as plain data, with the names and the order of the JSON fields.
//!
//! Nothing here needs a running node, so front ends are tested without one. Fields that are only for people are skipped
//! in JSON.

mod brief;
mod ledger;
mod node;
mod search;
mod wallet;
mod words;

use libp2p::PeerId;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::names::Names;
use crate::engine::event::Place;
use crate::node::handle::Handle;
use crate::protocol::{
    Action, Address, Amount, Block, BlockId, CheckedTransaction, Height, Network, Reward, SignedTransaction, Target,
    TransactionId, UnixMillis,
};

pub use self::brief::{BriefBlock, BriefPage};
pub(super) use self::ledger::fate_in_words;
pub use self::ledger::{AccountRow, FileRow, HistoryPage, HistoryRow, LifeRow, LostRow, RecordPage, RecordRow, Sent};
pub(in crate::node) use self::node::url;
pub use self::node::{BackedUp, Direction, Mined, Mining, MiningJob, NodeStatus, Peer, Resolved, Saved};
pub use self::search::{HitKind, SearchHit, SearchPage};
pub use self::wallet::{AliasRow, WalletMade, WalletRow};
pub(in crate::node) use self::words::{AddressText, AmountText, IdText, ModeWord};

/// The names and ids of this node. Only the names change while it runs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The owner's name for the node.
    pub name: String,
    /// The node's id among peers.
    pub peer_id: PeerId,
    /// Its own account, and the names of others.
    pub names: Names,
    /// The network's name.
    pub network: String,
    /// The network's genesis block.
    pub genesis: BlockId,
    /// Whether it looks for nodes on the LAN.
    pub finds_peers: bool,
}

impl Identity {
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
    #[schema(value_type = IdText)]
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
    #[schema(value_type = IdText)]
    pub id: BlockId,
    /// The id of the block below. In genesis: the hash of the network's parameters.
    #[schema(value_type = IdText)]
    pub parent: BlockId,
    /// When it was made, in Unix milliseconds.
    #[schema(value_type = u64)]
    pub timestamp: UnixMillis,
    /// The compact upper bound of the id.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub target: Target,
    /// 64 bits; the miner of this program stays far below 2^53.
    pub nonce: u64,
    /// The recipient of the reward.
    #[schema(value_type = AddressText)]
    pub miner: Address,
    /// The reward first.
    pub transactions: Vec<TransactionRow>,
}

impl BlockRow {
    /// Converts a block for users.
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

/// A block, and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StandingBlock {
    /// The block.
    #[serde(flatten)]
    pub block: BlockRow,
    /// Whether it is on the best chain.
    pub best_chain: bool,
    /// The block and those on top of it; zero if it is not on the best chain.
    pub confirmations: u64,
    /// The size in bytes, as peers send it.
    pub size: usize,
}

/// Blocks of the best chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlockPage {
    /// The length of the chain, genesis included.
    pub length: u64,
    /// Over HTTP, long blocks may be fewer than requested.
    pub blocks: Vec<BlockRow>,
    /// The `from` of the next page; null on the last page.
    pub next: Option<u64>,
}

/// Pending transactions, in the order in which they would be mined now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PendingPage {
    /// The number of all that wait, of the requested sender.
    pub length: u64,
    /// Long ones may be fewer than requested.
    pub transactions: Vec<TransactionRow>,
    /// The `from` of the next page; null on the last page.
    pub next: Option<u64>,
}

/// A transaction, or the reward of a block in the form of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TransactionRow {
    /// Its id.
    #[schema(value_type = IdText)]
    pub id: TransactionId,
    /// The type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The signer; `None` (`"0"` in JSON): a reward, which nobody signs.
    #[serde(serialize_with = "sender")]
    #[schema(value_type = String)]
    pub sender: Option<Address>,
    /// The number of transactions that the sender had made before; null in a reward.
    pub nonce: Option<u64>,
    /// The fee for the miner.
    #[schema(value_type = AmountText)]
    pub fee: Amount,
    /// The receiver of the coins.
    #[schema(value_type = Option<AddressText>)]
    pub to: Option<Address>,
    /// The amount of coins.
    #[schema(value_type = Option<AmountText>)]
    pub amount: Option<Amount>,
    /// The data of a record.
    pub data: Option<Data>,
}

/// A transaction or a reward on the best chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MinedRow {
    /// The height of its block.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its block.
    #[schema(value_type = IdText)]
    pub block: BlockId,
    /// When the block was made.
    #[schema(value_type = u64)]
    pub timestamp: UnixMillis,
    /// The transaction.
    #[serde(flatten)]
    pub transaction: TransactionRow,
}

/// Transactions of the best chain, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MinedPage {
    /// They may be fewer than requested.
    pub transactions: Vec<MinedRow>,
    /// The `before` of the next page; null on the last page.
    pub next: Option<String>,
}

/// The type of a transaction.
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
    /// Valid UTF-8.
    Text(String),
    /// Other bytes.
    Bytes {
        /// The bytes in hex.
        hex: String,
    },
}

impl TransactionRow {
    /// Converts a transaction for users.
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

    /// Converts a reward for users.
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

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn sender<S: Serializer>(sender: &Option<Address>, serializer: S) -> Result<S::Ok, S::Error> {
    match sender {
        Some(address) => address.serialize(serializer),
        None => serializer.serialize_str("0"),
    }
}
