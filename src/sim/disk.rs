//! What a virtual node has persisted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::event::{Batch, Gossip, LoadedBlock, Place, Stored, StoredHeader, Write};
use crate::protocol::{
    Account, Address, BlockId, CheckedBlock, CheckedTransaction, Delta, Height, LeafHash, TransactionId,
};

/// A disk that writes batches whole or not at all.
#[derive(Debug, Default, Clone)]
pub struct Disk {
    blocks: BTreeMap<Place, (Arc<CheckedBlock>, bool)>,
    deltas: BTreeMap<Place, Arc<Delta>>,
    best: BTreeMap<Height, BlockId>,
    accounts: BTreeMap<Address, Account>,
    pending: Vec<CheckedTransaction>,
    ever_pending: BTreeSet<LeafHash>,
    checkpoint: Option<Place>,
}

impl Disk {
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
                    for change in delta.changes.iter() {
                        self.set(change.address, change.before, change.after);
                    }
                }
                Write::Disconnect { place, delta } => {
                    assert!(self.checkpoint != Some(*place), "the checkpoint is never left");
                    assert_eq!(self.best.pop_last(), Some((place.height, place.id)), "only the tip is taken off");
                    self.deltas.remove(place);
                    for change in delta.changes.iter() {
                        self.set(change.address, change.after, change.before);
                    }
                }
                Write::Condemn { place } => self.blocks.get_mut(place).expect("a stored block").1 = true,
                Write::PutPending(transaction) => {
                    self.drop_pending(transaction.id());
                    self.ever_pending.insert(transaction.leaf());
                    self.pending.push(transaction.clone());
                }
                Write::DropPending(id) => self.drop_pending(*id),
                Write::Checkpoint(checkpoint) => self.checkpoint = *checkpoint,
            }
        }
    }

    fn set(&mut self, address: Address, from: Account, to: Account) {
        assert_eq!(self.account(&address), from, "a delta fits the accounts on disk");
        self.accounts.insert(address, to);
    }

    fn drop_pending(&mut self, id: TransactionId) {
        self.pending.retain(|transaction| transaction.id() != id);
    }

    /// Blocks at these places.
    pub fn load(&self, places: &[Place]) -> Vec<LoadedBlock> {
        let load = |place: &Place| {
            let (block, _) = self.blocks.get(place).expect("only what was persisted is asked for");
            LoadedBlock { block: block.clone(), delta: self.deltas.get(place).cloned() }
        };
        places.iter().map(load).collect()
    }

    /// An account at the tip.
    pub fn account(&self, address: &Address) -> Account {
        self.accounts.get(address).copied().unwrap_or_default()
    }

    /// The tip of the best chain; `None`: genesis.
    pub fn tip(&self) -> Option<Place> {
        self.best.last_key_value().map(|(height, id)| Place { height: *height, id: *id })
    }

    /// The best chain, without genesis.
    pub fn chain(&self) -> impl Iterator<Item = &Arc<CheckedBlock>> {
        let places = self.best.iter().map(|(height, id)| Place { height: *height, id: *id });
        places.map(|place| &self.blocks[&place].0)
    }

    /// The ids of the best chain, without genesis.
    pub fn best(&self) -> impl Iterator<Item = BlockId> {
        self.best.values().copied()
    }

    /// Whether something that is told to peers has ever been written.
    pub fn held(&self, gossip: &Gossip) -> bool {
        match gossip {
            Gossip::Block(block) => {
                self.blocks.contains_key(&Place { height: block.header.height, id: block.header.id() })
            }
            Gossip::Transaction(signed) => self.ever_pending.contains(&signed.leaf()),
        }
    }

    /// What an engine starts from.
    pub fn stored(&self) -> Stored {
        let header = |(block, condemned): &(Arc<CheckedBlock>, bool)| StoredHeader {
            id: block.id(),
            header: *block.header(),
            condemned: *condemned,
        };
        Stored {
            headers: self.blocks.values().map(header).collect(),
            tip: self.best.last_key_value().map(|(_, id)| *id),
            accounts: self.accounts.iter().map(|(address, account)| (*address, *account)).collect(),
            pending: self.pending.iter().map(|transaction| transaction.signed().clone()).collect(),
            checkpoint: self.checkpoint,
        }
    }
}
