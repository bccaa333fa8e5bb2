//! Databases of other versions.

use redb::Database;

use super::super::pieces::{self, Long, PIECE_BYTES};
use super::super::tables::{BODIES, META_SCHEMA, PIECES, SCHEMA, SCHEMA_MIN, UNDO, place_key};
use super::*;
use crate::protocol::{Action, Address, Millis};

#[test]
fn a_newer_form_is_refused() {
    let folder = folder();
    let chain = filled(folder.path());
    set_meta(folder.path(), META_SCHEMA, Some(&(SCHEMA + 1).to_le_bytes()));
    let error = open(folder.path(), &chain.network).expect_err("newer");
    assert_eq!(error.code(), "database_too_new");
}

#[test]
fn an_older_form_is_named_and_left_alone() {
    let folder = folder();
    let chain = filled(folder.path());
    set_meta(folder.path(), META_SCHEMA, Some(&(SCHEMA_MIN - 1).to_le_bytes()));
    let error = open(folder.path(), &chain.network).expect_err("older");
    assert_eq!(error.code(), "database_too_old");
    assert!(error.to_string().contains("an older quipu") && error.to_string().contains("--data-dir"), "{error}");
    assert_eq!(meta(folder.path(), META_SCHEMA), Some((SCHEMA_MIN - 1).to_le_bytes().to_vec()));
    set_meta(folder.path(), META_SCHEMA, Some(&SCHEMA.to_le_bytes()));
    let (_store, stored) = open(folder.path(), &chain.network).expect("a store");
    assert_eq!(stored.tip, Some(chain.tip().id));
}

/// Makes it what version 3 wrote: each value in one row.
fn join_pieces(folder: &Path, chain: &Chain) {
    let database = Database::open(folder.join("chain.redb")).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    {
        let more = transaction.open_table(PIECES).expect("a table");
        for (long, table) in [(Long::Bodies, BODIES), (Long::Undo, UNDO)] {
            let mut first = transaction.open_table(table).expect("a table");
            for (block, _) in &chain.blocks {
                let key = place_key(&place(block));
                let mut value = Vec::new();
                assert!(pieces::read_long(long, &first, &more, &key, &mut value).expect("readable"));
                first.insert(&key, value.as_slice()).expect("written");
            }
        }
    }
    transaction.delete_table(PIECES).expect("deleted");
    transaction.commit().expect("committed");
    drop(database);
    set_meta(folder, META_SCHEMA, Some(&3_u32.to_le_bytes()));
}

#[test]
fn version_3_had_no_pieces_and_goes_on() {
    let folder = folder();
    let mut chain = Chain::new(1);
    chain.mine(vec![]);
    let long = |chain: &mut Chain| {
        let first = chain.ledger.account(&chain.address()).nonce;
        let record = |nonce| chain.signed(&chain.key, nonce, Action::Record { data: vec![7; 4_000].into() });
        let records = (first..first + 9).map(record).collect();
        chain.mine_for(Address([5; 20]), Millis(0), records);
    };
    long(&mut chain);
    store(folder.path(), &chain).write(&[batch(1, chain.writes_above(0))]).expect("written");
    join_pieces(folder.path(), &chain);

    long(&mut chain);
    for _ in 0..2 {
        let (mut store, stored) = open(folder.path(), &chain.network).expect("it goes on");
        if stored.headers.len() == 2 {
            store.write(&[batch(1, chain.writes_above(2))]).expect("written");
        }
        let places: Vec<_> = chain.blocks.iter().map(|(block, _)| place(block)).collect();
        let encoded = store.reader().encoded_blocks(&places, usize::MAX).expect("readable");
        let want: Vec<_> = chain.blocks.iter().map(|(block, _)| encode(&**block)).collect();
        assert!(want[2].len() > 2 * PIECE_BYTES);
        assert_eq!(encoded, want);
        let loaded = store.reader().load(&places).expect("readable");
        assert!(loaded.iter().zip(&chain.blocks).all(|(loaded, (block, _))| loaded.block.id() == block.id()));
    }
    assert_eq!(meta(folder.path(), META_SCHEMA), Some(SCHEMA.to_le_bytes().to_vec()));
}
