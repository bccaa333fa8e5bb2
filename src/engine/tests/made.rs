//! Blocks and transactions for tests to send.

use quipu_protocol::check::check_header;
use quipu_protocol::{
    Action, Amount, Block, BlockId, Body, Context, Header, HistoryNode, Peaks, Reward, SignedTransaction, Transaction,
};

use super::{Bench, key};

impl Bench {
    /// `count` blocks on top of a header, each with its height in the reward's address so that branches differ.
    pub(super) fn chain(&self, on: &Header, count: u64, branch: u8) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for _ in 0..count {
            let parent = blocks.last().map_or(*on, |block| block.header);
            blocks.push(self.block(&parent, branch, vec![]));
        }
        blocks
    }

    /// Blocks of nearly 4 MiB each.
    pub(super) fn large_chain(&self, on: &Header, count: u64, branch: u8) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let key = key(branch);
        for height in 0..count {
            let parent = blocks.last().map_or(*on, |block| block.header);
            let record = |number: u64| {
                let action = Action::Record { data: vec![7; 4096].into() };
                let transaction =
                    Transaction { sender: key.public_key(), nonce: 970 * height + number, fee: Amount::ZERO, action };
                transaction.sign(&self.network.genesis_id(), &key)
            };
            blocks.push(self.block(&parent, branch, (0..970).map(record).collect()));
        }
        blocks
    }

    pub(super) fn block(&self, parent: &Header, branch: u8, transactions: Vec<SignedTransaction>) -> Block {
        let fees: u64 = transactions.iter().map(|signed| signed.transaction.fee.units()).sum();
        let amount = Amount::from_units(Amount::COIN.units() + fees);
        let reward = Reward { to: key(branch).public_key().address(), amount };
        self.solve(parent, Body { context: self.context(parent), reward, transactions: transactions.into() }, |_| {})
    }

    /// The context of a block on top of this one.
    pub(super) fn context(&self, parent: &Header) -> Context {
        Context::of(self.peaks(&parent.id()).root())
    }

    /// All blocks up to one that was made here or is the engine's tip. Genesis alone for others.
    fn peaks(&self, block: &BlockId) -> Peaks {
        if let Some(peaks) = self.histories.borrow().get(block) {
            return peaks.clone();
        }
        if *block == self.engine.chain.tree().id(self.engine.chain.tip()) {
            return self.engine.chain.peaks().clone();
        }
        Peaks::from_iter([HistoryNode::of(&self.genesis())])
    }

    pub(super) fn solve(&self, parent: &Header, body: Body, change: impl Fn(&mut Header)) -> Block {
        let mut header = Header {
            version: quipu_protocol::block::VERSION,
            height: parent.height.next(),
            parent: parent.id(),
            root: body.root(),
            timestamp: parent.timestamp,
            target: self.network.parameters().easiest_target,
            nonce: 0,
        };
        change(&mut header);
        while check_header(&header, &self.network).is_err_and(|violation| violation.rule() == 6) {
            header.nonce += 1;
        }
        let mut peaks = self.peaks(&header.parent);
        peaks.push(HistoryNode::of(&header), |_, _| {});
        self.histories.borrow_mut().insert(header.id(), peaks);
        Block { header, body }
    }

    pub(super) fn genesis(&self) -> Header {
        self.network.genesis().header
    }

    pub(super) fn send(&self, from: u8, nonce: u64, to: u8, units: u64, fee: u64) -> SignedTransaction {
        let key = key(from);
        let action = Action::Transfer { to: super::key(to).public_key().address(), amount: Amount::from_units(units) };
        Transaction { sender: key.public_key(), nonce, fee: Amount::from_units(fee), action }
            .sign(&self.network.genesis_id(), &key)
    }
}
