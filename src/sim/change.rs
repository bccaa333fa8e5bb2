//! Faults and scheduled changes of nodes and links: cuts, resets, stalls, crashes, wrong clocks, joins and leaves.
//!
//! Each is a method of [`World`], to be called while it stands still, and a [`Change`], to be put on its agenda.

use std::collections::BTreeSet;

use super::adversary::Role;
use super::clock::WallClock;
use super::id::NodeId;
use super::link::Quality;
use super::miner::HashRate;
use super::node::DEAD_CONNECTION_TIMEOUT;
use super::world::World;
use crate::engine::event::Event;
use crate::protocol::Millis;

/// A fault or a change of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Holds back all messages in one direction; see [`World::cut`].
    Cut {
        /// The nodes whose messages are held back.
        from: Vec<NodeId>,
        /// The nodes that do not get them.
        to: Vec<NodeId>,
    },
    /// Cuts groups off from each other; see [`World::partition`].
    Partition(Vec<Vec<NodeId>>),
    /// Ends all cuts; see [`World::heal`].
    Heal,
    /// Ends the sessions between two nodes; see [`World::disconnect`].
    Reset(NodeId, NodeId),
    /// Delays one direction for a while; see [`World::stall`].
    Stall {
        /// The sending node.
        from: NodeId,
        /// The waiting node.
        to: NodeId,
        /// The length of the delay.
        span: Millis,
    },
    /// Stops a node at once; see [`World::crash`].
    Crash(NodeId),
    /// Starts a stopped node; see [`World::start`].
    Start(NodeId),
    /// Adds a node; see [`World::join`].
    Join {
        /// The number of its links.
        links: usize,
    },
    /// Stops a node for good; see [`World::leave`].
    Leave(NodeId),
    /// Changes a node's hash rate; see [`World::set_hash_rate`].
    HashRate(NodeId, HashRate),
    /// Sets a node's clock; see [`World::set_clock`].
    Clock(NodeId, WallClock),
    /// Turns a node into an adversary; see [`World::corrupt_to`].
    Corrupt(NodeId, Role),
}

impl World {
    /// Applies a change.
    pub fn make(&mut self, change: Change) {
        match change {
            Change::Cut { from, to } => self.cut(&from, &to),
            Change::Partition(groups) => self.partition(&groups),
            Change::Heal => self.heal(),
            Change::Reset(a, b) => self.disconnect(a, b),
            Change::Stall { from, to, span } => self.stall(from, to, span),
            Change::Crash(node) => self.crash(node),
            Change::Start(node) => self.start(node),
            Change::Join { links } => {
                self.join(links);
            }
            Change::Leave(node) => self.leave(node),
            Change::HashRate(node, rate) => self.set_hash_rate(node, rate),
            Change::Clock(node, clock) => self.set_clock(node, clock),
            Change::Corrupt(node, role) => self.corrupt_to(node, role),
        }
    }

    /// Connects two nodes, now and again whenever the link breaks and both run, until one of them leaves.
    pub fn link(&mut self, a: NodeId, b: NodeId) {
        let quality = self.links.draw(a, b, &mut self.random);
        self.link_with(a, b, quality);
    }

    /// [`World::link`] with its own quality.
    pub fn link_with(&mut self, a: NodeId, b: NodeId, quality: Quality) {
        let pair = (a.min(b), a.max(b));
        self.wanted.insert(pair, quality);
        self.broken.insert(pair);
        self.dial(pair);
    }

    /// Holds back everything from each of the first nodes to each of the second; the way back stays open. After a few
    /// seconds the connections are found dead, and no new one is made across a cut.
    pub fn cut(&mut self, from: &[NodeId], to: &[NodeId]) {
        self.cuts.push((from.iter().copied().collect(), to.iter().copied().collect()));
        let now = self.now;
        let to: BTreeSet<NodeId> = to.iter().copied().collect();
        for node in from {
            for link in self.node_mut(*node).links.iter_mut().filter(|link| to.contains(&link.peer)) {
                link.held.get_or_insert_with(|| (now, Vec::new()));
            }
        }
    }

    /// Cuts all groups off from each other, in both directions. Nodes in no group are not cut off.
    pub fn partition(&mut self, groups: &[Vec<NodeId>]) {
        for (at, group) in groups.iter().enumerate() {
            for (_, other) in groups.iter().enumerate().filter(|(other, _)| *other != at) {
                self.cut(group, other);
            }
        }
    }

    /// Ends all cuts and releases the held messages.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.release_what_is_free();
    }

    /// Ends the cuts between these nodes alone, and releases their messages unless another cut holds them.
    pub fn mend(&mut self, from: &[NodeId], to: &[NodeId]) {
        let (from, to): (BTreeSet<_>, BTreeSet<_>) = (from.iter().copied().collect(), to.iter().copied().collect());
        self.cuts.retain(|cut| *cut != (from.clone(), to.clone()));
        self.release_what_is_free();
    }

    fn release_what_is_free(&mut self) {
        for node in self.nodes() {
            for at in 0..self.node(node).links.len() {
                let link = &self.node(node).links[at];
                if link.held.is_some() && !self.is_cut(node, link.peer) {
                    self.turn(node, |node, around| node.release(at, around));
                }
            }
        }
    }

    /// Changes the quality of the link between two nodes, for later messages and when it is redialled.
    pub fn set_quality(&mut self, a: NodeId, b: NodeId, quality: Quality) {
        // No other shard may hear of a node earlier than it reckons with.
        assert!(self.shards.len() == 1, "only a world on one thread changes its links");
        if let Some(wanted) = self.wanted.get_mut(&(a.min(b), a.max(b))) {
            *wanted = quality;
        }
        for (from, to) in [(a, b), (b, a)] {
            let links = self.node_mut(from).links.iter_mut().filter(|link| link.peer == to);
            links.for_each(|link| link.quality = quality);
        }
    }

    /// Whether messages from one node to another are held back.
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cuts.iter().any(|(one, other)| one.contains(&from) && other.contains(&to))
    }

    pub(super) fn hold_what_is_cut(&mut self, a: NodeId, b: NodeId) {
        for (from, to) in [(a, b), (b, a)] {
            if self.is_cut(from, to) {
                let now = self.now;
                let links = self.node_mut(from).links.iter_mut().filter(|link| link.peer == to);
                links.for_each(|link| link.held = Some((now, Vec::new())));
            }
        }
    }

    /// Delays later messages from one node to another until `span` has passed.
    pub fn stall(&mut self, from: NodeId, to: NodeId, span: Millis) {
        let until = self.now + span;
        let links = self.node_mut(from).links.iter_mut().filter(|link| link.peer == to);
        links.for_each(|link| link.stall(until));
    }

    /// Starts a stopped node from its persisted data.
    pub fn start(&mut self, node: NodeId) {
        if self.is_running(node) {
            return;
        }
        self.turn(node, |node, around| node.start(around));
        let wanted = self.wanted.keys().filter(|(a, b)| *a == node || *b == node);
        self.broken.extend(wanted.copied().collect::<Vec<_>>());
    }

    /// Stops a node at once. Unwritten data and its connections are lost.
    pub fn crash(&mut self, node: NodeId) {
        let neighbours: BTreeSet<NodeId> = self.node(node).links.iter().map(|link| link.peer).collect();
        for neighbour in neighbours {
            self.disconnect(node, neighbour);
        }
        self.node_mut(node).crash();
    }

    /// Stops a node in order: the queue of its disk is written first.
    pub fn stop(&mut self, node: NodeId) {
        self.node_mut(node).write_all();
        self.crash(node);
    }

    /// Adds an empty node with links to `links` running nodes, chosen by chance.
    pub fn join(&mut self, links: usize) -> NodeId {
        let mut others: Vec<NodeId> = self.nodes().filter(|node| self.is_running(*node)).collect();
        self.random.choose(&mut others, links);
        let node = self.add_node();
        for other in others.into_iter().take(links) {
            self.link(node, other);
        }
        node
    }

    /// Stops a node for good.
    pub fn leave(&mut self, node: NodeId) {
        self.crash(node);
        self.wanted.retain(|(a, b), _| *a != node && *b != node);
    }

    /// Changes a node's hash rate.
    pub fn set_hash_rate(&mut self, node: NodeId, rate: HashRate) {
        self.turn(node, |node, around| node.miner.set_rate(rate, around.now, &mut node.random));
        if self.is_running(node) {
            self.deliver(node, Event::Tick);
        }
    }

    /// Sets a node's wall clock. Its drift counts from the beginning of the world.
    pub fn set_clock(&mut self, node: NodeId, clock: WallClock) {
        self.node_mut(node).clock = clock;
    }

    /// Sets the offset of a node's clock, in milliseconds.
    pub fn set_clock_offset(&mut self, node: NodeId, millis: i64) {
        self.set_clock(node, WallClock { offset_millis: millis, drift_ppm: 0 });
    }

    /// Ends dead connections, and redials wanted ones that are down.
    pub(super) fn look_after_links(&mut self) {
        if !self.cuts.is_empty() {
            self.end_dead_connections();
        }
        for metrics in self.shards.iter_mut().map(|shard| &mut shard.metrics) {
            let pairs = metrics.broken.drain(..).map(|(a, b)| (a.min(b), a.max(b)));
            self.broken.extend(pairs);
        }
        for pair in self.broken.clone() {
            self.dial(pair);
        }
    }

    fn end_dead_connections(&mut self) {
        let now = self.now;
        for node in self.nodes() {
            let is_dead = |since: Millis| now >= since + DEAD_CONNECTION_TIMEOUT;
            let links = self.node(node).links.iter();
            let dead = links.filter(|link| link.held.as_ref().is_some_and(|(since, _)| is_dead(*since)));
            for peer in dead.map(|link| link.peer).collect::<Vec<_>>() {
                self.disconnect(node, peer);
            }
        }
    }

    /// Connects a wanted pair if it is down and nothing prevents that. A pair that can only connect later stays on the
    /// list.
    fn dial(&mut self, pair: (NodeId, NodeId)) {
        let (a, b) = pair;
        let has_link = |from: NodeId, to: NodeId| self.node(from).links.iter().any(|link| link.peer == to);
        let bans = |from: NodeId, by: NodeId| self.node(by).banned.get(&from).is_some_and(|until| self.now < *until);
        let Some(quality) = self.wanted.get(&pair).copied() else {
            self.broken.remove(&pair);
            return;
        };
        match (has_link(a, b), has_link(b, a)) {
            (true, true) => {
                self.broken.remove(&pair);
            }
            (false, false) => {
                let can_run = self.is_running(a) && self.is_running(b);
                let is_barred = self.is_cut(a, b) || self.is_cut(b, a) || bans(a, b) || bans(b, a);
                if can_run && !is_barred {
                    self.broken.remove(&pair);
                    self.connect_with(a, b, quality);
                }
            }
            // One end has not heard yet that the other is gone.
            _ => {}
        }
    }
}
