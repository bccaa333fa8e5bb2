//! What is remembered while the ledger is between two chains: where it came from, and what left the best chain.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use quipu_protocol::{CheckedBlock, TransactionId};

use super::super::index::BlockRef;
use super::{Chain, Progress, Reorganised};

#[derive(Debug)]
pub(super) struct Reorganisation {
    pub(super) old_tip: BlockRef,
    /// Blocks that were taken off, those of branches that turned out bad included.
    left: BTreeMap<BlockRef, Arc<CheckedBlock>>,
    /// Ids of their transactions, and whether a block that is connected now has each.
    returned: HashMap<TransactionId, bool>,
}

impl Reorganisation {
    pub(super) fn leaving(old_tip: BlockRef) -> Self {
        Self { old_tip, left: BTreeMap::new(), returned: HashMap::new() }
    }

    /// A block was taken off.
    pub(super) fn note_left(&mut self, block: BlockRef, body: Arc<CheckedBlock>) {
        self.returned.extend(body.transactions().iter().map(|transaction| (transaction.id(), false)));
        self.left.insert(block, body);
    }
}

impl Chain {
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
        let Some(Reorganisation { old_tip, mut left, returned }) = self.reorganisation.take_if(done) else { return };
        self.writes.append(&mut self.held_writes);
        let (mut fork, mut old) = (old_tip, Vec::new());
        while !self.is_best(fork) {
            let block = left.remove(&fork).expect("what is not on the best chain any more was taken off");
            old.push((self.index.place(fork), block));
            fork = self.index.parent(fork);
        }
        // Nothing left if all of it turned out bad and the chain is back where it was.
        if !old.is_empty() {
            old.reverse();
            progress.reorganised = Some(Reorganised { left: old, returned });
        }
    }
}
