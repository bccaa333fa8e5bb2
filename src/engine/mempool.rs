//! Transactions that wait to be mined.
//!
//! Always true: an account's transactions in the pool have nonces from the account's on, together they spend no more
//! than it has, and the pool stays within [`POOL_BYTES_MAX`]. No call takes time for all that waits, but for
//! [`Mempool::list`]. Deliberately absent: coins that an account is
//! about to receive do not count until they are mined.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use quipu_protocol::bundle::BUNDLE_TRANSACTIONS_MAX;
use quipu_protocol::encode::EncodedSize;
use quipu_protocol::ledger::Overlay;
use quipu_protocol::{Address, Amount, CheckedTransaction, Ledger, SignedTransaction, TransactionId};

use super::event::PeerKey;

/// All transactions together, in bytes of memory. The worst paying are evicted for better paying ones.
pub const POOL_BYTES_MAX: usize = 128 << 20;
/// What a transaction takes beside its encoding, in bytes, if it is the only one of its account.
pub const ENTRY_BYTES: usize = 1 << 10;
/// What one peer has brought, in bytes, so that a single flood leaves room for others. More is ignored.
pub const PEER_BYTES_MAX: usize = POOL_BYTES_MAX / 4;
/// Transactions of one account. More are refused.
pub const SENDER_TRANSACTIONS_MAX: usize = 16_384;
/// How far a nonce may be ahead of the account's first missing one. Bundles overtake each other in gossip and in the
/// checks, but not by more than a few.
pub const NONCE_GAP_MAX: u64 = 4 * BUNDLE_TRANSACTIONS_MAX as u64;

/// Why a transaction was not taken. None of these is a fault of who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is in the pool already.
    Known,
    /// The account's nonce is past it.
    Stale,
    /// Its nonce is too far ahead.
    Gap,
    /// The account can't pay for it and for what it sent before.
    InsufficientBalance {
        /// As of the tip.
        balance: Amount,
        /// Less what waits.
        spendable: Amount,
        /// Amount and fee.
        needed: Amount,
    },
    /// Another transaction with this nonce waits, and the fee is not at least a tenth higher.
    FeeNotHigher,
    /// Too many of this account's wait, or all that waits pays better.
    Full,
    /// Too much of what this peer has brought waits.
    ShareUsed,
}

#[derive(Debug)]
struct Waiting {
    transaction: CheckedTransaction,
    arrival: u64,
    from: Option<PeerKey>,
    durable: bool,
}

impl Waiting {
    fn bytes(&self) -> usize {
        bytes(&self.transaction)
    }

    fn spends(&self) -> Amount {
        spends(&self.transaction)
    }

    fn rank(&self) -> Rank {
        let content = &self.transaction.signed().transaction;
        Rank {
            fee_rate: fee_rate(&self.transaction),
            youth: u64::MAX - self.arrival,
            sender: self.transaction.sender(),
            nonce: content.nonce,
        }
    }
}

/// Orders what waits from the worst: the lowest fee for its size, of equals the one that came last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    fee_rate: u64,
    youth: u64,
    sender: Address,
    nonce: u64,
}

#[derive(Debug, Default)]
struct Queue {
    by_nonce: BTreeMap<u64, Waiting>,
    spends: u128,
    /// The one that can be mined now.
    ready: Option<Rank>,
}

/// The pool.
#[derive(Debug, Default)]
pub struct Mempool {
    queues: BTreeMap<Address, Queue>,
    by_id: HashMap<TransactionId, (Address, u64)>,
    ranking: BTreeMap<Rank, TransactionId>,
    /// Those that can be mined now, at most one of each account.
    ready: BTreeSet<Rank>,
    peer_bytes: BTreeMap<PeerKey, usize>,
    bytes: usize,
    arrivals: u64,
    dropped_durable: Vec<TransactionId>,
}

impl Mempool {
    /// Takes a transaction if it could be mined after what waits already.
    ///
    /// `from` is the peer that brought it; `durable` says that it is kept in the store until it is mined.
    pub fn add(
        &mut self,
        transaction: CheckedTransaction,
        from: Option<PeerKey>,
        durable: bool,
        ledger: &Ledger,
    ) -> Result<(), Refusal> {
        self.admit(&transaction, from, ledger)?;
        self.make_room(&transaction)?;
        let (sender, nonce) = (transaction.sender(), transaction.signed().transaction.nonce);
        self.remove(sender, nonce);
        self.arrivals += 1;
        let waiting = Waiting { arrival: self.arrivals, from, durable, transaction };
        self.bytes += waiting.bytes();
        if let Some(peer) = from {
            *self.peer_bytes.entry(peer).or_default() += waiting.bytes();
        }
        self.by_id.insert(waiting.transaction.id(), (sender, nonce));
        self.ranking.insert(waiting.rank(), waiting.transaction.id());
        let queue = self.queues.entry(sender).or_default();
        queue.spends += u128::from(waiting.spends().units());
        queue.by_nonce.insert(nonce, waiting);
        self.note_ready(sender, ledger);
        Ok(())
    }

    fn admit(&self, transaction: &CheckedTransaction, from: Option<PeerKey>, ledger: &Ledger) -> Result<(), Refusal> {
        if self.by_id.contains_key(&transaction.id()) {
            return Err(Refusal::Known);
        }
        let content = &transaction.signed().transaction;
        let account = ledger.account(&transaction.sender());
        if content.nonce < account.nonce {
            return Err(Refusal::Stale);
        }
        let queue = self.queues.get(&transaction.sender());
        if content.nonce > self.next_nonce(&transaction.sender(), ledger).saturating_add(NONCE_GAP_MAX) {
            return Err(Refusal::Gap);
        }
        let replaced = queue.and_then(|queue| queue.by_nonce.get(&content.nonce));
        let (mut waiting_spends, mut waiting_count) = (0, 0);
        if let Some(queue) = queue {
            (waiting_spends, waiting_count) = (queue.spends, queue.by_nonce.len());
        }
        if let Some(replaced) = replaced {
            let fee = replaced.transaction.signed().transaction.fee.units();
            if content.fee.units() < fee.saturating_add((fee / 10).max(1)) {
                return Err(Refusal::FeeNotHigher);
            }
            waiting_spends -= u128::from(replaced.spends().units());
            waiting_count -= 1;
        }
        let spendable = u128::from(account.balance.units()).saturating_sub(waiting_spends) as u64;
        let needed = content.spends().unwrap_or(Amount::MAX);
        if content.spends().is_none() || needed.units() > spendable {
            let spendable = Amount::from_units(spendable);
            return Err(Refusal::InsufficientBalance { balance: account.balance, spendable, needed });
        }
        let peer_bytes = from.and_then(|peer| self.peer_bytes.get(&peer)).copied().unwrap_or_default();
        if waiting_count >= SENDER_TRANSACTIONS_MAX {
            return Err(Refusal::Full);
        }
        if peer_bytes + bytes(transaction) > PEER_BYTES_MAX {
            return Err(Refusal::ShareUsed);
        }
        Ok(())
    }

    /// Evicts the worst paying until the new one fits, or refuses it if it is among the worst itself.
    fn make_room(&mut self, transaction: &CheckedTransaction) -> Result<(), Refusal> {
        let (sender, nonce) = (transaction.sender(), transaction.signed().transaction.nonce);
        let replaced = self.queues.get(&sender).and_then(|queue| queue.by_nonce.get(&nonce));
        let freed = replaced.map_or(0, Waiting::bytes);
        while self.bytes - freed + bytes(transaction) > POOL_BYTES_MAX {
            let (worst, _) = self.ranking.first_key_value().expect("a full pool is not empty");
            let worst = *worst;
            if worst.fee_rate >= fee_rate(transaction) || worst.sender == sender {
                return Err(Refusal::Full);
            }
            // What the same account sent later can't be mined without it.
            self.truncate(worst.sender, worst.nonce);
        }
        Ok(())
    }

    /// The nonce of the next transaction that an account should send: the first that is missing.
    pub fn next_nonce(&self, sender: &Address, ledger: &Ledger) -> u64 {
        let mut nonce = ledger.account(sender).nonce;
        if let Some(queue) = self.queues.get(sender) {
            // Mostly there is no gap, and then the last one tells.
            let last = queue.by_nonce.last_key_value().map_or(nonce, |(last, _)| *last);
            let end = last.saturating_add(1);
            if end.saturating_sub(nonce) == queue.by_nonce.len() as u64 {
                return end;
            }
            while queue.by_nonce.contains_key(&nonce) {
                nonce += 1;
            }
        }
        nonce
    }

    /// What an account could still spend, and how many of its transactions wait.
    pub fn spendable(&self, address: &Address, ledger: &Ledger) -> (Amount, u64) {
        let balance = ledger.account(address).balance;
        let Some(queue) = self.queues.get(address) else { return (balance, 0) };
        let left = u128::from(balance.units()).saturating_sub(queue.spends) as u64;
        (Amount::from_units(left), queue.by_nonce.len() as u64)
    }

    /// Brings the pool up to date with accounts that a block has changed.
    pub fn update(&mut self, changed: impl IntoIterator<Item = Address>, ledger: &Ledger) {
        for address in changed {
            let account = ledger.account(&address);
            while let Some(queue) = self.queues.get(&address) {
                let first = *queue.by_nonce.first_key_value().expect("queues are not empty").0;
                if first < account.nonce {
                    self.remove(address, first);
                } else if queue.spends > u128::from(account.balance.units()) {
                    let last = *queue.by_nonce.last_key_value().expect("queues are not empty").0;
                    self.remove(address, last);
                } else {
                    break;
                }
            }
            self.note_ready(address, ledger);
        }
    }

    /// Finds out which transaction of an account can be mined now.
    fn note_ready(&mut self, sender: Address, ledger: &Ledger) {
        let Some(queue) = self.queues.get_mut(&sender) else { return };
        let ready = queue.by_nonce.get(&ledger.account(&sender).nonce).map(Waiting::rank);
        if let Some(before) = std::mem::replace(&mut queue.ready, ready) {
            self.ready.remove(&before);
        }
        self.ready.extend(ready);
    }

    /// The best paying transactions that can be mined now, within `bytes_max` bytes, in an order in which they can.
    pub fn select(&self, ledger: &Ledger, bytes_max: usize) -> Vec<CheckedTransaction> {
        let mut firsts = self.ready.iter().rev().peekable();
        // What comes after those that were taken.
        let mut seconds = BinaryHeap::new();
        let mut overlay = Overlay::new(ledger);
        let (mut selected, mut bytes) = (Vec::new(), 0);
        while bytes + SignedTransaction::ENCODED_BYTES_MIN <= bytes_max {
            let second_is_better = seconds.peek() > firsts.peek().copied();
            let rank = if second_is_better { seconds.pop() } else { firsts.next().copied() };
            let Some(rank) = rank else { break };
            let queue = &self.queues[&rank.sender].by_nonce;
            let transaction = &queue[&rank.nonce].transaction;
            if bytes + transaction.length() > bytes_max || overlay.apply(transaction).is_err() {
                continue;
            }
            bytes += transaction.length();
            selected.push(transaction.clone());
            seconds.extend(rank.nonce.checked_add(1).and_then(|next| queue.get(&next)).map(Waiting::rank));
        }
        selected
    }

    /// All that waits: first what can be mined now, in that order, then the rest.
    pub fn list(&self, ledger: &Ledger) -> Vec<CheckedTransaction> {
        let mut listed = self.select(ledger, usize::MAX);
        let ready: BTreeSet<TransactionId> = listed.iter().map(CheckedTransaction::id).collect();
        let rest = self.queues.values().flat_map(|queue| queue.by_nonce.values());
        listed.extend(rest.map(|waiting| &waiting.transaction).filter(|one| !ready.contains(&one.id())).cloned());
        listed
    }

    /// The ids of up to `count` transactions, best paying first.
    pub fn best_ids(&self, count: usize) -> Vec<TransactionId> {
        self.ranking.values().rev().take(count).copied().collect()
    }

    /// A transaction that waits.
    pub fn get(&self, id: &TransactionId) -> Option<&CheckedTransaction> {
        let (sender, nonce) = self.by_id.get(id)?;
        Some(&self.queues[sender].by_nonce[nonce].transaction)
    }

    /// Whether anything could be mined now.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What they take, in bytes of memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Durable transactions that left the pool since the last call.
    pub fn take_dropped_durable(&mut self) -> Vec<TransactionId> {
        std::mem::take(&mut self.dropped_durable)
    }

    /// Forgets what a peer has brought; its transactions stay.
    pub fn forget_peer(&mut self, peer: PeerKey) {
        self.peer_bytes.remove(&peer);
    }

    fn truncate(&mut self, sender: Address, from_nonce: u64) {
        let Some(queue) = self.queues.get(&sender) else { return };
        let nonces: Vec<u64> = queue.by_nonce.range(from_nonce..).map(|(nonce, _)| *nonce).collect();
        for nonce in nonces {
            self.remove(sender, nonce);
        }
    }

    fn remove(&mut self, sender: Address, nonce: u64) {
        let Some(queue) = self.queues.get_mut(&sender) else { return };
        let Some(waiting) = queue.by_nonce.remove(&nonce) else { return };
        queue.spends -= u128::from(waiting.spends().units());
        if queue.ready.take_if(|ready| ready.nonce == nonce).is_some() {
            self.ready.remove(&waiting.rank());
        }
        if queue.by_nonce.is_empty() {
            self.queues.remove(&sender);
        }
        self.ranking.remove(&waiting.rank());
        self.by_id.remove(&waiting.transaction.id());
        self.bytes -= waiting.bytes();
        if let Some(bytes) = waiting.from.and_then(|peer| self.peer_bytes.get_mut(&peer)) {
            *bytes = bytes.saturating_sub(waiting.bytes());
        }
        if waiting.durable {
            self.dropped_durable.push(waiting.transaction.id());
        }
    }
}

fn bytes(transaction: &CheckedTransaction) -> usize {
    transaction.length() + ENTRY_BYTES
}

fn spends(transaction: &CheckedTransaction) -> Amount {
    transaction.signed().transaction.spends().expect("what spends over 64 bits is not admitted")
}

/// Units of fee for 1024 bytes.
fn fee_rate(transaction: &CheckedTransaction) -> u64 {
    let fee = u128::from(transaction.signed().transaction.fee.units());
    u64::try_from(fee * 1024 / transaction.length() as u128).unwrap_or(u64::MAX)
}

#[cfg(test)]
impl Mempool {
    /// Compares everything that is kept with what follows from the queues.
    pub(super) fn assert_sound(&self, ledger: &Ledger) {
        let all = || self.queues.values().flat_map(|queue| queue.by_nonce.values());
        assert_eq!(self.bytes, all().map(Waiting::bytes).sum::<usize>());
        assert!(self.bytes <= POOL_BYTES_MAX);
        let ids = all().map(|one| (one.transaction.id(), (one.transaction.sender(), one.rank().nonce)));
        assert_eq!(self.by_id, ids.collect::<HashMap<_, _>>());
        let ranking = all().map(|one| (one.rank(), one.transaction.id()));
        assert_eq!(self.ranking, ranking.collect::<BTreeMap<_, _>>());
        let of_peer = |peer: &PeerKey| all().filter(|one| one.from == Some(*peer)).map(Waiting::bytes).sum::<usize>();
        assert!(self.peer_bytes.iter().all(|(peer, bytes)| *bytes == of_peer(peer) && *bytes <= PEER_BYTES_MAX));
        let mut ready = BTreeSet::new();
        for (sender, queue) in &self.queues {
            let account = ledger.account(sender);
            assert!(!queue.by_nonce.is_empty() && queue.by_nonce.keys().all(|nonce| *nonce >= account.nonce));
            assert_eq!(queue.spends, queue.by_nonce.values().map(|one| u128::from(one.spends().units())).sum::<u128>());
            assert!(queue.spends <= u128::from(account.balance.units()));
            assert_eq!(queue.ready, queue.by_nonce.get(&account.nonce).map(Waiting::rank));
            ready.extend(queue.ready);
        }
        assert_eq!(self.ready, ready);
    }
}
