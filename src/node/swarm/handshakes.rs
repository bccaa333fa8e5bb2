//! Inbound connections whose handshake is under way.
//!
//! Anybody can open a connection and say nothing. So handshakes have a number of places, and each host a few of them;
//! when they are taken, the oldest makes way, and a new connection is never refused: an honest handshake needs its place
//! for a few round trips. A limit in a behaviour could only refuse the new one, hence this wrapper around the transport.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::{AbortHandle, AbortRegistration, Abortable};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::{Multiaddr, PeerId, Transport};
use parking_lot::Mutex;

use super::address::{ip_of, net_of};

/// Handshakes at once. Beyond, the oldest of the host with the most makes way, in the net with the most.
pub(super) const HANDSHAKES_MAX: usize = 128;
/// Handshakes at once with one host, other than this machine. Beyond, its oldest makes way.
pub(super) const HANDSHAKES_PER_HOST_MAX: usize = 4;

type Output = (PeerId, StreamMuxerBox);
type Upgrade = <Boxed<Output> as Transport>::ListenerUpgrade;

/// A transport whose inbound handshakes are bounded.
pub(super) struct BoundedHandshakes {
    inner: Boxed<Output>,
    places: Arc<Mutex<Places>>,
}

impl BoundedHandshakes {
    pub(super) fn new(inner: Boxed<Output>) -> Self {
        Self { inner, places: Arc::default() }
    }
}

impl Transport for BoundedHandshakes {
    type Output = Output;
    type Error = io::Error;
    type ListenerUpgrade = Handshake;
    type Dial = <Boxed<Output> as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        self.inner.dial(address, options)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut self.inner).poll(context).map(|event| match event {
            TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr } => {
                let (number, abort) = self.places.lock().take(ip_of(&send_back_addr));
                let place = Place { number, places: self.places.clone() };
                let upgrade = Handshake { upgrade: Abortable::new(upgrade, abort), _place: place };
                TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr }
            }
            other => other.map_upgrade(|_| unreachable!("only incoming connections have one")),
        })
    }
}

/// A handshake, which fails if it has to make way.
pub(super) struct Handshake {
    upgrade: Abortable<Upgrade>,
    _place: Place,
}

impl Future for Handshake {
    type Output = io::Result<Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let made_way = |_| Err(io::Error::other("its handshake was slow and made way for a newer connection"));
        Pin::new(&mut self.upgrade).poll(context).map(|result| result.unwrap_or_else(made_way))
    }
}

/// The place of one handshake, which is free again once this is dropped.
struct Place {
    number: u64,
    places: Arc<Mutex<Places>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().taken.remove(&self.number);
    }
}

#[derive(Default)]
struct Places {
    /// By age.
    taken: BTreeMap<u64, Taken>,
    last: u64,
}

struct Taken {
    /// `None`: of this machine, or no address.
    host: Option<IpAddr>,
    handshake: AbortHandle,
}

impl Places {
    /// Takes a place for a host's handshake; another one makes way if there is none left.
    fn take(&mut self, ip: Option<IpAddr>) -> (u64, AbortRegistration) {
        let host = ip.filter(|ip| !ip.is_loopback());
        if let Some(oldest) = self.in_the_way_of(host)
            && let Some(taken) = self.taken.remove(&oldest)
        {
            taken.handshake.abort();
        }
        let (handshake, registration) = AbortHandle::new_pair();
        self.last += 1;
        self.taken.insert(self.last, Taken { host, handshake });
        (self.last, registration)
    }

    fn in_the_way_of(&self, newcomer: Option<IpAddr>) -> Option<u64> {
        let mut of_host = HashMap::<_, usize>::new();
        let mut of_net = HashMap::<_, usize>::new();
        for taken in self.taken.values() {
            *of_host.entry(taken.host).or_default() += 1;
            *of_net.entry(taken.host.map(net_of)).or_default() += 1;
        }
        if newcomer.is_some() && of_host.get(&newcomer).is_some_and(|count| *count >= HANDSHAKES_PER_HOST_MAX) {
            return self.taken.iter().find(|(_, taken)| taken.host == newcomer).map(|(number, _)| *number);
        }
        if self.taken.len() < HANDSHAKES_MAX {
            return None;
        }
        let crowd = |(number, taken): &(&u64, &Taken)| {
            (of_net[&taken.host.map(net_of)], of_host[&taken.host], Reverse(**number))
        };
        self.taken.iter().max_by_key(crowd).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Handshakes from these hosts, in this order: the indices of those that made way.
    fn made_way(hosts: &[&str]) -> Vec<usize> {
        let mut places = Places::default();
        let take = |host: &&str| Some(places.take(Some(host.parse().expect("an IP address"))).1);
        let handshakes: Vec<_> = hosts.iter().map(take).collect();
        assert!(places.taken.len() <= HANDSHAKES_MAX);
        let ended = handshakes.into_iter().flatten().map(|abort| Abortable::new(std::future::ready(()), abort));
        ended.enumerate().filter(|(_, handshake)| handshake.is_aborted()).map(|(index, _)| index).collect()
    }

    #[test]
    fn a_host_has_a_few_and_its_oldest_makes_way() {
        let mut hosts = vec!["10.0.0.1"; HANDSHAKES_PER_HOST_MAX];
        hosts.extend(["10.0.0.2", "10.0.0.1", "2001:db8::1", "10.0.0.1"]);
        assert_eq!(made_way(&hosts), [0, 1]);
    }

    #[test]
    fn all_have_a_number_and_the_greediest_makes_way() {
        let greedy: Vec<_> = (0..HANDSHAKES_MAX - 3).map(|host| format!("10.1.1.{}", host / 2)).collect();
        let mut hosts: Vec<_> = ["10.0.0.1", "10.0.0.2"].into_iter().chain(greedy.iter().map(String::as_str)).collect();
        hosts.extend(["10.0.0.3", "10.0.0.4", "10.0.0.5"]);
        assert_eq!(made_way(&hosts), [2, 4], "the oldest of the hosts with two, in the net with the most");
    }

    #[test]
    fn this_machine_is_bounded_with_all_others_only() {
        assert_eq!(made_way(&["127.0.0.1"; HANDSHAKES_MAX]), [0; 0]);
        assert_eq!(made_way(&["127.0.0.1"; HANDSHAKES_MAX + 2]), [0, 1]);
    }

    #[test]
    fn a_place_is_free_again_when_its_handshake_is_over() {
        let places = Arc::<Mutex<Places>>::default();
        for _ in 0..3 * HANDSHAKES_MAX {
            let (number, abort) = places.lock().take(None);
            let handshake = Abortable::new(std::future::ready(()), abort);
            let place = Place { number, places: places.clone() };
            assert!(!handshake.is_aborted() && places.lock().taken.len() == 1);
            drop(place);
        }
        assert!(places.lock().taken.is_empty());
    }
}
