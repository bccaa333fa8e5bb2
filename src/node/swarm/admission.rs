//! Admission of connections: at most a number of connections from one host, and no strangers from a host on probation
//! before their turn.
//!
//! Not here: limits on connections in all (libp2p's `connection_limits`) and bans of identities (`allow_block_list`).

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};

use self::per_host::PerHostLimit;
pub(super) use self::probation::{KNOWN_AFTER, OnProbation, Probation};
use super::address::ip_of;

mod per_host;
mod probation;

/// Denies inbound connections. Outbound ones are judged by the task, which knows which of them the user wants.
#[derive(Debug)]
pub(super) struct Admission {
    per_host: PerHostLimit,
    pub(super) probation: Probation,
}

impl Admission {
    pub(super) fn new(connections_per_host_max: usize) -> Self {
        Self { per_host: PerHostLimit::new(connections_per_host_max), probation: Probation::default() }
    }
}

impl NetworkBehaviour for Admission {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.per_host.add(connection, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if let Some(ip) = ip_of(remote) {
            self.probation.admit(&peer, ip, Instant::now()).map_err(ConnectionDenied::new)?;
        }
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
            FromSwarm::ConnectionClosed(closed) => self.per_host.remove(closed.connection_id),
            FromSwarm::ListenFailure(failure) => self.per_host.remove(failure.connection_id),
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
