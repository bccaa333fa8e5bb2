//! Compact blocks: a new block announced to peers that have most of its transactions, as the header, the reward and a
//! short id for each transaction, after BIP 152 (M. Corallo, "Compact Block Relay", 2016).
//!
//! A short id is a few bits of a SipHash-2-4 (Aumasson and Bernstein, "SipHash", 2012) over the transaction's Merkle
//! leaf, which covers the signature. The key follows from the header, so nobody can look for colliding transactions
//! before the work is done. BIP 152 uses six bytes for an id; here the announcer uses as many bits as it needs to tell
//! its known transactions apart, plus a few to spare. Where two known transactions still share an id, a hint adds more
//! bits of the same hash. An id is about a sixtieth of a transfer.
//!
//! Always true of a [`CompactBlock`]: it names no more transactions than a block can hold, each bit of its ids has a
//! meaning, and its hints are in the order of their positions, at most one for each. Deliberately absent: which
//! transactions a node knows, and how it fetches the missing ones.

use bincode::de::{BorrowDecoder, Decoder};
use bincode::error::DecodeError;
use bincode::{BorrowDecode, Decode, Encode};
use siphasher::sip::SipHasher24;

use crate::block::{Block, CONTEXT_BYTES, Context, Header, Reward};
use crate::check::{CheckedBlock, CheckedTransaction};
use crate::encode::{EncodedSize, List};
use crate::hash::{LeafHash, tagged_hash};
use crate::network::BLOCK_BYTES_LIMIT;
use crate::transaction::SignedTransaction;

/// The narrowest short id, in bits. With a hint an id stays within the 64 bits of the hash.
pub const ID_BITS_MIN: u8 = 16;
/// The widest short id, in bits.
pub const ID_BITS_MAX: u8 = 32;
/// Bits beyond those that number the known transactions. An unknown transaction is mistaken for one of the block's in
/// one case of 64, which costs one more transaction to pull.
const SPARE_BITS: u32 = 6;
/// The longest block, in bytes, that is best announced whole, so that no peer has to ask for anything.
pub const WHOLE_BYTES_MAX: usize = 4 << 10;
/// The most transactions that a block can have.
pub const BLOCK_TRANSACTIONS_MAX: usize =
    (BLOCK_BYTES_LIMIT - Block::ENCODED_BYTES_MIN) / SignedTransaction::ENCODED_BYTES_MIN;

/// A new block as it travels on the topic of blocks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Announcement {
    /// The whole block.
    Whole(Block),
    /// The block without its transactions, for peers that have most of them.
    Compact(CompactBlock),
}

impl Announcement {
    /// The block's header, not checked against any rule.
    pub fn header(&self) -> &Header {
        match self {
            Self::Whole(block) => &block.header,
            Self::Compact(compact) => compact.header(),
        }
    }
}

/// Additional bits of a transaction's hash, beyond its short id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Hint {
    /// The transaction's position in the block, from 0.
    pub position: u32,
    /// The 32 bits of the hash above those of the short id.
    pub bits: u32,
}

impl EncodedSize for Hint {
    const ENCODED_BYTES_MIN: usize = 8;
}

/// A block with a short id in place of each transaction.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct CompactBlock {
    header: Header,
    context: Context,
    reward: Reward,
    id_bits: u8,
    /// Bit `k` of the concatenated ids is bit `k % 8` of byte `k / 8`. The bits after the last id are 0.
    ids: List<u8>,
    hints: List<Hint>,
}

impl CompactBlock {
    /// Announces a block to peers that may also know other transactions: those pending here, with these leaves.
    pub fn of(block: &CheckedBlock, others: impl IntoIterator<Item = LeafHash>) -> Self {
        let others: Vec<LeafHash> = others.into_iter().collect();
        let known = block.transactions().len() + others.len();
        let bits = usize::BITS - known.saturating_sub(1).leading_zeros() + SPARE_BITS;
        let id_bits = bits.clamp(ID_BITS_MIN.into(), ID_BITS_MAX.into()) as u8;
        Self::with_id_bits(block, others, id_bits)
    }

    /// [`CompactBlock::of`] with ids of a given width, from [`ID_BITS_MIN`] to [`ID_BITS_MAX`]: each bit less doubles
    /// the hints.
    ///
    /// # Panics
    ///
    /// If the width is out of range.
    pub fn with_id_bits(block: &CheckedBlock, others: impl IntoIterator<Item = LeafHash>, id_bits: u8) -> Self {
        assert!((ID_BITS_MIN..=ID_BITS_MAX).contains(&id_bits), "ids of {id_bits} bits");
        let hasher = LeafHasher::of(block.header());
        let hashes: Vec<u64> = block.transactions().iter().map(|one| hasher.hash(&one.leaf())).collect();
        let id = |hash: &u64| id_of(*hash, id_bits);
        let places = Places::new(hashes.iter().map(id));
        let rivals = others.into_iter().map(|leaf| hasher.hash(&leaf)).filter(|hash| !places.of(id(hash)).is_empty());
        let mut known: Vec<(u32, u64)> = hashes.iter().copied().chain(rivals).map(|hash| (id(&hash), hash)).collect();
        known.sort_unstable();
        known.dedup();
        let shared: Vec<u32> =
            known.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1).map(|same| same[0].0).collect();
        let hints = (0..).zip(&hashes).filter(|(_, hash)| shared.binary_search(&id(hash)).is_ok());
        let hints = hints.map(|(position, hash)| Hint { position, bits: hint_of(*hash, id_bits) }).collect();
        let ids = pack(hashes.iter().map(id), id_bits).into();
        Self { header: *block.header(), context: *block.context(), reward: *block.reward(), id_bits, ids, hints }
    }

    /// The block's header, not checked against any rule.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The commitments to the chain below and to contracts.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The miner's reward.
    pub fn reward(&self) -> &Reward {
        &self.reward
    }

    /// The width of a short id, in bits.
    pub fn id_bits(&self) -> u8 {
        self.id_bits
    }

    /// The concatenated short ids.
    pub fn ids(&self) -> &[u8] {
        &self.ids
    }

    /// The hints in the order of their positions.
    pub fn hints(&self) -> &[Hint] {
        &self.hints
    }

    /// The number of transactions in the block.
    pub fn count(&self) -> usize {
        count_of(self.ids.len(), self.id_bits)
    }

    /// The least length of the block, in bytes.
    pub fn block_bytes_min(&self) -> usize {
        Block::ENCODED_BYTES_MIN + self.count() * SignedTransaction::ENCODED_BYTES_MIN
    }

    /// Length of the encoding, in bytes.
    pub fn length(&self) -> usize {
        const FIXED: usize = Header::ENCODED_BYTES_MIN + CONTEXT_BYTES + 28 + 1 + 8 + 8;
        FIXED + self.ids.len() + self.hints.len() * Hint::ENCODED_BYTES_MIN
    }

    /// The known transactions at the positions that they fit. `None` where none fits, or more than one.
    pub fn find<'a>(&self, known: impl IntoIterator<Item = &'a CheckedTransaction>) -> Vec<Option<CheckedTransaction>> {
        let hasher = LeafHasher::of(&self.header);
        let places = Places::new((0..self.count()).map(|place| self.id(place)));
        let mut found = vec![Fit::None; self.count()];
        for (leaf, transaction) in fetched(known.into_iter().map(|one| (one.leaf(), one))) {
            let hash = hasher.hash(&leaf);
            let places = places.of(id_of(hash, self.id_bits)).iter().map(|(_, place)| *place);
            let fitting = || places.clone().filter(|place| self.allows(*place, hash));
            // A block never has a transaction twice, so this one belongs to one of the positions, and nothing says to
            // which.
            let is_lost = fitting().count() > 1;
            for place in fitting() {
                let fit = &mut found[place as usize];
                match fit {
                    Fit::None if !is_lost => *fit = Fit::One(transaction.clone()),
                    Fit::One(before) if !is_lost && before.leaf() == transaction.leaf() => {}
                    _ => *fit = Fit::Several,
                }
            }
        }
        found.into_iter().map(Fit::one).collect()
    }

    /// Whether these unchecked transactions fit these positions, one each.
    pub fn fits(&self, places: &[u32], transactions: &[SignedTransaction]) -> bool {
        let hasher = LeafHasher::of(&self.header);
        let is_at = |place: u32, signed: &SignedTransaction| {
            let hash = hasher.hash(&signed.leaf());
            let is_there = (place as usize) < self.count();
            is_there && self.id(place as usize) == id_of(hash, self.id_bits) && self.allows(place, hash)
        };
        places.len() == transactions.len() && places.iter().zip(transactions).all(|(place, one)| is_at(*place, one))
    }

    /// Whether a hash does not contradict the hint of a position.
    fn allows(&self, place: u32, hash: u64) -> bool {
        let hint = self.hints.binary_search_by_key(&place, |hint| hint.position);
        hint.is_err() || hint.is_ok_and(|at| self.hints[at].bits == hint_of(hash, self.id_bits))
    }

    /// The short id at a position.
    fn id(&self, place: usize) -> u32 {
        let first = place * usize::from(self.id_bits);
        let mut bytes = [0; 8];
        let there = &self.ids[first / 8..self.ids.len().min(first / 8 + 5)];
        bytes[..there.len()].copy_from_slice(there);
        id_of(u64::from_le_bytes(bytes) >> (first % 8), self.id_bits)
    }

    /// The reason why this is not a valid announcement, if it is not.
    fn fault(&self) -> Option<&'static str> {
        if !(ID_BITS_MIN..=ID_BITS_MAX).contains(&self.id_bits) {
            return Some("short ids of that width do not exist");
        }
        let (count, bits) = (self.count(), usize::from(self.id_bits));
        let used_bits = (count * bits) % 8;
        if (count * bits).div_ceil(8) != self.ids.len() {
            return Some("part of a short id");
        }
        if used_bits > 0 && self.ids.last().is_some_and(|last| last >> used_bits != 0) {
            return Some("bits after the last short id");
        }
        if count > BLOCK_TRANSACTIONS_MAX {
            return Some("more short ids than a block has transactions");
        }
        let is_ascending = self.hints.windows(2).all(|pair| pair[0].position < pair[1].position);
        let is_within = self.hints.last().is_none_or(|last| (last.position as usize) < count);
        (!is_ascending || !is_within).then_some("hints that are out of order or of no short id")
    }
}

impl<C> Decode<C> for CompactBlock {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let compact = Self {
            header: Decode::decode(decoder)?,
            context: Decode::decode(decoder)?,
            reward: Decode::decode(decoder)?,
            id_bits: Decode::decode(decoder)?,
            ids: Decode::decode(decoder)?,
            hints: Decode::decode(decoder)?,
        };
        match compact.fault() {
            None => Ok(compact),
            Some(fault) => Err(DecodeError::Other(fault)),
        }
    }
}

impl<'de, C> BorrowDecode<'de, C> for CompactBlock {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// The positions of a block's transactions, by short id. A table turns down most ids of other transactions at once.
struct Places {
    /// Pairs of an id and its position, in the order of the ids.
    sorted: Vec<(u32, u32)>,
    /// A bitmap of the low 16 bits of the ids.
    endings: Vec<u64>,
}

impl Places {
    fn new(ids: impl Iterator<Item = u32>) -> Self {
        let mut sorted: Vec<(u32, u32)> = ids.zip(0..).collect();
        sorted.sort_unstable();
        let mut endings = vec![0; 1 << 10];
        for (id, _) in &sorted {
            endings[*id as usize % (1 << 16) / 64] |= 1 << (id % 64);
        }
        Self { sorted, endings }
    }

    /// The pairs that have this id.
    fn of(&self, id: u32) -> &[(u32, u32)] {
        if self.endings[id as usize % (1 << 16) / 64] & 1 << (id % 64) == 0 {
            return &[];
        }
        let first = self.sorted.partition_point(|(other, _)| *other < id);
        let count = self.sorted[first..].iter().take_while(|(other, _)| *other == id).count();
        &self.sorted[first..first + count]
    }
}

/// The transactions that fit one position.
#[derive(Debug, Clone)]
enum Fit {
    None,
    One(CheckedTransaction),
    Several,
}

impl Fit {
    fn one(self) -> Option<CheckedTransaction> {
        if let Self::One(transaction) = self { Some(transaction) } else { None }
    }
}

/// The same items in the same order, taken in small groups. The processor can then fetch several items from main memory
/// at once; it would not look past the work that is done with each.
fn fetched<T>(items: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    const GROUP: usize = 64;
    let mut items = items.fuse();
    let mut group = Vec::new().into_iter();
    std::iter::from_fn(move || {
        group.next().or_else(|| {
            group = items.by_ref().take(GROUP).collect::<Vec<_>>().into_iter();
            group.next()
        })
    })
}

/// Hashes leaves with the short-id key of one block.
#[derive(Debug, Clone, Copy)]
pub struct LeafHasher(SipHasher24);

impl LeafHasher {
    /// The key is the first 16 bytes of a hash of the header.
    pub fn of(header: &Header) -> Self {
        let hash = tagged_hash("quipu short id 1", &[&header.to_bytes()]);
        Self(SipHasher24::new_with_key(hash.first_chunk().expect("32 bytes hold 16")))
    }

    /// The hash. Its low bits are the short id, the next ones the hint.
    pub fn hash(&self, leaf: &LeafHash) -> u64 {
        self.0.hash(&leaf.0)
    }
}

fn id_of(hash: u64, id_bits: u8) -> u32 {
    (hash & ((1 << id_bits) - 1)) as u32
}

fn hint_of(hash: u64, id_bits: u8) -> u32 {
    (hash >> id_bits) as u32
}

fn count_of(bytes: usize, id_bits: u8) -> usize {
    bytes * 8 / usize::from(id_bits)
}

fn pack(ids: impl Iterator<Item = u32>, id_bits: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pending = 0_u64;
    let mut pending_bits = 0;
    for id in ids {
        pending |= u64::from(id) << pending_bits;
        pending_bits += id_bits;
        while pending_bits >= 8 {
            bytes.push(pending as u8);
            pending >>= 8;
            pending_bits -= 8;
        }
    }
    if pending_bits > 0 {
        bytes.push(pending as u8);
    }
    bytes
}

#[cfg(test)]
mod tests;
