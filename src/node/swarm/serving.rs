//! Replies on their way to peers, and the memory that they hold.
//!
//! The replies to a peer that asks for much and reads slowly stay in memory until its requests time out. So there is a
//! limit for each peer and one for all; a reply beyond either is dropped, which refuses the request. A peer without
//! replies on their way gets at least one, however long. When all replies together are at their limit, the peer that has
//! read longest at one of them is let go, so that those that read nothing keep nobody from being served.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::request_response::{InboundRequestId, ResponseChannel};

use super::Reply;
use crate::protocol::{Action, Response, SignedTransaction};

/// Replies to one peer, in bytes: two of the longest common ones. An honest peer has one at a time.
const REPLIES_OF_PEER_BYTES_MAX: usize = 4 << 20;
/// Replies to all peers, in bytes: those of twelve that read nothing.
const REPLIES_BYTES_MAX: usize = 48 << 20;
/// A reply that is read for longer than this may have to make way for others.
const GRACE: Duration = Duration::from_secs(3);
/// The cost of a reply besides its content, in bytes.
const REPLY_BYTES_LEAST: usize = 512;

/// A peer's request that waits for a reply.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) peer: PeerId,
    pub(super) request: InboundRequestId,
    pub(super) channel: ResponseChannel<Reply>,
}

/// The replies that are being sent. Bounded by the bytes that they hold, of which each has some.
#[derive(Debug)]
pub(super) struct Serving<Id = InboundRequestId> {
    replies: HashMap<Id, UnderWay>,
    peers: HashMap<PeerId, usize>,
    bytes: usize,
}

#[derive(Debug)]
struct UnderWay {
    peer: PeerId,
    bytes: usize,
    began: Instant,
}

/// What happens to a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Granted,
    /// The peer has to read other replies first, or all peers have.
    Refused,
    /// Refused, and this peer has been reading for so long that it is to be let go.
    RefusedUntilGone(PeerId),
}

impl<Id: std::hash::Hash + Eq> Serving<Id> {
    pub(super) fn new() -> Self {
        Self { replies: HashMap::new(), peers: HashMap::new(), bytes: 0 }
    }

    /// Notes a reply of this size, if there is room for it. It is held until [`Serving::done`].
    pub(super) fn add(&mut self, request: Id, peer: PeerId, bytes: usize, now: Instant) -> Room {
        let of_peer = self.peers.get(&peer).copied().unwrap_or(0);
        let is_first = of_peer == 0;
        if !is_first && of_peer + bytes > REPLIES_OF_PEER_BYTES_MAX {
            return Room::Refused;
        }
        if self.bytes + bytes > REPLIES_BYTES_MAX {
            let slow = self.replies.values().min_by_key(|reply| reply.began);
            let slow = slow.filter(|reply| now.duration_since(reply.began) >= GRACE);
            return slow.map_or(Room::Refused, |reply| Room::RefusedUntilGone(reply.peer));
        }
        self.peers.insert(peer, of_peer + bytes);
        self.bytes += bytes;
        self.replies.insert(request, UnderWay { peer, bytes, began: now });
        Room::Granted
    }

    /// The reply was sent, or never will be. Unknown requests are ignored.
    pub(super) fn done(&mut self, request: &Id) {
        let Some(UnderWay { peer, bytes, .. }) = self.replies.remove(request) else { return };
        self.bytes -= bytes;
        let of_peer = self.peers.get_mut(&peer).expect("it has a reply on its way");
        *of_peer -= bytes;
        if *of_peer == 0 {
            self.peers.remove(&peer);
        }
    }
}

/// The memory that a reply holds, in bytes.
pub(super) fn bytes_of(reply: &Reply) -> usize {
    let transaction = |signed: &SignedTransaction| {
        let data = match &signed.transaction.action {
            Action::Record { data } => data.len(),
            Action::Transfer { .. } => 0,
        };
        size_of::<SignedTransaction>() + data
    };
    REPLY_BYTES_LEAST
        + match reply {
            Reply::Blocks(blocks) => blocks.iter().map(Vec::len).sum(),
            Reply::Response(Response::Status(_)) => 0,
            Reply::Response(Response::Headers(headers)) => size_of_val(&**headers),
            Reply::Response(Response::Pending(ids)) => size_of_val(&**ids),
            Reply::Response(Response::Transactions(list) | Response::BlockTransactions(list)) => {
                list.iter().map(transaction).sum()
            }
            Reply::Response(Response::Blocks(_)) => unreachable!("our own blocks are sent in encoded form"),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_granted(serving: &mut Serving<u32>, request: u32, peer: PeerId, bytes: usize) -> bool {
        serving.add(request, peer, bytes, Instant::now()) == Room::Granted
    }

    #[test]
    fn one_peer_gets_its_share_and_no_more() {
        let mut serving = Serving::new();
        let [greedy, other] = [PeerId::random(), PeerId::random()];
        assert!(is_granted(&mut serving, 1, greedy, 2 << 20) && is_granted(&mut serving, 2, greedy, 2 << 20));
        assert!(!is_granted(&mut serving, 3, greedy, 1), "its share is used up");
        assert!(is_granted(&mut serving, 3, other, 5 << 20), "the first one is never too long");
        assert!(!is_granted(&mut serving, 4, other, 1));
        serving.done(&1);
        assert!(is_granted(&mut serving, 4, greedy, 2 << 20));
        (1..10).for_each(|request| serving.done(&request));
        assert_eq!((serving.bytes, serving.replies.len(), serving.peers.len()), (0, 0, 0));
    }

    #[test]
    fn all_peers_together_have_a_bound_and_those_who_do_not_read_are_let_go() {
        let mut serving = Serving::new();
        let began = Instant::now();
        let peers: Vec<_> = (0..1000).map(|_| PeerId::random()).collect();
        let mut at = |request: u32, peer: PeerId, bytes: usize, after: Duration| {
            serving.add(request, peer, bytes, began + after)
        };
        let admitted = (0..1000)
            .take_while(|request| {
                let now = Duration::from_millis(u64::from(*request));
                at(*request, peers[*request as usize], 4 << 20, now) == Room::Granted
            })
            .count();
        assert_eq!(admitted, REPLIES_BYTES_MAX / (4 << 20));
        let new = PeerId::random();
        assert_eq!(at(1000, new, 1, GRACE - Duration::from_millis(1)), Room::Refused, "all have just begun");
        assert_eq!(at(1000, new, 1, GRACE), Room::RefusedUntilGone(peers[0]));
        serving.done(&0);
        assert!(is_granted(&mut serving, 1000, new, 1));
    }
}
