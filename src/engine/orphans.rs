//! Orphans: blocks whose parent is not known yet, or whose time has not come.
//!
//! Each one cost its maker the work that it claims. Nothing depends on this pool, since an orphan's sender is asked for
//! the missing blocks: it saves a second transfer. When it is full, the oldest are evicted first.

use std::collections::VecDeque;

use quipu_protocol::encode::encode;
use quipu_protocol::{Announcement, BlockId, UnixMillis};

use super::event::PeerKey;

/// Encoded length of all announcements in the pool, in bytes.
pub(crate) const ORPHAN_BYTES_MAX: usize = 8 << 20;
/// Blocks from one peer, so that a flood leaves room for others. Further ones are dropped.
pub(crate) const ORPHANS_PER_PEER_MAX: usize = 32;

/// The event that a block waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// Its parent's arrival.
    Parent(BlockId),
    /// The time from which its timestamp is not too far ahead any more.
    Time(UnixMillis),
}

/// A block that came too soon.
#[derive(Debug)]
pub(crate) struct Orphan {
    pub(crate) from: PeerKey,
    pub(crate) announced: Announcement,
    waits_for: WaitsFor,
    id: BlockId,
    length: usize,
}

/// The pool of orphans.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    waiting: VecDeque<Orphan>,
    bytes: usize,
}

impl Orphans {
    /// Keeps a block, if this peer's share has room.
    pub(crate) fn insert(&mut self, from: PeerKey, announced: Announcement, waits_for: WaitsFor) {
        let id = announced.header().id();
        let of_peer = self.waiting.iter().filter(|orphan| orphan.from == from).count();
        if of_peer >= ORPHANS_PER_PEER_MAX || self.waiting.iter().any(|orphan| orphan.id == id) {
            return;
        }
        let length = encode(&announced).len();
        self.bytes += length;
        self.waiting.push_back(Orphan { from, announced, waits_for, id, length });
        while self.bytes > ORPHAN_BYTES_MAX {
            self.take_at(0);
        }
    }

    /// Removes a block whose parent has become known or whose time has come.
    pub(crate) fn take_ready(&mut self, known: impl Fn(&BlockId) -> bool, now: UnixMillis) -> Option<Orphan> {
        let ready = self.waiting.iter().position(|orphan| match orphan.waits_for {
            WaitsFor::Parent(parent) => known(&parent),
            WaitsFor::Time(time) => time <= now,
        })?;
        self.take_at(ready)
    }

    fn take_at(&mut self, at: usize) -> Option<Orphan> {
        let orphan = self.waiting.remove(at)?;
        self.bytes -= orphan.length;
        Some(orphan)
    }

    /// Forgets a peer's blocks.
    pub(crate) fn forget_peer(&mut self, peer: PeerKey) {
        self.waiting.retain(|orphan| orphan.from != peer);
        self.bytes = self.waiting.iter().map(|orphan| orphan.length).sum();
    }

    /// The number of orphans.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Their encoded length, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
