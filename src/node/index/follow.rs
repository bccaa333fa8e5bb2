//! The thread that keeps the index in step with the best chain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use redb::Database;

use super::file::{self, IndexChange};
use super::{IndexError, SharedIndex, row};
use crate::engine::event::Place;
use crate::node::store::{Snapshot, StoreError};
use crate::protocol::{Block, Height};

/// A round ends at this many rows, so that views see progress.
const ROUND_ROWS_MAX: usize = 500_000;
/// At this many rows in memory, 16 bytes each, they are written to the file.
const FRESH_ROWS_MAX: usize = 1_000_000;
/// After more blocks than this at once, others are expected soon.
const COLLECT_BLOCKS: u64 = 64;
/// How long they are waited for, unless a view waits, so that they share a round.
const COLLECT_PAUSE: Duration = Duration::from_millis(500);
/// How long a single block waits, unless a view does, so that relaying and announcing it goes first, here and at nodes
/// on the same machine.
const RELAY_PAUSE: Duration = Duration::from_millis(50);
/// After this long without a block, all rows are written to the file.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Otherwise rows are written this often. A crash costs at most as much work.
const WRITE_INTERVAL: Duration = Duration::from_secs(60);
/// Rebuilds in one run. A file that is found damaged once more is given up.
const REBUILDS_MAX: u32 = 3;

/// Follows the store.
pub(super) struct Follower {
    shared: Arc<SharedIndex>,
    notes: Receiver<()>,
    told: Box<dyn Fn(Place) + Send>,
}

/// An open file, and the rows that are not in it yet.
struct OpenIndex {
    database: Arc<Database>,
    /// The last block that is indexed.
    tip: Place,
    /// The last one that is in the file, and when it was written.
    written: Place,
    written_at: Instant,
    /// Rows that are not in the file, in order.
    fresh: Arc<Vec<u128>>,
}

impl Follower {
    pub(super) fn new(shared: Arc<SharedIndex>, notes: Receiver<()>, told: Box<dyn Fn(Place) + Send>) -> Self {
        Self { shared, notes, told }
    }

    /// Runs until it is stopped, the store is closed, or no index can be kept.
    pub(super) fn run(&self) {
        let mut rebuilds = 0;
        while let Err(error) = self.attempt() {
            match error {
                IndexError::Damaged { detail } if rebuilds < REBUILDS_MAX => {
                    rebuilds += 1;
                    tracing::warn!(file = %self.shared.file.display(), detail, "the index is rebuilt");
                    if let Err(error) = file::remove(&self.shared.file) {
                        return self.shared.fail(error.detail());
                    }
                }
                error => return self.shared.fail(error.detail()),
            }
        }
    }

    /// Works with one file, from opening to closing it.
    fn attempt(&self) -> Result<(), IndexError> {
        let path = &self.shared.file;
        let (database, tip) = file::open(path, &self.shared.network)?;
        let mut progress = OpenIndex { database, tip, written: tip, written_at: Instant::now(), fresh: Arc::default() };
        self.shared.change(|state| {
            state.database = Some(Arc::clone(&progress.database));
            state.damage = None;
        });
        self.show(&progress);
        let mut result = self.follow(&mut progress);
        if result.is_ok() {
            result = self.write(&mut progress);
        }
        let shared = self.shared.change(|state| state.database.take());
        drop(shared);
        file::close(path, progress.database);
        result
    }

    fn follow(&self, progress: &mut OpenIndex) -> Result<(), IndexError> {
        loop {
            {
                let mut state = self.shared.state();
                if state.is_ending {
                    return Ok(());
                }
                if let Some(detail) = state.damage.take() {
                    return Err(IndexError::Damaged { detail });
                }
            }
            let from = progress.tip;
            let is_more = match self.advance(progress) {
                Ok(is_more) => is_more,
                Err(IndexError::Store(StoreError::Closed)) => return Ok(()),
                Err(error) => return Err(error),
            };
            if progress.fresh.len() >= FRESH_ROWS_MAX || progress.written_at.elapsed() >= WRITE_INTERVAL {
                self.write(progress)?;
            }
            let is_many = progress.tip.height.saturating_since(from.height) > COLLECT_BLOCKS;
            if !is_more && !self.wait(progress, is_many)? {
                return Ok(());
            }
        }
    }

    /// Waits for something to do. False: nothing more will come.
    fn wait(&self, progress: &mut OpenIndex, is_many: bool) -> Result<bool, IndexError> {
        loop {
            let noted = if progress.written == progress.tip {
                self.notes.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.notes.recv_timeout(IDLE_TIMEOUT)
            };
            match noted {
                Ok(()) => break,
                Err(RecvTimeoutError::Timeout) => self.write(progress)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
        let deadline = Instant::now() + if is_many { COLLECT_PAUSE } else { RELAY_PAUSE };
        while !self.is_urgent() {
            match self.notes.recv_deadline(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
        Ok(true)
    }

    fn is_urgent(&self) -> bool {
        let state = self.shared.state();
        state.waiting > 0 || state.is_ending || state.damage.is_some()
    }

    /// One round towards the best block. True: there is more to do at once.
    fn advance(&self, progress: &mut OpenIndex) -> Result<bool, IndexError> {
        let snapshot = self.shared.reader.snapshot()?;
        let best = snapshot.tip();
        let IndexChange { removed, added, tip } = self.collect(&snapshot, progress.tip)?;
        let is_best = is_best(&snapshot, &tip)?;
        // The store keeps old pages as long as it lives.
        drop(snapshot);
        if tip == progress.tip {
            return Ok(false);
        }
        if removed.is_empty() {
            progress.fresh = Arc::new(merged(&progress.fresh, &added));
        } else {
            // Rows of blocks that leave the chain may be in the file.
            let stays = progress.fresh.iter().filter(|key| removed.binary_search(key).is_err());
            let change = IndexChange { added: merged(&stays.copied().collect::<Vec<_>>(), &added), removed, tip };
            file::write(&self.shared.file, &progress.database, &change)?;
            (progress.written, progress.written_at, progress.fresh) = (tip, Instant::now(), Arc::default());
        }
        progress.tip = tip;
        self.show(progress);
        if is_best {
            (self.told)(tip);
        }
        Ok(tip != best)
    }

    /// Writes the rows that are not in the file.
    fn write(&self, progress: &mut OpenIndex) -> Result<(), IndexError> {
        if progress.written != progress.tip {
            let change = IndexChange { removed: Vec::new(), added: progress.fresh.to_vec(), tip: progress.tip };
            file::write(&self.shared.file, &progress.database, &change)?;
            (progress.written, progress.fresh) = (progress.tip, Arc::default());
            self.show(progress);
        }
        progress.written_at = Instant::now();
        Ok(())
    }

    fn show(&self, progress: &OpenIndex) {
        self.shared.change(|state| {
            state.fresh = Arc::clone(&progress.fresh);
            (state.written, state.indexed) = (progress.written, progress.tip);
        });
    }

    /// The change from `tip` towards the best block: first down to the fork, then up.
    fn collect(&self, snapshot: &Snapshot, mut tip: Place) -> Result<IndexChange, IndexError> {
        let network = &self.shared.network;
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        while removed.len() < ROUND_ROWS_MAX && !is_best(snapshot, &tip)? {
            let block = left(snapshot, &tip)?;
            row::add_rows(&block, network, &mut removed);
            tip = Place { height: Height(tip.height.0 - 1), id: block.header.parent };
        }
        if is_best(snapshot, &tip)? {
            while added.len() < ROUND_ROWS_MAX
                && let Some(block) = snapshot.block_at(tip.height.next())?
            {
                row::add_rows(&block, network, &mut added);
                tip = Place { height: block.header.height, id: block.header.id() };
            }
        }
        for keys in [&mut removed, &mut added] {
            keys.sort_unstable();
            keys.dedup();
        }
        Ok(IndexChange { removed, added, tip })
    }
}

/// Merges two sorted lists.
fn merged(one: &[u128], other: &[u128]) -> Vec<u128> {
    let mut keys = [one, other].concat();
    // This sort detects the two runs and merges them.
    keys.sort();
    keys
}

fn is_best(snapshot: &Snapshot, place: &Place) -> Result<bool, StoreError> {
    Ok(snapshot.header_at(place.height)?.is_some_and(|header| header.id() == place.id))
}

/// A block that has left the best chain. The store keeps it, if the index was made beside that store.
fn left(snapshot: &Snapshot, place: &Place) -> Result<Block, IndexError> {
    match snapshot.block(&place.id)? {
        Some((block, _)) if block.header.height == place.height && place.height > Height::GENESIS => Ok(block),
        _ => {
            Err(IndexError::Damaged { detail: format!("the store has no block {} {}", place.height, place.id.short()) })
        }
    }
}
