//! The node's face for programs and browsers on its own machine: a REST API, a stream of events, a page, metrics.
//!
//! Nodes speak with each other over libp2p alone; this server is for the person or program in front of one. Its answers
//! have the same names, amounts and error codes as the prompt's JSON ([`json`](super::prompt::json)).
//!
//! | module | what it does |
//! | --- | --- |
//! | `listen` | which address, and the next free port |
//! | `serve` | connections: how many, how slow they may be, their end |
//! | `limits` | how much one client may ask |
//! | `room` | the memory that long answers take until they are read |
//! | `guard` | access: foreign pages, rebound names, strangers without the token |
//! | `cors` | pages of other origins that may ask |
//! | `caller` | whether the node's own user sits at the other end |
//! | `ask_first` | the page in front of a change that a mere address asks for |
//! | `token` | the bearer token's file |
//! | `problem`, `extract` | errors as problem documents (RFC 9457), arguments that become them |
//! | `idempotency` | requests that may be repeated |
//! | `exact` | numbers in bodies, as they are written |
//! | `fresh` | entity tags: an answer that has not changed is not sent again |
//! | `api` | `/api/v1`, and its description `/api/openapi.json` |
//! | `form`, `table` | whole lists as CSV and NDJSON |
//! | `streamed` | answers that are made as they are read |
//! | `feed` | server-sent events |
//! | `classic` | the routes that tutorials teach |
//! | `page` | `/` and `/page`: the node in a browser; `/verify.html` |
//! | `metrics`, `health` | for monitoring |
//!
//! Always true: no request holds up the node. The server has a runtime of its own; it reads snapshots, and asks with
//! commands like any other. An event stream that is not read loses events, never the node its time.
//!
//! Not here: TLS (a reverse proxy's business), users and sessions.

// The attributes that describe the API name types by their whole paths.
#[allow(unused_qualifications, reason = "made by a macro")]
mod api;
mod ask_first;
mod caller;
mod classic;
mod cors;
mod exact;
mod extract;
mod feed;
mod form;
mod fresh;
mod guard;
mod health;
mod idempotency;
mod limits;
mod listen;
mod metrics;
mod page;
mod problem;
mod room;
mod serve;
mod streamed;
mod table;
mod token;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use zeroize::Zeroizing;

use self::feed::Feed;
use self::guard::Guard;
use self::idempotency::Keys;
use self::limits::Limits;
use self::metrics::Metrics;
use self::problem::Problem;
use self::room::Room;
use self::token::Token;
use super::api::rows::{Identity, url};
use super::config::HttpConfig;
use super::handle::Handle;
use super::thread::{self, Stoppable};

/// Threads that read the store and wait for the engine at once, for all requests together.
const BLOCKING_THREADS_MAX: usize = 16;
/// The time for which the end waits for reading threads.
const RUNTIME_END_TIMEOUT: Duration = Duration::from_millis(500);

/// The reason why nothing is served. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The requested address is not available.
    #[error("cannot serve HTTP on {address}: {error}; choose another address with --http, or --no-http")]
    Address {
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    #[error("cannot keep the token for HTTP in {}: {error}; give permission, or use --http-read-only", file.display())]
    Token {
        file: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The system has no more threads.
    #[error("the system gives no thread for HTTP: {0}")]
    System(#[from] io::Error),
}

impl HttpError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address { .. } => "cannot_serve",
            Self::Token { .. } => "cannot_keep_token",
            Self::System(_) => "system",
        }
    }
}

/// A running server. It ends with [`Server::stop`].
pub(super) struct Server {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    feed: Stoppable,
}

/// A bound socket, so that its address is known before the first answer.
pub(super) struct Bound {
    listener: std::net::TcpListener,
    address: SocketAddr,
    guard: Guard,
    token: Option<Zeroizing<String>>,
    registry: Registry,
    folder: PathBuf,
}

impl Bound {
    /// Takes the address. `folder` keeps the token.
    pub(super) fn new(config: &HttpConfig, folder: &Path) -> Result<Self, HttpError> {
        let listener = listen::bind(config.address)?;
        let address = listener.local_addr()?;
        let token = (!config.read_only).then(|| token::load_or_create(folder)).transpose()?;
        let guard = Guard {
            address,
            token: token.as_deref().map(|text| Token::new(text)),
            host_name: guard::host_name(),
            names: config.names.clone(),
            origins: config.origins.clone(),
            has_classic: config.classic,
        };
        Ok(Self { listener, address, guard, token, registry: Registry::default(), folder: folder.to_owned() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The page's address, with the token where one is needed. The page takes it and keeps it; a browser sends no
    /// fragment to anybody.
    pub(super) fn page(&self) -> Zeroizing<String> {
        let url = url(self.address);
        Zeroizing::new(match &self.token {
            Some(token) => format!("{url}/#token={}", **token),
            None => url,
        })
    }

    /// The registry for the metrics of other parts of the node.
    pub(super) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }
}

impl Server {
    /// Serves from now on. `failed` gets one line if the server panics.
    pub(super) fn start(
        bound: Bound,
        handle: Handle,
        identity: Identity,
        failed: impl Fn(String) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let Bound { listener, guard, registry, folder, .. } = bound;
        let metrics = Metrics::new(registry, &handle);
        let (feed, feed_thread) = Feed::start(&handle, &identity, metrics.observer(&handle), failed.clone())?;
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("quipu-http")
            .enable_all()
            .build()?;
        let (limits, counts) = (Limits::new(limits::connections_max()), metrics.connections.clone());
        let shared = ServerState {
            handle,
            identity,
            guard,
            callers: caller::Registry::start(failed.clone())?,
            limits: Arc::clone(&limits),
            feed,
            metrics,
            room: Room::default(),
            keys: Keys::new(&folder),
            nonces: tokio::sync::Mutex::default(),
            folder,
            backup: Mutex::default(),
            stopped: stopped.clone(),
        };
        let app = App(Arc::new(shared));
        let router = router(app);
        let thread = thread::spawn("http", failed, move || {
            if let Err(error) = runtime.block_on(serve::run(listener, router, limits, counts, stopped)) {
                tracing::warn!(%error, "HTTP is no longer served, the node goes on without it");
            }
            runtime.shutdown_timeout(RUNTIME_END_TIMEOUT);
        })?;
        Ok(Self { stop, thread, feed: feed_thread })
    }

    /// Stops serving: requests in progress get a moment, streams are closed.
    pub(super) fn stop(self) {
        // The server may have ended by itself.
        let _ = self.stop.send(true);
        let _ = self.thread.join();
        self.feed.stop();
    }
}

/// The state that all requests share. Cheap to clone.
#[derive(Clone)]
struct App(Arc<ServerState>);

struct ServerState {
    handle: Handle,
    identity: Identity,
    guard: Guard,
    callers: caller::Registry,
    limits: Arc<Limits>,
    feed: Feed,
    metrics: Metrics,
    /// The room for long answers.
    room: Room,
    keys: Keys,
    /// Held while transactions get their nonces and are handed over to the engine.
    nonces: tokio::sync::Mutex<()>,
    /// The data folder.
    folder: PathBuf,
    /// One backup is staged at a time.
    backup: Mutex<()>,
    stopped: watch::Receiver<bool>,
}

impl App {
    fn handle(&self) -> &Handle {
        &self.0.handle
    }

    fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Runs blocking work (the store, the engine) on a thread that may block.
    async fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let app = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&app)).await;
        done.unwrap_or_else(|_| Err(Problem::fault()))
    }
}

/// All routes, behind the guard.
fn router(app: App) -> Router {
    let compression = tower_http::compression::CompressionLayer::new();
    let classic = if app.0.guard.has_classic { classic::router() } else { Router::new() };
    Router::new()
        .merge(api::router())
        .merge(classic)
        .merge(health::router())
        .merge(metrics::router())
        .merge(page::router())
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(extract::BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), room::bound))
        .layer(compression)
        .layer(middleware::from_fn_with_state(app.clone(), guard::check))
        .layer(middleware::from_fn_with_state(app.clone(), metrics::count))
        .with_state(app)
}
