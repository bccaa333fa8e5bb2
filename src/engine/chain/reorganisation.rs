//! The state of a reorganisation: the tip that it left, and the disconnected blocks.
//!
//! The disconnected blocks are kept, up to [`LEFT_BYTES_MAX`], so that their transactions can become pending again.
//! Beyond that the newest are forgotten, since later transactions of an account cannot be mined without its earlier
//! ones. The own account's transactions are kept even then, up to [`OWN_LEFT_BYTES_MAX`]: they were acknowledged.

use std::sync::Arc;

use quipu_protocol::{Address, CheckedBlock, CheckedTransaction, Delta, Wei};

use super::super::bodies::memory_of;
use super::super::header_tree::{BlockRef, HeaderTree};
use super::rolled_back::{LeftBlock, RollbackReport};
use super::{Chain, ChainAdvance, Reorganised};

/// Memory, in bytes, of the kept blocks, whose transactions become pending again after a reorganisation.
pub(crate) const LEFT_BYTES_MAX: usize = 32 << 20;

/// Encoded length, in bytes, of the own account's transactions that are kept from forgotten blocks: more than one
/// account may have pending.
pub(crate) const OWN_LEFT_BYTES_MAX: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct Reorganisation {
    pub(super) old_tip: BlockRef,
    /// The own account and its balance on the old chain.
    own_before: (Address, Wei),
    /// The disconnected blocks of the old chain, newest first.
    left: Vec<Left>,
    /// How many of the newest have been forgotten.
    forgotten: usize,
    forgotten_transactions: usize,
    bytes: usize,
    /// The own account's transactions in forgotten blocks, newest first.
    own: Vec<(BlockRef, CheckedTransaction)>,
    own_bytes: usize,
    /// The transactions to report to the user, from the first connected block of another chain on.
    report: Option<RollbackReport>,
}

/// A disconnected block of the old chain.
#[derive(Debug)]
struct Left {
    block: BlockRef,
    /// `None` if the block is forgotten.
    body: Option<Arc<CheckedBlock>>,
    /// Whether it changed the own account, as every transaction from or to it does.
    has_own: bool,
}

impl Reorganisation {
    fn leaving(old_tip: BlockRef, own_before: (Address, Wei)) -> Self {
        Self {
            old_tip,
            own_before,
            left: Vec::new(),
            forgotten: 0,
            forgotten_transactions: 0,
            bytes: 0,
            own: Vec::new(),
            own_bytes: 0,
            report: None,
        }
    }

    /// Whether a block is one of the disconnected ones of the old chain.
    fn has_left(&self, block: BlockRef, tree: &HeaderTree) -> bool {
        let depth = tree.height(self.old_tip).0.checked_sub(tree.height(block).0);
        depth.and_then(|depth| self.left.get(depth as usize)).is_some_and(|left| left.block == block)
    }

    /// Forgets the newest blocks beyond the bound.
    fn forget(&mut self, own: &Address) {
        while self.bytes > LEFT_BYTES_MAX && self.forgotten + 1 < self.left.len() {
            let Left { block, body, has_own } = &mut self.left[self.forgotten];
            let (block, body) = (*block, body.take().expect("only newer blocks are forgotten"));
            self.forgotten += 1;
            self.bytes -= memory_of(&body);
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
    /// Records that a block was disconnected, with the delta that was reverted.
    pub(super) fn note_left(&mut self, block: BlockRef, body: Arc<CheckedBlock>, delta: &Delta) {
        let own_change = delta.changes.binary_search_by_key(&self.own, |change| change.address).ok();
        let reorganisation = self.reorganisation.get_or_insert_with(|| {
            let now = || self.ledger.account(&self.own);
            let before = own_change.map_or_else(now, |at| delta.changes[at].after);
            Reorganisation::leaving(block, (self.own, before.balance))
        });
        let next = reorganisation.left.last().map_or(reorganisation.old_tip, |last| self.tree.parent(last.block));
        // Blocks of branches that turned out bad, and blocks of the old chain that are disconnected again, are not new.
        if block == next {
            let has_own = own_change.is_some();
            reorganisation.bytes += memory_of(&body);
            reorganisation.left.push(Left { block, body: Some(body.clone()), has_own });
            reorganisation.forget(&self.own);
        }
        self.note_moved(block, &body, false);
    }

    /// Memory, in bytes, of the blocks that the present reorganisation keeps.
    pub(crate) fn left_bytes(&self) -> usize {
        self.reorganisation.as_ref().map_or(0, |reorganisation| reorganisation.bytes)
    }

    /// Records that a block was connected, during a reorganisation or right after one.
    pub(super) fn note_connected(&mut self, block: BlockRef, body: &CheckedBlock, progress: &mut ChainAdvance) {
        match &mut progress.reorganised {
            Some(ended) => ended.report.note(body, true),
            None => self.note_moved(block, body, true),
        }
    }

    /// Keeps the report to the user up to date.
    fn note_moved(&mut self, block: BlockRef, body: &CheckedBlock, is_connected: bool) {
        let Some(reorganisation) = &mut self.reorganisation else { return };
        let report = reorganisation.report.take();
        // Only blocks of the old chain are below a disconnected one, and none above it yet: no transaction is mined
        // again.
        if !reorganisation.has_left(block, &self.tree) {
            let mut report = report.unwrap_or_else(|| self.choose_report());
            report.note(body, is_connected);
            self.reorganisation.as_mut().expect("the reorganisation is under way").report = Some(report);
        }
    }

    /// Chooses the transactions to report to the user, from the blocks of the old chain that are disconnected now.
    fn choose_report(&self) -> RollbackReport {
        let reorganisation = self.reorganisation.as_ref().expect("the reorganisation is under way");
        let blocks = self.off(reorganisation).iter().rev().filter_map(|left| {
            let body = left.body.as_deref()?;
            Some(LeftBlock { place: self.tree.place(left.block), body, may_concern: left.has_own })
        });
        let own = reorganisation.own.iter().rev().filter(|(block, _)| !self.is_best(*block));
        let own = own.map(|(block, transaction)| (self.tree.place(*block), transaction.clone()));
        RollbackReport::choose(blocks, own, &self.own, self.tree.id_hashes())
    }

    /// The disconnected blocks that have not come back, newest first.
    fn off<'a>(&self, reorganisation: &'a Reorganisation) -> &'a [Left] {
        let count = reorganisation.left.iter().take_while(|left| !self.is_best(left.block)).count();
        &reorganisation.left[..count]
    }

    /// Redirects a reorganisation whose path turned out bad to the best stored block: at worst, back.
    pub(super) fn complete_reorganisation_path(&mut self) {
        if !self.path.blocks.is_empty() {
            return;
        }
        let mut block = self.stored_better.unwrap_or_else(|| self.tip());
        while !self.is_best(block) {
            self.path.blocks.push_front(block);
            block = self.tree.parent(block);
        }
        self.count_ready();
    }

    /// Ends the reorganisation if the new tip has more work than the old one, or is the old one.
    pub(super) fn end_reorganisation(&mut self, top: BlockRef, progress: &mut ChainAdvance) {
        let done = |reorganisation: &mut Reorganisation| {
            let old_tip = reorganisation.old_tip;
            top == old_tip || self.tree.work(top) > self.tree.work(old_tip)
        };
        let Some(done) = self.reorganisation.take_if(done) else { return };
        self.writes.append(&mut self.held_writes);
        // No block is off if the whole path turned out bad and the chain is back; fewer are off if a part did.
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
        let own_transactions = done.own.into_iter().rev().filter(|(block, _)| !self.is_best(*block));
        let (own, before) = done.own_before;
        let now = self.ledger.account(&own).balance;
        let fell = if own == self.own { before.checked_sub(now).unwrap_or_default() } else { Wei::ZERO };
        progress.reorganised = Some(Reorganised {
            depth,
            fell,
            left,
            other_transactions,
            own: own_transactions.map(|(_, transaction)| transaction).collect(),
            report: done.report.expect("the last block is of another chain"),
        });
    }

    /// Whether accounts have used the nonces of all transactions of a disconnected block, so that none of them can
    /// become pending again. Unknown, hence false, if its delta is not in memory.
    fn is_spent(&self, block: BlockRef) -> bool {
        let delta = self.bodies.get(block).and_then(|cached| cached.delta.as_ref());
        delta.is_some_and(|delta| {
            let mut senders = delta.changes.iter().filter(|change| change.after.nonce != change.before.nonce);
            senders.all(|change| self.ledger.account(&change.address).nonce >= change.after.nonce)
        })
    }
}
