//! The rules that need no accounts, signatures among them.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use quipu::protocol::CheckedTransaction;
use quipu::protocol::check::{check_block, check_header, check_transactions};

use crate::world::{block, network, signed_transfers};

#[divan::bench]
fn header(bencher: Bencher) {
    let network = network();
    let header = *block(&network.genesis().header, 0, Vec::new(), &network).header();
    bencher.bench_local(|| check_header(black_box(&header), &network));
}

#[divan::bench(args = [0, 1_000])]
fn whole_block(bencher: Bencher, transactions: u64) {
    let network = network();
    let signed = signed_transfers(transactions, &network).into_iter();
    let transactions = signed.map(|signed| CheckedTransaction::recall(signed, &network)).collect();
    let block = block(&network.genesis().header, 0, transactions, &network).to_block();
    let check = |block| check_block(block, &network).expect("it keeps the rules");
    bencher.with_inputs(|| block.clone()).bench_local_values(check);
}

#[divan::bench(args = [1, 64, 256, 1_024])]
fn transactions(bencher: Bencher, count: u64) {
    let network = network();
    let signed = signed_transfers(count, &network);
    let check = |signed| check_transactions(signed, &network);
    bencher.counter(ItemsCount::new(count)).with_inputs(|| signed.clone()).bench_local_values(check);
}
