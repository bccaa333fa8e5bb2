//! Dials: those that the user asks for, and those that the dial book has due.

use std::net::IpAddr;
use std::time::Instant;

use crossbeam_channel::Sender;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId};

use super::SwarmTask;
use crate::node::event::{ConnectError, PeerRow, UserEvent};
use crate::node::swarm::address::{carrier, ip_of, is_link_local, split};
use crate::node::swarm::admission::OnProbation;
use crate::node::swarm::connect::answer;
use crate::node::swarm::dial::Dial;
use crate::node::swarm::failure;

impl SwarmTask {
    /// Dials for a user, who is answered through `done`.
    pub(super) fn connect(&mut self, address: Multiaddr, done: Sender<Result<PeerRow, ConnectError>>) {
        let now = Instant::now();
        self.last_activity = now;
        let (plain, wanted) = split(address.clone());
        if carrier(&plain).is_none() || is_link_local(&plain) {
            return answer(&done, Err(failure::not_dialable(&address)));
        }
        if self.is_own(&plain) {
            return answer(&done, Err(format!("{address}: that is this node itself")));
        }
        if wanted == Some(*self.swarm.local_peer_id()) {
            return answer(&done, Err(format!("{address}: {}", failure::SAME_KEY)));
        }
        let connected = wanted.filter(|peer| self.sessions.ready_key(peer).is_some());
        let connected = connected.or_else(|| self.sessions.ready_at(&plain).filter(|_| wanted.is_none()));
        if let Some(peer) = connected
            && let Some(session) = self.sessions.get(&peer)
        {
            return answer(&done, Ok(session.row(peer)));
        }
        if let Some(peer) = wanted {
            self.bans.retain(|(_, banned), ()| *banned != peer);
            self.unban(peer); // its own user knows better
            self.probation().proved(peer);
        }
        let options = match wanted {
            // An attempt that is under way may be for an address that is out of date.
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::Disconnected)
                .addresses(vec![plain])
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id().address(plain).allocate_new_port().build(),
        };
        let connection = options.connection_id();
        tracing::debug!(peer = wanted.map(tracing::field::display), %address, "dialled for the user");
        match self.swarm.dial(options) {
            Ok(()) => self.waiters.add(address, Some(connection), wanted, now, done),
            Err(DialError::DialPeerConditionFalse(_)) => self.waiters.add(address, None, wanted, now, done),
            Err(error) => answer(&done, Err(failure::describe(&address, &error))),
        }
    }

    /// Another machine may have our key.
    pub(super) fn clone_heard(&mut self, from: IpAddr, named: &[Multiaddr]) {
        let ours = |address: &Multiaddr| self.listens.iter().any(|(_, listen)| listen == address);
        let Some(address) = self.clones.suspect(from, named, ours, Instant::now()) else { return };
        let options = DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build();
        tracing::debug!(%address, "dialled, because it announces our id");
        self.clones.dialled(options.connection_id(), address);
        // It fails at once only if there are too many connections. The next answer comes within seconds.
        let _ = self.swarm.dial(options);
    }

    /// Whether this node listens there.
    fn is_own(&self, plain: &Multiaddr) -> bool {
        self.listens.iter().any(|(_, listen)| listen == plain)
    }

    /// Dials the peers that are due.
    pub(super) fn dial_due(&mut self, now: Instant) {
        for dial in self.book.due(now) {
            // Any machine on the LAN can name a stranger for us to dial.
            if let Some(peer) = dial.of_our_own()
                && let Err(refused) = self.may_dial(peer, &dial.addresses, now)
            {
                tracing::debug!(%peer, why = %refused, "not dialled");
                self.book.put_off(peer, now + refused.wait);
                continue;
            }
            self.dial(&dial, now);
        }
    }

    fn may_dial(&mut self, peer: PeerId, addresses: &[Multiaddr], now: Instant) -> Result<(), OnProbation> {
        let probation = self.probation();
        addresses.iter().filter_map(ip_of).try_for_each(|ip| probation.admit(&peer, ip, now))
    }

    fn dial(&mut self, dial: &Dial, now: Instant) {
        let options = match (dial.peer, dial.addresses.first()) {
            (Some(peer), _) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(dial.addresses.clone())
                .allocate_new_port()
                .build(),
            (None, Some(address)) => DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build(),
            (None, None) => return,
        };
        let connection = options.connection_id();
        self.last_activity = now;
        self.book.started(dial, connection);
        tracing::debug!(peer = dial.peer.map(tracing::field::display), addresses = ?dial.addresses, "dialled");
        if let Err(error) = self.swarm.dial(options) {
            self.dial_failed(connection, dial.peer, &error, now);
        }
    }

    pub(super) fn dial_failed(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        error: &DialError,
        now: Instant,
    ) {
        match error {
            DialError::LocalPeerId { .. } => {
                if let Some(address) = self.book.is_us(connection) {
                    let is_own = self.is_own(&split(address.clone()).0);
                    let why = if is_own { "that is this node itself" } else { failure::SAME_KEY };
                    (self.tell_user)(UserEvent::Warning(format!("--peer {address}: {why}")));
                } else if let Some(address) = self.clones.confirmed(connection) {
                    let why = failure::SAME_KEY;
                    (self.tell_user)(UserEvent::Warning(format!("found {address} on this network: {why}")));
                }
            }
            DialError::WrongPeerId { obtained, address } => {
                if let Some(peer) = peer {
                    self.book.is_other(peer, address);
                }
                self.book.failed(connection, now);
                // The machine may have a new node at the old address.
                self.book.discovered(*obtained, address, now);
            }
            _ => self.book.failed(connection, now),
        }
    }
}
