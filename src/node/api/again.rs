//! Signs the content of a lost transaction once more, with a free nonce and a new fee.
//!
//! Nothing gets onto the chain twice by this. The old transaction has to be out of the way: it waits no longer, no block has
//! it, and its nonce is used. As long as that is not, the new one takes the same nonce, so that only one of them can be
//! mined. And each is sent again once.

use super::error::{Code, Failure};
use super::lookup;
use super::query::TransactionName;
use super::rows::{LostRow, Sent};
use crate::engine::event::CommandError;
use crate::node::handle::Handle;
use crate::node::handle::ask::AccountState;
use crate::node::lost::{Again, LostTransaction};
use crate::protocol::{Action, Amount, CheckedTransaction, SignedTransaction, Transaction, TransactionId};
use crate::text::counted;

/// The lost transactions, the newest first.
pub(in crate::node) fn lost(handle: &Handle) -> Vec<LostRow> {
    handle.lost().all().iter().map(LostRow::from).collect()
}

/// Sends a lost transaction again. Blocks until the new one is durable.
pub(in crate::node) fn again(handle: &Handle, name: &TransactionName) -> Result<Sent, Failure> {
    let id = named(handle, name)?;
    let (LostTransaction { transaction, .. }, claim) =
        handle.lost().claim(&id).map_err(|again| not_again(handle, &id, again))?;
    if let Some(failure) = whereabouts(handle, &id)? {
        return Err(failure);
    }
    let key = handle.wallets().key_of(&transaction.sender())?;
    let signed = &transaction.signed().transaction;
    let action = signed.action.clone();
    let AccountState { account, spendable, .. } = handle.account(transaction.sender()).wait()?;
    let (new, fee) = if account.nonce > signed.nonce {
        handle.send(key, action.clone(), None).wait()?
    } else {
        // The old one might be mined yet: under its nonce, only one of them can be.
        let fee = least_fee(handle, &action, spendable);
        let anew = CheckedTransaction::sign(Transaction { fee, ..signed.clone() }, &key, handle.network());
        let anew = anew.map_err(|violation| Failure::new(Code::InvalidTransaction, violation.to_string()))?;
        handle.submit(anew).wait().map_err(|error| in_the_way(error, &id))?
    };
    if new == id {
        // It waits again as it was.
        drop(claim);
        handle.lost().forget(&id);
    } else {
        claim.used(new);
    }
    Ok(Sent { id: new, fee, file: None, signed: Some(action) })
}

/// As the engine chooses it for a transaction that it signs itself.
fn least_fee(handle: &Handle, action: &Action, spendable: Amount) -> Amount {
    let price = handle.view().pool_price.least_fee(SignedTransaction::length_with(action));
    let least = handle.network().parameters().fee_min;
    if price <= spendable { price.max(least) } else { least }
}

fn in_the_way(error: CommandError, id: &TransactionId) -> Failure {
    match error {
        CommandError::WrongNonce { nonce, next } if nonce > next => {
            let missing = counted(nonce - next, "earlier transaction");
            let message = format!("{missing} of its account must be sent before {} can be sent again", id.short());
            Failure::new(Code::WrongNonce, message)
        }
        CommandError::WrongNonce { .. } => {
            let message = "another transaction with its nonce waits: when a block has that one, try again";
            Failure::new(Code::WrongNonce, format!("{}: {message}", id.short()))
        }
        error => error.into(),
    }
}

/// Lost transactions are found by the shown part of their ids, like all others.
fn named(handle: &Handle, name: &TransactionName) -> Result<TransactionId, Failure> {
    let TransactionName::Short(digits) = name else { return lookup::transaction(handle, name) };
    let all = handle.lost().all();
    let mut fits = all.iter().map(|one| one.transaction.id()).filter(|id| {
        let shown = id.to_string();
        shown.trim_start_matches('0').starts_with(digits.as_str()) || shown.starts_with(digits.as_str())
    });
    match (fits.next(), fits.next()) {
        (Some(id), None) => Ok(id),
        (Some(one), Some(other)) => {
            Err(Failure::new(Code::BadId, format!("{digits} is short for {one} and for {other}: use the whole id")))
        }
        (None, _) => lookup::transaction(handle, name),
    }
}

/// The reason why there is nothing to send again.
fn not_again(handle: &Handle, id: &TransactionId, again: Option<Again>) -> Failure {
    match again {
        Some(Again::As(new)) => {
            Failure::new(Code::SentAgain, format!("{} was sent again already, as {new}", id.short()))
        }
        Some(Again::UnderWay | Again::No) => {
            Failure::new(Code::Busy, format!("{} is being sent again at this moment", id.short()))
        }
        None => whereabouts(handle, id).unwrap_or_else(Some).unwrap_or_else(|| {
            let why = "this node has not lost it, so there is nothing to sign again";
            Failure::new(Code::NotFound, format!("{}: {why}", id.short()))
        }),
    }
}

/// A transaction that waits or is in a block is not lost.
fn whereabouts(handle: &Handle, id: &TransactionId) -> Result<Option<Failure>, Failure> {
    if handle.pending_transaction(*id).wait()?.is_some() {
        return Ok(Some(Failure::new(Code::NotLost, format!("{} is not lost: it waits to be mined", id.short()))));
    }
    let Some(index) = handle.index() else { return Ok(None) };
    Ok(index.view()?.find(id)?.map(|found| {
        let height = found.place.height;
        Failure::new(Code::NotLost, format!("{} is not lost: it is in block {height}", id.short()))
    }))
}
