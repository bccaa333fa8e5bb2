//! What was put on the chain.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{App, LIST_ROWS};
use crate::node::api::lookup;
use crate::node::api::parse;
use crate::node::api::query::Since;
use crate::node::api::rows::RecordRow;
use crate::node::http::extract::{self, Query, parsed};
use crate::node::http::fresh;
use crate::node::http::problem::Problem;
use crate::node::index;
use crate::protocol::UnixMillis;
use crate::protocol::record::Tag;

/// Which records, and which part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordsQuery {
    /// With this tag.
    tag: Option<String>,
    /// Signed by this account.
    #[param(pattern = "^0x[0-9a-fA-F]{40}$")]
    from: Option<String>,
    /// In blocks of this time or later: a date (`2026-11-21`, UTC), or a span back from now (`30m`, `12h`, `7d`).
    since: Option<String>,
    /// Whose content, or the file it is about, has this SHA-256 (64 hex digits).
    #[param(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
    /// What the page before has as `next`.
    #[param(pattern = "^[0-9]{1,12}[.][0-9]{1,6}$")]
    before: Option<String>,
    /// Rows, at most 1000.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
}

/// Records, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Records {
    /// The rows.
    records: Vec<RecordRow>,
    /// For the next page; null if there is no more.
    next: Option<String>,
}

impl RecordsQuery {
    fn understood(&self, now: UnixMillis) -> Result<index::Query, Problem> {
        let bad_tag = |error: crate::protocol::record::TagError| Problem::bad("bad_tag", error.to_string());
        let tag = parsed(self.tag.as_deref(), |tag| tag.parse::<Tag>().map_err(bad_tag))?;
        let since = parsed(self.since.as_deref(), parse::since)?.map(|since| match since {
            Since::At(at) => at,
            Since::Ago(span) => UnixMillis(now.0.saturating_sub(span.0)),
        });
        let find = parsed(self.sha256.as_deref(), |text| {
            let mut hash = [0; 32];
            let problem = "sha256 is 64 hex digits, as `sha256sum` prints them";
            hex::decode_to_slice(text, &mut hash).map(|()| hash).map_err(|_| Problem::bad("bad_id", problem))
        })?;
        Ok(index::Query { tag, from: extract::address(self.from.as_deref())?, since, find })
    }
}

/// Records by tag, sender, time and content, the newest first.
#[utoipa::path(get, path = "/records", tag = "records", params(RecordsQuery), responses(
    (status = 200, body = Records), (status = "default", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<RecordsQuery>,
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = query.understood(app.handle().now())?;
    let before = parsed(query.before.as_deref(), parse::cursor)?;
    let limit = parsed(query.limit.as_deref(), parse::limit)?.unwrap_or(LIST_ROWS);
    if query.since.is_some() {
        // What is young enough changes with the clock, too.
        headers.clear();
    }
    fresh::of_tip(&app, &headers, async {
        let page =
            app.wait(move |app| Ok(lookup::index(app.handle())?.view()?.records(&wanted, before, limit)?)).await?;
        let records = page.entries.iter().map(RecordRow::from).collect();
        Ok(axum::Json(Records { records, next: page.next.map(|next| next.to_string()) }))
    })
    .await
}
