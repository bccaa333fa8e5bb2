//! The rows at one moment, and the intersection of several lists of them, newest first.

use std::ops::RangeInclusive;
use std::sync::Arc;

use redb::ReadOnlyTable;

use super::row::{RowList, Spot, spot_of};

/// The rows of the index at one moment.
pub(super) struct RowSet {
    /// In the file.
    pub(super) written: ReadOnlyTable<u128, ()>,
    /// Not in the file yet, sorted.
    pub(super) fresh: Arc<Vec<u128>>,
}

impl RowSet {
    /// The places of the rows with these keys, at most `count`.
    pub(super) fn first(&self, keys: RangeInclusive<u128>, count: usize) -> Result<Vec<Spot>, redb::Error> {
        let fresh = self.fresh[self.fresh.partition_point(|key| key < keys.start())..].iter();
        let mut spots: Vec<_> =
            fresh.take_while(|key| *key <= keys.end()).take(count).map(|key| spot_of(*key)).collect();
        for row in self.written.range(keys)?.take(count - spots.len()) {
            spots.push(spot_of(row?.0.value()));
        }
        Ok(spots)
    }

    /// The lowest of these keys.
    pub(super) fn lowest(&self, keys: RangeInclusive<u128>) -> Result<Option<u128>, redb::Error> {
        let fresh = self.fresh[self.fresh.partition_point(|key| key < keys.start())..].first().copied();
        let fresh = fresh.filter(|key| keys.contains(key));
        let written = self.written.range(keys)?.next().transpose()?.map(|(key, _)| key.value());
        Ok(match (fresh, written) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        })
    }

    /// The highest of these keys.
    fn last(&self, keys: RangeInclusive<u128>) -> Result<Option<u128>, redb::Error> {
        let below = self.fresh.partition_point(|key| key <= keys.end());
        let fresh = self.fresh[..below].last().copied().filter(|key| keys.contains(key));
        let written = self.written.range(keys)?.next_back().transpose()?.map(|(key, _)| key.value());
        Ok(fresh.max(written))
    }
}

/// The places that are in all lists and not below a floor.
pub(super) struct Intersection<'a> {
    rows: &'a RowSet,
    /// At least one.
    lists: Vec<RowList>,
    floor: Spot,
    steps_left: usize,
}

/// The result of a search.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This place is in all lists.
    At(Spot),
    /// There is nothing more.
    Nothing,
    /// The steps are used up. No place above this one was left out.
    OutOfSteps(Spot),
}

impl<'a> Intersection<'a> {
    /// The search takes at most `steps_max` steps, each of which reads a few pages.
    pub(super) fn new(rows: &'a RowSet, lists: Vec<RowList>, floor: Spot, steps_max: usize) -> Self {
        assert!(!lists.is_empty(), "an intersection needs a list");
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
            let Some(steps_left) = self.steps_left.checked_sub(1) else {
                return Ok(Found::OutOfSteps(highest.after()));
            };
            self.steps_left = steps_left;
            let Some(place) = self.seek(self.lists[at], highest)? else { return Ok(Found::Nothing) };
            agreed = if place == highest { agreed + 1 } else { 1 };
            highest = place;
            at = (at + 1) % self.lists.len();
        }
        Ok(Found::At(highest))
    }

    fn seek(&self, list: RowList, highest: Spot) -> Result<Option<Spot>, redb::Error> {
        if highest < self.floor {
            return Ok(None);
        }
        Ok(self.rows.last(list.key(self.floor)..=list.key(highest))?.map(spot_of))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use redb::ReadableDatabase;

    use super::*;
    use crate::node::index::file;
    use crate::protocol::{Network, Parameters};
    use crate::random::Random;

    #[test]
    fn what_lists_have_in_common_is_found_in_any_number_of_steps() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let network = Network::new(Parameters::dev()).expect("a preset is valid");
        let path = folder.path().join(file::FILE);
        let (database, tip) = file::open(&path, &network).expect("made");
        let mut random = Random::new(5);
        let mut is_one_of = |share: u64| random.below(share) == 0;
        let spot = |number: u64| Spot::new(number / 3, number % 3).expect("small");
        let sets: Vec<BTreeSet<u64>> =
            [4, 2, 3].iter().map(|share| (0..600).filter(|_| is_one_of(*share)).collect()).collect();
        let lists = ["a", "b", "c"].map(RowList::tag);
        let mut added: Vec<u128> =
            lists.iter().zip(&sets).flat_map(|(list, set)| set.iter().map(|number| list.key(spot(*number)))).collect();
        added.sort_unstable();
        // Some of them are in the file, some are not yet.
        let (fresh, added) = added.into_iter().partition(|_| is_one_of(3));
        file::write(&path, &database, &file::IndexChange { removed: vec![], added, tip }).expect("written");
        let written = database.begin_read().expect("readable").open_table(file::ROWS).expect("made");
        let rows = RowSet { written, fresh: Arc::new(fresh) };
        for (count, floor) in [(1, 0), (2, 0), (3, 0), (3, 300), (3, 600)] {
            let wanted: Vec<_> = (floor..600)
                .rev()
                .filter(|number| sets[..count].iter().all(|set| set.contains(number)))
                .map(spot)
                .collect();
            for steps_max in [2 * count, 2 * count + 1, 50, 10_000] {
                let (mut bound, mut found) = (Spot::LAST, Vec::new());
                'pages: loop {
                    let mut common = Intersection::new(&rows, lists[..count].to_vec(), spot(floor), steps_max);
                    loop {
                        match common.below(bound).expect("readable") {
                            Found::At(spot) => {
                                found.push(spot);
                                bound = spot;
                            }
                            Found::Nothing => break 'pages,
                            Found::OutOfSteps(at) => {
                                assert!(at <= bound);
                                bound = at;
                                break;
                            }
                        }
                    }
                }
                assert_eq!(found, wanted, "{count} lists from {floor} in {steps_max} steps");
            }
        }
    }
}
