//! The configuration of a node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use libp2p::Multiaddr;

use crate::engine::event::MiningMode;
use crate::protocol::Network;

/// Every value is usable.
#[derive(Debug, Clone)]
pub struct Config {
    /// One folder for each network and name.
    pub data_dir: PathBuf,
    /// The owner's name for the node; peers see it.
    pub name: String,
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
    pub mine: MiningMode,
    pub threads: usize,
    pub json: bool,
    pub prompt: bool,
    /// The filter of tracing.
    pub log: String,
}

#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `None`: port 7788 of this machine's loopback, or the next free one.
    pub address: Option<SocketAddr>,
    /// Refuses every change, from any client.
    pub read_only: bool,
    /// Names of the node beside those of its machine.
    pub names: Vec<String>,
    /// Origins of web pages that may ask, as browsers write them.
    pub origins: Vec<String>,
    /// Whether to serve the routes of tutorials.
    pub classic: bool,
}
