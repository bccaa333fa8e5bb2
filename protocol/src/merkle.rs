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

/// The place of a leaf in a tree, and what proves that it is there: the audit path of section 2.1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPath {
    /// The leaf's position, from 0.
    pub position: u64,
    /// The number of leaves.
    pub leaves: u64,
    /// The hash beside each node on the way up from the leaf. Position and number of leaves say on which side it stands.
    pub beside: Vec<LeafHash>,
}

impl AuditPath {
    /// The path of the leaf at `position`, with at most one hash for each bit of the number of leaves.
    ///
    /// # Panics
    ///
    /// If `position` is out of range.
    pub fn of(leaves: &[LeafHash], position: usize) -> Self {
        assert!(position < leaves.len(), "no leaf {position} among {}", leaves.len());
        let (mut part, mut within) = (leaves, position);
        let mut beside = Vec::new();
        while part.len() > 1 {
            let (left, right) = part.split_at(part.len().next_power_of_two() / 2);
            let other = if within < left.len() {
                part = left;
                right
            } else {
                within -= left.len();
                part = right;
                left
            };
            beside.push(root(other.iter().copied()));
        }
        beside.reverse();
        Self { position: position as u64, leaves: leaves.len() as u64, beside }
    }

    /// The number of hashes on the path of a leaf at this position among so many.
    pub fn length(position: u64, leaves: u64) -> usize {
        sides(position, leaves).len()
    }

    /// The root that the path computes from the leaf.
    ///
    /// # Panics
    ///
    /// If the path has another length than its place asks for.
    pub fn fold(&self, leaf: LeafHash) -> LeafHash {
        let sides = sides(self.position, self.leaves);
        assert_eq!(sides.len(), self.beside.len(), "one hash for each level");
        self.beside.iter().zip(sides).fold(leaf, |below, (beside, side)| match side {
            Side::Left => node(beside, &below),
            Side::Right => node(&below, beside),
        })
    }
}

/// The side on which the other hash stands.
enum Side {
    Left,
    Right,
}

/// The sides of the hashes beside the way from a leaf to the root, from the leaf upwards.
fn sides(mut position: u64, mut leaves: u64) -> Vec<Side> {
    let mut sides = Vec::new();
    while leaves > 1 {
        let left = leaves.next_power_of_two() / 2;
        if position < left {
            leaves = left;
            sides.push(Side::Right);
        } else {
            (position, leaves) = (position - left, leaves - left);
            sides.push(Side::Left);
        }
    }
    sides.reverse();
    sides
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
                let path = AuditPath::of(&leaves[..n], position);
                assert_eq!(path.beside.len(), AuditPath::length(position as u64, n as u64));
                assert!(path.beside.len() <= n.next_power_of_two().ilog2() as usize, "{n} leaves, position {position}");
                assert_eq!(path.fold(leaves[position]), root, "{n} leaves, position {position}");
                assert_ne!(path.fold(leaf(b"another")), root);
            }
        }
    }

    #[test]
    fn a_path_has_sides() {
        let leaves: Vec<_> = (0..3_u8).map(|n| leaf(&[n])).collect();
        let beside = |position| AuditPath::of(&leaves, position).beside;
        assert_eq!(beside(0), [leaves[1], leaves[2]]);
        assert_eq!(beside(1), [leaves[0], leaves[2]]);
        assert_eq!(beside(2), [node(&leaves[0], &leaves[1])]);
        assert_eq!(AuditPath::of(&leaves[..1], 0).beside, []);
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
