//! The proof in a receipt: the block of the transaction and what stands on it, in three forms, and their bytes.

use std::ops::Range;

use serde::Serialize;

use super::bytes::{Reader, malformed, write_first_header, write_headers, write_nodes, write_outcome, write_varint};
use super::opening::{Opening, Parts};
use super::{RECEIPT_HEADERS_MAX, ReceiptError};
use crate::block::{Header, Height};
use crate::hash::{LeafHash, OutcomeHash};
use crate::history::{HistoryNode, hidden};
use crate::merkle::AuditPath;

/// Heights are below this.
const HEIGHT_LIMIT: u64 = 1 << 32;
/// The most leaves of a block.
const LEAVES_MAX: u64 = 1 << 32;

/// What a block commits to beside the chain below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// What its contracts did.
    pub outcome: OutcomeHash,
    /// The root over reward and transactions.
    pub root: LeafHash,
}

/// The form of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// All work is shown.
    Full,
    /// The end of the work is shown, and samples of the rest.
    Sampled,
    /// No work is shown: the last block must be known from elsewhere.
    Witnessed,
}

impl Form {
    /// The word in a receipt.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Sampled => "sampled",
            Self::Witnessed => "witnessed",
        }
    }

    /// The form with this word.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Full, Self::Sampled, Self::Witnessed].into_iter().find(|form| form.word() == word)
    }
}

/// The block of a transaction, and what stands on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainProof {
    /// All headers up to the tip.
    Full {
        /// The height of the transaction's block.
        height: Height,
        /// The leaf of the context of that block.
        context: LeafHash,
        /// The headers of its two ancestors (of genesis alone if it is the first block), of that block, and of all others up
        /// to the tip.
        headers: Vec<Header>,
    },
    /// The headers of some blocks.
    Sampled {
        /// Which they are.
        opening: Opening,
        /// Their headers, as [`Parts::headers`] says.
        headers: Vec<Header>,
        /// The outcome of the transaction's block.
        outcome: OutcomeHash,
        /// What the blocks of [`Parts::contents`] commit to.
        contents: Vec<Content>,
        /// The nodes of [`Parts::hidden`].
        nodes: Vec<HistoryNode>,
    },
    /// The block alone, whose id is known from elsewhere.
    WitnessedBlock {
        /// The leaf of its context.
        context: LeafHash,
        /// Its header.
        header: Header,
    },
    /// The block, and a later one whose id is known from elsewhere.
    Witnessed {
        /// The outcome of the transaction's block.
        outcome: OutcomeHash,
        /// Its header.
        header: Header,
        /// What the later block commits to.
        content: Content,
        /// Its header.
        tip: Header,
        /// The nodes of its history beside the transaction's block.
        nodes: Vec<HistoryNode>,
    },
}

impl ChainProof {
    /// The form.
    pub fn form(&self) -> Form {
        match self {
            Self::Full { .. } => Form::Full,
            Self::Sampled { .. } => Form::Sampled,
            Self::WitnessedBlock { .. } | Self::Witnessed { .. } => Form::Witnessed,
        }
    }

    /// The header of the last block.
    pub fn tip(&self) -> &Header {
        match self {
            Self::Full { headers, .. } | Self::Sampled { headers, .. } => {
                headers.last().expect("the header of the transaction's block is there")
            }
            Self::WitnessedBlock { header, .. } => header,
            Self::Witnessed { tip, .. } => tip,
        }
    }
}

/// The bytes of a proof.
pub(super) fn write(inclusion: &AuditPath, proof: &ChainProof) -> Vec<u8> {
    let mut out = Vec::new();
    write_varint(inclusion.position.into(), &mut out);
    write_varint(inclusion.leaves.into(), &mut out);
    inclusion.beside.iter().for_each(|hash| out.extend_from_slice(hash.as_bytes()));
    match proof {
        ChainProof::Full { height, context, headers } => {
            write_varint(height.0.into(), &mut out);
            let last = proof.tip().height;
            write_varint((last.saturating_since(*height) + 1).into(), &mut out);
            out.extend_from_slice(context.as_bytes());
            write_headers(headers, &mut out);
        }
        ChainProof::Sampled { opening, headers, outcome, contents, nodes } => {
            let Opening { block, tip, tail, others } = opening;
            write_varint(block.0.into(), &mut out);
            write_varint(tip.saturating_since(*block).into(), &mut out);
            write_varint(tail.saturating_since(*block).into(), &mut out);
            write_varint(others.len() as u128, &mut out);
            let mut before = *block;
            for height in others {
                write_varint(height.saturating_since(before.next()).into(), &mut out);
                before = *height;
            }
            write_headers(headers, &mut out);
            write_outcome(outcome, &mut out);
            contents.iter().for_each(|content| write_content(content, &mut out));
            write_nodes(nodes, &mut out);
        }
        ChainProof::WitnessedBlock { context, header } => {
            write_varint(header.height.0.into(), &mut out);
            write_varint(0, &mut out);
            out.extend_from_slice(context.as_bytes());
            write_first_header(header, &mut out);
        }
        ChainProof::Witnessed { outcome, header, content, tip, nodes } => {
            write_varint(header.height.0.into(), &mut out);
            write_varint(tip.height.saturating_since(header.height).into(), &mut out);
            write_outcome(outcome, &mut out);
            write_first_header(header, &mut out);
            write_content(content, &mut out);
            write_first_header(tip, &mut out);
            write_nodes(nodes, &mut out);
        }
    }
    out
}

fn write_content(content: &Content, out: &mut Vec<u8>) {
    write_outcome(&content.outcome, out);
    out.extend_from_slice(content.root.as_bytes());
}

/// The proof of these bytes. It takes memory in proportion to them.
pub(super) fn read(form: Form, bytes: &[u8]) -> Result<(AuditPath, ChainProof), ReceiptError> {
    let mut reader = Reader::new(bytes);
    let inclusion = read_inclusion(&mut reader)?;
    let block = Height(reader.varint()?);
    if block == Height::GENESIS || block.0 >= HEIGHT_LIMIT {
        return Err(malformed("is of a block at no height"));
    }
    let proof = match form {
        Form::Full => read_full(block, &mut reader),
        Form::Sampled => read_sampled(block, &mut reader),
        Form::Witnessed => read_witnessed(block, &mut reader),
    }?;
    reader.end()?;
    Ok((inclusion, proof))
}

fn read_inclusion(reader: &mut Reader<'_>) -> Result<AuditPath, ReceiptError> {
    let (position, leaves) = (reader.varint()?, reader.varint()?);
    if position == 0 || position >= leaves || leaves > LEAVES_MAX {
        return Err(malformed("has a transaction at no position"));
    }
    let beside = (0..AuditPath::length(position, leaves)).map(|_| reader.hash().map(LeafHash));
    Ok(AuditPath { position, leaves, beside: beside.collect::<Result<_, _>>()? })
}

fn read_content(reader: &mut Reader<'_>) -> Result<Content, ReceiptError> {
    Ok(Content { outcome: reader.outcome()?, root: LeafHash(reader.hash()?) })
}

/// The height so far above the block.
fn read_above(block: Height, reader: &mut Reader<'_>) -> Result<Height, ReceiptError> {
    let height = block.0.checked_add(reader.varint()?).filter(|height| *height < HEIGHT_LIMIT);
    height.map(Height).ok_or_else(|| malformed("is of a block at no height"))
}

fn read_run(run: Range<u64>, headers: &mut Vec<Header>, reader: &mut Reader<'_>) -> Result<(), ReceiptError> {
    let mut header = reader.header(Height(run.start))?;
    headers.push(header);
    for _ in run.start + 1..run.end {
        header = reader.next_header(&header)?;
        headers.push(header);
    }
    Ok(())
}

fn check_header_count(count: u64) -> Result<(), ReceiptError> {
    if count <= RECEIPT_HEADERS_MAX as u64 {
        Ok(())
    } else {
        Err(malformed("has more headers than a receipt may have"))
    }
}

fn read_full(height: Height, reader: &mut Reader<'_>) -> Result<ChainProof, ReceiptError> {
    let confirmations = reader.varint()?;
    let end = height.0.checked_add(confirmations).filter(|end| *end <= HEIGHT_LIMIT && confirmations > 0);
    let run = height.0.saturating_sub(2)..end.ok_or_else(|| malformed("has no confirmation, or too many"))?;
    check_header_count(run.end - run.start)?;
    let context = LeafHash(reader.hash()?);
    let mut headers = Vec::new();
    read_run(run, &mut headers, reader)?;
    Ok(ChainProof::Full { height, context, headers })
}

fn read_sampled(block: Height, reader: &mut Reader<'_>) -> Result<ChainProof, ReceiptError> {
    let (tip, tail) = (read_above(block, reader)?, read_above(block, reader)?);
    if tail <= block || tip < tail {
        return Err(malformed("has no tail"));
    }
    let count = reader.varint()?;
    check_header_count(count)?;
    let mut others = Vec::new();
    for _ in 0..count {
        let before = others.last().copied().unwrap_or(block);
        let height = read_above(before.next(), reader)?;
        if height >= tail {
            return Err(malformed("opens a block of its tail"));
        }
        others.push(height);
    }
    let opening = Opening { block, tip, tail, others };
    check_header_count(opening.header_count())?;
    let Parts { headers: runs, contents, hidden } = opening.parts();
    let mut headers = Vec::new();
    runs.into_iter().try_for_each(|run| read_run(run, &mut headers, reader))?;
    let outcome = reader.outcome()?;
    let contents = contents.iter().map(|_| read_content(reader)).collect::<Result<_, _>>()?;
    let nodes = read_nodes(hidden, reader)?;
    Ok(ChainProof::Sampled { opening, headers, outcome, contents, nodes })
}

fn read_witnessed(block: Height, reader: &mut Reader<'_>) -> Result<ChainProof, ReceiptError> {
    let tip = read_above(block, reader)?;
    if tip == block {
        let context = LeafHash(reader.hash()?);
        return Ok(ChainProof::WitnessedBlock { context, header: reader.header(block)? });
    }
    Ok(ChainProof::Witnessed {
        outcome: reader.outcome()?,
        header: reader.header(block)?,
        content: read_content(reader)?,
        tip: reader.header(tip)?,
        nodes: read_nodes(hidden(tip.0, &[block.0]), reader)?,
    })
}

fn read_nodes(hidden: Vec<Range<u64>>, reader: &mut Reader<'_>) -> Result<Vec<HistoryNode>, ReceiptError> {
    hidden.into_iter().map(|range| reader.node(range.end - range.start)).collect()
}
