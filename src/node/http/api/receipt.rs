//! Receipts, and their form.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::network::ParametersRow;
use crate::node::api::parse;
use crate::node::api::receipt::{self, Extent};
use crate::node::api::rows::IdText;
use crate::node::http::extract::{Path, Query, parsed};
use crate::node::http::fresh;
use crate::node::http::problem::Problem;

/// The confirmations of a receipt, unless more are asked for.
const CONFIRMATIONS_DEFAULT: u64 = 1000;
/// The most confirmations that a receipt has over HTTP: 20 MB of it. The prompt writes longer ones.
const CONFIRMATIONS_MAX: u64 = 100_000;

/// The extent of the proof.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReceiptQuery {
    /// Blocks from its own on; by default up to the best one, but at most 1000.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100000)]
    confirmations: Option<String>,
}

/// The receipt of a transaction: a file that proves, without a node, who signed it and how much work confirms it.
#[utoipa::path(get, path = "/transactions/{id}/receipt", tag = "transactions", params(
    ("id" = String, Path, pattern = "^[0-9a-f]{8,64}$", description = "64 hex digits, or at least the 8 that are shown"), ReceiptQuery
), responses(
    (status = 200, body = ReceiptFile), Problem
))]
pub(super) async fn receipt(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<ReceiptQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = parse::transaction_name(&id)?;
    let extent = match parsed(query.confirmations.as_deref(), |word| parse::count(word, "confirmations"))? {
        None => Extent::UpTo(CONFIRMATIONS_DEFAULT),
        Some(wanted) if wanted <= CONFIRMATIONS_MAX => Extent::Exactly(wanted),
        Some(_) => {
            let problem =
                "over HTTP a receipt has at most 100000 confirmations: `receipt` at the prompt writes longer ones";
            return Err(Problem::bad("bad_number", problem));
        }
    };
    fresh::of_tip(&app, &headers, async {
        let made = app.make(move |app| {
            let (id, _, receipt) = receipt::of(app.handle(), &name, extent)?;
            Ok((id, receipt.to_json()))
        });
        let (id, text) = made.await?;
        let file = format!("attachment; filename=\"receipt-{}.json\"", id.short());
        let media = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, file)];
        Ok((media, text).into_response())
    })
    .await
}

/// A receipt, as [`Receipt::to_json`](crate::protocol::receipt::Receipt::to_json) writes it: section 17 of the
/// specification. `quipu verify` takes the answer as it is.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Receipt)]
pub(super) struct ReceiptFile {
    /// The version of the form.
    #[schema(example = 1)]
    quipu_receipt: u32,
    /// The network's parameters.
    network: ParametersRow,
    /// The network's genesis block.
    #[schema(value_type = IdText)]
    genesis: String,
    /// The encoded transaction and its signature, in hex.
    transaction: String,
    /// From the transaction's leaf to the root of its block.
    path: Vec<PathStep>,
    /// The encoded header of the block below, that of the transaction's block, and those on top of it, in hex.
    headers: Vec<String>,
    /// The id of the last header's block.
    #[schema(value_type = IdText)]
    tip: String,
}

/// The hash beside a node of the Merkle tree, and its side.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PathStep {
    /// Beside it on the left.
    Left(String),
    /// On the right.
    Right(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::merkle::Step;
    use crate::protocol::receipt::Receipt;
    use crate::protocol::{LeafHash, Network, Parameters};

    /// A receipt that is read and written by its description differs in blanks alone.
    #[test]
    fn a_receipt_has_the_form_that_is_described() {
        let network = Network::new(Parameters::dev()).expect("a preset is valid");
        let header = network.genesis().header;
        let path = vec![Step::Left(LeafHash([1; 32])), Step::Right(LeafHash([2; 32]))];
        let text = Receipt {
            parameters: network.parameters().clone(),
            genesis: network.genesis_id(),
            transaction: vec![1, 2, 3],
            path,
            headers: vec![header, header],
            tip: header.id(),
        }
        .to_json();
        let described: ReceiptFile = serde_json::from_str(&text).expect("all of it is described");
        let plain: String = text.split_ascii_whitespace().collect();
        assert_eq!(serde_json::to_string(&described).expect("strings and lists always serialise"), plain);
    }
}
