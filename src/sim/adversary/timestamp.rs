//! Dates its blocks ahead, for an easier target: the relative form of ASERT sets a block's target by its own timestamp
//! (`protocol/README.md`, section 6), so whoever dates 60 s ahead finds its next block a little easier.
//!
//! It lives by a clock that is ahead, within what the rules allow, and tells peers the true time. Those that it gives an
//! easier target it makes harder for whoever comes next; what remains is bounded by the rule on future times.

use super::{Hands, statuses};
use crate::engine::event::{Effect, Event, Wake};
use crate::protocol::Millis;

/// A miner that dates ahead.
#[derive(Debug)]
pub struct Timestamp {
    /// By so much.
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
