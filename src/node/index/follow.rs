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

/// A commit takes in no more blocks once it has so many rows. In larger ones more of them share a page; each row takes
/// 16 bytes of memory.
const COMMIT_ROWS_MAX: usize = 1 << 20;
/// After so many blocks at once, more are expected soon.
const GATHER_BLOCKS: u64 = 64;
/// And this is how long they are waited for, unless a view waits, so that they share a commit.
const GATHER_TIME: Duration = Duration::from_secs(2);
/// How much a crash may cost, of work that is done again.
const SAVE_TIME: Duration = Duration::from_secs(10);
/// When nothing has come for so long, all is made durable.
const REST_TIME: Duration = Duration::from_secs(1);
/// A file that is found damaged so often in one run is given up.
const REBUILDS_MAX: u32 = 3;

/// Follows the store.
pub(super) struct Follower {
    shared: Arc<Shared>,
    notes: Receiver<()>,
    told: Box<dyn Fn(Place) + Send>,
}

/// An open file and how far it has come.
struct Progress {
    database: Arc<Database>,
    tip: Place,
    /// When all before was made durable, and whether anything came after.
    saved: Instant,
    is_unsaved: bool,
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
        self.shared.change(|state| {
            state.database = Some(Arc::clone(&database));
            state.indexed = tip;
            state.damage = None;
        });
        let mut progress = Progress { database, tip, saved: Instant::now(), is_unsaved: false };
        let mut result = self.follow(&mut progress);
        if result.is_ok() && progress.is_unsaved {
            result = file::save(path, &progress.database);
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
            let is_full = match self.advance(progress) {
                Ok(is_full) => is_full,
                Err(IndexError::Store(StoreError::Closed)) => return Ok(()),
                Err(error) => return Err(error),
            };
            if progress.is_unsaved && progress.saved.elapsed() > SAVE_TIME {
                self.save(progress)?;
            }
            let is_many = progress.tip.height - from.height > GATHER_BLOCKS;
            if !is_full && !self.wait(progress, is_many)? {
                return Ok(());
            }
        }
    }

    /// Waits for something to do. Gives false when nothing will come any more.
    fn wait(&self, progress: &mut Progress, is_many: bool) -> Result<bool, IndexError> {
        let gathered = Instant::now() + if is_many { GATHER_TIME } else { Duration::ZERO };
        loop {
            let noted = if progress.is_unsaved {
                self.notes.recv_timeout(REST_TIME)
            } else {
                self.notes.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match noted {
                Ok(()) => break,
                Err(RecvTimeoutError::Timeout) => self.save(progress)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
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

    fn save(&self, progress: &mut Progress) -> Result<(), IndexError> {
        file::save(&self.shared.file, &progress.database)?;
        (progress.saved, progress.is_unsaved) = (Instant::now(), false);
        Ok(())
    }

    /// One commit towards the best block. Gives whether there is more to do at once.
    fn advance(&self, progress: &mut Progress) -> Result<bool, IndexError> {
        let snapshot = self.shared.reader.snapshot()?;
        let best = snapshot.tip();
        let batch = self.collect(&snapshot, progress.tip)?;
        let is_best = is_best(&snapshot, &batch.tip)?;
        // The store keeps old pages for it.
        drop(snapshot);
        if batch.tip == progress.tip {
            return Ok(false);
        }
        file::write(&self.shared.file, &progress.database, &batch)?;
        (progress.tip, progress.is_unsaved) = (batch.tip, true);
        self.shared.change(|state| state.indexed = batch.tip);
        if is_best {
            (self.told)(batch.tip);
        }
        Ok(batch.tip != best)
    }

    /// What leads from `tip` towards the best block: first down to where the chains part, then up.
    fn collect(&self, snapshot: &Snapshot, mut tip: Place) -> Result<Batch, IndexError> {
        let network = &self.shared.network;
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        while removed.len() < COMMIT_ROWS_MAX && !is_best(snapshot, &tip)? {
            let block = left(snapshot, &tip)?;
            row::add_rows(&block, network, &mut removed);
            tip = Place { height: Height(tip.height.0 - 1), id: block.header.parent };
        }
        if is_best(snapshot, &tip)? {
            while added.len() < COMMIT_ROWS_MAX
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
