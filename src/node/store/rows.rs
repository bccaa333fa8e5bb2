//! The rows of a commit, in the form in which the journal keeps them.
//!
//! A row is a table's number (1 byte), its key (a length of 1 byte and as many bytes) and its value (a length of 4
//! bytes, little endian, and as many bytes; [`REMOVED`] where the row goes away). Replaying is idempotent: writing rows
//! twice, or over rows of a later commit and then those again, has the same result as writing them once.

use std::collections::BTreeMap;

use redb::{ReadableTable, WriteTransaction};

use super::pieces::{Long, LongTable};
use super::tables::{ACCOUNTS, BEST, HEADERS, HEIGHTS, META, META_CHECKPOINT, PENDING, damaged, header_row, place_of};

/// Stands for the length of a value where there is none.
const REMOVED: u32 = u32::MAX;

/// Where a row goes. The numbers are in journals: none may ever mean something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Table {
    Headers = 1,
    Bodies = 2,
    Heights = 3,
    /// The row in [`HEADERS`] of a block that is condemned. Without a value.
    Condemned = 4,
    Best = 5,
    Undo = 6,
    Accounts = 7,
    Pending = 8,
    /// In [`META`]; the key is empty.
    Checkpoint = 9,
}

impl Table {
    const ALL: [Self; 9] = [
        Self::Headers,
        Self::Bodies,
        Self::Heights,
        Self::Condemned,
        Self::Best,
        Self::Undo,
        Self::Accounts,
        Self::Pending,
        Self::Checkpoint,
    ];

    /// Whether its rows are read only at startup. They may stay in the journal until the next checkpoint.
    fn is_startup_only(self) -> bool {
        matches!(self, Self::Accounts | Self::Pending | Self::Checkpoint)
    }
}

/// One row; without a value it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TableRow<'a> {
    table: Table,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// Encoded rows, grouped by table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows(Vec<u8>);

impl Rows {
    /// Bytes as they were read. They are checked when they are written.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a row.
    pub(super) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let length = u32::try_from(value.len()).ok().filter(|length| *length != REMOVED);
        self.add(table, key, length.expect("a block is far below 4 GiB"));
        self.0.extend_from_slice(value);
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, table: Table, key: &[u8]) {
        self.add(table, key, REMOVED);
    }

    fn add(&mut self, table: Table, key: &[u8], value_length: u32) {
        self.0.extend_from_slice(&[table as u8, u8::try_from(key.len()).expect("keys are short")]);
        self.0.extend_from_slice(key);
        self.0.extend_from_slice(&value_length.to_le_bytes());
    }

    fn iter(&self) -> impl Iterator<Item = Result<TableRow<'_>, redb::Error>> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let row = split_row(&mut rest).ok_or_else(no_row);
            if row.is_err() {
                rest = &[];
            }
            Some(row)
        })
    }

    /// Writes all rows but those read only at startup.
    pub(super) fn write_shown(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut rows = self.iter().peekable();
        while let Some(table) = rows.peek().and_then(|row| row.as_ref().ok()).map(|row| row.table) {
            let is_of_table =
                |row: &Result<TableRow<'_>, redb::Error>| row.as_ref().is_ok_and(|row| row.table == table);
            let of_table = std::iter::from_fn(|| rows.next_if(is_of_table).and_then(Result::ok));
            if table.is_startup_only() {
                of_table.for_each(drop);
            } else {
                write(transaction, table, of_table)?;
            }
        }
        // The malformed row that stopped the loop, if any.
        rows.next().map_or(Ok(()), |row| row.map(drop))
    }

    /// Whether there are rows that readers see.
    pub(super) fn is_shown(&self) -> bool {
        self.iter().any(|row| row.is_ok_and(|row| !row.table.is_startup_only()))
    }
}

/// Writes the rows read only at startup: for each key, the last value in these commits.
pub(super) fn write_startup_rows(commits: &[Rows], transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let mut last = BTreeMap::new();
    for row in commits.iter().flat_map(Rows::iter) {
        let TableRow { table, key, value } = row?;
        if table.is_startup_only() {
            last.insert((table, key), value);
        }
    }
    for table in Table::ALL.into_iter().filter(|table| table.is_startup_only()) {
        let mut of_table =
            last.range((table, [].as_slice())..).take_while(|((other, _), _)| *other == table).peekable();
        if of_table.peek().is_some() {
            write(
                transaction,
                table,
                of_table.map(|((table, key), value)| TableRow { table: *table, key, value: *value }),
            )?;
        }
    }
    Ok(())
}

/// Writes rows of one table.
fn write<'a>(
    transaction: &WriteTransaction,
    table: Table,
    rows: impl Iterator<Item = TableRow<'a>>,
) -> Result<(), redb::Error> {
    /// Opens the table, and writes each row with its key and its value in the forms that the table has.
    macro_rules! write_to {
        ($definition:expr, $key:expr, $value:expr, |$table:ident, $at:ident| $remove:expr) => {{
            let mut $table = transaction.open_table($definition)?;
            for row in rows {
                let $at = $key(row.key)?;
                match row.value {
                    Some(value) => drop($table.insert($at, $value(value)?)?),
                    None => $remove,
                }
            }
        }};
        // Rows that are only ever put. Taking them out would be code for each kind of table.
        ($definition:expr, $key:expr, $value:expr) => {
            write_to!($definition, $key, $value, |table, key| return Err(no_row()))
        };
        ($definition:expr, $key:expr, $value:expr, or remove) => {
            write_to!($definition, $key, $value, |table, key| drop(table.remove(key)?))
        };
    }
    let as_it_is = Ok::<&[u8], redb::Error>;
    match table {
        Table::Headers => write_to!(HEADERS, fixed::<40>, fixed),
        Table::Bodies => write_long(transaction, Long::Bodies, rows)?,
        Table::Heights => write_to!(HEIGHTS, fixed::<40>, number),
        Table::Best => write_to!(BEST, number, fixed::<32>, or remove),
        Table::Undo => write_long(transaction, Long::Undo, rows)?,
        Table::Accounts => write_to!(ACCOUNTS, fixed::<20>, account, or remove),
        Table::Pending => write_to!(PENDING, fixed::<32>, pending, or remove),
        Table::Checkpoint => write_to!(META, |_| Ok::<_, redb::Error>(META_CHECKPOINT), as_it_is, or remove),
        Table::Condemned => {
            let mut headers = transaction.open_table(HEADERS)?;
            for row in rows {
                let key = fixed(row.key)?;
                let header = headers.get(key)?.map(|row| *row.value());
                let header = header.ok_or_else(|| damaged(&place_of(key), &"its header is missing"))?;
                let header = header.first_chunk().expect("a row begins with the header");
                headers.insert(key, &header_row(header, true))?;
            }
        }
    }
    Ok(())
}

/// Writes rows of a table with long values.
fn write_long<'a>(
    transaction: &WriteTransaction,
    long: Long,
    rows: impl Iterator<Item = TableRow<'a>>,
) -> Result<(), redb::Error> {
    let mut table = LongTable::open(transaction, long)?;
    for row in rows {
        match row.value {
            Some(value) => table.put(fixed(row.key)?, value)?,
            None => table.remove(fixed(row.key)?)?,
        }
    }
    Ok(())
}

/// The value of an account's row: balance and nonce.
pub(super) fn account_value(balance: u128, nonce: u64) -> [u8; 24] {
    let mut value = [0; 24];
    value[..16].copy_from_slice(&balance.to_le_bytes());
    value[16..].copy_from_slice(&nonce.to_le_bytes());
    value
}

/// The value of a pending transaction's row.
pub(super) fn pending_value(order: u64, encoded: &[u8]) -> Vec<u8> {
    [&order.to_le_bytes(), encoded].concat()
}

fn account(value: &[u8]) -> Result<(u128, u64), redb::Error> {
    let (balance, nonce) = value.split_first_chunk().ok_or_else(no_row)?;
    Ok((u128::from_le_bytes(*balance), number(nonce)?))
}

fn pending(value: &[u8]) -> Result<(u64, &[u8]), redb::Error> {
    let (order, encoded) = value.split_at_checked(8).ok_or_else(no_row)?;
    Ok((number(order)?, encoded))
}

fn number(bytes: &[u8]) -> Result<u64, redb::Error> {
    fixed(bytes).map(|bytes| u64::from_le_bytes(*bytes))
}

fn fixed<const LENGTH: usize>(bytes: &[u8]) -> Result<&[u8; LENGTH], redb::Error> {
    bytes.try_into().map_err(|_| no_row())
}

fn split_row<'a>(rest: &mut &'a [u8]) -> Option<TableRow<'a>> {
    let [number, key_length] = *rest.split_off(..2)? else { return None };
    let table = Table::ALL.into_iter().find(|table| *table as u8 == number)?;
    let key = rest.split_off(..usize::from(key_length))?;
    let length = u32::from_le_bytes(rest.split_off(..4)?.try_into().ok()?);
    let value = match length {
        REMOVED => None,
        length => Some(rest.split_off(..usize::try_from(length).ok()?)?),
    };
    Some(TableRow { table, key, value })
}

fn no_row() -> redb::Error {
    redb::Error::Corrupted("its journal holds what is no row".to_owned())
}
