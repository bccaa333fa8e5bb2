//! The blocks that the pool has not followed yet. A full block changes thousands of accounts; updating the pool for them
//! can wait until somebody needs it, while the block goes on to other nodes.
//!
//! Always true: [`Mempool::len`] does not count what these blocks have mined.

use std::sync::Arc;

use quipu_protocol::ledger::Delta;
use quipu_protocol::{Address, CheckedBlock, Ledger};

use super::Mempool;

/// The blocks that a pool has not followed yet.
#[derive(Debug, Default)]
pub(super) struct Lag {
    deltas: Vec<Arc<Delta>>,
    /// The accounts that they changed, each as often as it did.
    accounts: usize,
    /// The pool's transactions that are in these blocks.
    pub(super) mined: usize,
}

impl Mempool {
    /// Records a connected block, for [`Self::catch_up`].
    pub fn note_connected(&mut self, block: &CheckedBlock, delta: &Arc<Delta>) {
        if self.by_id.is_empty() {
            return;
        }
        self.lag.accounts += delta.changes.len();
        self.lag.mined += self.note_mined(block);
        self.lag.deltas.push(Arc::clone(delta));
    }

    /// The number of changes to accounts that the pool has not followed yet.
    pub fn lag(&self) -> usize {
        self.lag.accounts
    }

    /// Follows the blocks that were recorded. The ledger is the one after the last of them.
    pub fn catch_up(&mut self, ledger: &Ledger) {
        let Lag { deltas, .. } = std::mem::take(&mut self.lag);
        self.update(changed_by(&deltas), ledger);
    }

    /// Forgets the recorded blocks, and returns the accounts for which [`Self::update`] has to be called.
    pub fn take_lag(&mut self) -> Vec<Address> {
        changed_by(&std::mem::take(&mut self.lag).deltas).collect()
    }
}

fn changed_by(deltas: &[Arc<Delta>]) -> impl Iterator<Item = Address> {
    deltas.iter().flat_map(|delta| delta.changes.iter()).map(|change| change.address)
}
