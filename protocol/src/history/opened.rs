//! Proofs of several blocks at once: the nodes that hide all others, and the root that they make with those blocks.
//!
//! Always true: whoever knows a root knows, of each block that a proof opens, its place among all blocks, the work below it
//! and the history that its own context must have.

use std::ops::Range;

use super::{HistoryNode, Peaks};
use crate::hash::HistoryHash;
use crate::work::Work;

/// What is below an opened block, as the proof has it.
#[derive(Debug, Clone, Copy)]
pub struct Below<'a> {
    peaks: &'a [HistoryNode],
    blocks: u64,
}

impl Below<'_> {
    /// The history that the block's context must have (rule R20).
    pub fn history(&self) -> HistoryHash {
        Peaks::from_nodes(self.peaks.to_vec(), self.blocks).root()
    }

    /// The sum of the work.
    pub fn work(&self) -> Work {
        self.peaks.iter().map(|node| node.work).sum()
    }
}

/// The ranges of heights that are hidden when the blocks at these heights are opened, from the left to the right. Each is one
/// node of the tree over that many blocks. `opened` ascends, and all of it is below `blocks`.
pub fn hidden(blocks: u64, opened: &[u64]) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    collect_hidden(0..blocks, opened, &mut ranges);
    ranges
}

fn collect_hidden(range: Range<u64>, opened: &[u64], ranges: &mut Vec<Range<u64>>) {
    if opened.is_empty() {
        ranges.push(range);
    } else if range.end - range.start > 1 {
        let (left, right) = halves(&range);
        let (before, after) = opened.split_at(opened.partition_point(|height| *height < left.end));
        collect_hidden(left, before, ranges);
        collect_hidden(right, after, ranges);
    }
}

/// The root over `blocks` blocks, of which those at the heights `opened` come from `leaf` and all others are in `nodes`, as
/// [`hidden`] lists them. `leaf` gets each opened height in turn, with what is below it.
///
/// # Panics
///
/// If there is another number of nodes than `hidden` lists, or no block.
pub fn root_of_opened(
    blocks: u64,
    opened: &[u64],
    nodes: &[HistoryNode],
    mut leaf: impl FnMut(u64, Below<'_>) -> HistoryNode,
) -> HistoryNode {
    let mut nodes = nodes.iter().copied();
    let mut peaks = Vec::new();
    let root = fold(0..blocks, opened, &mut peaks, &mut nodes, &mut leaf);
    assert!(nodes.next().is_none(), "one node for each hidden range");
    root
}

fn fold(
    range: Range<u64>,
    opened: &[u64],
    peaks: &mut Vec<HistoryNode>,
    nodes: &mut impl Iterator<Item = HistoryNode>,
    leaf: &mut impl FnMut(u64, Below<'_>) -> HistoryNode,
) -> HistoryNode {
    if opened.is_empty() {
        return nodes.next().expect("one node for each hidden range");
    }
    if range.end - range.start == 1 {
        return leaf(range.start, Below { peaks, blocks: range.start });
    }
    let (lower, upper) = halves(&range);
    let (before, after) = opened.split_at(opened.partition_point(|height| *height < lower.end));
    let left = fold(lower, before, peaks, nodes, leaf);
    peaks.push(left);
    let right = fold(upper, after, peaks, nodes, leaf);
    peaks.pop();
    HistoryNode::above(&left, &right)
}

/// The ranges of the two nodes below the one over a range of more than one block.
pub fn halves(range: &Range<u64>) -> (Range<u64>, Range<u64>) {
    let middle = range.start + (range.end - range.start).next_power_of_two() / 2;
    (range.start..middle, middle..range.end)
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;
    use crate::hash::{BlockId, sha256};

    fn leaf(height: u64) -> HistoryNode {
        HistoryNode::leaf(&BlockId(sha256(&[&height.to_le_bytes()])), Work(u128::from(height * height)))
    }

    fn node(range: Range<u64>) -> HistoryNode {
        if range.end - range.start == 1 {
            return leaf(range.start);
        }
        let (left, right) = halves(&range);
        HistoryNode::above(&node(left), &node(right))
    }

    proptest! {
        #[test]
        fn a_proof_leads_to_the_root_and_knows_what_is_below(
            blocks in 1_u64..200,
            chosen in btree_set(0_u64..200, 0..20),
        ) {
            let opened: Vec<_> = chosen.into_iter().filter(|height| *height < blocks).collect();
            let nodes: Vec<_> = hidden(blocks, &opened).into_iter().map(node).collect();
            let mut seen = Vec::new();
            let root = root_of_opened(blocks, &opened, &nodes, |height, below| {
                let peaks: Peaks = (0..height).map(leaf).collect();
                assert_eq!(below.history(), peaks.root());
                assert_eq!(below.work(), peaks.nodes().iter().map(|node| node.work).sum());
                seen.push(height);
                leaf(height)
            });
            prop_assert_eq!(root, node(0..blocks));
            prop_assert_eq!(seen, opened);
        }
    }

    #[test]
    fn every_node_matters() {
        let opened = [3, 4, 17, 36];
        let nodes: Vec<_> = hidden(37, &opened).into_iter().map(node).collect();
        let root = |nodes: &[HistoryNode]| root_of_opened(37, &opened, nodes, |height, _| leaf(height));
        for changed in 0..nodes.len() {
            let mut other = nodes.clone();
            other[changed].work = other[changed].work + Work(1);
            assert_ne!(root(&other).hash, node(0..37).hash, "node {changed}");
        }
    }
}
