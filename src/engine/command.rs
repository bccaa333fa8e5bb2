//! The commands of the node's own user.

use std::collections::BTreeSet;
use std::sync::Arc;

use quipu_protocol::{Action, Address, Amount, CheckedTransaction, Millis, SecretKey, SignedTransaction, Transaction};

use super::Engine;
use super::event::{Answer, Command, CommandError, Now, PeerKey, Ticket};
use super::header_tree::BlockRef;

/// The time that `resolve` waits for peers, and for a better chain that one of them may have.
const RESOLVE_TIMEOUT: Millis = Millis(30_000);
/// `resolve` commands that wait at the same time. More are refused.
const RESOLVING_MAX: usize = 64;

/// A `resolve` command that waits for peers.
#[derive(Debug)]
pub(crate) struct Resolving {
    ticket: Ticket,
    tip_before: BlockRef,
    waits_for: BTreeSet<PeerKey>,
    asked: usize,
    /// The newest session of that time.
    newest: Option<PeerKey>,
    deadline: Millis,
}

impl Engine {
    pub(super) fn on_command(&mut self, ticket: Ticket, command: Command, now: Now) {
        match command {
            Command::Mine { count, to } => self.on_mine(ticket, count, to),
            Command::CancelMining => {
                self.on_cancel_mining();
                self.answer(ticket, Ok(Answer::Done));
            }
            Command::SetMining { mode, to } => {
                let answer = self.on_set_mining(mode, to);
                self.answer(ticket, answer);
            }
            Command::Send { key, action, fee } => {
                let answer = self.send(&key, action, fee);
                self.answer(ticket, answer);
            }
            Command::Submit { transaction } => {
                let answer = self.accept(*transaction);
                self.answer(ticket, answer);
            }
            Command::SubmitNext { transaction } => {
                let answer = self.accept_next(*transaction);
                self.answer(ticket, answer);
            }
            Command::SubmitBlock { block } => self.on_submitted_block(ticket, *block, now),
            Command::Pending => {
                let pending = self.mempool.list(self.chain.ledger());
                self.answer(ticket, Ok(Answer::Pending(pending)));
            }
            Command::Account { address } => {
                let answer = self.account_answer(&address);
                self.answer(ticket, Ok(answer));
            }
            Command::Transaction { id } => {
                let pending = self.mempool.get(&id).cloned();
                self.answer(ticket, Ok(Answer::Transaction(pending)));
            }
            Command::Show { block, tip, form } => {
                let shown = self.chain.shown(block, tip, form);
                self.answer(ticket, Ok(Answer::Shown(shown.map(Box::new))));
            }
            Command::Resolve => self.on_resolve(ticket, now),
            Command::UseAccount { address } => {
                self.account = address;
                self.chain.set_own(address);
                self.answer(ticket, Ok(Answer::Done));
            }
            Command::SetCheckpoint { height } => {
                let answer = self.set_checkpoint(height);
                self.answer(ticket, answer);
            }
        }
    }

    fn account_answer(&self, address: &Address) -> Answer {
        let (spendable, pending) = self.mempool.spendable(address, self.chain.ledger());
        Answer::Account { account: self.chain.ledger().account(address), spendable, pending }
    }

    /// Signs with the account's next nonce, adds the transaction to the pool, and spreads it.
    fn send(&mut self, key: &Arc<SecretKey>, action: Action, fee: Option<Amount>) -> Result<Answer, CommandError> {
        let sender = key.public_key();
        let nonce = self.mempool.next_nonce(&sender.address(), self.chain.ledger());
        let fee = fee.unwrap_or_else(|| self.default_fee(&sender.address(), &action));
        let transaction = Transaction { sender, nonce, fee, action };
        let checked = CheckedTransaction::sign(transaction, key, &self.network).map_err(CommandError::Invalid)?;
        self.accept(checked)
    }

    /// The least fee with which a transaction gets in now, like any other. An account that cannot pay it offers the
    /// network's least: at this node, the reserve may have room.
    fn default_fee(&self, sender: &Address, action: &Action) -> Amount {
        let least = self.network.parameters().fee_min;
        let price = self.mempool.price().least_fee(SignedTransaction::length_with(action));
        let amount = if let Action::Transfer { amount, .. } = action { *amount } else { Amount::ZERO };
        let (spendable, _) = self.mempool.spendable(sender, self.chain.ledger());
        let can_pay = amount.checked_add(price).is_some_and(|needed| needed <= spendable);
        if can_pay { price.max(least) } else { least }
    }

    fn on_resolve(&mut self, ticket: Ticket, now: Now) {
        if self.resolving.len() >= RESOLVING_MAX {
            return self.answer(ticket, Err(CommandError::Busy));
        }
        let mut waits_for = BTreeSet::new();
        for (peer, session) in self.peers.iter_mut() {
            // Every peer is asked at once, also for the tips that were exhausted last time.
            session.refresh();
            waits_for.insert(peer);
        }
        self.resolving.push(Resolving {
            ticket,
            tip_before: self.chain.tip(),
            asked: waits_for.len(),
            newest: waits_for.last().copied(),
            waits_for,
            deadline: now.elapsed + RESOLVE_TIMEOUT,
        });
    }

    /// Records that a peer has reported its status, or will not.
    pub(super) fn note_resolved(&mut self, peer: PeerKey) {
        for resolving in &mut self.resolving {
            resolving.waits_for.remove(&peer);
        }
    }

    /// Answers each `resolve` whose peers have all answered and whose better chain, if any, has arrived.
    pub(super) fn settle_resolving(&mut self, now: Now) {
        if self.resolving.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.resolving);
        let (finished, open): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|one| self.is_resolved(one, now));
        self.resolving = open;
        for resolving in finished {
            let answer = Answer::Resolved {
                replaced: self.chain.tip() != resolving.tip_before,
                answered: resolving.asked - resolving.waits_for.len(),
                asked: resolving.asked,
                tip: self.chain.tip_place(),
                kept_back_until: self.kept_back_until(),
            };
            self.answer(resolving.ticket, Ok(answer));
        }
    }

    fn is_resolved(&self, one: &Resolving, now: Now) -> bool {
        let is_settled = || !self.chain.is_reorganising() && !self.is_syncing(one.newest);
        one.deadline <= now.elapsed || (one.waits_for.is_empty() && is_settled())
    }

    /// The time at which the first `resolve` gives up.
    pub(super) fn resolve_deadline(&self) -> Option<Millis> {
        self.resolving.iter().map(|resolving| resolving.deadline).min()
    }
}
