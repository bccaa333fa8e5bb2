//! What a user is told, as plain data with the names and the order of the JSON fields.
//!
//! Nothing here needs a running node, so what the front ends make of it is tested without one. Fields that are only for
//! people are skipped in JSON.

mod ledger;
mod node;
mod wallet;

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

pub(super) use self::ledger::fate_in_words;
pub use self::ledger::{AccountRow, FileRow, HistoryPage, HistoryRow, LifeRow, RecordPage, RecordRow, Sent};
pub(in crate::node) use self::node::url;
pub use self::node::{Direction, Mined, Mining, Peer, Resolved, Saved, Status};
pub use self::wallet::{AliasRow, WalletMade, WalletRow};

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

/// A block, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StandingBlock {
    /// The block.
    #[serde(flatten)]
    pub block: BlockRow,
    /// Whether it is on the best chain.
    pub best_chain: bool,
    /// The block and those on top of it; zero if it is not on the best chain.
    pub confirmations: u64,
    /// In bytes, as peers send it.
    pub size: usize,
}

/// Blocks of the best chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BlockPage {
    /// How many blocks the chain has, genesis counted.
    pub length: u64,
    /// Over HTTP fewer than asked for, if they are long.
    pub blocks: Vec<BlockRow>,
    /// The height at which the list goes on; null if there is no more.
    pub next: Option<u64>,
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

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn sender<S: Serializer>(sender: &Option<Address>, serializer: S) -> Result<S::Ok, S::Error> {
    match sender {
        Some(address) => address.serialize(serializer),
        None => serializer.serialize_str("0"),
    }
}
