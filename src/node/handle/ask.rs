//! Questions to the engine: a method for each, with an answer type of its own.
//!
//! Only this module pairs each [`Command`] with its [`Answer`]; the two types alone do not.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Handle;
use crate::engine::event::{Answer, Command, CommandError, MiningMode, Place};
use crate::protocol::receipt::{Form, ShownChain};
use crate::protocol::{
    Account, Action, Address, Amount, CheckedBlock, CheckedTransaction, Height, SecretKey, TransactionId, UnixMillis,
};

/// An answer on its way. It can be awaited, or waited for; dropping it takes nothing back.
#[must_use = "the question is asked, the answer is not there yet"]
pub struct Asked<T> {
    answer: oneshot::Receiver<Result<Answer, CommandError>>,
    read: fn(Answer) -> Option<T>,
}

impl<T> Asked<T> {
    /// Blocks until it is there. Not for tasks of a runtime: they await it.
    pub fn wait(self) -> Result<T, CommandError> {
        let read = self.read;
        understand(self.answer.blocking_recv(), read)
    }
}

impl<T> Future for Asked<T> {
    type Output = Result<T, CommandError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let read = self.read;
        Pin::new(&mut self.answer).poll(context).map(|answer| understand(answer, read))
    }
}

/// A command whose answer was dropped belongs to a node that ends.
fn understand<T>(
    answer: Result<Result<Answer, CommandError>, oneshot::error::RecvError>,
    read: fn(Answer) -> Option<T>,
) -> Result<T, CommandError> {
    let answer = answer.unwrap_or(Err(CommandError::Closing))?;
    Ok(read(answer).expect("the engine answers each command as the command's documentation says"))
}

/// An account, and its pending transactions.
#[derive(Debug, Clone)]
pub struct AccountState {
    /// As of the tip.
    pub account: Account,
    /// The balance if everything pending were mined, what it receives from others left out.
    pub spendable: Amount,
    /// The number of pending transactions.
    pub pending: u64,
}

/// The result of asking all peers.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// Whether another chain replaced ours.
    pub replaced: bool,
    /// The number of peers that answered.
    pub answered: usize,
    /// The number of peers that were asked.
    pub asked: usize,
    /// The best block now.
    pub tip: Place,
    /// The time until which a better chain is kept back, because its blocks are dated ahead of this machine's clock.
    pub kept_back_until: Option<UnixMillis>,
}

impl Handle {
    /// Mines blocks: those that were found, the oldest first, once they are durable. Fewer if it was cancelled.
    pub fn mine(&self, count: u64, to: Option<Address>) -> Asked<Vec<Place>> {
        self.ask(Command::Mine { count, to }, |answer| match answer {
            Answer::Mined(places) => Some(places),
            _ => None,
        })
    }

    /// Stops [`Handle::mine`].
    pub fn cancel_mining(&self) -> Asked<()> {
        self.ask(Command::CancelMining, done)
    }

    /// Sets when the node mines, and the recipient of the rewards (`None`: its own account).
    pub fn set_mining(&self, mode: MiningMode, to: Option<Address>) -> Asked<()> {
        self.ask(Command::SetMining { mode, to }, done)
    }

    /// Signs and sends a transaction, by default with the least fee that gets in; answered with its id and fee when it is
    /// durable.
    pub fn send(&self, key: Arc<SecretKey>, action: Action, fee: Option<Amount>) -> Asked<(TransactionId, Amount)> {
        self.ask(Command::Send { key, action, fee }, sent)
    }

    /// Sends a transaction that was signed elsewhere; answered when it is durable.
    pub fn submit(&self, transaction: CheckedTransaction) -> Asked<(TransactionId, Amount)> {
        self.ask(Command::Submit { transaction: Box::new(transaction) }, sent)
    }

    /// Sends a transaction only if its nonce is its account's next one; answered when it is durable.
    pub fn submit_next(&self, transaction: CheckedTransaction) -> Asked<(TransactionId, Amount)> {
        self.ask(Command::SubmitNext { transaction: Box::new(transaction) }, sent)
    }

    /// Adds a block that was found elsewhere: whether it is on the best chain, once it is durable.
    pub fn submit_block(&self, block: CheckedBlock) -> Asked<bool> {
        self.ask(Command::SubmitBlock { block: Box::new(block) }, |answer| match answer {
            Answer::Added { is_best, .. } => Some(is_best),
            _ => None,
        })
    }

    /// What a receipt shows of the best chain up to a block; `None` if that block is not on it at the moment.
    pub fn shown_chain(&self, block: Height, tip: Place, form: Option<Form>) -> Asked<Option<Box<ShownChain>>> {
        self.ask(Command::Show { block, tip, form }, |answer| match answer {
            Answer::Shown(shown) => Some(shown),
            _ => None,
        })
    }

    /// The memory pool, in the order in which it would be mined now.
    pub fn pending(&self) -> Asked<Vec<CheckedTransaction>> {
        self.ask(Command::Pending, |answer| match answer {
            Answer::Pending(transactions) => Some(transactions),
            _ => None,
        })
    }

    /// A transaction of the memory pool.
    pub fn pending_transaction(&self, id: TransactionId) -> Asked<Option<CheckedTransaction>> {
        self.ask(Command::Transaction { id }, |answer| match answer {
            Answer::Transaction(transaction) => Some(transaction),
            _ => None,
        })
    }

    /// An account; an unknown one has no coins.
    pub fn account(&self, address: Address) -> Asked<AccountState> {
        self.ask(Command::Account { address }, |answer| match answer {
            Answer::Account { account, spendable, pending } => Some(AccountState { account, spendable, pending }),
            _ => None,
        })
    }

    /// Asks every peer for its chain now; answered when all have answered or timed out.
    pub fn resolve(&self) -> Asked<Resolution> {
        self.ask(Command::Resolve, |answer| match answer {
            Answer::Resolved { replaced, answered, asked, tip, kept_back_until } => {
                Some(Resolution { replaced, answered, asked, tip, kept_back_until })
            }
            _ => None,
        })
    }

    /// Makes this the node's own account, until the next start.
    pub fn use_account(&self, address: Address) -> Asked<()> {
        self.ask(Command::UseAccount { address }, done)
    }

    /// Fixes the chain up to a height, or removes the checkpoint (`None`). Returns the present one, once it is durable.
    pub fn set_checkpoint(&self, height: Option<Height>) -> Asked<Option<Place>> {
        self.ask(Command::SetCheckpoint { height }, |answer| match answer {
            Answer::Checkpoint(place) => Some(place),
            _ => None,
        })
    }

    fn ask<T>(&self, command: Command, read: fn(Answer) -> Option<T>) -> Asked<T> {
        let (done, answer) = oneshot::channel();
        self.command(command, move |result| {
            // The caller may have left.
            let _ = done.send(result);
        });
        Asked { answer, read }
    }
}

fn done(answer: Answer) -> Option<()> {
    matches!(answer, Answer::Done).then_some(())
}

fn sent(answer: Answer) -> Option<(TransactionId, Amount)> {
    match answer {
        Answer::Sent { id, fee } => Some((id, fee)),
        _ => None,
    }
}
