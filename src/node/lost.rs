//! Transactions of this node's wallets that can no longer be mined, so that their content can be signed once more.
//!
//! Kept until the node stops. Each is sent again once: a claim is taken before, and its outcome noted behind.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::engine::event::GoneReason;
use crate::protocol::{CheckedTransaction, TransactionId};

/// Lost transactions that are kept; of more, the one that was lost first is evicted. Each is a few kilobytes at most.
pub const LOST_MAX: usize = 500;

/// The lost transactions. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lost(Arc<Mutex<VecDeque<LostTransaction>>>);

/// A lost transaction.
#[derive(Debug, Clone)]
pub struct LostTransaction {
    /// As it was signed.
    pub transaction: CheckedTransaction,
    /// The reason why it can't be mined.
    pub reason: GoneReason,
    /// Whether its content was signed again.
    pub again: Again,
}

/// Whether the content of a lost transaction was signed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Not yet.
    No,
    /// At this moment.
    UnderWay,
    /// As this transaction.
    As(TransactionId),
}

/// The right to send a lost transaction again. Given back when it is dropped, unless it is used.
#[derive(Debug)]
pub struct Claim {
    lost: Lost,
    id: TransactionId,
}

impl Lost {
    /// Keeps a transaction. One that is known stays as it is.
    pub(super) fn note(&self, transaction: CheckedTransaction, reason: GoneReason) {
        let mut list = self.list();
        if list.iter().any(|one| one.transaction.id() == transaction.id()) {
            return;
        }
        list.push_back(LostTransaction { transaction, reason, again: Again::No });
        if list.len() > LOST_MAX {
            list.pop_front();
        }
    }

    /// Forgets a transaction that has come back, unless it was sent again.
    pub(super) fn forget(&self, id: &TransactionId) {
        self.list().retain(|one| one.transaction.id() != *id || one.again != Again::No);
    }

    /// All of them, the newest first.
    pub fn all(&self) -> Vec<LostTransaction> {
        self.list().iter().rev().cloned().collect()
    }

    /// Whether it can be sent again.
    pub fn offers(&self, id: &TransactionId) -> bool {
        self.list().iter().any(|one| one.transaction.id() == *id && one.again == Again::No)
    }

    /// Takes the right to send it again; or what has become of it, if it is known.
    pub fn claim(&self, id: &TransactionId) -> Result<(LostTransaction, Claim), Option<Again>> {
        let mut list = self.list();
        let one = list.iter_mut().find(|one| one.transaction.id() == *id).ok_or(None)?;
        if one.again != Again::No {
            return Err(Some(one.again));
        }
        one.again = Again::UnderWay;
        Ok((one.clone(), Claim { lost: self.clone(), id: *id }))
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<LostTransaction>> {
        self.0.lock()
    }
}

impl Claim {
    /// It was sent again.
    pub fn used(self, id: TransactionId) {
        self.set(Again::As(id));
    }

    fn set(&self, again: Again) {
        if let Some(one) = self.lost.list().iter_mut().find(|one| one.transaction.id() == self.id) {
            one.again = again;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut list = self.lost.list();
        if let Some(one) = list.iter_mut().find(|one| one.transaction.id() == self.id && one.again == Again::UnderWay) {
            one.again = Again::No;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Action, Amount, Network, Parameters, SecretKey, Transaction};

    fn transaction(nonce: u64) -> CheckedTransaction {
        let (key, network) = (SecretKey::from_seed([1; 32]), Network::new(Parameters::dev()).expect("a preset"));
        let action = Action::Record { data: b"important".to_vec().into() };
        let transaction = Transaction { sender: key.public_key(), nonce, fee: Amount::ZERO, action };
        CheckedTransaction::sign(transaction, &key, &network).expect("well formed")
    }

    #[test]
    fn each_is_sent_again_once() {
        let lost = Lost::default();
        let (one, new) = (transaction(0), TransactionId([7; 32]));
        let id = one.id();
        assert_eq!(lost.claim(&id).err(), Some(None));
        lost.note(one.clone(), GoneReason::NonceUsed);
        let (found, claim) = lost.claim(&id).expect("nobody has it");
        assert_eq!(found.transaction.id(), id);
        assert_eq!(lost.claim(&id).err(), Some(Some(Again::UnderWay)));
        assert!(!lost.offers(&id));
        drop(claim);
        assert!(lost.offers(&id), "it failed, and may be tried again");
        lost.claim(&id).expect("nobody has it").1.used(new);
        assert_eq!(lost.claim(&id).err(), Some(Some(Again::As(new))));
        // It is told to be lost once more, or comes back: it was sent again all the same.
        lost.note(one, GoneReason::NoCoins);
        lost.forget(&id);
        assert_eq!(lost.claim(&id).err(), Some(Some(Again::As(new))));
    }

    #[test]
    fn the_first_of_many_are_evicted_and_one_that_came_back_is_forgotten() {
        let lost = Lost::default();
        (0..=LOST_MAX as u64).for_each(|nonce| lost.note(transaction(nonce), GoneReason::NoRoom));
        assert_eq!(lost.all().len(), LOST_MAX);
        assert!(!lost.offers(&transaction(0).id()) && lost.offers(&transaction(1).id()));
        assert_eq!(lost.all()[0].transaction.id(), transaction(LOST_MAX as u64).id(), "the newest first");
        lost.forget(&transaction(1).id());
        assert!(!lost.offers(&transaction(1).id()));
    }
}
