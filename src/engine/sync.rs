//! Synchronisation: fetches status, headers, blocks and pending transactions from peers.
//!
//! Level-triggered: after every event, it requests everything that is wanted and not in flight. A lost answer heals by
//! its deadline, so nothing here waits for ever. Headers come first, and bodies are fetched only for a chain whose
//! headers show more work than ours; until then none is kept (see `presync`).
//!
//! The timeout of a peer depends on how fast it has been (see `pace`), and being slow gains nobody anything: after the
//! normal timeout a faster peer may be asked for the same, and a chain that a faster peer has goes first. A peer that
//! does not answer in time is asked again only when there is no other, for less. Its answer is still used if it
//! arrives; until then it gets no other long question, since that answer would arrive behind it.

mod answers;
mod goal;
mod headers;
mod idle;
mod presync;
mod status;

use std::collections::{HashSet, VecDeque};

use quipu_protocol::block::HEADER_BYTES;
use quipu_protocol::message::{REQUEST_IDS_MAX, RESPONSE_HEADERS_MAX, RESPONSE_IDS_MAX, Request};
use quipu_protocol::{BlockId, Millis, TransactionId};

use super::budget::QUESTION_GAP;
use super::event::{Effect, Now, PeerEffect, PeerKey};
use super::header_tree::BlockRef;
use super::pace::ANSWER_TIMEOUT;
use super::peers::{Flight, PeerQuestion, PeerState};
use super::serve::pending_cost;
use super::{Engine, TICK_INTERVAL};
#[cfg(test)]
pub(crate) use goal::WITHHELD_TOLD_AFTER;
pub(crate) use presync::{MARK_SPACING, MARKS_MAX, Presync};
pub use status::CLOCK_TOLERANCE_MILLIS;

/// Interval of status questions to each peer. Also the time in which lost gossip heals.
pub const STATUS_INTERVAL: Millis = Millis(5_000);
/// The greatest lead of headers over the connected chain. More are requested when it has caught up.
const HEADERS_AHEAD_MAX: u64 = 262_144;
/// With fewer blocks than this left to fetch, more headers are requested first.
const PATH_LOW_WATER: usize = 8_192;
/// Blocks that are fetched ahead of the first missing one.
pub(crate) const BLOCKS_AHEAD_MAX: usize = 8_192;
/// Blocks fetched ahead, in bytes, by the average length of recent ones. No blocks are requested either while received
/// ones that are being checked exceed it: at first, and where long blocks follow short ones, the average is wrong.
const BLOCKS_AHEAD_BYTES_MAX: usize = 16 << 20;
/// Blocks in one request.
pub(crate) const BLOCKS_PER_REQUEST_MAX: usize = 2_048;
/// The assumed length of a transaction whose length is not known yet, in bytes.
const TRANSACTION_BYTES_TYPICAL: usize = 256;
/// Batches that are written but not durable yet. While there are more, no blocks are requested.
const UNPERSISTED_BATCHES_MAX: usize = 256;
/// The encoded length of their blocks, in bytes, with the same effect.
const UNPERSISTED_BYTES_MAX: usize = 32 << 20;
/// Intervals at which a peer's pending transactions are compared with ours: while it reports more at our tip, and
/// otherwise. At another tip its number says little: a block removes many at once.
const PENDING_INTERVAL: (Millis, Millis) = (Millis(2_000), Millis(60_000));
/// Steps that are walked back to find out where a peer's chain leaves our path.
const FORK_STEPS_MAX: usize = 64;
/// A chain that lacks more blocks than this is not up to date enough to judge transactions or to be announced.
pub(crate) const FAR_BEHIND: u64 = 16;

/// The state of synchronisation.
#[derive(Debug)]
pub(crate) struct Sync {
    /// Blocks that are requested or being checked.
    requested: HashSet<BlockRef>,
    /// A moving average of the length of blocks.
    body_bytes: usize,
    /// The length of the received blocks that are being checked.
    checking_bytes: usize,
    told_of_our_clock: bool,
    was_fetching: bool,
    /// A better branch of which a block does not come, and since when it was the one to follow.
    withheld_since: Option<(BlockRef, Millis)>,
    /// The time at which to plan although nothing has changed.
    due: Millis,
    /// The time at which a question may be asked that had to wait for a budget or a gap.
    held_until: Option<Millis>,
}

impl Default for Sync {
    fn default() -> Self {
        Self {
            requested: HashSet::new(),
            body_bytes: 256,
            checking_bytes: 0,
            told_of_our_clock: false,
            was_fetching: false,
            withheld_since: None,
            due: Millis(0),
            held_until: None,
        }
    }
}

impl Sync {
    /// Records that a question has to wait.
    fn hold(&mut self, until: Millis) {
        self.held_until = Some(self.held_until.map_or(until, |held| held.min(until)));
    }

    fn note_length(&mut self, length: usize) {
        self.body_bytes = (self.body_bytes * 15 + length).div_ceil(16);
    }

    /// Keeps a block from being requested while it is checked.
    pub(crate) fn note_check(&mut self, block: BlockRef) {
        self.requested.insert(block);
    }

    /// Records that the check of a block is over.
    pub(crate) fn note_checked(&mut self, block: BlockRef) {
        self.requested.remove(&block);
    }

    /// The number of blocks that are requested or being checked.
    pub(crate) fn requested(&self) -> usize {
        self.requested.len()
    }

    /// Lets other peers be asked for the blocks of this question too.
    fn share(&mut self, flight: &mut Flight) {
        if let (PeerQuestion::Blocks(blocks), true) = (&flight.question, std::mem::take(&mut flight.is_exclusive)) {
            for block in blocks {
                self.requested.remove(block);
            }
        }
    }
}

impl PeerState {
    /// Whether a status question is due, `interval` after the last one.
    fn wants_status(&self, interval: Millis, now: Now) -> bool {
        self.status_flight.is_none() && self.status_turn.is_due(interval, now)
    }

    /// Takes the cost of a question from what we may ask of the peer.
    fn note_question(&mut self, question: &PeerQuestion, now: Now) {
        let pending = self.status.as_ref().map_or(0, |status| status.pending as usize);
        let is_list = matches!(question, PeerQuestion::Pending);
        self.questions.spend(if is_list { pending_cost(pending) } else { 1 }, now);
        if matches!(question, PeerQuestion::Headers { .. }) {
            self.headers_at = now.elapsed + QUESTION_GAP;
        }
    }

    /// Whether it is time to compare the peer's pending transactions with ours.
    fn wants_pending(&self, ours: u64, tip: BlockId, now: Now) -> bool {
        let Some(status) = self.status.as_ref().filter(|status| status.pending > 0) else { return false };
        let lacks_some = status.pending > ours && status.tip == tip;
        let interval = if lacks_some { PENDING_INTERVAL.0 } else { PENDING_INTERVAL.1 };
        self.pending_turn.is_due(interval, now)
    }
}

impl Engine {
    /// Sends the wanted requests. After an event that changes neither the chain nor a session, that waits for the next
    /// one that does, or until something is due.
    pub(super) fn plan(&mut self, is_quiet: bool, now: Now, effects: &mut Vec<Effect>) {
        if is_quiet && now.elapsed < self.sync.due && !self.peers.take_changed() {
            return;
        }
        self.send_requests(now, effects);
        self.peers.take_changed();
        let latest = now.elapsed + TICK_INTERVAL;
        let deadlines = [self.next_deadline(), self.sync.held_until].into_iter().flatten();
        self.sync.due = deadlines.fold(latest, Millis::min);
    }

    /// The time at which to plan again, whatever happens.
    pub(super) fn plan_due(&self) -> Millis {
        self.sync.due
    }

    fn send_requests(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.sync.held_until = None;
        self.expire(now, effects);
        self.choose_goal();
        self.report_withheld(now);
        self.report_own_date(now);
        self.note_end_of_sync();
        let mut missing = None;
        // Peers that are almost due are asked together with those that are due: one round for all peers.
        let is_due = self.peers.iter().any(|(_, session)| session.wants_status(STATUS_INTERVAL, now));
        let interval = if is_due { Millis(STATUS_INTERVAL.0 / 2) } else { STATUS_INTERVAL };
        // Usually there is nothing to ask anybody, and this runs after every event.
        let may_ask =
            self.peers.iter().filter(|(_, session)| self.may_ask(session, interval, now)).map(|(peer, _)| peer);
        let peers: Vec<PeerKey> = may_ask.collect();
        for peer in peers {
            if self.peers.is_cut_off(peer) {
                continue;
            }
            self.plan_status(peer, interval, now, effects);
            let session = self.peers.get(peer).expect("the list was just made");
            if session.flight.is_some() || session.awaits_late(now) || !self.has_budget(peer, now) {
                continue;
            }
            let Some((request, question)) = self.next_request(peer, &mut missing, now) else { continue };
            let flight = self.fly(peer, question, now);
            let timeout_millis = flight.deadline.saturating_sub(now.elapsed).0;
            tracing::debug!(%peer, question = flight.question.name(), timeout_millis, "asked");
            effects.push(Effect::Peer(PeerEffect::Ask { peer, key: flight.key, request }));
            let session = self.peers.get_mut(peer).expect("the list was just made");
            session.note_question(&flight.question, now);
            (session.flight, session.idle_reason) = (Some(flight), None);
        }
        self.log_idle_peers(now);
    }

    /// Whether a peer is not busy and one more question is within what we may ask of it. If so, the question has to be
    /// asked only if there is one, and is counted then.
    fn has_budget(&mut self, peer: PeerKey, now: Now) -> bool {
        let session = self.peers.get_quietly(peer).expect("called for sessions");
        let cost = pending_cost(session.status.as_ref().map_or(0, |status| status.pending as usize));
        let ready = session.questions.ready_at(cost).max(session.question_bytes.ready_at(1)).max(session.busy_until);
        if ready > now.elapsed {
            self.sync.hold(ready);
        }
        ready <= now.elapsed
    }

    /// A question to a peer, with its deadline.
    fn fly(&mut self, peer: PeerKey, question: PeerQuestion, now: Now) -> Flight {
        let key = self.new_key();
        let session = self.peers.get(peer).expect("questions go to sessions only");
        let pending = session.status.as_ref().map_or(0, |status| status.pending);
        let bytes = match &question {
            PeerQuestion::Status => 0,
            PeerQuestion::Headers { count, .. } => count * HEADER_BYTES,
            PeerQuestion::Blocks(blocks) => blocks.len() * self.sync.body_bytes,
            PeerQuestion::Pending => pending.min(RESPONSE_IDS_MAX as u64) as usize * size_of::<TransactionId>(),
            PeerQuestion::Transactions(ids) => ids.len() * TRANSACTION_BYTES_TYPICAL,
        };
        let deadline = now.elapsed + session.pace.timeout(bytes);
        Flight { key, question, asked_at: now.elapsed, deadline, bytes, is_exclusive: true }
    }

    fn wants_pending(&self, session: &PeerState, now: Now) -> bool {
        session.wants_pending(self.mempool.len() as u64, self.chain.tree().id(self.chain.tip()), now)
    }

    /// Whether a session may have something to be asked now. Never false if it has.
    fn may_ask(&self, session: &PeerState, interval: Millis, now: Now) -> bool {
        let is_free = session.flight.is_none() && !session.awaits_late(now);
        let wants_transactions = || !session.wanted_transactions.is_empty() || self.wants_pending(session, now);
        let wants_more = || wants_transactions() || self.chain.path_lacks_bodies() || self.wants_headers(session);
        session.wants_status(interval, now) || (is_free && wants_more())
    }

    /// Once caught up, re-queries every peer, for gossip that could not be judged meanwhile.
    fn note_end_of_sync(&mut self) {
        let tree = self.chain.tree();
        let fetching = tree.height(self.chain.goal()).saturating_since(tree.height(self.chain.tip())) > FAR_BEHIND;
        if std::mem::replace(&mut self.sync.was_fetching, fetching) && !fetching {
            for (_, session) in self.peers.iter_mut() {
                session.status_turn.want();
                session.pending_turn.want();
            }
        }
    }

    fn plan_status(&mut self, peer: PeerKey, interval: Millis, now: Now, effects: &mut Vec<Effect>) {
        if self.peers.get(peer).expect("called for sessions").wants_status(interval, now) {
            let session = self.peers.get_quietly(peer).expect("called for sessions");
            if !session.questions.take(1, now) {
                let ready = session.questions.ready_at(1);
                return self.sync.hold(ready);
            }
            session.status_turn.note(now);
            let flight = self.fly(peer, PeerQuestion::Status, now);
            effects.push(Effect::Peer(PeerEffect::Ask {
                peer,
                key: flight.key,
                request: Request::Status(self.status(now)),
            }));
            self.peers.get_mut(peer).expect("called for sessions").status_flight = Some(flight);
        }
    }

    /// `missing` is the result of [`Engine::missing_blocks`], less the blocks requested since.
    fn next_request(
        &mut self,
        peer: PeerKey,
        missing: &mut Option<VecDeque<BlockRef>>,
        now: Now,
    ) -> Option<(Request, PeerQuestion)> {
        let session = self.peers.get(peer)?;
        let is_low = || self.chain.path_without_bodies(PATH_LOW_WATER).count() < PATH_LOW_WATER;
        let headers_at = session.headers_at;
        let wants_headers = self.wants_headers(session) && is_low();
        if wants_headers && headers_at > now.elapsed {
            self.sync.hold(headers_at);
        } else if wants_headers && self.takes_turn(peer, now) {
            let session = self.peers.get(peer)?;
            let (tip, claimed) = session.status.as_ref().map(|status| (status.tip, status.work))?;
            let ahead = session.status.as_ref()?.height.saturating_since(self.chain.tip_place().height);
            let count = ahead.clamp(1, RESPONSE_HEADERS_MAX as u64) as usize;
            let best = || session.best.map(|best| self.chain.tree().id(best));
            let after = session.presync.as_ref().map(|presync| presync.after()).or_else(best);
            let locator = after.into_iter().chain(self.chain.locator()).collect();
            return Some((Request::Headers { locator }, PeerQuestion::Headers { tip, claimed, after, count }));
        }
        let blocks = self.blocks_for(peer, missing);
        if !blocks.is_empty() {
            let ids = blocks.iter().map(|block| self.chain.tree().id(*block)).collect();
            self.sync.requested.extend(&blocks);
            return Some((Request::Blocks { ids }, PeerQuestion::Blocks(blocks)));
        }
        self.next_pending_request(peer, now)
    }

    fn next_pending_request(&mut self, peer: PeerKey, now: Now) -> Option<(Request, PeerQuestion)> {
        if self.is_resting() {
            return None;
        }
        let wants_pending = self.wants_pending(self.peers.get(peer)?, now);
        let session = self.peers.get_mut(peer)?;
        if !session.wanted_transactions.is_empty() {
            let fitting = (session.pace.batch_bytes() / TRANSACTION_BYTES_TYPICAL).clamp(1, REQUEST_IDS_MAX);
            let count = session.wanted_transactions.len().min(fitting);
            let ids: Vec<TransactionId> = session.wanted_transactions.drain(..count).collect();
            return Some((Request::Transactions { ids: ids.clone().into() }, PeerQuestion::Transactions(ids)));
        }
        if !wants_pending {
            return None;
        }
        session.pending_turn.note(now);
        Some((Request::Pending, PeerQuestion::Pending))
    }

    /// Whether a peer claims a chain that has more work than ours and is not known to us.
    fn wants_headers(&self, session: &PeerState) -> bool {
        let Some(status) = &session.status else { return false };
        let tree = self.chain.tree();
        let far_ahead = session.best.is_some_and(|best| {
            tree.height(best).saturating_since(tree.height(self.chain.tip())) > HEADERS_AHEAD_MAX
                && tree.work(best) > tree.work(self.chain.tip())
        });
        status.work > tree.work(self.chain.tip())
            && tree.find(&status.tip).is_none()
            && session.exhausted_tip != Some(status.tip)
            && session.barred_until.is_none()
            && !far_ahead
    }

    /// The next unrequested blocks of the path that a peer has.
    fn blocks_for(&self, peer: PeerKey, missing: &mut Option<VecDeque<BlockRef>>) -> Vec<BlockRef> {
        let Some(session) = self.peers.get(peer) else { return Vec::new() };
        let overloaded = self.gate.batches() > UNPERSISTED_BATCHES_MAX
            || self.gate.bytes() > UNPERSISTED_BYTES_MAX
            || self.sync.checking_bytes > BLOCKS_AHEAD_BYTES_MAX;
        let has = session.best.and_then(|best| self.chain.highest_on_path(best, FORK_STEPS_MAX));
        let (Some(has), false) = (has, overloaded) else { return Vec::new() };
        let batch_bytes = session.pace.batch_bytes();
        let is_slow = session.timeouts > 0 || !session.pace.is_quick();
        if is_slow && self.another_peer_has_the_path(peer, batch_bytes) {
            return Vec::new();
        }
        let body_bytes = self.sync.body_bytes;
        // Rounded, so that blocks of just over half a batch do not come one by one.
        let count = ((batch_bytes + body_bytes / 2) / body_bytes).clamp(1, BLOCKS_PER_REQUEST_MAX);
        let missing = missing.get_or_insert_with(|| self.missing_blocks());
        let is_theirs = |block: &&BlockRef| self.chain.path_position(**block).is_some_and(|position| position <= has);
        let count = missing.iter().take(count).take_while(is_theirs).count();
        missing.drain(..count).collect()
    }

    /// The next unrequested blocks of the path. Found once for all peers.
    fn missing_blocks(&self) -> VecDeque<BlockRef> {
        let ahead = BLOCKS_AHEAD_MAX.min((BLOCKS_AHEAD_BYTES_MAX / self.sync.body_bytes).max(1));
        let missing = self.chain.path_without_bodies(ahead);
        missing.filter(|block| !self.sync.requested.contains(block)).collect()
    }

    /// Whether there is another quick peer to ask that takes at least `batch_bytes` at once.
    pub(super) fn another_peer_has_the_path(&self, not: PeerKey, batch_bytes: usize) -> bool {
        let goal = self.chain.goal();
        self.peers.iter().any(|(peer, session)| {
            let is_there = session.timeouts == 0 && session.refusals == 0;
            let is_quick = is_there && !session.is_overdue && session.pace.is_quick();
            peer != not && is_quick && session.pace.batch_bytes() >= batch_bytes && session.best == Some(goal)
        })
    }

    /// Gives up questions that have timed out, and lets other peers be asked for overdue blocks.
    fn expire(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if !self.peers.iter().any(|(_, session)| session.may_be_late(now)) {
            return;
        }
        let mut expired = Vec::new();
        for (peer, session) in self.peers.iter_mut() {
            expired.extend(session.take_expired(now).into_iter().flatten().map(|flight| (peer, flight)));
            let overdue = session.flight.as_ref().filter(|flight| flight.is_overdue(now));
            // A claim that is not proven by then counts no more than its headers.
            session.doubtful |= overdue.is_some_and(|flight| matches!(flight.question, PeerQuestion::Headers { .. }));
            session.is_overdue = overdue.is_some();
            if session.early_until.take_if(|until| *until <= now.unix).is_some() {
                session.exhausted_tip = None;
            }
            session.barred_until.take_if(|until| *until <= now.elapsed);
        }
        for (peer, flight) in expired {
            self.on_expired(peer, flight, now, effects);
        }
        for (_, session) in self.peers.iter_mut() {
            session.is_overdue |= session.awaits_late(now);
        }
        let overdue: Vec<PeerKey> =
            self.peers.iter().filter(|(_, session)| session.is_overdue).map(|(peer, _)| peer).collect();
        for peer in overdue {
            let flight = self.peers.get(peer).and_then(|session| session.flight.as_ref());
            if let Some(block) = flight.and_then(|flight| flight.question.first_block()) {
                self.note_withheld(block, now);
            }
            if self.another_peer_has_the_path(peer, 0)
                && let Some(flight) = self.peers.get_mut(peer).and_then(|session| session.flight.as_mut())
            {
                self.sync.share(flight);
            }
        }
    }

    /// The earliest deadline here.
    fn next_deadline(&self) -> Option<Millis> {
        let of_session = |session: &PeerState| {
            let status = session.status_flight.as_ref().map(|flight| flight.deadline);
            let next_status = Some(session.status_turn.due_at(STATUS_INTERVAL));
            let due = |flight: &Flight| {
                let overdue = flight.asked_at + ANSWER_TIMEOUT;
                if session.is_overdue { flight.deadline } else { flight.deadline.min(overdue) }
            };
            [status.or(next_status), session.flight.as_ref().map(due)].into_iter().flatten().min()
        };
        self.peers.iter().filter_map(|(_, session)| of_session(session)).min()
    }

    /// Gives up all requests to a peer that has left.
    pub(super) fn forget_flights(&mut self, session: PeerState) {
        if let Some(mut flight) = session.flight {
            if let Some(block) = flight.question.first_block() {
                self.chain.note_withheld(block);
            }
            self.sync.share(&mut flight);
        }
    }
}
