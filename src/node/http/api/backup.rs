//! Backups.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::node::api::backup;
use crate::node::api::error::{Code, Failure};
use crate::node::http::problem::Problem;

/// A copy of the chain in the node's own folder.
#[derive(Serialize, ToSchema)]
#[schema(as = StagedBackup)]
pub(super) struct StagedBackup {
    /// Which copy it is: the content of the file `id` in it.
    id: String,
}

/// Copy the chain, in a consistent state, into the folder `backup` of the data folder, in place of an earlier copy.
/// `quipu backup` goes on from there.
#[utoipa::path(post, path = "/backup", tag = "node", responses(
    (status = 200, body = StagedBackup), Problem
))]
pub(super) async fn stage(State(app): State<App>) -> Result<axum::Json<StagedBackup>, Problem> {
    let staged = app.wait(|app| {
        let busy = || Failure::new(Code::Busy, "another backup is being made: try again in a moment");
        let _only = app.0.backup.try_lock().ok_or_else(busy)?;
        Ok(backup::stage(app.handle())?)
    });
    Ok(axum::Json(StagedBackup { id: staged.await? }))
}
