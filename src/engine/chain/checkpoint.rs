//! The checkpoint: the block of the best chain that is never left.
//!
//! Always true: the checkpoint is on the best chain; no barred block is on it, is a goal, or is stored any more. A
//! block is barred if the chain below it leaves out the checkpoint. No walk is needed to know that: a new block at or
//! below the checkpoint's height can never be on the best chain.

use quipu_protocol::Height;

use super::super::event::Place;
use super::super::header_tree::BlockRef;
use super::Chain;

impl Chain {
    /// The checkpoint, if there is one.
    pub(crate) fn checkpoint(&self) -> Option<Place> {
        self.checkpoint.map(|block| self.tree.place(block))
    }

    /// Sets the checkpoint to the block of the best chain at this height, or removes it. Not during a reorganisation,
    /// and not above the tip. The goal may be barred afterwards, and has to be chosen anew.
    pub(crate) fn set_checkpoint(&mut self, height: Option<Height>) {
        assert!(self.reorganisation.is_none(), "there is no best chain during a reorganisation");
        self.hold_checkpoint(height.map(|height| self.best[height.0 as usize]));
        self.find_stored_better();
    }

    /// Restores the stored checkpoint.
    pub(super) fn restore_checkpoint(&mut self, place: Place) {
        let block = self.tree.find(&place.id).filter(|block| self.is_best(*block));
        self.hold_checkpoint(Some(block.expect("the store keeps the best chain and the checkpoint on it")));
    }

    fn hold_checkpoint(&mut self, block: Option<BlockRef>) {
        self.checkpoint = block;
        self.tree.bar_branches(block.map(|block| self.tree.height(block)), &self.best);
    }
}
