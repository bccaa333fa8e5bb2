//! The rules, one variant each. `README.md` beside this crate states them in full.

use crate::account::Address;
use crate::amount::{Amount, Wei};
use crate::block::Height;
use crate::encode::DecodeError;
use crate::hash::{BlockId, HistoryHash, LeafHash, OutcomeHash, TransactionId};
use crate::time::{Millis, UnixMillis};
use crate::work::Target;

/// A rule that a block or a transaction breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// R1: bytes are the one encoding of a value.
    #[error("{0}")]
    Encoding(#[from] DecodeError),
    /// R2: an encoded block is no longer than the network allows.
    #[error("a block of {length} bytes is over the network's limit of {limit}")]
    BlockTooLong {
        /// Length of the block, in bytes.
        length: usize,
        /// The network's limit, in bytes.
        limit: usize,
    },
    /// R3: a record carries a bounded number of bytes.
    #[error("a record of {length} bytes is over the limit of {limit}")]
    RecordTooLong {
        /// Length of the record's data, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// R4: the header has a known version.
    #[error("block version {version} is unknown; a newer quipu may understand it")]
    Version {
        /// The version in the header.
        version: u32,
    },
    /// R5: the target is the compact form of a bound between the hardest and the network's easiest.
    #[error("{target} is not a target of this network")]
    TargetForm {
        /// The target in the header.
        target: Target,
    },
    /// R6: the id does not exceed the target.
    #[error("block {id} has too little work for target {target}")]
    WorkTooLow {
        /// The header's hash.
        id: BlockId,
        /// The target in the header.
        target: Target,
    },
    /// R7: the header's root is that of context and body.
    #[error("the body's root is {actual}, not {claimed} as the header says")]
    Root {
        /// The root in the header.
        claimed: LeafHash,
        /// The root of the body.
        actual: LeafHash,
    },
    /// R8: a transaction pays at least the network's least fee.
    #[error("the fee {fee} is less than this network's least fee {least}")]
    FeeTooLow {
        /// The fee that the transaction pays.
        fee: Amount,
        /// The network's least fee.
        least: Amount,
    },
    /// R9: a transfer moves more than nothing.
    #[error("a transfer must move more than 0 coins")]
    EmptyTransfer,
    /// R10: the signature is valid for the sender's key, the network and the transaction.
    #[error("transaction {id} is not signed by its sender")]
    Signature {
        /// The transaction's id.
        id: TransactionId,
    },
    /// R11: the height is the parent's plus one.
    #[error("height {height} does not follow the parent's height {parent}")]
    Height {
        /// The height in the header.
        height: Height,
        /// The parent's height.
        parent: Height,
    },
    /// R12: the timestamp is not before the parent's.
    #[error("the timestamp is {} before the parent's", parent.saturating_since(*timestamp))]
    TimeBeforeParent {
        /// The timestamp in the header.
        timestamp: UnixMillis,
        /// The parent's timestamp.
        parent: UnixMillis,
    },
    /// R13: the target is the one that the retargeting rule gives.
    #[error("the target is {target} where the rule gives {expected}")]
    TargetRule {
        /// The target in the header.
        target: Target,
        /// The target by the retargeting rule.
        expected: Target,
    },
    /// R14: the timestamp is not too far ahead of the local clock. The only rule that time heals.
    #[error("the timestamp is {ahead} ahead of our clock, more than {limit}")]
    TimeTooFarAhead {
        /// The span between the local clock and the timestamp.
        ahead: Millis,
        /// The network's limit on that span.
        limit: Millis,
    },
    /// R15: a transaction's nonce is the number of transactions that its sender has made.
    #[error("transaction {id} has nonce {nonce} where the account is at {expected}")]
    Nonce {
        /// The transaction's id.
        id: TransactionId,
        /// The nonce in the transaction.
        nonce: u64,
        /// The nonce of the account.
        expected: u64,
    },
    /// R16: a sender owns the coins that it spends.
    #[error("{sender} has {balance}, not enough for transaction {id}")]
    Balance {
        /// The transaction's id.
        id: TransactionId,
        /// The account that pays.
        sender: Address,
        /// The coins in the account.
        balance: Wei,
    },
    /// R17: the reward is the subsidy and the fees, exactly.
    #[error("the reward is {amount} where subsidy and fees make {expected}")]
    Reward {
        /// The reward in the block.
        amount: Amount,
        /// The sum of the subsidy and the fees.
        expected: Amount,
    },
    /// R18: no sum of amounts exceeds 64 bits, and no balance 128 bits.
    #[error("a sum of amounts is too large")]
    Overflow,
    /// R19: a chain begins with the network's genesis block.
    #[error("block {id} at height 0 is not this network's genesis")]
    Genesis {
        /// The id of the block at height 0.
        id: BlockId,
    },
    /// R20: the context commits to the blocks below.
    #[error("the block's history is {claimed}, that of the blocks below is {expected}")]
    History {
        /// The root in the context.
        claimed: HistoryHash,
        /// The root over all ancestors.
        expected: HistoryHash,
    },
    /// R21: the context commits to what the block's contracts did.
    #[error("the outcome of the block's contracts is {expected}, not {claimed} as the block says")]
    Outcome {
        /// The outcome in the context.
        claimed: OutcomeHash,
        /// The outcome here.
        expected: OutcomeHash,
    },
}

/// The party that a violation blames, which decides what a node may remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// These bytes alone: another body may fit the same header. Blame the sender, and forget the block.
    Bytes,
    /// The header: the block and all its descendants are invalid for ever.
    Block,
    /// Nobody: try again later.
    Nobody,
}

impl Violation {
    /// The rule's number in the specification.
    pub fn rule(&self) -> u8 {
        match self {
            Self::Encoding(_) => 1,
            Self::BlockTooLong { .. } => 2,
            Self::RecordTooLong { .. } => 3,
            Self::Version { .. } => 4,
            Self::TargetForm { .. } => 5,
            Self::WorkTooLow { .. } => 6,
            Self::Root { .. } => 7,
            Self::FeeTooLow { .. } => 8,
            Self::EmptyTransfer => 9,
            Self::Signature { .. } => 10,
            Self::Height { .. } => 11,
            Self::TimeBeforeParent { .. } => 12,
            Self::TargetRule { .. } => 13,
            Self::TimeTooFarAhead { .. } => 14,
            Self::Nonce { .. } => 15,
            Self::Balance { .. } => 16,
            Self::Reward { .. } => 17,
            Self::Overflow => 18,
            Self::Genesis { .. } => 19,
            Self::History { .. } => 20,
            Self::Outcome { .. } => 21,
        }
    }

    /// The part of the block that this violation condemns.
    ///
    /// Only faults that the header commits to condemn the header: bytes that do not decode or do not have the root may
    /// be a mutilated copy of a good block.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Encoding(_) | Self::Root { .. } => Blame::Bytes,
            Self::TimeTooFarAhead { .. } => Blame::Nobody,
            _ => Blame::Block,
        }
    }
}
