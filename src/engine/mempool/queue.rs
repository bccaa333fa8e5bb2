//! What waits of one account.

use std::collections::VecDeque;

use quipu_protocol::{Amount, CheckedTransaction};

use super::super::event::PeerKey;

/// A transaction that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) transaction: CheckedTransaction,
    pub(super) arrival: u64,
    pub(super) from: Option<PeerKey>,
    pub(super) durable: bool,
}

impl Waiting {
    pub(super) fn nonce(&self) -> u64 {
        self.transaction.signed().transaction.nonce
    }

    pub(super) fn bytes(&self) -> usize {
        super::bytes(&self.transaction)
    }

    pub(super) fn spends(&self) -> Amount {
        super::spends(&self.transaction)
    }

    pub(super) fn rank(&self) -> Rank {
        Rank { fee_rate: super::fee_rate(&self.transaction), youth: u64::MAX - self.arrival }
    }
}

/// Orders what waits from the worst: the lowest fee for its size, of equals the one that came last. No two are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) fee_rate: u64,
    youth: u64,
}

/// An account's transactions in the order of their nonces, of which there may be gaps.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    spends: u128,
    /// The one that can be mined now.
    pub(super) ready: Option<Rank>,
}

impl Queue {
    /// What all of them spend.
    pub(super) fn spends(&self) -> u128 {
        self.spends
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    pub(super) fn first(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    pub(super) fn last(&self) -> Option<&Waiting> {
        self.waiting.back()
    }

    pub(super) fn get(&self, nonce: u64) -> Option<&Waiting> {
        self.position(nonce).ok().map(|at| &self.waiting[at])
    }

    /// The first nonce from this one on that is missing. None below it is there.
    pub(super) fn next_nonce(&self, mut nonce: u64) -> u64 {
        // Mostly there is no gap, and then the last one tells.
        let end = self.last().map_or(nonce, |last| last.nonce().saturating_add(1));
        if end.saturating_sub(nonce) == self.waiting.len() as u64 {
            return end;
        }
        while self.position(nonce).is_ok() {
            nonce += 1;
        }
        nonce
    }

    /// Adds one whose nonce is not there. What comes after it is moved: no more than may be ahead of a gap.
    pub(super) fn insert(&mut self, waiting: Waiting) {
        let at = self.position(waiting.nonce()).expect_err("who takes the place of another comes after it was removed");
        self.spends += u128::from(waiting.spends().units());
        self.waiting.insert(at, waiting);
    }

    pub(super) fn remove(&mut self, nonce: u64) -> Option<Waiting> {
        let at = self.position(nonce).ok()?;
        let waiting = self.waiting.remove(at)?;
        self.spends -= u128::from(waiting.spends().units());
        Some(waiting)
    }

    /// Where a nonce is, or would be.
    fn position(&self, nonce: u64) -> Result<usize, usize> {
        let first = self.first().map_or(nonce, Waiting::nonce);
        // Mostly there is no gap.
        match nonce.checked_sub(first).and_then(|ahead| usize::try_from(ahead).ok()) {
            Some(ahead) if self.waiting.get(ahead).is_some_and(|one| one.nonce() == nonce) => Ok(ahead),
            _ => self.waiting.binary_search_by_key(&nonce, Waiting::nonce),
        }
    }
}
