//! Makes inputs from a corpus and a number: simple, blind, and the same on every machine.

use quipu::sim::random::Random;

/// The longest input, in bytes.
const INPUT_BYTES_MAX: usize = 16 << 10;
/// One input in this many is nothing but random bytes.
const FRESH_ONE_IN: u64 = 12;
/// Numbers at which code likes to break.
const INTERESTING: [u64; 14] =
    [0, 1, 0x7f, 0x80, 0xff, 0x100, 4096, 4097, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];

/// The input with this number.
pub(crate) fn input(corpus: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = Random::new(number);
    if random.between(0, FRESH_ONE_IN - 1) == 0 {
        return noise(&mut random, 512);
    }
    let mut bytes = pick(corpus, &mut random).clone();
    // Mostly little damage: an input that is broken everywhere is refused at its first byte.
    let changes = 1 << random.between(0, 4);
    for _ in 0..random.between(1, changes) {
        change(&mut bytes, corpus, &mut random);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.between(0, bytes.len() as u64) as usize;
    let end = (at + random.between(0, 32) as usize).min(bytes.len());
    match random.between(0, 9) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.between(0, 7);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.bits() as u8;
            }
        }
        3 => {
            let number = pick(&INTERESTING, random).to_le_bytes();
            let width = *pick(&[1, 2, 4, 8], random);
            for (byte, new) in bytes[at..].iter_mut().zip(&number[..width]) {
                *byte = *new;
            }
        }
        4 => drop(bytes.drain(at..end)),
        5 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        6 => drop(bytes.splice(at..at, noise(random, 16))),
        7 => bytes.truncate(at),
        8 => {
            let digits = random.bits() >> random.between(0, 63);
            bytes.splice(at..end.min(at + 3), digits.to_string().into_bytes());
        }
        _ => {
            let other = pick(corpus, random);
            let from = random.between(0, other.len() as u64) as usize;
            let to = random.between(from as u64, other.len() as u64) as usize;
            bytes.splice(at..end, other[from..to].iter().copied());
        }
    }
}

fn noise(random: &mut Random, bytes_max: u64) -> Vec<u8> {
    (0..random.between(0, bytes_max)).map(|_| random.bits() as u8).collect()
}

fn pick<'a, T>(all: &'a [T], random: &mut Random) -> &'a T {
    &all[random.between(0, all.len() as u64 - 1) as usize]
}
