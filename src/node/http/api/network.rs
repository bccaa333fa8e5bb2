//! The node itself: status, mining, wallets.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use crate::engine::event::{MINE_COUNT_MAX, MiningMode, Place};
use crate::node::api::queries;
use crate::node::api::rows::{AddressText, AmountText, IdText, Mined, Mining, ModeWord, NodeStatus, WalletRow};
use crate::node::http::extract::{self, Json};
use crate::node::http::problem::Problem;
use crate::protocol::{Address, Amount, Millis, Parameters, Target, UnixMillis};

/// The node's status.
#[utoipa::path(get, path = "/status", tag = "node", responses(
    (status = 200, body = NodeStatus), Problem
))]
pub(super) async fn status(State(app): State<App>) -> axum::Json<NodeStatus> {
    axum::Json(queries::status(app.handle(), app.identity()))
}

/// The node's identity and addresses.
#[derive(Serialize, ToSchema)]
#[schema(as = Node)]
pub(super) struct NodeInfo {
    /// The owner's name for the node.
    name: String,
    /// The node's id among peers.
    peer_id: String,
    /// The network's genesis block.
    #[schema(value_type = IdText)]
    genesis: String,
    /// The multiaddresses on which it listens to peers.
    listen: Vec<String>,
    /// Its software.
    version: &'static str,
}

/// The node's name, its identity towards peers, and where they reach it. Needs no token.
#[utoipa::path(get, path = "/node", tag = "node", security(()), responses(
    (status = 200, body = NodeInfo), Problem
))]
pub(super) async fn node(State(app): State<App>) -> axum::Json<NodeInfo> {
    let (identity, listen) = (app.identity(), app.handle().listen());
    axum::Json(NodeInfo {
        name: identity.name.clone(),
        peer_id: identity.peer_id.to_string(),
        genesis: identity.genesis.to_string(),
        listen: listen.iter().map(ToString::to_string).collect(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The parameters that all nodes of the network share.
#[derive(Serialize, ToSchema)]
#[schema(as = Network)]
pub(super) struct NetworkInfo {
    /// The first block, which names the network.
    #[schema(value_type = IdText)]
    genesis: String,
    #[serde(flatten)]
    #[schema(value_type = ParametersRow)]
    parameters: Parameters,
}

/// The parameters of a network, described field by field. Not closed: `/network` has the genesis block's id beside them.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Parameters)]
pub(super) struct ParametersRow {
    /// The network's name.
    #[schema(example = "lan")]
    name: String,
    /// The genesis block's timestamp, in Unix milliseconds.
    #[schema(value_type = u64)]
    genesis_time: UnixMillis,
    /// The wanted time between blocks, in milliseconds.
    #[schema(value_type = u64, example = 10_000)]
    target_spacing: Millis,
    /// A block that is late by this many milliseconds doubles the next one's target. 0 fixes the difficulty.
    #[schema(value_type = u64, example = 180_000)]
    half_life: Millis,
    /// The milliseconds since its parent from which on a late block gets an easier target itself.
    #[schema(value_type = u64, example = 60_000)]
    grace: Millis,
    /// The easiest target, in compact form.
    #[schema(value_type = u32)]
    easiest_target: Target,
    /// The most milliseconds that a block's timestamp may be ahead of a node's clock.
    #[schema(value_type = u64, example = 60_000)]
    future_time_max: Millis,
    /// The coins that each block creates.
    #[schema(value_type = AmountText)]
    subsidy: Amount,
    /// The least fee of a transaction, in coins.
    #[schema(value_type = AmountText)]
    fee_min: Amount,
    /// The longest block, in bytes.
    #[schema(example = 1_048_576)]
    block_bytes_max: u32,
    /// What accounts own before the first block, in the order of their addresses.
    opening_balances: Vec<OpeningRow>,
    /// The limits of contracts, on a network that has them. No rule uses them yet.
    contracts: Option<ContractsRow>,
}

/// What an account owns before the first block.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OpeningBalance)]
pub(super) struct OpeningRow {
    /// The account's address.
    #[schema(value_type = AddressText)]
    address: Address,
    /// Its coins.
    #[schema(value_type = AmountText)]
    amount: Amount,
}

/// The limits of contracts.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Contracts)]
pub(super) struct ContractsRow {
    /// The most gas that the transactions of a block may use together.
    #[schema(example = 30_000_000)]
    block_gas: u64,
    /// The most gas that one transaction may ask for.
    #[schema(example = 8_000_000)]
    transaction_gas: u64,
    /// The chain id of EIP-155. 0 stands for the one that follows from the genesis block's id.
    chain_id: u64,
}

/// The network's parameters, which all its nodes share.
#[utoipa::path(get, path = "/network", tag = "node", responses(
    (status = 200, body = NetworkInfo), Problem
))]
pub(super) async fn parameters(State(app): State<App>) -> axum::Json<NetworkInfo> {
    let network = app.handle().network();
    axum::Json(NetworkInfo { genesis: network.genesis_id().to_string(), parameters: network.parameters().clone() })
}

/// The node's wallets. Their keys and passwords are never revealed.
#[utoipa::path(get, path = "/wallets", tag = "node", responses(
    (status = 200, body = [WalletRow]), Problem
))]
pub(super) async fn wallets(State(app): State<App>) -> Result<axum::Json<Vec<WalletRow>>, Problem> {
    Ok(axum::Json(app.wait(|app| Ok(queries::wallets(app.handle())?)).await?))
}

/// The miner's mode and hash rate.
#[utoipa::path(get, path = "/mining", tag = "node", responses(
    (status = 200, body = Mining), Problem
))]
pub(super) async fn mining(State(app): State<App>) -> axum::Json<Mining> {
    axum::Json(app.handle().view().mining.into())
}

/// The miner's new mode.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetMining {
    /// `off`, `on`, or `pending`: while transactions wait.
    #[schema(value_type = ModeWord, example = "pending")]
    mode: MiningMode,
    /// The recipient of the rewards; by default the node's own account.
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    to: Option<String>,
}

/// Set when the node mines.
#[utoipa::path(put, path = "/mining", tag = "node", request_body = SetMining, responses(
    (status = 200, body = Mining), Problem
))]
pub(super) async fn set_mining(
    State(app): State<App>,
    Json(wanted): Json<SetMining>,
) -> Result<axum::Json<Mining>, Problem> {
    let to = extract::address(wanted.to.as_deref())?;
    app.handle().set_mining(wanted.mode, to).await?;
    Ok(axum::Json(Mining { mode: wanted.mode, ..app.handle().view().mining.into() }))
}

/// A number of blocks to mine now.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mine {
    /// From 1 to 1,000,000.
    #[schema(minimum = 1, maximum = 1_000_000, example = 1)]
    count: u64,
    /// The recipient of the rewards; by default the node's own account.
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    to: Option<String>,
}

/// Mine some blocks now. Answered when they are durable; a client that leaves before stops it.
#[utoipa::path(post, path = "/mining/blocks", tag = "node", request_body = Mine, responses(
    (status = 200, body = Mined), Problem
))]
pub(super) async fn mine(State(app): State<App>, Json(wanted): Json<Mine>) -> Result<axum::Json<Mined>, Problem> {
    if !(1..=MINE_COUNT_MAX).contains(&wanted.count) {
        return Err(Problem::bad("bad_number", format!("count is from 1 to {MINE_COUNT_MAX}")));
    }
    let to = extract::address(wanted.to.as_deref())?;
    Ok(axum::Json(app.mine(wanted.count, to).await?.into()))
}

/// Stop mining a requested number of blocks. That request is answered with the blocks found so far.
#[utoipa::path(delete, path = "/mining/blocks", tag = "node", responses(
    (status = 200, body = Mining), Problem
))]
pub(super) async fn stop_mining(State(app): State<App>) -> Result<axum::Json<Mining>, Problem> {
    app.handle().cancel_mining().await?;
    Ok(mining(State(app)).await)
}

impl App {
    /// Mines blocks; dropping this before it is done stops it.
    pub(in crate::node::http) async fn mine(&self, count: u64, to: Option<Address>) -> Result<Vec<Place>, Problem> {
        let mut stop = StopMining { app: self, is_over: false };
        let places = self.handle().mine(count, to).await;
        stop.is_over = true;
        Ok(places?)
    }
}

/// Stops mining when its request is dropped.
struct StopMining<'a> {
    app: &'a App,
    is_over: bool,
}

impl Drop for StopMining<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            drop(self.app.handle().cancel_mining());
        }
    }
}
