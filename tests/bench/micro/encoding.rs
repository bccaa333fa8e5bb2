//! Blocks to bytes and back.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use quipu::protocol::Block;
use quipu::protocol::encode::{DECODE_BYTES_MAX, decode, encode};

use crate::world::{block, network, transfers};

fn block_of(transactions: u64) -> Block {
    let network = network();
    let transactions = transfers(transactions, 2_000, &network);
    block(&network.genesis().header, 0, transactions, &network).to_block()
}

#[divan::bench(args = [1_000, 5_000])]
fn encode_block(bencher: Bencher, transactions: u64) {
    let block = block_of(transactions);
    let bytes = encode(&block).len();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| encode(black_box(&block)));
}

#[divan::bench(args = [1_000, 5_000])]
fn decode_block(bencher: Bencher, transactions: u64) {
    let bytes = encode(&block_of(transactions));
    let decode = || decode::<Block>(black_box(&bytes), DECODE_BYTES_MAX);
    bencher.counter(BytesCount::new(bytes.len())).bench_local(decode);
}
