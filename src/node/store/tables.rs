//! The tables of the database: their names, keys and values.
//!
//! Keys are big-endian, so that rows are in the order of heights. A header has a row of its own because startup
//! reads all headers and no bodies; header and body one after the other are the encoded block, so serving one needs no
//! decoding.

use redb::TableDefinition;

use crate::engine::event::Place;
use crate::protocol::block::HEADER_BYTES;
use crate::protocol::encode::decode;
use crate::protocol::{BlockId, Header, Height};

/// The version of this format. A database of a higher one is refused.
pub(super) const SCHEMA: u32 = 4;
/// Databases from this version on are read, and become [`SCHEMA`] when they are opened: version 3 had no [`PIECES`].
pub(super) const SCHEMA_MIN: u32 = 3;

/// [`SCHEMA`], network, journal and checkpoint.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// `u32`, little endian.
pub(super) const META_SCHEMA: &str = "schema";
/// The id of the genesis block.
pub(super) const META_GENESIS: &str = "genesis";
/// The network's name, for messages.
pub(super) const META_NETWORK: &str = "network";
/// The [`PlaceKey`] of the checkpoint: a block of the best chain below which nothing is reorganised. Absent if there is
/// none.
pub(super) const META_CHECKPOINT: &str = "checkpoint";

/// The 16 random bytes of the journal's id. Absent if the database was closed in order: it holds everything and has no
/// journal.
pub(super) const META_JOURNAL: &str = "journal";
/// The number of the last record of the journal that a checkpoint has synced: `u64`, little endian. Absent: 0.
pub(super) const META_SETTLED: &str = "settled";

/// All stored headers but genesis.
pub(super) const HEADERS: TableDefinition<&PlaceKey, &EncodedHeader> = TableDefinition::new("headers");
/// Their encoded bodies, each the first piece of it.
pub(super) const BODIES: TableDefinition<&PlaceKey, &[u8]> = TableDefinition::new("bodies");
/// Encoded deltas of the blocks of the best chain, each the first piece of it.
pub(super) const UNDO: TableDefinition<&PlaceKey, &[u8]> = TableDefinition::new("undo");
/// The other pieces of long bodies and deltas, by the number of their table, the place, and their own number from 1 on.
pub(super) const PIECES: TableDefinition<&PieceKey, &[u8]> = TableDefinition::new("pieces");
/// The ids of the best chain by height, genesis left out. The last one is the tip.
pub(super) const BEST: TableDefinition<u64, &[u8; 32]> = TableDefinition::new("best");
/// The height of every stored block by [`HeightKey`].
pub(super) const HEIGHTS: TableDefinition<&HeightKey, u64> = TableDefinition::new("heights");
/// Heights in a segment of [`HEIGHTS`]. Ids are random: if all were in one order, each new one would touch another
/// page, and a commit of 500 blocks would take more than twice as long. With segments, a commit touches some tens of
/// pages, and a lookup takes one probe for each segment.
pub(super) const HEIGHTS_SEGMENT: u64 = 4096;
/// Balance in wei and nonce at the tip of the accounts that a block has changed.
pub(super) const ACCOUNTS: TableDefinition<&[u8; 20], (u128, u64)> = TableDefinition::new("accounts");
/// Encoded transactions by id, each with a number that tells their order.
pub(super) const PENDING: TableDefinition<&[u8; 32], (u64, &[u8])> = TableDefinition::new("pending");

/// Height (big endian) and id.
pub(super) type PlaceKey = [u8; 40];
/// The number of a table, a [`PlaceKey`] and the number of a piece (big endian).
pub(super) type PieceKey = [u8; 45];
/// Number of the segment (big endian) and id.
pub(super) type HeightKey = [u8; 40];
/// An encoded header and a byte that is 1 if its block is condemned, else 0.
pub(super) type EncodedHeader = [u8; HEADER_BYTES + 1];

/// The key of a place.
pub(super) fn place_key(place: &Place) -> PlaceKey {
    number_and_id(place.height.0, &place.id)
}

/// The key of a block in a segment.
pub(super) fn height_key(segment: u64, id: &BlockId) -> HeightKey {
    number_and_id(segment, id)
}

fn number_and_id(number: u64, id: &BlockId) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key[8..].copy_from_slice(id.as_bytes());
    key
}

/// The place of a key.
pub(super) fn place_of(key: &PlaceKey) -> Place {
    let (height, id) = key.split_first_chunk().expect("a key is 8 bytes and 32 more");
    Place { height: Height(u64::from_be_bytes(*height)), id: BlockId(id.try_into().expect("32 are left of 40")) }
}

/// The row of a header.
pub(super) fn header_row(encoded: &[u8; HEADER_BYTES], condemned: bool) -> EncodedHeader {
    let mut row = [u8::from(condemned); HEADER_BYTES + 1];
    row[..HEADER_BYTES].copy_from_slice(encoded);
    row
}

/// The content of a header's row, if it is the one that was written for this place.
pub(super) fn parse_header_row(place: &Place, row: &EncodedHeader) -> Result<(Header, bool), redb::Error> {
    let header: Header = decode(&row[..HEADER_BYTES], HEADER_BYTES).map_err(|error| damaged(place, &error))?;
    // Hashing costs far less than finding out later that a disk has forgotten a bit.
    if header.id() != place.id || header.height != place.height {
        return Err(damaged(place, &"its header is another one"));
    }
    match row[HEADER_BYTES] {
        0 => Ok((header, false)),
        1 => Ok((header, true)),
        _ => Err(damaged(place, &"its mark is unknown")),
    }
}

/// A block that is not as it was written.
pub(super) fn damaged(place: &Place, detail: &dyn std::fmt::Display) -> redb::Error {
    redb::Error::Corrupted(format!("block {} {}: {detail}", place.height, place.id.short()))
}
