//! How fast a peer answers, and so how long it is waited for and how much it is asked for at once.
//!
//! Short answers tell the round trip, smoothed and bounded as TCP does it (RFC 6298, sections 2 and 5): the timeout is
//! the smoothed time and four times its variation, doubled after each question that ran out, and never under
//! [`ANSWER_TIMEOUT`] or over [`ANSWER_TIMEOUT_MAX`]. Long answers tell how many bytes come in a second. An answer is
//! known by the key of its question, so late ones are measured too (no ambiguity as in Karn's algorithm). What a peer
//! gains by being slow on purpose is only that it is waited for: `sync` says why nobody else has to.

use quipu_protocol::encode::EncodedSize;
use quipu_protocol::{Block, Header, Millis, Response, SignedTransaction, TransactionId};

/// How long a peer may take to answer if nothing shows that it needs longer. Also for how long it alone is waited for while
/// a faster one has the same.
pub const ANSWER_TIMEOUT: Millis = Millis(4_000);
/// How long any peer may take to answer. The shell waits longer than this before it gives a request up.
pub const ANSWER_TIMEOUT_MAX: Millis = Millis(60_000);
/// What the transactions that a compact block lacks are waited for, from a peer that is quick: the block can be had from
/// others.
pub(crate) const PULL_TIMEOUT: Millis = Millis(1_000);
/// The most bytes of blocks that a peer is asked for at once.
pub(crate) const BATCH_BYTES_MAX: usize = 1 << 20;
/// What a peer is asked for at once should not travel for longer.
const BATCH_TIME: Millis = Millis(2_000);
/// Answers from this length on tell of the rate, shorter ones of the round trip.
const LONG_ANSWER_BYTES_MIN: usize = 4_096;
/// Doublings of the timeout that make a difference.
const DOUBLINGS_MAX: u32 = 4;

/// How fast one peer is. Times are in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// RFC 6298's SRTT, and the RTTVAR.
    smoothed: Option<u64>,
    variation: u64,
    /// Of the fastest short answer: what an answer takes when it has nothing to carry.
    least: Option<u64>,
    /// Of long answers, a moving average.
    bytes_per_second: Option<u64>,
    doublings: u32,
    /// How many bytes of blocks it is asked for at once: less when it is slow, more when it is not.
    batch_bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            smoothed: None,
            variation: 0,
            least: None,
            bytes_per_second: None,
            doublings: 0,
            batch_bytes: BATCH_BYTES_MAX,
        }
    }
}

impl Pace {
    /// Takes in how long an answer of this length took.
    pub(crate) fn note_answer(&mut self, took: Millis, bytes: usize) {
        self.doublings = 0;
        if bytes < LONG_ANSWER_BYTES_MIN {
            self.note_round_trip(took.0);
            return;
        }
        let transfer = self.transfer(took);
        let rate = bytes as u64 * 1_000 / transfer;
        self.bytes_per_second = Some(self.bytes_per_second.map_or(rate, |old| (3 * old + rate) / 4));
        if transfer > BATCH_TIME.0 {
            self.batch_bytes = self.batch_bytes.min(within_batch_time(bytes, transfer));
        }
    }

    fn note_round_trip(&mut self, took: u64) {
        self.least = Some(self.least.map_or(took, |least| least.min(took)));
        match self.smoothed {
            None => (self.smoothed, self.variation) = (Some(took), took / 2),
            Some(smoothed) => {
                self.variation = (3 * self.variation + smoothed.abs_diff(took)) / 4;
                self.smoothed = Some((7 * smoothed + took) / 8);
            }
        }
    }

    /// What an answer took beyond the round trip.
    fn transfer(&self, took: Millis) -> u64 {
        took.0.saturating_sub(self.least.unwrap_or_default()).max(1)
    }

    /// A short question has run out of time.
    pub(crate) fn note_timeout(&mut self) {
        self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
    }

    /// Takes in that of blocks that were asked for, `came_bytes` came, which is all or not. Who trickles is asked for what it
    /// delivers, so that it holds up no more than that.
    pub(crate) fn note_batch(&mut self, took: Millis, came_bytes: usize, is_all: bool) {
        let transfer = self.transfer(took);
        let next = match () {
            () if transfer > BATCH_TIME.0 => within_batch_time(came_bytes, transfer),
            () if !is_all => came_bytes,
            () => self.batch_bytes * 2,
        };
        self.batch_bytes = next.clamp(1, BATCH_BYTES_MAX);
    }

    /// Blocks of this length did not come in time.
    pub(crate) fn note_undelivered(&mut self, bytes: usize) {
        self.batch_bytes = (bytes / 4).clamp(1, BATCH_BYTES_MAX);
    }

    /// How many bytes it is asked for at once.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.batch_bytes
    }

    /// How long an answer of this length may take.
    pub(crate) fn timeout(&self, bytes: usize) -> Millis {
        let transfer = self.bytes_per_second.map_or(0, |rate| 2_000 * bytes as u64 / rate.max(1));
        let timeout = (self.round_trip_timeout() + transfer) << self.doublings;
        Millis(timeout.min(ANSWER_TIMEOUT_MAX.0))
    }

    /// How long transactions of a block, of this length, may take that was just announced. A peer of which nothing is known
    /// yet gets what anybody does.
    pub(crate) fn pull_timeout(&self, bytes: usize) -> Millis {
        let patience = self.timeout(bytes);
        match self.smoothed {
            Some(smoothed) if self.is_quick() => {
                let round_trip = (smoothed + 4 * self.variation).max(PULL_TIMEOUT.0);
                Millis(patience.0 - ANSWER_TIMEOUT.0 + round_trip)
            }
            _ => patience,
        }
    }

    fn round_trip_timeout(&self) -> u64 {
        self.smoothed.map_or(0, |smoothed| smoothed + 4 * self.variation).max(ANSWER_TIMEOUT.0)
    }

    /// Whether it needs no more time than anybody is given.
    pub(crate) fn is_quick(&self) -> bool {
        self.doublings == 0 && self.round_trip_timeout() == ANSWER_TIMEOUT.0
    }
}

/// How much of what took this long would have come in good time.
fn within_batch_time(bytes: usize, transfer: u64) -> usize {
    (bytes as u64 * BATCH_TIME.0 / transfer) as usize
}

/// About how long an answer is, in bytes, found without encoding it.
pub(crate) fn answer_bytes(response: &Response) -> usize {
    match response {
        Response::Status(_) => 0,
        Response::Headers(headers) => headers.len() * Header::ENCODED_BYTES_MIN,
        Response::Blocks(blocks) => blocks.iter().map(block_bytes).sum(),
        Response::Pending(ids) => ids.len() * size_of::<TransactionId>(),
        Response::Transactions(transactions) | Response::BlockTransactions(transactions) => {
            transactions.iter().map(SignedTransaction::length).sum()
        }
    }
}

/// How long a block is, in bytes, found without encoding it.
pub(crate) fn block_bytes(block: &Block) -> usize {
    Block::ENCODED_BYTES_MIN + block.body.transactions.iter().map(SignedTransaction::length).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(answers: &[(u64, usize)]) -> Pace {
        let mut pace = Pace::default();
        answers.iter().for_each(|(took, bytes)| pace.note_answer(Millis(*took), *bytes));
        pace
    }

    #[test]
    fn the_timeout_follows_the_round_trip() {
        let cases = [
            ("nothing is known", vec![], 4_000, true),
            ("a LAN", vec![2; 5], 4_000, true),
            ("RFC 6298, 2.2", vec![10_000], 10_000 + 4 * 5_000, false),
            ("RFC 6298, 2.3", vec![10_000, 12_000], 10_250 + 4 * 4_250, false),
            ("never over the cap", vec![50_000], 60_000, false),
            ("what has calmed down", vec![10_000; 40], 10_000, false),
        ];
        for (what, times, timeout, is_quick) in cases {
            let answers: Vec<_> = times.into_iter().map(|took| (took, 100)).collect();
            let pace = pace(&answers);
            assert_eq!(pace.timeout(0).0, timeout, "{what}");
            assert_eq!(pace.is_quick(), is_quick, "{what}");
        }
    }

    #[test]
    fn the_timeout_grows_with_what_a_slow_link_has_to_carry() {
        // 2 kB a second, with 200 ms for the round trip.
        let pace = pace(&[(200, 100), (10_200, 20_000)]);
        let of_10_kilobytes = pace.timeout(10_000).0;
        assert_eq!(of_10_kilobytes, 4_000 + 2 * 5_000);
        assert_eq!(pace.timeout(1 << 20), ANSWER_TIMEOUT_MAX);
        assert_eq!(pace.batch_bytes(), 4_000, "two seconds' worth");
    }

    #[test]
    fn the_timeout_doubles_until_there_is_an_answer() {
        let mut pace = pace(&[(10, 100)]);
        for seconds in [8, 16, 32, 60, 60, 60] {
            pace.note_timeout();
            assert_eq!(pace.timeout(0), Millis::from_secs(seconds));
        }
        assert!(!pace.is_quick());
        pace.note_answer(Millis(10), 100);
        assert!(pace.is_quick());
    }

    #[test]
    fn batches_shrink_with_what_is_late_and_grow_again() {
        let mut pace = pace(&[(100, 100)]);
        pace.note_batch(Millis(8_100), 80_000, true);
        assert_eq!(pace.batch_bytes(), 20_000);
        pace.note_batch(Millis(1_000), 20_000, true);
        assert_eq!(pace.batch_bytes(), 40_000);
        pace.note_batch(Millis(1_000), 300, false);
        assert_eq!(pace.batch_bytes(), 300);
        pace.note_undelivered(300);
        pace.note_undelivered(0);
        assert_eq!(pace.batch_bytes(), 1);
        (0..40).for_each(|_| pace.note_batch(Millis(1_000), 1, true));
        assert_eq!(pace.batch_bytes(), BATCH_BYTES_MAX);
    }
}
