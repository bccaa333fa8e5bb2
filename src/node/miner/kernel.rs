//! SHA-256 for a miner, as fast as each processor allows, behind one safe function.
//!
//! | kernel | at once | needs |
//! | --- | --- | --- |
//! | `avx512` | 16 | AVX-512 F and BW |
//! | `sha_ni` | 4 | the SHA instructions of x86 |
//! | `avx2` | 8 | AVX2 |
//! | `portable` | 1 | nothing |
//!
//! A kernel computes only the first word of each hash, which rules out nearly all nonces. The caller checks the rest
//! with `sha2`. All kernels give the same answers, and a kernel exists only if the processor has the instructions: the
//! one `unsafe` is here. Nonces, their order and targets are not known here.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod fixed;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod portable;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

/// The word of a message block that varies, as bytes 28 to 31: the last ones before the padding of a 96-byte message.
pub(super) const VARYING_WORD: usize = 7;

/// An implementation that this processor can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Way);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    ShaNi,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Kernel {
    /// All that this processor can run, fastest first.
    pub fn offered() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = [
            (Way::Avx512, is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")),
            (Way::ShaNi, is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1")),
            (Way::Avx2, is_x86_feature_detected!("avx2")),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [];
        vectors.into_iter().chain([(Way::Portable, true)]).filter(|(_, is_there)| *is_there).map(|(way, _)| Self(way))
    }

    /// The one to mine with. In an unoptimised build it is `portable`, because `sha2` is always optimised.
    pub fn fastest() -> Self {
        let portable = Self(Way::Portable);
        if cfg!(debug_assertions) { portable } else { Self::offered().next().unwrap_or(portable) }
    }

    /// The name in the module's table.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Way::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Way::ShaNi => "sha_ni",
            #[cfg(target_arch = "x86_64")]
            Way::Avx2 => "avx2",
            Way::Portable => "portable",
        }
    }

    /// Attempts between two checks for a new template: well below a millisecond of work.
    pub(super) fn attempts_between_looks(self) -> u32 {
        // 2 million a second without any SHA instructions, 25 million and more with vectors.
        if self.0 == Way::Portable { 1 << 10 } else { 1 << 14 }
    }

    /// Continues SHA-256 from the state `midstate` with `block`, in which [`VARYING_WORD`] is replaced by the bytes
    /// (little endian) of `first`, `first + 1`, ... (`count` values, wrapping). Returns the number of values before the
    /// first one for which the first word of the new state is at most `bound`.
    #[allow(unsafe_code)]
    pub(super) fn scan(self, midstate: &[u32; 8], block: &[u8; 64], first: u32, count: u32, bound: u32) -> Option<u32> {
        match self.0 {
            // SAFETY: only `offered` makes this variant, when the processor has all that the function is compiled for.
            #[cfg(target_arch = "x86_64")]
            Way::Avx512 => unsafe { avx512::scan(midstate, block, first, count, bound) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Way::ShaNi => unsafe { sha_ni::scan(midstate, block, first, count, bound) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Way::Avx2 => unsafe { avx2::scan(midstate, block, first, count, bound) },
            Way::Portable => portable::scan(midstate, block, first, count, bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::block_api::compress256;

    use super::*;
    use crate::random::Random;

    /// The contract of `scan`, word by word.
    fn expected(midstate: &[u32; 8], block: &[u8; 64], first: u32, count: u32, bound: u32) -> Option<u32> {
        (0..count).find(|done| {
            let mut block = *block;
            block[28..32].copy_from_slice(&first.wrapping_add(*done).to_le_bytes());
            let mut state = *midstate;
            compress256(&mut state, &[block]);
            state[0] <= bound
        })
    }

    #[test]
    fn every_kernel_finds_the_first_value_and_invents_none() {
        for kernel in Kernel::offered() {
            let mut random = Random::new(1);
            let (mut hits, mut misses) = (0, 0);
            for case in 0..400 {
                let midstate = std::array::from_fn(|_| random.bits() as u32);
                let block = std::array::from_fn(|_| random.bits() as u8);
                // Every eighth range goes over the end of 32 bits.
                let first = if case % 8 == 0 { u32::MAX - random.below(40) as u32 } else { random.bits() as u32 };
                let count = random.below(80) as u32;
                // From one value in two to one in 256.
                let bound = u32::MAX >> (1 + random.below(8));
                let found = kernel.scan(&midstate, &block, first, count, bound);
                assert_eq!(found, expected(&midstate, &block, first, count, bound), "{kernel:?}, case {case}");
                *if found.is_some() { &mut hits } else { &mut misses } += 1;
            }
            assert!(hits > 100 && misses > 50, "{kernel:?}: {hits} hits, {misses} misses");
        }
    }

    #[test]
    fn a_bound_is_met_by_its_equal() {
        for kernel in Kernel::offered() {
            let (midstate, block) = ([7; 8], [3; 64]);
            for value in 0..40 {
                let mut block = block;
                block[28..32].copy_from_slice(&u32::to_le_bytes(value));
                let mut state = midstate;
                compress256(&mut state, &[block]);
                assert_eq!(kernel.scan(&midstate, &block, value, 1, state[0]), Some(0), "{kernel:?} {value}");
                assert_eq!(kernel.scan(&midstate, &block, value, 1, state[0] - 1), None, "{kernel:?} {value}");
            }
        }
    }

    #[test]
    fn portable_is_always_offered_and_comes_last() {
        assert_eq!(Kernel::offered().last().map(Kernel::name), Some("portable"));
    }
}
