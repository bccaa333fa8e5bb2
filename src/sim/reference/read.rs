//! Decodes a block by sections 1, 8 and 9. Bytes that do not fit the tables give `None`: they break R1.
//!
//! Parts are kept as they came, since hashes and signatures are over those bytes. Memory is only reserved for elements
//! that have been read.

use super::sha256;
use crate::protocol::Address;

/// The longest block of any network (section 1).
const BLOCK_BYTES_MAX: usize = 4_194_304;

/// A decoded block.
pub(super) struct RawBlock<'a> {
    header_bytes: &'a [u8],
    pub(super) version: u32,
    pub(super) height: u64,
    pub(super) parent: [u8; 32],
    pub(super) root: [u8; 32],
    pub(super) timestamp: u64,
    pub(super) target: u32,
    pub(super) context_bytes: &'a [u8],
    pub(super) history: [u8; 32],
    pub(super) outcome: [u8; 32],
    pub(super) reward_bytes: &'a [u8],
    pub(super) reward_to: [u8; 20],
    pub(super) reward_amount: u64,
    pub(super) transactions: Vec<RawTransaction<'a>>,
    /// Length of the whole block, in bytes.
    pub(super) length: usize,
}

impl RawBlock<'_> {
    pub(super) fn id(&self) -> [u8; 32] {
        sha256(&[self.header_bytes])
    }
}

/// A decoded signed transaction.
pub(super) struct RawTransaction<'a> {
    /// The bytes with the signature.
    pub(super) bytes: &'a [u8],
    /// The bytes without the signature.
    pub(super) unsigned_bytes: &'a [u8],
    pub(super) sender: [u8; 32],
    pub(super) nonce: u64,
    pub(super) fee: u64,
    pub(super) action: RawAction,
    pub(super) signature: [u8; 64],
}

impl RawTransaction<'_> {
    pub(super) fn sender_address(&self) -> Address {
        let hash = sha256(&[&[0; 4], &self.sender]);
        Address(*hash.first_chunk().expect("32 bytes hold 20"))
    }
}

pub(super) enum RawAction {
    Transfer { to: [u8; 20], amount: u64 },
    Record { length: usize },
}

/// Decodes a whole block, with no bytes left over.
pub(super) fn block(bytes: &[u8]) -> Option<RawBlock<'_>> {
    if bytes.len() > BLOCK_BYTES_MAX {
        return None;
    }
    let mut reader = ByteReader(bytes);
    let start = reader;
    let (version, height) = (reader.u32()?, reader.u64()?);
    let (parent, root) = (reader.array()?, reader.array()?);
    let (timestamp, target, _nonce) = (reader.u64()?, reader.u32()?, reader.u64()?);
    let header_bytes = start.until(reader);
    let start = reader;
    let (history, outcome) = (reader.array()?, reader.array()?);
    let context_bytes = start.until(reader);
    let start = reader;
    let (reward_to, reward_amount) = (reader.array()?, reader.u64()?);
    let reward_bytes = start.until(reader);
    let count = reader.u64()?;
    let mut transactions = Vec::new();
    for _ in 0..count {
        transactions.push(transaction(&mut reader)?);
    }
    reader.0.is_empty().then_some(RawBlock {
        header_bytes,
        version,
        height,
        parent,
        root,
        timestamp,
        target,
        context_bytes,
        history,
        outcome,
        reward_bytes,
        reward_to,
        reward_amount,
        transactions,
        length: bytes.len(),
    })
}

fn transaction<'a>(reader: &mut ByteReader<'a>) -> Option<RawTransaction<'a>> {
    let start = *reader;
    let sender = reader.tagged()?;
    let (nonce, fee) = (reader.u64()?, reader.u64()?);
    let action = match reader.u32()? {
        0 => RawAction::Transfer { to: reader.array()?, amount: reader.u64()? },
        1 => {
            let length = usize::try_from(reader.u64()?).ok()?;
            reader.take(length)?;
            RawAction::Record { length }
        }
        _ => return None,
    };
    let unsigned_bytes = start.until(*reader);
    let signature = reader.tagged()?;
    Some(RawTransaction { bytes: start.until(*reader), unsigned_bytes, sender, nonce, fee, action, signature })
}

/// The rest of the input.
#[derive(Clone, Copy)]
struct ByteReader<'a>(&'a [u8]);

impl<'a> ByteReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a key or a signature: both have the one tag 0.
    fn tagged<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.u32()? == 0 { self.array() } else { None }
    }

    /// The bytes between here and a later position.
    fn until(self, later: Self) -> &'a [u8] {
        &self.0[..self.0.len() - later.0.len()]
    }
}
