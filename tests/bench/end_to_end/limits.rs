//! The limits of the bare libraries and of the machine, which the figures of nodes are compared with.

pub(crate) mod append;
pub(crate) mod gossipsub;
pub(crate) mod request_response;
pub(crate) mod signatures;

use std::process::Command;

use libp2p::Multiaddr;

/// The role of a process that this program has started from itself. It prints JSON lines as a node does.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum LimitRole {
    /// A node of [`gossipsub`].
    Gossip,
    /// A server of [`request_response`].
    Serve,
}

impl LimitRole {
    /// The command that starts this program in that role.
    pub(crate) fn command(self, peers: &[String]) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a running program has a path"));
        let name = match self {
            Self::Gossip => "gossip",
            Self::Serve => "serve",
        };
        command.args(["--role", name]);
        for peer in peers {
            command.args(["--peer", peer]);
        }
        command
    }
}

/// Plays a role until the end of the input.
pub(crate) fn play(role: LimitRole, peers: &[Multiaddr]) {
    // As many threads as a node has for its network.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("threads");
    match role {
        LimitRole::Gossip => runtime.block_on(gossipsub::run(peers)),
        LimitRole::Serve => runtime.block_on(request_response::serve()),
    }
    // Nothing is left to be done for connected peers.
    runtime.shutdown_background();
}

/// Prints an event, whole and at once.
fn say(event: &serde_json::Value) {
    println!("{event}");
}
