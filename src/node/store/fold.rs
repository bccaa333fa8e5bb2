//! Many batches made one commit, in which each key is written at most once.

use std::collections::{BTreeMap, BTreeSet};

use redb::{Database, ReadableTable, WriteTransaction};

use super::tables::{
    ACCOUNTS, BEST, BODIES, HEADERS, HEIGHTS, HEIGHTS_SEGMENT, META, META_CHECKPOINT, PENDING, UNDO, damaged,
    header_row, height_key, place_key,
};
use crate::engine::event::{Batch, Place, Write};
use crate::protocol::block::HEADER_BYTES;
use crate::protocol::encode::encode;
use crate::protocol::{Account, Address, BlockId, CheckedBlock, CheckedTransaction, Delta, Height, TransactionId};

/// What some batches come to in the end. `None` removes a row.
pub(super) struct Folded<'a> {
    blocks: Vec<&'a CheckedBlock>,
    condemned: BTreeSet<Place>,
    undo: BTreeMap<Place, Option<&'a Delta>>,
    best: BTreeMap<Height, Option<BlockId>>,
    accounts: BTreeMap<Address, Account>,
    pending: BTreeMap<TransactionId, Option<(u64, &'a CheckedTransaction)>>,
    /// The outer `None`: as it was.
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
                    // They are in order, and a tree is made of them at once.
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

    /// Writes it all, or nothing.
    pub(super) fn commit(&self, database: &Database) -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        // The allocator's state goes with each commit, so that opening after a crash walks through nothing. It costs
        // a fifth of a millisecond a commit; without it, opening would read the whole file.
        transaction.set_quick_repair(true);
        self.write_blocks(&transaction)?;
        self.write_chain(&transaction)?;
        self.write_accounts(&transaction)?;
        self.write_pending(&transaction)?;
        self.write_checkpoint(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    fn write_blocks(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        if !self.blocks.is_empty() {
            let mut headers = transaction.open_table(HEADERS)?;
            let mut bodies = transaction.open_table(BODIES)?;
            let mut heights = transaction.open_table(HEIGHTS)?;
            for block in &self.blocks {
                let (height, id) = (block.header().height, block.id());
                let key = place_key(&Place { height, id });
                let encoded = encode(*block);
                let (header, body) =
                    encoded.split_first_chunk::<HEADER_BYTES>().expect("a block begins with its header");
                headers.insert(&key, &header_row(header, false))?;
                bodies.insert(&key, body)?;
                heights.insert(&height_key(height.0 / HEIGHTS_SEGMENT, &id), height.0)?;
            }
        }
        if !self.condemned.is_empty() {
            let mut headers = transaction.open_table(HEADERS)?;
            for place in &self.condemned {
                let key = place_key(place);
                let row = headers.get(&key)?.map(|row| *row.value());
                let row = row.ok_or_else(|| damaged(place, &"its header is missing"))?;
                let header = row.first_chunk().expect("a row begins with the header");
                headers.insert(&key, &header_row(header, true))?;
            }
        }
        Ok(())
    }

    fn write_chain(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        if self.best.is_empty() {
            return Ok(());
        }
        let mut best = transaction.open_table(BEST)?;
        for (height, id) in &self.best {
            match id {
                Some(id) => best.insert(height.0, id.as_bytes())?,
                None => best.remove(height.0)?,
            };
        }
        let mut undo = transaction.open_table(UNDO)?;
        for (place, delta) in &self.undo {
            match delta {
                Some(delta) => undo.insert(&place_key(place), encode(*delta).as_slice())?,
                None => undo.remove(&place_key(place))?,
            };
        }
        Ok(())
    }

    fn write_accounts(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        if self.accounts.is_empty() {
            return Ok(());
        }
        let mut accounts = transaction.open_table(ACCOUNTS)?;
        for (address, account) in &self.accounts {
            if *account == Account::default() {
                accounts.remove(&address.0)?;
            } else {
                accounts.insert(&address.0, (account.balance.units(), account.nonce))?;
            }
        }
        Ok(())
    }

    fn write_pending(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut pending = transaction.open_table(PENDING)?;
        for (id, put) in &self.pending {
            match put {
                Some((order, put)) => pending.insert(id.as_bytes(), (*order, encode(put.signed()).as_slice()))?,
                None => pending.remove(id.as_bytes())?,
            };
        }
        Ok(())
    }

    fn write_checkpoint(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let Some(checkpoint) = &self.checkpoint else { return Ok(()) };
        let mut meta = transaction.open_table(META)?;
        match checkpoint {
            Some(place) => meta.insert(META_CHECKPOINT, place_key(place).as_slice())?,
            None => meta.remove(META_CHECKPOINT)?,
        };
        Ok(())
    }
}
