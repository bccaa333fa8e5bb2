//! 8 values at once: AVX2.

use std::arch::x86_64::*;

use super::fixed::Fixed;
use super::lanes::{eight_rounds, round, scan};

type Vector = __m256i;

scan!("avx2", 8);

/// `first` and those after it, as words of the message: their bytes are the other way round.
#[inline]
#[target_feature(enable = "avx2")]
fn count_up(first: u32) -> Vector {
    let counters = add(splat(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    let swapped = _mm256_broadcastsi128_si256(_mm_set_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203));
    _mm256_shuffle_epi8(counters, swapped)
}

/// Which lanes are at most this, the first one in the lowest bit.
#[inline]
#[target_feature(enable = "avx2")]
fn at_most(vector: Vector, bound: u32) -> u32 {
    let is_at_most = _mm256_cmpeq_epi32(_mm256_min_epu32(vector, splat(bound)), vector);
    _mm256_movemask_ps(_mm256_castsi256_ps(is_at_most)).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> Vector {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(one: Vector, other: Vector) -> Vector {
    _mm256_add_epi32(one, other)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(one: Vector, other: Vector) -> Vector {
    _mm256_xor_si256(one, other)
}

/// Rotates right; `LEFT` is 32 less the bits.
#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const RIGHT: i32, const LEFT: i32>(word: Vector) -> Vector {
    const { assert!(RIGHT + LEFT == 32) };
    xor(_mm256_srli_epi32::<RIGHT>(word), _mm256_slli_epi32::<LEFT>(word))
}

#[inline]
#[target_feature(enable = "avx2")]
fn ch(e: Vector, f: Vector, g: Vector) -> Vector {
    xor(g, _mm256_and_si256(e, xor(f, g)))
}

/// `b ^ c` is the `a ^ b` of the round before, which the compiler sees.
#[inline]
#[target_feature(enable = "avx2")]
fn maj(a: Vector, b: Vector, c: Vector) -> Vector {
    xor(b, _mm256_and_si256(xor(a, b), xor(b, c)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn big_sigma_0(word: Vector) -> Vector {
    xor(xor(rotate::<2, 30>(word), rotate::<13, 19>(word)), rotate::<22, 10>(word))
}

#[inline]
#[target_feature(enable = "avx2")]
fn big_sigma_1(word: Vector) -> Vector {
    xor(xor(rotate::<6, 26>(word), rotate::<11, 21>(word)), rotate::<25, 7>(word))
}

#[inline]
#[target_feature(enable = "avx2")]
fn small_sigma_0(word: Vector) -> Vector {
    xor(xor(rotate::<7, 25>(word), rotate::<18, 14>(word)), _mm256_srli_epi32(word, 3))
}

#[inline]
#[target_feature(enable = "avx2")]
fn small_sigma_1(word: Vector) -> Vector {
    xor(xor(rotate::<17, 15>(word), rotate::<19, 13>(word)), _mm256_srli_epi32(word, 10))
}
