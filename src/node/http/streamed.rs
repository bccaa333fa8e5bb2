//! Answers that are made as their client reads them, in constant memory: whole chains and whole lists.
//!
//! Each piece is made on a thread that may block, so a slow client holds up nobody. A client that does not read gives way
//! to others ([`Places`](super::room::Places)). Once an answer has begun, breaking it off is the only sign of an error.

use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures::stream;

use super::App;
use super::problem::Problem;
use super::room;

/// The size at which a piece is sent, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// How far a writer came.
pub(super) enum Progress {
    More,
    /// There is more, and it takes a while to find: what there is goes to the client.
    Pause,
    End,
}

/// Writes a little more of an answer. Owns what it reads, so that all pieces are of one moment.
pub(super) type Writer = Box<dyn FnMut(&mut Vec<u8>) -> Result<Progress, Problem> + Send>;

/// The body of an answer without headers.
pub(super) fn streamed(app: &App, write: Writer) -> Result<Response, Problem> {
    let place = app.0.room.chains.hold(1, write, Instant::now()).ok_or_else(|| {
        room::no_room("too many whole chains and lists are being sent: try again, or ask for parts with `limit`")
    })?;
    let pieces = stream::try_unfold(Some(place), |place| async move {
        let Some(place) = place else { return Ok(None) };
        let write = place.take().ok_or_else(room::gave_way)?;
        let piece = tokio::task::spawn_blocking(move || piece(write)).await;
        let (piece, rest) = piece
            .map_err(|_| Problem::fault())
            .flatten()
            .map_err(|problem| std::io::Error::other(problem.into_detail()))?;
        let Some(rest) = rest else { return Ok(Some((piece, None))) };
        if place.keep(rest, Instant::now()) { Ok(Some((piece, Some(place)))) } else { Err(room::gave_way()) }
    });
    Ok(Body::from_stream(pieces).into_response())
}

/// The next piece, and the writer if there are more.
fn piece(mut write: Writer) -> Result<(Bytes, Option<Writer>), Problem> {
    let mut text = Vec::new();
    while text.len() < PIECE_BYTES {
        match write(&mut text)? {
            Progress::More => {}
            Progress::Pause => break,
            Progress::End => return Ok((text.into(), None)),
        }
    }
    Ok((text.into(), Some(write)))
}
