//! What a receipt proves, for every front end.

use serde::Serialize;
use utoipa::ToSchema;

use super::rows::{AddressText, AmountText, IdText, Kind, PlaceRow};
use crate::protocol::receipt::{Form, Proof, ProvenBlock};
use crate::protocol::record::{Content, Record, Tag};
use crate::protocol::{
    Action, Address, Amount, BlockId, Height, Network, Parameters, Transaction, TransactionId, UnixMillis,
};

/// The content of a receipt that holds. Times are Unix milliseconds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProvenRow {
    /// The network.
    pub network: ProvenNetwork,
    /// The transaction, whose signature is valid.
    pub transaction: ProvenTransaction,
    /// What it recorded; null for a transfer.
    pub record: Option<ProvenRecord>,
    /// Its block.
    pub block: ProvenBlockRow,
    /// What the receipt shows of the work on the block: all of it, samples, or none.
    #[schema(value_type = String, example = "full")]
    pub form: Form,
    /// The time of the block below; null if the receipt does not show it.
    #[schema(value_type = Option<u64>)]
    pub parent_time: Option<UnixMillis>,
    /// The block was on no chain before, if nodes' clocks were right.
    #[schema(value_type = u64)]
    pub earliest: UnixMillis,
    /// The block was there by then, if the clock of a later block's miner was right; null if the receipt has no later block.
    #[schema(value_type = Option<u64>)]
    pub latest: Option<UnixMillis>,
    /// The block and those on top of it.
    pub confirmations: u64,
    /// The expected number of hashes to make those, in decimal.
    pub work: String,
    /// The last block of the receipt.
    pub tip: ProvenBlockRow,
}

/// The network of a receipt. Anybody can make one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProvenNetwork {
    /// Its name.
    pub name: String,
    /// Its genesis block, to be compared with that of nodes that one knows.
    #[schema(value_type = IdText)]
    pub genesis: BlockId,
    /// Whether it is one that every node knows.
    pub built_in: bool,
}

/// The transaction of a receipt.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProvenTransaction {
    /// Its id.
    #[schema(value_type = IdText)]
    pub id: TransactionId,
    /// The signer.
    #[schema(value_type = AddressText)]
    pub sender: Address,
    /// The number of transactions that the sender had made before.
    pub nonce: u64,
    /// The fee for the miner.
    #[schema(value_type = AmountText)]
    pub fee: Amount,
    /// The type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The receiver; null for a record.
    #[schema(value_type = Option<AddressText>)]
    pub to: Option<Address>,
    /// The amount; null for a record.
    #[schema(value_type = Option<AmountText>)]
    pub amount: Option<Amount>,
}

/// The data of a record, understood. One of `text`, `file`, `json` and `hex` is there.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ProvenRecord {
    /// Its tags.
    pub tags: Vec<String>,
    /// The hash by which the record is looked up, in hex: the SHA-256 of the file, the text or the bytes.
    pub content_hash: String,
    /// A text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A file's fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<ProvenFile>,
    /// The JSON as it was typed, in a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// Other bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

/// The fingerprint of a file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProvenFile {
    /// In hex.
    pub sha256: String,
    /// Its name.
    pub name: String,
    /// In bytes.
    pub size: u64,
}

/// A block that a receipt shows.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct ProvenBlockRow {
    /// Its height.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its id.
    #[schema(value_type = IdText)]
    pub id: BlockId,
    /// Its time, set by its miner.
    #[schema(value_type = u64)]
    pub time: UnixMillis,
}

/// A network has the name of a built-in one, and other parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impostor;

/// Whether a network is a built-in one.
pub fn is_built_in(network: &Network) -> Result<bool, Impostor> {
    match Parameters::preset(&network.parameters().name) {
        Some(preset) if preset != *network.parameters() => Err(Impostor),
        preset => Ok(preset.is_some()),
    }
}

/// The worth of what a proof of this form says of blocks, in words.
pub fn worth(form: Form) -> &'static str {
    match form {
        Form::Full => {
            "All of the work is shown. Blocks and times are worth it: a faster machine can redo it, unless the tip's id is \
             known elsewhere."
        }
        Form::Sampled => {
            "Samples of the work are shown: who did less than half of it is caught but once in 2^48. Blocks and times are worth \
             that work: a faster machine can redo it, unless the tip's id is known elsewhere."
        }
        Form::Witnessed => {
            "No work is shown. Blocks and times are worth the word of whoever said that the tip is on the chain."
        }
    }
}

impl From<ProvenBlock> for ProvenBlockRow {
    fn from(ProvenBlock { height, id, timestamp }: ProvenBlock) -> Self {
        Self { height, id, time: timestamp }
    }
}

impl From<ProvenBlock> for PlaceRow {
    fn from(ProvenBlock { height, id, .. }: ProvenBlock) -> Self {
        Self { height, id }
    }
}

impl From<&Proof> for ProvenRow {
    fn from(proof: &Proof) -> Self {
        let parameters = proof.network().parameters();
        let built_in = is_built_in(proof.network()) == Ok(true);
        let Transaction { nonce, fee, action, .. } = &proof.transaction().signed().transaction;
        let (kind, to, amount) = match action {
            Action::Transfer { to, amount } => (Kind::Transfer, Some(*to), Some(*amount)),
            Action::Record { .. } => (Kind::Record, None, None),
        };
        Self {
            network: ProvenNetwork { name: parameters.name.clone(), genesis: proof.network().genesis_id(), built_in },
            transaction: ProvenTransaction {
                id: proof.id(),
                sender: proof.sender(),
                nonce: *nonce,
                fee: *fee,
                kind,
                to,
                amount,
            },
            record: proof.record().map(ProvenRecord::from),
            block: proof.block().into(),
            form: proof.form(),
            parent_time: proof.parent_timestamp(),
            earliest: proof.earliest(),
            latest: proof.latest(),
            confirmations: proof.confirmations(),
            work: proof.work().to_string(),
            tip: proof.tip().into(),
        }
    }
}

impl From<&Record> for ProvenRecord {
    fn from(record: &Record) -> Self {
        let empty = Self {
            tags: record.tags.iter().map(|tag| Tag::as_str(tag).to_owned()).collect(),
            content_hash: hex::encode(record.content_hash()),
            ..Self::default()
        };
        match record.content.clone() {
            Content::Text(text) => Self { text: Some(text), ..empty },
            Content::File { sha256, name, size } => {
                Self { file: Some(ProvenFile { sha256: hex::encode(sha256), name, size }), ..empty }
            }
            Content::Json(json) => Self { json: Some(json), ..empty },
            Content::Bytes(bytes) => Self { hex: Some(hex::encode(bytes)), ..empty },
        }
    }
}
