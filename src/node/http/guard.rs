//! Access control.
//!
//! A browser on this machine sends requests here for any page that it shows, so three headers are checked before the
//! route: the name in `Host` (with a foreign name that resolves to this machine, a foreign page would count as ours:
//! DNS rebinding), `Origin`, and the browser's word in `Sec-Fetch-Site`. A browser that comes to a changing route by its
//! address alone asks first ([`ask_first`]).
//!
//! A server that other machines reach wants the token for nearly everything, unless nothing can be changed. One for this
//! machine wants it for what changes something or costs much, and not from the node's own user ([`Caller`]). What came
//! through a proxy is nobody's own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::{NODE_PATH, WALLET_FILES_PATH};
use super::caller::Caller;
use super::form::Form;
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
/// The whole chain, and the end of the paths of receipts, which may have 100,000 headers. Other answers are short, or pages,
/// or whole lists ([`Form`]).
const COSTLY_PATH: &str = "/chain";
const COSTLY_END: &str = "/receipt";
/// Headers that proxies add (RFC 9110, section 7.6.3, RFC 7239, and customs).
const PROXY_HEADERS: [&str; 8] =
    ["via", "forwarded", "client-ip", "true-client-ip", "fastly-client-ip", "cdn-loop", "x-real-ip", "x-client-ip"];
/// The beginnings of others.
const PROXY_PREFIXES: [&str; 5] = ["x-forwarded", "x-original-", "x-envoy-", "x-cluster-", "cf-"];

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
    pub(super) address: SocketAddr,
    /// `None`: nothing can be changed, and whoever reaches the server may read everything.
    pub(super) token: Option<Token>,
    /// This machine's own name, if it has one.
    pub(super) host_name: Option<String>,
    /// Names that the user gave it.
    pub(super) names: Vec<String>,
    /// Whether the routes of tutorials are there.
    pub(super) has_classic: bool,
}

/// The callers whose requests a verdict lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admitted {
    Anybody,
    OwnUser,
}

impl Guard {
    /// `form` is that of the answer, if it is a list.
    fn judge(&self, method: &Method, uri: &Uri, form: Form, headers: &HeaderMap) -> Result<Admitted, Problem> {
        let (path, target) = (uri.path(), uri.authority());
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
            let detail = "this node has no such name: use its IP address, the machine's name or localhost, or start it with --http-name";
            return refuse("foreign_host", detail);
        }
        if headers.contains_key(header::ORIGIN) {
            // Behind a proxy with TLS, a page of this node is one of https.
            let origin = one(headers, &header::ORIGIN).and_then(|origin| origin.split_once("://"));
            if !origin
                .is_some_and(|(scheme, name)| ["http", "https"].contains(&scheme) && name.eq_ignore_ascii_case(host))
            {
                return refuse("foreign_origin", "requests of other web pages are refused");
            }
        }
        if let Some(site) = headers.get("sec-fetch-site")
            && site != "same-origin"
            && site != "none"
        {
            return refuse("cross_site", "requests of other web pages are refused: open the address by itself");
        }
        let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || self.changes_by_get(path);
        if self.token.is_none() && changes {
            return refuse(
                "read_only",
                "this node was started with --http-read-only: nothing can be changed over HTTP",
            );
        }
        if self.token.is_none() && path == WALLET_FILES_PATH {
            return refuse(
                "read_only",
                "this node was started with --http-read-only: its files are its own user's affair",
            );
        }
        if *method == Method::HEAD && changes {
            let detail = "this path changes something: ask it with GET, and it does";
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", detail));
        }
        if self.token.is_none() || self.is_open(path) || self.has_token(headers) {
            return Ok(Admitted::Anybody);
        }
        let is_guarded = changes || is_costly(path) || form != Form::Json || path == WALLET_FILES_PATH;
        if !self.is_local() || came_through_proxy(headers) && is_guarded {
            return Err(no_token());
        }
        Ok(if is_guarded { Admitted::OwnUser } else { Admitted::Anybody })
    }

    /// Whether only this machine reaches the server, unless somebody on it helps.
    fn is_local(&self) -> bool {
        self.address.ip().is_loopback()
    }

    fn changes_by_get(&self, path: &str) -> bool {
        self.has_classic && CHANGING_GETS.contains(&path)
    }

    /// Whether a path is open to everybody who reaches this server. So is `/metrics` of one that anybody may read.
    fn is_open(&self, path: &str) -> bool {
        let all_read = self.token.is_none() && !self.is_local();
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
            Ok(ip) if self.is_local() => ip.is_loopback(),
            Ok(_) => true,
            Err(_) => host.eq_ignore_ascii_case("localhost") || self.is_own_name(host),
        }
    }
}

impl Guard {
    /// Whether this is a name that the user gave, or the machine's name, in full or its first part, alone or in the local
    /// network (`lab1.local`). Who could make a browser find another machine under it rules the network anyway.
    fn is_own_name(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        if self.names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
            return true;
        }
        let Some(own) = self.host_name.as_deref() else { return false };
        let short = own.split('.').next().unwrap_or(own);
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

fn is_costly(path: &str) -> bool {
    path == COSTLY_PATH || path.ends_with(COSTLY_END)
}

fn came_through_proxy(headers: &HeaderMap) -> bool {
    let tells = |name: &str| {
        PROXY_HEADERS.contains(&name) || PROXY_PREFIXES.iter().any(|beginning| name.starts_with(beginning))
    };
    headers.keys().any(|name| tells(name.as_str()))
}

fn no_token() -> Problem {
    let detail = "send `Authorization: Bearer TOKEN` with the token in the file http-token of the data folder; only the \
                  node's own user goes without, on this machine, not through a proxy, and where the system tells users \
                  apart (Linux)";
    Problem::new(StatusCode::UNAUTHORIZED, "no_token", detail)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = one(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Refuses forbidden requests, and marks every answer.
pub(super) async fn check(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let form = Form::of(request.uri(), request.headers());
    request.extensions_mut().insert(form);
    let (uri, method) = (request.uri(), request.method());
    let client = request.extensions().get::<Client>().copied().unwrap_or(Client::Local);
    let judged = app.0.limits.ask(client, Instant::now());
    let judged = judged.and_then(|()| app.0.guard.judge(method, uri, form, request.headers()));
    let judged = match judged {
        Ok(Admitted::OwnUser) if !is_of_own_user(&app, request.extensions()).await => Err(no_token()),
        judged => judged,
    };
    let mut response = match judged {
        Ok(_) => match ask_first::came(request.headers()).filter(|_| app.0.guard.changes_by_get(uri.path())) {
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

/// Whether a request came on a connection of the node's own user.
async fn is_of_own_user(app: &App, extensions: &Extensions) -> bool {
    match extensions.get::<Arc<Caller>>() {
        Some(caller) => caller.is_own_user(&app.0.callers).await,
        None => false,
    }
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

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const BEARER: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");

    fn guard(address: &str, read_only: bool) -> Guard {
        Guard {
            address: address.parse().expect("an address"),
            token: (!read_only).then(|| Token::new(TOKEN)),
            host_name: Some("Lab1.school.example".to_owned()),
            names: vec!["quipu.example.org".to_owned()],
            has_classic: true,
        }
    }

    fn judge(guard: &Guard, method: Method, path: &str, given: &[(&'static str, &str)]) -> &'static str {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, value.parse().expect("visible"));
        }
        let uri: Uri = path.parse().expect("a path");
        match guard.judge(&method, &uri, Form::of(&uri, &headers), &headers) {
            Ok(Admitted::Anybody) => "let in",
            Ok(Admitted::OwnUser) => "own user",
            Err(problem) => problem.code(),
        }
    }

    /// Requests that a foreign page can make a browser send.
    #[test]
    fn foreign_pages_are_refused() {
        let guard = guard("127.0.0.1:7788", false);
        let (ours, good) = (("host", "127.0.0.1:7788"), "own user");
        let cases: [(&[(&'static str, &str)], &str); 21] = [
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
            (&[ours, ("origin", "https://127.0.0.1:7788")], good),
            (&[ours, ("origin", "ftp://127.0.0.1:7788")], "foreign_origin"),
            (&[("host", "QUIPU.example.org"), ("origin", "https://quipu.example.org")], good),
            (&[ours, ("sec-fetch-site", "cross-site")], "cross_site"),
            (&[ours, ("sec-fetch-site", "same-site")], "cross_site"),
        ];
        for (headers, wanted) in cases {
            assert_eq!(judge(&guard, Method::GET, "/mine", headers), wanted, "{headers:?}");
        }
    }

    #[test]
    fn who_is_elsewhere_needs_the_token() {
        let guard = guard("0.0.0.0:7788", false);
        let host = ("host", "192.168.1.5:7788");
        assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host]), "no_token");
        assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host, ("authorization", "Bearer x")]), "no_token");
        assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host, BEARER]), "let in");
        assert_eq!(judge(&guard, Method::GET, "/page/style.css", &[host]), "let in");
        assert_eq!(judge(&guard, Method::GET, "/healthz", &[host]), "let in");
    }

    #[test]
    fn names_are_asked_for_where_they_protect_something() {
        let (local, closed) = (guard("127.0.0.1:7788", false), guard("0.0.0.0:7788", false));
        for name in ["lab1:7788", "LAB1.local", "lab1.local.:7788", "lab1.school.example:7788"] {
            assert_eq!(judge(&local, Method::GET, "/mine", &[("host", name)]), "own user", "{name}");
        }
        for name in ["lab2:7788", "lab1.evil.example", "lab1.local.evil.example", "school.example", ".local", "local"] {
            assert_eq!(judge(&local, Method::GET, "/mine", &[("host", name)]), "foreign_host", "{name}");
            assert_eq!(judge(&closed, Method::GET, "/metrics", &[("host", name), BEARER]), "let in", "{name}");
            assert_eq!(judge(&closed, Method::GET, "/metrics", &[("host", name)]), "foreign_host", "{name}");
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(judge(&local, Method::GET, path, &[]), "let in");
            assert_eq!(judge(&local, Method::GET, path, &[("host", "probe.example")]), "let in");
            assert_eq!(judge(&local, Method::GET, path, &[("host", "a"), ("host", "b")]), "bad_host");
        }
        let foreign = [("host", "evil.example"), ("origin", "http://other.example"), BEARER];
        assert_eq!(judge(&closed, Method::POST, "/mine", &foreign), "foreign_origin");
        let readers = guard("0.0.0.0:7788", true);
        assert_eq!(judge(&readers, Method::GET, "/metrics", &[("host", "prometheus.example")]), "let in");
        assert_eq!(judge(&readers, Method::GET, "/chain", &[("host", "prometheus.example")]), "foreign_host");
    }

    #[test]
    fn a_server_for_readers_changes_nothing() {
        let guard = guard("0.0.0.0:7788", true);
        let host = ("host", "192.168.1.5:7788");
        assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host]), "let in");
        assert_eq!(judge(&guard, Method::POST, "/api/v1/transactions", &[host]), "read_only");
        for path in CHANGING_GETS {
            assert_eq!(judge(&guard, Method::GET, path, &[host]), "read_only", "{path}");
        }
        // Nobody is told apart there.
        assert_eq!(judge(&guard, Method::GET, WALLET_FILES_PATH, &[host]), "read_only");
    }

    /// On this machine, what is cheap and changes nothing is for everybody.
    #[test]
    fn the_token_or_the_own_user_where_it_matters() {
        let guard = guard("127.0.0.1:7788", false);
        let host = ("host", "127.0.0.1:7788");
        let cases = [
            (Method::GET, "/api/v1/status", "let in", "let in"),
            (Method::GET, "/api/v1/blocks", "let in", "let in"),
            (Method::GET, "/pending_tx", "let in", "let in"),
            (Method::GET, "/", "let in", "let in"),
            (Method::GET, "/mine", "own user", "no_token"),
            (Method::GET, "/chain", "own user", "no_token"),
            (Method::HEAD, "/chain", "own user", "no_token"),
            (Method::GET, "/api/v1/transactions/ab/receipt", "own user", "no_token"),
            (Method::GET, WALLET_FILES_PATH, "own user", "no_token"),
            (Method::GET, "/api/v1/records?format=json", "let in", "let in"),
            (Method::GET, "/api/v1/records?format=csv", "own user", "no_token"),
            (Method::GET, "/api/v1/blocks?limit=1&form%61t=ndjson", "own user", "no_token"),
            (Method::POST, "/transactions/new", "own user", "no_token"),
            (Method::PUT, "/api/v1/mining", "own user", "no_token"),
            (Method::DELETE, "/api/v1/mining/blocks", "own user", "no_token"),
        ];
        for (method, path, plain, by_proxy) in cases {
            assert_eq!(judge(&guard, method.clone(), path, &[host]), plain, "{path}");
            assert_eq!(judge(&guard, method.clone(), path, &[host, ("x-forwarded-for", "::1")]), by_proxy, "{path}");
            assert_eq!(judge(&guard, method, path, &[host, ("via", "1.1 p"), BEARER]), "let in", "{path}");
        }
        for name in
            ["Forwarded", "Via", "X-Forwarded-Host", "X-Forwarded", "X-Real-IP", "CF-Connecting-IP", "X-Original-URL"]
        {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::try_from(name).expect("a name"), HeaderValue::from_static("x"));
            assert!(came_through_proxy(&headers), "{name}");
        }
        let without = Guard { has_classic: false, ..guard };
        assert_eq!(
            judge(&without, Method::GET, "/mine", &[host]),
            "let in",
            "to an answer that there is no such route"
        );
    }
}
