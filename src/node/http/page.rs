//! Serves the page: its files by their names, and the one file that verifies receipts without a node.
//!
//! Always true: only names of the [table](crate::node::page) are served, never a path of a file system; and each file is
//! revalidated by its entity tag, so that a page and its scripts are always of one version, and an unchanged file is not
//! sent again.
//!
//! Not here: the content of the page, for which it asks the [API](super::api) like any other client.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::{App, fresh, problem};
use crate::node::page::ASSETS;
use crate::node::page::standalone::{policy, verify_page};

/// The page itself.
const INDEX: &str = "index.html";
/// The verifier of receipts.
pub(super) const VERIFIER_PATH: &str = "/verify.html";

/// The tag of each file: its hash.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| ASSETS.iter().map(|asset| tag(asset.content)).collect());

/// That of the verifier.
static VERIFIER_TAG: LazyLock<String> = LazyLock::new(|| tag(verify_page().as_bytes()));

/// `/`, the files that it needs, and the file that needs no node.
pub(super) fn router() -> Router<App> {
    let index = |headers: HeaderMap| async move { serve(INDEX, &headers).expect("the index is in the table") };
    let verifier = |headers: HeaderMap| async move { serve_verifier(&headers) };
    Router::new().route("/", get(index)).route("/page/{*name}", get(asset)).route(VERIFIER_PATH, get(verifier))
}

async fn asset(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    match serve(&name, &headers) {
        Some(response) => response,
        None => problem::no_such_route(uri).await.into_response(),
    }
}

/// The file of that name, or 304 if the client has it.
fn serve(name: &str, headers: &HeaderMap) -> Option<Response> {
    let at = ASSETS.iter().position(|asset| asset.name == name)?;
    let media = [(header::CONTENT_TYPE, media_type(name))];
    Some(fresh::tagged(&TAGS[at], headers, || (media, ASSETS[at].content).into_response()))
}

/// The verifier, under its own policy.
fn serve_verifier(headers: &HeaderMap) -> Response {
    // Only a header can forbid frames.
    let policy = format!("{}; frame-ancestors 'none'", policy());
    let policy = HeaderValue::try_from(policy).expect("a policy is visible ASCII");
    let media = [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
    let mut response = fresh::tagged(&VERIFIER_TAG, headers, || (media, verify_page()).into_response());
    // Also when nothing has changed: a browser takes over the headers of that answer, too.
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn tag(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

fn media_type(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_media_type() {
        for name in ASSETS.iter().map(|asset| asset.name) {
            assert_ne!(media_type(name), "application/octet-stream", "{name}");
        }
    }
}
