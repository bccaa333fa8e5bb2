//! Liveness: nodes mine, hear of transactions, and agree, whatever others do.

use super::super::id::NodeId;
use super::super::world::World;
use super::{Breach, Finding, Judge, finding};
use crate::engine::catch_up::{REST_MAX, REST_PER_BLOCK};
use crate::engine::event::Place;
use crate::engine::view::MiningWait;
use crate::protocol::{Millis, TransactionId};

/// The time between two looks at a world that runs, which is also how exactly a rest is measured.
const WATCH_INTERVAL: Millis = Millis(500);

impl Judge {
    /// Runs the world for a while, and watches that no honest node waits for a better chain for longer than it may.
    ///
    /// # Errors
    ///
    /// The first node that does.
    pub fn watch(&mut self, world: &mut World, span: Millis) -> Result<(), Finding> {
        let end = world.now() + span;
        while world.now() < end {
            let left = end.saturating_sub(world.now());
            world.run_for(left.min(WATCH_INTERVAL));
            let running = running_honest(world);
            // A node that was off did not rest.
            self.resting.retain(|node, _| running.contains(node));
            for node in running {
                self.watch_node(world, node)?;
            }
        }
        Ok(())
    }

    fn watch_node(&mut self, world: &mut World, node: NodeId) -> Result<(), Finding> {
        let view = world.view(node);
        if view.mining.waits_for != Some(MiningWait::Chain) {
            self.resting.remove(&node);
            return Ok(());
        }
        let (since, height) = *self.resting.entry(node).or_insert((world.now(), view.tip.height));
        let rested = world.now().saturating_sub(since);
        let blocks = view.tip.height.saturating_since(height);
        // A restart begins a new rest, which the watch may not tell from the one before.
        let most = 2 * (REST_MAX.0 + WATCH_INTERVAL.0) + blocks * REST_PER_BLOCK.0;
        if rested.0 > most { Err(finding(world, node, Breach::Rests { rested, blocks })) } else { Ok(()) }
    }

    /// Runs the world until all running honest nodes have this transaction, pending or mined.
    ///
    /// # Errors
    ///
    /// A node does not have it within `limit`.
    pub fn await_transaction(&mut self, world: &mut World, id: TransactionId, limit: Millis) -> Result<(), Finding> {
        let end = world.now() + limit;
        while let Some(node) = running_honest(world).into_iter().find(|node| !has(world, *node, &id)) {
            if world.now() >= end {
                return Err(finding(world, node, Breach::NotRelayed { limit, id }));
            }
            world.run_for(WATCH_INTERVAL);
        }
        Ok(())
    }

    /// Runs the world until all running honest nodes have the same tip.
    ///
    /// # Errors
    ///
    /// The nodes do not agree within `limit`, or a property is violated then.
    pub fn await_agreement(&mut self, world: &mut World, limit: Millis) -> Result<(), Finding> {
        let end = world.now() + limit;
        while let Some((node, found, other)) = disagreement(world) {
            if world.now() >= end {
                let what = Breach::Apart { limit, found, other };
                return Err(finding(world, node, what));
            }
            world.run_for(Millis(500));
        }
        self.check(world)
    }
}

fn running_honest(world: &World) -> Vec<NodeId> {
    world.nodes().filter(|node| world.is_honest(*node) && world.is_running(*node)).collect()
}

fn has(world: &mut World, node: NodeId, id: &TransactionId) -> bool {
    let is_mined = |world: &World| {
        world.disk(node).chain().any(|block| block.transactions().iter().any(|transaction| transaction.id() == *id))
    };
    world.engine(node).is_pending(id) || is_mined(world)
}

/// A running honest node whose tip differs from that of one before it.
fn disagreement(world: &World) -> Option<(NodeId, Place, Place)> {
    let running = running_honest(world).into_iter();
    let tips: Vec<(NodeId, Place)> = running.map(|node| (node, world.tip(node))).collect();
    let other = tips.first()?.1;
    tips.into_iter().find(|(_, tip)| *tip != other).map(|(node, found)| (node, found, other))
}
