//! The writer's progress: readers wait here for batches that are shown already, and hurry the writer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::StoreError;

/// The time that a reader waits for a shown batch. If the disk takes longer, the store is read as it is.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How often somebody who waits for a copy looks whether there is still a writer.
const CLOSED_POLL: Duration = Duration::from_millis(200);

/// A copy of the store that somebody waits for.
#[derive(Debug)]
pub(super) struct CopyRequest {
    pub(super) folder: PathBuf,
    pub(super) done: Sender<Result<(), StoreError>>,
}

/// Shared by the writer, its readers, and the parts that show batches before they are written.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<BatchNumbers>,
    changed: Condvar,
    hurry: Sender<()>,
    hurried: Receiver<()>,
    copy: Sender<CopyRequest>,
    copies: Receiver<CopyRequest>,
}

#[derive(Debug, Default)]
struct BatchNumbers {
    /// The newest batch that users have seen.
    shown: u64,
    /// The newest batch that is written.
    written: u64,
    /// Nothing more will be written.
    is_closed: bool,
}

impl Default for Progress {
    fn default() -> Self {
        let (hurry, hurried) = bounded(1);
        // Bounded by those who wait.
        let (copy, copies) = unbounded();
        Self { state: Mutex::default(), changed: Condvar::new(), hurry, hurried, copy, copies }
    }
}

impl Progress {
    /// Users see this batch from now on.
    pub(super) fn note_shown(&self, batch: u64) {
        self.state().shown = batch;
    }

    /// The store holds this batch.
    pub(super) fn note_written(&self, batch: u64) {
        self.state().written = batch;
        self.changed.notify_all();
    }

    /// The store is closed, or can't be written any more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Waits until the store holds all batches that users have seen, if it ever will.
    pub(super) fn wait(&self) {
        let is_behind = |state: &mut BatchNumbers| state.written < state.shown && !state.is_closed;
        let mut state = self.state();
        if is_behind(&mut state) {
            self.hurry();
            // A store that is still behind is read as it is.
            let _ = self.changed.wait_while_for(&mut state, is_behind, READ_TIMEOUT);
        }
    }

    /// Asks for what has gathered to be written. Never blocks.
    fn hurry(&self) {
        // A request that is there already says the same.
        let _ = self.hurry.try_send(());
    }

    /// A message here means that a reader waits.
    pub(super) fn hurried(&self) -> &Receiver<()> {
        &self.hurried
    }

    /// Has the writer copy the store. Waits until it has.
    pub(super) fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        let (done, result) = bounded(1);
        let request = CopyRequest { folder: folder.to_owned(), done };
        self.copy.send(request).expect("this holds the other end");
        loop {
            match result.recv_timeout(CLOSED_POLL) {
                Ok(copied) => return copied,
                Err(RecvTimeoutError::Timeout) if !self.is_closed() => {}
                Err(_) => return result.try_recv().unwrap_or(Err(StoreError::Closed)),
            }
        }
    }

    /// Copies that are asked for.
    pub(super) fn copies(&self) -> &Receiver<CopyRequest> {
        &self.copies
    }

    fn state(&self) -> MutexGuard<'_, BatchNumbers> {
        self.state.lock()
    }
}
