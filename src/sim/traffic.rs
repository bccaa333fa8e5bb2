//! The users who send transactions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::random::Random;
use crate::engine::event::Command;
use crate::protocol::{
    Action, Address, Amount, CheckedTransaction, Millis, SecretKey, Transaction, TransactionId, Wei,
};

/// The greatest amount of a transfer, in units; its fee is up to a hundredth of it.
const AMOUNT_MAX: u64 = 10_000;
/// Length of a record, in bytes.
const RECORD_BYTES: usize = 32;

/// A transaction that was acknowledged to its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) id: TransactionId,
    /// Nothing can take it away: it needs no coins, and no transaction before it had its nonce. A transaction that was
    /// given up, because a reorganisation took its coins, may still be pending at other nodes, and be mined when the
    /// coins come back.
    pub(crate) is_safe: bool,
}

/// A node's user, who sends transactions at random moments (a Poisson process).
#[derive(Debug, Default)]
pub(crate) struct UserTraffic {
    /// Mean time between two of its transactions, in milliseconds.
    gap_millis: Option<u64>,
    /// The accounts that it pays.
    payees: Arc<[Address]>,
    due: Option<Millis>,
    /// The acknowledged transactions by nonce.
    acknowledged: BTreeMap<u64, Acknowledged>,
    /// The lowest nonce that no transaction ever had.
    next_nonce: u64,
}

impl UserTraffic {
    pub(crate) fn new(gap_millis: u64, payees: Arc<[Address]>, now: Millis, random: &mut Random) -> Self {
        let mut traffic = Self { gap_millis: Some(gap_millis), payees, due: None, ..Self::default() };
        traffic.draw(now, random);
        traffic
    }

    fn draw(&mut self, now: Millis, random: &mut Random) {
        self.due = self.gap_millis.map(|gap| now + Millis(random.exponential(gap).max(1)));
    }

    /// Records an acknowledged transaction. If its nonce was used before, the earlier one and its successors were given
    /// up.
    pub(crate) fn note_acknowledged(&mut self, sent: &CheckedTransaction) {
        let Transaction { nonce, fee, action, .. } = &sent.signed().transaction;
        let is_free = *fee == Amount::ZERO && matches!(action, Action::Record { .. });
        let is_safe = is_free && *nonce >= self.next_nonce;
        self.next_nonce = self.next_nonce.max(nonce + 1);
        self.acknowledged.split_off(nonce);
        self.acknowledged.insert(*nonce, Acknowledged { id: sent.id(), is_safe });
    }

    /// The acknowledged transactions in the order of nonces.
    pub(crate) fn acknowledged(&self) -> impl ExactSizeIterator<Item = Acknowledged> {
        self.acknowledged.values().copied()
    }

    pub(crate) fn due(&self) -> Option<Millis> {
        self.due
    }

    /// The action to send now, if any: half are records, half transfers, as far as there are coins.
    pub(crate) fn take(
        &mut self,
        key: &Arc<SecretKey>,
        balance: Wei,
        now: Millis,
        random: &mut Random,
    ) -> Option<Command> {
        self.due.take_if(|due| *due <= now)?;
        self.draw(now, random);
        let pays = random.bits() & 1 == 0 && !self.payees.is_empty();
        let units = random.between(1, AMOUNT_MAX);
        let (action, fee) = if pays && balance > Amount::from_units(2 * AMOUNT_MAX).into() {
            let to = self.payees[random.between(0, self.payees.len() as u64 - 1) as usize];
            (Action::Transfer { to, amount: Amount::from_units(units) }, units / 100)
        } else {
            (Action::Record { data: random.bytes()[..RECORD_BYTES].to_vec().into() }, 0)
        };
        Some(Command::Send { key: key.clone(), action, fee: Some(Amount::from_units(fee)) })
    }
}
