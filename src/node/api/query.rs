//! What a user names, as they name it. [`super::parse`] makes these of words, [`super::lookup`] finds what they mean.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::node::index::Cursor;
use crate::protocol::record::Tag;
use crate::protocol::{Address, BlockId, Height, Millis, TransactionId, UnixMillis};

/// Whose account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// This one.
    Address(Address),
    /// That of an alias, or of one of the node's wallets.
    Name(String),
}

/// How a block is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockName {
    /// On the best chain.
    Height(Height),
    /// On any branch.
    Id(BlockId),
    /// On any branch, by the eight digits that [`BlockId::short`] shows.
    Short(u32),
}

/// How a transaction is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionName {
    /// By its id.
    Id(TransactionId),
    /// By some digits as [`TransactionId::short`] shows them, in lower case.
    Short(String),
}

/// Which part of a list, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Where an earlier part ended.
    pub before: Option<Cursor>,
    /// How many rows; `None` leaves the choice to whoever answers.
    pub limit: Option<usize>,
}

/// Which records.
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
    /// This one.
    At(UnixMillis),
    /// So long ago.
    Ago(Millis),
}

impl Since {
    /// The moment, seen from `now`.
    pub fn moment(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => UnixMillis(now.0.saturating_sub(span.0)),
        }
    }
}

/// Rows of a list whose length nobody asked for.
pub const LIST_ROWS: usize = 20;

impl Range {
    /// How many rows to show.
    pub fn rows(&self) -> usize {
        self.limit.unwrap_or(LIST_ROWS)
    }
}

/// Whether the heights of a list of blocks fall or rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// They fall.
    #[default]
    Newest,
    /// They rise.
    Oldest,
}
