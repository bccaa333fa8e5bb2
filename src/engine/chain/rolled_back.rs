//! The report of a reorganisation to the user: transactions that left the best chain, and which of them are mined
//! again.
//!
//! A deep reorganisation moves hundreds of thousands of transactions, and the report has a few thousand. So only those
//! are looked up in the connected blocks. Deliberately absent: the fate of the others, which follows from the nonces of
//! the accounts.

use std::collections::HashMap;

use quipu_protocol::{Action, Address, CheckedBlock, CheckedTransaction, TransactionId};

use super::super::event::{Place, ROLLED_BACK_TOLD_MAX};
use super::super::header_tree::IdHashes;

/// Up to [`ROLLED_BACK_TOLD_MAX`] transactions that left the best chain.
#[derive(Debug)]
pub(crate) struct RollbackReport {
    /// The transactions, each with its former block.
    transactions: Vec<(Place, CheckedTransaction)>,
    /// For each, whether a block connected now has it.
    mined_again: HashMap<TransactionId, bool, IdHashes>,
    /// The number of transactions that no connected block has.
    not_mined: usize,
}

/// A block that left the best chain.
#[derive(Debug)]
pub(super) struct LeftBlock<'a> {
    pub(super) place: Place,
    pub(super) body: &'a CheckedBlock,
    /// Whether the reported account may occur in it.
    pub(super) may_concern: bool,
}

impl RollbackReport {
    /// Chooses transactions from or to the account, then others, each in the order of the blocks. The kept transactions
    /// of newer blocks come last; all of them are the account's.
    pub(super) fn choose<'a>(
        blocks: impl Iterator<Item = LeftBlock<'a>>,
        kept: impl Iterator<Item = (Place, CheckedTransaction)>,
        account: &Address,
        hashes: IdHashes,
    ) -> Self {
        let (mut transactions, mut others) = (Vec::new(), Vec::new());
        for LeftBlock { place, body, may_concern } in blocks {
            if !may_concern && others.len() >= ROLLED_BACK_TOLD_MAX {
                continue;
            }
            for transaction in body.transactions() {
                let concerns = may_concern && concerns(transaction, account);
                let list = if concerns { &mut transactions } else { &mut others };
                if list.len() < ROLLED_BACK_TOLD_MAX {
                    list.push((place, transaction.clone()));
                }
            }
        }
        transactions.extend(kept.chain(others).take(ROLLED_BACK_TOLD_MAX - transactions.len()));
        let mut mined_again = HashMap::with_capacity_and_hasher(transactions.len(), hashes);
        mined_again.extend(transactions.iter().map(|(_, transaction)| (transaction.id(), false)));
        let not_mined = mined_again.len();
        Self { transactions, mined_again, not_mined }
    }

    /// Records that a block of another chain was connected, or disconnected again.
    pub(super) fn note(&mut self, block: &CheckedBlock, is_connected: bool) {
        // No transaction is in two blocks of one chain.
        let all_are_so = if is_connected { self.not_mined == 0 } else { self.not_mined == self.mined_again.len() };
        if all_are_so {
            return;
        }
        for transaction in block.transactions() {
            let mined_again = self.mined_again.get_mut(&transaction.id());
            if mined_again.is_some_and(|before| std::mem::replace(before, is_connected) != is_connected) {
                if is_connected { self.not_mined -= 1 } else { self.not_mined += 1 }
            }
        }
    }

    /// The number of transactions in the report.
    pub(crate) fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Each transaction, its former block, and whether a block of the new chain has it too.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, &CheckedTransaction, bool)> {
        self.transactions.iter().map(|(place, transaction)| (*place, transaction, self.mined_again[&transaction.id()]))
    }
}

/// Whether a transaction is from or to an account.
fn concerns(transaction: &CheckedTransaction, account: &Address) -> bool {
    let pays = matches!(&transaction.signed().transaction.action, Action::Transfer { to, .. } if to == account);
    pays || transaction.sender() == *account
}
