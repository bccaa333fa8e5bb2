//! Transactions whose blocks left the best chain: they become pending again if they can, and the user is told.

use quipu_protocol::CheckedTransaction;

use super::Engine;
use super::chain::Reorganised;
use super::event::{Fate, GoneReason, Notice, RolledBack, Write};
use super::mempool::{Dropped, Refusal};

/// Transactions that are published again when a reorganisation returns them. Peers pull the rest.
const RETURNED_PUBLISHED_MAX: usize = 256;

impl Engine {
    /// Puts transactions of blocks that left the best chain back into the pool, and reports their fate. Returns the
    /// number that are pending again.
    pub(super) fn reinstate(&mut self, reorganised: &Reorganised) -> usize {
        let returned = self.mempool.reinstate(reorganised.transactions(), self.chain.ledger());
        let count = returned.len();
        for transaction in returned.iter().take(RETURNED_PUBLISHED_MAX) {
            self.announce_transaction(transaction.clone());
        }
        self.writes.extend(returned.into_iter().map(Write::PutPending));
        self.note_dropped();
        let unreported = reorganised.transaction_count() - reorganised.report.len();
        let report = reorganised.report.iter().map(|(place, transaction, is_mined_again)| {
            let fate = if is_mined_again { Fate::Mined } else { self.fate(transaction) };
            RolledBack { transaction: transaction.clone(), place, fate }
        });
        let transactions: Vec<RolledBack> = report.collect();
        if !transactions.is_empty() || unreported > 0 {
            self.notify(Notice::RolledBack { transactions, untold: unreported });
        }
        count
    }

    /// Has the store forget what has left the pool, and reports the own transactions that can no longer be mined.
    pub(super) fn note_dropped(&mut self) {
        for Dropped { transaction, is_mined, is_own } in self.mempool.take_dropped_durable() {
            if is_mined {
                self.writes.push(Write::DropPending(transaction.id()));
            } else {
                self.give_up(&transaction, is_own);
            }
        }
    }

    /// Has the store forget a transaction that is neither pending nor in a block, and reports it if it is the user's.
    pub(super) fn give_up(&mut self, transaction: &CheckedTransaction, is_own: bool) {
        let Fate::Gone(reason) = self.fate(transaction) else {
            // It has come back from a peer.
            self.mempool.keep(&transaction.id());
            return;
        };
        self.writes.push(Write::DropPending(transaction.id()));
        if is_own || transaction.sender() == self.account {
            self.notify(Notice::Lost { transaction: transaction.clone(), reason });
        }
    }

    /// Determined when all are back, since a later one may have evicted an earlier one.
    fn fate(&self, transaction: &CheckedTransaction) -> Fate {
        Fate::Gone(match self.mempool.refusal(transaction, self.chain.ledger()) {
            Some(Refusal::Known) => return Fate::Pending,
            Some(Refusal::Stale | Refusal::FeeNotHigher) => GoneReason::NonceUsed,
            Some(Refusal::InsufficientBalance { .. }) => GoneReason::NoCoins,
            Some(Refusal::Gap) => GoneReason::NonceGap,
            // Otherwise better paying transactions took the room.
            Some(Refusal::Full | Refusal::ShareUsed) | None => GoneReason::NoRoom,
        })
    }
}
