//! Makes receipts: a transaction of the best chain, its path, and what stands on its block.
//!
//! The engine says which blocks a receipt shows, and the store what they hold. A receipt is made from one snapshot, and the
//! headers are compared, so a reorganisation meanwhile can't put two chains into it. The meaning of a receipt is in
//! [`crate::protocol::receipt`].

use super::error::{Code, Failure};
use super::lookup;
use super::query::TransactionName;
use crate::engine::event::Place;
use crate::node::handle::Handle;
use crate::node::index::Location;
use crate::node::store::{Snapshot, StoreError};
use crate::protocol::merkle::{self, AuditPath};
use crate::protocol::receipt::{Content, Form, RECEIPT_HEADERS_MAX, Receipt, ShownChain};
use crate::protocol::{Height, Network, TransactionId};

/// How often a receipt is begun anew because the chain has changed meanwhile.
const ATTEMPTS: usize = 5;

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
    #[error("a full receipt holds at most {max} confirmations, not {wanted}: ask for fewer, or for the form `sampled`")]
    TooManyConfirmations { wanted: u64, max: u64 },
    /// A receipt needs at least one confirmation: the block itself.
    #[error("a receipt has at least 1 confirmation, which is the block itself: ask for 1 or more")]
    NoConfirmations,
    /// The chain has changed again and again.
    #[error("the best chain has changed while the receipt was made: ask again")]
    Changed,
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many confirmations a receipt has, of which the transaction's own block is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Up to the tip.
    All,
    /// So many, or there is no receipt.
    Exactly(u64),
}

/// What is wanted of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptOptions {
    /// The confirmations.
    pub extent: Extent,
    /// The form; `None`: the smallest that shows work.
    pub form: Option<Form>,
}

/// A receipt for the transaction at `position` (counted from 0, without the reward) of the block at `height` of the
/// best chain. `show` says what it shows of the chain up to a block; `None` if that block is not on the chain any more: then
/// there is no receipt.
pub fn make<E: From<MakeError>>(
    snapshot: &Snapshot,
    network: &Network,
    (height, position): (Height, usize),
    wanted: ReceiptOptions,
    show: impl FnOnce(Place) -> Result<Option<ShownChain>, E>,
) -> Result<Option<Receipt>, E> {
    let tip = snapshot.tip().height;
    let missing = |height| MakeError::NoBlock { height, tip };
    let stored = |height| snapshot.block_at(height).map_err(MakeError::Store)?.ok_or_else(|| missing(height));
    let block = stored(height)?;
    let transactions = &block.body.transactions;
    let Some(transaction) = transactions.get(position) else {
        return Err(MakeError::NoTransaction { height, position, count: transactions.len() }.into());
    };
    let leaves: Vec<_> = block.body.leaves().collect();
    let inclusion = AuditPath::of(&leaves, 1 + position);

    let count = count_confirmations(height, tip, wanted)?;
    let last = Height(height.0 + count - 1);
    let header = snapshot.header_at(last).map_err(MakeError::Store)?.ok_or_else(|| missing(last))?;
    let Some(shown) = show(Place { height: last, id: header.id() })? else { return Ok(None) };
    let content = |height: &Height| {
        let block = stored(*height)?;
        let is_same = shown.header(*height).is_some_and(|header| *header == block.header);
        let content = Content { outcome: block.body.context.outcome, root: merkle::root(block.body.leaves()) };
        Ok(Some(content).filter(|_| is_same))
    };
    let contents: Option<Vec<_>> = shown.missing().iter().map(content).collect::<Result<_, MakeError>>()?;
    Ok(contents.map(|contents| {
        let proof = shown.proof(&block.body.context, contents);
        Receipt::new(network, transaction, inclusion, proof)
    }))
}

/// A receipt for a transaction that a user names, its id and the height of its block.
pub(in crate::node) fn of(
    handle: &Handle,
    name: &TransactionName,
    wanted: ReceiptOptions,
) -> Result<(TransactionId, Height, Receipt), Failure> {
    let id = lookup::transaction(handle, name)?;
    for _ in 0..ATTEMPTS {
        let location = lookup::index(handle)?.view()?.find(&id)?.ok_or_else(|| {
            let message =
                format!("{} is in no block of the best chain yet: `watch {0}` reports when it is", id.short());
            Failure::new(Code::NotFound, message)
        })?;
        let Location { place, position: Some(position) } = location else {
            let message = "that is the reward of a block, which nobody has signed: receipts are for transactions";
            return Err(Failure::new(Code::NotFound, message));
        };
        let (snapshot, network) = (handle.reader().snapshot()?, handle.network());
        let show = |tip| {
            let shown = handle.shown_chain(place.height, tip, wanted.form).wait()?;
            Ok::<_, Failure>(shown.map(|shown| *shown))
        };
        if let Some(receipt) = make(&snapshot, network, (place.height, position as usize), wanted, show)? {
            return Ok((id, place.height, receipt));
        }
    }
    Err(MakeError::Changed.into())
}

fn count_confirmations(height: Height, tip: Height, wanted: ReceiptOptions) -> Result<u64, MakeError> {
    // Two headers more are those of the ancestors.
    let max = RECEIPT_HEADERS_MAX as u64 - 2;
    let found = tip.saturating_since(height) + 1;
    let count = match wanted.extent {
        Extent::All => found,
        Extent::Exactly(count) => count,
    };
    match count {
        0 => Err(MakeError::NoConfirmations),
        wanted if wanted > found => Err(MakeError::TooFewConfirmations { height, found, wanted }),
        count if count > max && wanted.form == Some(Form::Full) => {
            Err(MakeError::TooManyConfirmations { wanted: count, max })
        }
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::Extent::{All, Exactly};
    use super::*;
    use crate::node::fixture::{Chain, batch};
    use crate::node::store::{FolderLock, Store};

    const FORMS: [Option<Form>; 4] = [None, Some(Form::Full), Some(Form::Sampled), Some(Form::Witnessed)];

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
            let extents = [(All, 3), (Exactly(1), 1), (Exactly(2), 2), (Exactly(3), 3)];
            for ((extent, count), form) in extents.into_iter().flat_map(|extent| FORMS.map(|form| (extent, form))) {
                let wanted = ReceiptOptions { extent, form };
                let show = |tip| Ok::<_, MakeError>(chain.show(Height(3), tip, form));
                let receipt = make(&snapshot, &chain.network, (Height(3), position), wanted, show);
                let receipt = receipt.expect("it is there").expect("nothing has changed");
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
            let wanted = ReceiptOptions { extent, form: None };
            let show = |_| -> Result<_, MakeError> { unreachable!("{words}") };
            let error = make(&snapshot, &chain.network, (Height(height), position), wanted, show).expect_err(words);
            assert!(error.to_string().contains(words), "{error}");
        }
        let count = |form| count_confirmations(Height(1), Height(2_000_000), ReceiptOptions { extent: All, form });
        let too_many = count(Some(Form::Full)).expect_err("too long");
        assert!(matches!(too_many, MakeError::TooManyConfirmations { wanted: 2_000_000, max: 65_534 }));
        assert_eq!(count(None).ok(), Some(2_000_000));
    }

    /// A reorganisation after the snapshot was taken: the engine shows other blocks, or none.
    #[test]
    fn two_chains_are_never_mixed() {
        let (_folder, chain, store) = stored();
        let snapshot = store.reader().snapshot().expect("readable");
        let mut other = Chain::new(2);
        (0..5).for_each(|_| other.mine(vec![]));
        let wanted = ReceiptOptions { extent: All, form: Some(Form::Witnessed) };
        let make = |shown: Option<ShownChain>| {
            make(&snapshot, &chain.network, (Height(3), 0), wanted, |_| Ok::<_, MakeError>(shown)).expect("readable")
        };
        let shown = other.show(Height(3), other.tip(), wanted.form);
        assert!(shown.is_some());
        assert_eq!((make(shown), make(None)), (None, None));
        assert!(make(chain.show(Height(3), chain.tip(), wanted.form)).is_some());
    }
}
