//! Monitoring: metrics, the dashboard, health.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::client::HttpClient;
use super::node;
use super::openmetrics::Exposition;
use crate::harness::{Node, NodeOptions, agree};

const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/grafana.json");

/// A node's metrics, all of them well formed.
pub(super) fn metrics(api: &HttpClient) -> Exposition {
    let answer = api.get("/metrics");
    let wanted = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(wanted)));
    let text = String::from_utf8(answer.body).expect("UTF-8");
    Exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\nin\n{text}"))
}

/// Two chains of which one is replaced, a transaction, some requests: each is counted correctly.
pub(crate) fn metrics_count_events() {
    let [(node, api), (other, _)] = [node(), node()];
    other.run("mine 2");
    node.run("mine 5");
    other.connect(&node);
    agree(&[&node, &other]);
    node.run("record hello");
    node.run("mine 1");
    agree(&[&node, &other]);
    assert_eq!(api.get("/api/v1/blocks/77").status, 404);
    assert_eq!(api.get("/no/such/path").status, 404);
    let _stream = api.events(None);

    let loser = metrics(&HttpClient::of(&other));
    let seen = |name: &str| loser.value(name, "");
    assert_eq!([seen("quipu_reorganisations_total"), seen("quipu_reorganised_blocks_total")], [1.0, 2.0]);
    assert_eq!([seen("quipu_blocks_total"), seen("quipu_best_height")], [8.0, 6.0]);
    assert_eq!(loser.value("quipu_peers", "direction=\"outbound\""), 1.0);

    let metrics = metrics(&api);
    let seen = |name: &str| metrics.value(name, "");
    assert_eq!([seen("quipu_reorganisations_total"), seen("quipu_reorganised_blocks_total")], [0.0, 0.0]);
    assert_eq!([seen("quipu_blocks_total"), seen("quipu_transactions_total")], [6.0, 1.0]);
    assert_eq!([seen("quipu_pending_transactions"), seen("quipu_is_syncing")], [0.0, 0.0]);
    assert_eq!(seen("quipu_http_event_streams"), 1.0);
    assert!(seen("quipu_tip_age_seconds") >= 0.0 && seen("quipu_store_size_bytes") > 1000.0);
    assert_eq!(metrics.value("quipu_peers", "direction=\"inbound\""), 1.0);
    let counted = |labels| metrics.value("quipu_http_requests_total", labels);
    assert_eq!(counted("route=\"/api/v1/blocks/{block}\",status=\"404\""), 1.0);
    assert_eq!(counted("route=\"none\",status=\"404\""), 1.0);
    let took = metrics.value("quipu_http_request_seconds_count", "route=\"/api/v1/blocks/{block}\"");
    assert_eq!(took, 1.0);
    // libp2p's own metrics.
    assert!(seen("libp2p_identify_received_total") >= 1.0);
    assert!(metrics.value("libp2p_bandwidth_bytes_total", "protocols=\"/ip4/tcp\",direction=\"Inbound\"") > 100.0);
    if cfg!(target_os = "linux") {
        assert!(seen("process_resident_memory_bytes") > 1e6 && seen("process_open_fds") > 5.0);
    }
}

/// Every metric of the dashboard exists.
pub(crate) fn the_dashboard_matches_the_metrics() {
    let [(node, api), (other, _)] = [node(), node()];
    // Events that never happened have no lines, so each drawn one happens once.
    node.connect(&other);
    node.run("mine 1");
    agree(&[&node, &other]);
    other.run("mine 1");
    agree(&[&node, &other]);
    node.try_run("connect /ip4/127.0.0.1/tcp/1").expect_err("nobody listens there");
    let port = node.listen().split('/').nth(4).and_then(|port| port.parse::<u16>().ok()).expect("/ip4/…/tcp/PORT");
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stranger.write_all(&[0; 100]).expect("it reads");
    // The node ends it.
    let _ = stranger.read_to_end(&mut Vec::new());
    metrics(&api);
    let metrics = metrics(&api);
    let text = std::fs::read_to_string(DASHBOARD).expect("the dashboard is in the repository");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut names = BTreeSet::new();
    let panels = dashboard["panels"].as_array().expect("panels");
    for panel in panels {
        let queries: Vec<&str> = panel["targets"]
            .as_array()
            .map_or(vec![], |targets| targets.iter().map(|target| target["expr"].as_str().expect("a query")).collect());
        assert!(panel["type"] == "row" || !queries.is_empty(), "{panel}");
        let words = queries.iter().flat_map(|query| query.split(|char: char| !char.is_alphanumeric() && char != '_'));
        names.extend(
            words.filter(|word| ["quipu_", "libp2p_", "process_"].iter().any(|prefix| word.starts_with(prefix))),
        );
    }
    assert!(names.len() > 20, "{names:?}");
    let missing: Vec<_> = names.into_iter().filter(|name| !metrics.knows(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A node that has nothing to fetch is alive and ready, with an index and without one.
pub(crate) fn health_is_reported() {
    let without = NodeOptions { http: true, arguments: vec!["--no-index".to_owned()], ..NodeOptions::default() };
    for options in [NodeOptions { http: true, ..NodeOptions::default() }, without] {
        let node = Node::start(options);
        let api = HttpClient::of(&node);
        node.run("mine 3");
        for path in ["/healthz", "/readyz"] {
            let answer = api.get(path);
            assert_eq!((answer.status, &*answer.body), (200, &b"ok\n"[..]), "{path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
}
