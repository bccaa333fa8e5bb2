//! The chain to move to: the best one that a peer has shown, and the claims that are still to be shown.

use quipu_protocol::Millis;

use super::super::Engine;
use super::super::event::{NotFollowed, Now, PeerKey};
use super::super::header_tree::BlockRef;
use super::super::peers::PeerState;
use super::super::view::SyncView;

/// The time for which nothing but a branch with a missing block is left to follow, until the user is told.
pub(crate) const WITHHELD_TOLD_AFTER: Millis = Millis(30_000);

impl Engine {
    /// Sets the goal to the best block that a peer has, unless a better one is stored and theirs are still to come. An
    /// overdue peer, or a branch of which a block was not delivered, is followed only if there is nothing else that is
    /// better than what we have.
    pub(in super::super) fn choose_goal(&mut self) {
        let tree = self.chain.tree();
        let (current, work) = (self.chain.goal(), tree.work(self.chain.tip()));
        let offered = self.peers.iter().filter_map(|(_, session)| Some((session.best?, session.is_overdue)));
        let candidates = offered.filter(|(block, _)| !tree.is_condemned(*block));
        // An overdue block may be part of other branches too, so a peer that was not asked yet comes before one that owes
        // it. Ties go to the present goal, then to the block known first.
        let best = candidates.max_by_key(|(block, is_overdue)| {
            let is_there = !is_overdue && tree.work(*block) > work;
            let is_whole = !tree.is_withheld(*block);
            (is_there, is_whole, tree.work(*block), *block == current, std::cmp::Reverse(*block))
        });
        self.chain.set_goal(self.chain.stored_goal().or(best.map(|(block, _)| block)));
    }

    /// Records that a block of the chain to move to was asked for and did not come.
    pub(super) fn note_withheld(&mut self, block: BlockRef, now: Now) {
        self.chain.note_withheld(block);
        let goal = self.chain.goal();
        if self.chain.tree().is_withheld(goal) {
            self.sync.withheld_since.get_or_insert((goal, now.elapsed));
        }
    }

    /// Tells the user of a better chain of which a block does not come.
    pub(super) fn report_withheld(&mut self, now: Now) {
        let (tree, tip) = (self.chain.tree(), self.chain.tip());
        let is_missing = |block| tree.is_withheld(block) && tree.work(block) > tree.work(tip);
        let withheld = &mut self.sync.withheld_since;
        // It counts as long as it is not there, however often the peers that show it come and go.
        withheld.take_if(|(block, _)| !is_missing(*block));
        let Some((block, _)) = withheld.filter(|(_, since)| now.elapsed >= *since + WITHHELD_TOLD_AFTER) else {
            return;
        };
        let (id, height, work) = (tree.id(block), tree.height(block), tree.work(block));
        let claims_it = |session: &PeerState| session.status.as_ref().is_some_and(|status| status.work >= work);
        let shown_by = self.peers.iter().find(|(_, session)| claims_it(session));
        if let Some((peer, _)) = shown_by {
            self.report_not_followed(peer, id, height, NotFollowed::Withheld, now);
        }
    }

    /// Whether a better chain is being fetched, or one that a peer claims being verified. Claims in sessions after
    /// `newest` do not count, so that they cannot go on for ever.
    pub(in super::super) fn is_syncing(&self, newest: Option<PeerKey>) -> bool {
        let goal = self.chain.goal();
        let is_there = goal == self.chain.tip() || self.chain.waiting_rival().is_some();
        let is_fetching = !is_there && !self.chain.tree().is_withheld(goal);
        is_fetching || self.claims().any(|(peer, _)| Some(peer) <= newest)
    }

    /// The peers whose claim of a better chain is being verified.
    fn claims(&self) -> impl Iterator<Item = (PeerKey, &PeerState)> {
        self.peers.iter().filter(|(_, session)| !session.doubtful && self.wants_headers(session))
    }

    /// The progress of the synchronisation, if there is one. Claims count until the node has caught up once.
    pub(in super::super) fn sync_view(&self) -> Option<SyncView> {
        let tree = self.chain.tree();
        let claims = self.catch_up.is_first().then(|| self.claims()).into_iter().flatten();
        let told = claims.filter_map(|(_, session)| session.status.as_ref().map(|status| status.height));
        let is_fetched = |goal: &BlockRef| *goal == self.chain.tip() || self.chain.waiting_rival().is_some();
        let goal = Some(self.chain.goal()).filter(|goal| !is_fetched(goal)).map(|goal| tree.height(goal));
        let target = told.chain(goal).max()?;
        Some(SyncView { height: tree.height(self.chain.tip()), target })
    }
}
