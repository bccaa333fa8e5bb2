//! A virtual node: one engine and the shell around it, which carries out effects and reports events in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::adversary::{Adversary, Hands};
use super::clock::WallClock;
use super::event_log::{EventLog, LogEntry};
use super::gossip::GossipState;
use super::id::NodeId;
use super::link::Link;
use super::metrics::Counters;
use super::miner::VirtualMiner;
use super::random::Random;
use super::size::{FRAME_BYTES, request_bytes, response_bytes};
use super::storage::{DiskTask, Storage};
use super::surroundings::Surroundings;
use super::traffic::UserTraffic;
use super::wheel::{Delivery, DeliveryKind, Message};
use crate::engine::event::{
    Answer, Batch, CheckEffect, Command, CommandError, Effect, Event, Gossip, Key, LoadEffect, MineEffect, MiningMode,
    Notice, Now, PeerEffect, PeerKey, Place, RequestFailure, StoreEffect, Ticket, UserEffect, Verdict, Wake, Write,
};
use crate::engine::{Engine, EngineConfig};
use crate::protocol::compact::WHOLE_BYTES_MAX;
use crate::protocol::{Address, Height, Millis, Network, Request, Response, SecretKey, SignedTransaction};

/// The duration of a check, in milliseconds.
const CHECK_MILLIS: (u64, u64) = (1, 3);
/// Cached bodies of an engine, in bytes. Each engine keeps its own deltas, whereas disks share theirs.
const CACHED_BYTES_MAX: usize = 128 << 10;
/// The time after which a dead connection is given up.
pub(crate) const DEAD_CONNECTION_TIMEOUT: Millis = Millis::from_secs(8);

/// A virtual node.
pub(crate) struct VirtualNode {
    pub(crate) id: NodeId,
    pub(crate) engine: Option<Engine>,
    /// The adversary that speaks for the engine. `None`: the node is honest.
    pub(crate) adversary: Option<Adversary>,
    pub(crate) storage: Storage,
    pub(crate) key: Arc<SecretKey>,
    /// The account for rewards from the next start on, and the nickname.
    pub(crate) account: Address,
    pub(crate) nickname: String,
    pub(crate) clock: WallClock,
    pub(crate) mining: MiningMode,
    /// The longest block that it announces whole, in bytes.
    pub(crate) whole_bytes_max: usize,
    pub(crate) miner: VirtualMiner,
    pub(crate) traffic: UserTraffic,
    pub(crate) random: Random,
    pub(crate) gossip: GossipState,
    /// The links in the order of their sessions.
    pub(crate) links: Vec<Link>,
    /// The nodes that were cut off, and the ends of their bans.
    pub(crate) banned: BTreeMap<NodeId, Millis>,
    /// Requests that wait for their reply: the ticket, the asking session and its key.
    asked: Vec<(Ticket, PeerKey, Key)>,
    /// Commands that wait for their answer, and whether anybody wants to know it.
    commanded: BTreeMap<Ticket, bool>,
    pub(crate) answers: BTreeMap<Ticket, Result<Answer, CommandError>>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) event_log: EventLog,
    /// Whether its chain was ever replaced.
    pub(crate) was_reorganised: bool,
    pub(crate) counters: Counters,
    /// The best block, as the node's user knows it.
    pub(crate) tip: Place,
    /// The number of restarts, so that events from before a crash are dropped.
    life: u32,
    started_at: Millis,
    wake: Millis,
    /// The earliest time for which a [`DeliveryKind::Timer`] is under way.
    timer: Option<Millis>,
    posted: u64,
    tickets: u64,
    sessions: u64,
}

impl VirtualNode {
    pub(crate) fn new(id: NodeId, seed: u64, network: &Network) -> Self {
        let mut random = Random::new(seed);
        let key = Arc::new(SecretKey::from_seed(random.bytes()));
        Self {
            id,
            engine: None,
            adversary: None,
            storage: Storage::default(),
            account: key.public_key().address(),
            key,
            nickname: format!("node{}", id.0),
            clock: WallClock::default(),
            mining: MiningMode::Off,
            whole_bytes_max: WHOLE_BYTES_MAX,
            miner: VirtualMiner::default(),
            traffic: UserTraffic::default(),
            gossip: GossipState::default(),
            random,
            links: Vec::new(),
            banned: BTreeMap::new(),
            asked: Vec::new(),
            commanded: BTreeMap::new(),
            answers: BTreeMap::new(),
            notices: Vec::new(),
            event_log: EventLog::default(),
            was_reorganised: false,
            counters: Counters::default(),
            tip: Place { height: Height::GENESIS, id: network.genesis_id() },
            life: 0,
            started_at: Millis(0),
            wake: Millis(0),
            timer: None,
            posted: 0,
            tickets: 0,
            sessions: 0,
        }
    }

    /// Starts from the persisted data.
    pub(crate) fn start(&mut self, around: &mut Surroundings<'_>) {
        let config = EngineConfig {
            network: around.network.clone(),
            account: self.account,
            nickname: self.nickname.clone(),
            seed: self.random.bytes(),
            mining: self.mining,
        };
        let mut engine = Engine::new(config, self.storage.disk.stored());
        engine.set_cached_bytes_max(CACHED_BYTES_MAX);
        engine.set_whole_bytes_max(self.whole_bytes_max);
        let genesis = Place { height: Height::GENESIS, id: around.network.genesis_id() };
        self.tip = self.storage.disk.tip().unwrap_or(genesis);
        self.engine = Some(engine);
        self.started_at = around.now;
        self.gossip = GossipState::new(around.now, &mut self.random);
        self.deliver(Event::Tick, around);
    }

    /// Stops at once. Unwritten data is lost. The world ends the links.
    pub(crate) fn crash(&mut self) {
        self.engine = None;
        self.life += 1;
        self.miner.stop();
        self.storage.crash();
        self.event_log.crash();
        self.gossip = GossipState::default();
        self.asked.clear();
        self.commanded.clear();
    }

    /// Writes the whole queue of the disk at once.
    pub(crate) fn write_all(&mut self) {
        for batch in self.storage.write_all() {
            self.event_log.note_written(batch);
        }
    }

    /// Gives the engine an event at once.
    pub(crate) fn deliver(&mut self, event: Event, around: &mut Surroundings<'_>) {
        self.deliver_at(around.now, event, around);
    }

    fn deliver_at(&mut self, at: Millis, event: Event, around: &mut Surroundings<'_>) {
        self.post(at, self.id, DeliveryKind::Event { life: self.life, event: Box::new(event) }, around);
    }

    fn post(&mut self, at: Millis, to: NodeId, what: DeliveryKind, around: &mut Surroundings<'_>) {
        self.posted += 1;
        around.post(at, Delivery { to, from: self.id, number: self.posted, what });
    }

    pub(crate) fn new_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// A key for a new session.
    pub(crate) fn new_session(&mut self) -> PeerKey {
        self.sessions += 1;
        PeerKey(self.sessions)
    }

    pub(crate) fn command(&mut self, command: Command, is_wanted: bool, around: &mut Surroundings<'_>) -> Ticket {
        let ticket = self.new_ticket();
        self.commanded.insert(ticket, is_wanted);
        self.deliver(Event::Command { ticket, command }, around);
        ticket
    }

    /// The number of verdicts, replies and answers that are due.
    pub(crate) fn open_tickets(&self) -> usize {
        self.gossip.judged() + self.asked.len() + self.commanded.len()
    }

    /// Begins a session.
    pub(crate) fn open(&mut self, link: Link, around: &mut Surroundings<'_>) {
        self.deliver(Event::PeerConnected { peer: link.session }, around);
        self.event_log.note(|| LogEntry::Joined { session: link.session, peer: link.peer });
        self.links.push(link);
        self.welcome(self.links.len() - 1, around);
    }

    /// Ends a session, if it is still there. Messages under way to this node are lost.
    pub(crate) fn close(&mut self, session: PeerKey, around: &mut Surroundings<'_>) {
        let Some(at) = self.link_at(session) else { return };
        let link = self.links.remove(at);
        around.metrics.broken.push((self.id, link.peer));
        self.event_log.note(|| LogEntry::Left { session });
        self.deliver(Event::PeerDisconnected { peer: session }, around);
    }

    pub(crate) fn link_at(&self, session: PeerKey) -> Option<usize> {
        self.links.binary_search_by_key(&session, |link| link.session).ok()
    }

    /// Sends a message through a link.
    pub(crate) fn send(&mut self, at: usize, message: Message, bytes: u64, around: &mut Surroundings<'_>) {
        self.counters.messages += 1;
        self.counters.bytes += bytes;
        self.transmit(at, message, bytes, around);
    }

    fn transmit(&mut self, at: usize, message: Message, bytes: u64, around: &mut Surroundings<'_>) {
        let link = &mut self.links[at];
        if let Some((_, held)) = &mut link.held {
            return held.push((message, bytes));
        }
        let arrival = link.arrival(bytes, around.now, &mut self.random);
        let (to, session) = (link.peer, link.peer_session);
        self.post(arrival, to, DeliveryKind::Message { session, message }, around);
    }

    /// Sends the messages that a cut has held back.
    pub(crate) fn release(&mut self, at: usize, around: &mut Surroundings<'_>) {
        for (message, bytes) in self.links[at].held.take().into_iter().flat_map(|(_, held)| held) {
            self.transmit(at, message, bytes, around);
        }
    }

    /// Receives a delivery, and does what is due.
    pub(crate) fn receive(&mut self, record: Delivery, around: &mut Surroundings<'_>) {
        if self.engine.is_some() {
            match record.what {
                DeliveryKind::Timer => {
                    self.timer.take_if(|timer| *timer == around.now);
                }
                DeliveryKind::Event { life, event } if life == self.life => self.handle(*event, around),
                DeliveryKind::Event { .. } => {}
                DeliveryKind::Message { session, message } => {
                    if let Some(at) = self.link_at(session) {
                        self.counters.note_message(record.from, record.number, around.now);
                        self.on_message(at, session, message, around);
                    }
                }
            }
            self.do_what_is_due(around);
            self.set_timer(around);
        } else {
            self.timer.take_if(|timer| *timer == around.now);
        }
    }

    fn on_message(&mut self, at: usize, session: PeerKey, message: Message, around: &mut Surroundings<'_>) {
        match message {
            Message::Gossip(published) => self.on_gossip(session, published, around),
            Message::Graft => self.on_graft(at, around),
            Message::Prune => self.on_prune(at, around.now),
            Message::Request { key, request } => {
                let ticket = self.new_ticket();
                self.asked.push((ticket, session, key));
                self.handle(Event::Request { peer: session, ticket, request: *request }, around);
            }
            Message::Response { key, result } => {
                self.handle(Event::Response { peer: session, key, result: *result }, around);
            }
            Message::Closed => self.close(session, around),
        }
    }

    fn do_what_is_due(&mut self, around: &mut Surroundings<'_>) {
        while let Some(task) = self.storage.take_done(around.now) {
            self.finish(task, around);
        }
        if self.gossip.next_beat <= around.now {
            self.beat(around);
        }
        if self.miner.due().is_some_and(|due| due <= around.now)
            && let Some((key, header, id)) = self.miner.take_found(around.now, &mut self.random)
        {
            around.metrics.note_made(id, &header, self.id, around.now);
            self.handle(Event::Mined { key, nonce: header.nonce }, around);
        }
        if self.traffic.due().is_some_and(|due| due <= around.now) {
            let balance = self.engine.as_mut().map(|engine| engine.view().balance).unwrap_or_default();
            if let Some(command) = self.traffic.take(&self.key, balance, around.now, &mut self.random) {
                self.command(command, false, around);
            }
        }
        if self.wake <= around.now {
            self.handle(Event::Tick, around);
        }
    }

    fn set_timer(&mut self, around: &mut Surroundings<'_>) {
        let others = [self.storage.due(), self.miner.due(), self.traffic.due()];
        let own = self.wake.min(self.gossip.next_beat);
        let due = others.into_iter().flatten().fold(own, Millis::min);
        if self.timer.is_none_or(|timer| due < timer) {
            self.timer = Some(due);
            self.post(due, self.id, DeliveryKind::Timer, around);
        }
    }

    /// Gives the engine an event, and carries out the effects.
    pub(crate) fn handle(&mut self, event: Event, around: &mut Surroundings<'_>) {
        self.counters.note_event(&event, around.now);
        let now = Now { elapsed: around.now, unix: self.clock.read(around.now) };
        let engine = self.engine.as_mut().expect("only running nodes get events");
        let mut effects = std::mem::take(around.effects);
        let wake = match &mut self.adversary {
            None => engine.handle(now, event, &mut effects),
            Some(adversary) => {
                let (network, key, random) = (around.network, &self.key, &mut self.random);
                adversary.handle(&mut Hands { now, engine, network, key, random }, event, &mut effects)
            }
        };
        self.wake = match wake {
            Wake::Now => around.now,
            Wake::At(at) => at.max(around.now + Millis(1)),
        };
        for effect in effects.drain(..) {
            self.carry_out(effect, around);
        }
        *around.effects = effects;
        if self.event_log.is_kept() {
            self.event_log.show(self.engine.as_mut().expect("it runs").view());
        }
    }

    fn carry_out(&mut self, effect: Effect, around: &mut Surroundings<'_>) {
        match effect {
            Effect::Peer(effect) => self.tell_peers(effect, around),
            Effect::Store(StoreEffect::Persist(batch)) => {
                for write in &batch.writes {
                    if let Write::Block(block) = write {
                        around.metrics.note_arrival(block.id(), self.id, around.now, self.started_at);
                    }
                }
                self.event_log.note_given(batch.sequence);
                self.storage.queue(DiskTask::Write(batch), around.now, &mut self.random);
            }
            // This disk starts each write at once.
            Effect::Store(StoreEffect::Sync) => {}
            Effect::Load(load) => self.storage.queue(DiskTask::Read(load), around.now, &mut self.random),
            Effect::Check(effect) => {
                let checked = match effect {
                    CheckEffect::Blocks { key, blocks } => around.checks.blocks(key, blocks, around.network),
                    CheckEffect::Transactions { key, transactions } => {
                        around.checks.transactions(key, transactions, around.network)
                    }
                };
                self.deliver_checked(checked, around);
            }
            Effect::Mine(MineEffect::Search { key, header }) => {
                self.miner.start(key, header, around.now, &mut self.random);
            }
            Effect::Mine(MineEffect::Stop) => self.miner.stop(),
            Effect::User(UserEffect::Answer { ticket, answer }) => self.answer(ticket, answer, around),
            Effect::User(UserEffect::Notify(notice)) => {
                if let Notice::Tip { tip, reorg_depth, .. } = &notice {
                    self.tip = *tip;
                    self.counters.note_tip(tip, around.now);
                    around.metrics.note_reorganisation(*reorg_depth);
                    self.was_reorganised |= *reorg_depth > 0;
                }
                if around.keeps_notices {
                    self.event_log.tell(&notice);
                    self.notices.push(notice);
                }
            }
        }
    }

    fn tell_peers(&mut self, effect: PeerEffect, around: &mut Surroundings<'_>) {
        match effect {
            PeerEffect::Publish(gossip) => {
                self.check_durable(&gossip, around);
                self.publish(gossip, around);
            }
            PeerEffect::Verdict { ticket, verdict, .. } => self.on_verdict(ticket, verdict == Verdict::Accept, around),
            PeerEffect::Ask { peer, key, request } => self.ask(peer, key, request, around),
            PeerEffect::Reply { ticket, response } => self.reply(ticket, response, around),
            PeerEffect::Close { peer, fault, ban } => {
                let Some(at) = self.link_at(peer) else { return };
                let other = self.links[at].peer;
                around.metrics.closed.push((around.now, self.id, other, fault));
                self.banned.insert(other, around.now + ban);
                self.say_goodbye(at, around);
                self.close(peer, around);
            }
        }
    }

    /// An honest node shows peers no transaction of its own user that a crash could take back.
    fn check_durable(&self, gossip: &Gossip, around: &Surroundings<'_>) {
        let user = self.key.public_key();
        let is_own =
            |signed: &SignedTransaction| signed.transaction.sender == user && !around.checks.has_checked(signed);
        assert!(
            self.adversary.is_some() || self.storage.disk.holds_own(gossip, is_own),
            "a node shows peers its own transactions only once they are durable: {gossip:?}"
        );
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Answer, CommandError>, around: &mut Surroundings<'_>) {
        let is_held = answer.as_ref().map_or(true, |answer| self.storage.disk.holds_answered(answer));
        assert!(is_held || self.adversary.is_some(), "an acknowledged command is durable: {answer:?}");
        let Some(is_wanted) = self.commanded.remove(&ticket) else {
            return assert!(
                self.adversary.is_some(),
                "only adversaries give commands of their own: one answer for each"
            );
        };
        if is_wanted {
            self.answers.insert(ticket, answer);
        } else if let Ok(Answer::Sent { id, .. }) = answer {
            around.metrics.transactions_sent += 1;
            // A transaction that was mined in the same moment is not pending any more.
            if let Some(waiting) = self.storage.disk.pending(&id) {
                self.traffic.note_acknowledged(waiting);
            }
        }
    }

    /// Tells the other end, which hears of it at once or when it finds the connection dead.
    fn say_goodbye(&mut self, at: usize, around: &mut Surroundings<'_>) {
        let link = &self.links[at];
        if link.held.is_none() {
            self.send(at, Message::Closed, FRAME_BYTES, around);
        } else {
            let what = DeliveryKind::Message { session: link.peer_session, message: Message::Closed };
            self.post(around.now + DEAD_CONNECTION_TIMEOUT, link.peer, what, around);
        }
    }

    fn deliver_checked(&mut self, checked: Event, around: &mut Surroundings<'_>) {
        let at = around.now + Millis(self.random.between(CHECK_MILLIS.0, CHECK_MILLIS.1));
        self.deliver_at(at, checked, around);
    }

    fn ask(&mut self, peer: PeerKey, key: Key, request: Request, around: &mut Surroundings<'_>) {
        match self.link_at(peer) {
            Some(at) => {
                let bytes = request_bytes(&request);
                self.send(at, Message::Request { key, request: Box::new(request) }, bytes, around);
            }
            None => self.deliver(Event::Response { peer, key, result: Err(RequestFailure::Unreachable) }, around),
        }
    }

    fn finish(&mut self, task: DiskTask, around: &mut Surroundings<'_>) {
        match task {
            DiskTask::Write(batch) => self.finish_write(batch, around),
            DiskTask::Read(LoadEffect::Blocks { key, places }) => {
                let blocks = self.storage.disk.load(&places);
                self.handle(Event::Loaded { key, blocks }, around);
            }
            DiskTask::Read(LoadEffect::Serve { peer, ticket, places, bytes_max }) => {
                let blocks = self.storage.disk.load(&places);
                let response = Response::Blocks(blocks.into_iter().map(|loaded| loaded.block.to_block()).collect());
                let unused_bytes = bytes_max.saturating_sub(response_bytes(&response) as usize);
                self.reply(ticket, Some(response), around);
                self.handle(Event::Served { peer, unused_bytes }, around);
            }
        }
    }

    fn finish_write(&mut self, mut batch: Batch, around: &mut Surroundings<'_>) {
        around.deltas.share_in(&mut batch);
        self.storage.disk.write(&batch);
        let sequence = batch.sequence;
        self.event_log.note_written(batch);
        self.handle(Event::Persisted { sequence }, around);
    }

    fn reply(&mut self, ticket: Ticket, response: Option<Response>, around: &mut Surroundings<'_>) {
        let Some(place) = self.asked.iter().position(|(asked, ..)| *asked == ticket) else {
            assert!(self.adversary.is_some(), "every request gets one reply");
            return;
        };
        let (_, session, key) = self.asked.swap_remove(place);
        let Some(at) = self.link_at(session) else { return };
        let bytes = response.as_ref().map_or(FRAME_BYTES, response_bytes);
        let result = Box::new(response.ok_or(RequestFailure::Refused));
        self.send(at, Message::Response { key, result }, bytes, around);
    }
}
