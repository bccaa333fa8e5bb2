//! What a search finds.

use serde::Serialize;
use utoipa::ToSchema;

use crate::protocol::Height;

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SearchPage {
    /// The most exact first, records last and the newest of them first.
    pub hits: Vec<SearchHit>,
    /// How many of the newest records were read for their text.
    pub records_read: usize,
    /// Whether nothing was left out: no older record, and no further hit.
    pub complete: bool,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SearchHit {
    /// Its type.
    pub kind: HitKind,
    /// Its id: a block's or transaction's, an address, the tag, or the SHA-256.
    pub id: String,
    /// The height of the block, or of the record's block; else null.
    #[schema(value_type = Option<u64>)]
    pub height: Option<Height>,
    /// The account's name, or the beginning of the record; else null.
    pub text: Option<String>,
    /// Whether all of it was typed, rather than a part.
    pub exact: bool,
}

/// The type of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HitKind {
    /// A block.
    Block,
    /// A transaction or a reward.
    Transaction,
    /// An account.
    Account,
    /// A tag of records.
    Tag,
    /// The SHA-256 of what was recorded.
    Content,
    /// A record that says it.
    Record,
}
