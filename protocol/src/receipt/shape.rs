//! How a receipt is made: what has to be gathered for it, and the proof from that.

use std::ops::Range;

use super::RECEIPT_HEADERS_MAX;
use super::opening::{FIRST_HEADER_BYTES, NEXT_HEADER_BYTES, Opening, Parts};
use super::proof::{ChainProof, Content, Form};
use crate::block::{Context, Header, Height};
use crate::hash::BlockId;
use crate::history::{HistoryNode, hidden};
use crate::work::Work;

/// Which blocks a proof shows, before anything of them is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// All from the block up to the tip.
    Full {
        /// The transaction's block.
        block: Height,
        /// The last block.
        tip: Height,
    },
    /// Some of them.
    Sampled(Opening),
    /// The two alone. They may be the same.
    Witnessed {
        /// The transaction's block.
        block: Height,
        /// The last block.
        tip: Height,
    },
}

impl Shape {
    /// The shape of the smallest proof in this form, or of the smallest that shows work. `below` gives the work of all blocks
    /// below a height, up to one above the tip. `None` if a receipt cannot have as many headers.
    pub fn choose(
        block: Height,
        tip: (Height, &BlockId),
        form: Option<Form>,
        below: impl Fn(u64) -> Work,
    ) -> Option<Self> {
        let (full, witnessed) = (Self::Full { block, tip: tip.0 }, Self::Witnessed { block, tip: tip.0 });
        let headers = tip.0.saturating_since(Height(block.0.saturating_sub(2))) as usize + 1;
        let full = Some(full).filter(|_| headers <= RECEIPT_HEADERS_MAX);
        let sampled = || Opening::smallest(block, tip, below);
        match form {
            Some(Form::Witnessed) => Some(witnessed),
            Some(Form::Full) => full,
            // Nothing can be left out where nothing stands on the block.
            Some(Form::Sampled) => sampled().map(Self::Sampled).or(full),
            None => {
                let bytes = FIRST_HEADER_BYTES + headers.saturating_mul(NEXT_HEADER_BYTES);
                let sampled = sampled().filter(|sampled| full.is_none() || sampled.bytes() < bytes);
                sampled.map(Self::Sampled).or(full)
            }
        }
    }

    /// The form of the proof.
    pub fn form(&self) -> Form {
        match self {
            Self::Full { .. } => Form::Full,
            Self::Sampled(_) => Form::Sampled,
            Self::Witnessed { .. } => Form::Witnessed,
        }
    }

    /// What has to be gathered.
    pub fn parts(&self) -> Parts {
        match self {
            Self::Full { block, tip } => Parts {
                headers: std::iter::once(block.0.saturating_sub(2)..tip.0 + 1).collect(),
                contents: Vec::new(),
                hidden: Vec::new(),
            },
            Self::Sampled(opening) => opening.parts(),
            Self::Witnessed { block, tip } if block == tip => Parts {
                headers: std::iter::once(block.0..block.0 + 1).collect(),
                contents: Vec::new(),
                hidden: Vec::new(),
            },
            Self::Witnessed { block, tip } => Parts {
                headers: [block, tip].map(|height| height.0..height.0 + 1).to_vec(),
                contents: vec![*tip],
                hidden: hidden(tip.0, &[block.0]),
            },
        }
    }

    /// Fills in what is known of the chain without bodies.
    pub fn gather(self, header: impl Fn(u64) -> Header, node: impl Fn(Range<u64>) -> HistoryNode) -> ShownChain {
        let Parts { headers, contents, hidden } = self.parts();
        ShownChain {
            shape: self,
            headers: headers.into_iter().flatten().map(header).collect(),
            contents,
            nodes: hidden.into_iter().map(node).collect(),
        }
    }
}

/// The part of a proof that headers give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownChain {
    shape: Shape,
    headers: Vec<Header>,
    contents: Vec<Height>,
    nodes: Vec<HistoryNode>,
}

impl ShownChain {
    /// The blocks whose content is missing, in ascending order.
    pub fn missing(&self) -> &[Height] {
        &self.contents
    }

    /// The header of a block whose content is missing.
    pub fn header(&self, height: Height) -> Option<&Header> {
        self.headers.iter().find(|header| header.height == height)
    }

    /// The proof, given the context of the transaction's block and what is missing, in its order.
    ///
    /// # Panics
    ///
    /// If there is another number of contents than are missing.
    pub fn proof(self, context: &Context, contents: Vec<Content>) -> ChainProof {
        assert_eq!(contents.len(), self.contents.len(), "one content for each block");
        let (Self { shape, headers, nodes, .. }, outcome) = (self, context.outcome);
        match shape {
            Shape::Full { block, .. } => ChainProof::Full { height: block, context: context.leaf(), headers },
            Shape::Sampled(opening) => ChainProof::Sampled { opening, headers, outcome, contents, nodes },
            Shape::Witnessed { block, tip } if block == tip => {
                ChainProof::WitnessedBlock { context: context.leaf(), header: headers[0] }
            }
            Shape::Witnessed { .. } => {
                ChainProof::Witnessed { outcome, header: headers[0], content: contents[0], tip: headers[1], nodes }
            }
        }
    }
}
