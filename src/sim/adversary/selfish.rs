//! The selfish miner, which withholds found blocks to waste the work of others: Eyal and Sirer 2014, "Majority is not
//! enough: Bitcoin mining is vulnerable", the state machine of section 4.
//!
//! Each block of the others takes one block off the lead. With a lead of one before it, the miner publishes its block
//! and both race for the next (state 0'); with a lead of two, it publishes everything and wins; with more, it publishes
//! as many blocks as keep up with the others. A block of its own during a race is published at once. The part of the
//! honest miners that work on its block during a race (gamma) depends on the network.
//!
//! A stubborn one (Nayak, Kumar, Miller and Shi 2016, "Stubborn mining") waits until the others have caught up, and then
//! shows a branch of the same length. It dates its blocks back, as far as its neighbours let it: each makes the next one
//! harder, so its branch has a little more work. That pays if a little more is enough.

use super::withheld::Withheld;
use super::{Hands, statuses};
use crate::engine::event::{Effect, Event, Wake};
use crate::protocol::{Height, Millis};

/// The part of the best chain that a selfish miner gets, by equation 8: `alpha` is its part of the hash rate, below
/// 1/2, and `gamma` the part of the others that work on its block during a race.
pub fn revenue(alpha: f64, gamma: f64) -> f64 {
    let numerator = alpha * (1.0 - alpha).powi(2) * (4.0 * alpha + gamma * (1.0 - 2.0 * alpha)) - alpha.powi(3);
    numerator / (1.0 - alpha * (1.0 + (2.0 - alpha) * alpha))
}

/// A selfish miner.
#[derive(Debug, Default)]
pub struct Selfish {
    withheld: Withheld,
    /// Whether a published block of its own and one of others compete at the greatest height.
    races: bool,
    /// The time by which its clock is behind, if it is stubborn.
    stubborn: Option<Millis>,
}

impl Selfish {
    /// A stubborn one, whose clock is behind by this much.
    pub fn stubborn(behind: Millis) -> Self {
        Self { stubborn: Some(behind), ..Self::default() }
    }

    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        self.withheld.hear(hands, &event);
        let truth = hands.now.unix;
        hands.now.unix.0 -= self.stubborn.unwrap_or_default().0;
        let wake = hands.pass(event, effects);
        let news = self.withheld.note(hands, effects, true);
        let mut shown = Vec::new();
        if news.others {
            self.on_block_of_others(&mut shown);
        } else if news.own > 0 && self.races {
            self.races = false;
            self.withheld.release(Height(u64::MAX), &mut shown);
        }
        self.withheld.hide(hands, effects);
        statuses(effects).for_each(|status| status.clock = truth);
        effects.append(&mut shown);
        wake
    }

    fn on_block_of_others(&mut self, shown: &mut Vec<Effect>) {
        self.races = false;
        let public = self.withheld.public;
        let Some(own) = self.withheld.height() else { return };
        match own.0.checked_sub(public.0) {
            None => {}
            Some(1..) if self.stubborn.is_some() => {}
            Some(lead @ (0 | 1)) => {
                self.races = lead == 0;
                self.withheld.release(own, shown);
            }
            Some(_) => self.withheld.release(public, shown),
        }
    }
}
