//! Entity tags (RFC 9110, section 8.8.3): a client that has the current answer gets 304 and nothing else.
//!
//! The chain's content is the same as long as the best block is, so its id is the tag of every answer read from the
//! chain.

use std::fmt::Display;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::App;
use super::problem::Problem;
use crate::protocol::BlockId;

/// An answer that never changes may be kept for a year, the longest time that caches honour.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// May be kept, and must be revalidated each time.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// An answer from the best chain: the same as long as its best block is. The tag is taken before the answer is made:
/// the answer may be newer than its tag, never older.
pub(super) async fn of_tip<R: IntoResponse>(
    app: &App,
    request: &HeaderMap,
    make: impl Future<Output = Result<R, Problem>>,
) -> Result<Response, Problem> {
    let tag = tag(&app.handle().view().tip.id, "W/");
    if is_known(request, &tag) {
        return Ok(marked(StatusCode::NOT_MODIFIED, tag, REVALIDATE));
    }
    Ok(marked(make.await?, tag, REVALIDATE))
}

/// An answer that is named by its own hash.
pub(super) fn immutable(id: &BlockId, request: &HeaderMap, make: impl FnOnce() -> Response) -> Response {
    let tag = tag(id, "");
    if is_known(request, &tag) {
        marked(StatusCode::NOT_MODIFIED, tag, IMMUTABLE)
    } else {
        marked(make(), tag, IMMUTABLE)
    }
}

/// An answer that may change, whose tag is a hash of it in hex.
pub(super) fn tagged(hash: &str, request: &HeaderMap, make: impl FnOnce() -> Response) -> Response {
    let tag = tag(&hash, "");
    if is_known(request, &tag) {
        marked(StatusCode::NOT_MODIFIED, tag, REVALIDATE)
    } else {
        marked(make(), tag, REVALIDATE)
    }
}

fn tag(hash: &impl Display, prefix: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("{prefix}\"{hash}\"")).expect("hex digits and quotation marks are visible")
}

/// Compression makes a tag weak, so the prefix does not count.
fn is_known(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tag = tag.to_str().map(strong).unwrap_or_default();
    let given = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|list| list.split(',')).any(|one| strong(one) == tag)
}

fn marked(response: impl IntoResponse, tag: HeaderValue, cache: HeaderValue) -> Response {
    let mut response = response.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, cache);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_whatever_compression_has_made_of_it() {
        let ours = tag(&BlockId([7; 32]), "W/");
        let (id, other) = (BlockId([7; 32]), BlockId([8; 32]));
        let cases = [
            (format!("\"{id}\""), true),
            (format!("W/\"{id}\""), true),
            (format!("\"{other}\", W/\"{id}\""), true),
            (format!("\"{other}\""), false),
            (String::new(), false),
        ];
        for (given, known) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, given.parse().expect("visible"));
            assert_eq!(is_known(&headers, &ours), known, "{given}");
        }
    }
}
