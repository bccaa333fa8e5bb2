//! Small chains for the tests of this folder.

use std::ops::Range;
use std::sync::Arc;

use crate::engine::event::{Batch, Place, Write};
use crate::protocol::check::{check_header, check_transaction};
use crate::protocol::history::halves;
use crate::protocol::receipt::{Form, Shape, ShownChain};
use crate::protocol::{
    Action, Address, Amount, CheckedBlock, CheckedTransaction, Context, Delta, Header, Height, HistoryNode, Ledger,
    Millis, Network, Parameters, Peaks, Reward, SecretKey, Transaction, UnixMillis,
};

/// A node of the tree over these blocks.
fn node(headers: &[Header], range: Range<u64>) -> HistoryNode {
    if range.end - range.start == 1 {
        return HistoryNode::of(&headers[range.start as usize]);
    }
    let (left, right) = halves(&range);
    HistoryNode::above(&node(headers, left), &node(headers, right))
}

/// A chain on the network `dev`.
pub(crate) struct Chain {
    pub(crate) network: Arc<Network>,
    pub(crate) key: SecretKey,
    pub(crate) ledger: Ledger,
    pub(crate) blocks: Vec<(Arc<CheckedBlock>, Arc<Delta>)>,
    /// Over genesis and the blocks.
    peaks: Peaks,
}

impl Chain {
    /// A chain of genesis alone. Chains of other seeds have other blocks.
    pub(crate) fn new(seed: u8) -> Self {
        let network = Arc::new(Network::new(Parameters::dev()).expect("a preset is valid"));
        let peaks = Peaks::from_iter([HistoryNode::of(&network.genesis().header)]);
        let (key, ledger) = (SecretKey::from_seed([seed; 32]), Ledger::opening(&network));
        Self { network, key, ledger, blocks: Vec::new(), peaks }
    }

    /// The address that is paid by default.
    pub(crate) fn address(&self) -> Address {
        self.key.public_key().address()
    }

    /// The tip.
    pub(crate) fn tip(&self) -> Place {
        self.blocks
            .last()
            .map_or(Place { height: Height::GENESIS, id: self.network.genesis_id() }, |(block, _)| place(block))
    }

    /// What a receipt shows of the chain, as the engine would say.
    pub(crate) fn show(&self, block: Height, tip: Place, form: Option<Form>) -> Option<ShownChain> {
        let genesis = std::iter::once(self.network.genesis().header);
        let headers: Vec<_> = genesis.chain(self.blocks.iter().map(|(block, _)| *block.header())).collect();
        let below = |height: u64| headers[..height as usize].iter().map(|header| HistoryNode::of(header).work).sum();
        let is_there = headers.get(tip.height.0 as usize).is_some_and(|header| header.id() == tip.id);
        let shape = is_there.then(|| Shape::choose(block, (tip.height, &tip.id), form, below)).flatten()?;
        Some(shape.gather(|height| headers[height as usize], |range| node(&headers, range)))
    }

    /// A transfer of one coin that the chain would take next.
    pub(crate) fn transfer(&self, nonce: u64) -> CheckedTransaction {
        self.signed(&self.key, nonce, Action::Transfer { to: Address([9; 20]), amount: Amount::COIN })
    }

    /// A transaction without a fee.
    pub(crate) fn signed(&self, key: &SecretKey, nonce: u64, action: Action) -> CheckedTransaction {
        let transaction = Transaction { sender: key.public_key(), nonce, fee: Amount::ZERO, action };
        let signed = transaction.sign(&self.network.genesis_id(), key);
        check_transaction(signed, &self.network).expect("well formed")
    }

    /// Adds a block, paid to [`Chain::address`], of the same time as its parent.
    pub(crate) fn mine(&mut self, transactions: Vec<CheckedTransaction>) {
        self.mine_for(self.address(), Millis(0), transactions);
    }

    /// Adds a block whose timestamp is `later` than its parent's.
    pub(crate) fn mine_for(&mut self, to: Address, later: Millis, transactions: Vec<CheckedTransaction>) {
        let parent = self.blocks.last().map_or(&self.network.genesis().header, |(block, _)| block.header());
        let context = Context::of(self.peaks.root());
        let reward = Reward { to, amount: self.network.parameters().subsidy };
        let mut header = Header {
            version: crate::protocol::block::VERSION,
            height: parent.height.next(),
            parent: parent.id(),
            root: CheckedBlock::root_of(&context, &reward, &transactions),
            timestamp: UnixMillis(parent.timestamp.0 + later.0),
            target: self.network.parameters().easiest_target,
            nonce: 0,
        };
        while check_header(&header, &self.network).is_err() {
            header.nonce += 1;
        }
        let block = CheckedBlock::assemble(header, context, reward, transactions, &self.network).expect("valid");
        let delta = self.ledger.connect(&block, &self.network).expect("valid in its place");
        self.ledger.apply(&delta);
        self.peaks.push(HistoryNode::of(block.header()), |_, _| {});
        self.blocks.push((Arc::new(block), Arc::new(delta)));
    }

    /// Writes that store and connect the blocks above `height`.
    pub(crate) fn writes_above(&self, height: usize) -> Vec<Write> {
        self.blocks[height..]
            .iter()
            .flat_map(|(block, delta)| [Write::Block(Arc::clone(block)), connect(block, delta)])
            .collect()
    }

    /// Writes that disconnect the blocks above `height`, the tip first.
    pub(crate) fn undo_above(&self, height: usize) -> Vec<Write> {
        let blocks = self.blocks[height..].iter().rev();
        blocks.map(|(block, delta)| Write::Disconnect { place: place(block), delta: Arc::clone(delta) }).collect()
    }
}

pub(crate) fn place(block: &CheckedBlock) -> Place {
    Place { height: block.header().height, id: block.id() }
}

fn connect(block: &CheckedBlock, delta: &Arc<Delta>) -> Write {
    Write::Connect { place: place(block), delta: Arc::clone(delta) }
}

/// A batch of these writes.
pub(crate) fn batch(sequence: u64, writes: Vec<Write>) -> Batch {
    Batch { sequence, writes }
}
