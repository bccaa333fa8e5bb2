//! The retargeting rule against simulated miners. Seeds are fixed, so every run sees the same chains.

use quipu_protocol::work::Retarget;
use quipu_protocol::{Millis, Network, Parameters, Target, UnixMillis};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// SolveTimes solve times.
struct SolveTimes(ChaCha20Rng);

impl SolveTimes {
    /// A number from the open interval between 0 and 1.
    fn unit(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// The work, in hashes, until an event that happens once in a hash on average.
    fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }
}

fn rule() -> Retarget {
    Network::new(Parameters::lan()).expect("a preset is valid").retarget()
}

/// Interval at which a miner renews the timestamp of its header, and with it the target.
const RENEWAL_MILLIS: u64 = 500;

struct TimedMiner {
    /// Hashes per millisecond.
    rate: f64,
    /// How far ahead of the true time its timestamps are, in milliseconds.
    ahead: u64,
}

struct TimedChain {
    rule: Retarget,
    target: Target,
    timestamp: UnixMillis,
    /// From the parent's timestamp to this one.
    interval: Millis,
    /// The true time.
    now: UnixMillis,
}

impl TimedChain {
    fn new() -> Self {
        let rule = rule();
        let start = UnixMillis(1_800_000_000_000);
        Self { rule, target: Target(0x1d00_ffff), timestamp: start, interval: rule.spacing, now: start }
    }

    /// Mines a block and returns its miner's index. The hazard is the sum of rate / work over the passing time.
    fn mine(&mut self, miners: &[TimedMiner], random: &mut SolveTimes) -> usize {
        let mut left = random.exponential();
        loop {
            let attempts: Vec<(UnixMillis, Target, f64)> = miners
                .iter()
                .map(|miner| {
                    let timestamp = UnixMillis((self.now.0 + miner.ahead).max(self.timestamp.0));
                    let target =
                        self.rule.target_after(self.target, self.interval, timestamp.saturating_since(self.timestamp));
                    (timestamp, target, miner.rate / target.work().0 as f64)
                })
                .collect();
            let hazard: f64 = attempts.iter().map(|attempt| attempt.2).sum();
            if left > hazard * RENEWAL_MILLIS as f64 {
                left -= hazard * RENEWAL_MILLIS as f64;
                self.now.0 += RENEWAL_MILLIS;
                continue;
            }
            self.now.0 += (left / hazard) as u64;
            let mut pick = random.unit() * hazard;
            let winner = attempts
                .iter()
                .position(|attempt| {
                    pick -= attempt.2;
                    pick <= 0.0
                })
                .unwrap_or(attempts.len() - 1);
            self.interval = attempts[winner].0.saturating_since(self.timestamp);
            (self.timestamp, self.target) = (attempts[winner].0, attempts[winner].1);
            return winner;
        }
    }
}

/// The rate of one miner that finds a block every 10 s at difficulty 1.
fn whole_rate() -> f64 {
    Target(0x1d00_ffff).work().0 as f64 / 10_000.0
}

#[test]
fn blocks_come_every_ten_seconds_on_average() {
    let mut chain = TimedChain::new();
    let mut random = SolveTimes(ChaCha20Rng::seed_from_u64(1));
    let miners = [TimedMiner { rate: whole_rate(), ahead: 0 }];
    for _ in 0..200 {
        chain.mine(&miners, &mut random);
    }
    let start = chain.now.0;
    let blocks = 20_000;
    for _ in 0..blocks {
        chain.mine(&miners, &mut random);
    }
    let mean_seconds = (chain.now.0 - start) as f64 / f64::from(blocks) / 1000.0;
    assert!((9.8..=10.2).contains(&mean_seconds), "a block every {mean_seconds:.3} s");
}

#[test]
fn forward_dating_gains_under_two_percent() {
    let mut chain = TimedChain::new();
    let mut random = SolveTimes(ChaCha20Rng::seed_from_u64(2));
    let share = 0.30;
    let miners = [
        TimedMiner { rate: whole_rate() * (1.0 - share), ahead: 0 },
        TimedMiner { rate: whole_rate() * share, ahead: rule_future_millis() },
    ];
    let blocks = 40_000;
    let mut won = 0;
    for _ in 0..blocks {
        won += u32::from(chain.mine(&miners, &mut random) == 1);
    }
    let share_won = f64::from(won) / f64::from(blocks);
    assert!(
        (share - 0.01..share + 0.02).contains(&share_won),
        "{share_won:.4} of the blocks with {share} of the hash rate"
    );
}

fn rule_future_millis() -> u64 {
    Parameters::lan().future_time_max.0
}

/// A network that lost its miners, or most of them, needs minutes to recover, not days.
#[test]
fn a_lone_machine_wakes_a_network_that_lost_the_rest() {
    let mut firsts: Vec<u64> = (0..12)
        .map(|seed| {
            let mut chain = TimedChain::new();
            let mut random = SolveTimes(ChaCha20Rng::seed_from_u64(100 + seed));
            let start = chain.now.0;
            chain.mine(&[TimedMiner { rate: whole_rate() / 143.0, ahead: 0 }], &mut random);
            chain.now.0 - start
        })
        .collect();
    firsts.sort_unstable();
    let (median, worst) = (firsts[6] / 1000, firsts[11] / 1000);
    assert!(median < 600 && worst < 1200, "first block after {median} s, at worst {worst} s");
}
