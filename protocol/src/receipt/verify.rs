//! Verifies a receipt from nothing but the receipt.

use super::{Receipt, ReceiptError};
use crate::account::Address;
use crate::block::{Header, Height};
use crate::check::{
    CheckedTransaction, Parent, check_header, check_header_in_context, check_header_order, check_transaction_bytes,
};
use crate::hash::{BlockId, TransactionId};
use crate::merkle;
use crate::network::Network;
use crate::record::Record;
use crate::time::UnixMillis;
use crate::transaction::Action;
use crate::work::Work;

/// The proven content of a receipt. Only [`Receipt::verify`] makes one.
///
/// The signature and the content are certain. Everything about blocks is worth [`Proof::work`]: anyone who can spend
/// that many hashes can make another chain with another content, times included (from the parent's on).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    network: Network,
    transaction: CheckedTransaction,
    record: Option<Record>,
    parent_timestamp: UnixMillis,
    block: ProvenBlock,
    next_timestamp: Option<UnixMillis>,
    confirmations: u64,
    work: Work,
    tip: ProvenBlock,
}

/// A block with a known header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenBlock {
    /// The block's height.
    pub height: Height,
    /// The block's id.
    pub id: BlockId,
    /// The block's time, set by its miner.
    pub timestamp: UnixMillis,
}

impl ProvenBlock {
    fn of(header: &Header) -> Self {
        Self { height: header.height, id: header.id(), timestamp: header.timestamp }
    }
}

impl Proof {
    /// The network. Anybody can make one: compare its genesis id with that of the nodes that you know.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The transaction, whose signature is valid.
    pub fn transaction(&self) -> &CheckedTransaction {
        &self.transaction
    }

    /// The transaction's id.
    pub fn id(&self) -> TransactionId {
        self.transaction.id()
    }

    /// The signer's address.
    pub fn sender(&self) -> Address {
        self.transaction.sender()
    }

    /// The recorded data, unless the transaction is a transfer.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The block that holds the transaction.
    pub fn block(&self) -> ProvenBlock {
        self.block
    }

    /// The time of the parent block. Redoing the work from the block on cannot change it.
    pub fn parent_timestamp(&self) -> UnixMillis {
        self.parent_timestamp
    }

    /// The block was on no chain before this time, which is its own time less the network's future time limit. This
    /// rests on nodes with right clocks, which refuse it earlier. (The transaction may have been signed long before.)
    pub fn earliest(&self) -> UnixMillis {
        UnixMillis(self.block.timestamp.0.saturating_sub(self.network.parameters().future_time_max.0))
    }

    /// The block existed at this time, which is the time of the next block. This rests on the clock of that block's
    /// miner, who may date it back as far as this block.
    pub fn latest(&self) -> Option<UnixMillis> {
        self.next_timestamp
    }

    /// The number of blocks that confirm it: 1 is the block alone.
    pub fn confirmations(&self) -> u64 {
        self.confirmations
    }

    /// The expected number of hashes to make the blocks from this one to the tip.
    pub fn work(&self) -> Work {
        self.work
    }

    /// The last block of the receipt.
    pub fn tip(&self) -> ProvenBlock {
        self.tip
    }
}

impl Receipt {
    /// The proof, or the first claim that is untrue, in this order: network, transaction, path, headers, tip.
    pub fn verify(&self) -> Result<Proof, ReceiptError> {
        let network = Network::new(self.parameters.clone()).map_err(ReceiptError::Parameters)?;
        if network.genesis_id() != self.genesis {
            return Err(ReceiptError::Genesis { claimed: self.genesis, actual: network.genesis_id() });
        }
        let transaction = check_transaction_bytes(&self.transaction, &network).map_err(ReceiptError::of_transaction)?;
        let [parent, block, later @ ..] = self.headers.as_slice() else {
            return Err(ReceiptError::Form { problem: "a receipt has the block's parent and the block".to_owned() });
        };
        if merkle::fold(transaction.leaf(), &self.path) != block.root {
            return Err(ReceiptError::Path);
        }
        let tip = self.check_headers(&network)?;
        if tip.id != self.tip {
            return Err(ReceiptError::Tip { claimed: self.tip, actual: tip.id });
        }
        let record = match &transaction.signed().transaction.action {
            Action::Record { data } => Some(Record::read(data)),
            Action::Transfer { .. } => None,
        };
        Ok(Proof {
            record,
            parent_timestamp: parent.timestamp,
            block: ProvenBlock::of(block),
            next_timestamp: later.first().map(|next| next.timestamp),
            confirmations: 1 + later.len() as u64,
            work: self.headers[1..].iter().map(|header| header.target.work()).sum(),
            tip,
            transaction,
            network,
        })
    }

    /// Applies every rule on headers alone and on headers and their parents. The link to the parent is judged before
    /// the work: nearly every change costs a header its work, so the other reasons say more.
    fn check_headers(&self, network: &Network) -> Result<ProvenBlock, ReceiptError> {
        let genesis = Parent::genesis(network);
        let mut before: Option<(Parent, BlockId)> = None;
        let mut last = None;
        for (position, header) in (1..).zip(&self.headers) {
            let fail = |violation| ReceiptError::of_header(position, violation);
            let place = match before {
                None if header.height == genesis.height => genesis,
                // The time since its own parent is not known, and it is not used.
                None => genesis.child(header),
                Some((parent, id)) => {
                    if header.parent != id {
                        return Err(ReceiptError::Link { position });
                    }
                    // A target follows from two ancestors, so that of the second header can't be checked.
                    if position > 2 || parent.height == genesis.height {
                        check_header_in_context(header, &parent, network).map_err(fail)?;
                    } else {
                        check_header_order(header, &parent).map_err(fail)?;
                    }
                    parent.child(header)
                }
            };
            before = Some((place, check_header(header, network).map_err(fail)?));
            last = Some(header);
        }
        let ((_, id), header) = before.zip(last).expect("there are at least two headers");
        Ok(ProvenBlock { height: header.height, id, timestamp: header.timestamp })
    }
}
