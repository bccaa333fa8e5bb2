//! Commands of the node's own user, answers and notices.

use std::sync::Arc;

use quipu_protocol::receipt::{Form, ShownChain};
use quipu_protocol::{
    Account, Action, Address, Amount, CheckedBlock, CheckedTransaction, Height, Millis, SecretKey, TransactionId,
    UnixMillis, Violation, Wei,
};
use serde::{Deserialize, Serialize};

use super::{PeerKey, Place};

/// The condition under which the node mines.
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

/// The most blocks for one command: more than anybody waits for.
pub const MINE_COUNT_MAX: u64 = 1_000_000;

/// A command of the node's own user.
#[derive(Debug, Clone)]
pub enum Command {
    /// Mine this many blocks. Answered by [`Answer::Mined`] when they are durable.
    Mine {
        /// The number of blocks, from 1 to [`MINE_COUNT_MAX`].
        count: u64,
        /// The account for the rewards; `None`: the node's own account.
        to: Option<Address>,
    },
    /// Stop a running [`Command::Mine`]; its answer has the blocks mined so far. The mode stays.
    CancelMining,
    /// Set the mode in which the node mines by itself.
    SetMining {
        /// The new mode.
        mode: MiningMode,
        /// The account for the rewards; `None`: the node's own account.
        to: Option<Address>,
    },
    /// Sign and send a transaction. Answered by [`Answer::Sent`] when it is durable.
    Send {
        /// The key whose account pays.
        key: Arc<SecretKey>,
        /// A transfer or a record.
        action: Action,
        /// The fee for the miner; `None`: the least with which it gets into the memory pools of peers too, as far as this
        /// node's pool tells and the account can pay.
        fee: Option<Amount>,
    },
    /// Accept a transaction that was signed elsewhere, and spread it. Answered by [`Answer::Sent`] when it is durable,
    /// also if it is pending already.
    Submit {
        /// The transaction.
        transaction: Box<CheckedTransaction>,
    },
    /// The same, unless its nonce is not its account's next one: then it takes the place of no other transaction.
    SubmitNext {
        /// The transaction.
        transaction: Box<CheckedTransaction>,
    },
    /// Accept a block that was found elsewhere. Answered by [`Answer::Added`] when it is durable.
    SubmitBlock {
        /// The block.
        block: Box<CheckedBlock>,
    },
    /// List the pending transactions. Answered by [`Answer::Pending`].
    Pending,
    /// Look up an account. Answered by [`Answer::Account`].
    Account {
        /// The account's address.
        address: Address,
    },
    /// Look up a pending transaction. Answered by [`Answer::Transaction`].
    Transaction {
        /// The transaction's id.
        id: TransactionId,
    },
    /// Gather what a receipt shows of the best chain. Answered by [`Answer::Shown`].
    Show {
        /// The height of the transaction's block.
        block: Height,
        /// The last block of the receipt.
        tip: Place,
        /// The form of the receipt; `None`: the smallest that shows work.
        form: Option<Form>,
    },
    /// Ask every peer now. Answered by [`Answer::Resolved`] when all have answered or timed out.
    Resolve,
    /// Make this the node's own account: its balance is shown, and it gets the rewards by default, also of the running
    /// search. Not kept for the next start. Answered by [`Answer::Done`].
    UseAccount {
        /// The account's address.
        address: Address,
    },
    /// Never leave the block at this height of the best chain, whatever work another chain has, until further notice.
    /// Replaces the present checkpoint; `None` removes it. Answered by [`Answer::Checkpoint`] when it is durable.
    SetCheckpoint {
        /// The height of the new checkpoint, up to the tip.
        height: Option<Height>,
    },
}

/// The answer to a [`Command`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// The mined blocks, oldest first; fewer than requested after a cancellation.
    Mined(Vec<Place>),
    /// The transaction is in the memory pool.
    Sent {
        /// Its id.
        id: TransactionId,
        /// Its fee.
        fee: Amount,
    },
    /// The block is stored.
    Added {
        /// Height and id of the block.
        place: Place,
        /// Whether it is on the best chain.
        is_best: bool,
    },
    /// The pending transactions in the order in which they would be mined now.
    Pending(Vec<CheckedTransaction>),
    /// An account.
    Account {
        /// The account's state at the tip.
        account: Account,
        /// The balance if all pending transactions were mined, without coins from others.
        spendable: Amount,
        /// The number of its pending transactions.
        pending: u64,
    },
    /// The transaction, if it is pending.
    Transaction(Option<CheckedTransaction>),
    /// What the receipt shows, unless its last block is not on the best chain at the moment.
    Shown(Option<Box<ShownChain>>),
    /// The present checkpoint.
    Checkpoint(Option<Place>),
    /// The outcome of asking every peer.
    Resolved {
        /// Whether another chain replaced ours.
        replaced: bool,
        /// The number of peers that answered.
        answered: usize,
        /// The number of peers that were asked.
        asked: usize,
        /// The best block afterwards.
        tip: Place,
        /// The time until which a better chain is kept back, because its blocks are dated ahead of this machine's clock.
        kept_back_until: Option<UnixMillis>,
    },
    /// Done, without data.
    Done,
}

/// The reason why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The account cannot pay the amount and the fee.
    #[error("insufficient balance: amount and fee are {needed}, {spendable} of {balance} can be spent")]
    InsufficientBalance {
        /// The balance at the tip.
        balance: Wei,
        /// The balance less the pending transactions.
        spendable: Amount,
        /// The sum of amount and fee.
        needed: Amount,
    },
    /// A rule of the network forbids it.
    #[error("{0}")]
    Invalid(Violation),
    /// The nonce is neither the account's next one, nor that of a pending transaction with a sufficiently lower fee.
    #[error("the account's next nonce is {next}, not {nonce}: prepare and sign it again")]
    WrongNonce {
        /// The transaction's nonce.
        nonce: u64,
        /// The account's next nonce, after its pending transactions.
        next: u64,
    },
    /// The account has too many pending transactions, or the pool is full of better paying ones.
    #[error("the memory pool has no room: mine first{}", .least_fee.map(|fee| format!(", or offer a fee of {fee}")).unwrap_or_default())]
    PoolFull {
        /// The fee with which it would get in; `None` if none would do.
        least_fee: Option<Amount>,
    },
    /// The block was refused, for this reason.
    #[error("the block is refused: {0}")]
    BlockRefused(String),
    /// Another `mine N` is running.
    #[error("already mining the blocks of another command: wait for it, or stop it")]
    Busy,
    /// The checkpoint is above the tip.
    #[error("there is no block at that height yet: name one up to {tip}, the height of the best block")]
    NoSuchHeight {
        /// The height of the best block.
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
            Self::PoolFull { .. } => "pool_full",
            Self::BlockRefused(_) => "block_refused",
            Self::Busy => "busy",
            Self::NoSuchHeight { .. } => "no_such_height",
            Self::Closing => "closing",
        }
    }
}

/// The most transactions that one [`Notice::RolledBack`] lists. The others are counted.
pub const ROLLED_BACK_TOLD_MAX: usize = 4096;

/// A transaction whose block left the best chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// The transaction.
    pub transaction: CheckedTransaction,
    /// The block that left.
    pub place: Place,
    /// The fate of the transaction.
    pub fate: Fate,
}

/// The fate of a transaction whose block left the best chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A block of the new chain has it too.
    Mined,
    /// It is pending again.
    Pending,
    /// It is neither in a block nor pending.
    Gone(GoneReason),
}

/// The reason why a transaction cannot be pending again, in words for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GoneReason {
    /// A block of the new chain has another one with this nonce.
    #[error("its account has used that nonce for another transaction")]
    NonceUsed,
    /// The account cannot pay for it, or not together with its earlier transactions.
    #[error("its account no longer has the coins")]
    NoCoins,
    /// There is a gap between the account's nonce and this one, too long for the memory pool.
    #[error("earlier transactions of its account are missing")]
    NonceGap,
    /// The account has too many pending transactions, or all pending ones pay better.
    #[error("the memory pool has no room")]
    NoRoom,
}

/// The reason why a chain that was shown to have more work than ours is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotFollowed {
    /// The second download of its headers brought others than the first.
    #[error("asked again for its headers, the peer sent others")]
    Contradicted,
    /// Its headers did not come a second time.
    #[error("asked again for its headers, the peer did not send them in time")]
    Undelivered,
    /// One of its blocks does not come, whoever is asked.
    #[error("a block of it was asked for and does not come")]
    Withheld,
    /// It is no longer than ours, and ours came first (see `engine::rivals`).
    #[error("it is as long as ours, and ours came first")]
    Rival,
    /// Its blocks are dated ahead of this machine's clock. They are kept back for so long.
    #[error("its blocks are dated ahead of this machine's clock: they are kept back for {0}")]
    Early(Millis),
}

/// An event that the user may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The best chain has a new tip.
    Tip {
        /// The new tip.
        tip: Place,
        /// The number of our blocks that were disconnected first.
        reorg_depth: u64,
        /// The number of their transactions that are pending again.
        returned: usize,
        /// The fall of the own account's balance by that.
        fell: Wei,
        /// Whether the block was mined here.
        ours: bool,
    },
    /// A reorganisation disconnected blocks, with this fate for their transactions. Comes right before the
    /// [`Notice::Tip`] of the reorganisation, and not at all if the blocks had no transactions.
    RolledBack {
        /// At most [`ROLLED_BACK_TOLD_MAX`]: those from or to the node's own account, then others, each in the order in
        /// which they were mined.
        transactions: Vec<RolledBack>,
        /// The number of unlisted transactions. After a very deep reorganisation those of the newest blocks are only
        /// counted: they are not pending again, and their senders have to send them once more.
        untold: usize,
    },
    /// A transaction that this node has promised to keep until it is mined can no longer be mined.
    Lost {
        /// The transaction.
        transaction: CheckedTransaction,
        /// The reason.
        reason: GoneReason,
    },
    /// A chain with more work leaves ours below the checkpoint. It is not followed.
    ReorganisationRefused {
        /// The checkpoint that it leaves out.
        checkpoint: Place,
        /// The peer that offered it, which may be honest and on the other side of a partition.
        peer: PeerKey,
        /// The height of the offered tip, by the peer's own account.
        height: Height,
    },
    /// A peer showed a chain with more work than ours, and did not stand by it. It is not followed.
    NotFollowed {
        /// The peer that showed it.
        peer: PeerKey,
        /// The height of the chain as far as it was shown.
        height: Height,
        /// The reason.
        why: NotFollowed,
    },
    /// Our best block is dated so far ahead of this machine's clock that others keep it back.
    TipAhead {
        /// The block.
        tip: Place,
        /// Its timestamp less the clock.
        ahead: Millis,
    },
    /// A transaction entered the memory pool.
    Transaction(CheckedTransaction),
    /// A block with valid work but invalid content was refused.
    BlockRefused {
        /// Height and id of the block.
        place: Place,
        /// The rule that it breaks.
        violation: Violation,
    },
    /// The node mines by itself, and waits now for a better chain that is on its way. Comes when the wait begins.
    MiningWaits {
        /// Our height.
        height: Height,
        /// The height of that chain.
        target: Height,
    },
    /// A peer's clock, or ours, is wrong by this many milliseconds (theirs less ours).
    ClockDiffers {
        /// The peer's session.
        peer: PeerKey,
        /// The peer's clock less ours, in milliseconds.
        offset_millis: i64,
    },
    /// Most peers' clocks say that ours is wrong by this many milliseconds (theirs less ours).
    OurClockDiffers {
        /// The peers' clocks less ours, in milliseconds.
        offset_millis: i64,
    },
}
