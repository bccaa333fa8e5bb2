//! What becomes of transactions whose blocks left the best chain: they wait again if they can, and the user is told.

use quipu_protocol::{Action, Address, CheckedTransaction};

use super::Engine;
use super::chain::Reorganised;
use super::event::{Fate, GoneReason, Notice, ROLLED_BACK_TOLD_MAX, RolledBack, Write};
use super::mempool::Refusal;

/// Transactions that are published again when a reorganisation returns them. Peers pull the rest.
const RETURNED_PUBLISHED_MAX: usize = 256;

impl Engine {
    /// Puts transactions of blocks that left the best chain back into the pool, and tells what became of each. Gives
    /// how many wait again.
    pub(super) fn take_back(&mut self, reorganised: &Reorganised) -> usize {
        let mut count = 0;
        let mut returned = Vec::new();
        for (place, transaction) in reorganised.transactions() {
            let added = self.mempool.add(transaction.clone(), None, true, self.chain.ledger());
            if added.is_ok() {
                self.writes.push(Write::PutPending(transaction.clone()));
                if count < RETURNED_PUBLISHED_MAX {
                    self.announce_transaction(transaction.clone());
                }
                count += 1;
            }
            returned.push((place, transaction, added.err()));
        }
        self.note_dropped();
        if returned.is_empty() && reorganised.forgotten_transactions == 0 {
            return count;
        }
        let untold = returned.len().saturating_sub(ROLLED_BACK_TOLD_MAX) + reorganised.forgotten_transactions;
        returned.sort_by_key(|(_, transaction, _)| !concerns(transaction, &self.account));
        returned.truncate(ROLLED_BACK_TOLD_MAX);
        let told = returned.into_iter().map(|(place, transaction, refusal)| {
            let fate = self.fate(transaction, refusal, reorganised);
            RolledBack { transaction: transaction.clone(), place, fate }
        });
        let transactions = told.collect();
        self.notify(Notice::RolledBack { transactions, untold });
        count
    }

    /// Found out when all are back, since a later one may have taken the room of an earlier.
    fn fate(&self, transaction: &CheckedTransaction, refusal: Option<Refusal>, reorganised: &Reorganised) -> Fate {
        if reorganised.is_mined_again(&transaction.id()) {
            return Fate::Mined;
        }
        if self.mempool.get(&transaction.id()).is_some() {
            return Fate::Pending;
        }
        Fate::Gone(match refusal {
            Some(Refusal::Stale | Refusal::FeeNotHigher) => GoneReason::NonceUsed,
            Some(Refusal::InsufficientBalance { .. }) => GoneReason::NoCoins,
            Some(Refusal::Gap) => GoneReason::NonceGap,
            Some(Refusal::Full | Refusal::ShareUsed) => GoneReason::NoRoom,
            // It was in the pool, and was evicted for one that came back after it.
            None | Some(Refusal::Known) => GoneReason::NoRoom,
        })
    }
}

/// Whether a transaction is of or to an account.
fn concerns(transaction: &CheckedTransaction, account: &Address) -> bool {
    let pays = matches!(&transaction.signed().transaction.action, Action::Transfer { to, .. } if to == account);
    pays || transaction.sender() == *account
}
