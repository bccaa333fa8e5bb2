//! A limit on the connections that one address opens to us, so that a single machine can't take all places.
//!
//! Loopback is exempt: only programs of this machine come from there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::address::{host_of, ip_of};

/// Denies inbound connections beyond a number for each source.
#[derive(Debug)]
pub(super) struct PerIpLimit {
    connections_max: usize,
    /// Bounded by the limits on connections in all.
    sources: HashMap<ConnectionId, IpAddr>,
    counts: HashMap<IpAddr, usize>,
}

/// Why a connection was denied.
#[derive(Debug, thiserror::Error)]
#[error("{source_ip} has {connections_max} connections to us already")]
pub(super) struct TooManyFromOneAddress {
    source_ip: IpAddr,
    connections_max: usize,
}

impl PerIpLimit {
    pub(super) fn new(connections_max: usize) -> Self {
        Self { connections_max, sources: HashMap::new(), counts: HashMap::new() }
    }

    fn add(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), TooManyFromOneAddress> {
        let Some(source_ip) = source_of(remote) else { return Ok(()) };
        let count = self.counts.entry(source_ip).or_default();
        if *count >= self.connections_max {
            return Err(TooManyFromOneAddress { source_ip, connections_max: self.connections_max });
        }
        *count += 1;
        self.sources.insert(connection, source_ip);
        Ok(())
    }

    fn remove(&mut self, connection: ConnectionId) {
        let Some(source) = self.sources.remove(&connection) else { return };
        if let Some(count) = self.counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&source);
            }
        }
    }
}

/// What counts as one address; `None` is not limited.
fn source_of(remote: &Multiaddr) -> Option<IpAddr> {
    ip_of(remote).filter(|ip| !ip.is_loopback()).map(host_of)
}

impl NetworkBehaviour for PerIpLimit {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection_id: ConnectionId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.add(connection_id, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.remove(closed.connection_id),
            FromSwarm::ListenFailure(failure) => self.remove(failure.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(limit: &mut PerIpLimit, id: usize, remote: &str) -> bool {
        limit.add(ConnectionId::new_unchecked(id), &remote.parse().expect("a multiaddr")).is_ok()
    }

    #[test]
    fn an_address_has_its_number_of_places() {
        let mut limit = PerIpLimit::new(2);
        assert!(add(&mut limit, 1, "/ip4/10.0.0.1/tcp/1"));
        assert!(add(&mut limit, 2, "/ip4/10.0.0.1/udp/2/quic-v1"));
        assert!(!add(&mut limit, 3, "/ip4/10.0.0.1/tcp/3"));
        assert!(add(&mut limit, 4, "/ip4/10.0.0.2/tcp/4"));
        limit.remove(ConnectionId::new_unchecked(3)); // denied, so it holds no place
        assert!(!add(&mut limit, 5, "/ip4/10.0.0.1/tcp/5"));
        limit.remove(ConnectionId::new_unchecked(1));
        assert!(add(&mut limit, 6, "/ip4/10.0.0.1/tcp/6"));
    }

    #[test]
    fn an_ipv6_prefix_is_one_address() {
        let mut limit = PerIpLimit::new(1);
        assert!(add(&mut limit, 1, "/ip6/2001:db8::1/tcp/1"));
        assert!(!add(&mut limit, 2, "/ip6/2001:db8::ffff:2/tcp/1"));
        assert!(add(&mut limit, 3, "/ip6/2001:db8:0:1::1/tcp/1"));
    }

    #[test]
    fn this_machine_is_exempt() {
        let mut limit = PerIpLimit::new(1);
        assert!((1..100).all(|id| add(&mut limit, id, "/ip4/127.0.0.1/tcp/1")));
        assert!((100..200).all(|id| add(&mut limit, id, "/ip6/::1/tcp/1")));
    }

    #[test]
    fn nothing_is_kept_of_connections_that_are_gone() {
        let mut limit = PerIpLimit::new(4);
        for id in 0..4 {
            assert!(add(&mut limit, id, "/ip4/10.0.0.1/tcp/1"));
        }
        for id in 0..4 {
            limit.remove(ConnectionId::new_unchecked(id));
        }
        assert!(limit.sources.is_empty() && limit.counts.is_empty());
    }
}
