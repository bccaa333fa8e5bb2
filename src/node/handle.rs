//! The running node, as its user's front ends see it.

pub mod ask;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use libp2p::{Multiaddr, PeerId};
use parking_lot::{Mutex, MutexGuard};
use zeroize::Zeroizing;

use super::aliases::Aliases;
use super::clock::unix_now;
use super::event::{ConnectError, PeerRow, UserEvent};
use super::inbox::EngineSender;
use super::index::ChainIndex;
use super::lost::Lost;
use super::store::Reader;
use super::swarm::{SwarmCommand, SwarmHandle};
use super::wallet::{WalletError, Wallets};
use super::watched::Watched;
use crate::engine::View;
use crate::engine::event::{Answer, Command, CommandError, Ticket};
use crate::protocol::{Address, Network, SecretKey, UnixMillis};

/// Events that wait for a slow subscriber; any more are lost to it.
const SUBSCRIBER_EVENTS_MAX: usize = 16_384;

/// A running node, shared by everything that talks to its user. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<HandleInner>);

struct HandleInner {
    profile: Profile,
    engine: EngineSender,
    reader: Reader,
    index: Option<ChainIndex>,
    watched: Watched,
    swarm: Arc<SwarmHandle>,
    view: ArcSwap<View>,
    commands: Mutex<Commands>,
    users: Arc<Users>,
}

pub(super) struct Profile {
    pub(super) network: Arc<Network>,
    pub(super) peer_id: PeerId,
    pub(super) wallets: Wallets,
    pub(super) aliases: Aliases,
    pub(super) lost: Lost,
    pub(super) http: Option<SocketAddr>,
    /// The address of the page with the token in it.
    pub(super) page: Option<Zeroizing<String>>,
    pub(super) clock: Clock,
}

/// The user's time of day.
pub(super) enum Clock {
    Machine,
    /// A clock that the owner of the node sets, in Unix milliseconds.
    Set(Arc<AtomicU64>),
}

/// Commands that wait for their answer. Bounded by what users wait for.
#[derive(Default)]
struct Commands {
    last: u64,
    open: BTreeMap<Ticket, Waiting>,
    is_closed: bool,
}

/// The receiver of a command's answer. Must not block.
type Waiting = Box<dyn FnOnce(Result<Answer, CommandError>) + Send>;

impl Handle {
    pub(super) fn new(
        profile: Profile,
        engine: EngineSender,
        reader: Reader,
        index: Option<ChainIndex>,
        swarm: Arc<SwarmHandle>,
        view: Arc<View>,
        users: Arc<Users>,
    ) -> Self {
        let (view, commands, watched) = (ArcSwap::new(view), Mutex::default(), Watched::default());
        Self(Arc::new(HandleInner { profile, engine, reader, index, watched, swarm, view, commands, users }))
    }

    /// The newest snapshot. Never blocks.
    pub fn view(&self) -> Arc<View> {
        self.0.view.load_full()
    }

    /// Gives a command to the engine; `then` gets its one answer, on a thread of the node that it must not hold up. The
    /// questions in [`ask`] are its public side.
    fn command(&self, command: Command, then: impl FnOnce(Result<Answer, CommandError>) + Send + 'static) {
        let mut commands = self.commands();
        if commands.is_closed {
            drop(commands);
            return then(Err(CommandError::Closing));
        }
        commands.last += 1;
        let ticket = Ticket(commands.last);
        commands.open.insert(ticket, Box::new(then));
        self.0.engine.command(ticket, command);
    }

    /// Reads what is durable.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// The index; `None` if the node keeps none.
    pub fn index(&self) -> Option<&ChainIndex> {
        self.0.index.as_ref()
    }

    /// The lost transactions.
    pub fn lost(&self) -> &Lost {
        &self.0.profile.lost
    }

    /// The watched transactions.
    pub fn watched(&self) -> &Watched {
        &self.0.watched
    }

    /// Names for addresses.
    pub fn aliases(&self) -> &Aliases {
        &self.0.profile.aliases
    }

    /// The connected peers of our network.
    pub fn peers(&self) -> Vec<PeerRow> {
        self.0.swarm.peers()
    }

    /// Dials an address and waits until the peer is one of ours, or until it is clear that it will not be. Blocks.
    pub fn connect(&self, address: Multiaddr) -> Result<PeerRow, ConnectError> {
        let (done, result) = bounded(1);
        self.0.swarm.command(SwarmCommand::Connect { address, done });
        result.recv().unwrap_or_else(|_| Err(ConnectError(CommandError::Closing.to_string())))
    }

    /// The addresses on which the node listens.
    pub fn listen(&self) -> Vec<Multiaddr> {
        self.0.swarm.listen()
    }

    /// The address on which the node serves HTTP.
    pub fn http(&self) -> Option<SocketAddr> {
        self.0.profile.http
    }

    /// The address that opens the page, with the token where one is needed. Only for a terminal: other places are read
    /// by others.
    pub fn page(&self) -> Option<&str> {
        self.0.profile.page.as_ref().map(|page| page.as_str())
    }

    pub fn network(&self) -> &Network {
        &self.0.profile.network
    }

    /// The node's id among peers.
    pub fn peer_id(&self) -> PeerId {
        self.0.profile.peer_id
    }

    pub fn now(&self) -> UnixMillis {
        match &self.0.profile.clock {
            Clock::Machine => unix_now(),
            Clock::Set(millis) => UnixMillis(millis.load(Ordering::Relaxed)),
        }
    }

    /// The wallets, and which of them is in use.
    pub fn wallets(&self) -> &Wallets {
        &self.0.profile.wallets
    }

    /// The address of the wallet in use.
    pub fn address(&self) -> Address {
        self.wallets().address()
    }

    /// The key of the wallet in use, unless it is locked.
    pub fn key(&self) -> Result<Arc<SecretKey>, WalletError> {
        self.wallets().key()
    }

    /// Subscribes to events from now on; the first subscriber gets all from [`UserEvent::Ready`] on. Bounded: a slow
    /// subscriber
    /// loses events, and never delays the node.
    pub fn subscribe(&self) -> Receiver<UserEvent> {
        self.0.users.subscribe()
    }

    /// Takes no more commands, and lets [`Node::join`](super::Node::join) end the node.
    pub fn shut_down(&self) {
        self.refuse_commands();
        self.0.users.end(None);
    }

    /// Subscribes a part of the node itself, which does not count as the first subscriber.
    pub(super) fn subscribe_internal(&self) -> Receiver<UserEvent> {
        self.0.users.add(concerns_users)
    }

    /// Subscribes to some events, the index's progress too if it is chosen.
    pub(super) fn subscribe_internal_only(&self, hears: fn(&UserEvent) -> bool) -> Receiver<UserEvent> {
        self.0.users.add(hears)
    }

    /// Replaces the snapshot. Readers of the store wait from now on until it holds everything that the snapshot shows.
    pub(super) fn show(&self, view: Arc<View>) {
        self.0.reader.note_shown(view.batch);
        self.0.view.store(view);
    }

    /// Answers a command.
    pub(super) fn answer(&self, ticket: Ticket, answer: Result<Answer, CommandError>) {
        let waiting = self.commands().open.remove(&ticket);
        if let Some(then) = waiting {
            then(answer);
        }
    }

    /// Sends an event to all subscribers.
    pub(super) fn publish(&self, event: UserEvent) {
        self.0.users.publish(event);
    }

    /// The node cannot go on. All open commands end, because no answer will come.
    pub(super) fn fail(&self, line: String) {
        self.0.users.fail(line);
        self.close();
    }

    /// Refuses all future commands.
    pub(super) fn refuse_commands(&self) {
        self.commands().is_closed = true;
    }

    /// Refuses all commands, open and future ones.
    pub(super) fn close(&self) {
        let mut commands = self.commands();
        commands.is_closed = true;
        let open = std::mem::take(&mut commands.open);
        drop(commands);
        for (_, then) in open {
            then(Err(CommandError::Closing));
        }
    }

    fn commands(&self) -> MutexGuard<'_, Commands> {
        self.0.commands.lock()
    }
}

/// All subscribers to events.
pub(super) struct Users {
    state: Mutex<Subscribers>,
    end: Sender<Option<String>>,
}

struct Subscribers {
    all: Vec<Subscriber>,
    /// The queue of the first subscriber, who may come after the first events.
    first: Option<Receiver<UserEvent>>,
    /// Events before the node was ready; they are sent after `Ready`.
    early: Option<Vec<UserEvent>>,
}

struct Subscriber {
    sender: Sender<UserEvent>,
    hears: Hears,
}

/// A subscriber's choice of events.
type Hears = fn(&UserEvent) -> bool;

/// All events but the index's progress, which only the watch needs: each event wakes its subscribers.
fn concerns_users(event: &UserEvent) -> bool {
    !matches!(event, UserEvent::Indexed(_))
}

impl Users {
    /// No subscribers yet. The receiver gets the end of the node: `None` if it was asked for, else the reason.
    pub(super) fn new() -> (Self, Receiver<Option<String>>) {
        let (sender, first) = unbounded();
        let (end, ended) = unbounded();
        let all = vec![Subscriber { sender, hears: concerns_users }];
        let state = Subscribers { all, first: Some(first), early: Some(Vec::new()) };
        (Self { state: Mutex::new(state), end }, ended)
    }

    /// Sends an event to all subscribers, once the node is ready.
    pub(super) fn publish(&self, event: UserEvent) {
        let mut state = self.state();
        match &mut state.early {
            Some(early) if early.len() < SUBSCRIBER_EVENTS_MAX => early.push(event),
            Some(_) => {}
            None => state.send(&event),
        }
    }

    /// The node is ready: the first event of all.
    pub(super) fn ready(&self, listen: Vec<Multiaddr>, http: Option<SocketAddr>) {
        let mut state = self.state();
        state.send(&UserEvent::Ready { listen, http });
        for event in state.early.take().unwrap_or_default() {
            state.send(&event);
        }
    }

    pub(super) fn fail(&self, line: String) {
        self.publish(UserEvent::Fatal(line.clone()));
        self.end(Some(line));
    }

    fn end(&self, why: Option<String>) {
        // A closed channel means that the end has been seen.
        let _ = self.end.send(why);
    }

    fn subscribe(&self) -> Receiver<UserEvent> {
        let first = self.state().first.take();
        first.unwrap_or_else(|| self.add(concerns_users))
    }

    fn add(&self, hears: Hears) -> Receiver<UserEvent> {
        let (sender, receiver) = unbounded();
        self.state().all.push(Subscriber { sender, hears });
        receiver
    }

    fn state(&self) -> MutexGuard<'_, Subscribers> {
        self.state.lock()
    }
}

impl Subscribers {
    fn send(&mut self, event: &UserEvent) {
        // The last event is for all subscribers.
        let is_urgent = matches!(event, UserEvent::Fatal(_));
        self.all.retain(|Subscriber { sender, hears }| {
            let has_room = sender.len() < SUBSCRIBER_EVENTS_MAX || is_urgent;
            let is_told = has_room && (hears(event) || is_urgent);
            !is_told || sender.send(event.clone()).is_ok()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Notice;
    use crate::node::fixture::Chain;

    fn warnings(receiver: &Receiver<UserEvent>) -> Vec<String> {
        receiver
            .try_iter()
            .map(|event| match event {
                UserEvent::Ready { .. } => "ready".to_owned(),
                UserEvent::Warning(line) => line,
                other => format!("{other:?}"),
            })
            .collect()
    }

    fn warn(users: &Users, line: &str) {
        users.publish(UserEvent::Warning(line.to_owned()));
    }

    #[test]
    fn ready_comes_first_and_the_first_subscriber_misses_nothing() {
        let (users, _ended) = Users::new();
        warn(&users, "early");
        users.ready(vec![], None);
        warn(&users, "late");
        let first = users.subscribe();
        let second = users.subscribe();
        warn(&users, "now");
        assert_eq!(warnings(&first), ["ready", "early", "late", "now"]);
        assert_eq!(warnings(&second), ["now"]);
    }

    #[test]
    fn who_does_not_read_loses_events_but_not_the_last_one() {
        let (users, ended) = Users::new();
        users.ready(vec![], None);
        let (lazy, eager) = (users.subscribe(), users.subscribe());
        for _ in 0..SUBSCRIBER_EVENTS_MAX + 5 {
            warn(&users, "again");
            assert_eq!(warnings(&eager).len(), 1);
        }
        users.fail("the end".to_owned());
        assert_eq!(ended.try_recv(), Ok(Some("the end".to_owned())));
        let seen = warnings(&lazy);
        assert_eq!(seen.len(), SUBSCRIBER_EVENTS_MAX + 1);
        assert!(seen.last().is_some_and(|last| last.contains("the end")));
    }

    #[test]
    fn who_left_is_forgotten() {
        let (users, _ended) = Users::new();
        users.ready(vec![], None);
        drop((users.subscribe(), users.subscribe()));
        warn(&users, "nobody there");
        assert!(users.state().all.is_empty());
    }

    #[test]
    fn each_is_told_what_concerns_it_and_all_the_end() {
        let (users, _ended) = Users::new();
        users.ready(vec![], None);
        let chain = Chain::new(1);
        let (user, watch) = (users.subscribe(), users.add(|event| matches!(event, UserEvent::Indexed(_))));
        users.publish(UserEvent::Notice(Notice::Transaction(chain.transfer(0))));
        users.publish(UserEvent::Indexed(chain.tip()));
        users.fail("the end".to_owned());
        let count = |events: &Receiver<UserEvent>| events.try_iter().count();
        assert_eq!(count(&user), ["ready", "transaction", "the end"].len());
        assert_eq!(count(&watch), ["indexed", "the end"].len());
    }
}
