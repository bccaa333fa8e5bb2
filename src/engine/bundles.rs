//! Transactions by gossip: judges the bundles of peers, and packs this node's own announcements into bundles.
//!
//! Each transaction of a bundle is judged by itself, and the bundle once all of them are. A bundle is forwarded if the
//! forwarder can answer for every byte of it: each transaction was checked here in this very form and is in the pool.
//! Transactions accepted from any other bundle travel on in a bundle of our own, so that one bad or useless transaction
//! neither delays the others nor spreads. A bundle that is less than half new is not forwarded either, or one
//! transaction could carry along 255 that everybody has.
//!
//! Deliberately absent: announcements of pulled transactions, since every node that lacks them pulls too.

use std::collections::{BTreeMap, VecDeque};

use quipu_protocol::bundle::{BUNDLE_BYTES_MAX, BUNDLE_TRANSACTIONS_MAX};
use quipu_protocol::check::TRANSACTION_BYTES_MAX;
use quipu_protocol::{Bundle, CheckedTransaction, Millis, SignedTransaction, Violation};

use super::event::{CheckEffect, Effect, Fault, Gossip, Notice, Now, PeerEffect, PeerKey, Ticket, Verdict};
use super::mempool::Refusal;
use super::{Check, Engine};

/// The most transactions waiting to be checked, and their encoded bytes. Further ones are ignored; they can be pulled
/// later.
pub(crate) const UNCHECKED_MAX: usize = 65_536;
pub(crate) const UNCHECKED_BYTES_MAX: usize = 12 << 20;
/// The share of one peer in them: three quarters of each, so that a single flood leaves room for others.
const UNCHECKED_PER_PEER_MAX: usize = UNCHECKED_MAX / 4 * 3;
const UNCHECKED_BYTES_PER_PEER_MAX: usize = UNCHECKED_BYTES_MAX / 4 * 3;
/// Transactions in one check: enough for batch verification to pay off, few enough that processing the results does not
/// delay a user's command.
const CHECK_BATCH_MAX: usize = 256;
/// Checks of transactions that run at the same time. Meanwhile the next batch gathers.
pub(crate) const CHECKS_MAX: usize = 4;
/// The most bundles without a verdict: each has at least one transaction that is unchecked or being checked.
pub(crate) const JUDGED_MAX: usize = UNCHECKED_MAX + CHECKS_MAX * CHECK_BATCH_MAX;
/// Minimum interval between two bundles of our own, except for full ones. Later transactions wait for the next bundle.
const BUNDLE_INTERVAL: Millis = Millis(5);

/// The source of a transaction: the peer, and the bundle, if it came in one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) peer: PeerKey,
    pub(crate) ticket: Option<Ticket>,
}

/// Transactions waiting to be checked, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Unchecked {
    queue: VecDeque<(SignedTransaction, Origin)>,
    bytes: usize,
    /// Number and bytes of each peer's transactions.
    by_peer: BTreeMap<PeerKey, (usize, usize)>,
}

impl Unchecked {
    /// Adds a transaction, if there is room for it.
    pub(crate) fn push(&mut self, signed: SignedTransaction, origin: Origin) -> bool {
        let length = signed.length();
        let (count, bytes) = self.by_peer.get(&origin.peer).copied().unwrap_or_default();
        let has_share = count < UNCHECKED_PER_PEER_MAX && bytes + length <= UNCHECKED_BYTES_PER_PEER_MAX;
        if !has_share || self.queue.len() >= UNCHECKED_MAX || self.bytes + length > UNCHECKED_BYTES_MAX {
            return false;
        }
        self.bytes += length;
        self.by_peer.insert(origin.peer, (count + 1, bytes + length));
        self.queue.push_back((signed, origin));
        true
    }

    /// Removes the first ones, at most `count_max`.
    fn take(&mut self, count_max: usize) -> (Vec<SignedTransaction>, Vec<Origin>) {
        let count = self.queue.len().min(count_max);
        let mut taken = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (signed, origin) in self.queue.drain(..count) {
            self.bytes -= signed.length();
            let share =
                self.by_peer.get_mut(&origin.peer).expect("every waiting transaction counts in its peer's share");
            *share = (share.0 - 1, share.1 - signed.length());
            if share.0 == 0 {
                self.by_peer.remove(&origin.peer);
            }
            taken.0.push(signed);
            taken.1.push(origin);
        }
        taken
    }

    /// Drops a peer's transactions, and returns the bundle of each.
    fn forget_peer(&mut self, peer: PeerKey) -> Vec<Ticket> {
        let Some((_, bytes)) = self.by_peer.remove(&peer) else { return Vec::new() };
        self.bytes -= bytes;
        let mut tickets = Vec::new();
        self.queue.retain(|(_, origin)| {
            tickets.extend(origin.ticket.filter(|_| origin.peer == peer));
            origin.peer != peer
        });
        tickets
    }

    /// The number of transactions.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Their encoded length, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A peer's bundle that has no verdict yet.
#[derive(Debug)]
pub(crate) struct OpenBundle {
    peer: PeerKey,
    /// The number of transactions without an outcome.
    open: usize,
    /// The transactions that are in the pool because of this bundle.
    taken: Vec<CheckedTransaction>,
    known: usize,
    refused: usize,
    invalid: usize,
}

/// The outcome for one transaction.
enum TransactionOutcome {
    /// The pool has it now.
    Taken(CheckedTransaction),
    /// The pool had the very same one before.
    Known,
    /// The pool does not have it, or it was not looked at, and nobody is to blame.
    Refused,
    /// It breaks a rule that needs no state.
    Invalid,
}

impl OpenBundle {
    fn note(&mut self, outcome: TransactionOutcome) {
        match outcome {
            TransactionOutcome::Taken(transaction) => self.taken.push(transaction),
            TransactionOutcome::Known => self.known += 1,
            TransactionOutcome::Refused => self.refused += 1,
            TransactionOutcome::Invalid => self.invalid += 1,
        }
    }

    fn verdict(&self) -> Verdict {
        if self.invalid > 0 {
            Verdict::Reject
        } else if self.refused > 0 || self.taken.len() < self.known {
            Verdict::Ignore
        } else {
            Verdict::Accept
        }
    }
}

/// Transactions that this node is about to announce.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Vec<CheckedTransaction>,
    bytes: usize,
    last: Option<Millis>,
}

impl Outbox {
    fn push(&mut self, transaction: CheckedTransaction) {
        self.bytes += transaction.length();
        self.waiting.push(transaction);
    }

    /// The time at which the next bundle is due.
    pub(crate) fn due(&self) -> Option<Millis> {
        (!self.waiting.is_empty()).then(|| self.last.map_or(Millis(0), |last| last + BUNDLE_INTERVAL))
    }

    /// Whether a bundle might not hold one more transaction.
    fn is_full(&self) -> bool {
        self.waiting.len() >= BUNDLE_TRANSACTIONS_MAX || self.bytes + TRANSACTION_BYTES_MAX > BUNDLE_BYTES_MAX
    }

    /// The number of waiting transactions.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Engine {
    /// Starts judging a bundle. Only transactions that are not known yet are checked.
    pub(super) fn on_bundle(&mut self, peer: PeerKey, ticket: Ticket, bundle: Bundle, effects: &mut Vec<Effect>) {
        if self.is_resting() {
            return effects.push(Effect::Peer(PeerEffect::Verdict { peer, ticket, verdict: Verdict::Ignore }));
        }
        let mut judged = OpenBundle { peer, open: 0, taken: Vec::new(), known: 0, refused: 0, invalid: 0 };
        for signed in bundle.into_vec() {
            let id = signed.transaction.id(&self.network.genesis_id());
            match self.mempool.get(&id) {
                Some(known) if *known.signed() == signed => judged.note(TransactionOutcome::Known),
                // It has another signature, for which we cannot answer.
                Some(_) => judged.note(TransactionOutcome::Refused),
                None if self.refused.contains(&id) => judged.note(TransactionOutcome::Refused),
                None if self.unchecked.push(signed, Origin { peer, ticket: Some(ticket) }) => judged.open += 1,
                None => judged.note(TransactionOutcome::Refused),
            }
        }
        if judged.open == 0 {
            self.settle_bundle(ticket, judged, effects);
        } else {
            self.judged.insert(ticket, judged);
        }
    }

    /// Starts checks of waiting transactions, in batches.
    pub(super) fn check_transactions(&mut self, effects: &mut Vec<Effect>) {
        if self.unchecked.len() == 0 {
            return;
        }
        let is_of_transactions = |check: &&Check| matches!(check, Check::Transactions { .. });
        let running = self.checks.values().filter(is_of_transactions).count();
        for _ in running..CHECKS_MAX {
            let (transactions, origins) = self.unchecked.take(CHECK_BATCH_MAX);
            if transactions.is_empty() {
                return;
            }
            let key = self.new_key();
            self.checks.insert(key, Check::Transactions { origins });
            effects.push(Effect::Check(CheckEffect::Transactions { key, transactions }));
        }
    }

    /// Processes the results of a check of transactions.
    pub(super) fn on_transactions_checked(
        &mut self,
        origins: Vec<Origin>,
        results: Vec<Result<CheckedTransaction, Violation>>,
        effects: &mut Vec<Effect>,
    ) {
        for (Origin { peer, ticket }, result) in origins.into_iter().zip(results) {
            let outcome = match result {
                Err(violation) => {
                    self.on_invalid_transaction(peer, violation, effects);
                    TransactionOutcome::Invalid
                }
                // Between two chains there is no state to judge it by.
                Ok(_) if self.chain.is_reorganising() => TransactionOutcome::Refused,
                Ok(checked) => self.admit(checked, peer),
            };
            if let Some(ticket) = ticket {
                self.note_outcome(ticket, outcome, effects);
            }
        }
    }

    /// Cuts off the peer that sent an invalid transaction, and drops its other unchecked ones.
    fn on_invalid_transaction(&mut self, peer: PeerKey, violation: Violation, effects: &mut Vec<Effect>) {
        self.peers.punish(peer, Fault::Invalid(violation), effects);
        for ticket in self.unchecked.forget_peer(peer) {
            self.note_outcome(ticket, TransactionOutcome::Refused, effects);
        }
    }

    fn admit(&mut self, checked: CheckedTransaction, peer: PeerKey) -> TransactionOutcome {
        // A peer that has left has no share any more.
        let from = self.peers.get(peer).map(|_| peer);
        match self.mempool.add(checked.clone(), from, false, self.chain.ledger()) {
            Ok(()) => {
                self.notify(Notice::Transaction(checked.clone()));
                TransactionOutcome::Taken(checked)
            }
            // It was checked all the same, so we can answer for it.
            Err(Refusal::Known) => TransactionOutcome::Known,
            // Another peer may bring it again.
            Err(Refusal::ShareUsed) => TransactionOutcome::Refused,
            Err(refusal) => {
                tracing::debug!(%peer, transaction = %checked.id(), why = ?refusal, "transaction refused");
                self.refused.insert(checked.id());
                TransactionOutcome::Refused
            }
        }
    }

    fn note_outcome(&mut self, ticket: Ticket, outcome: TransactionOutcome, effects: &mut Vec<Effect>) {
        let judged = self.judged.get_mut(&ticket).expect("a bundle waits for all of its transactions");
        judged.note(outcome);
        judged.open -= 1;
        if judged.open == 0
            && let Some(judged) = self.judged.remove(&ticket)
        {
            self.settle_bundle(ticket, judged, effects);
        }
    }

    fn settle_bundle(&mut self, ticket: Ticket, judged: OpenBundle, effects: &mut Vec<Effect>) {
        let verdict = judged.verdict();
        let (taken, known, refused, invalid) = (judged.taken.len(), judged.known, judged.refused, judged.invalid);
        tracing::trace!(peer = %judged.peer, taken, known, refused, invalid, ?verdict, "bundle judged");
        effects.push(Effect::Peer(PeerEffect::Verdict { peer: judged.peer, ticket, verdict }));
        if verdict != Verdict::Accept {
            judged.taken.into_iter().for_each(|transaction| self.outbox.push(transaction));
        }
    }

    /// Queues a transaction to be announced, together with others of the same moment.
    pub(super) fn announce_transaction(&mut self, transaction: CheckedTransaction) {
        self.outbox.push(transaction);
    }

    /// Publishes the queued transactions, if they are due or fill a bundle.
    pub(super) fn announce_transactions(&mut self, now: Now) {
        let is_due = self.outbox.due().is_some_and(|due| due <= now.elapsed);
        if !is_due && !self.outbox.is_full() {
            return;
        }
        self.catch_up_pool();
        let waiting = std::mem::take(&mut self.outbox).waiting;
        self.outbox.last = Some(now.elapsed);
        // A queued transaction may have been mined or replaced meanwhile.
        let is_pending = |transaction: &&CheckedTransaction| self.mempool.get(&transaction.id()).is_some();
        let pending: Vec<&CheckedTransaction> = waiting.iter().filter(is_pending).collect();
        let bundles = Bundle::pack(pending.iter().map(|transaction| transaction.signed().clone()));
        // Bundles keep the order, and an id that was computed once need not be computed again.
        let mut ids = pending.iter().map(|transaction| transaction.id());
        for bundle in bundles {
            let after = self.gate.batch_of_own(ids.by_ref().take(bundle.len()).collect::<Vec<_>>());
            self.publish(Gossip::Transactions(bundle), after);
        }
    }
}
