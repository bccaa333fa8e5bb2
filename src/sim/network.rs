//! Virtual nodes and the links between them.
//!
//! Links are FIFO with a random latency. Gossip floods to all neighbours of a node and on by its verdicts. Checks,
//! disks and miners take a little virtual time each. A crash loses what was not persisted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use super::disk::Disk;
use super::random::Random;
use crate::engine::event::{
    Answer, Batch, Command, CommandError, Effect, Event, Gossip, Key, MiningMode, Notice, Now, PeerKey, Place,
    RequestFailure, Ticket, Verdict, Wake,
};
use crate::engine::{Engine, EngineConfig, View};
use crate::protocol::check::{check_block, check_header, check_transactions};
use crate::protocol::encode::encode;
use crate::protocol::hash::sha256;
use crate::protocol::{Address, Header, Millis, Network, Request, Response, SecretKey, UnixMillis};

/// One way through a link, in milliseconds.
const LATENCY_MILLIS: (u64, u64) = (1, 20);
/// A check, a write, a load, the search for a nonce, in milliseconds.
const SHELL_MILLIS: (u64, u64) = (1, 3);
/// The virtual clock at the start: an hour after the presets' genesis.
const START: UnixMillis = UnixMillis(1_793_494_800_000);

/// A node's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub usize);

struct Node {
    engine: Option<Engine>,
    disk: Disk,
    key: Arc<SecretKey>,
    clock_offset_millis: i64,
    /// Counts restarts, so that what was under way when it crashed does not arrive.
    life: u64,
    wake: Millis,
    /// Sessions of ours, with the peer and its key for us.
    sessions: BTreeMap<PeerKey, (NodeId, PeerKey)>,
    mining: Option<Key>,
    seen: BTreeSet<[u8; 32]>,
    /// Gossip that waits for its verdict.
    judged: BTreeMap<Ticket, Gossip>,
    /// Requests that wait for their reply: the asking node, its session with us, its key.
    asked: BTreeMap<Ticket, (NodeId, PeerKey, Key)>,
    /// Commands that wait for their answer, and the answers that nobody has looked at.
    commanded: BTreeSet<Ticket>,
    answers: BTreeMap<Ticket, Result<Answer, CommandError>>,
    /// What the user was told, in order.
    pub notices: Vec<Notice>,
}

enum Delivery {
    Event(Box<Event>),
    Wake,
    Gossip { session: PeerKey, gossip: Gossip },
    Request { session: PeerKey, key: Key, request: Request },
    Disk(Disked),
}

/// What a node's disk does, one after the other: nobody is told of anything before it is durable, and nothing is read
/// before it is written.
enum Disked {
    Write(Batch),
    Load { key: Key, places: Vec<Place> },
    Serve { ticket: Ticket, places: Vec<Place> },
    Publish(Gossip),
    Reply { ticket: Ticket, response: Option<Response> },
    Answer { ticket: Ticket, answer: Result<Answer, CommandError> },
    Notice(Notice),
}

/// A virtual network.
pub struct World {
    network: Arc<Network>,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    deliveries: BTreeMap<u64, (NodeId, u64, Delivery)>,
    /// When the last message through a link arrives: links are FIFO.
    links: BTreeMap<(NodeId, NodeId), Millis>,
    now: Millis,
    random: Random,
    counter: u64,
    /// Sessions that an engine has closed, with why.
    pub closed: Vec<(NodeId, NodeId, crate::engine::event::Fault)>,
}

impl World {
    /// A network without nodes.
    pub fn new(network: Network, seed: u64) -> Self {
        Self {
            network: Arc::new(network),
            nodes: Vec::new(),
            queue: BinaryHeap::new(),
            deliveries: BTreeMap::new(),
            links: BTreeMap::new(),
            now: Millis(0),
            random: Random::new(seed),
            counter: 0,
            closed: Vec::new(),
        }
    }

    /// The network that all nodes speak.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Adds a node with nothing stored and no neighbours.
    pub fn add_node(&mut self) -> NodeId {
        let node = NodeId(self.nodes.len());
        let key = Arc::new(SecretKey::from_seed(self.random.bytes()));
        self.nodes.push(Node {
            engine: None,
            disk: Disk::default(),
            key,
            clock_offset_millis: 0,
            life: 0,
            wake: Millis(0),
            sessions: BTreeMap::new(),
            mining: None,
            seen: BTreeSet::new(),
            judged: BTreeMap::new(),
            asked: BTreeMap::new(),
            commanded: BTreeSet::new(),
            answers: BTreeMap::new(),
            notices: Vec::new(),
        });
        self.start(node);
        node
    }

    fn node(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node.0]
    }

    /// Starts a node from what it has persisted.
    pub fn start(&mut self, node: NodeId) {
        let config = EngineConfig {
            network: self.network.clone(),
            account: self.address(node),
            nickname: format!("node{}", node.0),
            seed: self.random.bytes(),
            mining: MiningMode::Off,
        };
        let stored = self.nodes[node.0].disk.stored();
        self.node(node).engine = Some(Engine::new(config, stored));
        self.deliver(node, Event::Tick);
    }

    /// Stops a node at once. What was not persisted is lost, and so are its links.
    pub fn crash(&mut self, node: NodeId) {
        let neighbours: Vec<NodeId> = self.nodes[node.0].sessions.values().map(|(peer, _)| *peer).collect();
        for neighbour in neighbours {
            self.disconnect(node, neighbour);
        }
        let node = self.node(node);
        node.engine = None;
        node.life += 1;
        node.mining = None;
        node.judged.clear();
        node.asked.clear();
        node.commanded.clear();
        node.seen.clear();
    }

    /// Sets a node's clock apart from the others'.
    pub fn set_clock_offset(&mut self, node: NodeId, millis: i64) {
        self.node(node).clock_offset_millis = millis;
    }

    /// The node's own account.
    pub fn address(&self, node: NodeId) -> Address {
        self.nodes[node.0].key.public_key().address()
    }

    /// The key of the node's own account.
    pub fn key(&self, node: NodeId) -> Arc<SecretKey> {
        self.nodes[node.0].key.clone()
    }

    /// What the node's user was told so far.
    pub fn notices(&self, node: NodeId) -> &[Notice] {
        &self.nodes[node.0].notices
    }

    /// What the node has persisted.
    pub fn disk(&self, node: NodeId) -> &Disk {
        &self.nodes[node.0].disk
    }

    /// A running node's engine.
    pub fn engine(&mut self, node: NodeId) -> &mut Engine {
        self.node(node).engine.as_mut().expect("the node runs")
    }

    /// A running node's state.
    pub fn view(&mut self, node: NodeId) -> Arc<View> {
        self.engine(node).view()
    }

    /// Begins a session between two nodes that run and have none.
    pub fn connect(&mut self, a: NodeId, b: NodeId) {
        let (a_key, b_key) = (PeerKey(self.count()), PeerKey(self.count()));
        self.node(a).sessions.insert(a_key, (b, b_key));
        self.node(b).sessions.insert(b_key, (a, a_key));
        self.deliver(a, Event::PeerConnected { peer: a_key });
        self.deliver(b, Event::PeerConnected { peer: b_key });
    }

    /// Ends all sessions between two nodes.
    pub fn disconnect(&mut self, a: NodeId, b: NodeId) {
        for (from, to) in [(a, b), (b, a)] {
            let gone: Vec<PeerKey> =
                self.nodes[from.0].sessions.iter().filter(|(_, (peer, _))| *peer == to).map(|(key, _)| *key).collect();
            for key in gone {
                self.node(from).sessions.remove(&key);
                self.deliver(from, Event::PeerDisconnected { peer: key });
            }
        }
    }

    /// Gives a command and runs the world until it is answered.
    pub fn command(&mut self, node: NodeId, command: Command) -> Result<Answer, CommandError> {
        let ticket = self.begin(node, command);
        self.run_until(Millis::from_secs(3600), |world| world.nodes[node.0].answers.contains_key(&ticket));
        self.node(node).answers.remove(&ticket).expect("every command is answered")
    }

    /// Gives a command, to be answered while the world runs.
    pub fn begin(&mut self, node: NodeId, command: Command) -> Ticket {
        let ticket = Ticket(self.count());
        self.node(node).commanded.insert(ticket);
        self.deliver(node, Event::Command { ticket, command });
        ticket
    }

    /// Runs until a condition holds; panics when it does not within `limit` of virtual time.
    pub fn run_until(&mut self, limit: Millis, mut holds: impl FnMut(&mut Self) -> bool) {
        let end = self.now + limit;
        while !holds(self) {
            assert!(self.now <= end, "did not happen within {limit} of virtual time");
            self.step();
        }
    }

    /// Runs for a span of virtual time.
    pub fn run_for(&mut self, span: Millis) {
        let end = self.now + span;
        self.run_until(span + Millis(1), |world| world.now >= end);
    }

    /// Whether all running nodes have the same tip.
    pub fn agree(&mut self) -> bool {
        let tips: BTreeSet<_> =
            self.nodes.iter_mut().filter_map(|node| node.engine.as_mut()).map(|e| e.view().tip.id).collect();
        tips.len() <= 1
    }

    /// What still waits for a verdict, a reply or an answer. After a quiet while it is nothing.
    pub fn open_tickets(&self) -> usize {
        self.nodes.iter().map(|node| node.judged.len() + node.asked.len() + node.commanded.len()).sum()
    }

    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// An event that the engine gets at once.
    pub fn deliver(&mut self, node: NodeId, event: Event) {
        self.schedule(node, self.now, Delivery::Event(Box::new(event)));
    }

    fn schedule(&mut self, node: NodeId, at: Millis, delivery: Delivery) {
        let number = self.count();
        let life = self.nodes[node.0].life;
        self.deliveries.insert(number, (node, life, delivery));
        self.queue.push(Reverse((at, number)));
    }

    fn step(&mut self) {
        let Reverse((at, number)) = self.queue.pop().expect("engines always want to be called again");
        self.now = self.now.max(at);
        let (node, life, delivery) = self.deliveries.remove(&number).expect("each is delivered once");
        if self.nodes[node.0].life != life || self.nodes[node.0].engine.is_none() {
            return;
        }
        match delivery {
            Delivery::Wake => {
                if self.nodes[node.0].wake == at {
                    self.handle(node, Event::Tick);
                }
            }
            Delivery::Event(event) => self.handle(node, *event),
            Delivery::Gossip { session, gossip } => self.receive_gossip(node, session, gossip),
            Delivery::Request { session, key, request } => {
                let Some(&(asker, asker_session)) = self.nodes[node.0].sessions.get(&session) else { return };
                let ticket = Ticket(self.count());
                self.node(node).asked.insert(ticket, (asker, asker_session, key));
                self.handle(node, Event::Request { peer: session, ticket, request });
            }
            Delivery::Disk(disked) => self.at_disk(node, disked),
        }
    }

    fn queue_at_disk(&mut self, node: NodeId, disked: Disked) {
        let at = self.arrival(node, node);
        self.schedule(node, at, Delivery::Disk(disked));
    }

    fn at_disk(&mut self, node: NodeId, disked: Disked) {
        match disked {
            Disked::Write(batch) => {
                self.node(node).disk.write(&batch);
                self.handle(node, Event::Persisted { sequence: batch.sequence });
            }
            Disked::Load { key, places } => {
                let blocks = self.nodes[node.0].disk.load(&places);
                self.handle(node, Event::Loaded { key, blocks });
            }
            Disked::Serve { ticket, places } => {
                let blocks = self.nodes[node.0].disk.load(&places);
                let blocks = blocks.into_iter().map(|loaded| loaded.block.to_block()).collect();
                self.reply(node, ticket, Some(Response::Blocks(blocks)));
            }
            Disked::Publish(gossip) => {
                // It may have been mined or replaced meanwhile.
                let is_durable = self.nodes[node.0].disk.held(&gossip);
                assert!(is_durable, "what peers learn from a node is durable: {gossip:?}");
                self.spread(node, &gossip, None);
            }
            Disked::Reply { ticket, response } => self.reply(node, ticket, response),
            Disked::Answer { ticket, answer } => {
                let node = self.node(node);
                assert!(node.commanded.remove(&ticket), "every command gets one answer");
                node.answers.insert(ticket, answer);
            }
            Disked::Notice(notice) => self.node(node).notices.push(notice),
        }
    }

    fn handle(&mut self, node: NodeId, event: Event) {
        // A nonce for a template that was replaced meanwhile: the real threads would have stopped.
        if let Event::Mined { key, .. } = &event
            && self.nodes[node.0].mining.take_if(|mining| *mining == *key).is_none()
        {
            return;
        }
        let elapsed = self.now;
        let unix = UnixMillis((START + elapsed).0.saturating_add_signed(self.nodes[node.0].clock_offset_millis));
        let mut effects = Vec::new();
        let engine = self.node(node).engine.as_mut().expect("only running nodes get events");
        let wake = engine.handle(Now { elapsed, unix }, event, &mut effects);
        let at = match wake {
            Wake::Now => self.now,
            Wake::At(at) => at.max(self.now + Millis(1)),
        };
        self.node(node).wake = at;
        self.schedule(node, at, Delivery::Wake);
        for effect in effects {
            self.carry_out(node, effect);
        }
    }

    fn shell_delay(&mut self) -> Millis {
        self.now + Millis(self.random.between(SHELL_MILLIS.0, SHELL_MILLIS.1))
    }

    fn arrival(&mut self, from: NodeId, to: NodeId) -> Millis {
        let at = self.now + Millis(self.random.between(LATENCY_MILLIS.0, LATENCY_MILLIS.1));
        let last = self.links.entry((from, to)).or_default();
        *last = at.max(*last);
        *last
    }

    fn carry_out(&mut self, node: NodeId, effect: Effect) {
        let later = self.shell_delay();
        let result = match effect {
            Effect::Publish(gossip) => return self.queue_at_disk(node, Disked::Publish(gossip)),
            Effect::Verdict { peer, ticket, verdict } => {
                let gossip = self.node(node).judged.remove(&ticket).expect("every message gets one verdict");
                if verdict == Verdict::Accept {
                    self.spread(node, &gossip, Some(peer));
                }
                return;
            }
            Effect::Ask { peer, key, request } => return self.ask(node, peer, key, request),
            Effect::Reply { ticket, response } => return self.queue_at_disk(node, Disked::Reply { ticket, response }),
            Effect::Close { peer, fault, .. } => {
                if let Some(&(other, _)) = self.nodes[node.0].sessions.get(&peer) {
                    self.closed.push((node, other, fault));
                    self.disconnect(node, other);
                }
                return;
            }
            Effect::CheckBlocks { key, blocks } => {
                let results = blocks.into_iter().map(|block| check_block(block, &self.network)).collect();
                Event::BlocksChecked { key, results }
            }
            Effect::CheckTransactions { key, transactions } => {
                Event::TransactionsChecked { key, results: check_transactions(transactions, &self.network) }
            }
            Effect::Persist(batch) => return self.queue_at_disk(node, Disked::Write(batch)),
            Effect::Load { key, places } => return self.queue_at_disk(node, Disked::Load { key, places }),
            Effect::Serve { ticket, places } => return self.queue_at_disk(node, Disked::Serve { ticket, places }),
            Effect::Mine { key, header } => {
                self.node(node).mining = Some(key);
                Event::Mined { key, nonce: self.search(header) }
            }
            Effect::StopMining => {
                self.node(node).mining = None;
                return;
            }
            Effect::Answer { ticket, answer } => {
                return self.queue_at_disk(node, Disked::Answer { ticket, answer });
            }
            Effect::Notify(notice) => return self.queue_at_disk(node, Disked::Notice(notice)),
        };
        self.schedule(node, later, Delivery::Event(Box::new(result)));
    }

    fn search(&mut self, mut header: Header) -> u64 {
        header.nonce = self.random.bits();
        while check_header(&header, &self.network).is_err() {
            header.nonce = header.nonce.wrapping_add(1);
        }
        header.nonce
    }

    fn spread(&mut self, node: NodeId, gossip: &Gossip, except: Option<PeerKey>) {
        self.node(node).seen.insert(message_id(gossip));
        let sessions: Vec<_> = self.nodes[node.0].sessions.iter().map(|(key, peer)| (*key, *peer)).collect();
        for (key, (peer, session)) in sessions {
            if Some(key) != except {
                let at = self.arrival(node, peer);
                self.schedule(peer, at, Delivery::Gossip { session, gossip: gossip.clone() });
            }
        }
    }

    fn receive_gossip(&mut self, node: NodeId, session: PeerKey, gossip: Gossip) {
        let ticket = Ticket(self.count());
        let receiver = self.node(node);
        if !receiver.sessions.contains_key(&session) || !receiver.seen.insert(message_id(&gossip)) {
            return;
        }
        receiver.judged.insert(ticket, gossip.clone());
        self.handle(node, Event::Gossip { peer: session, ticket, gossip });
    }

    fn ask(&mut self, node: NodeId, peer: PeerKey, key: Key, request: Request) {
        match self.nodes[node.0].sessions.get(&peer).copied() {
            Some((other, session)) => {
                let at = self.arrival(node, other);
                self.schedule(other, at, Delivery::Request { session, key, request });
            }
            None => self.deliver(node, Event::Response { peer, key, result: Err(RequestFailure::Unreachable) }),
        }
    }

    fn reply(&mut self, node: NodeId, ticket: Ticket, response: Option<Response>) {
        let asked = self.node(node).asked.remove(&ticket);
        let (asker, session, key) = asked.expect("every request gets one reply");
        if !self.nodes[asker.0].sessions.contains_key(&session) {
            return;
        }
        let at = self.arrival(node, asker);
        let result = response.ok_or(RequestFailure::Unreachable);
        self.schedule(asker, at, Delivery::Event(Box::new(Event::Response { peer: session, key, result })));
    }
}

fn message_id(gossip: &Gossip) -> [u8; 32] {
    match gossip {
        Gossip::Block(block) => sha256(&[b"block", &encode(block.as_ref())]),
        Gossip::Transaction(signed) => sha256(&[b"transaction", &encode(signed.as_ref())]),
    }
}
