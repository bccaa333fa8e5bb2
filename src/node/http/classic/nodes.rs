//! Other nodes: registering them, and asking them for their chains.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, Uri, header};
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use libp2p::Multiaddr;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::chain;
use crate::node::api::peer_address::peer_address;
use crate::node::api::queries;
use crate::node::http::App;
use crate::node::http::api::NODE_PATH;
use crate::node::http::extract;
use crate::node::http::problem::Problem;
use crate::text::excerpt;

/// Nodes that one request may name.
const NODES_MAX: usize = 64;
/// The longest status of another node, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Time for another node to send it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses of another node that are tried.
const ADDRESSES_TRIED: usize = 8;

#[derive(Deserialize)]
pub(super) struct Nodes {
    nodes: Option<Vec<String>>,
}

/// `POST /nodes/register`: connects to each of them.
pub(super) async fn register(
    State(app): State<App>,
    extract::Json(given): extract::Json<Nodes>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Some(nodes) = given.nodes.filter(|nodes| !nodes.is_empty() && nodes.len() <= NODES_MAX) else {
        let detail = format!("Error: Please supply a valid list of nodes: 1 to {NODES_MAX} in `nodes`");
        return Err(Problem::bad("missing_values", detail));
    };
    for node in &nodes {
        app.meet(node).await?;
    }
    Ok((StatusCode::CREATED, Json(json!({"message": "New nodes have been added", "total_nodes": app.nodes()}))))
}

#[derive(Deserialize)]
pub(super) struct NodeAddress {
    node_address: Option<String>,
}

/// `POST /register_with`: connects to one node, and adopts its chain if that has more work.
pub(super) async fn register_with(
    State(app): State<App>,
    extract::Json(given): extract::Json<NodeAddress>,
) -> Result<Json<Value>, Problem> {
    let Some(node) = given.node_address.filter(|node| !node.is_empty()) else {
        return Err(Problem::bad("missing_values", "Missing values: node_address"));
    };
    app.meet(&node).await?;
    app.handle().resolve().await?;
    Ok(Json(json!({"message": "Registration successful", "total_nodes": app.nodes()})))
}

/// `/nodes/resolve`: asks all peers, and returns the chain that results.
pub(super) async fn resolve(State(app): State<App>) -> Result<Response, Problem> {
    let resolution = app.handle().resolve().await?;
    let (message, list) = if resolution.replaced {
        ("Our chain was replaced", "new_chain")
    } else {
        ("Our chain is authoritative", "chain")
    };
    chain::document(&app, chain::with_message(message, list)).await
}

impl App {
    /// The addresses of all connected peers.
    fn nodes(&self) -> Vec<String> {
        queries::peers(self.handle()).into_iter().map(|peer| format!("{}/p2p/{}", peer.address, peer.peer_id)).collect()
    }

    /// Connects to a node by its multiaddress or by the address of its HTTP server.
    async fn meet(&self, node: &str) -> Result<(), Problem> {
        let addresses = match http_address(node) {
            Some(uri) => ask_for_addresses(node, &uri).await?,
            None => vec![peer_address(node).map_err(|problem| {
                Problem::bad("bad_multiaddr", format!("{}: {problem}, or like http://192.168.1.5:7788", excerpt(node)))
            })?],
        };
        let mut last = format!("{}: it listens nowhere", excerpt(node));
        for address in addresses.into_iter().take(ADDRESSES_TRIED) {
            match self.wait(move |app| Ok(app.handle().connect(address))).await? {
                Ok(_) => return Ok(()),
                Err(error) => last = format!("{}: {error}", excerpt(node)),
            }
        }
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "connect_failed", last))
    }
}

/// The address of an HTTP server: `http://host:port`, or without the scheme, as tutorials write it.
fn http_address(node: &str) -> Option<Uri> {
    let has_scheme = node.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let uri: Uri = if has_scheme { node.parse() } else { format!("http://{node}").parse() }.ok()?;
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    let is_bare = !node.contains("://") && !node.starts_with('/') && uri.port_u16().is_some();
    (has_host && (has_scheme || is_bare)).then_some(uri)
}

/// The multiaddresses of the node behind an HTTP address: those on the machine of that address first.
async fn ask_for_addresses(node: &str, uri: &Uri) -> Result<Vec<Multiaddr>, Problem> {
    let failed = |problem: String| {
        let detail = format!("{}: {problem}; name it by its multiaddress instead", excerpt(node));
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "connect_failed", detail)
    };
    let asked = timeout(ANSWER_TIMEOUT, fetch(uri)).await.map_err(|_| failed("it does not answer".to_owned()))?;
    let (address, body) = asked.map_err(failed)?;
    let answer: Value = serde_json::from_slice(&body).map_err(|_| failed("that is no node of this kind".to_owned()))?;
    let listen = answer["listen"].as_array().ok_or_else(|| failed("that is no node of this kind".to_owned()))?;
    let mut found: Vec<Multiaddr> = listen.iter().filter_map(|one| one.as_str()?.parse().ok()).collect();
    let here = format!("/{}/", address.ip());
    found.sort_by_key(|one| !one.to_string().contains(&here));
    Ok(found)
}

async fn fetch(uri: &Uri) -> Result<(SocketAddr, Vec<u8>), String> {
    let host = uri.host().ok_or("it has no host")?.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(80);
    let mut found = lookup_host((host, port)).await.map_err(|error| error.to_string())?;
    let address = found.next().ok_or("its name has no address")?;
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // It ends with the request: the sender is dropped.
    tokio::spawn(connection);
    let request = Request::get(NODE_PATH).header(header::HOST, address.to_string()).body(Body::empty());
    let request = request.map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("it says {}", response.status()));
    }
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok((address, body.map_err(|error| error.to_string())?.to_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers_are_taken_with_and_without_a_scheme() {
        let found = |node: &str| http_address(node).map(|uri| uri.to_string());
        for (node, uri) in [
            ("127.0.0.1:5000", "http://127.0.0.1:5000/"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000/"),
            ("HTTP://lab1:5000/", "http://lab1:5000/"),
            ("lab1.local:7788/", "http://lab1.local:7788/"),
            ("[::1]:5000", "http://[::1]:5000/"),
        ] {
            assert_eq!(found(node).as_deref(), Some(uri), "{node}");
        }
        for node in ["nonsense", "/ip4/127.0.0.1/tcp/7787", "https://lab1:5000", "lab1", "", ":5000", "a b:1"] {
            assert_eq!(found(node), None, "{node}");
        }
    }
}
