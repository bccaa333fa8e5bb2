//! Balances and histories.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{App, LIST_ROWS};
use crate::engine::event::{Answer, Command};
use crate::node::api::lookup;
use crate::node::api::parse;
use crate::node::api::rows::{AliasRow, HistoryRow};
use crate::node::http::extract::{Path, Query, parsed};
use crate::node::http::fresh;
use crate::node::http::problem::Problem;

/// An account as of the best block.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountRow {
    /// Which.
    address: String,
    /// Its coins.
    balance: String,
    /// Its coins if everything pending were mined, what it receives from others left out.
    spendable: String,
    /// How many of its transactions are on the chain.
    nonce: u64,
    /// How many of its transactions wait. The next one has the nonce `nonce + pending`.
    pending: u64,
    /// Its name at this node, if it has one.
    alias: Option<String>,
}

/// An account. One that nothing has happened to has no coins.
#[utoipa::path(get, path = "/accounts/{address}", tag = "accounts", params(
    ("address" = String, Path, pattern = "^0x[0-9a-fA-F]{40}$", description = "`0x` and 40 hex digits")
), responses(
    (status = 200, body = AccountRow), (status = "default", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn account(
    State(app): State<App>,
    Path(address): Path<String>,
) -> Result<axum::Json<AccountRow>, Problem> {
    let address = parse::address(&address)?;
    let Answer::Account { account, spendable, pending } = app.ask(Command::Account { address }).await? else {
        unreachable!("the engine gives the answer that belongs to the command")
    };
    let aliases = app.handle().aliases().list();
    let alias = aliases.into_iter().find(|(_, owner)| *owner == address).map(|(name, _)| name);
    Ok(axum::Json(AccountRow {
        address: address.to_string(),
        balance: account.balance.to_string(),
        spendable: spendable.to_string(),
        nonce: account.nonce,
        pending,
        alias,
    }))
}

/// The names that this node knows accounts by.
#[utoipa::path(get, path = "/aliases", tag = "accounts", responses(
    (status = 200, body = [AliasRow]), (status = "default", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn aliases(State(app): State<App>) -> axum::Json<Vec<AliasRow>> {
    let named = app.handle().aliases().list().into_iter();
    axum::Json(named.map(|(name, address)| AliasRow { name, address }).collect())
}

/// Which part of a history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// What the page before has as `next`.
    #[param(pattern = "^[0-9]{1,12}[.][0-9]{1,6}$")]
    before: Option<String>,
    /// Rows, at most 1000.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
}

/// What an account did, and what happened to it, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct History {
    /// Whose.
    address: String,
    /// The rows.
    entries: Vec<HistoryRow>,
    /// For the next page; null if there is no more.
    next: Option<String>,
}

/// The history of an account, the newest first.
#[utoipa::path(get, path = "/accounts/{address}/history", tag = "accounts", params(
    ("address" = String, Path, pattern = "^0x[0-9a-fA-F]{40}$", description = "`0x` and 40 hex digits"), HistoryQuery
), responses(
    (status = 200, body = History), (status = "default", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn history(
    State(app): State<App>,
    Path(address): Path<String>,
    Query(query): Query<HistoryQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let address = parse::address(&address)?;
    let before = parsed(query.before.as_deref(), parse::cursor)?;
    let limit = parsed(query.limit.as_deref(), parse::limit)?.unwrap_or(LIST_ROWS);
    fresh::of_tip(&app, &headers, async {
        let page =
            app.wait(move |app| Ok(lookup::index(app.handle())?.view()?.history(&address, before, limit)?)).await?;
        let entries = page.entries.iter().map(HistoryRow::from).collect();
        let next = page.next.map(|next| next.to_string());
        Ok(axum::Json(History { address: address.to_string(), entries, next }))
    })
    .await
}
