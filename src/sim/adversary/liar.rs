//! The liar: stalls, answers late, answers another question, lies about its progress, changes the bodies of blocks that
//! it forwards, and beside each block that it finds publishes an invalid or just another one.
//!
//! Its reaction is drawn anew for each question, so some of its answers are right.

use super::forger::{Breaks, forge, found};
use super::{Hands, seal, statuses};
use crate::engine::event::{Effect, Event, Gossip, LoadEffect, Now, PeerEffect, Place, Ticket, Wake};
use crate::protocol::encode::{decode, encode};
use crate::protocol::{Amount, Block, BlockId, Height, Millis, Response, Work};

/// Delay of a late answer, in milliseconds.
const LATE_MILLIS: (u64, u64) = (500, 9_000);
/// Delayed answers at the same time. Further ones are given at once.
const LATE_MAX: usize = 64;

/// A liar.
#[derive(Debug, Default)]
pub struct Liar {
    late: Vec<(Millis, Ticket, Option<Response>)>,
}

impl Liar {
    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        let wake = hands.pass(event, effects);
        let found = counterfeit(hands, effects);
        for status in statuses(effects) {
            match hands.random.between(0, 3) {
                0 => status.work = Work(status.work.0 + u128::from(hands.random.between(1, 1 << 30))),
                1 => {
                    status.tip = BlockId(hands.random.bytes());
                    status.work = Work(status.work.0 + 1);
                    status.height = Height(hands.random.bits());
                }
                2 => (status.work, status.height) = (Work(0), Height(0)),
                _ => {}
            }
        }
        for effect in std::mem::take(effects) {
            self.distort(hands, effect, effects);
        }
        effects
            .extend(found.into_iter().map(|block| Effect::Peer(PeerEffect::Publish(Gossip::Block(Box::new(block))))));
        self.answer_late(hands.now, effects);
        wake
    }

    fn distort(&mut self, hands: &mut Hands<'_>, effect: Effect, effects: &mut Vec<Effect>) {
        match effect {
            Effect::Peer(PeerEffect::Reply { ticket, response }) => match hands.random.between(0, 5) {
                0 => {}
                1 if self.late.len() < LATE_MAX => {
                    let delay = Millis(hands.random.between(LATE_MILLIS.0, LATE_MILLIS.1));
                    self.late.push((hands.now.elapsed + delay, ticket, response));
                }
                2 => effects.push(Effect::Peer(PeerEffect::Reply { ticket, response: Some(something_else(hands)) })),
                _ => effects.push(Effect::Peer(PeerEffect::Reply { ticket, response })),
            },
            Effect::Load(LoadEffect::Serve { peer, ticket, mut places, bytes_max }) => match hands.random.between(0, 4)
            {
                0 => {}
                1 => effects.push(Effect::Peer(PeerEffect::Reply { ticket, response: Some(something_else(hands)) })),
                2 => {
                    // An answer to another question, from its own data.
                    let genesis_child = |place: &Place| place.height.0 <= 1;
                    places.retain(|place| !genesis_child(place));
                    effects.push(Effect::Load(LoadEffect::Serve { peer, ticket, places, bytes_max }));
                }
                _ => effects.push(Effect::Load(LoadEffect::Serve { peer, ticket, places, bytes_max })),
            },
            Effect::Peer(PeerEffect::Publish(Gossip::Compact(compact))) if hands.random.between(0, 1) == 0 => {
                // A true header, with the ids of other transactions: some bits are flipped.
                let mut bytes = encode(compact.as_ref());
                let at = bytes.len() - 8 - hands.random.between(1, 8) as usize;
                bytes[at] ^= 1 << hands.random.between(0, 7);
                let distorted = decode(&bytes, bytes.len()).map_or(compact, Box::new);
                effects.push(Effect::Peer(PeerEffect::Publish(Gossip::Compact(distorted))));
            }
            Effect::Peer(PeerEffect::Publish(Gossip::Block(mut block))) if hands.random.between(0, 1) == 0 => {
                // A true header, with another body.
                block.body.reward.amount = Amount::from_units(block.body.reward.amount.units() + 1);
                effects.push(Effect::Peer(PeerEffect::Publish(Gossip::Block(block))));
            }
            effect => effects.push(effect),
        }
    }

    fn answer_late(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for (_, ticket, response) in self.late.extract_if(.., |(due, ..)| *due <= now.elapsed) {
            effects.push(Effect::Peer(PeerEffect::Reply { ticket, response }));
        }
    }
}

fn something_else(hands: &mut Hands<'_>) -> Response {
    match hands.random.between(0, 4) {
        0 => Response::Headers(Vec::new().into()),
        1 => Response::Blocks(Vec::new().into()),
        2 => Response::Transactions(Vec::new().into()),
        3 => Response::Blocks(vec![hands.network.genesis().clone()].into()),
        _ => Response::Headers(vec![hands.network.genesis().header].into()),
    }
}

/// A companion to a block that it found, with the work that it claims: another one of the same height, or an invalid
/// one.
fn counterfeit(hands: &mut Hands<'_>, effects: &[Effect]) -> Option<Block> {
    let block = found(hands, effects)?;
    let breaks = match hands.random.between(0, 5) {
        0 => Breaks::Reward,
        1 => Breaks::TimeBack,
        2 => Breaks::Target,
        3 => Breaks::NonceGap,
        4 => Breaks::Balance,
        _ => {
            let mut another = block.to_block();
            seal(&mut another);
            return Some(another);
        }
    };
    Some(forge(hands, &block, breaks))
}
