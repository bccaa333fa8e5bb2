//! The reference for mining: SHA-256's whole compression function, all 64 rounds and the whole message schedule for
//! every hash, with a kernel's instructions. Written on its own, so that it shares no trick with the kernels.

#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::hint::black_box;

/// The hashed data: a state, and a block whose word 7 differs.
pub(crate) struct HashInput {
    pub(crate) midstate: [u32; 8],
    pub(crate) block: [u32; 16],
}

/// Tries that many hashes, a multiple of 16, and returns the sum of their first words.
pub(crate) type Loop = fn(&HashInput, u32) -> u32;

/// The loop with the instructions of the kernel of this name, and its name.
pub(crate) fn like(kernel: &str) -> Option<(&'static str, Loop)> {
    // SAFETY: kernels are only offered where the processor has their instructions.
    match kernel {
        "avx512" => Some(("16 lanes of AVX-512", |input, hashes| unsafe { avx512::run(input, hashes) })),
        "sha_ni" => Some(("4 streams of SHA-NI", |input, hashes| unsafe { sha_ni(input, hashes) })),
        "avx2" => Some(("8 lanes of AVX2", |input, hashes| unsafe { avx2::run(input, hashes) })),
        _ => None,
    }
}

#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// A loop over vectors, from the operations on them around it.
macro_rules! lanes {
    ($features:literal, $lanes:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn run(input: &HashInput, hashes: u32) -> u32 {
            let mut sums = all(0);
            for done in (0..hashes).step_by($lanes) {
                // The compiler must not see that most of this is constant, or it computes some rounds only once, and
                // keeps a vector of each constant.
                let (input, k) = black_box((input, &K));
                // No `map`: if that is not inlined, its vectors go through memory.
                let mut w = [all(0); 16];
                for (w, word) in w.iter_mut().zip(&input.block) {
                    *w = all(*word);
                }
                w[7] = add(all(done), numbers());
                let [a, b, c, d, e, f, g, h] = input.midstate;
                let (mut a, mut b, mut c, mut d) = (all(a), all(b), all(c), all(d));
                let (mut e, mut f, mut g, mut h) = (all(e), all(f), all(g), all(h));
                macro_rules! round {
                    ($t:expr, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
                        if $t >= 16 {
                            let (near, far) = (sigma1(w[($t - 2) % 16]), sigma0(w[($t - 15) % 16]));
                            w[$t % 16] = add(add(w[$t % 16], far), add(w[($t - 7) % 16], near));
                        }
                        let t1 = add(add(add($h, add(w[$t % 16], all(k[$t]))), choose($e, $f, $g)), sum1($e));
                        $d = add($d, t1);
                        $h = add(add(t1, majority($a, $b, $c)), sum0($a));
                    };
                }
                macro_rules! eight {
                    ($t:expr) => {
                        round!($t, a b c d e f g h);
                        round!($t + 1, h a b c d e f g);
                        round!($t + 2, g h a b c d e f);
                        round!($t + 3, f g h a b c d e);
                        round!($t + 4, e f g h a b c d);
                        round!($t + 5, d e f g h a b c);
                        round!($t + 6, c d e f g h a b);
                        round!($t + 7, b c d e f g h a);
                    };
                }
                eight!(0_usize);
                eight!(8_usize);
                eight!(16_usize);
                eight!(24_usize);
                eight!(32_usize);
                eight!(40_usize);
                eight!(48_usize);
                eight!(56_usize);
                let _ = (b, c, d, e, f, g, h);
                sums = add(sums, add(a, all(input.midstate[0])));
            }
            total(sums)
        }
    };
}

/// Functions on vectors.
macro_rules! operations {
    ($features:literal, $vector:ty, $($name:ident($($operand:ident),*) = $result:expr;)*) => {
        $(
            #[inline]
            #[target_feature(enable = $features)]
            fn $name($($operand: $vector),*) -> $vector {
                $result
            }
        )*
    };
}

mod avx512 {
    use super::*;

    lanes!("avx512f", 16);

    operations! {
        "avx512f", __m512i,
        numbers() = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        add(x, y) = _mm512_add_epi32(x, y);
        xor3(x, y, z) = _mm512_ternarylogic_epi32(x, y, z, 0x96);
        choose(x, y, z) = _mm512_ternarylogic_epi32(x, y, z, 0xca);
        majority(x, y, z) = _mm512_ternarylogic_epi32(x, y, z, 0xe8);
        sum0(x) = xor3(_mm512_ror_epi32(x, 2), _mm512_ror_epi32(x, 13), _mm512_ror_epi32(x, 22));
        sum1(x) = xor3(_mm512_ror_epi32(x, 6), _mm512_ror_epi32(x, 11), _mm512_ror_epi32(x, 25));
        sigma0(x) = xor3(_mm512_ror_epi32(x, 7), _mm512_ror_epi32(x, 18), _mm512_srli_epi32(x, 3));
        sigma1(x) = xor3(_mm512_ror_epi32(x, 17), _mm512_ror_epi32(x, 19), _mm512_srli_epi32(x, 10));
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn all(word: u32) -> __m512i {
        _mm512_set1_epi32(word.cast_signed())
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn total(x: __m512i) -> u32 {
        _mm512_reduce_add_epi32(x).cast_unsigned()
    }
}

mod avx2 {
    use super::*;

    lanes!("avx2", 8);

    macro_rules! rotate {
        ($x:ident, $bits:literal) => {
            _mm256_or_si256(_mm256_srli_epi32($x, $bits), _mm256_slli_epi32($x, 32 - $bits))
        };
    }

    operations! {
        "avx2", __m256i,
        numbers() = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        add(x, y) = _mm256_add_epi32(x, y);
        xor(x, y) = _mm256_xor_si256(x, y);
        choose(x, y, z) = xor(z, _mm256_and_si256(x, xor(y, z)));
        majority(x, y, z) = xor(y, _mm256_and_si256(xor(x, y), xor(y, z)));
        sum0(x) = xor(rotate!(x, 2), xor(rotate!(x, 13), rotate!(x, 22)));
        sum1(x) = xor(rotate!(x, 6), xor(rotate!(x, 11), rotate!(x, 25)));
        sigma0(x) = xor(rotate!(x, 7), xor(rotate!(x, 18), _mm256_srli_epi32(x, 3)));
        sigma1(x) = xor(rotate!(x, 17), xor(rotate!(x, 19), _mm256_srli_epi32(x, 10)));
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn all(word: u32) -> __m256i {
        _mm256_set1_epi32(word.cast_signed())
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn total(x: __m256i) -> u32 {
        let half = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
        let quarter = _mm_hadd_epi32(half, half);
        _mm_cvtsi128_si32(_mm_hadd_epi32(quarter, quarter)).cast_unsigned()
    }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn sha_ni(input: &HashInput, hashes: u32) -> u32 {
    let four = |words: &[u32], at: usize| {
        let word = |index: usize| words[at + index].cast_signed();
        _mm_setr_epi32(word(0), word(1), word(2), word(3))
    };
    let mut sums = _mm_setzero_si128();
    for done in (0..hashes).step_by(4) {
        // As above.
        let (HashInput { midstate: [a, b, c, d, e, f, g, h], block }, k) = black_box((input, &K));
        let before = (four(&[*f, *e, *b, *a], 0), four(&[*h, *g, *d, *c], 0));
        let mut states = [before; 4];
        let mut words = [[four(block, 0), four(block, 4), four(block, 8), four(block, 12)]; 4];
        for (number, words) in (done..).zip(&mut words) {
            words[1] = _mm_insert_epi32(words[1], number.cast_signed(), 3);
        }
        macro_rules! rounds {
            ($($group:literal)*) => {
                $(
                    for (state, w) in states.iter_mut().zip(&mut words) {
                        if $group >= 4 {
                            let (before, newest) = (w[($group + 2) % 4], w[($group + 3) % 4]);
                            let sum = _mm_sha256msg1_epu32(w[$group % 4], w[($group + 1) % 4]);
                            let sum = _mm_add_epi32(sum, _mm_alignr_epi8(newest, before, 4));
                            w[$group % 4] = _mm_sha256msg2_epu32(sum, newest);
                        }
                        let sum = _mm_add_epi32(w[$group % 4], four(k, 4 * $group));
                        let middle = _mm_sha256rnds2_epu32(state.1, state.0, sum);
                        let after = _mm_sha256rnds2_epu32(state.0, middle, _mm_shuffle_epi32(sum, 0x0e));
                        *state = (after, middle);
                    }
                )*
            };
        }
        rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for (abef, _) in states {
            sums = _mm_add_epi32(sums, _mm_add_epi32(abef, before.0));
        }
    }
    _mm_extract_epi32(sums, 3).cast_unsigned()
}
