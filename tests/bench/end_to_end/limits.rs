//! What the bare libraries and the machine can do: what the figures of nodes are compared with.

pub(crate) mod append;
pub(crate) mod gossipsub;
pub(crate) mod request_response;
pub(crate) mod signatures;

use std::process::Command;

use libp2p::Multiaddr;

/// What a process that this program has started of itself does. It says JSON lines as a node does.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Role {
    /// See [`gossipsub`].
    Gossip,
    /// See [`request_response`].
    Serve,
}

impl Role {
    /// Starts this program in that role.
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

/// Does what the role says until the end of its input.
pub(crate) fn play(role: Role, peers: &[Multiaddr]) {
    // As many threads as a node has for its network.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("threads");
    match role {
        Role::Gossip => runtime.block_on(gossipsub::run(peers)),
        Role::Serve => runtime.block_on(request_response::serve()),
    }
    // Nothing is left to be done for those who are still connected.
    runtime.shutdown_background();
}

/// Says an event, whole and at once.
fn say(event: &serde_json::Value) {
    println!("{event}");
}
