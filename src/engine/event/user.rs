//! What the node's own user asks for, and what it is told.

use std::sync::Arc;

use quipu_protocol::{
    Account, Action, Address, Amount, CheckedBlock, CheckedTransaction, Height, SecretKey, TransactionId, Violation,
};
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

/// Blocks that one command may ask for, more than anybody waits for.
pub const MINE_COUNT_MAX: u64 = 1_000_000;

/// What the node's own user asks for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Mine this many blocks. Answered by [`Answer::Mined`] when they are durable.
    Mine {
        /// How many, from 1 to [`MINE_COUNT_MAX`].
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
    /// Take a transaction that somebody has signed elsewhere, and spread it. Answered by [`Answer::Sent`] when it is
    /// durable, also if it waits already.
    Submit {
        /// Which.
        transaction: Box<CheckedTransaction>,
    },
    /// Take in a block that somebody has found elsewhere. Answered by [`Answer::Added`] when it is durable.
    SubmitBlock {
        /// Which.
        block: Box<CheckedBlock>,
    },
    /// What waits to be mined. Answered by [`Answer::Pending`].
    Pending,
    /// One account. Answered by [`Answer::Account`].
    Account {
        /// Which.
        address: Address,
    },
    /// A transaction that waits to be mined. Answered by [`Answer::Transaction`].
    Transaction {
        /// Which.
        id: TransactionId,
    },
    /// Ask every peer now. Answered by [`Answer::Resolved`] when all have answered, or had the time to.
    Resolve,
    /// From now on this is the node's own account: whose balance is shown, and who gets the rewards where nobody else
    /// is named, also of what is being mined. Not kept for the next start. Answered by [`Answer::Done`].
    UseAccount {
        /// Which.
        address: Address,
    },
    /// Never leave the block at this height of the best chain, whatever work another chain has, until told otherwise.
    /// Replaces the checkpoint that there is; `None` removes it. Answered by [`Answer::Checkpoint`] when it is durable.
    SetCheckpoint {
        /// Where, up to the tip.
        height: Option<Height>,
    },
}

/// The answer to a [`Command`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// The blocks, oldest first. Fewer than asked for if it was cancelled.
    Mined(Vec<Place>),
    /// The transaction's id.
    Sent(TransactionId),
    /// A block is stored.
    Added {
        /// Which.
        place: Place,
        /// Whether it is on the best chain.
        is_best: bool,
    },
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
    /// The transaction, if it waits.
    Transaction(Option<CheckedTransaction>),
    /// The checkpoint that holds now.
    Checkpoint(Option<Place>),
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
    /// Another nonce than the account's next one, or one that a pending transaction with at least this fee has.
    #[error("the account's next nonce is {next}, not {nonce}: prepare and sign it again")]
    WrongNonce {
        /// The transaction's.
        nonce: u64,
        /// The account's, with those that wait.
        next: u64,
    },
    /// Too many of the account's transactions wait, or the pool is full of better paying ones.
    #[error("the memory pool has no room: mine first, or offer a higher fee")]
    PoolFull,
    /// A block can't be taken in, and why.
    #[error("the block is refused: {0}")]
    BlockRefused(String),
    /// Another `mine N` is running.
    #[error("already mining the blocks of another command: wait for it, or stop it")]
    Busy,
    /// A checkpoint above the tip.
    #[error("there is no block at that height yet: name one up to {tip}, the height of the best block")]
    NoSuchHeight {
        /// Of the best block.
        tip: Height,
    },
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
            Self::WrongNonce { .. } => "wrong_nonce",
            Self::PoolFull => "pool_full",
            Self::BlockRefused(_) => "block_refused",
            Self::Busy => "busy",
            Self::NoSuchHeight { .. } => "no_such_height",
            Self::Closing => "closing",
        }
    }
}

/// Transactions that one [`Notice::RolledBack`] tells of. The rest is counted.
pub const ROLLED_BACK_TOLD_MAX: usize = 4096;

/// A transaction whose block left the best chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// The transaction.
    pub transaction: CheckedTransaction,
    /// The block that left.
    pub place: Place,
    /// What became of the transaction.
    pub fate: Fate,
}

/// What became of a transaction whose block left the best chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A block of the new chain has it too.
    Mined,
    /// It waits to be mined again.
    Pending,
    /// It is in no block and does not wait.
    Gone(GoneReason),
}

/// Why a transaction can't wait to be mined again, in words for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GoneReason {
    /// A block of the new chain has another one with this nonce.
    #[error("its account has used that nonce for another transaction")]
    NonceUsed,
    /// The account can't pay for it, or for it and what it sent before.
    #[error("its account no longer has the coins")]
    NoCoins,
    /// There is a gap between the account's nonce and this one, too long for the memory pool.
    #[error("earlier transactions of its account are missing")]
    NonceGap,
    /// Too many of the account's wait, or what waits pays better.
    #[error("the memory pool has no room")]
    NoRoom,
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
    /// A reorganisation took blocks off the best chain, and this became of their transactions. Comes right before the
    /// [`Notice::Tip`] that tells of the reorganisation, and not at all if the blocks held no transactions.
    RolledBack {
        /// At most [`ROLLED_BACK_TOLD_MAX`]: those of or to the node's own account, then others, each in the order in
        /// which they were mined.
        transactions: Vec<RolledBack>,
        /// How many more there were. After a very deep reorganisation those of the newest blocks are only counted: they do
        /// not wait again, and whoever sent them has to send them once more.
        untold: usize,
    },
    /// A chain with more work was offered that leaves ours below the checkpoint. It is not followed.
    ReorganisationRefused {
        /// The block that it leaves out.
        checkpoint: Place,
        /// Who offered it. It may be honest, and on the other side of a partition.
        peer: PeerKey,
        /// The height of the offered tip, as the peer tells it.
        height: Height,
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
