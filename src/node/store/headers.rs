//! Reading all headers back at a start, and comparing them with the best chain. On all cores: the heights are cut into
//! ranges, and each is read by a thread of its own.
//!
//! Always true: what is returned does not depend on how many cores there are.

use std::ops::RangeInclusive;
use std::thread::{Builder, ScopedJoinHandle, available_parallelism, scope};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::tables::{BEST, HEADERS, PlaceKey, damaged, parse_header_row, place_key, place_of};
use crate::engine::event::{Place, StoredHeader};
use crate::node::thread::catch;
use crate::protocol::{Account, Address, BlockId, Height, Network};

/// A table that claims more rows gets no memory for them before they are seen.
const HEADERS_EXPECTED_MAX: usize = 1 << 22;
/// Fewer rows than this are read before another thread has begun.
const ROWS_PER_THREAD_MIN: u64 = 4_096;

/// All headers. A block may have been stored before its parent, which never came.
pub(super) fn read_headers(transaction: &ReadTransaction) -> Result<Vec<StoredHeader>, redb::Error> {
    let table = transaction.open_table(HEADERS)?;
    let rows = table.len()?;
    let top = table.last()?.map_or(Height::GENESIS, |(key, _)| place_of(key.value()).height);
    let parts = on_all_cores(rows, top.0, |heights| {
        // The lowest range's list takes in all others.
        let expected =
            if *heights.start() == 0 { usize::try_from(rows).unwrap_or(0).min(HEADERS_EXPECTED_MAX) } else { 0 };
        let mut headers = Vec::with_capacity(expected);
        let [first, last] = [(*heights.start(), 0), (*heights.end(), u8::MAX)]
            .map(|(height, byte)| place_key(&Place { height: Height(height), id: BlockId([byte; 32]) }));
        for row in table.range::<&PlaceKey>(&first..=&last)? {
            let (key, row) = row?;
            let place = place_of(key.value());
            let (header, condemned) = parse_header_row(&place, row.value())?;
            headers.push(StoredHeader { id: place.id, header, condemned });
        }
        Ok(headers)
    })?;
    Ok(parts
        .into_iter()
        .reduce(|mut lower, mut higher| {
            lower.append(&mut higher);
            lower
        })
        .unwrap_or_default())
}

/// The tables agree with each other: the best chain is whole, and its blocks have made exactly the coins there are.
pub(super) fn check_chain(
    transaction: &ReadTransaction,
    headers: &[StoredHeader],
    tip: &Place,
    accounts: &[(Address, Account)],
    network: &Network,
) -> Result<(), redb::Error> {
    let table = transaction.open_table(BEST)?;
    on_all_cores(table.len()?, tip.height.0, |heights| {
        // Both are in the order of heights, so one pass over the headers finds them all.
        let mut rest = headers[headers.partition_point(|stored| stored.header.height.0 < *heights.start())..].iter();
        let mut parent = match table.range(..*heights.start())?.next_back() {
            Some(below) => BlockId(*below?.1.value()),
            None => network.genesis_id(),
        };
        for row in table.range(heights)? {
            let (at, id) = row?;
            parent = match rest.find(|stored| stored.id.as_bytes() == id.value()) {
                Some(StoredHeader { id, header, .. }) if header.parent == parent && at.value() == header.height.0 => {
                    *id
                }
                _ => return Err(damaged(tip, &"the chain below is broken")),
            };
        }
        Ok(())
    })?;
    let coins: u128 = accounts.iter().map(|(_, account)| u128::from(account.balance.units())).sum();
    let subsidies = u128::from(network.parameters().subsidy.units()) * u128::from(tip.height.0);
    if coins != subsidies {
        return Err(damaged(tip, &"the accounts do not add up"));
    }
    Ok(())
}

/// What `read` makes of the heights up to `top`, about evenly spread over `rows` rows: in order, one for each range that
/// they were cut into. The ranges hold all heights, also those above. Of several errors, it is the lowest range's.
fn on_all_cores<T: Send>(
    rows: u64,
    top: u64,
    read: impl Fn(RangeInclusive<u64>) -> Result<T, redb::Error> + Sync,
) -> Result<Vec<T>, redb::Error> {
    let cores = available_parallelism().map_or(1, usize::from) as u64;
    let ranges = ranges(top, cores.min(rows / ROWS_PER_THREAD_MIN));
    let (first, others) = ranges.split_first().expect("there is at least one range");
    let read = &read;
    scope(|scope| {
        let others = others.iter().map(|range| {
            let body = || read(range.clone());
            // A damaged file can make redb panic, which is told as on the thread that started this one.
            let last_words = || "the database is damaged: it cannot even be closed".to_owned();
            let thread = Builder::new().name("quipu-start".to_owned());
            thread.spawn_scoped(scope, move || catch(last_words(), body).map_err(redb::Error::Corrupted).flatten())
        });
        let others: Vec<ScopedJoinHandle<_>> = others.collect::<Result<_, _>>()?;
        let first = read(first.clone());
        let others = others.into_iter().map(|thread| thread.join().expect("its panics are caught"));
        std::iter::once(first).chain(others).collect()
    })
}

/// Cuts all heights into so many ranges (at least one), as long as each other up to `top`.
fn ranges(top: u64, count: u64) -> Vec<RangeInclusive<u64>> {
    let count = count.min(top).max(1);
    let length = top / count;
    let start = |number: u64| number * length;
    (0..count).map(|number| start(number)..=if number + 1 < count { start(number + 1) - 1 } else { u64::MAX }).collect()
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase};

    use super::*;
    use crate::node::fixture::{Chain, place};
    use crate::node::store::open::{builder, fill, tip_of};
    use crate::node::store::tables::header_row;

    /// A database with the headers of a chain, but for those that `change` leaves out or replaces.
    fn stored(chain: &Chain, change: impl Fn(&Place) -> Option<BlockId>) -> Database {
        let database = builder().create_with_backend(InMemoryBackend::new()).expect("memory");
        fill(&database, &chain.network).expect("filled");
        let transaction = database.begin_write().expect("a transaction");
        {
            let mut headers = transaction.open_table(HEADERS).expect("a table");
            let mut best = transaction.open_table(BEST).expect("a table");
            for (block, _) in &chain.blocks {
                let place = place(block);
                headers.insert(&place_key(&place), &header_row(&block.header().to_bytes(), false)).expect("inserted");
                if let Some(id) = change(&place) {
                    best.insert(place.height.0, id.as_bytes()).expect("inserted");
                }
            }
        }
        transaction.commit().expect("committed");
        database
    }

    /// The ids of all headers, if the best chain is whole.
    fn ids(chain: &Chain, database: &Database) -> Result<Vec<BlockId>, redb::Error> {
        let transaction = database.begin_read()?;
        let (headers, tip) = (read_headers(&transaction)?, tip_of(&transaction, &chain.network)?);
        let accounts = [(chain.address(), chain.ledger.account(&chain.address()))];
        check_chain(&transaction, &headers, &tip, &accounts, &chain.network)?;
        Ok(headers.into_iter().map(|stored| stored.id).collect())
    }

    #[test]
    fn a_long_chain_is_read_in_order_and_no_gap_in_it_is_missed() {
        let mut chain = Chain::new(1);
        let blocks = 2 * ROWS_PER_THREAD_MIN + 1;
        (0..blocks).for_each(|_| chain.mine(Vec::new()));
        let whole = stored(&chain, |place| Some(place.id));
        let want: Vec<_> = chain.blocks.iter().map(|(block, _)| block.id()).collect();
        assert_eq!(ids(&chain, &whole).expect("nothing is missing"), want);

        let middle = blocks / 2;
        for bad in [1, middle - 1, middle, middle + 1, blocks] {
            let of_bad = |place: &Place, id| if place.height.0 == bad { id } else { Some(place.id) };
            let gap = stored(&chain, |place| of_bad(place, None));
            let other = stored(&chain, |place| of_bad(place, Some(BlockId([1; 32]))));
            for database in [gap, other] {
                let error = ids(&chain, &database).expect_err("damaged");
                assert!(matches!(error, redb::Error::Corrupted(_)), "{bad}: {error}");
            }
        }
    }

    #[test]
    fn ranges_hold_every_height_once() {
        for (top, count) in [(0, 0), (0, 2), (1, 2), (10, 3), (1_000_000, 2), (u64::MAX, 7)] {
            let ranges = ranges(top, count);
            assert_eq!(ranges.len() as u64, count.min(top).max(1), "{top} {count}");
            assert_eq!((*ranges[0].start(), ranges.last().map(|last| *last.end())), (0, Some(u64::MAX)));
            assert!(ranges.windows(2).all(|pair| pair[0].end() + 1 == *pair[1].start()), "{ranges:?}");
            assert!(ranges.iter().all(|range| !range.is_empty()), "{ranges:?}");
        }
    }

    #[test]
    fn results_are_in_order_and_panics_are_errors() {
        let rows = 1 << 20;
        let starts = on_all_cores(rows, rows, |range| Ok(*range.start())).expect("nothing fails");
        assert!(starts.is_sorted() && starts[0] == 0);
        // On a machine with one core there is one range, whose panic is caught further out.
        if starts.len() > 1 {
            let read = |range: RangeInclusive<u64>| if *range.start() > 0 { panic!("page {}", 7) } else { Ok(()) };
            let error = on_all_cores(rows, rows, read).expect_err("a thread panicked");
            assert!(matches!(&error, redb::Error::Corrupted(detail) if detail == "page 7"), "{error}");
        }
    }
}
