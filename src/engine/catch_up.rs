//! Whether the chain is up to date enough to mine on, to judge transactions by, and to be announced.
//!
//! While it is not, the node rests: it mines nothing by itself, ignores transactions and announces no tip. Whoever can
//! make a node rest can stop it, so rest depends on what peers have shown, and is bounded:
//!
//! | | the node rests while | for at most |
//! | --- | --- | --- |
//! | until it has caught up | a peer claims a chain far ahead, or has shown headers of one | [`REST_MAX`] since the start, and [`REST_PER_BLOCK`] more for each block of it that has come |
//! | afterwards | the tip is older than [`TIP_AGE_MAX`], and headers of a chain far ahead were shown | [`REST_MAX`], until the tip is young again |
//!
//! The node has caught up once a peer has reported its status and nothing is far ahead, or nobody has proven its claim
//! in time; and for good, as in Bitcoin Core's initial block download. An old tip alone stops nothing, since an idle
//! network mines on demand; neither do headers whose blocks stay away, nor anything that new sessions bring. A node
//! without peers does not rest.
//!
//! Deliberately absent: what is fetched, and from whom. A node that rests no longer goes on fetching.

use quipu_protocol::Millis;

use super::Engine;
use super::event::{Notice, Now};
use super::sync::FAR_BEHIND;
use super::view::SyncView;

/// The longest rest without a block of the better chain.
pub const REST_MAX: Millis = Millis(4_000);
/// The rest that each block adds during the first synchronisation. To trickle them therefore costs their work.
pub const REST_PER_BLOCK: Millis = Millis(250);
/// A better chain counts as being fetched for this long after its last block.
pub(crate) const FETCHED_LATELY: Millis = Millis(5_000);
/// The age of the tip, by its timestamp, from which a node that has caught up may rest again.
pub const TIP_AGE_MAX: Millis = Millis::from_secs(3_600);

/// The state of catching up.
#[derive(Debug)]
pub(crate) struct CatchUp {
    has_caught_up: bool,
    is_resting: bool,
    /// The time left to rest.
    patience: Millis,
    /// The time up to which the present rest was taken from it.
    counted_to: Millis,
    /// The last time that blocks came on the way to a better chain.
    fetched_at: Option<Millis>,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { has_caught_up: false, is_resting: false, patience: REST_MAX, counted_to: Millis(0), fetched_at: None }
    }
}

impl CatchUp {
    /// Whether the first synchronisation is still under way. Only then do claims count.
    pub(crate) fn is_first(&self) -> bool {
        !self.has_caught_up
    }

    /// The end of the present rest, if nothing comes.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.is_resting.then(|| self.counted_to + self.patience)
    }

    /// Takes the time since the last call from the patience.
    fn count(&mut self, now: Now) {
        if self.is_resting {
            self.patience = self.patience.saturating_sub(now.elapsed.saturating_sub(self.counted_to));
        }
        self.counted_to = now.elapsed;
    }
}

impl Engine {
    /// Whether the node rests.
    pub(super) fn is_resting(&self) -> bool {
        self.catch_up.is_resting
    }

    /// Whether blocks of a better chain keep coming, or are waited for.
    pub(super) fn is_fetching(&self) -> bool {
        let CatchUp { is_resting, counted_to, fetched_at, .. } = self.catch_up;
        is_resting || fetched_at.is_some_and(|at| counted_to < at + FETCHED_LATELY)
    }

    /// Records blocks that were connected on the way to a better chain.
    pub(super) fn note_fetched(&mut self, blocks: usize, now: Now) {
        if blocks == 0 || self.chain.goal() == self.chain.tip() {
            return;
        }
        self.catch_up.fetched_at = Some(now.elapsed);
        if self.catch_up.is_first() {
            let more = REST_PER_BLOCK.0.saturating_mul(blocks as u64);
            self.catch_up.patience = Millis(self.catch_up.patience.0.saturating_add(more).min(REST_MAX.0));
        }
    }

    /// Decides whether the node rests.
    pub(super) fn plan_rest(&mut self, now: Now) {
        self.catch_up.count(now);
        let is_shown = self.shown_lead() > FAR_BEHIND;
        let wants_rest = if self.catch_up.has_caught_up {
            let age = now.unix.saturating_since(self.chain.tree().timestamp(self.chain.tip()));
            if age <= TIP_AGE_MAX {
                self.catch_up.patience = REST_MAX;
            }
            is_shown && age > TIP_AGE_MAX
        } else {
            is_shown || self.sync_view().is_some_and(|view| lead(view) > FAR_BEHIND)
        };
        let is_resting = wants_rest && self.catch_up.patience > Millis(0);
        if !is_resting && !is_shown && self.catch_up.is_first() && self.knows_a_peer() {
            (self.catch_up.has_caught_up, self.catch_up.patience) = (true, REST_MAX);
        }
        if std::mem::replace(&mut self.catch_up.is_resting, is_resting) != is_resting {
            tracing::debug!(is_resting, is_shown, "rest of what needs a chain that is up to date");
            if let Some(view) = self.sync_view().filter(|_| is_resting && self.mining.is_by_itself()) {
                self.notify(Notice::MiningWaits { height: view.height, target: view.target });
            }
        }
    }

    /// Blocks that the headers of a better chain are ahead of ours.
    fn shown_lead(&self) -> u64 {
        let tree = self.chain.tree();
        tree.height(self.chain.goal()).saturating_since(tree.height(self.chain.tip()))
    }

    fn knows_a_peer(&self) -> bool {
        self.peers.iter().any(|(_, session)| session.status.is_some())
    }
}

fn lead(view: SyncView) -> u64 {
    view.target.saturating_since(view.height)
}
