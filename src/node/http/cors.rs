//! Pages of other origins that may ask (`--http-allow-origin`), by the CORS protocol of the Fetch standard.
//!
//! Always true: such a page gains nothing from the place where its browser runs. What is for the node's own user, or for
//! whoever has the token, takes the token from it: it must know it and send it itself. Nothing that a browser adds by
//! itself ever counts (there is no `Access-Control-Allow-Credentials`). Each origin is named in full; the name in `Host` is
//! checked as for everybody.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The headers that such a page may send, beyond those that any may.
const REQUEST_HEADERS: &str = "authorization, content-type, idempotency-key, if-none-match, last-event-id";
/// Those of an answer that it may read.
const ANSWER_HEADERS: &str = "content-disposition, etag, link, retry-after, www-authenticate";
const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";
/// How long a browser remembers the answer to a preflight.
const PREFLIGHT_SECONDS: &str = "600";
/// The question of a page on a public network about a machine on a private one (Private Network Access, a draft).
const ASKS_PRIVATE: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOWS_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Whether a browser asks if a page may ask.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that: it may.
pub(super) fn preflight(request: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
    if request.contains_key(ASKS_PRIVATE) {
        headers.insert(ALLOWS_PRIVATE, HeaderValue::from_static("true"));
    }
    response
}

/// Lets the page of this origin read an answer.
pub(super) fn share(origin: HeaderValue, answer: &mut HeaderMap) {
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(ANSWER_HEADERS));
}
