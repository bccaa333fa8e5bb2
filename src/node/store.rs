//! Durable state: blocks, accounts and pending transactions in a redb file, `chain.redb`, and the latest commits in a
//! journal beside it, `chain.journal`.
//!
//! A commit goes to the journal, with one sync, and then into the database's tables in memory, where readers see it.
//! Rows read only at startup (accounts, pending transactions) are written at the next checkpoint, which syncs the
//! database: when the journal is full, when it is long and nobody waits, and at shutdown. A startup after a crash finds
//! the tables as of the last checkpoint and replays the journal.
//!
//! Always true: a write is on disk (fsync), all of it or nothing, when [`Store::write`] returns; a store that was
//! closed in any way, `kill -9` included, opens at its last commit without repair by the user, in a time that does not
//! grow with the chain; one process has it open. A damaged file is an error, never a panic.
//!
//! Not here: the meaning of the rows. The engine says what to write, in which order.

mod error;
mod fold;
mod headers;
mod journal;
mod lock;
mod open;
mod pieces;
mod progress;
mod prune;
mod read;
mod rows;
mod tables;
pub mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, Durability, ReadOnlyDatabase, ReadableDatabase, ReadableTableMetadata};

use crate::engine::event::{Batch, Stored};
use crate::protocol::{Height, Network};

use error::guarded;
use fold::Folded;
use journal::Journal;
use progress::Progress;
use rows::{Rows, write_startup_rows};
use tables::{BEST, META, META_JOURNAL, META_SCHEMA, META_SETTLED, PIECES, SCHEMA};

pub use error::StoreError;
pub use lock::{FolderLock, LockNotes};
pub use read::{Reader, Snapshot, SnapshotHeader};

/// The store, for the one thread that writes it. Closed when it is dropped; what reads it fails from then on.
#[derive(Debug)]
pub struct Store {
    files: Arc<Files>,
    network: Arc<Network>,
    /// Height of the best block.
    tip: Height,
    /// The order number of the next pending transaction.
    pending_next: u64,
    journal: Journal,
    /// The commits in the journal, in order. Their bytes are in the journal too, so its bound holds for them.
    unsettled: Vec<Rows>,
    /// A write has failed, so the state of the disk is unknown.
    is_broken: bool,
    progress: Arc<Progress>,
}

/// The open database. The lock is given up after the database is closed, so it comes last.
#[derive(Debug)]
struct Files {
    database: Option<Database>,
    path: PathBuf,
    _lock: FolderLock,
}

impl Files {
    fn database(&self) -> &Database {
        self.database.as_ref().expect("only dropping takes the database away")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Closing writes a little too, so it can find damage.
        let database = self.database.take();
        if let Err(error) = guarded(&self.path, || {
            drop(database);
            Ok(())
        }) {
            tracing::warn!(%error, "the database was not closed in order");
        }
    }
}

impl Store {
    /// Whether there is a store in a folder.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(open::FILE).is_file()
    }

    /// Opens or makes the store in a locked folder, and reads what the engine needs to start.
    pub fn open(lock: FolderLock, network: &Arc<Network>) -> Result<(Self, Stored), StoreError> {
        open::open(lock, network)
    }

    /// Writes all batches in one durable commit. After an error the next startup finds all of them or none, and until
    /// then the store refuses writes.
    ///
    /// # Panics
    ///
    /// If a block is connected that is not next to the tip, or one disconnected that is not the tip.
    pub fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        let folded = Folded::new(batches, self.tip, self.pending_next);
        let (tip, pending_next) = (folded.tip(), folded.pending_next());
        self.guarded(|store| store.commit(folded.rows()))?;
        (self.tip, self.pending_next) = (tip, pending_next);
        if let Some(last) = batches.last() {
            self.progress.note_written(last.sequence);
        }
        Ok(())
    }

    /// Whether the journal is long enough for [`Self::checkpoint_journal`] to be worth its time.
    pub fn should_checkpoint(&self) -> bool {
        self.journal.is_long()
    }

    /// Syncs the database, so that the journal can be overwritten. Meant for moments when nobody waits for the store.
    pub fn checkpoint_journal(&mut self) -> Result<(), StoreError> {
        self.guarded(|store| store.settle([], true))
    }

    /// Copies the store to another folder, in the state that a power cut would leave behind now.
    pub fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        copy_files(self.files.path.parent().expect("the file is in a folder"), folder)
    }

    /// For reading beside the writer.
    pub fn reader(&self) -> Reader {
        Reader::new(&self.files, Arc::clone(&self.progress), Arc::clone(&self.network))
    }

    /// Writes, if no write has failed so far.
    fn guarded(&mut self, write: impl FnOnce(&mut Self) -> Result<(), redb::Error>) -> Result<(), StoreError> {
        let files = Arc::clone(&self.files);
        guarded(&files.path, || {
            if std::mem::replace(&mut self.is_broken, true) {
                return Err(redb::Error::PreviousIo);
            }
            write(self)?;
            self.is_broken = false;
            Ok(())
        })
    }

    fn commit(&mut self, rows: Rows) -> Result<(), redb::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        if !self.journal.takes(rows.as_bytes()) {
            return self.settle([rows], true);
        }
        self.journal.append(rows.as_bytes())?;
        if rows.is_shown() {
            let mut transaction = self.files.database().begin_write()?;
            transaction.set_durability(Durability::None).expect("there are no savepoints");
            rows.write_shown(&transaction)?;
            transaction.commit()?;
        }
        self.unsettled.push(rows);
        Ok(())
    }

    /// Checkpoint: writes some more commits, if any, and syncs the database, so that the journal is no longer needed. A
    /// store that does not stay open needs no journal at all.
    fn settle(&mut self, more: impl IntoIterator<Item = Rows>, stays_open: bool) -> Result<(), redb::Error> {
        let mut transaction = self.files.database().begin_write()?;
        // The allocator's state goes with each such commit, so that opening after a crash walks through nothing.
        // Without it, opening would read the whole file.
        transaction.set_quick_repair(true);
        for rows in more {
            rows.write_shown(&transaction)?;
            self.unsettled.push(rows);
        }
        write_startup_rows(&self.unsettled, &transaction)?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(META_SCHEMA, SCHEMA.to_le_bytes().as_slice())?;
            meta.insert(META_SETTLED, self.journal.last().to_le_bytes().as_slice())?;
            if stays_open {
                meta.insert(META_JOURNAL, self.journal.id().as_slice())?;
            } else {
                meta.remove(META_JOURNAL)?;
            }
        }
        // A database of an older version has none.
        transaction.open_table(PIECES)?;
        transaction.commit()?;
        self.journal.restart();
        self.unsettled.clear();
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.progress.close();
        if self.is_broken {
            return;
        }
        let closed = self.guarded(|store| {
            store.settle([], false)?;
            store.journal.empty()
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "the journal stays, the next start will read it");
        }
    }
}

/// Copies the files of a store that nobody writes meanwhile.
pub fn copy_files(from: &Path, to: &Path) -> Result<(), StoreError> {
    [open::FILE, open::JOURNAL_FILE].into_iter().try_for_each(|name| {
        let to = to.join(name);
        std::fs::copy(from.join(name), &to).map(drop).map_err(|error| StoreError::from_io(&to, &error))
    })
}

/// Whether a folder holds blocks, or files of a chain that do not show that there are none.
pub(super) fn has_chain(folder: &Path) -> bool {
    let [database, journal] = [open::FILE, open::JOURNAL_FILE].map(|name| folder.join(name));
    let is_settled = std::fs::metadata(&journal).map_or(true, |found| found.len() == 0);
    !is_settled || database.exists() && !guarded(&database, || is_empty(&database)).unwrap_or(false)
}

/// Whether a database was closed in order and has no block but genesis.
fn is_empty(database: &Path) -> Result<bool, redb::Error> {
    let transaction = ReadOnlyDatabase::open(database)?.begin_read()?;
    let is_closed = transaction.open_table(META)?.get(META_JOURNAL)?.is_none();
    Ok(is_closed && transaction.open_table(BEST)?.is_empty()?)
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
