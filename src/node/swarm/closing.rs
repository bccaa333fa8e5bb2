//! Connections that end soon after they are closed, whatever the peer does.
//!
//! Closing a connection first sends what was promised, and a peer that reads nothing could hold it open. So newcomers
//! could be kept out by connections that are being closed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::StreamMuxer;
use libp2p::core::muxing::StreamMuxerEvent;
use tokio::time::Sleep;

/// How long a connection may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection with all its streams.
pub(super) struct ClosesSoon<Muxer> {
    inner: Pin<Box<Muxer>>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<Muxer> ClosesSoon<Muxer> {
    pub(super) fn new(inner: Muxer) -> Self {
        Self { inner: Box::pin(inner), deadline: None }
    }
}

impl<Muxer: StreamMuxer> StreamMuxer for ClosesSoon<Muxer> {
    type Substream = Muxer::Substream;
    type Error = Muxer::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Self::Substream, Self::Error>> {
        self.inner.as_mut().poll_inbound(context)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.inner.as_mut().poll_outbound(context)
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        self.inner.as_mut().poll(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let closed = self.inner.as_mut().poll_close(context);
        if closed.is_ready() {
            return closed;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_TIMEOUT)));
        deadline.as_mut().poll(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io;

    use libp2p::core::muxing::{StreamMuxerExt, SubstreamBox};

    use super::*;

    /// A connection whose peer reads nothing.
    struct Stuck;

    impl StreamMuxer for Stuck {
        type Substream = SubstreamBox;
        type Error = io::Error;

        fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
            Poll::Pending
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_peer_that_reads_nothing_holds_up_no_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let closed = runtime.block_on(async {
            let mut muxer = ClosesSoon::new(Stuck);
            let close = poll_fn(|context| muxer.poll_close_unpin(context));
            tokio::time::timeout(40 * CLOSE_TIMEOUT, close).await
        });
        closed.expect("it ends").expect("that is no error");
    }
}
