//! The best chain: which block is its tip, the accounts there, and how it moves to a better one.
//!
//! The chain moves along a path, a list of blocks from just above the best chain to a goal that has more work
//! than the tip. Who sets the goal is `sync`. A block is taken off only when the path's blocks are all there up to
//! one with more work than the tip, and what a reorganisation writes stays in one batch until it is done. So neither
//! the user nor the store ever sees the chain get shorter.
//!
//! Always true: the ledger is the state at the tip; each block of the best chain was checked and connected; a tip is
//! only ever replaced by one with more work; the checkpoint is never left. Deliberately absent: whether a block is worth fetching, and from whom.

mod checkpoint;
mod outcome;
mod recent;
mod reorganisation;
mod told;

use std::collections::VecDeque;
use std::sync::Arc;

use quipu_protocol::check::{check_header, check_header_in_context, check_header_time};
use quipu_protocol::{Address, BlockId, CheckedBlock, Header, Ledger, Network, UnixMillis, Work};

use super::bodies::{Bodies, Cached};
use super::event::{LoadedBlock, Place, Stored, Write};
use super::index::{BlockRef, GENESIS, Index};
pub(crate) use outcome::{Insertion, Progress, Reorganised};
pub(crate) use reorganisation::LEFT_BYTES_MAX;
use reorganisation::Reorganisation;

/// Blocks and transactions that one call connects or takes off, before it lets other events through.
pub(crate) const CONNECT_UNITS_PER_CALL: usize = 1024;
/// A branch this much shorter than ours is kept only once it shows more work (see `sync`). Far back, where blocks were
/// easier, they would fill the store at little cost.
const FORK_BLOCKS_MAX: usize = 100;
/// Blocks in one request to the store.
const LOAD_BLOCKS_MAX: usize = 16;

/// The best chain and all that is known about others.
#[derive(Debug)]
pub(crate) struct Chain {
    network: Arc<Network>,
    index: Index,
    /// The best chain by height.
    best: Vec<BlockRef>,
    ledger: Ledger,
    bodies: Bodies,
    path: Path,
    /// A stored block with more work than the tip whose way from the best chain is stored too.
    stored_better: Option<BlockRef>,
    /// The account whose transactions no reorganisation forgets.
    own: Address,
    /// The block that is never left.
    checkpoint: Option<BlockRef>,
    reorganisation: Option<Reorganisation>,
    writes: Vec<Write>,
    /// What a reorganisation has written so far; it joins the other writes when that is done.
    held_writes: Vec<Write>,
}

/// Where the chain is moving.
#[derive(Debug, Default)]
struct Path {
    /// From just above the best chain to the goal, without gaps.
    blocks: VecDeque<BlockRef>,
    /// How many at the front have their bodies.
    ready: usize,
}

impl Chain {
    /// The chain as it was stored.
    pub(crate) fn new(network: Arc<Network>, own: Address, stored: &Stored, hash_key: u64) -> Self {
        let mut index = Index::new(&network.genesis().header, hash_key);
        index.reserve(stored.headers.len());
        let mut last = GENESIS;
        for stored in &stored.headers {
            // Nearly always the parent is the one before.
            let before = Some(last).filter(|last| index.id(*last) == stored.header.parent);
            let found = || {
                index.find_all();
                index.find(&stored.header.parent)
            };
            // A body that was stored before those below it, and they never came: it can be fetched again.
            let Some(parent) = before.or_else(found) else { continue };
            last = index.insert_unfound(stored.id, &stored.header, parent);
            index.set_has_body(last);
            if stored.condemned {
                index.condemn(last);
            }
        }
        index.find_all();
        let tip = stored.tip.map_or(GENESIS, |tip| index.find(&tip).expect("the store holds the tip and all below it"));
        let mut best = Vec::with_capacity(index.height(tip).0 as usize + 1);
        best.push(tip);
        while let Some(&top) = best.last().filter(|top| **top != GENESIS) {
            best.push(index.parent(top));
        }
        best.reverse();
        let ledger = Ledger::from_accounts(stored.accounts.iter().copied());
        let mut chain = Self {
            network,
            own,
            index,
            best,
            ledger,
            bodies: Bodies::default(),
            path: Path::default(),
            stored_better: None,
            checkpoint: None,
            reorganisation: None,
            writes: Vec::new(),
            held_writes: Vec::new(),
        };
        if let Some(place) = stored.checkpoint {
            chain.restore_checkpoint(place);
        }
        chain.find_stored_better();
        chain
    }

    /// All headers.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Whose transactions no reorganisation forgets.
    pub(crate) fn set_own(&mut self, account: Address) {
        self.own = account;
    }

    /// Bounds the bodies that are kept in memory, in bytes.
    pub(crate) fn set_cached_bytes_max(&mut self, bytes_max: usize) {
        self.bodies.set_bytes_max(bytes_max);
    }

    /// The accounts at the tip.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The best block. In the middle of a reorganisation, the one that is being left.
    pub(crate) fn tip(&self) -> BlockRef {
        self.reorganisation.as_ref().map_or(self.top(), |reorganisation| reorganisation.old_tip)
    }

    /// The tip's place.
    pub(crate) fn tip_place(&self) -> Place {
        self.index.place(self.tip())
    }

    /// Whether the ledger is between two chains, so that nothing can be mined or admitted on top of it.
    pub(crate) fn is_reorganising(&self) -> bool {
        self.reorganisation.is_some()
    }

    fn top(&self) -> BlockRef {
        *self.best.last().expect("the best chain holds genesis")
    }

    /// Whether a block is on the best chain.
    pub(crate) fn is_best(&self, block: BlockRef) -> bool {
        self.best.get(self.index.height(block).0 as usize) == Some(&block)
    }

    /// Ids of the best chain from the tip down, thinning out towards genesis, for [`quipu_protocol::Request::Headers`].
    pub(crate) fn locator(&self) -> Vec<BlockId> {
        let (mut ids, mut at, mut step) = (Vec::new(), self.best.len() - 1, 1);
        loop {
            ids.push(self.index.id(self.best[at]));
            if at == 0 {
                return ids;
            }
            if ids.len() >= 10 {
                step *= 2;
            }
            at = at.saturating_sub(step);
        }
    }

    /// The headers of the best chain after the first block of a locator that is on it.
    pub(crate) fn headers_after(&self, locator: &[BlockId], count: usize) -> Vec<Header> {
        let on_best = |id: &BlockId| self.index.find(id).filter(|block| self.is_best(*block));
        let start = locator.iter().find_map(on_best).map_or(0, |block| self.index.height(block).0 as usize);
        self.best[start + 1..].iter().take(count).map(|block| self.index.header(*block)).collect()
    }

    /// Applies the rules on headers, and adds the header if it keeps them all.
    pub(crate) fn insert_header(&mut self, header: &Header, now: UnixMillis) -> Insertion {
        let id = match check_header(header, &self.network) {
            Ok(id) => id,
            Err(violation) => return Insertion::Invalid(violation),
        };
        if let Some(block) = self.index.find(&id) {
            return match block {
                _ if self.index.is_condemned(block) => Insertion::Condemned,
                _ if self.index.is_barred(block) => Insertion::Barred(self.index.work(block)),
                _ => Insertion::Known(block),
            };
        }
        let Some(parent) = self.index.find(&header.parent) else { return Insertion::Orphan };
        if self.index.is_condemned(parent) {
            return Insertion::Condemned;
        }
        if let Err(violation) = check_header_in_context(header, &self.index.as_parent(parent), &self.network) {
            return Insertion::Invalid(violation);
        }
        let work = self.index.work(parent) + header.target.work();
        if self.index.bars_child_of(parent) {
            return Insertion::Barred(work);
        }
        if let Err(violation) = check_header_time(header, now, &self.network) {
            return Insertion::Early(violation);
        }
        if work < self.least_work() {
            return Insertion::Weak;
        }
        Insertion::Known(self.index.insert(id, header, parent))
    }

    /// The work of the least chain that is worth keeping before it has more than ours.
    fn least_work(&self) -> Work {
        self.index.work(self.best[self.best.len().saturating_sub(1 + FORK_BLOCKS_MAX)])
    }

    /// Adds a header that was checked by itself and against its parent. `None` if the parent was condemned since.
    pub(crate) fn insert_vetted(&mut self, header: &Header) -> Option<BlockRef> {
        let id = header.id();
        let known = self.index.find(&id);
        let parent = self.index.find(&header.parent)?;
        let block = known.unwrap_or_else(|| self.index.insert(id, header, parent));
        (!self.index.is_condemned(block)).then_some(block)
    }

    /// Keeps a block that was checked and whose header is in the index. It is connected when the path leads there.
    pub(crate) fn insert_body(&mut self, block: BlockRef, body: Arc<CheckedBlock>) {
        if self.index.has_body(block) || self.index.is_barred(block) {
            return;
        }
        self.index.set_has_body(block);
        self.writes.push(Write::Block(body.clone()));
        self.bodies.insert(block, Cached { block: body, delta: None });
        self.count_ready();
        // Blocks on the path are taken care of by it.
        if self.path_position(block).is_none() && self.is_stored_and_better(block, self.stored_better) {
            self.stored_better = Some(block);
        }
    }

    /// Remembers that a block breaks a rule, and so all that is built on it.
    pub(crate) fn condemn(&mut self, block: BlockRef) {
        assert!(!self.is_best(block), "what is connected keeps the rules");
        self.index.condemn(block);
        if self.index.has_body(block) {
            self.writes.push(Write::Condemn { place: self.index.place(block) });
        }
        self.path = Path::default();
        self.find_stored_better();
    }

    /// Loaded blocks, to go on with what [`Progress::wanted`] asked for.
    pub(crate) fn insert_loaded(&mut self, blocks: Vec<LoadedBlock>) {
        // Those that are needed first leave the cache last.
        for LoadedBlock { block, delta } in blocks.into_iter().rev() {
            if let Some(found) = self.index.find(&block.id()) {
                let delta = delta.filter(|_| self.is_best(found));
                self.bodies.insert(found, Cached { block, delta });
            }
        }
    }

    /// The block that the chain moves to: the tip itself if there is nothing better.
    pub(crate) fn goal(&self) -> BlockRef {
        self.path.blocks.back().copied().unwrap_or_else(|| self.tip())
    }

    /// A stored block with more work than the tip and than what the bodies on the path lead to. It needs nobody, so a
    /// goal whose blocks may never come must not hold it up.
    pub(crate) fn stored_goal(&self) -> Option<BlockRef> {
        let further = |stored: &BlockRef| {
            let ready = self.path.ready.checked_sub(1).map(|last| self.path.blocks[last]);
            ready.is_none_or(|ready| self.index.work(ready) < self.index.work(*stored)) || self.goal() == *stored
        };
        self.stored_better.filter(further)
    }

    /// Chooses where to move, among blocks with more work than the tip. Stays with the present goal if none of them has
    /// more work than that. Does nothing in the middle of a reorganisation.
    pub(crate) fn set_goal(&mut self, goal: Option<BlockRef>) {
        if self.reorganisation.is_some() {
            return self.complete_reorganisation_path();
        }
        let current = self.goal();
        let goal = goal.filter(|goal| self.index.work(*goal) > self.index.work(self.tip()));
        if goal == Some(current) {
            return;
        }
        let Some(goal) = goal else {
            self.path = Path::default();
            return;
        };
        // Mostly the new goal is built on the old one.
        let mut above = Vec::new();
        let mut block = goal;
        while !self.is_best(block) && block != current {
            above.push(block);
            block = self.index.parent(block);
        }
        if block != current || self.is_best(block) {
            self.path = Path::default();
        }
        self.path.blocks.extend(above.into_iter().rev());
        self.count_ready();
    }

    fn count_ready(&mut self) {
        let Path { blocks, ready } = &mut self.path;
        *ready += blocks.range(*ready..).take_while(|block| self.index.has_body(**block)).count();
    }

    /// Where a block is on the path.
    pub(crate) fn path_position(&self, block: BlockRef) -> Option<usize> {
        let first = *self.path.blocks.front()?;
        let position = usize::try_from(self.index.height(block).0.checked_sub(self.index.height(first).0)?).ok()?;
        (self.path.blocks.get(position) == Some(&block)).then_some(position)
    }

    /// The blocks ahead of the best chain, from the first one that has no body.
    pub(crate) fn path_without_bodies(&self, count: usize) -> impl Iterator<Item = BlockRef> {
        let end = (self.path.ready + count).min(self.path.blocks.len());
        self.path.blocks.range(self.path.ready..end).copied().filter(|block| !self.index.has_body(*block))
    }

    /// Whether a body is missing to follow the path to its end.
    pub(crate) fn path_lacks_bodies(&self) -> bool {
        self.path.ready < self.path.blocks.len()
    }

    /// The highest block of the path that is `block` or below it.
    pub(crate) fn highest_on_path(&self, mut block: BlockRef, steps: usize) -> Option<usize> {
        let lowest = self.index.height(*self.path.blocks.front()?);
        for _ in 0..steps {
            if let Some(position) = self.path_position(block) {
                return Some(position);
            }
            if self.index.height(block) <= lowest {
                return None;
            }
            block = self.index.parent(block);
        }
        None
    }

    /// Moves along the path: takes off and connects a bounded number of blocks.
    pub(crate) fn advance(&mut self) -> Progress {
        let mut progress = Progress::default();
        let mut units = 0;
        while let Some(&next) = self.path.blocks.front() {
            if units >= CONNECT_UNITS_PER_CALL {
                progress.unfinished = true;
                break;
            }
            let top = self.top();
            let blocked = if top != self.index.parent(next) {
                if self.reorganisation.is_none() && !self.path_is_worth_it() {
                    break;
                }
                if self.reorganisation.is_none() && !progress.connected.is_empty() {
                    // What was done so far is told first.
                    progress.unfinished = true;
                    break;
                }
                self.disconnect(top, &mut progress, &mut units)
            } else if self.path.ready == 0 {
                break;
            } else {
                self.connect(next, &mut progress, &mut units)
            };
            if let Err(Missing) = blocked {
                progress.wanted = self.missing();
                break;
            }
        }
        progress
    }

    /// Whether the bodies at the front of the path lead to more work than the tip has.
    fn path_is_worth_it(&self) -> bool {
        let last = self.path.ready.checked_sub(1).map(|last| self.path.blocks[last]);
        last.is_some_and(|last| self.index.work(last) > self.index.work(self.tip()))
    }

    fn disconnect(&mut self, top: BlockRef, progress: &mut Progress, units: &mut usize) -> Result<(), Missing> {
        let Some(Cached { block, delta: Some(delta) }) = self.bodies.get(top).cloned() else { return Err(Missing) };
        assert!(self.checkpoint != Some(top), "no path leaves out the checkpoint");
        self.ledger.revert(&delta);
        self.best.pop();
        self.held_writes.push(Write::Disconnect { place: self.index.place(top), delta: delta.clone() });
        *units += 1 + block.transactions().len();
        self.note_left(top, block, &delta);
        progress.undone.push(delta);
        Ok(())
    }

    fn connect(&mut self, next: BlockRef, progress: &mut Progress, units: &mut usize) -> Result<(), Missing> {
        let Some(Cached { block, .. }) = self.bodies.get(next).cloned() else { return Err(Missing) };
        *units += 1 + block.transactions().len();
        let delta = match self.ledger.connect(&block, &self.network) {
            Ok(delta) => Arc::new(delta),
            Err(violation) => {
                progress.refused.push((self.index.place(next), violation));
                self.condemn(next);
                self.set_goal(self.stored_better);
                return Ok(());
            }
        };
        self.ledger.apply(&delta);
        self.best.push(next);
        self.path.blocks.pop_front();
        self.path.ready -= 1;
        let write = Write::Connect { place: self.index.place(next), delta: delta.clone() };
        if self.reorganisation.is_some() {
            self.held_writes.push(write);
        } else {
            self.writes.push(write);
        }
        self.bodies.insert(next, Cached { block: block.clone(), delta: Some(delta.clone()) });
        self.note_connected(next, &block, progress);
        progress.connected.push((block, delta));
        self.end_reorganisation(next, progress);
        if self.stored_better.is_some_and(|better| self.index.work(better) <= self.index.work(self.tip())) {
            self.stored_better = None;
        }
        Ok(())
    }

    /// What keeps the path from going on: blocks at the tip to take off, or blocks of the path to connect.
    fn missing(&self) -> Vec<Place> {
        let next = *self.path.blocks.front().expect("only a path can be blocked");
        let fork_height = self.index.height(next).0 - 1;
        let places = |blocks: &mut dyn Iterator<Item = BlockRef>| {
            blocks.take(LOAD_BLOCKS_MAX).map(|block| self.index.place(block)).collect()
        };
        if self.index.height(self.top()).0 > fork_height {
            let undoable = |block: &BlockRef| self.bodies.get(*block).is_some_and(|cached| cached.delta.is_some());
            let above_fork = self.best[fork_height as usize + 1..].iter().rev().copied();
            places(&mut above_fork.skip_while(undoable))
        } else {
            let cached = |block: &BlockRef| self.bodies.get(*block).is_some();
            places(&mut self.path.blocks.range(..self.path.ready).copied().skip_while(cached))
        }
    }

    /// Writes since the last call. Those of a reorganisation come all at once, when it is done.
    pub(crate) fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    fn find_stored_better(&mut self) {
        let mut best = None;
        for block in self.index.iter().rev() {
            if self.is_stored_and_better(block, best) {
                best = Some(block);
            }
        }
        self.stored_better = best;
    }

    /// Whether a block has more work than the tip and than another, may be followed, and all bodies from the best chain up
    /// to it are stored.
    fn is_stored_and_better(&self, block: BlockRef, other: Option<BlockRef>) -> bool {
        let work = self.index.work(block);
        if self.index.is_barred(block) {
            return false;
        }
        if work <= self.index.work(self.tip()) || other.is_some_and(|other| work <= self.index.work(other)) {
            return false;
        }
        let mut block = block;
        while !self.is_best(block) {
            if !self.index.has_body(block) || self.index.is_condemned(block) {
                return false;
            }
            block = self.index.parent(block);
        }
        true
    }
}

/// A block that has to be loaded first.
struct Missing;
