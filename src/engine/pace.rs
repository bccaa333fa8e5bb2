//! The pace of a peer: how long to wait for its answers, and how much to request at once.
//!
//! Short answers measure the round trip, smoothed and bounded as in TCP (RFC 6298, sections 2 and 5): the timeout is
//! the smoothed time plus four times its variation, doubled after each timeout, and always from [`ANSWER_TIMEOUT`] to
//! [`ANSWER_TIMEOUT_MAX`]. Long answers measure the bytes per second. The key of its question identifies an answer, so
//! late ones are measured too (without the ambiguity of Karn's algorithm). A peer gains nothing from being slow on
//! purpose but a longer timeout: `sync` says why nobody else has to wait.

use quipu_protocol::encode::EncodedSize;
use quipu_protocol::{Block, Header, Millis, Response, SignedTransaction, TransactionId};

/// The time that a peer has to answer if nothing shows that it needs longer. Also the time after which a faster peer
/// that has the same may be asked instead.
pub const ANSWER_TIMEOUT: Millis = Millis(4_000);
/// The time that any peer has to answer. The shell's own timeout for requests is longer.
pub const ANSWER_TIMEOUT_MAX: Millis = Millis(60_000);
/// The timeout for the transactions that a compact block lacks, from a quick peer: others can provide the block.
pub(crate) const PULL_TIMEOUT: Millis = Millis(1_000);
/// The most bytes of blocks in one request to a peer.
pub(crate) const BATCH_BYTES_MAX: usize = 1 << 20;
/// The longest transfer that one request should cause.
const BATCH_TRANSFER_MAX: Millis = Millis(2_000);
/// Answers from this length on measure the rate, shorter ones the round trip.
const LONG_ANSWER_BYTES_MIN: usize = 4_096;
/// Doublings of the timeout that make a difference.
const DOUBLINGS_MAX: u32 = 4;

/// The measured pace of one peer. Times are in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// SRTT and RTTVAR of RFC 6298.
    smoothed: Option<u64>,
    variation: u64,
    /// The time of the fastest short answer: an answer without content takes this long.
    least: Option<u64>,
    /// A moving average over long answers.
    bytes_per_second: Option<u64>,
    doublings: u32,
    /// The bytes of blocks in one request: fewer when the peer is slow, more when it is not.
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
    /// Records the time that an answer of this length took.
    pub(crate) fn note_answer(&mut self, took: Millis, bytes: usize) {
        self.doublings = 0;
        if bytes < LONG_ANSWER_BYTES_MIN {
            self.note_round_trip(took.0);
            return;
        }
        let transfer = self.transfer(took);
        let rate = bytes as u64 * 1_000 / transfer;
        self.bytes_per_second = Some(self.bytes_per_second.map_or(rate, |old| (3 * old + rate) / 4));
        if transfer > BATCH_TRANSFER_MAX.0 {
            self.batch_bytes = self.batch_bytes.min(within_batch_transfer(bytes, transfer));
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

    /// The time that an answer took beyond the round trip.
    fn transfer(&self, took: Millis) -> u64 {
        took.0.saturating_sub(self.least.unwrap_or_default()).max(1)
    }

    /// Records a timeout of a short question.
    pub(crate) fn note_timeout(&mut self) {
        self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
    }

    /// Records a block response: `received_bytes`, and whether it was complete. A peer that trickles is asked for as
    /// much as it delivers, so that it delays no more than that.
    pub(crate) fn note_batch(&mut self, took: Millis, received_bytes: usize, is_all: bool) {
        let transfer = self.transfer(took);
        let next = if transfer > BATCH_TRANSFER_MAX.0 {
            within_batch_transfer(received_bytes, transfer)
        } else if is_all {
            self.batch_bytes * 2
        } else {
            received_bytes
        };
        self.batch_bytes = next.clamp(1, BATCH_BYTES_MAX);
    }

    /// Records blocks of this length that did not arrive in time.
    pub(crate) fn note_undelivered(&mut self, bytes: usize) {
        self.batch_bytes = (bytes / 4).clamp(1, BATCH_BYTES_MAX);
    }

    /// The bytes of blocks in one request.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.batch_bytes
    }

    /// The timeout for an answer of this length.
    pub(crate) fn timeout(&self, bytes: usize) -> Millis {
        let transfer = self.bytes_per_second.map_or(0, |rate| 2_000 * bytes as u64 / rate.max(1));
        let timeout = (self.round_trip_timeout() + transfer) << self.doublings;
        Millis(timeout.min(ANSWER_TIMEOUT_MAX.0))
    }

    /// The timeout for transactions, of this length in all, of a block that was just announced. A peer without
    /// measurements gets the time of a normal one.
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

    /// Whether the peer needs no more time than the normal timeout.
    pub(crate) fn is_quick(&self) -> bool {
        self.doublings == 0 && self.round_trip_timeout() == ANSWER_TIMEOUT.0
    }
}

/// The part of `bytes`, which took `transfer` milliseconds, that fits into the wanted time.
fn within_batch_transfer(bytes: usize, transfer: u64) -> usize {
    (bytes as u64 * BATCH_TRANSFER_MAX.0 / transfer) as usize
}

/// The approximate length of an answer, in bytes, computed without encoding it.
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

/// The length of a block, in bytes, computed without encoding it.
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
            ("no measurements", vec![], 4_000, true),
            ("a LAN", vec![2; 5], 4_000, true),
            ("RFC 6298, 2.2", vec![10_000], 10_000 + 4 * 5_000, false),
            ("RFC 6298, 2.3", vec![10_000, 12_000], 10_250 + 4 * 4_250, false),
            ("never over the cap", vec![50_000], 60_000, false),
            ("a pace that has settled", vec![10_000; 40], 10_000, false),
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
