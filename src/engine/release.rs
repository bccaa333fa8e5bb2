//! The durability gate: it holds effects that must not be seen before a batch is durable.
//!
//! | held effect | until | risk in a crash |
//! | --- | --- | --- |
//! | the answer to a command that changed something | all earlier batches are durable | an acknowledged change is lost |
//! | gossip, a block or a reply with an own transaction | that transaction is durable | its nonce is used twice |
//! | reading blocks from the store | they are written | the blocks are not found |
//!
//! Nothing else waits. Peers' blocks are shown, announced and built upon before they are on the disk, and so is a block
//! that was mined here: a crash loses only data that the network gives back.
//!
//! The engine emits no effect before its time, so the shell carries out each at once: the simulator and the node run
//! the same gate. The store may gather batches; [`StoreEffect::Sync`] says that a held effect waits for them.

use std::collections::{BTreeMap, VecDeque};

use quipu_protocol::TransactionId;

use super::event::{Answer, Batch, CommandError, Effect, StoreEffect, Write};

/// Batches that the store may gather, and their encoded blocks in bytes. Beyond that it is asked to write: gathering
/// more gains nothing, and the engine would have to stop fetching blocks.
const GATHERED_BATCHES_MAX: usize = 64;
const GATHERED_BYTES_MAX: usize = 8 << 20;

/// Numbers the batches, and holds the effects that wait for them. The held effects are bounded by their causes:
/// commands, peers' requests, one load, and the announcements of a few milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The numbers of the last emitted batch and of the last durable one.
    emitted: u64,
    durable: u64,
    /// The last batch that an effect waits for or has waited for, and the last that the store was asked to write without
    /// delay.
    awaited: u64,
    hurried: u64,
    /// Encoded length of the blocks in each batch that is not durable, in bytes, and their sum.
    batches: VecDeque<usize>,
    bytes: usize,
    /// The own user's transactions that are not durable, with their batches.
    own: BTreeMap<TransactionId, u64>,
    /// The held effects in the order of emission, each with the batch that it waits for.
    held: Vec<(u64, Effect)>,
}

impl Gate {
    /// Emits writes as one batch.
    pub(crate) fn write(&mut self, writes: Vec<Write>, effects: &mut Vec<Effect>) {
        self.emitted += 1;
        let lengths = writes.iter().map(|write| if let Write::Block(block) = write { block.length() } else { 0 });
        let bytes = lengths.sum();
        self.batches.push_back(bytes);
        self.bytes += bytes;
        effects.push(Effect::Store(StoreEffect::Persist(Batch { sequence: self.emitted, writes })));
    }

    /// Records that all batches up to this one are durable, and emits the effects that waited for them.
    pub(crate) fn on_persisted(&mut self, sequence: u64, effects: &mut Vec<Effect>) {
        while self.durable < sequence {
            self.durable += 1;
            self.bytes -= self.batches.pop_front().expect("a durable batch was emitted");
        }
        let durable = self.durable;
        self.own.retain(|_, batch| *batch > durable);
        effects.extend(self.held.extract_if(.., |(batch, _)| *batch <= durable).map(|(_, effect)| effect));
    }

    /// Emits an effect once all batches up to this one are durable.
    pub(crate) fn emit_after(&mut self, batch: u64, effect: impl Into<Effect>, effects: &mut Vec<Effect>) {
        if batch <= self.durable {
            effects.push(effect.into());
        } else {
            self.awaited = self.awaited.max(batch);
            self.held.push((batch, effect.into()));
        }
    }

    /// Asks the store to write without delay if an effect is held, or much has gathered. To be called after the last
    /// batch of a call.
    pub(crate) fn hurry(&mut self, effects: &mut Vec<Effect>) {
        let has_much = self.batches.len() > GATHERED_BATCHES_MAX || self.bytes > GATHERED_BYTES_MAX;
        let wanted = if has_much { self.emitted } else { self.awaited };
        if wanted > self.hurried {
            self.hurried = self.emitted;
            effects.push(Effect::Store(StoreEffect::Sync));
        }
    }

    /// Records that the next batch has a transaction of the node's own user, which no peer has seen.
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

    /// The batch that must be durable before a command gets this answer; 0 if none. An answer that acknowledges nothing
    /// does not wait.
    pub(crate) fn batch_of_answer(&self, answer: &Result<Answer, CommandError>) -> u64 {
        match answer {
            Ok(Answer::Mined(_) | Answer::Sent { .. } | Answer::Added { .. } | Answer::Checkpoint(_)) => self.emitted,
            Ok(
                Answer::Pending(_)
                | Answer::Account { .. }
                | Answer::Transaction(_)
                | Answer::Shown(_)
                | Answer::Resolved { .. }
                | Answer::Done,
            )
            | Err(_) => 0,
        }
    }

    /// The number of the last emitted batch.
    pub(crate) fn emitted(&self) -> u64 {
        self.emitted
    }

    /// The number of batches that are not durable.
    pub(crate) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// The encoded length of their blocks, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of held effects.
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
        let mut gate = Gate::default();
        let mut effects = Vec::new();
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
        let mut gate = Gate::default();
        let mut effects = Vec::new();
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
        let mut gate = Gate::default();
        let mut effects = Vec::new();
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
        let mut gate = Gate::default();
        let mut effects = Vec::new();
        gate.write(Vec::new(), &mut effects);
        let sent = Ok(Answer::Sent { id: TransactionId([1; 32]), fee: quipu_protocol::Amount::ZERO });
        for (answer, waits_for) in [(sent, 1), (Ok(Answer::Done), 0), (Err(CommandError::Busy), 0)] {
            assert_eq!(gate.batch_of_answer(&answer), waits_for, "{answer:?}");
            let effect = UserEffect::Answer { ticket: Ticket(1), answer };
            gate.emit_after(waits_for, effect, &mut effects);
        }
        assert_eq!(gate.held(), 1);
    }
}
