//! Probation of addresses, so that a peer that was cut off can't come back at once under another name.
//!
//! Identities cost nothing. So when a peer is cut off for a fault, its address is closed to *strangers* for a while. Then
//! it is open to all of them, for [`OPEN_FOR`] at least and from then on until the next fault, which closes it for twice
//! as long; faults are forgotten one by one. Honest strangers behind the same address (a class behind one router) dial
//! often enough to come in while it is open, whatever others do there: nobody who keeps quiet can use up their turn, and
//! faults in an open spell close nothing before it is over, and count as one. The offender has to wait like everybody.
//!
//! *Known* peers come and go as before, and sessions that stand are not affected. A peer is known if it has sent a block
//! that became our tip (it has paid for that with work), was one of ours for [`KNOWN_AFTER`] without a fault, proved
//! itself in an earlier run after this node had dialled it, or was named by the user. A peer that is cut off is a
//! stranger again.
//!
//! Bitcoin Core's "discouraged" addresses are the model (`net_processing.cpp`, `MaybeDiscourageAndDisconnect`). It lets
//! no strangers in from there at all once it is full, which on a LAN behind one address would be too harsh.
//!
//! Not here: bans of identities, which last their time whatever the address, and the limit on connections of a host.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libp2p::PeerId;

use crate::node::swarm::address::Subnets;

/// A peer that has been one of ours for this long, without a fault, is known.
pub(in crate::node::swarm) const KNOWN_AFTER: Duration = Duration::from_secs(600);
/// Addresses on probation. The one with the oldest fault is evicted.
const ADDRESSES_MAX: usize = 1024;
/// Known peers. The one that proved itself first is evicted.
const KNOWN_PEERS_MAX: usize = 1024;
/// How long strangers wait after the first fault. It doubles with each further one.
const WAIT_MIN: Duration = Duration::from_secs(10);
/// The longest wait: as long as an identity is banned.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How long an address is open, at least, before it is closed again. Honest nodes dial every 12 s or more often.
const OPEN_FOR: Duration = Duration::from_secs(15);
/// Faults that are counted. With this many the wait is at its longest.
const FAULTS_MAX: u32 = 7;
/// One fault is forgotten each time that this has passed without another.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// The addresses on probation and the peers that are exempt.
#[derive(Debug, Default)]
pub(in crate::node::swarm) struct Probation {
    /// The networks of our interfaces, where each address is a host.
    subnets: Subnets,
    addresses: HashMap<IpAddr, FaultRecord>,
    /// By peer, when it proved itself, as a running number.
    known: HashMap<PeerId, u64>,
    last_known: u64,
}

#[derive(Debug)]
struct FaultRecord {
    faults: u32,
    /// When a fault was last added or forgotten.
    since: Instant,
    /// Strangers wait from then…
    closes: Instant,
    /// …until then.
    opens: Instant,
}

/// A connection was denied, or a dial put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a peer at {address} was cut off: strangers from there wait for another {} s", wait.as_secs())]
pub(in crate::node::swarm) struct OnProbation {
    pub(in crate::node::swarm) address: IpAddr,
    pub(in crate::node::swarm) wait: Duration,
}

impl Probation {
    pub(in crate::node::swarm) fn set_subnets(&mut self, subnets: Subnets) {
        self.subnets = subnets;
    }

    /// A peer was cut off for a fault: it is a stranger from now on, and so are others at its address who have not
    /// proved themselves. Whether nothing was held against the address before.
    pub(in crate::node::swarm) fn offended(&mut self, peer: &PeerId, ip: IpAddr, now: Instant) -> bool {
        self.known.remove(peer);
        let host = self.subnets.host_of(ip);
        self.forget(host, now);
        if let Some(record) = self.addresses.get_mut(&host) {
            record.add_fault(now);
            return false;
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            let oldest =
                self.addresses.iter().min_by_key(|(host, record)| (record.since, **host)).map(|(host, _)| *host);
            oldest.map(|oldest| self.addresses.remove(&oldest));
        }
        self.addresses.insert(host, FaultRecord { faults: 1, since: now, closes: now, opens: now + WAIT_MIN });
        true
    }

    /// The peer has proved itself.
    pub(in crate::node::swarm) fn proved(&mut self, peer: PeerId) {
        self.last_known += 1;
        self.known.insert(peer, self.last_known);
        if self.known.len() > KNOWN_PEERS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, order)| **order).map(|(peer, _)| *peer);
            oldest.map(|oldest| self.known.remove(&oldest));
        }
    }

    /// Whether a peer may have a connection with an address now.
    pub(in crate::node::swarm) fn admit(&mut self, peer: &PeerId, ip: IpAddr, now: Instant) -> Result<(), OnProbation> {
        let address = self.subnets.host_of(ip);
        self.forget(address, now);
        match self.addresses.get(&address) {
            Some(record) if record.is_closed(now) && !self.known.contains_key(peer) => {
                Err(OnProbation { address, wait: record.opens - now })
            }
            _ => Ok(()),
        }
    }

    fn forget(&mut self, host: IpAddr, now: Instant) {
        let Some(record) = self.addresses.get_mut(&host) else { return };
        while record.faults > 0 && now.saturating_duration_since(record.since) >= FORGET_AFTER {
            record.faults -= 1;
            record.since += FORGET_AFTER;
        }
        if record.faults == 0 {
            self.addresses.remove(&host);
        }
    }
}

impl FaultRecord {
    fn is_closed(&self, now: Instant) -> bool {
        self.closes <= now && now < self.opens
    }

    fn add_fault(&mut self, now: Instant) {
        self.since = now;
        // It is open, and a fault in this spell closes it soon: one closing for all of them.
        if now < self.closes {
            return;
        }
        self.faults = (self.faults + 1).min(FAULTS_MAX);
        if !self.is_closed(now) {
            self.closes = now.max(self.opens + OPEN_FOR);
        }
        self.opens = self.closes + self.wait();
    }

    fn wait(&self) -> Duration {
        WAIT_MIN.saturating_mul(1 << (self.faults - 1)).min(WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an IP address")
    }

    /// An attacker that calls every second under a new name, and offends at once when it is let in: the seconds at
    /// which it begins and ceases to be.
    fn open_spells(probation: &mut Probation, seconds: u64) -> Vec<(u64, u64)> {
        let start = Instant::now();
        let mut spells: Vec<(u64, u64)> = Vec::new();
        for second in 0..seconds {
            let (stranger, now) = (PeerId::random(), start + Duration::from_secs(second));
            if probation.admit(&stranger, ip("10.0.0.1"), now).is_ok() {
                probation.offended(&stranger, ip("10.0.0.1"), now);
                match spells.last_mut().filter(|spell| spell.1 == second) {
                    Some(spell) => spell.1 += 1,
                    None => spells.push((second, second + 1)),
                }
            }
        }
        spells
    }

    #[test]
    fn each_further_spell_with_a_fault_doubles_the_wait() {
        let mut probation = Probation::default();
        let spells = open_spells(&mut probation, 2500);
        let expected =
            [(0, 1), (10, 25), (45, 60), (100, 115), (195, 210), (370, 385), (705, 720), (1320, 1335), (1935, 1950)];
        assert_eq!(spells, expected, "waits of 10, 20, 40 … 320, 600 s");
        assert!(probation.addresses.len() == 1 && probation.known.is_empty());
    }

    #[test]
    fn once_it_is_open_it_is_open_to_all_until_the_next_fault() {
        let mut probation = Probation::default();
        let start = Instant::now();
        assert!(probation.offended(&PeerId::random(), ip("10.0.0.1"), start));
        let admit = |probation: &mut Probation, millis| {
            let admitted = probation.admit(&PeerId::random(), ip("10.0.0.1"), start + Duration::from_millis(millis));
            admitted.map_err(|refused| refused.wait.as_millis())
        };
        let answers = [0, 9_999, 10_000, 10_001, 20_000, 500_000].map(|millis| admit(&mut probation, millis));
        assert_eq!(answers, [Err(10_000), Err(1), Ok(()), Ok(()), Ok(()), Ok(())], "nobody uses it up");
        probation.offended(&PeerId::random(), ip("10.0.0.1"), start + Duration::from_secs(500));
        assert_eq!(admit(&mut probation, 500_000), Err(20_000), "it was open for long enough");
    }

    #[test]
    fn a_class_behind_the_offenders_address_gets_in() {
        let mut probation = Probation::default();
        let start = Instant::now();
        probation.offended(&PeerId::random(), ip("10.0.0.1"), start);
        // The offender calls ten times a second; 29 others dial every 12 s, and don't come at the same time.
        let mut waiting: Vec<_> = (0..29).map(|number| (PeerId::random(), number * 400)).collect();
        for millis in (0..120_000).step_by(100) {
            let now = start + Duration::from_millis(millis);
            let offender = PeerId::random();
            if probation.admit(&offender, ip("10.0.0.1"), now).is_ok() {
                probation.offended(&offender, ip("10.0.0.1"), now);
            }
            waiting.retain(|(peer, phase)| {
                millis % 12_000 != *phase || probation.admit(peer, ip("10.0.0.1"), now).is_err()
            });
            assert!(!waiting.is_empty() || millis < 30_000);
            if waiting.is_empty() {
                return;
            }
        }
        panic!("{} are still out", waiting.len());
    }

    #[test]
    fn who_has_proved_itself_is_let_in_until_it_offends() {
        let mut probation = Probation::default();
        let (now, friend) = (Instant::now(), PeerId::random());
        probation.proved(friend);
        probation.offended(&PeerId::random(), ip("10.0.0.1"), now);
        assert_eq!(probation.admit(&friend, ip("10.0.0.1"), now), Ok(()));
        assert!(!probation.offended(&friend, ip("10.0.0.1"), now), "it was on probation before");
        let wait = 2 * WAIT_MIN; // the second fault
        assert_eq!(probation.admit(&friend, ip("10.0.0.1"), now), Err(OnProbation { address: ip("10.0.0.1"), wait }));
    }

    #[test]
    fn neighbours_on_our_own_network_are_not_held_up() {
        let mut probation = Probation::default();
        probation.set_subnets(Subnets::test(&[("fd00:88::1", 64)]));
        let now = Instant::now();
        probation.offended(&PeerId::random(), ip("fd00:88::3"), now);
        let mut admits = |text| probation.admit(&PeerId::random(), ip(text), now).is_ok();
        assert!(!admits("fd00:88::3") && admits("fd00:88::2"));
    }

    #[test]
    fn an_ipv6_prefix_elsewhere_is_one_address_and_others_are_not_held_up() {
        let mut probation = Probation::default();
        let now = Instant::now();
        probation.offended(&PeerId::random(), ip("2001:db8::1"), now);
        probation.offended(&PeerId::random(), ip("127.0.0.1"), now);
        let mut admits = |text| probation.admit(&PeerId::random(), ip(text), now).is_ok();
        assert!(!admits("2001:db8::ffff:2") && !admits("127.0.0.1"));
        assert!(admits("2001:db8:0:1::1") && admits("127.0.0.2") && admits("10.0.0.1"));
    }

    #[test]
    fn faults_are_forgotten_one_by_one() {
        let mut probation = Probation::default();
        let start = Instant::now();
        for _ in 0..10 {
            probation.offended(&PeerId::random(), ip("10.0.0.1"), start);
        }
        let faults = |probation: &mut Probation, times| {
            probation.forget(ip("10.0.0.1"), start + FORGET_AFTER * times);
            probation.addresses.get(&ip("10.0.0.1")).map(|record| record.wait().as_secs())
        };
        let waits = [0, 1, 2, 3, 4, 5, 6, 7].map(|times| faults(&mut probation, times));
        assert_eq!(waits, [Some(600), Some(320), Some(160), Some(80), Some(40), Some(20), Some(10), None]);
    }

    #[test]
    fn both_lists_are_bounded_and_the_oldest_make_way() {
        let mut probation = Probation::default();
        let start = Instant::now();
        let first = PeerId::random();
        probation.proved(first);
        for number in 0..=ADDRESSES_MAX as u32 {
            let now = start + Duration::from_millis(number.into());
            probation.offended(&PeerId::random(), IpAddr::from((0x0a00_0000 + number).to_be_bytes()), now);
            probation.proved(PeerId::random());
        }
        assert_eq!((probation.addresses.len(), probation.known.len()), (ADDRESSES_MAX, KNOWN_PEERS_MAX));
        assert!(!probation.known.contains_key(&first) && !probation.addresses.contains_key(&ip("10.0.0.0")));
    }
}
