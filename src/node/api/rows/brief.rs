//! Blocks without their transactions, for lists.

use serde::Serialize;
use utoipa::ToSchema;

use super::words::{AddressText, AmountText, IdText};
use crate::protocol::{Address, Amount, Block, BlockId, Height, UnixMillis};

/// A block without its transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BriefBlock {
    /// Genesis has 0.
    #[schema(value_type = u64)]
    pub height: Height,
    /// Its id.
    #[schema(value_type = IdText)]
    pub id: BlockId,
    /// When it was made, in Unix milliseconds.
    #[schema(value_type = u64)]
    pub timestamp: UnixMillis,
    /// The recipient of the reward.
    #[schema(value_type = AddressText)]
    pub miner: Address,
    /// How many transactions it has, the reward not counted.
    pub transactions: usize,
    /// Their fees, which are a part of the reward.
    #[schema(value_type = AmountText)]
    pub fees: Amount,
    /// The size in bytes, as peers send it.
    pub size: usize,
}

impl BriefBlock {
    /// A block of this size.
    pub fn new(block: &Block, size: usize) -> Self {
        let transactions = &block.body.transactions;
        // Those of a valid block fit: they are a part of its reward.
        let fees = transactions.iter().fold(0_u64, |sum, signed| sum.saturating_add(signed.transaction.fee.units()));
        Self {
            height: block.header.height,
            id: block.header.id(),
            timestamp: block.header.timestamp,
            miner: block.body.reward.to,
            transactions: transactions.len(),
            fees: Amount::from_units(fees),
            size,
        }
    }
}

/// Blocks of the best chain without their transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BriefPage {
    /// The length of the chain, genesis included.
    pub length: u64,
    /// Where blocks are full they may be fewer than requested.
    pub blocks: Vec<BriefBlock>,
    /// The `from` of the next page; null on the last page.
    pub next: Option<u64>,
}
