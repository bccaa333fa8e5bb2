//! The results of the chain's operations.

use std::sync::Arc;

use quipu_protocol::{Address, CheckedBlock, CheckedTransaction, Delta, Violation, Wei, Work};

use super::super::event::Place;
use super::super::header_tree::BlockRef;
use super::rolled_back::RollbackReport;

/// The result of offering a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Insertion {
    /// The header is in the tree, now or already before.
    Known(BlockRef),
    /// The header, or one below it, breaks a rule.
    Invalid(Violation),
    /// The header, or one below it, was condemned before.
    Condemned,
    /// The header's parent is unknown.
    Orphan,
    /// The header's time is too far ahead.
    Early(Violation),
    /// The header is on a branch that is too far behind.
    Weak,
    /// The header is on a branch with this much work that leaves out the checkpoint.
    Barred(Work),
}

/// The result of [`Chain::advance`](super::Chain::advance).
#[derive(Debug, Default)]
pub(crate) struct ChainAdvance {
    /// The connected blocks, oldest first.
    pub(crate) connected: Vec<(Arc<CheckedBlock>, Arc<Delta>)>,
    /// The deltas of disconnected blocks.
    pub(crate) undone: Vec<Arc<Delta>>,
    /// Blocks that broke a rule when they were about to be connected.
    pub(crate) refused: Vec<(Place, Violation)>,
    /// The reorganisation that ended.
    pub(crate) reorganised: Option<Reorganised>,
    /// The blocks that must be loaded first.
    pub(crate) wanted: Vec<Place>,
    /// Whether there is more to do at once.
    pub(crate) unfinished: bool,
}

/// The result of a reorganisation.
#[derive(Debug)]
pub(crate) struct Reorganised {
    /// The number of blocks that left the best chain.
    pub(crate) depth: u64,
    /// The fall of the own account's balance by it.
    pub(crate) fell: Wei,
    /// Disconnected blocks that are kept and whose transactions may become pending again, oldest first.
    pub(crate) left: Vec<Arc<CheckedBlock>>,
    /// The own account's transactions in the forgotten blocks, oldest first.
    pub(crate) own: Vec<CheckedTransaction>,
    /// The number of all other transactions: they are forgotten, or their accounts have used their nonces again.
    pub(crate) other_transactions: usize,
    /// The transactions that are reported to the user.
    pub(crate) report: RollbackReport,
}

impl Reorganised {
    /// All kept transactions, each account's in the order of sending.
    pub(crate) fn transactions(&self) -> impl Iterator<Item = &CheckedTransaction> {
        self.left.iter().flat_map(|block| block.transactions()).chain(&self.own)
    }

    /// The number of transactions that left the best chain, kept or not.
    pub(crate) fn transaction_count(&self) -> usize {
        let kept: usize = self.left.iter().map(|block| block.transactions().len()).sum();
        kept + self.own.len() + self.other_transactions
    }
}

impl ChainAdvance {
    /// The accounts that changed, some of them more than once.
    pub(crate) fn changed_accounts(&self) -> impl Iterator<Item = Address> {
        let deltas = self.connected.iter().map(|(_, delta)| delta).chain(&self.undone);
        deltas.flat_map(|delta| delta.changes.iter().map(|change| change.address))
    }
}
