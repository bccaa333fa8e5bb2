//! Hostile and clumsy clients.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::client::{HttpClient, HttpResponse};
use crate::harness::{DEADLINE, Node, NodeOptions};

/// Requests by other web pages, in every way that a browser would reveal, mine nothing.
pub(crate) fn foreign_pages_are_refused() {
    let node = Node::start(NodeOptions { http: true, ..NodeOptions::default() });
    let api = HttpClient::of(&node);
    let ours = format!("http://{}", api.address);
    let cases = [
        ("host", "evil.example", "foreign_host"),
        ("host", "evil.example:7788", "foreign_host"),
        ("host", "localhost.evil.example", "foreign_host"),
        ("origin", "http://evil.example", "foreign_origin"),
        ("origin", "http://127.0.0.1:1", "foreign_origin"),
        ("origin", "null", "foreign_origin"),
        ("sec-fetch-site", "cross-site", "cross_site"),
        ("sec-fetch-site", "same-site", "cross_site"),
    ];
    let body = json!({"count": 1}).to_string();
    for (name, value, code) in cases {
        let headers = [(name, value), ("content-type", "application/json")];
        let answer = api.send("POST", "/api/v1/mining/blocks", &headers, body.as_bytes());
        assert_eq!(answer.problem(403), code, "{name}: {value}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!(api.send("GET", "http://evil.example/api/v1/status", &[], b"").problem(403), "foreign_host");
    let own = [("origin", &*ours), ("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
    assert_eq!(api.send("POST", "/api/v1/mining/blocks", &own, body.as_bytes()).status, 200);
    assert_eq!(node.height(), 1);
}

/// A link that was opened in a browser from anywhere mines nothing until the person confirms it; programs need not.
pub(crate) fn links_that_change_something_ask_first() {
    let node = Node::start(NodeOptions { http: true, ..NodeOptions::default() });
    let api = HttpClient::of(&node);
    let link = "/mine?miner_address=0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let old = ("user-agent", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15");
    let (outside, inside) = (("sec-fetch-site", "none"), ("sec-fetch-site", "same-origin"));
    let confirm = format!("href=\"{link}\"");
    for (headers, can_confirm) in [(&[outside][..], true), (&[old, outside], true), (&[old], false)] {
        let answer = api.send("GET", link, headers, b"");
        assert_eq!((answer.status, answer.header("content-type")), (403, Some("text/html; charset=utf-8")));
        assert_eq!(answer.contains(&confirm), can_confirm, "{headers:?}");
    }
    let hostile = api.send("GET", "/save?a='&b=1", &[outside], b"");
    assert!(hostile.contains("/save?a=&#39;&amp;b=1") && !hostile.contains("a='"));
    assert_eq!(node.height(), 0);
    assert!(!node.folder().join("chain.json").exists());
    // The link on that page, and a program.
    for (headers, height) in [(&[old, inside][..], 1), (&[("user-agent", "curl/8.5.0")], 2)] {
        assert_eq!(api.send("GET", link, headers, b"").status, 200);
        assert_eq!(node.height(), height);
    }
    // What changes nothing is simply shown.
    assert_eq!(api.send("GET", "/chain", &[old, outside], b"").status, 200);
}

/// Long headers, many headers, long bodies, requests that stop half-way: refused, and others are served meanwhile.
pub(crate) fn long_and_slow_requests_are_refused() {
    let node = Node::start(NodeOptions { http: true, ..NodeOptions::default() });
    let api = HttpClient::of(&node);
    let long = "x".repeat(64 * 1024);
    assert_eq!(api.send("GET", "/api/v1/status", &[("x-long", &long)], b"").status, 431);
    let many: Vec<(String, String)> = (0..100).map(|at| (format!("x-{at}"), "x".to_owned())).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(api.send("GET", "/api/v1/status", &many, b"").status, 431);
    let record = json!({"public_key": "00".repeat(32), "record": {"text": "x".repeat(100_000)}});
    assert_eq!(api.post("/api/v1/transactions/prepare", &record).problem(413), "body_too_large");

    // Neither silence nor half a request keeps anybody out, and the node ends them by itself.
    let mut halves: Vec<TcpStream> = (0..200).map(|_| api.dial()).collect();
    for (at, half) in halves.iter_mut().enumerate() {
        let head = format!("POST /api/v1/transactions HTTP/1.1\r\nhost: {}\r\ncontent-length: 100\r\n", api.address);
        let sent = if at % 2 == 0 { &head.as_bytes()[..head.len() / 2] } else { b"" };
        half.write_all(sent).expect("the node reads");
    }
    assert_eq!(api.get("/api/v1/status").status, 200);
    for mut half in halves {
        half.set_read_timeout(Some(DEADLINE)).expect("not zero");
        let mut rest = Vec::new();
        half.read_to_end(&mut rest).expect("ended by the node");
    }
    assert_eq!(api.get("/api/v1/status").status, 200);
}

/// Paths that try to leave the served ones, and bytes that are not HTTP.
pub(crate) fn odd_paths_lead_nowhere() {
    let node = Node::start(NodeOptions { http: true, ..NodeOptions::default() });
    let api = HttpClient::of(&node);
    let paths = [
        "/../http-token",
        "/page/../../identity.key",
        "/page/%2e%2e/%2e%2e/http-token",
        "/page/..%2f..%2fhttp-token",
        "/page//etc/passwd",
        "/api/v1/blocks/..%2f..%2fstatus",
        "/api/v1/blocks/%00",
        "//evil.example/",
        "/api/v1/accounts/%ff%fe",
    ];
    for path in paths {
        let answer = api.get(path);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains("PRIVATE"), "{path}");
    }
    let garbage: [&[u8]; 4] =
        [b"\0\x01\x02\x03\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x13/multistream/1.0.0\n\r\n\r\n"];
    for bytes in garbage {
        let mut stream = api.dial();
        stream.write_all(bytes).expect("the node reads");
        if let Some(answer) = HttpResponse::read(&mut BufReader::new(stream)) {
            assert!(answer.status >= 400, "{bytes:?}");
        }
    }
    assert_eq!(api.get("/api/v1/status").status, 200);
    assert_eq!(node.height(), 0);
}
