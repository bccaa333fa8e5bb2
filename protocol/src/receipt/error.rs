//! The reasons why a receipt proves nothing: it cannot be read, or it claims something untrue.

use crate::block::Height;
use crate::encode::DecodeError;
use crate::hash::BlockId;
use crate::network::ParametersError;
use crate::violation::Violation;
use crate::work::{Target, Work};

use super::RECEIPT_VERSION;

/// The reason why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Unreadable: the file is longer than a receipt may be.
    #[error("a file of {bytes} bytes is no receipt: the limit is {max}")]
    TooLong {
        /// Length of the file, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// Unreadable: the file is not the JSON of a receipt.
    #[error("not a receipt: {problem}")]
    Form {
        /// The parser's message, with the position.
        problem: String,
    },
    /// Unreadable: the receipt has another version.
    #[error(
        "the receipt has version {found}, and only version {RECEIPT_VERSION} is known: a newer quipu may understand it"
    )]
    Version {
        /// The version in the file.
        found: u64,
    },
    /// Unreadable: a number, an amount or hex digits are not written as receipts write them.
    #[error("not written the way receipts are: get the file again as it was made")]
    NotCanonical,
    /// Refuted: the parameters make no network.
    #[error("the network's parameters make no network: {0}")]
    Parameters(#[source] ParametersError),
    /// Refuted: the parameters make another genesis block.
    #[error("the network's parameters make genesis block {actual}, not {claimed} as the receipt says")]
    Genesis {
        /// The genesis id in the receipt.
        claimed: BlockId,
        /// The id of the genesis block that the parameters make.
        actual: BlockId,
    },
    /// Refuted: the transaction's bytes are not an encoding.
    #[error("the transaction cannot be decoded: {0}")]
    Transaction(#[source] DecodeError),
    /// Refuted: the transaction breaks a rule of the network.
    #[error("the transaction breaks a rule of the network: {0}")]
    TransactionRule(#[source] Violation),
    /// Refuted: the signature belongs to another transaction, key or network.
    #[error("the signature is not the sender's")]
    Signature,
    /// Refuted: the block does not hold the transaction.
    #[error("the path does not lead to the block's root")]
    Path,
    /// Refuted: a header at height 0 is not the network's genesis block.
    #[error("the block at height 0 is not the network's genesis block")]
    NotGenesis,
    /// Refuted: a header's target is not the one that the retargeting rule gives.
    #[error("block {height} has target {target}, which the network's rules do not give")]
    Target {
        /// The block's height.
        height: Height,
        /// The target in the header.
        target: Target,
    },
    /// Refuted: a header's id exceeds its target.
    #[error("block {height} has too little work")]
    Work {
        /// The block's height.
        height: Height,
    },
    /// Refuted: a block was built upon another chain, or holds something else than the receipt says.
    #[error("block {height} commits to another chain below it than the receipt shows")]
    History {
        /// The block's height.
        height: Height,
    },
    /// Refuted: the receipt leaves out a block that it must show.
    #[error("the receipt leaves out the block at {work} of the chain's hashes, which it must show")]
    Samples {
        /// The sampled position, in work from genesis on.
        work: Work,
    },
    /// Refuted: the last header is not the tip that the receipt names.
    #[error("the last block is {actual}, not {claimed} as the receipt says")]
    Tip {
        /// The tip's id in the receipt.
        claimed: BlockId,
        /// The id of the last header.
        actual: BlockId,
    },
}

impl ReceiptError {
    /// Whether the file cannot be read at all. Otherwise it can, and claims something untrue.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::Form { .. } | Self::Version { .. } | Self::NotCanonical)
    }

    /// A stable word for scripts and for the vectors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Form { .. } => "form",
            Self::Version { .. } => "version",
            Self::NotCanonical => "not_canonical",
            Self::Parameters(_) => "parameters",
            Self::Genesis { .. } => "genesis",
            Self::Transaction(_) => "transaction",
            Self::TransactionRule(_) => "transaction_rule",
            Self::Signature => "signature",
            Self::Path => "path",
            Self::NotGenesis => "not_genesis",
            Self::Target { .. } => "target",
            Self::Work { .. } => "work",
            Self::History { .. } => "history",
            Self::Samples { .. } => "samples",
            Self::Tip { .. } => "tip",
        }
    }

    /// The error for a header at this height that breaks a rule. Receipts say nothing of version, height and parent, and no
    /// time before the parent's.
    pub(super) fn of_header(height: Height, violation: Violation) -> Self {
        match violation {
            Violation::TargetForm { target } | Violation::TargetRule { target, .. } => Self::Target { height, target },
            Violation::WorkTooLow { .. } => Self::Work { height },
            Violation::Genesis { .. } => Self::NotGenesis,
            other => unreachable!("no header of a receipt can break this: {other}"),
        }
    }

    /// The error for a transaction that breaks a rule.
    pub(super) fn of_transaction(violation: Violation) -> Self {
        match violation {
            Violation::Encoding(error) => Self::Transaction(error),
            Violation::Signature { .. } => Self::Signature,
            other => Self::TransactionRule(other),
        }
    }
}
