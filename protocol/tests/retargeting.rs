//! The retargeting rule against simulated miners. Seeds are fixed, so every run sees the same chains.

use quipu_protocol::work::Retarget;
use quipu_protocol::{Network, Parameters, Target, UnixMillis};

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough for solve times.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From the open interval between 0 and 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Work, in hashes, until an event that comes once in a hash on average.
    fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }
}

fn rule() -> Retarget {
    Network::new(Parameters::lan()).expect("a preset is valid").retarget()
}

/// A miner renews the timestamp of its header, and with it the target, this often.
const RENEWAL_MILLIS: u64 = 500;

struct Miner {
    /// Hashes per millisecond.
    rate: f64,
    /// How far ahead of the true time its timestamps are, in milliseconds.
    ahead: u64,
}

struct Chain {
    rule: Retarget,
    target: Target,
    timestamp: UnixMillis,
    /// The true time.
    now: UnixMillis,
}

impl Chain {
    fn new() -> Self {
        let rule = rule();
        let start = UnixMillis(1_800_000_000_000);
        Self { rule, target: Target(0x1d00_ffff), timestamp: start, now: start }
    }

    /// Mines a block; tells by which miner. The hazard is the sum of rate / work over the time that passes.
    fn mine(&mut self, miners: &[Miner], random: &mut Random) -> usize {
        let mut left = random.exponential();
        loop {
            let attempts: Vec<(UnixMillis, Target, f64)> = miners
                .iter()
                .map(|miner| {
                    let timestamp = UnixMillis((self.now.0 + miner.ahead).max(self.timestamp.0));
                    let target = self.rule.target_after(self.target, self.timestamp, timestamp);
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
            (self.timestamp, self.target) = (attempts[winner].0, attempts[winner].1);
            return winner;
        }
    }
}

/// One miner that the rule gives a block every 10 s at difficulty 1.
fn whole_rate() -> f64 {
    Target(0x1d00_ffff).work().0 as f64 / 10_000.0
}

#[test]
fn blocks_come_every_ten_seconds_on_average() {
    let (mut chain, mut random) = (Chain::new(), Random(1));
    let miners = [Miner { rate: whole_rate(), ahead: 0 }];
    for _ in 0..200 {
        chain.mine(&miners, &mut random);
    }
    let (start, blocks) = (chain.now.0, 20_000);
    for _ in 0..blocks {
        chain.mine(&miners, &mut random);
    }
    let mean_seconds = (chain.now.0 - start) as f64 / f64::from(blocks) / 1000.0;
    assert!((9.8..=10.2).contains(&mean_seconds), "a block every {mean_seconds:.3} s");
}

#[test]
fn forward_dating_gains_under_three_percent() {
    let (mut chain, mut random) = (Chain::new(), Random(2));
    let share = 0.30;
    let miners = [
        Miner { rate: whole_rate() * (1.0 - share), ahead: 0 },
        Miner { rate: whole_rate() * share, ahead: rule_future_millis() },
    ];
    let (blocks, mut won) = (40_000, 0);
    for _ in 0..blocks {
        won += u32::from(chain.mine(&miners, &mut random) == 1);
    }
    let share_won = f64::from(won) / f64::from(blocks);
    assert!((share..share + 0.03).contains(&share_won), "{share_won:.4} of the blocks with {share} of the hash rate");
}

fn rule_future_millis() -> u64 {
    Parameters::lan().future_time_max.0
}

/// A night without miners, or the loss of most of them, costs minutes, not days.
#[test]
fn a_lone_machine_wakes_a_network_that_lost_the_rest() {
    let mut firsts: Vec<u64> = (0..12)
        .map(|seed| {
            let (mut chain, mut random) = (Chain::new(), Random(100 + seed));
            let start = chain.now.0;
            chain.mine(&[Miner { rate: whole_rate() / 143.0, ahead: 0 }], &mut random);
            chain.now.0 - start
        })
        .collect();
    firsts.sort_unstable();
    let (median, worst) = (firsts[6] / 1000, firsts[11] / 1000);
    assert!(median < 600 && worst < 1200, "first block after {median} s, at worst {worst} s");
}
