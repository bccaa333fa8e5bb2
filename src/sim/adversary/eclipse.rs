//! The eclipsing neighbour, which shows a network that stands still: Heilman, Kendler, Zohar and Goldberg 2015,
//! "Eclipse attacks on Bitcoin's peer-to-peer network".
//!
//! It reports no block above the one that was the best when it began, forwards nothing, and answers every question
//! about the time before, fast and correctly. A node with only such neighbours is eclipsed; one honest link must be
//! enough. Deliberately absent: winning the neighbourhood, since links are given here.

use super::{Hands, statuses};
use crate::engine::event::{Effect, Event, LoadEffect, PeerEffect, Place, Verdict, Wake};
use crate::protocol::{Header, Response, Work};

/// An eclipsing neighbour.
#[derive(Debug, Default)]
pub struct Eclipse {
    /// The best block when it began, and the work of its chain.
    shown: Option<(Place, Work)>,
}

impl Eclipse {
    pub(super) fn handle(&mut self, hands: &mut Hands<'_>, event: Event, effects: &mut Vec<Effect>) -> Wake {
        let wake = hands.pass(event, effects);
        let view = hands.view();
        let (shown, work) = *self.shown.get_or_insert((view.tip, view.work));
        for status in statuses(effects) {
            (status.tip, status.height, status.work) = (shown.id, shown.height, work);
        }
        effects.retain(|effect| !matches!(effect, Effect::Peer(PeerEffect::Publish(_))));
        for effect in effects {
            match effect {
                Effect::Peer(PeerEffect::Verdict { verdict, .. }) if *verdict == Verdict::Accept => {
                    *verdict = Verdict::Ignore;
                }
                Effect::Peer(PeerEffect::Reply { response: Some(Response::Headers(headers)), .. }) => {
                    let old: Vec<Header> = headers.iter().filter(|one| one.height <= shown.height).copied().collect();
                    *headers = old.into();
                }
                Effect::Load(LoadEffect::Serve { places, .. }) => places.retain(|place| place.height <= shown.height),
                _ => {}
            }
        }
        wake
    }
}
