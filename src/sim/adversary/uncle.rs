//! The uncle maker, which replaces the tip of others by a sibling that is dated back to their parent's time: Yaish, Stern
//! and Zohar 2023, "Uncle Maker: (Time)Stamping Out The Competition in Ethereum".
//!
//! A block's target depends on its own timestamp (`protocol/README.md`, section 6), so the sibling is harder to find and has
//! more work, however late it comes. Blocks on top of its own are dated truly.

use super::{Hands, new_blocks};
use crate::engine::event::{Command, Effect, Event, Key, MineEffect, Ticket, Wake};
use crate::protocol::check::CheckedBody;
use crate::protocol::{BlockId, CheckedBlock, Header, Reward};

/// The ticket of its own commands; the shell counts from 1.
const TICKET: Ticket = Ticket(u64::MAX - 1);

/// An uncle maker.
#[derive(Debug, Default)]
pub struct Uncle {
    /// The last block that it found.
    own: Option<BlockId>,
    /// The sibling that it searches for, without a nonce.
    search: Option<(Key, Header)>,
}

impl Uncle {
    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        let wake = match event {
            Event::Mined { key, nonce } => match self.search.take_if(|(search, _)| *search == key) {
                Some((_, header)) => submit(hands, Header { nonce, ..header }, effects),
                None => hands.pass(Event::Mined { key, nonce }, effects),
            },
            event => hands.pass(event, effects),
        };
        let own = hands.address();
        self.own =
            new_blocks(effects).iter().rfind(|block| block.reward().to == own).map(|block| block.id()).or(self.own);
        for effect in effects {
            if let Effect::Mine(MineEffect::Search { key, header }) = effect {
                let sibling = self.sibling(hands, header.parent);
                self.search = sibling.map(|sibling| (*key, sibling));
                *header = sibling.unwrap_or(*header);
            }
        }
        wake
    }

    /// A header for a sibling with more work, if this tip has one and is of others.
    fn sibling(&self, hands: &Hands<'_>, tip: BlockId) -> Option<Header> {
        let header = hands.engine.header(&tip).filter(|_| self.own != Some(tip))?;
        let parent = hands.engine.header(&header.parent)?;
        let target = hands.network.retarget().target_after(parent.target, parent.timestamp, parent.timestamp);
        let body_root = CheckedBody::new(reward(hands), Vec::new()).root();
        let sibling = Header { timestamp: parent.timestamp, target, body_root, nonce: 0, ..header };
        (target.work() > header.target.work()).then_some(sibling)
    }
}

fn submit(hands: &mut Hands<'_>, header: Header, effects: &mut Vec<Effect>) -> Wake {
    let block = CheckedBlock::assemble(header, reward(hands), Vec::new(), hands.network).expect("it keeps the rules");
    hands.pass(Event::Command { ticket: TICKET, command: Command::SubmitBlock { block: Box::new(block) } }, effects)
}

fn reward(hands: &Hands<'_>) -> Reward {
    Reward { to: hands.address(), amount: hands.network.parameters().subsidy }
}
