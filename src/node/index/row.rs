//! The rows of the index: one kind of key, 128 bits, and no values.
//!
//! ```text
//!   4 bits   60 bits                        40 bits   24 bits
//!   kind     the beginning of a hash        height    place in the block: 0 the reward, n the n-th transaction
//! ```
//!
//! So the rows of one kind and hash are a list in chain order, which can be read from either end. The hash is truncated
//! to save space: a collision is detected by comparing with the block.

use std::ops::RangeInclusive;

use crate::protocol::hash::sha256;
use crate::protocol::record::Record;
use crate::protocol::{Action, Address, Block, Network, TransactionId};
use crate::text::one_form;

const SLOT_BITS: u32 = 24;
const HEIGHT_BITS: u32 = 40;
const SPOT_BITS: u32 = SLOT_BITS + HEIGHT_BITS;
/// Bits of a hash in a key.
pub(super) const PREFIX_BITS: u32 = 60;
/// Hex digits of a hash in a key.
pub(super) const PREFIX_DIGITS: usize = PREFIX_BITS as usize / 4;

/// A place in the chain: a height, and a place in that block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot(u64);

impl Spot {
    /// Below all others.
    pub(super) const FIRST: Self = Self(0);
    /// Above all others.
    pub(super) const LAST: Self = Self(u64::MAX);

    /// `None` if no block is that high or that full.
    pub(super) fn new(height: u64, slot: u64) -> Option<Self> {
        (height >> HEIGHT_BITS == 0 && slot >> SLOT_BITS == 0).then_some(Self(height << SLOT_BITS | slot))
    }

    /// In the chain of this node.
    fn on_chain(height: u64, slot: usize) -> Self {
        Self::new(height, slot as u64).expect("a chain that this node stores has far fewer blocks and transactions")
    }

    /// The lowest of a block.
    pub(super) fn first_of(height: u64) -> Self {
        Self::on_chain(height, 0)
    }

    pub(super) fn height(self) -> u64 {
        self.0 >> SLOT_BITS
    }

    pub(super) fn slot(self) -> u64 {
        self.0 & ((1 << SLOT_BITS) - 1)
    }

    /// How many transactions are before it in the block; `None` for the reward.
    pub(super) fn position(self) -> Option<u32> {
        let slot = u32::try_from(self.slot()).expect("it has 24 bits");
        slot.checked_sub(1)
    }

    /// The one before.
    pub(super) fn before(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// The one after. Saturates.
    pub(super) fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The rows of one kind and one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowList(u128);

impl RowList {
    const ID: u8 = 1;
    const ACCOUNT: u8 = 2;
    const RECORD: u8 = 3;
    const SENDER: u8 = 4;
    const TAG: u8 = 5;
    const CONTENT: u8 = 6;

    fn new(kind: u8, hash: &[u8]) -> Self {
        let prefix = hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes) >> (64 - PREFIX_BITS));
        Self((u128::from(kind) << PREFIX_BITS | u128::from(prefix)) << SPOT_BITS)
    }

    /// Transactions and rewards of this id.
    pub(super) fn id(id: &TransactionId) -> Self {
        Self::new(Self::ID, id.as_bytes())
    }

    /// Everything that an account sent, received, mined and recorded.
    pub(super) fn account(address: &Address) -> Self {
        Self::new(Self::ACCOUNT, &address.0)
    }

    /// All records.
    pub(super) fn records() -> Self {
        Self::new(Self::RECORD, &[])
    }

    /// Records that an account signed.
    pub(super) fn sender(address: &Address) -> Self {
        Self::new(Self::SENDER, &address.0)
    }

    /// Records with a tag, in whatever form of its letters.
    pub(super) fn tag(tag: &str) -> Self {
        Self::new(Self::TAG, &sha256(&[one_form(tag).as_bytes()]))
    }

    /// Records of this content.
    pub(super) fn content(hash: &[u8; 32]) -> Self {
        Self::new(Self::CONTENT, hash)
    }

    /// The key of a row.
    pub(super) fn key(self, spot: Spot) -> u128 {
        self.0 | u128::from(spot.0)
    }

    /// The keys of all transactions whose ids begin with these hex digits, at most [`PREFIX_DIGITS`] of which count.
    pub(super) fn ids_from(digits: &str) -> Option<RangeInclusive<u128>> {
        Self::from_digits(Self::ID, digits)
    }

    /// The keys of the histories of all accounts whose addresses begin with these hex digits.
    pub(super) fn accounts_from(digits: &str) -> Option<RangeInclusive<u128>> {
        Self::from_digits(Self::ACCOUNT, digits)
    }

    fn from_digits(kind: u8, digits: &str) -> Option<RangeInclusive<u128>> {
        let digits = digits.get(..digits.len().min(PREFIX_DIGITS))?;
        let free_bits = PREFIX_BITS - 4 * u32::try_from(digits.len()).ok()?;
        let prefix = u128::from(u64::from_str_radix(digits, 16).ok()?) << free_bits;
        let first = (u128::from(kind) << PREFIX_BITS | prefix) << SPOT_BITS;
        Some(first..=first | ((1 << (free_bits + SPOT_BITS)) - 1))
    }

    /// The lowest key that is not of the list that this one is of.
    pub(super) fn after(key: u128) -> Option<u128> {
        (key >> SPOT_BITS).checked_add(1).and_then(|list| list.checked_mul(1 << SPOT_BITS))
    }
}

/// The place that a key ends with.
pub(super) fn spot_of(key: u128) -> Spot {
    // Truncates to the lower half.
    Spot(key as u64)
}

/// Adds the keys of all rows of a block, some of them twice.
pub(super) fn add_rows(block: &Block, network: &Network, keys: &mut Vec<u128>) {
    let (height, genesis) = (block.header.height.0, network.genesis_id());
    let reward = &block.body.reward;
    let spot = Spot::first_of(height);
    keys.extend([RowList::id(&reward.id(&block.header.parent)).key(spot), RowList::account(&reward.to).key(spot)]);
    for (slot, signed) in (1..).zip(block.body.transactions.iter()) {
        let spot = Spot::on_chain(height, slot);
        let transaction = &signed.transaction;
        let sender = transaction.sender.address();
        keys.extend([RowList::id(&transaction.id(&genesis)).key(spot), RowList::account(&sender).key(spot)]);
        match &transaction.action {
            Action::Transfer { to, .. } => keys.push(RowList::account(to).key(spot)),
            Action::Record { data } => {
                let record = Record::read(data);
                let lists = [RowList::records(), RowList::sender(&sender), RowList::content(&record.content_hash())];
                keys.extend(lists.map(|list| list.key(spot)));
                keys.extend(record.tags.iter().map(|tag| RowList::tag(&tag.to_string()).key(spot)));
            }
        }
    }
}
