//! What a receipt proves, for programs that would rather not check it themselves.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::receipt::ReceiptFile;
use crate::node::api::parse;
use crate::node::api::proven::{ProvenRow, is_built_in, worth};
use crate::node::api::rows::{IdText, PlaceRow};
use crate::node::http::extract::{JsonBytes, Query, parsed};
use crate::node::http::problem::Problem;
use crate::node::store::StoreError;
use crate::protocol::receipt::{Form, Proof, ProvenBlock, RECEIPT_BYTES_MAX, Receipt, ReceiptError};
use crate::text::bytes_without_mark;

/// A byte more than a receipt has, so that a longer one is named as such.
pub(super) const BODY_BYTES_MAX: usize = RECEIPT_BYTES_MAX + 1;

/// The reader's knowledge from elsewhere.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VerifyQuery {
    /// The id of a block, published elsewhere, that the receipt must show: the transaction's own, or one on top of it.
    #[param(value_type = Option<IdText>)]
    witness: Option<String>,
}

/// A receipt that holds.
#[derive(Serialize, ToSchema)]
pub(super) struct Verified {
    #[serde(flatten)]
    proven: ProvenRow,
    /// The worth of that, in a sentence for people. The sentence may change.
    worth: &'static str,
    /// The block with the given id.
    witness: Option<PlaceRow>,
    /// Whether the transaction's block is on the best chain of this node; null if the receipt is of another network.
    best_chain: Option<bool>,
}

/// What a receipt proves: that of any network, whatever this node has. A receipt of the form `witnessed` holds if `witness` is one of
/// its two blocks, or if both are on the best chain of this node.
#[utoipa::path(post, path = "/verify", tag = "transactions", operation_id = "verify", params(VerifyQuery),
    request_body = ReceiptFile, responses(
    (status = 200, body = Verified, description = "It holds"),
    (status = 422, body = Problem, content_type = "application/problem+json",
        description = "It is refuted: `code` is the reason, by section 17 of the specification; `not_witnessed`: it does not \
            show the given block; `needs_witness`: it shows no work, and nothing speaks for its last block"),
    Problem
))]
pub(super) async fn verify(
    State(app): State<App>,
    Query(query): Query<VerifyQuery>,
    JsonBytes(text): JsonBytes,
) -> Result<axum::Json<Verified>, Problem> {
    let witness = parsed(query.witness.as_deref(), parse::block_id)?;
    let verified = app.wait(move |app| {
        let proof = Receipt::read(bytes_without_mark(&text)).and_then(|receipt| receipt.verify()).map_err(problem)?;
        if is_built_in(proof.network()).is_err() {
            let detail = "the receipt is of a network that calls itself like a built-in one, and is another";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not_built_in", detail));
        }
        let witness = witness.map(|id| proof.find(&id).ok_or_else(not_witnessed)).transpose()?;
        let best_chain = stands(app, &proof)?;
        if proof.form() == Form::Witnessed && witness.is_none() && best_chain != Some(true) {
            return Err(needs_witness());
        }
        let (proven, worth) = (ProvenRow::from(&proof), worth(proof.form()));
        Ok(Verified { proven, worth, witness: witness.map(PlaceRow::from), best_chain })
    });
    verified.await.map(axum::Json)
}

/// Whether the block of a proof, and the last one if it shows no work, are on the best chain; `None` on another network.
fn stands(app: &App, proof: &Proof) -> Result<Option<bool>, Problem> {
    if proof.network().genesis_id() != app.handle().network().genesis_id() {
        return Ok(None);
    }
    let snapshot = app.handle().reader().snapshot()?;
    let is_best = |block: ProvenBlock| {
        let header = snapshot.header_at(block.height)?;
        Ok::<_, StoreError>(header.is_some_and(|header| header.id() == block.id))
    };
    Ok(Some(is_best(proof.block())? && (proof.form() != Form::Witnessed || is_best(proof.tip())?)))
}

fn problem(error: ReceiptError) -> Problem {
    let status = if error.is_unreadable() { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
    Problem::new(status, error.code(), error.to_string())
}

fn not_witnessed() -> Problem {
    let detail = "the receipt does not show that block, from the transaction's on; where no work is shown, it must be the last one";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not_witnessed", detail)
}

fn needs_witness() -> Problem {
    let detail = "the receipt shows no work, and its blocks are not on this node's best chain: give the id of its last block, as \
                  it was published, with ?witness=ID";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "needs_witness", detail)
}
