//! Many transactions at once, as a reorganisation brings them back.
//!
//! Always true: the pool is afterwards as it is if each was added by itself. What many have in common is done once:
//! looking up their account and its queue, and finding their places among all that waits.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use quipu_protocol::{Account, Address, CheckedTransaction, Ledger, TransactionId};

use super::queue::{Queue, Rank, Waiting, bytes};
use super::{MANY_PART, Mempool, POOL_BYTES_MAX, Place};

/// Whose transactions come back.
#[derive(Debug)]
struct Senders<'a> {
    ledger: &'a Ledger,
    places: HashMap<Address, usize, RandomState>,
    senders: Vec<Sender>,
}

#[derive(Debug)]
struct Sender {
    address: Address,
    account: Account,
    /// Taken out of the pool when the first is looked at that its account has not used.
    queue: Option<Queue>,
}

impl Senders<'_> {
    fn get(&mut self, address: Address) -> &mut Sender {
        let Self { ledger, places, senders } = self;
        let place = *places.entry(address).or_insert_with(|| {
            senders.push(Sender { address, account: ledger.account(&address), queue: None });
            senders.len() - 1
        });
        &mut senders[place]
    }
}

impl Mempool {
    /// Takes back transactions whose blocks left the best chain, as [`Mempool::add`] takes each: as durable, and from
    /// nobody. Gives those that were taken, in the same order.
    pub fn add_again<'a>(
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

    /// Adds until something would have to leave, and gives the one for which that is so.
    fn add_while_room<'a>(
        &mut self,
        transactions: &mut impl Iterator<Item = &'a CheckedTransaction>,
        ledger: &Ledger,
        taken: &mut Vec<CheckedTransaction>,
    ) -> Option<&'a CheckedTransaction> {
        let mut senders = Senders { ledger, places: HashMap::default(), senders: Vec::new() };
        let mut ranks = Vec::new();
        let without_room = transactions.find(|transaction| {
            let nonce = transaction.signed().transaction.nonce;
            let Sender { address, account, queue } = senders.get(transaction.sender());
            // Most were mined again.
            if nonce < account.nonce {
                return false;
            }
            let queue = queue.get_or_insert_with(|| self.queues.remove(address).unwrap_or_default());
            let Ok(replaces) = queue.admit(transaction, *account) else { return false };
            if self.bytes + bytes(transaction) > POOL_BYTES_MAX {
                return true;
            }
            if replaces && let Some((replaced, was_ready)) = queue.remove(nonce) {
                // It may be among those that came back before.
                self.rank_all(std::mem::take(&mut ranks));
                self.forget_ranked(&replaced, was_ready);
            }
            self.arrivals += 1;
            let transaction = CheckedTransaction::clone(transaction);
            taken.push(transaction.clone());
            let (id, place) = (transaction.id(), Place { sender: *address, nonce });
            let waiting = Waiting::new(transaction, self.arrivals, None, true);
            let rank = waiting.rank();
            self.bytes += waiting.bytes();
            self.by_id.insert(id, place);
            ranks.push((rank, id));
            if queue.insert(waiting, *account) {
                self.ready.insert(rank, place);
            }
            false
        });
        self.rank_all(ranks);
        for Sender { address, queue, .. } in senders.senders {
            let queue = queue.filter(|queue| !queue.is_empty());
            self.queues.extend(queue.map(|queue| (address, queue)));
        }
        without_room
    }

    /// Finds the places of those that came back. Many of few are merged with all that waits, which takes less time for each.
    fn rank_all(&mut self, ranks: Vec<(Rank, TransactionId)>) {
        if ranks.len() < self.ranking.len() / MANY_PART {
            self.ranking.extend(ranks);
        } else {
            self.ranking.append(&mut BTreeMap::from_iter(ranks));
        }
    }
}
