//! A shard: some of a world's nodes, and the order of their events.

use std::sync::Arc;

use super::checks::Checks;
use super::disk::Deltas;
use super::id::NodeId;
use super::metrics::NodeMetrics;
use super::node::VirtualNode;
use super::surroundings::Surroundings;
use super::wheel::{Delivery, Wheel};
use crate::engine::Effect;
use crate::protocol::{Millis, Network};

/// Every n-th node of a world.
pub(crate) struct Shard {
    number: usize,
    pub(crate) nodes: Vec<VirtualNode>,
    pub(crate) wheel: Wheel,
    /// Messages to each shard's nodes since they were last handed over.
    pub(crate) outboxes: Vec<Vec<(Millis, Delivery)>>,
    pub(crate) metrics: NodeMetrics,
    pub(crate) keeps_notices: bool,
    network: Arc<Network>,
    checks: Checks,
    deltas: Deltas,
    effects: Vec<Effect>,
    records: Vec<Delivery>,
}

impl Shard {
    pub(crate) fn new(number: usize, of: usize, network: Arc<Network>) -> Self {
        Self {
            number,
            nodes: Vec::new(),
            wheel: Wheel::new(Millis(0)),
            outboxes: (0..of).map(|_| Vec::new()).collect(),
            metrics: NodeMetrics::default(),
            keeps_notices: true,
            network,
            checks: Checks::default(),
            deltas: Deltas::default(),
            effects: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Runs all events before `end`. Messages of other shards must not arrive before that.
    pub(crate) fn run(&mut self, end: Millis) {
        let mut records = std::mem::take(&mut self.records);
        loop {
            let now = self.wheel.seek(end);
            if now >= end {
                break;
            }
            self.wheel.take(&mut records);
            // In whatever shard a node is, it gets the events of this millisecond in this order.
            records.sort_unstable_by_key(|record| (record.to, record.from, record.number));
            for record in records.drain(..) {
                self.turn(now, record.to, |node, around| node.receive(record, around));
            }
        }
        self.records = records;
    }

    /// Runs an action of one node.
    pub(crate) fn turn<T>(
        &mut self,
        now: Millis,
        node: NodeId,
        act: impl FnOnce(&mut VirtualNode, &mut Surroundings<'_>) -> T,
    ) -> T {
        let mut around = Surroundings {
            now,
            network: &self.network,
            wheel: &mut self.wheel,
            outboxes: &mut self.outboxes,
            shard: self.number,
            checks: &mut self.checks,
            deltas: &mut self.deltas,
            metrics: &mut self.metrics,
            effects: &mut self.effects,
            keeps_notices: self.keeps_notices,
        };
        let of = around.outboxes.len();
        act(&mut self.nodes[node.0 as usize / of], &mut around)
    }
}
