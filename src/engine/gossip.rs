//! What peers spread of their own accord: new blocks and transactions, and what we pass on. `bundles` has the half of it
//! that is about transactions.
//!
//! Nothing is passed on before it was judged: a block when it has become our tip, transactions when they are in the
//! pool. So whoever passes on something invalid did not check it, or did not care.

use std::collections::{BTreeSet, HashSet, VecDeque};

use quipu_protocol::{Blame, Block, BlockId, CheckedBlock, Millis, TransactionId, Violation};

use super::chain::Insertion;
use super::event::{Effect, Fault, Gossip, Notice, Now, PeerKey, Ticket, Verdict};
use super::index::BlockRef;
use super::orphans::WaitsFor;
use super::{Check, Engine};

/// Ids of transactions that were refused lately, so that they are not fetched again and again. The oldest leave first.
pub(crate) const REFUSED_MAX: usize = 16_384;
/// Blocks by gossip that are being checked or wait for their verdict, of all peers and of one. More are ignored; they heal by
/// synchronisation.
pub(crate) const OFFERED_MAX: usize = 1_024;
pub(crate) const OFFERED_PER_PEER_MAX: usize = 32;
/// Least time between two announcements of a tip. Blocks that are mined faster are announced by the last of them.
const ANNOUNCE_INTERVAL: Millis = Millis(10);

/// Transactions that were refused lately.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    ids: HashSet<TransactionId>,
    order: VecDeque<TransactionId>,
}

impl Refused {
    pub(crate) fn contains(&self, id: &TransactionId) -> bool {
        self.ids.contains(id)
    }

    pub(crate) fn insert(&mut self, id: TransactionId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > REFUSED_MAX {
            let oldest = self.order.pop_front().expect("more than none are there");
            self.ids.remove(&oldest);
        }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// A new tip changes what can be taken.
    pub(crate) fn clear(&mut self) {
        self.ids.clear();
        self.order.clear();
    }
}

/// The tip as peers know it from us.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    waiting: bool,
    last: Option<Millis>,
}

impl Announcer {
    /// Asks for the tip to be announced.
    pub(crate) fn want(&mut self) {
        self.waiting = true;
    }

    /// When the next announcement is due.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.waiting.then(|| self.last.map_or(Millis(0), |last| last + ANNOUNCE_INTERVAL))
    }
}

impl Engine {
    /// Judges a gossip message, or begins to.
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
            effects.push(Effect::Verdict { peer, ticket, verdict: Verdict::Ignore });
            return;
        }
        match gossip {
            Gossip::Block(block) => self.on_offered_block(peer, Some(ticket), *block, now, effects),
            Gossip::Transactions(bundle) => self.on_bundle(peer, ticket, bundle, effects),
        }
    }

    fn on_offered_block(
        &mut self,
        peer: PeerKey,
        ticket: Option<Ticket>,
        block: Block,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let header = block.header;
        let verdict = match self.chain.insert_header(&header, now.unix) {
            Insertion::Known(found) => {
                self.peer_has(peer, found);
                let is_new = !self.chain.index().has_body(found) && !self.is_checking(found);
                if is_new && self.has_room_for_offer(peer) {
                    let key = self.new_key();
                    self.checks.insert(key, Check::Offered { origin: peer, ticket, block: found });
                    self.sync.note_check(found);
                    effects.push(Effect::CheckBlocks { key, blocks: vec![block] });
                    return;
                }
                Verdict::Ignore
            }
            Insertion::Orphan => {
                // Whoever knows it knows what is below it: ask at once how far it is.
                if let Some(session) = self.peers.get_mut(peer) {
                    session.status_at = None;
                }
                self.orphans.insert(peer, block, WaitsFor::Parent(header.parent));
                Verdict::Ignore
            }
            Insertion::Early(_) => {
                let time = quipu_protocol::UnixMillis(
                    header.timestamp.0.saturating_sub(self.network.parameters().future_time_max.0),
                );
                self.orphans.insert(peer, block, WaitsFor::Time(time));
                Verdict::Ignore
            }
            Insertion::Barred(work) => {
                if work > self.chain.index().work(self.chain.tip()) {
                    self.tell_refused(peer, header.id(), header.height, now);
                }
                Verdict::Ignore
            }
            Insertion::Condemned | Insertion::Weak => Verdict::Ignore,
            Insertion::Invalid(violation) => {
                self.peers.punish(peer, Fault::Invalid(violation), effects);
                Verdict::Reject
            }
        };
        if let Some(ticket) = ticket {
            effects.push(Effect::Verdict { peer, ticket, verdict });
        }
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

    /// Who has offered the blocks that are being checked or wait for their verdict.
    pub(super) fn offers(&self) -> impl Iterator<Item = PeerKey> {
        let checking = self.checks.values().filter_map(|check| match check {
            Check::Offered { origin, .. } => Some(*origin),
            Check::Sync { .. } | Check::Transactions { .. } => None,
        });
        checking.chain(self.awaiting_verdict.iter().map(|(peer, ..)| *peer))
    }

    fn peer_has(&mut self, peer: PeerKey, block: BlockRef) {
        let index = self.chain.index();
        if let Some(session) = self.peers.get_mut(peer)
            && session.best.is_none_or(|best| index.work(best) < index.work(block))
        {
            session.best = Some(block);
        }
    }

    /// Takes in the result of checking a block that was offered. Its verdict waits for what the accounts say.
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
                    effects.push(Effect::Verdict { peer, ticket, verdict: Verdict::Reject });
                }
                self.on_bad_block(peer, block, violation, effects);
            }
        }
    }

    /// Gives the verdicts on blocks that have had their chance to be connected.
    pub(super) fn settle_verdicts(&mut self, effects: &mut Vec<Effect>) {
        if self.chain.is_reorganising() {
            return;
        }
        for (peer, ticket, block) in std::mem::take(&mut self.awaiting_verdict) {
            let verdict = if self.chain.index().is_condemned(block) {
                Verdict::Reject
            } else if self.chain.is_best(block) {
                Verdict::Accept
            } else {
                Verdict::Ignore
            };
            effects.push(Effect::Verdict { peer, ticket, verdict });
        }
    }

    /// Remembers what a violation says about a block, and about who sent it.
    pub(super) fn on_bad_block(
        &mut self,
        peer: PeerKey,
        block: BlockRef,
        violation: Violation,
        effects: &mut Vec<Effect>,
    ) {
        if violation.blame() == Blame::Block && !self.chain.index().is_condemned(block) {
            let place = self.chain.index().place(block);
            self.chain.condemn(block);
            self.notify(Notice::BlockRefused { place, violation: violation.clone() });
            self.drop_condemned_peers(&violation, effects);
        }
        self.peers.punish(peer, Fault::Invalid(violation), effects);
    }

    /// Peers whose best block turned out bad, or who passed on one that did, are on a chain that we will never follow
    /// and that they did not check.
    pub(super) fn drop_condemned_peers(&mut self, violation: &Violation, effects: &mut Vec<Effect>) {
        let index = self.chain.index();
        let led = self.peers.iter().filter_map(|(peer, session)| session.best.map(|best| (peer, best)));
        let passed_on = self.awaiting_verdict.iter().map(|(peer, _, block)| (*peer, *block));
        let peers: BTreeSet<PeerKey> =
            led.chain(passed_on).filter(|(_, block)| index.is_condemned(*block)).map(|(peer, _)| peer).collect();
        for peer in peers {
            if let Some(session) = self.peers.get_mut(peer) {
                session.best = session.best.filter(|best| !index.is_condemned(*best));
            }
            self.peers.punish(peer, Fault::Invalid(violation.clone()), effects);
        }
    }

    /// Looks again at blocks that came too soon.
    pub(super) fn revisit_orphans(&mut self, now: Now, effects: &mut Vec<Effect>) {
        loop {
            let index = self.chain.index();
            let known = |id: &BlockId| index.find(id).is_some();
            let Some(orphan) = self.orphans.take_ready(known, now.unix) else { return };
            self.on_offered_block(orphan.from, None, orphan.block, now, effects);
        }
    }

    /// Announces the tip if that is due.
    pub(super) fn announce(&mut self, now: Now) {
        if self.announcer.due().is_some_and(|due| due <= now.elapsed) && !self.chain.is_reorganising() {
            self.announcer.waiting = false;
            self.announcer.last = Some(now.elapsed);
            if let Some(block) = self.chain.cached_tip() {
                self.publish(Gossip::Block(Box::new(block.to_block())));
            }
        }
    }
}
