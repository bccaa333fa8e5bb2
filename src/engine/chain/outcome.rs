//! What the chain gives back.

use std::sync::Arc;

use quipu_protocol::{Address, CheckedBlock, CheckedTransaction, Delta, Violation, Work};

use super::super::event::Place;
use super::super::index::BlockRef;
use super::told::Told;

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
    /// It is on a branch with this much work that leaves out the checkpoint.
    Barred(Work),
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
    /// A reorganisation that ended.
    pub(crate) reorganised: Option<Reorganised>,
    /// What has to be loaded before it can go on.
    pub(crate) wanted: Vec<Place>,
    /// Whether there is more to do at once.
    pub(crate) unfinished: bool,
}

/// What a reorganisation did.
#[derive(Debug)]
pub(crate) struct Reorganised {
    /// How many blocks left the best chain.
    pub(crate) depth: u64,
    /// Those of them that are kept and whose transactions may wait again, oldest first.
    pub(crate) left: Vec<Arc<CheckedBlock>>,
    /// The own account's in those that are not kept, oldest first.
    pub(crate) own: Vec<CheckedTransaction>,
    /// The transactions of the rest: they are forgotten, or their accounts have used their nonces again.
    pub(crate) other_transactions: usize,
    /// What the user is told of.
    pub(crate) told: Told,
}

impl Reorganised {
    /// All that is kept: what an account sent later comes after what it sent before.
    pub(crate) fn transactions(&self) -> impl Iterator<Item = &CheckedTransaction> {
        self.left.iter().flat_map(|block| block.transactions()).chain(&self.own)
    }

    /// How many left the best chain, kept or not.
    pub(crate) fn transaction_count(&self) -> usize {
        let kept: usize = self.left.iter().map(|block| block.transactions().len()).sum();
        kept + self.own.len() + self.other_transactions
    }
}

impl Progress {
    /// The accounts that changed, some of them more than once.
    pub(crate) fn changed_accounts(&self) -> impl Iterator<Item = Address> {
        let deltas = self.connected.iter().map(|(_, delta)| delta).chain(&self.undone);
        deltas.flat_map(|delta| delta.changes.iter().map(|change| change.address))
    }
}
