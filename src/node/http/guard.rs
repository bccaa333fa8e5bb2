//! Access control.
//!
//! A browser on this machine sends requests here for any page that it shows, so three headers are checked before the
//! route: the name in `Host` (with a foreign name that resolves to this machine, a foreign page would count as ours:
//! DNS rebinding), `Origin`, and the browser's word in `Sec-Fetch-Site`. A client on another machine needs the token,
//! unless nothing can be changed. A browser that comes to a changing route by its address alone asks first
//! ([`ask_first`]).

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::NODE_PATH;
use super::limits::Client;
use super::problem::Problem;
use super::token::Token;
use super::{App, ask_first};

/// Paths that are open to everybody: they hold nothing that the node does not send to its peers.
const OPEN_PATHS: [&str; 4] = ["/", "/healthz", "/readyz", NODE_PATH];
/// Everything in this folder is open as well.
const OPEN_FOLDER: &str = "/page/";
const METRICS_PATH: &str = "/metrics";
/// Names that machines give themselves on a local network (RFC 6762).
const LOCAL_DOMAIN: &str = ".local";
/// The classic routes that change something in spite of GET.
const CHANGING_GETS: [&str; 4] = ["/mine", "/save", "/nodes/resolve", "/miner/nodes/resolve"];

/// Scripts, styles and pictures come from this server alone, and no page may put this one into a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
/// Headers of every answer.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// The admission rules of this server.
#[derive(Debug)]
pub(super) struct Guard {
    address: SocketAddr,
    token: Option<Token>,
    read_only: bool,
    /// This machine's own name, if it has one.
    host_name: Option<String>,
}

impl Guard {
    /// For a server at this address.
    pub(super) fn new(address: SocketAddr, token: Option<Token>, read_only: bool, host_name: Option<String>) -> Self {
        Self { address, token, read_only, host_name }
    }

    fn judge(
        &self,
        method: &Method,
        path: &str,
        target: Option<&Authority>,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let refuse = |code, detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, code, detail));
        let host = one(headers, &header::HOST);
        // A foreign page can only borrow this machine's rights, so a name protects nothing that needs none, and nothing
        // that a token protects. HTTP/1.0 has no Host.
        let needs_name = !self.is_open(path) && !self.has_token(headers);
        if host.is_none() && (needs_name || headers.contains_key(header::HOST)) {
            return Err(Problem::bad("bad_host", "a request has exactly one Host header"));
        }
        let host = host.unwrap_or_default();
        let is_plain = target.is_none_or(|target| target.as_str() == host) && !host.contains('@');
        let is_ours = || host.parse().is_ok_and(|host: Authority| self.is_ours(host.host()));
        if needs_name && !(is_plain && is_ours()) {
            let detail =
                "this node has no such name: open this page by IP address, by the machine's name, or as localhost";
            return refuse("foreign_host", detail);
        }
        if headers.contains_key(header::ORIGIN) {
            let origin = one(headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
            if !origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host)) {
                return refuse("foreign_origin", "requests of other web pages are refused");
            }
        }
        if let Some(site) = headers.get("sec-fetch-site")
            && site != "same-origin"
            && site != "none"
        {
            return refuse("cross_site", "requests of other web pages are refused: open the address by itself");
        }
        let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || CHANGING_GETS.contains(&path);
        if self.read_only && changes {
            return refuse(
                "read_only",
                "this node was started with --http-read-only: nothing can be changed over HTTP",
            );
        }
        if *method == Method::HEAD && changes {
            let detail = "this path changes something: ask it with GET, and it does";
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", detail));
        }
        match &self.token {
            Some(_) if !self.is_open(path) && !self.has_token(headers) => {
                let detail =
                    "send `Authorization: Bearer TOKEN` with the token in the file http-token of the data folder";
                Err(Problem::new(StatusCode::UNAUTHORIZED, "no_token", detail))
            }
            _ => Ok(()),
        }
    }

    /// Whether a path is open to everybody who reaches this server. So is `/metrics` of one that anybody may read.
    fn is_open(&self, path: &str) -> bool {
        let all_read = self.token.is_none() && !self.address.ip().is_loopback();
        OPEN_PATHS.contains(&path) || path.starts_with(OPEN_FOLDER) || (all_read && path == METRICS_PATH)
    }

    /// Whether the request has this node's token.
    fn has_token(&self, headers: &HeaderMap) -> bool {
        self.token.as_ref().is_some_and(|token| bearer(headers).is_some_and(|offered| token.is(offered)))
    }

    /// Whether a name can only mean this machine. An IP address is safe: a foreign page at it would have to be served
    /// by this node.
    fn is_ours(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(ip) if self.address.ip().is_loopback() => ip.is_loopback(),
            Ok(_) => true,
            Err(_) => host.eq_ignore_ascii_case("localhost") || self.is_own_name(host),
        }
    }
}

impl Guard {
    /// Whether this is the machine's name, in full or its first part, alone or in the local network (`lab1.local`). Who
    /// could make a browser find another machine under it rules the network anyway.
    fn is_own_name(&self, host: &str) -> bool {
        let Some(own) = self.host_name.as_deref() else { return false };
        let short = own.split('.').next().unwrap_or(own);
        let host = host.strip_suffix('.').unwrap_or(host);
        let plain = host.strip_suffix(LOCAL_DOMAIN).unwrap_or(host);
        !short.is_empty() && (host.eq_ignore_ascii_case(own) || plain.eq_ignore_ascii_case(short))
    }
}

/// The machine's name, as it says itself.
pub(super) fn host_name() -> Option<String> {
    #[cfg(unix)]
    let name = nix::unistd::gethostname().ok()?.into_string().ok();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok();
    name
}

/// The one value of a header.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = one(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Refuses forbidden requests, and marks every answer.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let (uri, method) = (request.uri(), request.method());
    let client = request.extensions().get::<Client>().copied().unwrap_or(Client::Local);
    let judged = app.0.limits.ask(client, Instant::now());
    let judged = judged.and_then(|()| app.0.guard.judge(method, uri.path(), uri.authority(), request.headers()));
    let mut response = match judged {
        Ok(()) => match ask_first::came(request.headers()).filter(|_| CHANGING_GETS.contains(&uri.path())) {
            Some(came) if *method == Method::GET => ask_first::page(came, uri),
            _ => next.run(request).await,
        },
        Err(problem) => refused(problem),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    // An answer without a mark is the truth of a moment.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refused(problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        // No other request is refused for its method here (RFC 9110, section 15.5.6, wants the list).
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(address: &str, token: Option<Token>, read_only: bool) -> Guard {
        Guard::new(address.parse().expect("an address"), token, read_only, Some("Lab1.school.example".to_owned()))
    }

    fn judge(guard: &Guard, method: Method, path: &str, given: &[(&'static str, &str)]) -> &'static str {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, value.parse().expect("visible"));
        }
        guard.judge(&method, path, None, &headers).map_or_else(|problem| problem.code(), |()| "let in")
    }

    /// Requests that a foreign page can make a browser send.
    #[test]
    fn foreign_pages_are_refused() {
        let guard = guard("127.0.0.1:7788", None, false);
        let (ours, good) = (("host", "127.0.0.1:7788"), "let in");
        let cases: [(&[(&'static str, &str)], &str); 18] = [
            (&[ours], good),
            (&[("host", "localhost:7788")], good),
            (&[("host", "LOCALHOST")], good),
            (&[("host", "[::1]:7788")], good),
            (&[], "bad_host"),
            (&[ours, ours], "bad_host"),
            (&[("host", "")], "foreign_host"),
            (&[("host", "evil.example:7788")], "foreign_host"),
            (&[("host", "127.0.0.1.evil.example")], "foreign_host"),
            (&[("host", "localhost.evil.example")], "foreign_host"),
            (&[("host", "evil@127.0.0.1")], "foreign_host"),
            (&[("host", "192.168.1.5:7788")], "foreign_host"),
            (&[ours, ("origin", "http://127.0.0.1:7788")], good),
            (&[ours, ("origin", "http://127.0.0.1:9999")], "foreign_origin"),
            (&[ours, ("origin", "https://evil.example")], "foreign_origin"),
            (&[ours, ("origin", "null")], "foreign_origin"),
            (&[ours, ("sec-fetch-site", "cross-site")], "cross_site"),
            (&[ours, ("sec-fetch-site", "same-site")], "cross_site"),
        ];
        for (headers, wanted) in cases {
            assert_eq!(judge(&guard, Method::GET, "/mine", headers), wanted, "{headers:?}");
        }
    }

    #[test]
    fn who_is_elsewhere_needs_the_token() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let token = super::super::token::load_or_create(folder.path()).expect("a new file");
        let text = std::fs::read_to_string(folder.path().join("http-token")).expect("it is there");
        let guard = guard("0.0.0.0:7788", Some(token), false);
        let (host, bearer) = (("host", "192.168.1.5:7788"), format!("Bearer {}", text.trim()));
        assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host]), "no_token");
        assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host, ("authorization", "Bearer x")]), "no_token");
        assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host, ("authorization", &bearer)]), "let in");
        assert_eq!(judge(&guard, Method::GET, "/page/style.css", &[host]), "let in");
        assert_eq!(judge(&guard, Method::GET, "/healthz", &[host]), "let in");
    }

    #[test]
    fn names_are_asked_for_where_they_protect_something() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let token = super::super::token::load_or_create(folder.path()).expect("a new file");
        let text = std::fs::read_to_string(folder.path().join("http-token")).expect("it is there");
        let bearer = ("authorization", &*format!("Bearer {}", text.trim()));
        let (local, closed) = (guard("127.0.0.1:7788", None, false), guard("0.0.0.0:7788", Some(token), false));
        for name in ["lab1:7788", "LAB1.local", "lab1.local.:7788", "lab1.school.example:7788"] {
            assert_eq!(judge(&local, Method::GET, "/mine", &[("host", name)]), "let in", "{name}");
        }
        for name in ["lab2:7788", "lab1.evil.example", "lab1.local.evil.example", "school.example", ".local", "local"] {
            assert_eq!(judge(&local, Method::GET, "/mine", &[("host", name)]), "foreign_host", "{name}");
            assert_eq!(judge(&closed, Method::GET, "/metrics", &[("host", name), bearer]), "let in", "{name}");
            assert_eq!(judge(&closed, Method::GET, "/metrics", &[("host", name)]), "foreign_host", "{name}");
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(judge(&local, Method::GET, path, &[]), "let in");
            assert_eq!(judge(&local, Method::GET, path, &[("host", "probe.example")]), "let in");
            assert_eq!(judge(&local, Method::GET, path, &[("host", "a"), ("host", "b")]), "bad_host");
        }
        let foreign = [("host", "evil.example"), ("origin", "http://other.example"), bearer];
        assert_eq!(judge(&closed, Method::POST, "/mine", &foreign), "foreign_origin");
        let readers = guard("0.0.0.0:7788", None, true);
        assert_eq!(judge(&readers, Method::GET, "/metrics", &[("host", "prometheus.example")]), "let in");
        assert_eq!(judge(&readers, Method::GET, "/chain", &[("host", "prometheus.example")]), "foreign_host");
    }

    #[test]
    fn a_server_for_readers_changes_nothing() {
        let guard = guard("0.0.0.0:7788", None, true);
        let host = ("host", "192.168.1.5:7788");
        assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host]), "let in");
        assert_eq!(judge(&guard, Method::POST, "/api/v1/transactions", &[host]), "read_only");
        for path in CHANGING_GETS {
            assert_eq!(judge(&guard, Method::GET, path, &[host]), "read_only", "{path}");
        }
    }
}
