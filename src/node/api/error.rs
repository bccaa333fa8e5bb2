//! Errors of commands: a stable code for scripts and a line for people. All codes are in [`Code`].

use super::receipt::MakeError;
use crate::engine::event::CommandError;
use crate::node::aliases::AliasError;
use crate::node::index::IndexError;
use crate::node::store::StoreError;
use crate::node::wallet::WalletError;
use crate::node::watch::WatchError;
use crate::protocol::Wei;
use crate::protocol::record::RecordError;

/// The codes that scripts may rely on. A code never changes its meaning; new ones may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// There is no command of that name.
    UnknownCommand,
    /// A command with too few, too many or unknown arguments.
    Usage,
    /// Not a whole number, or out of range.
    BadNumber,
    /// Not an amount: negative, not a number, more than 8 decimals, more than 64 bits.
    BadAmount,
    /// Not an address, or one whose checksum does not fit.
    BadAddress,
    /// Neither a height nor a block's id.
    BadId,
    /// Not a libp2p multiaddress.
    BadMultiaddr,
    /// Not a name that can be given.
    BadName,
    /// Not a tag, or too many.
    BadTag,
    /// Not JSON, or something else that can't be recorded.
    BadRecord,
    /// A line that is too long or not UTF-8.
    BadLine,
    /// There is no such block.
    NotFound,
    /// The answer would be too long.
    TooMany,
    /// A peer was not reached, or is none of ours.
    ConnectFailed,
    /// A file that is there already and is not a saved chain.
    FileExists,
    /// The name stands for something else.
    NameTaken,
    /// A code of another part of the node: [`WalletError::code`], [`IndexError::code`], [`AliasError::code`].
    Of(&'static str),
    /// A file can't be read.
    FileUnreadable,
    /// A file can't be written. Nothing half-written is left.
    WriteFailed,
    /// The node can't read its own store.
    StoreUnreadable,
    /// The account has less than the transaction needs.
    InsufficientBalance,
    /// The wallet in use is locked, and its key is needed.
    WalletLocked,
    /// A rule of the network forbids the transaction.
    InvalidTransaction,
    /// A transaction that is lost was sent again already.
    SentAgain,
    /// A transaction is not lost, so it is not sent again.
    NotLost,
    /// A transaction that was signed elsewhere does not have its account's next nonce.
    WrongNonce,
    /// A block that was found elsewhere can't be accepted.
    BlockRefused,
    /// The memory pool has no room.
    PoolFull,
    /// A height above that of the best block.
    NoSuchHeight,
    /// Another command mines already.
    Busy,
    /// Stopped by the user.
    Cancelled,
    /// The node is shutting down.
    Closing,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCommand => "unknown_command",
            Self::Usage => "usage",
            Self::BadNumber => "bad_number",
            Self::BadAmount => "bad_amount",
            Self::BadAddress => "bad_address",
            Self::BadId => "bad_id",
            Self::BadMultiaddr => "bad_multiaddr",
            Self::BadName => "bad_name",
            Self::BadTag => "bad_tag",
            Self::BadRecord => "bad_record",
            Self::BadLine => "bad_line",
            Self::NotFound => "not_found",
            Self::TooMany => "too_many",
            Self::ConnectFailed => "connect_failed",
            Self::FileExists => "file_exists",
            Self::NameTaken => "name_taken",
            Self::Of(word) => word,
            Self::FileUnreadable => "file_unreadable",
            Self::WriteFailed => "write_failed",
            Self::StoreUnreadable => "store_unreadable",
            Self::InsufficientBalance => "insufficient_balance",
            Self::WalletLocked => "wallet_locked",
            Self::InvalidTransaction => "invalid_transaction",
            Self::SentAgain => "sent_again",
            Self::NotLost => "not_lost",
            Self::WrongNonce => "wrong_nonce",
            Self::BlockRefused => "block_refused",
            Self::PoolFull => "pool_full",
            Self::NoSuchHeight => "no_such_height",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Closing => "closing",
        }
    }
}

/// A command that was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: Code,
    /// The mistake and its remedy, in one line for people.
    pub message: String,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::InsufficientBalance { .. } => Code::InsufficientBalance,
            CommandError::Invalid(_) => Code::InvalidTransaction,
            CommandError::WrongNonce { .. } => Code::WrongNonce,
            CommandError::BlockRefused(_) => Code::BlockRefused,
            CommandError::PoolFull { .. } => Code::PoolFull,
            CommandError::Busy => Code::Busy,
            CommandError::NoSuchHeight { .. } => Code::NoSuchHeight,
            CommandError::Closing => Code::Closing,
        };
        let message = match error {
            CommandError::InsufficientBalance { balance, spendable, needed } if balance == Wei::from(spendable) => {
                format!("not enough coins: this takes {needed} with the fee, you have {balance} (`mine` makes some)")
            }
            CommandError::InsufficientBalance { balance, spendable, needed } => format!(
                "not enough coins: this takes {needed} with the fee, you have {balance}, of which pending transactions \
                 leave {spendable} (`mine` makes some)"
            ),
            error => error.to_string(),
        };
        Self::new(code, message)
    }
}

impl From<WalletError> for Failure {
    fn from(error: WalletError) -> Self {
        Self::new(Code::Of(error.code()), error.to_string())
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        Self::new(Code::Of(error.code()), error.to_string())
    }
}

impl From<AliasError> for Failure {
    fn from(error: AliasError) -> Self {
        Self::new(Code::Of(error.code()), error.to_string())
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        let code = match &error {
            WatchError::Index(error) => Code::Of(error.code()),
            WatchError::Full => Code::TooMany,
            WatchError::Closing => Code::Closing,
        };
        Self::new(code, error.to_string())
    }
}

impl From<MakeError> for Failure {
    fn from(error: MakeError) -> Self {
        match error {
            MakeError::Store(error) => error.into(),
            error => Self::new(Code::NotFound, error.to_string()),
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        let code = match error {
            RecordError::TooLong { .. } => Code::InvalidTransaction,
            _ => Code::BadRecord,
        };
        Self::new(code, error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(Code::StoreUnreadable, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Amount, Height, Violation};

    #[test]
    fn the_engines_words_are_ours() {
        let amount = Amount::COIN;
        let errors = [
            CommandError::InsufficientBalance { balance: amount.into(), spendable: amount, needed: amount },
            CommandError::Invalid(Violation::EmptyTransfer),
            CommandError::PoolFull { least_fee: None },
            CommandError::Busy,
            CommandError::NoSuchHeight { tip: Height(7) },
            CommandError::Closing,
        ];
        for error in errors {
            assert_eq!(Failure::from(error.clone()).code.as_str(), error.code());
        }
    }
}
