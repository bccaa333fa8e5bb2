//! A miner that dates its blocks ahead, for an easier target: the relative form of ASERT sets a block's target by its
//! own timestamp (`protocol/README.md`, section 6), so a miner that dates 60 s ahead finds its next block a little more
//! easily.
//!
//! Its clock is ahead, within the limit of the rules, and it reports the true time to peers. An easier target of its
//! own makes the next one harder for others; the rule on future times bounds the remaining gain.

use super::{Hands, statuses};
use crate::engine::event::{Effect, Event, Wake};
use crate::protocol::Millis;

/// A miner that dates ahead.
#[derive(Debug)]
pub struct Timestamp {
    /// The distance from the true time.
    pub ahead: Millis,
}

impl Timestamp {
    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        let truth = hands.now.unix;
        hands.now.unix = truth + self.ahead;
        let wake = hands.pass(event, effects);
        statuses(effects).for_each(|status| status.clock = truth);
        wake
    }
}
