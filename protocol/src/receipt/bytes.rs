//! The parts that a proof's bytes consist of. Each has one form alone.

use super::ReceiptError;
use crate::block::{Header, Height, VERSION};
use crate::hash::{BlockId, HistoryHash, LeafHash, OutcomeHash};
use crate::history::HistoryNode;
use crate::time::UnixMillis;
use crate::work::{Target, Work};

/// The most work of one block, and so of a node for each block below it: no target is below 2^160.
const WORK_MAX: u128 = (1 << 96) - 1;

/// The error for bytes that are no proof.
pub(super) fn malformed(what: &str) -> ReceiptError {
    ReceiptError::Form { problem: format!("the proof {what}") }
}

/// Reads parts from the front of bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Everything must have been read.
    pub(super) fn end(self) -> Result<(), ReceiptError> {
        if self.rest.is_empty() { Ok(()) } else { Err(malformed("has something behind it")) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ReceiptError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| malformed("ends early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn wide(&mut self) -> Result<u128, ReceiptError> {
        let mut number = 0_u128;
        for shift in (0..u128::BITS).step_by(7) {
            let [byte] = self.take()?;
            let bits = u128::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let is_shortest = byte != 0 || shift == 0;
                return if is_shortest { Ok(number) } else { Err(malformed("has a number with needless bytes")) };
            }
        }
        Err(malformed("has a number that is too large"))
    }

    pub(super) fn varint(&mut self) -> Result<u64, ReceiptError> {
        self.wide()?.try_into().map_err(|_| malformed("has a number that is too large"))
    }

    pub(super) fn hash(&mut self) -> Result<[u8; 32], ReceiptError> {
        self.take()
    }

    pub(super) fn outcome(&mut self) -> Result<OutcomeHash, ReceiptError> {
        match self.take()? {
            [0] => Ok(OutcomeHash::NONE),
            [1] => {
                let outcome = OutcomeHash(self.hash()?);
                let is_other = outcome != OutcomeHash::NONE;
                if is_other { Ok(outcome) } else { Err(malformed("has an outcome in needless bytes")) }
            }
            _ => Err(malformed("has an outcome of no kind")),
        }
    }

    /// The first header of a run.
    pub(super) fn header(&mut self, height: Height) -> Result<Header, ReceiptError> {
        Ok(Header {
            version: VERSION,
            height,
            parent: BlockId(self.hash()?),
            root: LeafHash(self.hash()?),
            timestamp: UnixMillis(u64::from_le_bytes(self.take()?)),
            target: Target(u32::from_le_bytes(self.take()?)),
            nonce: u64::from_le_bytes(self.take()?),
        })
    }

    /// The header after another one.
    pub(super) fn next_header(&mut self, before: &Header) -> Result<Header, ReceiptError> {
        let root = LeafHash(self.hash()?);
        let timestamp = before.timestamp.0.checked_add(self.varint()?);
        Ok(Header {
            version: VERSION,
            height: before.height.next(),
            parent: before.id(),
            root,
            timestamp: UnixMillis(timestamp.ok_or_else(|| malformed("has a time that is too large"))?),
            target: Target(u32::from_le_bytes(self.take()?)),
            nonce: u64::from_le_bytes(self.take()?),
        })
    }

    /// A node over that many blocks.
    pub(super) fn node(&mut self, blocks: u64) -> Result<HistoryNode, ReceiptError> {
        let hash = HistoryHash(self.hash()?);
        let work = self.wide()?;
        if work > WORK_MAX.saturating_mul(u128::from(blocks)) {
            return Err(malformed("has a node with more work than its blocks can have"));
        }
        Ok(HistoryNode { hash, work: Work(work) })
    }
}

pub(super) fn write_varint(number: u128, out: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub(super) fn write_outcome(outcome: &OutcomeHash, out: &mut Vec<u8>) {
    if *outcome == OutcomeHash::NONE {
        out.push(0);
    } else {
        out.push(1);
        out.extend_from_slice(outcome.as_bytes());
    }
}

/// Headers in the order of their heights, in runs.
pub(super) fn write_headers(headers: &[Header], out: &mut Vec<u8>) {
    let mut before: Option<&Header> = None;
    for header in headers {
        match before.filter(|before| before.height.next() == header.height) {
            None => write_first_header(header, out),
            Some(before) => {
                out.extend_from_slice(header.root.as_bytes());
                write_varint(header.timestamp.saturating_since(before.timestamp).0.into(), out);
                write_end(header, out);
            }
        }
        before = Some(header);
    }
}

pub(super) fn write_first_header(header: &Header, out: &mut Vec<u8>) {
    out.extend_from_slice(header.parent.as_bytes());
    out.extend_from_slice(header.root.as_bytes());
    out.extend_from_slice(&header.timestamp.0.to_le_bytes());
    write_end(header, out);
}

fn write_end(header: &Header, out: &mut Vec<u8>) {
    out.extend_from_slice(&header.target.0.to_le_bytes());
    out.extend_from_slice(&header.nonce.to_le_bytes());
}

pub(super) fn write_nodes(nodes: &[HistoryNode], out: &mut Vec<u8>) {
    for node in nodes {
        out.extend_from_slice(node.hash.as_bytes());
        write_varint(node.work.0, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form() {
        for number in [0, 1, 127, 128, 300, u128::from(u64::MAX), u128::MAX] {
            let mut bytes = Vec::new();
            write_varint(number, &mut bytes);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.wide(), Ok(number));
            assert_eq!(reader.end(), Ok(()));
            assert_eq!(Reader::new(&bytes).varint().is_ok(), u64::try_from(number).is_ok());
            // The same number with a byte more.
            *bytes.last_mut().expect("there is a byte") |= 0x80;
            assert!(Reader::new(&bytes).wide().is_err(), "{number} is cut off");
            bytes.push(0);
            assert!(Reader::new(&bytes).wide().is_err(), "{number}");
        }
        let too_large = [[0xff; 18].as_slice(), &[0x04]].concat();
        assert!(Reader::new(&too_large).wide().is_err());
    }

    #[test]
    fn a_node_has_no_more_work_than_blocks_can_have() {
        for (blocks, work, is_read) in [(1, WORK_MAX, true), (1, WORK_MAX + 1, false), (3, 3 * WORK_MAX, true)] {
            let node = HistoryNode { hash: HistoryHash([7; 32]), work: Work(work) };
            let mut bytes = Vec::new();
            write_nodes(&[node], &mut bytes);
            assert_eq!(Reader::new(&bytes).node(blocks).is_ok(), is_read, "{work} in {blocks}");
        }
        assert_eq!(Reader::new(&[0; 33]).node(0).map(|node| node.work), Ok(Work(0)));
    }
}
