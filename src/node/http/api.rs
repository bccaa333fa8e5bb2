//! `/api/v1` and its description.
//!
//! The description is made from the handlers themselves, so it can't describe anything else. Amounts are decimal
//! strings of coins, ids 64 hex digits, addresses `0x…` with a checksum, times Unix milliseconds.

mod accounts;
mod backup;
mod chain;
mod content;
mod lost;
mod network;
mod peers;
mod plain;
mod receipt;
mod recording;
mod records;
mod search;
mod transactions;
mod verify;
mod wallet_files;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::openapi::RefOr;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::problem::Problem;
use super::{App, feed};

/// A page of a list ends early at this many encoded bytes; their JSON is several times as long.
pub(super) const PAGE_BYTES_MAX: usize = 2 << 20;
/// Rows of a whole list that are read at once.
pub(super) const ROWS_AT_ONCE: usize = 100;
/// The path of the API.
const PREFIX: &str = "/api/v1";
/// The route that other nodes ask: the node's identity and addresses.
pub(super) const NODE_PATH: &str = "/api/v1/node";
pub(super) use self::wallet_files::PATH as WALLET_FILES_PATH;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "quipu",
        description = "A ledger node's own API, for programs and pages on its machine. Amounts are decimal strings of \
            coins, ids are 64 hex digits, addresses `0x…` with a checksum, times are Unix milliseconds. Errors are problem \
            documents (RFC 9457) with stable codes."
    ),
    components(schemas(Problem)),
    modifiers(&TokenScheme),
    security((), ("token" = [])),
    tags(
        (name = "chain", description = "Blocks of the best chain, and of others that are stored"),
        (name = "transactions", description = "Find, prepare, submit, prove"),
        (name = "accounts", description = "Balances and histories"),
        (name = "records", description = "What was put on the chain"),
        (name = "node", description = "The node itself, its peers, its miner, its wallets")
    )
)]
struct Description;

/// The way in which clients send the token.
struct TokenScheme;

impl Modify for TokenScheme {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let about = "The text in the file `http-token` of the node's data folder. The node's own user needs none on this machine; \
                     of others, what changes something or costs much wants it, and on a server that other machines reach \
                     nearly everything. Without it the answer is 401 `no_token`.";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
        description.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The API's routes and its description.
pub(super) fn router() -> Router<App> {
    let (router, mut description) = documented().split_for_parts();
    describe_answers(&mut description);
    let text: axum::body::Bytes = description.to_json().expect("strings and lists always serialise").into();
    let serve = move || async move { ([(header::CONTENT_TYPE, "application/json")], text).into_response() };
    router.route("/api/openapi.json", get(serve))
}

/// Gives each answer the description that OpenAPI requires: by default, what its operation does.
fn describe_answers(description: &mut utoipa::openapi::OpenApi) {
    for path in description.paths.paths.values_mut() {
        let operations = [&mut path.get, &mut path.post, &mut path.put, &mut path.delete];
        for operation in operations.into_iter().flatten() {
            let summary = operation.summary.clone().unwrap_or_default();
            for answer in operation.responses.responses.values_mut() {
                if let RefOr::T(answer) = answer
                    && answer.description.is_empty()
                {
                    answer.description.clone_from(&summary);
                }
            }
        }
    }
}

fn documented() -> OpenApiRouter<App> {
    let api = OpenApiRouter::new()
        .routes(routes!(network::status))
        .routes(routes!(network::node))
        .routes(routes!(network::parameters))
        .routes(routes!(network::wallets))
        .routes(routes!(wallet_files::files))
        .routes(routes!(backup::stage))
        .routes(routes!(network::mining, network::set_mining))
        .routes(routes!(network::mine, network::stop_mining))
        .routes(routes!(peers::list, peers::connect))
        .routes(routes!(peers::resolve))
        .routes(routes!(chain::blocks))
        .routes(routes!(chain::brief_blocks))
        .routes(routes!(chain::block))
        .routes(routes!(chain::encoded_block))
        .routes(routes!(chain::headers))
        .routes(routes!(transactions::pending, transactions::submit))
        .routes(routes!(transactions::prepare))
        .routes(routes!(transactions::mined))
        .routes(routes!(transactions::one))
        .routes(routes!(receipt::receipt))
        .routes(routes!(verify::verify).layer(DefaultBodyLimit::max(verify::BODY_BYTES_MAX)))
        .routes(routes!(lost::list))
        .routes(routes!(lost::again))
        .routes(routes!(plain::encoded_transaction))
        .routes(routes!(plain::hex_transaction))
        .routes(routes!(plain::tip_height))
        .routes(routes!(plain::tip_id))
        .routes(routes!(accounts::account))
        .routes(routes!(accounts::history))
        .routes(routes!(accounts::aliases))
        .routes(routes!(records::list))
        .routes(routes!(search::search))
        .routes(routes!(recording::record).layer(DefaultBodyLimit::max(recording::BODY_BYTES_MAX)))
        .routes(routes!(feed::stream));
    OpenApiRouter::with_openapi(Description::openapi()).nest(PREFIX, api)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Without these, programs make no client of the description.
    #[test]
    fn answers_are_described_and_operations_have_names_of_their_own() {
        let (_, mut description) = documented().split_for_parts();
        describe_answers(&mut description);
        let text = serde_json::to_value(&description).expect("strings and lists always serialise");
        let mut names = BTreeSet::new();
        let operations = text["paths"].as_object().expect("paths").values();
        for operation in operations.flat_map(|path| path.as_object().expect("operations").values()) {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(names.insert(name.to_owned()), "{name} twice");
            let answers = operation["responses"].as_object().expect("answers");
            for (status, answer) in answers {
                let words = answer["description"].as_str().unwrap_or_default();
                assert!(!words.is_empty(), "{name} {status} has no description");
            }
        }
        assert!(names.len() > 20, "{names:?}");
    }
}
