//! Answers from the index: records, histories, and the lives of transactions.

use serde::Serialize;
use utoipa::ToSchema;

use super::TransactionRow;
use super::words::{AddressText, AmountText, BalanceText, IdText, ROLES, RoleWord};
use crate::engine::event::Fate;
use crate::node::event::Life;
use crate::node::index::{HistoryEntry, Item, Page, RecordEntry};
use crate::node::lost::{Again, LostTransaction};
use crate::protocol::record::{Content, Record};
use crate::protocol::{Action, Address, Amount, BlockId, Height, TransactionId, UnixMillis, Wei};

/// A record on the best chain.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecordRow {
    /// The transaction's id.
    #[schema(value_type = IdText)]
    pub id: TransactionId,
    /// The height of its block.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its block.
    #[schema(value_type = IdText)]
    pub block: BlockId,
    /// When the block was made.
    #[schema(value_type = u64)]
    pub timestamp: UnixMillis,
    /// The signer.
    #[schema(value_type = AddressText)]
    pub sender: Address,
    /// For the miner.
    #[schema(value_type = AmountText)]
    pub fee: Amount,
    /// Tags by which it can be found.
    pub tags: Vec<String>,
    /// The content, if that is a text.
    pub text: Option<String>,
    /// The content, if that is a file's fingerprint.
    pub file: Option<FileRow>,
    /// The content, if that is JSON: its text, as it was recorded. Parsed and written again, it would have other digits,
    /// spaces and orders.
    #[schema(example = r#"{"litres":19.90}"#)]
    pub json: Option<String>,
    /// The content in any other case: its bytes.
    pub hex: Option<String>,
    /// The whole content.
    #[serde(skip)]
    pub record: Record,
}

/// A file's fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileRow {
    /// The SHA-256 of its content, in hex.
    pub sha256: String,
    /// Its name, without its folder.
    pub name: String,
    /// In bytes.
    pub size: u64,
}

impl From<&RecordEntry> for RecordRow {
    fn from(entry: &RecordEntry) -> Self {
        let transaction = &entry.signed.transaction;
        let Record { tags, content } = &entry.record;
        let mut row = Self {
            id: entry.id,
            height: entry.place.height,
            block: entry.place.id,
            timestamp: entry.timestamp,
            sender: entry.sender,
            fee: transaction.fee,
            tags: tags.iter().map(ToString::to_string).collect(),
            text: None,
            file: None,
            json: None,
            hex: None,
            record: entry.record.clone(),
        };
        match content {
            Content::Text(text) => row.text = Some(text.clone()),
            Content::File { sha256, name, size } => {
                row.file = Some(FileRow { sha256: hex::encode(sha256), name: name.clone(), size: *size });
            }
            Content::Json(json) => row.json = Some(json.clone()),
            Content::Bytes(bytes) => row.hex = Some(hex::encode(bytes)),
        }
        row
    }
}

/// Records, the newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<RecordRow>,
    /// The `before` of the next page; null on the last page.
    pub next: Option<String>,
}

impl From<Page<RecordEntry>> for RecordPage {
    fn from(page: Page<RecordEntry>) -> Self {
        let records = page.entries.iter().map(RecordRow::from).collect();
        Self { records, next: page.next.map(|next| next.to_string()) }
    }
}

/// The history of an account, the newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistoryPage {
    /// The account.
    #[schema(value_type = AddressText)]
    pub address: Address,
    /// The entries.
    pub entries: Vec<HistoryRow>,
    /// The `before` of the next page; null on the last page.
    pub next: Option<String>,
}

impl HistoryPage {
    /// A part of the history of an account.
    pub fn new(address: Address, page: &Page<HistoryEntry>) -> Self {
        let entries = page.entries.iter().map(HistoryRow::from).collect();
        Self { address, entries, next: page.next.map(|next| next.to_string()) }
    }
}

/// An account as of the best block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountRow {
    /// Its address.
    #[schema(value_type = AddressText)]
    pub address: Address,
    /// Its coins.
    #[schema(value_type = BalanceText)]
    pub balance: Wei,
    /// Its coins if everything pending were mined, what it receives from others left out.
    #[schema(value_type = AmountText)]
    pub spendable: Amount,
    /// The number of its transactions on the chain.
    pub nonce: u64,
    /// The number of its pending transactions. The next one has the nonce `nonce + pending`.
    pub pending: u64,
    /// Its name at this node, if it has one.
    pub alias: Option<String>,
}

/// A transaction that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sent {
    /// Its id.
    #[schema(value_type = IdText)]
    pub id: TransactionId,
    /// Its fee, in coins.
    #[schema(value_type = AmountText)]
    pub fee: Amount,
    /// The recorded file. Only at the prompt, which reads files; else the field is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileRow>,
    /// What was signed. Only for people at the prompt.
    #[serde(skip)]
    pub signed: Option<Action>,
}

/// An entry of an account's history.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistoryRow {
    /// The height of its block.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its block.
    #[schema(value_type = IdText)]
    pub block: BlockId,
    /// When the block was made.
    #[schema(value_type = u64)]
    pub timestamp: UnixMillis,
    /// The account's parts in it.
    #[schema(value_type = Vec<RoleWord>)]
    pub roles: Vec<&'static str>,
    /// The transaction.
    pub transaction: TransactionRow,
}

impl From<&HistoryEntry> for HistoryRow {
    fn from(entry: &HistoryEntry) -> Self {
        let transaction = match &entry.item {
            Item::Transaction { signed, .. } => {
                TransactionRow::new(signed, entry.id, signed.transaction.sender.address())
            }
            Item::Reward(reward) => TransactionRow::reward(reward, entry.id),
        };
        let roles = &entry.roles;
        let words = [roles.sent, roles.received, roles.mined, roles.recorded].into_iter().zip(ROLES);
        Self {
            height: entry.place.height,
            block: entry.place.id,
            timestamp: entry.timestamp,
            roles: words.filter(|(played, _)| *played).map(|(_, word)| word).collect(),
            transaction,
        }
    }
}

/// The state of a transaction's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LifeRow {
    /// The transaction's id.
    #[schema(value_type = IdText)]
    pub id: TransactionId,
    /// `unknown`, `pending`, `in_block`, `rolled_back`, `gone`.
    pub state: &'static str,
    /// The height of its block, or of the block that was rolled back.
    #[schema(value_type = Option<u64>)]
    pub height: Option<Height>,
    /// The id of that block.
    #[schema(value_type = Option<IdText>)]
    pub block: Option<BlockId>,
    /// Blocks from its own on; zero if it is in none.
    pub confirmations: u64,
    /// Its fate after a rollback: `pending`, `mined`, `gone`.
    pub fate: Option<&'static str>,
    /// The reason why it is gone.
    pub reason: Option<String>,
    /// Whether it is lost, and a wallet of this node can sign its content once more.
    pub again: bool,
}

impl LifeRow {
    /// In words and numbers.
    pub fn new(id: TransactionId, life: &Life, again: bool) -> Self {
        let (height, block, fate, reason) = (None, None, None, None);
        let base = Self { id, state: "unknown", height, block, confirmations: 0, fate, reason, again };
        match life {
            Life::Unknown => base,
            Life::Pending => Self { state: "pending", ..base },
            Life::InBlock { place, confirmations } => Self {
                state: "in_block",
                height: Some(place.height),
                block: Some(place.id),
                confirmations: *confirmations,
                ..base
            },
            Life::RolledBack { from, fate } => {
                let (fate, reason) = fate_in_words(*fate);
                let (height, block) = (Some(from.height), Some(from.id));
                Self { state: "rolled_back", height, block, fate: Some(fate), reason, ..base }
            }
            Life::Gone(reason) => Self { state: "gone", reason: reason.map(|reason| reason.to_string()), ..base },
        }
    }
}

/// A transaction of a wallet of this node that can no longer be mined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LostTransaction)]
pub struct LostRow {
    /// The transaction, as it was signed.
    #[serde(flatten)]
    pub transaction: TransactionRow,
    /// The reason why it can't be mined.
    pub reason: String,
    /// The transaction that has the same content, once it was sent again.
    #[schema(value_type = Option<String>)]
    pub again: Option<TransactionId>,
}

impl From<&LostTransaction> for LostRow {
    fn from(lost: &LostTransaction) -> Self {
        let again = if let Again::As(id) = lost.again { Some(id) } else { None };
        Self { transaction: (&lost.transaction).into(), reason: lost.reason.to_string(), again }
    }
}

/// The word for a fate, and the reason, if it needs one.
pub(in crate::node::api) fn fate_in_words(fate: Fate) -> (&'static str, Option<String>) {
    match fate {
        Fate::Mined => ("mined", None),
        Fate::Pending => ("pending", None),
        Fate::Gone(reason) => ("gone", Some(reason.to_string())),
    }
}
