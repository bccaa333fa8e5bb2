//! Pings (`/ipfs/ping/1.0.0` of libp2p) when they are asked for.
//!
//! The behaviour of libp2p asks on its own, from both ends of a connection and with a timer of its own for each: that
//! was most of what a node did that had nothing to do. This one asks when it is told to, so that all that is due is
//! asked at once; and it tells that a ping was answered, so that nobody asks who has just been asked. Its bytes are the
//! same.
//!
//! Always true: at most one ping is under way on a connection. Deliberately absent: timers, and what silence means. The
//! task decides both (see `sessions`).

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol, ping};

/// What is sent there and back, in bytes.
const PING_BYTES: usize = 32;
/// The least time between two notes that a peer has pinged, so that one that does nothing else wakes nobody but its
/// connection.
const HEARD_INTERVAL: Duration = Duration::from_secs(1);

/// Something came back on a connection.
#[derive(Debug)]
pub(super) struct Beat {
    pub(super) peer: PeerId,
    pub(super) connection: ConnectionId,
    /// How long it took, if we had asked.
    pub(super) round_trip: Option<Duration>,
}

/// Asks and answers. New connections are asked at once.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Bounded by the swarm, which takes them all each time that it is polled.
    events: VecDeque<ToSwarm<Beat, Ask>>,
}

/// Have a connection asked, unless it is being asked.
#[derive(Debug)]
pub(super) struct Ask;

impl Pulse {
    /// Asks on a connection whether the peer is there. The swarm is to be polled afterwards.
    pub(super) fn ask(&mut self, peer_id: PeerId, connection: ConnectionId) {
        self.events.push_back(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(connection), event: Ask });
    }
}

impl NetworkBehaviour for Pulse {
    type ConnectionHandler = Handler;
    type ToSwarm = Beat;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::new())
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        round_trip: THandlerOutEvent<Self>,
    ) {
        self.events.push_back(ToSwarm::GenerateEvent(Beat { peer, connection, round_trip }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The pings of one connection.
pub(super) struct Handler {
    is_due: bool,
    asking: Asking,
    /// Waits for the peer's next ping and answers it, once the peer has opened a stream for that.
    answering: Option<BoxFuture<'static, io::Result<Stream>>>,
    told: Option<Instant>,
}

enum Asking {
    /// There is no stream for it yet, or none any more.
    No,
    Opening,
    Idle(Stream),
    Asked(BoxFuture<'static, io::Result<(Stream, Duration)>>),
}

impl Handler {
    fn new() -> Self {
        Self { is_due: true, asking: Asking::No, answering: None, told: None }
    }

    /// Answers what has come. Whether that is worth telling.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_answered = false;
        while let Some(answering) = &mut self.answering
            && let Poll::Ready(answered) = answering.poll_unpin(cx)
        {
            has_answered |= answered.is_ok();
            self.answering = answered.ok().map(|stream| answer(stream).boxed());
        }
        let is_news = has_answered && self.told.is_none_or(|told| told.elapsed() >= HEARD_INTERVAL);
        if is_news {
            self.told = Some(Instant::now());
        }
        is_news
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Ask;
    type ToBehaviour = Option<Duration>;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(ping::PROTOCOL_NAME), ())
    }

    fn on_behaviour_event(&mut self, Ask: Ask) {
        self.is_due |= matches!(self.asking, Asking::No | Asking::Idle(_));
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Option<Duration>>> {
        if self.poll_answers(cx) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(None));
        }
        loop {
            match mem::replace(&mut self.asking, Asking::No) {
                Asking::No if mem::take(&mut self.is_due) => {
                    self.asking = Asking::Opening;
                    let protocol = self.listen_protocol();
                    return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
                }
                Asking::Idle(stream) if mem::take(&mut self.is_due) => self.asking = Asking::Asked(ask(stream).boxed()),
                Asking::Asked(mut asked) => match asked.poll_unpin(cx) {
                    Poll::Ready(Ok((stream, round_trip))) => {
                        self.asking = Asking::Idle(stream);
                        return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Some(round_trip)));
                    }
                    // Silence is what ends a connection.
                    Poll::Ready(Err(_)) => return Poll::Pending,
                    Poll::Pending => {
                        self.asking = Asking::Asked(asked);
                        return Poll::Pending;
                    }
                },
                waiting => {
                    self.asking = waiting;
                    return Poll::Pending;
                }
            }
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.answering = Some(answer(protocol).boxed());
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.asking = Asking::Asked(ask(protocol).boxed());
            }
            ConnectionEvent::DialUpgradeError(_) => self.asking = Asking::No,
            _ => {}
        }
    }
}

/// Sends a ping and waits for the same bytes.
async fn ask(mut stream: Stream) -> io::Result<(Stream, Duration)> {
    let (mut sent, mut received) = ([0; PING_BYTES], [0; PING_BYTES]);
    // Else it could be answered before it came.
    getrandom::fill(&mut sent)?;
    let start = Instant::now();
    stream.write_all(&sent).await?;
    stream.flush().await?;
    stream.read_exact(&mut received).await?;
    if received != sent {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a ping came back changed"));
    }
    Ok((stream, start.elapsed()))
}

/// Waits for a ping and sends it back.
async fn answer(mut stream: Stream) -> io::Result<Stream> {
    let mut ping = [0; PING_BYTES];
    stream.read_exact(&mut ping).await?;
    stream.write_all(&ping).await?;
    stream.flush().await?;
    Ok(stream)
}
