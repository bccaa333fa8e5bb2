//! Bulk reinstatement of transactions after a reorganisation.
//!
//! Always true: the result is the same as if each transaction was added by itself. Shared work is done once: looking up
//! an account and its queue, and merging the ranks of all of them.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use quipu_protocol::{Account, Address, CheckedTransaction, Ledger, TransactionId};

use super::queue::{PendingTransaction, Queue, Rank, Standing, bytes};
use super::{BULK_REMOVAL_DIVISOR, Mempool, POOL_BYTES_MAX, PoolKey};

/// The accounts whose transactions are reinstated.
#[derive(Debug)]
struct ReturningSenders<'a> {
    ledger: &'a Ledger,
    places: HashMap<Address, usize, RandomState>,
    senders: Vec<ReturningSender>,
}

#[derive(Debug)]
struct ReturningSender {
    address: Address,
    account: Account,
    /// Taken out of the pool with the account's first unused transaction.
    queue: Option<Queue>,
}

impl ReturningSenders<'_> {
    fn get(&mut self, address: Address) -> &mut ReturningSender {
        let Self { ledger, places, senders } = self;
        let place = *places.entry(address).or_insert_with(|| {
            senders.push(ReturningSender { address, account: ledger.account(&address), queue: None });
            senders.len() - 1
        });
        &mut senders[place]
    }
}

impl Mempool {
    /// Reinstates transactions whose blocks left the best chain, as [`Mempool::add`] does for each: as durable, without
    /// a peer. Returns the accepted ones, in the same order.
    pub fn reinstate<'a>(
        &mut self,
        transactions: impl IntoIterator<Item = &'a CheckedTransaction>,
        ledger: &Ledger,
    ) -> Vec<CheckedTransaction> {
        let mut transactions = transactions.into_iter();
        let mut taken = Vec::new();
        let first_without_room = self.add_while_room(&mut transactions, ledger, &mut taken);
        for transaction in first_without_room.into_iter().chain(transactions) {
            if self.add(transaction.clone(), None, true, ledger).is_ok() {
                taken.push(transaction.clone());
            }
        }
        taken
    }

    /// Adds transactions until one would evict another, and returns that one.
    fn add_while_room<'a>(
        &mut self,
        transactions: &mut impl Iterator<Item = &'a CheckedTransaction>,
        ledger: &Ledger,
        taken: &mut Vec<CheckedTransaction>,
    ) -> Option<&'a CheckedTransaction> {
        let mut senders = ReturningSenders { ledger, places: HashMap::default(), senders: Vec::new() };
        let mut ranks = Vec::new();
        let without_room = transactions.find(|transaction| {
            let nonce = transaction.signed().transaction.nonce;
            let ReturningSender { address, account, queue } = senders.get(transaction.sender());
            // Most of them were mined again.
            if nonce < account.nonce {
                return false;
            }
            let queue = queue.get_or_insert_with(|| self.queues.remove(address).unwrap_or_default());
            let Ok(replaces) = queue.admit(transaction, *account) else { return false };
            if self.bytes - self.own_bytes + bytes(transaction) > POOL_BYTES_MAX {
                return true;
            }
            let held = queue.bytes() + bytes(transaction);
            if replaces && let Some((replaced, was_ready)) = queue.remove(nonce) {
                // The one to evict may be among those reinstated before.
                self.rank_all(std::mem::take(&mut ranks));
                self.forget_ranked(&replaced, was_ready);
            }
            self.arrivals += 1;
            let transaction = CheckedTransaction::clone(transaction);
            taken.push(transaction.clone());
            let id = transaction.id();
            let place = PoolKey { sender: *address, nonce };
            let standing = Standing::new(*account, held, self.arrivals, false);
            let waiting = PendingTransaction::new(transaction, standing, None, true);
            let rank = waiting.rank();
            self.bytes += waiting.bytes();
            self.durable += 1;
            self.by_id.insert(id, place);
            ranks.push((rank, id));
            if queue.insert(waiting, rank, *account) {
                self.ready.insert(rank, place);
            }
            false
        });
        self.rank_all(ranks);
        for ReturningSender { address, queue, .. } in senders.senders {
            let queue = queue.filter(|queue| !queue.is_empty());
            self.queues.extend(queue.map(|queue| (address, queue)));
        }
        without_room
    }

    /// Ranks the reinstated transactions. A large part of the ranking is merged in one pass, which is cheaper for each.
    fn rank_all(&mut self, ranks: Vec<(Rank, TransactionId)>) {
        if ranks.len() < self.ranking.len() / BULK_REMOVAL_DIVISOR {
            self.ranking.extend(ranks);
        } else {
            self.ranking.append(&mut BTreeMap::from_iter(ranks));
        }
    }
}
