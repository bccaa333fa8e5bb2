//! Transactions and blocks that the node's user submits.

use std::collections::VecDeque;
use std::sync::Arc;

use quipu_protocol::{BlockId, CheckedBlock, CheckedTransaction, Transaction, Violation};

use super::Engine;
use super::chain::Insertion;
use super::event::{Answer, CommandError, Notice, Now, Ticket, Write};
use super::header_tree::BlockRef;
use super::mempool::Refusal;

/// Blocks that wait for the rules on accounts. More are refused; one call of the engine settles most of them.
pub(crate) const SUBMITTED_MAX: usize = 64;

/// Refused blocks whose reasons are known. The oldest is forgotten.
pub(crate) const REFUSALS_MAX: usize = 64;

/// The commands that wait for the outcome of a block.
#[derive(Debug, Default)]
pub(crate) struct Submitted(Vec<(Ticket, BlockRef)>);

impl Submitted {
    /// The number of waiting commands.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The reasons of the last refusals of blocks, for answers.
#[derive(Debug, Default)]
pub(crate) struct Refusals(VecDeque<(BlockId, Violation)>);

impl Refusals {
    pub(crate) fn note(&mut self, block: BlockId, violation: &Violation) {
        if self.0.len() == REFUSALS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((block, violation.clone()));
    }

    /// The number of known reasons.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Engine {
    /// The reason why a condemned block was refused.
    pub(super) fn why_refused(&self, block: BlockRef) -> String {
        self.why_refused_id(&self.chain.tree().id(block))
    }

    fn why_refused_id(&self, block: &BlockId) -> String {
        let known = self.refusals.0.iter().rev().find(|(refused, _)| refused == block);
        known.map_or_else(|| "the block, or an ancestor, breaks a rule".to_owned(), |(_, why)| why.to_string())
    }

    /// Adds a transaction to the pool, and spreads it.
    pub(super) fn accept(&mut self, checked: CheckedTransaction) -> Result<Answer, CommandError> {
        let id = checked.id();
        let Transaction { nonce, fee, .. } = checked.signed().transaction;
        let next = self.mempool.next_nonce(&checked.sender(), self.chain.ledger());
        match self.mempool.add_own(checked.clone(), self.chain.ledger()) {
            Ok(()) => {}
            Err(Refusal::Known) => {
                // A peer may have brought it, and then nothing of it is kept.
                if self.mempool.keep(&id) {
                    self.writes.push(Write::PutPending(checked));
                }
                return Ok(Answer::Sent { id, fee });
            }
            Err(Refusal::InsufficientBalance { balance, spendable, needed }) => {
                return Err(CommandError::InsufficientBalance { balance, spendable, needed });
            }
            Err(Refusal::Full | Refusal::ShareUsed) => {
                let least_fee = self.mempool.price().least_fee(checked.length());
                return Err(CommandError::PoolFull { least_fee: Some(least_fee).filter(|least| *least > fee) });
            }
            Err(Refusal::Stale | Refusal::Gap | Refusal::FeeNotHigher) => {
                return Err(CommandError::WrongNonce { nonce, next });
            }
        }
        self.note_dropped();
        self.gate.note_own(id);
        self.writes.push(Write::PutPending(checked.clone()));
        self.announce_transaction(checked.clone());
        self.notify(Notice::Transaction(checked));
        Ok(Answer::Sent { id, fee })
    }

    /// Adds a transaction that has its account's next nonce to the pool, and spreads it.
    pub(super) fn accept_next(&mut self, checked: CheckedTransaction) -> Result<Answer, CommandError> {
        let nonce = checked.signed().transaction.nonce;
        let next = self.mempool.next_nonce(&checked.sender(), self.chain.ledger());
        if nonce == next { self.accept(checked) } else { Err(CommandError::WrongNonce { nonce, next }) }
    }

    /// Processes a block as if a peer had sent it, except that nobody is to blame for it. The answer waits for the
    /// rules on accounts.
    pub(super) fn on_submitted_block(&mut self, ticket: Ticket, block: CheckedBlock, now: Now) {
        let refuse = |why| Err(CommandError::BlockRefused(why));
        let answer = match self.chain.insert_header(block.header(), now.unix) {
            Insertion::Known(_) if self.submitted.len() >= SUBMITTED_MAX => Err(CommandError::Busy),
            Insertion::Known(found) => {
                self.chain.store_body(found, Arc::new(block));
                self.chain.store_below(found);
                self.submitted.0.push((ticket, found));
                return;
            }
            Insertion::Orphan => refuse("this node does not have its parent".to_owned()),
            Insertion::Condemned => refuse(self.why_refused_id(&block.id())),
            Insertion::Weak => refuse("its branch is too far behind the best chain".to_owned()),
            Insertion::Barred(_) => refuse("its branch leaves out the checkpoint".to_owned()),
            Insertion::Early(violation) | Insertion::Invalid(violation) => refuse(violation.to_string()),
        };
        self.answer(ticket, answer);
    }

    /// Answers for the blocks that have had their chance to be connected.
    pub(super) fn settle_submitted(&mut self) {
        if self.chain.is_reorganising() {
            return;
        }
        for (ticket, block) in std::mem::take(&mut self.submitted.0) {
            let answer = if self.chain.tree().is_condemned(block) {
                Err(CommandError::BlockRefused(self.why_refused(block)))
            } else {
                Ok(Answer::Added { place: self.chain.tree().place(block), is_best: self.chain.is_best(block) })
            };
            self.answer(ticket, answer);
        }
    }
}
