//! Nodes that do not keep to the rules of conduct.
//!
//! Each wraps an honest engine: it hears what that is told and changes what that says, in the same language of events and
//! effects. So an adversary keeps up with the network, and does only what it is about in another way. What it publishes
//! needs not be durable; everything else in its shell is as with honest nodes.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`selfish`] | keeps found blocks back, to waste the work of others |
//! | [`double_spend`] | pays, and mines another history in which it did not |
//! | [`eclipse`] | shows its neighbours a network that stands still |
//! | [`spam`] | floods with transactions, orphans, and headers of little work |
//! | [`timestamp`] | dates its blocks ahead, for an easier target |
//! | [`liar`] | stalls, lies, answers late, answers something else, says one thing and its opposite |
//! | [`equivocate`] | tells half of its peers one thing and the others another |
//! | [`forger`] | shows blocks that break a rule in place of those that it finds |
//! | `withheld` | what the first two keep back, and how |

pub mod double_spend;
pub mod eclipse;
pub mod equivocate;
pub mod forger;
pub mod liar;
pub mod selfish;
pub mod spam;
pub mod timestamp;
mod withheld;

use std::sync::Arc;

use super::random::Random;
use super::world::{NodeId, World};
use crate::engine::event::{Answer, Effect, Event, Gossip, Now, PeerKey, Ticket, Wake, Write};
use crate::engine::{Engine, View};
use crate::protocol::{
    Address, Block, CheckedBlock, Millis, Network, Request, Response, SecretKey, SignedTransaction, Status,
};

/// What an adversary does.
#[derive(Debug)]
pub enum Adversary {
    /// [`selfish`].
    Selfish(selfish::Selfish),
    /// [`double_spend`].
    DoubleSpend(double_spend::DoubleSpend),
    /// [`eclipse`].
    Eclipse(eclipse::Eclipse),
    /// [`spam`].
    Spam(spam::Spam),
    /// [`timestamp`].
    Timestamp(timestamp::Timestamp),
    /// [`liar`].
    Liar(liar::Liar),
    /// [`equivocate`].
    Equivocator(equivocate::Equivocator),
    /// [`forger`].
    Forger(forger::Forger),
}

/// What a node is to become: the plain data from which [`World::corrupt_to`] makes an [`Adversary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// [`selfish`].
    Selfish,
    /// [`double_spend`].
    DoubleSpend {
        /// Who is paid, and not paid after all.
        payee: NodeId,
    },
    /// [`eclipse`].
    Eclipse,
    /// [`spam`].
    Spam(spam::Floods),
    /// [`timestamp`].
    Timestamp {
        /// By how much.
        ahead: Millis,
    },
    /// [`liar`].
    Liar,
    /// [`equivocate`].
    Equivocator,
}

/// What an adversary has at hand.
pub(crate) struct Hands<'a> {
    pub(crate) now: Now,
    /// Honest, and not to be trusted with anything.
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

    /// What the honest engine makes of an event.
    fn pass(&mut self, event: Event, effects: &mut Vec<Effect>) -> Wake {
        self.engine.handle(self.now, event, effects)
    }
}

impl Adversary {
    /// As [`Engine::handle`].
    pub(crate) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        match self {
            Self::Selfish(selfish) => selfish.handle(hands, event, effects),
            Self::DoubleSpend(double_spend) => double_spend.handle(hands, event, effects),
            Self::Eclipse(eclipse) => eclipse.handle(hands, event, effects),
            Self::Spam(spam) => spam.handle(hands, event, effects),
            Self::Timestamp(timestamp) => timestamp.handle(hands, event, effects),
            Self::Liar(liar) => liar.handle(hands, event, effects),
            Self::Equivocator(equivocator) => equivocator.handle(hands, event, effects),
            Self::Forger(forger) => forger.handle(hands, event, effects),
        }
    }

    /// What this session is shown in place of something that the node publishes.
    pub(crate) fn instead(&self, gossip: &Gossip, session: PeerKey) -> Option<Gossip> {
        match self {
            Self::Equivocator(equivocator) if equivocate::is_in_other_half(session) => equivocator.instead(gossip),
            _ => None,
        }
    }
}

impl World {
    /// From now on, the node does not keep to the rules of conduct.
    pub fn corrupt(&mut self, node: NodeId, adversary: Adversary) {
        self.node_mut(node).adversary = Some(adversary);
    }

    /// [`World::corrupt`], by plain data.
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

/// The statuses that are told to peers, as answers or with questions.
fn statuses(effects: &mut [Effect]) -> impl Iterator<Item = &mut Status> {
    effects.iter_mut().filter_map(|effect| match effect {
        Effect::Ask { request: Request::Status(status), .. }
        | Effect::Reply { response: Some(Response::Status(status)), .. } => Some(status),
        _ => None,
    })
}

fn writes(effects: &[Effect]) -> impl Iterator<Item = &Write> {
    let batches = effects.iter().filter_map(|effect| match effect {
        Effect::Persist(batch) => Some(&batch.writes),
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

/// The transaction that a command of the adversary's own has sent, by the answer to it, which the shell is not to see.
/// When peers are told of it is another question: it may wait for others.
fn take_sent(ticket: Ticket, effects: &mut Vec<Effect>) -> Option<SignedTransaction> {
    let mut sent = None;
    effects.retain(|effect| match effect {
        Effect::Answer { ticket: of, answer } if *of == ticket => {
            sent = if let Ok(Answer::Sent(id)) = answer { Some(*id) } else { None };
            false
        }
        _ => true,
    });
    writes(effects).find_map(|write| match write {
        Write::PutPending(checked) if Some(checked.id()) == sent => Some(checked.signed().clone()),
        _ => None,
    })
}

/// Commits a changed block's header to its body, and makes it have the work that it claims.
fn seal(block: &mut Block) {
    block.header.body_root = block.body.root();
    loop {
        block.header.nonce = block.header.nonce.wrapping_add(1);
        if block.header.target.is_met_by(&block.header.id()) {
            return;
        }
    }
}
