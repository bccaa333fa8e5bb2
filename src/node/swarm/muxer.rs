//! Connections whose streams take little memory, whatever the peer sends.
//!
//! A Yamux frame may be 1 MiB long, for any stream, and is kept until its last byte is there. [`BoundedYamux`] takes no frames
//! of that length. And a new stream may bring 256 KiB before anybody looks at it. While a peer's earlier streams are still
//! being negotiated, [`ShedsStreams`] resets further ones, instead of leaving them where they are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::StreamMuxer;
use libp2p::core::muxing::StreamMuxerEvent;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::yamux;

/// The longest frame, in bytes. Implementations split data into frames of 16 to 64 KiB.
const FRAME_BYTES_MAX: u32 = 128 << 10;
/// Length of the header before each frame, in bytes (Yamux specification, "Framing").
const HEADER_BYTES: usize = 12;
/// The type of frames that carry data. In all others, the length stands for something else.
const DATA: u8 = 0;

/// Yamux with frames of at most [`FRAME_BYTES_MAX`].
#[derive(Debug, Clone)]
pub(super) struct BoundedYamux(pub(super) yamux::Config);

impl UpgradeInfo for BoundedYamux {
    type Info = <yamux::Config as UpgradeInfo>::Info;
    type InfoIter = <yamux::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for BoundedYamux {
    type Output = yamux::Muxer<ShortFrames<C>>;
    type Error = io::Error;
    type Future = <yamux::Config as InboundConnectionUpgrade<ShortFrames<C>>>::Future;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(ShortFrames::new(io), info)
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for BoundedYamux {
    type Output = yamux::Muxer<ShortFrames<C>>;
    type Error = io::Error;
    type Future = <yamux::Config as OutboundConnectionUpgrade<ShortFrames<C>>>::Future;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(ShortFrames::new(io), info)
    }
}

/// A connection that fails at a frame that is too long.
pub(super) struct ShortFrames<C> {
    inner: C,
    header: [u8; HEADER_BYTES],
    /// The number of bytes of the header that are there.
    filled: usize,
    /// The number of bytes of the frame's data that are still to come.
    left: usize,
}

impl<C> ShortFrames<C> {
    fn new(inner: C) -> Self {
        Self { inner, header: [0; HEADER_BYTES], filled: 0, left: 0 }
    }

    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let data = self.left.min(bytes.len());
            self.left -= data;
            bytes = &bytes[data..];
            let header = (HEADER_BYTES - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + header].copy_from_slice(&bytes[..header]);
            self.filled += header;
            bytes = &bytes[header..];
            if self.filled == HEADER_BYTES {
                self.filled = 0;
                let [_, kind, .., a, b, c, d] = self.header;
                let length = u32::from_be_bytes([a, b, c, d]);
                if kind == DATA && length > FRAME_BYTES_MAX {
                    let problem = format!("a frame of {length} bytes, {FRAME_BYTES_MAX} are allowed");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
                }
                self.left = if kind == DATA { length as usize } else { 0 };
            }
        }
        Ok(())
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for ShortFrames<C> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        Poll::Ready(self.follow(&buffer[..read]).map(|()| read))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for ShortFrames<C> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

/// A connection that resets new streams while nobody takes them.
///
/// libp2p's swarm polls a connection, opens a stream if one is wanted, and then takes one of the peer's, unless too many
/// are being negotiated. So a poll that follows another without either finds the swarm full.
pub(super) struct ShedsStreams<Muxer> {
    inner: Pin<Box<Muxer>>,
    takes_streams: bool,
}

impl<Muxer> ShedsStreams<Muxer> {
    pub(super) fn new(inner: Muxer) -> Self {
        Self { inner: Box::pin(inner), takes_streams: true }
    }
}

impl<Muxer: StreamMuxer> StreamMuxer for ShedsStreams<Muxer> {
    type Substream = Muxer::Substream;
    type Error = Muxer::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Self::Substream, Self::Error>> {
        self.takes_streams = true;
        self.inner.as_mut().poll_inbound(context)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let opened = self.inner.as_mut().poll_outbound(context);
        self.takes_streams |= opened.is_ready();
        opened
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        if !std::mem::replace(&mut self.takes_streams, false) {
            while let Poll::Ready(unwanted) = self.inner.as_mut().poll_inbound(context)? {
                drop(unwanted);
            }
        }
        self.inner.as_mut().poll(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.as_mut().poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::{AsyncReadExt, Cursor};
    use futures::task::noop_waker;

    use super::*;

    fn frame(kind: u8, length: u32, data: &[u8]) -> Vec<u8> {
        [&[0, kind, 0, 0, 0, 0, 0, 1][..], &length.to_be_bytes(), data].concat()
    }

    /// The bytes that come through, in reads of this size, and whether it then fails.
    fn read(bytes: &[u8], size: usize) -> (usize, bool) {
        let mut frames = ShortFrames::new(Cursor::new(bytes));
        let mut buffer = vec![0; size];
        let mut came = 0;
        loop {
            match block_on(frames.read(&mut buffer)) {
                Ok(0) => return (came, false),
                Ok(more) => came += more,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                    return (came, true);
                }
            }
        }
    }

    #[test]
    fn a_frame_that_is_too_long_ends_the_connection() {
        let longest = vec![7; FRAME_BYTES_MAX as usize];
        // The length of a window update is no length.
        let good = [
            frame(DATA, FRAME_BYTES_MAX, &longest),
            frame(1, u32::MAX, &[]),
            frame(DATA, 0, &[]),
            frame(DATA, 2, b"ab"),
        ]
        .concat();
        let bad = [&good[..], &frame(DATA, FRAME_BYTES_MAX + 1, &[])].concat();
        for size in [1, 5, 12, 13, 4096] {
            assert_eq!(read(&good, size), (good.len(), false), "{size}");
            let (came, fails) = read(&bad, size);
            assert!(fails && came <= good.len() + HEADER_BYTES, "{size}: {came}");
        }
    }

    /// A connection with so many new streams.
    struct Many(usize);

    impl StreamMuxer for Many {
        type Substream = Cursor<Vec<u8>>;
        type Error = io::Error;

        fn poll_inbound(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            match self.0.checked_sub(1) {
                Some(left) => {
                    self.0 = left;
                    Poll::Ready(Ok(Cursor::default()))
                }
                None => Poll::Pending,
            }
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Ready(Ok(Cursor::default()))
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn streams_that_nobody_takes_are_reset() {
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        let mut muxer = Box::pin(ShedsStreams::new(Many(10)));
        assert!(muxer.as_mut().poll(&mut context).is_pending());
        assert!(muxer.as_mut().poll_inbound(&mut context).is_ready());
        // It takes them, and opens one of its own.
        assert!(muxer.as_mut().poll(&mut context).is_pending());
        assert!(muxer.as_mut().poll_outbound(&mut context).is_ready());
        assert!(muxer.as_mut().poll(&mut context).is_pending());
        assert_eq!(muxer.inner.0, 9);
        // It takes none.
        assert!(muxer.as_mut().poll(&mut context).is_pending());
        assert_eq!(muxer.inner.0, 0);
    }
}
