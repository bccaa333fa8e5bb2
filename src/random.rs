//! Random numbers from a seed. No source of chance of its own: the seed comes from outside.

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence that depends on the seed alone.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "a range does not end before it begins");
        let range = u128::from(high - low) + 1;
        low + ((u128::from(self.bits()) * range) >> 64) as u64
    }

    /// 32 random bytes.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes());
        }
        bytes
    }

    /// A number from zero up to, but not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.between(0, end - 1)
    }

    /// Moves `count` elements, chosen by chance, to the front.
    pub fn choose<T>(&mut self, from: &mut [T], count: usize) {
        for at in 0..count.min(from.len()) {
            let other = self.between(at as u64, from.len() as u64 - 1) as usize;
            from.swap(at, other);
        }
    }
}
