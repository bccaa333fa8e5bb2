//! Connecting a block to the accounts, beside the map operations that it cannot do without.

use std::collections::HashMap;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use quipu::protocol::{Account, Action, Address, CheckedBlock, Delta, Ledger, Network};

use crate::world::{accounts, block, network, transfers};

/// The number of accounts, and of those that send the block's transactions: two each.
const ACCOUNTS: u64 = 100_000;
const SENDERS: u64 = TRANSACTIONS / 2;
/// The number of transactions in the block.
pub(crate) const TRANSACTIONS: u64 = 5_000;

/// A block that can be connected, and its ledger.
pub(crate) struct ConnectCase {
    network: Arc<Network>,
    block: CheckedBlock,
    ledger: Ledger,
    /// The same accounts in a bare map.
    map: HashMap<Address, Account>,
}

impl ConnectCase {
    pub(crate) fn new() -> Self {
        let network = network();
        let block = block(&network.genesis().header, 0, transfers(TRANSACTIONS, SENDERS, &network), &network);
        let (ledger, map) = (Ledger::from_accounts(accounts(ACCOUNTS)), accounts(ACCOUNTS).collect());
        Self { network, block, ledger, map }
    }

    /// Computes the block's effect.
    pub(crate) fn connect(&self) -> Delta {
        self.ledger.connect(&self.block, &self.network).expect("it keeps the rules")
    }

    /// Applies the effect, and reverts it.
    pub(crate) fn apply(&mut self, delta: &Delta) {
        self.ledger.apply(delta);
    }

    pub(crate) fn revert(&mut self, delta: &Delta) {
        self.ledger.revert(delta);
    }

    /// The bare map operations of connecting and applying. The state before must be kept until the whole block is known
    /// to be good, so both accounts of a transaction are looked up and put into a second map, and each changed one goes
    /// from there into the first.
    pub(crate) fn bare(&mut self) {
        let mut changed: HashMap<Address, Account> = HashMap::new();
        let map = &self.map;
        let mut touch = |address: Address| {
            let account = changed.get(&address).or_else(|| map.get(&address)).copied().unwrap_or_default();
            changed.insert(address, black_box(account));
        };
        for transaction in self.block.transactions() {
            touch(transaction.sender());
            if let Action::Transfer { to, .. } = &transaction.signed().transaction.action {
                touch(*to);
            }
        }
        touch(self.block.reward().to);
        self.map.extend(changed);
    }
}

#[divan::bench]
fn connect(bencher: Bencher) {
    let case = ConnectCase::new();
    bencher.counter(ItemsCount::new(TRANSACTIONS)).bench_local(|| case.connect());
}

#[divan::bench]
fn apply_and_revert(bencher: Bencher) {
    let mut case = ConnectCase::new();
    let delta = case.connect();
    bencher.counter(ItemsCount::new(TRANSACTIONS)).bench_local(|| {
        case.apply(&delta);
        case.revert(&delta);
    });
}

#[divan::bench]
fn bare_map_operations(bencher: Bencher) {
    let mut case = ConnectCase::new();
    bencher.counter(ItemsCount::new(TRANSACTIONS)).bench_local(|| case.bare());
}
