//! The file: opened or rebuilt, and written in large commits.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::{Builder, Database, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction};

use super::IndexError;
use crate::engine::event::Place;
use crate::node::thread::catch;
use crate::protocol::{BlockId, Height, Network};

/// Name of the file in the data folder.
pub(super) const FILE: &str = "index.redb";
/// The version of the rows. A file of another one is rebuilt.
const SCHEMA: u32 = 2;
/// Memory for pages, read and to be written.
const CACHE_BYTES_MAX: usize = 128 << 20;

/// See [`super::row`].
pub(super) const ROWS: TableDefinition<u128, ()> = TableDefinition::new("rows");
/// Version, network and tip of the file.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// `u32`, little endian.
const META_SCHEMA: &str = "schema";
/// The id of the genesis block.
const META_GENESIS: &str = "genesis";
/// Height (`u64`, little endian) and id of the last block whose rows are here.
const META_TIP: &str = "tip";

/// The changes of one commit.
#[derive(Debug)]
pub(super) struct IndexChange {
    /// Keys to remove, sorted.
    pub(super) removed: Vec<u128>,
    /// Keys to add after that, sorted.
    pub(super) added: Vec<u128>,
    /// The last block whose rows are in the file afterwards.
    pub(super) tip: Place,
}

/// Opens the index of this network, or makes an empty one in its place. Also returns the last block that it knows.
pub(super) fn open(path: &Path, network: &Network) -> Result<(Arc<Database>, Place), IndexError> {
    let is_there = path.try_exists().map_err(|error| from_io(path, &error))?;
    if is_there {
        match open_existing(path, network) {
            Ok(opened) => return Ok(opened),
            Err(IndexError::Damaged { detail }) => {
                tracing::warn!(file = %path.display(), detail, "the index is unusable and is rebuilt");
                remove(path)?;
            }
            Err(error) => return Err(error),
        }
    }
    let tip = Place { height: Height::GENESIS, id: network.genesis_id() };
    let database = guarded(path, || {
        let database = builder().create(path)?;
        let transaction = begin_write(&database)?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(META_SCHEMA, SCHEMA.to_le_bytes().as_slice())?;
            meta.insert(META_GENESIS, network.genesis_id().as_bytes().as_slice())?;
            meta.insert(META_TIP, tip_row(&tip).as_slice())?;
            transaction.open_table(ROWS)?;
        }
        transaction.commit()?;
        Ok(database)
    })?;
    Ok((Arc::new(database), tip))
}

fn open_existing(path: &Path, network: &Network) -> Result<(Arc<Database>, Place), IndexError> {
    guarded(path, || {
        let database = builder().open(path)?;
        let transaction = database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let is = |key: &str, wanted: &[u8]| -> Result<bool, redb::Error> {
            Ok(meta.get(key)?.is_some_and(|value| value.value() == wanted))
        };
        if !is(META_SCHEMA, &SCHEMA.to_le_bytes())? {
            return Err(corrupted("it has another form"));
        }
        if !is(META_GENESIS, network.genesis_id().as_bytes())? {
            return Err(corrupted("it is another network's"));
        }
        transaction.open_table(ROWS)?;
        let tip = tip(&transaction)?;
        Ok((Arc::new(database), tip))
    })
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES_MAX);
    builder
}

fn begin_write(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    // Opening after a crash then needs no scan of the file.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Removes the file, which must be closed.
pub(super) fn remove(path: &Path) -> Result<(), IndexError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(from_io(path, &error)),
        _ => Ok(()),
    }
}

/// Closes a database that nobody else holds.
pub(super) fn close(path: &Path, database: Arc<Database>) {
    // Closing writes a little too, so it can find damage.
    let closed = guarded(path, || {
        drop(database);
        Ok(())
    });
    if let Err(error) = closed {
        tracing::warn!(%error, "the index was not closed in order");
    }
}

/// Writes a change in one durable commit.
pub(super) fn write(path: &Path, database: &Database, change: &IndexChange) -> Result<(), IndexError> {
    guarded(path, || {
        let transaction = begin_write(database)?;
        {
            let mut rows = transaction.open_table(ROWS)?;
            for key in &change.removed {
                rows.remove(key)?;
            }
            for key in &change.added {
                rows.insert(key, ())?;
            }
            transaction.open_table(META)?.insert(META_TIP, tip_row(&change.tip).as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    })
}

/// The last block that the file knows.
pub(super) fn tip(transaction: &ReadTransaction) -> Result<Place, redb::Error> {
    let wrong = || corrupted("it does not say how far it has come");
    let meta = transaction.open_table(META)?;
    let row = meta.get(META_TIP)?.ok_or_else(wrong)?;
    let (height, id) = row.value().split_first_chunk().ok_or_else(wrong)?;
    Ok(Place { height: Height(u64::from_le_bytes(*height)), id: BlockId(id.try_into().map_err(|_| wrong())?) })
}

fn tip_row(tip: &Place) -> [u8; 40] {
    let mut row = [0; 40];
    row[..8].copy_from_slice(&tip.height.0.to_le_bytes());
    row[8..].copy_from_slice(tip.id.as_bytes());
    row
}

fn corrupted(detail: &str) -> redb::Error {
    redb::Error::Corrupted(detail.to_owned())
}

fn from_io(path: &Path, error: &io::Error) -> IndexError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => IndexError::Damaged { detail: error.to_string() },
        _ => IndexError::Unusable { file: path.to_owned(), detail: error.to_string() },
    }
}

/// Runs code that reads or writes the file. A damaged one can make redb panic: that is an error like any other.
pub(super) fn guarded<T>(path: &Path, body: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, IndexError> {
    let last_words = format!("{} is damaged and cannot even be closed: remove it and start again", path.display());
    let unusable = |detail: &str| IndexError::Unusable { file: path.to_owned(), detail: detail.to_owned() };
    match catch(last_words, body) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(redb::Error::Io(error))) => Err(from_io(path, &error)),
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => Err(unusable("another program has opened it")),
        Ok(Err(redb::Error::PreviousIo)) => Err(unusable("an earlier write failed")),
        Ok(Err(redb::Error::Corrupted(detail))) | Err(detail) => Err(IndexError::Damaged { detail }),
        Ok(Err(other)) => Err(IndexError::Damaged { detail: other.to_string() }),
    }
}
