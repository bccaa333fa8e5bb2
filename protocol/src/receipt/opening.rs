//! Which blocks a sampled receipt shows, and which samples it must meet.
//!
//! Positions are in work, and octaves in remaining work: the first is the lower half of the chain, the next half of
//! what remains, and so on up to the tail, which is shown whole. So the newer the work, the more densely it is sampled, as
//! in FlyClient. With a fixed number of samples in each octave, a forger with less than half of the work is caught wherever
//! the forgery begins (README.md, section 17.3).

use std::ops::Range;

use ethnum::U256;

use super::RECEIPT_HEADERS_MAX;
use crate::block::Height;
use crate::hash::{BlockId, tagged_hash};
use crate::history::hidden;
use crate::work::Work;

/// The samples of an octave: 24 leave a forger a chance of 2^-48.
const SAMPLES: u32 = 24;
/// What a sample's tagged hash begins with.
const TAG: &str = "quipu sample 2";

/// What the parts of a proof take, in bytes. Numbers of variable length are guessed.
pub(super) const FIRST_HEADER_BYTES: usize = 84;
pub(super) const NEXT_HEADER_BYTES: usize = 47;
const CONTENT_BYTES: usize = 33;
const NODE_BYTES: usize = 38;

/// The blocks that a sampled receipt opens, by height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The transaction's block.
    pub block: Height,
    /// The last block.
    pub tip: Height,
    /// Where the tail begins, above the block and at most at the tip.
    pub tail: Height,
    /// The other opened blocks, in ascending order: above the transaction's block and below the tail.
    pub others: Vec<Height>,
}

/// What a sampled receipt consists of, by height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The headers, in ascending runs that do not touch.
    pub headers: Vec<Range<u64>>,
    /// The blocks whose outcome and root over reward and transactions are shown. The transaction's block is not among them.
    pub contents: Vec<Height>,
    /// The blocks that each node of the history hides.
    pub hidden: Vec<Range<u64>>,
}

impl Opening {
    /// The blocks whose leaves are not hidden, in ascending order.
    pub(super) fn leaves(&self) -> Vec<u64> {
        self.opened().map(|height| height.0).chain(self.tail.0..self.tip.0).collect()
    }

    /// The transaction's block and the others, without the tail.
    fn opened(&self) -> impl Iterator<Item = Height> {
        std::iter::once(self.block).chain(self.others.iter().copied())
    }

    /// The number of headers, which [`Opening::parts`] has in runs. Cheap, whatever a receipt claims.
    pub(super) fn header_count(&self) -> u64 {
        self.runs().iter().map(|run| run.end - run.start).sum()
    }

    fn runs(&self) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        let blocks = self.opened().map(|height| height.0..height.0 + 1);
        for wanted in blocks.chain(std::iter::once(self.tail.0..self.tip.0 + 1)) {
            // A target is judged by two ancestors.
            let wanted = wanted.start.saturating_sub(2)..wanted.end;
            match runs.last_mut().filter(|last| last.end >= wanted.start) {
                Some(last) => last.end = wanted.end,
                None => runs.push(wanted),
            }
        }
        runs
    }

    /// All that has to be shown.
    pub fn parts(&self) -> Parts {
        let mut contents = self.others.clone();
        contents.push(self.tail);
        contents.extend(Some(self.tip).filter(|tip| *tip != self.tail));
        Parts { headers: self.runs(), contents, hidden: hidden(self.tip.0, &self.leaves()) }
    }

    /// The opening that makes the smallest receipt; `None` if the block is the tip, on which nothing stands. `below` gives the
    /// work of all blocks below a height, up to one above the tip.
    pub(super) fn smallest(block: Height, tip: (Height, &BlockId), below: impl Fn(u64) -> Work) -> Option<Self> {
        let Work(total) = below(tip.0.0 + 1);
        let (mut chosen, mut least, mut before) = (None, usize::MAX, block);
        for tail in (1..u128::BITS).map(|octaves| total >> octaves).take_while(|tail| *tail > 0) {
            let tail = Height(block_at(Work(total - tail), block.0..tip.0.0 + 1, &below));
            if tail == before {
                continue;
            }
            before = tail;
            let opening = Self::with_tail(block, tail, tip, &below);
            if opening.header_count() > RECEIPT_HEADERS_MAX as u64 {
                continue;
            }
            let bytes = opening.bytes();
            if bytes < least {
                (least, chosen) = (bytes, Some(opening));
            }
        }
        chosen
    }

    /// About how many bytes the receipt's proof has.
    pub(super) fn bytes(&self) -> usize {
        let Parts { headers, contents, hidden } = self.parts();
        let next_headers = self.header_count() as usize - headers.len();
        headers.len() * FIRST_HEADER_BYTES
            + next_headers * NEXT_HEADER_BYTES
            + contents.len() * CONTENT_BYTES
            + hidden.len() * NODE_BYTES
    }

    /// The least opening with this tail, of a chain with this tip.
    pub fn with_tail(block: Height, tail: Height, tip: (Height, &BlockId), below: impl Fn(u64) -> Work) -> Self {
        let (tip, id) = tip;
        let mut others = Vec::new();
        // The next block's time bounds that of the transaction's.
        others.extend(Some(block.next()).filter(|next| *next < tail));
        for point in points(below(tip.0 + 1), below(tail.0), id) {
            if below(block.0) <= point && point < below(tail.0) {
                others.push(Height(block_at(point, block.0..tail.0, &below)));
            }
        }
        others.sort_unstable();
        others.dedup();
        others.retain(|height| *height != block);
        Self { block, tip, tail, others }
    }
}

/// The highest block of a range below which there is no more work than this. The first of the range is one.
fn block_at(point: Work, range: Range<u64>, below: impl Fn(u64) -> Work) -> u64 {
    let (mut low, mut high) = (range.start, range.end);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if below(middle) <= point { low = middle } else { high = middle }
    }
    low
}

/// The number of octaves above the tail: the least for which the work that remains after them is in the tail.
pub(super) fn octaves(total: Work, below_tail: Work) -> u32 {
    let tail = total.0.saturating_sub(below_tail.0);
    (0..u128::BITS).find(|octaves| total.0 >> octaves <= tail).unwrap_or(u128::BITS)
}

/// The positions that are sampled in a chain of this work with this tip.
pub(super) fn points(total: Work, below_tail: Work, tip: &BlockId) -> impl Iterator<Item = Work> {
    let octaves = octaves(total, below_tail);
    (0..octaves).flat_map(move |octave| (0..SAMPLES).map(move |sample| point(total, tip, octave, sample)))
}

fn point(total: Work, tip: &BlockId, octave: u32, sample: u32) -> Work {
    let hash = tagged_hash(TAG, &[tip.as_bytes(), &octave.to_le_bytes(), &sample.to_le_bytes()]);
    let (random, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
    let (remaining, after) = (total.0 >> octave, total.0.checked_shr(octave + 1).unwrap_or_default());
    let product = U256::from(u128::from_le_bytes(*random)) * U256::from(remaining - after);
    let offset: U256 = product >> 128;
    Work(total.0 - remaining + offset.as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;

    fn tip(number: u64) -> BlockId {
        BlockId(sha256(&[&number.to_le_bytes()]))
    }

    #[test]
    fn samples_lie_in_their_octaves() {
        for total in [1_u128, 2, 3, 1000, u128::MAX] {
            for octave in 0..(u128::BITS - total.leading_zeros()) {
                let octave_of =
                    |work: u128| (total.checked_shr(octave + 1).unwrap_or(0)..=total >> octave).contains(&work);
                for sample in 0..SAMPLES {
                    let Work(point) = point(Work(total), &tip(5), octave, sample);
                    assert!(point < total && octave_of(total - point), "{point} of {total}, octave {octave}");
                }
            }
        }
    }

    #[test]
    fn octaves_end_at_the_tail() {
        for (total, tail, expected) in
            [(100, 100, 0), (100, 50, 1), (100, 49, 2), (100, 25, 2), (100, 24, 3), (100, 1, 6)]
        {
            assert_eq!(octaves(Work(total), Work(total - tail)), expected, "{tail} of {total}");
        }
        assert_eq!(octaves(Work(u128::MAX), Work(u128::MAX - 1)), 127);
        assert_eq!(octaves(Work(1), Work(1)), 1);
    }

    /// The blocks found for random points hold them, by the definition.
    #[test]
    fn every_sample_is_met_by_an_opened_block() {
        let works: Vec<u128> =
            (0..1000_u32).map(|height| if height == 0 { 0 } else { u128::from(7 + height % 50) }).collect();
        let below = |height: u64| Work(works[..height as usize].iter().sum());
        let opening = Opening::with_tail(Height(200), Height(960), (Height(999), &tip(1)), below);
        assert!(opening.others.is_sorted() && opening.others[0] == Height(201));
        let mut met = 0;
        for point in points(below(1000), below(960), &tip(1)) {
            if point < below(200) || below(960) <= point {
                continue;
            }
            met += 1;
            let holds = |height: &Height| below(height.0) <= point && point < below(height.0 + 1);
            assert!(opening.opened().any(|height| holds(&height)), "{point:?}");
        }
        assert!(met > 80, "{met}");
    }

    /// A forger with this share of the work behind a fork puts the work where samples see it least. They are refused as
    /// often as the samples of the touched octaves say, and never less often than at 4^-samples.
    #[test]
    fn forgers_are_caught_as_often_as_the_theory_says() {
        const TRIALS: u64 = 10_000;
        let total = 1_u128 << 40;
        for percent in [10_u128, 30, 49] {
            for fork in [100_u128, 90, 75, 60, 51] {
                // The forged part begins where that many hundredths of the work remain, and ends where the real work begins.
                let from = total - total * fork / 100;
                let to = total - total * fork / 100 * percent / 100;
                // Of few samples, so that some forgers get through: of each octave the first two.
                let is_caught = |trial: u64, samples: u32| {
                    (0..20).any(|octave| {
                        (0..samples)
                            .any(|sample| (from..to).contains(&point(Work(total), &tip(trial), octave, sample).0))
                    })
                };
                let passed = (0..TRIALS).filter(|trial| !is_caught(*trial, 2)).count() as f64 / TRIALS as f64;
                let expected: f64 = (0..20_u32)
                    .map(|octave| {
                        let (start, end) = (total - (total >> octave), total - (total >> (octave + 1)));
                        let forged = to.min(end).saturating_sub(from.max(start));
                        (1.0 - forged as f64 / (end - start) as f64).powi(2)
                    })
                    .product();
                let deviation = (expected * (1.0 - expected) / TRIALS as f64).sqrt();
                assert!((passed - expected).abs() <= 4.0 * deviation, "{percent} %, {fork}: {passed}, not {expected}");
                assert!(expected <= 4_f64.powi(-2) + 1e-9, "{percent} %, {fork}: {expected}");
                assert!((0..TRIALS).all(|trial| is_caught(trial, SAMPLES)), "{percent} %, {fork}");
            }
        }
    }
}
