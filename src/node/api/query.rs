//! A user's names for things, as typed. [`super::parse`] reads them, `super::lookup` finds what they mean.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::node::index::Cursor;
use crate::protocol::record::Tag;
use crate::protocol::{Address, BlockId, Height, Millis, TransactionId, UnixMillis};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    Address(Address),
    /// That of an alias, or of one of the node's wallets.
    Name(String),
}

/// The name of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockName {
    /// On the best chain.
    Height(Height),
    /// On any branch.
    Id(BlockId),
    /// On any branch, by the eight digits that [`BlockId::short`] shows.
    Short(u32),
}

/// The name of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionName {
    /// By its id.
    Id(TransactionId),
    /// By some digits as [`TransactionId::short`] shows them, in lower case.
    Short(String),
}

/// A part of a list, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// The end of an earlier part.
    pub before: Option<Cursor>,
    /// `None` leaves the number to the one that answers.
    pub limit: Option<usize>,
}

/// A filter for records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// With this tag.
    pub tag: Option<Tag>,
    /// Signed by this account.
    pub from: Option<Who>,
    /// In blocks made at this time or later.
    pub since: Option<Since>,
    /// With this content: a SHA-256 or a transaction's id in hex, or a file.
    pub find: Option<String>,
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    At(UnixMillis),
    /// A time before now.
    Ago(Millis),
}

impl Since {
    /// The moment, as seen at `now`.
    pub fn moment(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => UnixMillis(now.0.saturating_sub(span.0)),
        }
    }
}

/// The default number of rows in a list.
pub const LIST_ROWS: usize = 20;

impl Range {
    /// The number of rows to show.
    pub fn rows(&self) -> usize {
        self.limit.unwrap_or(LIST_ROWS)
    }
}

/// The order of heights in a list of blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    #[default]
    Newest,
    Oldest,
}
