//! The part of the best chain that a receipt shows.

use quipu_protocol::receipt::{Form, Shape, ShownChain};
use quipu_protocol::{Height, Work};

use super::Chain;
use crate::engine::event::Place;

impl Chain {
    /// What a receipt for a block shows of the chain that ends at `tip`, in this form or else in the smallest that shows work.
    /// `None` if the tip is not on the best chain, if the block is not below or at it or is genesis, while a reorganisation is
    /// under way, or if a receipt cannot hold as many headers.
    pub(crate) fn shown(&self, block: Height, tip: Place, form: Option<Form>) -> Option<ShownChain> {
        let is_there = self.best.get(tip.height.0 as usize).is_some_and(|found| self.tree.id(*found) == tip.id);
        if !is_there || self.reorganisation.is_some() || block == Height::GENESIS || block > tip.height {
            return None;
        }
        let below =
            |height: u64| height.checked_sub(1).map_or(Work::ZERO, |top| self.tree.work(self.best[top as usize]));
        let shape = Shape::choose(block, (tip.height, &tip.id), form, below)?;
        let leaf = |height: u64| self.tree.history_node(self.best[height as usize]);
        let header = |height: u64| self.tree.header(self.best[height as usize]);
        Some(shape.gather(header, |range| self.history.node(range, &leaf)))
    }
}
