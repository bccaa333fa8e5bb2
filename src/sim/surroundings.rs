//! The parts of a shard that a node may touch.

use std::sync::Arc;

use super::checks::Checks;
use super::disk::Deltas;
use super::metrics::NodeMetrics;
use super::wheel::{Delivery, Wheel};
use crate::engine::event::Effect;
use crate::protocol::{Millis, Network};

/// The surroundings of a node while it runs.
pub(crate) struct Surroundings<'a> {
    pub(crate) now: Millis,
    pub(crate) network: &'a Arc<Network>,
    pub(crate) wheel: &'a mut Wheel,
    /// Messages for the nodes of each shard; the own shard's is not used.
    pub(crate) outboxes: &'a mut [Vec<(Millis, Delivery)>],
    pub(crate) shard: usize,
    pub(crate) checks: &'a mut Checks,
    pub(crate) deltas: &'a mut Deltas,
    pub(crate) metrics: &'a mut NodeMetrics,
    /// Empty between two actions.
    pub(crate) effects: &'a mut Vec<Effect>,
    pub(crate) keeps_notices: bool,
}

impl Surroundings<'_> {
    /// Sends something to a node of this or another shard.
    pub(crate) fn post(&mut self, at: Millis, record: Delivery) {
        let shard = record.to.0 as usize % self.outboxes.len();
        if shard == self.shard {
            self.wheel.push(at, record);
        } else {
            self.outboxes[shard].push((at, record));
        }
    }
}
