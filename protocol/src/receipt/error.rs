//! The reasons why a receipt proves nothing: it cannot be read, or it claims something untrue.

use crate::encode::DecodeError;
use crate::hash::BlockId;
use crate::network::ParametersError;
use crate::time::Millis;
use crate::violation::Violation;
use crate::work::Target;

use super::RECEIPT_VERSION;

/// The reason why a receipt proves nothing. Headers are counted from 1, which is the parent of the transaction's block.
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
    /// Refuted: a header is not built on the one before.
    #[error("header {position} does not follow header {} of the receipt", position - 1)]
    Link {
        /// The header's position, from 1.
        position: usize,
    },
    /// Refuted: a header at height 0 is not the network's genesis block.
    #[error("header {position} is at height 0 and not the network's genesis block")]
    NotGenesis {
        /// The header's position, from 1.
        position: usize,
    },
    /// Refuted: a header's height is not the parent's plus one.
    #[error("header {position} is not one height above header {}", position - 1)]
    Height {
        /// The header's position, from 1.
        position: usize,
    },
    /// Refuted: a header's time is before the parent's.
    #[error("header {position} is dated {early} before header {}", position - 1)]
    Time {
        /// The header's position, from 1.
        position: usize,
        /// The span between the parent's time and the header's.
        early: Millis,
    },
    /// Refuted: a header's target is not the one that the retargeting rule gives.
    #[error("header {position} has target {target}, which the network's rules do not give")]
    Target {
        /// The header's position, from 1.
        position: usize,
        /// The target in the header.
        target: Target,
    },
    /// Refuted: a header has an unknown version.
    #[error("header {position} has version {version}, which no block has")]
    HeaderVersion {
        /// The header's position, from 1.
        position: usize,
        /// The version in the header.
        version: u32,
    },
    /// Refuted: a header's id exceeds its target.
    #[error("header {position} has too little work")]
    Work {
        /// The header's position, from 1.
        position: usize,
    },
    /// Refuted: the last header is not the tip that the receipt names.
    #[error("the last header is {actual}, not {claimed} as the receipt says")]
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
            Self::Link { .. } => "link",
            Self::NotGenesis { .. } => "not_genesis",
            Self::Height { .. } => "height",
            Self::Time { .. } => "time",
            Self::Target { .. } => "target",
            Self::HeaderVersion { .. } => "header_version",
            Self::Work { .. } => "work",
            Self::Tip { .. } => "tip",
        }
    }

    /// The error for a header at this position that breaks a rule.
    pub(super) fn of_header(position: usize, violation: Violation) -> Self {
        match violation {
            Violation::Version { version } => Self::HeaderVersion { position, version },
            Violation::TargetForm { target } | Violation::TargetRule { target, .. } => {
                Self::Target { position, target }
            }
            Violation::WorkTooLow { .. } => Self::Work { position },
            Violation::Genesis { .. } => Self::NotGenesis { position },
            Violation::Height { .. } => Self::Height { position },
            Violation::TimeBeforeParent { timestamp, parent } => {
                Self::Time { position, early: parent.saturating_since(timestamp) }
            }
            other => unreachable!("not a rule on headers: {other}"),
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
