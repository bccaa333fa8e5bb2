//! The log of everything that a node's user may know, in order, for a caller who plays that user.
//!
//! Always true: an entry follows the batch that it needs to be durable. Nodes keep no log unless a caller asks for one,
//! who then takes out the entries as they come.

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
pub(crate) struct EventLog(Option<Vec<LogEntry>>);

impl EventLog {
    /// Starts to keep entries.
    pub(crate) fn begin(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Adds an entry, if anybody wants to know.
    pub(crate) fn note(&mut self, entry: impl FnOnce() -> LogEntry) {
        if let Some(entries) = &mut self.0 {
            entries.push(entry());
        }
    }

    /// Adds a state. Of several in a row, only the last one is kept.
    pub(crate) fn show(&mut self, view: Arc<View>) {
        if let Some(LogEntry::Shown(last)) = self.0.iter_mut().flatten().next_back() {
            *last = view;
        } else {
            self.note(|| LogEntry::Shown(view));
        }
    }

    pub(crate) fn take(&mut self) -> Vec<LogEntry> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
