//! Peers' answers to our questions, and the lack of them.

use std::collections::HashSet;

use quipu_protocol::message::{RESPONSE_HEADERS_MAX, RESPONSE_IDS_MAX, Response};
use quipu_protocol::{Block, CheckedBlock, Millis, SignedTransaction, TransactionId, Violation};

use super::super::bundles::Origin;
use super::super::event::{CheckEffect, Effect, Fault, Key, Now, PeerKey, RequestFailure};
use super::super::header_tree::BlockRef;
use super::super::pace::{answer_bytes, block_bytes};
use super::super::peers::{Flight, PeerQuestion, PeerState};
use super::super::{Check, Engine};

/// Status questions in a row that a peer may leave unanswered while it sends nothing else. With the doubled timeouts
/// that is about three quarters of a minute, and twice that if a longer question is under way.
const SILENCES_MAX: u32 = 3;
/// Requests in a row that a peer may refuse.
const FAILURES_MAX: u32 = 3;
/// Pause before a peer is believed to have a tip of which it did not deliver a single block.
const WITHHELD_PAUSE: Millis = Millis(30_000);

impl Engine {
    /// Processes an answer to a question, or its failure.
    pub(in super::super) fn on_response(
        &mut self,
        peer: PeerKey,
        key: Key,
        result: Result<Response, RequestFailure>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(session) = self.peers.get_quietly(peer) else { return };
        // An answer that is too late to matter matches no flight.
        let Some(mut flight) = session.take_flight(key) else { return };
        let took = now.elapsed.saturating_sub(flight.asked_at);
        let is_late = now.elapsed >= flight.deadline;
        if let Ok(response) = &result {
            session.note_answer(took, answer_bytes(response));
        }
        let is_status = matches!(flight.question, PeerQuestion::Status);
        let was_slow = session.timeouts > 1;
        if is_status {
            session.status_turn.note(now);
        } else if let Ok(response) = &result {
            session.refusals = 0;
            if let Response::Blocks(_) = response {
                session.question_bytes.spend(answer_bytes(response) as u64, now);
            }
        }
        // A peer's status is usually the same as before.
        if !is_status || was_slow {
            self.peers.note_changed();
        }
        self.sync.share(&mut flight);
        match (flight.question, result) {
            // The question was given up before.
            (_, Err(RequestFailure::Timeout | RequestFailure::Unreachable | RequestFailure::Refused)) if is_late => {}
            (question, Err(RequestFailure::Refused)) => self.on_refusal(peer, &question, now),
            (question, Err(failure)) => {
                self.note_undelivered(peer, &question, now);
                self.on_failure(peer, failure, effects);
            }
            (PeerQuestion::Status, Ok(Response::Status(status))) => {
                if let Some(session) = self.peers.get_quietly(peer) {
                    session.timeouts = session.timeouts.min(1);
                }
                self.on_status(peer, status, now, effects);
            }
            (question @ PeerQuestion::Headers { .. }, Ok(Response::Headers(headers))) => {
                let is_full = headers.len() == RESPONSE_HEADERS_MAX;
                self.on_headers(peer, &question, &headers.into_vec(), now, effects);
                // The next part of the same answer needs no gap.
                let goes_on = |session: &&mut PeerState| is_full || session.presync.is_some();
                if let Some(session) = self.peers.get_mut(peer).filter(goes_on) {
                    session.headers_at = now.elapsed;
                }
            }
            (PeerQuestion::Blocks(asked), Ok(Response::Blocks(blocks))) => {
                self.on_blocks(peer, &asked, blocks.into_vec(), took, effects);
            }
            (PeerQuestion::Pending, Ok(Response::Pending(ids))) if ids.len() <= RESPONSE_IDS_MAX => {
                self.on_pending(peer, &ids, effects);
            }
            (PeerQuestion::Transactions(asked), Ok(Response::Transactions(transactions))) => {
                self.on_transactions(peer, &asked, transactions.into_vec(), effects);
            }
            _ => self.peers.punish(peer, Fault::WrongAnswer, effects),
        }
        if is_status {
            self.note_resolved(peer);
        }
    }

    /// Gives up a question that has timed out. Its answer may still arrive.
    pub(super) fn on_expired(&mut self, peer: PeerKey, mut flight: Flight, now: Now, effects: &mut Vec<Effect>) {
        self.sync.share(&mut flight);
        self.note_undelivered(peer, &flight.question, now);
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.timeouts += 1;
        tracing::debug!(%peer, question = flight.question.name(), timeouts = session.timeouts, "no answer in time");
        let is_status = matches!(flight.question, PeerQuestion::Status);
        if is_status {
            session.pace.note_timeout();
            session.silences += 1;
        }
        // Nothing can arrive before a long answer that is ahead of it.
        let is_silent = session.silences >= SILENCES_MAX && !session.awaits_late(now);
        session.keep_late(flight);
        if is_silent {
            self.peers.punish(peer, Fault::Silent, effects);
        }
        if is_status {
            self.note_resolved(peer);
        }
    }

    /// Records that a peer did not deliver the blocks or headers that it claimed.
    fn note_undelivered(&mut self, peer: PeerKey, question: &PeerQuestion, now: Now) {
        if let PeerQuestion::Blocks(blocks) = question {
            self.note_withheld(blocks[0], now);
        }
        let body_bytes = self.sync.body_bytes;
        let Some(session) = self.peers.get_mut(peer) else { return };
        match question {
            PeerQuestion::Status => session.status_turn.note(now),
            PeerQuestion::Headers { .. } => {
                session.doubtful = true;
                self.end_turn(peer, now);
            }
            PeerQuestion::Blocks(blocks) => {
                session.pace.note_undelivered(blocks.len() * body_bytes);
                if blocks.len() == 1 {
                    // A request cannot be smaller. Others may be on a chain whose blocks can be had.
                    session.withheld = session.status.as_ref().map(|status| (status.tip, now.elapsed + WITHHELD_PAUSE));
                    session.best = None;
                }
            }
            PeerQuestion::Pending | PeerQuestion::Transactions(_) => {}
        }
    }

    /// Processes a refusal: the peer is busy, which is neither silence nor a fault. The same is asked of others at once,
    /// and of this peer after a pause.
    fn on_refusal(&mut self, peer: PeerKey, question: &PeerQuestion, now: Now) {
        if let Some(block) = question.first_block() {
            self.note_withheld(block, now);
        }
        if matches!(question, PeerQuestion::Headers { .. }) {
            self.end_turn(peer, now);
        }
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.note_refusal(now);
        tracing::debug!(%peer, question = question.name(), refusals = session.refusals, "busy");
    }

    /// Processes a request that could not be sent, or got a response of another kind.
    fn on_failure(&mut self, peer: PeerKey, failure: RequestFailure, effects: &mut Vec<Effect>) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        session.timeouts += 1;
        tracing::debug!(%peer, why = ?failure, timeouts = session.timeouts, "no answer");
        let is_silent = session.timeouts >= FAILURES_MAX;
        if failure == RequestFailure::Malformed {
            self.peers.punish(peer, Fault::Malformed, effects);
        } else if is_silent {
            self.peers.punish(peer, Fault::Silent, effects);
        }
    }

    fn on_blocks(
        &mut self,
        peer: PeerKey,
        asked: &[BlockRef],
        blocks: Vec<Block>,
        took: Millis,
        effects: &mut Vec<Effect>,
    ) {
        let wanted: HashSet<BlockRef> = asked.iter().copied().collect();
        let found: Vec<BlockRef> = blocks
            .iter()
            .filter_map(|block| self.chain.tree().find(&block.header.id()))
            .filter(|block| wanted.contains(block))
            .collect();
        let distinct: HashSet<&BlockRef> = found.iter().collect();
        let Some(session) = self.peers.get_mut(peer) else { return };
        if blocks.is_empty() || distinct.len() != blocks.len() {
            session.best = None;
            session.status_turn.want();
            self.peers.punish(peer, Fault::WrongAnswer, effects);
            return;
        }
        session.timeouts = 0;
        session.withheld = None;
        session.pace.note_batch(took, found.len() * self.sync.body_bytes, found.len() >= asked.len());
        // Another peer may have been faster.
        let (found, blocks): (Vec<BlockRef>, Vec<Block>) =
            found.into_iter().zip(blocks).filter(|(block, _)| !self.chain.tree().has_body(*block)).unzip();
        if found.is_empty() {
            return;
        }
        self.sync.requested.extend(&found);
        let key = self.new_key();
        let lengths: Vec<usize> = blocks.iter().map(block_bytes).collect();
        // Counted before they are checked, or far too much would be requested until the first of them are.
        lengths.iter().for_each(|length| self.sync.note_length(*length));
        let bytes = lengths.into_iter().sum();
        self.sync.checking_bytes += bytes;
        self.checks.insert(key, Check::Sync { peer, blocks: found, bytes });
        effects.push(Effect::Check(CheckEffect::Blocks { key, blocks }));
    }

    /// Processes the check of the blocks from [`Engine::on_blocks`].
    pub(in super::super) fn on_sync_checked(
        &mut self,
        peer: PeerKey,
        (blocks, bytes): (Vec<BlockRef>, usize),
        results: Vec<Result<CheckedBlock, Violation>>,
        effects: &mut Vec<Effect>,
    ) {
        self.sync.checking_bytes -= bytes;
        for (block, result) in blocks.into_iter().zip(results) {
            self.sync.requested.remove(&block);
            match result {
                Ok(checked) => self.chain.insert_body(block, checked.into()),
                Err(violation) => self.on_bad_block(peer, block, violation, effects),
            }
        }
    }

    fn on_pending(&mut self, peer: PeerKey, ids: &[TransactionId], effects: &mut Vec<Effect>) {
        let distinct: HashSet<&TransactionId> = ids.iter().collect();
        if distinct.len() != ids.len() {
            return self.peers.punish(peer, Fault::WrongAnswer, effects);
        }
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
        // A full response ends early, and the rest is still wanted. An empty one means that they are gone.
        if !ids.is_empty() {
            let came: HashSet<TransactionId> = ids.iter().copied().collect();
            let last =
                asked.iter().rposition(|id| came.contains(id)).expect("every received transaction was requested");
            let room = RESPONSE_IDS_MAX - session.wanted_transactions.len();
            session.wanted_transactions.extend(asked[last + 1..].iter().take(room));
        }
        for signed in transactions {
            // A transaction that finds no room can be pulled again later.
            if !self.unchecked.push(signed, Origin { peer, ticket: None }) {
                return;
            }
        }
    }
}
