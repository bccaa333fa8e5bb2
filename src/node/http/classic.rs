//! The routes of tutorials about small blockchains, at the root, with the JSON that they show.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /chain[?from=&limit=]` | `{chain: [block], length}`, streamed: all blocks, or so many from a height on |
//! | `GET /mine[?miner_address=0x…]` | `{message, index, transactions, proof, previous_hash}` when a block is found |
//! | `POST /transactions/new` | `{sender, recipient, amount}` is signed by one of the node's unlocked wallets: `{message, id}` |
//! | `GET /pending_tx[?from=&limit=]` | `[transaction]`: the first 1000 that would be mined, or 2 MiB of them; `from` counts from 0 |
//! | `POST /nodes/register`, `/miner/register` | `{nodes: [multiaddr, http://host:port or host:port]}`: `{message, total_nodes}` |
//! | `POST /register_with` | `{node_address}`: the same for one node, then its chain is requested |
//! | `GET`, `POST /nodes/resolve`, `/miner/nodes/resolve` | `{message, new_chain or chain}` |
//! | `POST /add_block` | a block as `/chain` shows it: `{message}` |
//! | `GET /save` | `{message, file, blocks, bytes}`: the chain is written to `chain.json` in the data folder |
//!
//! Blocks and transactions have all the fields that the tutorials show, and those that are needed to make the block
//! again: see [`block`]. The differences: the chain's first block has the index 0, amounts may have eight decimals, and
//! sending from an account takes its key. Errors are problem documents like everywhere.

mod block;
mod chain;
mod nodes;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::block::{BlockJson, TransactionJson};
use super::App;
use super::api::PAGE_BYTES_MAX;
use super::exact::Coins;
use super::extract::{self, Query, parsed};
use super::problem::Problem;
use crate::engine::event::CommandError;
use crate::node::api::error::{Code, Failure};
use crate::node::api::parse::{self, LIMIT_MAX};
use crate::node::api::queries::{self, PendingRange};
use crate::node::api::rows::Saved;
use crate::node::api::{export, lookup};
use crate::protocol::check::check_block;
use crate::protocol::{Action, Address};

/// A block in JSON is several times as long as encoded, in bytes.
const BLOCK_JSON_BYTES_MAX: usize = 8 << 20;
/// The answer to a block that is on the best chain.
const ADDED: &str = "Block added to the chain";
/// The file that `/save` writes, in the data folder.
const SAVE_FILE: &str = "chain.json";

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/chain", get(chain::chain))
        .route("/mine", get(mine))
        .route("/transactions/new", post(new_transaction))
        .route("/pending_tx", get(pending))
        .route("/nodes/register", post(nodes::register))
        .route("/miner/register", post(nodes::register))
        .route("/register_with", post(nodes::register_with))
        .route("/nodes/resolve", get(nodes::resolve).post(nodes::resolve))
        .route("/miner/nodes/resolve", get(nodes::resolve).post(nodes::resolve))
        .route("/add_block", post(add_block).layer(DefaultBodyLimit::max(BLOCK_JSON_BYTES_MAX)))
        .route("/save", get(save))
}

#[derive(Deserialize)]
struct MineQuery {
    miner_address: Option<String>,
}

#[derive(Serialize)]
struct MinedBlock {
    message: &'static str,
    #[serde(flatten)]
    block: BlockJson,
}

async fn mine(State(app): State<App>, Query(query): Query<MineQuery>) -> Result<Json<MinedBlock>, Problem> {
    let to = extract::address(query.miner_address.as_deref())?;
    let mined = app.mine(1, to).await?;
    let Some(place) = mined.first().copied() else {
        return Err(Failure::new(Code::Cancelled, "the miner was stopped").into());
    };
    let block = app.wait(move |app| {
        let found = app.handle().reader().snapshot()?.block(&place.id)?;
        let missing = || Failure::new(Code::StoreUnreadable, format!("block {} is missing from the store", place.id));
        Ok(found.ok_or_else(missing)?.0)
    });
    let block = BlockJson::new(&block.await?, app.handle().network());
    Ok(Json(MinedBlock { message: "New Block Forged", block }))
}

/// A transaction of one of the node's wallets.
#[derive(Deserialize)]
struct NewTransaction {
    sender: Option<String>,
    recipient: Option<String>,
    amount: Option<Coins>,
    fee: Option<Coins>,
}

async fn new_transaction(
    State(app): State<App>,
    extract::Json(given): extract::Json<NewTransaction>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let who = |given: Option<String>| given.map(|who| who.trim().to_owned()).filter(|who| !who.is_empty());
    let (sender, recipient) = (who(given.sender), who(given.recipient));
    let [amount, fee] = [given.amount, given.fee].map(|coins| coins.filter(|coins| !coins.is_blank()));
    let values = [("sender", sender.is_some()), ("recipient", recipient.is_some()), ("amount", amount.is_some())];
    let missing: Vec<_> = values.into_iter().filter(|(_, is_there)| !is_there).map(|(name, _)| name).collect();
    let (Some(sender), Some(recipient), Some(amount)) = (sender, recipient, amount) else {
        return Err(Problem::bad("missing_values", format!("Missing values: {}", missing.join(", "))));
    };
    let amount = amount.amount("amount")?;
    let fee = fee.map(|fee| fee.amount("fee")).transpose()?;
    let key = app.wait(move |app| {
        let [sender, to] = [&sender, &recipient].map(|who| app.address_of(who));
        Ok((app.handle().wallets().key_of(&sender?)?, to?))
    });
    let (key, to) = key.await?;
    let (id, _) = app.handle().send(key, Action::Transfer { to, amount }, fee).await?;
    let next = app.handle().view().tip.height.next();
    let message = format!("Transaction will be added to Block {next}");
    Ok((StatusCode::CREATED, Json(json!({"message": message, "id": id}))))
}

impl App {
    /// An address, or a name that this node knows.
    fn address_of(&self, text: &str) -> Result<Address, Problem> {
        Ok(lookup::address(self.handle(), &parse::who(text)?)?)
    }
}

/// A part of a list that is whole by default.
#[derive(Deserialize)]
struct PartQuery {
    from: Option<String>,
    limit: Option<String>,
}

/// Those that would be mined first: as many as fit on a page.
async fn pending(State(app): State<App>, Query(part): Query<PartQuery>) -> Result<Response, Problem> {
    let range = PendingRange {
        from: parsed(part.from.as_deref(), parse::place)?.unwrap_or_default(),
        limit: parsed(part.limit.as_deref(), parse::limit)?.map_or(LIMIT_MAX, |limit| limit as u64),
        bytes_max: PAGE_BYTES_MAX,
        sender: None,
    };
    app.make_json(move |app| {
        let part = queries::pending(app.handle(), range)?;
        let network = app.handle().network();
        Ok(part.transactions.iter().map(|one| TransactionJson::new(one.signed(), network)).collect::<Vec<_>>())
    })
    .await
}

/// Accepts a block as `/chain` shows it, and answers with the result.
async fn add_block(
    State(app): State<App>,
    extract::Json(given): extract::Json<BlockJson>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let discarded =
        |detail: String| Problem::bad("block_refused", format!("The block was discarded by the node: {detail}"));
    let block = given.understood().map_err(discarded)?;
    // Nobody has mined the first block, so it does not pass as one that is new.
    if block == *app.handle().network().genesis() {
        return Ok((StatusCode::CREATED, Json(json!({"message": ADDED}))));
    }
    let checked = app.wait(move |app| {
        check_block(block, app.handle().network()).map_err(|violation| discarded(violation.to_string()))
    });
    match app.handle().submit_block(checked.await?).await {
        Ok(true) => Ok((StatusCode::CREATED, Json(json!({"message": ADDED})))),
        Ok(false) => {
            let message = "Block stored on a side branch: the chain has more work";
            Ok((StatusCode::OK, Json(json!({"message": message}))))
        }
        Err(error @ CommandError::BlockRefused(_)) => Err(discarded(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

async fn save(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let saved = app.wait(|app| Ok(export::save_chain(app.handle(), &app.0.folder.join(SAVE_FILE))?)).await?;
    let Saved { file, blocks, bytes } = saved;
    Ok(Json(json!({"message": "Chain saved", "file": file, "blocks": blocks, "bytes": bytes})))
}
