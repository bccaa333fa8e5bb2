//! Long values, cut into pieces.
//!
//! A page of the database is as long as the next power of two, so that a value of 540 kB would take 1 MiB. And the page
//! before a new row is written once more. A long value is therefore in many rows: its first piece has the row that a short
//! value has, and the others follow in [`PIECES`]. A first piece of another length than [`PIECE_BYTES`] is the whole value;
//! older versions wrote every value so.

use redb::{ReadableTable, Table as WritableTable, WriteTransaction};

use super::rows::Table;
use super::tables::{BODIES, PIECES, PieceKey, PlaceKey, UNDO};

/// A piece, its key and redb's 8 bytes fill a page of 16 KiB.
pub(super) const PIECE_BYTES: usize = (16 << 10) - 64;

/// Tables with long values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Long {
    Bodies,
    Undo,
}

impl Long {
    /// Its number in the keys of [`PIECES`].
    fn number(self) -> u8 {
        match self {
            Self::Bodies => Table::Bodies as u8,
            Self::Undo => Table::Undo as u8,
        }
    }

    fn piece_key(self, key: &PlaceKey, piece: u32) -> PieceKey {
        let mut of = [0; 45];
        of[0] = self.number();
        of[1..41].copy_from_slice(key);
        of[41..].copy_from_slice(&piece.to_be_bytes());
        of
    }
}

/// A table with long values, for writing.
pub(super) struct LongTable<'a> {
    long: Long,
    first: WritableTable<'a, &'static PlaceKey, &'static [u8]>,
    more: WritableTable<'a, &'static PieceKey, &'static [u8]>,
}

impl<'a> LongTable<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction, long: Long) -> Result<Self, redb::Error> {
        let first = transaction.open_table(match long {
            Long::Bodies => BODIES,
            Long::Undo => UNDO,
        })?;
        Ok(Self { long, first, more: transaction.open_table(PIECES)? })
    }

    pub(super) fn put(&mut self, key: &PlaceKey, value: &[u8]) -> Result<(), redb::Error> {
        let mut pieces = (0..).zip(value.chunks(PIECE_BYTES));
        let (_, first) = pieces.next().unwrap_or_default();
        let had_more = self.first.insert(key, first)?.is_some_and(|old| old.value().len() == PIECE_BYTES);
        let mut next = 1;
        for (piece, bytes) in pieces {
            self.more.insert(&self.long.piece_key(key, piece), bytes)?;
            next = piece + 1;
        }
        if had_more { self.remove_from(key, next) } else { Ok(()) }
    }

    pub(super) fn remove(&mut self, key: &PlaceKey) -> Result<(), redb::Error> {
        let has_more = self.first.remove(key)?.is_some_and(|first| first.value().len() == PIECE_BYTES);
        if has_more { self.remove_from(key, 1) } else { Ok(()) }
    }

    fn remove_from(&mut self, key: &PlaceKey, mut piece: u32) -> Result<(), redb::Error> {
        while self.more.remove(&self.long.piece_key(key, piece))?.is_some() {
            piece += 1;
        }
        Ok(())
    }
}

/// Appends a long value to `value`; whether it is there.
pub(super) fn read_long(
    long: Long,
    first: &impl ReadableTable<&'static PlaceKey, &'static [u8]>,
    more: &impl ReadableTable<&'static PieceKey, &'static [u8]>,
    key: &PlaceKey,
    value: &mut Vec<u8>,
) -> Result<bool, redb::Error> {
    let Some(piece) = first.get(key)? else { return Ok(false) };
    value.extend_from_slice(piece.value());
    if piece.value().len() == PIECE_BYTES {
        let keys = long.piece_key(key, 1)..=long.piece_key(key, u32::MAX);
        for row in more.range::<&PieceKey>(keys.start()..=keys.end())? {
            value.extend_from_slice(row?.1.value());
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Builder, Database, ReadableDatabase, ReadableTableMetadata};

    use super::*;

    const KEY: PlaceKey = [7; 40];

    fn database() -> Database {
        Builder::new().create_with_backend(InMemoryBackend::new()).expect("memory")
    }

    fn write(database: &Database, what: impl FnOnce(&mut LongTable<'_>)) {
        let transaction = database.begin_write().expect("a transaction");
        what(&mut LongTable::open(&transaction, Long::Bodies).expect("a table"));
        transaction.commit().expect("written");
    }

    /// What is there, and the number of pieces in all.
    fn read(database: &Database) -> (Option<Vec<u8>>, u64) {
        let transaction = database.begin_read().expect("a transaction");
        let (first, more) =
            (transaction.open_table(BODIES).expect("there"), transaction.open_table(PIECES).expect("there"));
        let mut value = Vec::new();
        let is_there = read_long(Long::Bodies, &first, &more, &KEY, &mut value).expect("readable");
        (is_there.then_some(value), first.len().expect("rows") + more.len().expect("rows"))
    }

    #[test]
    fn values_of_any_length_come_back_and_go_without_a_rest() {
        let database = database();
        let neighbours = [[6; 40], [8; 40]];
        let long = vec![9; 3 * PIECE_BYTES];
        write(&database, |table| neighbours.iter().for_each(|key| table.put(key, &long).expect("written")));
        let lengths = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 100_000, 5];
        for length in lengths {
            let value: Vec<u8> = (0..length).map(|at| at as u8).collect();
            write(&database, |table| table.put(&KEY, &value).expect("written"));
            let pieces = length.div_ceil(PIECE_BYTES).max(1) as u64;
            assert_eq!(read(&database), (Some(value), 6 + pieces), "{length}");
        }
        write(&database, |table| table.put(&KEY, &long).expect("written"));
        write(&database, |table| table.remove(&KEY).expect("removed"));
        assert_eq!(read(&database), (None, 6));
    }

    #[test]
    fn a_value_in_one_row_is_read_as_older_versions_wrote_it() {
        let database = database();
        let value = vec![3; 5 * PIECE_BYTES + 1];
        let transaction = database.begin_write().expect("a transaction");
        transaction.open_table(BODIES).expect("a table").insert(&KEY, value.as_slice()).expect("written");
        transaction.open_table(PIECES).expect("a table");
        transaction.commit().expect("written");
        assert_eq!(read(&database), (Some(value), 1));
        write(&database, |table| table.remove(&KEY).expect("removed"));
        assert_eq!(read(&database), (None, 0));
    }

    #[test]
    fn a_long_value_takes_little_more_room_than_its_bytes() {
        let database = database();
        let value = vec![1; 540_000];
        for number in 0..20 {
            write(&database, |table| table.put(&[number; 40], &value).expect("written"));
        }
        let transaction = database.begin_write().expect("a transaction");
        let room = transaction.stats().expect("counted").allocated_pages() * 4096;
        let bytes = 20 * value.len() as u64;
        assert!(room < bytes * 11 / 10, "{room} bytes for {bytes}");
    }
}
