//! The memory pool: transactions that wait to be mined.
//!
//! Always true: an account's pending transactions have nonces from the account's on, together they spend no more than
//! it has, and the pool stays within [`POOL_BYTES_MAX`], beside the node's own within [`OWN_BYTES_MAX`]. No call takes
//! time in proportion to the whole pool, except for [`Mempool::list`], [`Mempool::iter`], and those that add or remove a
//! good part of it. Deliberately absent: coins that an account is about to receive; they count once they are mined.

mod lag;
mod queue;
mod reinstate;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

use foldhash::fast::RandomState;
use quipu_protocol::bundle::BUNDLE_TRANSACTIONS_MAX;
use quipu_protocol::check::TRANSACTION_BYTES_MAX;
use quipu_protocol::encode::EncodedSize;
use quipu_protocol::ledger::Overlay;
use quipu_protocol::{
    Account, Address, Amount, CheckedBlock, CheckedTransaction, Ledger, SignedTransaction, TransactionId, Wei,
};

use super::event::PeerKey;
use lag::Lag;
use queue::{PendingTransaction, Queue, Rank, Standing, bytes, fee_above};

/// All transactions but the node's own, in bytes of memory. The worst are evicted for better ones: those that pay least,
/// then those of accounts without coins, then those of accounts with the most of the pool, then the youngest.
pub const POOL_BYTES_MAX: usize = 48 << 20;
/// Room for transactions of the node's own user, in bytes of memory, which no others can take. Further own ones compete
/// with others.
pub const OWN_BYTES_MAX: usize = 8 << 20;
/// The overhead of a transaction beside its encoding, in bytes, if it is the only one of its account.
pub const ENTRY_BYTES: usize = 1 << 10;
/// The share of one peer, in bytes, so that a single flood leaves room for others. Further transactions are ignored.
pub const PEER_BYTES_MAX: usize = POOL_BYTES_MAX / 2;
/// Pending transactions of one account. More are refused.
pub const SENDER_TRANSACTIONS_MAX: usize = 16_384;
/// The greatest distance of a nonce from the account's first missing one. Bundles overtake each other in gossip and in
/// the checks, but not by more than a few.
pub const NONCE_GAP_MAX: u64 = 4 * BUNDLE_TRANSACTIONS_MAX as u64;

/// Above 1/`BULK_REMOVAL_DIVISOR` of the ranking, one `retain` is cheaper than single removals.
const BULK_REMOVAL_DIVISOR: usize = 4;

/// The reason why a transaction was refused. None of them is a fault of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The transaction is in the pool already.
    Known,
    /// The account's nonce is past the transaction's.
    Stale,
    /// The nonce is too far ahead of the account's.
    Gap,
    /// The account cannot pay for it together with its pending transactions.
    InsufficientBalance {
        /// The balance at the tip.
        balance: Wei,
        /// The balance less the pending transactions.
        spendable: Amount,
        /// The sum of amount and fee.
        needed: Amount,
    },
    /// Another transaction with this nonce is pending, and the fee is not at least a tenth higher.
    FeeNotHigher,
    /// The account has too many pending transactions, or all pending ones pay better.
    Full,
    /// The peer's share of the pool is used up.
    ShareUsed,
}

/// The price of room in the pool: the fee rate of the worst transaction, if a new one has to evict it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolPrice(Option<u64>);

impl PoolPrice {
    /// The least fee with which a transaction of this length surely gets in; zero while there is room.
    pub fn least_fee(self, length: usize) -> Amount {
        Amount::from_units(self.0.map_or(0, |fee_rate| fee_above(fee_rate, length)))
    }
}

/// The position of a transaction in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PoolKey {
    sender: Address,
    nonce: u64,
}

/// The pool.
#[derive(Debug, Default)]
pub struct Mempool {
    /// The queue of each account; none is empty.
    queues: HashMap<Address, Queue, RandomState>,
    by_id: HashMap<TransactionId, PoolKey, RandomState>,
    ranking: BTreeMap<Rank, TransactionId>,
    /// The transactions that can be mined now, at most one of each account.
    ready: BTreeMap<Rank, PoolKey>,
    peer_bytes: BTreeMap<PeerKey, usize>,
    bytes: usize,
    /// The part of `bytes` that is in the reserve.
    own_bytes: usize,
    arrivals: u64,
    dropped_durable: Vec<Dropped>,
    /// The number of durable transactions.
    durable: usize,
    /// The durable ones that are in blocks which the pool has not followed yet.
    mined: HashSet<TransactionId>,
    lag: Lag,
}

/// A durable transaction that has left the pool.
#[derive(Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The transaction.
    pub transaction: CheckedTransaction,
    /// Whether it is in a block now.
    pub is_mined: bool,
    /// Whether the node's own user submitted it.
    pub is_own: bool,
}

impl Mempool {
    /// Adds a transaction if it could be mined after the pending ones of its account.
    ///
    /// `from` is the peer that sent it; `durable` says that the store keeps it until it is mined.
    pub fn add(
        &mut self,
        transaction: CheckedTransaction,
        from: Option<PeerKey>,
        durable: bool,
        ledger: &Ledger,
    ) -> Result<(), Refusal> {
        self.insert(transaction, from, durable, false, ledger)
    }

    /// Adds a transaction of the node's own user, which the store keeps until it is mined. While the reserve has room,
    /// it gets in whatever it pays, and no other evicts it.
    pub fn add_own(&mut self, transaction: CheckedTransaction, ledger: &Ledger) -> Result<(), Refusal> {
        let is_own = self.own_bytes + bytes(&transaction) <= OWN_BYTES_MAX;
        self.insert(transaction, None, true, is_own, ledger)
    }

    fn insert(
        &mut self,
        transaction: CheckedTransaction,
        from: Option<PeerKey>,
        durable: bool,
        is_own: bool,
        ledger: &Ledger,
    ) -> Result<(), Refusal> {
        let id = transaction.id();
        let sender = transaction.sender();
        let nonce = transaction.signed().transaction.nonce;
        let account = ledger.account(&sender);
        let place = PoolKey { sender, nonce };
        let empty = Queue::default();
        let queue = self.queues.get(&sender).unwrap_or(&empty);
        let replaces = queue.admit(&transaction, account)?;
        let size = bytes(&transaction);
        let held = queue.bytes() + size;
        let peer_bytes = from.and_then(|peer| self.peer_bytes.get(&peer)).copied().unwrap_or_default();
        if peer_bytes + size > PEER_BYTES_MAX {
            return Err(Refusal::ShareUsed);
        }
        self.arrivals += 1;
        let standing = Standing::new(account, held, self.arrivals, is_own);
        let waiting = PendingTransaction::new(transaction, standing, from, durable);
        self.make_room(&waiting, size)?;
        if replaces {
            self.remove(place);
        }
        self.bytes += size;
        self.own_bytes += if is_own { size } else { 0 };
        self.durable += usize::from(durable);
        if let Some(peer) = from {
            *self.peer_bytes.entry(peer).or_default() += size;
        }
        let rank = waiting.rank();
        self.by_id.insert(id, place);
        self.ranking.insert(rank, id);
        if self.queues.entry(sender).or_default().insert(waiting, rank, account) {
            self.ready.insert(rank, place);
        }
        Ok(())
    }

    fn admit(&self, transaction: &CheckedTransaction, account: Account) -> Result<bool, Refusal> {
        let empty = Queue::default();
        self.queues.get(&transaction.sender()).unwrap_or(&empty).admit(transaction, account)
    }

    /// The reason why a transaction would be refused now, apart from lack of room.
    pub fn refusal(&self, transaction: &CheckedTransaction, ledger: &Ledger) -> Option<Refusal> {
        self.admit(transaction, ledger.account(&transaction.sender())).err()
    }

    /// Evicts the worst until the new one fits, or refuses it if it is among the worst itself.
    fn make_room(&mut self, new: &PendingTransaction, size: usize) -> Result<(), Refusal> {
        if new.is_own() || self.bytes - self.own_bytes + size <= POOL_BYTES_MAX {
            return Ok(());
        }
        let sender = new.transaction.sender();
        let replaced = self.queues.get(&sender).and_then(|queue| queue.get(new.nonce()));
        let freed = replaced.filter(|replaced| !replaced.is_own()).map_or(0, PendingTransaction::bytes);
        while self.bytes - self.own_bytes - freed + size > POOL_BYTES_MAX {
            let (worst, id) = self.worst().expect("others fill the pool");
            let place = self.by_id[id];
            if *worst >= new.rank() || place.sender == sender {
                return Err(Refusal::Full);
            }
            // Later transactions of the same account cannot be mined without it.
            self.truncate(place);
        }
        Ok(())
    }

    /// The transaction to be evicted first. The node's own are passed over, which the reserve bounds.
    fn worst(&self) -> Option<(&Rank, &TransactionId)> {
        self.ranking.iter().find(|(rank, _)| !rank.standing.is_own())
    }

    /// The fee rate to exceed, while the pool is full.
    pub fn price(&self) -> PoolPrice {
        let has_room = self.bytes - self.own_bytes + ENTRY_BYTES + TRANSACTION_BYTES_MAX <= POOL_BYTES_MAX;
        PoolPrice(if has_room { None } else { self.worst().map(|(rank, _)| rank.fee_rate) })
    }

    /// The nonce of the account's next transaction: the first that is missing.
    pub fn next_nonce(&self, sender: &Address, ledger: &Ledger) -> u64 {
        let nonce = ledger.account(sender).nonce;
        self.queues.get(sender).map_or(nonce, |queue| queue.next_nonce(nonce))
    }

    /// Whether an account has pending transactions.
    pub fn has_any_from(&self, sender: &Address) -> bool {
        self.queues.contains_key(sender)
    }

    /// The coins that an account could still spend, and the number of its pending transactions.
    pub fn spendable(&self, address: &Address, ledger: &Ledger) -> (Amount, u64) {
        let balance = ledger.account(address).balance;
        let Some(queue) = self.queues.get(address) else { return (balance.whole_units(), 0) };
        (balance.saturating_sub(Wei::from_units(queue.spends())).whole_units(), queue.len() as u64)
    }

    /// Updates the pool after a block changed these accounts.
    pub fn update(&mut self, changed: impl IntoIterator<Item = Address>, ledger: &Ledger) {
        if self.by_id.is_empty() {
            return;
        }
        let (mut left, mut unready) = (Vec::new(), Vec::new());
        for address in changed {
            let Entry::Occupied(mut entry) = self.queues.entry(address) else { continue };
            let queue = entry.get_mut();
            let account = ledger.account(&address);
            let ready_before = queue.ready;
            while let Some(mined) = queue.first().map(PendingTransaction::nonce).filter(|first| *first < account.nonce)
            {
                left.extend(queue.remove(mined).map(|(waiting, _)| waiting));
            }
            while let Some(last) = queue
                .last()
                .map(PendingTransaction::nonce)
                .filter(|_| Wei::from_units(queue.spends()) > account.balance)
            {
                left.extend(queue.remove(last).map(|(waiting, _)| waiting));
            }
            queue.ready = queue.get(account.nonce).map(PendingTransaction::rank);
            if queue.ready != ready_before {
                unready.extend(ready_before);
                let place = PoolKey { sender: address, nonce: account.nonce };
                self.ready.extend(queue.ready.map(|ready| (ready, place)));
            }
            if queue.is_empty() {
                entry.remove();
            }
        }
        remove_all(&mut self.ready, unready);
        remove_all(&mut self.ranking, left.iter().map(PendingTransaction::rank).collect());
        left.into_iter().for_each(|waiting| self.forget(&waiting));
        self.mined.clear();
    }

    /// The best paying transactions that can be mined now, within `bytes_max` bytes, in a valid order.
    pub fn select(&self, ledger: &Ledger, bytes_max: usize) -> Vec<CheckedTransaction> {
        let mut firsts = self.ready.iter().rev().map(|(rank, place)| (*rank, *place)).peekable();
        // The successors of selected transactions.
        let mut seconds = BinaryHeap::new();
        let mut overlay = Overlay::new(ledger);
        let mut selected = Vec::new();
        let mut bytes = 0;
        while bytes + SignedTransaction::ENCODED_BYTES_MIN <= bytes_max {
            let second_is_better = seconds.peek() > firsts.peek();
            let best = if second_is_better { seconds.pop() } else { firsts.next() };
            let Some((_, PoolKey { sender, nonce })) = best else { break };
            let queue = &self.queues[&sender];
            let transaction = &queue.get(nonce).expect("a ready transaction is in its queue").transaction;
            if bytes + transaction.length() > bytes_max || overlay.apply(transaction).is_err() {
                continue;
            }
            bytes += transaction.length();
            selected.push(transaction.clone());
            let second = nonce.checked_add(1).and_then(|next| queue.get(next));
            seconds.extend(second.map(|next| (next.rank(), PoolKey { sender, nonce: next.nonce() })));
        }
        selected
    }

    /// All pending transactions, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &CheckedTransaction> {
        self.queues.values().flat_map(Queue::iter).map(|waiting| &waiting.transaction)
    }

    /// All pending transactions: first those that can be mined now, in that order, then the rest, by sender and nonce.
    pub fn list(&self, ledger: &Ledger) -> Vec<CheckedTransaction> {
        let mut listed = self.select(ledger, usize::MAX);
        let ready: BTreeSet<TransactionId> = listed.iter().map(CheckedTransaction::id).collect();
        let mut rest: Vec<_> = self.iter().filter(|one| !ready.contains(&one.id())).cloned().collect();
        rest.sort_unstable_by_key(|one| (one.sender(), one.signed().transaction.nonce));
        listed.append(&mut rest);
        listed
    }

    /// The ids of up to `count` transactions, highest fee rate first.
    pub fn best_ids(&self, count: usize) -> Vec<TransactionId> {
        self.ranking.values().rev().take(count).copied().collect()
    }

    /// A pending transaction.
    pub fn get(&self, id: &TransactionId) -> Option<&CheckedTransaction> {
        let place = self.by_id.get(id)?;
        self.queues[&place.sender].get(place.nonce).map(|waiting| &waiting.transaction)
    }

    /// Whether anything could be mined now.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The number of pending transactions.
    pub fn len(&self) -> usize {
        self.by_id.len() - self.lag.mined
    }

    /// Whether the pool is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that the transactions take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Has the store keep a transaction that waits until it is mined. Returns whether it did not before.
    pub fn keep(&mut self, id: &TransactionId) -> bool {
        let Some(place) = self.by_id.get(id) else { return false };
        let is_new = self.queues.get_mut(&place.sender).is_some_and(|queue| queue.keep(place.nonce));
        self.durable += usize::from(is_new);
        is_new
    }

    /// Records which durable transactions a connected block has. Returns the number of pending ones in it.
    pub fn note_mined(&mut self, block: &CheckedBlock) -> usize {
        if self.by_id.is_empty() {
            return 0;
        }
        let mut count = 0;
        for id in block.transactions().iter().map(CheckedTransaction::id) {
            let Some(place) = self.by_id.get(&id) else { continue };
            count += 1;
            if self.durable > 0 && self.queues[&place.sender].get(place.nonce).is_some_and(|one| one.durable) {
                self.mined.insert(id);
            }
        }
        count
    }

    /// Durable transactions that left the pool since the last call.
    pub fn take_dropped_durable(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.dropped_durable)
    }

    /// Forgets a peer's share; its transactions stay.
    pub fn forget_peer(&mut self, peer: PeerKey) {
        self.peer_bytes.remove(&peer);
    }

    /// Removes a transaction and all later ones of the same account.
    fn truncate(&mut self, from: PoolKey) {
        while let Some(last) = self.queues.get(&from.sender).and_then(Queue::last).map(PendingTransaction::nonce) {
            if last < from.nonce {
                return;
            }
            self.remove(PoolKey { nonce: last, ..from });
        }
    }

    fn remove(&mut self, place: PoolKey) {
        let Entry::Occupied(mut entry) = self.queues.entry(place.sender) else { return };
        let queue = entry.get_mut();
        let Some((waiting, was_ready)) = queue.remove(place.nonce) else { return };
        if queue.is_empty() {
            entry.remove();
        }
        self.forget_ranked(&waiting, was_ready);
    }

    /// Removes a transaction from the ranking and all look-up tables; it has left its queue.
    fn forget_ranked(&mut self, waiting: &PendingTransaction, was_ready: bool) {
        let rank = waiting.rank();
        if was_ready {
            self.ready.remove(&rank);
        }
        self.ranking.remove(&rank);
        self.forget(waiting);
    }

    /// Removes a transaction from the look-up tables; it has left its queue and the ranking.
    fn forget(&mut self, waiting: &PendingTransaction) {
        self.by_id.remove(&waiting.transaction.id());
        self.bytes -= waiting.bytes();
        self.own_bytes -= if waiting.is_own() { waiting.bytes() } else { 0 };
        if let Some(bytes) = waiting.from.and_then(|peer| self.peer_bytes.get_mut(&peer)) {
            *bytes = bytes.saturating_sub(waiting.bytes());
        }
        if waiting.durable {
            self.durable -= 1;
            let transaction = waiting.transaction.clone();
            let is_mined = self.mined.remove(&transaction.id());
            self.dropped_durable.push(Dropped { transaction, is_mined, is_own: waiting.is_own() });
        }
    }
}

/// Removes ranks that are there. A large part of the ranking is removed in one pass, which is cheaper for each.
fn remove_all<V>(ranked: &mut BTreeMap<Rank, V>, mut ranks: Vec<Rank>) {
    if ranks.len() < ranked.len() / BULK_REMOVAL_DIVISOR {
        ranks.iter().for_each(|rank| drop(ranked.remove(rank)));
        return;
    }
    ranks.sort_unstable();
    let mut ranks = ranks.into_iter().peekable();
    ranked.retain(|rank, _| ranks.next_if_eq(rank).is_none());
    debug_assert!(ranks.next().is_none(), "every rank was there");
}

#[cfg(test)]
impl Mempool {
    /// Compares the derived tables with the queues.
    pub(super) fn assert_sound(&self, ledger: &Ledger) {
        let all = || self.queues.values().flat_map(Queue::iter);
        assert_eq!(self.bytes, all().map(PendingTransaction::bytes).sum::<usize>());
        let own = || all().filter(|one| one.is_own());
        assert_eq!(self.own_bytes, own().map(PendingTransaction::bytes).sum::<usize>());
        assert!(self.own_bytes <= OWN_BYTES_MAX && self.bytes - self.own_bytes <= POOL_BYTES_MAX);
        let place = |one: &PendingTransaction| PoolKey { sender: one.transaction.sender(), nonce: one.nonce() };
        let ids: HashMap<_, _, RandomState> = all().map(|one| (one.transaction.id(), place(one))).collect();
        assert_eq!(self.by_id, ids);
        let ranking = all().map(|one| (one.rank(), one.transaction.id()));
        assert_eq!(self.ranking, ranking.collect::<BTreeMap<_, _>>());
        let of_peer =
            |peer: &PeerKey| all().filter(|one| one.from == Some(*peer)).map(PendingTransaction::bytes).sum::<usize>();
        assert!(self.peer_bytes.iter().all(|(peer, bytes)| *bytes == of_peer(peer) && *bytes <= PEER_BYTES_MAX));
        let mut ready = BTreeMap::new();
        let queues: BTreeMap<_, _> = self.queues.iter().collect();
        for (sender, queue) in queues {
            let account = ledger.account(sender);
            assert!(!queue.is_empty() && queue.iter().all(|one| one.nonce() >= account.nonce));
            assert!(queue.iter().is_sorted_by(|one, next| one.nonce() < next.nonce()));
            assert!(queue.iter().all(|one| one.transaction.sender() == *sender));
            assert_eq!(queue.bytes(), queue.iter().map(PendingTransaction::bytes).sum::<usize>());
            assert_eq!(queue.spends(), queue.iter().map(|one| u128::from(one.spends().units())).sum::<u128>());
            assert!(Wei::from_units(queue.spends()) <= account.balance);
            let first = queue.iter().find(|one| one.nonce() == account.nonce);
            assert_eq!(queue.ready, first.map(PendingTransaction::rank));
            ready.extend(first.map(|first| (first.rank(), place(first))));
        }
        assert_eq!(self.ready, ready);
    }
}
