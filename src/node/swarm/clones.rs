//! Nodes with our own key on this network, as after a folder or a disk was copied. libp2p's mDNS passes over answers that
//! name our own id, so they are listened for here. A clone is told of only after a dial has found our key there: anybody
//! on the network can send an answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::address::{Subnets, ip_of, reachable, split, v6_interfaces};

/// The groups and the port of mDNS (RFC 6762, section 3).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const PORT: u16 = 5353;
/// The longest mDNS message, in bytes (RFC 6762, section 17).
const MESSAGE_BYTES_MAX: usize = 9000;
/// The prefix of an address in an answer (libp2p's mDNS specification).
const ADDRESS_PREFIX: &[u8] = b"dnsaddr=";
/// The length of a text in an answer, in bytes (RFC 1035, section 3.3.14).
const TEXT_BYTES_MAX: usize = 255;
/// The least time between two dials of suspects.
const DIAL_INTERVAL: Duration = Duration::from_secs(5);
/// Clones that are told of. Further ones are passed over.
const TOLD_MAX: usize = 8;

/// The suspects.
#[derive(Debug)]
pub(super) struct Clones {
    own: PeerId,
    /// None without mDNS, and of a version of IP that the machine does not have.
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    subnets: Subnets,
    /// The dial of a suspect, of which there is one at a time.
    dial: Option<(ConnectionId, Multiaddr)>,
    next_dial: Instant,
    /// The clones that the user knows of.
    told: Vec<Multiaddr>,
}

impl Clones {
    /// Starts to listen, if mDNS runs. To be called in the context of a tokio runtime. An error is no more than a missing
    /// warning, so it is only logged.
    pub(super) fn new(own: PeerId, has_mdns: bool, now: Instant) -> Self {
        let listen = |domain| {
            let opened = has_mdns.then(|| open(domain))?;
            opened
                .inspect_err(|error| tracing::debug!(%error, ?domain, "nodes with our key can't be listened for"))
                .ok()
        };
        let (v4, v6) = (listen(Domain::IPV4), listen(Domain::IPV6));
        Self { own, v4, v6, subnets: Subnets::default(), dial: None, next_dial: now, told: Vec::new() }
    }

    /// Listens on all networks of this machine.
    pub(super) fn set_subnets(&mut self, subnets: &Subnets) {
        // An error means that it is a member there already.
        if let Some(socket) = &self.v4 {
            subnets.own_v4().for_each(|ip| drop(socket.join_multicast_v4(GROUP_V4, ip)));
        }
        if let Some(socket) = &self.v6 {
            v6_interfaces().iter().for_each(|index| drop(socket.join_multicast_v6(&GROUP_V6, *index)));
        }
        self.subnets = subnets.clone();
    }

    /// Waits for an answer that names our id. May be cancelled at any time.
    pub(super) async fn heard(&self) -> (IpAddr, Vec<Multiaddr>) {
        tokio::select! {
            heard = self.heard_on(self.v4.as_ref()) => heard,
            heard = self.heard_on(self.v6.as_ref()) => heard,
        }
    }

    async fn heard_on(&self, socket: Option<&UdpSocket>) -> (IpAddr, Vec<Multiaddr>) {
        let Some(socket) = socket else { return std::future::pending().await };
        loop {
            let ready = socket.readable().await;
            // Only now: most waits end by something else that happens on the network's task.
            let mut message = vec![0; MESSAGE_BYTES_MAX];
            let (length, from) = match ready.and_then(|()| socket.try_recv_from(&mut message)) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                // Errors are of earlier sends, of which there are none, or pass.
                Err(_) => {
                    tokio::time::sleep(DIAL_INTERVAL).await;
                    continue;
                }
            };
            let named = addresses_of(&message[..length], &self.own);
            if !named.is_empty() {
                return (from.ip(), named);
            }
        }
    }

    /// The address to dial, if an answer names one that is neither ours nor known as a clone's.
    pub(super) fn suspect(
        &mut self,
        from: IpAddr,
        named: &[Multiaddr],
        ours: impl Fn(&Multiaddr) -> bool,
        now: Instant,
    ) -> Option<Multiaddr> {
        if now < self.next_dial || self.told.len() >= TOLD_MAX {
            return None;
        }
        let is_suspect = |address: &&Multiaddr| {
            ip_of(address).is_some_and(|ip| self.may_be(ip, from)) && reachable(address) && !ours(address)
        };
        let address = named.iter().find(is_suspect).filter(|address| !self.told.contains(address))?;
        self.next_dial = now + DIAL_INTERVAL;
        Some(address.clone())
    }

    /// Whether an address may be that of the sender: nobody names a third party for us to dial. IPv6 answers come from a
    /// link-local address, which only a neighbour has, and name another one of the same network.
    fn may_be(&self, ip: IpAddr, from: IpAddr) -> bool {
        let is_neighbour = matches!(from, IpAddr::V6(from) if from.is_unicast_link_local());
        ip == from || is_neighbour && ip.is_ipv6() && self.subnets.contain(ip)
    }

    pub(super) fn dialled(&mut self, connection: ConnectionId, address: Multiaddr) {
        self.dial = Some((connection, address));
    }

    /// The node at the end of a dial has our key. Returns its address, if it was a suspect.
    pub(super) fn confirmed(&mut self, connection: ConnectionId) -> Option<Multiaddr> {
        let (_, address) = self.dial.take_if(|(dial, _)| *dial == connection)?;
        self.told.push(address.clone());
        Some(address)
    }
}

/// Shares the port with libp2p's mDNS, and with that of the system.
fn open(domain: Domain) -> io::Result<UdpSocket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    let all: IpAddr = if domain == Domain::IPV4 {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        socket.set_only_v6(true)?;
        Ipv6Addr::UNSPECIFIED.into()
    };
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((all, PORT)).into())?;
    UdpSocket::from_std(socket.into())
}

/// The addresses of a peer in an mDNS message, without `/p2p/…`. Its texts are not compressed, so they are looked for
/// without taking the message apart.
fn addresses_of(message: &[u8], peer: &PeerId) -> Vec<Multiaddr> {
    let mut found = Vec::new();
    let mut rest = message;
    while let Some(start) = rest.windows(ADDRESS_PREFIX.len()).position(|window| window == ADDRESS_PREFIX) {
        // The byte before a text is its length.
        let length = start.checked_sub(1).map_or(0, |before| usize::from(rest[before]));
        let end = (start + length).min(rest.len()).min(start + TEXT_BYTES_MAX);
        let address = start + ADDRESS_PREFIX.len();
        let text = rest.get(address..end).and_then(|text| std::str::from_utf8(text).ok());
        if let Some((address, Some(named))) = text.and_then(|text| text.parse::<Multiaddr>().ok()).map(split)
            && named == *peer
        {
            found.push(address);
        }
        rest = &rest[address..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(addresses: &[(&str, PeerId)]) -> Vec<u8> {
        let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        for (address, peer) in addresses {
            let text = format!("dnsaddr={address}/p2p/{peer}");
            message.extend([0, 16, 0x80, 1, 0, 0, 0, 30, 0, text.len() as u8 + 1, text.len() as u8]);
            message.extend(text.bytes());
        }
        message
    }

    #[test]
    fn our_own_id_is_found_in_answers() {
        let (own, other) = (PeerId::random(), PeerId::random());
        let message =
            answer(&[("/ip4/10.0.0.1/tcp/1", other), ("/ip4/10.0.0.2/tcp/2", own), ("/ip6/fd00::1/tcp/3", own)]);
        let named: Vec<_> = addresses_of(&message, &own).iter().map(ToString::to_string).collect();
        assert_eq!(named, ["/ip4/10.0.0.2/tcp/2", "/ip6/fd00::1/tcp/3"]);
        assert_eq!(addresses_of(&message, &PeerId::random()), []);
        for cut in 0..message.len() {
            assert!(addresses_of(&message[..cut], &own).len() <= 2, "cut off at {cut}");
        }
        assert_eq!(addresses_of(b"dnsaddr=", &own), []);
        assert_eq!(addresses_of(b"\xffdnsaddr=/ip4/1.2.3.4/tcp/1", &own), []);
    }

    #[test]
    fn a_neighbour_with_ipv6_names_its_other_address() {
        let now = Instant::now();
        let named = ["/ip6/fe80::2/tcp/1", "/ip6/2001:db8::2/tcp/1", "/ip4/10.0.0.2/tcp/1", "/ip6/fd00::2/tcp/1"];
        let named = named.map(|text| text.parse::<Multiaddr>().expect("a multiaddr"));
        let ip = |text: &str| text.parse::<IpAddr>().expect("an IP address");
        let suspect = |from: &str| {
            let mut clones = Clones::new(PeerId::random(), false, now);
            clones.set_subnets(&Subnets::test(&[("fd00::1", 64), ("10.0.0.1", 24)]));
            clones.suspect(ip(from), &named, |_| false, now)
        };
        assert_eq!(suspect("fe80::2"), Some(named[3].clone()), "of a network of ours");
        assert_eq!(suspect("2001:db8::2"), Some(named[1].clone()), "the sender itself");
        assert_eq!(suspect("2001:db8::3"), None, "a third party");
        assert_eq!(suspect("fd00::3"), None, "a third party on our network");
    }

    #[test]
    fn what_is_not_ours_is_suspected_and_told_of_once() {
        let start = Instant::now();
        let mut clones = Clones::new(PeerId::random(), false, start);
        let address = |text: &str| text.parse::<Multiaddr>().expect("a multiaddr");
        let ip = |text: &str| text.parse::<IpAddr>().expect("an IP address");
        let ours = |named: &Multiaddr| *named == address("/ip4/10.0.0.1/tcp/1");
        let named = ["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1"].map(address);
        assert_eq!(clones.suspect(ip("10.0.0.1"), &named, ours, start), None, "our own answer");
        assert_eq!(clones.suspect(ip("10.0.0.3"), &named, ours, start), None, "it names third parties");
        assert_eq!(clones.suspect(ip("10.0.0.2"), &named, ours, start), Some(named[2].clone()));
        assert_eq!(clones.suspect(ip("10.0.0.2"), &named, ours, start), None, "at once again");
        let (dial, other) = (ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2));
        clones.dialled(dial, named[2].clone());
        assert_eq!(clones.confirmed(other), None);
        let later = start + DIAL_INTERVAL;
        assert!(clones.suspect(ip("10.0.0.2"), &named, ours, later).is_some(), "it did not answer");
        assert_eq!(clones.confirmed(dial), Some(named[2].clone()));
        let again = later + DIAL_INTERVAL;
        assert_eq!(clones.suspect(ip("10.0.0.2"), &named, ours, again), None, "it is known");
        let here = [address("/ip4/10.0.0.1/tcp/2")];
        assert!(clones.suspect(ip("10.0.0.1"), &here, ours, again).is_some(), "on this machine, at another port");
    }
}
