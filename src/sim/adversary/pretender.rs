//! The pretender, which claims chains that it does not have, shows headers whose blocks it keeps back, or refuses what it
//! is asked, and comes back under ever new identities: Heilman, Kendler, Zohar and Goldberg 2015 for the cheap
//! identities; go-ethereum's miner once stopped for such claims.
//!
//! Each identity draws its pretence. In all else it acts like an honest node. Deliberately absent: faults
//! that end a session, since its sessions end before anybody could blame it.

use std::collections::BTreeSet;

use super::{Hands, statuses};
use crate::engine::event::{Effect, Event, Fault, LoadEffect, PeerEffect, PeerKey, Wake};
use crate::protocol::block::VERSION;
use crate::protocol::{BlockId, Header, Height, LeafHash, Millis, Request, Response, Work};

/// The time that an identity stays, in milliseconds.
const STAY_MILLIS: (u64, u64) = (500, 9_000);
/// Headers of a withheld chain: more than a node may lack before it waits for them.
const HEADERS: usize = 20;

/// The pretence of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pretence {
    /// Work that nobody has, with no headers to show for it.
    #[default]
    Work,
    /// Headers with the work that they need, without their blocks.
    Headers,
    /// To be busy.
    Busy,
}

/// A pretender.
#[derive(Debug, Default)]
pub struct Pretender {
    pretence: Pretence,
    sessions: BTreeSet<PeerKey>,
    leaves_at: Millis,
    /// Headers on top of the tip.
    withheld: Vec<Header>,
}

impl Pretender {
    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        match &event {
            Event::PeerConnected { peer } => drop(self.sessions.insert(*peer)),
            Event::PeerDisconnected { peer } => drop(self.sessions.remove(peer)),
            _ => {}
        }
        let asks_for_headers = matches!(&event, Event::Request { request: Request::Headers { .. }, .. });
        let is_question = matches!(&event, Event::Request { request, .. } if !matches!(request, Request::Status(_)));
        let wake = hands.pass(event, effects);
        match self.pretence {
            Pretence::Work => {
                // Silence, so that the claim stays unproven for as long as it can.
                effects.retain(|effect| !asks_for_headers || !is_reply(effect));
                for status in statuses(effects) {
                    status.tip = BlockId(hands.random.bytes());
                    status.work = Work(status.work.0.saturating_mul(4).saturating_add(1 << 20));
                    status.height = Height(status.height.0 + hands.random.between(1, 1 << 40));
                }
            }
            Pretence::Headers => self.show_headers(hands, effects),
            Pretence::Busy if is_question => effects.iter_mut().for_each(refuse),
            Pretence::Busy => {}
        }
        if hands.now.elapsed >= self.leaves_at {
            self.change(hands, effects);
        }
        match wake {
            Wake::Now => Wake::Now,
            Wake::At(at) => Wake::At(at.min(self.leaves_at)),
        }
    }

    /// Adds the withheld headers to its answers and to its status, and gives no answer with none of the blocks asked for.
    fn show_headers(&mut self, hands: &mut Hands<'_>, effects: &mut Vec<Effect>) {
        let (tip, work) = (hands.view().tip, hands.view().work);
        if self.withheld.first().is_none_or(|first| first.parent != tip.id) {
            self.withheld = withheld(hands, tip.id);
        }
        let Some(last) = self.withheld.last().copied() else { return };
        let more: u128 = self.withheld.iter().map(|header| header.target.work().0).sum();
        for status in statuses(effects) {
            (status.tip, status.height, status.work) = (last.id(), last.height, Work(work.0 + more));
        }
        effects.retain(|effect| !matches!(effect, Effect::Load(LoadEffect::Serve { places, .. }) if places.is_empty()));
        for effect in effects {
            if let Effect::Peer(PeerEffect::Reply { response: Some(Response::Headers(headers)), .. }) = effect
                && headers.last().is_none_or(|shown| shown.id() == tip.id)
            {
                *headers = headers.iter().chain(&self.withheld).copied().collect();
            }
        }
    }

    /// Leaves, and comes back as somebody else: the world redials.
    fn change(&mut self, hands: &mut Hands<'_>, effects: &mut Vec<Effect>) {
        self.leaves_at = hands.now.elapsed + Millis(hands.random.between(STAY_MILLIS.0, STAY_MILLIS.1));
        self.pretence = match hands.random.between(0, 2) {
            0 => Pretence::Work,
            1 => Pretence::Headers,
            _ => Pretence::Busy,
        };
        let close = |peer: &PeerKey| PeerEffect::Close { peer: *peer, fault: Fault::Silent, ban: Millis(0) };
        effects.extend(self.sessions.iter().map(|peer| Effect::Peer(close(peer))));
    }
}

fn is_reply(effect: &Effect) -> bool {
    matches!(effect, Effect::Peer(PeerEffect::Reply { .. }))
}

fn refuse(effect: &mut Effect) {
    match effect {
        Effect::Peer(PeerEffect::Reply { response, .. }) => *response = None,
        Effect::Load(LoadEffect::Serve { ticket, .. }) => {
            *effect = Effect::Peer(PeerEffect::Reply { ticket: *ticket, response: None });
        }
        _ => {}
    }
}

/// A chain of headers on top of the tip, with the work that they claim and no blocks.
fn withheld(hands: &mut Hands<'_>, tip: BlockId) -> Vec<Header> {
    let Some(mut last) = hands.engine.header(&tip) else { return Vec::new() };
    let Some(mut parent) = hands.engine.as_parent(&tip) else { return Vec::new() };
    let mut headers = Vec::new();
    for _ in 0..HEADERS {
        let timestamp = last.timestamp;
        let mut header = Header {
            version: VERSION,
            height: last.height.next(),
            parent: last.id(),
            root: LeafHash(hands.random.bytes()),
            timestamp,
            target: parent.target_after(timestamp, hands.network),
            nonce: hands.random.bits(),
        };
        while !header.target.is_met_by(&header.id()) {
            header.nonce = header.nonce.wrapping_add(1);
        }
        headers.push(header);
        (parent, last) = (parent.child(&header), header);
    }
    headers
}
