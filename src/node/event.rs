//! What the shells tell the node's user, as plain data.

use std::net::SocketAddr;

use libp2p::{Multiaddr, PeerId};

use crate::engine::event::{Fate, Notice, PeerKey, Place};
use crate::protocol::TransactionId;

/// Something to show, in the order in which it happened.
#[derive(Debug, Clone)]
pub enum UserEvent {
    /// The node listens, and has read its store.
    Ready {
        /// Where it listens, with `/p2p/<peer id>` at the end.
        listen: Vec<Multiaddr>,
        /// Where it serves HTTP.
        http: Option<SocketAddr>,
    },
    /// A peer of our network is connected, and a transaction sent now reaches it.
    PeerConnected(PeerRow),
    /// A peer that was reported as connected is gone.
    PeerDisconnected(PeerRow),
    /// From the engine.
    Notice(Notice),
    /// The index has reached this block of the best chain.
    Indexed(Place),
    /// A transaction that is followed has come to another point of its life.
    Life {
        /// Which.
        id: TransactionId,
        /// Where it is now.
        life: Life,
    },
    /// Something that the user should read, in one line (mDNS does not start, a full disk, …).
    Warning(String),
    /// The node cannot go on; this line says why and what to do. It shuts down by itself.
    Fatal(String),
}

/// Why an address was not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub String);

/// A connected peer, as its connection shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// The session.
    pub peer: PeerKey,
    /// Who it is.
    pub peer_id: PeerId,
    /// Its address, without `/p2p/…`.
    pub address: Multiaddr,
    /// Its software.
    pub agent: String,
    /// Whether we dialled it.
    pub outbound: bool,
    /// Last round trip in milliseconds.
    pub ping_millis: Option<u64>,
}

/// Where a transaction is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// This node has not heard of it.
    Unknown,
    /// It waits to be mined.
    Pending,
    /// It is in a block of the best chain.
    InBlock {
        /// Which.
        place: Place,
        /// Blocks from that one on, itself counted.
        confirmations: u64,
    },
    /// A reorganisation has taken its block off the best chain.
    RolledBack {
        /// The block.
        from: Place,
        /// What became of it.
        fate: Fate,
    },
    /// It waited, and does not any more: replaced, or crowded out.
    Gone,
}
