//! request-response alone: the rate of bytes from one process to another, in pieces that are requested one after the
//! other, over the transport of a node.

use std::io;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response::{self, Event, Message, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, StreamProtocol, Swarm, SwarmBuilder, noise, tcp, yamux};
use serde_json::json;

use super::{LimitRole, say};
use crate::process::Process;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/bench/pieces");
/// The longest piece, in bytes.
const PIECE_BYTES_MAX: u64 = 64 << 20;
/// A quiet connection stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A request is the length of the wanted piece; pieces end with their stream.
#[derive(Debug, Clone, Default)]
struct Pieces;

impl request_response::Codec for Pieces {
    type Protocol = StreamProtocol;
    type Request = u64;
    type Response = Vec<u8>;

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<u64> {
        let mut bytes = [0; 8];
        io.read_exact(&mut bytes).await?;
        Ok(u64::from_le_bytes(bytes))
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        io.take(PIECE_BYTES_MAX).read_to_end(&mut piece).await?;
        Ok(piece)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        length: u64,
    ) -> io::Result<()> {
        io.write_all(&length.to_le_bytes()).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        piece: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&piece).await
    }
}

/// A process that serves pieces, and a connection to it.
pub(crate) struct PieceServer {
    runtime: tokio::runtime::Runtime,
    swarm: Swarm<request_response::Behaviour<Pieces>>,
    _process: Process,
}

impl PieceServer {
    /// Starts the process and connects.
    pub(crate) fn start() -> Self {
        let process = Process::start(LimitRole::Serve.command(&[]));
        let address: Multiaddr = process.listen().parse().expect("an address");
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().expect("threads");
        let guard = runtime.enter();
        let mut swarm = build();
        swarm.dial(address).expect("a plain address");
        runtime.block_on(async {
            while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
        });
        drop(guard);
        Self { runtime, swarm, _process: process }
    }

    /// The time for that many pieces of this length.
    pub(crate) fn fetch(&mut self, pieces: u64, piece_bytes: u64) -> Duration {
        assert!(piece_bytes <= PIECE_BYTES_MAX, "a piece of {piece_bytes} bytes is too long");
        let peer = *self.swarm.connected_peers().next().expect("the server");
        let start = Instant::now();
        self.runtime.block_on(async {
            for _ in 0..pieces {
                self.swarm.behaviour_mut().send_request(&peer, piece_bytes);
                let piece = loop {
                    match self.swarm.select_next_some().await {
                        SwarmEvent::Behaviour(Event::Message {
                            message: Message::Response { response, .. }, ..
                        }) => {
                            break response;
                        }
                        SwarmEvent::Behaviour(Event::OutboundFailure { error, .. }) => panic!("{error}"),
                        _ => {}
                    }
                };
                assert_eq!(piece.len() as u64, piece_bytes, "half a piece");
            }
        });
        start.elapsed()
    }
}

/// Serves pieces. The role [`LimitRole::Serve`].
pub(super) async fn serve() {
    let mut swarm = build();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("a free port");
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, .. } => say(&json!({"event": "ready", "listen": [address]})),
            SwarmEvent::Behaviour(Event::Message { message: Message::Request { request, channel, .. }, .. }) => {
                let piece = vec![0; request.min(PIECE_BYTES_MAX) as usize];
                // A peer that has left gets nothing.
                let _ = swarm.behaviour_mut().send_response(channel, piece);
            }
            _ => {}
        }
    }
}

fn build() -> Swarm<request_response::Behaviour<Pieces>> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .expect("a new key")
        .with_behaviour(|_| {
            request_response::Behaviour::new([(PROTOCOL, ProtocolSupport::Full)], request_response::Config::default())
        })
        .expect("nothing in it fails")
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
        .build()
}
