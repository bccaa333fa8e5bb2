//! Fetching what others have and we lack: status, headers, blocks, pending transactions.
//!
//! Level-triggered: after every event, what is wanted less what is in flight is asked for. A lost answer heals by its
//! deadline, so nothing here waits for ever. Headers come first, and bodies are fetched only for a chain whose headers
//! show more work than ours; headers with less stay in a bounded buffer of the session. A peer that does not answer in
//! time gives up its share to others and is asked again only when there is no other, for less.

mod headers;

use std::collections::HashSet;

use quipu_protocol::message::{NICKNAME_BYTES_MAX, REQUEST_IDS_MAX, RESPONSE_IDS_MAX, Request, Response, Status};
use quipu_protocol::{Block, BlockId, CheckedBlock, List, Millis, SignedTransaction, TransactionId, Violation};

use super::event::{Effect, Fault, Key, Notice, Now, PeerKey, RequestFailure};
use super::index::BlockRef;
use super::peers::{Asked, BATCH_BYTES_MAX, Candidate, Flight, Session};
use super::view::SyncView;
use super::{Check, Engine, Origin};

/// How often each peer is asked how far it is. Also the time in which lost gossip heals.
pub const STATUS_INTERVAL: Millis = Millis(5_000);
/// How long a peer may take to answer.
pub const ANSWER_TIMEOUT: Millis = Millis(4_000);
/// Answers that a peer may miss in a row.
const TIMEOUTS_MAX: u32 = 3;
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
const UNPERSISTED_BATCHES_MAX: u64 = 256;
/// How often a peer's pending transactions are compared with ours, when it has more and when it has not.
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
    was_syncing: bool,
}

impl Default for Sync {
    fn default() -> Self {
        Self { requested: HashSet::new(), body_bytes: 256, told_of_our_clock: false, was_syncing: false }
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

impl Engine {
    /// Asks for what is wanted and not in flight.
    pub(super) fn plan(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.expire(now, effects);
        self.choose_goal();
        self.note_end_of_sync();
        let peers: Vec<PeerKey> = self.peers.iter().map(|(peer, _)| peer).collect();
        for peer in peers {
            if self.peers.is_cut_off(peer) {
                continue;
            }
            self.plan_status(peer, now, effects);
            let session = self.peers.get(peer).expect("the list was just made");
            if session.flight.is_some() {
                continue;
            }
            let Some((request, asked)) = self.next_request(peer, now) else { continue };
            let key = self.new_key();
            let session = self.peers.get_mut(peer).expect("the list was just made");
            session.flight = Some(Flight { key, deadline: now.elapsed + ANSWER_TIMEOUT, asked });
            effects.push(Effect::Ask { peer, key, request });
        }
    }

    /// Who has caught up asks everybody anew at once, for what was spread meanwhile and could not be judged.
    fn note_end_of_sync(&mut self) {
        let syncing = self.is_syncing();
        if std::mem::replace(&mut self.sync.was_syncing, syncing) && !syncing {
            for (_, session) in self.peers.iter_mut() {
                session.status_at = None;
                session.pending_asked_at = None;
            }
        }
    }

    fn plan_status(&mut self, peer: PeerKey, now: Now, effects: &mut Vec<Effect>) {
        let session = self.peers.get(peer).expect("called for sessions");
        let due = session.status_at.is_none_or(|at| now.elapsed >= at + STATUS_INTERVAL);
        if due && session.status_flight.is_none() {
            let key = self.new_key();
            let request = Request::Status(self.status(now));
            let session = self.peers.get_mut(peer).expect("called for sessions");
            session.status_flight = Some(Flight { key, deadline: now.elapsed + ANSWER_TIMEOUT, asked: () });
            effects.push(Effect::Ask { peer, key, request });
        }
    }

    fn next_request(&mut self, peer: PeerKey, now: Now) -> Option<(Request, Asked)> {
        let session = self.peers.get(peer)?;
        let blocks_left = self.chain.path_without_bodies(PATH_LOW_WATER).count();
        if blocks_left < PATH_LOW_WATER && self.wants_headers(session) {
            let claimed = session.status.as_ref()?.work;
            return Some((Request::Headers { locator: self.locator_for(session) }, Asked::Headers { claimed }));
        }
        let blocks = self.blocks_for(peer);
        if !blocks.is_empty() {
            let ids = blocks.iter().map(|block| self.chain.index().id(*block)).collect();
            self.sync.requested.extend(&blocks);
            return Some((Request::Blocks { ids }, Asked::Blocks(blocks)));
        }
        self.next_pending_request(peer, now)
    }

    fn next_pending_request(&mut self, peer: PeerKey, now: Now) -> Option<(Request, Asked)> {
        if self.is_syncing() {
            return None;
        }
        let ours = self.mempool.len() as u64;
        let session = self.peers.get_mut(peer)?;
        if !session.wanted_transactions.is_empty() {
            let rest = session.wanted_transactions.len().min(REQUEST_IDS_MAX);
            let ids: Vec<TransactionId> = session.wanted_transactions.drain(..rest).collect();
            return Some((Request::Transactions { ids: ids.clone().into() }, Asked::Transactions(ids)));
        }
        let theirs = session.status.as_ref()?.pending;
        let interval = if theirs > ours { PENDING_INTERVAL.0 } else { PENDING_INTERVAL.1 };
        let due = session.pending_asked_at.is_none_or(|at| now.elapsed >= at + interval);
        if theirs == 0 || !due {
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
            && !far_ahead
    }

    fn locator_for(&self, session: &Session) -> List<BlockId> {
        let newest = session.candidate.last.or(session.best.map(|best| self.chain.index().id(best)));
        newest.into_iter().chain(self.chain.locator()).collect()
    }

    /// The next blocks of the path that a peer has and nobody was asked for.
    fn blocks_for(&self, peer: PeerKey) -> Vec<BlockRef> {
        let Some(session) = self.peers.get(peer) else { return Vec::new() };
        let overloaded = self.sequence - self.persisted > UNPERSISTED_BATCHES_MAX;
        let has = session.best.and_then(|best| self.chain.highest_on_path(best, FORK_STEPS_MAX));
        let (Some(has), false) = (has, overloaded) else { return Vec::new() };
        if session.timeouts > 0 && self.another_has_the_path(peer) {
            return Vec::new();
        }
        let ahead = BLOCKS_AHEAD_MAX.min((BLOCKS_AHEAD_BYTES_MAX / self.sync.body_bytes).max(1));
        let count = (session.batch_bytes / self.sync.body_bytes).clamp(1, BLOCKS_PER_REQUEST_MAX);
        self.chain
            .path_without_bodies(ahead)
            .take_while(|block| self.chain.path_position(*block).is_some_and(|position| position <= has))
            .filter(|block| !self.sync.requested.contains(block))
            .take(count)
            .collect()
    }

    fn another_has_the_path(&self, not: PeerKey) -> bool {
        let goal = self.chain.goal();
        self.peers.iter().any(|(peer, session)| peer != not && session.timeouts == 0 && session.best == Some(goal))
    }

    /// The best block that a peer has or that is stored.
    fn choose_goal(&mut self) {
        let index = self.chain.index();
        let current = self.chain.goal();
        let offered = self.peers.iter().filter_map(|(_, session)| session.best);
        let candidates = offered.chain(self.chain.stored_better()).filter(|block| !index.is_condemned(*block));
        // Of equal ones the present goal stays, then the one that was known first.
        let best = candidates.max_by_key(|block| (index.work(*block), *block == current, std::cmp::Reverse(*block)));
        self.chain.set_goal(best);
    }

    /// Whether a better chain is being fetched.
    pub(super) fn is_syncing(&self) -> bool {
        self.chain.goal() != self.chain.tip() || self.peers.iter().any(|(_, session)| self.wants_headers(session))
    }

    /// How far the synchronisation is, if there is one.
    pub(super) fn sync_view(&self) -> Option<SyncView> {
        let index = self.chain.index();
        let told = self.peers.iter().filter(|(_, session)| self.wants_headers(session));
        let told = told.filter_map(|(_, session)| session.status.as_ref().map(|status| status.height));
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
        for (peer, key) in late {
            self.on_response(peer, key, Err(RequestFailure::Timeout), now, effects);
        }
    }

    /// The earliest time at which something here is due.
    pub(super) fn next_deadline(&self) -> Option<Millis> {
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
        let Some(session) = self.peers.get_mut(peer) else { return };
        if known.is_some() {
            session.best = known;
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

    /// Takes in the answer, or the lack of one, to something that was asked.
    pub(super) fn on_response(
        &mut self,
        peer: PeerKey,
        key: Key,
        result: Result<Response, RequestFailure>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        if session.status_flight.take_if(|flight| flight.key == key).is_some() {
            session.status_at = Some(now.elapsed);
            match result {
                Ok(Response::Status(status)) => {
                    session.timeouts = session.timeouts.min(1);
                    self.on_status(peer, status, now, effects);
                }
                Ok(_) => self.peers.punish(peer, Fault::WrongAnswer, effects),
                Err(failure) => self.on_failure(peer, failure, effects),
            }
            self.note_resolved(peer);
            return;
        }
        // An answer that is too late to matter matches no flight.
        let Some(flight) = session.flight.take_if(|flight| flight.key == key) else { return };
        if let Asked::Blocks(blocks) = &flight.asked {
            if result.is_err() {
                session.batch_bytes = (session.batch_bytes / 2).max(1);
            }
            for block in blocks {
                self.sync.requested.remove(block);
            }
        }
        match (flight.asked, result) {
            (_, Err(failure)) => self.on_failure(peer, failure, effects),
            (Asked::Headers { claimed }, Ok(Response::Headers(headers))) => {
                self.on_headers(peer, claimed, headers.into_vec(), now, effects);
            }
            (Asked::Blocks(asked), Ok(Response::Blocks(blocks))) => {
                self.on_blocks(peer, &asked, blocks.into_vec(), effects);
            }
            (Asked::Pending, Ok(Response::Pending(ids))) if ids.len() <= RESPONSE_IDS_MAX => {
                self.on_pending(peer, &ids);
            }
            (Asked::Transactions(asked), Ok(Response::Transactions(transactions))) => {
                self.on_transactions(peer, &asked, transactions.into_vec(), effects);
            }
            _ => self.peers.punish(peer, Fault::WrongAnswer, effects),
        }
    }

    fn on_failure(&mut self, peer: PeerKey, failure: RequestFailure, effects: &mut Vec<Effect>) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.timeouts += 1;
        let silent = session.timeouts >= TIMEOUTS_MAX;
        if failure == RequestFailure::Malformed {
            self.peers.punish(peer, Fault::Malformed, effects);
        } else if silent {
            self.peers.punish(peer, Fault::Silent, effects);
        }
    }

    fn on_blocks(&mut self, peer: PeerKey, asked: &[BlockRef], blocks: Vec<Block>, effects: &mut Vec<Effect>) {
        let wanted: HashSet<BlockRef> = asked.iter().copied().collect();
        let found: Vec<BlockRef> = blocks
            .iter()
            .filter_map(|block| self.chain.index().find(&block.header.id()))
            .filter(|block| wanted.contains(block))
            .collect();
        let distinct: HashSet<&BlockRef> = found.iter().collect();
        let Some(session) = self.peers.get_mut(peer) else { return };
        if blocks.is_empty() || found.len() != blocks.len() || distinct.len() != blocks.len() {
            session.best = None;
            session.status_at = None;
            self.peers.punish(peer, Fault::WrongAnswer, effects);
            return;
        }
        session.timeouts = 0;
        session.batch_bytes = (session.batch_bytes * 2).min(BATCH_BYTES_MAX);
        self.sync.requested.extend(&found);
        let key = self.new_key();
        self.checks.insert(key, Check::Sync { peer, blocks: found });
        effects.push(Effect::CheckBlocks { key, blocks });
    }

    /// Takes in the results of checking what [`Engine::on_blocks`] got.
    pub(super) fn on_sync_checked(
        &mut self,
        peer: PeerKey,
        blocks: Vec<BlockRef>,
        results: Vec<Result<CheckedBlock, Violation>>,
        effects: &mut Vec<Effect>,
    ) {
        for (block, result) in blocks.into_iter().zip(results) {
            self.sync.requested.remove(&block);
            match result {
                Ok(checked) => {
                    self.sync.note_length(checked.length());
                    self.chain.insert_body(block, checked.into());
                }
                Err(violation) => self.on_bad_block(peer, block, violation, effects),
            }
        }
    }

    fn on_pending(&mut self, peer: PeerKey, ids: &[TransactionId]) {
        let lacking = ids.iter().filter(|id| self.mempool.get(id).is_none() && !self.refused.contains(id));
        let wanted = lacking.copied().collect();
        if let Some(session) = self.peers.get_mut(peer) {
            session.timeouts = 0;
            session.wanted_transactions = wanted;
        }
    }

    fn on_transactions(
        &mut self,
        peer: PeerKey,
        asked: &[TransactionId],
        transactions: Vec<SignedTransaction>,
        effects: &mut Vec<Effect>,
    ) {
        let wanted: HashSet<&TransactionId> = asked.iter().collect();
        let ids: Vec<TransactionId> =
            transactions.iter().map(|signed| signed.transaction.id(&self.network.genesis_id())).collect();
        let distinct: HashSet<&TransactionId> = ids.iter().collect();
        if distinct.len() != ids.len() || ids.iter().any(|id| !wanted.contains(id)) {
            return self.peers.punish(peer, Fault::WrongAnswer, effects);
        }
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.timeouts = 0;
        // A full response ends early: what is left is still wanted. Nothing at all means that they are gone.
        if !ids.is_empty() {
            let came: HashSet<TransactionId> = ids.iter().copied().collect();
            let last = asked.iter().rposition(|id| came.contains(id)).expect("what came was asked for");
            session.wanted_transactions.extend(&asked[last + 1..]);
        }
        for signed in transactions {
            self.unchecked.push((signed, Origin { peer, ticket: None }));
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
