//! The search.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use crate::node::api::rows::SearchPage;
use crate::node::api::search;
use crate::node::http::extract::{Query, WANTED_BYTES_MAX};
use crate::node::http::problem::Problem;

/// What to look for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchQuery {
    /// A height; an id or an address, whole or its beginning, 4 digits at least; a name; a tag; or a part of a record's
    /// text. Case does not count.
    #[serde(default)]
    #[param(max_length = 256)]
    q: String,
}

/// Everything that a text names: blocks, transactions, accounts, tags, and the newest records that say it.
#[utoipa::path(get, path = "/search", tag = "records", params(SearchQuery), responses(
    (status = 200, body = SearchPage), Problem
))]
pub(super) async fn search(State(app): State<App>, Query(query): Query<SearchQuery>) -> Result<Response, Problem> {
    if query.q.len() > WANTED_BYTES_MAX {
        return Err(Problem::bad("bad_search", format!("a search is for at most {WANTED_BYTES_MAX} bytes of text")));
    }
    // A client that leaves drops this future.
    let left = Left(Arc::default());
    let has_left = Arc::clone(&left.0);
    app.make_json(move |app| Ok(search::search(app.handle(), &query.q, || has_left.load(Ordering::Relaxed))?)).await
}

/// Tells that nobody waits any more when it is dropped.
struct Left(Arc<AtomicBool>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
