//! The counted paths: each prepares its data, and does its work in [`counted`].
//!
//! To add one, write a function and name it in [`ALL`]; then `scripts/instructions --bless NAME`.

use std::hint::black_box;

use quipu::engine::mempool::Mempool;
use quipu::protocol::check::check_block;
use quipu::protocol::encode::{DECODE_BYTES_MAX, decode, encode};
use quipu::protocol::{Address, Block, CheckedBlock, CheckedTransaction, Ledger, Network, merkle};

use crate::shell::BenchShell;
use crate::world::{accounts, block, chain, network, senders, signed_transfers, transfers};

/// A part of the name of [`counted`], as the linker knows it, that no other function has.
pub(crate) const COUNTED: &str = "paths7counted";

/// All of them, by name. The names say what their numbers mean.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("encode-block-1000", encode_block),
    ("decode-block-1000", decode_block),
    ("header-id-1000", header_id),
    ("transaction-id-1000", transaction_id),
    ("merkle-root-5000", merkle_root),
    ("check-block-100", check_block_with_signatures),
    ("connect-1000", connect),
    ("apply-and-revert-1000", apply_and_revert),
    ("mempool-add-2000", mempool_add),
    ("mempool-select-1000-of-4000", mempool_select),
    ("mempool-update-1000-of-4000", mempool_update),
    ("gossip-to-pool-200", gossip),
    ("sync-headers-2000", sync_headers),
    ("sync-blocks-100-of-20", sync_blocks),
    ("reorganise-100-of-20", reorganise),
];

/// The names of all paths.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// Runs the counted work. Valgrind starts and stops counting by this function's name, so it must stay a function.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    // Keeps the call above from becoming a jump, after which nothing would return here.
    black_box(());
}

/// Counts one call, and drops its result after the end of the count.
fn once<T>(work: impl FnOnce() -> T) {
    let (mut work, mut result) = (Some(work), None);
    counted(&mut || result = work.take().map(|work| black_box(work())));
    drop(result);
}

/// Accounts of the ledger in most paths: several times those that a block touches.
const ACCOUNTS: u64 = 2_000;

fn block_of(transactions: Vec<CheckedTransaction>, network: &Network) -> CheckedBlock {
    block(&network.genesis().header, 0, transactions, network)
}

fn encode_block() {
    let network = network();
    let block = block_of(transfers(1000, ACCOUNTS, &network), &network).to_block();
    once(|| encode(&block));
}

fn decode_block() {
    let network = network();
    let bytes = encode(&block_of(transfers(1000, ACCOUNTS, &network), &network));
    once(|| decode::<Block>(&bytes, DECODE_BYTES_MAX));
}

fn header_id() {
    let mut header = network().genesis().header;
    once(|| {
        for nonce in 0..1000 {
            header.nonce = nonce;
            black_box(header.id());
        }
    });
}

fn transaction_id() {
    let network = network();
    let (transactions, genesis) = (transfers(1000, ACCOUNTS, &network), network.genesis_id());
    once(|| transactions.iter().map(|one| one.signed().transaction.id(&genesis)).map(black_box).count());
}

fn merkle_root() {
    let leaves: Vec<_> = (0..5000_u32).map(|number| merkle::leaf(&number.to_le_bytes())).collect();
    once(|| merkle::root(leaves.iter().copied()));
}

fn check_block_with_signatures() {
    let network = network();
    let signed = signed_transfers(100, &network);
    let transactions = signed.into_iter().map(|signed| CheckedTransaction::recall(signed, &network)).collect();
    let block = block_of(transactions, &network).to_block();
    once(|| check_block(block, &network).expect("it keeps the rules"));
}

fn connect() {
    let network = network();
    let ledger = Ledger::from_accounts(accounts(ACCOUNTS));
    let block = block_of(transfers(1000, ACCOUNTS / 4, &network), &network);
    once(|| ledger.connect(&block, &network).expect("it keeps the rules"));
}

fn apply_and_revert() {
    let network = network();
    let mut ledger = Ledger::from_accounts(accounts(ACCOUNTS));
    let block = block_of(transfers(1000, ACCOUNTS / 4, &network), &network);
    let delta = ledger.connect(&block, &network).expect("it keeps the rules");
    once(|| {
        ledger.apply(&delta);
        ledger.revert(&delta);
    });
}

/// A pool with these transactions, and the ledger that it is for.
fn pool(transactions: &[CheckedTransaction]) -> (Mempool, Ledger) {
    let ledger = Ledger::from_accounts(accounts(ACCOUNTS));
    let mut pool = Mempool::default();
    add_all(&mut pool, transactions, &ledger);
    (pool, ledger)
}

fn add_all(pool: &mut Mempool, transactions: &[CheckedTransaction], ledger: &Ledger) {
    for transaction in transactions {
        pool.add(transaction.clone(), None, false, ledger).expect("there is room");
    }
}

fn mempool_add() {
    let network = network();
    let transactions = transfers(2000, ACCOUNTS / 2, &network);
    let (mut pool, ledger) = pool(&[]);
    once(|| add_all(&mut pool, &transactions, &ledger));
}

fn mempool_select() {
    let network = network();
    let (pool, ledger) = pool(&transfers(4000, ACCOUNTS, &network));
    let bytes_max: usize = transfers(1000, ACCOUNTS, &network).iter().map(CheckedTransaction::length).sum();
    once(|| pool.select(&ledger, bytes_max));
}

fn mempool_update() {
    let network = network();
    let (mut pool, mut ledger) = pool(&transfers(4000, ACCOUNTS, &network));
    let block = block_of(transfers(1000, ACCOUNTS, &network), &network);
    let delta = ledger.connect(&block, &network).expect("it keeps the rules");
    ledger.apply(&delta);
    let changed: Vec<Address> = delta.changes.iter().map(|change| change.address).collect();
    once(|| pool.update(changed, &ledger));
}

fn gossip() {
    let network = network();
    let signed = signed_transfers(200, &network);
    let mut shell = BenchShell::new(&network, senders(&signed));
    shell.gossip(signed, &mut |work| counted(work));
}

fn sync_headers() {
    let network = network();
    let chain = chain(2000, 0, &[], &network);
    BenchShell::new(&network, accounts(0)).follow(chain, &mut |work| counted(work));
}

/// Two chains of the same transactions, the second a block longer, and an engine that has neither.
fn branches() -> (BenchShell, [Vec<CheckedBlock>; 2]) {
    let network = network();
    let transactions = transfers(2020, ACCOUNTS, &network);
    let branches =
        [(100, 0), (101, 1)].map(|(blocks, miner)| chain(blocks, miner, &transactions[..blocks * 20], &network));
    (BenchShell::new(&network, accounts(ACCOUNTS)), branches)
}

fn sync_blocks() {
    let (mut shell, [chain, _]) = branches();
    shell.follow(chain, &mut |work| counted(work));
}

fn reorganise() {
    let (mut shell, [before, after]) = branches();
    shell.follow(before, &mut |work| work());
    shell.follow(after, &mut |work| counted(work));
}
