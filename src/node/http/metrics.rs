//! The metrics for a monitoring system: `GET /metrics`, in the text format of OpenMetrics 1.0.
//!
//! Names follow the conventions of Prometheus: base units, `_total` for counters. `quipu_…` is the node,
//! `process_…` the system's view of it, `libp2p_…` libp2p's counters. `scripts/grafana.json` is a dashboard of them.
//!
//! Always true: labels take few values, all of our own making, so no client can make the answer grow; values that
//! can be read on request are not counted along.
//!
//! Not here: libp2p's counters, see `swarm::behaviour` and `swarm::task`.

mod now;
mod process;

use std::fmt;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use self::now::NodeCollector;
use self::process::Process;
use super::App;
use super::problem::Problem;
use crate::engine::event::Notice;
use crate::node::event::UserEvent;
use crate::node::handle::Handle;

/// The media type of the answer.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The route label of unknown paths.
const NO_ROUTE: &str = "none";
/// Buckets of the duration of requests, in seconds: from a snapshot's answer to one that waits for a block.
const REQUEST_SECONDS: [f64; 11] = [0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// All counters, and the readers of the other values.
pub(super) struct Metrics {
    registry: Registry,
    chain: ChainCounters,
    requests: Family<ResponseLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    streams: Gauge,
    /// For connections.
    pub(super) connections: ConnectionMetrics,
}

/// Events of the best chain.
#[derive(Clone, Default)]
struct ChainCounters {
    blocks: Counter,
    transactions: Counter,
    reorganisations: Counter,
    reorganised_blocks: Counter,
}

/// ConnectionMetrics of clients.
#[derive(Clone, Default)]
pub(super) struct ConnectionMetrics {
    pub(super) open: Gauge,
    /// ConnectionMetrics that were closed at once because there were too many.
    pub(super) refused: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseLabels {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

impl Metrics {
    /// For this node; other parts of it register their own metrics.
    pub(super) fn new(mut registry: Registry, handle: &Handle) -> Self {
        let chain = ChainCounters::default();
        let (requests, streams, connections) = (Family::default(), Gauge::default(), ConnectionMetrics::default());
        let seconds = Family::new_with_constructor((|| Histogram::new(REQUEST_SECONDS)) as fn() -> Histogram);
        let quipu = registry.sub_registry_with_prefix("quipu");
        quipu.register("blocks", "Blocks that were put on the best chain", chain.blocks.clone());
        quipu.register(
            "transactions",
            "Transactions that came into the memory pool, back from the chain included",
            chain.transactions.clone(),
        );
        quipu.register("reorganisations", "Times that a better chain took the place of blocks", {
            chain.reorganisations.clone()
        });
        quipu.register("reorganised_blocks", "Blocks that were taken off the best chain", {
            chain.reorganised_blocks.clone()
        });
        quipu.register("http_requests", "Requests over HTTP by route and status of the answer", requests.clone());
        quipu.register_with_unit(
            "http_request",
            "Time until the answer to a request begins",
            Unit::Seconds,
            Family::clone(&seconds),
        );
        quipu.register("http_event_streams", "Clients that follow the stream of events", streams.clone());
        quipu.register("http_connections", "Open connections of HTTP clients", connections.open.clone());
        quipu.register("http_connections_refused", "ConnectionMetrics closed at once because there were too many", {
            connections.refused.clone()
        });
        quipu.register_collector(Box::new(NodeCollector::new(handle.clone())));
        registry.register_collector(Box::new(Process));
        Self { registry, chain, requests, seconds, streams, connections }
    }

    /// Counts events of the node, from now on.
    pub(super) fn observer(&self, handle: &Handle) -> impl FnMut(&UserEvent) + Send + 'static {
        let (chain, mut height) = (self.chain.clone(), handle.view().tip.height.0);
        move |event| match event {
            UserEvent::Notice(Notice::Tip { tip, reorg_depth, .. }) => {
                // A synchronisation reports many blocks at once. One of them may be in the first snapshot already.
                let added = tip.height.0.saturating_sub(height.saturating_sub(*reorg_depth));
                height = tip.height.0;
                chain.blocks.inc_by(added);
                chain.reorganised_blocks.inc_by(*reorg_depth);
                chain.reorganisations.inc_by(u64::from(*reorg_depth > 0));
            }
            UserEvent::Notice(Notice::Transaction(_)) => drop(chain.transactions.inc()),
            _ => {}
        }
    }

    /// A client of the stream of events, as long as it lives.
    pub(super) fn event_stream(&self) -> GaugeGuard {
        GaugeGuard::new(&self.streams)
    }

    fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// One more of something, as long as it lives.
pub(super) struct GaugeGuard(Gauge);

impl GaugeGuard {
    /// One more.
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `/metrics`.
pub(super) fn router() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    // It reads files.
    let text = app.wait(|app| app.0.metrics.text().map_err(|_| Problem::fault())).await?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response())
}

/// Counts every request and its answer.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let metrics = &app.0.metrics;
    metrics.requests.get_or_create(&ResponseLabels { route: route.clone(), status: response.status().as_u16() }).inc();
    metrics.seconds.get_or_create(&RouteLabels { route }).observe(began.elapsed().as_secs_f64());
    response
}
