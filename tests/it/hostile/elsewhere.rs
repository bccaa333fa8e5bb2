//! TCP connections from a chosen address, as if from another machine. Linux owns all of 127.0.0.0/8; a machine of a
//! [`Lan`](crate::harness::Lan) has the addresses that it was given.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::core::{Transport, upgrade};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::tcp::tokio::TcpStream;
use libp2p::{Multiaddr, PeerId, noise, yamux};
use tokio::net::TcpSocket;

/// An address that was not used before.
pub(crate) fn new_address() -> Ipv4Addr {
    static LAST: AtomicU16 = AtomicU16::new(0);
    let [high, low] = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// A transport that dials from this address, with the handshakes of every node.
pub(crate) fn transport(from: IpAddr, keypair: &Keypair) -> Boxed<(PeerId, StreamMuxerBox)> {
    CallFrom(from)
        .upgrade(upgrade::Version::V1Lazy)
        .authenticate(noise::Config::new(keypair).expect("noise keys"))
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed()
}

/// A transport that only dials.
struct CallFrom(IpAddr);

impl Transport for CallFrom {
    type Output = TcpStream;
    type Error = io::Error;
    type ListenerUpgrade = BoxFuture<'static, io::Result<TcpStream>>;
    type Dial = BoxFuture<'static, io::Result<TcpStream>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let mut parts = address.iter();
        let to: IpAddr = match parts.next() {
            Some(Protocol::Ip4(ip)) => ip.into(),
            Some(Protocol::Ip6(ip)) => ip.into(),
            _ => return Err(TransportError::MultiaddrNotSupported(address)),
        };
        let Some(Protocol::Tcp(port)) = parts.next() else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let from = self.0;
        Ok(Box::pin(async move { Ok(TcpStream(call(from, SocketAddr::new(to, port)).await?)) }))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Poll::Pending
    }
}

/// A TCP connection from this address.
pub(crate) async fn call(from: IpAddr, to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
    let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.set_nodelay(true)?;
    socket.connect(to).await
}
