//! 16 values at once: AVX-512, which rotates and combines three operands in one instruction each.

use std::arch::x86_64::*;

use super::fixed::Fixed;
use super::lanes::{eight_rounds, round, scan};

type Vector = __m512i;

scan!("avx512f,avx512bw", 16);

/// `first` and those after it, as words of the message: their bytes are the other way round.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn count_up(first: u32) -> Vector {
    let counters = add(splat(first), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    let swapped = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    _mm512_shuffle_epi8(counters, swapped)
}

/// Which lanes are at most this, the first one in the lowest bit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn at_most(vector: Vector, bound: u32) -> u32 {
    _mm512_cmple_epu32_mask(vector, splat(bound)).into()
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn splat(word: u32) -> Vector {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add(one: Vector, other: Vector) -> Vector {
    _mm512_add_epi32(one, other)
}

/// A truth table of three operands: the bit for (1, 1, 1) is the highest.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn xor(a: Vector, b: Vector, c: Vector) -> Vector {
    _mm512_ternarylogic_epi32(a, b, c, 0b1001_0110)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn ch(e: Vector, f: Vector, g: Vector) -> Vector {
    _mm512_ternarylogic_epi32(e, f, g, 0b1100_1010)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn maj(a: Vector, b: Vector, c: Vector) -> Vector {
    _mm512_ternarylogic_epi32(a, b, c, 0b1110_1000)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn big_sigma_0(word: Vector) -> Vector {
    xor(_mm512_ror_epi32(word, 2), _mm512_ror_epi32(word, 13), _mm512_ror_epi32(word, 22))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn big_sigma_1(word: Vector) -> Vector {
    xor(_mm512_ror_epi32(word, 6), _mm512_ror_epi32(word, 11), _mm512_ror_epi32(word, 25))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn small_sigma_0(word: Vector) -> Vector {
    xor(_mm512_ror_epi32(word, 7), _mm512_ror_epi32(word, 18), _mm512_srli_epi32(word, 3))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn small_sigma_1(word: Vector) -> Vector {
    xor(_mm512_ror_epi32(word, 17), _mm512_ror_epi32(word, 19), _mm512_srli_epi32(word, 10))
}
