//! Connections: how many, how slow they may be, and their end.
//!
//! A client that opens connections and says nothing, sends its headers a byte at a time, or does not read what it asked
//! for, costs one of a bounded number of places, for a bounded time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};

/// Connections at once. More are closed at once: a browser needs six, a class of streams five hundred.
const CONNECTIONS_MAX: usize = 1024;
/// How long a request's headers may take, and how long a connection may rest between two requests.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// Their bytes, and the most that is read ahead.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// How long one side may neither send what was announced nor read what it asked for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an end waits for requests that are being answered.
const END_TIME: Duration = Duration::from_secs(2);
/// After an error of the system (no more file descriptors) nothing is accepted for a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stopped` says so.
pub(super) async fn run(
    listener: std::net::TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
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
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::debug!(%peer, "too many connections");
            continue;
        };
        let connection = graceful.watch(connection(stream, peer, router.clone()));
        tokio::spawn(async move {
            // What goes wrong on a connection concerns nobody else.
            if let Err(error) = connection.await {
                tracing::trace!(%peer, %error, "a connection has ended");
            }
            drop(place);
        });
    }
    drop(listener);
    // Who takes longer is cut off with the runtime.
    let _ = timeout(END_TIME, graceful.shutdown()).await;
    Ok(())
}

fn connection(
    stream: TcpStream,
    _peer: SocketAddr,
    router: Router,
) -> http1::Connection<TokioIo<Patient>, TowerToHyperService<Router>> {
    // Small answers must not wait for more of them.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream)), TowerToHyperService::new(router))
}

/// A stream whose other side may take only so long: a read or a write that waits longer is an error.
struct Patient {
    stream: TcpStream,
    /// When what is being written must have made progress.
    writing: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream) -> Self {
        Self { stream, writing: None }
    }

    /// What a write came to, or an error if it has waited for too long.
    fn judge<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let deadline = Instant::now() + PATIENCE;
        let waiting = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
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
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, shut)
    }
}
