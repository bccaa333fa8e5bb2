//! Counters of a running world, and their summary.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::id::NodeId;
use crate::engine::event::{Event, Fault, Gossip, Place};
use crate::protocol::{BlockId, Header, Height, Millis, Request};

/// A running digest of everything that happens to a node. Any difference changes it; it resists accidents, not attacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    fn note(&mut self, now: Millis, kind: u64, id: u64) {
        for word in [now.0, kind, id] {
            let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
            self.0 = (product >> 64) as u64 ^ product as u64 ^ word.rotate_left(29);
        }
    }

    pub(crate) fn digest(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}

/// The counters of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Messages that it has sent.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Events that its engine has handled.
    pub(crate) events: u64,
    pub(crate) trace: Trace,
}

/// Kinds above those of [`Counters::note_event`].
const MESSAGE_KIND: u64 = 100;
const TIP_KIND: u64 = 101;

impl Counters {
    pub(crate) fn note_event(&mut self, event: &Event, now: Millis) {
        self.events += 1;
        let (kind, id) = match event {
            Event::PeerConnected { peer } => (0, peer.0),
            Event::PeerDisconnected { peer } => (1, peer.0),
            Event::Gossip { gossip: Gossip::Block(block), .. } => (2, tail(&block.header.parent)),
            Event::Gossip { gossip: Gossip::Compact(compact), .. } => (16, tail(&compact.header().parent)),
            Event::Gossip { gossip: Gossip::Transactions(bundle), .. } => {
                (3, bundle.iter().map(|signed| signed.transaction.nonce).sum())
            }
            Event::Misbehaved { peer, .. } => (4, peer.0),
            Event::Request { request: Request::Status(status), .. } => (5, tail(&status.tip)),
            Event::Request { ticket, .. } => (6, ticket.0),
            Event::Response { key, .. } => (7, key.0),
            Event::BlocksChecked { key, .. } => (8, key.0),
            Event::TransactionsChecked { key, .. } => (9, key.0),
            Event::Loaded { key, .. } => (10, key.0),
            Event::Served { unused_bytes, .. } => (17, *unused_bytes as u64),
            Event::Persisted { sequence } => (11, *sequence),
            Event::Mined { nonce, .. } => (12, *nonce),
            Event::Command { ticket, .. } => (13, ticket.0),
            Event::HashRate(rate) => (14, *rate),
            Event::Tick => (15, 0),
        };
        self.trace.note(now, kind, id);
    }

    pub(crate) fn note_message(&mut self, from: NodeId, number: u64, now: Millis) {
        self.trace.note(now, MESSAGE_KIND, u64::from(from.0) << 32 ^ number);
    }

    pub(crate) fn note_tip(&mut self, tip: &Place, now: Millis) {
        self.trace.note(now, TIP_KIND, tail(&tip.id));
    }
}

fn tail(id: &BlockId) -> u64 {
    u64::from_le_bytes(*id.0.last_chunk().expect("32 bytes hold 8"))
}

/// A block that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its id.
    pub id: BlockId,
    /// The block below it.
    pub parent: BlockId,
    /// Its height.
    pub height: Height,
    /// The node that found it.
    pub miner: NodeId,
    /// The time at which it was found, since the world began.
    pub at: Millis,
    /// Whether it is on the best chain now.
    pub is_best: bool,
}

/// The time at which a node accepted a block, and the time since which the node runs.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    node: NodeId,
    at: Millis,
    running_since: Millis,
}

/// The counters of several nodes together.
#[derive(Debug, Default)]
pub(crate) struct NodeMetrics {
    made: Vec<Made>,
    arrivals: BTreeMap<BlockId, Vec<Arrival>>,
    /// The number of reorganisations by their depth in blocks.
    reorganisations: BTreeMap<u64, u64>,
    pub(crate) transactions_sent: u64,
    /// Sessions that an engine closed: the time, the node, its peer, and the fault.
    pub(crate) closed: Vec<(Millis, NodeId, NodeId, Fault)>,
    /// Sessions that ended since the world last looked.
    pub(crate) broken: Vec<(NodeId, NodeId)>,
}

impl NodeMetrics {
    pub(crate) fn note_made(&mut self, id: BlockId, header: &Header, miner: NodeId, at: Millis) {
        self.made.push(Made { id, parent: header.parent, height: header.height, miner, at, is_best: false });
    }

    pub(crate) fn note_arrival(&mut self, block: BlockId, node: NodeId, at: Millis, running_since: Millis) {
        self.arrivals.entry(block).or_default().push(Arrival { node, at, running_since });
    }

    pub(crate) fn note_reorganisation(&mut self, depth: u64) {
        if depth > 0 {
            *self.reorganisations.entry(depth).or_default() += 1;
        }
    }
}

/// All blocks that were found, in that order.
pub(crate) fn made<'a>(all: impl Iterator<Item = &'a NodeMetrics>, best: &BTreeSet<BlockId>) -> Vec<Made> {
    let mut made: Vec<Made> = all.flat_map(|metrics| metrics.made.iter().cloned()).collect();
    made.sort_by_key(|made| (made.at, made.miner));
    for made in &mut made {
        made.is_best = best.contains(&made.id);
    }
    made
}

/// The delays of blocks to nodes that ran when they were found, in milliseconds, ascending.
pub(crate) fn propagation<'a>(all: impl Iterator<Item = &'a NodeMetrics>, made: &[Made]) -> Vec<u64> {
    let made: BTreeMap<BlockId, &Made> = made.iter().map(|made| (made.id, made)).collect();
    let mut delays = Vec::new();
    for (block, arrivals) in all.flat_map(|metrics| &metrics.arrivals) {
        let Some(made) = made.get(block) else { continue };
        let others = arrivals.iter().filter(|arrival| arrival.node != made.miner && arrival.running_since <= made.at);
        delays.extend(others.map(|arrival| arrival.at.saturating_sub(made.at).0));
    }
    delays.sort_unstable();
    delays
}

/// Quantiles of delays, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// The median.
    pub p50: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The 99th percentile.
    pub p99: u64,
}

impl Quantiles {
    /// The quantiles of ascending numbers (nearest rank).
    fn of(sorted: &[u64]) -> Self {
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(rank).copied().unwrap_or_default()
        };
        Self { p50: at(50), p95: at(95), p99: at(99) }
    }
}

/// The yield of one miner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MinerShare {
    /// The miner's node.
    pub node: NodeId,
    /// Its part of the hash rate at the end, from 0 to 1.
    pub hash_rate: f64,
    /// Its part of the best chain's blocks, from 0 to 1.
    pub chain: f64,
    /// The number of blocks that it found.
    pub blocks: u64,
}

/// The summary of a world so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The world's seed.
    pub seed: u64,
    /// The number of nodes, running or not.
    pub nodes: usize,
    /// The virtual time that it ran, in seconds.
    pub virtual_seconds: f64,
    /// A digest of everything that happened to every node. Equal for equal setups, on every machine.
    pub trace_hash: String,
    /// Whether all running nodes have the same best block.
    pub agreed: bool,
    /// The height of the chain with the most work.
    pub height: u64,
    /// The number of blocks that were found.
    pub blocks: u64,
    /// The part of them that is not on that chain, from 0 to 1.
    pub stale_rate: f64,
    /// The delay from a block's discovery to its acceptance by other nodes.
    pub propagation_ms: Quantiles,
    /// The number of reorganisations of a node, by their depth in blocks.
    pub reorg_depths: BTreeMap<u64, u64>,
    /// Messages sent by all nodes.
    pub messages: u64,
    /// Bytes sent by all nodes.
    pub bytes: u64,
    /// Messages per node and virtual second.
    pub messages_per_node_second: f64,
    /// Bytes per node and virtual second.
    pub bytes_per_node_second: f64,
    /// Events handled by all engines.
    pub events: u64,
    /// Transactions that users sent by themselves.
    pub transactions_sent: u64,
    /// Transactions in the best chain.
    pub transactions_mined: u64,
    /// Nodes with a hash rate or a block, the fastest first.
    pub miners: Vec<MinerShare>,
}

/// The inputs of a summary beside the counters.
pub(crate) struct SummaryInputs {
    pub(crate) seed: u64,
    pub(crate) elapsed: Millis,
    pub(crate) trace_hash: String,
    pub(crate) agreed: bool,
    pub(crate) height: Height,
    pub(crate) transactions_mined: u64,
    /// The hash rate of each node.
    pub(crate) hash_rates: Vec<u64>,
    pub(crate) counters: Vec<Counters>,
}

impl Summary {
    pub(crate) fn new(facts: SummaryInputs, all: &[&NodeMetrics], made: &[Made]) -> Self {
        let of_all = |count: fn(&Counters) -> u64| facts.counters.iter().map(count).sum::<u64>();
        let (messages, bytes) = (of_all(|one| one.messages), of_all(|one| one.bytes));
        let seconds = facts.elapsed.0 as f64 / 1000.0;
        let per_node_second = |count: u64| ratio(count as f64, facts.counters.len() as f64 * seconds);
        let mut reorg_depths = BTreeMap::new();
        for (depth, count) in all.iter().flat_map(|metrics| &metrics.reorganisations) {
            *reorg_depths.entry(*depth).or_default() += count;
        }
        let stale = made.iter().filter(|made| !made.is_best).count();
        Self {
            seed: facts.seed,
            nodes: facts.counters.len(),
            virtual_seconds: seconds,
            trace_hash: facts.trace_hash,
            agreed: facts.agreed,
            height: facts.height.0,
            blocks: made.len() as u64,
            stale_rate: ratio(stale as f64, made.len() as f64),
            propagation_ms: Quantiles::of(&propagation(all.iter().copied(), made)),
            reorg_depths,
            messages,
            bytes,
            messages_per_node_second: per_node_second(messages),
            bytes_per_node_second: per_node_second(bytes),
            events: of_all(|one| one.events),
            transactions_sent: all.iter().map(|metrics| metrics.transactions_sent).sum(),
            transactions_mined: facts.transactions_mined,
            miners: shares(&facts.hash_rates, made),
        }
    }
}

fn shares(hash_rates: &[u64], made: &[Made]) -> Vec<MinerShare> {
    let all_rates: u64 = hash_rates.iter().sum();
    let all_best = made.iter().filter(|made| made.is_best).count();
    let mut found: BTreeMap<NodeId, (u64, u64)> = BTreeMap::new();
    for made in made {
        let (blocks, best) = found.entry(made.miner).or_default();
        *blocks += 1;
        *best += u64::from(made.is_best);
    }
    let share = |(number, rate): (usize, &u64)| {
        let node = NodeId(number as u32);
        let (blocks, best) = found.get(&node).copied().unwrap_or_default();
        let (hash_rate, chain) = (ratio(*rate as f64, all_rates as f64), ratio(best as f64, all_best as f64));
        (*rate > 0 || blocks > 0).then_some(MinerShare { node, hash_rate, chain, blocks })
    };
    let mut shares: Vec<MinerShare> = hash_rates.iter().enumerate().filter_map(share).collect();
    shares.sort_by(|one, other| other.hash_rate.total_cmp(&one.hash_rate));
    shares
}

/// The ratio, zero if `of` is zero.
fn ratio(part: f64, of: f64) -> f64 {
    if of > 0.0 { part / of } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_nearest_ranks() {
        let numbers: Vec<u64> = (1..=200).collect();
        assert_eq!(Quantiles::of(&numbers), Quantiles { p50: 100, p95: 190, p99: 198 });
        assert_eq!(Quantiles::of(&[7]), Quantiles { p50: 7, p95: 7, p99: 7 });
        assert_eq!(Quantiles::of(&[]), Quantiles::default());
    }

    #[test]
    fn the_trace_tells_orders_apart() {
        let trace = |notes: &[(u64, u64)]| {
            let mut trace = Trace::default();
            notes.iter().for_each(|(kind, id)| trace.note(Millis(1), *kind, *id));
            trace
        };
        assert_eq!(trace(&[(1, 2), (3, 4)]), trace(&[(1, 2), (3, 4)]));
        assert_ne!(trace(&[(1, 2), (3, 4)]), trace(&[(3, 4), (1, 2)]));
        assert_ne!(trace(&[(1, 2)]), trace(&[(2, 1)]));
        assert_ne!(trace(&[]), trace(&[(0, 0)]));
    }
}
