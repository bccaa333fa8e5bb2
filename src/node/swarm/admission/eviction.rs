//! Eviction of a session from a full house, so that a newcomer gets in.
//!
//! Bitcoin Core's `SelectNodeToEvict` (`node/eviction.cpp`) is the model: those are kept who are hard to imitate, which
//! are the fastest, the most useful and the ones that have been here for longest; of the rest, the youngest goes, of the
//! host with the most connections. Whoever takes all places has to let go of his own.
//!
//! The caller offers no peer that this node has dialled or that its user has named.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libp2p::PeerId;

use crate::random::Random;

/// Kept for their round trip.
const FASTEST_KEPT: usize = 8;
/// Kept for the last blocks that became our tip.
const BLOCK_GIVERS_KEPT: usize = 4;
/// Sessions that others opened and that are not ready. Each may have a message of the greatest length on its way, which
/// is in memory before it can be judged.
const UNREADY_GUESTS_MAX: usize = 48;
/// Kept for the last transactions that were new to us.
const TRANSACTION_GIVERS_KEPT: usize = 4;

/// A session that others opened.
#[derive(Debug, Clone)]
pub(in crate::node::swarm) struct Guest {
    pub(in crate::node::swarm) peer: PeerId,
    pub(in crate::node::swarm) host: Option<IpAddr>,
    /// What counts as one net: [`Subnets::group_of`](super::super::address::Subnets::group_of).
    pub(in crate::node::swarm) group: Option<IpAddr>,
    pub(in crate::node::swarm) connections: usize,
    pub(in crate::node::swarm) since: Instant,
    pub(in crate::node::swarm) is_ready: bool,
    pub(in crate::node::swarm) ping: Option<Duration>,
    pub(in crate::node::swarm) gave_block: Option<Instant>,
    pub(in crate::node::swarm) gave_transactions: Option<Instant>,
}

/// The guest who has to go. Chance decides between hosts that are alike.
pub(in crate::node::swarm) fn guest_to_evict(mut guests: Vec<Guest>, random: &mut Random) -> Option<PeerId> {
    keep(&mut guests, FASTEST_KEPT, |guest| guest.ping.map(Reverse));
    keep(&mut guests, TRANSACTION_GIVERS_KEPT, |guest| guest.gave_transactions);
    keep(&mut guests, BLOCK_GIVERS_KEPT, |guest| guest.gave_block);
    let half = guests.len() / 2;
    keep(&mut guests, half, |guest| Some(Reverse(guest.since)));
    let count = guests.len();
    random.choose(&mut guests, count);
    let mut of_group = HashMap::<_, usize>::new();
    let mut of_host = HashMap::<_, usize>::new();
    for guest in &guests {
        *of_group.entry(guest.group).or_default() += guest.connections;
        *of_host.entry(guest.host).or_default() += guest.connections;
    }
    let crowd = |guest: &Guest| (of_group[&guest.group], of_host[&guest.host]);
    let crowded = guests.iter().max_by_key(|guest| crowd(guest))?.host;
    guests.iter().filter(|guest| guest.host == crowded).max_by_key(|guest| guest.since).map(|guest| guest.peer)
}

/// The guest who has to go because too many are not ready: of the host with the most of them, the one that has had the
/// most time.
pub(in crate::node::swarm) fn unready_to_evict(guests: &[Guest]) -> Option<PeerId> {
    let unready: Vec<_> = guests.iter().filter(|guest| !guest.is_ready).collect();
    if unready.len() <= UNREADY_GUESTS_MAX {
        return None;
    }
    let of_host = |host| unready.iter().filter(|guest| guest.host == host).count();
    unready.iter().min_by_key(|guest| (Reverse(of_host(guest.host)), guest.since)).map(|guest| guest.peer)
}

/// Takes those out that are best by this measure, at most so many; `None` is no merit.
fn keep<Merit: Ord>(guests: &mut Vec<Guest>, at_most: usize, merit: impl Fn(&Guest) -> Option<Merit>) {
    guests.sort_by_key(|guest| Reverse(merit(guest)));
    let kept = guests.iter().take(at_most).take_while(|guest| merit(guest).is_some()).count();
    guests.drain(..kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(start: Instant, number: u64, host: &str) -> Guest {
        let host = Some(host.parse().expect("an IP address"));
        Guest {
            peer: PeerId::random(),
            host,
            group: host,
            connections: 1,
            since: start + Duration::from_secs(number),
            is_ready: true,
            ping: None,
            gave_block: None,
            gave_transactions: None,
        }
    }

    /// Evicts one after the other, as newcomers would.
    fn evict(mut guests: Vec<Guest>, count: usize) -> (Vec<Guest>, Vec<Guest>) {
        let mut random = Random::new(1);
        let evicted = (0..count).map(|_| {
            let peer = guest_to_evict(guests.clone(), &mut random).expect("somebody has to go");
            let index = guests.iter().position(|guest| guest.peer == peer).expect("one of them");
            guests.remove(index)
        });
        let evicted = evicted.collect();
        (guests, evicted)
    }

    #[test]
    fn sessions_that_are_not_ready_are_bounded() {
        let start = Instant::now();
        let unready = |number, host: &str| Guest { is_ready: false, ..guest(start, number, host) };
        let mut guests: Vec<_> = (0..200).map(|number| guest(start, number, "10.0.0.1")).collect();
        guests.push(unready(0, "10.0.0.2"));
        guests.extend((1..UNREADY_GUESTS_MAX as u64).map(|number| unready(100 - number, "10.0.0.3")));
        assert_eq!(unready_to_evict(&guests), None);
        guests.push(unready(300, "10.0.0.4"));
        let evicted = unready_to_evict(&guests).expect("one too many");
        let evicted = guests.iter().find(|guest| guest.peer == evicted).expect("a guest");
        let oldest = start + Duration::from_secs(100 - (UNREADY_GUESTS_MAX as u64 - 1));
        assert_eq!((evicted.host, evicted.since), ("10.0.0.3".parse().ok(), oldest));
    }

    #[test]
    fn the_youngest_of_the_host_with_the_most_goes() {
        let start = Instant::now();
        let honest: Vec<_> = (1..=20).map(|host| guest(start, 1000 + host, &format!("10.0.0.{host}"))).collect();
        let greedy: Vec<_> = (0..60).map(|number| guest(start, 900 + number, "10.0.0.99")).collect();
        let (_, evicted) = evict([honest, greedy].concat(), 30);
        assert!(evicted.iter().all(|guest| guest.host == "10.0.0.99".parse().ok()), "{evicted:?}");
        assert_eq!(evicted[0].since, start + Duration::from_secs(959));
    }

    #[test]
    fn a_net_is_as_greedy_as_its_hosts_together() {
        let start = Instant::now();
        let mut guests: Vec<_> = (0..30).map(|number| guest(start, number, "10.0.0.1")).collect();
        for number in 0..60 {
            let mut greedy = guest(start, number, &format!("10.9.9.{number}"));
            greedy.group = "10.9.9.0".parse().ok();
            guests.push(greedy);
        }
        let (_, evicted) = evict(guests, 5);
        assert!(evicted.iter().all(|guest| guest.group == "10.9.9.0".parse().ok()), "{evicted:?}");
    }

    #[test]
    fn the_fast_the_useful_and_the_faithful_are_kept() {
        let start = Instant::now();
        let millis = Duration::from_millis;
        let mut guests: Vec<_> = (0..100).map(|number| guest(start, number, "10.0.0.1")).collect();
        guests.iter_mut().for_each(|guest| guest.ping = Some(millis(50)));
        for (number, guest) in guests.iter_mut().enumerate().skip(80) {
            match number % 4 {
                0 => guest.ping = Some(millis(1)),
                1 => guest.gave_block = Some(start),
                2 => guest.gave_transactions = Some(start),
                _ => {}
            }
        }
        let merits =
            |guest: &&Guest| guest.ping == Some(millis(1)) || guest.gave_block.or(guest.gave_transactions).is_some();
        let worthy = guests.iter().filter(merits).count();
        let (left, _) = evict(guests.clone(), 40);
        assert_eq!(left.iter().filter(merits).count(), worthy - 2, "four each are kept for blocks and transactions");
        assert!(guests[..30].iter().all(|old| left.iter().any(|guest| guest.peer == old.peer)));
    }

    #[test]
    fn a_host_with_many_that_are_old_keeps_them() {
        let start = Instant::now();
        let old = (0..40).map(|number| guest(start, number, "10.0.0.99"));
        let young = (0..40).map(|number| guest(start, 1000 + number, &format!("10.0.0.{number}")));
        let (_, evicted) = evict(old.chain(young).collect(), 1);
        assert_ne!(evicted[0].host, "10.0.0.99".parse().ok(), "who takes all places at once takes them from nobody");
    }

    #[test]
    fn among_hosts_alike_nobody_is_always_the_next() {
        let start = Instant::now();
        let guests: Vec<_> = (0..100).map(|number| guest(start, number, &format!("10.0.0.{number}"))).collect();
        let evicted: std::collections::BTreeSet<_> =
            (0..20).filter_map(|seed| guest_to_evict(guests.clone(), &mut Random::new(seed))).collect();
        assert!(evicted.len() > 10, "{} different ones", evicted.len());
    }

    #[test]
    fn nobody_goes_of_none() {
        assert_eq!(guest_to_evict(Vec::new(), &mut Random::new(1)), None);
    }
}
