//! Fetching what others have and we lack: status, headers, blocks, pending transactions.
//!
//! Level-triggered: after every event, what is wanted less what is in flight is asked for. A lost answer heals by its
//! deadline, so nothing here waits for ever. Headers come first, and bodies are fetched only for a chain whose headers
//! show more work than ours; headers with less stay in a bounded buffer of the session. A peer that does not answer in
//! time gives up its share to others and is asked again only when there is no other, for less.

mod answers;
mod headers;

use std::collections::{HashSet, VecDeque};

use quipu_protocol::message::{NICKNAME_BYTES_MAX, REQUEST_IDS_MAX, Request, Status};
use quipu_protocol::{BlockId, Millis, TransactionId};

use super::event::{Effect, Fault, Notice, Now, PeerKey, RequestFailure};
use super::index::BlockRef;
use super::peers::{Asked, Candidate, Flight, Session};
use super::view::SyncView;
use super::{Engine, TICK_INTERVAL};

/// How often each peer is asked how far it is. Also the time in which lost gossip heals.
pub const STATUS_INTERVAL: Millis = Millis(5_000);
/// How long a peer may take to answer.
pub const ANSWER_TIMEOUT: Millis = Millis(4_000);
/// How far headers may be ahead of the connected chain. More are asked for when it has caught up.
const HEADERS_AHEAD_MAX: u64 = 262_144;
/// With fewer blocks than this left to fetch, more headers are asked for first.
const PATH_LOW_WATER: usize = 8_192;
/// Blocks that are fetched ahead of the first missing one.
const BLOCKS_AHEAD_MAX: usize = 8_192;
/// Blocks fetched ahead, in bytes, by the average of those that came lately.
const BLOCKS_AHEAD_BYTES_MAX: usize = 16 << 20;
/// Blocks in one request.
const BLOCKS_PER_REQUEST_MAX: usize = 2_048;
/// Batches that are written but not durable yet. No blocks are asked for while there are more.
const UNPERSISTED_BATCHES_MAX: usize = 256;
/// Likewise, the encoded length of their blocks, in bytes.
const UNPERSISTED_BYTES_MAX: usize = 32 << 20;
/// How often a peer's pending transactions are compared with ours: when it told of more at the tip that we have, and
/// else. At another tip it says little: a block takes many at once.
const PENDING_INTERVAL: (Millis, Millis) = (Millis(2_000), Millis(60_000));
/// Steps that are walked back to find out where a peer's chain leaves our path.
const FORK_STEPS_MAX: usize = 64;
/// A chain that lacks more blocks than this is not up to date enough to judge transactions or to be announced.
pub(crate) const FAR_BEHIND: u64 = 16;
/// A clock that differs by more is told to the user, in milliseconds.
pub const CLOCK_TOLERANCE_MILLIS: u64 = 10_000;

/// What is being fetched.
#[derive(Debug)]
pub(crate) struct Sync {
    /// Blocks that were asked for or are being checked.
    requested: HashSet<BlockRef>,
    /// A moving average.
    body_bytes: usize,
    told_of_our_clock: bool,
    was_fetching: bool,
    /// When there is something to plan although nothing has changed.
    due: Millis,
}

impl Default for Sync {
    fn default() -> Self {
        Self {
            requested: HashSet::new(),
            body_bytes: 256,
            told_of_our_clock: false,
            was_fetching: false,
            due: Millis(0),
        }
    }
}

impl Sync {
    fn note_length(&mut self, length: usize) {
        self.body_bytes = (self.body_bytes * 15 + length).div_ceil(16);
    }

    /// Keeps a block from being asked for while it is checked.
    pub(crate) fn note_check(&mut self, block: BlockRef) {
        self.requested.insert(block);
    }

    /// The check is over.
    pub(crate) fn note_checked(&mut self, block: BlockRef) {
        self.requested.remove(&block);
    }

    /// How many blocks are asked for or being checked.
    pub(crate) fn requested(&self) -> usize {
        self.requested.len()
    }
}

impl Session {
    /// Whether it is time to ask how far it is.
    fn wants_status(&self, now: Now) -> bool {
        self.status_flight.is_none() && self.status_at.is_none_or(|at| now.elapsed >= at + STATUS_INTERVAL)
    }

    /// Whether it is time to compare its pending transactions with ours.
    fn wants_pending(&self, ours: u64, tip: BlockId, now: Now) -> bool {
        let Some(status) = self.status.as_ref().filter(|status| status.pending > 0) else { return false };
        let lacks_some = status.pending > ours && status.tip == tip;
        let interval = if lacks_some { PENDING_INTERVAL.0 } else { PENDING_INTERVAL.1 };
        self.pending_asked_at.is_none_or(|at| now.elapsed >= at + interval)
    }
}

impl Engine {
    /// Asks for what is wanted and not in flight. After an event that changes neither the chain nor a session, that waits
    /// for the next one that does, or until something is due.
    pub(super) fn plan(&mut self, is_quiet: bool, now: Now, effects: &mut Vec<Effect>) {
        if is_quiet && now.elapsed < self.sync.due && !self.peers.take_changed() {
            return;
        }
        self.ask_for_what_is_wanted(now, effects);
        self.peers.take_changed();
        let latest = now.elapsed + TICK_INTERVAL;
        self.sync.due = self.next_deadline().map_or(latest, |deadline| deadline.min(latest));
    }

    /// When to plan again, whatever happens.
    pub(super) fn plan_due(&self) -> Millis {
        self.sync.due
    }

    fn ask_for_what_is_wanted(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.expire(now, effects);
        self.choose_goal();
        self.note_end_of_sync();
        let mut missing = None;
        // Mostly there is nothing to ask anybody, and this runs after every event.
        let may_ask = self.peers.iter().filter(|(_, session)| self.may_ask(session, now)).map(|(peer, _)| peer);
        let peers: Vec<PeerKey> = may_ask.collect();
        for peer in peers {
            if self.peers.is_cut_off(peer) {
                continue;
            }
            self.plan_status(peer, now, effects);
            let session = self.peers.get(peer).expect("the list was just made");
            if session.flight.is_some() {
                continue;
            }
            let Some((request, asked)) = self.next_request(peer, &mut missing, now) else { continue };
            let key = self.new_key();
            let session = self.peers.get_mut(peer).expect("the list was just made");
            session.flight = Some(Flight { key, deadline: now.elapsed + ANSWER_TIMEOUT, asked });
            effects.push(Effect::Ask { peer, key, request });
        }
    }

    fn wants_pending(&self, session: &Session, now: Now) -> bool {
        session.wants_pending(self.mempool.len() as u64, self.chain.index().id(self.chain.tip()), now)
    }

    /// Whether a session may have something to be asked now. Never false if it has.
    fn may_ask(&self, session: &Session, now: Now) -> bool {
        let is_free = session.flight.is_none();
        let wants_transactions = || !session.wanted_transactions.is_empty() || self.wants_pending(session, now);
        let wants_more = || wants_transactions() || self.chain.path_lacks_bodies() || self.wants_headers(session);
        session.wants_status(now) || (is_free && wants_more())
    }

    /// Who has caught up asks everybody anew at once, for what was spread meanwhile and could not be judged.
    fn note_end_of_sync(&mut self) {
        let index = self.chain.index();
        let fetching = index.height(self.chain.goal()) - index.height(self.chain.tip()) > FAR_BEHIND;
        if std::mem::replace(&mut self.sync.was_fetching, fetching) && !fetching {
            for (_, session) in self.peers.iter_mut() {
                session.status_at = None;
                session.pending_asked_at = None;
            }
        }
    }

    fn plan_status(&mut self, peer: PeerKey, now: Now, effects: &mut Vec<Effect>) {
        if self.peers.get(peer).expect("called for sessions").wants_status(now) {
            let key = self.new_key();
            let request = Request::Status(self.status(now));
            let session = self.peers.get_mut(peer).expect("called for sessions");
            session.status_flight = Some(Flight { key, deadline: now.elapsed + ANSWER_TIMEOUT, asked: () });
            effects.push(Effect::Ask { peer, key, request });
        }
    }

    /// `missing` is what [`Engine::missing_blocks`] gave, less what was asked for since.
    fn next_request(
        &mut self,
        peer: PeerKey,
        missing: &mut Option<VecDeque<BlockRef>>,
        now: Now,
    ) -> Option<(Request, Asked)> {
        let session = self.peers.get(peer)?;
        let is_low = || self.chain.path_without_bodies(PATH_LOW_WATER).count() < PATH_LOW_WATER;
        if self.wants_headers(session) && is_low() {
            let (tip, claimed) = session.status.as_ref().map(|status| (status.tip, status.work))?;
            let after = session.candidate.last.or(session.best.map(|best| self.chain.index().id(best)));
            let locator = after.into_iter().chain(self.chain.locator()).collect();
            return Some((Request::Headers { locator }, Asked::Headers { tip, claimed, after }));
        }
        let blocks = self.blocks_for(peer, missing);
        if !blocks.is_empty() {
            let ids = blocks.iter().map(|block| self.chain.index().id(*block)).collect();
            self.sync.requested.extend(&blocks);
            return Some((Request::Blocks { ids }, Asked::Blocks(blocks)));
        }
        self.next_pending_request(peer, now)
    }

    fn next_pending_request(&mut self, peer: PeerKey, now: Now) -> Option<(Request, Asked)> {
        if self.is_far_behind() {
            return None;
        }
        let wants_pending = self.wants_pending(self.peers.get(peer)?, now);
        let session = self.peers.get_mut(peer)?;
        if !session.wanted_transactions.is_empty() {
            let rest = session.wanted_transactions.len().min(REQUEST_IDS_MAX);
            let ids: Vec<TransactionId> = session.wanted_transactions.drain(..rest).collect();
            return Some((Request::Transactions { ids: ids.clone().into() }, Asked::Transactions(ids)));
        }
        if !wants_pending {
            return None;
        }
        session.pending_asked_at = Some(now.elapsed);
        Some((Request::Pending, Asked::Pending))
    }

    /// Whether a peer's chain, by its own account, has more work than ours and is not known to us.
    fn wants_headers(&self, session: &Session) -> bool {
        let Some(status) = &session.status else { return false };
        let index = self.chain.index();
        let far_ahead = session.best.is_some_and(|best| {
            index.height(best) - index.height(self.chain.tip()) > HEADERS_AHEAD_MAX && !self.chain.is_best(best)
        });
        status.work > index.work(self.chain.tip())
            && index.find(&status.tip).is_none()
            && session.exhausted_tip != Some(status.tip)
            && session.barred_until.is_none()
            && !far_ahead
    }

    /// The next blocks of the path that a peer has and nobody was asked for.
    fn blocks_for(&self, peer: PeerKey, missing: &mut Option<VecDeque<BlockRef>>) -> Vec<BlockRef> {
        let Some(session) = self.peers.get(peer) else { return Vec::new() };
        let overloaded =
            self.unpersisted.len() > UNPERSISTED_BATCHES_MAX || self.unpersisted_bytes > UNPERSISTED_BYTES_MAX;
        let has = session.best.and_then(|best| self.chain.highest_on_path(best, FORK_STEPS_MAX));
        let (Some(has), false) = (has, overloaded) else { return Vec::new() };
        if session.timeouts > 0 && self.another_has_the_path(peer, session.batch_bytes) {
            return Vec::new();
        }
        let count = (session.batch_bytes / self.sync.body_bytes).clamp(1, BLOCKS_PER_REQUEST_MAX);
        let missing = missing.get_or_insert_with(|| self.missing_blocks());
        let is_theirs = |block: &&BlockRef| self.chain.path_position(**block).is_some_and(|position| position <= has);
        let count = missing.iter().take(count).take_while(is_theirs).count();
        missing.drain(..count).collect()
    }

    /// The next blocks of the path that nobody was asked for. Found once for all peers.
    fn missing_blocks(&self) -> VecDeque<BlockRef> {
        let ahead = BLOCKS_AHEAD_MAX.min((BLOCKS_AHEAD_BYTES_MAX / self.sync.body_bytes).max(1));
        let missing = self.chain.path_without_bodies(ahead);
        missing.filter(|block| !self.sync.requested.contains(block)).collect()
    }

    /// Whether there is another peer to ask, one that is not slower.
    fn another_has_the_path(&self, not: PeerKey, batch_bytes: usize) -> bool {
        let goal = self.chain.goal();
        self.peers.iter().any(|(peer, session)| {
            let as_good = session.timeouts == 0 && session.batch_bytes >= batch_bytes;
            peer != not && as_good && session.best == Some(goal)
        })
    }

    /// The best block that a peer has, unless a better one is stored and theirs are still to come.
    pub(super) fn choose_goal(&mut self) {
        let index = self.chain.index();
        let current = self.chain.goal();
        let offered = self.peers.iter().filter_map(|(_, session)| session.best);
        let candidates = offered.filter(|block| !index.is_condemned(*block));
        // Of equal ones the present goal stays, then the one that was known first.
        let best = candidates.max_by_key(|block| (index.work(*block), *block == current, std::cmp::Reverse(*block)));
        self.chain.set_goal(self.chain.stored_goal().or(best));
    }

    /// Whether a better chain is being fetched.
    pub(super) fn is_syncing(&self) -> bool {
        self.chain.goal() != self.chain.tip() || self.claims().next().is_some()
    }

    /// The peers whose claim of a better chain is being looked into.
    fn claims(&self) -> impl Iterator<Item = &Session> {
        let sessions = self.peers.iter().map(|(_, session)| session);
        sessions.filter(|session| !session.doubtful && self.wants_headers(session))
    }

    /// How far the synchronisation is, if there is one.
    pub(super) fn sync_view(&self) -> Option<SyncView> {
        let index = self.chain.index();
        let told = self.claims().filter_map(|session| session.status.as_ref().map(|status| status.height));
        let goal = Some(self.chain.goal()).filter(|goal| *goal != self.chain.tip()).map(|goal| index.height(goal));
        let target = told.chain(goal).max()?;
        Some(SyncView { height: index.height(self.chain.tip()), target })
    }

    fn expire(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let mut late = Vec::new();
        for (peer, session) in self.peers.iter() {
            let status_key = session.status_flight.as_ref().filter(|flight| flight.deadline <= now.elapsed);
            let key = session.flight.as_ref().filter(|flight| flight.deadline <= now.elapsed);
            late.extend(status_key.map(|flight| (peer, flight.key)));
            late.extend(key.map(|flight| (peer, flight.key)));
        }
        for (_, session) in self.peers.iter_mut() {
            if session.early_until.take_if(|until| *until <= now.unix).is_some() {
                session.exhausted_tip = None;
            }
            session.barred_until.take_if(|until| *until <= now.elapsed);
        }
        for (peer, key) in late {
            self.on_response(peer, key, Err(RequestFailure::Timeout), now, effects);
        }
    }

    /// The earliest time at which something here is due.
    fn next_deadline(&self) -> Option<Millis> {
        let of_session = |session: &Session| {
            let status = session.status_flight.as_ref().map(|flight| flight.deadline);
            let next_status = session.status_at.map(|at| at + STATUS_INTERVAL);
            let flight = session.flight.as_ref().map(|flight| flight.deadline);
            [status.or(next_status), flight].into_iter().flatten().min()
        };
        self.peers.iter().filter_map(|(_, session)| of_session(session)).min()
    }

    /// How far we are, for peers.
    pub(super) fn status(&self, now: Now) -> Status {
        let tip = self.chain.tip_place();
        Status {
            tip: tip.id,
            height: tip.height,
            work: self.chain.index().work(self.chain.tip()),
            clock: now.unix,
            pending: self.mempool.len() as u64,
            nickname: self.nickname.bytes().take(NICKNAME_BYTES_MAX).collect(),
        }
    }

    /// Takes in what a peer told of itself, as a question or as an answer.
    pub(super) fn on_status(&mut self, peer: PeerKey, status: Status, now: Now, effects: &mut Vec<Effect>) {
        let known = self.chain.index().find(&status.tip);
        if known.is_some_and(|block| self.chain.index().is_condemned(block)) {
            self.peers.punish(peer, Fault::WrongAnswer, effects);
            return;
        }
        let barred = known.is_some_and(|block| self.chain.index().is_barred(block));
        if barred && status.work > self.chain.index().work(self.chain.tip()) {
            self.tell_refused(peer, status.tip, status.height, now);
        }
        let Some(session) = self.peers.get_mut(peer) else { return };
        let withheld = session.withheld.take_if(|(_, until)| now.elapsed < *until);
        let is_withheld = withheld.is_some_and(|(tip, _)| tip == status.tip);
        session.withheld = withheld.filter(|_| is_withheld);
        if known.is_some() && !is_withheld {
            session.best = known.filter(|_| !barred);
            session.candidate = Candidate::default();
        }
        let offset = status.clock.signed_since(now.unix);
        let told_before = session.clock_offset_millis.is_some_and(|old| old.unsigned_abs() > CLOCK_TOLERANCE_MILLIS);
        session.clock_offset_millis = Some(offset);
        session.status = Some(status);
        if offset.unsigned_abs() > CLOCK_TOLERANCE_MILLIS && !told_before {
            self.tell_of_clocks(peer, offset);
        }
    }

    /// One peer with another clock is wrong; if at least two and most of all agree against us, we are.
    fn tell_of_clocks(&mut self, peer: PeerKey, offset_millis: i64) {
        let mut offsets: Vec<i64> = self.peers.iter().filter_map(|(_, session)| session.clock_offset_millis).collect();
        offsets.sort_unstable();
        let off =
            |offset: &&i64| offset.unsigned_abs() > CLOCK_TOLERANCE_MILLIS && (**offset > 0) == (offset_millis > 0);
        let against_us = offsets.iter().filter(off).count();
        if against_us >= 2 && against_us * 2 > offsets.len() {
            if !self.sync.told_of_our_clock {
                self.sync.told_of_our_clock = true;
                self.notify(Notice::OurClockDiffers { offset_millis: offsets[offsets.len() / 2] });
            }
        } else {
            self.notify(Notice::ClockDiffers { peer, offset_millis });
        }
    }

    /// Gives up what was being fetched from a peer that is gone.
    pub(super) fn forget_flights(&mut self, session: &Session) {
        if let Some(Flight { asked: Asked::Blocks(blocks), .. }) = &session.flight {
            for block in blocks {
                self.sync.requested.remove(block);
            }
        }
    }
}

/// Whether a request names more than the protocol allows.
pub(super) fn is_request_too_long(request: &Request) -> bool {
    let ids = match request {
        Request::Status(_) | Request::Pending => 0,
        Request::Headers { locator } => locator.len(),
        Request::Blocks { ids } => ids.len(),
        Request::Transactions { ids } => ids.len(),
    };
    ids > REQUEST_IDS_MAX
}
