//! The search for a nonce in one header: which nonces are tried in which order, and which of them meets the target.
//!
//! An attempt is one SHA-256 compression: the first 64 of a header's 96 bytes are the same for all nonces, so their
//! state is kept. A nonce is the last 8 bytes, which are words 6 and 7 of the second block; of these, word 7 runs
//! first, since the later a word changes, the more of the work is the same for all attempts. Threads are not known
//! here.

use std::ops::Range;

use sha2::block_api::compress256;

use super::kernel::{Kernel, VARYING_WORD};
use crate::protocol::block::HEADER_BYTES;
use crate::protocol::{BlockId, Header, Target};

/// This many bits of a nonce's upper half run first, then its lower half, then the rest of the upper one. So nonces
/// stay below 2^53 for some years of searching, and JSON readers get them exactly.
const RUN_BITS: u32 = 21;
/// Attempts that differ in the first running bits alone.
const RUN: u64 = 1 << RUN_BITS;

/// A header whose nonce is searched for.
///
/// All nonces are numbered in the order in which they are tried; the number is that of an attempt.
#[derive(Debug, Clone)]
pub struct Search {
    /// SHA-256's state after the header's first 64 bytes.
    midstate: [u32; 8],
    /// The last block of the padded header.
    block: [u8; 64],
    target: Target,
    /// The first 64 bits of the bound, which decide nearly all hashes.
    bound_top: u64,
}

impl Search {
    /// Where the nonce is in the last block.
    const NONCE_AT: usize = HEADER_BYTES - 64 - 8;

    /// `None` if the target is invalid, so that no hash meets it.
    pub fn new(header: &Header) -> Option<Self> {
        /// FIPS 180-4, section 5.3.3.
        const INITIAL: [u32; 8] =
            [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
        let bound = header.target.expand()?.to_be_bytes();
        let bytes = header.to_bytes();
        let (head, rest) = bytes.split_first_chunk::<64>().expect("a header has 96 bytes");
        let mut midstate = INITIAL;
        compress256(&mut midstate, std::slice::from_ref(head));
        let mut block = [0; 64];
        block[..rest.len()].copy_from_slice(rest);
        block[rest.len()] = 0x80;
        block[56..].copy_from_slice(&(8 * HEADER_BYTES as u64).to_be_bytes());
        let bound_top = u64::from_be_bytes(*bound.first_chunk().expect("256 bits hold 64"));
        Some(Self { midstate, block, target: header.target, bound_top })
    }

    /// The nonce that an attempt tries. Every nonce has one attempt.
    pub fn nonce(attempt: u64) -> u64 {
        let (first, rest) = (attempt % RUN, attempt >> RUN_BITS);
        let (lower, last) = (rest & u64::from(u32::MAX), rest >> 32);
        (last << RUN_BITS | first) << 32 | lower
    }

    /// The first of these attempts whose nonce has the work that the target asks for.
    pub fn find(&self, kernel: Kernel, attempts: Range<u64>) -> Option<u64> {
        let bound = (self.bound_top >> 32) as u32;
        let mut next = attempts.start;
        while next < attempts.end {
            let count = (RUN - next % RUN).min(attempts.end - next);
            let block = self.block_with(Self::nonce(next));
            let varying = block[4 * VARYING_WORD..].first_chunk().expect("a block has more words");
            let hit = kernel.scan(&self.midstate, &block, u32::from_le_bytes(*varying), count as u32, bound);
            next += hit.map_or(count, u64::from);
            if hit.is_some() {
                if self.meets(next) {
                    return Some(next);
                }
                next += 1;
            }
        }
        None
    }

    /// Whether the nonce of this attempt has the work that the target asks for.
    pub(super) fn meets(&self, attempt: u64) -> bool {
        let mut state = self.midstate;
        compress256(&mut state, &[self.block_with(Self::nonce(attempt))]);
        let top = u64::from(state[0]) << 32 | u64::from(state[1]);
        top <= self.bound_top && self.target.is_met_by(&id_of(&state))
    }

    fn block_with(&self, nonce: u64) -> [u8; 64] {
        let mut block = self.block;
        block[Self::NONCE_AT..][..8].copy_from_slice(&nonce.to_le_bytes());
        block
    }
}

fn id_of(state: &[u32; 8]) -> BlockId {
    let mut id = [0; 32];
    for (bytes, word) in id.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    BlockId(id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::protocol::block::VERSION;
    use crate::protocol::{Height, LeafHash, UnixMillis};
    use crate::random::Random;

    fn header(random: &mut Random, target: Target) -> Header {
        let mut hash = || std::array::from_fn(|_| random.bits() as u8);
        let (parent, root) = (BlockId(hash()), LeafHash(hash()));
        let (height, timestamp) = (Height(random.bits()), UnixMillis(random.bits()));
        Header { version: VERSION, height, parent, root, timestamp, target, nonce: random.bits() }
    }

    #[test]
    fn every_kernel_finds_all_nonces_that_the_rule_accepts() {
        // Nearly all nonces, one in 16 and one in 256; with bounds on both sides of the shortcuts.
        let targets = [0x2100_ffff, 0x200f_ffff, 0x2010_0000, 0x2000_ffff].map(Target);
        for kernel in Kernel::offered() {
            let mut random = Random::new(2);
            for case in 0..120 {
                let mut header = header(&mut random, targets[case % 4]);
                let search = Search::new(&header).expect("a target");
                // Over the end of a run, of all runs of 53 bits, of none.
                let start = match case % 3 {
                    0 => (1 + random.below(1 << 32)) * RUN - random.below(100),
                    1 => (1 << 53) - random.below(100),
                    _ => random.bits() >> 1,
                };
                let attempts = start..start + random.below(200);
                let mut found = Vec::new();
                let mut rest = attempts.clone();
                while let Some(attempt) = search.find(kernel, rest.clone()) {
                    found.push(attempt);
                    rest.start = attempt + 1;
                }
                let accepted = attempts.filter(|attempt| {
                    header.nonce = Search::nonce(*attempt);
                    header.target.is_met_by(&header.id())
                });
                assert_eq!(found, accepted.collect::<Vec<_>>(), "{kernel:?}, case {case}");
            }
        }
    }

    #[test]
    fn one_attempt_agrees_with_the_rule() {
        let mut random = Random::new(3);
        for target in [0x2100_ffff, 0x200f_ffff, 0x2000_ffff].map(Target) {
            let mut header = header(&mut random, target);
            let search = Search::new(&header).expect("a target");
            for attempt in (0..1000).chain(u64::MAX - 500..=u64::MAX) {
                header.nonce = Search::nonce(attempt);
                assert_eq!(search.meets(attempt), target.is_met_by(&header.id()), "{target} {attempt}");
            }
        }
    }

    #[test]
    fn every_nonce_has_one_attempt() {
        // Each bit of an attempt is one of the nonce, all of them different.
        let places: BTreeSet<u32> = (0..64).map(|bit| Search::nonce(1 << bit).trailing_zeros()).collect();
        assert!((0..64).all(|bit| Search::nonce(1 << bit).is_power_of_two()) && places.len() == 64);
        let mut random = Random::new(4);
        for _ in 0..1000 {
            let (one, other) = (random.bits(), random.bits());
            assert_eq!(Search::nonce(one) ^ Search::nonce(other), Search::nonce(one ^ other), "bits move, no more");
        }
    }

    #[test]
    fn nonces_are_exact_in_json() {
        assert!([0, RUN - 1, RUN, (1 << 53) - 1].into_iter().all(|attempt| Search::nonce(attempt) < 1 << 53));
    }

    #[test]
    fn what_is_no_target_is_not_searched_for() {
        assert!(Search::new(&header(&mut Random::new(5), Target(0))).is_none());
    }
}
