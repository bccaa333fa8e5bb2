//! Answers of a view: places, pages and the rows on them.

use std::fmt;
use std::str::FromStr;

use super::row::Spot;
use crate::engine::event::Place;
use crate::protocol::record::{Content, Record, Tag};
use crate::protocol::{Address, Reward, SignedTransaction, TransactionId, UnixMillis};
use crate::text::{folded, one_form};

/// Where a transaction is on the best chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    pub place: Place,
    /// The number of transactions before it in the block; `None` if it is the reward.
    pub position: Option<u32>,
}

/// A row of a page, for asking for the next page. Written `123.4`: a height and a place in that block, where 0 is the
/// reward and n the n-th transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub(super) Spot);

impl Cursor {
    /// A place; `None` if no block is that high or that full.
    pub fn new(height: u64, slot: u64) -> Option<Self> {
        Spot::new(height, slot).map(Self)
    }

    pub fn height(self) -> u64 {
        self.0.height()
    }

    /// 0 for the reward, n for the n-th transaction.
    pub fn slot(self) -> u64 {
        self.0.slot()
    }
}

/// Text that is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a page begins at a height and a number such as 123.4: copy it from the end of the page before")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.height(), self.0.slot())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let (height, slot) =
            text.split_once('.').filter(|(height, slot)| is_plain(height) && is_plain(slot)).ok_or(CursorError)?;
        let (height, slot) = (height.parse().map_err(|_| CursorError)?, slot.parse().map_err(|_| CursorError)?);
        Spot::new(height, slot).map(Self).ok_or(CursorError)
    }
}

/// Rows, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows. They may be fewer than requested, even none, although there are more: the search ran out of steps.
    pub entries: Vec<T>,
    /// The cursor of the next page; `None` if there is nothing more.
    pub next: Option<Cursor>,
}

/// An account's parts in a transaction or a reward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles {
    /// It sent coins.
    pub sent: bool,
    /// It received coins.
    pub received: bool,
    /// It got the reward.
    pub mined: bool,
    /// It put a record on the chain.
    pub recorded: bool,
}

/// The subject of a row of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The block's reward.
    Reward(Reward),
    Transaction {
        /// The number of transactions before it in the block.
        position: u32,
        /// As it is on the chain.
        signed: SignedTransaction,
    },
}

/// A row of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    pub place: Place,
    /// The block's timestamp.
    pub timestamp: UnixMillis,
    /// The id of the transaction or the reward.
    pub id: TransactionId,
    /// The transaction or reward.
    pub item: Item,
    /// The account's part in it.
    pub roles: Roles,
}

/// A record on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEntry {
    pub place: Place,
    /// The block's timestamp.
    pub timestamp: UnixMillis,
    /// The number of transactions before it in the block.
    pub position: u32,
    pub id: TransactionId,
    /// The address of the key that signed it.
    pub sender: Address,
    /// As it is on the chain.
    pub signed: SignedTransaction,
    /// Its parsed data.
    pub record: Record,
}

/// A filter for records. All conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordQuery {
    pub tag: Option<Tag>,
    pub from: Option<Address>,
    /// The earliest timestamp of its block.
    pub since: Option<UnixMillis>,
    /// Its block is older than this.
    pub until: Option<UnixMillis>,
    /// The SHA-256 of its content.
    pub find: Option<[u8; 32]>,
    /// A part of its text, its file's name or a tag, [folded].
    pub text: Option<String>,
}

/// A part of time: from `since` on, and before `until`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    pub since: Option<UnixMillis>,
    pub until: Option<UnixMillis>,
}

impl Period {
    fn has(&self, at: UnixMillis) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// The text of a record, or the name of its file. Other bytes have none.
pub fn words(record: &Record) -> Option<&str> {
    match &record.content {
        Content::Text(text) | Content::Json(text) => Some(text),
        Content::File { name, .. } => Some(name),
        Content::Bytes(_) => None,
    }
}

/// Whether a record has a text, which is [folded], in its words or in a tag.
pub fn says(record: &Record, text: &str) -> bool {
    words(record).into_iter().chain(record.tags.iter().map(Tag::as_str)).any(|words| folded(words).contains(text))
}

/// Whether two tags are the same, in whatever form of their letters.
fn is_same(one: &Tag, other: &Tag) -> bool {
    one == other || one_form(one.as_str()) == one_form(other.as_str())
}

impl RecordQuery {
    pub(super) fn period(&self) -> Period {
        Period { since: self.since, until: self.until }
    }

    /// Whether all of it applies to a record.
    pub fn wants(&self, entry: &RecordEntry) -> bool {
        self.tag.as_ref().is_none_or(|tag| entry.record.tags.iter().any(|one| is_same(one, tag)))
            && self.from.is_none_or(|from| entry.sender == from)
            && self.period().has(entry.timestamp)
            && self.find.is_none_or(|hash| entry.record.content_hash() == hash)
            && self.text.as_ref().is_none_or(|text| says(&entry.record, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_height_and_a_place() {
        for text in ["0.0", "123.4", "1099511627775.16777215"] {
            assert_eq!(text.parse::<Cursor>().map(|cursor| cursor.to_string()), Ok(text.to_owned()));
        }
        for bad in ["", ".", "1", "1.", ".1", "1.2.3", "-1.2", "+1.2", "1.16777216", "1099511627776.0", "a.b"] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }
}
