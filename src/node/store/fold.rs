//! Folds many batches into one commit that has each row at most once.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Rows, Table, account_value, pending_value};
use super::tables::{HEIGHTS_SEGMENT, header_row, height_key, place_key};
use crate::engine::event::{Batch, Place, Write};
use crate::protocol::block::HEADER_BYTES;
use crate::protocol::encode::encode;
use crate::protocol::{Account, Address, BlockId, CheckedBlock, CheckedTransaction, Delta, Height, TransactionId};

/// The net effect of a run of batches. `None` removes a row.
pub(super) struct Folded<'a> {
    blocks: Vec<&'a CheckedBlock>,
    condemned: BTreeSet<Place>,
    undo: BTreeMap<Place, Option<&'a Delta>>,
    best: BTreeMap<Height, Option<BlockId>>,
    accounts: BTreeMap<Address, Account>,
    pending: BTreeMap<TransactionId, Option<(u64, &'a CheckedTransaction)>>,
    /// The outer `None`: unchanged.
    checkpoint: Option<Option<Place>>,
    tip: Height,
    pending_next: u64,
}

impl<'a> Folded<'a> {
    /// Applies the writes in their order to a store with a tip at this height.
    pub(super) fn new(batches: &'a [Batch], tip: Height, pending_next: u64) -> Self {
        let mut folded = Self {
            blocks: Vec::new(),
            condemned: BTreeSet::new(),
            undo: BTreeMap::new(),
            best: BTreeMap::new(),
            accounts: BTreeMap::new(),
            pending: BTreeMap::new(),
            checkpoint: None,
            tip,
            pending_next,
        };
        for write in batches.iter().flat_map(|batch| &batch.writes) {
            folded.add(write);
        }
        folded
    }

    /// Height of the tip afterwards.
    pub(super) fn tip(&self) -> Height {
        self.tip
    }

    /// The order number of the next pending transaction.
    pub(super) fn pending_next(&self) -> u64 {
        self.pending_next
    }

    fn add(&mut self, write: &'a Write) {
        match write {
            Write::Block(block) => self.blocks.push(block),
            Write::Connect { place, delta } => {
                assert_eq!(place.height, self.tip.next(), "a block is connected on top of the tip");
                self.tip = place.height;
                self.best.insert(place.height, Some(place.id));
                self.undo.insert(*place, Some(delta));
                let changes = delta.changes.iter().map(|change| (change.address, change.after));
                if self.accounts.is_empty() {
                    // They are sorted, so the tree is built in one go.
                    self.accounts = changes.collect();
                } else {
                    self.accounts.extend(changes);
                }
            }
            Write::Disconnect { place, delta } => {
                assert_eq!(place.height, self.tip, "only the tip is disconnected");
                self.tip = Height(self.tip.0.checked_sub(1).expect("genesis is never disconnected"));
                self.best.insert(place.height, None);
                self.undo.insert(*place, None);
                self.accounts.extend(delta.changes.iter().map(|change| (change.address, change.before)));
            }
            Write::Condemn { place } => {
                self.condemned.insert(*place);
            }
            Write::PutPending(transaction) => {
                self.pending.insert(transaction.id(), Some((self.pending_next, transaction)));
                self.pending_next += 1;
            }
            Write::DropPending(id) => {
                self.pending.insert(*id, None);
            }
            Write::Checkpoint(checkpoint) => self.checkpoint = Some(*checkpoint),
        }
    }

    /// All of it as rows.
    pub(super) fn rows(&self) -> Rows {
        let mut rows = Rows::default();
        let encoded: Vec<_> = self.blocks.iter().map(|block| (block_place(block), encode(*block))).collect();
        let parts = || {
            encoded.iter().map(|(place, encoded)| {
                (place, encoded.split_first_chunk::<HEADER_BYTES>().expect("a block begins with its header"))
            })
        };
        for (place, (header, _)) in parts() {
            rows.put(Table::Headers, &place_key(place), &header_row(header, false));
        }
        for (place, (_, body)) in parts() {
            rows.put(Table::Bodies, &place_key(place), body);
        }
        for (Place { height, id }, _) in &encoded {
            rows.put(Table::Heights, &height_key(height.0 / HEIGHTS_SEGMENT, id), &height.0.to_le_bytes());
        }
        for place in &self.condemned {
            rows.put(Table::Condemned, &place_key(place), &[]);
        }
        for (height, id) in &self.best {
            put_or_remove(&mut rows, Table::Best, &height.0.to_le_bytes(), id.as_ref().map(BlockId::as_bytes));
        }
        for (place, delta) in &self.undo {
            put_or_remove(&mut rows, Table::Undo, &place_key(place), delta.map(encode));
        }
        for (address, account) in &self.accounts {
            let value = account_value(account.balance.0, account.nonce);
            put_or_remove(&mut rows, Table::Accounts, &address.0, (*account != Account::default()).then_some(value));
        }
        for (id, put) in &self.pending {
            let value = put.map(|(order, put)| pending_value(order, &encode(put.signed())));
            put_or_remove(&mut rows, Table::Pending, id.as_bytes(), value);
        }
        if let Some(checkpoint) = &self.checkpoint {
            put_or_remove(&mut rows, Table::Checkpoint, &[], checkpoint.as_ref().map(place_key));
        }
        rows
    }
}

fn block_place(block: &CheckedBlock) -> Place {
    Place { height: block.header().height, id: block.id() }
}

fn put_or_remove(rows: &mut Rows, table: Table, key: &[u8], value: Option<impl AsRef<[u8]>>) {
    match value {
        Some(value) => rows.put(table, key, value.as_ref()),
        None => rows.remove(table, key),
    }
}
