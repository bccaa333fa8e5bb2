//! What the chain gives back.

use std::sync::Arc;

use quipu_protocol::{Address, CheckedBlock, CheckedTransaction, Delta, Violation};

use super::super::event::Place;
use super::super::index::BlockRef;

/// What became of a header that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Insertion {
    /// It is in the index now, or was.
    Known(BlockRef),
    /// It, or one below it, breaks a rule.
    Invalid(Violation),
    /// It, or one below it, was condemned before.
    Condemned,
    /// Its parent is not known.
    Orphan,
    /// It is for later.
    Early(Violation),
    /// It is on a branch that is too far behind.
    Weak,
}

/// What [`Chain::advance`] did.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Blocks that were connected, oldest first.
    pub(crate) connected: Vec<(Arc<CheckedBlock>, Arc<Delta>)>,
    /// Accounts changed by blocks that were taken off.
    pub(crate) undone: Vec<Arc<Delta>>,
    /// Blocks that broke a rule when they were to be connected.
    pub(crate) refused: Vec<(Place, Violation)>,
    /// A reorganisation that ended: its depth in blocks, and the transactions of the blocks that were taken off.
    pub(crate) reorganised: Option<(u64, Vec<CheckedTransaction>)>,
    /// What has to be loaded before it can go on.
    pub(crate) wanted: Vec<Place>,
    /// Whether there is more to do at once.
    pub(crate) unfinished: bool,
}

impl Progress {
    /// The accounts that changed, some of them more than once.
    pub(crate) fn changed_accounts(&self) -> impl Iterator<Item = Address> {
        let deltas = self.connected.iter().map(|(_, delta)| delta).chain(&self.undone);
        deltas.flat_map(|delta| delta.changes.iter().map(|change| change.address))
    }
}
