//! The transactions and rewards of the best chain, the newest first, without an index.

use super::error::Failure;
use super::query::{Order, Range};
use super::rows::{MinedPage, MinedRow, TransactionRow};
use super::walk::{BlockFilter, LEFT_OUT_BYTES_MAX, LEFT_OUT_BYTES_MIN, Step, Walk};
use crate::node::handle::Handle;
use crate::node::index::{Cursor, Period};
use crate::protocol::{Address, Block, Height};

/// Those that a list is about.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::node) struct MinedFilter {
    /// Signed by this account. Nobody has signed a reward.
    pub(in crate::node) sender: Option<Address>,
    /// The timestamp of the block.
    pub(in crate::node) period: Period,
}

/// The part of the list that is left, from one moment of the chain.
pub(in crate::node) struct Mined {
    handle: Handle,
    walk: Walk,
    before: Option<Cursor>,
    sender: Option<Address>,
}

/// The rows that a block gives the list, and the bytes that were read for them.
struct OfBlock {
    height: u64,
    size: usize,
    rows: Vec<(Cursor, MinedRow)>,
}

impl Mined {
    /// The list from the row before `before` on.
    pub(in crate::node) fn start(
        handle: &Handle,
        filter: &MinedFilter,
        before: Option<Cursor>,
    ) -> Result<Self, Failure> {
        let snapshot = handle.reader().snapshot()?;
        let from = before.map(|cursor| Height(cursor.height()).min(snapshot.tip().height));
        let blocks = BlockFilter { miner: None, period: filter.period };
        let walk = Walk::start(snapshot, from, Order::Newest, &blocks)?;
        Ok(Self { handle: handle.clone(), walk, before, sender: filter.sender })
    }

    /// The rows of the next block, perhaps none; `None` at the end.
    pub(in crate::node) fn more(&mut self) -> Result<Option<Vec<MinedRow>>, Failure> {
        Ok(self.step()?.map(|found| found.rows.into_iter().map(|(_, row)| row).collect()))
    }

    fn step(&mut self) -> Result<Option<OfBlock>, Failure> {
        let Step::At(block, size) = self.walk.step()? else { return Ok(None) };
        self.walk.pass();
        let height = block.header.height.0;
        Ok(Some(OfBlock { height, size, rows: self.rows(&block) }))
    }

    fn rows(&self, block: &Block) -> Vec<(Cursor, MinedRow)> {
        let (header, network) = (&block.header, self.handle.network());
        let id = header.id();
        let row = |slot: usize, transaction| {
            let cursor = Cursor::new(header.height.0, slot as u64).expect("a stored block has a place in the index");
            (cursor, MinedRow { height: header.height, block: id, timestamp: header.timestamp, transaction })
        };
        let mut rows = Vec::new();
        for (position, signed) in block.body.transactions.iter().enumerate().rev() {
            let sender = signed.transaction.sender.address();
            if self.sender.is_none_or(|wanted| wanted == sender) {
                let id = signed.transaction.id(&network.genesis_id());
                rows.push(row(position + 1, TransactionRow::new(signed, id, sender)));
            }
        }
        if self.sender.is_none() {
            let reward = &block.body.reward;
            rows.push(row(0, TransactionRow::reward(reward, reward.id(&header.parent))));
        }
        rows.retain(|(cursor, _)| self.before.is_none_or(|before| *cursor < before));
        rows
    }
}

/// A page of the list.
pub(in crate::node) fn mined(handle: &Handle, filter: &MinedFilter, range: &Range) -> Result<MinedPage, Failure> {
    let mut list = Mined::start(handle, filter, range.before)?;
    let (mut transactions, mut last, mut left_out) = (Vec::new(), None, 0);
    while let Some(OfBlock { height, size, rows }) = list.step()? {
        if rows.is_empty() {
            left_out += size.max(LEFT_OUT_BYTES_MIN);
        }
        for (cursor, row) in rows {
            if transactions.len() == range.rows() {
                return Ok(MinedPage { transactions, next: last.map(|last: Cursor| last.to_string()) });
            }
            transactions.push(row);
            last = Some(cursor);
        }
        if left_out > LEFT_OUT_BYTES_MAX {
            // Whatever is below this block.
            return Ok(MinedPage { transactions, next: Cursor::new(height, 0).map(|next| next.to_string()) });
        }
    }
    Ok(MinedPage { transactions, next: None })
}
