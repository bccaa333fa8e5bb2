//! A bounded cache of block bodies and of their deltas. The store holds everything that is in it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use quipu_protocol::{CheckedBlock, Delta};

use super::header_tree::BlockRef;
use super::sync::BLOCKS_AHEAD_MAX;

/// Memory of the cached blocks, in bytes, unless the shell sets another. The oldest insertions are evicted first.
pub(crate) const BODY_CACHE_BYTES_MAX: usize = 32 << 20;

/// Cached blocks: of short ones fewer bytes do for every reorganisation that is met in practice. Until a block that was
/// fetched ahead is connected, all those before it come, and as many behind it: no fewer may be cached, or it would
/// have to be loaded again.
pub(crate) const BODY_CACHE_BLOCKS_MAX: usize = 2 * BLOCKS_AHEAD_MAX;

/// What a block takes in memory beside its encoded length, in bytes, in a container with its delta.
const BLOCK_ENTRY_BYTES: usize = 800;

/// The memory that a block takes in a container, in bytes. An empty one is five times as long as its encoding.
pub(crate) fn memory_of(block: &CheckedBlock) -> usize {
    block.length() + BLOCK_ENTRY_BYTES
}

/// A block, and the effect of connecting it, if it was connected.
#[derive(Debug, Clone)]
pub(crate) struct Cached {
    pub(crate) block: Arc<CheckedBlock>,
    pub(crate) delta: Option<Arc<Delta>>,
}

/// A cache of blocks in memory, by their number in the tree.
#[derive(Debug)]
pub(crate) struct Bodies {
    cached: HashMap<BlockRef, Cached>,
    order: VecDeque<BlockRef>,
    bytes: usize,
    bytes_max: usize,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { cached: HashMap::new(), order: VecDeque::new(), bytes: 0, bytes_max: BODY_CACHE_BYTES_MAX }
    }
}

impl Bodies {
    pub(crate) fn get(&self, block: BlockRef) -> Option<&Cached> {
        self.cached.get(&block)
    }

    /// Adds a block, or the delta of a block that is there.
    pub(crate) fn insert(&mut self, block: BlockRef, entry: Cached) {
        let length = memory_of(&entry.block);
        if self.cached.insert(block, entry).is_none() {
            self.order.push_back(block);
            self.bytes += length;
        }
        while self.order.len() > 1 && (self.bytes > self.bytes_max || self.order.len() > BODY_CACHE_BLOCKS_MAX) {
            let oldest = self.order.pop_front().expect("the cache holds more than one block");
            let left = self.cached.remove(&oldest).expect("the order names cached blocks only");
            self.bytes -= memory_of(&left.block);
        }
    }

    /// Changes the bound, from the next insertion on.
    pub(crate) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Memory of the cached blocks, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of cached blocks.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}
