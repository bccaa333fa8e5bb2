//! The thread that keeps the index up with the best chain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use redb::Database;

use super::file::{self, Batch};
use super::{IndexError, Shared, row};
use crate::engine::event::Place;
use crate::node::store::{Snapshot, StoreError};
use crate::protocol::{Block, Height};

/// One round takes in no more blocks once it has so many rows, so that views see how it goes on.
const ROUND_ROWS_MAX: usize = 500_000;
/// With so many rows in memory, 16 bytes each, they go to the file.
const FRESH_ROWS_MAX: usize = 1_000_000;
/// After so many blocks at once, more are expected soon.
const GATHER_BLOCKS: u64 = 64;
/// And this is how long they are waited for, unless a view waits, so that they share a round.
const GATHER_TIME: Duration = Duration::from_millis(500);
/// So long a single block is left to those who pass it on and tell of it, unless a view waits.
const PASSING_TIME: Duration = Duration::from_millis(10);
/// When nothing has come for so long, all goes to the file.
const REST_TIME: Duration = Duration::from_secs(1);
/// Else after so long: this much a crash may cost, of work that is done again.
const FRESH_TIME: Duration = Duration::from_secs(60);
/// A file that is found damaged so often in one run is given up.
const REBUILDS_MAX: u32 = 3;

/// Follows the store.
pub(super) struct Follower {
    shared: Arc<Shared>,
    notes: Receiver<()>,
    told: Box<dyn Fn(Place) + Send>,
}

/// An open file, and what is not in it yet.
struct Progress {
    database: Arc<Database>,
    /// The last block that is indexed.
    tip: Place,
    /// The last one that is in the file, and since when.
    written: Place,
    written_at: Instant,
    /// Rows that are not in the file, in order.
    fresh: Arc<Vec<u128>>,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, notes: Receiver<()>, told: Box<dyn Fn(Place) + Send>) -> Self {
        Self { shared, notes, told }
    }

    /// Until it is stopped, the store is closed, or no index can be kept.
    pub(super) fn run(&self) {
        let mut rebuilds = 0;
        while let Err(error) = self.attempt() {
            match error {
                IndexError::Damaged { detail } if rebuilds < REBUILDS_MAX => {
                    rebuilds += 1;
                    tracing::warn!(file = %self.shared.file.display(), detail, "the index is built anew");
                    if let Err(error) = file::remove(&self.shared.file) {
                        return self.shared.fail(error.detail());
                    }
                }
                error => return self.shared.fail(error.detail()),
            }
        }
    }

    /// With one file, from opening to closing it.
    fn attempt(&self) -> Result<(), IndexError> {
        let path = &self.shared.file;
        let (database, tip) = file::open(path, &self.shared.network)?;
        let mut progress = Progress { database, tip, written: tip, written_at: Instant::now(), fresh: Arc::default() };
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

    fn follow(&self, progress: &mut Progress) -> Result<(), IndexError> {
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
            if progress.fresh.len() >= FRESH_ROWS_MAX || progress.written_at.elapsed() >= FRESH_TIME {
                self.write(progress)?;
            }
            let is_many = progress.tip.height - from.height > GATHER_BLOCKS;
            if !is_more && !self.wait(progress, is_many)? {
                return Ok(());
            }
        }
    }

    /// Waits for something to do. Gives false when nothing will come any more.
    fn wait(&self, progress: &mut Progress, is_many: bool) -> Result<bool, IndexError> {
        loop {
            let noted = if progress.written == progress.tip {
                self.notes.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.notes.recv_timeout(REST_TIME)
            };
            match noted {
                Ok(()) => break,
                Err(RecvTimeoutError::Timeout) => self.write(progress)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
        let gathered = Instant::now() + if is_many { GATHER_TIME } else { PASSING_TIME };
        while !self.is_urgent() {
            match self.notes.recv_deadline(gathered) {
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

    /// One round towards the best block. Gives whether there is more to do at once.
    fn advance(&self, progress: &mut Progress) -> Result<bool, IndexError> {
        let snapshot = self.shared.reader.snapshot()?;
        let best = snapshot.tip();
        let Batch { removed, added, tip } = self.collect(&snapshot, progress.tip)?;
        let is_best = is_best(&snapshot, &tip)?;
        // The store keeps old pages for it.
        drop(snapshot);
        if tip == progress.tip {
            return Ok(false);
        }
        if removed.is_empty() {
            progress.fresh = Arc::new(merged(&progress.fresh, &added));
        } else {
            // What leaves the chain may be in the file.
            let stays = progress.fresh.iter().filter(|key| removed.binary_search(key).is_err());
            let batch = Batch { added: merged(&stays.copied().collect::<Vec<_>>(), &added), removed, tip };
            file::write(&self.shared.file, &progress.database, &batch)?;
            (progress.written, progress.written_at, progress.fresh) = (tip, Instant::now(), Arc::default());
        }
        progress.tip = tip;
        self.show(progress);
        if is_best {
            (self.told)(tip);
        }
        Ok(tip != best)
    }

    /// Writes what is not in the file.
    fn write(&self, progress: &mut Progress) -> Result<(), IndexError> {
        if progress.written != progress.tip {
            let batch = Batch { removed: Vec::new(), added: progress.fresh.to_vec(), tip: progress.tip };
            file::write(&self.shared.file, &progress.database, &batch)?;
            (progress.written, progress.fresh) = (progress.tip, Arc::default());
            self.show(progress);
        }
        progress.written_at = Instant::now();
        Ok(())
    }

    fn show(&self, progress: &Progress) {
        self.shared.change(|state| {
            state.fresh = Arc::clone(&progress.fresh);
            (state.written, state.indexed) = (progress.written, progress.tip);
        });
    }

    /// What leads from `tip` towards the best block: first down to where the chains part, then up.
    fn collect(&self, snapshot: &Snapshot, mut tip: Place) -> Result<Batch, IndexError> {
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
        Ok(Batch { removed, added, tip })
    }
}

/// Two lists in order, in one.
fn merged(one: &[u128], other: &[u128]) -> Vec<u128> {
    let mut keys = [one, other].concat();
    // This sort finds the two runs and merges them.
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
