//! Connected peers, from greeting to goodbye. Pure state.
//!
//! A session is all connections of one peer at a time, and has its own [`PeerKey`]. It is *ready* once the peer has
//! shown that it speaks our protocols and has subscribed to both topics: only then do our published messages reach it.
//! A peer that wants fewer topics is ready a little later. Earlier messages of the peer are kept until then, because it
//! may be ready for us before we are ready for it; they have one bound for all sessions, and what it does not hold is
//! lost, as gossip may be.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use tracing::Span;

use super::address::{Subnets, ip_of};
use super::admission::Guest;
use super::behaviour::SILENCE_TIMEOUT;
use crate::engine::event::PeerKey;
use crate::node::event::PeerRow;

mod early;

pub(super) use self::early::{EarlyMessage, RefusedEarly, request_bytes};

/// How long a peer may take to become ready.
const GREETING_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a foreign node stays connected, so that it learns that we are foreign to it, too, and does not dial again.
const FOREIGN_TIMEOUT: Duration = Duration::from_millis(500);
/// How long after a peer has identified itself it is ready without both topics.
const SUBSCRIPTION_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest software name shown, in characters.
const AGENT_CHARS_MAX: usize = 64;

/// One connection of a session.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) outbound: bool,
    /// Without `/p2p/…`.
    pub(super) address: Multiaddr,
    /// When something came back on it last.
    pub(super) alive: Instant,
}

impl Connection {
    /// One that has just opened.
    pub(super) fn new(id: ConnectionId, outbound: bool, address: Multiaddr, now: Instant) -> Self {
        Self { id, outbound, address, alive: now }
    }

    fn heard(&mut self, now: Instant) {
        self.alive = now;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not ready yet; closed at this time.
    Greeting(Instant),
    Ready,
    /// Of another network or another program; closed at this time.
    Foreign(Instant),
    /// We have hung up.
    Closing,
}

/// All connections of one peer.
#[derive(Debug)]
pub(super) struct PeerSession {
    pub(super) key: PeerKey,
    /// For events about the peer.
    pub(super) span: Span,
    pub(super) phase: Phase,
    /// Oldest first; never empty. Bounded by the limit on connections per peer.
    pub(super) connections: Vec<Connection>,
    /// Its software, once it has identified itself as a node of our network.
    agent: Option<String>,
    /// Where it says that it listens, as far as that is believed.
    pub(super) listens: Vec<Multiaddr>,
    subscribed_to_blocks: bool,
    subscribed_to_transactions: bool,
    /// When it has identified itself.
    identified: Option<Instant>,
    early: Vec<EarlyMessage>,
    /// The messages and bytes that it has sent early, kept or not.
    early_sent: (usize, usize),
    since: Instant,
    ping: Option<Duration>,
    /// When it last gave us a block that became our tip…
    gave_block: Option<Instant>,
    /// …and transactions that were new to us.
    gave_transactions: Option<Instant>,
}

impl PeerSession {
    fn new(peer: PeerId, key: PeerKey, first: Connection, now: Instant) -> Self {
        Self {
            key,
            span: tracing::debug_span!(parent: None, "session", session = key.0, %peer),
            phase: Phase::Greeting(now + GREETING_TIMEOUT),
            connections: vec![first],
            agent: None,
            listens: Vec::new(),
            subscribed_to_blocks: false,
            subscribed_to_transactions: false,
            identified: None,
            early: Vec::new(),
            early_sent: (0, 0),
            since: now,
            ping: None,
            gave_block: None,
            gave_transactions: None,
        }
    }

    pub(super) fn identified(&mut self, agent: &str, listens: Vec<Multiaddr>, now: Instant) {
        self.identified.get_or_insert(now);
        self.agent = Some(agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect());
        self.listens = listens;
    }

    pub(super) fn subscribed(&mut self, is_blocks: bool) {
        if is_blocks {
            self.subscribed_to_blocks = true;
        } else {
            self.subscribed_to_transactions = true;
        }
    }

    /// Becomes ready if nothing is missing, or nothing more is to be expected. True only once.
    pub(super) fn become_ready(&mut self, now: Instant) -> bool {
        let turns = matches!(self.phase, Phase::Greeting(_)) && self.may_be_ready(now);
        if turns {
            self.phase = Phase::Ready;
        }
        turns
    }

    fn may_be_ready(&self, now: Instant) -> bool {
        let has_waited = |since| now.saturating_duration_since(since) >= SUBSCRIPTION_TIMEOUT;
        let is_subscribed = self.subscribed_to_blocks && self.subscribed_to_transactions;
        self.identified.is_some_and(|since| is_subscribed || has_waited(since))
    }

    pub(super) fn become_foreign(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Greeting(_)) {
            self.phase = Phase::Foreign(now + FOREIGN_TIMEOUT);
        }
    }

    /// Something came back on a connection; a ping also says how long it took.
    pub(super) fn alive(&mut self, connection: ConnectionId, now: Instant, ping: Option<Duration>) {
        if let Some(connection) = self.connections.iter_mut().find(|known| known.id == connection) {
            connection.heard(now);
        }
        self.ping = ping.or(self.ping);
    }

    /// A message of its was accepted.
    pub(super) fn gave(&mut self, is_block: bool, now: Instant) {
        *(if is_block { &mut self.gave_block } else { &mut self.gave_transactions }) = Some(now);
    }

    pub(super) fn row(&self, peer_id: PeerId) -> PeerRow {
        let first = &self.connections[0];
        PeerRow {
            peer: self.key,
            peer_id,
            address: first.address.clone(),
            agent: self.agent.clone().unwrap_or_default(),
            outbound: first.outbound,
            ping_millis: self.ping.map(|ping| u64::try_from(ping.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Why the session is to be hung up on now, if it is.
    fn overdue(&self, now: Instant) -> Option<&'static str> {
        let is_dead = |connection: &Connection| now.saturating_duration_since(connection.alive) > SILENCE_TIMEOUT;
        match self.phase {
            Phase::Closing => None,
            Phase::Greeting(until) if now >= until => Some("not ready in time"),
            Phase::Foreign(until) if now >= until => Some("of another network or program"),
            _ => Some("silent").filter(|_| self.connections.iter().any(is_dead)),
        }
    }
}

/// The meaning of the end of a connection.
#[derive(Debug)]
pub(super) enum Closed {
    /// Others of the peer remain, or none was known.
    Remaining,
    /// The first one broke while others remain. The peer was most likely restarted, and gossipsub sent it nothing on
    /// the new connection: all have to be closed, so that the peer starts afresh.
    Stale,
    /// It was the last one. With what the peer sent before it was ready.
    Session(Box<PeerSession>, Vec<EarlyMessage>),
}

/// All sessions, bounded by the limit on connections.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_peer: HashMap<PeerId, PeerSession>,
    by_key: BTreeMap<PeerKey, PeerId>,
    last_key: u64,
    /// Of all early messages.
    early_bytes: usize,
}

impl Sessions {
    /// A connection stands. It opens a session if it is the peer's first.
    pub(super) fn established(&mut self, peer: PeerId, connection: Connection, now: Instant) {
        if let Some(session) = self.by_peer.get_mut(&peer) {
            session.connections.push(connection);
            return;
        }
        self.last_key += 1;
        let key = PeerKey(self.last_key);
        self.by_peer.insert(peer, PeerSession::new(peer, key, connection, now));
        self.by_key.insert(key, peer);
    }

    pub(super) fn closed(&mut self, peer: PeerId, connection: ConnectionId, broke: bool) -> Closed {
        let Some(session) = self.by_peer.get_mut(&peer) else { return Closed::Remaining };
        let was_first = session.connections.first().is_some_and(|first| first.id == connection);
        if session.connections.iter().all(|known| known.id == connection) {
            let early = self.take_early(&peer);
            let ended = self.remove(peer).map(|session| Closed::Session(Box::new(session), early));
            return ended.unwrap_or(Closed::Remaining);
        }
        session.connections.retain(|known| known.id != connection);
        if was_first && broke { Closed::Stale } else { Closed::Remaining }
    }

    fn remove(&mut self, peer: PeerId) -> Option<PeerSession> {
        let session = self.by_peer.remove(&peer)?;
        self.by_key.remove(&session.key);
        Some(session)
    }

    /// Sessions that have waited long enough for what is missing.
    pub(super) fn ready_by_now(&self, now: Instant) -> Vec<PeerId> {
        let waited = self
            .by_peer
            .iter()
            .filter(|(_, session)| matches!(session.phase, Phase::Greeting(_)) && session.may_be_ready(now));
        waited.map(|(peer, _)| *peer).collect()
    }

    pub(super) fn get(&self, peer: &PeerId) -> Option<&PeerSession> {
        self.by_peer.get(peer)
    }

    pub(super) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut PeerSession> {
        self.by_peer.get_mut(peer)
    }

    pub(super) fn peer_of(&self, key: PeerKey) -> Option<PeerId> {
        self.by_key.get(&key).copied()
    }

    /// The key of a peer's session, if it is ready.
    pub(super) fn ready_key(&self, peer: &PeerId) -> Option<PeerKey> {
        self.get(peer).filter(|session| session.phase == Phase::Ready).map(|session| session.key)
    }

    /// The sessions that others opened and that may have to make way: none that we dialled or have hung up on.
    pub(super) fn guests(&self, subnets: &Subnets) -> Vec<Guest> {
        let sessions = self.by_key.values().filter_map(|peer| Some((*peer, self.get(peer)?)));
        let guests = sessions.filter(|(_, session)| {
            session.phase != Phase::Closing && !session.connections.iter().any(|connection| connection.outbound)
        });
        guests
            .map(|(peer, session)| {
                let ip = session.connections.first().and_then(|first| ip_of(&first.address));
                Guest {
                    peer,
                    host: ip.map(|ip| subnets.host_of(ip)),
                    group: ip.map(|ip| subnets.group_of(ip)),
                    connections: session.connections.len(),
                    since: session.since,
                    is_ready: session.phase == Phase::Ready,
                    ping: session.ping,
                    gave_block: session.gave_block,
                    gave_transactions: session.gave_transactions,
                }
            })
            .collect()
    }

    /// The ready peer that is connected at, or listens on, an address without `/p2p/…`.
    pub(super) fn ready_at(&self, address: &Multiaddr) -> Option<PeerId> {
        let mut ready = self.by_key.values().filter(|peer| self.ready_key(peer).is_some());
        ready
            .find(|peer| {
                self.get(peer).is_some_and(|session| {
                    let mut dialled = session.connections.iter().filter(|connection| connection.outbound);
                    dialled.any(|connection| connection.address == *address) || session.listens.contains(address)
                })
            })
            .copied()
    }

    /// Sessions that were not ready in time, or that have been silent for too long, with the reason.
    pub(super) fn overdue(&self, now: Instant) -> Vec<(PeerId, &'static str)> {
        let sessions = self.by_key.values().filter_map(|peer| Some((*peer, self.get(peer)?)));
        sessions.filter_map(|(peer, session)| Some((peer, session.overdue(now)?))).collect()
    }

    /// Our own process was stopped for a while: silence proves nothing about any connection.
    pub(super) fn forgive_silence(&mut self, now: Instant) {
        let connections = self.by_peer.values_mut().flat_map(|session| &mut session.connections);
        connections.for_each(|connection| connection.heard(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn connection(id: usize, now: Instant) -> Connection {
        let address = "/ip4/10.0.0.1/tcp/1".parse().expect("a multiaddr");
        Connection::new(ConnectionId::new_unchecked(id), true, address, now)
    }

    pub(super) fn id(id: usize) -> ConnectionId {
        ConnectionId::new_unchecked(id)
    }

    #[test]
    fn a_session_is_ready_once_nothing_is_missing() {
        let (now, peer) = (Instant::now(), PeerId::random());
        let mut sessions = Sessions::default();
        sessions.established(peer, connection(1, now), now);
        let session = sessions.get_mut(&peer).expect("just opened");
        session.identified("quipu/1\u{1b}[31m", Vec::new(), now);
        session.subscribed(true);
        assert!(!session.become_ready(now));
        session.subscribed(false);
        assert!(session.become_ready(now));
        assert!(!session.become_ready(now), "only once");
        assert_eq!(session.row(peer).agent, "quipu/1[31m");
        assert!(sessions.ready_key(&peer).is_some());
    }

    #[test]
    fn every_session_has_its_own_key() {
        let (now, peer) = (Instant::now(), PeerId::random());
        let mut sessions = Sessions::default();
        sessions.established(peer, connection(1, now), now);
        let first = sessions.get(&peer).expect("just opened").key;
        sessions.established(peer, connection(2, now), now);
        assert!(matches!(sessions.closed(peer, id(2), true), Closed::Remaining));
        assert!(matches!(sessions.closed(peer, id(1), true), Closed::Session(session, _) if session.key == first));
        assert_eq!(sessions.peer_of(first), None);
        sessions.established(peer, connection(3, now), now);
        assert_ne!(sessions.get(&peer).expect("opened again").key, first);
    }

    #[test]
    fn a_broken_first_connection_makes_the_others_stale() {
        let (now, peer) = (Instant::now(), PeerId::random());
        let mut sessions = Sessions::default();
        for broke in [false, true] {
            sessions.established(peer, connection(1, now), now);
            sessions.established(peer, connection(2, now), now);
            let closed = sessions.closed(peer, id(1), broke);
            assert_eq!(matches!(closed, Closed::Stale), broke);
            assert!(matches!(sessions.closed(peer, id(2), false), Closed::Session(..)));
        }
    }

    #[test]
    fn silence_and_slow_greetings_are_noticed() {
        let (now, peer) = (Instant::now(), PeerId::random());
        let silence = SILENCE_TIMEOUT;
        let mut sessions = Sessions::default();
        sessions.established(peer, connection(1, now), now);
        assert!(sessions.overdue(now).is_empty());
        assert_eq!(sessions.overdue(now + GREETING_TIMEOUT), [(peer, "not ready in time")]);
        sessions.get_mut(&peer).expect("there").phase = Phase::Ready;
        assert!(sessions.overdue(now + silence).is_empty());
        let late = now + silence + Duration::from_millis(1);
        assert_eq!(sessions.overdue(late), [(peer, "silent")]);
        sessions.forgive_silence(late);
        assert!(sessions.overdue(late + silence).is_empty());
    }

    #[test]
    fn a_peer_that_wants_fewer_topics_is_ready_a_little_later() {
        let (now, [peer, silent]) = (Instant::now(), [(); 2].map(|()| PeerId::random()));
        let mut sessions = Sessions::default();
        [peer, silent].into_iter().zip(1..).for_each(|(peer, id)| sessions.established(peer, connection(id, now), now));
        sessions.get_mut(&peer).expect("just opened").identified("light/1", Vec::new(), now);
        let later = now + SUBSCRIPTION_TIMEOUT;
        assert!(sessions.ready_by_now(later - Duration::from_millis(1)).is_empty());
        assert_eq!(sessions.ready_by_now(later), [peer], "without an identity nobody is");
        assert!(sessions.get_mut(&peer).expect("there").become_ready(later));
    }
}
