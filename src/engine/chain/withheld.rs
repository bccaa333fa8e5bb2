//! Blocks that peers have announced and not delivered. They are remembered by their place in the tree, so that a branch
//! that one peer has withheld is not believed the more for being shown by another.
//!
//! The mark decides the order alone: where there is nothing better to fetch, such a branch is still asked for, and a
//! block that arrives clears the mark. An honest branch that gets one because a peer has left loses nothing but its
//! turn.

use super::Chain;
use crate::engine::header_tree::BlockRef;

/// Withheld blocks that are remembered. The oldest are forgotten first.
pub(crate) const WITHHELD_MAX: usize = 1_024;

impl Chain {
    /// Records that a block was asked for and has not come.
    pub(crate) fn note_withheld(&mut self, block: BlockRef) {
        if self.tree.has_body(block) || !self.withheld.insert(block) {
            return;
        }
        let first = if self.withheld.len() > WITHHELD_MAX { self.withheld.pop_first() } else { None };
        self.tree.mark_withheld(first.unwrap_or(block), &self.withheld);
    }

    /// Records that a block has come.
    pub(super) fn note_delivered(&mut self, block: BlockRef) {
        if self.withheld.remove(&block) {
            self.tree.mark_withheld(block, &self.withheld);
        }
    }

    /// The number of withheld blocks.
    pub(crate) fn withheld(&self) -> usize {
        self.withheld.len()
    }
}
