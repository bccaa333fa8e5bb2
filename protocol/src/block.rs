//! Blocks: a header that carries the work, and a body that it commits to.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::account::Address;
use crate::amount::Amount;
use crate::encode::{EncodedSize, List, encode};
use crate::hash::{BlockId, HistoryHash, LeafHash, OutcomeHash, TransactionId, sha256, tagged_hash};
use crate::merkle;
use crate::time::UnixMillis;
use crate::transaction::SignedTransaction;
use crate::work::Target;

/// The only header version that exists (rule R4).
pub const VERSION: u32 = 2;

/// Length of an encoded header, in bytes.
pub const HEADER_BYTES: usize = 96;

/// The number of blocks below one. The genesis block is at height 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Height(pub u64);

impl Height {
    /// The height of the genesis block.
    pub const GENESIS: Self = Self(0);

    /// The height above this one. Saturates.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number of blocks from `lower` up to this height, zero if `lower` is the higher one.
    pub fn saturating_since(self, lower: Self) -> u64 {
        self.0.saturating_sub(lower.0)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The 96 bytes that are hashed to find a block. The nonce is last, so that a miner recomputes only the second of
/// SHA-256's two compressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Header {
    /// Always [`VERSION`], except in blocks that rule R4 refuses.
    pub version: u32,
    /// The parent's height plus one.
    pub height: Height,
    /// The id of the parent block. In the genesis block: the hash of the network's parameters.
    pub parent: BlockId,
    /// The commitment to context and body, [`Body::root`].
    pub root: LeafHash,
    /// The time at which the miner says it started on this block; not before the parent's timestamp.
    pub timestamp: UnixMillis,
    /// The bound that the block's id must not exceed.
    pub target: Target,
    /// A free number, which the miner varies until the id meets the target.
    pub nonce: u64,
}

impl EncodedSize for Header {
    const ENCODED_BYTES_MIN: usize = HEADER_BYTES;
}

impl Header {
    /// The encoded header.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        encode(self).try_into().expect("every field of a header has a fixed width")
    }

    /// SHA-256 of the encoded header.
    pub fn id(&self) -> BlockId {
        BlockId(sha256(&[&self.to_bytes()]))
    }
}

/// The miner's reward: the first leaf of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Reward {
    /// The account that the miner chose.
    pub to: Address,
    /// The network's subsidy plus all fees of the block, exactly.
    pub amount: Amount,
}

impl Reward {
    /// The Merkle leaf of the encoded reward.
    pub fn leaf(&self) -> LeafHash {
        merkle::leaf(&encode(self))
    }

    /// A name for the reward in lists of transactions. It covers the parent's id, so that the rewards of two blocks
    /// of one chain never share it.
    pub fn id(&self, parent: &BlockId) -> TransactionId {
        TransactionId(tagged_hash("quipu reward 1", &[parent.as_bytes(), &encode(self)]))
    }
}

/// What a block says about the chain below it and about itself, and what needs no body to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Context {
    /// The root over all ancestors (rule R20).
    pub history: HistoryHash,
    /// What the block's contracts did (rule R21).
    pub outcome: OutcomeHash,
}

/// Length of an encoded context, in bytes.
pub(crate) const CONTEXT_BYTES: usize = 64;

impl Context {
    /// The context of a block without contracts.
    pub fn of(history: HistoryHash) -> Self {
        Self { history, outcome: OutcomeHash::NONE }
    }

    /// The Merkle leaf of the encoded context.
    pub fn leaf(&self) -> LeafHash {
        merkle::leaf(&encode(self))
    }
}

impl OutcomeHash {
    /// No contract did anything.
    pub const NONE: Self = Self([0; 32]);
}

/// The part of a block that its header commits to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Body {
    /// The commitments to the chain below and to contracts.
    pub context: Context,
    /// The miner's reward.
    pub reward: Reward,
    /// The transactions in the order in which they are applied.
    pub transactions: List<SignedTransaction>,
}

impl Body {
    /// The node above the context's leaf and the Merkle root over the reward and each transaction. So the context is proven
    /// by one hash, whatever the block holds.
    pub fn root(&self) -> LeafHash {
        merkle::node(&self.context.leaf(), &merkle::root(self.leaves()))
    }

    /// The leaves of the reward and of each transaction.
    pub fn leaves(&self) -> impl Iterator<Item = LeafHash> {
        std::iter::once(self.reward.leaf()).chain(self.transactions.iter().map(SignedTransaction::leaf))
    }
}

/// A block as it travels and is stored, not checked against any rule; see [`crate::check`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Block {
    /// The proof of work, and the commitment to the body.
    pub header: Header,
    /// The reward and the transactions.
    pub body: Body,
}

impl EncodedSize for Block {
    /// A header, a context, a reward of 28 bytes and an empty list.
    const ENCODED_BYTES_MIN: usize = HEADER_BYTES + CONTEXT_BYTES + 28 + 8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_96_bytes_with_the_nonce_last() {
        let header = Header {
            version: VERSION,
            height: Height(2),
            parent: BlockId([3; 32]),
            root: LeafHash([4; 32]),
            timestamp: UnixMillis(5),
            target: Target(6),
            nonce: 0x0807_0605_0403_0201,
        };
        let bytes = header.to_bytes();
        assert_eq!(bytes[..12], [2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[12..44], [3; 32]);
        assert_eq!(bytes[44..76], [4; 32]);
        assert_eq!(bytes[76..88], [5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(bytes[88..], [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
