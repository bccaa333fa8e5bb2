//! Records.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{App, ROWS_AT_ONCE};
use crate::node::api::error::Code;
use crate::node::api::query::Range;
use crate::node::api::rows::RecordPage;
use crate::node::api::{lookup, parse, queries};
use crate::node::http::extract::{self, Query, parsed};
use crate::node::http::form::Form;
use crate::node::http::fresh;
use crate::node::http::problem::Problem;
use crate::node::http::table::{self, RecordLine};
use crate::node::index::{self, Period};
use crate::protocol::UnixMillis;

/// A filter for records, and a part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordsQuery {
    /// With this tag.
    #[param(example = "delivery")]
    tag: Option<String>,
    /// Signed by this account.
    #[param(pattern = "^0x[0-9a-fA-F]{40}$", example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    from: Option<String>,
    /// In blocks of this time or later: a date (`2026-11-21`, UTC), or a span back from now (`30m`, `12h`, `7d`).
    #[param(example = "7d")]
    since: Option<String>,
    /// In blocks before this time, written like `since`.
    #[param(example = "1h")]
    until: Option<String>,
    /// With this in their text, in their file's name or in a tag. Case does not count. A page has what 2,000 records have of
    /// it, so it may have fewer rows than requested, even none, before the last one.
    #[param(example = "pallet", min_length = 1, max_length = 256)]
    text: Option<String>,
    /// Content, or the file it is about, with this SHA-256 (64 hex digits).
    #[param(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
    /// The `next` of the page before.
    #[param(pattern = "^[0-9]{1,12}[.][0-9]{1,6}$")]
    before: Option<String>,
    /// Rows, at most 1000.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// `csv` and `ndjson` give the whole list, or its first `limit` rows. Without it, `Accept` chooses (`text/csv`,
    /// `application/x-ndjson`).
    #[param(inline)]
    #[expect(dead_code, reason = "the guard has read it")]
    format: Option<Form>,
}

impl RecordsQuery {
    /// The filter, with a span back from `now`.
    fn filter(&self, now: UnixMillis) -> Result<index::RecordQuery, Problem> {
        let Period { since, until } = extract::period(self.since.as_deref(), self.until.as_deref(), now)?;
        let find = parsed(self.sha256.as_deref(), |text| parse::sha256(text, Code::BadId))?;
        let tag = parsed(self.tag.as_deref(), parse::tag)?;
        let (from, text) = (extract::address(self.from.as_deref())?, extract::wanted(self.text.as_deref())?);
        Ok(index::RecordQuery { tag, from, since, until, find, text })
    }
}

/// Records by tag, sender, time, text and content, the newest first.
#[utoipa::path(get, operation_id = "records", path = "/records", tag = "records", params(RecordsQuery), responses(
    (status = 200, content((RecordPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))), Problem
))]
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<RecordsQuery>,
    form: Form,
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = query.filter(app.handle().now())?;
    let range = Range {
        before: parsed(query.before.as_deref(), parse::cursor)?,
        limit: parsed(query.limit.as_deref(), parse::limit)?,
    };
    if form != Form::Json {
        let view = app.wait(|app| Ok(lookup::index(app.handle())?.view()?)).await?;
        let mut next = Some(range.before);
        return table::whole(&app, form, range.limit, move || {
            let Some(before) = next else { return Ok(None) };
            let page = view.records(&filter, before, ROWS_AT_ONCE)?;
            next = page.next.map(Some);
            Ok(Some(page.entries.iter().map(RecordLine::from).collect()))
        });
    }
    if query.since.is_some() || query.until.is_some() {
        // A span back from now moves with the clock.
        headers.clear();
    }
    fresh::of_tip(&app, &headers, async {
        app.make_json(move |app| Ok(queries::records(app.handle(), &filter, &range)?)).await
    })
    .await
    .map(table::page)
}
