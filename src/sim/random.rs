//! The only source of chance in a simulation. Integers only, so that every machine draws the same numbers.

pub use crate::random::Random;

/// ln 2, with 32 bits after the point.
const LN_2: u128 = 2_977_044_472;
/// Bits after the point of a logarithm.
const LOG_BITS: u32 = 24;

impl Random {
    /// Exponentially distributed with this mean, rounded down: the waiting time for an event whose chance is the same
    /// at any moment.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        // If u is uniform, -ln u is exponential.
        let minus_log = (64 << LOG_BITS) - log2(self.bits() | 1);
        let scaled = (u128::from(minus_log) * LN_2) >> LOG_BITS;
        ((scaled * u128::from(mean)) >> 32) as u64
    }

    /// Half of all draws are below the median, and about two thirds within `deviation` thousandths of a doubling of it
    /// (log-normal; the normal distribution is the sum of twelve uniform ones, so nothing deviates by more than six
    /// deviations).
    pub fn log_normal(&mut self, median: u64, deviation: u64) -> u64 {
        let sum: i128 = (0..12).map(|_| i128::from(self.bits() >> 48)).sum();
        let normal = sum - (6 << 16);
        let exponent = normal * i128::from(deviation) / 1000;
        let (shift, fraction) = (exponent >> 16, (exponent & 0xffff) as u128);
        // 2^fraction by the cubic of aserti3-2d, with 16 bits after the point.
        let cubic = 195_766_423_245_049 * fraction + 971_821_376 * fraction.pow(2) + 5_127 * fraction.pow(3);
        let product = (u128::from(median) * (65_536 + ((cubic + (1 << 47)) >> 48))) >> 16;
        let value = if shift >= 0 { product << shift.min(32) } else { product >> shift.unsigned_abs().min(127) };
        u64::try_from(value).unwrap_or(u64::MAX)
    }
}

/// log2 of a number above zero, with [`LOG_BITS`] bits after the point: each squaring yields one more.
fn log2(number: u64) -> u64 {
    let whole = 63 - number.leading_zeros();
    let mut mantissa = number << number.leading_zeros();
    let mut log = u64::from(whole);
    for _ in 0..LOG_BITS {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let above_two = square >> 64 != 0;
        mantissa = if above_two { (square >> 1) as u64 } else { square as u64 };
        log = log << 1 | u64::from(above_two);
    }
    log
}

/// Quantiles are given in parts of this number.
pub const MILLION: u64 = 1_000_000;

/// The distribution of a quantity, in whole units of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spread {
    /// Always the same value.
    Constant(u64),
    /// Anything from the first to the second value, both included.
    Uniform(u64, u64),
    /// Mostly near the median, rarely far above it, like latencies over an internet.
    LogNormal {
        /// Half of the values are below it.
        median: u64,
        /// The standard deviation, in thousandths of a doubling.
        deviation: u64,
    },
    /// Any of these values with equal chance, such as measurements.
    Table(Vec<u64>),
    /// Pairs of a part in millionths, from 0 to a million, and the value below which that part is; linear in between.
    Quantiles(Vec<(u64, u64)>),
}

impl Spread {
    /// Draws one value.
    ///
    /// # Panics
    /// If a table is empty, or a range ends before it begins; [`Setup::check`](super::setup::Setup::check) refuses
    /// both.
    pub fn draw(&self, random: &mut Random) -> u64 {
        match self {
            Self::Constant(value) => *value,
            Self::Uniform(low, high) => random.between(*low, *high),
            Self::LogNormal { median, deviation } => random.log_normal(*median, *deviation),
            Self::Table(values) => values[random.between(0, values.len() as u64 - 1) as usize],
            Self::Quantiles(points) => {
                let part = random.between(0, MILLION);
                let above = points.partition_point(|(quantile, _)| *quantile < part).max(1);
                let ((from, low), (to, high)) = (points[above - 1], points[above]);
                let value = u128::from(high - low) * u128::from(part - from) / u128::from(to - from);
                low + value as u64
            }
        }
    }

    /// Whether a value can be drawn.
    pub(crate) fn is_possible(&self) -> bool {
        match self {
            Self::Constant(_) | Self::LogNormal { .. } => true,
            Self::Uniform(low, high) => low <= high,
            Self::Table(values) => !values.is_empty(),
            Self::Quantiles(points) => {
                let ends = (points.first().map(|(first, _)| *first), points.last().map(|(last, _)| *last));
                let rises = |pair: &[(u64, u64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
                ends == (Some(0), Some(MILLION)) && points.windows(2).all(rises)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(mut draw: impl FnMut(&mut Random) -> u64) -> (u64, u64, u64) {
        let mut random = Random::new(5);
        let mut drawn: Vec<u64> = (0..20_001).map(|_| draw(&mut random)).collect();
        drawn.sort_unstable();
        (drawn[2_000], drawn[10_000], drawn[18_000])
    }

    fn is_near(found: u64, wanted: u64) -> bool {
        found.abs_diff(wanted) * 33 < wanted
    }

    #[test]
    fn waiting_times_are_exponential() {
        let (tenth, median, ninth) = quantiles(|random| random.exponential(100_000));
        assert!(
            is_near(tenth, 10_536) && is_near(median, 69_315) && is_near(ninth, 230_259),
            "{tenth} {median} {ninth}"
        );
    }

    #[test]
    fn a_log_normal_spread_doubles_with_each_deviation() {
        let (tenth, median, ninth) = quantiles(|random| random.log_normal(100_000, 1_000));
        // 2^1.2816 and its inverse.
        assert!(
            is_near(tenth, 41_135) && is_near(median, 100_000) && is_near(ninth, 243_100),
            "{tenth} {median} {ninth}"
        );
    }

    #[test]
    fn quantiles_are_met_and_joined_by_lines() {
        let spread = Spread::Quantiles(vec![(0, 10_000), (500_000, 30_000), (1_000_000, 130_000)]);
        assert!(spread.is_possible());
        let (tenth, median, ninth) = quantiles(|random| spread.draw(random));
        assert!(
            is_near(tenth, 14_000) && is_near(median, 30_000) && is_near(ninth, 110_000),
            "{tenth} {median} {ninth}"
        );
        for bad in [vec![], vec![(0, 1)], vec![(0, 5), (MILLION, 4)], vec![(0, 1), (0, 1), (MILLION, 4)]] {
            assert!(!Spread::Quantiles(bad).is_possible());
        }
    }

    #[test]
    fn logarithms_are_exact_for_powers_and_near_between() {
        assert_eq!((log2(1), log2(1 << 63)), (0, 63 << LOG_BITS));
        assert_eq!(log2(3) >> (LOG_BITS - 20), 1_661_953); // 1.5849625 * 2^20
    }
}
