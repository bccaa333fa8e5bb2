//! Receipts: one portable JSON file that proves, without a node, that a transaction is on a chain.
//!
//! A [`Receipt`] is a claim: [`Receipt::read`] judges its form, [`Receipt::verify`] its content, with nothing but the
//! receipt itself. Always true: the two together accept one text for each receipt (blanks between its parts aside), and
//! no change to a valid receipt makes it valid with another content, unless somebody redoes its proof of work.
//!
//! README.md, section 17, says what a proof rests on and what it cannot show. In short: the sender's consent is as
//! certain as the signature; the network's agreement is worth as much as the work from the block to the tip, which a
//! faster machine can redo.
//!
//! Not here: whether the block is still on the best chain. Only nodes know that.

mod error;
mod text;
mod verify;

pub use error::ReceiptError;
pub use verify::{Proof, ProvenBlock};

use crate::block::Header;
use crate::encode::encode;
use crate::hash::BlockId;
use crate::merkle::Step;
use crate::network::{Network, Parameters};
use crate::transaction::SignedTransaction;

/// The version of the form.
pub const RECEIPT_VERSION: u32 = 1;
/// The longest receipt, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 256 << 20;
/// The most headers: the block's parent, the block, and the following blocks of four months at one every ten seconds.
pub const RECEIPT_HEADERS_MAX: usize = 1 << 20;
/// The fewest headers: the block's parent and the block.
pub const RECEIPT_HEADERS_MIN: usize = 2;
/// The longest Merkle path, in steps: a block has far fewer than 2^32 transactions.
pub const RECEIPT_STEPS_MAX: usize = 32;

/// The content of a receipt, not verified; see [`Receipt::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The parameters of the network.
    pub parameters: Parameters,
    /// The id of the network's genesis block.
    pub genesis: BlockId,
    /// An encoded [`SignedTransaction`].
    pub transaction: Vec<u8>,
    /// The audit path from the transaction's leaf to the body root of its block.
    pub path: Vec<Step>,
    /// The parent of the transaction's block, that block, and its descendants.
    pub headers: Vec<Header>,
    /// The id of the last header.
    pub tip: BlockId,
}

impl Receipt {
    /// A receipt for a transaction, with its path and at least [`RECEIPT_HEADERS_MIN`] headers, as in the fields. It is
    /// as valid as the given parts.
    pub fn new(network: &Network, transaction: &SignedTransaction, path: Vec<Step>, headers: Vec<Header>) -> Self {
        assert!(headers.len() >= RECEIPT_HEADERS_MIN, "the block's parent and the block are always there");
        Self {
            parameters: network.parameters().clone(),
            genesis: network.genesis_id(),
            transaction: encode(transaction),
            path,
            tip: headers[headers.len() - 1].id(),
            headers,
        }
    }
}
