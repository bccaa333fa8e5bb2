//! Statuses: our own, those of peers, and what they say about the clocks.

use quipu_protocol::Status;
use quipu_protocol::message::NICKNAME_BYTES_MAX;

use super::super::Engine;
use super::super::event::{Effect, Fault, Notice, Now, PeerKey};

/// A clock offset above this is reported to the user, in milliseconds.
pub const CLOCK_TOLERANCE_MILLIS: u64 = 10_000;
/// The least number of peers that can make a user doubt their own clock: more than two strangers.
const CLOCKS_AGAINST_US_MIN: usize = 3;

impl Engine {
    /// Our status, for peers.
    pub(in super::super) fn status(&self, now: Now) -> Status {
        let tip = self.chain.tip_place();
        Status {
            tip: tip.id,
            height: tip.height,
            work: self.chain.tree().work(self.chain.tip()),
            clock: now.unix,
            pending: self.mempool.len() as u64,
            nickname: self.nickname.bytes().take(NICKNAME_BYTES_MAX).collect(),
        }
    }

    /// Processes a peer's status, which came as a question or as an answer.
    pub(in super::super) fn on_status(&mut self, peer: PeerKey, status: Status, now: Now, effects: &mut Vec<Effect>) {
        let known = self.chain.tree().find(&status.tip);
        if known.is_some_and(|block| self.chain.tree().is_condemned(block)) {
            self.peers.punish(peer, Fault::WrongAnswer, effects);
            return;
        }
        let barred = known.is_some_and(|block| self.chain.tree().is_barred(block));
        if barred && status.work > self.chain.tree().work(self.chain.tip()) {
            self.report_refused_tip(peer, status.tip, status.height, now);
        }
        let ours = self.mempool.len() as u64;
        let Some(session) = self.peers.get_quietly(peer) else { return };
        let before = (session.best, session.withheld.is_some(), session.presync.is_some());
        let withheld = session.withheld.take_if(|(_, until)| now.elapsed < *until);
        let is_withheld = withheld.is_some_and(|(tip, _)| tip == status.tip);
        session.withheld = withheld.filter(|_| is_withheld);
        if known.is_some() && !is_withheld {
            session.best = known.filter(|_| !barred);
            session.presync = None;
        }
        let offset = status.clock.signed_since(now.unix);
        let told_before = session.clock_offset_millis.is_some_and(|old| old.unsigned_abs() > CLOCK_TOLERANCE_MILLIS);
        session.clock_offset_millis = Some(offset);
        let after = (session.best, session.withheld.is_some(), session.presync.is_some());
        let is_same = |old: &Status| {
            let has_more = status.pending > ours && status.pending != old.pending;
            (old.tip, old.work, old.height) == (status.tip, status.work, status.height) && !has_more
        };
        let is_news = before != after || !session.status.as_ref().is_some_and(is_same);
        session.status = Some(status);
        if is_news {
            self.peers.note_changed();
        }
        if offset.unsigned_abs() > CLOCK_TOLERANCE_MILLIS && !told_before {
            self.report_clock_offset(peer, offset);
        }
    }

    /// Reports clock offsets: a few peers with another clock are wrong; if [`CLOCKS_AGAINST_US_MIN`] and most of all
    /// agree against us, we are.
    fn report_clock_offset(&mut self, peer: PeerKey, offset_millis: i64) {
        let mut offsets: Vec<i64> = self.peers.iter().filter_map(|(_, session)| session.clock_offset_millis).collect();
        offsets.sort_unstable();
        let off =
            |offset: &&i64| offset.unsigned_abs() > CLOCK_TOLERANCE_MILLIS && (**offset > 0) == (offset_millis > 0);
        let against_us = offsets.iter().filter(off).count();
        if against_us >= CLOCKS_AGAINST_US_MIN && against_us * 2 > offsets.len() {
            if !self.sync.told_of_our_clock {
                self.sync.told_of_our_clock = true;
                self.notify(Notice::OurClockDiffers { offset_millis: offsets[offsets.len() / 2] });
            }
        } else {
            self.notify(Notice::ClockDiffers { peer, offset_millis });
        }
    }
}
