//! Reasons why a peer is not asked for anything: for the log alone, and computed only if the log shows them.

use tracing::Level;

use super::super::Engine;
use super::super::event::{Now, PeerKey};
use super::super::peers::PeerState;
use super::{
    BLOCKS_AHEAD_BYTES_MAX, FORK_STEPS_MAX, HEADERS_AHEAD_MAX, PATH_LOW_WATER, UNPERSISTED_BATCHES_MAX,
    UNPERSISTED_BYTES_MAX,
};

impl Engine {
    /// Logs for each peer the reason why it is not asked for headers, blocks or transactions, once for each reason.
    pub(super) fn log_idle_peers(&mut self, now: Now) {
        if !tracing::enabled!(Level::DEBUG) {
            return;
        }
        let reasons: Vec<_> =
            self.peers.iter().map(|(peer, session)| (peer, self.idle_reason(peer, session, now))).collect();
        for (peer, why) in reasons {
            let Some(session) = self.peers.get_quietly(peer) else { continue };
            if session.idle_reason != Some(why) {
                session.idle_reason = Some(why);
                tracing::debug!(%peer, why, "not asked");
            }
        }
    }

    fn idle_reason(&self, peer: PeerKey, session: &PeerState, now: Now) -> &'static str {
        if self.peers.is_cut_off(peer) {
            "it was cut off"
        } else if session.flight.is_some() {
            "a question to it is under way"
        } else if session.awaits_late(now) {
            "a long answer may still be on its way"
        } else if self.wants_headers(session) && !self.may_take_turn(peer, now) {
            "other peers' long branches are downloaded first"
        } else {
            self.reason_for_no_headers(session).or_else(|| self.reason_for_no_blocks(peer, session)).unwrap_or_else(
                || {
                    if self.is_resting() {
                        "it has nothing that we lack, and transactions wait until we have caught up"
                    } else {
                        "it has nothing that we lack"
                    }
                },
            )
        }
    }

    /// `None` if its chain is known to us.
    fn reason_for_no_headers(&self, session: &PeerState) -> Option<&'static str> {
        let Some(status) = &session.status else { return Some("its status is not known yet") };
        let tree = self.chain.tree();
        if status.work <= tree.work(self.chain.tip()) {
            return Some("its chain has no more work than ours");
        }
        if tree.find(&status.tip).is_some() {
            return None;
        }
        if session.barred_until.is_some() {
            return Some("its chain leaves out our checkpoint");
        }
        if session.exhausted_tip == Some(status.tip) {
            return Some("its headers did not show the work that it claims");
        }
        let ahead = session.best.map(|best| tree.height(best).saturating_since(tree.height(self.chain.tip())));
        if ahead.is_some_and(|ahead| ahead > HEADERS_AHEAD_MAX) {
            return Some("its headers are far ahead of our blocks");
        }
        let is_low = self.chain.path_without_bodies(PATH_LOW_WATER).count() < PATH_LOW_WATER;
        (!is_low).then_some("blocks of known headers are fetched first")
    }

    /// `None` if it has no block that we lack.
    fn reason_for_no_blocks(&self, peer: PeerKey, session: &PeerState) -> Option<&'static str> {
        let Some(best) = session.best else { return Some("no header of its chain is known to us") };
        if !self.chain.path_lacks_bodies() {
            return None;
        }
        if self.chain.highest_on_path(best, FORK_STEPS_MAX).is_none() {
            return Some("another chain is fetched, which has more work");
        }
        if self.gate.batches() > UNPERSISTED_BATCHES_MAX || self.gate.bytes() > UNPERSISTED_BYTES_MAX {
            return Some("the disk is behind");
        }
        if self.sync.checking_bytes > BLOCKS_AHEAD_BYTES_MAX {
            return Some("the checks are behind");
        }
        let is_slow = session.timeouts > 0 || !session.pace.is_quick();
        if is_slow && self.another_peer_has_the_path(peer, session.pace.batch_bytes()) {
            return Some("it is slow, and a quicker peer has the same blocks");
        }
        Some("the blocks that it has were asked for already")
    }
}

#[cfg(test)]
mod tests {
    use crate::logged::logged;
    use crate::protocol::{Millis, Network, Parameters};
    use crate::sim::world::World;

    #[test]
    fn the_log_says_why_a_peer_is_not_asked() {
        let lines = logged(|| {
            let mut world = World::new(Network::new(Parameters::dev()).expect("valid"), 7);
            let nodes = [world.add_node(), world.add_node()];
            world.connect(nodes[0], nodes[1]);
            world.run_for(Millis::from_secs(10));
        });
        for why in ["its status is not known yet", "its chain has no more work than ours"] {
            assert!(lines.iter().any(|line| line.contains(&format!("why=\"{why}\""))), "{why}: {lines:?}");
        }
    }
}
