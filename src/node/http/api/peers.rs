//! Peers.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use crate::node::api::rows::{Peer, Resolved};
use crate::node::api::{parse, queries};
use crate::node::http::extract::Json;
use crate::node::http::problem::Problem;

/// The connected peers of our network.
#[utoipa::path(get, operation_id = "peers", path = "/peers", tag = "node", responses(
    (status = 200, body = [Peer]), Problem
))]
pub(super) async fn list(State(app): State<App>) -> axum::Json<Vec<Peer>> {
    axum::Json(queries::peers(app.handle()))
}

/// A peer to connect to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Connect {
    /// A libp2p multiaddress.
    #[schema(example = "/ip4/127.0.0.1/tcp/7787")]
    address: String,
}

/// Connect to a peer. Answered when it is one of ours, or when it is clear that it will not be.
#[utoipa::path(post, path = "/peers", tag = "node", request_body = Connect, responses(
    (status = 200, body = Peer), Problem
))]
pub(super) async fn connect(State(app): State<App>, Json(wanted): Json<Connect>) -> Result<axum::Json<Peer>, Problem> {
    let address = parse::multiaddr(&wanted.address)?;
    let connected = app.wait(move |app| Ok(queries::connect(app.handle(), &address)?));
    Ok(axum::Json(connected.await?))
}

/// Ask every peer for its chain now, and adopt the one with the most work.
#[utoipa::path(post, path = "/resolve", tag = "node", responses(
    (status = 200, body = Resolved), Problem
))]
pub(super) async fn resolve(State(app): State<App>) -> Result<axum::Json<Resolved>, Problem> {
    Ok(axum::Json(app.handle().resolve().await?.into()))
}
