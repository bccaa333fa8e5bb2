//! Events of the shells for the node's user, as plain data.

use std::net::SocketAddr;

use libp2p::{Multiaddr, PeerId};

use crate::engine::event::{Fate, GoneReason, Notice, PeerKey, Place};
use crate::protocol::TransactionId;

/// An event, in the order of their occurrence.
#[derive(Debug, Clone)]
pub enum UserEvent {
    /// The node listens, and has read its store.
    Ready {
        /// The addresses for peers, with `/p2p/<peer id>` at the end.
        listen: Vec<Multiaddr>,
        /// The address for HTTP.
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
    /// A watched transaction has come to another point of its life.
    Life {
        id: TransactionId,
        /// The new point.
        life: Life,
        /// Whether it is lost, and its content can be signed once more.
        again: bool,
    },
    /// A line that the user should read (mDNS does not start, a full disk, …).
    Warning(String),
    /// The node cannot go on; this line says why and what to do. It shuts down by itself.
    Fatal(String),
}

/// The reason why an address was not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub String);

/// A connected peer, as its connection shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// The session.
    pub peer: PeerKey,
    pub peer_id: PeerId,
    /// Its address, without `/p2p/…`.
    pub address: Multiaddr,
    /// The name and version of its software.
    pub agent: String,
    /// Whether we dialled it.
    pub outbound: bool,
    /// Last round trip in milliseconds.
    pub ping_millis: Option<u64>,
}

/// The state of a transaction's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// This node does not know it.
    Unknown,
    /// It waits to be mined.
    Pending,
    /// It is in a block of the best chain.
    InBlock {
        place: Place,
        /// Blocks from that one on, itself counted.
        confirmations: u64,
    },
    /// A reorganisation has taken its block off the best chain.
    RolledBack {
        /// The block.
        from: Place,
        /// Its fate.
        fate: Fate,
    },
    /// It waits no longer. The reason is known if this node had promised to keep it.
    Gone(Option<GoneReason>),
}
