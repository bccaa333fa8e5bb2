//! What is remembered while the ledger is between two chains: where it came from, and what left the best chain.
//!
//! The blocks that left are kept so that their transactions can wait again, up to [`LEFT_BYTES_MAX`]. Beyond that the newest
//! are forgotten, since what an account sent later cannot be mined without what it sent before. Of those, the transactions
//! of the node's own account are kept all the same, up to [`OWN_LEFT_BYTES_MAX`]: they were acknowledged.

use std::collections::HashMap;
use std::sync::Arc;

use quipu_protocol::{Address, CheckedBlock, CheckedTransaction, TransactionId};

use super::super::index::{BlockRef, IdHashes};
use super::{Chain, Progress, Reorganised};

/// Encoded length of the blocks whose transactions wait again after a reorganisation, in bytes.
pub(crate) const LEFT_BYTES_MAX: usize = 32 << 20;

/// Encoded length of the own account's transactions that are kept of forgotten blocks, in bytes: more than may wait of
/// one account.
pub(crate) const OWN_LEFT_BYTES_MAX: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct Reorganisation {
    pub(super) old_tip: BlockRef,
    /// Blocks of the old chain that were taken off, newest first, with their bodies from `forgotten` on.
    left: Vec<(BlockRef, Option<Arc<CheckedBlock>>)>,
    /// How many of the newest have been forgotten.
    forgotten: usize,
    forgotten_transactions: usize,
    bytes: usize,
    /// The own account's in forgotten blocks, newest first.
    own: Vec<(BlockRef, CheckedTransaction)>,
    own_bytes: usize,
    /// Ids of the transactions of those that are kept, and whether a block that is connected now has each.
    returned: HashMap<TransactionId, bool, IdHashes>,
}

impl Reorganisation {
    pub(super) fn leaving(old_tip: BlockRef, hashes: IdHashes) -> Self {
        let (left, own, returned) = (Vec::new(), Vec::new(), HashMap::with_hasher(hashes));
        Self { old_tip, left, forgotten: 0, forgotten_transactions: 0, bytes: 0, own, own_bytes: 0, returned }
    }

    /// The next block of the old chain was taken off.
    fn note_left(&mut self, block: BlockRef, body: Arc<CheckedBlock>, own: &Address) {
        self.returned.extend(body.transactions().iter().map(|transaction| (transaction.id(), false)));
        self.bytes += body.length();
        self.left.push((block, Some(body)));
        while self.bytes > LEFT_BYTES_MAX && self.forgotten + 1 < self.left.len() {
            let (at, newest) = &mut self.left[self.forgotten];
            let (at, newest) = (*at, newest.take().expect("it was not forgotten yet"));
            self.forgotten += 1;
            self.bytes -= newest.length();
            for transaction in newest.transactions().iter().rev() {
                let is_kept =
                    transaction.sender() == *own && self.own_bytes + transaction.length() <= OWN_LEFT_BYTES_MAX;
                if is_kept {
                    self.own_bytes += transaction.length();
                    self.own.push((at, transaction.clone()));
                } else {
                    self.forgotten_transactions += 1;
                    self.returned.remove(&transaction.id());
                }
            }
        }
    }
}

impl Chain {
    /// A block was taken off. Those of branches that turned out bad, and those of the old chain that come off a second time,
    /// are nothing new.
    pub(super) fn note_left(&mut self, block: BlockRef, body: Arc<CheckedBlock>) {
        let hashes = self.index.id_hashes();
        let reorganisation = self.reorganisation.get_or_insert_with(|| Reorganisation::leaving(block, hashes));
        let next = reorganisation.left.last().map_or(reorganisation.old_tip, |(last, _)| self.index.parent(*last));
        if block == next {
            reorganisation.note_left(block, body, &self.own);
        } else {
            // What it had mined again is not mined any more.
            for transaction in body.transactions() {
                reorganisation.returned.entry(transaction.id()).and_modify(|mined_again| *mined_again = false);
            }
        }
    }

    /// Encoded length of the blocks that a reorganisation keeps so far, in bytes.
    pub(crate) fn left_bytes(&self) -> usize {
        self.reorganisation.as_ref().map_or(0, |reorganisation| reorganisation.bytes)
    }

    /// A block was connected, in a reorganisation or after one that has just ended.
    pub(super) fn note_mined_again(&mut self, block: &CheckedBlock, progress: &mut Progress) {
        let ended = progress.reorganised.as_mut().map(|ended| &mut ended.returned);
        let running = self.reorganisation.as_mut().map(|running| &mut running.returned);
        let Some(returned) = running.or(ended) else { return };
        for transaction in block.transactions() {
            returned.entry(transaction.id()).and_modify(|mined_again| *mined_again = true);
        }
    }

    /// A reorganisation whose path turned out bad goes to the best block that is stored: at worst back.
    pub(super) fn complete_reorganisation_path(&mut self) {
        if !self.path.blocks.is_empty() {
            return;
        }
        let mut block = self.stored_better.unwrap_or_else(|| self.tip());
        while !self.is_best(block) {
            self.path.blocks.push_front(block);
            block = self.index.parent(block);
        }
        self.count_ready();
    }

    /// Ends the reorganisation if its newest block has more work than the tip that was left, or is that tip.
    pub(super) fn end_reorganisation(&mut self, top: BlockRef, progress: &mut Progress) {
        let done = |reorganisation: &mut Reorganisation| {
            let old_tip = reorganisation.old_tip;
            top == old_tip || self.index.work(top) > self.index.work(old_tip)
        };
        let Some(done) = self.reorganisation.take_if(done) else { return };
        self.writes.append(&mut self.held_writes);
        // None if all of it turned out bad and the chain is back where it was; some came back if it was only in part.
        let depth = done.left.iter().take_while(|(block, _)| !self.is_best(*block)).count();
        if depth == 0 {
            return;
        }
        let kept = done.left[..depth].iter().rev();
        let left = kept.filter_map(|(block, body)| Some((self.index.place(*block), body.clone()?))).collect();
        let own = done.own.into_iter().filter(|(block, _)| !self.is_best(*block)).rev();
        let own = own.map(|(block, transaction)| (self.index.place(block), transaction)).collect();
        progress.reorganised = Some(Reorganised {
            depth: depth as u64,
            left,
            own,
            forgotten_transactions: done.forgotten_transactions,
            returned: done.returned,
        });
    }
}
