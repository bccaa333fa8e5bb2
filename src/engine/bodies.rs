//! A bounded cache of block bodies and of what undoes them. Everything in it is in the store too.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use quipu_protocol::{CheckedBlock, Delta};

use super::index::BlockRef;

/// Encoded length of the cached blocks, in bytes, unless the shell sets another. The ones that were put in first leave first.
pub(crate) const BODY_CACHE_BYTES_MAX: usize = 32 << 20;

/// A block, and what connecting it changed if it was connected.
#[derive(Debug, Clone)]
pub(crate) struct Cached {
    pub(crate) block: Arc<CheckedBlock>,
    pub(crate) delta: Option<Arc<Delta>>,
}

/// The cache.
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

    /// Adds a block, or what undoes it to one that is there.
    pub(crate) fn insert(&mut self, block: BlockRef, entry: Cached) {
        let length = entry.block.length();
        if self.cached.insert(block, entry).is_none() {
            self.order.push_back(block);
            self.bytes += length;
        }
        while self.bytes > self.bytes_max && self.order.len() > 1 {
            let oldest = self.order.pop_front().expect("more than one is there");
            let left = self.cached.remove(&oldest).expect("the order names what is cached");
            self.bytes -= left.block.length();
        }
    }

    /// Changes the bound for what comes from now on.
    pub(crate) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Encoded length of what is cached, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
