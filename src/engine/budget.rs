//! Budgets: how much a peer may send and ask, how much we ask of it, and how often.
//!
//! Requests over budget wait (see `serve`), and everything else over budget is ignored. This node keeps below what it
//! grants to others, so that two nodes of this kind never wait for each other's budgets.

use quipu_protocol::Millis;

use super::bundles::UNCHECKED_MAX;
use super::event::Now;

/// Requests from a peer. `protocol/README.md` names these figures and those of [`BLOCK_BYTES`].
pub(crate) const REQUESTS: RateLimit = RateLimit { burst: 512, per_second: 128 };
/// The blocks that a peer is given, in bytes.
pub(crate) const BLOCK_BYTES: RateLimit = RateLimit { burst: 256 << 20, per_second: 128 << 20 };
/// Refusals that a peer may cause before it is cut off.
pub(crate) const REFUSALS: RateLimit = RateLimit { burst: 100, per_second: 1 };
/// Transactions by gossip and their encoded bytes, in any number of messages. Transactions over budget are ignored; the
/// peer's pool can still be pulled. The budget equals the queue of unchecked transactions: the low number of concurrent
/// checks keeps a flood from taking all processor time.
pub(crate) const TRANSACTIONS: RateLimit = RateLimit { burst: UNCHECKED_MAX as u64, per_second: UNCHECKED_MAX as u64 };
pub(crate) const TRANSACTION_BYTES: RateLimit = RateLimit { burst: 80 << 20, per_second: 40 << 20 };
/// Blocks by gossip. Blocks over budget heal by synchronisation.
pub(crate) const BLOCKS: RateLimit = RateLimit { burst: 256, per_second: 64 };
/// The cost of an announcement that could not be put together, in blocks of that budget.
pub(crate) const FAILED_ANNOUNCEMENT_COST: u64 = 32;
/// The shortest time between two questions of a kind to a peer, whatever prompts them. Parts of one long answer may
/// follow each other at once.
pub const QUESTION_GAP: Millis = Millis(250);

/// The size and refill of a token bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimit {
    pub(crate) burst: u64,
    pub(crate) per_second: u64,
}

impl RateLimit {
    /// The part of a peer's budget that this node uses. The rest covers the jitter of the link.
    pub(crate) const fn used(self) -> Self {
        Self { burst: self.burst / 4 * 3, per_second: self.per_second / 4 * 3 }
    }
}

/// The rest of a budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    rate: RateLimit,
    /// In thousandths of the counted unit.
    tokens: u64,
    filled_at: Millis,
}

impl Bucket {
    pub(crate) fn new(rate: RateLimit, now: Now) -> Self {
        Self { rate, tokens: rate.burst * 1000, filled_at: now.elapsed }
    }

    fn fill(&mut self, now: Now) {
        let gained = now.elapsed.saturating_sub(self.filled_at).0.saturating_mul(self.rate.per_second);
        self.tokens = self.tokens.saturating_add(gained).min(self.rate.burst * 1000);
        self.filled_at = now.elapsed;
    }

    /// Whether `count` tokens are left.
    pub(crate) fn has(&mut self, count: u64, now: Now) -> bool {
        self.fill(now);
        self.tokens >= 1000 * count
    }

    /// Takes `count` tokens, if that many are left.
    pub(crate) fn take(&mut self, count: u64, now: Now) -> bool {
        self.fill(now);
        let left = self.tokens.checked_sub(1000 * count);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }

    /// Takes `count` tokens, or all that are left.
    pub(crate) fn spend(&mut self, count: u64, now: Now) {
        self.fill(now);
        self.tokens = self.tokens.saturating_sub(1000 * count);
    }

    /// Gives back tokens that were taken and not used.
    pub(crate) fn give_back(&mut self, count: u64) {
        self.tokens = self.tokens.saturating_add(1000 * count).min(self.rate.burst * 1000);
    }

    /// The time at which there are `count` tokens.
    pub(crate) fn ready_at(&self, count: u64) -> Millis {
        let lacking = (1000 * count).saturating_sub(self.tokens);
        self.filled_at + Millis(lacking.div_ceil(self.rate.per_second))
    }
}

/// When questions of one kind are asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Turn {
    /// The last question or answer.
    last: Option<Millis>,
    is_wanted: bool,
}

impl Turn {
    /// Makes a question due as soon as the gap allows.
    pub(crate) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Records a question, or the end of one.
    pub(crate) fn note(&mut self, now: Now) {
        *self = Self { last: Some(now.elapsed), is_wanted: false };
    }

    /// The time of the next question, `interval` after the last one if nothing has prompted it before.
    pub(crate) fn due_at(&self, interval: Millis) -> Millis {
        self.last.map_or(Millis(0), |last| last + if self.is_wanted { QUESTION_GAP } else { interval })
    }

    pub(crate) fn is_due(&self, interval: Millis, now: Now) -> bool {
        now.elapsed >= self.due_at(interval)
    }
}
