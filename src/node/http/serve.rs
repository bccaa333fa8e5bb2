//! Connections: how many, how slow they may be, and their end.
//!
//! A client that opens connections and says nothing, sends its headers a byte at a time, or does not read what it asked
//! for, costs one of a bounded number of places, for a bounded time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};
use tower::ServiceExt;

use super::caller::Caller;
use super::limits::{Client, Limits};
use super::metrics::{ConnectionMetrics, GaugeGuard};

/// Time for a request's headers, and for the rest between two requests of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const HEADERS_MAX: usize = 64;
/// The size of the headers, and the most that is read ahead.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Within this time a client must read all waiting bytes, or at least [`READ_BYTES_MIN`] of them.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// See [`READ_TIMEOUT`].
const READ_BYTES_MIN: usize = 64 * 1024;
/// Time for requests in progress at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause in accepting after an error of the system (no more file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stopped` says so.
pub(super) async fn run(
    listener: std::net::TcpListener,
    router: Router,
    limits: Arc<Limits>,
    counts: ConnectionMetrics,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "no connection was accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let client = Client::from(peer.ip());
        let Some(place) = limits.admit(client, Instant::now()) else {
            tracing::debug!(%peer, "too many connections");
            counts.refused.inc();
            continue;
        };
        let open = GaugeGuard::new(&counts.open);
        let connection = graceful.watch(connection(stream, peer, router.clone()));
        tokio::spawn(async move {
            // An error on a connection concerns that connection alone.
            if let Err(error) = connection.await {
                tracing::trace!(%peer, %error, "a connection has ended");
            }
            drop((place, open));
        });
    }
    drop(listener);
    // A connection that takes longer is cut off with the runtime.
    let _ = timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await;
    Ok(())
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl GracefulConnection<Error = hyper::Error> + Send + 'static {
    // Small answers must not wait for more of them.
    let _ = stream.set_nodelay(true);
    let (client, caller) = (Client::from(peer.ip()), Caller::of(&stream, peer));
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(Arc::clone(&caller));
        request
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream)), TowerToHyperService::new(service))
}

/// A stream whose other side may read only this slowly: a write that waits longer is an error.
struct Patient {
    stream: TcpStream,
    writing: Option<Writing>,
}

/// The part that the client has not read yet.
struct Writing {
    deadline: Pin<Box<Sleep>>,
    /// The bytes that must be read until then.
    wanted: usize,
}

impl Patient {
    fn new(stream: TcpStream) -> Self {
        Self { stream, writing: None }
    }

    /// The result of a write, or an error if too little was read for too long.
    fn judge(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let Poll::Ready(done) = written else {
            let start = || Writing { deadline: Box::pin(sleep(READ_TIMEOUT)), wanted: READ_BYTES_MIN };
            let writing = self.writing.get_or_insert_with(start);
            return writing.deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()));
        };
        if let (Ok(bytes), Some(writing)) = (&done, &mut self.writing) {
            writing.wanted = writing.wanted.saturating_sub(*bytes);
            self.writing.take_if(|writing| writing.wanted == 0);
        }
        Poll::Ready(done)
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Comes when all has been written.
        self.writing = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
