//! Replies on their way to peers, and the memory that they hold.
//!
//! The replies to a peer that asks for much and reads slowly stay in memory until its requests time out. So there is a
//! limit for each peer and one for all; a reply beyond either is dropped, which refuses the request. A peer without
//! replies on their way gets at least one, however long.

use std::collections::HashMap;

use libp2p::PeerId;
use libp2p::request_response::{InboundRequestId, ResponseChannel};

use super::Reply;
use crate::protocol::{Action, Response, SignedTransaction};

/// Replies to one peer, in bytes: two of the longest common ones. An honest peer has one at a time.
const REPLIES_OF_PEER_BYTES_MAX: usize = 4 << 20;
/// Replies to all peers, in bytes: more than twice what one address can hold by its connections.
const REPLIES_BYTES_MAX: usize = 256 << 20;
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
    replies: HashMap<Id, (PeerId, usize)>,
    peers: HashMap<PeerId, usize>,
    bytes: usize,
}

impl<Id: std::hash::Hash + Eq> Serving<Id> {
    pub(super) fn new() -> Self {
        Self { replies: HashMap::new(), peers: HashMap::new(), bytes: 0 }
    }

    /// Notes a reply of this size, if there is room for it. It is held until [`Serving::done`].
    pub(super) fn add(&mut self, request: Id, peer: PeerId, bytes: usize) -> bool {
        let of_peer = self.peers.get(&peer).copied().unwrap_or(0);
        let is_first = of_peer == 0;
        if !is_first && of_peer + bytes > REPLIES_OF_PEER_BYTES_MAX || self.bytes + bytes > REPLIES_BYTES_MAX {
            return false;
        }
        self.peers.insert(peer, of_peer + bytes);
        self.bytes += bytes;
        self.replies.insert(request, (peer, bytes));
        true
    }

    /// The reply was sent, or never will be. Unknown requests are ignored.
    pub(super) fn done(&mut self, request: &Id) {
        let Some((peer, bytes)) = self.replies.remove(request) else { return };
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

    #[test]
    fn one_peer_gets_its_share_and_no_more() {
        let mut serving = Serving::new();
        let [greedy, other] = [PeerId::random(), PeerId::random()];
        assert!(serving.add(1, greedy, 2 << 20) && serving.add(2, greedy, 2 << 20));
        assert!(!serving.add(3, greedy, 1), "its share is used up");
        assert!(serving.add(3, other, 5 << 20), "the first one is never too long");
        assert!(!serving.add(4, other, 1));
        serving.done(&1);
        assert!(serving.add(4, greedy, 2 << 20));
        (1..10).for_each(|request| serving.done(&request));
        assert_eq!((serving.bytes, serving.replies.len(), serving.peers.len()), (0, 0, 0));
    }

    #[test]
    fn all_peers_together_have_a_bound() {
        let mut serving = Serving::new();
        let admitted = (0..1000).filter(|request| serving.add(*request, PeerId::random(), 4 << 20)).count();
        assert_eq!(admitted, REPLIES_BYTES_MAX / (4 << 20));
        assert!(!serving.add(1000, PeerId::random(), 1));
        serving.done(&0);
        assert!(serving.add(1000, PeerId::random(), 1));
    }
}
