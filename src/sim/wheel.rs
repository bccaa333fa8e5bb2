//! The event queue, by millisecond: a calendar queue (Brown 1988) with one bucket a millisecond.

use std::collections::BTreeMap;

use super::gossip::Published;
use super::id::NodeId;
use crate::engine::event::{Event, Key, PeerKey, RequestFailure};
use crate::protocol::{Millis, Request, Response};
use std::sync::Arc;

/// The number of buckets. Events further off wait in a tree.
const HORIZON: u64 = 4096;

/// An event for a node.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) to: NodeId,
    pub(crate) from: NodeId,
    /// The number of events that `from` has sent, which orders those of the same millisecond.
    pub(crate) number: u64,
    pub(crate) what: DeliveryKind,
}

#[derive(Debug)]
pub(crate) enum DeliveryKind {
    /// A timer of the node itself is due.
    Timer,
    /// An event for the engine, unless the node has restarted since.
    Event { life: u32, event: Box<Event> },
    /// A message through a link, to this session of the receiver.
    Message { session: PeerKey, message: Message },
}

/// A message through a link.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Gossip(Arc<Published>),
    Graft,
    Prune,
    Request {
        key: Key,
        request: Box<Request>,
    },
    Response {
        key: Key,
        result: Box<Result<Response, RequestFailure>>,
    },
    /// The other end closed the session.
    Closed,
}

/// The event queue.
#[derive(Debug)]
pub(crate) struct Wheel {
    buckets: Vec<Vec<Delivery>>,
    far: BTreeMap<Millis, Vec<Delivery>>,
    /// The earliest time that may hold an event.
    at: Millis,
    len: usize,
}

impl Wheel {
    pub(crate) fn new(at: Millis) -> Self {
        Self { buckets: (0..HORIZON).map(|_| Vec::new()).collect(), far: BTreeMap::new(), at, len: 0 }
    }

    /// Adds an event at `at`, which must not be past.
    pub(crate) fn push(&mut self, at: Millis, record: Delivery) {
        assert!(at >= self.at, "nothing happens in the past");
        self.len += 1;
        if at.0 - self.at.0 < HORIZON {
            self.buckets[(at.0 % HORIZON) as usize].push(record);
        } else {
            self.far.entry(at).or_default().push(record);
        }
    }

    /// Moves to the next millisecond before `end` that has an event, or to `end`, and returns it.
    pub(crate) fn seek(&mut self, end: Millis) -> Millis {
        while self.at < end && self.buckets[(self.at.0 % HORIZON) as usize].is_empty() {
            if self.len == 0 {
                self.at = end;
                break;
            }
            self.at = self.at + Millis(1);
            // Events that have just come within the horizon. Their bucket is empty: it was the one just left.
            let reached = self.at + Millis(HORIZON - 1);
            if let Some(entry) = self.far.first_entry().filter(|entry| *entry.key() == reached) {
                self.buckets[(reached.0 % HORIZON) as usize] = entry.remove();
            }
        }
        self.at
    }

    /// The next millisecond before `end` that has an event, or `end`.
    pub(crate) fn peek(&self, end: Millis) -> Millis {
        let horizon = end.0.min(self.at.0 + HORIZON);
        let near = (self.at.0..horizon).find(|at| !self.buckets[(at % HORIZON) as usize].is_empty());
        let far = self.far.first_key_value().map(|(at, _)| *at);
        near.map(Millis).or(far).map_or(end, |at| at.min(end))
    }

    /// Removes the events of the present millisecond. `into` is empty.
    pub(crate) fn take(&mut self, into: &mut Vec<Delivery>) {
        std::mem::swap(&mut self.buckets[(self.at.0 % HORIZON) as usize], into);
        self.len -= into.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::random::Random;

    fn drain(wheel: &mut Wheel, end: Millis, popped: &mut Vec<(Millis, u64)>) {
        let mut into = Vec::new();
        while wheel.peek(end) < end {
            assert_eq!(wheel.peek(end), wheel.seek(end));
            wheel.take(&mut into);
            popped.extend(into.drain(..).map(|record| (wheel.at, record.number)));
        }
        assert_eq!(wheel.seek(end), end);
    }

    #[test]
    fn everything_comes_out_in_time_and_in_order() {
        let mut random = Random::new(3);
        let mut wheel = Wheel::new(Millis(0));
        let mut pushed = Vec::new();
        let mut now = Millis(0);
        let mut popped = Vec::new();
        for number in 0..2_000 {
            let at = now + Millis(random.between(0, 3 * HORIZON));
            let node = NodeId(0);
            wheel.push(at, Delivery { to: node, from: node, number, what: DeliveryKind::Timer });
            pushed.push((at, number));
            if number % 3 == 0 {
                let end = now + Millis(random.between(0, 40));
                drain(&mut wheel, end, &mut popped);
                now = end;
            }
        }
        drain(&mut wheel, now + Millis(4 * HORIZON), &mut popped);
        assert!(popped.is_sorted_by_key(|(at, _)| *at));
        pushed.sort_unstable();
        popped.sort_unstable();
        assert_eq!(popped, pushed);
    }
}
