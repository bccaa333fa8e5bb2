//! What comes back from peers that were asked, or does not.

use std::collections::HashSet;

use quipu_protocol::message::{RESPONSE_IDS_MAX, Response};
use quipu_protocol::{Block, CheckedBlock, Millis, SignedTransaction, TransactionId, Violation};

use super::super::event::{Effect, Fault, Key, Now, PeerKey, RequestFailure};
use super::super::index::BlockRef;
use super::super::peers::{Asked, BATCH_BYTES_MAX};
use super::super::{Check, Engine, Origin};

/// Answers that a peer may miss in a row.
const TIMEOUTS_MAX: u32 = 3;
/// An answer this near to its deadline shows that less should have been asked for.
const LATE: Millis = Millis(2_000);
/// How long a peer is not believed to have a tip that it did not deliver a single block of.
const WITHHELD_TIME: Millis = Millis(30_000);

impl Engine {
    /// Takes in the answer, or the lack of one, to something that was asked.
    pub(in super::super) fn on_response(
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
        let late = now.elapsed + LATE >= flight.deadline;
        if let Asked::Blocks(blocks) = &flight.asked {
            for block in blocks {
                self.sync.requested.remove(block);
            }
        }
        match (flight.asked, result) {
            (asked, Err(failure)) => {
                self.note_undelivered(peer, &asked, now);
                self.on_failure(peer, failure, effects);
            }
            (asked @ Asked::Headers { .. }, Ok(Response::Headers(headers))) => {
                self.on_headers(peer, &asked, headers.into_vec(), now, effects);
            }
            (Asked::Blocks(asked), Ok(Response::Blocks(blocks))) => {
                self.on_blocks(peer, &asked, blocks.into_vec(), late, effects);
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

    /// Remembers what a peer told of and did not deliver.
    fn note_undelivered(&mut self, peer: PeerKey, asked: &Asked, now: Now) {
        let body_bytes = self.sync.body_bytes;
        let Some(session) = self.peers.get_mut(peer) else { return };
        match asked {
            Asked::Headers { .. } => session.doubtful = true,
            Asked::Blocks(blocks) => {
                session.batch_bytes = (blocks.len() * body_bytes / 4).max(1);
                if blocks.len() == 1 {
                    // Less can't be asked for. Others may be on a chain whose blocks can be had.
                    session.withheld = session.status.as_ref().map(|status| (status.tip, now.elapsed + WITHHELD_TIME));
                    session.best = None;
                }
            }
            Asked::Pending | Asked::Transactions(_) => {}
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

    fn on_blocks(
        &mut self,
        peer: PeerKey,
        asked: &[BlockRef],
        blocks: Vec<Block>,
        late: bool,
        effects: &mut Vec<Effect>,
    ) {
        let wanted: HashSet<BlockRef> = asked.iter().copied().collect();
        let found: Vec<BlockRef> = blocks
            .iter()
            .filter_map(|block| self.chain.index().find(&block.header.id()))
            .filter(|block| wanted.contains(block))
            .collect();
        let distinct: HashSet<&BlockRef> = found.iter().collect();
        let Some(session) = self.peers.get_mut(peer) else { return };
        if blocks.is_empty() || distinct.len() != blocks.len() {
            session.best = None;
            session.status_at = None;
            self.peers.punish(peer, Fault::WrongAnswer, effects);
            return;
        }
        session.timeouts = 0;
        // Who trickles is asked for what it delivers, so that it holds up no more than that.
        let came_bytes = found.len() * self.sync.body_bytes;
        session.batch_bytes = match () {
            () if late => came_bytes / 2,
            () if found.len() < asked.len() => came_bytes,
            () => session.batch_bytes * 2,
        };
        session.batch_bytes = session.batch_bytes.clamp(1, BATCH_BYTES_MAX);
        self.sync.requested.extend(&found);
        let key = self.new_key();
        self.checks.insert(key, Check::Sync { peer, blocks: found });
        effects.push(Effect::CheckBlocks { key, blocks });
    }

    /// Takes in the results of checking what [`Engine::on_blocks`] got.
    pub(in super::super) fn on_sync_checked(
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
}
