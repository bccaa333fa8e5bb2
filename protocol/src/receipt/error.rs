//! Why a receipt proves nothing: it can't be read, or what it says is not so.

use crate::encode::DecodeError;
use crate::hash::BlockId;
use crate::network::ParametersError;
use crate::time::Millis;
use crate::violation::Violation;
use crate::work::Target;

use super::RECEIPT_VERSION;

/// Why a receipt proves nothing. Headers are counted from 1, which is the parent of the transaction's block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Unreadable: longer than a receipt may be. Both in bytes.
    #[error("a file of {bytes} bytes is over the limit of {max} and no receipt")]
    TooLong {
        /// Of the file.
        bytes: usize,
        /// Allowed.
        max: usize,
    },
    /// Unreadable: not the JSON of a receipt.
    #[error("not a receipt: {problem}")]
    Form {
        /// What and where.
        problem: String,
    },
    /// Unreadable: another version of the form.
    #[error("a receipt of version {found}, where {RECEIPT_VERSION} is known: a newer quipu may understand it")]
    Version {
        /// In the file.
        found: u64,
    },
    /// Unreadable: a number, an amount or hex digits are written in another way than receipts do.
    #[error("not the text that receipts have for what this says: get the file again as it was made")]
    NotCanonical,
    /// Refuted: the parameters make no network.
    #[error("the network's parameters make no network: {0}")]
    Parameters(#[source] ParametersError),
    /// Refuted: the parameters make another genesis block.
    #[error("the network's parameters make genesis block {actual}, not {claimed} as the receipt says")]
    Genesis {
        /// In the receipt.
        claimed: BlockId,
        /// Of the parameters.
        actual: BlockId,
    },
    /// Refuted: the transaction is none.
    #[error("the transaction is none: {0}")]
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
    /// Refuted: a header that is not built on the one before.
    #[error("header {position} does not follow header {} of the receipt", position - 1)]
    Link {
        /// Which.
        position: usize,
    },
    /// Refuted: a header at height 0 that is not the network's genesis block.
    #[error("header {position} is at height 0 and not the network's genesis block")]
    NotGenesis {
        /// Which.
        position: usize,
    },
    /// Refuted: a header's height is not the parent's plus one.
    #[error("header {position} has another height than the one above header {}", position - 1)]
    Height {
        /// Which.
        position: usize,
    },
    /// Refuted: a header's time is before the parent's.
    #[error("header {position} is dated {early} before header {}", position - 1)]
    Time {
        /// Which.
        position: usize,
        /// By how much.
        early: Millis,
    },
    /// Refuted: a header's target is not the one that the network asked for.
    #[error("header {position} has target {target}, which the network's rules do not give")]
    Target {
        /// Which.
        position: usize,
        /// The header's.
        target: Target,
    },
    /// Refuted: a header of an unknown version.
    #[error("header {position} has version {version}, which no block has")]
    HeaderVersion {
        /// Which.
        position: usize,
        /// The header's.
        version: u32,
    },
    /// Refuted: a header's id exceeds its target.
    #[error("header {position} has too little work")]
    Work {
        /// Which.
        position: usize,
    },
    /// Refuted: the last header is another one than the receipt was made for.
    #[error("the last header is {actual}, not {claimed} as the receipt says")]
    Tip {
        /// In the receipt.
        claimed: BlockId,
        /// Of the last header.
        actual: BlockId,
    },
}

impl ReceiptError {
    /// Whether nothing can be said about what the receipt claims. Otherwise it claims what is not so.
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

    /// What a broken rule says about the header at this position.
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
            other => unreachable!("no rule on headers: {other}"),
        }
    }

    /// What a broken rule says about the transaction.
    pub(super) fn of_transaction(violation: Violation) -> Self {
        match violation {
            Violation::Encoding(error) => Self::Transaction(error),
            Violation::Signature { .. } => Self::Signature,
            other => Self::TransactionRule(other),
        }
    }
}
