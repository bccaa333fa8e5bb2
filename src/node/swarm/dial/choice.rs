//! Which peers are dialled, which are remembered, and which are forgotten.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

use libp2p::PeerId;

use super::peer::{DialState, KnownPeer, Standing};
use super::{ATTEMPTS_MAX, Dial, DialBook, DialTarget};
use crate::node::swarm::address::ip_of;
use crate::node::swarm::remembered::{REMEMBERED_MET_MAX, REMEMBERED_PEERS_MAX, Remembered, Tie};

/// Peers of our own choice. Neither sessions that others opened nor peers that are not ready are counted.
pub(in crate::node::swarm) const OUTBOUND_TARGET: usize = 12;
/// Attempts beyond the places that are free, so that peers which never become ready don't hold them.
const SPARE_ATTEMPTS: usize = 4;
/// Peers of our own choice that are dialled first after a restart: those that we had for longest. So nobody can take a
/// node's place in the network by having it restarted.
pub(super) const ANCHORS: usize = 2;

impl DialBook {
    /// The dials that are due.
    pub(in crate::node::swarm) fn due(&mut self, now: Instant) -> Vec<Dial> {
        self.foreign.retain(|_, until| *until > now);
        let mut dials = self.due_fixed(now);
        let taken: HashSet<_> = dials.iter().filter_map(|dial| dial.peer).collect();
        let candidates = self
            .known
            .iter()
            .filter(|(peer, known)| !taken.contains(*peer) && self.obstacle(peer, known, now).is_none());
        let (named, others): (Vec<_>, Vec<_>) =
            candidates.map(|(peer, _)| *peer).partition(|peer| self.is_named(*peer));
        let free = self.free_places();
        let others = if free > 0 { self.spread(others, now) } else { Vec::new() };
        for peer in named.into_iter().chain(others.into_iter().take(free)) {
            if self.attempts.len() + dials.len() >= ATTEMPTS_MAX {
                break;
            }
            let addresses = self.known[&peer].addresses.clone();
            dials.push(Dial { peer: Some(peer), addresses, target: DialTarget::Peer(peer) });
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.trace_obstacles(&dials, now);
        }
        dials
    }

    /// How many more peers of our own choice may be dialled.
    fn free_places(&self) -> usize {
        let chosen = self
            .known
            .iter()
            .filter(|(peer, known)| (known.dialled || known.state == DialState::Dialling) && !self.is_named(**peer));
        let (ready, under_way) = chosen.fold((0, 0), |(ready, under_way), (_, known)| match known.ready {
            Some(_) => (ready + 1, under_way),
            None => (ready, under_way + 1),
        });
        if ready >= OUTBOUND_TARGET { 0 } else { (OUTBOUND_TARGET + SPARE_ATTEMPTS).saturating_sub(ready + under_way) }
    }

    /// Puts candidates in order: one of each host or net before the second of any, so that a name more is no chance
    /// more. Anchors come first; in one net, and between nets, those that are good, then chance decides.
    fn spread(&mut self, mut candidates: Vec<PeerId>, now: Instant) -> Vec<PeerId> {
        let count = candidates.len();
        self.random.choose(&mut candidates, count);
        candidates.sort_by_key(|peer| {
            let known = &self.known[peer];
            (!known.anchor, Reverse(known.standing(now) == Standing::Good), known.backoff.failures)
        });
        let mut in_group = self.group_sizes(|known| known.state == DialState::Dialling || known.dialled);
        let ranked = candidates.into_iter().map(|peer| {
            let known = &self.known[&peer];
            let before = in_group.entry(self.group(known)).or_default();
            *before += 1;
            ((!known.anchor, *before), peer)
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, peer)| peer).collect()
    }

    /// The host or net that a peer is in.
    fn group(&self, known: &KnownPeer) -> Option<IpAddr> {
        known.addresses.first().and_then(ip_of).map(|ip| self.subnets.group_of(ip))
    }

    fn group_sizes(&self, which: impl Fn(&KnownPeer) -> bool) -> HashMap<Option<IpAddr>, usize> {
        let mut sizes = HashMap::new();
        let groups = self.known.values().filter(|known| which(known)).map(|known| self.group(known));
        groups.for_each(|group| *sizes.entry(group).or_default() += 1);
        sizes
    }

    /// Of the peers that are not connected, the one to forget.
    pub(super) fn most_dispensable(&self, now: Instant) -> Option<PeerId> {
        let in_group = self.group_sizes(|_| true);
        let idle = self.known.iter().filter(|(_, known)| known.state == DialState::Idle && !known.named);
        let worth = |(peer, known): &(&PeerId, &KnownPeer)| {
            (known.standing(now) == Standing::Good, Reverse(in_group[&self.group(known)]), known.heard, **peer)
        };
        idle.min_by_key(worth).map(|(peer, _)| *peer)
    }

    /// The peers to be known after a restart, best first.
    pub(in crate::node::swarm) fn remembered(&self, now: Instant) -> Vec<Remembered> {
        let anchors = self.anchors(now);
        let rows = self.known.iter().filter(|(_, known)| !known.addresses.is_empty()).filter_map(|(peer, known)| {
            let tie = match known.standing(now) {
                Standing::Good if anchors.contains(peer) => Tie::Anchor,
                Standing::Good => Tie::Good,
                Standing::Met => Tie::Met,
                Standing::Heard => return None,
            };
            Some(((tie, known.state != DialState::Connected, Reverse(known.heard), *peer), &known.addresses))
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        let met = rows.iter().position(|((tie, ..), _)| *tie == Tie::Met).unwrap_or(rows.len());
        rows.truncate(REMEMBERED_PEERS_MAX.min(met + REMEMBERED_MET_MAX));
        rows.into_iter()
            .map(|((tie, _, _, peer), addresses)| Remembered { peer, addresses: addresses.clone(), tie })
            .collect()
    }

    /// Those of our own choice that have been ready for longest, else the earlier ones.
    fn anchors(&self, now: Instant) -> Vec<PeerId> {
        let good = self.known.iter().filter(|(_, known)| known.standing(now) == Standing::Good);
        let worth = good.filter_map(|(peer, known)| {
            let is_ours = known.dialled && known.ready.is_some() && !self.is_named(*peer);
            (is_ours || known.anchor).then_some((Reverse(known.ready_for(now)), *peer))
        });
        let mut anchors: Vec<_> = worth.collect();
        anchors.sort_unstable();
        anchors.truncate(ANCHORS);
        anchors.into_iter().map(|(_, peer)| peer).collect()
    }

    /// Says of each known peer why it is not dialled, once for each reason.
    fn trace_obstacles(&mut self, dials: &[Dial], now: Instant) {
        let chosen: HashSet<_> = dials.iter().filter_map(Dial::of_our_own).collect();
        let mut known = std::mem::take(&mut self.known);
        known.iter_mut().for_each(|(peer, known)| {
            let is_chosen = chosen.contains(peer);
            let left_over = Some("enough peers or attempts").filter(|_| !is_chosen);
            known.trace(peer, self.obstacle(peer, known, now).or(left_over), now);
        });
        self.known = known;
    }
}
