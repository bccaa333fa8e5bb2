//! Judging multiaddresses: whether, and how soon, one is worth dialling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// The IP address that a multiaddress starts with.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        _ => None,
    }
}

/// The net of an address, as far as one owner goes: an IPv4 /24 or an IPv6 /64.
pub(super) fn net_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() >> 8 << 8)),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

/// Splits `…/p2p/<peer id>` into the address and the peer.
pub(super) fn split(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            address.pop();
            (address, Some(peer))
        }
        _ => (address, None),
    }
}

/// How an address reaches its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carrier {
    Tcp,
    Quic,
}

/// The carrier of an address that our transports can dial or listen on, `/p2p/…` at the end or not.
pub(super) fn carrier(address: &Multiaddr) -> Option<Carrier> {
    let (address, _) = split(address.clone());
    let protocols = address.iter().collect::<Vec<_>>();
    let host = |protocol: &Protocol<'_>| {
        use Protocol::{Dns, Dns4, Dns6, Ip4, Ip6};
        matches!(protocol, Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_))
    };
    match protocols.as_slice() {
        [first, Protocol::Tcp(_)] if host(first) => Some(Carrier::Tcp),
        [first, Protocol::Udp(_), Protocol::QuicV1] if host(first) => Some(Carrier::Quic),
        _ => None,
    }
}

/// The TCP or UDP port.
pub(super) fn port_of(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|protocol| match protocol {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

/// Whether a dial of an address that a stranger named could ever succeed. Loopback is left out: there, a stranger's
/// address means ourselves.
pub(super) fn reachable(address: &Multiaddr) -> bool {
    let usable = match ip_of(address) {
        Some(IpAddr::V4(ip)) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST)
        }
        // A link-local IPv6 address means nothing without the interface, which a multiaddress doesn't carry here.
        Some(IpAddr::V6(ip)) => {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_unicast_link_local())
        }
        None => false,
    };
    usable && carrier(address).is_some() && port_of(address).is_some_and(|port| port != 0)
}

/// Whether an address is of use on one cable only, and names no interface. No transport here can dial it.
pub(super) fn is_link_local(address: &Multiaddr) -> bool {
    matches!(ip_of(address), Some(IpAddr::V6(ip)) if ip.is_unicast_link_local())
}

/// Those addresses of ours that a person elsewhere can use, or all if there are none such, in their shortest form.
pub(in crate::node) fn for_others(ours: &[Multiaddr]) -> Vec<Multiaddr> {
    let all = ours.iter().map(|address| split(address.clone()).0);
    let (reachable, others): (Vec<_>, Vec<_>) = all.partition(reachable);
    if reachable.is_empty() { others } else { reachable }
}

/// The indices of the interfaces with IPv6, by which groups are joined.
pub(super) fn v6_interfaces() -> Vec<u32> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let with_v6 = interfaces.iter().filter(|interface| !interface.is_loopback() && interface.ip().is_ipv6());
    let mut indices: Vec<u32> = with_v6.filter_map(|interface| interface.index).collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

/// The networks that this machine's interfaces are on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subnets(Vec<(IpAddr, u8)>);

impl Subnets {
    /// As the interfaces are now; none if the system doesn't tell.
    pub(super) fn of_this_machine() -> Self {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let subnets = interfaces.into_iter().filter(|interface| !interface.is_loopback());
        Self(
            subnets
                .map(|interface| match interface.addr {
                    if_addrs::IfAddr::V4(v4) => (IpAddr::V4(v4.ip), v4.prefixlen),
                    if_addrs::IfAddr::V6(v6) => (IpAddr::V6(v6.ip), v6.prefixlen),
                })
                .collect(),
        )
    }

    /// This machine's IPv4 addresses.
    pub(super) fn own_v4(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.0.iter().filter_map(|(ip, _)| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None })
    }

    /// Whether an address is on one of them.
    pub(super) fn contain(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|(ours, prefix)| match (ours, ip) {
            (IpAddr::V4(ours), IpAddr::V4(ip)) => {
                u32::MAX.checked_shl(32 - u32::from(*prefix)).unwrap_or(0) & (ours.to_bits() ^ ip.to_bits()) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(ip)) => {
                u128::MAX.checked_shl(128 - u32::from(*prefix)).unwrap_or(0) & (ours.to_bits() ^ ip.to_bits()) == 0
            }
            _ => false,
        })
    }

    /// The host of an address, for limits and probation. An IPv6 host elsewhere owns a whole /64; on a network of ours,
    /// that is where everybody is, so each address is a host.
    pub(super) fn host_of(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V6(_) if !self.contain(ip) && !ip.is_loopback() => net_of(ip),
            ip => ip,
        }
    }

    /// The hosts that count as one when peers are spread over the network: the net, but on networks of ours each host.
    pub(super) fn group_of(&self, ip: IpAddr) -> IpAddr {
        if self.contain(ip) || ip.is_loopback() { ip } else { net_of(ip) }
    }

    /// Whether an address is this machine's own: only its own programs connect from there.
    pub(super) fn is_this_machine(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.0.iter().any(|(ours, _)| *ours == ip)
    }

    /// Smaller is better: addresses on a network of ours first, then TCP, then IPv4.
    pub(super) fn preference(&self, address: &Multiaddr) -> (bool, Option<Carrier>, bool) {
        let ip = ip_of(address);
        (!ip.is_some_and(|ip| self.contain(ip)), carrier(address), ip.is_some_and(|ip| ip.is_ipv6()))
    }

    /// Of the addresses that a connected peer claims: those at the address it talks to us from, or on a network of
    /// ours. So a peer can't make us dial third parties.
    pub(super) fn believe(&self, claimed: &Multiaddr, seen_from: Option<IpAddr>) -> bool {
        let (Some(ip), Some(seen_from)) = (ip_of(claimed), seen_from) else { return false };
        let dialable = carrier(claimed).is_some() && port_of(claimed).is_some_and(|port| port != 0);
        dialable && (ip == seen_from || (reachable(claimed) && self.contain(ip) && self.contain(seen_from)))
    }

    #[cfg(test)]
    pub(super) fn test(subnets: &[(&str, u8)]) -> Self {
        Self(subnets.iter().map(|(ip, prefix)| (ip.parse().expect("an IP address"), *prefix)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddr")
    }

    #[test]
    fn what_can_never_be_reached_is_not_dialled() {
        for good in ["/ip4/192.168.1.7/tcp/7787", "/ip6/2001:db8::1/tcp/1", "/ip4/10.0.0.1/udp/9/quic-v1"] {
            assert!(reachable(&address(good)), "{good}");
        }
        for bad in [
            "/ip4/127.0.0.1/tcp/7787",
            "/ip6/::1/tcp/7787",
            "/ip4/0.0.0.0/tcp/7787",
            "/ip4/224.0.0.1/tcp/7787",
            "/ip4/255.255.255.255/tcp/7787",
            "/ip6/fe80::1/tcp/7787",
            "/ip6/::ffff:127.0.0.1/tcp/1",
            "/ip4/192.168.1.7/tcp/0",
            "/ip4/192.168.1.7/udp/7787",
            "/ip4/192.168.1.7/tcp/7787/ws",
            "/dns4/example.org/tcp/7787",
        ] {
            assert!(!reachable(&address(bad)), "{bad}");
        }
    }

    #[test]
    fn near_and_simple_addresses_come_first() {
        let subnets = Subnets::test(&[("192.168.1.3", 24), ("2001:db8::3", 64)]);
        let mut addresses = [
            "/ip4/172.17.0.1/tcp/1",
            "/ip4/192.168.1.9/udp/1/quic-v1",
            "/ip6/2001:db8::9/tcp/1",
            "/ip4/192.168.1.9/tcp/1",
        ]
        .map(address);
        addresses.sort_by_key(|address| subnets.preference(address));
        assert_eq!(
            addresses.map(|address| address.to_string()),
            [
                "/ip4/192.168.1.9/tcp/1",
                "/ip6/2001:db8::9/tcp/1",
                "/ip4/192.168.1.9/udp/1/quic-v1",
                "/ip4/172.17.0.1/tcp/1"
            ]
        );
    }

    #[test]
    fn a_peer_is_believed_about_itself_only() {
        let subnets = Subnets::test(&[("192.168.1.3", 24)]);
        let seen_from = |ip: &str| Some(ip.parse().expect("an IP address"));
        assert!(subnets.believe(&address("/ip4/192.168.1.9/tcp/1"), seen_from("192.168.1.9")));
        assert!(subnets.believe(&address("/ip4/192.168.1.10/tcp/1"), seen_from("192.168.1.9")));
        assert!(subnets.believe(&address("/ip4/127.0.0.1/tcp/1"), seen_from("127.0.0.1")));
        assert!(!subnets.believe(&address("/ip4/127.0.0.1/tcp/1"), seen_from("192.168.1.9")));
        assert!(!subnets.believe(&address("/ip4/8.8.8.8/tcp/53"), seen_from("192.168.1.9")));
        assert!(!subnets.believe(&address("/ip4/192.168.1.10/tcp/1"), seen_from("8.8.8.8")));
        assert!(!subnets.believe(&address("/ip4/192.168.1.9/tcp/0"), seen_from("192.168.1.9")));
    }

    #[test]
    fn hosts_are_told_apart_on_our_own_networks() {
        let subnets = Subnets::test(&[("192.168.1.3", 24), ("2001:db8::3", 64)]);
        let ip = |text: &str| text.parse::<IpAddr>().expect("an IP address");
        for (address, host, group) in [
            ("192.168.1.9", "192.168.1.9", "192.168.1.9"),
            ("10.0.0.9", "10.0.0.9", "10.0.0.0"),
            ("2001:db8::9", "2001:db8::9", "2001:db8::9"),
            ("2001:db8:0:1::9", "2001:db8:0:1::", "2001:db8:0:1::"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
            ("::1", "::1", "::1"),
        ] {
            assert_eq!((subnets.host_of(ip(address)), subnets.group_of(ip(address))), (ip(host), ip(group)));
        }
        let ours = ["127.0.0.2", "::1", "192.168.1.3", "2001:db8::3"];
        assert!(ours.iter().all(|address| subnets.is_this_machine(ip(address))));
        assert!(!subnets.is_this_machine(ip("192.168.1.9")));
    }

    #[test]
    fn the_peer_id_comes_off_the_end() {
        let peer = PeerId::random();
        let plain = address("/ip4/10.0.0.1/tcp/5");
        assert_eq!(split(plain.clone().with(Protocol::P2p(peer))), (plain.clone(), Some(peer)));
        assert_eq!(split(plain.clone()), (plain, None));
    }
}
