//! What the node's own user asks for, and what it is told.

use std::sync::Arc;

use quipu_protocol::{Account, Action, Address, Amount, CheckedTransaction, SecretKey, TransactionId, Violation};
use serde::{Deserialize, Serialize};

use super::{PeerKey, Place};

/// When to mine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MiningMode {
    /// Only when asked for a number of blocks.
    #[default]
    Off,
    /// Always.
    On,
    /// While transactions wait.
    Pending,
}

/// What the node's own user asks for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Mine this many blocks. Answered by [`Answer::Mined`] when they are durable.
    Mine {
        /// How many, at least one.
        count: u64,
        /// Who gets the rewards; `None`: the node's own account.
        to: Option<Address>,
    },
    /// Stop what [`Command::Mine`] began; its answer has what was mined so far. The mode stays.
    CancelMining,
    /// Mine by itself, or no more.
    SetMining {
        /// When.
        mode: MiningMode,
        /// Who gets the rewards; `None`: the node's own account.
        to: Option<Address>,
    },
    /// Sign and send a transaction. Answered by [`Answer::Sent`] when it is durable.
    Send {
        /// Whose account pays.
        key: Arc<SecretKey>,
        /// What it does.
        action: Action,
        /// For the miner.
        fee: Amount,
    },
    /// What waits to be mined. Answered by [`Answer::Pending`].
    Pending,
    /// One account. Answered by [`Answer::Account`].
    Account {
        /// Which.
        address: Address,
    },
    /// Ask every peer now. Answered by [`Answer::Resolved`] when all have answered, or had the time to.
    Resolve,
}

/// The answer to a [`Command`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// The blocks, oldest first. Fewer than asked for if it was cancelled.
    Mined(Vec<Place>),
    /// The transaction's id.
    Sent(TransactionId),
    /// In the order in which they would be mined now.
    Pending(Vec<CheckedTransaction>),
    /// An account.
    Account {
        /// As of the tip.
        account: Account,
        /// Balance if everything pending were mined, what it receives from others left out.
        spendable: Amount,
        /// How many of its transactions wait.
        pending: u64,
    },
    /// Whether the chain was replaced.
    Resolved {
        /// Whether another chain took the place of ours.
        replaced: bool,
        /// How many peers answered.
        answered: usize,
        /// How many were asked.
        asked: usize,
        /// The best block now.
        tip: Place,
    },
    /// Done; there is nothing to tell.
    Done,
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The account has less than is needed.
    #[error("insufficient balance: {needed} needed with the fee, {spendable} can be spent of {balance}")]
    InsufficientBalance {
        /// As of the tip.
        balance: Amount,
        /// Less what pending transactions spend.
        spendable: Amount,
        /// Amount and fee.
        needed: Amount,
    },
    /// A rule of the network forbids it.
    #[error("{0}")]
    Invalid(Violation),
    /// Too many of the account's transactions wait, or the pool is full of better paying ones.
    #[error("the memory pool has no room: mine first, or offer a higher fee")]
    PoolFull,
    /// Another `mine N` is running.
    #[error("already mining the blocks of another command: wait for it, or stop it")]
    Busy,
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Closing,
}

impl CommandError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InsufficientBalance { .. } => "insufficient_balance",
            Self::Invalid(_) => "invalid_transaction",
            Self::PoolFull => "pool_full",
            Self::Busy => "busy",
            Self::Closing => "closing",
        }
    }
}

/// Something that the user may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The best chain has a new tip.
    Tip {
        /// The new tip.
        tip: Place,
        /// How many blocks of ours were taken off first.
        reorg_depth: u64,
        /// How many of their transactions wait again.
        returned: usize,
        /// Whether the block was mined here.
        ours: bool,
    },
    /// A transaction entered the memory pool.
    Transaction(CheckedTransaction),
    /// A block with valid work but a bad content was offered and refused.
    BlockRefused {
        /// Which.
        place: Place,
        /// What it breaks.
        violation: Violation,
    },
    /// A peer's clock, or ours, is wrong by this many milliseconds (theirs less ours).
    ClockDiffers {
        /// Whose.
        peer: PeerKey,
        /// By how much.
        offset_millis: i64,
    },
    /// Most peers' clocks say that ours is wrong by this many milliseconds (theirs less ours).
    OurClockDiffers {
        /// By how much.
        offset_millis: i64,
    },
}
