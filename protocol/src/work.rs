//! Proof of work: targets, the work that they stand for, and retargeting to the hash rate.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use bincode::{Decode, Encode};
use ethnum::U256;
use serde::{Deserialize, Serialize};

use crate::hash::BlockId;
use crate::time::Millis;

/// The bound that a block's id must not exceed, in Bitcoin's compact form: the top byte is an exponent
/// `e`, the low 23 bits a mantissa `m`, the bound is `m * 256^(e - 3)`.
///
/// Not every `u32` is a target. [`Target::expand`] is `None` for zero, for the sign bit, for more than 256 bits, for a
/// bound below 2^160, and for a mantissa that is shorter than it can be (so every bound has one compact form).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(pub u32);

/// No target is below 2^160: the work of a block stays under 2^96, and the sum over 2^32 blocks under 2^128.
const HARDEST: U256 = U256::from_words(1 << 32, 0);

impl Target {
    /// The hardest target there is, 2^160.
    pub const HARDEST: Self = Self(0x1501_0000);

    /// The bound as a 256-bit number, or `None` if this is not the compact form of one.
    pub fn expand(self) -> Option<U256> {
        let (exponent, mantissa) = (self.0 >> 24, self.0 & 0x007f_ffff);
        let negative = self.0 & 0x0080_0000 != 0;
        if negative || !(3..=33).contains(&exponent) {
            return None;
        }
        let shift = 8 * (exponent - 3);
        let bound = U256::from(mantissa).checked_shl(shift).filter(|bound| bound >> shift == U256::from(mantissa))?;
        (bound >= HARDEST && Self::compress(bound) == self).then_some(bound)
    }

    /// The compact form of the largest representable bound that is not above `bound`.
    pub fn compress(bound: U256) -> Self {
        let bytes = (256 - bound.leading_zeros()).div_ceil(8);
        let mantissa = if bytes <= 3 { bound << (8 * (3 - bytes)) } else { bound >> (8 * (bytes - 3)) }.as_u32();
        // The mantissa's top bit is a sign in this format, so a mantissa that has it set moves down a byte.
        if mantissa & 0x0080_0000 != 0 { Self((bytes + 1) << 24 | mantissa >> 8) } else { Self(bytes << 24 | mantissa) }
    }

    /// Whether a block with this id has the work that the target asks for.
    pub fn is_met_by(self, id: &BlockId) -> bool {
        self.expand().is_some_and(|bound| U256::from_be_bytes(id.0) <= bound)
    }

    /// The expected number of hashes to meet this target: floor(2^256 / (bound + 1)). Zero if it is not a target.
    pub fn work(self) -> Work {
        let Some(bound) = self.expand() else { return Work::ZERO };
        // 2^256 does not fit, but floor(2^256 / (b + 1)) = floor((2^256 - 1 - b) / (b + 1)) + 1.
        bound.checked_add(U256::ONE).map_or(Work(1), |divisor| Work((!bound / divisor + U256::ONE).as_u128()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// Accumulated proof of work: the expected number of hashes to make a chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Work(pub u128);

impl Work {
    /// Zero work.
    pub const ZERO: Self = Self(0);
}

impl Add for Work {
    type Output = Self;
    /// Saturates, which the bound on targets puts out of reach of chains below 2^32 blocks.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Self>>(works: I) -> Self {
        works.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The retargeting rule of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retarget {
    /// The wanted time between blocks.
    pub spacing: Millis,
    /// A parent that came late by this much gives its child twice its own target. Zero fixes the target.
    pub half_life: Millis,
    /// The time since its parent from which on a block's own time counts at once, and no longer only for its child.
    pub grace: Millis,
    /// The easiest target: no block's target is easier.
    pub easiest: Target,
}

impl Retarget {
    /// The target of a block that comes `since` its parent, which has this target and came `before` since its own parent.
    ///
    /// target = parent's target * 2^((min(before, grace) - spacing + max(0, since - grace)) / half life), between
    /// [`Target::HARDEST`] and [`Retarget::easiest`]. This is ASERT (Mark B. Lundeberg, "Static difficulty
    /// adjustments, with absolutely scheduled exponentially rising targets", 2020; aserti3-2d of Bitcoin Cash) taken
    /// from the parent instead of an anchor, with the same integer arithmetic: a cubic approximation of 2^x with 16
    /// bits after the point.
    ///
    /// Up to the grace, a block's own time counts for its child alone. So siblings have the same work whatever time they
    /// claim, and nobody gains by dating one back (Yaish, Stern and Zohar, "Uncle Maker", 2023). Beyond it, the time counts
    /// at once: a network that lost most of its machines finds its next block.
    pub fn target_after(&self, parent: Target, before: Millis, since: Millis) -> Target {
        let easiest = self.easiest.expand().expect("a network's easiest target is checked when it is made");
        if self.half_life == Millis(0) {
            return self.easiest;
        }
        let parent = parent.expand().expect("the parent's header was checked before it was built upon");
        let late = i128::from(before.min(self.grace).0) - i128::from(self.spacing.0)
            + i128::from(since.0.saturating_sub(self.grace.0));
        let exponent = (late << 16).div_euclid(i128::from(self.half_life.0));
        let (shift, fraction) = (exponent >> 16, (exponent & 0xffff) as u64);

        let cubic = 195_766_423_245_049_u128 * u128::from(fraction)
            + 971_821_376_u128 * u128::from(fraction).pow(2)
            + 5_127_u128 * u128::from(fraction).pow(3)
            + (1_u128 << 47);
        let factor = 65_536_u128 + (cubic >> 48);

        // The factor carries 16 bits after the point.
        let shift = shift - 16;
        let target =
            if shift >= 0 { scale_up(parent, factor, shift) } else { scale_down(parent, factor, shift.unsigned_abs()) };
        Target::compress(target.clamp(HARDEST, easiest))
    }
}

/// bound * factor * 2^shift, saturating.
fn scale_up(bound: U256, factor: u128, shift: i128) -> U256 {
    bound
        .checked_mul(U256::from(factor))
        .filter(|product| i128::from(product.leading_zeros()) >= shift)
        .map_or(U256::MAX, |product| product << shift as u32)
}

/// floor(bound * factor / 2^shift), saturating. The product may need 17 bits more than 256.
fn scale_down(bound: U256, factor: u128, shift: u128) -> U256 {
    let (low, high) = (bound & U256::from(u128::MAX), bound >> 128);
    let low = low * U256::from(factor);
    let high = high * U256::from(factor) + (low >> 128);
    let low = low & U256::from(u128::MAX);
    // The product is high * 2^128 + low, with high below 2^145.
    if shift >= 384 {
        return U256::ZERO;
    }
    let shift = shift as u32;
    if shift >= 128 {
        high >> (shift - 128)
    } else if (high >> shift) >> 128 != U256::ZERO {
        U256::MAX
    } else {
        (high << (128 - shift)) | (low >> shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: Retarget = Retarget {
        spacing: Millis(10_000),
        half_life: Millis(180_000),
        grace: Millis(60_000),
        easiest: Target(0x1e03_ffff),
    };

    fn ratio(after: Target, before: Target) -> f64 {
        let float = |target: Target| target.expand().expect("valid").as_f64();
        float(after) / float(before)
    }

    #[test]
    fn compact_form() {
        for compact in [0x1d00_ffff, 0x1e03_ffff, 0x207f_ffff, 0x2100_ffff, Target::HARDEST.0, 0x1501_2345] {
            let bound = Target(compact).expand().unwrap_or_else(|| panic!("{compact:#x} is a target"));
            assert_eq!(Target::compress(bound), Target(compact));
        }
        assert_eq!(Target(0x1d00_ffff).expand(), Some(U256::from(0xffff_u32) << 208));
    }

    #[test]
    fn invalid_targets() {
        // Zero, a sign, a short mantissa, too many bits, below 2^160.
        for compact in [0, 0x1d00_0000, 0x1d80_ffff, 0x1e00_00ff, 0x2200_ffff, 0x2101_0000, 0x1500_ffff, 0xffff_ffff] {
            assert_eq!(Target(compact).expand(), None, "{compact:#x}");
            assert!(!Target(compact).is_met_by(&BlockId([0; 32])));
            assert_eq!(Target(compact).work(), Work::ZERO);
        }
    }

    #[test]
    fn work_is_the_expected_number_of_hashes() {
        assert_eq!(Target(0x1d00_ffff).work(), Work(0x1_0001_0001)); // Bitcoin's difficulty 1
        assert_eq!(Target(0x207f_ffff).work(), Work(2));
        assert_eq!(Target(0x2100_ffff).work(), Work(1));
        assert!(Target::HARDEST.work() <= Work(1 << 96));
    }

    #[test]
    fn the_bound_itself_is_met() {
        let target = Target(0x1e03_ffff);
        let bound = target.expand().expect("valid");
        assert!(target.is_met_by(&BlockId(bound.to_be_bytes())));
        assert!(!target.is_met_by(&BlockId((bound + U256::ONE).to_be_bytes())));
    }

    fn after(rule: Retarget, parent: Target, before: u64, since: u64) -> Target {
        rule.target_after(parent, Millis(before), Millis(since))
    }

    #[test]
    fn the_target_follows_the_time_that_the_parent_took() {
        let parent = Target(0x1c12_3456);
        assert_eq!(after(LAN, parent, 10_000, 10_000), parent);
        for (before, want) in [(0, 0.9622), (55_000, 1.1892), (60_000, 1.2123), (u64::MAX, 1.2123)] {
            let got = ratio(after(LAN, parent, before, 10_000), parent);
            assert!((got / want - 1.0).abs() < 2e-4, "{before} ms: {got} instead of {want}");
        }
    }

    #[test]
    fn the_own_time_counts_only_beyond_the_grace() {
        let parent = Target(0x1c12_3456);
        for since in [0, 10_000, 60_000] {
            assert_eq!(after(LAN, parent, 10_000, since), parent, "{since} ms");
        }
        for (since, want) in [(240_000, 2.0), (420_000, 4.0), (150_000, std::f64::consts::SQRT_2)] {
            let got = ratio(after(LAN, parent, 10_000, since), parent);
            assert!((got / want - 1.0).abs() < 2e-4, "{since} ms: {got} instead of {want}");
        }
    }

    #[test]
    fn every_millisecond_counts_once() {
        // At the block itself what is beyond the grace, at its child the rest.
        let widest = Retarget { easiest: Target(0x2100_ffff), ..LAN };
        for late in [0, 9_000, 60_000, 61_000, 250_000] {
            let start = Target(0x1c12_3456);
            let block = after(widest, start, 10_000, late);
            let child = after(widest, block, late, 10_000);
            let want = 2_f64.powf((late as f64 - 10_000.0) / 180_000.0);
            assert!((ratio(child, start) / want - 1.0).abs() < 4e-4, "{late} ms");
        }
    }

    #[test]
    fn the_target_is_clamped_at_both_ends() {
        let year = 365 * 86_400_000;
        assert_eq!(after(LAN, Target(0x1c12_3456), 10_000, year), LAN.easiest);
        assert_eq!(after(LAN, LAN.easiest, u64::MAX, u64::MAX), LAN.easiest);
        assert_eq!(after(LAN, Target::HARDEST, 0, 0), Target::HARDEST);
    }

    #[test]
    fn wide_bounds_do_not_overflow() {
        let all = Retarget { easiest: Target(0x2100_ffff), ..LAN };
        for before in [0, 5_000, 10_000, 10_001, 60_000, 190_000, 10_000_000] {
            let target = after(all, Target(0x2100_ffff), before, 0);
            assert_eq!(target == all.easiest, before >= 10_000, "{before}");
        }
        let ratio = ratio(after(all, Target(0x207f_ffff), 0, 0), Target(0x207f_ffff));
        assert!((ratio / 0.9622 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_fixed_difficulty_stays() {
        let fixed = Retarget { half_life: Millis(0), ..LAN };
        assert_eq!(after(fixed, LAN.easiest, 0, 0), LAN.easiest);
    }
}
