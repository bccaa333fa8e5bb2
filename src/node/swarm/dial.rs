//! The choice of peers to dial, and of the moment. Pure state: time and a seed come in, dials come out.
//!
//! A node has a number of peers of its own choice, whoever calls it: sessions that others opened don't count. Peers that
//! the user named come on top.
//!
//! Always true: a peer or an address has at most one attempt under way; everything here is bounded; nothing relies on
//! mDNS to report a peer twice, since it does not.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use self::peer::{BACKOFF_MAX, Backoff, DialState, FixedPeer, GONE_FAILURES, KnownPeer, Standing};
use super::address::{Subnets, reachable, split};
use super::remembered::{REMEMBERED_PEERS_MAX, Remembered, Tie};
use crate::random::Random;

mod choice;
mod peer;

/// Attempts at once.
const ATTEMPTS_MAX: usize = 16;
/// Known peers. Of those that are not connected and not good, one of the most crowded net is evicted: the one not heard
/// of for longest.
const KNOWN_PEERS_MAX: usize = 512;
/// Addresses of one peer. The least preferred are evicted.
const ADDRESSES_PER_PEER_MAX: usize = 6;
/// Nodes known to be of another network or another program. The oldest are evicted.
const FOREIGN_PEERS_MAX: usize = 1024;
/// How long such a node is not dialled. It may be restarted with our network.
const FOREIGN_PAUSE: Duration = Duration::from_secs(300);

/// A session that ends sooner counts as a failure, so that a peer that hangs up on us is not dialled every second.
const SESSION_MIN: Duration = Duration::from_secs(10);
/// After this many failures with the known addresses of the peer behind a `--peer` address, that address is tried too.
const STALE_FAILURES: u32 = 3;

/// Something to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dial {
    /// The peer that must answer; `None` if any peer of our network will do.
    pub(super) peer: Option<PeerId>,
    pub(super) addresses: Vec<Multiaddr>,
    target: DialTarget,
}

impl Dial {
    /// The peer, if it is dialled because it was heard of, and not because the user named its address.
    pub(super) fn of_our_own(&self) -> Option<PeerId> {
        match self.target {
            DialTarget::Peer(peer) => Some(peer),
            DialTarget::Fixed(_) => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DialTarget {
    Peer(PeerId),
    /// An index of [`DialBook::fixed`].
    Fixed(usize),
}

/// All that is known about reaching peers.
#[derive(Debug)]
pub(super) struct DialBook {
    local: PeerId,
    subnets: Subnets,
    known: HashMap<PeerId, KnownPeer>,
    fixed: Vec<FixedPeer>,
    foreign: HashMap<PeerId, Instant>,
    /// Peers that must not be dialled until then; bounded by the ban list.
    banned: HashMap<PeerId, Instant>,
    attempts: HashMap<ConnectionId, DialTarget>,
    random: Random,
}

impl DialBook {
    pub(super) fn new(local: PeerId, fixed: &[Multiaddr], subnets: Subnets, seed: u64, now: Instant) -> Self {
        let fixed = fixed.iter().map(|address| {
            let (address, peer) = split(address.clone());
            let ours = peer == Some(local);
            FixedPeer { address, peer, pinned: peer.is_some(), ours, dialling: false, backoff: Backoff::new(now) }
        });
        Self {
            local,
            subnets,
            known: HashMap::new(),
            fixed: fixed.collect(),
            foreign: HashMap::new(),
            banned: HashMap::new(),
            attempts: HashMap::new(),
            random: Random::new(seed),
        }
    }

    /// The networks of our interfaces, as of now.
    pub(super) fn set_subnets(&mut self, subnets: Subnets) {
        self.subnets = subnets;
    }

    pub(super) fn subnets(&self) -> &Subnets {
        &self.subnets
    }

    /// Peers of earlier runs, best first.
    pub(super) fn remember(&mut self, peers: Vec<Remembered>, now: Instant) {
        for Remembered { peer, addresses, tie } in peers.into_iter().take(REMEMBERED_PEERS_MAX).rev() {
            if let Some(known) = self.known_entry(peer, now) {
                known.anchor = tie == Tie::Anchor;
                known.standing = if tie == Tie::Met { Standing::Met } else { Standing::Good };
                self.add_addresses(peer, addresses);
            }
        }
    }

    /// Somebody on the LAN said that the peer is at this address.
    pub(super) fn discovered(&mut self, peer: PeerId, address: &Multiaddr, now: Instant) {
        let (address, _) = split(address.clone());
        let avoidance = self.avoidance(&peer, now).or(Some("address out of reach").filter(|_| !reachable(&address)));
        if let Some(why) = avoidance {
            tracing::debug!(%peer, %address, why, "candidate dropped");
            return;
        }
        let Some(known) = self.known_entry(peer, now) else { return };
        known.heard = now;
        let is_new = !known.addresses.contains(&address);
        if is_new {
            tracing::debug!(%peer, %address, "candidate");
        }
        if is_new || known.backoff.failures >= GONE_FAILURES {
            known.backoff = Backoff::new(now);
        }
        self.add_addresses(peer, vec![address]);
    }

    /// An address of mDNS has expired: a stranger's is forgotten, so that a flood of them leaves nothing behind.
    pub(super) fn expired(&mut self, peer: PeerId, address: &Multiaddr) {
        let (address, _) = split(address.clone());
        let is_forgotten = |known: &&mut KnownPeer| known.standing == Standing::Heard && known.state == DialState::Idle;
        if let Some(known) = self.known.get_mut(&peer).filter(is_forgotten) {
            known.addresses.retain(|known| *known != address);
            if known.addresses.is_empty() {
                self.known.remove(&peer);
            }
        }
    }

    /// A connection stands; `outbound` if we dialled.
    pub(super) fn connected(&mut self, peer: PeerId, connection: ConnectionId, outbound: bool, now: Instant) {
        if let Some(DialTarget::Fixed(index)) = self.finish_attempt(connection) {
            self.fixed[index].peer = Some(peer);
        }
        if let Some(known) = self.known_entry(peer, now) {
            known.state = DialState::Connected;
            known.dialled |= outbound;
        }
    }

    /// The user wants this peer: it is dialled whatever else is connected.
    pub(super) fn named(&mut self, peer: PeerId, now: Instant) {
        if let Some(known) = self.known_entry(peer, now) {
            known.named = true;
        }
    }

    /// The peer is ready. Its addresses are trusted; the best one comes first.
    pub(super) fn ready(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        self.foreign.remove(&peer);
        if let Some(known) = self.known_entry(peer, now) {
            known.standing = known.standing.max(Standing::Met);
            known.heard = now;
            known.ready = Some(now);
            self.add_addresses(peer, addresses);
        }
    }

    /// A ready peer told about more addresses.
    pub(super) fn add_addresses(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        let Some(known) = self.known.get_mut(&peer) else { return };
        for address in addresses {
            if !known.addresses.contains(&address) {
                known.addresses.push(address);
            }
        }
        known.addresses.sort_by_key(|address| self.subnets.preference(address));
        known.addresses.truncate(ADDRESSES_PER_PEER_MAX);
    }

    /// The last connection of a peer is gone. Returns for how long it was ready.
    pub(super) fn disconnected(&mut self, peer: PeerId, now: Instant) -> Duration {
        let chance = self.random.bits();
        let is_fixed = self.is_fixed(peer);
        let Some(known) = self.known.get_mut(&peer) else { return Duration::ZERO };
        known.standing = known.standing(now);
        known.state = DialState::Idle;
        known.dialled = false;
        known.heard = now;
        let ready = known.ready.take();
        // A peer that closes each connection at once, because it has banned us, is dialled less often than one that
        // left.
        let lasted = ready.is_some_and(|ready| now.duration_since(ready) >= SESSION_MIN);
        if lasted {
            known.backoff = Backoff::new(now);
            known.short_sessions = 0;
        } else {
            known.short_sessions += u32::from(ready.is_some());
            known.failed(now, is_fixed, chance);
        }
        if ready.is_some() {
            known.lost = Some(now);
        }
        for fixed in self.fixed.iter_mut().filter(|fixed| fixed.peer == Some(peer)) {
            if lasted {
                fixed.backoff = Backoff::new(now);
            }
            fixed.backoff.failed(now, BACKOFF_MAX, chance);
        }
        ready.map_or(Duration::ZERO, |ready| now.duration_since(ready))
    }

    /// Puts off dials of our own accord.
    pub(super) fn put_off(&mut self, peer: PeerId, until: Instant) {
        if let Some(known) = self.known.get_mut(&peer) {
            known.backoff.next = known.backoff.next.max(until);
        }
    }

    /// A dial was started. Its end is reported by `connected`, `failed` or `is_us`.
    pub(super) fn started(&mut self, dial: &Dial, connection: ConnectionId) {
        match dial.target {
            DialTarget::Peer(peer) => {
                if let Some(known) = self.known.get_mut(&peer) {
                    known.state = DialState::Dialling;
                }
            }
            DialTarget::Fixed(index) => self.fixed[index].dialling = true,
        }
        self.attempts.insert(connection, dial.target);
    }

    /// A dial failed.
    pub(super) fn failed(&mut self, connection: ConnectionId, now: Instant) {
        let chance = self.random.bits();
        match self.finish_attempt(connection) {
            Some(DialTarget::Peer(peer)) => {
                let is_fixed = self.is_fixed(peer);
                if let Some(known) = self.known.get_mut(&peer) {
                    known.failed(now, is_fixed, chance);
                }
            }
            Some(DialTarget::Fixed(index)) => self.fixed[index].backoff.failed(now, BACKOFF_MAX, chance),
            None => {}
        }
    }

    /// An address turned out to be our own. Returns the `--peer` address, if it was one.
    pub(super) fn is_us(&mut self, connection: ConnectionId) -> Option<Multiaddr> {
        match self.finish_attempt(connection)? {
            DialTarget::Peer(peer) => {
                self.known.remove(&peer);
                None
            }
            DialTarget::Fixed(index) => {
                self.fixed[index].ours = true;
                Some(self.fixed[index].address.clone())
            }
        }
    }

    /// Another node answers at an address of `peer`.
    pub(super) fn is_other(&mut self, peer: PeerId, address: &Multiaddr) {
        let (address, _) = split(address.clone());
        if let Some(known) = self.known.get_mut(&peer) {
            known.addresses.retain(|known| *known != address);
        }
    }

    /// The peer is of another network or another program.
    pub(super) fn foreign(&mut self, peer: PeerId, now: Instant) {
        if self.foreign.len() >= FOREIGN_PEERS_MAX {
            let oldest = self.foreign.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            oldest.map(|oldest| self.foreign.remove(&oldest));
        }
        self.foreign.insert(peer, now + FOREIGN_PAUSE);
        self.disproved(peer);
    }

    pub(super) fn banned(&mut self, peer: PeerId, until: Instant) {
        self.banned.insert(peer, until);
    }

    /// The peer is not to be remembered.
    pub(super) fn disproved(&mut self, peer: PeerId) {
        if let Some(known) = self.known.get_mut(&peer) {
            known.standing = Standing::Heard;
            known.anchor = false;
            known.dialled = false;
        }
    }

    pub(super) fn unbanned(&mut self, peer: PeerId) {
        self.banned.remove(&peer);
    }

    /// An interface of ours has come up: failed dials may work now.
    pub(super) fn link_is_back(&mut self, now: Instant) {
        self.known.values_mut().for_each(|known| known.backoff.next = known.backoff.next.min(now));
        for fixed in &mut self.fixed {
            fixed.backoff.next = fixed.backoff.next.min(now);
        }
    }

    /// Why a peer can't be dialled now, in one phrase.
    fn obstacle(&self, peer: &PeerId, known: &KnownPeer, now: Instant) -> Option<&'static str> {
        self.avoidance(peer, now).or_else(|| known.obstacle(now))
    }

    fn due_fixed(&self, now: Instant) -> Vec<Dial> {
        let due = self.fixed.iter().enumerate().filter(|(_, fixed)| {
            !fixed.ours && !fixed.dialling && fixed.backoff.next <= now && !self.is_reached_otherwise(fixed, now)
        });
        let room = ATTEMPTS_MAX.saturating_sub(self.attempts.len());
        due.take(room)
            .map(|(index, fixed)| Dial {
                peer: fixed.peer.filter(|_| fixed.pinned),
                addresses: vec![fixed.address.clone()],
                target: DialTarget::Fixed(index),
            })
            .collect()
    }

    /// Whether the peer behind a `--peer` address is connected, or is about to be by what else is known of it.
    fn is_reached_otherwise(&self, fixed: &FixedPeer, now: Instant) -> bool {
        let Some(peer) = fixed.peer else { return false };
        self.is_avoided(peer, now)
            || self.known.get(&peer).is_some_and(|known| match known.state {
                DialState::Connected | DialState::Dialling => true,
                DialState::Idle => !known.addresses.is_empty() && known.backoff.failures < STALE_FAILURES,
            })
    }

    /// The entry of a peer, created if there is room; never our own.
    fn known_entry(&mut self, peer: PeerId, now: Instant) -> Option<&mut KnownPeer> {
        if peer == self.local {
            return None;
        }
        if !self.known.contains_key(&peer) && self.known.len() >= KNOWN_PEERS_MAX {
            let victim = self.most_dispensable(now)?;
            tracing::debug!(peer = %victim, why = "too many known peers", "candidate dropped");
            self.known.remove(&victim);
        }
        Some(self.known.entry(peer).or_insert_with(|| KnownPeer::new(now)))
    }

    fn finish_attempt(&mut self, connection: ConnectionId) -> Option<DialTarget> {
        let target = self.attempts.remove(&connection)?;
        match target {
            DialTarget::Peer(peer) => {
                if let Some(known) = self.known.get_mut(&peer).filter(|known| known.state == DialState::Dialling) {
                    known.state = DialState::Idle;
                }
            }
            DialTarget::Fixed(index) => self.fixed[index].dialling = false,
        }
        Some(target)
    }

    /// Whether the user has named its address at the start.
    fn is_fixed(&self, peer: PeerId) -> bool {
        self.fixed.iter().any(|fixed| fixed.peer == Some(peer))
    }

    /// Whether the user has named it.
    pub(super) fn is_named(&self, peer: PeerId) -> bool {
        self.is_fixed(peer) || self.known.get(&peer).is_some_and(|known| known.named)
    }

    fn is_avoided(&self, peer: PeerId, now: Instant) -> bool {
        self.avoidance(&peer, now).is_some()
    }

    /// Why nothing is dialled that leads to this peer, in one phrase.
    fn avoidance(&self, peer: &PeerId, now: Instant) -> Option<&'static str> {
        let holds = |map: &HashMap<PeerId, Instant>| map.get(peer).is_some_and(|until| *until > now);
        if *peer == self.local {
            Some("this node itself")
        } else if holds(&self.banned) {
            Some("banned")
        } else {
            Some("of another network or program").filter(|_| holds(&self.foreign))
        }
    }
}

#[cfg(test)]
mod tests;
