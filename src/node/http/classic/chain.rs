//! The whole chain as one JSON document, in constant memory.
//!
//! Pieces are made as the client reads them, each on a thread that may block, so a slow client holds up nobody. All are
//! of one snapshot: a reorganisation meanwhile does not put two chains into one answer. A client that does not read
//! gives way to others ([`Places`](crate::node::http::room::Places)).

use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::json;

use super::{BlockJson, PartQuery};
use crate::node::api::{lookup, parse};
use crate::node::http::App;
use crate::node::http::extract::{Query, parsed};
use crate::node::http::fresh;
use crate::node::http::problem::Problem;
use crate::node::http::room;
use crate::node::store::Snapshot;
use crate::protocol::Height;

/// The size at which a piece is sent, in bytes.
const PIECE_BYTES: usize = 64 << 10;

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
    let writer =
        ChainWriter { app: app.clone(), snapshot, first: first.0, next: first.0, end, text: beginning.into_bytes() };
    let place = app.0.room.chains.hold(1, writer, Instant::now()).ok_or_else(|| {
        room::no_room("too many whole chains are being sent: try again, or ask /api/v1/blocks for parts")
    })?;
    // Once an answer has begun, breaking it off is the only sign of an error.
    let pieces = stream::try_unfold(Some(place), |place| async move {
        let Some(place) = place else { return Ok(None) };
        let writer = place.take().ok_or_else(room::gave_way)?;
        let piece = tokio::task::spawn_blocking(move || writer.piece()).await;
        let (piece, rest) = piece
            .map_err(|_| Problem::fault())
            .flatten()
            .map_err(|problem| std::io::Error::other(problem.into_detail()))?;
        let Some(rest) = rest else { return Ok(Some((piece, None))) };
        if place.keep(rest, Instant::now()) { Ok(Some((piece, Some(place)))) } else { Err(room::gave_way()) }
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response())
}

struct ChainWriter {
    app: App,
    snapshot: Snapshot,
    first: u64,
    /// The next height.
    next: u64,
    /// The height above the last one.
    end: u64,
    text: Vec<u8>,
}

impl ChainWriter {
    /// The next piece, and the writer if there are more.
    fn piece(mut self) -> Result<(Bytes, Option<Self>), Problem> {
        while self.next < self.end && self.text.len() < PIECE_BYTES {
            let block = lookup::block_at(&self.snapshot, Height(self.next))?;
            if self.next > self.first {
                self.text.push(b',');
            }
            let block = BlockJson::new(&block, self.app.handle().network());
            serde_json::to_writer(&mut self.text, &block).expect("numbers and texts always serialise");
            self.next += 1;
        }
        let is_last = self.next >= self.end;
        if is_last {
            self.text.extend_from_slice(format!("],\"length\":{}}}", self.snapshot.tip().height.0 + 1).as_bytes());
        }
        let piece = Bytes::from(std::mem::take(&mut self.text));
        Ok((piece, (!is_last).then_some(self)))
    }
}

/// The beginning of a document with a message.
pub(super) fn with_message(message: &str, list: &str) -> String {
    format!("{{\"message\":{},\"{list}\":[", json!(message))
}
