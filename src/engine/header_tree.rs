//! The header tree: all headers that were ever found valid, in memory.
//!
//! Always true: a header's parent is in the tree and was added before it; every header kept the rules on headers when
//! it was added. Nothing is ever removed: a header costs its maker the work in it, and peers' headers only get here
//! with more work than our chain has (see `sync`). One entry takes 108 bytes, the look-up by id 5.7 to 11.4 more.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;
use quipu_protocol::check::Parent;
use quipu_protocol::{BlockId, Header, Height, HistoryNode, LeafHash, Network, Target, UnixMillis, Work};

use super::event::Place;

/// A header's number in the [`HeaderTree`]. Parents have smaller numbers than their children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockRef(u32);

/// The genesis block.
pub(crate) const GENESIS: BlockRef = BlockRef(0);

// Aligned to four bytes, since alignment to eight would add four to each.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
struct TreeEntry {
    id: BlockId,
    root: LeafHash,
    work: Work,
    timestamp: UnixMillis,
    nonce: u64,
    target: Target,
    parent: BlockRef,
    /// The height, with the marks in its highest bits.
    height: u32,
}

/// The body was checked, and is in the store (or on its way there) or put aside in memory.
const HAS_BODY: u32 = 1 << 31;
/// The block, or an ancestor, breaks a rule.
const CONDEMNED: u32 = 1 << 30;
/// The block is on a branch that leaves out the checkpoint.
const BARRED: u32 = 1 << 29;
/// The block, or an ancestor, was asked for and not delivered.
const WITHHELD: u32 = 1 << 28;
/// The greatest height that fits beside the marks; memory holds fewer headers.
pub(crate) const HEIGHT_MAX: u32 = WITHHELD - 1;

impl TreeEntry {
    fn has(&self, mark: u32) -> bool {
        self.height & mark != 0
    }

    fn set(&mut self, mark: u32, on: bool) {
        self.height = if on { self.height | mark } else { self.height & !mark };
    }
}

/// All headers.
#[derive(Debug)]
pub(crate) struct HeaderTree {
    entries: Vec<TreeEntry>,
    by_id: HashTable<u32>,
    /// A secret of this node, so that nobody can choose ids that collide in the table.
    hash_key: u64,
    /// The last target and its work, since the next target is usually the same.
    last_work: (Target, Work),
    version: u32,
    genesis: Parent,
    genesis_parent: BlockId,
    /// New blocks at this height or below are barred.
    barred_up_to: Option<Height>,
}

impl HeaderTree {
    /// A tree of the genesis header alone.
    pub(crate) fn new(network: &Network, hash_key: u64) -> Self {
        let genesis = &network.genesis().header;
        let mut tree = Self {
            entries: Vec::new(),
            by_id: HashTable::new(),
            hash_key: hash_key | 1,
            last_work: (genesis.target, genesis.target.work()),
            version: genesis.version,
            genesis: Parent::genesis(network),
            genesis_parent: genesis.parent,
            barred_up_to: None,
        };
        tree.push(genesis.id(), genesis, GENESIS, Work::ZERO);
        tree.entries[0].set(HAS_BODY, true);
        tree.find_all();
        tree
    }

    /// Reserves memory for more headers.
    pub(crate) fn reserve(&mut self, headers: usize) {
        let entries = &mut self.entries;
        let key = self.hash_key;
        entries.reserve(headers);
        self.by_id.reserve(headers, |number| hash(&entries[*number as usize].id, key));
    }

    /// Adds a checked header below `parent`.
    pub(crate) fn insert(&mut self, id: BlockId, header: &Header, parent: BlockRef) -> BlockRef {
        let block = self.insert_unfound(id, header, parent);
        self.find_all();
        block
    }

    /// Adds a header that cannot be found before [`HeaderTree::find_all`] is called. For many headers that is faster:
    /// the look-up table is spread over memory, and without other work in between the processor fetches several of its
    /// places at once.
    pub(crate) fn insert_unfound(&mut self, id: BlockId, header: &Header, parent: BlockRef) -> BlockRef {
        assert_eq!(header.parent, self.id(parent), "a header is added below its parent");
        assert_eq!(header.height, self.height(parent).next(), "heights are checked before");
        if header.target != self.last_work.0 {
            self.last_work = (header.target, header.target.work());
        }
        let work = self.work(parent) + self.last_work.1;
        self.push(id, header, parent, work)
    }

    /// Adds all headers to the look-up table that are not in it yet.
    pub(crate) fn find_all(&mut self) {
        let entries = &self.entries;
        let key = self.hash_key;
        let hash = |number: u32| hash(&entries[number as usize].id, key);
        for number in self.by_id.len() as u32..entries.len() as u32 {
            self.by_id.insert_unique(hash(number), number, |other| hash(*other));
        }
    }

    fn push(&mut self, id: BlockId, header: &Header, parent: BlockRef, work: Work) -> BlockRef {
        let number = u32::try_from(self.entries.len()).expect("four billion headers do not fit into memory");
        let height = u32::try_from(header.height.0).ok().filter(|height| *height <= HEIGHT_MAX);
        let mut entry = TreeEntry {
            id,
            root: header.root,
            work,
            timestamp: header.timestamp,
            nonce: header.nonce,
            target: header.target,
            parent,
            height: height.expect("memory holds fewer headers than that"),
        };
        if !self.entries.is_empty() {
            entry.set(BARRED, self.bars_child_of(parent));
            entry.set(CONDEMNED, self.is_condemned(parent));
            entry.set(WITHHELD, self.is_withheld(parent));
        }
        self.entries.push(entry);
        BlockRef(number)
    }

    /// The block with this id.
    pub(crate) fn find(&self, id: &BlockId) -> Option<BlockRef> {
        self.by_id
            .find(hash(id, self.hash_key), |number| self.entries[*number as usize].id == *id)
            .copied()
            .map(BlockRef)
    }

    /// The number of headers, genesis included.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The hasher for other tables of ids.
    pub(crate) fn id_hashes(&self) -> IdHashes {
        IdHashes { key: self.hash_key }
    }

    fn entry(&self, block: BlockRef) -> &TreeEntry {
        &self.entries[block.0 as usize]
    }

    /// The id of a block.
    pub(crate) fn id(&self, block: BlockRef) -> BlockId {
        self.entry(block).id
    }

    /// The height of a block.
    pub(crate) fn height(&self, block: BlockRef) -> Height {
        Height(u64::from(self.entry(block).height & HEIGHT_MAX))
    }

    /// Height and id of a block, which locate it in the store.
    pub(crate) fn place(&self, block: BlockRef) -> Place {
        Place { height: self.height(block), id: self.id(block) }
    }

    /// The timestamp of a block.
    pub(crate) fn timestamp(&self, block: BlockRef) -> UnixMillis {
        self.entry(block).timestamp
    }

    /// The work of the chain that ends in a block. Genesis has none.
    pub(crate) fn work(&self, block: BlockRef) -> Work {
        self.entry(block).work
    }

    /// The parent of a block. Genesis is its own parent.
    pub(crate) fn parent(&self, block: BlockRef) -> BlockRef {
        self.entry(block).parent
    }

    /// The parts of a header that the rules on its children need.
    pub(crate) fn as_parent(&self, block: BlockRef) -> Parent {
        if block == GENESIS {
            return self.genesis;
        }
        let TreeEntry { timestamp, target, parent, .. } = *self.entry(block);
        let interval = timestamp.saturating_since(self.entry(parent).timestamp);
        Parent { height: self.height(block), timestamp, target, interval }
    }

    /// The header of a block.
    pub(crate) fn header(&self, block: BlockRef) -> Header {
        let entry = self.entry(block);
        Header {
            version: self.version,
            height: self.height(block),
            parent: if block == GENESIS { self.genesis_parent } else { self.id(entry.parent) },
            root: entry.root,
            timestamp: entry.timestamp,
            target: entry.target,
            nonce: entry.nonce,
        }
    }

    /// The block as a leaf of the tree over its chain.
    pub(crate) fn history_node(&self, block: BlockRef) -> HistoryNode {
        let (work, below) = (self.work(block), self.work(self.parent(block)));
        HistoryNode::leaf(&self.id(block), Work(work.0 - below.0))
    }

    /// Whether the body was checked, and is in the store (or on its way there) or put aside in memory.
    pub(crate) fn has_body(&self, block: BlockRef) -> bool {
        self.entry(block).has(HAS_BODY)
    }

    /// Records whether the body is there.
    pub(crate) fn set_has_body(&mut self, block: BlockRef, is_there: bool) {
        self.entries[block.0 as usize].set(HAS_BODY, is_there);
    }

    /// Whether the block, or an ancestor, breaks a rule.
    pub(crate) fn is_condemned(&self, block: BlockRef) -> bool {
        self.entry(block).has(CONDEMNED)
    }

    /// Records that a block breaks a rule, and with it all its descendants.
    pub(crate) fn condemn(&mut self, block: BlockRef) {
        let first = block.0 as usize;
        self.entries[first].set(CONDEMNED, true);
        for number in first + 1..self.entries.len() {
            let parent = self.entries[number].parent;
            if self.is_condemned(parent) {
                self.entries[number].set(CONDEMNED, true);
            }
        }
    }

    /// Whether the block, or an ancestor, was asked for and not delivered.
    pub(crate) fn is_withheld(&self, block: BlockRef) -> bool {
        self.entry(block).has(WITHHELD)
    }

    /// Marks the blocks from `first` on anew: those in `withheld`, and their descendants.
    pub(crate) fn mark_withheld(&mut self, first: BlockRef, withheld: &BTreeSet<BlockRef>) {
        let mut marked = withheld.range(first..).peekable();
        for number in first.0..self.entries.len() as u32 {
            let is_first = marked.next_if_eq(&&BlockRef(number)).is_some();
            let parent = self.entries[number as usize].parent;
            let is_withheld = is_first || self.is_withheld(parent);
            self.entries[number as usize].set(WITHHELD, is_withheld);
        }
    }

    /// Whether a block is on a branch that leaves out the checkpoint.
    pub(crate) fn is_barred(&self, block: BlockRef) -> bool {
        self.entry(block).has(BARRED)
    }

    /// Whether a new child of this block would be barred.
    pub(crate) fn bars_child_of(&self, parent: BlockRef) -> bool {
        self.is_barred(parent) || self.barred_up_to.is_some_and(|limit| self.height(parent) < limit)
    }

    /// Bars all blocks up to a height that are not on the best chain, with all their descendants; lifts all other bars.
    pub(crate) fn bar_branches(&mut self, up_to: Option<Height>, best: &[BlockRef]) {
        self.barred_up_to = up_to;
        // Genesis is on every chain.
        for number in 1..self.entries.len() {
            let block = BlockRef(number as u32);
            let height = self.height(block);
            let leaves = up_to.is_some_and(|limit| height <= limit) && best[height.0 as usize] != block;
            let barred = leaves || self.is_barred(self.parent(block));
            self.entries[number].set(BARRED, barred);
        }
    }

    /// All blocks, parents before children.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = BlockRef> + use<> {
        (0..self.entries.len() as u32).map(BlockRef)
    }
}

/// The hasher of tables of ids. An id is a hash already, so multiplying by a secret is enough to keep others from
/// choosing ids that collide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdHashes {
    key: u64,
}

impl BuildHasher for IdHashes {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { key: self.key, hash: 0 }
    }
}

/// The state of hashing one id.
#[derive(Debug)]
pub(crate) struct IdHasher {
    key: u64,
    hash: u64,
}

impl Hasher for IdHasher {
    fn write(&mut self, id: &[u8]) {
        self.hash = fold(id.last_chunk().expect("ids are longer than 8 bytes"), self.key);
    }

    /// All ids have the same length, so it adds nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.hash
    }
}

fn hash(id: &BlockId, key: u64) -> u64 {
    fold(id.0.last_chunk().expect("32 bytes hold 8"), key)
}

/// Folds a multiplication by the key over the last bytes of an id, which its work leaves random.
fn fold(tail: &[u8; 8], key: u64) -> u64 {
    let tail = u64::from_le_bytes(*tail);
    let product = u128::from(tail) * u128::from(key);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_as_small_as_stated() {
        assert_eq!(size_of::<TreeEntry>(), 108);
    }
}
