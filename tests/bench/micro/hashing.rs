//! Identifiers and Merkle roots.

use divan::{Bencher, black_box};
use quipu::protocol::merkle;

use crate::world::{network, transfers};

#[divan::bench]
fn header_id(bencher: Bencher) {
    let header = network().genesis().header;
    bencher.bench_local(|| black_box(&header).id());
}

#[divan::bench]
fn transaction_id(bencher: Bencher) {
    let network = network();
    let (transactions, genesis) = (transfers(1, 1, &network), network.genesis_id());
    bencher.bench_local(|| black_box(&transactions[0]).signed().transaction.id(&genesis));
}

#[divan::bench]
fn merkle_root_5000(bencher: Bencher) {
    let leaves: Vec<_> = (0..5_000_u32).map(|number| merkle::leaf(&number.to_le_bytes())).collect();
    bencher.bench_local(|| merkle::root(black_box(&leaves).iter().copied()));
}
