//! What several lists have in common, from the newest down.

use redb::ReadOnlyTable;

use super::row::{List, Spot, spot_of};

/// The rows of the index at one moment.
pub(super) type Rows = ReadOnlyTable<u128, ()>;

/// The places that are in all of some lists and not below a floor.
pub(super) struct Common<'a> {
    rows: &'a Rows,
    /// At least one.
    lists: Vec<List>,
    floor: Spot,
    steps_left: usize,
}

/// Where a search came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This is in all lists.
    At(Spot),
    /// There is nothing more.
    Nothing,
    /// The steps are used up. Nothing above this was left out.
    Tired(Spot),
}

impl<'a> Common<'a> {
    /// Takes at most so many steps, each of which reads a few pages.
    pub(super) fn new(rows: &'a Rows, lists: Vec<List>, floor: Spot, steps_max: usize) -> Self {
        assert!(!lists.is_empty(), "what is in no list can't be found");
        Self { rows, lists, floor, steps_left: steps_max }
    }

    /// The highest place below `bound`.
    ///
    /// Each list in turn is asked for its highest place that is not above the last answer, until all give the same one
    /// (leapfrog join: Veldhuizen 2014). So a long list is as cheap as a short one beside it.
    pub(super) fn below(&mut self, bound: Spot) -> Result<Found, redb::Error> {
        let Some(mut highest) = bound.before() else { return Ok(Found::Nothing) };
        let (mut agreed, mut at) = (0, 0);
        while agreed < self.lists.len() {
            let Some(steps_left) = self.steps_left.checked_sub(1) else { return Ok(Found::Tired(highest.after())) };
            self.steps_left = steps_left;
            let Some(place) = self.seek(self.lists[at], highest)? else { return Ok(Found::Nothing) };
            agreed = if place == highest { agreed + 1 } else { 1 };
            highest = place;
            at = (at + 1) % self.lists.len();
        }
        Ok(Found::At(highest))
    }

    fn seek(&self, list: List, highest: Spot) -> Result<Option<Spot>, redb::Error> {
        if highest < self.floor {
            return Ok(None);
        }
        let last = self.rows.range(list.key(self.floor)..=list.key(highest))?.next_back().transpose()?;
        Ok(last.map(|(key, _)| spot_of(key.value())))
    }
}
