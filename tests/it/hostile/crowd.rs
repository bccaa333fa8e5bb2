//! Many connections that do nothing but be there, on one runtime. They come from the network of the thread that makes
//! them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::gossipsub::{self, IdentTopic};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, Message};
use libp2p::swarm::SwarmEvent;
use quipu::protocol::encode::decode;
use quipu::protocol::message::{REQUEST_BYTES_MAX, topic};
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;

use super::attacker::{AttackerBehaviourEvent, ByteDelays, network, swarm};
use super::elsewhere::call;
use super::honest_answers;
use crate::harness::{DEADLINE, Node};

/// How long one that was shown the door stays away…
const PAUSE: Duration = Duration::from_secs(2);
/// …and one that did not get in.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A crowd, until it is dropped.
pub(crate) struct Crowd {
    seated: Arc<AtomicUsize>,
    shown_out: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Crowd {
    /// So many peers connect from these addresses in turn, answer what they are asked, and come back under new names
    /// when they are shown the door.
    pub(crate) fn of_peers(node: &Node, from: &[IpAddr], count: usize) -> Self {
        let address: libp2p::Multiaddr = node.listen().parse().expect("a node listens on multiaddresses");
        Self::gather(from, count, move |from, seated, shown_out| {
            let address = address.clone();
            async move {
                loop {
                    if sit(from, address.clone(), &seated).await {
                        shown_out.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(PAUSE).await;
                    } else {
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                }
            }
        })
    }

    /// So many connections that never say anything, opened again as soon as they are ended.
    pub(crate) fn of_mutes(to: SocketAddr, from: &[IpAddr], count: usize) -> Self {
        Self::gather(from, count, move |from, seated, shown_out| async move {
            loop {
                let Ok(mut stream) = call(from, to).await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                seated.fetch_add(1, Ordering::Relaxed);
                let mut hello = [0; 1024];
                while stream.read(&mut hello).await.is_ok_and(|count| count > 0) {}
                seated.fetch_sub(1, Ordering::Relaxed);
                shown_out.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    fn gather<Member: Future<Output = ()> + Send + 'static>(
        from: &[IpAddr],
        count: usize,
        member: impl Fn(IpAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) -> Member,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let [seated, shown_out] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        for from in from.iter().cycle().take(count) {
            runtime.spawn(member(*from, Arc::clone(&seated), Arc::clone(&shown_out)));
        }
        Self { seated, shown_out, _runtime: runtime }
    }

    /// Waits until so many are there at once.
    pub(crate) fn wait_seated(&self, node: &Node, at_least: usize) {
        wait(node, &self.seated, at_least, "of the crowd are there");
    }

    /// Waits until so many more were shown the door.
    pub(crate) fn wait_shown_out(&self, node: &Node, more: usize) {
        let at_least = self.shown_out.load(Ordering::Relaxed) + more;
        wait(node, &self.shown_out, at_least, "of the crowd were shown the door");
    }
}

fn wait(node: &Node, count: &AtomicUsize, at_least: usize, what: &str) {
    let deadline = Instant::now() + DEADLINE;
    while count.load(Ordering::Relaxed) < at_least {
        if Instant::now() > deadline {
            node.fail(&format!("{} {what}, {at_least} were expected", count.load(Ordering::Relaxed)));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// One session under a new name, to its end. Whether it got in.
async fn sit(from: IpAddr, address: libp2p::Multiaddr, seated: &AtomicUsize) -> bool {
    let mut swarm = swarm(from, Keypair::generate_ed25519(), ByteDelays::default());
    for kind in ["blocks", "transactions"] {
        swarm.behaviour_mut().gossipsub.subscribe(&IdentTopic::new(topic(&network(), kind))).expect("allowed");
    }
    swarm.dial(address).expect("dialled once");
    let (mut answers, mut is_seated) = (honest_answers(), false);
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionClosed { .. } | SwarmEvent::OutgoingConnectionError { .. } => break,
            SwarmEvent::Behaviour(AttackerBehaviourEvent::Gossipsub(gossipsub::Event::Subscribed { .. }))
                if !is_seated =>
            {
                is_seated = true;
                seated.fetch_add(1, Ordering::Relaxed);
            }
            SwarmEvent::Behaviour(AttackerBehaviourEvent::Sync(request_response::Event::Message {
                message: Message::Request { request, channel, .. },
                ..
            })) => {
                if let Some(answer) = decode(&request, REQUEST_BYTES_MAX).ok().and_then(&mut answers) {
                    let _ = swarm.behaviour_mut().sync.send_response(channel, answer);
                }
            }
            _ => {}
        }
    }
    if is_seated {
        seated.fetch_sub(1, Ordering::Relaxed);
    }
    is_seated
}
