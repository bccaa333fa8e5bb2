//! The form of a list: a page of JSON, or the whole list as CSV or NDJSON.
//!
//! The guard decides on it once, since a whole list costs more than a page; handlers take what it has found.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;

/// The form of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// A page.
    #[default]
    Json,
    /// All of it, a row on each line (RFC 4180), with a header.
    Csv,
    /// All of it, a JSON object on each line.
    Ndjson,
}

/// The parameter of that name.
#[derive(Deserialize)]
struct FormQuery {
    format: Option<Form>,
}

impl Form {
    /// As `format` says, else as `Accept` prefers it, else JSON. A `format` that is none is the handler's business.
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let query = axum::extract::Query::<FormQuery>::try_from_uri(uri);
        let said = query.ok().and_then(|query| query.format);
        said.unwrap_or_else(|| Self::accepted(headers))
    }

    /// The best of those that `Accept` names (RFC 9110, section 12.5.1). The first of equals.
    fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best = (0.0, Self::Json);
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "text/csv" => Self::Csv,
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Ndjson,
                "application/json" | "application/*" | "*/*" => Self::Json,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
            let quality = quality.unwrap_or_default();
            if quality > best.0 {
                best = (quality, form);
            }
        }
        best.1
    }
}

impl FromRequestParts<App> for Form {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_comes_before_accept() {
        use Form::{Csv, Json, Ndjson};
        let cases = [
            ("/x", "", Json),
            ("/x?format=csv", "", Csv),
            ("/x?a=b&%66ormat=%63sv", "application/json", Csv),
            ("/x?format=json", "text/csv", Json),
            ("/x?format=xml", "", Json),
            ("/x", "text/csv", Csv),
            ("/x", "Text/CSV; header=present", Csv),
            ("/x", "*/*", Json),
            ("/x", "text/html,application/xhtml+xml,*/*;q=0.8", Json),
            ("/x", "application/json;q=0.5, application/x-ndjson", Ndjson),
            ("/x", "application/json, text/csv", Json),
            ("/x", "text/csv;q=0, application/ndjson;q=0.1", Ndjson),
            ("/x", "text/csv;q=nan", Json),
        ];
        for (uri, accept, wanted) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().expect("visible"));
            assert_eq!(Form::of(&uri.parse().expect("a path"), &headers), wanted, "{uri} {accept}");
        }
    }
}
