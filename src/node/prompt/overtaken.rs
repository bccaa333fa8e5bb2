//! Events that an answer overtakes.
//!
//! Events that happened before an answer are written before it, but not a flood of peers' transactions: the answer
//! would be late by the time that it takes to write and read them all. Those are written after the answer, in their
//! order, before anything newer.

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::engine::event::Notice;
use crate::node::event::UserEvent;

/// Transactions that are written before an answer if they came before it: enough for those of the command itself.
const TRANSACTIONS_BEFORE_ANSWER_MAX: usize = 8;
/// Overtaken transactions that are kept. Any more are dropped.
const OVERTAKEN_EVENTS_MAX: usize = 8192;

/// The transactions that answers have overtaken.
#[derive(Debug)]
pub(super) struct Overtaken {
    sender: Sender<UserEvent>,
    waiting: Receiver<UserEvent>,
}

impl Overtaken {
    pub(super) fn new() -> Self {
        let (sender, waiting) = unbounded();
        Self { sender, waiting }
    }

    /// The source of the next event: `events`, or what came before those.
    pub(super) fn or<'a>(&'a self, events: &'a Receiver<UserEvent>) -> &'a Receiver<UserEvent> {
        if self.waiting.is_empty() { events } else { &self.waiting }
    }

    /// Everything that must be written before an answer, of all that has come so far.
    pub(super) fn before_answer(&self, events: &Receiver<UserEvent>) -> Vec<UserEvent> {
        let (older, newer) = (self.waiting.len(), events.len());
        let mut transactions = 0;
        let come: Vec<_> = self.waiting.try_iter().take(older).chain(events.try_iter().take(newer)).collect();
        let mut due = Vec::new();
        for event in come {
            let is_transaction = matches!(event, UserEvent::Notice(Notice::Transaction(_)));
            transactions += usize::from(is_transaction);
            if !is_transaction || transactions <= TRANSACTIONS_BEFORE_ANSWER_MAX {
                due.push(event);
            } else if self.waiting.len() < OVERTAKEN_EVENTS_MAX {
                self.sender.send(event).expect("its receiver is here");
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::fixture::Chain;

    /// `t` for a transaction, anything else for a warning of that name.
    fn send(sender: &Sender<UserEvent>, chain: &Chain, events: &str) {
        for (nonce, event) in (0..).zip(events.chars()) {
            let event = match event {
                't' => UserEvent::Notice(Notice::Transaction(chain.transfer(nonce))),
                other => UserEvent::Warning(other.to_string()),
            };
            sender.send(event).expect("the test has the receiver");
        }
    }

    fn read(events: impl IntoIterator<Item = UserEvent>) -> String {
        let name = |event| match event {
            UserEvent::Warning(name) => name,
            _ => "t".to_owned(),
        };
        events.into_iter().map(name).collect()
    }

    #[test]
    fn an_answer_overtakes_a_flood_of_transactions_and_nothing_else() {
        let (chain, overtaken) = (Chain::new(1), Overtaken::new());
        let (sender, events) = unbounded();
        let told = "t".repeat(TRANSACTIONS_BEFORE_ANSWER_MAX);
        send(&sender, &chain, &format!("a{told}ttbtttc"));
        assert_eq!(read(overtaken.before_answer(&events)), format!("a{told}bc"));
        send(&sender, &chain, "d");
        assert_eq!(read(overtaken.or(&events).try_iter()), "ttttt", "before what is newer");
        assert_eq!(read(overtaken.or(&events).try_iter()), "d");
    }

    #[test]
    fn no_order_is_changed_without_a_flood() {
        let (chain, overtaken) = (Chain::new(1), Overtaken::new());
        let (sender, events) = unbounded();
        send(&sender, &chain, "attbtc");
        assert_eq!(read(overtaken.before_answer(&events)), "attbtc");
        assert!(overtaken.before_answer(&events).is_empty() && overtaken.or(&events).is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let (chain, overtaken) = (Chain::new(1), Overtaken::new());
        let (sender, events) = unbounded();
        for _ in 0..3 {
            send(&sender, &chain, &"t".repeat(OVERTAKEN_EVENTS_MAX / 2));
            assert_eq!(overtaken.before_answer(&events).len(), TRANSACTIONS_BEFORE_ANSWER_MAX);
        }
        assert_eq!(overtaken.waiting.len(), OVERTAKEN_EVENTS_MAX);
    }
}
