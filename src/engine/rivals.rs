//! Branches of the same length: the one whose blocks came first is kept, for a while.
//!
//! Each block's target depends on the dates of those before it, so of two branches of equal length one has a few per
//! cent more work. A miner can choose to have it: a block dated back makes the next one harder. If that were enough,
//! whoever mines in secret would win every tie, and selfish mining would pay from a smaller share of the hash rate
//! (Eyal and Sirer, "Majority is not enough", where γ is the share of the others that follow the late branch). So a
//! rival, a branch that is no longer than ours and has less than half a block's work more, has to wait:
//!
//! - until a block is found on either, as in Bitcoin, where equal branches have equal work,
//! - or until our tip came more than the network's grace ago, when nobody may be mining: then the most work decides,
//! - or until the user asks for it with `resolve`.
//!
//! This is a policy of each node, not a rule: nodes that choose otherwise agree with the next block at the latest.

use quipu_protocol::Millis;

use super::Engine;
use super::event::{NotFollowed, Now};

impl Engine {
    /// Decides whether the tip is kept against rivals, and tells the user of one that waits for longer than a block
    /// usually takes.
    pub(super) fn plan_rivals(&mut self, now: Now) {
        let keeps_tip = self.resolving.is_empty() && self.tip_kept_until().is_some_and(|until| now.elapsed < until);
        self.chain.keep_tip(keeps_tip);
        let spacing = self.network.parameters().target_spacing;
        if self.tip_came_at.is_none_or(|at| now.elapsed < at + spacing) {
            return;
        }
        let Some(rival) = self.chain.waiting_rival() else { return };
        let has_it = self.peers.iter().find(|(_, session)| session.best == Some(rival)).map(|(peer, _)| peer);
        if let Some(peer) = has_it {
            let place = self.chain.tree().place(rival);
            self.report_not_followed(peer, place.id, place.height, NotFollowed::Rival, now);
        }
    }

    /// The time at which a rival that waits is followed, if there is one.
    pub(super) fn rival_deadline(&self) -> Option<Millis> {
        self.tip_kept_until().filter(|_| self.chain.waiting_rival().is_some())
    }

    fn tip_kept_until(&self) -> Option<Millis> {
        self.tip_came_at.map(|at| at + self.network.parameters().grace)
    }
}
