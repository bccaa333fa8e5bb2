//! When the memory pool follows the chain: at once after a small block, and a moment later after a large one, which is
//! on its way to other nodes meanwhile.
//!
//! Always true: whatever reads the pool for an answer, for a peer or for a template finds it as it is after the tip.
//! Only the search for a new block's transactions reads it before, and takes no harm from transactions that were mined.

use quipu_protocol::{Address, Millis, Request, Response};

use super::event::{Event, Gossip, Now};
use super::{ChainAdvance, Engine};

/// A lag below this many changed accounts is made up for at once: that is cheaper than to come back for it. In tests,
/// the pool lags behind small blocks too.
const LAG_ACCOUNTS_MIN: usize = if cfg!(test) { 2 } else { 256 };
/// So is a longer one, when blocks come in numbers.
pub(super) const LAG_ACCOUNTS_MAX: usize = 16_384;
/// The time in which a full block has reached the nodes around.
pub(super) const LAG_TIME: Millis = Millis(30);

impl Engine {
    /// Records what the pool has to follow. Nothing reads the pool while the chain is between two others, so that an
    /// account without pending transactions now has none then.
    pub(super) fn note_changes(&mut self, progress: &ChainAdvance) {
        if self.chain.is_reorganising() || progress.reorganised.is_some() || !self.changed_accounts.is_empty() {
            for (block, _) in &progress.connected {
                self.mempool.note_mined(block);
            }
            let lag = self.mempool.take_lag();
            let is_pending = |address: &Address| self.mempool.has_any_from(address);
            self.changed_accounts.extend(lag.into_iter().filter(is_pending));
            return self.changed_accounts.extend(progress.changed_accounts().filter(is_pending));
        }
        for (block, delta) in &progress.connected {
            self.mempool.note_connected(block, delta);
        }
    }

    /// Has the pool follow the chain before an event that needs it, or when it is time.
    pub(super) fn catch_up_before(&mut self, event: &Event, now: Now) {
        let needs_pool = match event {
            Event::Gossip { gossip, .. } => matches!(gossip, Gossip::Transactions(_)),
            Event::Request { request, .. } => !matches!(request, Request::Status(_)),
            Event::Response { result, .. } => !matches!(result, Ok(Response::Status(_))),
            Event::BlocksChecked { .. } | Event::Persisted { .. } | Event::Served { .. } => false,
            Event::HashRate(_) | Event::Tick => false,
            _ => true,
        };
        if needs_pool || self.pool_due.is_some_and(|due| due <= now.elapsed) {
            self.catch_up_pool();
        }
    }

    /// Has the pool follow the chain.
    pub(super) fn catch_up_pool(&mut self) {
        self.pool_due = None;
        if self.mempool.lag() > 0 && !self.chain.is_reorganising() {
            self.mempool.catch_up(self.chain.ledger());
            self.note_dropped();
        }
    }

    /// Lets the pool lag behind for a moment, if that is worth while.
    pub(super) fn plan_catch_up(&mut self, now: Now) {
        match self.mempool.lag() {
            0 => self.pool_due = None,
            LAG_ACCOUNTS_MIN..=LAG_ACCOUNTS_MAX => drop(self.pool_due.get_or_insert(now.elapsed + LAG_TIME)),
            _ => self.catch_up_pool(),
        }
    }
}
