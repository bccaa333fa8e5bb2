//! All nodes, and the loop that moves time.
//!
//! The owner of a world may look at any node and change anything between two steps. [`change`](super::change) has the
//! faults and changes of nodes and links.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::Change;
use super::disk::VirtualDisk;
use super::event_log::LogEntry;
use super::id::NodeId;
use super::link::{Link, Quality};
use super::metrics::{Made, NodeMetrics, Summary, SummaryInputs, made, propagation};
use super::miner::HashRate;
use super::node::VirtualNode;
use super::random::Random;
use super::setup::Links;
use super::shard::Shard;
use super::surroundings::Surroundings;
use super::threads;
use crate::engine::event::{Answer, Command, CommandError, Event, Fault, Notice, Place, Ticket};
use crate::engine::{Engine, View};
use crate::protocol::hash::tagged_hash;
use crate::protocol::{Address, BlockId, Millis, Network, SecretKey, UnixMillis};

/// Interval at which the world redials broken links.
const ROUND: Millis = Millis::from_secs(1);
/// The step of the threads if there are no links.
const WINDOW_MAX: u64 = 100;

/// A virtual network.
pub struct World {
    pub(super) network: Arc<Network>,
    pub(super) shards: Vec<Shard>,
    pub(super) now: Millis,
    pub(super) random: Random,
    /// The quality of new links.
    pub(super) links: Links,
    /// Links that are redialled when they break.
    pub(super) wanted: BTreeMap<(NodeId, NodeId), Quality>,
    /// The wanted links that may be down.
    pub(super) broken: BTreeSet<(NodeId, NodeId)>,
    pub(super) cuts: Vec<(BTreeSet<NodeId>, BTreeSet<NodeId>)>,
    agenda: BTreeMap<Millis, Vec<Change>>,
    seed: u64,
    nodes: u32,
    next_round: Millis,
    /// The shortest latency of any link so far.
    latency_min: u64,
}

impl World {
    /// A network without nodes, on one thread.
    pub fn new(network: Network, seed: u64) -> Self {
        Self::on_threads(network, seed, 1)
    }

    /// A network without nodes, on `threads` threads.
    pub(super) fn on_threads(network: Network, seed: u64, threads: usize) -> Self {
        let network = Arc::new(network);
        Self {
            shards: (0..threads).map(|number| Shard::new(number, threads, network.clone())).collect(),
            network,
            now: Millis(0),
            random: Random::new(seed),
            links: Links::default(),
            wanted: BTreeMap::new(),
            broken: BTreeSet::new(),
            cuts: Vec::new(),
            agenda: BTreeMap::new(),
            seed,
            nodes: 0,
            next_round: ROUND,
            latency_min: WINDOW_MAX,
        }
    }

    /// The network parameters that all nodes share.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The time since the world began.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// All nodes, running or not.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes).map(NodeId)
    }

    /// Adds an empty node without neighbours, and starts it.
    pub fn add_node(&mut self) -> NodeId {
        let node = self.add_stopped_node();
        self.start(node);
        node
    }

    /// Adds an empty node without neighbours and with this nickname, which keeps an event log and is not started.
    pub fn add_named_node(&mut self, nickname: &str) -> NodeId {
        let id = self.add_stopped_node();
        let node = self.node_mut(id);
        nickname.clone_into(&mut node.nickname);
        node.event_log.begin();
        id
    }

    pub(super) fn add_stopped_node(&mut self) -> NodeId {
        let id = NodeId(self.nodes);
        self.nodes += 1;
        let node = VirtualNode::new(id, self.random.bits(), &self.network);
        let shards = self.shards.len();
        self.shards[id.0 as usize % shards].nodes.push(node);
        id
    }

    pub(super) fn node(&self, node: NodeId) -> &VirtualNode {
        let shards = self.shards.len();
        &self.shards[node.0 as usize % shards].nodes[node.0 as usize / shards]
    }

    pub(super) fn node_mut(&mut self, node: NodeId) -> &mut VirtualNode {
        let shards = self.shards.len();
        &mut self.shards[node.0 as usize % shards].nodes[node.0 as usize / shards]
    }

    /// Runs an action of a node.
    pub(super) fn turn<T>(
        &mut self,
        node: NodeId,
        act: impl FnOnce(&mut VirtualNode, &mut Surroundings<'_>) -> T,
    ) -> T {
        let shards = self.shards.len();
        self.shards[node.0 as usize % shards].turn(self.now, node, act)
    }

    /// Whether a node runs.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.node(node).engine.is_some()
    }

    /// The seed of all chance in the world.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether a node keeps to the rules of conduct.
    pub fn is_honest(&self, node: NodeId) -> bool {
        self.node(node).adversary.is_none()
    }

    /// The node's own account.
    pub fn address(&self, node: NodeId) -> Address {
        self.node(node).account
    }

    /// Changes the account of a node from its next start on.
    pub fn set_address(&mut self, node: NodeId, account: Address) {
        self.node_mut(node).account = account;
    }

    /// The time that a node's clock shows.
    pub fn time_of_day(&self, node: NodeId) -> UnixMillis {
        self.node(node).clock.read(self.now)
    }

    /// Whether two nodes have a session that both know of.
    pub fn are_linked(&self, a: NodeId, b: NodeId) -> bool {
        [(a, b), (b, a)].into_iter().all(|(from, to)| self.node(from).links.iter().any(|link| link.peer == to))
    }

    /// The key of the node's own account.
    pub fn key(&self, node: NodeId) -> Arc<SecretKey> {
        self.node(node).key.clone()
    }

    /// The notices to the node's user so far. Empty in a world made from a [`Setup`](super::setup::Setup), where a
    /// thousand users would get many.
    pub fn notices(&self, node: NodeId) -> &[Notice] {
        &self.node(node).notices
    }

    /// The log entries of a node from [`World::add_named_node`] since the last call.
    pub fn take_event_log(&mut self, node: NodeId) -> Vec<LogEntry> {
        self.node_mut(node).event_log.take()
    }

    /// The node's persisted data.
    pub fn disk(&self, node: NodeId) -> &VirtualDisk {
        &self.node(node).storage.disk
    }

    /// The node's best block, as its user knows it.
    pub fn tip(&self, node: NodeId) -> Place {
        self.node(node).tip
    }

    /// A running node's engine.
    pub fn engine(&mut self, node: NodeId) -> &mut Engine {
        self.node_mut(node).engine.as_mut().expect("the node runs")
    }

    /// A running node's state.
    pub fn view(&mut self, node: NodeId) -> Arc<View> {
        self.engine(node).view()
    }

    /// Sessions that engines closed: the node, its peer, and the fault, in the order of time.
    pub fn closed(&self) -> Vec<(NodeId, NodeId, Fault)> {
        let mut closed: Vec<_> = self.metrics().flat_map(|metrics| &metrics.closed).collect();
        closed.sort_by_key(|(at, node, _, _)| (*at, *node));
        closed.into_iter().map(|(_, node, other, fault)| (*node, *other, fault.clone())).collect()
    }

    /// Gives an event to a running node's engine at once.
    pub fn deliver(&mut self, node: NodeId, event: Event) {
        self.turn(node, |node, around| node.deliver(event, around));
    }

    /// Begins a session between two running nodes that have none. It is not redialled when it breaks.
    pub fn connect(&mut self, a: NodeId, b: NodeId) {
        let quality = self.links.draw(a, b, &mut self.random);
        self.connect_with(a, b, quality);
    }

    pub(super) fn connect_with(&mut self, a: NodeId, b: NodeId, quality: Quality) {
        self.latency_min = self.latency_min.min(quality.latency_millis.max(1));
        let (of_a, of_b) = (self.node_mut(a).new_session(), self.node_mut(b).new_session());
        self.turn(a, |node, around| node.open(Link::new(of_a, b, of_b, quality), around));
        self.turn(b, |node, around| node.open(Link::new(of_b, a, of_a, quality), around));
        self.hold_what_is_cut(a, b);
    }

    /// Ends all sessions between two nodes. Messages under way are lost.
    pub fn disconnect(&mut self, a: NodeId, b: NodeId) {
        for (from, to) in [(a, b), (b, a)] {
            let with_other = self.node(from).links.iter().filter(|link| link.peer == to);
            for session in with_other.map(|link| link.session).collect::<Vec<_>>() {
                self.turn(from, |node, around| node.close(session, around));
            }
        }
    }

    /// Gives a command and runs the world until it is answered.
    pub fn command(&mut self, node: NodeId, command: Command) -> Result<Answer, CommandError> {
        let ticket = self.begin(node, command);
        self.run_until(Millis::from_secs(3600), |world| world.node(node).answers.contains_key(&ticket));
        self.node_mut(node).answers.remove(&ticket).expect("every command is answered")
    }

    /// Gives a command, to be answered while the world runs.
    pub fn begin(&mut self, node: NodeId, command: Command) -> Ticket {
        self.turn(node, |node, around| node.command(command, true, around))
    }

    /// The answer to a command from [`World::begin`], once there is one.
    pub fn take_answer(&mut self, node: NodeId, ticket: Ticket) -> Option<Result<Answer, CommandError>> {
        self.node_mut(node).answers.remove(&ticket)
    }

    /// Schedules a change.
    pub fn schedule(&mut self, at: Millis, change: Change) {
        self.agenda.entry(at.max(self.now)).or_default().push(change);
    }

    /// Runs for a span of virtual time, on all threads.
    pub fn run(&mut self, span: Millis) {
        let end = self.now + span;
        while self.now < end {
            self.attend();
            let pause = end.min(self.next_pause());
            threads::run(&mut self.shards, self.now, pause, Millis(self.latency_min));
            self.now = pause;
        }
        self.attend();
    }

    /// Runs until a condition holds; panics if it does not within `limit` of virtual time.
    pub fn run_until(&mut self, limit: Millis, mut holds: impl FnMut(&mut Self) -> bool) {
        let end = self.now + limit;
        while !holds(self) {
            assert!(self.now <= end, "did not happen within {limit} of virtual time");
            self.step(end + Millis(1));
        }
    }

    /// Runs for a span of virtual time, on this thread alone.
    pub fn run_for(&mut self, span: Millis) {
        let end = self.now + span;
        while self.now < end {
            self.step(end);
        }
    }

    /// Runs the events of the next millisecond that has any, or moves to `end`.
    fn step(&mut self, end: Millis) {
        self.attend();
        let end = end.min(self.next_pause());
        let next = self.shards.iter().map(|shard| shard.wheel.peek(end)).min().expect("there is a shard");
        self.now = end.min(next + Millis(1));
        for shard in &mut self.shards {
            shard.run(self.now);
        }
        threads::hand_over(&mut self.shards);
    }

    /// The next time at which the world itself has something to do.
    fn next_pause(&self) -> Millis {
        self.agenda.first_key_value().map_or(self.next_round, |(at, _)| self.next_round.min(*at))
    }

    /// Applies the scheduled changes that are due, and redials broken links.
    fn attend(&mut self) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| *entry.key() <= self.now) {
            for change in entry.remove() {
                self.make(change);
            }
        }
        if self.now >= self.next_round {
            self.next_round = self.now + ROUND;
            self.look_after_links();
        }
        threads::hand_over(&mut self.shards);
    }

    /// Whether all running honest nodes have the same tip.
    pub fn agree(&self) -> bool {
        let honest = self.nodes().filter(|node| self.is_running(*node) && self.is_honest(*node));
        let tips: BTreeSet<BlockId> = honest.map(|node| self.tip(node).id).collect();
        tips.len() <= 1
    }

    /// The number of verdicts, replies and answers that are due. Zero after a quiet while.
    pub fn open_tickets(&self) -> usize {
        self.nodes().map(|node| self.node(node).open_tickets()).sum()
    }

    fn metrics(&self) -> impl Iterator<Item = &NodeMetrics> {
        self.shards.iter().map(|shard| &shard.metrics)
    }

    /// The running honest node whose chain has the most work.
    pub fn best_node(&mut self) -> Option<NodeId> {
        let honest = |node: &NodeId| self.is_running(*node) && self.is_honest(*node);
        let honest: Vec<NodeId> = self.nodes().filter(honest).collect();
        honest.into_iter().rev().max_by_key(|node| self.view(*node).work)
    }

    /// The block tree: all blocks that miners found, in that order.
    pub fn blocks(&mut self) -> Vec<Made> {
        let best = self.best_node().map(|node| self.disk(node).best().collect()).unwrap_or_default();
        made(self.metrics(), &best)
    }

    /// The delays of blocks to nodes that ran when they were found, in milliseconds, ascending.
    pub fn propagation(&mut self) -> Vec<u64> {
        let made = self.blocks();
        propagation(self.metrics(), &made)
    }

    /// The number of messages that each node has sent.
    pub fn messages(&self) -> Vec<u64> {
        self.nodes().map(|node| self.node(node).counters.messages).collect()
    }

    /// A digest of everything that happened to every node so far.
    pub fn trace_hash(&self) -> String {
        let digests: Vec<u8> = self.nodes().flat_map(|node| self.node(node).counters.trace.digest()).collect();
        let hash = tagged_hash("quipu simulation 1", &[&self.seed.to_le_bytes(), &digests]);
        BlockId(hash).to_string()
    }

    /// The summary so far.
    pub fn summary(&mut self) -> Summary {
        let made = self.blocks();
        let best = self.best_node();
        let chain = best.into_iter().flat_map(|node| self.disk(node).chain());
        let transactions_mined = chain.map(|block| block.transactions().len() as u64).sum();
        let rate = |node: NodeId| match self.node(node).miner.rate {
            HashRate::AtOnce => 0,
            HashRate::PerHour(rate) => rate,
        };
        let facts = SummaryInputs {
            seed: self.seed,
            elapsed: self.now,
            trace_hash: self.trace_hash(),
            agreed: self.agree(),
            height: best.map_or_else(Default::default, |node| self.tip(node).height),
            transactions_mined,
            hash_rates: self.nodes().map(rate).collect(),
            counters: self.nodes().map(|node| self.node(node).counters).collect(),
        };
        Summary::new(facts, &self.metrics().collect::<Vec<_>>(), &made)
    }
}
