//! Gossip: blocks and transactions that peers spread, and those that we forward. `bundles` has the half about
//! transactions.
//!
//! Nothing is forwarded before it was judged: a block when it has become our tip, transactions when they are in the
//! pool. So a peer that forwards an invalid one did not check it, or did not care.

use std::collections::{BTreeSet, HashSet, VecDeque};

use quipu_protocol::{
    Announcement, Blame, Block, BlockId, CheckedBlock, CheckedTransaction, Millis, TransactionId, Violation,
};

use super::chain::Insertion;
use super::event::{CheckEffect, Effect, Fault, Gossip, Notice, Now, PeerEffect, PeerKey, Ticket, Verdict};
use super::header_tree::BlockRef;
use super::orphans::WaitsFor;
use super::{Check, Engine};

/// Recently refused transactions, so that they are not fetched again and again. The oldest are forgotten first.
pub(crate) const REFUSED_MAX: usize = 16_384;
/// Gossiped blocks that are being checked or wait for their verdict, in all and per peer. Further ones are ignored;
/// they heal by synchronisation.
pub(crate) const OFFERED_MAX: usize = 1_024;
pub(crate) const OFFERED_PER_PEER_MAX: usize = 32;
/// Minimum interval between two announcements of a tip. If blocks are mined faster, only the last is announced.
const ANNOUNCE_INTERVAL: Millis = Millis(10);

/// Recently refused transactions.
#[derive(Debug, Default)]
pub(crate) struct RefusedIds {
    ids: HashSet<TransactionId>,
    order: VecDeque<TransactionId>,
}

impl RefusedIds {
    pub(crate) fn contains(&self, id: &TransactionId) -> bool {
        self.ids.contains(id)
    }

    pub(crate) fn insert(&mut self, id: TransactionId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > REFUSED_MAX {
            let oldest = self.order.pop_front().expect("the queue is over its bound");
            self.ids.remove(&oldest);
        }
    }

    /// The number of remembered ids.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Forgets all, since a new tip changes which transactions can be accepted.
    pub(crate) fn clear(&mut self) {
        self.ids.clear();
        self.order.clear();
    }
}

/// The tip as announced to peers.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    waiting: bool,
    last: Option<Millis>,
}

impl Announcer {
    /// Requests an announcement of the tip.
    pub(crate) fn want(&mut self) {
        self.waiting = true;
    }

    /// The time at which the next announcement is due.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.waiting.then(|| self.last.map_or(Millis(0), |last| last + ANNOUNCE_INTERVAL))
    }
}

impl Engine {
    /// Judges a gossip message, or starts to.
    pub(super) fn on_gossip(
        &mut self,
        peer: PeerKey,
        ticket: Ticket,
        gossip: Gossip,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let allowed = self.peers.may_gossip(peer, &gossip, now);
        if !allowed {
            tracing::debug!(%peer, why = "more gossip than its share", "limited");
            effects.push(Effect::Peer(PeerEffect::Verdict { peer, ticket, verdict: Verdict::Ignore }));
            return;
        }
        match gossip {
            Gossip::Block(block) => {
                self.on_announced(peer, Some(ticket), Announcement::Whole(*block), now, effects);
            }
            Gossip::Compact(compact) => {
                self.on_announced(peer, Some(ticket), Announcement::Compact(*compact), now, effects);
            }
            Gossip::Transactions(bundle) => self.on_bundle(peer, ticket, bundle, effects),
        }
    }

    fn on_announced(
        &mut self,
        peer: PeerKey,
        ticket: Option<Ticket>,
        announced: Announcement,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let header = *announced.header();
        let (verdict, why) = match self.chain.insert_header(&header, now.unix) {
            Insertion::Known(found) => {
                self.note_peer_has(peer, found);
                let is_new = !self.chain.tree().has_body(found) && !self.is_checking(found);
                if is_new && self.has_room_for_offer(peer) {
                    return match announced {
                        Announcement::Whole(block) => self.check_offered(peer, ticket, found, block, effects),
                        Announcement::Compact(compact) => {
                            self.reconstruct(peer, ticket, found, compact, now, effects);
                        }
                    };
                }
                (Verdict::Ignore, if is_new { "too many blocks are being checked" } else { "known" })
            }
            Insertion::Orphan => {
                // A peer that announces a block knows its ancestors: ask at once for its status.
                if let Some(session) = self.peers.get_mut(peer) {
                    session.status_turn.want();
                }
                self.orphans.insert(peer, announced, WaitsFor::Parent(header.parent));
                (Verdict::Ignore, "its parent is not known")
            }
            Insertion::Early(_) => {
                let time = quipu_protocol::UnixMillis(
                    header.timestamp.0.saturating_sub(self.network.parameters().future_time_max.0),
                );
                self.orphans.insert(peer, announced, WaitsFor::Time(time));
                (Verdict::Ignore, "its time is ahead of our clock")
            }
            Insertion::Barred(work) => {
                if work > self.chain.tree().work(self.chain.tip()) {
                    self.report_refused_tip(peer, header.id(), header.height, now);
                }
                (Verdict::Ignore, "its chain leaves out our checkpoint")
            }
            Insertion::Condemned => (Verdict::Ignore, "it, or a block below it, breaks a rule"),
            Insertion::Weak => (Verdict::Ignore, "its branch is far behind ours"),
            Insertion::Invalid(violation) => {
                self.peers.punish(peer, Fault::Invalid(violation), effects);
                (Verdict::Reject, "its header breaks a rule")
            }
        };
        tracing::debug!(%peer, block = %header.id(), height = header.height.0, ?verdict, why, "block announced");
        if let Some(ticket) = ticket {
            effects.push(Effect::Peer(PeerEffect::Verdict { peer, ticket, verdict }));
        }
    }

    fn check_offered(
        &mut self,
        peer: PeerKey,
        ticket: Option<Ticket>,
        found: BlockRef,
        block: Block,
        effects: &mut Vec<Effect>,
    ) {
        let key = self.new_key();
        self.checks.insert(key, Check::Offered { origin: peer, ticket, block: found });
        self.sync.note_check(found);
        effects.push(Effect::Check(CheckEffect::Blocks { key, blocks: vec![block] }));
    }

    fn is_checking(&self, block: BlockRef) -> bool {
        self.checks.values().any(|check| matches!(check, Check::Offered { block: checking, .. } if *checking == block))
    }

    fn has_room_for_offer(&self, peer: PeerKey) -> bool {
        let (mut all, mut of_peer) = (0, 0);
        for origin in self.offers() {
            all += 1;
            of_peer += usize::from(origin == peer);
        }
        all < OFFERED_MAX && of_peer < OFFERED_PER_PEER_MAX
    }

    /// The peers of the offered blocks that are being checked or wait for their verdict.
    pub(super) fn offers(&self) -> impl Iterator<Item = PeerKey> {
        let checking = self.checks.values().filter_map(|check| match check {
            Check::Offered { origin, .. } => Some(*origin),
            Check::Sync { .. } | Check::Transactions { .. } | Check::Pulled => None,
        });
        checking.chain(self.awaiting_verdict.iter().map(|(peer, ..)| *peer))
    }

    fn note_peer_has(&mut self, peer: PeerKey, block: BlockRef) {
        let tree = self.chain.tree();
        if let Some(session) = self.peers.get_mut(peer)
            && session.best.is_none_or(|best| tree.work(best) < tree.work(block))
        {
            session.best = Some(block);
        }
    }

    /// Processes the check of an offered block. Its verdict waits for the rules on accounts.
    pub(super) fn on_offered_checked(
        &mut self,
        peer: PeerKey,
        ticket: Option<Ticket>,
        block: BlockRef,
        result: Result<CheckedBlock, Violation>,
        effects: &mut Vec<Effect>,
    ) {
        self.sync.note_checked(block);
        match result {
            Ok(checked) => {
                self.chain.insert_body(block, checked.into());
                self.awaiting_verdict.extend(ticket.map(|ticket| (peer, ticket, block)));
            }
            Err(violation) => {
                if let Some(ticket) = ticket {
                    effects.push(Effect::Peer(PeerEffect::Verdict { peer, ticket, verdict: Verdict::Reject }));
                }
                self.on_bad_block(peer, block, violation, effects);
            }
        }
    }

    /// Sends the verdicts on blocks that have had their chance to be connected.
    pub(super) fn settle_verdicts(&mut self, effects: &mut Vec<Effect>) {
        if self.chain.is_reorganising() {
            return;
        }
        for (peer, ticket, block) in std::mem::take(&mut self.awaiting_verdict) {
            let verdict = if self.chain.tree().is_condemned(block) {
                Verdict::Reject
            } else if self.chain.is_best(block) {
                Verdict::Accept
            } else {
                Verdict::Ignore
            };
            tracing::debug!(%peer, block = %self.chain.tree().id(block), ?verdict, "block judged");
            effects.push(Effect::Peer(PeerEffect::Verdict { peer, ticket, verdict }));
        }
    }

    /// Records the consequences of a violation for the block and for its sender.
    pub(super) fn on_bad_block(
        &mut self,
        peer: PeerKey,
        block: BlockRef,
        violation: Violation,
        effects: &mut Vec<Effect>,
    ) {
        if violation.blame() == Blame::Block && !self.chain.tree().is_condemned(block) {
            let place = self.chain.tree().place(block);
            self.chain.condemn(block);
            self.refusals.note(place.id, &violation);
            self.notify(Notice::BlockRefused { place, violation: violation.clone() });
            self.drop_condemned_peers(&violation, effects);
        }
        self.peers.punish(peer, Fault::Invalid(violation), effects);
    }

    /// Cuts off peers whose best block turned out bad, or who forwarded one that did: they are on a chain that we will
    /// never follow and that they did not check.
    pub(super) fn drop_condemned_peers(&mut self, violation: &Violation, effects: &mut Vec<Effect>) {
        let tree = self.chain.tree();
        let led = self.peers.iter().filter_map(|(peer, session)| session.best.map(|best| (peer, best)));
        let passed_on = self.awaiting_verdict.iter().map(|(peer, _, block)| (*peer, *block));
        let peers: BTreeSet<PeerKey> =
            led.chain(passed_on).filter(|(_, block)| tree.is_condemned(*block)).map(|(peer, _)| peer).collect();
        for peer in peers {
            if let Some(session) = self.peers.get_mut(peer) {
                session.best = session.best.filter(|best| !tree.is_condemned(*best));
            }
            self.peers.punish(peer, Fault::Invalid(violation.clone()), effects);
        }
    }

    /// Processes orphans whose parent or time has come.
    pub(super) fn revisit_orphans(&mut self, now: Now, effects: &mut Vec<Effect>) {
        loop {
            let tree = self.chain.tree();
            let known = |id: &BlockId| tree.find(id).is_some();
            let Some(orphan) = self.orphans.take_ready(known, now.unix) else { return };
            self.on_announced(orphan.from, None, orphan.announced, now, effects);
        }
    }

    /// Announces the tip if that is due.
    pub(super) fn announce(&mut self, now: Now) {
        if self.announcer.due().is_some_and(|due| due <= now.elapsed) && !self.chain.is_reorganising() {
            self.announcer.waiting = false;
            self.announcer.last = Some(now.elapsed);
            if let Some(block) = self.chain.cached_tip() {
                // Our own block may hold a transaction of our own user that no peer has seen.
                let after = self.gate.batch_of_own(block.transactions().iter().map(CheckedTransaction::id));
                self.publish(self.announcement_of(&block), after);
            }
        }
    }
}
