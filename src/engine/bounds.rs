//! The bound of every container of the engine, and how full it is. Tests and the simulator's judge compare the two.
//!
//! | container | bound | gives way |
//! | --- | --- | --- |
//! | headers | none: each costs the work in it, and blocks of branches far behind are not kept | nothing |
//! | accounts | none: the state of the chain | nothing |
//! | cached bodies | `BODY_CACHE_BYTES_MAX` and one block, `BODY_CACHE_BLOCKS_MAX` | the oldest |
//! | bodies of side branches | `ASIDE_BYTES_MAX` | the least work, of equals the newest |
//! | memory pool, in all, per sender, per peer | see [`mempool`] | the worst paying |
//! | changes that the pool has not followed | `LAG_ACCOUNTS_MAX` | none: followed at once |
//! | orphans, in all and per peer | `ORPHAN_BYTES_MAX`, `ORPHANS_PER_PEER_MAX` | the oldest; the newest |
//! | early blocks, in all and per peer | `EARLY_BYTES_MAX`, `EARLY_PER_PEER_MAX` | the furthest; the newest |
//! | blocks being reconstructed, in all, in bytes, per peer | `RECONSTRUCTIONS_MAX` and its neighbours | the newest |
//! | remembered attempts at reconstruction | `TRIES_MAX` | the oldest |
//! | blocks that were not delivered | `WITHHELD_MAX` | the oldest |
//! | offered blocks, in all and per peer | `OFFERED_MAX`, `OFFERED_PER_PEER_MAX` | the newest |
//! | unchecked transactions, in all, per peer | `UNCHECKED_MAX`, `UNCHECKED_BYTES_MAX`, three quarters | the newest |
//! | bundles without a verdict | `JUDGED_MAX`: each has a transaction that is unchecked or being checked | |
//! | transactions to announce | `BUNDLE_TRANSACTIONS_MAX`, and `BUNDLE_BYTES_MAX` | none: sent at once |
//! | refused transactions | `REFUSED_MAX` | the oldest |
//! | sessions | the shell's limit on connections | |
//! | ids of a session's branch that is downloaded twice | `MARKS_MAX`, one for each `MARK_SPACING` headers | all |
//! | headers of its second pass | `MARK_SPACING` | none: added to the tree |
//! | questions to a session: one status, one other, and late ones | `LATE_PER_PEER_MAX` | the oldest |
//! | transactions to pull from a session | `RESPONSE_IDS_MAX` | the rest |
//! | blocks requested or being checked | `BLOCKS_AHEAD_MAX`, and the blocks of the questions above | no request |
//! | checks under way | the sum of the three above | |
//! | requests that wait for a budget, in all and per peer | `DELAYED_MAX`, `DELAYED_PER_PEER_MAX` | the newest |
//! | requests whose blocks are being read, in all and per peer | `SERVING_MAX`, `SERVING_PER_PEER_MAX` | none: further ones wait |
//! | deferred requests of a peer | `DEFERRED_PER_PEER_MAX` | the newest |
//! | effects that wait for the disk | the commands, requests and announcements behind them | |
//! | waiting commands | the shell's limit; `RESOLVING_MAX` | the newest |
//! | batches not durable | `UNPERSISTED_BATCHES_MAX`, `UNPERSISTED_BYTES_MAX`, and other batches | no request |
//! | blocks disconnected by a reorganisation | `LEFT_BYTES_MAX`, `OWN_LEFT_BYTES_MAX` for own ones | the newest |
//! | writes of a reorganisation | one delta for each block that it moves; it is one batch, or none | nothing |
//! | blocks submitted by the user without an answer | `SUBMITTED_MAX` | the newest |
//! | reasons of refused blocks | `REFUSALS_MAX` | the oldest |
//! | blocks mined here | `MINED_HERE_MAX` | the oldest |
//! | tips refused for the checkpoint, or not followed | `REFUSED_TIPS_MAX` | the oldest |
//!
//! All other containers (notices, answers, publications, writes) are empty after every call.

use quipu_protocol::bundle::BUNDLE_TRANSACTIONS_MAX;
use quipu_protocol::message::RESPONSE_IDS_MAX;

use super::bundles::{CHECKS_MAX, JUDGED_MAX, UNCHECKED_BYTES_MAX, UNCHECKED_MAX};
use super::chain::{ASIDE_BYTES_MAX, LEFT_BYTES_MAX, WITHHELD_MAX};
use super::compact::{RECONSTRUCTION_BYTES_MAX, RECONSTRUCTIONS_MAX};
use super::gossip::{OFFERED_MAX, REFUSED_MAX};
use super::lag::LAG_ACCOUNTS_MAX;
use super::orphans::{EARLY_BYTES_MAX, EARLY_PER_PEER_MAX, ORPHAN_BYTES_MAX, ORPHANS_PER_PEER_MAX};
use super::peers::LATE_PER_PEER_MAX;
use super::serve::{DEFERRED_PER_PEER_MAX, DELAYED_MAX, DELAYED_PER_PEER_MAX, SERVING_MAX};
use super::submit::{REFUSALS_MAX, SUBMITTED_MAX};
use super::sync::{BLOCKS_AHEAD_MAX, BLOCKS_PER_REQUEST_MAX, MARK_SPACING, MARKS_MAX};
use super::{Engine, bodies, mempool, mining};
use crate::engine::event::Event;

impl Engine {
    /// The present limits of the containers of [`Engine::occupancy`], by name. A container without an entry is bounded
    /// by the shell's limits, or by the work in its elements.
    pub fn bounds(&self) -> Vec<(&'static str, usize)> {
        let peers = self.peers.len();
        let block_bytes = self.network.block_bytes_max();
        // Each session has one question under way, and some late ones.
        let asked_blocks = BLOCKS_AHEAD_MAX + peers * (1 + LATE_PER_PEER_MAX) * BLOCKS_PER_REQUEST_MAX;
        vec![
            // One block may be longer than all the others together.
            ("cached_body_bytes", bodies::BODY_CACHE_BYTES_MAX + block_bytes),
            ("cached_bodies", bodies::BODY_CACHE_BLOCKS_MAX),
            ("aside_bytes", ASIDE_BYTES_MAX),
            ("left_block_bytes", LEFT_BYTES_MAX + block_bytes),
            ("mempool_bytes", mempool::POOL_BYTES_MAX + mempool::OWN_BYTES_MAX),
            ("mempool_lag", LAG_ACCOUNTS_MAX),
            ("orphans", ORPHANS_PER_PEER_MAX * peers),
            ("orphan_bytes", ORPHAN_BYTES_MAX),
            ("early_blocks", EARLY_PER_PEER_MAX * peers),
            ("early_bytes", EARLY_BYTES_MAX),
            ("reconstructions", RECONSTRUCTIONS_MAX),
            ("reconstruction_bytes", RECONSTRUCTION_BYTES_MAX),
            ("offered_blocks", OFFERED_MAX),
            ("requested_blocks", asked_blocks + OFFERED_MAX + RECONSTRUCTIONS_MAX),
            ("presync_marks", peers * MARKS_MAX),
            ("presync_headers", peers * MARK_SPACING),
            ("wanted_transactions", peers * RESPONSE_IDS_MAX),
            ("late_requests", peers * LATE_PER_PEER_MAX),
            ("unchecked_transactions", UNCHECKED_MAX),
            ("unchecked_bytes", UNCHECKED_BYTES_MAX),
            ("judged_bundles", JUDGED_MAX),
            ("transactions_to_announce", BUNDLE_TRANSACTIONS_MAX),
            ("checks", asked_blocks + OFFERED_MAX + CHECKS_MAX + RECONSTRUCTIONS_MAX),
            ("refused_transactions", REFUSED_MAX),
            ("deferred_requests", peers * DEFERRED_PER_PEER_MAX),
            ("delayed_requests", DELAYED_MAX.min(peers * DELAYED_PER_PEER_MAX)),
            ("serving_requests", SERVING_MAX),
            ("submitted_blocks", SUBMITTED_MAX),
            ("refusals", REFUSALS_MAX),
            ("mined_here", mining::MINED_HERE_MAX),
            ("withheld_blocks", WITHHELD_MAX),
        ]
    }

    /// The present sizes of the engine's containers, by name.
    pub fn occupancy(&self) -> Vec<(&'static str, usize)> {
        let sessions = || self.peers.iter().map(|(_, session)| session);
        let presyncs = || sessions().filter_map(|session| Some(session.presync.as_ref()?.sizes()));
        let is_request = |event: &&Event| matches!(event, Event::Request { .. });
        vec![
            ("headers", self.chain.tree().len()),
            ("cached_body_bytes", self.chain.cached_bytes()),
            ("cached_bodies", self.chain.cached_blocks()),
            ("aside_bytes", self.chain.aside_bytes()),
            ("left_block_bytes", self.chain.left_bytes()),
            ("mempool_bytes", self.mempool.bytes()),
            ("mempool_lag", self.mempool.lag()),
            ("orphans", self.orphans.len().0),
            ("orphan_bytes", self.orphans.bytes().0),
            ("early_blocks", self.orphans.len().1),
            ("early_bytes", self.orphans.bytes().1),
            ("reconstructions", self.reconstructions.len()),
            ("reconstruction_bytes", self.reconstructions.bytes()),
            ("offered_blocks", self.offers().count()),
            ("peers", self.peers.len()),
            ("requested_blocks", self.sync.requested()),
            ("presync_marks", presyncs().map(|(marks, _)| marks).sum()),
            ("presync_headers", presyncs().map(|(_, headers)| headers).sum()),
            ("wanted_transactions", sessions().map(|session| session.wanted_transactions.len()).sum()),
            ("late_requests", sessions().map(|session| session.late.len()).sum()),
            ("unchecked_transactions", self.unchecked.len()),
            ("unchecked_bytes", self.unchecked.bytes()),
            ("judged_bundles", self.judged.len()),
            ("transactions_to_announce", self.outbox.len()),
            ("checks", self.checks.len()),
            ("refused_transactions", self.refused.len()),
            ("delayed_requests", self.delayed()),
            ("serving_requests", self.serving()),
            ("submitted_blocks", self.submitted.len()),
            ("deferred_requests", self.deferred.iter().filter(is_request).count()),
            ("refusals", self.refusals.len()),
            ("mined_here", self.mined_here.len()),
            ("withheld_blocks", self.chain.withheld()),
        ]
    }
}
