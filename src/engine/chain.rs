//! The best chain: its tip, the accounts there, and the moves to a better tip.
//!
//! The chain moves along a path, a list of blocks from just above the best chain to a goal that has more work than the
//! tip. `sync` sets the goal. A block is disconnected only when the path has bodies up to a block with more work than
//! the tip, and the writes of a reorganisation stay in one batch until it is done. So neither the user nor the store
//! ever sees the chain get shorter.
//!
//! Always true: the ledger is the state at the tip; each block of the best chain was checked and connected; a tip is
//! only ever replaced by one with more work; the chain never leaves the checkpoint. Deliberately absent: whether a
//! block is worth fetching, and from which peer.

mod aside;
mod checkpoint;
mod history;
mod outcome;
mod path;
mod recent;
mod reorganisation;
mod rival;
mod rolled_back;
mod shown;
mod withheld;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use quipu_protocol::check::{check_context, check_header, check_header_in_context, check_header_time};
use quipu_protocol::{Address, BlockId, Header, Ledger, Network, Peaks, UnixMillis, Work};

use super::bodies::{Bodies, Cached};
use super::event::{LoadedBlock, Place, Stored, Write};
use super::header_tree::{BlockRef, GENESIS, HeaderTree};
pub(crate) use aside::ASIDE_BYTES_MAX;
use aside::Aside;
use history::ChainHistory;
pub(crate) use outcome::{ChainAdvance, Insertion, Reorganised};
pub(crate) use reorganisation::LEFT_BYTES_MAX;
use reorganisation::Reorganisation;
pub(crate) use withheld::WITHHELD_MAX;

/// Blocks and transactions that one call connects or disconnects, before other events get their turn.
pub(crate) const CONNECT_UNITS_PER_CALL: usize = 1024;
/// A branch this much shorter than ours is kept only once it shows more work (see `sync`). Far back, where blocks were
/// easier, such branches would fill the store at little cost.
const FORK_BLOCKS_MAX: usize = 100;
/// Blocks in one load from the store.
const LOAD_BLOCKS_MAX: usize = 16;

/// The best chain, and all known headers.
#[derive(Debug)]
pub(crate) struct Chain {
    network: Arc<Network>,
    tree: HeaderTree,
    /// The best chain by height.
    best: Vec<BlockRef>,
    history: ChainHistory,
    ledger: Ledger,
    bodies: Bodies,
    aside: Aside,
    path: ChainPath,
    /// A stored block with more work than the tip, with stored bodies all the way from the best chain.
    stored_better: Option<BlockRef>,
    /// Blocks that were asked for and not delivered, and have not come since. Their branches are followed last.
    withheld: BTreeSet<BlockRef>,
    /// The account whose transactions survive every reorganisation.
    own: Address,
    /// The block that the chain never leaves.
    checkpoint: Option<BlockRef>,
    reorganisation: Option<Reorganisation>,
    /// Whether the tip is kept against rivals.
    keeps_tip: bool,
    writes: Vec<Write>,
    /// The writes of the present reorganisation; they join the others when it is done.
    held_writes: Vec<Write>,
}

/// The blocks that the chain is moving along.
#[derive(Debug, Default)]
struct ChainPath {
    /// The blocks from just above the best chain to the goal, without gaps.
    blocks: VecDeque<BlockRef>,
    /// The number of blocks at the front whose bodies are stored.
    ready: usize,
}

impl Chain {
    /// The chain as it was stored.
    pub(crate) fn new(network: Arc<Network>, own: Address, stored: &Stored, hash_key: u64) -> Self {
        let mut tree = HeaderTree::new(&network, hash_key);
        tree.reserve(stored.headers.len());
        let mut last = GENESIS;
        for stored in &stored.headers {
            // The parent is nearly always the header before.
            let before = Some(last).filter(|last| tree.id(*last) == stored.header.parent);
            let found = || {
                tree.find_all();
                tree.find(&stored.header.parent)
            };
            // A body was stored before those below it, and they never came: it can be fetched again.
            let Some(parent) = before.or_else(found) else { continue };
            last = tree.insert_unfound(stored.id, &stored.header, parent);
            tree.set_has_body(last, true);
            if stored.condemned {
                tree.condemn(last);
            }
        }
        tree.find_all();
        let tip =
            stored.tip.map_or(GENESIS, |tip| tree.find(&tip).expect("the store holds the tip and all blocks below it"));
        let mut best = Vec::with_capacity(tree.height(tip).0 as usize + 1);
        best.push(tip);
        while let Some(&top) = best.last().filter(|top| **top != GENESIS) {
            best.push(tree.parent(top));
        }
        best.reverse();
        let history = ChainHistory::of(best.iter().map(|block| tree.history_node(*block)));
        let mut ledger = Ledger::opening(&network);
        ledger.restore(stored.accounts.iter().copied());
        let mut chain = Self {
            network,
            own,
            tree,
            best,
            history,
            ledger,
            bodies: Bodies::default(),
            aside: Aside::default(),
            path: ChainPath::default(),
            stored_better: None,
            withheld: BTreeSet::new(),
            checkpoint: None,
            reorganisation: None,
            keeps_tip: false,
            writes: Vec::new(),
            held_writes: Vec::new(),
        };
        if let Some(place) = stored.checkpoint {
            chain.restore_checkpoint(place);
        }
        chain.find_stored_better();
        chain
    }

    /// All known headers.
    pub(crate) fn tree(&self) -> &HeaderTree {
        &self.tree
    }

    /// Sets the account whose transactions survive every reorganisation.
    pub(crate) fn set_own(&mut self, account: Address) {
        self.own = account;
    }

    /// Bounds the cached bodies, in bytes.
    pub(crate) fn set_cached_bytes_max(&mut self, bytes_max: usize) {
        self.bodies.set_bytes_max(bytes_max);
    }

    /// All blocks up to the tip, as the next block commits to them. Not during a reorganisation.
    pub(crate) fn peaks(&self) -> &Peaks {
        self.history.peaks()
    }

    /// The accounts at the tip.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The best block. During a reorganisation, the tip that is being left.
    pub(crate) fn tip(&self) -> BlockRef {
        self.reorganisation.as_ref().map_or(self.top(), |reorganisation| reorganisation.old_tip)
    }

    /// Height and id of the tip.
    pub(crate) fn tip_place(&self) -> Place {
        self.tree.place(self.tip())
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
        self.best.get(self.tree.height(block).0 as usize) == Some(&block)
    }

    /// Ids of the best chain from the tip down, thinning out towards genesis, for [`quipu_protocol::Request::Headers`].
    pub(crate) fn locator(&self) -> Vec<BlockId> {
        let mut ids = Vec::new();
        let mut at = self.best.len() - 1;
        let mut step = 1;
        loop {
            ids.push(self.tree.id(self.best[at]));
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
        let on_best = |id: &BlockId| self.tree.find(id).filter(|block| self.is_best(*block));
        let start = locator.iter().find_map(on_best).map_or(0, |block| self.tree.height(block).0 as usize);
        self.best[start + 1..].iter().take(count).map(|block| self.tree.header(*block)).collect()
    }

    /// Applies the rules on headers, and adds the header if it keeps all of them.
    pub(crate) fn insert_header(&mut self, header: &Header, now: UnixMillis) -> Insertion {
        let id = match check_header(header, &self.network) {
            Ok(id) => id,
            Err(violation) => return Insertion::Invalid(violation),
        };
        if let Some(block) = self.tree.find(&id) {
            return match block {
                _ if self.tree.is_condemned(block) => Insertion::Condemned,
                _ if self.tree.is_barred(block) => Insertion::Barred(self.tree.work(block)),
                _ => Insertion::Known(block),
            };
        }
        let Some(parent) = self.tree.find(&header.parent) else { return Insertion::Orphan };
        if self.tree.is_condemned(parent) {
            return Insertion::Condemned;
        }
        if let Err(violation) = check_header_in_context(header, &self.tree.as_parent(parent), &self.network) {
            return Insertion::Invalid(violation);
        }
        let work = self.tree.work(parent) + header.target.work();
        if self.tree.bars_child_of(parent) {
            return Insertion::Barred(work);
        }
        if let Err(violation) = check_header_time(header, now, &self.network) {
            return Insertion::Early(violation);
        }
        if work < self.keepable_work_min() {
            return Insertion::Weak;
        }
        Insertion::Known(self.tree.insert(id, header, parent))
    }

    /// The least work of a chain that is kept although it has less than ours.
    fn keepable_work_min(&self) -> Work {
        self.tree.work(self.best[self.best.len().saturating_sub(1 + FORK_BLOCKS_MAX)])
    }

    /// Adds a header that was checked by itself and against its parent. `None` if the parent was condemned meanwhile.
    pub(crate) fn insert_vetted(&mut self, header: &Header) -> Option<BlockRef> {
        let id = header.id();
        let known = self.tree.find(&id);
        let parent = self.tree.find(&header.parent)?;
        let block = known.unwrap_or_else(|| self.tree.insert(id, header, parent));
        (!self.tree.is_condemned(block)).then_some(block)
    }

    /// Remembers that a block breaks a rule, and with it all its descendants.
    pub(crate) fn condemn(&mut self, block: BlockRef) {
        assert!(!self.is_best(block), "a connected block keeps the rules");
        self.tree.condemn(block);
        if self.is_stored(block) {
            self.writes.push(Write::Condemn { place: self.tree.place(block) });
        }
        self.path = ChainPath::default();
        self.find_stored_better();
    }

    /// Accepts loaded blocks, which [`ChainAdvance::wanted`] asked for.
    pub(crate) fn insert_loaded(&mut self, blocks: Vec<LoadedBlock>) {
        // The blocks that are needed first are evicted last.
        for LoadedBlock { block, delta } in blocks.into_iter().rev() {
            if let Some(found) = self.tree.find(&block.id()) {
                let delta = delta.filter(|_| self.is_best(found));
                self.bodies.insert(found, Cached { block, delta });
            }
        }
    }

    /// The block that the chain moves to; the tip itself if nothing is better.
    pub(crate) fn goal(&self) -> BlockRef {
        self.path.blocks.back().copied().unwrap_or_else(|| self.tip())
    }

    /// A stored block with more work than the tip and than the bodies on the path lead to. It depends on no peer, so a
    /// goal whose blocks may never come must not hold it up.
    pub(crate) fn stored_goal(&self) -> Option<BlockRef> {
        let further = |stored: &BlockRef| {
            let ready = self.path.ready.checked_sub(1).map(|last| self.path.blocks[last]);
            ready.is_none_or(|ready| self.tree.work(ready) < self.tree.work(*stored)) || self.goal() == *stored
        };
        self.stored_better.filter(further).filter(|stored| !self.waits(*stored))
    }

    /// Chooses a goal among blocks with more work than the tip. Ties go to the present goal. Does nothing during a
    /// reorganisation.
    pub(crate) fn set_goal(&mut self, goal: Option<BlockRef>) {
        if self.reorganisation.is_some() {
            return self.complete_reorganisation_path();
        }
        let current = self.goal();
        let goal = goal.filter(|goal| self.tree.work(*goal) > self.tree.work(self.tip()));
        if goal == Some(current) {
            return;
        }
        let Some(goal) = goal else {
            self.path = ChainPath::default();
            return;
        };
        // The new goal is usually built on the old one.
        let mut above = Vec::new();
        let mut block = goal;
        while !self.is_best(block) && block != current {
            above.push(block);
            block = self.tree.parent(block);
        }
        if block != current || self.is_best(block) {
            self.path = ChainPath::default();
        }
        self.path.blocks.extend(above.into_iter().rev());
        self.count_ready();
    }

    fn count_ready(&mut self) {
        let before = self.path.ready;
        let ChainPath { blocks, ready } = &mut self.path;
        *ready += blocks.range(*ready..).take_while(|block| self.tree.has_body(**block)).count();
        for position in before..self.path.ready {
            self.store_aside(self.path.blocks[position]);
        }
    }

    /// Moves along the path: disconnects and connects a bounded number of blocks.
    pub(crate) fn advance(&mut self) -> ChainAdvance {
        let mut progress = ChainAdvance::default();
        let mut units = 0;
        while let Some(&next) = self.path.blocks.front() {
            if units >= CONNECT_UNITS_PER_CALL {
                progress.unfinished = true;
                break;
            }
            let top = self.top();
            let blocked = if top != self.tree.parent(next) {
                if self.reorganisation.is_none() && !self.path_is_worth_it() {
                    break;
                }
                if self.reorganisation.is_none() && !progress.connected.is_empty() {
                    // Completed moves are reported first.
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

    /// Whether the bodies at the front of the path lead to more work than the tip has, by enough.
    fn path_is_worth_it(&self) -> bool {
        let last = self.path.ready.checked_sub(1).map(|last| self.path.blocks[last]);
        last.is_some_and(|last| self.tree.work(last) > self.tree.work(self.tip()) && !self.waits(last))
    }

    fn disconnect(&mut self, top: BlockRef, progress: &mut ChainAdvance, units: &mut usize) -> Result<(), Missing> {
        let Some(Cached { block, delta: Some(delta) }) = self.bodies.get(top).cloned() else { return Err(Missing) };
        assert!(self.checkpoint != Some(top), "every path contains the checkpoint");
        self.ledger.revert(&delta);
        self.best.pop();
        self.held_writes.push(Write::Disconnect { place: self.tree.place(top), delta: delta.clone() });
        *units += 1 + block.transactions().len();
        self.note_left(top, block, &delta);
        progress.undone.push(delta);
        Ok(())
    }

    fn connect(&mut self, next: BlockRef, progress: &mut ChainAdvance, units: &mut usize) -> Result<(), Missing> {
        let Some(Cached { block, .. }) = self.bodies.get(next).cloned() else { return Err(Missing) };
        *units += 1 + block.transactions().len();
        let (tree, best) = (&self.tree, &self.best);
        self.history.cut_to(best.len() as u64, |height| tree.history_node(best[height as usize]));
        let context = check_context(block.context(), self.history.peaks());
        let delta = match context.and_then(|()| self.ledger.connect(&block, &self.network)) {
            Ok(delta) => Arc::new(delta),
            Err(violation) => {
                progress.refused.push((self.tree.place(next), violation));
                self.condemn(next);
                self.set_goal(self.stored_better);
                return Ok(());
            }
        };
        self.ledger.apply(&delta);
        self.best.push(next);
        self.history.push(self.tree.history_node(next));
        self.path.blocks.pop_front();
        self.path.ready -= 1;
        let write = Write::Connect { place: self.tree.place(next), delta: delta.clone() };
        if self.reorganisation.is_some() {
            self.held_writes.push(write);
        } else {
            self.writes.push(write);
        }
        self.bodies.insert(next, Cached { block: block.clone(), delta: Some(delta.clone()) });
        self.note_connected(next, &block, progress);
        progress.connected.push((block, delta));
        self.end_reorganisation(next, progress);
        if self.stored_better.is_some_and(|better| self.tree.work(better) <= self.tree.work(self.tip())) {
            self.stored_better = None;
        }
        Ok(())
    }

    /// The blocks without which the path cannot continue: at the tip to be disconnected, or on the path to be
    /// connected.
    fn missing(&self) -> Vec<Place> {
        let next = *self.path.blocks.front().expect("only a path can be blocked");
        let fork_height = self.tree.height(next).0 - 1;
        let places = |blocks: &mut dyn Iterator<Item = BlockRef>| {
            blocks.take(LOAD_BLOCKS_MAX).map(|block| self.tree.place(block)).collect()
        };
        if self.tree.height(self.top()).0 > fork_height {
            let undoable = |block: &BlockRef| self.bodies.get(*block).is_some_and(|cached| cached.delta.is_some());
            let above_fork = self.best[fork_height as usize + 1..].iter().rev().copied();
            places(&mut above_fork.skip_while(undoable))
        } else {
            let cached = |block: &BlockRef| self.bodies.get(*block).is_some();
            places(&mut self.path.blocks.range(..self.path.ready).copied().skip_while(cached))
        }
    }

    /// The writes since the last call. Those of a reorganisation are returned together, when it is done.
    pub(crate) fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    fn find_stored_better(&mut self) {
        let mut best = None;
        for block in self.tree.iter().rev() {
            if self.is_stored_and_better(block, best) {
                best = Some(block);
            }
        }
        self.set_stored_better(best);
    }

    /// Whether a block has more work than the tip and than another block, may be followed, and has stored bodies all
    /// the way from the best chain.
    fn is_stored_and_better(&self, block: BlockRef, other: Option<BlockRef>) -> bool {
        let work = self.tree.work(block);
        if self.tree.is_barred(block) {
            return false;
        }
        if work <= self.tree.work(self.tip()) || other.is_some_and(|other| work <= self.tree.work(other)) {
            return false;
        }
        let mut block = block;
        while !self.is_best(block) {
            if !self.tree.has_body(block) || self.tree.is_condemned(block) {
                return false;
            }
            block = self.tree.parent(block);
        }
        true
    }
}

/// A block has to be loaded before the chain can move on.
struct Missing;
