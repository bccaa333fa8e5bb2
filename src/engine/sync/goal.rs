//! The chain to move to: the best one that a peer has shown, and the claims that are still to be shown.

use super::super::Engine;
use super::super::event::PeerKey;
use super::super::peers::PeerState;
use super::super::view::SyncView;

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

    /// Whether a better chain is being fetched, or one that a peer claims being verified. Claims in sessions after
    /// `newest` do not count, so that they cannot go on for ever.
    pub(in super::super) fn is_syncing(&self, newest: Option<PeerKey>) -> bool {
        let goal = self.chain.goal();
        let is_fetching = goal != self.chain.tip() && !self.chain.tree().is_withheld(goal);
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
        let goal = Some(self.chain.goal()).filter(|goal| *goal != self.chain.tip()).map(|goal| tree.height(goal));
        let target = told.chain(goal).max()?;
        Some(SyncView { height: tree.height(self.chain.tip()), target })
    }
}
