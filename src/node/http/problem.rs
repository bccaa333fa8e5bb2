//! Errors as problem documents (RFC 9457), with the prompt's stable codes.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema, openapi};

use crate::engine::event::CommandError;
use crate::node::api::error::{Code, Failure};
use crate::node::api::receipt::MakeError;
use crate::node::index::IndexError;
use crate::node::store::StoreError;
use crate::node::wallet::WalletError;
use crate::node::watch::WatchError;
use crate::protocol::record::RecordError;
use crate::text::excerpt;

/// The media type of a problem document.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
/// The time after which a busy node may be asked again, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// The reason why a request was refused or failed (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `urn:quipu:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:quipu:not_found")]
    kind: String,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The status of the response.
    #[schema(example = 404)]
    status: u16,
    /// The mistake and its remedy, in one line for people. May change.
    detail: String,
    /// A stable word for programs.
    #[schema(example = "not_found")]
    code: &'static str,
}

/// In descriptions of routes: the answer with any other status.
impl IntoResponses for Problem {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description("The request was refused, or it failed; `code` says why")
            .content(PROBLEM_JSON, content)
            .build();
        BTreeMap::from([("default".to_owned(), RefOr::T(response))])
    }
}

impl Problem {
    /// With the prompt's code, or one of this server's own.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: format!("urn:quipu:{code}"), title, status: status.as_u16(), detail: detail.into(), code }
    }

    /// An error that must not happen, and that is in the log.
    pub(super) fn fault() -> Self {
        let detail = "a fault in quipu itself: please report it with the node's last lines on stderr";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", detail)
    }

    /// A wrong argument.
    pub(super) fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(super) fn into_detail(self) -> String {
        self.detail
    }

    /// The same of a part of what was given.
    pub(super) fn within(self, part: &str) -> Self {
        Self { detail: format!("{part}: {}", self.detail), ..self }
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).expect("strings and numbers always serialise");
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"quipu\""));
            }
            _ => {}
        }
        response
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let status = match failure.code {
            Code::NotFound | Code::NoSuchHeight => StatusCode::NOT_FOUND,
            Code::Busy
            | Code::WrongNonce
            | Code::SentAgain
            | Code::NotLost
            | Code::NameTaken
            | Code::FileExists
            | Code::Cancelled => StatusCode::CONFLICT,
            Code::WalletLocked => StatusCode::LOCKED,
            Code::InsufficientBalance | Code::InvalidTransaction | Code::BlockRefused | Code::ConnectFailed => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Code::PoolFull | Code::Closing => StatusCode::SERVICE_UNAVAILABLE,
            Code::StoreUnreadable | Code::FileUnreadable | Code::WriteFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Of(word) => status_of(word),
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, failure.code.as_str(), failure.message)
    }
}

/// For codes of other parts of the node.
fn status_of(word: &str) -> StatusCode {
    match word {
        "index_off" | "index_behind" | "index_damaged" | "index_unusable" => StatusCode::SERVICE_UNAVAILABLE,
        "wallet_locked" => StatusCode::LOCKED,
        "wallet_not_found" => StatusCode::NOT_FOUND,
        "bad_id" => StatusCode::BAD_REQUEST,
        word if word.starts_with("store_") || word.starts_with("wallet_") => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

macro_rules! by_failure {
    ($($error:ty),*) => {$(
        impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                Failure::from(error).into()
            }
        }
    )*};
}

by_failure!(CommandError, IndexError, MakeError, StoreError, WalletError, WatchError, RecordError);

/// For unknown paths.
pub(super) async fn no_such_route(uri: Uri) -> Problem {
    let detail = format!("nothing is at {}: /api/openapi.json lists what there is", excerpt(uri.path()));
    Problem::new(StatusCode::NOT_FOUND, "no_such_route", detail)
}

/// For methods that a path does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}: /api/openapi.json says what it takes", excerpt(uri.path()));
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_prompts_and_statuses_fit() {
        let cases = [
            (Failure::new(Code::NotFound, "x"), 404, "not_found"),
            (Failure::new(Code::BadAddress, "x"), 400, "bad_address"),
            (CommandError::PoolFull { least_fee: None }.into(), 503, "pool_full"),
            (IndexError::Off.into(), 503, "index_off"),
        ];
        for (failure, status, code) in cases {
            let problem = Problem::from(failure);
            assert_eq!((problem.status, problem.code), (status, code));
            assert_eq!(problem.kind, format!("urn:quipu:{code}"));
        }
    }
}
