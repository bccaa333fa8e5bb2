//! The rules without state, applied once for a thousand nodes.
//!
//! They depend on nothing but the bytes and the network, so one node's result is the result for all. No check is
//! skipped: a look-up compares the whole value.

use std::collections::HashMap;

use crate::engine::Event;
use crate::engine::event::Key;
use crate::protocol::check::{check_block, check_transactions};
use crate::protocol::{Block, CheckedBlock, CheckedTransaction, Network, Signature, SignedTransaction, Violation};

/// Results in one generation. Two generations are kept, so a result outlasts at least this many others.
const RESULTS_MAX: usize = 32_768;

/// Results by a part of the checked value, in two generations.
#[derive(Debug)]
struct Memo<T> {
    young: HashMap<u64, T>,
    old: HashMap<u64, T>,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T> Memo<T> {
    fn get(&self, key: u64) -> Option<&T> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }

    fn insert(&mut self, key: u64, result: T) {
        if self.young.len() >= RESULTS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, result);
    }
}

/// The results so far.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    blocks: Memo<(Block, Result<CheckedBlock, Violation>)>,
    transactions: Memo<(SignedTransaction, Result<CheckedTransaction, Violation>)>,
}

impl Checks {
    /// Does what a [`CheckEffect::Blocks`](crate::engine::event::CheckEffect::Blocks) asks for.
    pub(crate) fn blocks(&mut self, key: Key, blocks: Vec<Block>, network: &Network) -> Event {
        let results = blocks.into_iter().map(|block| self.block(block, network)).collect();
        Event::BlocksChecked { key, results }
    }

    fn block(&mut self, block: Block, network: &Network) -> Result<CheckedBlock, Violation> {
        let key = word(&block.header.root.0) ^ word(&block.header.parent.0) ^ block.header.nonce;
        if let Some((_, result)) = self.blocks.get(key).filter(|(known, _)| *known == block) {
            return result.clone();
        }
        let result = check_block(block.clone(), network);
        self.blocks.insert(key, (block, result.clone()));
        result
    }

    /// Does what a [`CheckEffect::Transactions`](crate::engine::event::CheckEffect::Transactions) asks for.
    pub(crate) fn transactions(&mut self, key: Key, transactions: Vec<SignedTransaction>, network: &Network) -> Event {
        let results = transactions.into_iter().map(|signed| self.transaction(signed, network)).collect();
        Event::TransactionsChecked { key, results }
    }

    /// Whether any node had this checked lately, which only happens to transactions sent to another node.
    pub(crate) fn has_checked(&self, signed: &SignedTransaction) -> bool {
        let Signature::Ed25519(signature) = &signed.signature;
        self.transactions.get(word(signature)).is_some_and(|(known, _)| known == signed)
    }

    fn transaction(&mut self, signed: SignedTransaction, network: &Network) -> Result<CheckedTransaction, Violation> {
        let Signature::Ed25519(signature) = &signed.signature;
        let key = word(signature);
        if let Some((_, result)) = self.transactions.get(key).filter(|(known, _)| *known == signed) {
            return result.clone();
        }
        let result = check_transactions(vec![signed.clone()], network).pop().expect("one in, one out");
        self.transactions.insert(key, (signed, result.clone()));
        result
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().expect("hashes and signatures hold 8 bytes"))
}
