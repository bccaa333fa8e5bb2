//! The results of commands: the rows of [`api`](crate::node::api), and those that only a prompt has.
//!
//! Nothing here needs a running node, so [`super::render`] and [`super::json`] are tested without one. Fields that
//! are only for people are skipped in JSON.

use serde::Serialize;

use super::command::CommandEntry;
use crate::node::api::rows::{
    AccountRow, AliasRow, BackedUp, BlockPage, HistoryPage, LifeRow, Mined, Mining, NodeStatus, Peer, PlaceRow,
    RecordPage, Resolved, Saved, Sent, StandingBlock, TransactionRow, WalletMade, WalletRow,
};
use crate::protocol::receipt::Form;
use crate::protocol::{Address, BlockId, Height, TransactionId, UnixMillis};

/// The answer to a command that worked. [`super::json`] documents each shape.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum CommandOutcome {
    Mined {
        #[serde(flatten)]
        mined: Mined,
        #[serde(skip)]
        wanted: u64,
    },
    MiningSet(Mining),
    Sent(Sent),
    RecordedFolder {
        records: Vec<Sent>,
        left_out: Vec<String>,
    },
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
        form: Form,
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
    BackedUp(BackedUp),
    Status(Box<NodeStatus>),
    Help {
        commands: Vec<HelpRow>,
    },
    Quit {},
}

impl CommandOutcome {
    /// Whether names may differ after it: these commands change names and wallets, and a list of the wallets shows what
    /// other programs have changed.
    pub fn changes_names(&self) -> bool {
        matches!(
            self,
            Self::AliasSet(_) | Self::AliasRemoved(_) | Self::Wallets(_) | Self::Wallet { .. } | Self::WalletMade(_)
        )
    }
}

/// The change of the wallet in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalletChange {
    Used,
    Unlocked {
        /// `None`: until it is locked.
        minutes: Option<u64>,
    },
    Locked,
}

/// A command, as help shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HelpRow {
    pub name: &'static str,
    /// The name and the arguments.
    pub usage: String,
    pub summary: &'static str,
    pub details: &'static str,
}

impl From<&CommandEntry> for HelpRow {
    fn from(entry: &CommandEntry) -> Self {
        Self { name: entry.name, usage: entry.usage(), summary: entry.summary, details: entry.details }
    }
}
