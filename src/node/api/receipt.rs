//! Makes receipts from the store: a transaction of the best chain, its path, and the headers on top of it.
//!
//! Reads one block, and only the headers of those above. A receipt is made from one snapshot, so a reorganisation
//! meanwhile can't put two chains into it. The meaning of a receipt is in [`crate::protocol::receipt`].

use super::error::{Code, Failure};
use super::lookup;
use super::query::TransactionName;
use crate::node::handle::Handle;
use crate::node::index::Location;
use crate::node::store::{Snapshot, StoreError};
use crate::protocol::merkle::{self, Step};
use crate::protocol::receipt::{RECEIPT_HEADERS_MAX, Receipt};
use crate::protocol::{Height, Network, SignedTransaction, TransactionId};

/// The reason why there is no receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeError {
    /// The best chain is not that high.
    #[error("there is no block {height} on the best chain, whose height is {tip}: wait until it is mined")]
    NoBlock {
        height: Height,
        /// The height of the tip.
        tip: Height,
    },
    /// The block has fewer transactions.
    #[error("block {height} has no transaction {position}: it has {count}, counted from 0")]
    NoTransaction {
        height: Height,
        /// The requested position.
        position: usize,
        /// The number of its transactions.
        count: usize,
    },
    /// More confirmations were asked for than there are.
    #[error("block {height} has {found} of {wanted} confirmations: wait for more blocks, or ask for fewer")]
    TooFewConfirmations {
        height: Height,
        /// The block and those on top of it.
        found: u64,
        wanted: u64,
    },
    #[error("a receipt holds at most {max} confirmations, not {wanted}: ask for fewer")]
    TooManyConfirmations { wanted: u64, max: u64 },
    /// A receipt needs at least one confirmation: the block itself.
    #[error("a receipt has at least 1 confirmation, which is the block itself: ask for 1 or more")]
    NoConfirmations,
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many confirmations a receipt has, of which the transaction's own block is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Up to the tip.
    All,
    /// Up to the tip, but no more than this many.
    UpTo(u64),
    /// So many, or there is no receipt.
    Exactly(u64),
}

/// A receipt for the transaction at `position` (counted from 0, without the reward) of the block at `height` of the
/// best chain.
pub fn make(
    snapshot: &Snapshot,
    network: &Network,
    height: Height,
    position: usize,
    extent: Extent,
) -> Result<Receipt, MakeError> {
    let tip = snapshot.tip().height;
    let missing = |height| MakeError::NoBlock { height, tip };
    let block = snapshot.block_at(height)?.ok_or_else(|| missing(height))?;
    let transactions = &block.body.transactions;
    let Some(transaction) = transactions.get(position) else {
        return Err(MakeError::NoTransaction { height, position, count: transactions.len() });
    };
    let leaves: Vec<_> =
        std::iter::once(block.body.reward.leaf()).chain(transactions.iter().map(SignedTransaction::leaf)).collect();
    let mut path = merkle::path(&leaves, 1 + position);
    path.push(Step::Left(block.body.context.leaf()));

    let count = count_confirmations(height, tip, extent)?;
    // The genesis block has no transaction, so there is a block below.
    let below = Height(height.0 - 1);
    let headers = (below.0..height.0 + count).map(|height| {
        let height = Height(height);
        snapshot.header_at(height)?.ok_or_else(|| missing(height))
    });
    let headers = headers.collect::<Result<Vec<_>, MakeError>>()?;
    Ok(Receipt::new(network, transaction, path, headers))
}

/// A receipt for a transaction that a user names, and the transaction's id.
pub(in crate::node) fn of(
    handle: &Handle,
    name: &TransactionName,
    extent: Extent,
) -> Result<(TransactionId, Height, Receipt), Failure> {
    let id = lookup::transaction(handle, name)?;
    let location = lookup::index(handle)?.view()?.find(&id)?.ok_or_else(|| {
        let message = format!("{} is in no block of the best chain yet: `watch {0}` reports when it is", id.short());
        Failure::new(Code::NotFound, message)
    })?;
    let Location { place, position: Some(position) } = location else {
        let message = "that is the reward of a block, which nobody has signed: receipts are for transactions";
        return Err(Failure::new(Code::NotFound, message));
    };
    let (snapshot, network) = (handle.reader().snapshot()?, handle.network());
    Ok((id, place.height, make(&snapshot, network, place.height, position as usize, extent)?))
}

fn count_confirmations(height: Height, tip: Height, extent: Extent) -> Result<u64, MakeError> {
    // One header more is the parent's.
    let max = RECEIPT_HEADERS_MAX as u64 - 1;
    let found = tip.saturating_since(height) + 1;
    let wanted = match extent {
        Extent::All => found,
        Extent::UpTo(most) => found.min(most),
        Extent::Exactly(wanted) => wanted,
    };
    match wanted {
        0 => Err(MakeError::NoConfirmations),
        wanted if wanted > found => Err(MakeError::TooFewConfirmations { height, found, wanted }),
        wanted if wanted > max => Err(MakeError::TooManyConfirmations { wanted, max }),
        wanted => Ok(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::Extent::{All, Exactly, UpTo};
    use super::*;
    use crate::node::fixture::{Chain, batch};
    use crate::node::store::{FolderLock, Store};

    /// Five blocks, the third with two transfers, and the folder that they are stored in.
    fn stored() -> (tempfile::TempDir, Chain, Store) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut chain = Chain::new(1);
        for number in 1..=5 {
            let transactions = if number == 3 { (0..2).map(|nonce| chain.transfer(nonce)).collect() } else { vec![] };
            chain.mine(transactions);
        }
        let lock = FolderLock::acquire(folder.path(), "test").expect("free");
        let (mut store, _) = Store::open(lock, &chain.network).expect("a store");
        store.write(&[batch(1, chain.writes_above(0))]).expect("written");
        (folder, chain, store)
    }

    #[test]
    fn a_receipt_proves_its_transaction() {
        let (_folder, chain, store) = stored();
        let snapshot = store.reader().snapshot().expect("readable");
        let (block, _) = &chain.blocks[2];
        for (position, transaction) in block.transactions().iter().enumerate() {
            let extents = [(All, 3), (UpTo(2), 2), (UpTo(4), 3), (Exactly(1), 1), (Exactly(2), 2), (Exactly(3), 3)];
            for (wanted, count) in extents {
                let receipt = make(&snapshot, &chain.network, Height(3), position, wanted).expect("it is there");
                let text = receipt.to_json();
                let proof = Receipt::read(text.as_bytes()).and_then(|receipt| receipt.verify()).expect("proven");
                assert_eq!(proof.transaction(), transaction);
                assert_eq!((proof.block().id, proof.block().height), (block.id(), Height(3)));
                assert_eq!((proof.confirmations(), proof.tip().height), (count, Height(2 + count)));
            }
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let (_folder, chain, store) = stored();
        let snapshot = store.reader().snapshot().expect("readable");
        let cases = [
            (6, 0, All, "no block 6 on the best chain, whose height is 5"),
            (u64::MAX, 0, All, "no block 18446744073709551615"),
            (3, 2, All, "block 3 has no transaction 2: it has 2"),
            (0, 0, All, "block 0 has no transaction 0: it has 0"),
            (3, 0, Exactly(4), "block 3 has 3 of 4 confirmations"),
            (3, 0, Exactly(0), "at least 1 confirmation"),
        ];
        for (height, position, extent, words) in cases {
            let error = make(&snapshot, &chain.network, Height(height), position, extent).expect_err(words);
            assert!(error.to_string().contains(words), "{error}");
        }
        let too_many = count_confirmations(Height(1), Height(2_000_000), All).expect_err("too long");
        assert!(matches!(too_many, MakeError::TooManyConfirmations { wanted: 2_000_000, max: 1_048_575 }));
    }
}
