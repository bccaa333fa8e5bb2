//! Translation between bytes and the engine's types: gossip in both directions, and tickets for pending answers.

use std::collections::BTreeMap;

use libp2p::gossipsub::{MessageAcceptance, TopicHash};
use libp2p::request_response::OutboundFailure;

use super::behaviour::ProtocolNames;
use crate::engine::event::{Gossip, RequestFailure, Ticket, Verdict};
use crate::protocol::bundle::BUNDLE_BYTES_MAX;
use crate::protocol::encode::{DecodeError, decode, encode};
use crate::protocol::message::gossip_bytes_max;
use crate::protocol::{Announcement, Network};

/// Topic and bytes of a message.
pub(super) fn encode_gossip(names: &ProtocolNames, gossip: &Gossip) -> (TopicHash, Vec<u8>) {
    match gossip {
        Gossip::Block(block) => (names.blocks.hash(), encode(&Announcement::Whole(block.as_ref().clone()))),
        Gossip::Compact(compact) => (names.blocks.hash(), encode(&Announcement::Compact(compact.as_ref().clone()))),
        Gossip::Transactions(bundle) => (names.transactions.hash(), encode(bundle)),
    }
}

/// The content of a message of one of our two topics.
pub(super) fn decode_gossip(
    names: &ProtocolNames,
    network: &Network,
    topic: &TopicHash,
    bytes: &[u8],
) -> Result<Gossip, DecodeError> {
    if *topic == names.blocks.hash() {
        decode(bytes, gossip_bytes_max(network)).map(|announcement| match announcement {
            Announcement::Whole(block) => Gossip::Block(Box::new(block)),
            Announcement::Compact(compact) => Gossip::Compact(Box::new(compact)),
        })
    } else {
        decode(bytes, BUNDLE_BYTES_MAX).map(Gossip::Transactions)
    }
}

pub(super) fn acceptance(verdict: Verdict) -> MessageAcceptance {
    match verdict {
        Verdict::Accept => MessageAcceptance::Accept,
        Verdict::Ignore => MessageAcceptance::Ignore,
        Verdict::Reject => MessageAcceptance::Reject,
    }
}

pub(super) fn request_failure(failure: &OutboundFailure) -> RequestFailure {
    match failure {
        OutboundFailure::Timeout => RequestFailure::Timeout,
        OutboundFailure::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => RequestFailure::Malformed,
        OutboundFailure::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => RequestFailure::Refused,
        OutboundFailure::Io(_)
        | OutboundFailure::DialFailure
        | OutboundFailure::ConnectionClosed
        | OutboundFailure::UnsupportedProtocols => RequestFailure::Unreachable,
    }
}

/// Messages or requests that wait for the engine's answer, by ticket. Beyond their number the oldest is evicted: the
/// engine is behind, and the oldest is worth least. Beyond their bytes, which the engine holds too, none is added.
#[derive(Debug)]
pub(super) struct Tickets<T> {
    entries: BTreeMap<Ticket, (T, usize)>,
    entries_max: usize,
    bytes: usize,
    bytes_max: usize,
    last: u64,
}

impl<T> Tickets<T> {
    pub(super) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self { entries: BTreeMap::new(), entries_max, bytes: 0, bytes_max, last: 0 }
    }

    /// Keeps an entry of this size and returns its ticket, with the entry that was evicted; or gives it back.
    pub(super) fn add(&mut self, entry: T, bytes: usize) -> Result<(Ticket, Option<T>), T> {
        if self.bytes + bytes > self.bytes_max {
            return Err(entry);
        }
        self.last += 1;
        let ticket = Ticket(self.last);
        self.bytes += bytes;
        self.entries.insert(ticket, (entry, bytes));
        let is_full = self.entries.len() > self.entries_max;
        let oldest = self.entries.first_key_value().filter(|_| is_full).map(|(oldest, _)| *oldest);
        Ok((ticket, oldest.and_then(|oldest| self.take(oldest))))
    }

    pub(super) fn take(&mut self, ticket: Ticket) -> Option<T> {
        let (entry, bytes) = self.entries.remove(&ticket)?;
        self.bytes -= bytes;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{CheckedBlock, CompactBlock, Parameters};

    #[test]
    fn the_oldest_is_evicted() {
        let mut waiting = Tickets::new(2, 0);
        let (first, none) = waiting.add('a', 0).expect("it takes no room");
        let (second, _) = waiting.add('b', 0).expect("it takes no room");
        assert_eq!(none, None);
        let (third, evicted) = waiting.add('c', 0).expect("it takes no room");
        assert_eq!(evicted, Some('a'));
        assert_eq!([first, second, third].map(|ticket| waiting.take(ticket)), [None, Some('b'), Some('c')]);
        assert_eq!(waiting.take(second), None, "a ticket is good for once");
    }

    #[test]
    fn what_waits_has_a_number_of_bytes() {
        let mut waiting = Tickets::new(100, 10);
        let (first, _) = waiting.add('a', 6).expect("there is room");
        assert_eq!(waiting.add('b', 5), Err('b'));
        assert!(waiting.add('c', 4).is_ok());
        waiting.take(first);
        assert!(waiting.add('d', 6).is_ok());
        assert_eq!(waiting.add('e', 1), Err('e'));
    }

    #[test]
    fn gossip_round_trips_by_topic() {
        let network = Network::new(Parameters::dev()).expect("presets are valid");
        let names = ProtocolNames::of(&network);
        let block = CheckedBlock::recall(network.genesis().clone(), &network);
        let compact = CompactBlock::of(&block, []);
        for gossip in [Gossip::Block(Box::new(block.to_block())), Gossip::Compact(Box::new(compact))] {
            let (topic, bytes) = encode_gossip(&names, &gossip);
            assert_eq!(decode_gossip(&names, &network, &topic, &bytes), Ok(gossip));
            assert!(decode_gossip(&names, &network, &names.transactions.hash(), &bytes).is_err());
        }
        let long = vec![0; gossip_bytes_max(&network) + 1];
        assert!(matches!(
            decode_gossip(&names, &network, &names.blocks.hash(), &long),
            Err(DecodeError::TooLong { .. })
        ));
    }
}
