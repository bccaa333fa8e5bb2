//! The tree over the best chain that each block's context commits to, and how a reorganisation goes back in it.
//!
//! The chain needs the peaks of the tree, which grow with each block. To take blocks away, the chain keeps the complete nodes
//! of level 6 and above, 1.5 bytes for each block, and computes those below again from the headers.

use std::ops::Range;

use quipu_protocol::history::halves;
use quipu_protocol::{HistoryNode, Peaks};

/// The lowest level whose nodes are kept: each is over 64 blocks.
const LEVEL_MIN: u32 = 6;

/// The tree over the blocks of the best chain.
#[derive(Debug, Default)]
pub(super) struct ChainHistory {
    /// Over the blocks of the chain. While a reorganisation takes blocks away, those are still in them.
    peaks: Peaks,
    /// The complete nodes of each level from [`LEVEL_MIN`] on, from the left.
    levels: Vec<Vec<HistoryNode>>,
}

impl ChainHistory {
    /// The tree over these blocks, from genesis on.
    pub(super) fn of(blocks: impl Iterator<Item = HistoryNode>) -> Self {
        let mut history = Self::default();
        blocks.for_each(|block| history.push(block));
        history
    }

    /// The peaks over all blocks, once those that were taken away are [cut off](Self::cut_to).
    pub(super) fn peaks(&self) -> &Peaks {
        &self.peaks
    }

    /// The node over a range that the tree over these blocks, or over fewer of them, splits off. `leaf` gives the leaf of the
    /// block at a height.
    pub(super) fn node(&self, range: Range<u64>, leaf: &impl Fn(u64) -> HistoryNode) -> HistoryNode {
        let blocks = range.end - range.start;
        let level = blocks.ilog2();
        let kept = level.checked_sub(LEVEL_MIN).filter(|_| blocks.is_power_of_two());
        let kept = kept.and_then(|kept| self.levels.get(kept as usize)?.get((range.start >> level) as usize));
        if let Some(node) = kept {
            return *node;
        }
        if blocks == 1 {
            return leaf(range.start);
        }
        let (left, right) = halves(&range);
        HistoryNode::above(&self.node(left, leaf), &self.node(right, leaf))
    }

    /// Adds the next block.
    pub(super) fn push(&mut self, block: HistoryNode) {
        let levels = &mut self.levels;
        self.peaks.push(block, |level, node| {
            let Some(kept) = level.checked_sub(LEVEL_MIN) else { return };
            if levels.len() <= kept as usize {
                levels.push(Vec::new());
            }
            levels[kept as usize].push(node);
        });
    }

    /// Leaves only the lowest `blocks`. `block` gives the leaf of the block at a height. Cheap if nothing is above them;
    /// else up to 63 leaves are hashed, however many blocks go: so it is called once for all of them.
    pub(super) fn cut_to(&mut self, blocks: u64, block: impl Fn(u64) -> HistoryNode) {
        if self.peaks.blocks() == blocks {
            return;
        }
        for (level, nodes) in (LEVEL_MIN..).zip(&mut self.levels) {
            nodes.truncate((blocks >> level) as usize);
        }
        let mut covered = 0;
        let peaks = (0..u64::BITS).rev().filter(|level| blocks >> level & 1 == 1).map(|level| {
            let first = covered;
            covered += 1 << level;
            match level.checked_sub(LEVEL_MIN) {
                Some(kept) => self.levels[kept as usize][(first >> level) as usize],
                None => (first..covered).map(&block).collect::<Peaks>().nodes()[0],
            }
        });
        self.peaks = Peaks::from_nodes(peaks.collect(), blocks);
    }
}

#[cfg(test)]
mod tests {
    use quipu_protocol::{BlockId, Work};

    use super::*;

    fn leaf(height: u64) -> HistoryNode {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&height.to_le_bytes());
        HistoryNode::leaf(&BlockId(id), Work(u128::from(height)))
    }

    #[test]
    fn every_node_of_every_chain_below_is_known() {
        let history = ChainHistory::of((0..300).map(leaf));
        for blocks in [1_u64, 2, 63, 64, 65, 128, 200, 299, 300] {
            let expected: Peaks = (0..blocks).map(leaf).collect();
            assert_eq!(history.node(0..blocks, &leaf).hash, expected.root(), "{blocks}");
        }
        let range: Peaks = (64..128).map(leaf).collect();
        assert_eq!(history.node(64..128, &leaf), range.nodes()[0]);
    }

    #[test]
    fn what_is_left_after_blocks_are_taken_away_is_what_was_before_they_came() {
        let roots: Vec<_> = (0..300).map(|blocks| ChainHistory::of((0..blocks).map(leaf)).peaks().root()).collect();
        let mut history = ChainHistory::of((0..299).map(leaf));
        for blocks in (0..299_usize).rev() {
            history.cut_to(blocks as u64, leaf);
            assert_eq!(history.peaks().root(), roots[blocks], "{blocks} blocks");
            // It goes on as if nothing had been there.
            if blocks.is_multiple_of(37) {
                (blocks as u64..299).for_each(|height| history.push(leaf(height)));
                assert_eq!(history.peaks().root(), roots[299]);
                history.cut_to(blocks as u64, leaf);
                assert_eq!(history.peaks().root(), roots[blocks]);
            }
        }
    }
}
