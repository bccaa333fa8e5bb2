//! How far the writer is: readers wait here for what was shown, and hurry the writer.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// How long a reader waits for what was shown. A disk that takes longer is read as it is.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Shared by the writer, its readers, and the parts that show batches before they are written.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
    hurry: Sender<()>,
    hurried: Receiver<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the newest batch that users have seen.
    shown: u64,
    /// Number of the newest batch that is written.
    written: u64,
    /// Nothing more will be written.
    is_closed: bool,
}

impl Default for Progress {
    fn default() -> Self {
        let (hurry, hurried) = bounded(1);
        Self { state: Mutex::default(), changed: Condvar::new(), hurry, hurried }
    }
}

impl Progress {
    /// Users see what this batch holds from now on.
    pub(super) fn note_shown(&self, batch: u64) {
        self.state().shown = batch;
    }

    /// The store holds what this batch holds.
    pub(super) fn note_written(&self, batch: u64) {
        self.state().written = batch;
        self.changed.notify_all();
    }

    /// The store is closed, or can't be written any more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits until the store holds what users have seen, if it ever will.
    pub(super) fn wait(&self) {
        let is_behind = |state: &mut State| state.written < state.shown && !state.is_closed;
        let mut state = self.state();
        if is_behind(&mut state) {
            self.hurry();
            // A store that is behind all the same is read as it is.
            let _ = self.changed.wait_while_for(&mut state, is_behind, READ_TIMEOUT);
        }
    }

    /// Somebody waits for what the writer was given. Never blocks.
    pub(super) fn hurry(&self) {
        // A word that is there already says the same.
        let _ = self.hurry.try_send(());
    }

    /// Waits until a caller is in a hurry, or until the timeout.
    pub(super) fn await_hurry(&self, timeout: Duration) {
        match self.hurried.recv_timeout(timeout) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
