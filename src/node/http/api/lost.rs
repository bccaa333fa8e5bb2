//! Transactions that can no longer be mined, and their content signed once more.

use axum::extract::State;
use axum::http::StatusCode;

use super::App;
use crate::node::api::rows::{LostRow, Sent};
use crate::node::api::{again, parse};
use crate::node::http::extract::Path;
use crate::node::http::problem::Problem;

/// The transactions of this node's wallets that were acknowledged and can no longer be mined, the newest first: those of
/// which it was told since it started.
#[utoipa::path(get, path = "/lost", tag = "transactions", operation_id = "lost", responses(
    (status = 200, body = [LostRow]), Problem
))]
pub(super) async fn list(State(app): State<App>) -> axum::Json<Vec<LostRow>> {
    axum::Json(again::lost(app.handle()))
}

/// Sign the content of a lost transaction once more, byte for byte, with its account's next nonce and the least fee that
/// gets in. Answered when it is durable. It works once for each.
#[utoipa::path(post, path = "/lost/{id}/again", tag = "transactions", operation_id = "again", params(
    ("id" = String, Path, pattern = "^[0-9a-f]{8,64}$", description = "64 hex digits, or at least the 8 that are shown")
), responses(
    (status = 201, body = Sent),
    (status = 409, body = Problem, content_type = "application/problem+json",
        description = "`sent_again`: it was sent again already; `not_lost`: it waits, or is in a block; `wrong_nonce`: earlier \
            ones of its account must be sent first; `busy`: it is being sent again"),
    (status = 423, body = Problem, content_type = "application/problem+json", description = "`wallet_locked`"),
    Problem
))]
pub(super) async fn again(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<Sent>), Problem> {
    let name = parse::transaction_name(&id)?;
    let sent = app.wait(move |app| Ok(again::again(app.handle(), &name)?)).await?;
    Ok((StatusCode::CREATED, axum::Json(sent)))
}
