//! Room for long answers, so that clients who do not read cost a bounded amount of memory.
//!
//! A short answer needs no room: connections are bounded. A longer one is made when it is its turn, and takes room from
//! one budget until its client has read it. Where there is none left, the client that has read nothing for longest
//! gives way, if it has had [`PATIENCE`]: its memory is free at once, and its connection breaks off. If nobody is that
//! slow, the new answer is refused with 503.
//!
//! Whole chains and lists (`streamed`) share [`STREAMS_MAX`] places in the same way.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::App;
use super::problem::Problem;

/// All long answers that were made and not read yet, in bytes. The client that has read nothing for longest gives way.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Longer answers need room, in bytes.
const SHORT_BYTES_MAX: usize = 64 << 10;
/// A client gets a long answer in pieces of so many bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Whole chains and lists that are sent at once. Each keeps the store from reusing its old pages. The slowest client gives way.
const STREAMS_MAX: usize = 8;
/// A client that has read a piece within this time does not give way.
const PATIENCE: Duration = Duration::from_secs(1);
/// Long answers that are made at once. The others wait for their turn.
const MADE_MAX: usize = 2;

/// The room of a server.
pub(super) struct Room {
    answers: Arc<Places>,
    pub(super) chains: Arc<Places>,
    turns: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            answers: Places::new(ANSWER_BYTES_MAX),
            chains: Places::new(STREAMS_MAX),
            turns: Arc::new(Semaphore::new(MADE_MAX)),
        }
    }
}

impl App {
    /// An answer that may be long: made when it is its turn, on a thread that may block.
    pub(super) async fn make<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.0.room.turns).acquire_owned().await.map_err(|_| Problem::fault())?;
        self.wait(move |app| {
            let made = work(app);
            drop(turn);
            made
        })
        .await
    }

    /// The same in JSON.
    pub(super) async fn make_json<T: Serialize>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let made = self.make(|app| {
            let text = serde_json::to_vec(&work(app)?);
            Ok(Bytes::from(text.expect("strings, numbers and lists always serialise")))
        });
        Ok(([(header::CONTENT_TYPE, "application/json")], made.await?).into_response())
    }
}

/// Gives long answers room, or refuses them.
pub(super) async fn bound(State(app): State<App>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let is_long = |length: &u64| *length > SHORT_BYTES_MAX as u64;
    // Answers whose length is unknown are made as they are read.
    if response.body().size_hint().exact().filter(is_long).is_none() {
        return response;
    }
    let (parts, body) = response.into_parts();
    // All of it is in memory already.
    let Ok(whole) = to_bytes(body, usize::MAX).await else { return Problem::fault().into_response() };
    match Pieces::of(&app.0.room.answers, whole) {
        Ok(pieces) => Response::from_parts(parts, Body::new(pieces)),
        Err(problem) => problem.into_response(),
    }
}

/// Places for what clients read slowly.
pub(super) struct Places {
    /// The sum of what is held, in bytes or whatever else is counted.
    units_max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    units: usize,
    last_id: u64,
    held: BTreeMap<u64, Held>,
}

struct Held {
    units: usize,
    /// When its client has last read something.
    read_at: Instant,
    /// Drops the content.
    clear: Box<dyn Fn() + Send>,
}

/// Content that has a place, until this is dropped or has to give way.
pub(super) struct Place<T> {
    places: Arc<Places>,
    id: u64,
    content: Arc<Mutex<Option<T>>>,
}

impl Places {
    /// Room for this many units.
    fn new(units_max: usize) -> Arc<Self> {
        Arc::new(Self { units_max, table: Mutex::default() })
    }

    /// A place for `content`, which takes so many units. `None`: there is no room, and nobody is slow.
    pub(super) fn hold<T: Send + 'static>(
        self: &Arc<Self>,
        units: usize,
        content: T,
        now: Instant,
    ) -> Option<Place<T>> {
        let mut table = self.table.lock();
        if !table.make_room(self.units_max.checked_sub(units)?, now) {
            return None;
        }
        let content = Arc::new(Mutex::new(Some(content)));
        let cleared = Arc::clone(&content);
        let clear = Box::new(move || drop(cleared.lock().take()));
        table.last_id += 1;
        table.units += units;
        let id = table.last_id;
        table.held.insert(id, Held { units, read_at: now, clear });
        Some(Place { places: Arc::clone(self), id, content })
    }
}

impl Table {
    /// Takes places from the slowest clients until at most `units_max` are left. Changes nothing if that is impossible.
    fn make_room(&mut self, units_max: usize, now: Instant) -> bool {
        let is_slow = |held: &Held| now.saturating_duration_since(held.read_at) >= PATIENCE;
        let slow: usize = self.held.values().filter(|held| is_slow(held)).map(|held| held.units).sum();
        if self.units - slow > units_max {
            return false;
        }
        while self.units > units_max {
            let slowest = self.held.iter().min_by_key(|(_, held)| held.read_at).map(|(id, _)| *id);
            let evicted = slowest.and_then(|id| self.remove(id)).expect("what is held takes all units");
            (evicted.clear)();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Held> {
        let held = self.held.remove(&id)?;
        self.units -= held.units;
        Some(held)
    }
}

impl<T> Place<T> {
    /// Takes the content out, to be put back by [`Place::keep`]. `None`: it had to give way.
    pub(super) fn take(&self) -> Option<T> {
        self.content.lock().take()
    }

    /// Puts what the client has not read yet back. Whether it still had its place; otherwise it is gone.
    pub(super) fn keep(&self, rest: T, now: Instant) -> bool {
        // Whoever makes room holds the same lock, so content without a place is never put back.
        let mut table = self.places.table.lock();
        let Some(held) = table.held.get_mut(&self.id) else { return false };
        held.read_at = now;
        *self.content.lock() = Some(rest);
        true
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        self.places.table.lock().remove(self.id);
    }
}

/// The error of an answer whose client was too slow. It breaks the connection off.
pub(super) fn gave_way() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client read too slowly, and others needed the room")
}

/// The refusal where there is no room.
pub(super) fn no_room(detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
}

/// A long answer as its client reads it.
struct Pieces {
    place: Place<Bytes>,
    unread: usize,
}

impl Pieces {
    fn of(places: &Arc<Places>, whole: Bytes) -> Result<Self, Problem> {
        let unread = whole.len();
        if unread > places.units_max {
            return Err(Problem::bad("too_much", "the answer would be too long: ask for fewer rows"));
        }
        let place = places.hold(unread, whole, Instant::now());
        let place =
            place.ok_or_else(|| no_room("too many long answers wait to be read: try again, or ask for less"))?;
        Ok(Self { place, unread })
    }

    /// A copy, so that what is under way does not keep all of it in memory.
    fn next(&mut self, now: Instant) -> io::Result<Bytes> {
        let mut rest = self.place.take().ok_or_else(gave_way)?;
        let piece = Bytes::copy_from_slice(&rest.split_to(PIECE_BYTES.min(rest.len())));
        self.unread = rest.len();
        if self.unread > 0 && !self.place.keep(rest, now) {
            return Err(gave_way());
        }
        Ok(piece)
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.unread == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.next(Instant::now()).map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.unread == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.unread as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clients whose content is still there.
    fn kept(places: &[Place<&'static str>]) -> Vec<&'static str> {
        places.iter().filter_map(|place| *place.content.lock()).collect()
    }

    #[test]
    fn the_slowest_gives_way_and_only_if_it_was_given_time() {
        let (places, start) = (Places::new(10), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let mut held: Vec<_> = ["a", "b"].into_iter().filter_map(|name| places.hold(4, name, at(0))).collect();
        assert!(places.hold(3, "early", at(999)).is_none(), "nobody is slow yet");
        let a = held[0].take().expect("it is there");
        assert!(held[0].keep(a, at(500)));
        held.extend(places.hold(6, "c", at(1000)));
        assert_eq!(kept(&held), ["a", "c"], "b has read nothing for longest");
        assert!(!held[1].keep("b", at(1000)), "what gave way does not come back");
        assert!(places.hold(1, "d", at(1001)).is_none(), "a has read not long ago");
        drop(held.remove(0));
        assert!(places.hold(4, "d", at(1001)).is_some(), "who has read all makes room");
        assert!(places.hold(11, "e", at(9000)).is_none());
        assert_eq!(kept(&held), ["c"], "nobody gives way for what never fits");
    }

    #[test]
    fn all_of_an_answer_comes_in_pieces_and_leaves_its_room() {
        let places = Places::new(1 << 20);
        let whole: Bytes = (0..PIECE_BYTES * 2 + 7).map(|at| at as u8).collect();
        let mut pieces = Pieces::of(&places, whole.clone()).expect("there is room");
        assert_eq!(places.table.lock().units, whole.len());
        let mut read = Vec::new();
        while !pieces.is_end_stream() {
            read.extend_from_slice(&pieces.next(Instant::now()).expect("nobody else is here"));
            assert_eq!(pieces.size_hint().exact(), Some((whole.len() - read.len()) as u64));
        }
        assert_eq!(read, whole);
        drop(pieces);
        assert_eq!(places.table.lock().units, 0);
        assert_eq!(Pieces::of(&places, vec![0; 2 << 20].into()).err().expect("it never fits").code(), "too_much");
    }

    #[test]
    fn an_answer_that_gave_way_breaks_off() {
        let places = Places::new(1 << 20);
        let mut slow = Pieces::of(&places, vec![0; 1 << 20].into()).expect("there is room");
        slow.next(Instant::now()).expect("the first piece");
        assert!(places.hold(1, (), Instant::now() + PATIENCE).is_some());
        assert_eq!(slow.next(Instant::now()).expect_err("it gave way").kind(), io::ErrorKind::TimedOut);
    }
}
