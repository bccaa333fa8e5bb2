//! Where things are on the best chain: transactions by id, accounts' histories, records by tag, sender, time and
//! content. Derived data, in a file of its own, `index.redb`.
//!
//! Always true: no block waits for the index, which follows the store on its own thread ([`ChainIndex::nudge`] only
//! leaves a note); the answers of a [`IndexView`] hold for one durable tip of the best chain, at least as new as the
//! tip that was durable when the view was requested; a file that is missing, damaged, of another network or of another
//! form is rebuilt from the store without asking the user.
//!
//! The newest rows are in memory only. They are written to the file in batches of about a million, or when the chain is
//! quiet: rows are spread over the whole file, so a few of them would rewrite as many pages. Rows that a crash loses
//! are indexed again.
//!
//! Not here: the transactions and records themselves. A row says where one is; it is read from the store and compared.

mod entry;
mod file;
mod follow;
mod list;
mod row;
mod view;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use parking_lot::{Condvar, Mutex, MutexGuard};
use redb::Database;

use super::store::{Reader, StoreError};
use super::thread;
use crate::engine::event::Place;
use crate::protocol::{Height, Network};

pub use entry::{
    Cursor, CursorError, HistoryEntry, Item, Location, Page, Period, RecordEntry, RecordQuery, Roles, says, words,
};
pub use view::{IndexView, PAGE_ENTRIES_MAX, SCAN_STEPS_MAX};

/// How long a view waits for the index to reach the durable tip.
const VIEW_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the index does not answer. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The node was started without one.
    #[error("this node keeps no index: start it without --no-index")]
    Off,
    /// It has not read the whole chain yet.
    #[error("still indexing: block {indexed} of {tip}, try again in a moment")]
    Behind {
        /// The last block that is indexed.
        indexed: Height,
        /// The last block there is.
        tip: Height,
    },
    /// Not the beginning of an id.
    #[error("a transaction is named by 8 to 64 hex digits of its id")]
    BadPrefix,
    /// The file was not written like this.
    #[error("the index is damaged ({detail}) and is being rebuilt: try again in a moment")]
    Damaged { detail: String },
    /// The system does not let us keep one.
    #[error(
        "the index cannot be kept in {} ({detail}): make room or give permission and start again, the chain is not \
         affected", file.display()
    )]
    Unusable { file: PathBuf, detail: String },
    /// The store that the index tells of can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IndexError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Off => "index_off",
            Self::Behind { .. } => "index_behind",
            Self::BadPrefix => "bad_id",
            Self::Damaged { .. } => "index_damaged",
            Self::Unusable { .. } => "index_unusable",
            Self::Store(error) => error.code(),
        }
    }

    /// The detail alone, without advice.
    fn detail(self) -> String {
        match self {
            Self::Damaged { detail } | Self::Unusable { detail, .. } => detail,
            other => other.to_string(),
        }
    }
}

/// The index of a running node. Cheap to clone. It follows the store until [`ChainIndex::stop`], or until the last
/// clone is gone.
#[derive(Debug, Clone)]
pub struct ChainIndex {
    shared: Arc<SharedIndex>,
    /// Holds one note at most: the thread looks for itself what there is to do.
    notes: Sender<()>,
}

/// IndexState shared by the thread and the readers.
#[derive(Debug)]
struct SharedIndex {
    reader: Reader,
    network: Arc<Network>,
    file: PathBuf,
    state: Mutex<IndexState>,
    changed: Condvar,
}

#[derive(Debug)]
struct IndexState {
    /// Used under the lock only, so that the thread knows when no reader uses it.
    database: Option<Arc<Database>>,
    /// The last block that the file knows.
    written: Place,
    /// The rows that are not in the file, in order.
    fresh: Arc<Vec<u128>>,
    /// The last block that is indexed.
    indexed: Place,
    /// Grows with each change, so that no waiter misses one.
    changes: u64,
    /// The number of views that wait. Meanwhile the thread does not collect blocks.
    waiting: usize,
    /// A reader has seen damage.
    damage: Option<String>,
    /// Why there is no index in this run of the node.
    failure: Option<String>,
    is_ending: bool,
}

impl ChainIndex {
    /// Opens the index in the data folder, or builds it, on a thread that follows `reader`. `told` gets each tip of the
    /// best chain that the index has reached; it must not block.
    pub fn start(
        folder: &Path,
        reader: Reader,
        network: &Arc<Network>,
        told: impl Fn(Place) + Send + 'static,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (notes, noted) = bounded(1);
        let genesis = Place { height: Height::GENESIS, id: network.genesis_id() };
        let shared = Arc::new(SharedIndex {
            reader,
            network: Arc::clone(network),
            file: folder.join(file::FILE),
            state: Mutex::new(IndexState {
                database: None,
                written: genesis,
                fresh: Arc::default(),
                indexed: genesis,
                changes: 0,
                waiting: 0,
                damage: None,
                failure: None,
                is_ending: false,
            }),
            changed: Condvar::new(),
        });
        let failed = {
            let shared = Arc::clone(&shared);
            move |line: String| shared.fail(line)
        };
        let follower = follow::Follower::new(Arc::clone(&shared), noted, Box::new(told));
        let run = move || {
            // Threads that handle blocks and answers go first.
            thread::lower_priority();
            follower.run();
        };
        let thread = thread::spawn("index", failed, run)?;
        Ok((Self { shared, notes }, thread))
    }

    /// Something new is durable. Never blocks.
    pub fn nudge(&self) {
        // A note that is there already says the same.
        let _ = self.notes.try_send(());
    }

    /// Asks the thread to write all rows and end. Never blocks.
    pub fn stop(&self) {
        self.shared.change(|state| state.is_ending = true);
        self.nudge();
    }

    /// A view of a tip at least as new as the best block that is durable now. Waits for the index up to two seconds,
    /// then fails with [`IndexError::Behind`].
    pub fn view(&self) -> Result<IndexView, IndexError> {
        let wanted = self.shared.reader.snapshot()?.tip();
        let deadline = Instant::now() + VIEW_TIMEOUT;
        let _waiting = WaitingView::new(self);
        loop {
            let seen = self.shared.state().changes;
            if let Some(view) = IndexView::open(self, wanted)? {
                return Ok(view);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let mut state = self.shared.state();
            let indexed = state.indexed.height;
            if self.shared.changed.wait_while_for(&mut state, |state| state.changes == seen, left).timed_out() {
                return Err(IndexError::Behind { indexed, tip: wanted.height });
            }
        }
    }

    /// Whether it works and is at most `behind_max` blocks behind the durable tip. Does not wait.
    pub fn check(&self, behind_max: u64) -> Result<(), IndexError> {
        let tip = self.shared.reader.snapshot()?.tip().height;
        let state = self.shared.state();
        if let Some(detail) = state.failure.clone() {
            return Err(IndexError::Unusable { file: self.shared.file.clone(), detail });
        }
        if let Some(detail) = state.damage.clone() {
            return Err(IndexError::Damaged { detail });
        }
        let indexed = state.indexed.height;
        if tip.0.saturating_sub(indexed.0) > behind_max { Err(IndexError::Behind { indexed, tip }) } else { Ok(()) }
    }

    /// The size of its file.
    pub fn size_bytes(&self) -> io::Result<u64> {
        Ok(std::fs::metadata(&self.shared.file)?.len())
    }

    /// A reader has found damage in the file.
    fn report_damage(&self, detail: &str) {
        self.shared.change(|state| state.damage = Some(detail.to_owned()));
        self.nudge();
    }
}

impl SharedIndex {
    fn state(&self) -> MutexGuard<'_, IndexState> {
        self.state.lock()
    }

    fn change<T>(&self, change: impl FnOnce(&mut IndexState) -> T) -> T {
        let mut state = self.state();
        state.changes += 1;
        let result = change(&mut state);
        self.changed.notify_all();
        result
    }

    /// There is no index in this run any more. The node goes on without it.
    fn fail(&self, detail: String) {
        tracing::warn!(file = %self.file.display(), detail, "the index has stopped, the node goes on without it");
        self.change(|state| state.failure = Some(detail));
    }
}

/// Counts a view as waiting until it is dropped.
struct WaitingView<'a>(&'a ChainIndex);

impl<'a> WaitingView<'a> {
    fn new(index: &'a ChainIndex) -> Self {
        index.shared.state().waiting += 1;
        index.nudge();
        Self(index)
    }
}

impl Drop for WaitingView<'_> {
    fn drop(&mut self) {
        self.0.shared.state().waiting -= 1;
    }
}

#[cfg(test)]
mod tests;
