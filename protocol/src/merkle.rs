//! The Merkle tree of RFC 6962, section 2.1, over SHA-256.
//!
//! Leaves and inner nodes are hashed with different prefixes and no leaf is ever duplicated, so two different lists
//! never share a root (Bitcoin's CVE-2012-2459 cannot happen). A path proves that one leaf is under a root to a reader
//! that does not have the other leaves (section 2.1.1).

use crate::hash::{LeafHash, sha256};

/// The hash of one leaf: SHA-256(0x00 ‖ bytes).
pub fn leaf(bytes: &[u8]) -> LeafHash {
    LeafHash(sha256(&[&[0], bytes]))
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node(left: &LeafHash, right: &LeafHash) -> LeafHash {
    LeafHash(sha256(&[&[1], &left.0, &right.0]))
}

/// The root over leaf hashes. The root of no leaves is SHA-256 of the empty string.
pub fn root(leaves: impl IntoIterator<Item = LeafHash>) -> LeafHash {
    // Complete subtrees from the left, each at most half as large as the one before. The binary form of the number of
    // leaves says which subtrees exist, so each leaf joins as many as the number has trailing ones.
    let mut subtrees: Vec<LeafHash> = Vec::new();
    for (count, leaf) in (0_u64..).zip(leaves) {
        let mut hash = leaf;
        for _ in 0..count.trailing_ones() {
            let left = subtrees.pop().expect("one subtree stands for each bit of the count");
            hash = node(&left, &hash);
        }
        subtrees.push(hash);
    }
    subtrees.into_iter().rev().reduce(|right, left| node(&left, &right)).unwrap_or_else(|| LeafHash(sha256(&[])))
}

/// One step from a leaf towards the root: the sibling's hash, and its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The sibling is the left one.
    Left(LeafHash),
    /// The sibling is the right one.
    Right(LeafHash),
}

/// The audit path of the leaf at `position`, from the leaf upwards, with at most one step for each bit of the number of
/// leaves.
///
/// # Panics
///
/// If `position` is out of range.
pub fn path(leaves: &[LeafHash], position: usize) -> Vec<Step> {
    assert!(position < leaves.len(), "no leaf {position} among {}", leaves.len());
    let mut part = leaves;
    let mut position = position;
    let mut path = Vec::new();
    while part.len() > 1 {
        let split = part.len().next_power_of_two() / 2;
        let (left, right) = part.split_at(split);
        if position < split {
            path.push(Step::Right(root(right.iter().copied())));
            part = left;
        } else {
            path.push(Step::Left(root(left.iter().copied())));
            (part, position) = (right, position - split);
        }
    }
    path.reverse();
    path
}

/// The root that a path computes from a leaf.
pub fn fold(leaf: LeafHash, path: &[Step]) -> LeafHash {
    path.iter().fold(leaf, |below, step| match step {
        Step::Left(sibling) => node(sibling, &below),
        Step::Right(sibling) => node(&below, sibling),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_from_its_leaf_to_the_root_and_from_no_other() {
        let leaves: Vec<_> = (0..70_u8).map(|n| leaf(&[n])).collect();
        for n in 1..=leaves.len() {
            let root = root(leaves[..n].iter().copied());
            for position in 0..n {
                let path = path(&leaves[..n], position);
                assert!(path.len() <= n.next_power_of_two().ilog2() as usize, "{n} leaves, position {position}");
                assert_eq!(fold(leaves[position], &path), root, "{n} leaves, position {position}");
                assert_ne!(fold(leaf(b"another"), &path), root);
            }
        }
    }

    #[test]
    fn a_path_has_sides() {
        let leaves: Vec<_> = (0..3_u8).map(|n| leaf(&[n])).collect();
        assert_eq!(path(&leaves, 0), [Step::Right(leaves[1]), Step::Right(leaves[2])]);
        assert_eq!(path(&leaves, 1), [Step::Left(leaves[0]), Step::Right(leaves[2])]);
        assert_eq!(path(&leaves, 2), [Step::Left(node(&leaves[0], &leaves[1]))]);
        assert_eq!(path(&leaves[..1], 0), []);
    }

    /// The definition of the RFC, word for word.
    fn by_definition(leaves: &[LeafHash]) -> LeafHash {
        match leaves {
            [] => LeafHash(sha256(&[])),
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&by_definition(&leaves[..split]), &by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn equals_the_definition() {
        let leaves: Vec<_> = (0..70_u8).map(|n| leaf(&[n])).collect();
        for n in 0..=leaves.len() {
            assert_eq!(root(leaves[..n].iter().copied()), by_definition(&leaves[..n]), "{n} leaves");
        }
    }

    #[test]
    fn certificate_transparency_test_vectors() {
        let inputs =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let leaves: Vec<_> = inputs.iter().map(|hex| leaf(&hex::decode(hex).expect("hex"))).collect();
        let want = [
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ];
        for (n, hex) in want {
            assert_eq!(root(leaves[..n].iter().copied()).to_string(), hex);
        }
    }

    #[test]
    fn repeating_a_leaf_changes_the_root() {
        let leaves: Vec<_> = (0..3_u8).map(|n| leaf(&[n])).collect();
        let repeated = [leaves[0], leaves[1], leaves[2], leaves[2]];
        assert_ne!(root(leaves), root(repeated));
    }
}
