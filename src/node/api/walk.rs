//! A walk along the best chain of one moment, over the blocks that a list is about.

use super::error::Failure;
use super::lookup;
use super::query::Order;
use crate::node::index::Period;
use crate::node::store::Snapshot;
use crate::protocol::encode::encode;
use crate::protocol::{Address, Block, Height};

/// A list ends early once the blocks that it left out are longer than this together.
pub(super) const LEFT_OUT_BYTES_MAX: usize = if cfg!(test) { 16 << 10 } else { 16 << 20 };
/// A block that is left out counts as at least so many bytes, since each has to be looked for.
pub(super) const LEFT_OUT_BYTES_MIN: usize = 1 << 10;

/// The blocks that a list is about. All conditions must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::node) struct BlockFilter {
    /// Its reward went to this account.
    pub(in crate::node) miner: Option<Address>,
    /// Its timestamp.
    pub(in crate::node) period: Period,
}

/// The part of a walk that is left.
pub(in crate::node) struct Walk {
    snapshot: Snapshot,
    miner: Option<Address>,
    order: Order,
    /// The lowest height, and the one above the highest.
    heights: (u64, u64),
    next: Option<u64>,
}

/// What a step leads to.
pub(in crate::node) enum Step {
    /// A block, and its size in bytes.
    At(Box<Block>, usize),
    /// So much was left out that the caller gets no more for now.
    Tired,
    End,
}

impl Walk {
    /// A walk from a height on; by default from the end of the chain at which the order begins.
    pub(in crate::node) fn start(
        snapshot: Snapshot,
        from: Option<Height>,
        order: Order,
        filter: &BlockFilter,
    ) -> Result<Self, Failure> {
        let tip = snapshot.tip().height;
        if let Some(first) = from.filter(|first| *first > tip) {
            return Err(lookup::above(tip, first));
        }
        let Period { since, until } = filter.period;
        let low = since.map_or(Ok(0), |since| snapshot.first_since(since))?;
        let end = until.map_or(Ok(tip.0 + 1), |until| snapshot.first_since(until))?;
        let next = match (order, from) {
            (Order::Oldest, from) => Some(from.map_or(low, |from| from.0.max(low))),
            (Order::Newest, Some(from)) => end.checked_sub(1).map(|last| from.0.min(last)),
            (Order::Newest, None) => end.checked_sub(1),
        };
        let mut walk = Self { snapshot, miner: filter.miner, order, heights: (low, end), next: None };
        walk.next = walk.within(next);
        Ok(walk)
    }

    /// The best block of the chain.
    pub(in crate::node) fn tip(&self) -> Height {
        self.snapshot.tip().height
    }

    /// The height of the next block, if there is one. It may be one that is left out.
    pub(in crate::node) fn next(&self) -> Option<u64> {
        self.next
    }

    /// Goes to the next block that the list is about. The walk stays there: see [`Walk::pass`].
    pub(in crate::node) fn step(&mut self) -> Result<Step, Failure> {
        let mut left_out = 0;
        while let Some(height) = self.next {
            if left_out > LEFT_OUT_BYTES_MAX {
                return Ok(Step::Tired);
            }
            let block = lookup::block_at(&self.snapshot, Height(height))?;
            let size = encode(&block).len();
            if self.miner.is_none_or(|miner| block.body.reward.to == miner) {
                return Ok(Step::At(Box::new(block), size));
            }
            left_out += size.max(LEFT_OUT_BYTES_MIN);
            self.pass();
        }
        Ok(Step::End)
    }

    /// Leaves the block behind.
    pub(in crate::node) fn pass(&mut self) {
        let next = self.next.and_then(|height| match self.order {
            Order::Oldest => Some(height + 1),
            Order::Newest => height.checked_sub(1),
        });
        self.next = self.within(next);
    }

    fn within(&self, height: Option<u64>) -> Option<u64> {
        height.filter(|height| (self.heights.0..self.heights.1).contains(height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::api::mined::{MinedFilter, mined};
    use crate::node::api::query::Range;
    use crate::node::tests::{folder, mine, node};

    const STRANGER: Address = Address([9; 20]);

    #[test]
    fn a_walk_that_leaves_much_out_pauses_and_goes_on() {
        let folder = folder();
        let node = node(folder.path());
        mine(&node, 40);
        let filter = BlockFilter { miner: Some(STRANGER), ..BlockFilter::default() };
        let snapshot = node.handle().reader().snapshot().expect("readable");
        let mut walk = Walk::start(snapshot, None, Order::Newest, &filter).expect("a height of the chain");
        let mut left = Vec::new();
        while let Step::Tired = walk.step().expect("readable") {
            left.push(walk.next());
        }
        assert_eq!(left, [Some(23), Some(6)], "17 blocks of a kilobyte are beyond the bound");
    }

    #[test]
    fn a_page_that_leaves_much_out_says_where_to_go_on() {
        let folder = folder();
        let node = node(folder.path());
        mine(&node, 40);
        let filter = MinedFilter { sender: Some(STRANGER), ..MinedFilter::default() };
        let (mut pages, mut before) = (0, None);
        loop {
            let page = mined(&node.handle(), &filter, &Range { before, limit: None }).expect("readable");
            assert!(page.transactions.is_empty());
            pages += 1;
            let Some(next) = page.next else { break };
            before = Some(next.parse().expect("a place in the list"));
        }
        assert_eq!(pages, 3);
    }
}
