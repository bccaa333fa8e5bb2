//! The commitment to all ancestors of a block: a Merkle mountain range whose nodes sum up work.
//!
//! It is the tree of RFC 6962, section 2.1, over all blocks from genesis to the parent, with the work of the blocks below
//! in each node: FlyClient (Bünz, Kiffer, Luu and Zamani, 2020) and ZIP 221 do the same. Whoever knows one block's
//! commitment can be shown any ancestor, and where its work lies in that of the chain, in a few hundred bytes.
//!
//! Nobody keeps the tree: a chain has its [`Peaks`], the roots of the complete subtrees from the left, whose sizes are the
//! bits of the number of blocks.

mod opened;

use bincode::{Decode, Encode};

use crate::block::Header;
use crate::encode::EncodedSize;
use crate::hash::{BlockId, HistoryHash, sha256};
use crate::work::Work;
pub use opened::{Below, halves, hidden, root_of_opened};

/// A node of the tree: a block, or all blocks below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct HistoryNode {
    /// Covers the blocks below, and how their work is divided.
    pub hash: HistoryHash,
    /// The sum of their work. Genesis counts nothing.
    pub work: Work,
}

impl EncodedSize for HistoryNode {
    const ENCODED_BYTES_MIN: usize = 48;
}

impl HistoryNode {
    /// A block: SHA-256(0x02 ‖ id ‖ work).
    pub fn leaf(id: &BlockId, work: Work) -> Self {
        Self { hash: HistoryHash(sha256(&[&[2], id.as_bytes(), &work.0.to_le_bytes()])), work }
    }

    /// The block with this header, which is good.
    pub fn of(header: &Header) -> Self {
        Self::leaf(&header.id(), if header.height.0 == 0 { Work::ZERO } else { header.target.work() })
    }

    /// The node above two others: SHA-256(0x03 ‖ left ‖ work on the left ‖ right ‖ work on the right).
    pub fn above(left: &Self, right: &Self) -> Self {
        let works = [left.work, right.work].map(|work| work.0.to_le_bytes());
        let hash = sha256(&[&[3], left.hash.as_bytes(), &works[0], right.hash.as_bytes(), &works[1]]);
        Self { hash: HistoryHash(hash), work: left.work + right.work }
    }
}

/// The roots of the complete subtrees over a row of blocks from genesis on, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peaks {
    nodes: Vec<HistoryNode>,
    blocks: u64,
}

/// The peaks over these blocks, from genesis on.
impl FromIterator<HistoryNode> for Peaks {
    fn from_iter<I: IntoIterator<Item = HistoryNode>>(blocks: I) -> Self {
        let mut peaks = Self::default();
        blocks.into_iter().for_each(|block| peaks.push(block, |_, _| {}));
        peaks
    }
}

impl Peaks {
    /// The peaks over that many blocks: one for each bit of the number, from the highest on.
    ///
    /// # Panics
    ///
    /// If there is another number of nodes.
    pub fn from_nodes(nodes: Vec<HistoryNode>, blocks: u64) -> Self {
        assert_eq!(nodes.len() as u32, blocks.count_ones(), "one node for each subtree");
        Self { nodes, blocks }
    }

    /// The number of blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The nodes.
    pub fn nodes(&self) -> &[HistoryNode] {
        &self.nodes
    }

    /// Adds the next block. Gives each node that it completes to `completed`, with the node's level: 0 is the block itself.
    pub fn push(&mut self, leaf: HistoryNode, mut completed: impl FnMut(u32, HistoryNode)) {
        let mut node = leaf;
        completed(0, node);
        for level in 1..=self.blocks.trailing_ones() {
            let left = self.nodes.pop().expect("one subtree stands for each bit of the number");
            node = HistoryNode::above(&left, &node);
            completed(level, node);
        }
        self.nodes.push(node);
        self.blocks += 1;
    }

    /// The root, which the next block's context carries. Without blocks, that of genesis: SHA-256 of the empty string.
    pub fn root(&self) -> HistoryHash {
        let root = self.nodes.iter().rev().copied().reduce(|right, left| HistoryNode::above(&left, &right));
        root.map_or_else(|| HistoryHash(sha256(&[])), |root| root.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(number: u64) -> HistoryNode {
        HistoryNode::leaf(&BlockId(sha256(&[&number.to_le_bytes()])), Work(u128::from(number * number)))
    }

    /// The definition of the RFC, with work.
    fn by_definition(leaves: &[HistoryNode]) -> HistoryNode {
        match leaves {
            [one] => *one,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                HistoryNode::above(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        let leaves: Vec<_> = (0..70).map(leaf).collect();
        let mut peaks = Peaks::default();
        assert_eq!(peaks.root().0, sha256(&[]));
        for (blocks, leaf) in (1..).zip(&leaves) {
            peaks.push(*leaf, |_, _| {});
            assert_eq!(peaks.root(), by_definition(&leaves[..blocks]).hash, "{blocks} blocks");
            assert_eq!(peaks, Peaks::from_nodes(peaks.nodes().to_vec(), blocks as u64));
        }
    }

    #[test]
    fn every_complete_subtree_is_given_out_once() {
        let leaves: Vec<_> = (0..32).map(leaf).collect();
        let mut found = vec![Vec::new(); 6];
        let mut peaks = Peaks::default();
        leaves.iter().for_each(|leaf| peaks.push(*leaf, |level, node| found[level as usize].push(node)));
        for (level, nodes) in found.iter().enumerate() {
            let expected: Vec<_> = leaves.chunks(1 << level).map(by_definition).collect();
            assert_eq!(*nodes, expected, "level {level}");
        }
    }

    #[test]
    fn a_node_covers_how_its_work_is_divided() {
        let (one, other) = (leaf(1), leaf(2));
        let moved =
            |node: HistoryNode, by: i8| HistoryNode { work: Work(node.work.0.wrapping_add_signed(by.into())), ..node };
        let above = HistoryNode::above(&one, &other);
        let shifted = HistoryNode::above(&moved(one, 1), &moved(other, -1));
        assert_eq!(above.work, shifted.work);
        assert_ne!(above.hash, shifted.hash);
        assert_ne!(above.hash, HistoryNode::above(&other, &one).hash);
    }
}
