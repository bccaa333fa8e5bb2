//! Find, prepare, submit, prove.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::content::{self, GivenFile};
use super::{App, PAGE_BYTES_MAX, ROWS_AT_ONCE};
use crate::node::api::error::{Code, Failure};
use crate::node::api::lookup;
use crate::node::api::mined::{self, Mined, MinedFilter};
use crate::node::api::parse;
use crate::node::api::queries::{self, PendingRange};
use crate::node::api::query::{LIST_ROWS, Range};
use crate::node::api::rows::{IdText, MinedPage, PendingPage, Sent, TransactionRow};
use crate::node::http::exact::Coins;
use crate::node::http::extract::{self, Json, Path, Query, parsed};
use crate::node::http::form::Form;
use crate::node::http::problem::Problem;
use crate::node::http::table;
use crate::node::index::Location;
use crate::protocol::check::check_transaction;
use crate::protocol::encode::{decode, encode};
use crate::protocol::{Action, PublicKey, Signature, SignedTransaction, Transaction, TransactionId, UnixMillis};

/// The longest transaction, in bytes.
const TRANSACTION_BYTES_MAX: usize = 8 * 1024;

/// A transaction, or a reward, and its place.
#[derive(Serialize, ToSchema)]
pub(super) struct OneTransaction {
    #[serde(flatten)]
    transaction: TransactionRow,
    state: TransactionState,
    /// The height of its block.
    height: Option<u64>,
    /// Its block.
    #[schema(value_type = Option<IdText>)]
    block: Option<String>,
    /// When the block was made.
    timestamp: Option<u64>,
    /// The block and those on top of it.
    confirmations: u64,
    /// The sender's Ed25519 public key in hex; null for a reward.
    public_key: Option<String>,
    /// The sender's Ed25519 signature in hex; null for a reward.
    signature: Option<String>,
}

/// The state of a transaction.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TransactionState {
    /// Waits to be mined.
    Pending,
    /// On the best chain.
    InBlock,
}

/// Key and signature in hex.
fn proof(signed: &SignedTransaction) -> (String, String) {
    let PublicKey::Ed25519(key) = &signed.transaction.sender;
    let Signature::Ed25519(signature) = &signed.signature;
    (hex::encode(key), hex::encode(signature))
}

/// A transaction that is pending or on the best chain, by its id or the beginning of it.
#[utoipa::path(get, path = "/transactions/{id}", tag = "transactions", params(
    ("id" = String, Path, pattern = "^[0-9a-f]{8,64}$", description = "64 hex digits, or at least the 8 that are shown")
), responses(
    (status = 200, body = OneTransaction), Problem
))]
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<OneTransaction>, Problem> {
    let name = parse::transaction_name(&id)?;
    let id = app.wait(move |app| Ok(lookup::transaction(app.handle(), &name)?)).await?;
    if let Some(found) = app.wait(move |app| in_block(app, &id)).await? {
        return Ok(axum::Json(found));
    }
    if let Some(waits) = app.handle().pending_transaction(id).await? {
        let transaction = TransactionRow::from(&waits);
        let (public_key, signature) = Some(proof(waits.signed())).unzip();
        let (height, block, timestamp) = (None, None, None);
        let state = TransactionState::Pending;
        let confirmations = 0;
        return Ok(axum::Json(OneTransaction {
            transaction,
            state,
            height,
            block,
            timestamp,
            confirmations,
            public_key,
            signature,
        }));
    }
    // It may have got into a block between the two questions.
    let found = app.wait(move |app| in_block(app, &id)).await?;
    let none = || Failure::new(Code::NotFound, format!("this node knows no transaction {id}"));
    Ok(axum::Json(found.ok_or_else(none)?))
}

fn in_block(app: &App, id: &TransactionId) -> Result<Option<OneTransaction>, Problem> {
    let view = lookup::index(app.handle())?.view()?;
    let Some(Location { place, position }) = view.find(id)? else { return Ok(None) };
    let block = lookup::block_at(view.snapshot(), place.height)?;
    let (transaction, proof) = match position {
        None => (TransactionRow::reward(&block.body.reward, *id), None),
        Some(position) => {
            let Some(signed) = block.body.transactions.get(position as usize) else { return Ok(None) };
            (TransactionRow::new(signed, *id, signed.transaction.sender.address()), Some(proof(signed)))
        }
    };
    let (public_key, signature) = proof.unzip();
    let confirmations = view.tip().height.saturating_since(place.height) + 1;
    let (height, UnixMillis(timestamp)) = (Some(place.height.0), block.header.timestamp);
    let (state, block) = (TransactionState::InBlock, Some(place.id.to_string()));
    let timestamp = Some(timestamp);
    Ok(Some(OneTransaction { transaction, state, height, block, timestamp, confirmations, public_key, signature }))
}

/// A part of the pending transactions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PendingQuery {
    /// The place of the first one, counted from 0. Places change with what comes and what is mined.
    #[param(value_type = Option<u64>, format = "uint64", default = 0)]
    from: Option<String>,
    /// Rows, at most 1000.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// Signed by this account. Places are counted among these.
    #[param(pattern = "^0x[0-9a-fA-F]{40}$", example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    sender: Option<String>,
    /// `csv` and `ndjson` give the whole list, or its first `limit` rows. Without it, `Accept` chooses (`text/csv`,
    /// `application/x-ndjson`).
    #[param(inline)]
    #[expect(dead_code, reason = "the guard has read it")]
    format: Option<Form>,
}

/// The pending transactions, in the order in which they would be mined now.
#[utoipa::path(get, path = "/transactions", tag = "transactions", operation_id = "pending", params(PendingQuery), responses(
    (status = 200, content((PendingPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))),
    Problem
))]
pub(super) async fn pending(
    State(app): State<App>,
    Query(query): Query<PendingQuery>,
    form: Form,
) -> Result<Response, Problem> {
    let range = PendingRange {
        from: parsed(query.from.as_deref(), parse::place)?.unwrap_or_default(),
        limit: parsed(query.limit.as_deref(), parse::limit)?.unwrap_or(LIST_ROWS) as u64,
        bytes_max: PAGE_BYTES_MAX,
        sender: extract::address(query.sender.as_deref())?,
    };
    if form != Form::Json {
        let all = PendingRange { limit: u64::MAX, bytes_max: usize::MAX, ..range };
        let limit = parsed(query.limit.as_deref(), parse::limit)?;
        let waiting = app.wait(move |app| Ok(queries::pending(app.handle(), all)?.transactions)).await?;
        let mut waiting = waiting.into_iter();
        return table::whole(&app, form, limit, move || {
            let rows: Vec<_> = waiting.by_ref().take(ROWS_AT_ONCE).map(|one| TransactionRow::from(&one)).collect();
            Ok(Some(rows).filter(|rows| !rows.is_empty()))
        });
    }
    app.make_json(move |app| Ok(PendingPage::from(queries::pending(app.handle(), range)?))).await.map(table::page)
}

/// A part of the transactions of the best chain.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MinedQuery {
    /// Signed by this account. A page ends early once 16 MiB of blocks without one were read for it.
    #[param(pattern = "^0x[0-9a-fA-F]{40}$", example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    sender: Option<String>,
    /// In blocks of this time or later: a date (`2026-11-21`, UTC), or a span back from now (`30m`, `12h`, `7d`).
    #[param(example = "7d")]
    since: Option<String>,
    /// In blocks before this time, written like `since`.
    #[param(example = "1h")]
    until: Option<String>,
    /// The `next` of the page before.
    #[param(pattern = "^[0-9]{1,12}[.][0-9]{1,6}$")]
    before: Option<String>,
    /// Rows, at most 1000.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// `csv` and `ndjson` give the whole list, or its first `limit` rows. Without it, `Accept` chooses (`text/csv`,
    /// `application/x-ndjson`).
    #[param(inline)]
    #[expect(dead_code, reason = "the guard has read it")]
    format: Option<Form>,
}

/// The transactions and rewards of the best chain, the newest first.
#[utoipa::path(get, path = "/transactions/mined", tag = "transactions", params(MinedQuery), responses(
    (status = 200, content((MinedPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))), Problem
))]
pub(super) async fn mined(
    State(app): State<App>,
    Query(query): Query<MinedQuery>,
    form: Form,
) -> Result<Response, Problem> {
    let period = extract::period(query.since.as_deref(), query.until.as_deref(), app.handle().now())?;
    let filter = MinedFilter { sender: extract::address(query.sender.as_deref())?, period };
    let range = Range {
        before: parsed(query.before.as_deref(), parse::cursor)?,
        limit: parsed(query.limit.as_deref(), parse::limit)?,
    };
    if form != Form::Json {
        let mut list = app.wait(move |app| Ok(Mined::start(app.handle(), &filter, range.before)?)).await?;
        return table::whole(&app, form, range.limit, move || Ok(list.more()?));
    }
    app.make_json(move |app| Ok(mined::mined(app.handle(), &filter, &range)?)).await.map(table::page)
}

/// A transaction to be signed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepare {
    /// The sender's Ed25519 public key, 64 hex digits.
    #[schema(
        pattern = "^[0-9a-fA-F]{64}$",
        example = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )]
    public_key: String,
    /// The number of transactions that the sender has made before; by default the next nonce.
    #[schema(format = "uint64")]
    nonce: Option<u64>,
    /// For the miner, in coins; by default the least that gets into this node's memory pool now.
    #[schema(value_type = Option<Coins>)]
    fee: Option<Coins>,
    /// Either this…
    transfer: Option<PrepareTransfer>,
    /// …or this.
    record: Option<PrepareRecord>,
}

/// A transfer of coins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PrepareTransfer {
    /// The receiver's address.
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$", example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    to: String,
    /// The amount, in coins.
    #[schema(value_type = Coins, example = "2.5")]
    amount: Coins,
}

/// Data for the chain. One of `text`, `json` and `file`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PrepareRecord {
    /// Tags by which it can be found.
    #[serde(default)]
    tags: Vec<String>,
    /// A text.
    text: Option<String>,
    /// Any JSON. Its text is recorded as it stands here.
    #[schema(value_type = Option<serde_json::Value>)]
    json: Option<Box<RawValue>>,
    /// A file's fingerprint.
    file: Option<GivenFile>,
}

/// The bytes to sign, and their meaning.
#[derive(Serialize, ToSchema)]
pub(super) struct Prepared {
    /// The id that the transaction will have.
    #[schema(value_type = IdText)]
    id: String,
    /// The bytes to sign with Ed25519, in hex. They begin with a domain and the network's genesis block.
    signing_bytes: String,
    /// The encoded transaction without its signature, in hex.
    transaction: String,
    /// The transaction as answers will show it.
    summary: TransactionRow,
}

/// The bytes to sign for a transaction. Nothing is sent: sign them, then submit both.
#[utoipa::path(post, path = "/transactions/prepare", tag = "transactions", request_body(content = Prepare, examples(
    ("transfer" = (value = json!({
        "public_key": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "transfer": {"to": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "amount": "2.5"}
    }))),
    ("record" = (value = json!({
        "public_key": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "record": {"text": "pallet 7 arrived", "tags": ["delivery"]}
    })))
)), responses(
    (status = 200, body = Prepared), Problem
))]
pub(super) async fn prepare(
    State(app): State<App>,
    Json(wanted): Json<Prepare>,
) -> Result<axum::Json<Prepared>, Problem> {
    let mut key = [0; 32];
    let bad_key = |_| Problem::bad("bad_key", "public_key is an Ed25519 public key, 64 hex digits");
    hex::decode_to_slice(&wanted.public_key, &mut key).map_err(bad_key)?;
    let sender = PublicKey::Ed25519(key);
    let fee = wanted.fee.map(|fee| fee.amount("fee")).transpose()?;
    let action = match (wanted.transfer, wanted.record) {
        (Some(transfer), None) => transfer.understood()?,
        (None, Some(record)) => record.understood()?,
        _ => return Err(Problem::bad("usage", "say either `transfer` or `record`")),
    };
    let fee = fee.unwrap_or_else(|| {
        let price = app.handle().view().pool_price.least_fee(SignedTransaction::length_with(&action));
        price.max(app.handle().network().parameters().fee_min)
    });
    let nonce = match wanted.nonce {
        Some(nonce) => nonce,
        None => {
            let state = app.handle().account(sender.address()).await?;
            state.account.nonce.saturating_add(state.pending)
        }
    };
    let (genesis, transaction) = (app.handle().network().genesis_id(), Transaction { sender, nonce, fee, action });
    let id = transaction.id(&genesis);
    let (signing_bytes, encoded) =
        (hex::encode(transaction.signing_bytes(&genesis)), hex::encode(encode(&transaction)));
    let unsigned = SignedTransaction { transaction, signature: Signature::Ed25519([0; 64]) };
    let summary = TransactionRow::new(&unsigned, id, unsigned.transaction.sender.address());
    Ok(axum::Json(Prepared { id: id.to_string(), signing_bytes, transaction: encoded, summary }))
}

impl PrepareTransfer {
    fn understood(&self) -> Result<Action, Problem> {
        Ok(Action::Transfer { to: parse::address(&self.to)?, amount: self.amount.amount("amount")? })
    }
}

impl PrepareRecord {
    fn understood(self) -> Result<Action, Problem> {
        Ok(content::understood(&self.tags, self.text, self.json, self.file)?.action)
    }
}

/// A signed transaction: complete, or the prepared one and its signature.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Submit {
    /// An encoded transaction in hex, with its signature unless `signature` is given.
    #[schema(pattern = "^([0-9a-fA-F]{2})+$")]
    transaction: String,
    /// The Ed25519 signature of the prepared bytes, 128 hex digits.
    #[schema(pattern = "^[0-9a-fA-F]{128}$")]
    signature: Option<String>,
}

/// Submit a signed transaction. Answered when it is durable; submitting it twice changes nothing.
#[utoipa::path(post, path = "/transactions", tag = "transactions", request_body = Submit, responses(
    (status = 200, body = Sent), Problem
))]
pub(super) async fn submit(State(app): State<App>, Json(given): Json<Submit>) -> Result<axum::Json<Sent>, Problem> {
    let signed = given.understood()?;
    let checked = app.wait(move |app| {
        let checked = check_transaction(signed, app.handle().network());
        checked.map_err(|violation| Failure::new(Code::InvalidTransaction, violation.to_string()).into())
    });
    let (id, fee) = app.handle().submit(checked.await?).await?;
    Ok(axum::Json(Sent { id, fee, file: None, signed: None }))
}

impl Submit {
    fn understood(&self) -> Result<SignedTransaction, Problem> {
        let bad = |problem: String| Problem::bad("bad_transaction", problem);
        let bytes = hex::decode(&self.transaction).map_err(|error| bad(format!("transaction is no hex: {error}")))?;
        let Some(signature) = &self.signature else {
            return decode(&bytes, TRANSACTION_BYTES_MAX).map_err(|error| bad(format!("transaction: {error}")));
        };
        let transaction =
            decode(&bytes, TRANSACTION_BYTES_MAX).map_err(|error| bad(format!("transaction: {error}")))?;
        let mut content = [0; 64];
        let problem = "signature is an Ed25519 signature, 128 hex digits";
        hex::decode_to_slice(signature, &mut content).map_err(|_| bad(problem.to_owned()))?;
        Ok(SignedTransaction { transaction, signature: Signature::Ed25519(content) })
    }
}
