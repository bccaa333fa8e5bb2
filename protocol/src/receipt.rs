//! Receipts: one portable JSON file that proves, without a node, that a transaction is on a chain.
//!
//! A [`Receipt`] is a claim: [`Receipt::read`] judges its form, [`Receipt::verify`] its content, with nothing but the
//! receipt itself. Always true: the two together accept one text for each receipt (blanks between its parts aside), and
//! no change to a valid receipt makes it valid with another content, unless somebody redoes its proof of work.
//!
//! A [full](ChainProof::Full) receipt holds all headers on top of its block, a [sampled](ChainProof::Sampled) one some of
//! them, drawn by their work (FlyClient; Bünz, Kiffer, Luu and Zamani, 2020), and a [witnessed](ChainProof::Witnessed) one
//! none: it is for those who know a later block from elsewhere.
//!
//! README.md, section 17, says what a proof rests on and what it cannot show. In short: the sender's consent is as
//! certain as the signature; the network's agreement is worth as much as the work from the block to the tip, which a
//! faster machine can redo.
//!
//! Not here: whether the block is still on the best chain. Only nodes know that.

mod bytes;
mod error;
mod opening;
mod proof;
mod shape;
mod text;
mod verify;

pub use error::ReceiptError;
pub use opening::{Opening, Parts};
pub use proof::{ChainProof, Content, Form};
pub use shape::{Shape, ShownChain};
pub use verify::{Proof, ProvenBlock};

use crate::encode::encode;
use crate::hash::BlockId;
use crate::merkle::AuditPath;
use crate::network::{Network, Parameters};
use crate::transaction::SignedTransaction;

/// The version of the form.
pub const RECEIPT_VERSION: u32 = 2;
/// The longest receipt, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 8 << 20;
/// The most headers in a receipt, and the most opened blocks.
pub const RECEIPT_HEADERS_MAX: usize = 1 << 16;

/// The content of a receipt, not verified; see [`Receipt::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The parameters of the network.
    pub parameters: Parameters,
    /// The id of the network's genesis block.
    pub genesis: BlockId,
    /// An encoded [`SignedTransaction`].
    pub transaction: Vec<u8>,
    /// From the transaction's leaf to the root over the reward and transactions of its block.
    pub inclusion: AuditPath,
    /// The transaction's block, and what stands on it.
    pub proof: ChainProof,
    /// The id of the last block.
    pub tip: BlockId,
}

impl Receipt {
    /// A receipt for a transaction. It is as valid as the given parts.
    pub fn new(network: &Network, transaction: &SignedTransaction, inclusion: AuditPath, proof: ChainProof) -> Self {
        Self {
            parameters: network.parameters().clone(),
            genesis: network.genesis_id(),
            transaction: encode(transaction),
            inclusion,
            tip: proof.tip().id(),
            proof,
        }
    }
}
