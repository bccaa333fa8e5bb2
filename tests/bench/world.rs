//! Accounts, transactions, blocks and chains for benchmarks, the same each time.
//!
//! Signatures are made only where they are verified: the other transactions are recalled, as from a store.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use quipu::protocol::check::check_header;
use quipu::protocol::hash::sha256;
use quipu::protocol::{
    Account, Action, Address, Amount, BlockId, CheckedBlock, CheckedTransaction, Context, Header, HistoryNode, Network,
    Parameters, Peaks, PublicKey, Reward, SecretKey, Signature, SignedTransaction, Transaction,
};

/// The coins of each account at genesis, in units.
const BALANCE_UNITS: u64 = 1 << 50;

/// A network of the easiest difficulty.
pub(crate) fn network() -> Arc<Network> {
    Arc::new(Network::new(Parameters::dev()).expect("a preset is valid"))
}

/// The first accounts, before anything is sent.
pub(crate) fn accounts(count: u64) -> impl Iterator<Item = (Address, Account)> {
    (0..count).map(|number| (address(number), Account { balance: Amount::from_units(BALANCE_UNITS).into(), nonce: 0 }))
}

/// The address of an account that nobody can sign for.
pub(crate) fn address(number: u64) -> Address {
    public_key(number).address()
}

fn public_key(number: u64) -> PublicKey {
    PublicKey::Ed25519(sha256(&[b"account", &number.to_le_bytes()]))
}

/// Transfers from accounts in turn, starting with the first account and its first nonce. Each pays to another sending
/// account, at one of a hundred fees.
pub(crate) fn transfers(count: u64, accounts: u64, network: &Network) -> Vec<CheckedTransaction> {
    let transfer = |number: u64| {
        let content = transfer(number, accounts, public_key(number % accounts));
        let signed = SignedTransaction { transaction: content, signature: Signature::Ed25519([7; 64]) };
        CheckedTransaction::recall(signed, network)
    };
    (0..count).map(transfer).collect()
}

/// The same, but each from an account of its own that has signed it.
pub(crate) fn signed_transfers(count: u64, network: &Network) -> Vec<SignedTransaction> {
    let sign = |number: u64| {
        let key = SecretKey::from_seed(sha256(&[b"secret", &number.to_le_bytes()]));
        transfer(number, count, key.public_key()).sign(&network.genesis_id(), &key)
    };
    (0..count).map(sign).collect()
}

/// The accounts of those, before anything is sent.
pub(crate) fn senders(signed: &[SignedTransaction]) -> impl Iterator<Item = (Address, Account)> {
    let rich = Account { balance: Amount::from_units(BALANCE_UNITS).into(), nonce: 0 };
    signed.iter().map(move |one| (one.transaction.sender.address(), rich))
}

fn transfer(number: u64, accounts: u64, sender: PublicKey) -> Transaction {
    let (nonce, fee) = (number / accounts, Amount::from_units(number * 7919 % 100));
    // Accounts are paid in another order than they pay.
    let to = address((number % accounts * 5 + 1) % accounts);
    Transaction { sender, nonce, fee, action: Action::Transfer { to, amount: Amount::from_units(1 + number % 10) } }
}

/// Of each block that was made here and all below it.
static HISTORIES: LazyLock<Mutex<HashMap<BlockId, Peaks>>> = LazyLock::new(Mutex::default);

/// All blocks up to one that was made here; without those below if it was not.
fn up_to(block: &Header) -> Peaks {
    let known = HISTORIES.lock().expect("no panic").get(&block.id()).cloned();
    known.unwrap_or_else(|| Peaks::from_iter([HistoryNode::of(block)]))
}

/// A block on top of another. Different miners make different blocks of the same transactions.
pub(crate) fn block(
    parent: &Header,
    miner: u64,
    transactions: Vec<CheckedTransaction>,
    network: &Network,
) -> CheckedBlock {
    let fees: u64 = transactions.iter().map(|one| one.signed().transaction.fee.units()).sum();
    let amount = Amount::from_units(network.parameters().subsidy.units() + fees);
    let reward = Reward { to: address(u64::MAX - miner), amount };
    let mut peaks = up_to(parent);
    let context = Context::of(peaks.root());
    let mut header = Header {
        version: quipu::protocol::block::VERSION,
        height: parent.height.next(),
        parent: parent.id(),
        root: CheckedBlock::root_of(&context, &reward, &transactions),
        timestamp: parent.timestamp,
        target: parent.target,
        nonce: 0,
    };
    while check_header(&header, network).is_err() {
        header.nonce += 1;
    }
    peaks.push(HistoryNode::of(&header), |_, _| {});
    HISTORIES.lock().expect("no panic").insert(header.id(), peaks);
    CheckedBlock::assemble(header, context, reward, transactions, network).expect("valid without the accounts")
}

/// A chain of `blocks` blocks from genesis on, with these transactions divided among them.
pub(crate) fn chain(
    blocks: usize,
    miner: u64,
    transactions: &[CheckedTransaction],
    network: &Network,
) -> Vec<CheckedBlock> {
    let each = transactions.len() / blocks;
    let mut parent = network.genesis().header;
    let one = |at: usize| {
        let block = block(&parent, miner, transactions[at * each..(at + 1) * each].to_vec(), network);
        parent = *block.header();
        block
    };
    (0..blocks).map(one).collect()
}
