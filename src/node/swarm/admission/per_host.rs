//! A limit on the connections that one host opens to us, so that a single machine can't take all of them.
//!
//! Loopback is exempt: only programs of this machine connect from there.

use std::collections::HashMap;
use std::net::IpAddr;

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;

use crate::node::swarm::address::{host_of, ip_of};

/// The open connections of each host.
#[derive(Debug)]
pub(super) struct PerHostLimit {
    connections_max: usize,
    /// Bounded by the limits on connections in all.
    sources: HashMap<ConnectionId, IpAddr>,
    counts: HashMap<IpAddr, usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("{source_ip} has {connections_max} connections to us already")]
pub(super) struct TooManyFromOneHost {
    source_ip: IpAddr,
    connections_max: usize,
}

impl PerHostLimit {
    pub(super) fn new(connections_max: usize) -> Self {
        Self { connections_max, sources: HashMap::new(), counts: HashMap::new() }
    }

    pub(super) fn add(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), TooManyFromOneHost> {
        let Some(source_ip) = source_of(remote) else { return Ok(()) };
        let count = self.counts.entry(source_ip).or_default();
        if *count >= self.connections_max {
            return Err(TooManyFromOneHost { source_ip, connections_max: self.connections_max });
        }
        *count += 1;
        self.sources.insert(connection, source_ip);
        Ok(())
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) {
        let Some(source) = self.sources.remove(&connection) else { return };
        if let Some(count) = self.counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&source);
            }
        }
    }
}

/// The host of an address; `None` is not limited.
fn source_of(remote: &Multiaddr) -> Option<IpAddr> {
    ip_of(remote).filter(|ip| !ip.is_loopback()).map(host_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn add(limit: &mut PerHostLimit, id: usize, remote: &str) -> bool {
        limit.add(ConnectionId::new_unchecked(id), &remote.parse().expect("a multiaddr")).is_ok()
    }

    #[test]
    fn a_host_has_a_number_of_connections() {
        let mut limit = PerHostLimit::new(2);
        assert!(add(&mut limit, 1, "/ip4/10.0.0.1/tcp/1"));
        assert!(add(&mut limit, 2, "/ip4/10.0.0.1/udp/2/quic-v1"));
        assert!(!add(&mut limit, 3, "/ip4/10.0.0.1/tcp/3"));
        assert!(add(&mut limit, 4, "/ip4/10.0.0.2/tcp/4"));
        limit.remove(ConnectionId::new_unchecked(3)); // denied, so it does not count
        assert!(!add(&mut limit, 5, "/ip4/10.0.0.1/tcp/5"));
        limit.remove(ConnectionId::new_unchecked(1));
        assert!(add(&mut limit, 6, "/ip4/10.0.0.1/tcp/6"));
    }

    #[test]
    fn an_ipv6_prefix_is_one_host() {
        let mut limit = PerHostLimit::new(1);
        assert!(add(&mut limit, 1, "/ip6/2001:db8::1/tcp/1"));
        assert!(!add(&mut limit, 2, "/ip6/2001:db8::ffff:2/tcp/1"));
        assert!(add(&mut limit, 3, "/ip6/2001:db8:0:1::1/tcp/1"));
    }

    #[test]
    fn this_machine_is_exempt() {
        let mut limit = PerHostLimit::new(1);
        assert!((1..100).all(|id| add(&mut limit, id, "/ip4/127.0.0.1/tcp/1")));
        assert!((100..200).all(|id| add(&mut limit, id, "/ip6/::1/tcp/1")));
    }

    #[test]
    fn nothing_is_kept_of_connections_that_are_gone() {
        let mut limit = PerHostLimit::new(4);
        for id in 0..4 {
            assert!(add(&mut limit, id, "/ip4/10.0.0.1/tcp/1"));
        }
        for id in 0..4 {
            limit.remove(ConnectionId::new_unchecked(id));
        }
        assert!(limit.sources.is_empty() && limit.counts.is_empty());
    }
}
