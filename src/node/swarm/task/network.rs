//! Events of the network: connections that come and go, and messages on them.

use std::time::Instant;

use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId, TopicHash};
use libp2p::metrics::{Metrics, Recorder};
use libp2p::request_response::{self, Message};
use libp2p::swarm::{ConnectionId, StreamUpgradeError, SwarmEvent};
use libp2p::{PeerId, identify, mdns, ping};

use super::{HeldMessage, SwarmTask, UNREADY_BAN};
use crate::engine::Event;
use crate::engine::event::{Fault, Gossip, PeerKey};
use crate::node::event::UserEvent;
use crate::node::swarm::address::{Subnets, carrier, ip_of, is_link_local, split};
use crate::node::swarm::admission::{Guest, KNOWN_AFTER, guest_to_evict, unready_to_evict};
use crate::node::swarm::behaviour::{BehaviourEvent, INBOUND_CONNECTIONS_MAX, INBOUND_CONNECTIONS_PER_HOST_MAX};
use crate::node::swarm::codec::WireRequest;
use crate::node::swarm::serving::Asker;
use crate::node::swarm::sessions::{Closed, Connection, EarlyMessage, PeerSession, Phase, RefusedEarly, request_bytes};
use crate::node::swarm::strangers::NOT_OURS;
use crate::node::swarm::translate::{decode_gossip, request_failure};
use crate::node::swarm::{Reply, failure};
use crate::protocol::Request;

impl SwarmTask {
    pub(super) fn network_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        if let Some(metrics) = &self.metrics {
            self.record(metrics, &event);
        }
        if !matches!(event, SwarmEvent::Behaviour(_)) {
            self.last_activity = Instant::now();
        }
        match event {
            SwarmEvent::Behaviour(event) => self.behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                let span = self.span(&peer_id);
                match &cause {
                    Some(cause) => tracing::debug!(parent: span, why = failure::innermost(cause), "connection closed"),
                    None => tracing::debug!(parent: span, why = "goodbye", "connection closed"),
                }
                self.closed(peer_id, connection_id, cause.is_some());
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                let peer = peer_id.map(tracing::field::display);
                tracing::debug!(peer, why = failure::reason(&error), "not reached");
                self.waiters.fail(connection_id, |address| failure::describe(address, &error));
                self.dial_failed(connection_id, peer_id, &error, Instant::now());
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(address = %send_back_addr, why = failure::innermost(&error), "connection refused");
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.listens.push((listener_id, address));
                self.listens_changed();
                self.book.link_is_back(Instant::now());
            }
            SwarmEvent::ExpiredListenAddr { listener_id, address } => {
                self.listens.retain(|known| *known != (listener_id, address.clone()));
                self.listens_changed();
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                self.listens.retain(|(known, _)| *known != listener_id);
                self.listens_changed();
                if let Err(error) = reason {
                    (self.tell_user)(UserEvent::Warning(format!("no longer listening for peers: {error}")));
                }
            }
            SwarmEvent::ListenerError { error, .. } => tracing::debug!(why = %error, "connection not accepted"),
            _ => {}
        }
    }

    /// For libp2p's own metrics.
    fn record(&self, metrics: &Metrics, event: &SwarmEvent<BehaviourEvent>) {
        metrics.record(event);
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(event)) => metrics.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => metrics.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.record_identify(metrics, event),
            _ => {}
        }
    }

    /// libp2p keeps a peer's description until its last connection ends, and turns it into labels. A description that
    /// comes later would stay for ever, and addresses of forms that are never dialled would each add a label.
    fn record_identify(&self, metrics: &Metrics, event: &identify::Event) {
        let identify::Event::Received { connection_id, peer_id, info } = event else { return metrics.record(event) };
        if self.swarm.is_connected(peer_id) && carrier(&info.observed_addr).is_some() {
            let mut info = info.clone();
            info.listen_addrs.retain(|address| carrier(address).is_some());
            metrics.record(&identify::Event::Received { connection_id: *connection_id, peer_id: *peer_id, info });
        }
    }

    fn behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossipsub(gossipsub::Event::Message { propagation_source, message_id, message }) => {
                self.gossip_arrived(propagation_source, message_id, &message.topic, &message.data);
            }
            BehaviourEvent::Gossipsub(gossipsub::Event::Subscribed { peer_id, topic }) => {
                let is_blocks = topic == self.names.blocks.hash();
                if let Some(session) = self.sessions.get_mut(&peer_id) {
                    session.subscribed(is_blocks);
                    self.try_ready(peer_id);
                }
            }
            BehaviourEvent::Gossipsub(_) => {}
            BehaviourEvent::Sync(event) => self.sync_event(event),
            BehaviourEvent::Identify(event) => self.identify_event(event),
            BehaviourEvent::Ping(ping::Event { peer, connection, result }) => {
                let (Ok(round_trip), Some(session)) = (result, self.sessions.get_mut(&peer)) else { return };
                session.alive(connection, Instant::now(), Some(round_trip));
                if session.phase == Phase::Ready {
                    let row = session.row(peer);
                    self.board.write_peers(|rows| drop(rows.insert(row.peer, row)));
                }
            }
            BehaviourEvent::Mdns(mdns::Event::Discovered(found))
            | BehaviourEvent::MdnsV6(mdns::Event::Discovered(found)) => {
                let now = Instant::now();
                for (peer, address) in &found {
                    self.book.discovered(*peer, address, now);
                }
                self.dial_due(now);
            }
            BehaviourEvent::Mdns(mdns::Event::Expired(gone)) | BehaviourEvent::MdnsV6(mdns::Event::Expired(gone)) => {
                gone.iter().for_each(|(peer, address)| self.book.expired(*peer, address));
            }
        }
    }

    fn established(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let now = Instant::now();
        let (address, _) = split(endpoint.get_remote_address().clone());
        let opened = Connection::new(connection, endpoint.is_dialer(), address.clone(), now);
        self.sessions.established(peer, opened, now);
        tracing::debug!(parent: self.span(&peer), %address, outbound = endpoint.is_dialer(), "connection opened");
        self.book.connected(peer, connection, endpoint.is_dialer(), now);
        if self.waiters.connected(connection, peer) {
            self.book.named(peer, now);
            self.probation().proved(peer);
        }
        // We have hung up, and it called again before the old connections were gone.
        if self.sessions.get(&peer).is_some_and(|session| session.phase == Phase::Closing) {
            return self.hang_up(peer);
        }
        if endpoint.is_listener() {
            self.make_room_for(peer);
        }
        if self.sessions.ready_key(&peer).is_some()
            && let Some(session) = self.sessions.get(&peer)
        {
            self.waiters.ready(&session.row(peer));
        }
    }

    /// Evicts a guest if there are too many in all, or of a newcomer's host. The newcomer stays.
    fn make_room_for(&mut self, newcomer: PeerId) {
        let mut guests = self.sessions.guests(self.book.subnets());
        guests.retain(|guest| !self.book.is_named(guest.peer));
        if let Some(evicted) = unready_to_evict(&guests) {
            tracing::debug!(parent: self.span(&evicted), why = "too many sessions are not ready", "hung up");
            self.hang_up(evicted);
            guests.retain(|guest| guest.peer != evicted);
        }
        let Some(host) = guests.iter().find(|guest| guest.peer == newcomer).map(|guest| guest.host) else { return };
        let connections = |guests: &[Guest]| guests.iter().map(|guest| guest.connections).sum::<usize>();
        let is_here = host.is_none_or(|host| self.book.subnets().is_this_machine(host));
        let neighbours: Vec<_> = guests.iter().filter(|guest| guest.host == host).cloned().collect();
        if !is_here && connections(&neighbours) > INBOUND_CONNECTIONS_PER_HOST_MAX {
            guests = neighbours;
        } else if connections(&guests) <= INBOUND_CONNECTIONS_MAX {
            return;
        }
        guests.retain(|guest| guest.peer != newcomer);
        if let Some(evicted) = guest_to_evict(guests, &mut self.random) {
            tracing::debug!(parent: self.span(&evicted), %newcomer, why = "it makes way for a newcomer", "hung up");
            self.hang_up(evicted);
        }
    }

    fn closed(&mut self, peer: PeerId, connection: ConnectionId, broke: bool) {
        match self.sessions.closed(peer, connection, broke) {
            Closed::Remaining => {}
            Closed::Stale => {
                tracing::debug!(parent: self.span(&peer), why = "its first connection broke", "hung up");
                self.hang_up(peer);
            }
            Closed::Session(session, early) => self.session_ended(peer, *session, early),
        }
    }

    fn session_ended(&mut self, peer: PeerId, session: PeerSession, early: Vec<EarlyMessage>) {
        let PeerSession { key, span, .. } = session;
        for early in early {
            self.refuse(peer, early);
        }
        self.waiters.disconnected(peer);
        let lasted = self.book.disconnected(peer, Instant::now());
        tracing::debug!(parent: &span, ready_millis = lasted.as_millis(), "session ended");
        if lasted >= KNOWN_AFTER && !self.bans.keys().any(|(_, banned)| *banned == peer) {
            self.probation().proved(peer);
        }
        let mut row = None;
        self.board.write_peers(|rows| row = rows.remove(&key));
        // The row is there exactly if the session was reported as connected.
        if let Some(row) = row {
            self.engine.offer_session(Event::PeerDisconnected { peer: key });
            (self.tell_user)(UserEvent::PeerDisconnected(row));
        }
    }

    fn identify_event(&mut self, event: identify::Event) {
        match event {
            identify::Event::Received { peer_id, info, .. } => {
                let is_ours = info.protocols.contains(&self.names.sync);
                let Some(session) = self.sessions.get_mut(&peer_id) else { return };
                if !is_ours {
                    return self.is_foreign(peer_id, &info.protocol_version);
                }
                let seen_from = session.connections.first().and_then(|first| ip_of(&first.address));
                let listens = info.listen_addrs.into_iter().map(|address| split(address).0);
                let listens = listens.filter(|address| self.book.subnets().believe(address, seen_from)).collect();
                session.identified(&info.agent_version, listens, Instant::now());
                let addresses = session.listens.clone();
                if session.phase == Phase::Ready {
                    self.book.add_addresses(peer_id, addresses);
                }
                self.try_ready(peer_id);
            }
            identify::Event::Error { peer_id, error: StreamUpgradeError::NegotiationFailed, .. } => {
                self.is_foreign(peer_id, "");
            }
            _ => {}
        }
    }

    /// Another network or another program: left alone from now on. It says of itself what its protocol is.
    fn is_foreign(&mut self, peer: PeerId, protocol: &str) {
        let now = Instant::now();
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.become_foreign(now);
        tracing::debug!(parent: &session.span, "of another network or program");
        let address = session.connections.first().map(|first| first.address.clone());
        self.book.foreign(peer, now);
        let why = self.strangers.why(protocol);
        let is_told = self.waiters.foreign(peer, why.as_deref().unwrap_or(NOT_OURS));
        if let Some((address, why)) = address.zip(why)
            && self.strangers.is_news(protocol)
            && !is_told
        {
            (self.tell_user)(UserEvent::Warning(format!("a node at {address} is not joined: {why}")));
        }
    }

    pub(super) fn try_ready(&mut self, peer: PeerId) {
        let now = Instant::now();
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if !session.become_ready(now) {
            return;
        }
        let (key, row) = (session.key, session.row(peer));
        let dialled = session.connections.iter().filter(|connection| connection.outbound);
        let addresses = dialled.map(|connection| connection.address.clone()).chain(session.listens.clone()).collect();
        self.book.ready(peer, addresses, now);
        if self.book.is_named(peer) {
            self.probation().proved(peer);
        }
        tracing::debug!(parent: self.span(&peer), address = %row.address, agent = row.agent, "ready");
        self.board.write_peers(|rows| drop(rows.insert(key, row.clone())));
        self.engine.offer_session(Event::PeerConnected { peer: key });
        self.reach.found_somebody();
        self.waiters.ready(&row);
        (self.tell_user)(UserEvent::PeerConnected(row));
        for early in self.sessions.take_early(&peer) {
            match early {
                EarlyMessage::Gossip { message, gossip, bytes } => {
                    self.offer_gossip(key, HeldMessage::new(message, peer, &gossip, bytes), *gossip);
                }
                EarlyMessage::Request { request, asker } => self.offer_request(key, request, *asker),
            }
        }
    }

    fn gossip_arrived(&mut self, peer: PeerId, message: MessageId, topic: &TopicHash, data: &[u8]) {
        let gossip = match decode_gossip(&self.names, &self.config.network, topic, data) {
            Ok(gossip) => gossip,
            Err(error) => {
                tracing::debug!(parent: self.span(&peer), why = %error, "gossip rejected");
                self.judge(&message, &peer, MessageAcceptance::Reject);
                return self.misbehaved(peer, Fault::Malformed);
            }
        };
        let bytes = data.len();
        tracing::trace!(parent: self.span(&peer), %topic, bytes, "gossip");
        match self.sessions.ready_key(&peer) {
            Some(key) => self.offer_gossip(key, HeldMessage::new(message, peer, &gossip, bytes), gossip),
            None => self.keep(peer, EarlyMessage::Gossip { message, gossip: Box::new(gossip), bytes }),
        }
    }

    /// Keeps a message until its session is ready.
    fn keep(&mut self, peer: PeerId, early: EarlyMessage) {
        let Err(refused) = self.sessions.keep(&peer, early) else { return };
        let RefusedEarly { early, is_flood } = *refused;
        self.refuse(peer, early);
        if is_flood {
            self.misbehaved(peer, Fault::Flood);
        }
    }

    fn refuse(&mut self, peer: PeerId, early: EarlyMessage) {
        match early {
            EarlyMessage::Gossip { message, .. } => self.ignore(&message, &peer, "the session is not ready"),
            EarlyMessage::Request { asker, .. } => {
                drop(asker);
                tracing::debug!(parent: self.span(&peer), why = "the session is not ready", "request refused");
            }
        }
    }

    fn offer_gossip(&mut self, key: PeerKey, held: HeldMessage, gossip: Gossip) {
        let peer = held.source;
        if let Gossip::Compact(compact) = &gossip {
            let header = compact.header();
            tracing::debug!(
                parent: self.span(&peer),
                block = %header.id(),
                height = header.height.0,
                transactions = compact.count(),
                bytes = held.bytes,
                "block announced"
            );
        }
        let bytes = held.bytes;
        let (ticket, evicted) = match self.gossip.add(held, bytes) {
            Ok(added) => added,
            Err(HeldMessage { message, source, .. }) => {
                return self.ignore(&message, &source, "too many bytes wait for the engine");
            }
        };
        if let Some(HeldMessage { message, source, .. }) = evicted {
            self.ignore(&message, &source, "too many messages wait for the engine");
        }
        if self.engine.offer(Event::Gossip { peer: key, ticket, gossip }).is_err()
            && let Some(HeldMessage { message, source, .. }) = self.gossip.take(ticket)
        {
            self.ignore(&message, &source, "the engine is busy");
        }
    }

    /// Has gossipsub drop a message, without blame.
    fn ignore(&mut self, message: &MessageId, source: &PeerId, why: &'static str) {
        tracing::debug!(parent: self.span(source), why, "gossip ignored");
        self.judge(message, source, MessageAcceptance::Ignore);
    }

    /// Tells the engine of a fault; if it is too busy to take that, it will hear of the next one. It does not know peers
    /// that are not ready: they are cut off here.
    fn misbehaved(&mut self, peer: PeerId, fault: Fault) {
        if let Some(peer) = self.sessions.ready_key(&peer) {
            let _ = self.engine.offer(Event::Misbehaved { peer, fault });
        } else if let Some(session) = self.sessions.get(&peer).filter(|session| session.phase != Phase::Closing) {
            self.close(session.key, &fault, UNREADY_BAN);
        }
    }

    fn sync_event(&mut self, event: request_response::Event<WireRequest, Reply>) {
        match event {
            request_response::Event::Message { peer, connection_id, message } => {
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.alive(connection_id, Instant::now(), None);
                }
                match message {
                    Message::Request { request: WireRequest::Request(request), channel, request_id } => {
                        self.request_arrived(request, Asker { peer, request: request_id, channel });
                    }
                    Message::Request { request: WireRequest::Malformed, .. } => {
                        tracing::debug!(parent: self.span(&peer), why = "malformed", "request refused");
                        self.misbehaved(peer, Fault::Malformed);
                    }
                    Message::Response { request_id, response } => {
                        // Only our own replies are blocks in encoded form.
                        if let (Some((peer, key)), Reply::Response(response)) =
                            (self.asked.remove(&request_id), response)
                        {
                            self.engine.deliver(Event::Response { peer, key, result: Ok(response) });
                        }
                    }
                }
            }
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                tracing::debug!(%peer, why = %error, "no response");
                if let Some((key_of_peer, key)) = self.asked.remove(&request_id) {
                    let result = Err(request_failure(&error));
                    self.engine.deliver(Event::Response { peer: key_of_peer, key, result });
                }
            }
            request_response::Event::InboundFailure { request_id, .. }
            | request_response::Event::ResponseSent { request_id, .. } => self.serving.done(&request_id),
        }
    }

    fn request_arrived(&mut self, request: Request, asker: Asker) {
        match self.sessions.ready_key(&asker.peer) {
            Some(key) => self.offer_request(key, request, asker),
            None => self.keep(asker.peer, EarlyMessage::Request { request, asker: Box::new(asker) }),
        }
    }

    fn offer_request(&mut self, key: PeerKey, request: Request, asker: Asker) {
        let peer = asker.peer;
        tracing::trace!(parent: self.span(&peer), "request");
        // Dropping a channel refuses its request.
        let Ok((ticket, evicted)) = self.requests.add(asker, request_bytes(&request)) else {
            tracing::debug!(parent: self.span(&peer), why = "too many bytes wait for the engine", "request refused");
            return;
        };
        if let Some(Asker { peer, .. }) = evicted {
            tracing::debug!(parent: self.span(&peer), why = "too many requests wait for the engine", "request refused");
        }
        if self.engine.offer(Event::Request { peer: key, ticket, request }).is_err() {
            tracing::debug!(parent: self.span(&peer), why = "the engine is busy", "request refused");
            self.requests.take(ticket);
        }
    }

    fn listens_changed(&mut self) {
        // Addresses that nobody can dial are not shown.
        let dialable = self.listens.iter().map(|(_, address)| address).filter(|address| !is_link_local(address));
        let mut addresses = dialable.cloned().collect::<Vec<_>>();
        addresses.sort_by_key(|address| ip_of(address).is_some_and(|ip| ip.is_loopback())); // least useful last
        self.board.set_listen(addresses);
        let subnets = Subnets::of_this_machine();
        self.probation().set_subnets(subnets.clone());
        self.clones.set_subnets(&subnets);
        self.reach.listens_changed(Instant::now());
        self.book.set_subnets(subnets);
    }
}
