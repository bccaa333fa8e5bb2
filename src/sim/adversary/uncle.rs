//! The uncle maker, which replaces the tip of others by a sibling that is dated back to their parent's time: Yaish, Stern
//! and Zohar 2023, "Uncle Maker: (Time)Stamping Out The Competition in Ethereum".
//!
//! Where a block's target depends on its own timestamp, the sibling is harder to find and has more work, however late it
//! comes. Here it does so only once a block is late by more than the network's grace (`protocol/README.md`, section 6).
//! Blocks on top of its own are dated truly.

use super::{Hands, new_blocks};
use crate::engine::event::{Command, Effect, Event, Key, MineEffect, Ticket, Wake};
use crate::protocol::check::CheckedBody;
use crate::protocol::{BlockId, CheckedBlock, Context, Header, Reward};

/// The ticket of its own commands; the shell counts from 1.
const TICKET: Ticket = Ticket(u64::MAX - 1);

/// An uncle maker.
#[derive(Debug, Default)]
pub struct Uncle {
    /// The last block that it found.
    own: Option<BlockId>,
    /// The last block of others, and what it says of the blocks below.
    other: Option<(BlockId, Context)>,
    /// The sibling that it searches for, without a nonce.
    search: Option<(Key, Header, Context)>,
}

impl Uncle {
    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        let wake = match event {
            Event::Mined { key, nonce } => match self.search.take_if(|(search, ..)| *search == key) {
                Some((_, header, context)) => submit(hands, Header { nonce, ..header }, context, effects),
                None => hands.pass(Event::Mined { key, nonce }, effects),
            },
            event => hands.pass(event, effects),
        };
        let own = hands.address();
        for block in new_blocks(effects) {
            if block.reward().to == own {
                self.own = Some(block.id());
            } else {
                self.other = Some((block.id(), *block.context()));
            }
        }
        for effect in effects {
            if let Effect::Mine(MineEffect::Search { key, header }) = effect {
                let sibling = self.sibling(hands, header.parent);
                self.search = sibling.map(|(sibling, context)| (*key, sibling, context));
                *header = sibling.map_or(*header, |(sibling, _)| sibling);
            }
        }
        wake
    }

    /// A header for a sibling with more work, if this tip has one and is of others.
    fn sibling(&self, hands: &Hands<'_>, tip: BlockId) -> Option<(Header, Context)> {
        let (_, context) = self.other.filter(|(other, _)| *other == tip)?;
        let header = hands.engine.header(&tip).filter(|_| self.own != Some(tip))?;
        let parent = hands.engine.as_parent(&header.parent)?;
        let target = parent.target_after(parent.timestamp, hands.network);
        let root = CheckedBody::new(context, reward(hands), Vec::new()).root();
        let sibling = Header { timestamp: parent.timestamp, target, root, nonce: 0, ..header };
        (target.work() > header.target.work()).then_some((sibling, context))
    }
}

fn submit(hands: &mut Hands<'_>, header: Header, context: Context, effects: &mut Vec<Effect>) -> Wake {
    let block =
        CheckedBlock::assemble(header, context, reward(hands), Vec::new(), hands.network).expect("it keeps the rules");
    hands.pass(Event::Command { ticket: TICKET, command: Command::SubmitBlock { block: Box::new(block) } }, effects)
}

fn reward(hands: &Hands<'_>) -> Reward {
    Reward { to: hands.address(), amount: hands.network.parameters().subsidy }
}
