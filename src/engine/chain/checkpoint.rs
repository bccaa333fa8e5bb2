//! The block of the best chain that is never left.
//!
//! Always true: the checkpoint is on the best chain; no barred block is on it, is a goal, or is stored any more. A block
//! is barred if the chain below it leaves out the checkpoint, and that is known without walking: nothing that is new at
//! or below the checkpoint's height can be on the best chain.

use quipu_protocol::{Header, Height};

use super::super::event::Place;
use super::super::index::BlockRef;
use super::Chain;

impl Chain {
    /// The block that is never left, if there is one.
    pub(crate) fn checkpoint(&self) -> Option<Place> {
        self.checkpoint.map(|block| self.index.place(block))
    }

    /// From now on, never leaves the block of the best chain at this height; `None`: may leave any. Not in the middle of a
    /// reorganisation, and not above the tip. The goal may be barred then, and has to be chosen anew.
    pub(crate) fn set_checkpoint(&mut self, height: Option<Height>) {
        assert!(self.reorganisation.is_none(), "between two chains there is no best one");
        self.hold_checkpoint(height.map(|height| self.best[height.0 as usize]));
        self.find_stored_better();
    }

    /// Goes on with a checkpoint that was stored.
    pub(super) fn restore_checkpoint(&mut self, place: Place) {
        let block = self.index.find(&place.id).filter(|block| self.is_best(*block));
        self.hold_checkpoint(Some(block.expect("the store keeps the best chain and the checkpoint on it")));
    }

    fn hold_checkpoint(&mut self, block: Option<BlockRef>) {
        self.checkpoint = block;
        self.index.bar_branches(block.map(|block| self.index.height(block)), &self.best);
    }

    /// Whether headers that follow each other, from a known parent, are on a branch that leaves out the checkpoint.
    pub(crate) fn bars(&self, headers: &[Header]) -> bool {
        let (Some(checkpoint), Some(first)) = (self.checkpoint, headers.first()) else { return false };
        let limit = self.index.height(checkpoint);
        let up_to_limit = headers.partition_point(|header| header.height <= limit);
        // If this one is on the best chain, all below it are.
        let last = headers[..up_to_limit].last().map_or(first.parent, Header::id);
        self.index.find(&last).is_none_or(|block| self.index.is_barred(block))
    }
}
