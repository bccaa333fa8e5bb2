//! The persisted data of a virtual node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use crate::engine::event::{Answer, Batch, Gossip, LoadedBlock, Place, Stored, StoredHeader, Write};
use crate::protocol::{
    Account, Address, BlockId, CheckedBlock, CheckedTransaction, Delta, Height, LeafHash, SignedTransaction,
    TransactionId,
};

/// A disk that writes batches whole or not at all.
#[derive(Debug, Default, Clone)]
pub struct VirtualDisk {
    blocks: BTreeMap<Place, (Arc<CheckedBlock>, bool)>,
    deltas: BTreeMap<Place, Arc<Delta>>,
    best: BTreeMap<Height, BlockId>,
    /// Pending transactions in the order in which they were written.
    pending: BTreeMap<u64, CheckedTransaction>,
    pending_orders: BTreeMap<TransactionId, u64>,
    ever_pending: BTreeSet<LeafHash>,
    ever_pending_ids: BTreeSet<TransactionId>,
    checkpoint: Option<Place>,
}

/// The deltas of blocks, shared by all disks: a thousand nodes have each computed the same ones.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    by_block: BTreeMap<Place, Weak<Delta>>,
}

impl Deltas {
    /// Replaces the deltas in a batch by equal shared ones.
    pub(crate) fn share_in(&mut self, batch: &mut Batch) {
        for write in &mut batch.writes {
            if let Write::Connect { place, delta } = write {
                *delta = self.share(*place, delta);
            }
        }
    }

    fn share(&mut self, place: Place, delta: &Arc<Delta>) -> Arc<Delta> {
        let shared = self.by_block.get(&place).and_then(Weak::upgrade).filter(|shared| shared == delta);
        shared.unwrap_or_else(|| {
            self.by_block.insert(place, Arc::downgrade(delta));
            delta.clone()
        })
    }
}

impl VirtualDisk {
    /// Writes a batch.
    pub fn write(&mut self, batch: &Batch) {
        for write in &batch.writes {
            match write {
                Write::Block(block) => {
                    let place = Place { height: block.header().height, id: block.id() };
                    self.blocks.entry(place).or_insert_with(|| (block.clone(), false));
                }
                Write::Connect { place, delta } => {
                    assert!(self.blocks.contains_key(place), "a block is stored before it is connected");
                    assert_eq!(place.height.0, self.best.len() as u64 + 1, "blocks are connected in order");
                    self.best.insert(place.height, place.id);
                    self.deltas.insert(*place, delta.clone());
                }
                Write::Disconnect { place, delta } => {
                    assert!(self.checkpoint != Some(*place), "the chain never leaves the checkpoint");
                    assert_eq!(self.best.pop_last(), Some((place.height, place.id)), "only the tip is disconnected");
                    assert_eq!(
                        self.deltas.remove(place).as_ref(),
                        Some(delta),
                        "a block reverts the delta that it applied"
                    );
                }
                Write::Condemn { place } => self.blocks.get_mut(place).expect("a stored block").1 = true,
                Write::PutPending(transaction) => {
                    let order = self.pending.last_key_value().map_or(0, |(last, _)| last + 1);
                    self.drop_pending(&transaction.id());
                    self.ever_pending.insert(transaction.leaf());
                    self.ever_pending_ids.insert(transaction.id());
                    self.pending.insert(order, transaction.clone());
                    self.pending_orders.insert(transaction.id(), order);
                }
                Write::DropPending(id) => self.drop_pending(id),
                Write::Checkpoint(checkpoint) => self.checkpoint = *checkpoint,
            }
        }
    }

    fn drop_pending(&mut self, id: &TransactionId) {
        if let Some(order) = self.pending_orders.remove(id) {
            self.pending.remove(&order);
        }
    }

    /// A pending transaction that was stored because its sender was acknowledged.
    pub fn pending(&self, id: &TransactionId) -> Option<&CheckedTransaction> {
        self.pending_orders.get(id).map(|order| &self.pending[order])
    }

    /// Whether the best chains are equal, with equal deltas, which makes the accounts equal.
    pub fn has_same_accounts(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&Arc<Delta>, &Arc<Delta>)| Arc::ptr_eq(one, other) || one == other;
        self.best == other.best && self.deltas.values().zip(other.deltas.values()).all(is_same)
    }

    /// The stored blocks at these places.
    pub fn load(&self, places: &[Place]) -> Vec<LoadedBlock> {
        let load = |place: &Place| {
            let (block, _) = self.blocks.get(place).expect("only persisted blocks are requested");
            LoadedBlock { block: block.clone(), delta: self.deltas.get(place).cloned() }
        };
        places.iter().map(load).collect()
    }

    /// All accounts at the tip that a block has changed, computed from the deltas of the best chain. Storing them on each
    /// of a thousand disks would take most of a simulation's memory.
    pub fn changed_accounts(&self) -> BTreeMap<Address, Account> {
        let mut accounts = BTreeMap::new();
        for (height, id) in &self.best {
            for change in self.deltas[&Place { height: *height, id: *id }].changes.iter() {
                let before = accounts.insert(change.address, change.after).unwrap_or(change.before);
                assert_eq!(before, change.before, "a delta fits the accounts before it");
            }
        }
        accounts
    }

    /// The tip of the best chain; `None` for genesis.
    pub fn tip(&self) -> Option<Place> {
        self.best.last_key_value().map(|(height, id)| Place { height: *height, id: *id })
    }

    /// The blocks of the best chain, without genesis.
    pub fn chain(&self) -> impl Iterator<Item = &Arc<CheckedBlock>> {
        let places = self.best.iter().map(|(height, id)| Place { height: *height, id: *id });
        places.map(|place| &self.blocks[&place].0)
    }

    /// The ids of the best chain, without genesis.
    pub fn best(&self) -> impl Iterator<Item = BlockId> {
        self.best.values().copied()
    }

    /// Whether every transaction of the node's own user in this message has been written. Those of others need not be.
    pub fn holds_own(&self, gossip: &Gossip, is_own: impl Fn(&SignedTransaction) -> bool) -> bool {
        let shown: &mut dyn Iterator<Item = &SignedTransaction> = match gossip {
            Gossip::Block(block) => &mut block.body.transactions.iter(),
            Gossip::Transactions(bundle) => &mut bundle.iter(),
            // Its short ids name transactions that others have.
            Gossip::Compact(_) => return true,
        };
        shown.filter(|signed| is_own(signed)).all(|signed| self.ever_pending.contains(&signed.leaf()))
    }

    /// Whether what an answer acknowledges has been written.
    pub fn holds_answered(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Sent { id, .. } => self.ever_pending_ids.contains(id),
            Answer::Mined(places) => places.iter().all(|place| self.blocks.contains_key(place)),
            Answer::Added { place, .. } => self.blocks.contains_key(place),
            _ => true,
        }
    }

    /// The data that an engine starts from.
    pub fn stored(&self) -> Stored {
        let header = |(block, condemned): &(Arc<CheckedBlock>, bool)| StoredHeader {
            id: block.id(),
            header: *block.header(),
            condemned: *condemned,
        };
        Stored {
            headers: self.blocks.values().map(header).collect(),
            tip: self.best.last_key_value().map(|(_, id)| *id),
            accounts: self.changed_accounts().into_iter().collect(),
            pending: self.pending.values().map(|transaction| transaction.signed().clone()).collect(),
            checkpoint: self.checkpoint,
        }
    }
}
