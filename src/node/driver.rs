//! The engine's thread: events in, effects out to the other shells.
//!
//! The blocking order has no cycles: the driver waits for the swarm's and the writer's queues when they are full; the
//! writer waits for the disk, the swarm for none of them. Nothing waits for the driver: events of peers are refused
//! when its queue is full, and results of effects are bounded by the engine's work in flight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, select};

use super::checker::Checker;
use super::clock::unix_now;
use super::event::UserEvent;
use super::handle::Handle;
use super::inbox::Queues;
use super::miner::Miner;
use super::store::writer::Writer;
use super::swarm::SwarmHandle;
use crate::engine::event::{LoadEffect, UserEffect};
use crate::engine::{Effect, Engine, Event, Now, View, Wake};
use crate::protocol::Millis;

/// A due tick waits for no more events than this.
const EVENTS_BEFORE_TICK: u32 = 64;
/// Time for the disk at the end.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// How stale the published view may get on a busy node.
const VIEW_AGE_MAX: Duration = Duration::from_millis(20);

/// The engine with its inputs and shells.
pub struct Driver {
    engine: Engine,
    inputs: Inputs,
    shells: Shells,
    started: Instant,
    /// Events since the last tick.
    events: u32,
    view: Arc<View>,
    /// The time of the first event that the view does not show yet.
    view_stale_since: Option<Instant>,
}

/// The sources of events.
pub struct Inputs {
    /// See [`EngineSender::new`](super::inbox::EngineSender::new).
    pub queues: Queues,
    /// The driver ends when the sender is gone.
    pub stop: Receiver<()>,
}

/// The shells that carry out effects.
pub struct Shells {
    pub swarm: Arc<SwarmHandle>,
    pub writer: Writer,
    pub loader: Sender<LoadEffect>,
    pub checker: Checker,
    pub miner: Miner,
    pub user: Handle,
}

impl Driver {
    /// An engine and its shells. The engine must be new, and `view` its first view.
    pub fn new(engine: Engine, view: Arc<View>, inputs: Inputs, shells: Shells) -> Self {
        let started = Instant::now();
        Self { engine, inputs, shells, started, events: 0, view, view_stale_since: None }
    }

    /// Runs the engine until it is stopped.
    pub fn run(mut self) {
        // The engine may have work from its last run.
        let mut event = Event::Tick;
        loop {
            let wake = self.handle(event);
            match self.next_event(wake) {
                Some(next) => event = next,
                None => return self.finish(),
            }
        }
    }

    /// Commands of the last moment are made durable and answered, if the disk allows.
    fn finish(&mut self) {
        self.shells.writer.flush();
        let deadline = Instant::now() + FINISH_TIMEOUT;
        // A writer that has failed makes nothing durable any more.
        while self.engine.awaits_disk()
            && !self.shells.writer.is_closed()
            && let Ok(event) = self.inputs.queues.results.recv_deadline(deadline)
        {
            if matches!(event, Event::Persisted { .. }) {
                self.handle(event);
                self.shells.writer.flush();
            }
        }
    }

    fn handle(&mut self, event: Event) -> Wake {
        let now = Now { elapsed: millis(self.started.elapsed()), unix: unix_now() };
        let mut effects = Vec::new();
        // The view shows nothing of how far the disk is.
        let changes_view = !matches!(event, Event::Persisted { .. });
        let wake = self.engine.handle(now, event, &mut effects);
        if changes_view {
            self.view_stale_since.get_or_insert_with(Instant::now);
        }
        for effect in effects {
            self.carry_out(effect);
        }
        // Peers come first, then the disk.
        self.flush_if_due();
        wake
    }

    fn flush_if_due(&mut self) {
        let writer = &mut self.shells.writer;
        if writer.hurried().try_recv().is_ok() {
            writer.hurry();
        }
        if writer.due().is_some_and(|due| due <= Instant::now()) {
            writer.flush();
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let shells = &mut self.shells;
        match effect {
            Effect::Peer(effect) => shells.swarm.carry_out(effect),
            Effect::Store(effect) => shells.writer.carry_out(effect),
            // A loader that has failed has reported it.
            Effect::Load(effect) => drop(shells.loader.send(effect)),
            Effect::Check(effect) => shells.checker.carry_out(effect),
            Effect::Mine(effect) => shells.miner.carry_out(effect),
            Effect::User(effect) => self.tell_user(effect),
        }
    }

    /// A user who gets an answer or a notice sees a state that includes it.
    fn tell_user(&mut self, effect: UserEffect) {
        self.show();
        match effect {
            UserEffect::Answer { ticket, answer } => self.shells.user.answer(ticket, answer),
            UserEffect::Notify(notice) => self.shells.user.publish(UserEvent::Notice(notice)),
        }
    }

    /// Publishes the state, if it has changed since the last time.
    fn show(&mut self) {
        if self.view_stale_since.take().is_none() {
            return;
        }
        let view = self.engine.view();
        if view != self.view {
            self.view = Arc::clone(&view);
            self.shells.user.show(view);
        }
    }

    /// The next event or tick, after a wait if necessary; `None` when the driver is stopped.
    fn next_event(&mut self, wake: Wake) -> Option<Event> {
        let due = match wake {
            Wake::Now => Instant::now(),
            Wake::At(Millis(millis)) => self.started + Duration::from_millis(millis),
        };
        loop {
            if self.inputs.stop.try_recv() == Err(TryRecvError::Disconnected) {
                return None;
            }
            let now = Instant::now();
            if self.view_stale_since.is_some_and(|since| since + VIEW_AGE_MAX <= now) {
                self.show();
            }
            self.flush_if_due();
            if (now < due || self.events < EVENTS_BEFORE_TICK)
                && let Some(event) = self.inputs.queues.waiting(self.events)
            {
                self.events += 1;
                return Some(event);
            }
            if due <= now {
                self.events = 0;
                return Some(Event::Tick);
            }
            let view_due = self.view_stale_since.map(|since| since + VIEW_AGE_MAX);
            let deadline = view_due.into_iter().chain(self.shells.writer.due()).fold(due, Instant::min);
            if let Some(event) = self.wait_until(deadline) {
                self.events += 1;
                return Some(event);
            }
        }
    }

    /// The first event to come, `None` at the deadline or when the driver is stopped.
    fn wait_until(&mut self, deadline: Instant) -> Option<Event> {
        select! {
            recv(self.shells.writer.hurried()) -> _ => {
                self.shells.writer.hurry();
                None
            }
            recv(self.inputs.queues.commands) -> event => event.ok(),
            recv(self.inputs.queues.results) -> event => event.ok(),
            recv(self.inputs.queues.offered) -> event => event.ok(),
            recv(self.inputs.stop) -> _ => None,
            default(deadline.saturating_duration_since(Instant::now())) => None,
        }
    }
}

fn millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
