//! The way into the engine: three queues that every shell may send to, and that the driver reads.

use crossbeam_channel::{Receiver, Sender};

use crate::engine::Event;
use crate::engine::event::{Command, Ticket};

/// Events from peers that may wait for the engine. More are refused: gossip is ignored, requests fail.
pub const OFFERED_EVENTS_MAX: usize = 1024;
/// At least one event in this many comes from a peer, if one waits.
const RESULTS_PER_OFFERED: u32 = 4;

/// The way into the engine, for all shells.
#[derive(Debug, Clone)]
pub struct EngineSender {
    commands: Sender<Event>,
    results: Sender<Event>,
    offered: Sender<Event>,
}

/// The engine's end of the queues.
#[derive(Debug)]
pub struct Queues {
    /// From the user; bounded because users wait for their answers.
    pub commands: Receiver<Event>,
    /// Results of the engine's own effects; bounded by the engine's work in flight.
    pub results: Receiver<Event>,
    /// From peers; bounded by [`OFFERED_EVENTS_MAX`] and the number of sessions.
    pub offered: Receiver<Event>,
}

impl EngineSender {
    /// Both ends of the queues.
    pub fn new() -> (Self, Queues) {
        let (commands, commands_receiver) = crossbeam_channel::unbounded();
        let (results, results_receiver) = crossbeam_channel::unbounded();
        let (offered, offered_receiver) = crossbeam_channel::unbounded();
        let queues = Queues { commands: commands_receiver, results: results_receiver, offered: offered_receiver };
        (Self { commands, results, offered }, queues)
    }

    /// For the node's own user. Never refused, and next in turn.
    pub fn command(&self, ticket: Ticket, command: Command) {
        // An engine that is gone answers no command; the handle then refuses the waiting ones.
        let _ = self.commands.send(Event::Command { ticket, command });
    }

    /// For unsolicited events of a peer (gossip, requests). Returns the event if the engine is too busy.
    pub fn offer(&self, event: Event) -> Result<(), Event> {
        if self.offered.len() >= OFFERED_EVENTS_MAX {
            return Err(event);
        }
        self.offered.send(event).map_err(|refused| refused.0)
    }

    /// For sessions that begin and end: never refused, and in one order with the events of their peers, which would
    /// otherwise come from a peer that the engine does not know.
    pub fn offer_session(&self, event: Event) {
        // An engine that is gone knows no peers.
        let _ = self.offered.send(event);
    }

    /// For events that must not be lost: results of effects. Never blocks.
    pub fn deliver(&self, event: Event) {
        // An engine that is gone needs no results.
        let _ = self.results.send(event);
    }
}

impl Queues {
    /// The next waiting event, `handled` others after the last tick. The user's commands overtake everything, because
    /// the user waits for the answer. The node's own results go before peers, so that peers don't hold up work in
    /// progress; but a miner on an easy network always has a result, so peers get their turn too.
    pub(super) fn waiting(&self, handled: u32) -> Option<Event> {
        let peers_turn = handled.is_multiple_of(RESULTS_PER_OFFERED);
        let (first, second) = if peers_turn { (&self.offered, &self.results) } else { (&self.results, &self.offered) };
        [&self.commands, first, second].into_iter().find_map(|queue| queue.try_recv().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::PeerKey;

    #[test]
    fn a_session_begins_before_its_peer_is_heard_and_when_nobody_else_is() {
        let (sender, queues) = EngineSender::new();
        let peer = PeerKey(1);
        sender.offer_session(Event::PeerConnected { peer });
        while sender.offer(Event::Tick).is_ok() {}
        sender.offer_session(Event::PeerDisconnected { peer });
        assert!(sender.offer(Event::Tick).is_err());
        let events: Vec<Event> = queues.offered.try_iter().collect();
        assert_eq!(events.len(), OFFERED_EVENTS_MAX + 1);
        assert!(matches!(events.first(), Some(Event::PeerConnected { .. })));
        assert!(matches!(events.last(), Some(Event::PeerDisconnected { .. })));
    }
    /// The sources of the next `count` events.
    fn next(queues: &Queues, from: u32, count: u32) -> String {
        let turn = |handled| match queues.waiting(handled) {
            Some(Event::Command { .. }) => 'c',
            Some(Event::Persisted { .. }) => 'r',
            Some(Event::PeerConnected { .. }) => 'p',
            Some(other) => panic!("{other:?} was never sent"),
            None => '.',
        };
        (from..from + count).map(turn).collect()
    }

    #[test]
    fn commands_overtake_a_flood_and_peers_have_their_turn() {
        let (sender, queues) = EngineSender::new();
        for number in 0..OFFERED_EVENTS_MAX as u64 {
            assert!(sender.offer(Event::PeerConnected { peer: PeerKey(number) }).is_ok());
            sender.deliver(Event::Persisted { sequence: number });
        }
        assert_eq!(next(&queues, 0, 9), "prrrprrrp");
        sender.command(Ticket(1), Command::Pending);
        sender.command(Ticket(2), Command::Pending);
        assert_eq!(next(&queues, 9, 4), "ccrp", "at once, whose turn it ever is");
        queues.results.try_iter().for_each(drop);
        assert_eq!(next(&queues, 13, 3), "ppp");
        queues.offered.try_iter().for_each(drop);
        assert_eq!(next(&queues, 16, 1), ".");
    }
}
