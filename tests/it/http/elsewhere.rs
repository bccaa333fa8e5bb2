//! A node that serves a LAN, asked from other machines on it.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::client::{HttpClient, HttpResponse};
use crate::harness::{DEADLINE, Lan, Node, NodeOptions, number, text};

/// A node on machine 1 that serves everybody, and its client there.
fn serve(lan: &Lan, arguments: &[&str]) -> (Node, HttpClient) {
    let arguments = ["--http", "0.0.0.0:0"].iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
    let node = Node::start(NodeOptions { arguments, mdns: false, ..lan.options(1) });
    let client = HttpClient { address: SocketAddr::new(Lan::ip(1), HttpClient::of(&node).address.port()) };
    (node, client)
}

fn token(node: &Node) -> String {
    let file = node.folder().join("http-token");
    let mode = fs::metadata(&file).expect("it was made at the start").permissions().mode();
    assert_eq!(mode & 0o077, 0, "for its owner alone");
    fs::read_to_string(file).expect("our own file").trim().to_owned()
}

/// From other machines only the open paths are answered without the token; with it everything is. No answer reveals it.
pub(crate) fn other_machines_need_the_token() {
    let lan = Lan::up(2);
    let (node, api) = serve(&lan, &["--log", "trace"]);
    let token = token(&node);
    let good = format!("Bearer {token}");
    let mut said = Vec::new();
    lan.on(2, || {
        for path in ["/healthz", "/readyz", "/api/v1/node"] {
            assert_eq!(api.get(path).status, 200, "{path}");
        }
        let closed = ["/api/v1/status", "/metrics", "/chain", "/mine", "/save", "/api/openapi.json", "/api/v1/events"];
        for path in closed {
            let wrong = [vec![], vec![("authorization", "Bearer x")], vec![("authorization", &*token)]];
            for headers in wrong {
                let refused = api.send("GET", path, &headers, b"");
                assert_eq!(refused.problem(401), "no_token", "{path}");
                assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"quipu\""));
                said.push(refused);
            }
        }
        let body = json!({"count": 1}).to_string();
        let headers = [("authorization", &*good), ("content-type", "application/json")];
        said.push(api.send("POST", "/api/v1/mining/blocks", &headers, body.as_bytes()));
        assert_eq!(said.last().map(|answer| answer.status), Some(200));
        // A page of another site does not have the token; a program that has it may call the machine what it likes.
        let foreign = [("host", "evil.example"), ("authorization", &*good)];
        assert_eq!(api.send("GET", "/api/v1/status", &foreign[..1], b"").problem(403), "foreign_host");
        assert_eq!(api.send("GET", "/api/v1/status", &foreign, b"").status, 200);
        assert_eq!(api.send("GET", "/healthz", &foreign[..1], b"").status, 200);
        for path in ["/api/v1/status", "/metrics", "/chain", "/save", "/api/openapi.json", "/api/v1/wallets"] {
            said.push(api.send("GET", path, &headers[..1], b""));
            assert_eq!(said.last().map(|answer| answer.status), Some(200), "{path}");
        }
    });
    assert_eq!(node.height(), 1);
    assert!(said.iter().all(|answer| !answer.contains(&token)));
    let log = node.stderr();
    assert!(log.len() > 10, "a log without anything in it proves nothing");
    assert!(log.iter().all(|line| !line.contains(&token)));
}

/// With `readers` there is no token, and nothing can be changed, not even from the node's own machine.
pub(crate) fn readers_change_nothing() {
    let lan = Lan::up(2);
    let (node, api) = serve(&lan, &["--http-read-only"]);
    let here = HttpClient { address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), api.address.port()) };
    for (machine, api) in [(2, api), (1, here)] {
        lan.on(machine, || {
            assert_eq!(number(&api.get("/api/v1/status").json(), "height"), 0);
            assert_eq!(api.get("/metrics").status, 200);
            for path in ["/mine", "/save", "/nodes/resolve", "/miner/nodes/resolve"] {
                assert_eq!(api.get(path).problem(403), "read_only", "{path}");
                assert_eq!(api.send("HEAD", path, &[], b"").status, 403, "{path}");
            }
            assert_eq!(api.post("/api/v1/mining/blocks", &json!({"count": 1})).problem(403), "read_only");
        });
    }
    assert!(!node.folder().join("http-token").exists());
    assert_eq!(node.height(), 0);
}

/// One machine that asks without end, or opens connections without end, is limited, and no other notices.
pub(crate) fn one_machine_does_not_keep_others_out() {
    const ASKED: usize = 1000;
    let lan = Lan::up(3);
    let (node, api) = serve(&lan, &["--http-read-only"]);
    let held: Vec<TcpStream> = lan.on(2, || (0..200).map(|_| api.dial()).collect());
    let answers = |client: &HttpClient| -> String {
        let mut stream = client.dial();
        let one = format!("GET /api/v1/status HTTP/1.1\r\nhost: {}\r\n\r\n", client.address);
        let last = one.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
        // All at once: HTTP/1.1 lets a client do that. The node closes if it is one connection too many.
        let _ = stream.write_all((one.repeat(ASKED - 1) + &last).as_bytes());
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers);
        String::from_utf8_lossy(&answers).into_owned()
    };
    let served = |answers: &str| answers.matches("HTTP/1.1 200").count();
    assert_eq!(lan.on(2, || answers(&api)), "", "its connections are taken");
    let other = lan.on(3, || answers(&api));
    assert!((200..ASKED).contains(&served(&other)), "a burst, and what the time allows: {}", served(&other));
    let refused = other.matches("HTTP/1.1 429 Too Many Requests").count();
    assert_eq!(refused, ASKED - served(&other));
    assert_eq!(other.matches("\r\nretry-after: 1\r\n").count(), refused);
    assert_eq!(other.matches("\"code\":\"too_many_requests\"").count(), refused);
    let here = HttpClient { address: SocketAddr::new(IpAddr::from([127, 0, 0, 1]), api.address.port()) };
    assert_eq!(served(&lan.on(1, || answers(&here))), ASKED, "the node's own machine is not held back");
    drop(held);
    // A client that waits is served again.
    let deadline = std::time::Instant::now() + DEADLINE;
    while lan.on(2, || HttpResponse::read(&mut BufReader::new(status(&api)))).is_none_or(|answer| answer.status != 200)
    {
        assert!(std::time::Instant::now() < deadline, "it stays out for ever");
    }
    assert_eq!(text(&node.run("status"), "tip"), node.tip());
}

fn status(api: &HttpClient) -> TcpStream {
    let mut stream = api.dial();
    let _ = write!(stream, "GET /healthz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", api.address);
    stream
}
