//! Targets, work and retargeting, by sections 5 and 6, in numbers of 256 bits.

use ethnum::U256;

/// A hash as a big-endian number.
pub(super) fn number(hash: &[u8; 32]) -> U256 {
    U256::from_be_bytes(*hash)
}

/// The bound that a target stands for. `None` if it is not a target.
pub(super) fn expand(compact: u32) -> Option<U256> {
    let (exponent, mantissa) = (compact >> 24, compact & 0x7f_ffff);
    if compact & 0x80_0000 != 0 || !(3..=33).contains(&exponent) {
        return None;
    }
    let bound = scale(u128::from(mantissa), 8 * (i128::from(exponent) - 3))?;
    (bound >= hardest() && compress(bound) == compact).then_some(bound)
}

/// The largest target whose bound does not exceed `bound`, which is 2^160 or more.
fn compress(bound: U256) -> u32 {
    let mut length = (256 - bound.leading_zeros()).div_ceil(8);
    let mut mantissa = (bound >> (8 * (length - 3))).as_u32();
    if mantissa & 0x80_0000 != 0 {
        mantissa >>= 8;
        length += 1;
    }
    length << 24 | mantissa
}

/// The expected number of hashes for a target: floor(2^256 / (bound + 1)).
pub(super) fn work(target: u32) -> u128 {
    let bound = expand(target).expect("R5 holds");
    // 2^256 does not fit the type: one divisor is subtracted before the division and counted after it.
    ((U256::MAX - bound) / (bound + 1) + 1).as_u128()
}

/// The parameters of retargeting; times in milliseconds.
pub(super) struct Spaced {
    pub(super) spacing: u64,
    pub(super) half_life: u64,
    pub(super) grace: u64,
    pub(super) easiest: u32,
}

impl Spaced {
    /// `before` is the time from the parent's parent to the parent, `since` that from the parent to the block.
    pub(super) fn target_after(&self, parent_target: u32, before: u64, since: u64) -> u32 {
        if self.half_life == 0 {
            return self.easiest;
        }
        let [before, since, grace, spacing] = [before, since, self.grace, self.spacing].map(i128::from);
        let late = before.min(grace) - spacing + (since - grace).max(0);
        // The divisors are positive, so the Euclidean quotient is the one towards minus infinity.
        let x = (late * 65536).div_euclid(i128::from(self.half_life));
        let shift = x.div_euclid(65536);
        let f = (x - shift * 65536) as u128;
        let curve = 195_766_423_245_049 * f + 971_821_376 * f.pow(2) + 5127 * f.pow(3) + (1 << 47);
        let factor = 65536 + (curve >> 48);
        let (exponent, mantissa) = (parent_target >> 24, parent_target & 0x7f_ffff);
        let product = u128::from(mantissa) * factor;
        let easiest = expand(self.easiest).expect("a network's easiest target is a target");
        match scale(product, 8 * (i128::from(exponent) - 3) + shift - 16) {
            Some(bound) => compress(bound.max(hardest()).min(easiest)),
            None => self.easiest,
        }
    }
}

fn hardest() -> U256 {
    U256::ONE << 160
}

/// floor(mantissa × 2^exponent); `None` if that is 2^256 or more.
fn scale(mantissa: u128, exponent: i128) -> Option<U256> {
    let bits = i128::from(128 - mantissa.leading_zeros());
    if mantissa == 0 || bits + exponent <= 0 {
        return Some(U256::ZERO);
    }
    if bits + exponent > 256 {
        return None;
    }
    let mantissa = U256::from(mantissa);
    let by = exponent.unsigned_abs() as u32;
    Some(if exponent >= 0 { mantissa << by } else { mantissa >> by })
}
