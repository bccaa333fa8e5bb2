//! Worlds with random faults, each from one seed, observed by the judge.
//!
//! `QUIPU_TEST_SEEDS` sets the number of seeds, `QUIPU_TEST_FIRST_SEED` the first one. A failing seed is printed with
//! the command that repeats it.

use std::collections::BTreeSet;
use std::panic;

use crate::engine::event::{Answer, Command, MiningMode};
use crate::protocol::{Action, Amount, Millis, Network, Parameters, Target, Work};
use crate::sim::adversary::Adversary;
use crate::sim::adversary::double_spend::DoubleSpend;
use crate::sim::adversary::eclipse::Eclipse;
use crate::sim::adversary::equivocate::Equivocator;
use crate::sim::adversary::liar::Liar;
use crate::sim::adversary::pretender::Pretender;
use crate::sim::adversary::selfish::Selfish;
use crate::sim::adversary::spam::Spam;
use crate::sim::adversary::timestamp::Timestamp;
use crate::sim::adversary::uncle::Uncle;
use crate::sim::clock::WallClock;
use crate::sim::id::NodeId;
use crate::sim::judge::{Finding, Judge};
use crate::sim::miner::HashRate;
use crate::sim::random::{Random, Spread};
use crate::sim::setup::{Links, Setup, Topology};
use crate::sim::world::World;

/// The number of seeds without [`SEEDS`] in the environment.
const SEEDS_DEFAULT: u64 = 300;
const SEEDS: &str = "QUIPU_TEST_SEEDS";
const FIRST_SEED: &str = "QUIPU_TEST_FIRST_SEED";

/// The time after the last fault within which all honest nodes have the same tip: bans for silence (30 s) have to end,
/// blocks that were dated ahead (clock and rule together, 120 s) have to come of age, and the rest is synchronisation.
const AGREEMENT_TIMEOUT: Millis = Millis::from_secs(180);
/// The time after the last fault within which a transaction reaches all honest nodes: bans and slow links again.
const RELAY_TIMEOUT: Millis = Millis::from_secs(90);
/// One seed in so many has a pretender beside the other adversaries.
const PRETENDER_SEEDS: u64 = 4;
/// The time in which every question is answered or given up, and reported.
const QUIET_SPAN: Millis = Millis::from_secs(20);
/// The greatest offset of a clock, in milliseconds.
const CLOCK_ERROR_MILLIS_MAX: u64 = 60_000;
/// The distance by which some adversaries date ahead: more than the rules allow.
const AHEAD_MILLIS: u64 = 240_000;
/// About 16 hashes.
const EASY_TARGET: Target = Target(0x200f_ffff);
/// The most nodes in a story, including those that join.
const NODES_MAX: usize = 9;
/// Blocks that each node mines at the beginning, so that it has coins that no reorganisation takes away.
const OWN_BLOCKS: u64 = 2;

/// A number from the environment, or a default.
pub(super) fn from_environment(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
        Err(_) => default,
    }
}

#[test]
fn the_judge_finds_nothing_in_any_story_first_half() {
    run_every_second_seed(0);
}

#[test]
fn the_judge_finds_nothing_in_any_story_second_half() {
    run_every_second_seed(1);
}

/// Node 0, a liar, has found a block two seconds before the last fault ended, and shows it to node 1 alone, seconds
/// after the others have got another of the same height.
#[test]
fn seed_2082_a_block_that_only_a_liar_shows_is_no_second_chain() {
    Story::new(2082).run().unwrap_or_else(|finding| panic!("{finding}"));
}

/// Node 2 rests, is off for 46 s, and rests again.
#[test]
fn seed_8884_a_node_that_is_off_does_not_rest() {
    Story::new(8884).run().unwrap_or_else(|finding| panic!("{finding}"));
}

/// Two halves, so that two processors have something to do.
fn run_every_second_seed(offset: u64) {
    let (first, count) = (from_environment(FIRST_SEED, 1), from_environment(SEEDS, SEEDS_DEFAULT));
    let mut told = StoryTotals::default();
    let mut stories = 0;
    for seed in (first + offset..first + count).step_by(2) {
        // Engines and shells have assertions of their own.
        match panic::catch_unwind(|| Story::new(seed).run()) {
            Ok(Ok(of_one)) => told.add(&of_one),
            Ok(Err(finding)) => panic!("{finding}\n{}", how_to_repeat(seed)),
            Err(payload) => {
                eprintln!("{}", how_to_repeat(seed));
                panic::resume_unwind(payload);
            }
        }
        stories += 1;
    }
    eprintln!("{stories} seeds: {told:?}");
    if count >= SEEDS_DEFAULT {
        // Stories without blocks and reorganisations would show nothing.
        assert!(told.blocks > 10 * stories && told.reorganisations > stories, "{told:?}");
        assert!(told.promises > 5 * stories && told.transactions > 5 * stories, "{told:?}");
    }
}

fn how_to_repeat(seed: u64) -> String {
    format!("to repeat it: {FIRST_SEED}={seed} {SEEDS}=1 cargo test --no-default-features --lib sim::tests::seeds")
}

/// The totals of all stories.
#[derive(Debug, Default)]
struct StoryTotals {
    blocks: u64,
    reorganisations: u64,
    promises: u64,
    transactions: u64,
    virtual_seconds: u64,
}

impl StoryTotals {
    fn add(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.reorganisations += other.reorganisations;
        self.promises += other.promises;
        self.transactions += other.transactions;
        self.virtual_seconds += other.virtual_seconds;
    }
}

/// Makes the nodes announce even the shortest blocks by short ids.
fn announce_by_short_ids(world: &mut World) {
    for node in world.nodes() {
        world.node_mut(node).whole_bytes_max = 0;
        world.engine(node).set_whole_bytes_max(0);
    }
}

/// A story from one seed.
struct Story {
    world: World,
    judge: Judge,
    random: Random,
    /// The number of nodes at the start, all of which have coins from then.
    founders: u32,
    /// The nodes that left.
    gone: Vec<NodeId>,
    /// The adversaries.
    bad: Vec<NodeId>,
    /// Whether they are there when all have to agree.
    bad_may_stay: bool,
    /// Whether one of them dates its blocks further ahead than the rules allow.
    dates_ahead: bool,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let mut world = setup(seed, &mut random).build().expect("a possible world");
        if (seed / 2).is_multiple_of(2) {
            announce_by_short_ids(&mut world);
        }
        let judge = Judge::new(&world, Millis(CLOCK_ERROR_MILLIS_MAX + 1_000));
        let bad_may_stay = random.between(0, 1) == 0;
        let founders = world.nodes().count() as u32;
        Self { world, judge, random, founders, gone: Vec::new(), bad: Vec::new(), bad_may_stay, dates_ahead: false }
    }

    fn run(mut self) -> Result<StoryTotals, Finding> {
        self.give_everybody_coins()?;
        self.corrupt_some();
        if self.world.seed().is_multiple_of(PRETENDER_SEEDS) {
            self.add_a_pretender();
        }
        self.start_miners();
        for _ in 0..self.random.between(2, 5) {
            for _ in 0..self.random.between(4, 12) {
                self.disturb();
                self.use_it();
                let pause = self.random.between(1, 6_000);
                self.judge.watch(&mut self.world, Millis(pause))?;
            }
            self.judge.check(&mut self.world)?;
        }
        self.end_faults();
        self.agree()
    }

    /// Gives each node coins from blocks that all have agreed on.
    fn give_everybody_coins(&mut self) -> Result<(), Finding> {
        for node in self.nodes() {
            self.world.set_hash_rate(node, HashRate::AtOnce);
            self.judge.hold(&mut self.world, node, Command::Mine { count: OWN_BLOCKS, to: None });
            self.world.run_for(Millis(1_000));
            self.judge.await_agreement(&mut self.world, AGREEMENT_TIMEOUT)?;
        }
        Ok(())
    }

    /// Makes some nodes adversaries, in two of three stories.
    fn corrupt_some(&mut self) {
        let nodes = self.nodes();
        let count = self.random.between(0, 2).min(nodes.len() as u64 - 2);
        for node in nodes.into_iter().take(count as usize) {
            let kind = self.random.between(0, 7);
            let ahead = if kind == 4 { [59_000, AHEAD_MILLIS][self.random.between(0, 1) as usize] } else { 0 };
            let adversary = match kind {
                0 => Adversary::Selfish(Selfish::default()),
                1 => Adversary::DoubleSpend(DoubleSpend::new(self.world.address(NodeId(2)))),
                2 => Adversary::Eclipse(Eclipse::default()),
                3 => Adversary::Spam(Spam::default()),
                4 => Adversary::Timestamp(Timestamp { ahead: Millis(ahead) }),
                5 => Adversary::Equivocator(Equivocator::default()),
                6 => Adversary::Uncle(Uncle::default()),
                _ => Adversary::Liar(Liar::default()),
            };
            self.world.corrupt(node, adversary);
            self.bad.push(node);
            self.dates_ahead |= ahead == AHEAD_MILLIS;
            // Nodes that keep blocks back may leave the others with two chains of equal work.
            self.bad_may_stay &= kind > 1;
        }
    }

    /// Makes one more node an adversary, if two honest ones are left.
    fn add_a_pretender(&mut self) {
        let honest = self.honest();
        if honest.len() > 2 {
            self.world.corrupt(honest[0], Adversary::Pretender(Pretender::default()));
            self.bad.push(honest[0]);
        }
    }

    /// The honest nodes that have not left.
    fn honest(&self) -> Vec<NodeId> {
        self.nodes().into_iter().filter(|node| self.world.is_honest(*node)).collect()
    }

    fn dismiss_the_bad(&mut self) {
        for node in std::mem::take(&mut self.bad) {
            self.world.leave(node);
            self.gone.push(node);
        }
    }

    fn start_miners(&mut self) {
        // A block every 2 to 20 seconds, by all together.
        let nodes = self.nodes();
        let work = self.world.network().parameters().easiest_target.work().0 as u64;
        let all = 3_600 * work / self.random.between(2, 20);
        for node in nodes.iter().copied() {
            let rate = if self.random.between(0, 2) == 0 { 0 } else { all * 3 / (2 * nodes.len() as u64) };
            self.world.set_hash_rate(node, HashRate::PerHour(rate));
            self.world.node_mut(node).mining = MiningMode::On;
            self.world.begin(node, Command::SetMining { mode: MiningMode::On, to: None });
        }
    }

    /// The nodes that have not left, running or not.
    fn nodes(&self) -> Vec<NodeId> {
        self.world.nodes().filter(|node| !self.gone.contains(node)).collect()
    }

    fn pick(&mut self) -> NodeId {
        let nodes = self.nodes();
        nodes[self.random.between(0, nodes.len() as u64 - 1) as usize]
    }

    /// Applies a fault or a change.
    fn disturb(&mut self) {
        let (a, b) = (self.pick(), self.pick());
        match self.random.between(0, 17) {
            0 | 1 => {
                let mut nodes = self.nodes();
                let count = nodes.len();
                self.random.choose(&mut nodes, count);
                let other = nodes.split_off(self.random.between(1, count as u64 - 1) as usize);
                self.world.partition(&[nodes, other]);
            }
            2 => {
                let others: Vec<NodeId> = self.nodes().into_iter().filter(|node| *node != a).collect();
                self.world.cut(&[a], &others);
            }
            3..=5 => self.world.heal(),
            6 | 7 => self.world.crash(a),
            8 => {
                self.world.crash(a);
                self.world.start(a);
            }
            9 | 10 => self.start_all(),
            11 if a != b => self.world.disconnect(a, b),
            12 if a != b => {
                let span = Millis(self.random.between(100, 15_000));
                self.world.stall(a, b, span);
            }
            13 => {
                let offset = self.random.between(0, 2 * CLOCK_ERROR_MILLIS_MAX) as i64 - CLOCK_ERROR_MILLIS_MAX as i64;
                self.world.set_clock(a, WallClock { offset_millis: offset, drift_ppm: 0 });
            }
            14 => {
                let rate = self.random.between(0, 1_000);
                let work = self.world.network().parameters().easiest_target.work().0 as u64;
                self.world.set_hash_rate(a, HashRate::PerHour(rate * work));
            }
            15 if self.world.nodes().count() < NODES_MAX => {
                self.world.join(3);
            }
            16 if self.honest().len() > 2 && self.world.is_honest(a) => {
                self.world.leave(a);
                self.gone.push(a);
            }
            _ => {}
        }
    }

    /// Gives commands of the nodes' users.
    fn use_it(&mut self) {
        for _ in 0..self.random.between(0, 3) {
            let (from, to) = (self.pick(), self.pick());
            // A node that joined later has no coins that no reorganisation takes away, and so makes no promise.
            if from.0 >= self.founders || !self.world.is_running(from) {
                continue;
            }
            let action = match self.random.between(0, 3) {
                0 => Action::Record { data: vec![7; self.random.between(0, 200) as usize].into() },
                _ => {
                    let amount = Amount::from_units(self.random.between(1, 100_000));
                    Action::Transfer { to: self.world.address(to), amount }
                }
            };
            let fee = Amount::from_units(self.random.between(0, 1_000));
            let key = self.world.key(from);
            self.judge.hold(&mut self.world, from, Command::Send { key, action, fee: Some(fee) });
        }
        if self.random.between(0, 9) == 0 {
            let node = self.pick();
            if self.world.is_running(node) {
                let count = self.random.between(1, 3);
                self.judge.hold(&mut self.world, node, Command::Mine { count, to: None });
            }
        }
    }

    fn start_all(&mut self) {
        for node in self.nodes() {
            self.world.start(node);
        }
    }

    fn end_faults(&mut self) {
        self.world.heal();
        self.start_all();
        // A node that left may have been the only way between others.
        for pair in self.honest().windows(2) {
            self.world.link(pair[0], pair[1]);
        }
        if !self.bad_may_stay {
            self.dismiss_the_bad();
        }
        for node in self.nodes() {
            self.world.set_clock(node, WallClock::default());
            self.world.set_hash_rate(node, HashRate::PerHour(0));
        }
    }

    /// Chains of equal work may stay side by side, so all have to agree on more work than anybody has. An adversary
    /// counts too: a block that it has shown to few, or to none so far, would otherwise be a second chain of the same
    /// work.
    fn agree(mut self) -> Result<StoryTotals, Finding> {
        if self.dates_ahead {
            // Blocks that honest nodes keep back come of age first, for the same reason.
            self.world.run_for(Millis(AHEAD_MILLIS));
        }
        let end = self.world.now() + AGREEMENT_TIMEOUT;
        while self.works().len() > 1 && self.world.now() < end {
            self.world.run_for(Millis(1_000));
        }
        let nodes = self.honest();
        let best = nodes.into_iter().max_by_key(|node| self.world.view(*node).work).expect("some stay");
        self.world.begin(best, Command::CancelMining);
        for node in self.nodes() {
            self.world.begin(node, Command::SetMining { mode: MiningMode::Off, to: None });
        }
        self.world.run_for(Millis(100));
        self.world.set_hash_rate(best, HashRate::AtOnce);
        let most = self.nodes().into_iter().map(|node| self.world.view(node).work).max();
        let end = self.world.now() + AGREEMENT_TIMEOUT;
        while Some(self.world.view(best).work) <= most && self.world.now() < end {
            self.judge.hold(&mut self.world, best, Command::Mine { count: 1, to: None });
            self.world.run_for(Millis(100));
        }
        self.judge.await_agreement(&mut self.world, AGREEMENT_TIMEOUT)?;
        self.relay(best)?;
        self.dismiss_the_bad();
        for node in self.nodes() {
            self.world.begin(node, Command::CancelMining);
        }
        self.world.run_for(QUIET_SPAN);
        self.judge.check_rest(&mut self.world)?;
        Ok(self.told())
    }

    /// A record of one honest node reaches all others.
    fn relay(&mut self, from: NodeId) -> Result<(), Finding> {
        let action = Action::Record { data: b"relayed".to_vec().into() };
        let command = Command::Send { key: self.world.key(from), action, fee: None };
        let ticket = self.world.begin(from, command);
        self.world.run_for(Millis(1_000));
        let Some(Ok(Answer::Sent { id, .. })) = self.world.take_answer(from, ticket) else {
            panic!("a free record is taken")
        };
        self.judge.await_transaction(&mut self.world, id, RELAY_TIMEOUT)
    }

    /// The work of all chains.
    fn works(&mut self) -> BTreeSet<Work> {
        self.honest().into_iter().map(|node| self.world.view(node).work).collect()
    }

    fn told(mut self) -> StoryTotals {
        let summary = self.world.summary();
        StoryTotals {
            blocks: summary.blocks,
            reorganisations: summary.reorg_depths.values().sum(),
            promises: self.judge.promises() as u64,
            transactions: summary.transactions_mined,
            virtual_seconds: summary.virtual_seconds as u64,
        }
    }
}

fn setup(seed: u64, random: &mut Random) -> Setup {
    let nodes = random.between(3, 8) as usize;
    let parameters = match random.between(0, 1) {
        0 => Parameters::dev(),
        _ => Parameters { name: "easy".to_owned(), easiest_target: EASY_TARGET, ..Parameters::lan() },
    };
    let latency = [5, 50, 800][random.between(0, 2) as usize];
    let slow = (random.between(0, 3) == 0).then_some(Spread::Constant(20_000));
    Setup {
        seed,
        network: Network::new(parameters).expect("valid parameters"),
        topology: if nodes > 4 && random.between(0, 1) == 0 { Topology::Random { degree: 2 } } else { Topology::Full },
        links: Links {
            latency_millis: Spread::Uniform(1, latency),
            jitter_millis: Spread::Uniform(0, latency / 4),
            bytes_per_second: slow,
            regions: None,
        },
        hash_rates: Vec::new(),
        transactions_per_hour: 0,
        ..Setup::lan(nodes)
    }
}
