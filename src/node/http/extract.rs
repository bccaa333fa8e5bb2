//! Arguments of requests: those that can't be understood become problem documents.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::App;
use super::problem::Problem;
use crate::node::api::parse;
use crate::node::index::Period;
use crate::protocol::{Address, UnixMillis};
use crate::text::{bytes_without_mark, excerpt, folded};

/// The default limit of a body, in bytes: the largest record in hex, with room.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// The longest text that is looked for, in bytes: a record has 4096.
pub(super) const WANTED_BYTES_MAX: usize = 256;

/// Time for the whole body, however steadily it trickles.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// The arguments after the question mark. Names that the route does not know are refused.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| Problem::bad("bad_query", error.body_text()))
    }
}

/// The variable parts of a path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = axum::extract::Path::from_request_parts(parts, app).await;
        path.map(|path| Self(path.0)).map_err(|error| Problem::bad("bad_path", error.body_text()))
    }
}

/// A body in JSON. The content type must say so: a web page can't send that to a foreign server unasked.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let body = json_body(request, app).await?;
        from_json(&body).map(Self)
    }
}

/// A body of JSON as it came.
pub(super) struct JsonBytes(pub(super) Bytes);

impl FromRequest<App> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        json_body(request, app).await.map(Self)
    }
}

/// As [`Json`], with the SHA-256 of the body as it came.
pub(super) struct Hashed<T> {
    pub(super) value: T,
    pub(super) sha256: [u8; 32],
}

impl<T: DeserializeOwned> FromRequest<App> for Hashed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let body = json_body(request, app).await?;
        Ok(Self { value: from_json(&body)?, sha256: Sha256::digest(&body).into() })
    }
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let value = serde_json::from_slice(bytes_without_mark(body));
    value.map_err(|error| Problem::bad("bad_body", format!("the body is not what is expected: {error}")))
}

/// The body, if the headers say that it is plain JSON.
async fn json_body(request: Request, app: &App) -> Result<Bytes, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let detail = "the body must be JSON: send it with the header `Content-Type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no_json", detail));
    }
    if let Some(coding) = request.headers().get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        let coding = coding.to_str().unwrap_or("something");
        let detail = format!("the body is compressed ({}), and only plain ones are read", excerpt(coding));
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "body_compressed", detail));
    }
    body(request, app).await
}

/// The whole body, up to the route's limit.
pub(super) async fn body(request: Request, app: &App) -> Result<Bytes, Problem> {
    let Ok(body) = timeout(BODY_TIMEOUT, Bytes::from_request(request, app)).await else {
        let detail = "the body did not come in time: send it faster, or on a better link";
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail));
    };
    body.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is longer than this route takes")
        }
        error => Problem::bad("bad_body", error.body_text()),
    })
}

/// A value as the prompt reads it, with the prompt's error.
pub(super) fn parsed<T, E: Into<Problem>>(
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Problem> {
    text.map(parse).transpose().map_err(Into::into)
}

/// A part of time: two moments, each a date or a span back from `now`.
pub(super) fn period(since: Option<&str>, until: Option<&str>, now: UnixMillis) -> Result<Period, Problem> {
    let moment = |text| Ok::<_, Problem>(parsed(text, parse::since)?.map(|moment| moment.moment(now)));
    let (since, until) = (moment(since)?, moment(until).map_err(|problem| problem.within("until"))?);
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err(Problem::bad("bad_period", "nothing is between them: `since` has to be earlier than `until`"));
    }
    Ok(Period { since, until })
}

/// A text to look for, [folded].
pub(super) fn wanted(text: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if text.trim().is_empty() || text.len() > WANTED_BYTES_MAX {
        return Err(Problem::bad("bad_search", format!("a text to look for has 1 to {WANTED_BYTES_MAX} bytes")));
    }
    Ok(Some(folded(text)))
}

/// An address, if there is one.
pub(super) fn address(text: Option<&str>) -> Result<Option<Address>, Problem> {
    parsed(text, parse::address)
}
