//! Balances and histories.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{App, ROWS_AT_ONCE};
use crate::node::api::query::Range;
use crate::node::api::rows::{AccountRow, AliasRow, HistoryPage, HistoryRow};
use crate::node::api::{lookup, parse, queries};
use crate::node::http::extract::{self, Path, Query, parsed};
use crate::node::http::form::Form;
use crate::node::http::fresh;
use crate::node::http::problem::Problem;
use crate::node::http::table;

/// An account. An unknown one has no coins.
#[utoipa::path(get, path = "/accounts/{address}", tag = "accounts", params(
    ("address" = String, Path, pattern = "^0x[0-9a-fA-F]{40}$", description = "`0x` and 40 hex digits")
), responses(
    (status = 200, body = AccountRow), Problem
))]
pub(super) async fn account(
    State(app): State<App>,
    Path(address): Path<String>,
) -> Result<axum::Json<AccountRow>, Problem> {
    let address = parse::address(&address)?;
    let state = app.handle().account(address).await?;
    Ok(axum::Json(queries::account(app.handle(), address, &state)))
}

/// The node's names for accounts.
#[utoipa::path(get, path = "/aliases", tag = "accounts", responses(
    (status = 200, body = [AliasRow]), Problem
))]
pub(super) async fn aliases(State(app): State<App>) -> axum::Json<Vec<AliasRow>> {
    axum::Json(queries::aliases(app.handle()))
}

/// A part of a history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// The `next` of the page before.
    #[param(pattern = "^[0-9]{1,12}[.][0-9]{1,6}$")]
    before: Option<String>,
    /// In blocks of this time or later: a date (`2026-11-21`, UTC), or a span back from now (`30m`, `12h`, `7d`).
    #[param(example = "7d")]
    since: Option<String>,
    /// In blocks before this time, written like `since`.
    #[param(example = "1h")]
    until: Option<String>,
    /// Rows, at most 1000.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// `csv` and `ndjson` give the whole list, or its first `limit` rows. Without it, `Accept` chooses (`text/csv`,
    /// `application/x-ndjson`).
    #[param(inline)]
    #[expect(dead_code, reason = "the guard has read it")]
    format: Option<Form>,
}

/// The history of an account, the newest first.
#[utoipa::path(get, path = "/accounts/{address}/history", tag = "accounts", params(
    ("address" = String, Path, pattern = "^0x[0-9a-fA-F]{40}$", description = "`0x` and 40 hex digits"), HistoryQuery
), responses(
    (status = 200, content((HistoryPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))), Problem
))]
pub(super) async fn history(
    State(app): State<App>,
    Path(address): Path<String>,
    Query(query): Query<HistoryQuery>,
    form: Form,
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    let address = parse::address(&address)?;
    let range = Range {
        before: parsed(query.before.as_deref(), parse::cursor)?,
        limit: parsed(query.limit.as_deref(), parse::limit)?,
    };
    let period = extract::period(query.since.as_deref(), query.until.as_deref(), app.handle().now())?;
    if form != Form::Json {
        let view = app.wait(|app| Ok(lookup::index(app.handle())?.view()?)).await?;
        let mut next = Some(range.before);
        return table::whole(&app, form, range.limit, move || {
            let Some(before) = next else { return Ok(None) };
            let page = view.history(&address, period, before, ROWS_AT_ONCE)?;
            next = page.next.map(Some);
            Ok(Some(page.entries.iter().map(HistoryRow::from).collect()))
        });
    }
    if query.since.is_some() || query.until.is_some() {
        // A span back from now moves with the clock.
        headers.clear();
    }
    fresh::of_tip(&app, &headers, async {
        app.make_json(move |app| Ok(queries::history_in(app.handle(), address, period, &range)?)).await
    })
    .await
    .map(table::page)
}
