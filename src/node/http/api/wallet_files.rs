//! Where the wallets' files are: for the node's own user alone, and for whoever has the token.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::node::http::problem::Problem;

/// The path of this route, which the guard keeps.
pub(in crate::node::http) const PATH: &str = "/api/v1/wallets/files";

/// The file of a wallet.
#[derive(Serialize, ToSchema)]
pub(super) struct WalletFilePath {
    /// The wallet's name.
    name: String,
    /// Its file on the node's machine. Bytes that are no UTF-8 are replaced.
    file: String,
}

/// The files of the node's wallets. Needs the token of everybody but the node's own user, and is not there with
/// `--http-read-only`.
#[utoipa::path(get, path = "/wallets/files", tag = "node", operation_id = "wallet_files", responses(
    (status = 200, body = [WalletFilePath]), Problem
))]
pub(super) async fn files(State(app): State<App>) -> Result<axum::Json<Vec<WalletFilePath>>, Problem> {
    let files = app.wait(|app| Ok(app.handle().wallets().files()?)).await?;
    let row = |(name, file): (String, std::path::PathBuf)| WalletFilePath { name, file: file.display().to_string() };
    Ok(axum::Json(files.into_iter().map(row).collect()))
}
