//! The spammer, which floods: with transactions of accounts without coins, blocks without parents, and chains of
//! headers with less work than promised.
//!
//! Every orphan and every header has the proof of work that it claims, at the easiest target, so that nothing is
//! refused for the wrong reason.

use super::{Hands, statuses};
use crate::engine::event::{Effect, Event, Gossip, PeerEffect, Ticket, Wake};
use crate::protocol::block::VERSION;
use crate::protocol::check::Parent;
use crate::protocol::{
    Action, Address, Amount, Block, BlockId, Body, Bundle, Context, Header, Height, HistoryHash, LeafHash, Millis,
    Request, Response, Reward, SecretKey, SignedTransaction, Target, Transaction, UnixMillis, Work,
};

/// Pause between two bursts.
const PAUSE: Millis = Millis(400);
/// Messages of each kind in a burst.
const BURST: u64 = 3;
/// Headers in an answer.
const HEADERS: u64 = 40;

/// The kinds of messages in the flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floods {
    /// Transactions of accounts without coins.
    pub transactions: bool,
    /// Blocks without parents.
    pub orphans: bool,
    /// Headers of little work, promised as much.
    pub headers: bool,
}

impl Default for Floods {
    /// All of them.
    fn default() -> Self {
        Self { transactions: true, orphans: true, headers: true }
    }
}

/// A spammer.
#[derive(Debug, Default)]
pub struct Spam {
    floods: Floods,
    next: Millis,
}

impl Spam {
    /// A spammer that sends these kinds.
    pub fn new(floods: Floods) -> Self {
        Self { floods, next: Millis(0) }
    }

    /// A spammer that claims no more work than it has, so that nobody asks for its headers.
    pub fn modest() -> Self {
        Self::new(Floods { headers: false, ..Floods::default() })
    }

    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        if let Event::Request { ticket, request: Request::Headers { .. }, .. } = &event
            && self.floods.headers
        {
            return answer(hands, *ticket, effects);
        }
        let wake = hands.pass(event, effects);
        for status in statuses(effects).filter(|_| self.floods.headers) {
            // It claims more work than anybody has, so that its headers are asked for.
            status.tip = BlockId(hands.random.bytes());
            status.work = Work(status.work.0.saturating_mul(4).saturating_add(1 << 20));
            status.pending = hands.random.between(0, 9);
        }
        if hands.now.elapsed >= self.next {
            self.next = hands.now.elapsed + PAUSE;
            if self.floods.transactions {
                let unpaid: Vec<_> = (0..BURST).map(|_| unpaid(hands)).collect();
                effects.extend(
                    Bundle::pack(unpaid)
                        .into_iter()
                        .map(|bundle| Effect::Peer(PeerEffect::Publish(Gossip::Transactions(bundle)))),
                );
            }
            for _ in 0..BURST {
                if self.floods.orphans {
                    effects.push(Effect::Peer(PeerEffect::Publish(Gossip::Block(Box::new(orphan(hands))))));
                }
            }
        }
        wake
    }
}

/// A transaction signed by an account without coins.
fn unpaid(hands: &mut Hands<'_>) -> SignedTransaction {
    let key = SecretKey::from_seed(hands.random.bytes());
    let action = Action::Transfer { to: hands.address(), amount: Amount::from_units(1 << 40) };
    let fee = Amount::from_units(hands.random.between(0, 1 << 30));
    let nonce = hands.random.between(0, 3);
    Transaction { sender: key.public_key(), nonce, fee, action }.sign(&hands.network.genesis_id(), &key)
}

fn orphan(hands: &mut Hands<'_>) -> Block {
    let reward = Reward { to: Address([7; 20]), amount: hands.network.parameters().subsidy };
    let context = Context::of(HistoryHash(hands.random.bytes()));
    let body = Body { context, reward, transactions: Vec::new().into() };
    let parent = BlockId(hands.random.bytes());
    let height = Height(hands.random.between(1, 1 << 40));
    let target = hands.network.parameters().easiest_target;
    let header = header(hands, parent, height, hands.now.unix, target, body.root());
    Block { header, body }
}

fn header(
    hands: &mut Hands<'_>,
    parent: BlockId,
    height: Height,
    timestamp: UnixMillis,
    target: Target,
    root: LeafHash,
) -> Header {
    let nonce = hands.random.bits();
    let mut header = Header { version: VERSION, height, parent, root, timestamp, target, nonce };
    while !target.is_met_by(&header.id()) {
        header.nonce = header.nonce.wrapping_add(1);
    }
    header
}

/// A chain from genesis on, as slow as the rules allow and therefore cheap.
fn answer(hands: &mut Hands<'_>, ticket: Ticket, effects: &mut Vec<Effect>) -> Wake {
    let genesis = hands.network.genesis().header;
    let mut headers: Vec<Header> = Vec::new();
    let mut parent = Parent::genesis(hands.network);
    for _ in 0..HEADERS {
        let last = *headers.last().unwrap_or(&genesis);
        let timestamp = last.timestamp + hands.network.parameters().target_spacing;
        let target = parent.target_after(timestamp, hands.network);
        let root = LeafHash(hands.random.bytes());
        headers.push(header(hands, last.id(), last.height.next(), timestamp, target, root));
        parent = parent.child(&headers[headers.len() - 1]);
    }
    effects.push(Effect::Peer(PeerEffect::Reply { ticket, response: Some(Response::Headers(headers.into())) }));
    hands.pass(Event::Tick, effects)
}
