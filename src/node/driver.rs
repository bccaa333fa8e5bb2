//! The engine's thread: events in, effects out to the other shells.
//!
//! Who may wait for whom, so that nobody waits in a circle: the driver waits for the swarm's and the writer's queues when
//! they are full. The writer waits for the disk and the swarm, the swarm for nobody. Nothing waits for the driver: what
//! peers send is refused when its queue is full, and results of effects are at most what the engine has in flight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, select};

use super::checker::Checker;
use super::clock::unix_now;
use super::handle::{Handle, UserEvent};
use super::loader::Load;
use super::miner::Miner;
use super::store::writer::Job;
use super::swarm::{Reply, SwarmCommand, SwarmHandle};
use crate::engine::event::{Answer, Command, CommandError, Notice, Ticket};
use crate::engine::{Effect, Engine, Event, Now, View, Wake};
use crate::protocol::Millis;

/// How many events from peers may wait for the engine. More are refused: gossip is ignored, requests fail.
pub const OFFERED_EVENTS_MAX: usize = 1024;
/// A tick that is due waits for no more events than this.
const EVENTS_BEFORE_TICK: u32 = 64;
/// Of so many events, peers are sure of one.
const RESULTS_PER_OFFERED: u32 = 4;
/// How old the view of a node may be that has more to do than to show it.
const VIEW_AGE_MAX: Duration = Duration::from_millis(20);

/// The way into the engine, for all shells.
#[derive(Debug, Clone)]
pub struct EngineSender {
    commands: Sender<Event>,
    results: Sender<Event>,
    offered: Sender<Event>,
}

/// The other end: what waits for the engine.
#[derive(Debug)]
pub struct Queues {
    /// From the user; bounded by the users, who wait for their answers.
    pub commands: Receiver<Event>,
    /// What answers the engine's own effects; bounded by what the engine has in flight.
    pub results: Receiver<Event>,
    /// From peers; bounded by [`OFFERED_EVENTS_MAX`] and the number of sessions.
    pub offered: Receiver<Event>,
}

impl EngineSender {
    /// Both ends.
    pub fn new() -> (Self, Queues) {
        let (commands, commands_receiver) = crossbeam_channel::unbounded();
        let (results, results_receiver) = crossbeam_channel::unbounded();
        let (offered, offered_receiver) = crossbeam_channel::unbounded();
        let queues = Queues { commands: commands_receiver, results: results_receiver, offered: offered_receiver };
        (Self { commands, results, offered }, queues)
    }

    /// For the node's own user. Never refused, and next in turn.
    pub fn command(&self, ticket: Ticket, command: Command) {
        // An engine that is gone answers nobody; whoever waits is told so.
        let _ = self.commands.send(Event::Command { ticket, command });
    }

    /// For what a peer sends of its own accord (gossip, requests). Gives it back if the engine is too busy.
    pub fn offer(&self, event: Event) -> Result<(), Event> {
        if self.offered.len() >= OFFERED_EVENTS_MAX {
            return Err(event);
        }
        self.offered.send(event).map_err(|refused| refused.0)
    }

    /// For sessions that begin and end: never refused, and in one order with what their peers send, which would
    /// otherwise come from a peer that the engine does not know.
    pub fn offer_session(&self, event: Event) {
        // An engine that is gone knows no peers.
        let _ = self.offered.send(event);
    }

    /// For what must not be lost: results of effects. Never blocks.
    pub fn deliver(&self, event: Event) {
        // An engine that is gone needs no results.
        let _ = self.results.send(event);
    }
}

impl Queues {
    /// An event that waits, `handled` others after the last tick. The user's commands overtake everything: somebody waits
    /// for the answer. The node's own results go before peers, so that peers don't hold up what was begun; but a miner on
    /// an easy network always has a result, so peers have their turn too.
    fn waiting(&self, handled: u32) -> Option<Event> {
        let peers_turn = handled.is_multiple_of(RESULTS_PER_OFFERED);
        let (first, second) = if peers_turn { (&self.offered, &self.results) } else { (&self.results, &self.offered) };
        [&self.commands, first, second].into_iter().find_map(|queue| queue.try_recv().ok())
    }
}

/// The engine, and all that it hears and tells.
pub struct Driver {
    engine: Engine,
    inputs: Inputs,
    shells: Shells,
    started: Instant,
    /// Events since the last tick.
    events: u32,
    /// The newest batch that was sent to the writer, and the newest that is durable.
    sent: u64,
    persisted: u64,
    view: Arc<View>,
    /// When something was handled that the view does not show.
    view_stale_since: Option<Instant>,
}

/// Where events come from.
pub struct Inputs {
    /// From [`EngineSender::new`].
    pub queues: Queues,
    /// The driver ends when the sender is gone.
    pub stop: Receiver<()>,
}

/// Who carries out effects.
pub struct Shells {
    /// Sends and receives.
    pub swarm: Arc<SwarmHandle>,
    /// Writes.
    pub writer: Sender<Job>,
    /// Reads.
    pub loader: Sender<Load>,
    /// Checks.
    pub checker: Checker,
    /// Mines.
    pub miner: Miner,
    /// Tells the user.
    pub user: Handle,
}

/// What the user gets to know once everything before is durable.
enum Told {
    Answer(Ticket, Result<Answer, CommandError>),
    Notice(Notice),
}

impl Driver {
    /// An engine and its shells. The engine must be new, and `view` its first view.
    pub fn new(engine: Engine, view: Arc<View>, inputs: Inputs, shells: Shells) -> Self {
        let started = Instant::now();
        Self { engine, inputs, shells, started, events: 0, sent: 0, persisted: 0, view, view_stale_since: None }
    }

    /// Runs the engine until it is stopped.
    pub fn run(mut self) {
        // The engine may have work from its last run.
        let mut event = Event::Tick;
        loop {
            let wake = self.handle(event);
            match self.next_event(wake) {
                Some(next) => event = next,
                None => return,
            }
        }
    }

    fn handle(&mut self, event: Event) -> Wake {
        if let Event::Persisted { sequence } = event {
            self.persisted = sequence;
        }
        let now = Now { elapsed: millis(self.started.elapsed()), unix: unix_now() };
        let mut effects = Vec::new();
        let wake = self.engine.handle(now, event, &mut effects);
        self.view_stale_since.get_or_insert_with(Instant::now);

        let mut told = Vec::new();
        for effect in effects {
            self.carry_out(effect, &mut told);
        }
        if !told.is_empty() {
            self.publish(told);
        }
        wake
    }

    fn carry_out(&mut self, effect: Effect, told: &mut Vec<Told>) {
        let shells = &self.shells;
        match effect {
            Effect::Publish(gossip) => self.tell_peers(SwarmCommand::Publish(gossip)),
            Effect::Verdict { peer, ticket, verdict } => {
                shells.swarm.command(SwarmCommand::Verdict { peer, ticket, verdict });
            }
            Effect::Ask { peer, key, request } => shells.swarm.command(SwarmCommand::Ask { peer, key, request }),
            Effect::Reply { ticket, response } => {
                self.tell_peers(SwarmCommand::Reply { ticket, reply: response.map(Reply::Response) });
            }
            Effect::Close { peer, fault, ban } => shells.swarm.command(SwarmCommand::Close { peer, fault, ban }),
            Effect::Serve { ticket, places } => self.load(Load::Serve { ticket, places }),
            Effect::Load { key, places } => self.load(Load::Blocks { key, places }),
            Effect::CheckBlocks { key, blocks } => shells.checker.check_blocks(key, blocks),
            Effect::CheckTransactions { key, transactions } => shells.checker.check_transactions(key, transactions),
            Effect::Persist(batch) => {
                self.sent = batch.sequence;
                self.write(Job::Persist(batch));
            }
            Effect::Mine { key, header } => shells.miner.mine(key, &header),
            Effect::StopMining => shells.miner.stop(),
            Effect::Answer { ticket, answer } => told.push(Told::Answer(ticket, answer)),
            Effect::Notify(notice) => told.push(Told::Notice(notice)),
        }
    }

    fn write(&self, job: Job) {
        // A writer that has failed has told so, and the node shuts down.
        let _ = self.shells.writer.send(job);
    }

    /// Peers learn of this node's own blocks and transactions when they are durable. Else a node that was killed could
    /// sign another transaction with a nonce that its peers have seen used, and lose one that it has acknowledged.
    fn tell_peers(&self, command: SwarmCommand) {
        let swarm = Arc::clone(&self.shells.swarm);
        self.when_durable(move || swarm.command(command));
    }

    /// What is asked for may be on its way to the disk.
    fn load(&self, load: Load) {
        let loader = self.shells.loader.clone();
        self.when_durable(move || {
            // A loader that has failed has told so.
            let _ = loader.send(load);
        });
    }

    fn when_durable(&self, act: impl FnOnce() + Send + 'static) {
        if self.sent == self.persisted { act() } else { self.write(Job::Release(Box::new(act))) }
    }

    /// Shows the state, then what there is to tell, as soon as everything handled so far is durable.
    fn publish(&mut self, told: Vec<Told>) {
        self.view_stale_since = None;
        let view = self.engine.view();
        if told.is_empty() && view == self.view {
            return;
        }
        self.view = Arc::clone(&view);
        let user = self.shells.user.clone();
        self.write(Job::Release(Box::new(move || {
            user.show(view);
            for one in told {
                match one {
                    Told::Answer(ticket, answer) => user.answer(ticket, answer),
                    Told::Notice(notice) => user.tell(UserEvent::Notice(notice)),
                }
            }
        })));
    }

    /// What to handle next, waiting for it if need be; `None` when the driver is stopped.
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
                self.publish(Vec::new());
            }
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
            if let Some(event) = self.wait_until(view_due.map_or(due, |view_due| view_due.min(due))) {
                self.events += 1;
                return Some(event);
            }
        }
    }

    /// The first event to come, `None` at the deadline or when the driver is stopped.
    fn wait_until(&self, deadline: Instant) -> Option<Event> {
        select! {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::PeerKey;

    #[test]
    fn a_session_begins_before_its_peer_is_heard_and_when_nobody_else_is() {
        let (sender, queues) = EngineSender::new();
        let peer = PeerKey(1);
        sender.offer_session(Event::PeerConnected { peer });
        while sender.offer(Event::Tick).is_ok() {}
        sender.offer_session(Event::PeerDisconnected { peer });
        assert!(sender.offer(Event::Tick).is_err());
        let events: Vec<Event> = queues.offered.try_iter().collect();
        assert_eq!(events.len(), OFFERED_EVENTS_MAX + 1);
        assert!(matches!(events.first(), Some(Event::PeerConnected { .. })));
        assert!(matches!(events.last(), Some(Event::PeerDisconnected { .. })));
    }
    /// The next so many events, by who sent them.
    fn next(queues: &Queues, from: u32, count: u32) -> String {
        let turn = |handled| match queues.waiting(handled) {
            Some(Event::Command { .. }) => 'c',
            Some(Event::Persisted { .. }) => 'r',
            Some(Event::PeerConnected { .. }) => 'p',
            Some(other) => panic!("{other:?} was never sent"),
            None => '.',
        };
        (from..from + count).map(turn).collect()
    }

    #[test]
    fn commands_overtake_a_flood_and_peers_have_their_turn() {
        let (sender, queues) = EngineSender::new();
        for number in 0..OFFERED_EVENTS_MAX as u64 {
            assert!(sender.offer(Event::PeerConnected { peer: PeerKey(number) }).is_ok());
            sender.deliver(Event::Persisted { sequence: number });
        }
        assert_eq!(next(&queues, 0, 9), "prrrprrrp");
        sender.command(Ticket(1), Command::Pending);
        sender.command(Ticket(2), Command::Pending);
        assert_eq!(next(&queues, 9, 4), "ccrp", "at once, whose turn it ever is");
        queues.results.try_iter().for_each(drop);
        assert_eq!(next(&queues, 13, 3), "ppp");
        queues.offered.try_iter().for_each(drop);
        assert_eq!(next(&queues, 16, 1), ".");
    }
}
