//! Probation of addresses, so that a peer that was cut off can't come back at once under another name.
//!
//! Identities cost nothing. So when a peer is cut off for a fault, its address is put on probation: *strangers* from
//! there are let in one at a time, after a wait that doubles with each further fault; faults are forgotten one by one.
//! *Known* peers come and go as before, because honest nodes may share the address (one machine, one NAT), and sessions
//! that stand are not affected. A peer is known if it has sent a block that became our tip (it has paid for that with
//! work), was one of ours for [`KNOWN_AFTER`] without a fault, is remembered from an earlier run, or was named by the
//! user. A peer that is cut off is a stranger again.
//!
//! Bitcoin Core's "discouraged" addresses are the model (`net_processing.cpp`, `MaybeDiscourageAndDisconnect`). It lets
//! no strangers in from there at all once it is full, which on a LAN behind one address would be too harsh.
//!
//! Not here: bans of identities, which last their time whatever the address, and the limit on connections of a host.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libp2p::PeerId;

use crate::node::swarm::address::host_of;

/// A peer that has been one of ours for this long, without a fault, is known.
pub(in crate::node::swarm) const KNOWN_AFTER: Duration = Duration::from_secs(600);
/// Addresses on probation. The one with the oldest fault is evicted.
const ADDRESSES_MAX: usize = 1024;
/// Known peers. The one that proved itself first is evicted.
const KNOWN_PEERS_MAX: usize = 1024;
/// How long strangers wait after the first fault, and after each other. It doubles with each further fault.
const WAIT_MIN: Duration = Duration::from_secs(10);
/// The longest wait: as long as an identity is banned.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// Faults that are counted. With this many the wait is at its longest.
const FAULTS_MAX: u32 = 7;
/// One fault is forgotten each time that this has passed without another.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// The addresses on probation and the peers that are exempt.
#[derive(Debug, Default)]
pub(in crate::node::swarm) struct Probation {
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
    /// When the next stranger is let in.
    open: Instant,
}

/// A connection was denied, or a dial put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a peer at {address} was cut off: strangers from there wait for another {} s", wait.as_secs())]
pub(in crate::node::swarm) struct OnProbation {
    pub(in crate::node::swarm) address: IpAddr,
    pub(in crate::node::swarm) wait: Duration,
}

impl Probation {
    /// A peer was cut off for a fault: it is a stranger from now on, and so are others at its address who have not
    /// proved themselves. Whether nothing was held against the address before.
    pub(in crate::node::swarm) fn offended(&mut self, peer: &PeerId, ip: IpAddr, now: Instant) -> bool {
        self.known.remove(peer);
        let host = host_of(ip);
        self.forget(host, now);
        let is_new = !self.addresses.contains_key(&host);
        if is_new && self.addresses.len() >= ADDRESSES_MAX {
            let oldest =
                self.addresses.iter().min_by_key(|(host, record)| (record.since, **host)).map(|(host, _)| *host);
            oldest.map(|oldest| self.addresses.remove(&oldest));
        }
        let record = self.addresses.entry(host).or_insert(FaultRecord { faults: 0, since: now, open: now });
        record.faults = (record.faults + 1).min(FAULTS_MAX);
        record.since = now;
        record.open = now + record.wait();
        is_new
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

    /// Whether a peer may have a connection with an address now. A stranger that may keeps the next one waiting.
    pub(in crate::node::swarm) fn admit(&mut self, peer: &PeerId, ip: IpAddr, now: Instant) -> Result<(), OnProbation> {
        let address = host_of(ip);
        self.forget(address, now);
        match self.addresses.get_mut(&address) {
            Some(record) if !self.known.contains_key(peer) => {
                if now < record.open {
                    return Err(OnProbation { address, wait: record.open - now });
                }
                record.open = now + record.wait();
                Ok(())
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
    /// which it is.
    fn admissions(probation: &mut Probation, start: Instant, seconds: u64) -> Vec<u64> {
        let attempts = (0..seconds).filter(|second| {
            let (stranger, now) = (PeerId::random(), start + Duration::from_secs(*second));
            let admitted = probation.admit(&stranger, ip("10.0.0.1"), now).is_ok();
            if admitted {
                probation.offended(&stranger, ip("10.0.0.1"), now);
            }
            admitted
        });
        attempts.collect()
    }

    #[test]
    fn each_further_fault_doubles_the_wait() {
        let mut probation = Probation::default();
        let start = Instant::now();
        assert_eq!(
            admissions(&mut probation, start, 2500),
            [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430],
            "ten in 40 minutes"
        );
        assert!(probation.addresses.len() == 1 && probation.known.is_empty());
    }

    #[test]
    fn strangers_that_behave_come_one_at_a_time() {
        let mut probation = Probation::default();
        let start = Instant::now();
        assert!(probation.offended(&PeerId::random(), ip("10.0.0.1"), start));
        let mut admit = |millis| {
            let admitted = probation.admit(&PeerId::random(), ip("10.0.0.1"), start + Duration::from_millis(millis));
            admitted.map_err(|refused| refused.wait.as_millis())
        };
        let answers = [0, 9_999, 10_000, 10_001, 20_000].map(&mut admit);
        assert_eq!(answers, [Err(10_000), Err(1), Ok(()), Err(9_999), Ok(())]);
    }

    #[test]
    fn who_has_proved_itself_is_let_in_until_it_offends() {
        let mut probation = Probation::default();
        let (now, friend) = (Instant::now(), PeerId::random());
        probation.proved(friend);
        probation.offended(&PeerId::random(), ip("10.0.0.1"), now);
        assert_eq!(probation.admit(&friend, ip("10.0.0.1"), now), Ok(()));
        assert!(!probation.offended(&friend, ip("10.0.0.1"), now), "it was on probation before");
        let wait = 2 * WAIT_MIN;
        assert_eq!(probation.admit(&friend, ip("10.0.0.1"), now), Err(OnProbation { address: ip("10.0.0.1"), wait }));
    }

    #[test]
    fn an_ipv6_prefix_is_one_address_and_others_are_not_held_up() {
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
        let mut wait = |times| {
            // The first one is let in and keeps the second waiting.
            let now = start + FORGET_AFTER * times;
            let mut ask = || probation.admit(&PeerId::random(), ip("10.0.0.1"), now);
            ask().and_then(|()| ask()).map_err(|refused| refused.wait.as_secs())
        };
        let waits = [1, 2, 3, 4, 5, 6, 7].map(&mut wait);
        assert_eq!(waits, [Err(320), Err(160), Err(80), Err(40), Err(20), Err(10), Ok(())]);
        assert!(probation.addresses.is_empty(), "all is forgotten");
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
