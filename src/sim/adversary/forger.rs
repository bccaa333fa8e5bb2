//! The forger, which publishes, in place of each block that it finds, one that breaks a rule and has the work that it
//! claims.
//!
//! The true block is not announced, but the next status reports it, so that the forger stays on the best chain.

use super::{Hands, announced, new_blocks, seal};
use crate::engine::event::{Effect, Event, Gossip, PeerEffect, Wake};
use crate::protocol::{
    Action, Amount, Block, CheckedBlock, Height, HistoryHash, OutcomeHash, SecretKey, Signature, SignedTransaction,
    Transaction,
};

/// An hour in milliseconds.
const HOUR_MILLIS: u64 = 3_600_000;

/// The rule that a forged block breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaks {
    /// R6: the id is above the target.
    Work,
    /// R7: the header is the true one, the body another.
    BodyRoot,
    /// R10: a transaction is not signed by its sender.
    Signature,
    /// R11: a height is left out.
    Height,
    /// R12: the timestamp is before the parent's.
    TimeBack,
    /// R13: the target is the easiest one.
    Target,
    /// R15: a nonce is left out.
    NonceGap,
    /// R15: a transaction occurs twice.
    NonceRepeated,
    /// R16: a sender spends coins that it does not have.
    Balance,
    /// R17: the reward is a unit too high.
    Reward,
    /// R20: the block commits to other blocks below it.
    History,
    /// R21: the block has an outcome.
    Outcome,
}

impl Breaks {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Work,
        Self::BodyRoot,
        Self::Signature,
        Self::Height,
        Self::TimeBack,
        Self::Target,
        Self::NonceGap,
        Self::NonceRepeated,
        Self::Balance,
        Self::Reward,
        Self::History,
        Self::Outcome,
    ];

    /// The number of the rule in `protocol/README.md`.
    pub fn rule(self) -> u8 {
        match self {
            Self::Work => 6,
            Self::BodyRoot => 7,
            Self::Signature => 10,
            Self::Height => 11,
            Self::TimeBack => 12,
            Self::Target => 13,
            Self::NonceGap | Self::NonceRepeated => 15,
            Self::Balance => 16,
            Self::Reward => 17,
            Self::History => 20,
            Self::Outcome => 21,
        }
    }
}

/// A forger.
#[derive(Debug)]
pub struct Forger {
    /// The rule that its blocks break.
    pub breaks: Breaks,
}

impl Forger {
    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        let wake = hands.pass(event, effects);
        let Some(block) = found(hands, effects) else { return wake };
        let is_it = |gossip: &Gossip| announced(gossip).is_some_and(|shown| shown.id() == block.id());
        let is_true = |effect: &Effect| matches!(effect, Effect::Peer(PeerEffect::Publish(gossip)) if is_it(gossip));
        effects.retain(|effect| !is_true(effect));
        let forged = forge(hands, &block, self.breaks);
        effects.push(Effect::Peer(PeerEffect::Publish(Gossip::Block(Box::new(forged)))));
        wake
    }
}

/// A block that it found itself, among the blocks that became known with these effects.
pub(super) fn found(hands: &Hands<'_>, effects: &[Effect]) -> Option<std::sync::Arc<CheckedBlock>> {
    let own = hands.address();
    new_blocks(effects).into_iter().find(|block| block.reward().to == own)
}

/// The forged counterpart of a true block.
pub(super) fn forge(hands: &mut Hands<'_>, block: &CheckedBlock, breaks: Breaks) -> Block {
    let mut block = block.to_block();
    let header = &mut block.header;
    match breaks {
        Breaks::Work => {}
        Breaks::BodyRoot => {
            block.body.reward.amount = Amount::from_units(block.body.reward.amount.units() + 1);
            return block;
        }
        Breaks::Height => header.height = Height(header.height.0 + 1),
        Breaks::TimeBack => header.timestamp.0 -= HOUR_MILLIS,
        Breaks::Target => header.target = hands.network.parameters().easiest_target,
        Breaks::Reward => block.body.reward.amount = Amount::from_units(block.body.reward.amount.units() + 1),
        Breaks::History => block.body.context.history = HistoryHash(hands.random.bytes()),
        Breaks::Outcome => block.body.context.outcome = OutcomeHash(hands.random.bytes()),
        Breaks::Signature | Breaks::NonceGap | Breaks::NonceRepeated | Breaks::Balance => {
            block.body.transactions = transactions(hands, breaks).into();
            block.body.reward.amount = hands.network.parameters().subsidy;
        }
    }
    seal(&mut block);
    while breaks == Breaks::Work && block.header.target.is_met_by(&block.header.id()) {
        block.header.nonce = block.header.nonce.wrapping_add(1);
    }
    block
}

/// Transactions of an account that was never seen before.
fn transactions(hands: &mut Hands<'_>, breaks: Breaks) -> Vec<SignedTransaction> {
    let key = SecretKey::from_seed(hands.random.bytes());
    let (nonce, action) = match breaks {
        Breaks::NonceGap => (1 << 20, Action::Record { data: vec![0; 3].into() }),
        Breaks::Balance => (0, Action::Transfer { to: hands.address(), amount: Amount::from_units(1 << 60) }),
        _ => (0, Action::Record { data: vec![0; 3].into() }),
    };
    let unpaid = Transaction { sender: key.public_key(), nonce, fee: Amount::ZERO, action };
    let mut signed = unpaid.sign(&hands.network.genesis_id(), &key);
    match breaks {
        Breaks::NonceRepeated => vec![signed.clone(), signed],
        Breaks::Signature => {
            let Signature::Ed25519(bytes) = &mut signed.signature;
            bytes[0] ^= 1;
            vec![signed]
        }
        _ => vec![signed],
    }
}
