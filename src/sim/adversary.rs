//! Nodes that do not keep to the rules of conduct.
//!
//! Each wraps an honest engine: it sees that engine's events and changes its effects, in the same vocabulary. So an
//! adversary keeps up with the network, and deviates only where its attack needs it. Its publications need not be
//! durable; everything else in its shell is as with honest nodes.
//!
//! | module | behaviour |
//! | --- | --- |
//! | [`selfish`] | keeps found blocks back, to waste the work of others |
//! | [`double_spend`] | pays, and mines another history without the payment |
//! | [`eclipse`] | shows its neighbours a network that stands still |
//! | [`spam`] | floods with transactions, orphans, and headers of little work |
//! | [`timestamp`] | dates its blocks ahead, for an easier target |
//! | [`liar`] | stalls, lies, answers late, answers another question, contradicts itself |
//! | [`equivocate`] | tells half of its peers one thing and the others another |
//! | [`pretender`] | claims and shows chains that it does not give, is busy, and changes its identity |
//! | [`forger`] | publishes blocks that break a rule in place of those that it finds |
//! | [`uncle`] | replaces the blocks of others by siblings that are dated back |
//! | `withheld` | the blocks that the first two keep back |

pub mod double_spend;
pub mod eclipse;
pub mod equivocate;
pub mod forger;
pub mod liar;
pub mod pretender;
pub mod selfish;
pub mod spam;
pub mod timestamp;
pub mod uncle;
mod withheld;

use std::sync::Arc;

use super::id::NodeId;
use super::random::Random;
use super::world::World;
use crate::engine::event::{Effect, Event, Gossip, Now, PeerEffect, PeerKey, StoreEffect, Wake, Write};
use crate::engine::{Engine, View};
use crate::protocol::{
    Address, Block, CheckedBlock, Header, Millis, Network, Request, Response, SecretKey, SignedTransaction, Status,
};

/// A node's misbehaviour.
#[derive(Debug)]
pub enum Adversary {
    /// Keeps found blocks back.
    Selfish(selfish::Selfish),
    /// Spends coins twice.
    DoubleSpend(double_spend::DoubleSpend),
    /// Hides the network from its neighbours.
    Eclipse(eclipse::Eclipse),
    /// Floods its peers.
    Spam(spam::Spam),
    /// Dates its blocks ahead.
    Timestamp(timestamp::Timestamp),
    /// Lies in answers and announcements.
    Liar(liar::Liar),
    /// Tells its peers different things.
    Equivocator(equivocate::Equivocator),
    /// Pretends to have better chains, under ever new identities.
    Pretender(pretender::Pretender),
    /// Publishes invalid blocks.
    Forger(forger::Forger),
    /// Replaces blocks of others by siblings.
    Uncle(uncle::Uncle),
}

/// The role that a node is to take: the plain data from which [`World::corrupt_to`] makes an [`Adversary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A selfish miner; see [`selfish`].
    Selfish,
    /// A double spender; see [`double_spend`].
    DoubleSpend {
        /// The node that is paid first, and loses the payment.
        payee: NodeId,
    },
    /// An eclipsing neighbour; see [`eclipse`].
    Eclipse,
    /// A spammer; see [`spam`].
    Spam(spam::Floods),
    /// A miner that dates ahead; see [`timestamp`].
    Timestamp {
        /// The distance of its timestamps from the true time.
        ahead: Millis,
    },
    /// A liar; see [`liar`].
    Liar,
    /// An equivocator; see [`equivocate`].
    Equivocator,
}

/// The means of an adversary.
pub(crate) struct Hands<'a> {
    pub(crate) now: Now,
    /// The wrapped engine, which is honest; its effects need not be.
    pub(crate) engine: &'a mut Engine,
    pub(crate) network: &'a Arc<Network>,
    pub(crate) key: &'a Arc<SecretKey>,
    pub(crate) random: &'a mut Random,
}

impl Hands<'_> {
    fn address(&self) -> Address {
        self.key.public_key().address()
    }

    fn view(&mut self) -> Arc<View> {
        self.engine.view()
    }

    /// Passes an event to the honest engine and collects its effects.
    fn pass(&mut self, event: Event, effects: &mut Vec<Effect>) -> Wake {
        self.engine.handle(self.now, event, effects)
    }
}

impl Adversary {
    /// The counterpart of [`Engine::handle`].
    pub(crate) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        match self {
            Self::Selfish(selfish) => selfish.handle(hands, event, effects),
            Self::DoubleSpend(double_spend) => double_spend.handle(hands, event, effects),
            Self::Eclipse(eclipse) => eclipse.handle(hands, event, effects),
            Self::Spam(spam) => spam.handle(hands, event, effects),
            Self::Timestamp(timestamp) => timestamp.handle(hands, event, effects),
            Self::Liar(liar) => liar.handle(hands, event, effects),
            Self::Equivocator(equivocator) => equivocator.handle(hands, event, effects),
            Self::Pretender(pretender) => pretender.handle(hands, event, effects),
            Self::Forger(forger) => forger.handle(hands, event, effects),
            Self::Uncle(uncle) => uncle.handle(hands, event, effects),
        }
    }

    /// The replacement that this session gets for a publication, if it gets one.
    pub(crate) fn instead(&self, gossip: &Gossip, session: PeerKey) -> Option<Gossip> {
        match self {
            Self::Equivocator(equivocator) if equivocate::is_in_other_half(session) => equivocator.instead(gossip),
            _ => None,
        }
    }
}

impl World {
    /// Turns a node into an adversary.
    pub fn corrupt(&mut self, node: NodeId, adversary: Adversary) {
        self.node_mut(node).adversary = Some(adversary);
    }

    /// [`World::corrupt`] with plain data.
    pub fn corrupt_to(&mut self, node: NodeId, role: Role) {
        let adversary = match role {
            Role::Selfish => Adversary::Selfish(selfish::Selfish::default()),
            Role::DoubleSpend { payee } => Adversary::DoubleSpend(double_spend::DoubleSpend::new(self.address(payee))),
            Role::Eclipse => Adversary::Eclipse(eclipse::Eclipse::default()),
            Role::Spam(floods) => Adversary::Spam(spam::Spam::new(floods)),
            Role::Timestamp { ahead } => Adversary::Timestamp(timestamp::Timestamp { ahead }),
            Role::Liar => Adversary::Liar(liar::Liar::default()),
            Role::Equivocator => Adversary::Equivocator(equivocate::Equivocator::default()),
        };
        self.corrupt(node, adversary);
    }
}

/// The statuses that peers are given, in answers and with questions.
fn statuses(effects: &mut [Effect]) -> impl Iterator<Item = &mut Status> {
    effects.iter_mut().filter_map(|effect| match effect {
        Effect::Peer(PeerEffect::Ask { request: Request::Status(status), .. })
        | Effect::Peer(PeerEffect::Reply { response: Some(Response::Status(status)), .. }) => Some(status),
        _ => None,
    })
}

/// The header of an announced block, if this is one.
fn announced(gossip: &Gossip) -> Option<&Header> {
    match gossip {
        Gossip::Block(block) => Some(&block.header),
        Gossip::Compact(compact) => Some(compact.header()),
        Gossip::Transactions(_) => None,
    }
}

fn writes(effects: &[Effect]) -> impl Iterator<Item = &Write> {
    let batches = effects.iter().filter_map(|effect| match effect {
        Effect::Store(StoreEffect::Persist(batch)) => Some(&batch.writes),
        _ => None,
    });
    batches.flatten()
}

/// Blocks that became known with these effects.
fn new_blocks(effects: &[Effect]) -> Vec<Arc<CheckedBlock>> {
    let block = |write: &Write| match write {
        Write::Block(block) => Some(block.clone()),
        _ => None,
    };
    writes(effects).filter_map(block).collect()
}

/// The transaction that a command of the adversary's own sent. Its announcement and the answer come later, when it is
/// durable.
fn sent(effects: &[Effect]) -> Option<SignedTransaction> {
    let put = writes(effects).filter_map(|write| match write {
        Write::PutPending(checked) => Some(checked.signed().clone()),
        _ => None,
    });
    put.last()
}

/// Commits a changed block's header to its body, and finds a nonce for it.
fn seal(block: &mut Block) {
    block.header.root = block.body.root();
    loop {
        block.header.nonce = block.header.nonce.wrapping_add(1);
        if block.header.target.is_met_by(&block.header.id()) {
            return;
        }
    }
}
