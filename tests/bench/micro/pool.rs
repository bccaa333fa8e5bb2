//! The memory pool.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use quipu::engine::mempool::Mempool;
use quipu::protocol::{Address, CheckedTransaction, Ledger};

use crate::shell::BenchShell;
use crate::world::{accounts, block, network, senders, signed_transfers, transfers};

/// The number of accounts that send.
const SENDERS: u64 = 5_000;
/// The number of transactions that a block takes.
const TAKEN: u64 = 5_000;
/// The number of pending transactions before that.
const WAITING: u64 = 20_000;

fn filled(transactions: &[CheckedTransaction]) -> (Mempool, Ledger) {
    let (mut pool, ledger) = (Mempool::default(), Ledger::from_accounts(accounts(SENDERS)));
    add_all(&mut pool, transactions, &ledger);
    (pool, ledger)
}

fn add_all(pool: &mut Mempool, transactions: &[CheckedTransaction], ledger: &Ledger) {
    for transaction in transactions {
        pool.add(transaction.clone(), None, false, ledger).expect("there is room");
    }
}

#[divan::bench]
fn add_5000(bencher: Bencher) {
    let transactions = transfers(TAKEN, SENDERS, &network());
    let ledger = Ledger::from_accounts(accounts(SENDERS));
    bencher.counter(ItemsCount::new(TAKEN)).with_inputs(Mempool::default).bench_local_values(|mut pool| {
        add_all(&mut pool, &transactions, &ledger);
        pool
    });
}

#[divan::bench]
fn select_5000_of_20000(bencher: Bencher) {
    let transactions = transfers(WAITING, SENDERS, &network());
    let (pool, ledger) = filled(&transactions);
    let bytes_max = transactions[..TAKEN as usize].iter().map(CheckedTransaction::length).sum();
    bencher.counter(ItemsCount::new(TAKEN)).bench_local(|| black_box(&pool).select(&ledger, bytes_max));
}

#[divan::bench(sample_count = 20)]
fn update_after_5000_of_20000(bencher: Bencher) {
    let network = network();
    let transactions = transfers(WAITING, SENDERS, &network);
    let mut ledger = Ledger::from_accounts(accounts(SENDERS));
    let block = block(&network.genesis().header, 0, transactions[..TAKEN as usize].to_vec(), &network);
    let delta = ledger.connect(&block, &network).expect("it keeps the rules");
    ledger.apply(&delta);
    let changed: Vec<Address> = delta.changes.iter().map(|change| change.address).collect();
    let before = || filled(&transactions).0;
    bencher.counter(ItemsCount::new(TAKEN)).with_inputs(before).bench_local_values(|mut pool| {
        pool.update(changed.iter().copied(), &ledger);
        pool
    });
}

/// From a peer's messages to pending transactions, through the engine and with the checks between.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn gossip_1000_with_signatures(bencher: Bencher) {
    let network = network();
    let signed = signed_transfers(1_000, &network);
    let fresh = || (BenchShell::new(&network, senders(&signed)), signed.clone());
    bencher.counter(ItemsCount::new(1_000_u64)).with_inputs(fresh).bench_local_values(|(mut shell, signed)| {
        shell.gossip(signed, &mut |work| work());
        shell
    });
}
