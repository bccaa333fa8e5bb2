//! The checkpoint as the user and peers see it: set, and chains that leave it out turned down.
//!
//! A peer with such a chain may be honest and on the other side of a partition, so it is not punished. It is asked for
//! headers once for each tip that it tells of, and not at all for a while after that.

use std::collections::VecDeque;

use quipu_protocol::{BlockId, Height, Millis};

use super::Engine;
use super::event::{Answer, CommandError, Notice, Now, PeerKey, Write};
use super::peers::Candidate;

/// How long a peer whose headers left out the checkpoint is not asked for headers again. Its next tips mostly are on the
/// same branch, and a whole answer costs us more than it costs the peer.
pub(super) const BARRED_PAUSE: Millis = Millis(10_000);
/// Least time between two notices of a refused reorganisation.
pub(super) const REFUSED_NOTICE_INTERVAL: Millis = Millis(60_000);
/// Tips that the user was told of, so that none is told twice. The oldest are forgotten first.
const REFUSED_TIPS_MAX: usize = 64;

/// What the user was told of chains that leave out the checkpoint.
#[derive(Debug, Default)]
pub(super) struct RefusedTips {
    told: VecDeque<BlockId>,
    told_at: Option<Millis>,
}

impl RefusedTips {
    /// Whether this one is to be told now.
    fn is_news(&mut self, tip: BlockId, now: Now) -> bool {
        let due = self.told_at.is_none_or(|at| now.elapsed >= at + REFUSED_NOTICE_INTERVAL);
        if !due || self.told.contains(&tip) {
            return false;
        }
        self.told_at = Some(now.elapsed);
        self.told.push_back(tip);
        if self.told.len() > REFUSED_TIPS_MAX {
            self.told.pop_front();
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
        let index = self.chain.index();
        for (_, session) in self.peers.iter_mut() {
            session.best = session.best.filter(|best| !index.is_barred(*best));
            // What was refused may be welcome now, and the other way round.
            session.look_again();
        }
        Ok(Answer::Checkpoint(checkpoint))
    }

    /// A peer's headers leave out the checkpoint: what it tells of this tip counts no more, and its blocks are forgotten.
    pub(super) fn bar(&mut self, peer: PeerKey, tip: BlockId, now: Now) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.candidate = Candidate::default();
        (session.exhausted_tip, session.doubtful) = (Some(tip), true);
        session.barred_until = Some(now.elapsed + BARRED_PAUSE);
        let height = session.status.as_ref().map(|status| status.height);
        self.orphans.forget_peer(peer);
        if let Some(height) = height {
            self.tell_refused(peer, tip, height, now);
        }
    }

    /// Tells the user of a chain with more work than ours that leaves out the checkpoint, unless that was told lately.
    pub(super) fn tell_refused(&mut self, peer: PeerKey, tip: BlockId, height: Height, now: Now) {
        if let Some(checkpoint) = self.chain.checkpoint()
            && self.refused_tips.is_news(tip, now)
        {
            self.notify(Notice::ReorganisationRefused { checkpoint, peer, height });
        }
    }
}
