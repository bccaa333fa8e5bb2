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
use super::page::VERIFIER_PATH;
use super::problem::Problem;
use super::token::Token;
use super::{App, ask_first, cors};

/// Paths that are open to everybody: they hold nothing that the node does not send to its peers.
const OPEN_PATHS: [&str; 5] = ["/", "/healthz", "/readyz", NODE_PATH, VERIFIER_PATH];
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
/// Headers of every answer. One that has brought its own policy keeps it.
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
    /// Origins of foreign pages that may ask.
    pub(super) origins: Vec<String>,
    /// Whether the routes of tutorials are there.
    pub(super) has_classic: bool,
}

/// What a request says of the page that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// A page of this node, or no page.
    Own,
    /// One of an allowed origin.
    Allowed,
}

/// The callers whose requests a verdict lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admitted {
    Anybody,
    OwnUser,
}

impl Guard {
    /// Whether a request means this node, and comes from no page that has no business here.
    fn judge_page(&self, uri: &Uri, headers: &HeaderMap) -> Result<Page, Problem> {
        let (path, target) = (uri.path(), uri.authority());
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
                if one(headers, &header::ORIGIN).is_some_and(|origin| self.origins.iter().any(|known| known == origin))
                {
                    return Ok(Page::Allowed);
                }
                return refuse("foreign_origin", "requests of other web pages are refused");
            }
        }
        if let Some(site) = headers.get("sec-fetch-site")
            && site != "same-origin"
            && site != "none"
        {
            return refuse("cross_site", "requests of other web pages are refused: open the address by itself");
        }
        Ok(Page::Own)
    }

    /// The callers that may make a request of this page. `form` is the form of the answer, if that is a list.
    fn judge_rights(
        &self,
        page: Page,
        method: &Method,
        uri: &Uri,
        form: Form,
        headers: &HeaderMap,
    ) -> Result<Admitted, Problem> {
        let path = uri.path();
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
        let is_nobodys_own = page == Page::Allowed || came_through_proxy(headers);
        if !self.is_local() || is_nobodys_own && is_guarded {
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

fn refuse<T>(code: &'static str, detail: &str) -> Result<T, Problem> {
    Err(Problem::new(StatusCode::FORBIDDEN, code, detail))
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
    let guard = &app.0.guard;
    let page = judged.and_then(|()| guard.judge_page(uri, request.headers()));
    let shared = request.headers().get(header::ORIGIN).cloned().filter(|_| matches!(page, Ok(Page::Allowed)));
    if shared.is_some() && cors::is_preflight(method, request.headers()) {
        return marked(&app, shared, cors::preflight(request.headers()));
    }
    let judged = page.and_then(|page| guard.judge_rights(page, method, uri, form, request.headers()));
    let judged = match judged {
        Ok(Admitted::OwnUser) if !is_of_own_user(&app, request.extensions()).await => Err(no_token()),
        judged => judged,
    };
    let response = match judged {
        Ok(_) => match ask_first::came(request.headers()).filter(|_| app.0.guard.changes_by_get(uri.path())) {
            Some(came) if *method == Method::GET => ask_first::page(came, uri),
            _ => next.run(request).await,
        },
        Err(problem) => refused(problem),
    };
    marked(&app, shared, response)
}

/// An answer with the headers of every one. `shared` is the foreign origin whose page may read it.
fn marked(app: &App, shared: Option<HeaderValue>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    if !app.0.guard.origins.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = shared {
        cors::share(origin, headers);
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
mod tests;
