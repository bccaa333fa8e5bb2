//! What a node has done so far that its user may know of, in order, for somebody who plays that user.
//!
//! Always so: an entry stands behind the batch that it needs to be durable. Nodes keep no journal unless they are told
//! to; whoever has told them takes the entries out as they come.

use std::sync::Arc;

use super::world::NodeId;
use crate::engine::View;
use crate::engine::event::{Batch, Notice, PeerKey};

/// One thing in a journal.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The disk holds this now.
    Written(Batch),
    /// The user was told.
    Told(Notice),
    /// The state, as users may see it.
    Shown(Arc<View>),
    /// A session has begun.
    Joined {
        /// Its key.
        session: PeerKey,
        /// With whom.
        peer: NodeId,
    },
    /// A session is over.
    Left {
        /// Its key.
        session: PeerKey,
    },
}

/// The entries since they were last taken out.
#[derive(Debug, Default)]
pub(crate) struct Journal(Option<Vec<Entry>>);

impl Journal {
    /// Begins to keep entries.
    pub(crate) fn begin(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Adds what `entry` makes, if anybody wants to know.
    pub(crate) fn note(&mut self, entry: impl FnOnce() -> Entry) {
        if let Some(entries) = &mut self.0 {
            entries.push(entry());
        }
    }

    /// Adds a state. Of several in a row, the last one is all that anybody sees.
    pub(crate) fn show(&mut self, view: Arc<View>) {
        if let Some(Entry::Shown(last)) = self.0.iter_mut().flatten().next_back() {
            *last = view;
        } else {
            self.note(|| Entry::Shown(view));
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Entry> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
