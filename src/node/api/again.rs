//! Signs the content of a lost transaction once more, with a free nonce and a new fee.
//!
//! Nothing gets onto the chain twice by this. The old transaction has to be out of the way: it waits no longer, no block has
//! it, and its nonce is used. As long as that is not, the new one takes the same nonce, so that only one of them can be
//! mined. And each is sent again once, also if the node does not live to note that it was: the new one is noted before.

use super::error::{Code, Failure};
use super::lookup;
use super::query::TransactionName;
use super::rows::{LostRow, Sent};
use crate::engine::event::CommandError;
use crate::node::handle::Handle;
use crate::node::handle::ask::AccountState;
use crate::node::lost::{Again, Claim, LostTransaction};
use crate::protocol::{Action, Amount, CheckedTransaction, SignedTransaction, Transaction, TransactionId};
use crate::text::counted;

/// Tries to take the account's next nonce, while other commands take it as well.
const ROUNDS_MAX: usize = 16;

/// The lost transactions, the newest first.
pub(in crate::node) fn lost(handle: &Handle) -> Vec<LostRow> {
    handle.lost().all().iter().map(LostRow::from).collect()
}

/// Sends a lost transaction again. Blocks until the new one is durable.
pub(in crate::node) fn again(handle: &Handle, name: &TransactionName) -> Result<Sent, Failure> {
    let id = named(handle, name)?;
    let (LostTransaction { transaction, begun, .. }, claim) =
        handle.lost().claim(&id).map_err(|again| not_again(handle, &id, again))?;
    if let Some(failure) = whereabouts(handle, &id)? {
        return Err(failure);
    }
    let action = transaction.signed().transaction.action.clone();
    let earlier = begun.map(|begun| finish(handle, begun)).transpose()?.flatten();
    let (new, fee) = match earlier {
        Some(sent) => sent,
        None => send_anew(handle, &transaction, &claim)?,
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

/// Sends a transaction that an earlier run was about to send, if it has not been sent. `None` if it is of no use any more:
/// then nobody but this node has ever seen it, since own transactions are published when they are durable.
fn finish(handle: &Handle, begun: CheckedTransaction) -> Result<Option<(TransactionId, Amount)>, Failure> {
    let (id, fee) = (begun.id(), begun.signed().transaction.fee);
    let is_sent = handle.pending_transaction(id).wait()?.is_some() || is_mined(handle, &begun)?;
    if is_sent {
        return Ok(Some((id, fee)));
    }
    match handle.submit(begun).wait() {
        Ok(sent) => Ok(Some(sent)),
        Err(CommandError::Closing) => Err(CommandError::Closing.into()),
        Err(_) => Ok(None),
    }
}

/// Whether a block has it. Without an index, its nonce tells: another transaction may have taken that, but nothing is
/// sent twice.
fn is_mined(handle: &Handle, transaction: &CheckedTransaction) -> Result<bool, Failure> {
    match handle.index() {
        Some(index) => Ok(index.view()?.find(&transaction.id())?.is_some()),
        None => {
            let AccountState { account, .. } = handle.account(transaction.sender()).wait()?;
            Ok(account.nonce > transaction.signed().transaction.nonce)
        }
    }
}

fn send_anew(handle: &Handle, lost: &CheckedTransaction, claim: &Claim) -> Result<(TransactionId, Amount), Failure> {
    let key = handle.wallets().key_of(&lost.sender())?;
    let signed = &lost.signed().transaction;
    for _ in 0..ROUNDS_MAX {
        let AccountState { account, spendable, pending } = handle.account(lost.sender()).wait()?;
        let is_out_of_the_way = account.nonce > signed.nonce;
        // The old one might be mined yet: under its nonce, only one of them can be.
        let nonce = if is_out_of_the_way { account.nonce.saturating_add(pending) } else { signed.nonce };
        let fee = least_fee(handle, &signed.action, spendable);
        let anew = CheckedTransaction::sign(Transaction { nonce, fee, ..signed.clone() }, &key, handle.network());
        let anew = anew.map_err(|violation| Failure::new(Code::InvalidTransaction, violation.to_string()))?;
        claim.begins(&anew);
        let sent = if is_out_of_the_way { handle.submit_next(anew) } else { handle.submit(anew) };
        match sent.wait() {
            Ok(sent) => return Ok(sent),
            // Another command has taken it meanwhile.
            Err(CommandError::WrongNonce { .. }) if is_out_of_the_way => {}
            Err(error) => return Err(in_the_way(error, &lost.id())),
        }
    }
    Err(CommandError::Busy.into())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::GoneReason;
    use crate::node::Node;
    use crate::node::tests::{folder, mine, node, send};
    use crate::protocol::Action;

    fn record(text: &str) -> Action {
        Action::Record { data: text.as_bytes().to_vec().into() }
    }

    fn signed(handle: &Handle, nonce: u64, action: Action) -> CheckedTransaction {
        let key = handle.key().expect("no password");
        let transaction = Transaction { sender: key.public_key(), nonce, fee: Amount::ZERO, action };
        CheckedTransaction::sign(transaction, &key, handle.network()).expect("well formed")
    }

    /// A node that has lost a transaction to another with its nonce, and was about to send `nonce` in its place when it was
    /// killed.
    fn killed_before_noting(folder: &std::path::Path, nonce: u64) -> (Node, TransactionId, CheckedTransaction) {
        let node = node(folder);
        let handle = node.handle();
        send(&node, record("in its place"));
        mine(&node, 1);
        let lost = signed(&handle, 0, record("lost"));
        handle.lost().note(lost.clone(), GoneReason::NonceUsed);
        let begun = signed(&handle, nonce, record("lost"));
        handle.lost().claim(&lost.id()).expect("nobody has it").1.begins(&begun);
        (node, lost.id(), begun)
    }

    fn pending(node: &Node) -> Vec<TransactionId> {
        node.handle().pending().wait().expect("answered").iter().map(|one| one.id()).collect()
    }

    #[test]
    fn what_was_sent_before_a_crash_is_not_sent_again() {
        for (is_sent, is_mined) in [(true, true), (true, false), (false, false)] {
            let folder = folder();
            let (node, lost, begun) = killed_before_noting(folder.path(), 1);
            if is_sent {
                node.handle().submit(begun.clone()).wait().expect("its nonce is the next");
            }
            if is_mined {
                mine(&node, 1);
                let handle = node.handle();
                let index = handle.index().expect("it has one");
                while index.view().expect("readable").find(&begun.id()).expect("readable").is_none() {
                    std::thread::yield_now();
                }
            }
            let sent = again(&node.handle(), &TransactionName::Id(lost)).expect("sent");
            assert_eq!(sent.id, begun.id());
            assert_eq!(pending(&node), if is_mined { vec![] } else { vec![begun.id()] });
            let failure = again(&node.handle(), &TransactionName::Id(lost)).expect_err("once");
            assert_eq!(failure.code, Code::SentAgain);
        }
    }

    #[test]
    fn what_can_no_longer_be_sent_is_signed_anew() {
        let folder = folder();
        let (node, lost, begun) = killed_before_noting(folder.path(), 1);
        send(&node, record("took its nonce"));
        mine(&node, 1);
        let sent = again(&node.handle(), &TransactionName::Id(lost)).expect("sent");
        assert_ne!(sent.id, begun.id());
        assert_eq!(pending(&node), [sent.id]);
    }
}
