//! Orphans: blocks whose parent is not known yet, or whose time has not come.
//!
//! Each one cost its maker the work that it claims. Nothing depends on this pool, since an orphan's sender is asked for
//! the missing blocks: it saves a second transfer. When it is full, the oldest are evicted first.
//!
//! Blocks that are too early have a pool of their own, a small one: their number costs no more work on a network with
//! harder blocks, and they must not push out those that only lack a parent. Those whose time is furthest are evicted
//! first.

use std::collections::VecDeque;

use quipu_protocol::encode::encode;
use quipu_protocol::{Announcement, BlockId, UnixMillis};

use super::event::PeerKey;

/// Encoded length of all announcements in the pool, in bytes.
pub(crate) const ORPHAN_BYTES_MAX: usize = 8 << 20;
/// Encoded length of all early announcements, in bytes: as much as the longest block.
pub(crate) const EARLY_BYTES_MAX: usize = 4 << 20;
/// Blocks from one peer, so that a flood leaves room for others. Further ones are dropped.
pub(crate) const ORPHANS_PER_PEER_MAX: usize = 32;
pub(crate) const EARLY_PER_PEER_MAX: usize = 8;

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
    waiting: Pool,
    early: Pool,
}

#[derive(Debug, Default)]
struct Pool {
    orphans: VecDeque<Orphan>,
    bytes: usize,
}

impl Pool {
    fn of_peer(&self, peer: PeerKey) -> usize {
        self.orphans.iter().filter(|orphan| orphan.from == peer).count()
    }

    fn push(&mut self, orphan: Orphan) {
        self.bytes += orphan.length;
        self.orphans.push_back(orphan);
    }

    fn take_at(&mut self, at: usize) -> Option<Orphan> {
        let orphan = self.orphans.remove(at)?;
        self.bytes -= orphan.length;
        Some(orphan)
    }

    /// The position of the block whose time is furthest.
    fn furthest(&self) -> usize {
        let time = |orphan: &Orphan| match orphan.waits_for {
            WaitsFor::Time(time) => Some(time),
            WaitsFor::Parent(_) => None,
        };
        let times = self.orphans.iter().enumerate().map(|(at, orphan)| (time(orphan), at));
        times.max().map_or(0, |(_, at)| at)
    }

    fn forget_peer(&mut self, peer: PeerKey) {
        self.orphans.retain(|orphan| orphan.from != peer);
        self.bytes = self.orphans.iter().map(|orphan| orphan.length).sum();
    }
}

impl Orphans {
    /// Keeps a block, if this peer's share has room.
    pub(crate) fn insert(&mut self, from: PeerKey, announced: Announcement, waits_for: WaitsFor) {
        let id = announced.header().id();
        let is_early = matches!(waits_for, WaitsFor::Time(_));
        let (pool, per_peer_max) = match is_early {
            true => (&mut self.early, EARLY_PER_PEER_MAX),
            false => (&mut self.waiting, ORPHANS_PER_PEER_MAX),
        };
        if pool.of_peer(from) >= per_peer_max || pool.orphans.iter().any(|orphan| orphan.id == id) {
            return;
        }
        let length = encode(&announced).len();
        pool.push(Orphan { from, announced, waits_for, id, length });
        while self.early.bytes > EARLY_BYTES_MAX {
            self.early.take_at(self.early.furthest());
        }
        while self.waiting.bytes > ORPHAN_BYTES_MAX {
            self.waiting.take_at(0);
        }
    }

    /// Removes a block whose parent has become known or whose time has come.
    pub(crate) fn take_ready(&mut self, known: impl Fn(&BlockId) -> bool, now: UnixMillis) -> Option<Orphan> {
        let is_ready = |orphan: &Orphan| match orphan.waits_for {
            WaitsFor::Parent(parent) => known(&parent),
            WaitsFor::Time(time) => time <= now,
        };
        [&mut self.waiting, &mut self.early].into_iter().find_map(|pool| {
            let ready = pool.orphans.iter().position(is_ready)?;
            pool.take_at(ready)
        })
    }

    /// Forgets a peer's blocks.
    pub(crate) fn forget_peer(&mut self, peer: PeerKey) {
        self.waiting.forget_peer(peer);
        self.early.forget_peer(peer);
    }

    /// The number of blocks without a parent, and of early ones.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.waiting.orphans.len(), self.early.orphans.len())
    }

    /// Their encoded length, in bytes.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        (self.waiting.bytes, self.early.bytes)
    }
}
