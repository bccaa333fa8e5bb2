//! The pending transactions of one account, and their ranks.

use std::collections::VecDeque;

use quipu_protocol::{Account, Amount, CheckedTransaction, Wei};

use super::{ENTRY_BYTES, NONCE_GAP_MAX, Refusal, SENDER_TRANSACTIONS_MAX};
use crate::engine::event::PeerKey;

/// A pending transaction.
#[derive(Debug)]
pub(super) struct PendingTransaction {
    pub(super) transaction: CheckedTransaction,
    /// A copy of the transaction's nonce, so that a search does not have to follow a pointer.
    nonce: u64,
    standing: Standing,
    pub(super) from: Option<PeerKey>,
    pub(super) durable: bool,
}

impl PendingTransaction {
    pub(super) fn new(
        transaction: CheckedTransaction,
        standing: Standing,
        from: Option<PeerKey>,
        durable: bool,
    ) -> Self {
        let nonce = transaction.signed().transaction.nonce;
        Self { transaction, nonce, standing, from, durable }
    }

    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }

    pub(super) fn bytes(&self) -> usize {
        bytes(&self.transaction)
    }

    pub(super) fn spends(&self) -> Amount {
        self.transaction.signed().transaction.spends().expect("a transaction over 64 bits is not admitted")
    }

    pub(super) fn rank(&self) -> Rank {
        Rank { fee_rate: fee_rate(&self.transaction), standing: self.standing }
    }

    /// Whether it takes room of the reserve for the node's own user.
    pub(super) fn is_own(&self) -> bool {
        self.standing.is_own()
    }
}

/// Orders pending transactions from the worst: the lowest fee rate first, then by [`Standing`]. No two ranks are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) fee_rate: u64,
    pub(super) standing: Standing,
}

/// The order of transactions that pay the same, from the worst: first those of accounts without coins, then those of
/// accounts with more of the pool (by powers of two), then the younger ones. As it was when the transaction came.
///
/// In one number, since ranks are compared often: from the highest bit on, one for coins, 6 for the share, 56 for the
/// age, and one that says whether it is the node's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing(u64);

impl Standing {
    /// `held` are the bytes of the account's pending transactions, this one included.
    pub(super) fn new(account: Account, held: usize, arrival: u64, is_own: bool) -> Self {
        let has_coins = account.balance > Wei::ZERO;
        let age = u64::MAX >> 8 & !arrival;
        let smallness = u64::from(held.leading_zeros() & 63);
        Self(u64::from(has_coins) << 63 | smallness << 57 | age << 1 | u64::from(is_own))
    }

    pub(super) fn is_own(self) -> bool {
        self.0 & 1 != 0
    }
}

/// An account's transactions in the order of their nonces, which may have gaps.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<PendingTransaction>,
    spends: u128,
    bytes: usize,
    /// The one that can be mined now.
    pub(super) ready: Option<Rank>,
}

impl Queue {
    /// The sum that all of them spend, in units.
    pub(super) fn spends(&self) -> u128 {
        self.spends
    }

    /// The memory that they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a transaction of the account may be accepted, and if so, whether it replaces another.
    pub(super) fn admit(&self, transaction: &CheckedTransaction, account: Account) -> Result<bool, Refusal> {
        let content = &transaction.signed().transaction;
        if content.nonce < account.nonce {
            return Err(Refusal::Stale);
        }
        if content.nonce > self.next_nonce(account.nonce).saturating_add(NONCE_GAP_MAX) {
            return Err(Refusal::Gap);
        }
        let replaced = self.get(content.nonce);
        let (mut waiting_spends, mut waiting_count) = (self.spends, self.len());
        if let Some(replaced) = replaced {
            if replaced.transaction.id() == transaction.id() {
                return Err(Refusal::Known);
            }
            let fee = replaced.transaction.signed().transaction.fee.units();
            if content.fee.units() < fee.saturating_add((fee / 10).max(1)) {
                return Err(Refusal::FeeNotHigher);
            }
            waiting_spends -= u128::from(replaced.spends().units());
            waiting_count -= 1;
        }
        let spendable = account.balance.saturating_sub(Wei::from_units(waiting_spends));
        let needed = content.spends().unwrap_or(Amount::MAX);
        if content.spends().is_none() || Wei::from(needed) > spendable {
            let spendable = spendable.whole_units();
            return Err(Refusal::InsufficientBalance { balance: account.balance, spendable, needed });
        }
        if waiting_count >= SENDER_TRANSACTIONS_MAX {
            return Err(Refusal::Full);
        }
        Ok(replaced.is_some())
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PendingTransaction> {
        self.waiting.iter()
    }

    pub(super) fn first(&self) -> Option<&PendingTransaction> {
        self.waiting.front()
    }

    pub(super) fn last(&self) -> Option<&PendingTransaction> {
        self.waiting.back()
    }

    pub(super) fn get(&self, nonce: u64) -> Option<&PendingTransaction> {
        self.position(nonce).ok().map(|at| &self.waiting[at])
    }

    /// Has the store keep the transaction with this nonce. Returns whether it did not before.
    pub(super) fn keep(&mut self, nonce: u64) -> bool {
        let Ok(at) = self.position(nonce) else { return false };
        !std::mem::replace(&mut self.waiting[at].durable, true)
    }

    /// The first missing nonce from this one on. No smaller nonce is in the queue.
    pub(super) fn next_nonce(&self, nonce: u64) -> u64 {
        let Some(first) = self.first().map(PendingTransaction::nonce).filter(|first| *first == nonce) else {
            return nonce;
        };
        // Before the gap, the distance of each nonce from the first is its position; after it, more.
        let is_before_gap = |at: usize| self.waiting[at].nonce() - first == at as u64;
        let (mut before, mut beyond) = (0, self.waiting.len());
        // Usually there is no gap, and the last one tells.
        if is_before_gap(beyond - 1) {
            return first.saturating_add(beyond as u64);
        }
        while beyond - before > 1 {
            let middle = before.midpoint(beyond);
            if is_before_gap(middle) { before = middle } else { beyond = middle }
        }
        first + beyond as u64
    }

    /// Inserts an admitted transaction, with its rank, after the one that it replaces was removed. Returns whether it
    /// can be mined now. Only transactions ahead of a gap are moved, which are few.
    pub(super) fn insert(&mut self, waiting: PendingTransaction, rank: Rank, account: Account) -> bool {
        let at = self.position(waiting.nonce()).expect_err("the replaced transaction was removed");
        let is_ready = waiting.nonce() == account.nonce;
        if is_ready {
            self.ready = Some(rank);
        }
        self.spends += u128::from(waiting.spends().units());
        self.bytes += waiting.bytes();
        self.waiting.insert(at, waiting);
        is_ready
    }

    /// Removes a transaction. Also returns whether it could be mined now.
    pub(super) fn remove(&mut self, nonce: u64) -> Option<(PendingTransaction, bool)> {
        let at = self.position(nonce).ok()?;
        let waiting = self.waiting.remove(at)?;
        self.spends -= u128::from(waiting.spends().units());
        self.bytes -= waiting.bytes();
        let was_ready = self.ready.take_if(|ready| *ready == waiting.rank()).is_some();
        Some((waiting, was_ready))
    }

    /// The position of a nonce, or the one to insert it at.
    fn position(&self, nonce: u64) -> Result<usize, usize> {
        let (Some(first), Some(last)) = (self.first(), self.last()) else { return Err(0) };
        // Usually it is the next nonce, and usually there is no gap.
        if last.nonce() < nonce {
            return Err(self.len());
        }
        match nonce.checked_sub(first.nonce()).and_then(|ahead| usize::try_from(ahead).ok()) {
            Some(ahead) if self.waiting.get(ahead).is_some_and(|one| one.nonce() == nonce) => Ok(ahead),
            _ => self.waiting.binary_search_by_key(&nonce, PendingTransaction::nonce),
        }
    }
}

/// The memory that a transaction takes, in bytes.
pub(super) fn bytes(transaction: &CheckedTransaction) -> usize {
    transaction.length() + ENTRY_BYTES
}

/// The fee for 1024 bytes, in units.
pub(super) fn fee_rate(transaction: &CheckedTransaction) -> u64 {
    let (fee, length) = (transaction.signed().transaction.fee.units(), transaction.length() as u64);
    // 64 bits are nearly always enough, and divide several times as fast.
    fee.checked_mul(1024).map_or_else(
        || u64::try_from(u128::from(fee) * 1024 / u128::from(length)).unwrap_or(u64::MAX),
        |scaled| scaled / length,
    )
}

/// The least fee, in units, of a transaction of this length whose fee rate is above another.
pub(super) fn fee_above(fee_rate: u64, length: usize) -> u64 {
    let fee = ((u128::from(fee_rate) + 1) * length as u128).div_ceil(1024);
    u64::try_from(fee).unwrap_or(u64::MAX)
}
