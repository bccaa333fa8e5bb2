//! The loop that owns the swarm: what the network says goes to the engine, what the node wants goes to the network.
//! Nothing in it waits, reads a file or judges content.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::gossipsub::{MessageAcceptance, MessageId};
use libp2p::metrics::Metrics;
use libp2p::request_response::OutboundRequestId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, gossipsub};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::address::{Subnets, carrier, ip_of, split};
use super::admission::{OnProbation, Probation};
use super::behaviour::{Behaviour, ProtocolNames};
use super::codec::WireRequest;
use super::connect::{Waiters, answer};
use super::dial::{Dial, DialBook};
use super::serving::{Asker, Serving, bytes_of};
use super::sessions::{Phase, Sessions};
use super::translate::{Tickets, acceptance, encode_gossip};
use super::{Board, Reply, SwarmCommand, SwarmConfig, failure, remembered};
use crate::engine::Event;
use crate::engine::event::{Fault, Gossip, Key, PeerEffect, PeerKey, RequestFailure, Ticket, Verdict};
use crate::node::event::{ConnectError, PeerRow, UserEvent};
use crate::node::inbox::{EngineSender, OFFERED_EVENTS_MAX};
use crate::protocol::{Millis, Request};

mod network;

/// How often deadlines are looked at…
const TICK: Duration = Duration::from_millis(200);
/// …and how often when no connection has come or gone, and none was tried, for a while. Silence is still noticed in time.
const TICK_AT_REST: Duration = Duration::from_secs(1);
/// How long that while is: every deadline that is nearer than a tick at rest began within it.
const UNREST_TIME: Duration = Duration::from_secs(15);
/// A tick later than this means that the process itself was stopped.
const STOPPED_TIME: Duration = Duration::from_secs(3);
/// How long no further listening address may appear before a start is complete.
const LISTEN_QUIET_TIME: Duration = Duration::from_millis(20);
/// Gossip messages and requests that may wait for the engine: what its queue holds, and what it may be busy with.
const WAITING_MAX: usize = 2 * OFFERED_EVENTS_MAX;
/// Requests of ours under way. The engine asks for less; more fail at once.
const ASKED_MAX: usize = 4096;
/// Peers that may not come back. The ban that ends first makes way.
const BANS_MAX: usize = 1024;
/// The least time between two notices that newcomers have to wait, so that many addresses don't fill the screen.
const PROBATION_TOLD_INTERVAL: Duration = Duration::from_secs(60);
/// The least time between two writes of the remembered peers.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long goodbyes may take.
const GOODBYE_TIME: Duration = Duration::from_secs(1);

/// A gossip message that waits for the engine's verdict.
struct Heard {
    message: MessageId,
    source: PeerId,
    is_block: bool,
}

/// Everything that the swarm's task owns.
pub(super) struct Task {
    config: SwarmConfig,
    names: ProtocolNames,
    swarm: Swarm<Behaviour>,
    engine: EngineSender,
    /// Counts what happens, if somebody reads that.
    metrics: Option<Metrics>,
    tell_user: Box<dyn Fn(UserEvent) + Send + Sync>,
    board: Arc<Board>,
    sessions: Sessions,
    book: DialBook,
    waiters: Waiters,
    gossip: Tickets<Heard>,
    requests: Tickets<Asker>,
    serving: Serving,
    asked: HashMap<OutboundRequestId, (PeerKey, Key)>,
    bans: BTreeMap<(Instant, PeerId), ()>,
    /// When the user was last told that strangers have to wait.
    probation_told: Option<Instant>,
    /// Where we listen; bounded by the machine's addresses.
    listens: Vec<(ListenerId, Multiaddr)>,
    last_tick: Instant,
    /// When something happened last that sets deadlines.
    unrest: Instant,
    next_save: Instant,
    saving: Option<JoinHandle<()>>,
    /// The remembered peers have changed since they were written.
    unsaved: bool,
}

impl Task {
    pub(super) fn new(
        config: SwarmConfig,
        mut swarm: Swarm<Behaviour>,
        engine: EngineSender,
        metrics: Option<Metrics>,
        tell_user: Box<dyn Fn(UserEvent) + Send + Sync>,
        board: Arc<Board>,
    ) -> Self {
        let now = Instant::now();
        let seed = getrandom::u64().unwrap_or_default(); // it only spreads dials
        let mut book = DialBook::new(*swarm.local_peer_id(), &config.peers, Subnets::of_this_machine(), seed, now);
        let (known, warning) = remembered::load(&config.folder);
        let named = config.peers.iter().filter_map(|address| split(address.clone()).1);
        for peer in known.iter().map(|known| known.peer).chain(named) {
            swarm.behaviour_mut().admission.probation.proved(peer);
        }
        book.remember(known, now);
        if let Some(warning) = warning {
            tell_user(UserEvent::Warning(warning));
        }
        Self {
            names: ProtocolNames::of(&config.network),
            config,
            swarm,
            engine,
            metrics,
            tell_user,
            board,
            sessions: Sessions::default(),
            book,
            waiters: Waiters::default(),
            gossip: Tickets::new(WAITING_MAX),
            requests: Tickets::new(WAITING_MAX),
            serving: Serving::new(),
            asked: HashMap::new(),
            bans: BTreeMap::new(),
            probation_told: None,
            listens: Vec::new(),
            last_tick: now,
            unrest: now,
            next_save: now,
            saving: None,
            unsaved: false,
        }
    }

    /// Runs until it is told to shut down or nobody is left to tell it. Says through `listening` when the system has
    /// named the addresses that we listen on. How many there will be is unknown: IPv6 may have none.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<SwarmCommand>, listening: Sender<()>) {
        // Peers to stay connected to are dialled at once.
        self.tick();
        let tick = tokio::time::sleep(TICK);
        tokio::pin!(tick);
        let quiet = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(quiet);
        let mut starting = true;
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None | Some(SwarmCommand::ShutDown) => break,
                    Some(command) => self.command(command),
                },
                event = self.swarm.select_next_some() => {
                    if matches!(event, SwarmEvent::NewListenAddr { .. }) {
                        quiet.as_mut().reset(tokio::time::Instant::now() + LISTEN_QUIET_TIME);
                    }
                    self.network_event(event);
                }
                () = &mut tick => self.tick(),
                () = &mut quiet, if starting && !self.listens.is_empty() => {
                    starting = false;
                    let _ = listening.send(());
                }
            }
            let due = tokio::time::Instant::from_std(next_tick(self.last_tick, self.unrest));
            if tick.deadline() != due {
                tick.as_mut().reset(due);
            }
        }
        self.say_goodbye().await;
    }

    fn command(&mut self, command: SwarmCommand) {
        match command {
            SwarmCommand::Engine(effect) => self.carry_out(effect),
            SwarmCommand::Serve { ticket, blocks } => self.reply(ticket, Some(Reply::Blocks(blocks))),
            SwarmCommand::Connect { address, done } => self.connect(address, done),
            SwarmCommand::ShutDown => {} // the loop has ended before
        }
    }

    fn carry_out(&mut self, effect: PeerEffect) {
        match effect {
            PeerEffect::Publish(gossip) => self.publish(&gossip),
            PeerEffect::Verdict { peer: _, ticket, verdict } => {
                if let Some(Heard { message, source, is_block }) = self.gossip.take(ticket) {
                    // It has become our tip, so somebody has paid for it with work.
                    if is_block && verdict == Verdict::Accept {
                        self.probation().proved(source);
                    }
                    self.judge(&message, &source, acceptance(verdict));
                }
            }
            PeerEffect::Ask { peer, key, request } => self.ask(peer, key, request),
            PeerEffect::Reply { ticket, response } => self.reply(ticket, response.map(Reply::Response)),
            PeerEffect::Close { peer, fault, ban } => self.close(peer, &fault, ban),
        }
    }

    /// Answers a peer's request; `None` refuses it, by dropping its channel.
    fn reply(&mut self, ticket: Ticket, reply: Option<Reply>) {
        let (Some(Asker { peer, request, channel }), Some(reply)) = (self.requests.take(ticket), reply) else { return };
        // The connection may have ended meanwhile, and the end of the request have been told.
        if !channel.is_open() {
            return;
        }
        if !self.serving.add(request, peer, bytes_of(&reply)) {
            tracing::debug!(%peer, "too many replies are on their way: another one is dropped");
        } else if self.swarm.behaviour_mut().sync.send_response(channel, reply).is_err() {
            self.serving.done(&request);
        }
    }

    fn publish(&mut self, gossip: &Gossip) {
        let (topic, bytes) = encode_gossip(&self.names, gossip);
        match self.swarm.behaviour_mut().gossipsub.publish(topic, bytes) {
            // Who joins later pulls, and who sent it to us has it already.
            Ok(_) | Err(gossipsub::PublishError::NoPeersSubscribedToTopic | gossipsub::PublishError::Duplicate) => {}
            // gossipsub has kept the message and offers it with its next heartbeats, so it must not be given again.
            Err(gossipsub::PublishError::AllQueuesFull(peers)) => {
                tracing::debug!(peers, "all queues are full: a message is offered later");
            }
            Err(error) => tracing::warn!(%error, "a message could not be published"),
        }
    }

    /// Tells gossipsub what to do with a message that it holds back.
    fn judge(&mut self, message: &MessageId, source: &PeerId, acceptance: MessageAcceptance) {
        self.swarm.behaviour_mut().gossipsub.report_message_validation_result(message, source, acceptance);
    }

    fn ask(&mut self, peer: PeerKey, key: Key, request: Request) {
        let Some(peer_id) = self.sessions.peer_of(peer) else { return };
        if self.asked.len() >= ASKED_MAX || !self.swarm.is_connected(&peer_id) {
            self.engine.deliver(Event::Response { peer, key, result: Err(RequestFailure::Unreachable) });
            return;
        }
        if let Request::BlockTransactions { block, places } = &request {
            tracing::debug!(peer = %peer_id, %block, transactions = places.len(), "an announced block lacks transactions");
        }
        let id = self.swarm.behaviour_mut().sync.send_request(&peer_id, WireRequest::Request(request));
        self.asked.insert(id, (peer, key));
    }

    fn close(&mut self, peer: PeerKey, fault: &Fault, ban: Millis) {
        let Some(peer_id) = self.sessions.peer_of(peer) else { return };
        tracing::debug!(peer = %peer_id, ?fault, ban_millis = ban.0, "closed");
        self.unrest = Instant::now();
        if ban > Millis(0) {
            if self.bans.len() >= BANS_MAX
                && let Some(((_, first), ())) = self.bans.pop_first()
            {
                self.unban(first);
            }
            let until = Instant::now() + Duration::from_millis(ban.0);
            self.bans.retain(|(_, banned), ()| *banned != peer_id);
            self.bans.insert((until, peer_id), ());
            self.book.banned(peer_id, until);
            self.swarm.behaviour_mut().bans.block_peer(peer_id);
        }
        // Who merely does not answer may be at the end of a bad link.
        if *fault != Fault::Silent {
            self.put_on_probation(peer_id);
        }
        self.hang_up(peer_id);
    }

    /// The peer has broken the rules: others at its address are not believed at once to be somebody else.
    fn put_on_probation(&mut self, peer: PeerId) {
        let now = Instant::now();
        self.book.disproved(peer);
        let connections = self.sessions.get(&peer).into_iter().flat_map(|session| &session.connections);
        let addresses: BTreeSet<_> = connections.filter_map(|connection| ip_of(&connection.address)).collect();
        for ip in addresses {
            let is_new = self.probation().offended(&peer, ip, now);
            let is_told = self.probation_told.is_some_and(|told| now - told < PROBATION_TOLD_INTERVAL);
            if is_new && !is_told {
                self.probation_told = Some(now);
                (self.tell_user)(UserEvent::Warning(format!(
                    "a peer at {ip} broke the rules and was cut off; newcomers from there now have to wait, longer each time \
                     it happens, and peers that have proved themselves come and go as before"
                )));
            }
        }
    }

    fn probation(&mut self) -> &mut Probation {
        &mut self.swarm.behaviour_mut().admission.probation
    }

    fn unban(&mut self, peer: PeerId) {
        self.book.unbanned(peer);
        self.swarm.behaviour_mut().bans.unblock_peer(peer);
    }

    /// Closes all connections of a peer. Its session ends when the last one is gone.
    fn hang_up(&mut self, peer: PeerId) {
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.phase = Phase::Closing;
        }
        // Fails only if there is no connection, which is what is wanted.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn connect(&mut self, address: Multiaddr, done: Sender<Result<PeerRow, ConnectError>>) {
        let now = Instant::now();
        self.unrest = now;
        let (plain, wanted) = split(address.clone());
        if carrier(&plain).is_none() {
            return answer(&done, Err(failure::not_dialable(&address)));
        }
        let is_listened_on = self.listens.iter().any(|(_, listen)| *listen == plain);
        if wanted == Some(*self.swarm.local_peer_id()) || is_listened_on {
            return answer(&done, Err(format!("{address}: that is this node itself")));
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
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![plain])
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id().address(plain).allocate_new_port().build(),
        };
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => self.waiters.add(address, Some(connection), wanted, now, done),
            Err(DialError::DialPeerConditionFalse(_)) => self.waiters.add(address, None, wanted, now, done),
            Err(error) => answer(&done, Err(failure::describe(&address, &error))),
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.last_tick) > STOPPED_TIME {
            self.sessions.forgive_silence(now);
        }
        self.last_tick = now;
        for peer in self.sessions.overdue(now) {
            tracing::debug!(%peer, "not ready in time, or silent: closed");
            self.hang_up(peer);
        }
        while let Some(((until, peer), ())) = self.bans.first_key_value().map(|(key, ())| (*key, ()))
            && until <= now
        {
            self.bans.pop_first();
            self.unban(peer);
        }
        self.waiters.tick(now);
        self.dial_due(now);
        if self.unsaved && now >= self.next_save {
            self.next_save = now + SAVE_INTERVAL;
            self.unsaved = false;
            let (folder, peers) = (self.config.folder.clone(), self.book.remembered());
            self.saving = Some(tokio::task::spawn_blocking(move || save(&folder, &peers)));
        }
    }

    fn dial_due(&mut self, now: Instant) {
        for dial in self.book.due(now, self.sessions.len()) {
            // Anybody on the LAN can name a stranger that we would dial.
            if let Some(peer) = dial.of_our_own()
                && let Err(refused) = self.may_dial(peer, &dial.addresses, now)
            {
                tracing::debug!(%peer, %refused, "not dialled");
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
        self.unrest = now;
        self.book.started(dial, connection);
        if let Err(error) = self.swarm.dial(options) {
            self.dial_failed(connection, dial.peer, &error, now);
        }
    }

    fn dial_failed(&mut self, connection: ConnectionId, peer: Option<PeerId>, error: &DialError, now: Instant) {
        match error {
            DialError::LocalPeerId { .. } => {
                if let Some(address) = self.book.is_us(connection) {
                    (self.tell_user)(UserEvent::Warning(format!("--peer {address} is this node itself")));
                }
            }
            DialError::WrongPeerId { obtained, address } => {
                if let Some(peer) = peer {
                    self.book.is_other(peer, address);
                }
                self.book.failed(connection, now);
                // A node that was set up anew is found again where it was.
                self.book.discovered(*obtained, address, now);
            }
            _ => self.book.failed(connection, now),
        }
    }

    /// Closes everything in order, so that peers notice at once.
    async fn say_goodbye(mut self) {
        for (listener, _) in std::mem::take(&mut self.listens) {
            self.swarm.remove_listener(listener);
        }
        let peers = self.swarm.connected_peers().copied().collect::<Vec<_>>();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closing = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(GOODBYE_TIME, closing).await.is_err() {
            tracing::debug!("not every connection was closed in time");
        }
        if let Some(saving) = self.saving.take() {
            let _ = saving.await;
        }
        let (folder, peers) = (self.config.folder.clone(), self.book.remembered());
        // Ends with an error only if the runtime is going down, which saves nothing any more.
        let _ = tokio::task::spawn_blocking(move || save(&folder, &peers)).await;
    }
}

/// When deadlines are looked at next.
fn next_tick(last: Instant, unrest: Instant) -> Instant {
    if last.saturating_duration_since(unrest) < UNREST_TIME {
        return last + TICK;
    }
    last + TICK_AT_REST
}

fn save(folder: &std::path::Path, peers: &[remembered::Remembered]) {
    if let Err(error) = remembered::save(folder, peers) {
        tracing::warn!(%error, "the known peers could not be saved");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_looked_at_seldom_at_rest() {
        let start = Instant::now();
        let last = start + UNREST_TIME;
        let cases = [
            ("something has just happened", last, TICK),
            ("since the last tick", last + TICK, TICK),
            ("a while ago", start + TICK, TICK),
            ("long ago", start, TICK_AT_REST),
        ];
        for (what, unrest, wait) in cases {
            assert_eq!(next_tick(last, unrest), last + wait, "{what}");
        }
    }
}
