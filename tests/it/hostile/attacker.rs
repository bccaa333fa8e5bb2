//! A peer that speaks libp2p well and sends whatever a test wants.
//!
//! It shares the types and the encoding with the node, and nothing of its behaviour. It never listens. A node holds
//! faults against an identity and an address; both are new each time, unless a test wants them to be the same.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::gossipsub::{self, IdentTopic};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, SwarmBuilder, identify, ping};
use quipu::protocol::encode::decode;
use quipu::protocol::hash::sha256;
use quipu::protocol::message::{PROTOCOL_VERSION, REQUEST_BYTES_MAX, topic};
use quipu::protocol::{Network, Parameters, Request};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::elsewhere::{new_address, transport};
use crate::harness::{DEADLINE, Node};

/// Answers to requests, as raw frames. `None` leaves the asker waiting.
pub(crate) type Answers = Box<dyn FnMut(Request) -> Option<Vec<u8>> + Send>;

/// The network of the tests' nodes.
pub(crate) fn network() -> Network {
    Network::new(Parameters::dev()).expect("a preset is valid")
}

/// A connected attacker. Its connections end when it is dropped.
pub(crate) struct Attacker {
    orders: UnboundedSender<AttackerOrder>,
    closed: mpsc::Receiver<()>,
    answered: Arc<AtomicU64>,
    _runtime: tokio::runtime::Runtime,
}

enum AttackerOrder {
    Publish { kind: &'static str, bytes: Vec<u8> },
    Ask { frame: Vec<u8> },
    Resubscribe,
    Tell(tokio::sync::oneshot::Sender<()>),
}

/// The pause before each byte of an answer that an attacker reads, and of a request or answer that it writes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ByteDelays {
    pub(crate) read: Option<Duration>,
    pub(crate) write: Option<Duration>,
}

impl Attacker {
    /// Connects to a node and waits until its publications would arrive there.
    pub(crate) fn connect(node: &Node, answers: Answers) -> Self {
        Self::connect_as(node, &Keypair::generate_ed25519(), ByteDelays::default(), answers)
            .unwrap_or_else(|| node.fail("an attacker could not connect"))
    }

    /// The same with this identity and at this pace. `None` if the node refuses.
    pub(crate) fn connect_as(node: &Node, keypair: &Keypair, pace: ByteDelays, answers: Answers) -> Option<Self> {
        Self::connect_from(node, new_address().into(), keypair, pace, answers)
    }

    /// The same from this address.
    pub(crate) fn connect_from(
        node: &Node,
        from: IpAddr,
        keypair: &Keypair,
        pace: ByteDelays,
        answers: Answers,
    ) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let address: Multiaddr = node.listen().parse().expect("a node listens on multiaddresses");
        let (orders, receiver) = unbounded_channel();
        let (ready, is_ready) = mpsc::channel();
        let (close, closed) = mpsc::channel();
        let answered = Arc::new(AtomicU64::new(0));
        let task =
            AttackerTask { answers, ready: Some(ready), close, answered: Arc::clone(&answered), held: Vec::new() };
        let swarm = {
            let _inside = runtime.enter();
            swarm(from, keypair.clone(), pace)
        };
        runtime.spawn(task.run(swarm, address, receiver));
        match is_ready.recv_timeout(DEADLINE) {
            Ok(()) => Some(Self { orders, closed, answered, _runtime: runtime }),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => node.fail("an attacker is neither taken nor refused"),
        }
    }

    /// Leaves the topics and joins them again.
    pub(crate) fn resubscribe(&self) {
        let _ = self.orders.send(AttackerOrder::Resubscribe);
    }

    /// Publishes any bytes on the topic of `blocks` or `transactions`.
    pub(crate) fn publish(&self, kind: &'static str, bytes: Vec<u8>) {
        // If the task has ended, the node closed the connection; the tests check that elsewhere.
        let _ = self.orders.send(AttackerOrder::Publish { kind, bytes });
    }

    /// Sends any bytes as a request.
    pub(crate) fn ask(&self, frame: Vec<u8>) {
        let _ = self.orders.send(AttackerOrder::Ask { frame });
    }

    /// The number of its answered requests.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until that many of its requests were answered.
    pub(crate) fn wait_answered(&self, node: &Node, count: u64) {
        let deadline = Instant::now() + DEADLINE;
        while self.answered() < count {
            if Instant::now() > deadline {
                node.fail("an attacker gets no answer");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until all orders are carried out, or the node has ended the connection.
    pub(crate) fn wait_sent(&self, node: &Node) {
        let deadline = Instant::now() + DEADLINE;
        let (tell, mut told) = tokio::sync::oneshot::channel();
        let _ = self.orders.send(AttackerOrder::Tell(tell));
        while matches!(told.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Empty)) {
            if Instant::now() > deadline {
                node.fail("an attacker is held up");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the node has ended the connection.
    pub(crate) fn wait_closed(&self, node: &Node) {
        if self.closed.recv_timeout(DEADLINE).is_err() {
            node.fail("the attacker is still connected");
        }
    }

    /// Whether the node ends the connection within that time. For loops that attack again.
    pub(crate) fn is_closed_within(&self, at_most: Duration) -> bool {
        self.closed.recv_timeout(at_most).is_ok()
    }
}

#[derive(NetworkBehaviour)]
pub(super) struct AttackerBehaviour {
    pub(super) gossipsub: gossipsub::Behaviour,
    pub(super) sync: request_response::Behaviour<RawCodec>,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

fn behaviour(keypair: &Keypair, pace: ByteDelays) -> AttackerBehaviour {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .max_transmit_size(8 << 20)
        // By default all anonymous messages share one id, and only the first of a minute is sent.
        .message_id_fn(|message| {
            gossipsub::MessageId::new(&sha256(&[message.topic.as_str().as_bytes(), &message.data]))
        })
        .heartbeat_initial_delay(Duration::from_millis(100))
        .flood_publish(true)
        .build()
        .expect("a valid configuration");
    let protocol = format!("/quipu/{PROTOCOL_VERSION}/{}", network().tag());
    let sync = StreamProtocol::try_from_owned(format!("{protocol}/sync")).expect("begins with a slash");
    let requests = request_response::Config::default().with_max_concurrent_streams(10_000);
    AttackerBehaviour {
        gossipsub: gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config).expect("valid"),
        sync: request_response::Behaviour::with_codec(RawCodec(pace), [(sync, ProtocolSupport::Full)], requests),
        identify: identify::Behaviour::new(identify::Config::new(protocol, keypair.public())),
        ping: ping::Behaviour::default(),
    }
}

/// To be called in the context of a tokio runtime.
pub(super) fn swarm(from: IpAddr, keypair: Keypair, pace: ByteDelays) -> Swarm<AttackerBehaviour> {
    SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_other_transport(|keypair| transport(from, keypair))
        .expect("it is one")
        .with_behaviour(|keypair| behaviour(keypair, pace))
        .expect("no error of its own")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build()
}

struct AttackerTask {
    answers: Answers,
    ready: Option<mpsc::Sender<()>>,
    close: mpsc::Sender<()>,
    answered: Arc<AtomicU64>,
    /// Requests that are never answered: dropping the channel would tell the asker.
    held: Vec<request_response::ResponseChannel<Vec<u8>>>,
}

impl AttackerTask {
    async fn run(
        mut self,
        mut swarm: Swarm<AttackerBehaviour>,
        address: Multiaddr,
        mut orders: UnboundedReceiver<AttackerOrder>,
    ) {
        for kind in ["blocks", "transactions"] {
            swarm.behaviour_mut().gossipsub.subscribe(&IdentTopic::new(topic(&network(), kind))).expect("allowed");
        }
        swarm.dial(address).expect("dialled once");
        let mut victim = None;
        loop {
            tokio::select! {
                order = orders.recv() => match (order, victim) {
                    (None, _) => return,
                    (Some(order), Some(peer)) => carry_out(order, peer, swarm.behaviour_mut()),
                    (Some(_), None) => unreachable!("orders come after the connection"),
                },
                event = swarm.select_next_some() => match event {
                    SwarmEvent::ConnectionEstablished { peer_id, .. } => victim = Some(peer_id),
                    SwarmEvent::ConnectionClosed { num_established: 0, .. } => {
                        let _ = self.close.send(());
                        return;
                    }
                    SwarmEvent::OutgoingConnectionError { error, .. } => {
                        eprintln!("an attacker's dial: {error}");
                        return;
                    }
                    SwarmEvent::Behaviour(event) => self.react(event, swarm.behaviour_mut()),
                    _ => {}
                },
            }
        }
    }

    fn react(&mut self, event: AttackerBehaviourEvent, behaviour: &mut AttackerBehaviour) {
        match event {
            AttackerBehaviourEvent::Gossipsub(gossipsub::Event::Subscribed { .. }) => {
                if let Some(ready) = self.ready.take() {
                    let _ = ready.send(());
                }
            }
            AttackerBehaviourEvent::Sync(request_response::Event::Message { message, .. }) => match message {
                request_response::Message::Request { request, channel, .. } => {
                    // The node's own requests always decode; otherwise there is nothing to answer.
                    let answer = decode(&request, REQUEST_BYTES_MAX).ok().and_then(|request| (self.answers)(request));
                    match answer {
                        Some(frame) => {
                            let _ = behaviour.sync.send_response(channel, frame);
                        }
                        None => self.held.push(channel),
                    }
                }
                request_response::Message::Response { .. } => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
            },
            _ => {}
        }
    }
}

fn carry_out(order: AttackerOrder, victim: PeerId, behaviour: &mut AttackerBehaviour) {
    match order {
        AttackerOrder::Publish { kind, bytes } => {
            if let Err(error) = behaviour.gossipsub.publish(IdentTopic::new(topic(&network(), kind)), bytes) {
                eprintln!("an attacker's message was not published: {error}");
            }
        }
        AttackerOrder::Ask { frame } => {
            behaviour.sync.send_request(&victim, frame);
        }
        AttackerOrder::Tell(tell) => {
            let _ = tell.send(());
        }
        AttackerOrder::Resubscribe => {
            for kind in ["blocks", "transactions"] {
                let topic = IdentTopic::new(topic(&network(), kind));
                behaviour.gossipsub.unsubscribe(&topic);
                behaviour.gossipsub.subscribe(&topic).expect("allowed");
            }
        }
    }
}

/// The frames of the sync protocol, a little-endian `u32` length and that many bytes, without looking inside.
#[derive(Debug, Clone)]
pub(super) struct RawCodec(ByteDelays);

impl request_response::Codec for RawCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        read_frame(io, None).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        read_frame(io, self.0.read).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, frame: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &frame, self.0.write).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, frame: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &frame, self.0.write).await
    }
}

async fn read_frame<T: AsyncRead + Unpin>(io: &mut T, pause: Option<Duration>) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let mut frame = Vec::new();
    if let Some(pause) = pause {
        let mut byte = [0];
        while frame.len() < u32::from_le_bytes(length) as usize {
            tokio::time::sleep(pause).await;
            io.read_exact(&mut byte).await?;
            frame.extend(byte);
        }
    } else {
        io.take(u32::from_le_bytes(length).into()).read_to_end(&mut frame).await?;
    }
    Ok(frame)
}

async fn write_frame<T: AsyncWrite + Unpin>(io: &mut T, frame: &[u8], pause: Option<Duration>) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    io.write_all(&length.to_le_bytes()).await?;
    if let Some(pause) = pause {
        for byte in frame {
            tokio::time::sleep(pause).await;
            io.write_all(&[*byte]).await?;
            io.flush().await?;
        }
    } else {
        io.write_all(frame).await?;
    }
    io.close().await
}
