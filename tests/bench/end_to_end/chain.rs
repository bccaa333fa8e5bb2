//! Chains made in this process and stored as by a node: the data that measured nodes start with.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use quipu::engine::event::{Batch, Place, Write};
use quipu::node::store::{FolderLock, Store};
use quipu::node::wallet::Wallets;
use quipu::protocol::check::check_header;
use quipu::protocol::hash::sha256;
use quipu::protocol::{
    Action, Address, Amount, CheckedBlock, CheckedTransaction, Context, Delta, Header, HistoryNode, Ledger, Millis,
    Network, Peaks, Reward, SecretKey, Transaction, UnixMillis,
};

/// Time between two blocks.
const SPACING: Millis = Millis(10);
/// Blocks of one commit.
pub(crate) const COMMIT_BLOCKS: usize = 2_000;

/// A chain under construction.
pub(crate) struct StoredChain {
    pub(crate) network: Arc<Network>,
    ledger: Ledger,
    /// The header of the last block.
    tip: Header,
    /// All blocks up to it.
    peaks: Peaks,
    /// The blocks that have not been flushed.
    blocks: Vec<(Arc<CheckedBlock>, Arc<Delta>)>,
}

impl StoredChain {
    /// A chain of genesis alone.
    pub(crate) fn new(network: Network) -> Self {
        let tip = network.genesis().header;
        let peaks = Peaks::from_iter([HistoryNode::of(&tip)]);
        Self { network: Arc::new(network), ledger: Ledger::default(), tip, peaks, blocks: Vec::new() }
    }

    /// Adds a block, and returns the time for connecting it.
    pub(crate) fn add(&mut self, to: Address, transactions: Vec<CheckedTransaction>) -> Duration {
        let parent = &self.tip;
        let fees = transactions.iter().map(|transaction| transaction.signed().transaction.fee);
        let subsidy = self.network.parameters().subsidy;
        let amount = fees.fold(subsidy, |sum, fee| sum.checked_add(fee).expect("far below all coins"));
        let reward = Reward { to, amount };
        let context = Context::of(self.peaks.root());
        let mut header = Header {
            version: quipu::protocol::block::VERSION,
            height: parent.height.next(),
            parent: parent.id(),
            root: CheckedBlock::root_of(&context, &reward, &transactions),
            timestamp: UnixMillis(parent.timestamp.0 + SPACING.0),
            target: parent.target,
            nonce: 0,
        };
        while check_header(&header, &self.network).is_err() {
            header.nonce += 1;
        }
        let block = CheckedBlock::assemble(header, context, reward, transactions, &self.network).expect("valid");
        let start = Instant::now();
        let delta = self.ledger.connect(&block, &self.network).expect("valid in its place");
        self.ledger.apply(&delta);
        let time = start.elapsed();
        self.tip = *block.header();
        self.peaks.push(HistoryNode::of(&self.tip), |_, _| {});
        self.blocks.push((Arc::new(block), Arc::new(delta)));
        time
    }

    /// Length of the last block, in bytes.
    pub(crate) fn tip_bytes(&self) -> usize {
        self.blocks.last().map_or(0, |(block, _)| block.length())
    }

    /// Writes the whole chain to a new data folder.
    pub(crate) fn store(&self, folder: &Path) -> Result<()> {
        let lock = FolderLock::acquire(folder, "bench")?;
        let (mut store, _) = Store::open(lock, &self.network)?;
        self.write(&mut store)?;
        // A node refuses a folder that has lost its wallet.
        Wallets::make_first(folder)?;
        Ok(())
    }

    /// Writes the blocks added since the last time, and forgets them, so that a long chain takes little memory.
    pub(crate) fn flush(&mut self, store: &mut Store) -> Result<()> {
        self.write(store)?;
        self.blocks.clear();
        Ok(())
    }

    fn write(&self, store: &mut Store) -> Result<()> {
        for (sequence, chunk) in (1..).zip(self.blocks.chunks(COMMIT_BLOCKS)) {
            let writes = chunk.iter().flat_map(|(block, delta)| {
                let place = Place { height: block.header().height, id: block.id() };
                [Write::Block(Arc::clone(block)), Write::Connect { place, delta: Arc::clone(delta) }]
            });
            store.write(&[Batch { sequence, writes: writes.collect() }])?;
        }
        Ok(())
    }
}

/// The key of one of many accounts, the same in every run.
pub(crate) fn key(number: usize) -> SecretKey {
    SecretKey::from_seed(sha256(&[b"bench", &number.to_le_bytes()]))
}

/// A transfer without a fee.
pub(crate) fn transfer(
    key: &SecretKey,
    nonce: u64,
    to: Address,
    amount: Amount,
    network: &Network,
) -> CheckedTransaction {
    sign(key, nonce, Action::Transfer { to, amount }, network)
}

/// A record without a fee.
pub(crate) fn record(key: &SecretKey, nonce: u64, bytes: usize, network: &Network) -> CheckedTransaction {
    sign(key, nonce, Action::Record { data: vec![b'r'; bytes].into() }, network)
}

fn sign(key: &SecretKey, nonce: u64, action: Action, network: &Network) -> CheckedTransaction {
    let transaction = Transaction { sender: key.public_key(), nonce, fee: Amount::ZERO, action };
    CheckedTransaction::sign(transaction, key, network).expect("well formed")
}

/// The results of `make` for each number, made on all cores, in order.
pub(crate) fn on_all_cores<T: Send>(count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let part = count.div_ceil(cores).max(1);
    thread::scope(|scope| {
        let parts = (0..count).step_by(part).map(|first| first..count.min(first + part));
        let threads: Vec<_> = parts.map(|part| scope.spawn(|| part.map(&make).collect::<Vec<T>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    })
}
