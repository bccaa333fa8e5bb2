//! Receipts, and their form.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::network::ParametersRow;
use crate::node::api::parse;
use crate::node::api::receipt::{self, Extent, ReceiptOptions};
use crate::node::api::rows::IdText;
use crate::node::http::extract::{Path, Query, parsed};
use crate::node::http::fresh;
use crate::node::http::problem::Problem;

/// The extent of the proof, and its form.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReceiptQuery {
    /// Blocks from its own on; by default up to the best one.
    #[param(value_type = Option<u64>, minimum = 1)]
    confirmations: Option<String>,
    /// All headers, samples of them, or none, for readers who know the last block from elsewhere; by default the smaller
    /// one of the first two.
    #[param(value_type = Option<FormWord>)]
    form: Option<String>,
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
    let confirmations = parsed(query.confirmations.as_deref(), |word| parse::count(word, "confirmations"))?;
    let form = parsed(query.form.as_deref(), parse::receipt_form)?;
    let wanted = ReceiptOptions { extent: confirmations.map_or(Extent::All, Extent::Exactly), form };
    fresh::of_tip(&app, &headers, async {
        let made = app.make(move |app| {
            let (id, _, receipt) = receipt::of(app.handle(), &name, wanted)?;
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
    #[schema(example = 2)]
    quipu_receipt: u32,
    /// The network's parameters.
    network: ParametersRow,
    /// The network's genesis block.
    #[schema(value_type = IdText)]
    genesis: String,
    /// The encoded transaction and its signature, in Base64.
    transaction: String,
    /// What the proof shows.
    form: FormWord,
    /// The path to the transaction's block, and what stands on it, in Base64.
    proof: String,
    /// The id of the last block.
    #[schema(value_type = IdText)]
    tip: String,
}

/// What a receipt shows of the work on its block.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReceiptForm)]
pub(super) enum FormWord {
    /// All headers.
    Full,
    /// The last headers, and samples of the others.
    Sampled,
    /// None: the last block must be known from elsewhere.
    Witnessed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::merkle::AuditPath;
    use crate::protocol::receipt::{ChainProof, Receipt};
    use crate::protocol::{LeafHash, Network, Parameters};

    /// A receipt that is read and written by its description differs in blanks alone.
    #[test]
    fn a_receipt_has_the_form_that_is_described() {
        let network = Network::new(Parameters::dev()).expect("a preset is valid");
        let header = network.genesis().header;
        let inclusion = AuditPath { position: 1, leaves: 2, beside: vec![LeafHash([1; 32])] };
        let text = Receipt {
            parameters: network.parameters().clone(),
            genesis: network.genesis_id(),
            transaction: vec![1, 2, 3],
            inclusion,
            proof: ChainProof::WitnessedBlock { context: LeafHash([2; 32]), header },
            tip: header.id(),
        }
        .to_json();
        let described: ReceiptFile = serde_json::from_str(&text).expect("all of it is described");
        let plain: String = text.split_ascii_whitespace().collect();
        assert_eq!(serde_json::to_string(&described).expect("strings and lists always serialise"), plain);
    }
}
