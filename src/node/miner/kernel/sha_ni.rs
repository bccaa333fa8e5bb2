//! Four values at once: the SHA instructions of x86, which do two rounds each. One alone would wait for the result
//! of each instruction; four take turns.
//!
//! The instructions keep `a, b, e, f` in one vector and `c, d, g, h` in another, the first of them in the highest lane.

use std::arch::x86_64::*;

use super::fixed::Fixed;

const STREAMS: usize = 4;

/// Tries values of the varying word: see [`Kernel::scan`](super::Kernel::scan).
#[target_feature(enable = "sha,sse4.1")]
pub(super) fn scan(midstate: &[u32; 8], block: &[u8; 64], first: u32, count: u32, bound: u32) -> Option<u32> {
    let fixed = Fixed::new(midstate, block);
    for done in (0..count).step_by(STREAMS) {
        let hits = at_most(first_word(&fixed, first.wrapping_add(done)), bound);
        if hits != 0 {
            // The last ones may be behind the end.
            return Some(done + hits.trailing_zeros()).filter(|hit| *hit < count);
        }
    }
    None
}

/// The first word of the hash, for this value of the varying word and those after it, one in each lane.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn first_word(fixed: &Fixed, first: u32) -> __m128i {
    let Fixed { addends, schedule, .. } = fixed;
    let (mut states, mut words) = begin(fixed, first);
    macro_rules! rounds {
        ($t:literal) => {
            let addends = four_of(addends, $t);
            for (state, words) in states.iter_mut().zip(&mut words) {
                if $t >= 24 {
                    words[$t / 4 % 4] = next_words::<$t>(words, four_of(schedule, $t));
                }
                let sum = match $t {
                    ..20 => addends,
                    // Words 20 and 21 are among the addends.
                    20 => _mm_add_epi32(addends, high_half(words[1])),
                    _ => _mm_add_epi32(addends, words[$t / 4 % 4]),
                };
                let (abef, cdgh) = *state;
                let middle = _mm_sha256rnds2_epu32(cdgh, abef, sum);
                *state = (_mm_sha256rnds2_epu32(abef, middle, _mm_shuffle_epi32(sum, 0b00_00_11_10)), middle);
            }
        };
    }
    rounds!(8);
    rounds!(12);
    rounds!(16);
    rounds!(20);
    rounds!(24);
    rounds!(28);
    rounds!(32);
    rounds!(36);
    rounds!(40);
    rounds!(44);
    rounds!(48);
    rounds!(52);
    rounds!(56);
    rounds!(60);
    let [one, two, three, four] = states.map(|(abef, _)| abef);
    _mm_unpackhi_epi64(_mm_unpackhi_epi32(one, two), _mm_unpackhi_epi32(three, four))
}

/// The state of each stream after round 7, and its words of the schedule: 16 of them, each four in the place that
/// their number modulo 16 gives. Words 20 to 23 are the first that are there.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn begin(
    Fixed { start, schedule, .. }: &Fixed,
    first: u32,
) -> ([(__m128i, __m128i); STREAMS], [[__m128i; 4]; STREAMS]) {
    let [a, b, c, d, e, f, g, h] = start;
    let mut states = [(four([f, e, b, a]), four([h, g, d, c])); STREAMS];
    let mut words = [[_mm_setzero_si128(); 4]; STREAMS];
    let (varying, sigma) = varying(first);
    let (low, high) = (_mm_unpacklo_epi32(sigma, varying), _mm_unpackhi_epi32(sigma, varying));
    // In the highest lane the varying word of a stream, below it what it adds to word 22.
    let pairs = [_mm_slli_si128(low, 8), low, _mm_slli_si128(high, 8), high];
    for ((state, words), pair) in states.iter_mut().zip(&mut words).zip(pairs) {
        let to_a_and_e = _mm_blend_epi16(_mm_setzero_si128(), _mm_shuffle_epi32(pair, 0b11_11_11_11), 0b1100_1100);
        state.0 = _mm_add_epi32(state.0, to_a_and_e);
        words[1] = _mm_add_epi32(four_of(schedule, 20), high_half(pair));
    }
    (states, words)
}

/// Words `T` to `T + 3` of the schedule; `fixed` is their part that does not vary.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn next_words<const T: usize>(words: &[__m128i; 4], fixed: __m128i) -> __m128i {
    let place = T / 4;
    // In the place of the new ones are those from 16 words before.
    let (oldest, after) = (words[place % 4], words[(place + 1) % 4]);
    let (before, newest) = (words[(place + 2) % 4], words[(place + 3) % 4]);
    let seven_before = _mm_alignr_epi8(newest, before, 4);
    let sum = match T {
        24 => fixed,
        // Word 21, seven before word 28, is part of what is fixed.
        28 => _mm_add_epi32(fixed, _mm_blend_epi16(_mm_setzero_si128(), seven_before, 0b1111_1100)),
        32 => _mm_add_epi32(fixed, seven_before),
        _ => _mm_add_epi32(_mm_sha256msg1_epu32(oldest, after), seven_before),
    };
    _mm_sha256msg2_epu32(sum, newest)
}

/// The two highest lanes, and zeros.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn high_half(vector: __m128i) -> __m128i {
    _mm_blend_epi16(_mm_setzero_si128(), vector, 0b1111_0000)
}

/// Four values of the varying word from this one on, and their `small sigma 0`, for one nonce in each lane.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn varying(first: u32) -> (__m128i, __m128i) {
    let counters = _mm_add_epi32(_mm_set1_epi32(first.cast_signed()), _mm_setr_epi32(0, 1, 2, 3));
    let swapped = _mm_set_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let words = _mm_shuffle_epi8(counters, swapped);
    let by_7 = _mm_xor_si128(_mm_srli_epi32(words, 7), _mm_slli_epi32(words, 25));
    let by_18 = _mm_xor_si128(_mm_srli_epi32(words, 18), _mm_slli_epi32(words, 14));
    (words, _mm_xor_si128(_mm_xor_si128(by_7, by_18), _mm_srli_epi32(words, 3)))
}

/// Which lanes are at most this, the first one in the lowest bit.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn at_most(vector: __m128i, bound: u32) -> u32 {
    let least = _mm_min_epu32(vector, _mm_set1_epi32(bound.cast_signed()));
    _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(least, vector))).cast_unsigned()
}

/// These words from `at` on, the first one in the lowest lane.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn four_of(words: &[u32], at: usize) -> __m128i {
    four([&words[at], &words[at + 1], &words[at + 2], &words[at + 3]])
}

#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn four(words: [&u32; 4]) -> __m128i {
    let [a, b, c, d] = words.map(|word| word.cast_signed());
    _mm_setr_epi32(a, b, c, d)
}
