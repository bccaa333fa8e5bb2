//! Data folders with long chains, which measured nodes start with.
//!
//! Making them takes longer than most measurements with them, so they stay in `target/bench/fixtures`. The name of each
//! tells its form: when the form of files or blocks changes, it is made anew and the old one is removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use crossbeam_channel::unbounded;
use quipu::node::index::ChainIndex;
use quipu::node::store::{FolderLock, Store};
use quipu::node::wallet::Wallets;
use quipu::protocol::encode::encode;
use quipu::protocol::hash::sha256;
use quipu::protocol::{Address, Amount, Block, CheckedTransaction, Height, Network, Parameters};
use tempfile::TempDir;

use crate::chain::{COMMIT_BLOCKS, StoredChain, key, on_all_cores, record, transfer};
use crate::process;

/// The files of a data folder that make up a chain.
const FILES: [&str; 2] = ["chain.redb", "index.redb"];
/// The parts of their form beside the encoding of blocks.
const FORM: [&str; 2] =
    [include_str!("../../../src/node/store/tables.rs"), include_str!("../../../src/node/index/row.rs")];
/// Full blocks that are in memory before they are written.
const FULL_BLOCKS_TOGETHER: usize = 20;

/// A chain of the network `dev` in a folder. Nodes get copies.
pub(crate) struct Fixture {
    folder: PathBuf,
    network: Arc<Network>,
    /// The height of the last block.
    pub(crate) height: u64,
}

impl Fixture {
    /// A chain of `blocks` blocks without transactions.
    pub(crate) fn empty(blocks: usize) -> Result<Self> {
        Self::cached(&format!("empty-{blocks}"), blocks, |chain, store| {
            for at in 1..=blocks {
                chain.add(miner(), Vec::new());
                if at % COMMIT_BLOCKS == 0 || at == blocks {
                    chain.flush(store)?;
                }
            }
            Ok(())
        })
    }

    /// A chain of `blocks` blocks of `transactions` transfers each, after one that makes the coins.
    pub(crate) fn full(blocks: usize, transactions: usize) -> Result<Self> {
        Self::cached(&format!("full-{blocks}x{transactions}"), blocks + 1, |chain, store| {
            chain.add(key(transactions).public_key().address(), Vec::new());
            for at in 0..blocks {
                let content = transfers(at, blocks, transactions, &chain.network);
                chain.add(miner(), content);
                if at % FULL_BLOCKS_TOGETHER == 0 || at + 1 == blocks {
                    chain.flush(store)?;
                }
            }
            Ok(())
        })
    }

    /// A chain of `blocks` blocks of `records` records of `bytes` bytes each.
    pub(crate) fn records(blocks: usize, records: usize, bytes: usize) -> Result<Self> {
        Self::cached(&format!("records-{blocks}x{records}x{bytes}"), blocks, |chain, store| {
            for at in 0..blocks {
                let content = on_all_cores(records, |number| record(&key(number), at as u64, bytes, &chain.network));
                chain.add(miner(), content);
                if at % FULL_BLOCKS_TOGETHER == 0 || at + 1 == blocks {
                    chain.flush(store)?;
                }
            }
            Ok(())
        })
    }

    fn cached(
        name: &str,
        blocks: usize,
        fill: impl FnOnce(&mut StoredChain, &mut Store) -> Result<()>,
    ) -> Result<Self> {
        let network = Network::new(Parameters::dev())?;
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench").join("fixtures");
        let folder = all.join(format!("{name}-{}", form(&network)));
        let fixture = Self { folder: folder.clone(), network: Arc::new(network.clone()), height: blocks as u64 };
        if folder.is_dir() {
            return Ok(fixture);
        }
        eprintln!("making {}", folder.display());
        fs::create_dir_all(&all).with_context(|| format!("cannot make {}", all.display()))?;
        for old in fs::read_dir(&all)?.filter_map(Result::ok) {
            let is_same = old.file_name().to_string_lossy().rsplit_once('-').is_some_and(|(old, _)| old == name);
            if is_same {
                fs::remove_dir_all(old.path())?;
            }
        }
        // It gets its name when it is complete.
        let new = tempfile::tempdir_in(&all)?;
        let mut chain = StoredChain::new(network);
        let (mut store, _) = Store::open(FolderLock::acquire(new.path(), "bench")?, &chain.network)?;
        fill(&mut chain, &mut store)?;
        index(new.path(), &store, &chain.network)?;
        drop(store);
        fs::rename(new.keep(), &folder)?;
        Ok(fixture)
    }

    /// A new folder with this chain, for one node.
    pub(crate) fn copy(&self) -> Result<TempDir> {
        let copy = process::folder();
        for file in FILES {
            let (from, to) = (self.folder.join(file), copy.path().join(file));
            fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
        // A node refuses a folder that has lost its wallet.
        Wallets::make_first(copy.path())?;
        Ok(copy)
    }

    /// All its blocks except genesis.
    pub(crate) fn blocks(&self) -> Result<Vec<Block>> {
        let copy = self.copy()?;
        let (store, _) = Store::open(FolderLock::acquire(copy.path(), "bench")?, &self.network)?;
        let snapshot = store.reader().snapshot()?;
        let block = |height| snapshot.block_at(Height(height))?.context("the chain is shorter than it says");
        (1..=self.height).map(block).collect()
    }

    /// The chain's network.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }
}

fn miner() -> Address {
    Address([9; 20])
}

/// The transfers of a full block: first one account gives all others the coins for the rest, then each gives to another
/// one.
fn transfers(block: usize, blocks: usize, count: usize, network: &Network) -> Vec<CheckedTransaction> {
    let rich = key(count);
    on_all_cores(count, |number| {
        let own = key(number);
        if block == 0 {
            let needed = Amount::from_units(blocks as u64);
            return transfer(&rich, number as u64, own.public_key().address(), needed, network);
        }
        let other = key((number + block) % count).public_key().address();
        transfer(&own, block as u64 - 1, other, Amount::from_units(1), network)
    })
}

/// A short name for the form of the files and of their content.
fn form(network: &Network) -> String {
    let sample = transfers(1, 2, 1, network).into_iter().map(|transfer| encode(transfer.signed())).collect::<Vec<_>>();
    let genesis = encode(network.genesis());
    let [tables, rows] = FORM.map(str::as_bytes);
    hex::encode(&sha256(&[tables, rows, &genesis, &sample.concat()])[..4])
}

/// Nodes keep an index; without one, they would start by building it.
fn index(folder: &Path, store: &Store, network: &Arc<Network>) -> Result<()> {
    let tip = store.reader().snapshot()?.tip();
    let (tell, told) = unbounded();
    let hear = move |tip| {
        // Only the last block is awaited.
        let _ = tell.send(tip);
    };
    let (index, thread) = ChainIndex::start(folder, store.reader(), network, hear)?;
    while told.recv().context("no index can be kept")? != tip {}
    index.stop();
    thread.join().expect("no panic");
    Ok(())
}
