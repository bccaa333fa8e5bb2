//! Blocks of one's own that are withheld, and a network that is told of nothing above them.
//!
//! They are always the end of the engine's best chain: once that leaves them, they are worthless and forgotten.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Hands, announced, new_blocks, statuses};
use crate::engine::event::{Effect, Event, Gossip, LoadEffect, PeerEffect};
use crate::protocol::{BlockId, CheckedBlock, Header, Height, Response, Work};

/// The withheld blocks, and the height of the others.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    /// The withheld blocks, oldest first.
    blocks: VecDeque<Arc<CheckedBlock>>,
    /// The greatest height of the others' blocks.
    pub(super) public: Height,
    /// The greatest height that the others have announced, on whatever branch.
    heard: Height,
}

/// The blocks that became known with some effects.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The number of its own blocks.
    pub(super) own: usize,
    /// Whether the others have a new highest block.
    pub(super) others: bool,
}

impl Withheld {
    /// Records a block that the others announce. The engine stores none that has no more work than its own chain.
    pub(super) fn hear(&mut self, hands: &Hands<'_>, event: &Event) {
        let Event::Gossip { gossip, .. } = event else { return };
        let reward = match gossip {
            Gossip::Block(block) => block.body.reward,
            Gossip::Compact(compact) => *compact.reward(),
            Gossip::Transactions(_) => return,
        };
        if let Some(header) = announced(gossip).filter(|_| reward.to != hands.address()) {
            self.heard = self.heard.max(header.height);
        }
    }

    /// Records the blocks that became known. The node's own are withheld if `wanted`.
    pub(super) fn note(&mut self, hands: &mut Hands<'_>, effects: &[Effect], wanted: bool) -> News {
        let own = hands.address();
        let mut news = News::default();
        for block in new_blocks(effects) {
            let height = block.header().height;
            if block.reward().to == own {
                news.own += 1;
                if wanted {
                    self.blocks.push_back(block);
                }
            } else if height > self.public {
                self.public = height;
                news.others = true;
            }
        }
        if self.heard > self.public {
            (self.public, news.others) = (self.heard, true);
        }
        let tip = hands.view().tip;
        if self.blocks.back().is_some_and(|last| last.id() != tip.id) {
            self.blocks.clear();
        }
        news
    }

    /// The height of the last withheld block.
    pub(super) fn height(&self) -> Option<Height> {
        self.blocks.back().map(|block| block.header().height)
    }

    /// Publishes the withheld blocks up to this height.
    pub(super) fn release(&mut self, up_to: Height, effects: &mut Vec<Effect>) {
        let count = self.blocks.iter().take_while(|block| block.header().height <= up_to).count();
        for block in self.blocks.drain(..count) {
            effects.push(Effect::Peer(PeerEffect::Publish(Gossip::Block(Box::new(block.to_block())))));
        }
    }

    /// Removes everything withheld from the messages to peers.
    pub(super) fn hide(&self, hands: &mut Hands<'_>, effects: &mut Vec<Effect>) {
        let Some(first) = self.blocks.front() else { return };
        let below = first.header().height.0 - 1;
        let hidden: u128 = self.blocks.iter().map(|block| block.header().target.work().0).sum();
        let work = Work(hands.view().work.0.saturating_sub(hidden));
        for status in statuses(effects) {
            (status.tip, status.height, status.work) = (first.header().parent, Height(below), work);
        }
        let is_hidden = |id: &BlockId| self.blocks.iter().any(|block| block.id() == *id);
        let shows = |gossip: &Gossip| announced(gossip).is_some_and(|header| is_hidden(&header.id()));
        effects.retain(|effect| !matches!(effect, Effect::Peer(PeerEffect::Publish(gossip)) if shows(gossip)));
        for effect in effects {
            match effect {
                Effect::Peer(PeerEffect::Reply { response: Some(Response::Headers(headers)), .. }) => {
                    let shown: Vec<Header> = headers.iter().take_while(|one| !is_hidden(&one.id())).copied().collect();
                    *headers = shown.into();
                }
                Effect::Load(LoadEffect::Serve { places, .. }) => places.retain(|place| !is_hidden(&place.id)),
                _ => {}
            }
        }
    }
}
