//! Rivals: branches with more work than ours, but no longer and by less than half a block (see `engine::rivals`).

use super::super::header_tree::BlockRef;
use super::Chain;

impl Chain {
    /// Sets whether the tip is kept against rivals.
    pub(crate) fn keep_tip(&mut self, keeps_tip: bool) {
        self.keeps_tip = keeps_tip;
    }

    /// The goal, if all its blocks are there and it is not followed because the tip is kept.
    pub(crate) fn waiting_rival(&self) -> Option<BlockRef> {
        let goal = *self.path.blocks.back()?;
        let is_there = self.path.ready == self.path.blocks.len() && self.reorganisation.is_none();
        (is_there && self.waits(goal)).then_some(goal)
    }

    /// Whether a block with more work than the tip is not followed for now.
    pub(super) fn waits(&self, block: BlockRef) -> bool {
        let (tree, tip) = (&self.tree, self.tip());
        if !self.keeps_tip || tree.height(block) > tree.height(tip) {
            return false;
        }
        let (ours, theirs) = (tree.work(tip), tree.work(block));
        theirs + theirs < ours + ours + tree.header(tip).target.work()
    }
}
