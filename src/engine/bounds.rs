//! The bound of every container of the engine, and how full it is: what tests and the simulator's judge compare.
//!
//! | container | its bound | what is given up |
//! | --- | --- | --- |
//! | headers | none: each costs the work in it, and blocks of branches far behind are not kept | nothing |
//! | accounts | none: the state of the chain | nothing |
//! | cached bodies | `BODY_CACHE_BYTES_MAX` and one block | the oldest |
//! | memory pool, in all, of a sender, of a peer | see [`mempool`] | the worst paying |
//! | orphans, in all and of a peer | `ORPHAN_BYTES_MAX`, `ORPHANS_PER_PEER_MAX` | the oldest; the newest |
//! | offered blocks, in all and of a peer | `OFFERED_MAX`, `OFFERED_PER_PEER_MAX` | the newest |
//! | transactions before their check, in all and of a peer | `UNCHECKED_MAX`, `UNCHECKED_BYTES_MAX`, three quarters | the newest |
//! | bundles that wait for their verdict | `JUDGED_MAX`: each has a transaction before or in its check | |
//! | transactions to be announced | `BUNDLE_TRANSACTIONS_MAX`, and `BUNDLE_BYTES_MAX` | go at once |
//! | refused transactions | `REFUSED_MAX` | the oldest |
//! | sessions | the shell's limit on connections | |
//! | headers of a session that show less work than ours | `CANDIDATE_HEADERS_MIN`, or four times our branch | all of them |
//! | questions to a session: one status, one of another kind, and late ones | `LATE_PER_PEER_MAX` | the oldest |
//! | a session's transactions to be pulled | `RESPONSE_IDS_MAX` | the last of an answer |
//! | blocks that are asked for or being checked | `BLOCKS_AHEAD_MAX`, and what the questions above name | are not asked for |
//! | checks under way | what the three above bring | |
//! | deferred requests of a peer | `DEFERRED_PER_PEER_MAX` | the newest are refused |
//! | commands that wait | the shell's limit; `RESOLVING_MAX` | are refused |
//! | batches that are not durable | `UNPERSISTED_BATCHES_MAX`, `UNPERSISTED_BYTES_MAX`, and what else comes | no block is asked for |
//! | blocks taken off by a reorganisation | `LEFT_BYTES_MAX`, and `OWN_LEFT_BYTES_MAX` for what the own account sent | the newest |
//! | what a reorganisation writes | one delta for each block that it moves; it is one batch, or none | nothing |
//! | blocks of the user that wait for their answer | `SUBMITTED_MAX` | are refused |
//! | blocks mined here | `MINED_HERE_MAX` | the oldest |
//! | tips refused for the checkpoint | `REFUSED_TIPS_MAX` | the oldest |
//!
//! The rest (notices, answers, publications, writes) is empty after every call.

use quipu_protocol::bundle::BUNDLE_TRANSACTIONS_MAX;
use quipu_protocol::message::{RESPONSE_HEADERS_MAX, RESPONSE_IDS_MAX};

use super::bundles::{CHECKS_MAX, JUDGED_MAX, UNCHECKED_BYTES_MAX, UNCHECKED_MAX};
use super::chain::LEFT_BYTES_MAX;
use super::gossip::{OFFERED_MAX, REFUSED_MAX};
use super::orphans::{ORPHAN_BYTES_MAX, ORPHANS_PER_PEER_MAX};
use super::peers::LATE_PER_PEER_MAX;
use super::serve::DEFERRED_PER_PEER_MAX;
use super::submit::SUBMITTED_MAX;
use super::sync::{BLOCKS_AHEAD_MAX, BLOCKS_PER_REQUEST_MAX, candidate_headers_max};
use super::{Engine, bodies, mempool, mining};
use crate::engine::event::Event;

impl Engine {
    /// The most that containers of [`Engine::occupancy`] may hold now, by name. Those that are not named are bounded by
    /// what the shell lets in, or by the work in them.
    pub fn bounds(&self) -> Vec<(&'static str, usize)> {
        let peers = self.peers.len();
        let block_bytes = self.network.block_bytes_max();
        // Each session has one question under way, and late ones.
        let asked_blocks = BLOCKS_AHEAD_MAX + peers * (1 + LATE_PER_PEER_MAX) * BLOCKS_PER_REQUEST_MAX;
        vec![
            // One block may be longer than all others that are kept.
            ("cached_body_bytes", bodies::BODY_CACHE_BYTES_MAX + block_bytes),
            ("left_block_bytes", LEFT_BYTES_MAX + block_bytes),
            ("mempool_bytes", mempool::POOL_BYTES_MAX),
            ("orphans", ORPHANS_PER_PEER_MAX * peers),
            ("orphan_bytes", ORPHAN_BYTES_MAX),
            ("offered_blocks", OFFERED_MAX),
            ("requested_blocks", asked_blocks + OFFERED_MAX),
            (
                "candidate_headers",
                peers * (candidate_headers_max(self.chain.tip_place().height.0) + RESPONSE_HEADERS_MAX),
            ),
            ("wanted_transactions", peers * RESPONSE_IDS_MAX),
            ("late_requests", peers * LATE_PER_PEER_MAX),
            ("unchecked_transactions", UNCHECKED_MAX),
            ("unchecked_bytes", UNCHECKED_BYTES_MAX),
            ("judged_bundles", JUDGED_MAX),
            ("transactions_to_announce", BUNDLE_TRANSACTIONS_MAX),
            ("checks", asked_blocks + OFFERED_MAX + CHECKS_MAX),
            ("refused_transactions", REFUSED_MAX),
            ("deferred_requests", peers * DEFERRED_PER_PEER_MAX),
            ("submitted_blocks", SUBMITTED_MAX),
            ("mined_here", mining::MINED_HERE_MAX),
        ]
    }

    /// How full the engine's containers are, by name.
    pub fn occupancy(&self) -> Vec<(&'static str, usize)> {
        let sessions = || self.peers.iter().map(|(_, session)| session);
        let is_request = |event: &&Event| matches!(event, Event::Request { .. });
        vec![
            ("headers", self.chain.index().len()),
            ("cached_body_bytes", self.chain.cached_bytes()),
            ("left_block_bytes", self.chain.left_bytes()),
            ("mempool_bytes", self.mempool.bytes()),
            ("orphans", self.orphans.len()),
            ("orphan_bytes", self.orphans.bytes()),
            ("offered_blocks", self.offers().count()),
            ("peers", self.peers.len()),
            ("requested_blocks", self.sync.requested()),
            ("candidate_headers", sessions().map(|session| session.candidate.headers.len()).sum()),
            ("wanted_transactions", sessions().map(|session| session.wanted_transactions.len()).sum()),
            ("late_requests", sessions().map(|session| session.late.len()).sum()),
            ("unchecked_transactions", self.unchecked.len()),
            ("unchecked_bytes", self.unchecked.bytes()),
            ("judged_bundles", self.judged.len()),
            ("transactions_to_announce", self.outbox.len()),
            ("checks", self.checks.len()),
            ("refused_transactions", self.refused.len()),
            ("submitted_blocks", self.submitted.len()),
            ("deferred_requests", self.deferred.iter().filter(is_request).count()),
            ("mined_here", self.mined_here.len()),
        ]
    }
}
