//! Blocks dated ahead of this machine's clock: what is kept back until its time has come is told, on both sides.
//!
//! A node whose clock was ahead goes on building on what it mined then. Other nodes take none of it before its time, and
//! may have a chain with more work by then.

use quipu_protocol::{BlockId, Millis, UnixMillis, Work};

use super::Engine;
use super::event::{NotFollowed, Notice, Now, PeerKey};

/// Blocks that are kept back for less than this are not worth a word.
const KEPT_BACK_TOLD_MIN: Millis = Millis(60_000);

impl Engine {
    /// Tells the user of a peer's better chain, if blocks of it are kept back for long.
    pub(super) fn report_early(&mut self, peer: PeerKey, tip: BlockId, work: Work, until: UnixMillis, now: Now) {
        let wait = until.saturating_since(now.unix);
        let Some(status) = self.peers.get(peer).and_then(|session| session.status.as_ref()) else { return };
        if wait >= KEPT_BACK_TOLD_MIN && work > self.chain.tree().work(self.chain.tip()) {
            self.report_not_followed(peer, tip, status.height, NotFollowed::Early(wait), now);
        }
    }

    /// Tells the user if the own best block is dated so far ahead that others keep it back: at the start, and when the
    /// chain grows, but not each time.
    pub(super) fn report_own_date(&mut self, now: Now) {
        let tree = self.chain.tree();
        let (tip, place) = (self.chain.tip(), self.chain.tip_place());
        let limit = self.network.parameters().future_time_max;
        let ahead = tree.as_parent(tip).timestamp.saturating_since(now.unix);
        if ahead >= limit + KEPT_BACK_TOLD_MIN && self.dated_tips.is_news(place.id, now) {
            self.notify(Notice::TipAhead { tip: place, ahead });
        }
    }

    /// The time until which a better chain is kept back, if there is one.
    pub(super) fn kept_back_until(&self) -> Option<UnixMillis> {
        let work = self.chain.tree().work(self.chain.tip());
        let better =
            self.peers.iter().filter(|(_, session)| session.status.as_ref().is_some_and(|one| one.work > work));
        better.filter_map(|(_, session)| session.early_until).max()
    }
}
