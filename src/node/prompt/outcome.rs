//! What commands give back: the rows of [`api`](crate::node::api), and what only a prompt tells.
//!
//! Nothing here needs a running node, so [`super::render`] and [`super::json`] are tested without one. Fields that
//! are only for people are skipped in JSON.

use serde::Serialize;

use super::command::Entry;
use crate::node::api::rows::{
    AccountRow, AliasRow, BlockPage, HistoryPage, LifeRow, Mined, Mining, Peer, PlaceRow, RecordPage, Resolved, Saved,
    Sent, StandingBlock, Status, TransactionRow, WalletMade, WalletRow,
};
use crate::protocol::{Address, BlockId, Height, TransactionId, UnixMillis};

/// The answer to a command that worked. [`super::json`] documents each shape.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    Mined {
        #[serde(flatten)]
        mined: Mined,
        #[serde(skip)]
        wanted: u64,
    },
    MiningSet(Mining),
    Sent(Sent),
    Chain(BlockPage),
    Block(Box<StandingBlock>),
    Pending(Vec<TransactionRow>),
    Balance(AccountRow),
    Address {
        address: Address,
    },
    Records(RecordPage),
    History(HistoryPage),
    Watched(LifeRow),
    Watching(Vec<LifeRow>),
    Unwatched {
        id: TransactionId,
    },
    Receipt {
        file: String,
        id: TransactionId,
        height: Height,
        confirmations: u64,
        bytes: u64,
    },
    Tip {
        height: Height,
        id: BlockId,
        timestamp: UnixMillis,
    },
    Checkpoint {
        checkpoint: Option<PlaceRow>,
    },
    Aliases(Vec<AliasRow>),
    AliasSet(AliasRow),
    AliasRemoved(AliasRow),
    Wallets(Vec<WalletRow>),
    Wallet {
        #[serde(flatten)]
        wallet: WalletRow,
        #[serde(skip)]
        change: WalletChange,
    },
    WalletMade(WalletMade),
    Peers(Vec<Peer>),
    Connected(Peer),
    Resolved(Resolved),
    Saved(Saved),
    Status(Box<Status>),
    Help {
        commands: Vec<HelpRow>,
    },
    Quit {},
}

impl Outcome {
    /// Whether somebody may be called otherwise after it: names and wallets change by these commands, and a list of the
    /// wallets shows what other programs have changed.
    pub fn changes_names(&self) -> bool {
        matches!(
            self,
            Self::AliasSet(_) | Self::AliasRemoved(_) | Self::Wallets(_) | Self::Wallet { .. } | Self::WalletMade(_)
        )
    }
}

/// What was done to the wallet in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalletChange {
    /// It became the one in use.
    Used,
    /// Its key can be used.
    Unlocked {
        /// For so long; `None`: until it is locked.
        minutes: Option<u64>,
    },
    /// Its key can't be used any more.
    Locked,
}

/// A command, as help shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HelpRow {
    /// The first word.
    pub name: &'static str,
    /// The name and what may follow it.
    pub usage: String,
    /// One line.
    pub summary: &'static str,
    /// More, if there is more to say.
    pub details: &'static str,
}

impl From<&Entry> for HelpRow {
    fn from(entry: &Entry) -> Self {
        Self { name: entry.name, usage: entry.usage(), summary: entry.summary, details: entry.details }
    }
}
