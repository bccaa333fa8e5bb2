//! The equivocator, which tells half of its peers one thing and the others another: two blocks on the same parent, two
//! transactions with the same nonce, two tips of the same work.
//!
//! Both are valid, each by itself, and a peer that asks is given the version that it was told of. The number of the
//! session decides to which half a peer belongs. Two halves on blocks of equal work are an ordinary fork, which the
//! next block ends.

use super::{Hands, announced, new_blocks, seal, sent, statuses};
use crate::engine::event::{Command, Effect, Event, Gossip, PeerEffect, PeerKey, Ticket, Wake};
use crate::protocol::{
    Action, Address, Amount, Block, BlockId, Bundle, Header, Millis, Request, Response, SignedTransaction,
};

/// Pause between two payments.
const PAUSE: Millis = Millis::from_secs(10);
/// The ticket of its own commands; the shell counts from 1.
const TICKET: Ticket = Ticket(u64::MAX);
/// The amount that one of the two transactions moves, in units; the other is a record.
const UNITS: u64 = 10_000;
/// Pairs of each kind that are remembered until they are published: one waits some milliseconds for the disk. The
/// oldest are forgotten first.
const TWINS_MAX: usize = 8;

/// Pairs of a publication and its alternative.
#[derive(Debug)]
struct Twins<T>(Vec<(T, T)>);

impl<T> Default for Twins<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Twins<T> {
    fn note(&mut self, one: T, other: T) {
        if self.0.len() == TWINS_MAX {
            self.0.remove(0);
        }
        self.0.push((one, other));
    }

    fn find(&self, is_it: impl Fn(&T) -> bool) -> Option<T> {
        self.0.iter().find(|(one, _)| is_it(one)).map(|(_, other)| other.clone())
    }
}

/// An equivocator.
#[derive(Debug, Default)]
pub struct Equivocator {
    /// The last block that it found, and the alternative of the same height.
    blocks: Option<(BlockId, Block)>,
    /// The next publications, and the alternatives for half of the peers.
    block_twins: Twins<Block>,
    transaction_twins: Twins<SignedTransaction>,
    next: Millis,
}

impl Equivocator {
    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        let asker = match &event {
            Event::Request { peer, ticket, request } => {
                if let (Some(block), Request::Blocks { ids }) = (self.twin(), request)
                    && ids.contains(&block.header.id())
                {
                    let response = Some(Response::Blocks(vec![block.clone()].into()));
                    effects.push(Effect::Peer(PeerEffect::Reply { ticket: *ticket, response }));
                    return hands.pass(Event::Tick, effects);
                }
                Some(*peer)
            }
            _ => None,
        };
        let wake = hands.pass(event, effects);
        self.double_found_blocks(hands, effects);
        if hands.now.elapsed >= self.next {
            self.next = hands.now.elapsed + PAUSE;
            self.pay_twice(hands, effects);
        }
        self.tell_two_stories(asker, effects);
        wake
    }

    /// The alternative to a publication of its own, for sessions in the other half.
    pub(super) fn instead(&self, gossip: &Gossip) -> Option<Gossip> {
        if let Gossip::Transactions(bundle) = gossip {
            let twin_of = |one: &SignedTransaction| self.transaction_twins.find(|of| of == one);
            let shown = bundle.iter().map(|one| twin_of(one).unwrap_or_else(|| one.clone()));
            return Bundle::pack(shown).pop().map(Gossip::Transactions);
        }
        let id = announced(gossip)?.id();
        self.block_twins.find(|block| block.header.id() == id).map(|twin| Gossip::Block(Box::new(twin)))
    }

    fn twin(&self) -> Option<&Block> {
        self.blocks.as_ref().map(|(_, block)| block)
    }

    fn double_found_blocks(&mut self, hands: &mut Hands<'_>, effects: &[Effect]) {
        let own = hands.address();
        for found in new_blocks(effects).into_iter().filter(|block| block.reward().to == own) {
            let block = found.to_block();
            let mut twin = block.clone();
            twin.body.reward.to = Address(hands.random.bytes()[..20].try_into().expect("20 of 32 bytes"));
            seal(&mut twin);
            self.blocks = Some((found.id(), twin.clone()));
            self.block_twins.note(block, twin);
        }
    }

    fn pay_twice(&mut self, hands: &mut Hands<'_>, effects: &mut Vec<Effect>) {
        let to = hands.address();
        let action = Action::Transfer { to, amount: Amount::from_units(UNITS) };
        let command = Command::Send { key: hands.key.clone(), action, fee: Some(Amount::from_units(1)) };
        let mut own = Vec::new();
        hands.pass(Event::Command { ticket: TICKET, command }, &mut own);
        if let Some(signed) = sent(&own) {
            let action = Action::Record { data: vec![2].into() };
            let mut other = signed.transaction.clone();
            other.action = action;
            let other = other.sign(&hands.network.genesis_id(), hands.key);
            self.transaction_twins.note(signed, other);
        }
        effects.append(&mut own);
    }

    /// Tells half of the peers that the alternative block is the tip.
    fn tell_two_stories(&self, asker: Option<PeerKey>, effects: &mut [Effect]) {
        let Some((id, twin)) = &self.blocks else { return };
        for effect in effects {
            let peer = match effect {
                Effect::Peer(PeerEffect::Ask { peer, .. }) => Some(*peer),
                Effect::Peer(PeerEffect::Reply { .. }) => asker,
                _ => None,
            };
            if !peer.is_some_and(is_in_other_half) {
                continue;
            }
            if let Effect::Peer(PeerEffect::Reply { response: Some(Response::Headers(headers)), .. }) = effect
                && headers.last().is_some_and(|last| last.id() == *id)
            {
                let mut told: Vec<Header> = headers.to_vec();
                *told.last_mut().expect("it has a last one") = twin.header;
                *headers = told.into();
            }
            for status in statuses(std::slice::from_mut(effect)).filter(|status| status.tip == *id) {
                status.tip = twin.header.id();
            }
        }
    }
}

/// Whether a session belongs to the other half: every second one does.
pub(super) fn is_in_other_half(session: PeerKey) -> bool {
    session.0.is_multiple_of(2)
}
