//! The plan of a world: everything that a user of the simulator chooses.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::Change;
use super::clock::WallClock;
use super::id::NodeId;
use super::link::Quality;
use super::miner::HashRate;
use super::random::{Random, Spread};
use super::traffic::UserTraffic;
use super::world::World;
use crate::engine::event::MiningMode;
use crate::protocol::{Address, Millis, Network, Parameters, Target};

/// The easiest target of simulated networks: 4,096 hashes. Each block costs a millisecond of real time.
const EASIEST_TARGET: Target = Target(0x1f0f_ffff);
/// The ratio of a settled block's difficulty to that.
const HARDER: u64 = 2;
/// The most miners of a [`Setup::lan`].
const MINERS_MAX: usize = 32;
/// The most nodes with a user. Each user has an account at every node.
const USERS_MAX: usize = 1_000;
/// An hour in milliseconds.
const HOUR_MILLIS: u64 = 3_600_000;
/// The most threads; more do not make a simulation faster.
const THREADS_MAX: usize = 64;

/// The quality of links, drawn for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// Latency of one way, in milliseconds; less than 1 becomes 1.
    pub latency_millis: Spread,
    /// The greatest addition to it, in milliseconds, drawn for each message.
    pub jitter_millis: Spread,
    /// Bandwidth of each direction. `None`: no limit.
    pub bytes_per_second: Option<Spread>,
    /// The nodes' regions, whose distances are added to the latency. `None`: all nodes in one place.
    pub regions: Option<Regions>,
}

/// Regions, and the latencies between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    /// The region of each node, from 0. Nodes beyond the list start over at its beginning.
    pub of: Vec<usize>,
    /// Latency from each region to each, one way, in milliseconds; symmetric.
    pub latency_millis: Vec<Vec<u64>>,
}

impl Regions {
    fn latency_millis(&self, a: NodeId, b: NodeId) -> u64 {
        let of = |node: NodeId| self.of[node.0 as usize % self.of.len()];
        self.latency_millis[of(a)][of(b)]
    }

    fn is_possible(&self) -> bool {
        let places = self.latency_millis.len();
        let is_square = self.latency_millis.iter().all(|row| row.len() == places);
        is_square && !self.of.is_empty() && self.of.iter().all(|place| *place < places)
    }
}

impl Default for Links {
    /// A local network with some wireless parts.
    fn default() -> Self {
        Self {
            latency_millis: Spread::Constant(1),
            jitter_millis: Spread::Constant(19),
            bytes_per_second: None,
            regions: None,
        }
    }
}

impl Links {
    /// A link between two nodes.
    pub(crate) fn draw(&self, a: NodeId, b: NodeId, random: &mut Random) -> Quality {
        let way = self.regions.as_ref().map_or(0, |regions| regions.latency_millis(a, b));
        Quality {
            latency_millis: (self.latency_millis.draw(random) + way).max(1),
            jitter_millis: self.jitter_millis.draw(random),
            bytes_per_second: self.bytes_per_second.as_ref().map(|spread| spread.draw(random).max(1)),
        }
    }
}

/// The pairs of nodes that have links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// Each node with about `degree` others, chosen by chance; the graph is connected.
    Random {
        /// At least 2, less than the number of nodes.
        degree: usize,
    },
    /// Every pair of nodes.
    Full,
    /// These pairs, by the numbers of the nodes.
    Given(Vec<(u32, u32)>),
}

/// The plan of a world. Times are virtual.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The same seed and setup make the same world, with the same trace hash.
    pub seed: u64,
    /// The network. Its easiest target should need few hashes, since the nonces are really searched.
    pub network: Network,
    /// The number of nodes at the start.
    pub nodes: usize,
    /// The pairs of nodes that have links.
    pub topology: Topology,
    /// The quality of the links.
    pub links: Links,
    /// Hashes per virtual hour of the first nodes. The others do not mine.
    pub hash_rates: Vec<u64>,
    /// Transactions in a virtual hour, sent by the users of the first 1,000 nodes together, to each other.
    pub transactions_per_hour: u64,
    /// The greatest offset of a clock, in milliseconds, in either direction.
    pub clock_offset_millis_max: u64,
    /// The greatest drift of a clock, in milliseconds per 1,000 seconds.
    pub clock_drift_ppm_max: u64,
    /// Scheduled changes, with the time since the world began.
    pub changes: Vec<(Millis, Change)>,
    /// The number of threads. Changes the speed, and nothing else.
    pub threads: usize,
}

/// A plan that makes no world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No node, or more than can be numbered.
    #[error("{nodes} nodes make no world: choose from 1 to {max}", max = u32::MAX)]
    Nodes {
        /// The requested number of nodes.
        nodes: usize,
    },
    /// A degree that no network of that size has.
    #[error("{nodes} nodes cannot have {degree} links each: choose from 2 to one less than there are nodes")]
    Degree {
        /// The requested number of links per node.
        degree: usize,
        /// The number of nodes.
        nodes: usize,
    },
    /// A link with a node that does not exist, or of a node with itself.
    #[error("no link can join nodes {a} and {b}: name two different nodes, from 0 on")]
    Link {
        /// The number of one end.
        a: u32,
        /// The number of the other end.
        b: u32,
    },
    /// More miners than nodes.
    #[error("{miners} hash rates are too many for {nodes} nodes: give at most one to each")]
    Miners {
        /// The number of hash rates.
        miners: usize,
        /// The number of nodes.
        nodes: usize,
    },
    /// A distribution without values.
    #[error("{field} has nothing to choose from: name at least one value, the lower bound first")]
    Spread {
        /// The name of the field.
        field: &'static str,
    },
    /// A node without a region, or regions without latencies between them.
    #[error("regions must be a square of latencies, with a place in it for every node")]
    Regions,
    /// No threads, or far too many.
    #[error("{threads} threads cannot run a simulation: choose from 1 to {THREADS_MAX}")]
    Threads {
        /// The requested number of threads.
        threads: usize,
    },
}

impl Setup {
    /// `nodes` nodes on a local network with the parameters of the `lan` preset, except for its easiest target: about
    /// 360 blocks in an hour, found by at most 32 of the nodes, of which the first has about as much hash rate as the
    /// last half together; two transactions a second.
    pub fn lan(nodes: usize) -> Self {
        let name = "lan-simulated".to_owned();
        let parameters = Parameters { name, easiest_target: EASIEST_TARGET, ..Parameters::lan() };
        let blocks_per_hour = HOUR_MILLIS / parameters.target_spacing.0;
        let hashes_per_hour = blocks_per_hour * HARDER * EASIEST_TARGET.work().0 as u64;
        let miners = nodes.min(MINERS_MAX);
        // Weights 1/1, 1/2, 1/3, …
        let weights: Vec<u64> = (1..=miners as u64).map(|rank| 1_000_000 / rank).collect();
        let all: u64 = weights.iter().sum();
        Self {
            seed: 1,
            network: Network::new(parameters).expect("a preset with another valid target is valid"),
            nodes,
            topology: if nodes > 9 { Topology::Random { degree: 8 } } else { Topology::Full },
            links: Links::default(),
            hash_rates: weights.iter().map(|weight| hashes_per_hour * weight / all).collect(),
            transactions_per_hour: 7_200,
            clock_offset_millis_max: 100,
            clock_drift_ppm_max: 20,
            changes: Vec::new(),
            threads: 1,
        }
    }

    /// Checks that the plan makes a world.
    pub fn check(&self) -> Result<(), SetupError> {
        let nodes = self.nodes;
        if nodes == 0 || u32::try_from(nodes).is_err() {
            return Err(SetupError::Nodes { nodes });
        }
        if self.threads == 0 || self.threads > THREADS_MAX {
            return Err(SetupError::Threads { threads: self.threads });
        }
        if self.hash_rates.len() > nodes {
            return Err(SetupError::Miners { miners: self.hash_rates.len(), nodes });
        }
        let Links { latency_millis, jitter_millis, bytes_per_second, regions } = &self.links;
        if regions.as_ref().is_some_and(|regions| !regions.is_possible()) {
            return Err(SetupError::Regions);
        }
        let spreads = [
            ("latency", Some(latency_millis)),
            ("jitter", Some(jitter_millis)),
            ("bandwidth", bytes_per_second.as_ref()),
        ];
        for (field, spread) in spreads {
            if spread.is_some_and(|spread| !spread.is_possible()) {
                return Err(SetupError::Spread { field });
            }
        }
        match &self.topology {
            Topology::Random { degree } if *degree < 2 || *degree >= nodes => {
                Err(SetupError::Degree { degree: *degree, nodes })
            }
            Topology::Given(pairs) => match pairs.iter().find(|(a, b)| a == b || *a.max(b) as usize >= nodes) {
                Some((a, b)) => Err(SetupError::Link { a: *a, b: *b }),
                None => Ok(()),
            },
            Topology::Random { .. } | Topology::Full => Ok(()),
        }
    }

    /// Makes the world, with all nodes running and all links up.
    pub fn build(self) -> Result<World, SetupError> {
        self.check()?;
        let mut world = World::on_threads(self.network, self.seed, self.threads);
        world.links = self.links;
        for shard in &mut world.shards {
            shard.keeps_notices = false;
        }
        let nodes: Vec<NodeId> = (0..self.nodes).map(|_| world.add_stopped_node()).collect();
        let users = self.nodes.min(USERS_MAX);
        let addresses: Arc<[Address]> = nodes[..users].iter().map(|node| world.address(*node)).collect();
        let gap = (users as u64 * HOUR_MILLIS).checked_div(self.transactions_per_hour);
        for node in &nodes {
            let rate = self.hash_rates.get(node.0 as usize).copied().unwrap_or_default();
            let clock = WallClock {
                offset_millis: either_side(self.clock_offset_millis_max, &mut world.random),
                drift_ppm: either_side(self.clock_drift_ppm_max, &mut world.random),
            };
            world.turn(*node, |node, around| {
                node.clock = clock;
                node.miner.rate = HashRate::PerHour(rate);
                node.mining = if rate > 0 { MiningMode::On } else { MiningMode::Off };
                if let Some(gap) = gap.filter(|_| (node.id.0 as usize) < users) {
                    node.traffic = UserTraffic::new(gap, addresses.clone(), around.now, &mut node.random);
                }
                node.start(around);
            });
        }
        for (a, b) in pairs(&self.topology, self.nodes as u32, &mut world.random) {
            world.link(NodeId(a), NodeId(b));
        }
        for (at, change) in self.changes {
            world.schedule(at, change);
        }
        Ok(world)
    }
}

/// A number from `-most` to `most`.
fn either_side(most: u64, random: &mut Random) -> i64 {
    let most = most.min(i64::MAX as u64 / 2);
    random.between(0, 2 * most) as i64 - most as i64
}

fn pairs(topology: &Topology, nodes: u32, random: &mut Random) -> BTreeSet<(u32, u32)> {
    match topology {
        Topology::Full => (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b))).collect(),
        Topology::Given(pairs) => pairs.iter().map(|(a, b)| (*a.min(b), *a.max(b))).collect(),
        Topology::Random { degree } => {
            let mut pairs = BTreeSet::new();
            let mut order: Vec<u32> = (0..nodes).collect();
            // Each ring through all nodes gives two links to each, and the first one connects them all.
            for _ in 0..degree / 2 {
                random.choose(&mut order, nodes as usize);
                let next = order.iter().cycle().skip(1);
                pairs.extend(order.iter().zip(next).map(|(a, b)| (*a.min(b), *a.max(b))));
            }
            pairs
        }
    }
}
