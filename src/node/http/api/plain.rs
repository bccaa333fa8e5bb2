//! One value, and nothing around it: for scripts.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::App;
use crate::node::api::error::{Code, Failure};
use crate::node::api::{lookup, parse};
use crate::node::http::extract::Path;
use crate::node::http::fresh;
use crate::node::http::problem::Problem;
use crate::protocol::encode::encode;

/// The media type of a value in words.
const PLAIN: &str = "text/plain; charset=utf-8";

/// The height of the best block.
#[utoipa::path(get, path = "/tip/height", tag = "chain", responses(
    (status = 200, body = String, content_type = "text/plain", example = "120"), Problem
))]
pub(super) async fn tip_height(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    fresh::of_tip(&app, &headers, async { Ok(value(app.handle().view().tip.height.to_string())) }).await
}

/// The id of the best block.
#[utoipa::path(get, path = "/tip/id", tag = "chain", responses(
    (status = 200, body = String, content_type = "text/plain"), Problem
))]
pub(super) async fn tip_id(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    fresh::of_tip(&app, &headers, async { Ok(value(app.handle().view().tip.id.to_string())) }).await
}

/// A transaction with its signature as peers send it: the encoding of the specification.
#[utoipa::path(get, path = "/transactions/{id}/encoded", tag = "transactions", params(
    ("id" = String, Path, pattern = "^[0-9a-f]{8,64}$", description = "64 hex digits, or at least the 8 that are shown")
), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"), Problem
))]
pub(super) async fn encoded_transaction(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], encoded(&app, &id).await?).into_response())
}

/// The same in hex, as `POST /transactions` takes it.
#[utoipa::path(get, path = "/transactions/{id}/hex", tag = "transactions", params(
    ("id" = String, Path, pattern = "^[0-9a-f]{8,64}$", description = "64 hex digits, or at least the 8 that are shown")
), responses(
    (status = 200, body = String, content_type = "text/plain"), Problem
))]
pub(super) async fn hex_transaction(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(value(hex::encode(encoded(&app, &id).await?)))
}

fn value(text: String) -> Response {
    ([(header::CONTENT_TYPE, PLAIN)], text).into_response()
}

async fn encoded(app: &App, id: &str) -> Result<Vec<u8>, Problem> {
    let name = parse::transaction_name(id)?;
    app.wait(move |app| {
        let id = lookup::transaction(app.handle(), &name)?;
        let signed = lookup::signed(app.handle(), &id)?.ok_or_else(|| {
            let none =
                format!("this node knows no transaction {id}; a reward is in its block alone, nobody has signed it");
            Failure::new(Code::NotFound, none)
        })?;
        Ok(encode(&signed))
    })
    .await
}
