//! What a node is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use libp2p::Multiaddr;

use crate::engine::event::MiningMode;
use crate::protocol::Network;

/// All of it. Every value is usable.
#[derive(Debug, Clone)]
pub struct Config {
    /// One folder for each network and name.
    pub data_dir: PathBuf,
    /// What the owner calls the node; told to peers.
    pub name: String,
    /// The network.
    pub network: Arc<Network>,
    /// As in `SwarmConfig`.
    pub listen: Vec<Multiaddr>,
    /// As in `SwarmConfig`.
    pub peers: Vec<Multiaddr>,
    /// As in `SwarmConfig`.
    pub mdns: bool,
    /// Whether to keep an index of transactions and records.
    pub index: bool,
    /// How to serve HTTP, if at all.
    pub http: Option<HttpConfig>,
    /// When to mine.
    pub mine: MiningMode,
    /// Miner threads.
    pub threads: usize,
    /// JSON lines on stdout.
    pub json: bool,
    /// Whether to read commands.
    pub prompt: bool,
    /// tracing filter.
    pub log: String,
}

/// How to serve.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where. `None`: port 7788 of this machine's loopback, or the next free one.
    pub address: Option<SocketAddr>,
    /// Whether nothing may be changed, by nobody.
    pub read_only: bool,
}
