//! The part of SHA-256 before the varying word of a header comes in, and constant sums for the part after it.
//!
//! The names and numbers are those of FIPS 180-4, section 6.2.2, for the second of a header's two message blocks. Only
//! its word 7 varies. It first matters in round 7, where it is merely added to `a` and `e`, and in the message schedule
//! from word 22 on; up to word 37 at least one of the four terms of a word does not depend on it.

use std::array;

use super::VARYING_WORD;

/// FIPS 180-4, section 4.2.2: the fractional parts of the cube roots of the first 64 primes.
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// The first word of the schedule that depends on the varying one.
const FIRST_VARIABLE: usize = 22;

/// Everything that does not depend on the varying word.
pub(super) struct Fixed {
    /// The working variables `a` to `h` after round 7. The varying word has to be added to `a` and `e`.
    pub start: [u32; 8],
    /// The constant addend of round `t` to `T1`: its constant, up to round 21 its word of the schedule
    /// too, and in the last round the first word of the midstate, so that `a` ends as the first word of the hash.
    pub addends: [u32; 64],
    /// Of word `t` of the schedule, the sum of the terms that don't vary. Up to word 21 that is all of it, from 38 on
    /// nothing.
    pub schedule: [u32; 64],
}

impl Fixed {
    /// From SHA-256's state after the first message block, and the second message block.
    pub(super) fn new(midstate: &[u32; 8], block: &[u8; 64]) -> Self {
        let mut schedule = [0; 64];
        for (word, bytes) in schedule.iter_mut().zip(block.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        schedule[VARYING_WORD] = 0;
        for t in 16..schedule.len() {
            let is_fixed = |word: usize| word < FIRST_VARIABLE && word != VARYING_WORD;
            let term = |word: usize, map: fn(u32) -> u32| if is_fixed(word) { map(schedule[word]) } else { 0 };
            let terms =
                [term(t - 2, small_sigma_1), term(t - 7, plain), term(t - 15, small_sigma_0), term(t - 16, plain)];
            schedule[t] = terms.into_iter().fold(0, u32::wrapping_add);
        }
        let mut addends = array::from_fn(|t| if t < FIRST_VARIABLE { K[t].wrapping_add(schedule[t]) } else { K[t] });
        let start = addends[..=VARYING_WORD].iter().fold(*midstate, round);
        addends[63] = addends[63].wrapping_add(midstate[0]);
        Self { start, addends, schedule }
    }
}

/// One round, which adds this to `T1`.
fn round([a, b, c, d, e, f, g, h]: [u32; 8], addend: &u32) -> [u32; 8] {
    let big_sigma_0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let big_sigma_1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let (ch, maj) = ((e & f) ^ (!e & g), (a & b) ^ (a & c) ^ (b & c));
    let t1 = h.wrapping_add(big_sigma_1).wrapping_add(ch).wrapping_add(*addend);
    let t2 = big_sigma_0.wrapping_add(maj);
    [t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g]
}

fn plain(word: u32) -> u32 {
    word
}

fn small_sigma_0(word: u32) -> u32 {
    word.rotate_right(7) ^ word.rotate_right(18) ^ (word >> 3)
}

fn small_sigma_1(word: u32) -> u32 {
    word.rotate_right(17) ^ word.rotate_right(19) ^ (word >> 10)
}
