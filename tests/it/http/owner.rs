//! Who may change something on a machine that several users share, and behind a reverse proxy.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use rustix::process::{Pid, Signal, Uid, geteuid, kill_process};
use rustix::thread::set_thread_res_uid;
use serde_json::json;
use tempfile::TempDir;

use super::client::HttpClient;
use super::node;
use crate::harness::{DEADLINE, Node, NodeOptions};

/// A user that is nobody's.
const STRANGER: u32 = 65_534;
/// The classic routes that change something or send the whole chain.
const CLASSIC: [(&str, &str); 12] = [
    ("GET", "/chain"),
    ("GET", "/mine"),
    ("GET", "/mine?miner_address=0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
    ("GET", "/save"),
    ("GET", "/nodes/resolve"),
    ("POST", "/nodes/resolve"),
    ("GET", "/miner/nodes/resolve"),
    ("POST", "/transactions/new"),
    ("POST", "/nodes/register"),
    ("POST", "/miner/register"),
    ("POST", "/register_with"),
    ("POST", "/add_block"),
];

/// Does something as another user of this machine, if the tests may become one.
fn as_stranger<T: Send>(act: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let uid = Uid::from_raw(STRANGER);
            // Of this thread alone, and so of the sockets that it makes.
            let became = geteuid().is_root() && set_thread_res_uid(uid, uid, uid).is_ok();
            became.then(act)
        });
        let done = other.join().expect("no panic as the other user");
        if done.is_none() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI tests as root");
            eprintln!("not tried as another user: only root can become one");
        }
        done
    })
}

fn bearer(node: &Node) -> String {
    let token = fs::read_to_string(node.folder().join("http-token")).expect("our own file");
    format!("Bearer {}", token.trim())
}

/// Every route of the description that is not read with GET, and the receipts.
fn guarded(api: &HttpClient) -> Vec<(String, String)> {
    let description = api.get("/api/openapi.json").json();
    let mut routes = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys().filter(|key| *key != "parameters") {
            if method != "get" || path.ends_with("/receipt") {
                let path = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
                routes.push((method.to_uppercase(), path.collect::<Vec<_>>().join("/")));
            }
        }
    }
    assert!(routes.len() >= 8, "{routes:?}");
    routes.extend(CLASSIC.map(|(method, path)| (method.to_owned(), path.to_owned())));
    routes
}

/// Another user of the machine reads what is cheap, and changes nothing without the token.
pub(crate) fn other_users_need_the_token() {
    let (node, api) = node();
    node.run("mine 1");
    let (routes, token) = (guarded(&api), bearer(&node));
    let json = ("content-type", "application/json");
    as_stranger(|| {
        for (method, path) in &routes {
            for headers in [&[json][..], &[json, ("authorization", "Bearer x")]] {
                assert_eq!(api.send(method, path, headers, b"{}").problem(401), "no_token", "{method} {path}");
            }
        }
        for path in ["/", "/healthz", "/api/v1/status", "/api/v1/blocks", "/api/v1/transactions", "/pending_tx"] {
            assert_eq!(api.get(path).status, 200, "{path}");
        }
        assert_eq!(node.height(), 1);
        let mined = api.send("GET", "/mine", &[("authorization", &token)], b"");
        assert_eq!(mined.status, 200);
        assert_eq!(node.height(), 2);
        // A socket that its process has closed is shown as one of root.
        for _ in 0..100 {
            let mut stream = api.dial();
            let _ = write!(stream, "GET /mine HTTP/1.1\r\nhost: {}\r\n\r\n", api.address);
        }
    });
    let started = Instant::now();
    while !api.get("/metrics").contains("quipu_http_connections 1\n") {
        assert!(started.elapsed() < DEADLINE, "connections of clients that have left stay");
    }
    assert!(node.height() <= 2, "a client that has left is nobody's own");
    let mined = api.post("/api/v1/mining/blocks", &json!({"count": 1}));
    assert_eq!(mined.status, 200, "the node's own user needs no token");
    assert_eq!(api.get("/chain").status, 200);
}

/// A proxy that says so speaks for others, whoever runs it.
pub(crate) fn what_comes_through_a_proxy_needs_the_token() {
    let name = ["--http-name", "quipu.example.org"].map(str::to_owned).to_vec();
    let node = Node::start(NodeOptions { http: true, arguments: name, ..NodeOptions::default() });
    let (api, token) = (HttpClient::of(&node), bearer(&node));
    let body = json!({"count": 1}).to_string();
    let outside = [("host", "quipu.example.org"), ("content-type", "application/json")];
    for proxy in
        [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1"), ("via", "1.1 proxy"), ("x-real-ip", "::1")]
    {
        let headers = [&outside[..], &[proxy]].concat();
        for (method, path) in guarded(&api) {
            assert_eq!(api.send(&method, &path, &headers, b"{}").problem(401), "no_token", "{proxy:?} {method} {path}");
        }
        assert_eq!(api.send("GET", "/api/v1/status", &headers, b"").status, 200);
        let headers = [&headers[..], &[("authorization", &*token), ("origin", "https://quipu.example.org")]].concat();
        assert_eq!(api.send("POST", "/api/v1/mining/blocks", &headers, body.as_bytes()).status, 200);
    }
    assert_eq!(node.height(), 4);
    let other = [("host", "other.example.org")];
    assert_eq!(api.send("GET", "/api/v1/status", &other, b"").problem(403), "foreign_host");
}

/// Without the routes of tutorials, everything else is there.
pub(crate) fn the_routes_of_tutorials_can_be_left_out() {
    let arguments = vec!["--no-http-classic".to_owned()];
    let node = Node::start(NodeOptions { http: true, arguments, ..NodeOptions::default() });
    let api = HttpClient::of(&node);
    for (method, path) in CLASSIC.into_iter().chain([("GET", "/pending_tx")]) {
        assert_eq!(
            api.send(method, path, &[("content-type", "application/json")], b"{}").problem(404),
            "no_such_route"
        );
    }
    assert_eq!(api.post("/api/v1/mining/blocks", &json!({"count": 1})).status, 200);
    assert_eq!(node.height(), 1);
}

/// A running nginx, stopped when it is dropped.
struct Nginx(TempDir);

impl Nginx {
    /// Starts it with these servers, if there is one here.
    fn start(servers: &str) -> Option<Self> {
        let names = std::env::var_os("QUIPU_NGINX").map(PathBuf::from).into_iter();
        let program = names
            .chain(["nginx", "/usr/sbin/nginx"].map(PathBuf::from))
            .find(|name| Command::new(name).arg("-v").output().is_ok())?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .concat();
        let text = format!(
            "pid {place}/pid;\nerror_log {place}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{servers}}}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, &text).expect("our own folder");
        // It goes into the background when it listens.
        let started =
            Command::new(program).arg("-p").arg(folder.path()).arg("-c").arg(&file).output().expect("it runs");
        assert!(started.status.success(), "{started:?}\n{text}");
        Some(Self(folder))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.0.path().join("pid")).ok().and_then(|pid| pid.trim().parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("some port is free")
}

/// The configuration of docs/http.md in a real nginx, but for TLS; and one that sends no header of a proxy.
pub(crate) fn the_documented_proxy_works() {
    let name = ["--http-name", "quipu.example.org"].map(str::to_owned).to_vec();
    let node = Node::start(NodeOptions { http: true, arguments: name, ..NodeOptions::default() });
    let (inner, token) = (HttpClient::of(&node).address, bearer(&node));
    let guide = include_str!("../../../docs/http.md");
    let shown = guide.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it is there");
    let lines = shown.lines().filter(|line| !line.trim().starts_with("ssl_"));
    let (outer, bare) = (free_address(), free_address());
    let server = lines.map(|line| line.to_owned() + "\n").collect::<String>();
    let server = server.replace("listen 443 ssl", &format!("listen {outer}"));
    let server = server.replace("127.0.0.1:7788", &inner.to_string());
    assert!(server.contains(&outer.to_string()) && server.contains(&inner.to_string()), "{server}");
    let other = format!("server {{ listen {bare}; location / {{ proxy_pass http://{inner}; }} }}\n");
    let Some(_nginx) = Nginx::start(&(server + &other)) else {
        eprintln!("not tried with a proxy: there is no nginx");
        return;
    };
    let api = HttpClient { address: outer };
    let host = ("host", "quipu.example.org");
    assert_eq!(api.send("GET", "/api/v1/status", &[host], b"").status, 200);
    assert_eq!(api.send("GET", "/", &[host], b"").status, 200);
    assert_eq!(api.send("GET", "/mine", &[host], b"").problem(401), "no_token");
    assert_eq!(api.send("GET", "/mine", &[("host", "other.example.org")], b"").problem(403), "foreign_host");
    let page = [host, ("origin", "http://quipu.example.org"), ("content-type", "application/json")];
    assert_eq!(api.send("POST", "/api/v1/mining/blocks", &page, br#"{"count":1}"#).problem(401), "no_token");
    let page = [&page[..], &[("authorization", &token)]].concat();
    assert_eq!(api.send("POST", "/api/v1/mining/blocks", &page, br#"{"count":1}"#).status, 200);
    if geteuid().is_root() {
        // Its workers are another user.
        assert_eq!(HttpClient { address: bare }.get("/mine").problem(401), "no_token");
    }
    assert_eq!(node.height(), 1);
}
