//! The store on disk, beside a bare append of the same bytes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use quipu::engine::event::{Batch, MiningMode, Place, Stored, Write};
use quipu::engine::{Engine, EngineConfig};
use quipu::node::store::{FolderLock, Store};
use quipu::protocol::encode::encode;
use quipu::protocol::{Address, CheckedBlock, Ledger, Network};
use tempfile::TempDir;

use crate::world::{accounts, chain, network, transfers};

/// Blocks in one batch.
const BLOCKS: usize = 1_000;
const SENDERS: u64 = 1_000;
/// Blocks that a node starts with.
const STORED_BLOCKS: usize = 100_000;

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder")
}

fn open(folder: &Path, network: &Arc<Network>) -> (Store, Stored) {
    Store::open(FolderLock::acquire(folder, "bench").expect("free"), network).expect("in order")
}

/// Blocks with their deltas, in batches.
fn batches(chain: &[CheckedBlock], network: &Network) -> Vec<Batch> {
    let mut ledger = Ledger::from_accounts(accounts(SENDERS));
    let mut connect = |block: &CheckedBlock| {
        let delta = ledger.connect(block, network).expect("it keeps the rules");
        ledger.apply(&delta);
        let place = Place { height: block.header().height, id: block.id() };
        [Write::Block(Arc::new(block.clone())), Write::Connect { place, delta: Arc::new(delta) }]
    };
    let writes = chain.chunks(BLOCKS).map(|blocks| blocks.iter().flat_map(&mut connect).collect());
    (1..).zip(writes).map(|(sequence, writes)| Batch { sequence, writes }).collect()
}

fn one_batch(transactions: usize, network: &Network) -> (Vec<CheckedBlock>, Vec<Batch>) {
    let blocks = chain(BLOCKS, 0, &transfers((transactions * BLOCKS) as u64, SENDERS, network), network);
    let batches = batches(&blocks, network);
    (blocks, batches)
}

/// A committed batch of blocks with this many transactions each.
#[divan::bench(args = [0, 20], sample_count = 10, sample_size = 1)]
fn write_1000_blocks(bencher: Bencher, transactions: usize) {
    let network = network();
    let (_, batches) = one_batch(transactions, &network);
    let fresh = || {
        let folder = folder();
        (open(folder.path(), &network).0, folder)
    };
    bencher.counter(ItemsCount::new(BLOCKS)).with_inputs(fresh).bench_local_values(|(mut store, folder)| {
        store.write(&batches).expect("there is room");
        (store, folder)
    });
}

/// The bytes of the same blocks, without anything to find them by.
#[divan::bench(args = [0, 20], sample_count = 10, sample_size = 1)]
fn bare_append_and_fdatasync(bencher: Bencher, transactions: usize) {
    let (blocks, _) = one_batch(transactions, &network());
    let bytes: Vec<u8> = blocks.iter().flat_map(encode).collect();
    let fresh = || {
        let folder = folder();
        (File::create(folder.path().join("blocks")).expect("a file"), folder)
    };
    bencher.counter(BytesCount::new(bytes.len())).with_inputs(fresh).bench_local_values(|(mut file, folder)| {
        file.write_all(&bytes).expect("there is room");
        file.sync_data().expect("there is room");
        (file, folder)
    });
}

/// From the files to an engine that is ready.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn start_with_100000_blocks(bencher: Bencher) {
    let (network, folder) = (network(), folder());
    let batches = batches(&chain(STORED_BLOCKS, 0, &[], &network), &network);
    let (mut store, _) = open(folder.path(), &network);
    batches.iter().for_each(|batch| store.write(std::slice::from_ref(batch)).expect("there is room"));
    drop(store);
    bencher.counter(ItemsCount::new(STORED_BLOCKS)).bench_local(|| {
        let (store, stored) = open(folder.path(), &network);
        let (account, nickname, seed) = (Address([0; 20]), String::new(), [7; 32]);
        let config = EngineConfig { network: network.clone(), account, nickname, seed, mining: MiningMode::Off };
        (store, Engine::new(config, stored))
    });
}
