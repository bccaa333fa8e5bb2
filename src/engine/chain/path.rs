//! Questions about the path from the best chain to the goal.

use super::Chain;
use crate::engine::header_tree::BlockRef;

impl Chain {
    /// The position of a block on the path.
    pub(crate) fn path_position(&self, block: BlockRef) -> Option<usize> {
        let first = *self.path.blocks.front()?;
        let position = usize::try_from(self.tree.height(block).0.checked_sub(self.tree.height(first).0)?).ok()?;
        (self.path.blocks.get(position) == Some(&block)).then_some(position)
    }

    /// The blocks ahead of the best chain, from the first one without a body.
    pub(crate) fn path_without_bodies(&self, count: usize) -> impl Iterator<Item = BlockRef> {
        let end = (self.path.ready + count).min(self.path.blocks.len());
        self.path.blocks.range(self.path.ready..end).copied().filter(|block| !self.tree.has_body(*block))
    }

    /// Whether a block of the path lacks its body.
    pub(crate) fn path_lacks_bodies(&self) -> bool {
        self.path.ready < self.path.blocks.len()
    }

    /// The position of the highest block on the path that is `block` or an ancestor, at most `steps` below it.
    pub(crate) fn highest_on_path(&self, mut block: BlockRef, steps: usize) -> Option<usize> {
        let lowest = self.tree.height(*self.path.blocks.front()?);
        for _ in 0..steps {
            if let Some(position) = self.path_position(block) {
                return Some(position);
            }
            if self.tree.height(block) <= lowest {
                return None;
            }
            block = self.tree.parent(block);
        }
        None
    }
}
