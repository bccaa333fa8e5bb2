//! Side branches: what reorganisations have left in the store is bounded each time it is opened.
//!
//! A block is stored once its chain has more work than the best one, and stays when another chain replaces it. In between
//! two starts, side branches grow no faster than the best chain itself: each of them had more work than all before it.
//!
//! Always true: of each block that stays, the parent stays too.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::pieces::{Long, LongTable, read_long};
use super::tables::{BEST, BODIES, HEADERS, HEIGHTS, HEIGHTS_SEGMENT, PIECES, height_key, place_key};
use crate::engine::event::{Place, StoredHeader};
use crate::protocol::{BlockId, Work};

/// Encoded length of the bodies of side branches that are kept, in bytes.
pub(super) const SIDE_BYTES_MAX: u64 = 64 << 20;

/// A stored block that is not on the best chain.
struct SideBlock {
    place: Place,
    parent: BlockId,
    /// The work of the chain up to it. A block whose parent was never stored begins a chain of its own.
    work: Work,
    /// The most work of a chain that goes through it.
    branch_work: Work,
    bytes: u64,
}

/// Removes blocks of side branches until their bodies have at most `bytes_max` bytes: branches with the least work first,
/// each from its end. A branch with more work than the best chain stays. `headers` are all that are stored, in the order
/// of heights; those of removed blocks are taken out. Returns the number of removed blocks.
pub(super) fn prune(
    database: &Database,
    headers: &mut Vec<StoredHeader>,
    tip: &Place,
    bytes_max: u64,
) -> Result<usize, redb::Error> {
    if headers.len() as u64 == tip.height.0 {
        return Ok(0);
    }
    let (mut sides, best_work) = side_blocks(&database.begin_read()?, headers)?;
    let mut bytes: u64 = sides.iter().map(|side| side.bytes).sum();
    sides.retain(|side| side.branch_work <= best_work);
    sides.sort_by_key(|side| (side.branch_work, Reverse(side.work)));
    let removed: Vec<Place> = sides
        .into_iter()
        .take_while(|side| {
            let is_over = bytes > bytes_max;
            bytes -= side.bytes;
            is_over
        })
        .map(|side| side.place)
        .collect();
    if removed.is_empty() {
        return Ok(0);
    }
    remove(database, &removed)?;
    let ids: HashSet<BlockId> = removed.iter().map(|place| place.id).collect();
    headers.retain(|stored| !ids.contains(&stored.id));
    tracing::info!(blocks = removed.len(), "removed old side branches from the disk");
    Ok(removed.len())
}

/// All blocks beside the best chain, and the work of that.
fn side_blocks(transaction: &ReadTransaction, headers: &[StoredHeader]) -> Result<(Vec<SideBlock>, Work), redb::Error> {
    let (bodies, pieces) = (transaction.open_table(BODIES)?, transaction.open_table(PIECES)?);
    let mut body = Vec::new();
    let best_table = transaction.open_table(BEST)?;
    let mut best_ids = best_table.iter()?;
    let mut next_best = move || best_ids.next().transpose().map(|row| row.map(|(_, id)| BlockId(*id.value())));
    let mut sides: Vec<SideBlock> = Vec::new();
    let mut places: HashMap<BlockId, usize> = HashMap::new();
    // The best block of the height below, with the work up to it, and the one of this height.
    let (mut best, mut best_work, mut below) = (next_best()?, Work::ZERO, None);
    let mut height = 0;
    let mut here = None;
    for StoredHeader { id, header, .. } in headers {
        if header.height.0 != height {
            below = here.take().filter(|_| header.height.0 == height + 1);
            height = header.height.0;
        }
        if best == Some(*id) {
            best_work = best_work + header.target.work();
            (here, best) = (Some((*id, best_work)), next_best()?);
            continue;
        }
        let of_parent = match below {
            Some((best, work)) if best == header.parent => work,
            _ => places.get(&header.parent).map_or(Work::ZERO, |at| sides[*at].work),
        };
        let place = Place { height: header.height, id: *id };
        body.clear();
        read_long(Long::Bodies, &bodies, &pieces, &place_key(&place), &mut body)?;
        let bytes = body.len() as u64;
        let work = of_parent + header.target.work();
        places.insert(*id, sides.len());
        sides.push(SideBlock { place, parent: header.parent, work, branch_work: work, bytes });
    }
    for at in (0..sides.len()).rev() {
        if let Some(parent) = places.get(&sides[at].parent) {
            sides[*parent].branch_work = sides[*parent].branch_work.max(sides[at].branch_work);
        }
    }
    Ok((sides, best_work))
}

fn remove(database: &Database, places: &[Place]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut headers = transaction.open_table(HEADERS)?;
        let mut bodies = LongTable::open(&transaction, Long::Bodies)?;
        let mut heights = transaction.open_table(HEIGHTS)?;
        for place in places {
            headers.remove(&place_key(place))?;
            bodies.remove(&place_key(place))?;
            heights.remove(&height_key(place.height.0 / HEIGHTS_SEGMENT, &place.id))?;
        }
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::event::{Stored, Write};
    use crate::node::fixture::{Chain, batch, place};
    use crate::node::store::{FolderLock, Store};
    use crate::protocol::block::HEADER_BYTES;
    use crate::protocol::{Action, Address, Millis};

    const RECORD_BYTES: usize = 1_000;

    /// Adds blocks with a record each.
    fn grow(chain: &mut Chain, blocks: usize, later: u64) {
        for _ in 0..blocks {
            let nonce = chain.ledger.account(&chain.address()).nonce;
            let record = chain.signed(&chain.key, nonce, Action::Record { data: vec![1; RECORD_BYTES].into() });
            chain.mine_for(Address([5; 20]), Millis(later), vec![record]);
        }
    }

    fn chain(common: usize, blocks: usize, later: u64) -> Chain {
        let mut chain = Chain::new(1);
        grow(&mut chain, common, 0);
        grow(&mut chain, blocks, later);
        chain
    }

    /// A store with a best chain of 10 blocks, and beside it branches above its second block.
    fn stored(folder: &std::path::Path, best: &Chain, sides: &[Chain]) -> (Store, Stored) {
        let open = || {
            let lock = FolderLock::acquire(folder, "test").expect("free");
            Store::open(lock, &best.network).expect("a store")
        };
        let (mut store, _) = open();
        let mut writes = best.writes_above(0);
        for side in sides {
            writes.extend(side.blocks[2..].iter().map(|(block, _)| Write::Block(Arc::clone(block))));
        }
        store.write(&[batch(1, writes)]).expect("written");
        drop(store);
        open()
    }

    fn kept(side: &Chain, headers: &[StoredHeader]) -> usize {
        let is_kept = |id: &BlockId| headers.iter().any(|stored| stored.id == *id);
        let kept = side.blocks[2..].iter().take_while(|(block, _)| is_kept(&block.id())).count();
        let all = side.blocks[2..].iter().filter(|(block, _)| is_kept(&block.id())).count();
        assert_eq!(kept, all, "a branch loses its end first");
        kept
    }

    #[test]
    fn the_branches_with_the_least_work_go_first_and_each_from_its_end() {
        let best = chain(2, 8, 0);
        let sides = [chain(2, 5, 1), chain(2, 3, 2), chain(2, 7, 3)];
        let body = (best.blocks[5].0.length() - HEADER_BYTES) as u64;
        for (bodies_max, want) in [(100, [5, 3, 7]), (14, [5, 2, 7]), (10, [3, 0, 7]), (2, [0, 0, 2]), (0, [0, 0, 0])] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let (mut store, mut stored) = stored(folder.path(), &best, &sides);
            let database = store.files.database();
            let removed =
                prune(database, &mut stored.headers, &best.tip(), bodies_max * body + body / 2).expect("pruned");
            assert_eq!(sides.each_ref().map(|side| kept(side, &stored.headers)), want, "{bodies_max} bodies");
            assert_eq!(removed, 15 - want.iter().sum::<usize>());
            // The headers that were read are those that are stored, and removed blocks can be stored again.
            let back = sides[1].blocks[2..].iter().map(|(block, _)| Write::Block(Arc::clone(block))).collect();
            store.write(&[batch(2, back)]).expect("written");
            drop(store);
            let lock = FolderLock::acquire(folder.path(), "test").expect("free");
            let (store, again) = Store::open(lock, &best.network).expect("a store");
            let counts = sides.each_ref().map(|side| kept(side, &again.headers));
            assert_eq!((counts, again.tip), ([want[0], 3, want[2]], Some(best.tip().id)));
            let places = sides[1].blocks[2..].iter().map(|(block, _)| place(block)).collect::<Vec<_>>();
            assert_eq!(store.reader().load(&places).expect("all are there").len(), 3);
        }
    }

    #[test]
    fn a_branch_with_more_work_stays() {
        let (best, side) = (chain(2, 3, 0), chain(2, 4, 1));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sides = [side];
        let (store, mut stored) = stored(folder.path(), &best, &sides);
        assert_eq!(prune(store.files.database(), &mut stored.headers, &best.tip(), 0).expect("nothing to do"), 0);
        assert_eq!(kept(&sides[0], &stored.headers), 4);
    }
}
