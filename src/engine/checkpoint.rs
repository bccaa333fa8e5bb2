//! The checkpoint towards user and peers: setting it, and refusing chains that leave it out.
//!
//! A peer with such a chain may be honest and on the other side of a partition, so it is not punished. It is asked for
//! headers once for each tip that it reports, and not at all for a while after that.

use std::collections::VecDeque;

use quipu_protocol::{BlockId, Height, Millis};

use super::Engine;
use super::event::{Answer, CommandError, Notice, Now, PeerKey, Write};

/// Pause before a peer whose headers left out the checkpoint is asked for headers again. Its next tips are usually on
/// the same branch, and a full answer costs us more than it costs the peer.
pub(super) const BARRED_PAUSE: Millis = Millis(10_000);
/// Minimum interval between two notices of a refused reorganisation.
pub(super) const REFUSED_NOTICE_INTERVAL: Millis = Millis(60_000);
/// Tips that were reported to the user, so that none is reported twice. The oldest are forgotten first.
const REFUSED_TIPS_MAX: usize = 64;

/// The reported tips of chains with more work than ours that are not followed.
#[derive(Debug, Default)]
pub(super) struct RefusedTips {
    reported: VecDeque<BlockId>,
    told_at: Option<Millis>,
}

impl RefusedTips {
    /// Whether to report this tip now.
    pub(super) fn is_news(&mut self, tip: BlockId, now: Now) -> bool {
        let due = self.told_at.is_none_or(|at| now.elapsed >= at + REFUSED_NOTICE_INTERVAL);
        if !due || self.reported.contains(&tip) {
            return false;
        }
        self.told_at = Some(now.elapsed);
        self.reported.push_back(tip);
        if self.reported.len() > REFUSED_TIPS_MAX {
            self.reported.pop_front();
        }
        true
    }
}

impl Engine {
    pub(super) fn set_checkpoint(&mut self, height: Option<Height>) -> Result<Answer, CommandError> {
        let tip = self.chain.tip_place().height;
        if height.is_some_and(|height| height > tip) {
            return Err(CommandError::NoSuchHeight { tip });
        }
        self.chain.set_checkpoint(height);
        let checkpoint = self.chain.checkpoint();
        self.writes.push(Write::Checkpoint(checkpoint));
        self.refused_tips = RefusedTips::default();
        let tree = self.chain.tree();
        for (_, session) in self.peers.iter_mut() {
            session.best = session.best.filter(|best| !tree.is_barred(*best));
            // A tip refused before may be welcome now, and the other way round.
            session.refresh();
        }
        Ok(Answer::Checkpoint(checkpoint))
    }

    /// Records that a peer's headers leave out the checkpoint: the claimed tip counts no more, and its blocks are
    /// forgotten.
    pub(super) fn bar(&mut self, peer: PeerKey, tip: BlockId, now: Now) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.presync = None;
        (session.exhausted_tip, session.doubtful) = (Some(tip), true);
        session.barred_until = Some(now.elapsed + BARRED_PAUSE);
        tracing::debug!(%peer, %tip, why = "its chain leaves out our checkpoint", "not followed");
        let height = session.status.as_ref().map(|status| status.height);
        self.orphans.forget_peer(peer);
        if let Some(height) = height {
            self.report_refused_tip(peer, tip, height, now);
        }
    }

    /// Reports a chain with more work than ours that leaves out the checkpoint, unless it was reported lately.
    pub(super) fn report_refused_tip(&mut self, peer: PeerKey, tip: BlockId, height: Height, now: Now) {
        if let Some(checkpoint) = self.chain.checkpoint()
            && self.refused_tips.is_news(tip, now)
        {
            self.notify(Notice::ReorganisationRefused { checkpoint, peer, height });
        }
    }
}
