//! Finds what a user names: blocks and transactions, by any form in which they are shown.

use super::error::{Code, Failure};
use super::query::{BlockName, TransactionName, Who};
use crate::node::handle::Handle;
use crate::node::index::{ChainIndex, IndexError, Location};
use crate::node::store::Snapshot;
use crate::protocol::{Address, Block, Height, SignedTransaction, TransactionId};
use crate::text::{distance, grouped};

/// An id is shown without its leading zeros; no id with more of them than this has ever been found.
const SHORT_ID_ZEROS_MAX: usize = 4;

/// The index, if the node keeps one.
pub(in crate::node) fn index(handle: &Handle) -> Result<&ChainIndex, Failure> {
    Ok(handle.index().ok_or(IndexError::Off)?)
}

/// A block, and whether it is on the best chain.
pub(in crate::node) fn block(snapshot: &Snapshot, name: BlockName) -> Result<(Block, bool), Failure> {
    let found = match name {
        BlockName::Id(id) => snapshot.block(&id)?,
        BlockName::Short(digits) => block_shown_as(snapshot, digits)?,
        BlockName::Height(height) => match (snapshot.block_at(height)?, as_short_id(height)) {
            (Some(block), _) => Some((block, true)),
            (None, digits) => digits.map(|digits| block_shown_as(snapshot, digits)).transpose()?.flatten(),
        },
    };
    found.ok_or_else(|| match name {
        BlockName::Id(id) => Failure::new(Code::NotFound, format!("this node has no block {id}")),
        BlockName::Short(digits) => Failure::new(Code::NotFound, format!("this node has no block {digits:08x}")),
        BlockName::Height(height) => above(snapshot.tip().height, height),
    })
}

fn block_shown_as(snapshot: &Snapshot, digits: u32) -> Result<Option<(Block, bool)>, Failure> {
    match snapshot.ids_shown_as(digits)?.as_slice() {
        [] => Ok(None),
        [id] => Ok(snapshot.block(id)?),
        [one, other, ..] => {
            let message = format!("{digits:08x} is short for {one} and for {other}: use the whole id");
            Err(Failure::new(Code::BadId, message))
        }
    }
}

/// Eight digits may be a short id that happens to have no letters.
fn as_short_id(height: Height) -> Option<u32> {
    Some(height.0.to_string())
        .filter(|digits| digits.len() == 8)
        .and_then(|digits| u32::from_str_radix(&digits, 16).ok())
}

/// For heights above that of the best block.
pub(in crate::node) fn above(tip: Height, height: Height) -> Failure {
    let (tip, height) = (grouped(tip.0), grouped(height.0));
    Failure::new(Code::NotFound, format!("there is no block {height} yet: the chain ends at height {tip}"))
}

/// A block of the best chain that must be there.
pub(in crate::node) fn block_at(snapshot: &Snapshot, height: Height) -> Result<Block, Failure> {
    let gap = || Failure::new(Code::StoreUnreadable, format!("block {height} is missing from the store"));
    snapshot.block_at(height)?.ok_or_else(gap)
}

/// The account that is meant.
pub(in crate::node) fn address(handle: &Handle, who: &Who) -> Result<Address, Failure> {
    let name = match who {
        Who::Address(address) => return Ok(*address),
        Who::Name(name) => name,
    };
    let (aliases, wallets) = (handle.aliases(), handle.wallets().list()?);
    let own = wallets.iter().find(|wallet| wallet.name == *name);
    let wallet = || own.and_then(|wallet| wallet.state.as_ref().ok()).map(|(address, _)| *address);
    aliases.find(name).or_else(wallet).ok_or_else(|| {
        let known = aliases.list().into_iter().map(|(name, _)| name).chain(wallets.iter().map(|w| w.name.clone()));
        let near = known.map(|known| (distance(name, &known), known)).min().filter(|(distance, _)| *distance <= 2);
        let hint =
            near.map_or_else(|| "give it one with `alias`".to_owned(), |(_, known)| format!("did you mean {known}?"));
        let message = format!("{name}: neither an address (0x and 40 hex digits) nor a name; {hint}");
        Failure::new(Code::BadAddress, message)
    })
}

/// A signed transaction that is pending or on the best chain. `None` also for a reward.
pub(in crate::node) fn signed(handle: &Handle, id: &TransactionId) -> Result<Option<SignedTransaction>, Failure> {
    let in_block = || -> Result<Option<SignedTransaction>, Failure> {
        let view = index(handle)?.view()?;
        let Some(Location { place, position: Some(position) }) = view.find(id)? else { return Ok(None) };
        let block = block_at(view.snapshot(), place.height)?;
        Ok(block.body.transactions.get(position as usize).cloned())
    };
    if let Some(waits) = handle.pending_transaction(*id).wait()? {
        return Ok(Some(waits.signed().clone()));
    }
    in_block()
}

/// A transaction that is pending or on the best chain, by the shown part of its id.
pub(in crate::node) fn transaction(handle: &Handle, name: &TransactionName) -> Result<TransactionId, Failure> {
    let digits = match name {
        TransactionName::Id(id) => return Ok(*id),
        TransactionName::Short(digits) => digits,
    };
    let pending = handle.pending().wait()?;
    let fits = |id: &TransactionId| id.to_string().trim_start_matches('0').starts_with(digits);
    let mut found: Vec<_> = pending.iter().map(|transaction| transaction.id()).filter(fits).collect();
    let view = index(handle)?.view()?;
    for zeros in 0..=SHORT_ID_ZEROS_MAX {
        found.extend(view.find_prefix(&format!("{}{digits}", "0".repeat(zeros)))?);
    }
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [id] => Ok(id),
        [] => Err(Failure::new(Code::NotFound, format!("this node knows no transaction {digits}"))),
        [one, other, ..] => {
            let message = format!("{digits} is short for {one} and for {other}: use the whole id");
            Err(Failure::new(Code::BadId, message))
        }
    }
}
