//! Messages that come before their session is ready.
//!
//! gossipsub keeps a copy of the gossip among them until it is judged or refused, so the bounds here bound that, too.

use libp2p::PeerId;
use libp2p::gossipsub::MessageId;

use super::{Phase, Sessions};
use crate::engine::event::Gossip;
use crate::node::swarm::serving::Asker;
use crate::protocol::Request;

/// Messages of one peer that are kept until it is ready. More are refused.
const EARLY_MAX: usize = 64;
/// The bytes of those of all peers. More are refused.
const EARLY_BYTES_MAX: usize = 8 << 20;
/// The cost of such a message besides its content, in bytes.
const EARLY_BYTES_LEAST: usize = 512;
/// A peer that sends more before it is ready is at fault, in messages and bytes: about what a network sends at its
/// busiest in a second, when a greeting takes a few round trips.
const EARLY_SENT_MAX: usize = 1024;
const EARLY_SENT_BYTES_MAX: usize = 4 << 20;
/// A message that came before the session was ready.
#[derive(Debug)]
pub(in crate::node::swarm) enum EarlyMessage {
    Gossip { message: MessageId, gossip: Box<Gossip>, bytes: usize },
    Request { request: Request, asker: Box<Asker> },
}

impl EarlyMessage {
    fn bytes(&self) -> usize {
        EARLY_BYTES_LEAST
            + match self {
                Self::Gossip { bytes, .. } => *bytes,
                Self::Request { request, .. } => request_bytes(request),
            }
    }
}

/// An early message that is not kept.
#[derive(Debug)]
pub(in crate::node::swarm) struct RefusedEarly {
    pub(in crate::node::swarm) early: EarlyMessage,
    /// Its sender has sent more than an honest peer would.
    pub(in crate::node::swarm) is_flood: bool,
}

impl Sessions {
    /// Keeps a message of a peer that is not ready; gives it back if there is no room or no use for it.
    pub(in crate::node::swarm) fn keep(&mut self, peer: &PeerId, early: EarlyMessage) -> Result<(), Box<RefusedEarly>> {
        let Some(session) = self.by_peer.get_mut(peer).filter(|session| matches!(session.phase, Phase::Greeting(_)))
        else {
            return Err(Box::new(RefusedEarly { early, is_flood: false }));
        };
        let (sent, sent_bytes) = &mut session.early_sent;
        (*sent, *sent_bytes) = (*sent + 1, *sent_bytes + early.bytes());
        let is_flood = *sent > EARLY_SENT_MAX || *sent_bytes > EARLY_SENT_BYTES_MAX;
        if is_flood || session.early.len() >= EARLY_MAX || self.early_bytes + early.bytes() > EARLY_BYTES_MAX {
            return Err(Box::new(RefusedEarly { early, is_flood }));
        }
        self.early_bytes += early.bytes();
        session.early.push(early);
        Ok(())
    }

    /// The messages of a peer from before it was ready, in order.
    pub(in crate::node::swarm) fn take_early(&mut self, peer: &PeerId) -> Vec<EarlyMessage> {
        let early = self.by_peer.get_mut(peer).map(|session| std::mem::take(&mut session.early)).unwrap_or_default();
        self.early_bytes -= early.iter().map(EarlyMessage::bytes).sum::<usize>();
        early
    }
}

/// The memory of a request, in bytes.
pub(in crate::node::swarm) fn request_bytes(request: &Request) -> usize {
    match request {
        Request::Status(_) | Request::Pending => 0,
        Request::Headers { locator: ids } | Request::Blocks { ids } => size_of_val(&**ids),
        Request::Transactions { ids } => size_of_val(&**ids),
        Request::BlockTransactions { places, .. } => size_of_val(&**places),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::Closed;
    use super::super::tests::{connection, id};
    use super::*;
    use crate::protocol::{Network, Parameters};

    fn gossip(bytes: usize) -> EarlyMessage {
        let network = Network::new(Parameters::dev()).expect("presets are valid");
        let gossip = Box::new(Gossip::Block(Box::new(network.genesis().clone())));
        EarlyMessage::Gossip { message: MessageId::new(b"id"), gossip, bytes: bytes - EARLY_BYTES_LEAST }
    }

    #[test]
    fn what_comes_early_has_one_bound_for_all() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        let peers: Vec<_> = (1..=100)
            .map(|id| {
                let peer = PeerId::random();
                sessions.established(peer, connection(id, now), now);
                peer
            })
            .collect();
        let mebibyte = 1 << 20;
        let kept = peers.iter().filter(|peer| sessions.keep(peer, gossip(mebibyte)).is_ok()).count();
        assert_eq!(kept, EARLY_BYTES_MAX / mebibyte);
        let refused = sessions.keep(&peers[0], gossip(EARLY_BYTES_LEAST)).expect_err("all is taken");
        assert!(!refused.is_flood, "it is not to blame for others");
        assert!(matches!(sessions.closed(peers[0], id(1), false), Closed::Session(_, early) if early.len() == 1));
        assert!(sessions.keep(&peers[99], gossip(mebibyte)).is_ok(), "what is gone makes room");
        assert_eq!(sessions.take_early(&peers[99]).len(), 1);
        assert!(sessions.keep(&peers[98], gossip(mebibyte)).is_ok());
        for peer in &peers[1..] {
            sessions.take_early(peer);
        }
        assert_eq!(sessions.early_bytes, 0);
    }

    #[test]
    fn more_than_an_honest_peer_sends_early_is_a_flood() {
        let now = Instant::now();
        for (bytes, kept, ignored) in [(EARLY_BYTES_LEAST, EARLY_MAX, EARLY_SENT_MAX - EARLY_MAX), (1 << 20, 4, 0)] {
            let peer = PeerId::random();
            let mut sessions = Sessions::default();
            sessions.established(peer, connection(1, now), now);
            assert!((0..kept).all(|_| sessions.keep(&peer, gossip(bytes)).is_ok()));
            let mut refused = || sessions.keep(&peer, gossip(bytes)).expect_err("there are too many").is_flood;
            assert!((0..ignored).all(|_| !refused()));
            assert!(refused());
        }
    }
}
