//! A peer of a measured node: the swarm of a real node, with a few cheap lines in place of its engine. It has the
//! genesis block and an empty pool, forwards nothing, and publishes what it is told to.
//!
//! Several in one process share the cores with the node, so their messages should be made beforehand.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender as Tell, bounded, select};
use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use quipu::engine::Event;
use quipu::engine::event::{Gossip, PeerEffect, PeerKey, Verdict};
use quipu::node::inbox::{EngineSender, Queues};
use quipu::node::swarm::{self, SwarmCommand, SwarmConfig, SwarmHandle};
use quipu::protocol::{Bundle, Height, List, Network, Request, Response, Status, Work};
use tempfile::TempDir;

/// The timeout of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connected peer, which disconnects when it is dropped.
pub(crate) struct Sender {
    swarm: Arc<SwarmHandle>,
    stop: Option<Tell<()>>,
    engine: Option<JoinHandle<()>>,
    _runtime: tokio::runtime::Runtime,
    _folder: TempDir,
}

impl Sender {
    /// Connects to a node of that network, and returns when its publications reach the node.
    pub(crate) fn connect(network: &Arc<Network>, node: &Multiaddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = SwarmConfig {
            keypair: Keypair::generate_ed25519(),
            network: Arc::clone(network),
            listen: Vec::new(),
            is_visit: true,
            peers: Vec::new(),
            mdns: false,
            folder: folder.path().to_owned(),
        };
        let (engine, queues) = EngineSender::new();
        let swarm = swarm::start(config, runtime.handle(), engine, None, |_| {}).expect("a swarm");
        let swarm = Arc::new(swarm);
        let (stop, stopped) = bounded(0);
        let (tell, connected) = bounded(1);
        let engine = std::thread::spawn({
            let swarm = Arc::clone(&swarm);
            let network = Arc::clone(network);
            move || answer(&swarm, &network, &queues, &tell, &stopped)
        });
        let (done, dialled) = bounded(1);
        swarm.command(SwarmCommand::Connect { address: node.clone(), done });
        dialled.recv_timeout(CONNECT_TIMEOUT).expect("in time").expect("it is there");
        connected.recv_timeout(CONNECT_TIMEOUT).expect("a session");
        Self { swarm, stop: Some(stop), engine: Some(engine), _runtime: runtime, _folder: folder }
    }

    /// Publishes a bundle. Blocks only while a thousand others wait.
    pub(crate) fn publish(&self, bundle: Bundle) {
        self.swarm.carry_out(PeerEffect::Publish(Gossip::Transactions(bundle)));
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.swarm.shut_down();
        drop(self.stop.take());
        if let Some(engine) = self.engine.take() {
            // A panic was reported where it happened.
            let _ = engine.join();
        }
    }
}

/// Stands in for an engine.
fn answer(swarm: &SwarmHandle, network: &Network, queues: &Queues, connected: &Tell<PeerKey>, stop: &Receiver<()>) {
    loop {
        let event = select! {
            recv(queues.offered) -> event => event,
            recv(stop) -> _ => return,
        };
        match event {
            Ok(Event::PeerConnected { peer }) => drop(connected.try_send(peer)),
            Ok(Event::Gossip { peer, ticket, .. }) => {
                swarm.carry_out(PeerEffect::Verdict { peer, ticket, verdict: Verdict::Ignore });
            }
            Ok(Event::Request { ticket, request, .. }) => {
                let response = Some(response(request, network));
                swarm.carry_out(PeerEffect::Reply { ticket, response });
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn response(request: Request, network: &Network) -> Response {
    match request {
        Request::Status(asker) => {
            let (tip, height, work) = (network.genesis_id(), Height::GENESIS, Work::ZERO);
            Response::Status(Status { tip, height, work, pending: 0, ..asker })
        }
        Request::Headers { .. } => Response::Headers(List::default()),
        Request::Blocks { .. } => Response::Blocks(List::default()),
        Request::Pending => Response::Pending(List::default()),
        Request::Transactions { .. } => Response::Transactions(List::default()),
        Request::BlockTransactions { .. } => Response::BlockTransactions(List::default()),
    }
}
