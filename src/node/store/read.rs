//! Reading beside the writer. A read sees one commit, whatever is written meanwhile.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};

use super::error::guarded;
use super::open::{JOURNAL_FILE, tip_of};
use super::pieces::{Long, read_long};
use super::progress::Progress;
use super::tables::{
    BEST, BODIES, EncodedHeader, HEADERS, HEIGHTS, HEIGHTS_SEGMENT, HeightKey, PIECES, PieceKey, PlaceKey, UNDO,
    damaged, height_key, parse_header_row, place_key, place_of,
};
use super::{Files, StoreError};
use crate::engine::event::{LoadedBlock, Place};
use crate::protocol::block::HEADER_BYTES;
use crate::protocol::encode::{DECODE_BYTES_MAX, decode, encode};
use crate::protocol::{Block, BlockId, CheckedBlock, Delta, Header, Height, Network, UnixMillis};

/// Hex digits of an id.
const ID_DIGITS: usize = 64;

/// Reads what is written, from any thread. Once the store is closed, every read fails with [`StoreError::Closed`].
#[derive(Debug, Clone)]
pub struct Reader {
    // Weak, so that a reader that is still held does not keep the database open.
    files: Weak<Files>,
    progress: Arc<Progress>,
    path: PathBuf,
    network: Arc<Network>,
}

impl Reader {
    pub(super) fn new(files: &Arc<Files>, progress: Arc<Progress>, network: Arc<Network>) -> Self {
        Self { files: Arc::downgrade(files), progress, path: files.path.clone(), network }
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.path.parent().expect("the file is in a folder")
    }

    /// Copies the store to another folder, with all that was shown. The writer does so between two commits.
    pub fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        self.progress.wait();
        self.progress.copy_to(folder)
    }

    /// Users see what this batch holds from now on, so [`Self::snapshot`] waits until it is written.
    pub fn note_shown(&self, batch: u64) {
        self.progress.note_shown(batch);
    }

    /// Blocks by place with their undo data, in the order asked for.
    pub fn load(&self, places: &[Place]) -> Result<Vec<LoadedBlock>, StoreError> {
        let blocks = self.begin()?;
        guarded(&self.path, || {
            let undo = blocks.transaction.open_table(UNDO)?;
            places
                .iter()
                .map(|place| {
                    let block = CheckedBlock::recall(blocks.block(place)?, &self.network);
                    if CheckedBlock::root_of(block.context(), block.reward(), block.transactions())
                        != block.header().root
                    {
                        return Err(damaged(place, &"its body is another one"));
                    }
                    let mut delta = Vec::new();
                    let is_there = read_long(Long::Undo, &undo, &blocks.pieces, &place_key(place), &mut delta)?;
                    let delta = is_there.then(|| decode::<Delta>(&delta, DECODE_BYTES_MAX)).transpose();
                    let delta = delta.map_err(|error| damaged(place, &error))?;
                    Ok(LoadedBlock { block: Arc::new(block), delta: delta.map(Arc::new) })
                })
                .collect()
        })
    }

    /// Encoded blocks, until the next one would exceed `bytes_max` in all (the first one always fits). Those that are
    /// not there are left out.
    pub fn encoded_blocks(&self, places: &[Place], bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let blocks = self.begin()?;
        guarded(&self.path, || {
            let mut encoded = Vec::new();
            let mut bytes = 0;
            for place in places {
                let Some(block) = blocks.encoded(place)? else { continue };
                bytes += block.len();
                if bytes > bytes_max && !encoded.is_empty() {
                    break;
                }
                encoded.push(block);
            }
            Ok(encoded)
        })
    }

    /// The size of the files.
    pub fn size_bytes(&self) -> std::io::Result<u64> {
        let journal = self.path.with_file_name(JOURNAL_FILE);
        Ok(std::fs::metadata(&self.path)?.len() + std::fs::metadata(journal)?.len())
    }

    /// One consistent moment of the whole chain, which later writes do not change: not older than what users have seen.
    /// Waits for the disk if need be.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.progress.wait();
        self.written()
    }

    /// The same of what is written now, without waiting.
    pub fn written(&self) -> Result<Snapshot, StoreError> {
        let blocks = self.begin()?;
        let (tip, best) = guarded(&self.path, || {
            Ok((tip_of(&blocks.transaction, &self.network)?, blocks.transaction.open_table(BEST)?))
        })?;
        Ok(Snapshot { blocks, best, tip, path: self.path.clone(), network: Arc::clone(&self.network) })
    }

    fn begin(&self) -> Result<BlockTables, StoreError> {
        let files = self.files.upgrade().ok_or(StoreError::Closed)?;
        guarded(&self.path, || {
            let transaction = files.database().begin_read()?;
            let (headers, bodies) = (transaction.open_table(HEADERS)?, transaction.open_table(BODIES)?);
            let pieces = transaction.open_table(PIECES)?;
            Ok(BlockTables { transaction, headers, bodies, pieces })
        })
    }
}

/// All stored blocks at one moment.
struct BlockTables {
    transaction: ReadTransaction,
    headers: ReadOnlyTable<&'static PlaceKey, &'static EncodedHeader>,
    bodies: ReadOnlyTable<&'static PlaceKey, &'static [u8]>,
    pieces: ReadOnlyTable<&'static PieceKey, &'static [u8]>,
}

impl BlockTables {
    /// Header and body, one after the other.
    fn encoded(&self, place: &Place) -> Result<Option<Vec<u8>>, redb::Error> {
        let Some(header) = self.headers.get(&place_key(place))? else { return Ok(None) };
        let mut encoded = header.value()[..HEADER_BYTES].to_vec();
        self.read_body(place, &mut encoded)?;
        Ok(Some(encoded))
    }

    /// Appends the encoded body of a block that must be there.
    fn read_body(&self, place: &Place, encoded: &mut Vec<u8>) -> Result<(), redb::Error> {
        let is_there = read_long(Long::Bodies, &self.bodies, &self.pieces, &place_key(place), encoded)?;
        if is_there { Ok(()) } else { Err(damaged(place, &"its body is missing")) }
    }

    /// The header of a block that must be there.
    fn header(&self, place: &Place) -> Result<Header, redb::Error> {
        let row = self.headers.get(&place_key(place))?.ok_or_else(|| damaged(place, &"it is missing"))?;
        Ok(parse_header_row(place, row.value())?.0)
    }

    /// A block that must be there.
    fn block(&self, place: &Place) -> Result<Block, redb::Error> {
        let header = self.header(place)?;
        let mut body = Vec::new();
        self.read_body(place, &mut body)?;
        let body = decode(&body, DECODE_BYTES_MAX).map_err(|error| damaged(place, &error))?;
        Ok(Block { header, body })
    }
}

/// A header that is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotHeader {
    pub header: Header,
    /// Whether its block is on the best chain.
    pub is_best: bool,
    /// Whether its block breaks a rule, or one below it does.
    pub is_condemned: bool,
}

/// The chain at one moment. It holds no blocks in memory, so a chain of any length can be walked with
/// [`Snapshot::block_at`].
pub struct Snapshot {
    blocks: BlockTables,
    best: ReadOnlyTable<u64, &'static [u8; 32]>,
    tip: Place,
    path: PathBuf,
    network: Arc<Network>,
}

impl Snapshot {
    /// The best block; genesis at first.
    pub fn tip(&self) -> Place {
        self.tip
    }

    /// The block at a height of the best chain, genesis included; `None` above the tip.
    pub fn block_at(&self, height: Height) -> Result<Option<Block>, StoreError> {
        if height == Height::GENESIS {
            return Ok(Some(self.network.genesis().clone()));
        }
        guarded(&self.path, || {
            let id = self.best.get(height.0)?.map(|id| BlockId(*id.value()));
            id.map(|id| self.blocks.block(&Place { height, id })).transpose()
        })
    }

    /// The header at a height of the best chain, genesis included; `None` above the tip.
    pub fn header_at(&self, height: Height) -> Result<Option<Header>, StoreError> {
        if height == Height::GENESIS {
            return Ok(Some(self.network.genesis().header));
        }
        guarded(&self.path, || {
            let id = self.best.get(height.0)?.map(|id| BlockId(*id.value()));
            id.map(|id| self.blocks.header(&Place { height, id })).transpose()
        })
    }

    /// The lowest height of the best chain with a block of this time or later; the one above the tip if there is none.
    /// Timestamps never decrease along the chain.
    pub fn first_since(&self, moment: UnixMillis) -> Result<u64, StoreError> {
        let (mut low, mut high) = (0, self.tip.height.0 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let is_older = self.header_at(Height(middle))?.is_some_and(|header| header.timestamp < moment);
            if is_older { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// Any stored block, on the best chain or not, and whether it is on it.
    pub fn block(&self, id: &BlockId) -> Result<Option<(Block, bool)>, StoreError> {
        if *id == self.network.genesis_id() {
            return Ok(Some((self.network.genesis().clone(), true)));
        }
        guarded(&self.path, || {
            let Some(height) = self.height_of(id)? else { return Ok(None) };
            let block = self.blocks.block(&Place { height: Height(height), id: *id })?;
            let is_best = self.best.get(height)?.is_some_and(|best| best.value() == id.as_bytes());
            Ok(Some((block, is_best)))
        })
    }

    /// Any stored block as peers send it: the encoded header and body. Genesis has no form of its own, it is made from
    /// the parameters.
    pub fn encoded_block(&self, id: &BlockId) -> Result<Option<Vec<u8>>, StoreError> {
        if *id == self.network.genesis_id() {
            return Ok(Some(encode(self.network.genesis())));
        }
        guarded(&self.path, || {
            let Some(height) = self.height_of(id)? else { return Ok(None) };
            self.blocks.encoded(&Place { height: Height(height), id: *id })
        })
    }

    /// All stored headers of these heights, on the best chain or not, the lowest first; at most `max` of them. Genesis
    /// is among them.
    pub fn headers(&self, heights: RangeInclusive<u64>, max: usize) -> Result<Vec<SnapshotHeader>, StoreError> {
        let genesis = SnapshotHeader { header: self.network.genesis().header, is_best: true, is_condemned: false };
        let mut found = Vec::from_iter(Some(genesis).filter(|_| heights.contains(&0) && max > 0));
        let (first, last) = (BlockId([0; 32]), BlockId([0xff; 32]));
        let first = place_key(&Place { height: Height(*heights.start()), id: first });
        let last = place_key(&Place { height: Height(*heights.end()), id: last });
        guarded(&self.path, || {
            for row in self.blocks.headers.range::<&PlaceKey>(&first..=&last)?.take(max - found.len()) {
                let (key, row) = row?;
                let place = place_of(key.value());
                let (header, is_condemned) = parse_header_row(&place, row.value())?;
                let best = self.best.get(place.height.0)?;
                let is_best = best.is_some_and(|best| best.value() == place.id.as_bytes());
                found.push(SnapshotHeader { header, is_best, is_condemned });
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Stored blocks whose [`BlockId::short`] is these digits, at most two: enough to see an ambiguity.
    pub fn ids_shown_as(&self, digits: u32) -> Result<Vec<BlockId>, StoreError> {
        let digits = format!("{digits:08x}");
        let mut found = Vec::from_iter(Some(self.network.genesis_id()).filter(|id| id.short() == digits));
        // That of genesis has no row.
        found.extend(self.ids_from(&digits, 2 - found.len())?);
        Ok(found)
    }

    /// Stored blocks but genesis whose ids begin with these hex digits, or do so without their leading zeros, at most
    /// `most`.
    pub fn ids_from(&self, digits: &str, most: usize) -> Result<Vec<BlockId>, StoreError> {
        guarded(&self.path, || {
            let heights = self.blocks.transaction.open_table(HEIGHTS)?;
            let mut found = Vec::new();
            for segment in self.segments()? {
                // An id is shown without its leading zeros, and one of a hard network has many.
                for zeros in 0..=ID_DIGITS.saturating_sub(digits.len()) {
                    let Some((first, last)) = ids_with(zeros, digits) else { return Ok(found) };
                    let keys = height_key(segment, &first)..=height_key(segment, &last);
                    for row in heights.range::<&HeightKey>(keys.start()..=keys.end())? {
                        if found.len() == most {
                            return Ok(found);
                        }
                        let id = place_of(row?.0.value()).id;
                        // Where all digits are zeros, one id begins with them in several ways.
                        if !found.contains(&id) {
                            found.push(id);
                        }
                    }
                }
            }
            Ok(found)
        })
    }

    fn height_of(&self, id: &BlockId) -> Result<Option<u64>, redb::Error> {
        let heights = self.blocks.transaction.open_table(HEIGHTS)?;
        for segment in self.segments()? {
            if let Some(height) = heights.get(&height_key(segment, id))? {
                return Ok(Some(height.value()));
            }
        }
        Ok(None)
    }

    /// The segments of [`HEIGHTS`], the newest first: those are asked for most.
    fn segments(&self) -> Result<impl Iterator<Item = u64>, redb::Error> {
        let highest = self.blocks.headers.last()?.map_or(0, |(key, _)| place_of(key.value()).height.0);
        Ok((0..=highest / HEIGHTS_SEGMENT).rev())
    }
}

/// The lowest and the highest id that begin with this number of zeros and then these digits; `None` if they are no
/// digits, or too many.
pub(super) fn ids_with(zeros: usize, digits: &str) -> Option<(BlockId, BlockId)> {
    let head = "0".repeat(zeros) + digits;
    Some((format!("{head:0<ID_DIGITS$}").parse().ok()?, format!("{head:f<ID_DIGITS$}").parse().ok()?))
}
