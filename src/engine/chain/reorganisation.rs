//! What is remembered while the ledger is between two chains: where it came from, and what left the best chain.
//!
//! The blocks that left are kept so that their transactions can wait again, up to [`LEFT_BYTES_MAX`]. Beyond that the newest
//! are forgotten, since what an account sent later cannot be mined without what it sent before. Of those, the transactions
//! of the node's own account are kept all the same, up to [`OWN_LEFT_BYTES_MAX`]: they were acknowledged.

use std::sync::Arc;

use quipu_protocol::{Address, CheckedBlock, CheckedTransaction, Delta};

use super::super::index::{BlockRef, Index};
use super::told::{LeftBlock, Told};
use super::{Chain, Progress, Reorganised};

/// Encoded length of the blocks whose transactions wait again after a reorganisation, in bytes.
pub(crate) const LEFT_BYTES_MAX: usize = 32 << 20;

/// Encoded length of the own account's transactions that are kept of forgotten blocks, in bytes: more than may wait of
/// one account.
pub(crate) const OWN_LEFT_BYTES_MAX: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct Reorganisation {
    pub(super) old_tip: BlockRef,
    /// Blocks of the old chain that were taken off, newest first.
    left: Vec<Left>,
    /// How many of the newest have been forgotten.
    forgotten: usize,
    forgotten_transactions: usize,
    bytes: usize,
    /// The own account's in forgotten blocks, newest first.
    own: Vec<(BlockRef, CheckedTransaction)>,
    own_bytes: usize,
    /// What the user is to be told of, as soon as a block of another chain is connected above those that left.
    told: Option<Told>,
}

/// A block of the old chain that was taken off.
#[derive(Debug)]
struct Left {
    block: BlockRef,
    /// None if it is forgotten.
    body: Option<Arc<CheckedBlock>>,
    /// Whether it changed the own account, as every transaction of or to it does.
    has_own: bool,
}

impl Reorganisation {
    fn leaving(old_tip: BlockRef) -> Self {
        let (left, own) = (Vec::new(), Vec::new());
        Self { old_tip, left, forgotten: 0, forgotten_transactions: 0, bytes: 0, own, own_bytes: 0, told: None }
    }

    /// Whether a block is one of the old chain that was taken off.
    fn has_left(&self, block: BlockRef, index: &Index) -> bool {
        let depth = index.height(self.old_tip).0.checked_sub(index.height(block).0);
        depth.and_then(|depth| self.left.get(depth as usize)).is_some_and(|left| left.block == block)
    }

    /// Forgets the newest blocks beyond the bound.
    fn forget(&mut self, own: &Address) {
        while self.bytes > LEFT_BYTES_MAX && self.forgotten + 1 < self.left.len() {
            let Left { block, body, has_own } = &mut self.left[self.forgotten];
            let (block, body) = (*block, body.take().expect("it was not forgotten yet"));
            self.forgotten += 1;
            self.bytes -= body.length();
            self.forgotten_transactions += body.transactions().len();
            for transaction in body.transactions().iter().rev().filter(|one| *has_own && one.sender() == *own) {
                if self.own_bytes + transaction.length() <= OWN_LEFT_BYTES_MAX {
                    self.own_bytes += transaction.length();
                    self.own.push((block, transaction.clone()));
                    self.forgotten_transactions -= 1;
                }
            }
        }
    }
}

impl Chain {
    /// A block was taken off, and with it what it had changed.
    pub(super) fn note_left(&mut self, block: BlockRef, body: Arc<CheckedBlock>, delta: &Delta) {
        let reorganisation = self.reorganisation.get_or_insert_with(|| Reorganisation::leaving(block));
        let next = reorganisation.left.last().map_or(reorganisation.old_tip, |last| self.index.parent(last.block));
        // Those of branches that turned out bad, and those of the old chain that come off a second time, are nothing new.
        if block == next {
            let has_own = delta.changes.binary_search_by_key(&self.own, |change| change.address).is_ok();
            reorganisation.bytes += body.length();
            reorganisation.left.push(Left { block, body: Some(body.clone()), has_own });
            reorganisation.forget(&self.own);
        }
        self.note_moved(block, &body, false);
    }

    /// Encoded length of the blocks that a reorganisation keeps so far, in bytes.
    pub(crate) fn left_bytes(&self) -> usize {
        self.reorganisation.as_ref().map_or(0, |reorganisation| reorganisation.bytes)
    }

    /// A block was connected, in a reorganisation or after one that has just ended.
    pub(super) fn note_connected(&mut self, block: BlockRef, body: &CheckedBlock, progress: &mut Progress) {
        match &mut progress.reorganised {
            Some(ended) => ended.told.note(body, true),
            None => self.note_moved(block, body, true),
        }
    }

    /// Keeps up to date what the user is to be told of.
    fn note_moved(&mut self, block: BlockRef, body: &CheckedBlock, is_connected: bool) {
        let Some(reorganisation) = &mut self.reorganisation else { return };
        let told = reorganisation.told.take();
        // Below a block of the old chain is nothing else, and above it nothing yet: no transaction is mined again.
        if !reorganisation.has_left(block, &self.index) {
            let mut told = told.unwrap_or_else(|| self.choose_told());
            told.note(body, is_connected);
            self.reorganisation.as_mut().expect("it is under way").told = Some(told);
        }
    }

    /// What the user is to be told of those blocks of the old chain that are off now.
    fn choose_told(&self) -> Told {
        let reorganisation = self.reorganisation.as_ref().expect("it is under way");
        let blocks = self.off(reorganisation).iter().rev().filter_map(|left| {
            let body = left.body.as_deref()?;
            Some(LeftBlock { place: self.index.place(left.block), body, may_concern: left.has_own })
        });
        let own = reorganisation.own.iter().rev().filter(|(block, _)| !self.is_best(*block));
        let own = own.map(|(block, transaction)| (self.index.place(*block), transaction.clone()));
        Told::choose(blocks, own, &self.own, self.index.id_hashes())
    }

    /// Those of the blocks that were taken off that have not come back, newest first.
    fn off<'a>(&self, reorganisation: &'a Reorganisation) -> &'a [Left] {
        let count = reorganisation.left.iter().take_while(|left| !self.is_best(left.block)).count();
        &reorganisation.left[..count]
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
        let off = self.off(&done);
        if off.is_empty() {
            return;
        }
        let depth = off.len() as u64;
        let kept = off.iter().rev().filter(|left| left.body.is_some());
        let (spent, left): (Vec<&Left>, Vec<&Left>) = kept.partition(|left| self.is_spent(left.block));
        let spent = spent.iter().filter_map(|left| left.body.as_deref()).map(|body| body.transactions().len());
        let other_transactions = done.forgotten_transactions + spent.sum::<usize>();
        let left = left.iter().filter_map(|left| left.body.clone()).collect();
        let own = done.own.into_iter().rev().filter(|(block, _)| !self.is_best(*block));
        progress.reorganised = Some(Reorganised {
            depth,
            left,
            other_transactions,
            own: own.map(|(_, transaction)| transaction).collect(),
            told: done.told.expect("the block that ended it is of another chain"),
        });
    }

    /// Whether accounts have used the nonces of all transactions of a block that left, so that none of them can wait again. If
    /// what the block changed is not in memory, that is not known.
    fn is_spent(&self, block: BlockRef) -> bool {
        let delta = self.bodies.get(block).and_then(|cached| cached.delta.as_ref());
        delta.is_some_and(|delta| {
            let mut senders = delta.changes.iter().filter(|change| change.after.nonce != change.before.nonce);
            senders.all(|change| self.ledger.account(&change.address).nonce >= change.after.nonce)
        })
    }
}
