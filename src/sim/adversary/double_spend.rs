//! The double spender, which pays and mines another history without the payment: Nakamoto 2008, "Bitcoin", section 11;
//! Rosenfeld 2014, "Analysis of hashrate-based double spending".
//!
//! It shows a payment to everybody and keeps a conflicting transaction with the same nonce for its own blocks, which it
//! withholds. Once the payment has its confirmations and its own chain is longer, it publishes that chain. It gives up
//! when the others' chain is longer, and tries again later.

use super::withheld::Withheld;
use super::{Hands, sent};
use crate::engine::event::{Command, Effect, Event, Gossip, PeerEffect, Ticket, Wake};
use crate::protocol::{Action, Address, Amount, Bundle, Height, Millis, SignedTransaction, Transaction};

/// Confirmations that the payee waits for.
const CONFIRMATIONS: u64 = 2;
/// Pause between two attempts.
const PAUSE: Millis = Millis::from_secs(20);
/// The ticket of its own commands; the shell counts from 1.
const TICKET: Ticket = Ticket(u64::MAX);
/// The amount that is paid and taken back, in units.
const UNITS: u64 = 1_000_000;

/// A double spender.
#[derive(Debug)]
pub struct DoubleSpend {
    payee: Address,
    withheld: Withheld,
    /// The conflicting transaction, which only its own blocks contain.
    kept: Option<SignedTransaction>,
    /// The height below the payment, during an attempt.
    since: Option<Height>,
    next: Millis,
}

impl DoubleSpend {
    /// A double spender that pays this address, again and again.
    pub fn new(payee: Address) -> Self {
        Self { payee, withheld: Withheld::default(), kept: None, since: None, next: Millis(0) }
    }

    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        self.withheld.hear(hands, &event);
        let wake = hands.pass(event, effects);
        let news = self.withheld.note(hands, effects, self.since.is_some());
        let mut shown = Vec::new();
        if let Some(since) = self.since {
            let is_confirmed = self.withheld.public.0 >= since.0 + CONFIRMATIONS;
            let own = self.withheld.height();
            if is_confirmed && own.is_some_and(|own| own > self.withheld.public) {
                self.withheld.release(Height(u64::MAX), &mut shown);
                self.end(hands);
            } else if news.others && own.is_none() && is_confirmed {
                self.end(hands);
            }
        } else if hands.now.elapsed >= self.next {
            self.begin(hands, effects);
        }
        self.keep_back(effects);
        self.withheld.hide(hands, effects);
        effects.append(&mut shown);
        wake
    }

    fn end(&mut self, hands: &Hands<'_>) {
        self.since = None;
        self.next = hands.now.elapsed + PAUSE;
    }

    /// Moves the coins to itself, in secret, and publishes a payment with the same coins.
    fn begin(&mut self, hands: &mut Hands<'_>, effects: &mut Vec<Effect>) {
        self.next = hands.now.elapsed + PAUSE;
        let action = Action::Transfer { to: hands.address(), amount: Amount::from_units(UNITS) };
        let command = Command::Send { key: hands.key.clone(), action, fee: Some(Amount::from_units(1_000)) };
        let mut own = Vec::new();
        hands.pass(Event::Command { ticket: TICKET, command }, &mut own);
        let kept = sent(&own);
        effects.append(&mut own);
        let Some(kept) = kept else { return };
        self.kept = Some(kept.clone());
        let action = Action::Transfer { to: self.payee, amount: Amount::from_units(UNITS) };
        let paid = Transaction { action, fee: Amount::from_units(1), ..kept.transaction };
        let signed = paid.sign(&hands.network.genesis_id(), hands.key);
        effects.push(Effect::Peer(PeerEffect::Publish(Gossip::Transactions(signed.into()))));
        self.since = Some(hands.view().tip.height);
    }

    /// Removes the withheld transaction from the publications.
    fn keep_back(&self, effects: &mut Vec<Effect>) {
        effects.retain_mut(|effect| {
            let Effect::Peer(PeerEffect::Publish(Gossip::Transactions(bundle))) = effect else { return true };
            let shown = bundle.iter().filter(|signed| self.kept.as_ref() != Some(signed)).cloned();
            match Bundle::pack(shown).pop() {
                Some(shown) => {
                    *bundle = shown;
                    true
                }
                None => false,
            }
        });
    }
}
