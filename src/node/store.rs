//! What survives: blocks, accounts and pending transactions in one redb file, `chain.redb`.
//!
//! Always true: what [`Store::write`] wrote is on disk (fsync) when it returns, all of it or nothing; a store that was
//! closed in any way, `kill -9` included, opens at its last commit without repair by the user, in a time that
//! does not grow with the chain; one process has it open. A damaged file is an error, never a panic.
//!
//! Not here: what any of it means. The engine says what to write, in which order.

mod error;
mod fold;
mod headers;
mod lock;
mod open;
mod read;
mod tables;
pub mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::Database;

use crate::engine::event::{Batch, Stored};
use crate::protocol::{Height, Network};

use error::guarded;
use fold::Folded;

pub use error::StoreError;
pub use lock::{FolderLock, LockNotes};
pub use read::{Reader, Snapshot, StoredHeader};

/// The store, for the one thread that writes it. Closed when it is dropped; what reads it fails from then on.
#[derive(Debug)]
pub struct Store {
    files: Arc<Files>,
    network: Arc<Network>,
    /// Height of the best block.
    tip: Height,
    /// The order number of the next pending transaction.
    pending_next: u64,
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
        // Closing writes a little too, and so finds damage.
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

    /// Writes all batches in one durable commit. After an error nothing of them is written, and the store can't
    /// be written any more.
    ///
    /// # Panics
    ///
    /// If a block is connected that is not next to the tip, or one disconnected that is not the tip.
    pub fn write(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        let folded = Folded::new(batches, self.tip, self.pending_next);
        guarded(&self.files.path, || folded.commit(self.files.database()))?;
        (self.tip, self.pending_next) = (folded.tip(), folded.pending_next());
        Ok(())
    }

    /// Copies the database to another folder, as a power cut would leave it now.
    pub fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        let to = folder.join(open::FILE);
        std::fs::copy(&self.files.path, &to).map(drop).map_err(|error| StoreError::from_io(&to, &error))
    }

    /// For reading beside the writer.
    pub fn reader(&self) -> Reader {
        Reader::new(&self.files, Arc::clone(&self.network))
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
