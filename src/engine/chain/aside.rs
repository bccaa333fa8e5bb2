//! Bodies: those of side branches stay in memory, and go to the store once their chain has more work than ours.
//!
//! A block beside the best chain costs as little work as the easiest block of the last hundred, so the store must not
//! keep all that peers send. After a restart, the blocks put aside are unknown, and are fetched again if their chain has
//! more work by then.
//!
//! Always true: the block to which [`Chain::stored_goal`] leads, and all below it, are in the store.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use quipu_protocol::{CheckedBlock, Work};

use super::super::bodies::{Cached, memory_of};
use super::super::event::Write;
use super::super::header_tree::{BlockRef, HeaderTree};
use super::Chain;

/// Memory of the bodies put aside, in bytes. Those with the least work give way, and of equals the newest.
pub(crate) const ASIDE_BYTES_MAX: usize = 16 << 20;

/// Bodies of side branches.
#[derive(Debug, Default)]
pub(super) struct Aside {
    bodies: BTreeMap<(Work, Reverse<BlockRef>), Arc<CheckedBlock>>,
    bytes: usize,
}

impl Aside {
    /// Adds a body, and returns the blocks that give way.
    fn insert(&mut self, block: BlockRef, work: Work, body: Arc<CheckedBlock>) -> Vec<BlockRef> {
        self.bytes += memory_of(&body);
        self.bodies.insert((work, Reverse(block)), body);
        let mut gone = Vec::new();
        while self.bytes > ASIDE_BYTES_MAX {
            let ((_, Reverse(block)), body) = self.bodies.pop_first().expect("what has a length is there");
            self.bytes -= memory_of(&body);
            gone.push(block);
        }
        gone
    }

    fn take(&mut self, block: BlockRef, tree: &HeaderTree) -> Option<Arc<CheckedBlock>> {
        if self.bodies.is_empty() {
            return None;
        }
        let body = self.bodies.remove(&(tree.work(block), Reverse(block)))?;
        self.bytes -= memory_of(&body);
        Some(body)
    }
}

impl Chain {
    /// Keeps a checked block whose header is in the tree, in the store or, while its chain has no more work than ours,
    /// in memory. The path connects it later.
    pub(crate) fn insert_body(&mut self, block: BlockRef, body: Arc<CheckedBlock>) {
        let work = self.tree.work(block);
        if work > self.tree.work(self.tip()) || self.path_position(block).is_some() {
            return self.store_body(block, body);
        }
        if self.tree.has_body(block) || self.tree.is_barred(block) {
            return;
        }
        self.tree.set_has_body(block, true);
        self.note_delivered(block);
        for gone in self.aside.insert(block, work, body) {
            self.tree.set_has_body(gone, false);
        }
    }

    /// Keeps a checked block of the node's own user in the store, whatever its work.
    pub(crate) fn store_body(&mut self, block: BlockRef, body: Arc<CheckedBlock>) {
        if self.tree.has_body(block) || self.tree.is_barred(block) {
            return self.store_aside(block);
        }
        self.tree.set_has_body(block, true);
        self.note_delivered(block);
        self.writes.push(Write::Block(body.clone()));
        self.bodies.insert(block, Cached { block: body, delta: None });
        self.count_ready();
        // The path counts its own blocks.
        if self.path_position(block).is_none() && self.is_stored_and_better(block, self.stored_better) {
            self.set_stored_better(Some(block));
        }
    }

    /// Sets the best stored block, and has all below it stored.
    pub(super) fn set_stored_better(&mut self, better: Option<BlockRef>) {
        self.stored_better = better;
        if let Some(better) = better {
            self.store_below(better);
        }
    }

    /// Has a block and all below it stored, as far as their bodies are there.
    pub(crate) fn store_below(&mut self, mut block: BlockRef) {
        while !self.is_best(block) {
            self.store_aside(block);
            block = self.tree.parent(block);
        }
    }

    /// Moves a body to the store, if it was put aside.
    pub(super) fn store_aside(&mut self, block: BlockRef) {
        if let Some(body) = self.aside.take(block, &self.tree) {
            self.writes.push(Write::Block(body.clone()));
            self.bodies.insert(block, Cached { block: body, delta: None });
        }
    }

    /// Whether the store has the body, or is about to.
    pub(crate) fn is_stored(&self, block: BlockRef) -> bool {
        let key = (self.tree.work(block), Reverse(block));
        self.tree.has_body(block) && (self.aside.bodies.is_empty() || !self.aside.bodies.contains_key(&key))
    }

    /// Memory of the bodies put aside, in bytes.
    pub(crate) fn aside_bytes(&self) -> usize {
        self.aside.bytes
    }
}
