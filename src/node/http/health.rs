//! `/healthz` and `/readyz`: for a supervisor that restarts a dead node, or a load balancer that avoids one that is
//! behind.
//!
//! Open to everybody: they reveal no more than peers see.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use super::App;
use super::problem::Problem;
use crate::engine::view::SyncView;

/// A node that lacks more blocks of a better chain than this is not ready: its answers would be stale.
const BLOCKS_BEHIND_MAX: u64 = 6;

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// The process lives.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The node is synchronised, and its store and index can be read.
async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    let view = app.handle().view();
    up_to_date(view.syncing.filter(|_| view.is_fetching))?;
    app.wait(|app| {
        let handle = app.handle();
        handle.reader().snapshot().map_err(|error| not_ready(error.code(), error.to_string()))?;
        // A node without an index is ready too, if the user wants none.
        let Some(index) = handle.index() else { return Ok(()) };
        index.check(BLOCKS_BEHIND_MAX).map_err(|error| not_ready(error.code(), error.to_string()))
    })
    .await?;
    Ok("ok\n")
}

/// `fetched` is the progress of a chain whose blocks keep coming: one that a peer promises and does not deliver makes no
/// node unready.
fn up_to_date(fetched: Option<SyncView>) -> Result<(), Problem> {
    match fetched {
        Some(SyncView { height, target }) if target.0.saturating_sub(height.0) > BLOCKS_BEHIND_MAX => {
            Err(not_ready("syncing", format!("fetching the chain, block {height} of {target}: try again in a moment")))
        }
        _ => Ok(()),
    }
}

fn not_ready(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Height;

    #[test]
    fn a_few_blocks_behind_is_ready() {
        let at = |height, target| Some(SyncView { height: Height(height), target: Height(target) });
        let cases = [
            (None, None),
            (at(10, 10 + BLOCKS_BEHIND_MAX), None),
            (at(10, 11 + BLOCKS_BEHIND_MAX), Some("syncing")),
            (at(10, 3), None),
        ];
        for (fetched, wanted) in cases {
            assert_eq!(up_to_date(fetched).err().map(|problem| problem.code()), wanted, "{fetched:?}");
        }
    }
}
