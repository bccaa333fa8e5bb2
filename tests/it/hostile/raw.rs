//! Connections below libp2p's swarm: any bytes before, in and after each handshake.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::UpgradeInfo;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::upgrade::OutboundConnectionUpgrade;
use libp2p::identity::Keypair;
use libp2p::tcp::tokio::TcpStream;
use libp2p::{noise, yamux};

use super::elsewhere::{call, new_address};

/// An encrypted connection that is not multiplexed yet.
type Secure = noise::Output<TcpStream>;

/// Runs a raw connection, or several, to the end, or until that time has passed.
pub(crate) fn run_for<T>(at_most: Duration, connection: impl Future<Output = io::Result<T>>) -> Option<io::Result<T>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(at_most, connection).await.ok() })
}

/// A connection without any byte sent, from an address against which nothing is held.
pub(crate) async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    Ok(TcpStream(call(new_address().into(), address).await?))
}

/// Negotiates a protocol by multistream-select 1.0.
pub(crate) async fn select(io: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), protocol: &str) -> io::Result<()> {
    for line in ["/multistream/1.0.0", protocol] {
        let mut frame = vec![u8::try_from(line.len() + 1).map_err(io::Error::other)?];
        frame.extend(line.as_bytes());
        frame.push(b'\n');
        io.write_all(&frame).await?;
        io.flush().await?;
        let mut answer = vec![0; frame.len()];
        io.read_exact(&mut answer).await?;
        if answer != frame {
            return Err(io::Error::other(format!("{protocol} is not spoken")));
        }
    }
    Ok(())
}

/// A connection after the noise handshake.
pub(crate) async fn secure(address: SocketAddr) -> io::Result<Secure> {
    let mut socket = open(address).await?;
    let config = noise::Config::new(&Keypair::generate_ed25519()).map_err(io::Error::other)?;
    let protocol = config.protocol_info().next().expect("noise has one name");
    select(&mut socket, protocol).await?;
    let (_, output) = config.upgrade_outbound(socket, protocol).await.map_err(io::Error::other)?;
    Ok(output)
}

/// That many streams of one connection, for as long as the returned future of the connection is polled.
pub(crate) async fn streams(
    address: SocketAddr,
    count: usize,
) -> io::Result<(Vec<SubstreamBox>, impl Future<Output = io::Result<()>>)> {
    let mut socket = secure(address).await?;
    select(&mut socket, "/yamux/1.0.0").await?;
    let muxer = yamux::Config::default().upgrade_outbound(socket, "/yamux/1.0.0").await.map_err(io::Error::other)?;
    let mut muxer = StreamMuxerBox::new(muxer);
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(poll_fn(|context| muxer.poll_outbound_unpin(context)).await?);
    }
    // The node's own streams stay open without an answer: it gives up at once on peers that refuse to identify
    // themselves.
    let mut opened = Vec::new();
    let drive = poll_fn(move |context| {
        while let Poll::Ready(stream) = muxer.poll_inbound_unpin(context) {
            opened.push(stream?);
        }
        muxer.poll_unpin(context).map_ok(drop)
    });
    Ok((streams, drive))
}
