//! Who is connected.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use crate::engine::event::{Answer, Command};
use crate::node::api::error::{Code, Failure};
use crate::node::api::parse;
use crate::node::api::queries;
use crate::node::api::rows::{Peer, PlaceRow};
use crate::node::http::extract::Json;
use crate::node::http::problem::Problem;

/// The connected peers of our network.
#[utoipa::path(get, path = "/peers", tag = "node", responses(
    (status = 200, body = [Peer]), (status = "default", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn list(State(app): State<App>) -> axum::Json<Vec<Peer>> {
    axum::Json(queries::peers(app.handle()))
}

/// Whom to connect to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Connect {
    /// A libp2p multiaddress.
    #[schema(example = "/ip4/127.0.0.1/tcp/7787")]
    address: String,
}

/// Connect to a peer. Answered when it is one of ours, or when it is clear that it will not be.
#[utoipa::path(post, path = "/peers", tag = "node", request_body = Connect, responses(
    (status = 200, body = Peer), (status = "default", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn connect(State(app): State<App>, Json(wanted): Json<Connect>) -> Result<axum::Json<Peer>, Problem> {
    let address =
        parse::multiaddr_argument(&wanted.address).map_err(|problem| Problem::bad("bad_multiaddr", problem))?;
    let connected = app.wait(move |app| {
        let row = app.handle().connect(address);
        Ok(row.map_err(|error| Failure::new(Code::ConnectFailed, error.to_string()))?)
    });
    let row = connected.await?;
    let view = app.handle().view();
    let told = view.peers.iter().find(|told| told.peer == row.peer);
    Ok(axum::Json(Peer::new(&row, told)))
}

/// What came of asking all peers.
#[derive(Serialize, ToSchema)]
pub(super) struct Resolved {
    /// Whether another chain took the place of ours.
    replaced: bool,
    /// How many peers answered.
    answered: usize,
    /// How many were asked.
    asked: usize,
    /// The best block now.
    tip: PlaceRow,
}

/// Ask every peer for its chain now, and adopt the one with the most work.
#[utoipa::path(post, path = "/resolve", tag = "node", responses(
    (status = 200, body = Resolved), (status = "default", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn resolve(State(app): State<App>) -> Result<axum::Json<Resolved>, Problem> {
    match app.ask(Command::Resolve).await? {
        Answer::Resolved { replaced, answered, asked, tip } => {
            Ok(axum::Json(Resolved { replaced, answered, asked, tip: tip.into() }))
        }
        other => unreachable!("{other:?} answers another command"),
    }
}
