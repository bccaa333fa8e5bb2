//! Reads all headers at startup: one thread reads the rows, another one hashes them.
//!
//! The second thread allocates nothing. Allocators keep freed memory for the thread that allocated it: if both threads
//! read, the database's page cache would be spread over both, with gaps that nobody else can use.

use std::thread::{Builder, scope};

use crossbeam_channel::{Receiver, Sender, bounded};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::tables::{EncodedHeader, HEADERS, PlaceKey, parse_header_row, place_of};
use crate::engine::event::StoredHeader;

/// No memory is reserved for more headers than this, whatever the table claims.
const HEADERS_EXPECTED_MAX: usize = 1 << 22;
/// Rows handed over together, about half a MiB.
const ROWS_TOGETHER: usize = 4_096;
/// Batches of them that may wait for the second thread.
const BATCHES_WAITING_MAX: usize = 4;

type HeaderRows = Vec<(PlaceKey, EncodedHeader)>;

/// All headers. A block may have been stored before its parent, which never came.
pub(super) fn read_headers(transaction: &ReadTransaction) -> Result<Vec<StoredHeader>, redb::Error> {
    let expected = usize::try_from(transaction.open_table(HEADERS)?.len()?).unwrap_or(0).min(HEADERS_EXPECTED_MAX);
    let headers = Vec::with_capacity(expected);
    let (sender, receiver) = bounded(BATCHES_WAITING_MAX);
    scope(|scope| {
        let parser = Builder::new().name("quipu-start".to_owned()).spawn_scoped(scope, || parse(receiver, headers))?;
        let read = read_rows(transaction, &sender);
        drop(sender);
        let parsed = parser.join().expect("rows of any content are parsed or refused");
        // A row that was refused came before one that could not be read.
        parsed.and_then(|headers| read.map(|()| headers))
    })
}

/// Hands over all rows, in order, until the parser refuses one.
fn read_rows(transaction: &ReadTransaction, sender: &Sender<HeaderRows>) -> Result<(), redb::Error> {
    let mut rows = HeaderRows::with_capacity(ROWS_TOGETHER);
    for row in transaction.open_table(HEADERS)?.iter()? {
        let (key, row) = row?;
        rows.push((*key.value(), *row.value()));
        if rows.len() == ROWS_TOGETHER
            && sender.send(std::mem::replace(&mut rows, HeaderRows::with_capacity(ROWS_TOGETHER))).is_err()
        {
            return Ok(());
        }
    }
    // A parser that has stopped reports the reason itself.
    let _ = sender.send(rows);
    Ok(())
}

fn parse(receiver: Receiver<HeaderRows>, mut headers: Vec<StoredHeader>) -> Result<Vec<StoredHeader>, redb::Error> {
    for (key, row) in receiver.into_iter().flatten() {
        let place = place_of(&key);
        let (header, condemned) = parse_header_row(&place, &row)?;
        headers.push(StoredHeader { id: place.id, header, condemned });
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase};

    use super::*;
    use crate::node::fixture::{Chain, place};
    use crate::node::store::open::{builder, fill};
    use crate::node::store::tables::{header_row, place_key};
    use crate::protocol::BlockId;

    /// A database with the headers of a chain; the mark of the one at height `damaged` is unknown.
    fn stored(chain: &Chain, damaged: Option<u64>) -> Database {
        let database = builder().create_with_backend(InMemoryBackend::new()).expect("memory");
        fill(&database, &chain.network).expect("filled");
        let transaction = database.begin_write().expect("a transaction");
        {
            let mut headers = transaction.open_table(HEADERS).expect("a table");
            for (block, _) in &chain.blocks {
                let mut row = header_row(&block.header().to_bytes(), false);
                if damaged == Some(block.header().height.0) {
                    *row.last_mut().expect("a mark") = 2;
                }
                headers.insert(&place_key(&place(block)), &row).expect("inserted");
            }
        }
        transaction.commit().expect("committed");
        database
    }

    fn ids(database: &Database) -> Result<Vec<BlockId>, redb::Error> {
        let headers = read_headers(&database.begin_read()?)?;
        Ok(headers.into_iter().map(|stored| stored.id).collect())
    }

    #[test]
    fn a_long_chain_is_read_in_order_and_no_damage_in_it_is_missed() {
        let mut chain = Chain::new(1);
        let together = ROWS_TOGETHER as u64;
        // More than may wait at once, so that the reader would wait for ever for a parser that has stopped.
        let blocks = together * (BATCHES_WAITING_MAX as u64 + 3) + 1;
        (0..blocks).for_each(|_| chain.mine(Vec::new()));
        let want: Vec<_> = chain.blocks.iter().map(|(block, _)| block.id()).collect();
        assert_eq!(ids(&stored(&chain, None)).expect("nothing is damaged"), want);
        for damaged in [1, together, together + 1, blocks] {
            let error = ids(&stored(&chain, Some(damaged))).expect_err("damaged");
            assert!(error.to_string().contains("its mark is unknown"), "{damaged}: {error}");
        }
    }
}
