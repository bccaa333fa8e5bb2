//! Reading the index and the store at one tip.

use std::sync::Arc;

use redb::{ReadTransaction, ReadableDatabase};

use super::entry::{Cursor, HistoryEntry, Item, Location, Page, Period, RecordEntry, RecordQuery, Roles};
use super::list::{Found, Intersection, RowSet};
use super::row::{RowList, Spot, spot_of};
use super::{ChainIndex, IndexError, file};
use crate::engine::event::Place;
use crate::node::store::Snapshot;
use crate::protocol::record::Record;
use crate::protocol::{Action, Address, Block, Height, SignedTransaction, TransactionId, UnixMillis};

/// The most rows on a page, whatever is asked for.
pub const PAGE_ENTRIES_MAX: usize = 1000;
/// A page ends early after this many steps through the lists, each of which reads a few pages of the file.
pub const SCAN_STEPS_MAX: usize = 2000;
/// The least number of hex digits that name a transaction.
const PREFIX_DIGITS_MIN: usize = 8;
/// Two ids are enough to see that a prefix is ambiguous.
const PREFIX_IDS_MAX: usize = 2;

/// The index and the store at one tip. Later blocks do not change it. Keep it no longer than an answer takes, because
/// the files can't reuse old pages meanwhile.
pub struct IndexView {
    index: ChainIndex,
    snapshot: Snapshot,
    rows: RowSet,
    tip: Place,
}

impl IndexView {
    /// `None` if the index has not reached `wanted` yet, or is on a branch that the store has left.
    pub(super) fn open(index: &ChainIndex, wanted: Place) -> Result<Option<Self>, IndexError> {
        let Some(Begun { transaction, written, fresh, tip }) = begin(index)? else { return Ok(None) };
        let read = || Ok((file::tip(&transaction)?, transaction.open_table(file::ROWS)?));
        let (in_file, rows) = file::guarded(&index.shared.file, read).map_err(|error| report(index, error))?;
        if in_file != written {
            // The fresh rows are being written to it right now.
            return Ok(None);
        }
        let rows = RowSet { written: rows, fresh };
        // The index is never ahead of the store, so the store is read second.
        let snapshot = index.shared.reader.snapshot()?;
        let is_best = snapshot.header_at(tip.height)?.is_some_and(|header| header.id() == tip.id);
        let is_new_enough = tip.height >= wanted.height || tip == snapshot.tip();
        Ok((is_best && is_new_enough).then(|| Self { index: index.clone(), snapshot, rows, tip }))
    }

    /// The last block that it knows.
    pub fn tip(&self) -> Place {
        self.tip
    }

    /// The store at a moment when [`IndexView::tip`] was on the best chain, perhaps with more blocks above it.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The keys of all rows, in order.
    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<u128> {
        let written = redb::ReadableTable::iter(&self.rows.written).expect("readable");
        let mut keys: Vec<_> = written.map(|row| row.expect("readable").0.value()).collect();
        keys.extend(self.rows.fresh.iter());
        keys.sort_unstable();
        keys
    }

    /// Where a transaction, or a reward, is.
    pub fn find(&self, id: &TransactionId) -> Result<Option<Location>, IndexError> {
        Ok(self.item(id)?.map(|found| match found.item {
            Item::Reward(_) => Location { place: found.place, position: None },
            Item::Transaction { position, .. } => Location { place: found.place, position: Some(position) },
        }))
    }

    /// The record that a transaction put on the chain; `None` if there is no such transaction, or it is no record.
    pub fn record(&self, id: &TransactionId) -> Result<Option<RecordEntry>, IndexError> {
        Ok(self.item(id)?.and_then(record_entry))
    }

    fn item(&self, id: &TransactionId) -> Result<Option<FoundItem>, IndexError> {
        let list = RowList::id(id);
        let mut blocks = BlockCache::new(self);
        for spot in self.spots(list.key(Spot::FIRST)..=list.key(Spot::LAST))? {
            let Some(found) = blocks.item(spot)? else { continue };
            if found.id == *id {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The transactions and rewards whose ids begin with these hex digits, at least 8; two at most.
    pub fn find_prefix(&self, digits: &str) -> Result<Vec<TransactionId>, IndexError> {
        let digits = digits.to_lowercase();
        if !(PREFIX_DIGITS_MIN..=64).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(IndexError::BadPrefix);
        }
        self.ids_from(&digits, PREFIX_IDS_MAX)
    }

    /// The transactions and rewards whose ids begin with these hex digits in lower case, `most` at most.
    pub fn ids_from(&self, digits: &str, most: usize) -> Result<Vec<TransactionId>, IndexError> {
        let keys = RowList::ids_from(digits).ok_or(IndexError::BadPrefix)?;
        let (mut found, mut blocks) = (Vec::new(), BlockCache::new(self));
        for spot in self.spots(keys)? {
            if found.len() == most {
                break;
            }
            let Some(item) = blocks.item(spot)? else { continue };
            if item.id.to_string().starts_with(digits) && !found.contains(&item.id) {
                found.push(item.id);
            }
        }
        Ok(found)
    }

    /// The accounts with a history whose addresses begin with these hex digits in lower case, `most` at most.
    pub fn accounts_from(&self, digits: &str, most: usize) -> Result<Vec<Address>, IndexError> {
        let mut keys = RowList::accounts_from(digits).ok_or(IndexError::BadPrefix)?;
        let (mut found, mut blocks) = (Vec::new(), BlockCache::new(self));
        while found.len() < most {
            let Some(key) = self.guarded(|| self.rows.lowest(keys.clone()))? else { break };
            if let Some(item) = blocks.item(spot_of(key))? {
                let is_meant = |one: &Address| hex::encode(one.0).starts_with(digits) && is_listed(one, key);
                let party = parties(&item.item).into_iter().find(|one| is_meant(one) && !found.contains(one));
                found.extend(party);
            }
            // A long history is skipped in one step.
            let Some(next) = RowList::after(key) else { break };
            keys = next..=*keys.end();
            if keys.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// Everything that an account sent, received, mined and recorded in a period, newest first, from the row before
    /// `before` on.
    pub fn history(
        &self,
        address: &Address,
        period: Period,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<HistoryEntry>, IndexError> {
        let Some(part) = self.part(period, before)? else { return Ok(Page { entries: vec![], next: None }) };
        let mut blocks = BlockCache::new(self);
        self.page(vec![RowList::account(address)], part, limit, |spot| {
            let Some(FoundItem { place, timestamp, id, item }) = blocks.item(spot)? else { return Ok(None) };
            let roles = roles(address, &item);
            Ok((roles != Roles::default()).then_some(HistoryEntry { place, timestamp, id, item, roles }))
        })
    }

    /// The records that match `query`, newest first, from the row before `before` on.
    pub fn records(
        &self,
        query: &RecordQuery,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<RecordEntry>, IndexError> {
        let Some(part) = self.part(query.period(), before)? else { return Ok(Page { entries: vec![], next: None }) };
        let mut lists = Vec::new();
        lists.extend(query.find.as_ref().map(RowList::content));
        lists.extend(query.from.as_ref().map(RowList::sender));
        lists.extend(query.tag.as_ref().map(|tag| RowList::tag(&tag.to_string())));
        if lists.is_empty() {
            lists.push(RowList::records());
        }
        let mut blocks = BlockCache::new(self);
        self.page(lists, part, limit, |spot| {
            let Some(found) = blocks.item(spot)? else { return Ok(None) };
            Ok(record_entry(found).filter(|entry| query.wants(entry)))
        })
    }

    /// A page of the places that are in all lists, as read by `read`. It returns `None` for a collision of hash
    /// prefixes.
    fn page<T>(
        &self,
        lists: Vec<RowList>,
        (floor, mut bound): (Spot, Spot),
        limit: usize,
        mut read: impl FnMut(Spot) -> Result<Option<T>, IndexError>,
    ) -> Result<Page<T>, IndexError> {
        let limit = limit.clamp(1, PAGE_ENTRIES_MAX);
        let mut common = Intersection::new(&self.rows, lists, floor, SCAN_STEPS_MAX);
        let mut entries = Vec::new();
        loop {
            let place = match self.guarded(|| common.below(bound))? {
                Found::At(place) => place,
                Found::Nothing => return Ok(Page { entries, next: None }),
                Found::OutOfSteps(bound) => return Ok(Page { entries, next: Some(Cursor(bound)) }),
            };
            if entries.len() == limit {
                return Ok(Page { entries, next: Some(Cursor(bound)) });
            }
            entries.extend(read(place)?);
            bound = place;
        }
    }

    /// The lowest place of a period, and the one above its highest and below `before`. `None`: nothing is in it.
    fn part(&self, period: Period, before: Option<Cursor>) -> Result<Option<(Spot, Spot)>, IndexError> {
        let first_of = |moment| -> Result<Option<Spot>, IndexError> {
            let height = self.snapshot.first_since(moment)?;
            Ok((height <= self.tip.height.0).then(|| Spot::first_of(height)))
        };
        let Some(floor) = period.since.map_or(Ok(Some(Spot::FIRST)), first_of)? else { return Ok(None) };
        let end = period.until.map(first_of).transpose()?.flatten().unwrap_or(Spot::LAST);
        Ok(Some((floor, before.map_or(end, |cursor| cursor.0.min(end)))))
    }

    fn spots(&self, keys: std::ops::RangeInclusive<u128>) -> Result<Vec<Spot>, IndexError> {
        self.guarded(|| self.rows.first(keys, SCAN_STEPS_MAX))
    }

    fn guarded<T>(&self, body: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, IndexError> {
        file::guarded(&self.index.shared.file, body).map_err(|error| report(&self.index, error))
    }
}

/// A consistent moment of the index: file, fresh rows and tip.
struct Begun {
    transaction: ReadTransaction,
    /// The tip that the file must have.
    written: Place,
    fresh: Arc<Vec<u128>>,
    tip: Place,
}

/// `None`: the file is being opened.
fn begin(index: &ChainIndex) -> Result<Option<Begun>, IndexError> {
    let file = &index.shared.file;
    let result = {
        let state = index.shared.state();
        if let Some(detail) = state.failure.clone() {
            return Err(IndexError::Unusable { file: file.clone(), detail });
        }
        let Some(database) = &state.database else { return Ok(None) };
        let begun = |transaction| Begun {
            transaction,
            written: state.written,
            fresh: Arc::clone(&state.fresh),
            tip: state.indexed,
        };
        file::guarded(file, || Ok(database.begin_read()?)).map(begun)
    };
    result.map(Some).map_err(|error| report(index, error))
}

/// Has a damaged file rebuilt.
fn report(index: &ChainIndex, error: IndexError) -> IndexError {
    if let IndexError::Damaged { detail } = &error {
        index.report_damage(detail);
    }
    error
}

/// The transaction or reward at a place.
struct FoundItem {
    place: Place,
    timestamp: UnixMillis,
    id: TransactionId,
    item: Item,
}

/// Reads blocks, and keeps the last one: rows that follow each other are often of the same block.
struct BlockCache<'a> {
    view: &'a IndexView,
    last: Option<(Place, Block)>,
}

impl<'a> BlockCache<'a> {
    fn new(view: &'a IndexView) -> Self {
        Self { view, last: None }
    }

    /// `None` if the row is not from this chain, which only damage could bring about.
    fn item(&mut self, spot: Spot) -> Result<Option<FoundItem>, IndexError> {
        let height = Height(spot.height());
        if height > self.view.tip.height {
            return Ok(None);
        }
        if self.last.as_ref().is_none_or(|(place, _)| place.height != height) {
            let Some(block) = self.view.snapshot.block_at(height)? else { return Ok(None) };
            self.last = Some((Place { height, id: block.header.id() }, block));
        }
        let Some((place, block)) = &self.last else { return Ok(None) };
        let (place, timestamp) = (*place, block.header.timestamp);
        let Some(position) = spot.position() else {
            let reward = block.body.reward;
            let id = reward.id(&block.header.parent);
            return Ok(Some(FoundItem { place, timestamp, id, item: Item::Reward(reward) }));
        };
        let Some(signed) = block.body.transactions.get(position as usize).cloned() else { return Ok(None) };
        let id = signed.transaction.id(&self.view.index.shared.network.genesis_id());
        Ok(Some(FoundItem { place, timestamp, id, item: Item::Transaction { position, signed } }))
    }
}

/// The accounts in whose histories it is.
fn parties(item: &Item) -> Vec<Address> {
    match item {
        Item::Reward(reward) => vec![reward.to],
        Item::Transaction { signed: SignedTransaction { transaction, .. }, .. } => {
            let to = match &transaction.action {
                Action::Transfer { to, .. } => Some(*to),
                Action::Record { .. } => None,
            };
            Vec::from_iter([Some(transaction.sender.address()), to].into_iter().flatten())
        }
    }
}

/// Whether a key is of this account's history.
fn is_listed(address: &Address, key: u128) -> bool {
    RowList::account(address).key(spot_of(key)) == key
}

fn roles(address: &Address, item: &Item) -> Roles {
    match item {
        Item::Reward(reward) => Roles { mined: reward.to == *address, ..Roles::default() },
        Item::Transaction { signed: SignedTransaction { transaction, .. }, .. } => {
            let is_sender = transaction.sender.address() == *address;
            match &transaction.action {
                Action::Transfer { to, .. } => Roles { sent: is_sender, received: to == address, ..Roles::default() },
                Action::Record { .. } => Roles { recorded: is_sender, ..Roles::default() },
            }
        }
    }
}

fn record_entry(FoundItem { place, timestamp, id, item }: FoundItem) -> Option<RecordEntry> {
    let Item::Transaction { position, signed } = item else { return None };
    let Action::Record { data } = &signed.transaction.action else { return None };
    let (record, sender) = (Record::read(data), signed.transaction.sender.address());
    Some(RecordEntry { place, timestamp, position, id, sender, signed, record })
}
