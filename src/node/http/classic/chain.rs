//! The whole chain as one JSON document, [streamed](crate::node::http::streamed): of one snapshot, so that a
//! reorganisation meanwhile does not put two chains into one answer.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{BlockJson, PartQuery};
use crate::node::api::{lookup, parse};
use crate::node::http::App;
use crate::node::http::extract::{Query, parsed};
use crate::node::http::fresh;
use crate::node::http::problem::Problem;
use crate::node::http::streamed::{Progress, streamed};
use crate::protocol::Height;

/// `GET /chain`.
pub(super) async fn chain(
    State(app): State<App>,
    Query(part): Query<PartQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let from = parsed(part.from.as_deref(), parse::height)?;
    let limit = parsed(part.limit.as_deref(), |word| parse::count(word, "limit"))?;
    fresh::of_tip(&app, &headers, part_of(&app, "{\"chain\":[".to_owned(), from, limit)).await
}

/// A document with all blocks: the beginning up to their list, then the list and the chain's length.
pub(super) async fn document(app: &App, beginning: String) -> Result<Response, Problem> {
    part_of(app, beginning, None, None).await
}

/// The same with some of the blocks.
async fn part_of(app: &App, beginning: String, from: Option<Height>, limit: Option<u64>) -> Result<Response, Problem> {
    let snapshot = app.wait(|app| Ok(app.handle().reader().snapshot()?)).await?;
    let (tip, first) = (snapshot.tip().height, from.unwrap_or_default());
    if first > tip {
        return Err(lookup::above(tip, first).into());
    }
    let end = limit.map_or(u64::MAX, |limit| first.0.saturating_add(limit)).min(tip.0 + 1);
    let app = app.clone();
    let (mut opening, mut next) = (Some(beginning), first.0);
    let write = {
        let app = app.clone();
        move |text: &mut Vec<u8>| {
            text.extend_from_slice(opening.take().unwrap_or_default().as_bytes());
            if next < end {
                let block = lookup::block_at(&snapshot, Height(next))?;
                if next > first.0 {
                    text.push(b',');
                }
                let block = BlockJson::new(&block, app.handle().network());
                serde_json::to_writer(&mut *text, &block).expect("numbers and texts always serialise");
                next += 1;
            }
            if next < end {
                return Ok(Progress::More);
            }
            text.extend_from_slice(format!("],\"length\":{}}}", tip.0 + 1).as_bytes());
            Ok(Progress::End)
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], streamed(&app, Box::new(write))?).into_response())
}

/// The beginning of a document with a message.
pub(super) fn with_message(message: &str, list: &str) -> String {
    format!("{{\"message\":{},\"{list}\":[", json!(message))
}
