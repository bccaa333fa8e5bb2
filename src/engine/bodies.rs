//! A bounded cache of block bodies and of their deltas. The store holds everything that is in it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use quipu_protocol::{CheckedBlock, Delta};

use super::header_tree::BlockRef;

/// Encoded length of the cached blocks, in bytes, unless the shell sets another. The oldest insertions are evicted
/// first.
pub(crate) const BODY_CACHE_BYTES_MAX: usize = 32 << 20;

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
        let length = entry.block.length();
        if self.cached.insert(block, entry).is_none() {
            self.order.push_back(block);
            self.bytes += length;
        }
        while self.bytes > self.bytes_max && self.order.len() > 1 {
            let oldest = self.order.pop_front().expect("the cache holds more than one block");
            let left = self.cached.remove(&oldest).expect("the order names cached blocks only");
            self.bytes -= left.block.length();
        }
    }

    /// Changes the bound, from the next insertion on.
    pub(crate) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Encoded length of the cached blocks, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
