//! Reconstruction of compact blocks: known transactions are found by short id, the rest is pulled from the announcer.
//!
//! Always true: the work of a header was checked before anything is looked up for it, and each block is tried once for
//! a peer and [`TRIES_PER_BLOCK_MAX`] times in all; a block that is being reconstructed is not fetched by `sync` as
//! well; every wait has a deadline; a signature that was verified for the memory pool is not verified again.
//!
//! A failure here says nothing about the block: short ids may collide by chance, and the announcer may have left. The
//! header is known, so `sync` fetches the whole block, and the rules judge that. Only an answer that was not asked for,
//! or that no honest node could give, is a fault. Deliberately absent: a second peer to pull from, since `sync` does
//! that.

use std::collections::{HashSet, VecDeque};

use foldhash::fast::RandomState;
use quipu_protocol::encode::EncodedSize;
use quipu_protocol::{
    CheckedBlock, CheckedTransaction, CompactBlock, Millis, Request, Response, SignedTransaction, TransactionId,
    Violation,
};

use super::event::{
    CheckEffect, Effect, Fault, Gossip, Key, Now, PeerEffect, PeerKey, RequestFailure, Ticket, Verdict,
};
use super::header_tree::BlockRef;
use super::pace::{ANSWER_TIMEOUT, answer_bytes};
use super::serve::block_transactions_cost;
use super::sync::FAR_BEHIND;
use super::{Check, Engine};

/// Blocks that are reconstructed at the same time, in all and per peer. Further ones are fetched whole.
pub(crate) const RECONSTRUCTIONS_MAX: usize = 16;
const RECONSTRUCTIONS_PER_PEER_MAX: usize = 4;
/// The memory of their announcements and transaction tables, in bytes. Beyond that, blocks are fetched whole.
pub(crate) const RECONSTRUCTION_BYTES_MAX: usize = 8 << 20;
/// Attempts at one block. Each searches the memory pool, although the work in the header is paid once.
pub(crate) const TRIES_PER_BLOCK_MAX: usize = 3;
/// The time for which attempts count, and how many are remembered. The oldest are forgotten first; each block costs its
/// work.
pub(crate) const TRIES_COUNT_FOR: Millis = Millis::from_secs(120);
const TRIES_MAX: usize = 1_024;
/// A block that lacks more than 1/`MISSING_PART_MAX` of its transactions is fetched whole: pulling would gain little,
/// and `sync` divides the checks among all cores.
const MISSING_PART_MAX: usize = 2;

/// A block that is being reconstructed.
#[derive(Debug)]
struct Reconstruction {
    peer: PeerKey,
    ticket: Option<Ticket>,
    block: BlockRef,
    announced: CompactBlock,
    /// The found transactions, by position.
    found: Vec<Option<CheckedTransaction>>,
    /// The positions that are still missing, ascending.
    missing: Vec<u32>,
    /// The key of the question, then of the check of its answer.
    key: Key,
    /// The question, until it is answered.
    pull: Option<Pull>,
}

/// The question to the announcer.
#[derive(Debug, Clone, Copy)]
struct Pull {
    asked_at: Millis,
    deadline: Millis,
    /// Whether a peer of normal speed would have answered by now.
    is_overdue: bool,
}

impl Pull {
    /// The next time to look at it, whatever happens.
    fn due(&self) -> Millis {
        if self.is_overdue { self.deadline } else { self.deadline.min(self.asked_at + ANSWER_TIMEOUT) }
    }
}

impl Reconstruction {
    fn bytes(&self) -> usize {
        self.announced.length() + self.found.len() * size_of::<Option<CheckedTransaction>>()
    }
}

/// The blocks that are being reconstructed.
#[derive(Debug, Default)]
pub(crate) struct Reconstructions {
    under_way: Vec<Reconstruction>,
    tried: VecDeque<(BlockRef, PeerKey, Millis)>,
}

impl Reconstructions {
    /// Whether an answer belongs to a question from here.
    pub(crate) fn awaits(&self, peer: PeerKey, key: Key) -> bool {
        self.under_way.iter().any(|one| (one.peer, one.key) == (peer, key) && one.pull.is_some())
    }

    /// The time of the next deadline.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.under_way.iter().filter_map(|one| one.pull.as_ref()).map(Pull::due).min()
    }

    /// The number of blocks.
    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Their memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.under_way.iter().map(Reconstruction::bytes).sum()
    }

    /// Whether one more attempt by this peer is allowed now; if so, counts it.
    fn may_try(&mut self, block: BlockRef, peer: PeerKey, now: Now) -> bool {
        while self.tried.front().is_some_and(|(.., at)| now.elapsed >= *at + TRIES_COUNT_FOR) {
            self.tried.pop_front();
        }
        let of_peer = self.under_way.iter().filter(|one| one.peer == peer).count();
        let mut of_block = self.tried.iter().filter(|(tried, ..)| *tried == block);
        let is_allowed = self.len() < RECONSTRUCTIONS_MAX
            && of_peer < RECONSTRUCTIONS_PER_PEER_MAX
            && of_block.clone().count() < TRIES_PER_BLOCK_MAX
            && of_block.all(|(_, by, _)| *by != peer);
        if is_allowed {
            self.tried.push_back((block, peer, now.elapsed));
            if self.tried.len() > TRIES_MAX {
                self.tried.pop_front();
            }
        }
        is_allowed
    }

    fn take(&mut self, key: Key) -> Option<Reconstruction> {
        let at = self.under_way.iter().position(|one| one.key == key)?;
        Some(self.under_way.remove(at))
    }
}

impl Engine {
    /// The announcement of the tip, compact or whole.
    pub(super) fn announcement_of(&self, block: &CheckedBlock) -> Gossip {
        if block.length() <= self.whole_bytes_max {
            return Gossip::Block(Box::new(block.to_block()));
        }
        // The pool may not have followed this block yet.
        let mined = if self.mempool.lag() > 0 { block.transactions() } else { &[] };
        let mined: HashSet<TransactionId, RandomState> = mined.iter().map(CheckedTransaction::id).collect();
        let waiting = self.mempool.iter().filter(|one| !mined.contains(&one.id())).map(CheckedTransaction::leaf);
        Gossip::Compact(Box::new(CompactBlock::of(block, waiting)))
    }

    /// Reconstructs a block, or starts to. Its header is known, and its body is not.
    pub(super) fn reconstruct(
        &mut self,
        peer: PeerKey,
        ticket: Option<Ticket>,
        block: BlockRef,
        announced: CompactBlock,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let tree = self.chain.tree();
        // A branch with less work is of no use yet, and its transactions may long be mined on ours.
        let is_useful = tree.work(block) >= tree.work(self.chain.tip());
        let is_too_long = announced.block_bytes_min() > self.network.block_bytes_max();
        if !is_useful || is_too_long || !self.reconstructions.may_try(block, peer, now) {
            return ignore(peer, ticket, effects);
        }
        let rivals = self.chain.cached_rivals(block).flat_map(|rival| rival.transactions());
        let found = announced.find(self.mempool.iter().chain(rivals));
        let missing: Vec<u32> = (0..).zip(&found).filter(|(_, one)| one.is_none()).map(|(place, _)| place).collect();
        let is_gainful = missing.len() * MISSING_PART_MAX <= found.len();
        let one = Reconstruction { peer, ticket, block, announced, found, missing, key: self.new_key(), pull: None };
        if !is_gainful || self.reconstructions.bytes() + one.bytes() > RECONSTRUCTION_BYTES_MAX {
            return ignore(peer, ticket, effects);
        }
        self.sync.note_check(block);
        if one.missing.is_empty() {
            self.assemble(one, now, effects);
        } else {
            self.pull(one, now, effects);
        }
    }

    /// Asks for the missing transactions.
    fn pull(&mut self, mut one: Reconstruction, now: Now, effects: &mut Vec<Effect>) {
        let Some(session) = self.peers.get_quietly(one.peer) else {
            return self.end_reconstruction(&one, now, effects);
        };
        session.questions.spend(block_transactions_cost(one.missing.len()), now);
        let bytes = one.missing.len() * SignedTransaction::ENCODED_BYTES_MIN;
        let deadline = now.elapsed + session.pace.pull_timeout(bytes);
        one.pull = Some(Pull { asked_at: now.elapsed, deadline, is_overdue: false });
        let block = self.chain.tree().id(one.block);
        let places = one.missing.clone().into();
        tracing::debug!(peer = %one.peer, %block, transactions = one.missing.len(), "missing transactions asked for");
        effects.push(Effect::Peer(PeerEffect::Ask {
            peer: one.peer,
            key: one.key,
            request: Request::BlockTransactions { block, places },
        }));
        self.reconstructions.under_way.push(one);
    }

    /// Processes the answer with the missing transactions, or the failure to get them.
    pub(super) fn on_pulled(
        &mut self,
        key: Key,
        result: Result<Response, RequestFailure>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(mut one) = self.reconstructions.take(key) else { return };
        let pull = one.pull.take().expect("only awaited answers come here");
        if let (Ok(response), Some(session)) = (&result, self.peers.get_quietly(one.peer)) {
            session.note_answer(now.elapsed.saturating_sub(pull.asked_at), answer_bytes(response));
        }
        let fault = match result {
            Ok(Response::BlockTransactions(transactions)) if one.announced.fits(&one.missing, &transactions) => {
                one.key = self.new_key();
                self.checks.insert(one.key, Check::Pulled);
                effects.push(Effect::Check(CheckEffect::Transactions {
                    key: one.key,
                    transactions: transactions.into_vec(),
                }));
                return self.reconstructions.under_way.push(one);
            }
            Ok(_) => Some(Fault::WrongAnswer),
            Err(RequestFailure::Malformed) => Some(Fault::Malformed),
            // A block may have been evicted from the peer's memory, and a question may get lost.
            Err(RequestFailure::Unreachable | RequestFailure::Refused | RequestFailure::Timeout) => None,
        };
        if let Some(fault) = fault {
            self.peers.punish(one.peer, fault, effects);
            self.withhold(&one, now);
        }
        self.end_reconstruction(&one, now, effects);
    }

    /// Processes the check of the pulled transactions.
    pub(super) fn on_pulled_checked(
        &mut self,
        key: Key,
        results: Vec<Result<CheckedTransaction, Violation>>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(mut one) = self.reconstructions.take(key) else { return };
        for (place, result) in one.missing.iter().zip(results) {
            match result {
                Ok(transaction) => one.found[*place as usize] = Some(transaction),
                Err(violation) => {
                    // A peer that has the block has checked them.
                    self.peers.punish(one.peer, Fault::Invalid(violation), effects);
                    return self.end_reconstruction(&one, now, effects);
                }
            }
        }
        self.assemble(one, now, effects);
    }

    /// Assembles the block. If the root is the header's, it is as good as one that came whole.
    fn assemble(&mut self, mut one: Reconstruction, now: Now, effects: &mut Vec<Effect>) {
        let tree = self.chain.tree();
        if tree.has_body(one.block) || tree.is_condemned(one.block) {
            return self.end_reconstruction(&one, now, effects);
        }
        let found = std::mem::take(&mut one.found).into_iter();
        let transactions = found.map(|found| found.expect("no transaction is missing any more")).collect();
        let announced = &one.announced;
        let (header, context, reward) = (*announced.header(), *announced.context(), *announced.reward());
        // A wrong root means that an unknown transaction collided with a known one.
        if let Ok(checked) = CheckedBlock::assemble(header, context, reward, transactions, &self.network) {
            self.chain.insert_body(one.block, checked.into());
            self.awaiting_verdict.extend(one.ticket.take().map(|ticket| (one.peer, ticket, one.block)));
        }
        self.end_reconstruction(&one, now, effects);
    }

    /// Leaves a block that is incomplete to `sync`, and asks the peers that can have it whether they do. The announcer
    /// is not blamed but has less of its budget left, and the announcement is not relayed until it is verified.
    fn end_reconstruction(&mut self, one: &Reconstruction, now: Now, effects: &mut Vec<Effect>) {
        ignore(one.peer, one.ticket, effects);
        let tree = self.chain.tree();
        if !tree.has_body(one.block) {
            let height = tree.height(one.block);
            for (peer, session) in self.peers.iter_mut() {
                // A peer that was far below a moment ago cannot have it.
                if session.status.as_ref().is_none_or(|status| height.saturating_since(status.height) <= FAR_BEHIND) {
                    session.status_turn.want();
                }
                if peer == one.peer {
                    session.note_failed_announcement(now);
                }
            }
        }
        if !self.reconstructions.under_way.iter().any(|other| other.block == one.block) {
            self.sync.note_checked(one.block);
        }
        self.peers.note_changed();
    }

    /// Gives up questions that ran out of time, and those that a faster peer could answer.
    pub(super) fn expire_pulls(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let mut expired = Vec::new();
        for mut one in std::mem::take(&mut self.reconstructions.under_way) {
            let is_over = one.pull.as_mut().is_some_and(|pull| {
                pull.is_overdue = now.elapsed >= pull.asked_at + ANSWER_TIMEOUT;
                now.elapsed >= pull.deadline || (pull.is_overdue && self.another_peer_has_the_path(one.peer, 0))
            });
            if is_over { &mut expired } else { &mut self.reconstructions.under_way }.push(one);
        }
        for one in expired {
            if let Some(session) = self.peers.get_mut(one.peer) {
                session.timeouts += 1;
            }
            self.withhold(&one, now);
            self.end_reconstruction(&one, now, effects);
        }
    }

    /// Keeps the whole block from being requested from a peer that failed to give its transactions, until others had
    /// time to announce it.
    fn withhold(&mut self, one: &Reconstruction, now: Now) {
        let id = self.chain.tree().id(one.block);
        let session = self.peers.get_mut(one.peer).filter(|session| session.best == Some(one.block));
        if let Some(session) = session {
            session.best = None;
            session.withheld = Some((id, now.elapsed + ANSWER_TIMEOUT));
        }
    }

    /// Gives up all questions to a peer that has left.
    pub(super) fn forget_pulls(&mut self, peer: PeerKey, now: Now, effects: &mut Vec<Effect>) {
        let is_lost = |one: &mut Reconstruction| one.peer == peer && one.pull.is_some();
        let lost: Vec<Reconstruction> = self.reconstructions.under_way.extract_if(.., is_lost).collect();
        for one in lost {
            self.end_reconstruction(&one, now, effects);
        }
    }
}

fn ignore(peer: PeerKey, ticket: Option<Ticket>, effects: &mut Vec<Effect>) {
    effects.extend(ticket.map(|ticket| Effect::Peer(PeerEffect::Verdict { peer, ticket, verdict: Verdict::Ignore })));
}
