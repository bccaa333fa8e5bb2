//! The log of everything that a node's user may know, in order, for a caller who plays that user.
//!
//! Always true: an entry follows the batch that it needs to be durable. Nodes keep no log unless a caller asks for one,
//! who then takes out the entries as they come.

use std::collections::VecDeque;
use std::sync::Arc;

use super::id::NodeId;
use crate::engine::View;
use crate::engine::event::{Batch, Notice, PeerKey};

/// One entry of an event log.
#[derive(Debug, Clone)]
pub enum LogEntry {
    /// A batch became durable.
    Written(Batch),
    /// The user was notified.
    Told(Notice),
    /// The state, as users may see it.
    Shown(Arc<View>),
    /// A session began.
    Joined {
        /// The key of the session.
        session: PeerKey,
        /// The node at the other end.
        peer: NodeId,
    },
    /// A session ended.
    Left {
        /// The key of the session.
        session: PeerKey,
    },
}

/// The entries since they were last taken out.
#[derive(Debug, Default)]
pub(crate) struct EventLog(Option<KeptEntries>);

#[derive(Debug, Default)]
struct KeptEntries {
    entries: Vec<LogEntry>,
    /// Entries that wait for a batch to be written, with the number of that batch.
    held: VecDeque<(u64, LogEntry)>,
    /// The numbers of the last batch given to the disk, and of the last one written.
    given: u64,
    written: u64,
}

impl KeptEntries {
    fn add(&mut self, entry: LogEntry) {
        if self.given > self.written {
            self.held.push_back((self.given, entry));
        } else {
            self.entries.push(entry);
        }
    }
}

impl EventLog {
    /// Starts to keep entries.
    pub(crate) fn begin(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Adds an entry at once, if anybody wants to know.
    pub(crate) fn note(&mut self, entry: impl FnOnce() -> LogEntry) {
        if let Some(kept) = &mut self.0 {
            kept.entries.push(entry());
        }
    }

    /// Records that a batch was given to the disk.
    pub(crate) fn note_given(&mut self, sequence: u64) {
        if let Some(kept) = &mut self.0 {
            kept.given = sequence;
        }
    }

    /// Records that a batch was written.
    pub(crate) fn note_written(&mut self, batch: Batch) {
        let Some(kept) = &mut self.0 else { return };
        kept.written = batch.sequence;
        kept.entries.push(LogEntry::Written(batch));
        let free = kept.held.partition_point(|(after, _)| *after <= kept.written);
        kept.entries.extend(kept.held.drain(..free).map(|(_, entry)| entry));
    }

    /// Records a crash: unwritten entries never will be, and the next batches are numbered anew.
    pub(crate) fn crash(&mut self) {
        if let Some(kept) = &mut self.0 {
            kept.held.clear();
            (kept.given, kept.written) = (0, 0);
        }
    }

    /// Adds a notice to the user.
    pub(crate) fn tell(&mut self, notice: &Notice) {
        if let Some(kept) = &mut self.0 {
            kept.add(LogEntry::Told(notice.clone()));
        }
    }

    /// Adds a state. Of several in a row, only the last one is kept.
    pub(crate) fn show(&mut self, view: Arc<View>) {
        let Some(kept) = &mut self.0 else { return };
        let given = kept.given;
        let last = match kept.held.back_mut() {
            Some((after, entry)) => Some(entry).filter(|_| *after == given),
            None => kept.entries.last_mut().filter(|_| kept.written == given),
        };
        match last {
            Some(LogEntry::Shown(last)) => *last = view,
            _ => kept.add(LogEntry::Shown(view)),
        }
    }

    pub(crate) fn take(&mut self) -> Vec<LogEntry> {
        self.0.as_mut().map(|kept| std::mem::take(&mut kept.entries)).unwrap_or_default()
    }
}
