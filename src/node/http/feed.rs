//! Events as server-sent events: `GET /api/v1/events`.
//!
//! A thread turns the node's events into lines once, for all clients, and keeps the newest. Each client has a place in
//! that list and nothing else, so five hundred of them cost five hundred numbers. A client that is too slow, or comes
//! back too late, gets `reset` and asks for the state again. A transaction becomes a line when it is sent for the first
//! time: there may be tens of thousands in a second, and mostly without a listener.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use crossbeam_channel::select;
use futures::{Stream, StreamExt};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::App;
use crate::engine::event::Notice;
use crate::node::api::event::{self, Roster};
use crate::node::api::rows::Identity;
use crate::node::event::UserEvent;
use crate::node::handle::Handle;
use crate::node::thread::Stoppable;

/// Events that a client can catch up on: four seconds at a thousand a second, hours on a quiet network.
const KEPT_EVENTS_MAX: usize = 4096;
/// Most events in one piece of a stream.
const EVENTS_AT_ONCE_MAX: usize = 64;
/// A comment line, so that both sides notice when the other is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The newest events. Cheap to clone.
#[derive(Clone)]
pub(super) struct Feed {
    kept: Arc<Mutex<Kept>>,
    /// The number of the newest event; closed when no more will come.
    newest: watch::Receiver<u64>,
    /// Distinguishes this run of the node from others.
    run: u32,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<Arc<FeedLine>>,
    /// The number of the oldest event that is kept.
    first: u64,
}

/// An event, ready to be sent.
struct FeedLine {
    number: u64,
    event: LazyLock<NamedEvent, Box<dyn FnOnce() -> NamedEvent + Send>>,
}

/// The kind and the data of an event; the same as scripts get.
type NamedEvent = (&'static str, String);

impl FeedLine {
    /// `None` for events that clients do not get.
    fn of(number: u64, event: UserEvent, identity: &Arc<Identity>, roster: &Roster) -> Option<Self> {
        match event {
            // A client knows already where the node is.
            UserEvent::Ready { .. } => None,
            UserEvent::Notice(Notice::Transaction(_)) => {
                let identity = Arc::clone(identity);
                // It names no peer.
                let event = move || event::named_event(&event, &identity, &Roster::default());
                Some(Self::later(number, move || event().expect("scripts get each transaction")))
            }
            _ => event::named_event(&event, identity, roster).map(|event| Self::later(number, move || event)),
        }
    }

    fn later(number: u64, event: impl FnOnce() -> NamedEvent + Send + 'static) -> Self {
        Self { number, event: LazyLock::new(Box::new(event)) }
    }
}

/// The next part of a client's stream.
enum NextEvents {
    Lines(Vec<Arc<FeedLine>>),
    /// Some events are lost: go on at this number.
    Reset(u64),
}

impl Feed {
    /// Follows the node's events; `observe` sees each of them too.
    pub(super) fn start(
        handle: &Handle,
        identity: &Identity,
        mut observe: impl FnMut(&UserEvent) + Send + 'static,
        failed: impl FnOnce(String) + Send + 'static,
    ) -> io::Result<(Self, Stoppable)> {
        let (sender, newest) = watch::channel(0);
        let run = getrandom::u32().map_err(io::Error::from)?;
        let feed = Self { kept: Arc::new(Mutex::new(Kept { events: VecDeque::new(), first: 1 })), newest, run };
        let (kept, events, identity) =
            (Arc::clone(&feed.kept), handle.subscribe_internal(), Arc::new(identity.clone()));
        let thread = Stoppable::spawn("feed", failed, move |stopped| {
            let mut roster = Roster::default();
            loop {
                let event = select! {
                    recv(stopped) -> _ => return,
                    recv(events) -> event => event,
                };
                let Ok(event) = event else { return };
                observe(&event);
                roster.learn(&event);
                let number = *sender.borrow() + 1;
                if let Some(line) = FeedLine::of(number, event.clone(), &identity, &roster) {
                    lock(&kept).push(line);
                    // There may be no listener.
                    let _ = sender.send(number);
                }
                roster.forget(&event);
            }
        })?;
        Ok((feed, thread))
    }

    /// The events after this number.
    fn after(&self, number: u64) -> NextEvents {
        let kept = lock(&self.kept);
        if number + 1 < kept.first {
            return NextEvents::Reset(kept.first + kept.events.len() as u64 - 1);
        }
        let skip = usize::try_from(number + 1 - kept.first).unwrap_or(usize::MAX);
        NextEvents::Lines(kept.events.iter().skip(skip).take(EVENTS_AT_ONCE_MAX).cloned().collect())
    }

    /// The id of an event on the wire: the run and the number.
    fn id(&self, number: u64) -> String {
        format!("{:08x}-{number}", self.run)
    }

    /// The number in an id, if the id is of this run.
    fn number(&self, id: &str) -> Option<u64> {
        let (run, number) = id.split_once('-')?;
        let number = number.parse().ok().filter(|number| *number <= *self.newest.borrow())?;
        (u32::from_str_radix(run, 16) == Ok(self.run)).then_some(number)
    }
}

impl Kept {
    fn push(&mut self, line: FeedLine) {
        if self.events.len() == KEPT_EVENTS_MAX {
            self.events.pop_front();
            self.first += 1;
        }
        self.events.push_back(Arc::new(line));
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock()
}

/// Events from now on, or after the one that `Last-Event-ID` names.
#[utoipa::path(get, path = "/events", tag = "node", operation_id = "events", params(
    ("Last-Event-ID" = Option<String>, Header, description = "the id of the last event that was received")
), responses(
    (status = 200, content_type = "text/event-stream", body = String, description = "Events `tip`, `transaction`, \
        `rolled_back`, `peer_connected`, `peer_disconnected`, `watch`, `warning` as the prompt's JSON has them; `hello` \
        first, and `reset` if some were lost: then ask for the state again.")
))]
pub(super) async fn stream(State(app): State<App>, headers: HeaderMap) -> impl IntoResponse {
    let asked = headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let feed = app.0.feed.clone();
    let newest = *feed.newest.borrow();
    let (start, greeting) = match asked.map(|id| feed.number(id)) {
        None => (newest, "hello"),
        Some(Some(number)) => (number, "hello"),
        Some(None) => (newest, "reset"),
    };
    let counted = app.0.metrics.event_stream();
    let stream = events(feed, start, greeting, app.0.stopped.clone()).inspect(move |_| {
        // Lives as long as the stream.
        let _ = &counted;
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// All events after a number, as they come. Ends with the node.
fn events(
    feed: Feed,
    start: u64,
    greeting: &'static str,
    stopped: watch::Receiver<bool>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let first = Event::default().event(greeting).id(feed.id(start)).data("{}");
    let newest = feed.newest.clone();
    let pieces = futures::stream::unfold((start, Some(first)), move |(at, first)| {
        let feed = feed.clone();
        let (mut newest, mut stopped) = (newest.clone(), stopped.clone());
        async move {
            if let Some(first) = first {
                return Some((vec![first], (at, None)));
            }
            tokio::select! {
                news = newest.wait_for(|newest| *newest > at) => news.map(|_| ()).ok()?,
                _ = stopped.wait_for(|stopped| *stopped) => return None,
            }
            Some(match feed.after(at) {
                NextEvents::Reset(number) => {
                    (vec![Event::default().event("reset").id(feed.id(number)).data("{}")], (number, None))
                }
                NextEvents::Lines(lines) => {
                    let last = lines.last().map_or(at, |line| line.number);
                    let event = |line: &Arc<FeedLine>| {
                        let (kind, data) = &*line.event;
                        Event::default().event(*kind).id(feed.id(line.number)).data(data)
                    };
                    (lines.iter().map(event).collect(), (last, None))
                }
            })
        }
    });
    pieces.map(|events| futures::stream::iter(events.into_iter().map(Ok))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(events: u64) -> Feed {
        let (sender, newest) = watch::channel(events);
        // The test needs no more of them.
        drop(sender);
        let mut kept = Kept { events: VecDeque::new(), first: 1 };
        for number in 1..=events {
            kept.push(FeedLine::later(number, move || ("tip", number.to_string())));
        }
        Feed { kept: Arc::new(Mutex::new(kept)), newest, run: 0xabc }
    }

    fn numbers(next: &NextEvents) -> Vec<u64> {
        match next {
            NextEvents::Lines(lines) => lines.iter().map(|line| line.number).collect(),
            NextEvents::Reset(_) => panic!("a reset"),
        }
    }

    #[test]
    fn a_stream_goes_on_where_it_was() {
        let feed = feed(10);
        assert_eq!(numbers(&feed.after(7)), [8, 9, 10]);
        assert_eq!(numbers(&feed.after(0)).len(), 10);
        assert!(numbers(&feed.after(10)).is_empty());
        assert_eq!(feed.number(&feed.id(7)), Some(7));
    }

    #[test]
    fn who_comes_too_late_hears_of_it() {
        let feed = feed(KEPT_EVENTS_MAX as u64 + 5);
        assert!(matches!(feed.after(4), NextEvents::Reset(number) if number == KEPT_EVENTS_MAX as u64 + 5));
        assert_eq!(numbers(&feed.after(5))[0], 6);
    }

    #[test]
    fn ids_of_other_runs_and_from_the_future_are_none() {
        let feed = feed(10);
        for id in ["", "7", "abc", "00000abd-7", "00000abc-11", "00000abc-x", "zz-7"] {
            assert_eq!(feed.number(id), None, "{id}");
        }
    }
}
