//! The blocks in memory.

use std::sync::Arc;

use quipu_protocol::CheckedBlock;

use super::super::header_tree::BlockRef;
use super::Chain;

/// Blocks of the best chain that are compared with a block that branches off below them.
const RIVALS_MAX: usize = 4;

impl Chain {
    /// A block, if it is in memory.
    pub(crate) fn cached(&self, block: BlockRef) -> Option<&Arc<CheckedBlock>> {
        self.bodies.get(block).map(|cached| &cached.block)
    }

    /// The best block, if it is in memory.
    pub(crate) fn cached_tip(&self) -> Option<Arc<CheckedBlock>> {
        self.cached(self.tip()).cloned()
    }

    /// Memory of the cached blocks, in bytes.
    pub(crate) fn cached_bytes(&self) -> usize {
        self.bodies.bytes()
    }

    /// The number of cached blocks.
    pub(crate) fn cached_blocks(&self) -> usize {
        self.bodies.len()
    }

    /// The blocks in memory that would leave the best chain for this one, if it branches off not far below the tip:
    /// their transactions are pending on its branch.
    pub(crate) fn cached_rivals(&self, block: BlockRef) -> impl Iterator<Item = &Arc<CheckedBlock>> {
        let mut below = self.tree.parent(block);
        for _ in 0..RIVALS_MAX {
            if self.is_best(below) {
                break;
            }
            below = self.tree.parent(below);
        }
        let fork = self.tree.height(below).0 as usize;
        let above = self.best.get(fork + 1..).filter(|above| self.is_best(below) && above.len() <= RIVALS_MAX);
        above.unwrap_or_default().iter().filter_map(|block| self.cached(*block))
    }
}
