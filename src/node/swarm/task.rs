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
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm, gossipsub};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Span;

use super::address::{Subnets, ip_of, split};
use super::admission::Probation;
use super::behaviour::{Behaviour, ProtocolNames};
use super::clones::Clones;
use super::codec::WireRequest;
use super::connect::Waiters;
use super::dial::DialBook;
use super::remembered::{self, Remembered, Tie};
use super::serving::{Asker, Room, Serving, bytes_of};
use super::sessions::{Phase, Sessions};
use super::strangers::Strangers;
use super::translate::{Tickets, acceptance, encode_gossip};
use super::{Board, Reply, SwarmCommand, SwarmConfig};
use crate::engine::Event;
use crate::engine::event::{Fault, Gossip, Key, PeerEffect, PeerKey, RequestFailure, Ticket, Verdict};
use crate::node::event::UserEvent;
use crate::node::inbox::{EngineSender, OFFERED_EVENTS_MAX};
use crate::protocol::{Millis, Request};
use crate::random::Random;

mod dialling;
mod network;
mod reach;

use reach::Reach;

/// How often deadlines are checked…
const TICK: Duration = Duration::from_millis(200);
/// …and how often at rest.
const TICK_AT_REST: Duration = Duration::from_secs(1);
/// The swarm is at rest if no connection has come, gone or been tried for this long. Deadlines that must be met more
/// precisely than by a tick at rest are shorter than this.
const REST_AFTER: Duration = Duration::from_secs(15);
/// A tick that is later than this means that the process itself was stopped.
const STOPPED_AFTER: Duration = Duration::from_secs(3);
/// Startup is complete when no further listening address has appeared for this long.
const LISTEN_SETTLE_TIMEOUT: Duration = Duration::from_millis(20);
/// Gossip messages and requests that may wait for the engine: what its queue holds, and what it may be busy with.
const WAITING_MAX: usize = 2 * OFFERED_EVENTS_MAX;
/// The bytes of the gossip among them; gossipsub keeps a copy of each as long. More is ignored.
const GOSSIP_WAITING_BYTES_MAX: usize = 6 << 20;
/// The bytes of the requests among them. More are refused.
const REQUESTS_WAITING_BYTES_MAX: usize = 32 << 20;
/// The ban of a peer that was at fault before it was ready: as long as the engine's.
const UNREADY_BAN: Millis = Millis::from_secs(600);
/// Requests of ours under way. The engine makes fewer; more fail at once.
const ASKED_MAX: usize = 4096;
/// Banned peers. The ban that ends first is evicted.
const BANS_MAX: usize = 1024;
/// The least time between two notices about probation, so that many addresses don't fill the screen.
const PROBATION_TOLD_INTERVAL: Duration = Duration::from_secs(60);
/// The least time between two writes of the remembered peers.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a shutdown waits for connections to close.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// A gossip message that waits for the engine's verdict.
struct HeldMessage {
    message: MessageId,
    source: PeerId,
    is_block: bool,
    bytes: usize,
}

impl HeldMessage {
    fn new(message: MessageId, source: PeerId, gossip: &Gossip, bytes: usize) -> Self {
        let is_block = matches!(gossip, Gossip::Block(_) | Gossip::Compact(_));
        Self { message, source, is_block, bytes }
    }
}

/// The swarm and everything else that its task owns.
pub(super) struct SwarmTask {
    config: SwarmConfig,
    names: ProtocolNames,
    swarm: Swarm<Behaviour>,
    engine: EngineSender,
    /// libp2p's own metrics, if they are served.
    metrics: Option<Metrics>,
    tell_user: Box<dyn Fn(UserEvent) + Send + Sync>,
    board: Arc<Board>,
    sessions: Sessions,
    book: DialBook,
    waiters: Waiters,
    gossip: Tickets<HeldMessage>,
    requests: Tickets<Asker>,
    serving: Serving,
    asked: HashMap<OutboundRequestId, (PeerKey, Key)>,
    bans: BTreeMap<(Instant, PeerId), ()>,
    /// When the user was last told about probation.
    probation_told: Option<Instant>,
    /// The addresses that we listen on; bounded by the machine's addresses.
    listens: Vec<(ListenerId, Multiaddr)>,
    reach: Reach,
    clones: Clones,
    strangers: Strangers,
    last_tick: Instant,
    /// When a connection came, went or was tried last.
    last_activity: Instant,
    next_save: Instant,
    saving: Option<JoinHandle<()>>,
    /// The remembered peers as they were written last.
    saved: Vec<Remembered>,
    random: Random,
    /// Stands for the span of a peer without a session.
    no_span: Span,
}

impl SwarmTask {
    pub(super) fn new(
        config: SwarmConfig,
        mut swarm: Swarm<Behaviour>,
        engine: EngineSender,
        metrics: Option<Metrics>,
        tell_user: Box<dyn Fn(UserEvent) + Send + Sync>,
        board: Arc<Board>,
    ) -> Self {
        let now = Instant::now();
        let mut random = Random::new(getrandom::u64().unwrap_or_default()); // for fairness, not for secrets
        let subnets = Subnets::of_this_machine();
        let mut book = DialBook::new(*swarm.local_peer_id(), &config.peers, subnets.clone(), random.bits(), now);
        let (known, warning) = remembered::load(&config.folder);
        let good = known.iter().filter(|known| known.tie != Tie::Met).map(|known| known.peer);
        let named = config.peers.iter().filter_map(|address| split(address.clone()).1);
        let probation = &mut swarm.behaviour_mut().admission.probation;
        probation.set_subnets(subnets);
        good.chain(named).for_each(|peer| probation.proved(peer));
        book.remember(known.clone(), now);
        if let Some(warning) = warning {
            tell_user(UserEvent::Warning(warning));
        }
        let names = ProtocolNames::of(&config.network);
        let clones = Clones::new(*swarm.local_peer_id(), config.mdns, now);
        let strangers = Strangers::new(&names.version);
        Self {
            names,
            config,
            swarm,
            engine,
            metrics,
            tell_user,
            board,
            sessions: Sessions::default(),
            book,
            waiters: Waiters::default(),
            gossip: Tickets::new(WAITING_MAX, GOSSIP_WAITING_BYTES_MAX),
            requests: Tickets::new(WAITING_MAX, REQUESTS_WAITING_BYTES_MAX),
            serving: Serving::new(),
            asked: HashMap::new(),
            bans: BTreeMap::new(),
            probation_told: None,
            listens: Vec::new(),
            reach: Reach::new(now),
            clones,
            strangers,
            last_tick: now,
            last_activity: now,
            next_save: now,
            saving: None,
            saved: known,
            random,
            no_span: Span::none(),
        }
    }

    /// Runs until it is told to shut down, or until all senders of commands are gone. Reports through `listening` once
    /// the system has named the addresses that we listen on. Their number is unknown: IPv6 may have none.
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
                        quiet.as_mut().reset(tokio::time::Instant::now() + LISTEN_SETTLE_TIMEOUT);
                    }
                    self.network_event(event);
                }
                (from, named) = self.clones.heard() => self.clone_heard(from, &named),
                () = &mut tick => self.tick(),
                () = &mut quiet, if starting && !self.listens.is_empty() => {
                    starting = false;
                    let _ = listening.send(());
                }
            }
            let due = tokio::time::Instant::from_std(next_tick(self.last_tick, self.last_activity));
            if tick.deadline() != due {
                tick.as_mut().reset(due);
            }
        }
        self.say_goodbye().await;
    }

    fn command(&mut self, command: SwarmCommand) {
        match command {
            SwarmCommand::Engine(effect) => self.carry_out(effect),
            SwarmCommand::Serve { ticket, blocks, place: _place } => self.reply(ticket, Some(Reply::Blocks(blocks))),
            SwarmCommand::Connect { address, done } => self.connect(address, done),
            SwarmCommand::ShutDown => {} // the loop has ended before
        }
    }

    fn carry_out(&mut self, effect: PeerEffect) {
        match effect {
            PeerEffect::Publish(gossip) => self.publish(&gossip),
            PeerEffect::Verdict { peer: _, ticket, verdict } => {
                if let Some(HeldMessage { message, source, is_block, .. }) = self.gossip.take(ticket) {
                    if verdict == Verdict::Accept {
                        if let Some(session) = self.sessions.get_mut(&source) {
                            session.gave(is_block, Instant::now());
                        }
                        // It has become our tip, so its miner has paid with work.
                        if is_block {
                            self.probation().proved(source);
                        }
                    }
                    tracing::trace!(parent: self.span(&source), ?verdict, is_block, "verdict");
                    if verdict == Verdict::Reject {
                        let why = "it breaks the rules";
                        tracing::debug!(parent: self.span(&source), is_block, why, "gossip rejected");
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
        let Some(Asker { peer, request, channel }) = self.requests.take(ticket) else { return };
        let Some(reply) = reply else {
            tracing::debug!(parent: self.span(&peer), why = "the engine has no answer", "request refused");
            return;
        };
        // The connection may have ended meanwhile, and the end of the request have been reported.
        if !channel.is_open() {
            return;
        }
        let bytes = bytes_of(&reply);
        tracing::trace!(parent: self.span(&peer), bytes, "reply");
        let room = self.serving.add(request, peer, bytes, Instant::now());
        if room != Room::Granted {
            tracing::debug!(parent: self.span(&peer), bytes, why = "too many replies on their way", "request refused");
            if let Room::RefusedUntilGone(slow) = room {
                tracing::debug!(parent: self.span(&slow), why = "it reads replies too slowly", "closed");
                self.hang_up(slow);
            }
        } else if self.swarm.behaviour_mut().sync.send_response(channel, reply).is_err() {
            self.serving.done(&request);
        }
    }

    fn publish(&mut self, gossip: &Gossip) {
        let (topic, bytes) = encode_gossip(&self.names, gossip);
        tracing::trace!(%topic, bytes = bytes.len(), "published");
        match self.swarm.behaviour_mut().gossipsub.publish(topic, bytes) {
            // Peers that join later pull, and the peer that sent it to us has it already.
            Ok(_) | Err(gossipsub::PublishError::NoPeersSubscribedToTopic | gossipsub::PublishError::Duplicate) => {}
            // They pull it, as all that gossip loses.
            Err(gossipsub::PublishError::AllQueuesFull(peers)) => {
                tracing::debug!(peers, why = "all queues are full", "gossip lost");
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
        let is_full = self.asked.len() >= ASKED_MAX;
        if is_full || !self.swarm.is_connected(&peer_id) {
            let why = if is_full { "too many requests under way" } else { "not connected" };
            tracing::debug!(parent: self.span(&peer_id), why, "not asked");
            self.engine.deliver(Event::Response { peer, key, result: Err(RequestFailure::Unreachable) });
            return;
        }
        if let Request::BlockTransactions { block, places } = &request {
            let transactions = places.len();
            tracing::debug!(parent: self.span(&peer_id), %block, transactions, "asked for transactions of a block");
        }
        tracing::trace!(parent: self.span(&peer_id), ?key, "asked");
        let id = self.swarm.behaviour_mut().sync.send_request(&peer_id, WireRequest::Request(request));
        self.asked.insert(id, (peer, key));
    }

    fn close(&mut self, peer: PeerKey, fault: &Fault, ban: Millis) {
        let Some(peer_id) = self.sessions.peer_of(peer) else { return };
        tracing::debug!(parent: self.span(&peer_id), why = ?fault, ban_millis = ban.0, "cut off");
        self.last_activity = Instant::now();
        if ban > Millis(0) {
            if self.bans.len() >= BANS_MAX
                && let Some(((_, first), ())) = self.bans.pop_first()
            {
                tracing::debug!(peer = %first, why = "too many bans", "ban ended");
                self.unban(first);
            }
            let until = Instant::now() + Duration::from_millis(ban.0);
            self.bans.retain(|(_, banned), ()| *banned != peer_id);
            self.bans.insert((until, peer_id), ());
            self.book.banned(peer_id, until);
            self.swarm.behaviour_mut().bans.block_peer(peer_id);
        }
        // A peer that merely does not answer may be at the end of a bad link.
        if *fault != Fault::Silent {
            self.put_on_probation(peer_id);
        }
        self.hang_up(peer_id);
    }

    /// The peer has broken the rules: newcomers at its address may be the same one under another name.
    fn put_on_probation(&mut self, peer: PeerId) {
        let now = Instant::now();
        self.book.disproved(peer);
        let connections = self.sessions.get(&peer).into_iter().flat_map(|session| &session.connections);
        let addresses: BTreeSet<_> = connections.filter_map(|connection| ip_of(&connection.address)).collect();
        for ip in addresses {
            tracing::debug!(parent: self.span(&peer), %ip, "address on probation");
            let is_new = self.probation().offended(&peer, ip, now);
            let is_told = self.probation_told.is_some_and(|told| now - told < PROBATION_TOLD_INTERVAL);
            if is_new && !is_told {
                self.probation_told = Some(now);
                (self.tell_user)(UserEvent::Warning(format!(
                    "a peer at {ip} broke the rules and was cut off; newcomers from there now have to wait, longer \
                     each time it happens, and peers that have proved themselves come and go as before"
                )));
            }
        }
    }

    /// The span of a peer's session, for events about it.
    fn span(&self, peer: &PeerId) -> &Span {
        self.sessions.get(peer).map_or(&self.no_span, |session| &session.span)
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
        // Fails only if there is no connection.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.last_tick) > STOPPED_AFTER {
            self.sessions.forgive_silence(now);
        }
        self.last_tick = now;
        for (peer, why) in self.sessions.overdue(now) {
            tracing::debug!(parent: self.span(&peer), why, "hung up");
            self.hang_up(peer);
        }
        for peer in self.sessions.ready_by_now(now) {
            self.try_ready(peer);
        }
        while let Some(((until, peer), ())) = self.bans.first_key_value().map(|(key, ())| (*key, ()))
            && until <= now
        {
            tracing::debug!(%peer, why = "its time is over", "ban ended");
            self.bans.pop_first();
            self.unban(peer);
        }
        self.waiters.tick(now);
        self.judge_reach(now);
        self.dial_due(now);
        if now >= self.next_save {
            self.next_save = now + SAVE_INTERVAL;
            let peers = self.book.remembered(now);
            if peers != self.saved {
                self.saved.clone_from(&peers);
                let folder = self.config.folder.clone();
                self.saving = Some(tokio::task::spawn_blocking(move || save(&folder, &peers)));
            }
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
        if tokio::time::timeout(GOODBYE_TIMEOUT, closing).await.is_err() {
            tracing::debug!("not every connection was closed in time");
        }
        if let Some(saving) = self.saving.take() {
            let _ = saving.await;
        }
        let (folder, peers) = (self.config.folder.clone(), self.book.remembered(Instant::now()));
        // Ends with an error only if the runtime is going down, which saves nothing any more.
        let _ = tokio::task::spawn_blocking(move || save(&folder, &peers)).await;
    }
}

/// When deadlines are checked next.
fn next_tick(last: Instant, last_activity: Instant) -> Instant {
    if last.saturating_duration_since(last_activity) < REST_AFTER {
        return last + TICK;
    }
    last + TICK_AT_REST
}

fn save(folder: &std::path::Path, peers: &[Remembered]) {
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
        let last = start + REST_AFTER;
        let cases = [
            ("something has just happened", last, TICK),
            ("since the last tick", last + TICK, TICK),
            ("a while ago", start + TICK, TICK),
            ("long ago", start, TICK_AT_REST),
        ];
        for (what, last_activity, wait) in cases {
            assert_eq!(next_tick(last, last_activity), last + wait, "{what}");
        }
    }
}
