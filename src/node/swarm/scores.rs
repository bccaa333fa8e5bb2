//! gossipsub's scores of peers: who is kept in the mesh, so that silent peers can't crowd out those that deliver.
//!
//! A peer gains by being the first to deliver messages that are accepted, and keeps that for a while; blocks count most.
//! It loses by invalid messages, for which it is cut off anyway. Nothing else counts against a peer: not its address,
//! since many nodes may share one; not silence, since a node in a quiet corner has nothing to deliver; not a queue that
//! is full. So no honest peer has a score below zero.

use std::collections::HashMap;
use std::time::Duration;

use libp2p::gossipsub::{PeerScoreParams, PeerScoreThresholds, TopicScoreParams};

use super::behaviour::ProtocolNames;

/// How often gains and losses shrink.
const DECAY_INTERVAL: Duration = Duration::from_secs(1);
/// The share of a gain by blocks that is left then: half after a quarter of an hour.
const BLOCKS_DECAY: f64 = 0.99923;
/// The share of a gain by transactions that is left then: half after a minute.
const TRANSACTIONS_DECAY: f64 = 0.98851;
/// The most that blocks, or transactions, can count for a peer.
const DELIVERIES_MAX: f64 = 100.0;
/// A block is worth as much as this many messages with transactions.
const BLOCK_WEIGHT: f64 = 10.0;
/// What an invalid message costs, times the square of their number: the first one a peer's place in the mesh. Whether it
/// is heard any more, the engine decides.
const INVALID_WEIGHT: f64 = -1.0;
/// GRAFTs before their time, and announced messages that never came, that are forgiven: restarts and bad links.
const PENALTIES_FREE: f64 = 20.0;
/// A mesh whose median is lower than this is joined by peers with a higher score.
const MEDIAN_MIN: f64 = 1.0;

pub(super) fn params(names: &ProtocolNames) -> PeerScoreParams {
    let topics = [
        (names.blocks.hash(), topic(BLOCK_WEIGHT, BLOCKS_DECAY)),
        (names.transactions.hash(), topic(1.0, TRANSACTIONS_DECAY)),
    ];
    PeerScoreParams {
        topics: HashMap::from(topics),
        topic_score_cap: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: PENALTIES_FREE,
        behaviour_penalty_decay: 0.9,
        slow_peer_weight: 0.0,
        decay_interval: DECAY_INTERVAL,
        ..PeerScoreParams::default()
    }
}

pub(super) fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds { opportunistic_graft_threshold: MEDIAN_MIN, ..PeerScoreThresholds::default() }
}

fn topic(weight: f64, decay: f64) -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: weight,
        first_message_deliveries_decay: decay,
        first_message_deliveries_cap: DELIVERIES_MAX,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: INVALID_WEIGHT,
        invalid_message_deliveries_decay: decay,
        ..TopicScoreParams::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Network, Parameters};

    #[test]
    fn the_parameters_are_valid() {
        let names = ProtocolNames::of(&Network::new(Parameters::dev()).expect("presets are valid"));
        assert_eq!(params(&names).validate(), Ok(()));
        assert_eq!(thresholds().validate(), Ok(()));
        let half_life = |decay: f64| 0.5_f64.ln() / decay.ln() * DECAY_INTERVAL.as_secs_f64();
        assert_eq!([BLOCKS_DECAY, TRANSACTIONS_DECAY].map(|decay| half_life(decay).round()), [900.0, 60.0]);
    }
}
