//! The durability gate: effects that must not be seen before a batch is durable are held here until it is.
//!
//! | held | until | else a crash |
//! | --- | --- | --- |
//! | the answer to a command that changed something | all that was emitted before is durable | takes back what was acknowledged |
//! | whatever shows peers a transaction of the node's own user: gossip, a block that holds it, a reply | that transaction is durable | lets the node sign another one with the same nonce |
//! | reading blocks from the store | they are written | finds nothing to read |
//!
//! Nothing else waits. Blocks of peers are shown, announced and built upon before they are on the disk, and so is a block that
//! was mined here: a crash loses only what the network gives back.
//!
//! The engine emits no effect before its time, so the shell carries each out at once: what the simulator runs is what the
//! node runs. The store may gather batches for which nobody waits; [`StoreEffect::Sync`] says that somebody does.

use std::collections::{BTreeMap, VecDeque};

use quipu_protocol::TransactionId;

use super::event::{Answer, Batch, CommandError, Effect, StoreEffect, Write};

/// Batches that the store may gather, and their encoded blocks in bytes. Beyond that it is asked to write: more gain nothing, and
/// the engine would have to stop fetching blocks.
const GATHERED_BATCHES_MAX: usize = 64;
const GATHERED_BYTES_MAX: usize = 8 << 20;

/// Numbers the batches, and holds what waits for them. What is held is bounded by what it answers: commands, requests of
/// peers, one load, and the announcements of a few milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Number of the last batch that was emitted, and of the last that is durable.
    emitted: u64,
    durable: u64,
    /// The store was asked to write up to this batch without delay.
    hurried: u64,
    /// Encoded length of the blocks in each batch that is not durable, in bytes, and their sum.
    batches: VecDeque<usize>,
    bytes: usize,
    /// Transactions of the node's own user that are not durable, with their batches.
    own: BTreeMap<TransactionId, u64>,
    /// With the batch that each waits for, in the order in which they are to be emitted.
    held: Vec<(u64, Effect)>,
}

impl Gate {
    /// Makes a batch of what is to be written, and emits it.
    pub(crate) fn write(&mut self, writes: Vec<Write>, effects: &mut Vec<Effect>) {
        self.emitted += 1;
        let lengths = writes.iter().map(|write| if let Write::Block(block) = write { block.length() } else { 0 });
        let bytes = lengths.sum();
        self.batches.push_back(bytes);
        self.bytes += bytes;
        effects.push(Effect::Store(StoreEffect::Persist(Batch { sequence: self.emitted, writes })));
    }

    /// Takes in that all batches up to this one are durable, and emits what has waited for them.
    pub(crate) fn on_persisted(&mut self, sequence: u64, effects: &mut Vec<Effect>) {
        while self.durable < sequence {
            self.durable += 1;
            self.bytes -= self.batches.pop_front().expect("what is durable was emitted");
        }
        let durable = self.durable;
        self.own.retain(|_, batch| *batch > durable);
        effects.extend(self.held.extract_if(.., |(batch, _)| *batch <= durable).map(|(_, effect)| effect));
    }

    /// Emits an effect when all batches up to this one are durable.
    pub(crate) fn emit_after(&mut self, batch: u64, effect: impl Into<Effect>, effects: &mut Vec<Effect>) {
        if batch <= self.durable {
            effects.push(effect.into());
        } else {
            self.held.push((batch, effect.into()));
        }
    }

    /// Asks the store to write without delay if something is held, or much has gathered. To be called when all batches of a
    /// call are emitted.
    pub(crate) fn hurry(&mut self, effects: &mut Vec<Effect>) {
        let awaited = self.held.iter().map(|(batch, _)| *batch).max().unwrap_or_default();
        let has_much = self.batches.len() > GATHERED_BATCHES_MAX || self.bytes > GATHERED_BYTES_MAX;
        let wanted = if has_much { self.emitted } else { awaited };
        if wanted > self.hurried {
            self.hurried = self.emitted;
            effects.push(Effect::Store(StoreEffect::Sync));
        }
    }

    /// Notes that the next batch has a transaction of the node's own user, which no peer has seen.
    pub(crate) fn note_own(&mut self, id: TransactionId) {
        self.own.insert(id, self.emitted + 1);
    }

    /// The batch that must be durable before peers are shown these transactions; 0 if none.
    pub(crate) fn batch_of_own(&self, ids: impl IntoIterator<Item = TransactionId>) -> u64 {
        if self.own.is_empty() {
            return 0;
        }
        ids.into_iter().filter_map(|id| self.own.get(&id)).copied().max().unwrap_or_default()
    }

    /// The batch that must be durable before a command is answered so; 0 if none. An answer that acknowledges nothing does not
    /// wait.
    pub(crate) fn batch_of_answer(&self, answer: &Result<Answer, CommandError>) -> u64 {
        match answer {
            Ok(Answer::Mined(_) | Answer::Sent(_) | Answer::Added { .. } | Answer::Checkpoint(_)) => self.emitted,
            Ok(
                Answer::Pending(_)
                | Answer::Account { .. }
                | Answer::Transaction(_)
                | Answer::Resolved { .. }
                | Answer::Done,
            )
            | Err(_) => 0,
        }
    }

    /// The number of the last batch that was emitted.
    pub(crate) fn emitted(&self) -> u64 {
        self.emitted
    }

    /// How many batches are not durable.
    pub(crate) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// The encoded length of their blocks, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many effects are held.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{PeerEffect, Ticket, UserEffect};

    fn reply(number: u64) -> PeerEffect {
        PeerEffect::Reply { ticket: Ticket(number), response: None }
    }

    fn tickets(effects: &mut Vec<Effect>) -> Vec<u64> {
        let ticket = |effect| match effect {
            Effect::Peer(PeerEffect::Reply { ticket, .. }) => Some(ticket.0),
            _ => None,
        };
        effects.drain(..).filter_map(ticket).collect()
    }

    fn syncs(effects: &[Effect]) -> usize {
        effects.iter().filter(|effect| matches!(effect, Effect::Store(StoreEffect::Sync))).count()
    }

    #[test]
    fn effects_are_held_until_their_batch_and_leave_in_order() {
        let (mut gate, mut effects) = (Gate::default(), Vec::new());
        gate.emit_after(0, reply(0), &mut effects);
        (0..3).for_each(|_| gate.write(Vec::new(), &mut effects));
        for (number, batch) in [(1, 2), (2, 1), (3, 3), (4, 1)] {
            gate.emit_after(batch, reply(number), &mut effects);
        }
        assert_eq!(tickets(&mut effects), [0], "nothing was durable yet");
        gate.on_persisted(1, &mut effects);
        assert_eq!(tickets(&mut effects), [2, 4]);
        gate.on_persisted(3, &mut effects);
        assert_eq!((tickets(&mut effects), gate.held(), gate.batches()), (vec![1, 3], 0, 0));
        gate.emit_after(3, reply(5), &mut effects);
        assert_eq!(tickets(&mut effects), [5], "it is durable");
    }

    #[test]
    fn the_store_is_hurried_once_for_what_waits() {
        let (mut gate, mut effects) = (Gate::default(), Vec::new());
        gate.write(Vec::new(), &mut effects);
        gate.hurry(&mut effects);
        assert_eq!(syncs(&effects), 0, "nobody waits");
        gate.emit_after(1, reply(1), &mut effects);
        (0..2).for_each(|_| gate.hurry(&mut effects));
        assert_eq!(syncs(&effects), 1);
        (0..=GATHERED_BATCHES_MAX).for_each(|_| gate.write(Vec::new(), &mut effects));
        gate.hurry(&mut effects);
        assert_eq!(syncs(&effects), 2, "much has gathered");
    }

    #[test]
    fn own_transactions_are_held_until_they_are_durable() {
        let (mut gate, mut effects) = (Gate::default(), Vec::new());
        let (own, other) = (TransactionId([1; 32]), TransactionId([2; 32]));
        gate.note_own(own);
        gate.write(Vec::new(), &mut effects);
        gate.write(Vec::new(), &mut effects);
        assert_eq!((gate.batch_of_own([other]), gate.batch_of_own([other, own])), (0, 1));
        gate.on_persisted(1, &mut effects);
        assert_eq!(gate.batch_of_own([own]), 0);
        assert!(gate.own.is_empty());
    }

    #[test]
    fn only_answers_that_acknowledge_something_wait() {
        let (mut gate, mut effects) = (Gate::default(), Vec::new());
        gate.write(Vec::new(), &mut effects);
        let sent = Ok(Answer::Sent(TransactionId([1; 32])));
        for (answer, waits_for) in [(sent, 1), (Ok(Answer::Done), 0), (Err(CommandError::Busy), 0)] {
            assert_eq!(gate.batch_of_answer(&answer), waits_for, "{answer:?}");
            let effect = UserEffect::Answer { ticket: Ticket(1), answer };
            gate.emit_after(waits_for, effect, &mut effects);
        }
        assert_eq!(gate.held(), 1);
    }
}
