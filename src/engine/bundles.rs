//! Transactions by gossip: bundles of peers are judged, and what this node has to tell of is put into bundles.
//!
//! Each transaction of a bundle is judged by itself, and the bundle when all of them are. It is passed on if whoever
//! passes it on can answer for every byte of it: each transaction was checked here in this very form, and the pool has it.
//! What was taken out of any other bundle goes on in a bundle of our own, so that one bad or useless transaction holds up
//! none of the others and is not spread itself. A bundle of which less than half is new is not passed on either, else one
//! transaction could carry along 255 that all have.
//!
//! Deliberately absent: transactions that were pulled are not announced, since whoever lacks them pulls too.

use std::collections::{BTreeMap, VecDeque};

use quipu_protocol::bundle::{BUNDLE_BYTES_MAX, BUNDLE_TRANSACTIONS_MAX};
use quipu_protocol::check::TRANSACTION_BYTES_MAX;
use quipu_protocol::{Bundle, CheckedTransaction, Millis, SignedTransaction, Violation};

use super::event::{Effect, Fault, Gossip, Notice, Now, PeerKey, Ticket, Verdict};
use super::mempool::Refusal;
use super::{Check, Engine};

/// Transactions that wait to be checked, and their encoded bytes. More are ignored; they can be pulled later.
pub(crate) const UNCHECKED_MAX: usize = 65_536;
pub(crate) const UNCHECKED_BYTES_MAX: usize = 32 << 20;
/// What one peer may have among them, so that a single flood leaves room for others: three quarters of each.
const UNCHECKED_PER_PEER_MAX: usize = UNCHECKED_MAX / 4 * 3;
const UNCHECKED_BYTES_PER_PEER_MAX: usize = UNCHECKED_BYTES_MAX / 4 * 3;
/// Transactions in one check: enough for verifying their signatures together to pay, few enough that taking in the
/// results does not keep a user's command waiting.
const CHECK_BATCH_MAX: usize = 256;
/// Checks of transactions that run at the same time. While they do, the next batch gathers.
pub(crate) const CHECKS_MAX: usize = 4;
/// Bundles without a verdict: each has a transaction at least that waits for its check or is in it.
pub(crate) const JUDGED_MAX: usize = UNCHECKED_MAX + CHECKS_MAX * CHECK_BATCH_MAX;
/// Least time between two bundles of our own, but for those that are full. What comes meanwhile goes into the next one.
const BUNDLE_INTERVAL: Millis = Millis(5);

/// Who brought a transaction, and the bundle in which it came, if it came in one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) peer: PeerKey,
    pub(crate) ticket: Option<Ticket>,
}

/// Transactions that wait to be checked, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Unchecked {
    queue: VecDeque<(SignedTransaction, Origin)>,
    bytes: usize,
    /// How many of each peer, and their bytes.
    by_peer: BTreeMap<PeerKey, (usize, usize)>,
}

impl Unchecked {
    /// Takes one in, if there is room for it.
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

    /// The first of them, at most so many.
    fn take(&mut self, count_max: usize) -> (Vec<SignedTransaction>, Vec<Origin>) {
        let count = self.queue.len().min(count_max);
        let mut taken = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (signed, origin) in self.queue.drain(..count) {
            self.bytes -= signed.length();
            let share = self.by_peer.get_mut(&origin.peer).expect("who has one here has a share");
            *share = (share.0 - 1, share.1 - signed.length());
            if share.0 == 0 {
                self.by_peer.remove(&origin.peer);
            }
            taken.0.push(signed);
            taken.1.push(origin);
        }
        taken
    }

    /// Drops all of a peer, and gives the bundles in which they came, once for each transaction.
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

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Their encoded length, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A bundle of a peer that has no verdict yet.
#[derive(Debug)]
pub(crate) struct Judged {
    peer: PeerKey,
    /// Transactions without an outcome.
    open: usize,
    /// Those that are in the pool because of this bundle.
    taken: Vec<CheckedTransaction>,
    known: usize,
    refused: usize,
    invalid: usize,
}

/// What becomes of a transaction.
enum Outcome {
    /// It is in the pool now.
    Taken(CheckedTransaction),
    /// It was there before, the very same.
    Known,
    /// It is not there, or was not looked at, and nobody is to blame.
    Refused,
    /// It breaks a rule that needs no state.
    Invalid,
}

impl Judged {
    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Taken(transaction) => self.taken.push(transaction),
            Outcome::Known => self.known += 1,
            Outcome::Refused => self.refused += 1,
            Outcome::Invalid => self.invalid += 1,
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

/// What this node is about to tell peers of.
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

    /// When the next bundle is due.
    pub(crate) fn due(&self) -> Option<Millis> {
        (!self.waiting.is_empty()).then(|| self.last.map_or(Millis(0), |last| last + BUNDLE_INTERVAL))
    }

    /// Whether a bundle might not hold one more.
    fn is_full(&self) -> bool {
        self.waiting.len() >= BUNDLE_TRANSACTIONS_MAX || self.bytes + TRANSACTION_BYTES_MAX > BUNDLE_BYTES_MAX
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Engine {
    /// Begins to judge a bundle. Only what is not known here yet is sent to be checked.
    pub(super) fn on_bundle(&mut self, peer: PeerKey, ticket: Ticket, bundle: Bundle, effects: &mut Vec<Effect>) {
        if self.is_far_behind() {
            return effects.push(Effect::Verdict { peer, ticket, verdict: Verdict::Ignore });
        }
        let mut judged = Judged { peer, open: 0, taken: Vec::new(), known: 0, refused: 0, invalid: 0 };
        for signed in bundle.into_vec() {
            let id = signed.transaction.id(&self.network.genesis_id());
            match self.mempool.get(&id) {
                Some(known) if *known.signed() == signed => judged.note(Outcome::Known),
                // With another signature, for which we can't answer.
                Some(_) => judged.note(Outcome::Refused),
                None if self.refused.contains(&id) => judged.note(Outcome::Refused),
                None if self.unchecked.push(signed, Origin { peer, ticket: Some(ticket) }) => judged.open += 1,
                None => judged.note(Outcome::Refused),
            }
        }
        if judged.open == 0 {
            self.settle_bundle(ticket, judged, effects);
        } else {
            self.judged.insert(ticket, judged);
        }
    }

    /// Sends transactions to be checked, those that came while others were in batches.
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
            effects.push(Effect::CheckTransactions { key, transactions });
        }
    }

    /// Takes in the results of checking transactions.
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
                    Outcome::Invalid
                }
                // Between two chains there is no state to judge it by.
                Ok(_) if self.chain.is_reorganising() => Outcome::Refused,
                Ok(checked) => self.admit(checked, peer),
            };
            if let Some(ticket) = ticket {
                self.note_outcome(ticket, outcome, effects);
            }
        }
    }

    /// Cuts off who brought it, and looks at nothing more of what it brought.
    fn on_invalid_transaction(&mut self, peer: PeerKey, violation: Violation, effects: &mut Vec<Effect>) {
        self.peers.punish(peer, Fault::Invalid(violation), effects);
        for ticket in self.unchecked.forget_peer(peer) {
            self.note_outcome(ticket, Outcome::Refused, effects);
        }
    }

    fn admit(&mut self, checked: CheckedTransaction, peer: PeerKey) -> Outcome {
        // One that is gone has no share any more.
        let from = self.peers.get(peer).map(|_| peer);
        match self.mempool.add(checked.clone(), from, false, self.chain.ledger()) {
            Ok(()) => {
                self.notify(Notice::Transaction(checked.clone()));
                Outcome::Taken(checked)
            }
            // Checked all the same, so we can answer for it.
            Err(Refusal::Known) => Outcome::Known,
            // Another peer may bring it.
            Err(Refusal::ShareUsed) => Outcome::Refused,
            Err(_) => {
                self.refused.insert(checked.id());
                Outcome::Refused
            }
        }
    }

    fn note_outcome(&mut self, ticket: Ticket, outcome: Outcome, effects: &mut Vec<Effect>) {
        let judged = self.judged.get_mut(&ticket).expect("a bundle waits for all of its transactions");
        judged.note(outcome);
        judged.open -= 1;
        if judged.open == 0
            && let Some(judged) = self.judged.remove(&ticket)
        {
            self.settle_bundle(ticket, judged, effects);
        }
    }

    fn settle_bundle(&mut self, ticket: Ticket, judged: Judged, effects: &mut Vec<Effect>) {
        let verdict = judged.verdict();
        effects.push(Effect::Verdict { peer: judged.peer, ticket, verdict });
        if verdict != Verdict::Accept {
            judged.taken.into_iter().for_each(|transaction| self.outbox.push(transaction));
        }
    }

    /// Has peers told of a transaction, together with others that come at the same time.
    pub(super) fn announce_transaction(&mut self, transaction: CheckedTransaction) {
        self.outbox.push(transaction);
    }

    /// Publishes what peers are to be told of, if that is due or fills a bundle.
    pub(super) fn announce_transactions(&mut self, now: Now) {
        let is_due = self.outbox.due().is_some_and(|due| due <= now.elapsed);
        if !is_due && !self.outbox.is_full() {
            return;
        }
        let waiting = std::mem::take(&mut self.outbox).waiting;
        self.outbox.last = Some(now.elapsed);
        // It may have been mined or replaced meanwhile.
        let pending = waiting.iter().filter(|transaction| self.mempool.get(&transaction.id()).is_some());
        for bundle in Bundle::pack(pending.map(|transaction| transaction.signed().clone())) {
            self.publish(Gossip::Transactions(bundle));
        }
    }
}
