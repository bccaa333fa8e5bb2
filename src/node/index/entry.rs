//! What a view answers: places, pages and the rows on them.

use std::fmt;
use std::str::FromStr;

use super::row::Spot;
use crate::engine::event::Place;
use crate::protocol::record::{Record, Tag};
use crate::protocol::{Address, Reward, SignedTransaction, TransactionId, UnixMillis};

/// Where a transaction is on the best chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Its block.
    pub place: Place,
    /// How many transactions are before it in the block; `None` if it is the reward.
    pub position: Option<u32>,
}

/// A row of a page, for asking for the next page. Written `123.4`: a height and a place in that block, where 0 is the
/// reward and n the n-th transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub(super) Spot);

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
    /// The rows. May be fewer than asked for, even none, although there are more: finding them took too many steps.
    pub entries: Vec<T>,
    /// What to ask for the next page with; `None` if there is nothing more.
    pub next: Option<Cursor>,
}

/// What an account had to do with a transaction or a reward.
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

/// What a row of a history is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The block's reward.
    Reward(Reward),
    /// A transaction.
    Transaction {
        /// How many are before it in the block.
        position: u32,
        /// As it is on the chain.
        signed: SignedTransaction,
    },
}

/// A row of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The block.
    pub place: Place,
    /// The block's.
    pub timestamp: UnixMillis,
    /// Of the transaction, or the reward's name.
    pub id: TransactionId,
    /// What it is.
    pub item: Item,
    /// The account's part in it.
    pub roles: Roles,
}

/// A record on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEntry {
    /// The block.
    pub place: Place,
    /// The block's.
    pub timestamp: UnixMillis,
    /// How many transactions are before it in the block.
    pub position: u32,
    /// Of the transaction.
    pub id: TransactionId,
    /// The address of the key that signed it.
    pub sender: Address,
    /// As it is on the chain.
    pub signed: SignedTransaction,
    /// What its data says.
    pub record: Record,
}

/// Which records are wanted: those to which all of this applies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// With this tag.
    pub tag: Option<Tag>,
    /// Signed by this account.
    pub from: Option<Address>,
    /// In blocks of this time or later.
    pub since: Option<UnixMillis>,
    /// Whose content has this SHA-256.
    pub find: Option<[u8; 32]>,
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
