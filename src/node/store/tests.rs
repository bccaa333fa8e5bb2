use super::*;
use crate::engine::event::{Place, Write};
use crate::node::fixture::{Chain, batch, place};
use crate::protocol::encode::encode;
use crate::protocol::{BlockId, Parameters};
use crate::random::Random;
use redb::ReadableDatabase;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

mod schema;

fn open(folder: &Path, network: &Arc<Network>) -> Result<(Store, Stored), StoreError> {
    Store::open(FolderLock::acquire(folder, "test")?, network)
}

fn store(folder: &Path, chain: &Chain) -> Store {
    open(folder, &chain.network).expect("a store").0
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A chain in which a block has a transaction, and that chain stored.
fn filled(folder: &Path) -> Chain {
    let mut chain = Chain::new(1);
    chain.mine(vec![]);
    chain.mine(vec![]);
    chain.mine(vec![chain.transfer(0)]);
    store(folder, &chain).write(&[batch(1, chain.writes_above(0))]).expect("written");
    chain
}

#[test]
fn a_new_store_is_empty_and_stays_so() {
    let (folder, chain) = (folder(), Chain::new(1));
    for _ in 0..2 {
        let (store, stored) = open(folder.path(), &chain.network).expect("a store");
        assert!(stored.headers.is_empty() && stored.accounts.is_empty() && stored.pending.is_empty());
        assert_eq!(stored.tip, None);
        let snapshot = store.reader().snapshot().expect("readable");
        assert_eq!(snapshot.tip(), chain.tip());
        assert_eq!(snapshot.block_at(Height(0)).expect("readable"), Some(chain.network.genesis().clone()));
    }
}

#[test]
fn what_is_written_is_there_after_a_restart() {
    let folder = folder();
    let chain = filled(folder.path());
    let (store, stored) = open(folder.path(), &chain.network).expect("a store");
    assert_eq!(stored.tip, Some(chain.tip().id));
    let headers: Vec<_> = stored.headers.iter().map(|stored| (stored.id, stored.header, stored.condemned)).collect();
    let want: Vec<_> = chain.blocks.iter().map(|(block, _)| (block.id(), *block.header(), false)).collect();
    assert_eq!(headers, want);
    assert_eq!(stored.accounts.len(), chain.ledger.len());
    for (address, account) in stored.accounts {
        assert_eq!(account, chain.ledger.account(&address));
    }

    let reader = store.reader();
    let places: Vec<_> = chain.blocks.iter().map(|(block, _)| place(block)).collect();
    let loaded = reader.load(&places).expect("readable");
    for (loaded, (block, delta)) in loaded.iter().zip(&chain.blocks) {
        assert_eq!((&loaded.block, loaded.delta.as_ref()), (block, Some(delta)));
    }
    let encoded = reader.encoded_blocks(&places, usize::MAX).expect("readable");
    assert_eq!(encoded, chain.blocks.iter().map(|(block, _)| encode(block.as_ref())).collect::<Vec<_>>());
}

#[test]
fn a_response_stops_at_its_limit_but_is_never_empty() {
    let folder = folder();
    let chain = filled(folder.path());
    let reader = store(folder.path(), &chain).reader();
    assert!(matches!(reader.encoded_blocks(&[], 0), Err(StoreError::Closed)), "the store is gone");

    let store = store(folder.path(), &chain);
    let reader = store.reader();
    let places: Vec<_> = chain.blocks.iter().map(|(block, _)| place(block)).collect();
    let length = |index: usize| chain.blocks[index].0.length();
    let count = |bytes_max| reader.encoded_blocks(&places, bytes_max).expect("readable").len();
    assert_eq!(count(0), 1);
    assert_eq!(count(length(0) + length(1) - 1), 1);
    assert_eq!(count(length(0) + length(1)), 2);
    let unknown = Place { height: Height(1), id: chain.tip().id };
    assert!(reader.encoded_blocks(&[unknown], 100).expect("readable").is_empty());
    assert!(reader.load(&[unknown]).is_err());
}

#[test]
fn blocks_are_found_by_the_digits_that_are_shown() {
    let folder = folder();
    let chain = filled(folder.path());
    let store = store(folder.path(), &chain);
    let snapshot = store.reader().snapshot().expect("readable");
    let digits = |id: &BlockId| u32::from_str_radix(&id.short(), 16).expect("eight hex digits");
    let genesis = chain.network.genesis_id();
    for id in chain.blocks.iter().map(|(block, _)| block.id()).chain([genesis]) {
        assert_eq!(snapshot.ids_shown_as(digits(&id)).expect("readable"), [id]);
        assert_eq!(snapshot.ids_shown_as(digits(&id) ^ 1).expect("readable"), []);
    }
    for (block, _) in &chain.blocks {
        let id = block.id().to_string();
        let shown = id.trim_start_matches('0');
        for part in [&id[..], &id[..20], &shown[..10], shown] {
            assert_eq!(snapshot.ids_from(part, 9).expect("readable"), [block.id()], "{part}");
        }
    }
    let all = snapshot.ids_from("", 9_999).expect("readable");
    assert_eq!(snapshot.ids_from("", 2).expect("readable"), all[..2]);
    for bad in ["g", &"0".repeat(65)] {
        assert_eq!(snapshot.ids_from(bad, 9).expect("readable"), [], "{bad}");
    }
}

#[test]
fn ids_of_any_difficulty_are_between_their_bounds() {
    for zeros in [0, 1, 7, 56] {
        let (first, last) = read::ids_with(zeros, "12345678").expect("digits");
        assert_eq!((first.short(), last.short()), ("12345678".to_owned(), "12345678".to_owned()));
        assert!(first <= last && (zeros == 56) == (first == last), "{first} {last}");
    }
}

#[test]
fn a_reorganisation_in_one_commit_or_in_many() {
    let (mut old, mut new) = (Chain::new(1), Chain::new(2));
    (0..3).for_each(|_| old.mine(vec![]));
    (0..4).for_each(|_| new.mine(vec![]));
    let steps = [old.writes_above(0), old.undo_above(0), new.writes_above(0)];
    for one_commit in [true, false] {
        let folder = folder();
        let mut store = store(folder.path(), &old);
        let batches: Vec<_> =
            steps.iter().cloned().zip(1..).map(|(writes, sequence)| batch(sequence, writes)).collect();
        if one_commit {
            store.write(&batches).expect("written");
        } else {
            batches.into_iter().for_each(|batch| store.write(&[batch]).expect("written"));
        }
        let reader = store.reader();
        let snapshot = reader.snapshot().expect("readable");
        assert_eq!(snapshot.tip(), new.tip());
        let (lost, won) = (place(&old.blocks[0].0), place(&new.blocks[0].0));
        let is_best = |place: Place| snapshot.block(&place.id).expect("readable").expect("still stored").1;
        assert_eq!((is_best(lost), is_best(won)), (false, true));
        let loaded = reader.load(&[lost, won]).expect("readable");
        assert_eq!((loaded[0].delta.is_some(), loaded[1].delta.is_some()), (false, true));
        assert_eq!(snapshot.block_at(Height(5)).expect("readable"), None);

        drop((snapshot, store));
        let (_, stored) = open(folder.path(), &old.network).expect("a store");
        assert_eq!((stored.tip, stored.headers.len()), (Some(new.tip().id), 7));
        assert_eq!(stored.accounts, [(new.address(), new.ledger.account(&new.address()))]);
    }
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let (folder, mut chain) = (folder(), Chain::new(1));
    let mut store = store(folder.path(), &chain);
    chain.mine(vec![]);
    store.write(&[batch(1, chain.writes_above(0))]).expect("written");
    let snapshot = store.reader().snapshot().expect("readable");
    let before = chain.tip();
    chain.mine(vec![]);
    store.write(&[batch(2, chain.writes_above(1))]).expect("written");
    assert_eq!(snapshot.tip(), before);
    assert_eq!(snapshot.block_at(Height(2)).expect("readable"), None);
    assert_eq!(store.reader().snapshot().expect("readable").tip(), chain.tip());
}

#[test]
fn pending_transactions_keep_their_order() {
    let (folder, chain) = (folder(), Chain::new(1));
    let puts: Vec<_> = (0..20).map(|nonce| chain.transfer(nonce)).collect();
    let put = |range: std::ops::Range<usize>| puts[range].iter().cloned().map(Write::PutPending).collect::<Vec<_>>();
    store(folder.path(), &chain).write(&[batch(1, put(0..10))]).expect("written");
    let drops = [3, 12].map(|index: usize| Write::DropPending(puts[index].id())).to_vec();
    store(folder.path(), &chain).write(&[batch(2, put(10..20)), batch(3, drops)]).expect("written");
    let (_, stored) = open(folder.path(), &chain.network).expect("a store");
    let nonces: Vec<_> = stored.pending.iter().map(|signed| signed.transaction.nonce).collect();
    assert_eq!(nonces, (0..20).filter(|nonce| ![3, 12].contains(nonce)).collect::<Vec<_>>());
}

#[test]
fn a_condemned_block_stays_condemned() {
    let folder = folder();
    let chain = filled(folder.path());
    let place = place(&chain.blocks[1].0);
    store(folder.path(), &chain).write(&[batch(2, vec![Write::Condemn { place }])]).expect("written");
    let (_, stored) = open(folder.path(), &chain.network).expect("a store");
    assert_eq!(stored.headers.iter().map(|header| header.condemned).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn a_checkpoint_is_kept_replaced_and_removed() {
    let folder = folder();
    let chain = filled(folder.path());
    let stored = || open(folder.path(), &chain.network).expect("a store").1.checkpoint;
    assert_eq!(stored(), None);
    let place_at = |at: usize| Some(place(&chain.blocks[at].0));
    let genesis = Some(Place { height: Height::GENESIS, id: chain.network.genesis_id() });
    // Those of one commit come to the last of them.
    let steps = [vec![place_at(0)], vec![place_at(1)], vec![None, place_at(0), place_at(2)], vec![genesis], vec![]];
    let mut last = None;
    for (at, step) in steps.into_iter().enumerate() {
        last = step.last().copied().unwrap_or(last);
        let writes = step.into_iter().map(Write::Checkpoint).collect();
        store(folder.path(), &chain).write(&[batch(at as u64 + 2, writes)]).expect("written");
        assert_eq!(stored(), last, "{at}");
    }
    store(folder.path(), &chain).write(&[batch(9, vec![Write::Checkpoint(None)])]).expect("written");
    assert_eq!(stored(), None);
}

#[test]
fn a_checkpoint_comes_with_its_block_or_not_at_all() {
    let (folder, mut chain) = (folder(), Chain::new(1));
    (0..2).for_each(|_| chain.mine(vec![]));
    let checkpoint = Write::Checkpoint(Some(chain.tip()));
    let writes = [chain.writes_above(0), vec![checkpoint]].concat();
    store(folder.path(), &chain).write(&[batch(1, writes)]).expect("written");
    assert_eq!(open(folder.path(), &chain.network).expect("a store").1.checkpoint, Some(chain.tip()));
}

#[test]
fn a_checkpoint_off_the_best_chain_is_damage() {
    let folder = folder();
    let chain = filled(folder.path());
    let elsewhere = Place { height: Height(2), id: BlockId([7; 32]) };
    let too_high = Place { height: Height(9), id: chain.tip().id };
    for place in [elsewhere, too_high] {
        store(folder.path(), &chain).write(&[batch(2, vec![Write::Checkpoint(Some(place))])]).expect("written");
        let error = open(folder.path(), &chain.network).expect_err("damaged");
        assert_eq!(error.code(), "database_damaged");
        assert!(error.to_string().contains("checkpoint"), "{error}");
        set_meta(folder.path(), tables::META_CHECKPOINT, None);
    }
    set_meta(folder.path(), tables::META_CHECKPOINT, Some(&[1; 39]));
    assert_eq!(open(folder.path(), &chain.network).expect_err("too short").code(), "database_damaged");
}

/// Reads a row from outside.
fn meta(folder: &Path, key: &str) -> Option<Vec<u8>> {
    let database = Database::open(folder.join("chain.redb")).expect("a database");
    let meta = database.begin_read().expect("a transaction").open_table(META).expect("a table");
    meta.get(key).expect("readable").map(|row| row.value().to_vec())
}

/// Changes a row from outside.
fn set_meta(folder: &Path, key: &str, value: Option<&[u8]>) {
    let database = Database::open(folder.join("chain.redb")).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    let mut meta = transaction.open_table(META).expect("a table");
    match value {
        Some(value) => drop(meta.insert(key, value).expect("written")),
        None => drop(meta.remove(key).expect("written")),
    }
    drop(meta);
    transaction.commit().expect("committed");
}

#[test]
fn a_block_may_be_stored_before_its_parent() {
    let (folder, mut chain) = (folder(), Chain::new(1));
    (0..2).for_each(|_| chain.mine(vec![]));
    let child = Write::Block(Arc::clone(&chain.blocks[1].0));
    store(folder.path(), &chain).write(&[batch(1, vec![child])]).expect("written");
    let (_, stored) = open(folder.path(), &chain.network).expect("a store");
    assert_eq!((stored.headers.len(), stored.tip), (1, None));
}

#[test]
#[should_panic(expected = "a block is connected on top of the tip")]
fn a_gap_is_our_own_fault() {
    let (folder, mut chain) = (folder(), Chain::new(1));
    (0..2).for_each(|_| chain.mine(vec![]));
    let _ = store(folder.path(), &chain).write(&[batch(1, chain.writes_above(1))]);
}

#[test]
fn another_network_is_refused_and_both_are_named() {
    let folder = folder();
    filled(folder.path());
    let lan = Arc::new(Network::new(Parameters::lan()).expect("a preset is valid"));
    let error = open(folder.path(), &lan).expect_err("another network");
    assert_eq!(error.code(), "other_network");
    assert!(error.to_string().contains("'dev'") && error.to_string().contains("'lan'"), "{error}");
}

/// A store that was killed after some commits, in a folder of its own, and its chain.
fn killed() -> (tempfile::TempDir, Chain) {
    let (live, left, mut chain) = (folder(), folder(), Chain::new(1));
    let mut store = store(live.path(), &chain);
    for height in 0..3 {
        chain.mine(vec![]);
        store.write(&[batch(height as u64 + 1, chain.writes_above(height))]).expect("written");
    }
    store.copy_to(left.path()).expect("copied");
    (left, chain)
}

#[test]
fn a_killed_store_has_its_last_commit_and_one_closed_in_order_has_an_empty_journal() {
    let (folder, chain) = killed();
    let journal = folder.path().join("chain.journal");
    assert!(fs::metadata(&journal).expect("it is there").len() > 0);
    for _ in 0..2 {
        let (store, stored) = open(folder.path(), &chain.network).expect("a store");
        assert_eq!(stored.tip, Some(chain.tip().id));
        assert_eq!(stored.accounts, [(chain.address(), chain.ledger.account(&chain.address()))]);
        drop(store);
        assert_eq!(fs::metadata(&journal).expect("it is there").len(), 0);
        // It may be removed then.
        fs::remove_file(&journal).expect("it is there");
    }
}

#[test]
fn a_journal_that_is_missing_or_not_this_databases_is_damage() {
    let (other, _) = killed();
    for content in [None, Some(Vec::new()), Some(fs::read(other.path().join("chain.journal")).expect("readable"))] {
        let (folder, chain) = killed();
        let journal = folder.path().join("chain.journal");
        match content {
            Some(content) => fs::write(journal, content).expect("writable"),
            None => fs::remove_file(journal).expect("it is there"),
        }
        let error = open(folder.path(), &chain.network).expect_err("what is in the journal is lost");
        assert_eq!(error.code(), "database_damaged");
        assert!(error.to_string().contains("chain.journal"), "{error}");
    }
}

#[test]
fn a_damaged_journal_is_an_error_or_lacks_its_last_commit_alone() {
    let (folder, chain) = killed();
    let files = ["chain.redb", "chain.journal"].map(|name| folder.path().join(name));
    let [database, journal] = files.each_ref().map(|file| fs::read(file).expect("readable"));
    let used = journal.iter().rposition(|byte| *byte != 0).expect("it is not empty") + 1;
    let mut endings = BTreeMap::new();
    for at in 0..used {
        let mut flipped = journal.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&files[0], &database).expect("writable");
        fs::write(&files[1], &flipped).expect("writable");
        let ending = match open(folder.path(), &chain.network) {
            // The last one can't be told from one that was never finished.
            Ok((_, stored)) if stored.tip == Some(chain.blocks[1].0.id()) => "without the last",
            Ok((_, stored)) => {
                assert_eq!(stored.tip, Some(chain.tip().id), "byte {at}");
                "whole"
            }
            Err(error) => error.code(),
        };
        *endings.entry(ending).or_insert(0) += 1;
    }
    // Only what fills up records is not looked at.
    assert!(endings.get("whole").is_none_or(|bytes| *bytes < 3 * 8), "{endings:?}");
    assert!(endings["database_damaged"] > endings["without the last"], "{endings:?}");
}

/// The rest of an unfinished record does no harm, however often the store is killed before the next one.
#[test]
fn an_unfinished_record_is_forgotten_for_good() {
    let (torn, mut chain) = killed();
    let journal = torn.path().join("chain.journal");
    let mut bytes = fs::read(&journal).expect("readable");
    // Far behind its head.
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("it is not empty");
    bytes[end] ^= 1;
    fs::write(&journal, bytes).expect("writable");
    chain.blocks.pop();
    let mut last = torn;
    for _ in 0..3 {
        let (store, stored) = open(last.path(), &chain.network).expect("a store");
        assert_eq!(stored.tip, chain.blocks.last().map(|(block, _)| block.id()));
        let left = folder();
        store.copy_to(left.path()).expect("copied");
        drop(store);
        last = left;
    }
}

#[test]
fn what_was_written_while_the_journal_began_again_and_again_is_there() {
    let (live, mut chain) = (folder(), Chain::new(1));
    let mut store = store(live.path(), &chain);
    let mut lengths = Vec::new();
    for at in 0..300 {
        chain.mine(vec![]);
        let waiting = Write::PutPending(chain.transfer(at));
        let writes = [chain.writes_above(at as usize), vec![waiting]].concat();
        store.write(&[batch(at + 1, writes)]).expect("written");
        if at % 7 == 0 {
            store.checkpoint_journal().expect("synced");
        }
        if at % 20 == 0 {
            let left = folder();
            store.copy_to(left.path()).expect("copied");
            lengths.push(fs::metadata(left.path().join("chain.journal")).expect("it is there").len());
            let (_, stored) = open(left.path(), &chain.network).expect("a store");
            assert_eq!((stored.tip, stored.pending.len()), (Some(chain.tip().id), at as usize + 1));
            assert_eq!(stored.accounts, [(chain.address(), chain.ledger.account(&chain.address()))]);
        }
    }
    assert!(lengths.iter().all(|length| *length < 40_000), "{lengths:?}");
}

#[test]
fn a_database_that_was_never_finished_is_made_again() {
    let (folder, chain) = (folder(), Chain::new(1));
    fs::write(folder.path().join("chain.redb.new"), [0; 5000]).expect("writable");
    open(folder.path(), &chain.network).expect("a store");
}

#[test]
fn damage_is_an_error_or_harmless() {
    let whole = folder();
    let chain = filled(whole.path());
    let bytes = fs::read(whole.path().join("chain.redb")).expect("readable");
    let folder = folder();
    let path = folder.path().join("chain.redb");
    let mut refused = 0;
    let mut try_with = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("writable");
        match open(folder.path(), &chain.network) {
            Ok((store, stored)) => {
                // Whatever it says is there can be read, or fails as it should.
                let places: Vec<_> =
                    stored.headers.iter().map(|header| Place { height: header.header.height, id: header.id }).collect();
                let _ = store.reader().load(&places);
            }
            Err(error) => {
                refused += 1;
                assert!(
                    matches!(error.code(), "database_damaged" | "database_too_new" | "other_network" | "io_error"),
                    "{error}"
                );
                assert_eq!(error.to_string().lines().count(), 1);
            }
        }
    };
    for length in (0..bytes.len()).step_by(bytes.len() / 40) {
        try_with(&bytes[..length]);
    }
    let mut random = Random::new(1);
    for _ in 0..400 {
        let mut flipped = bytes.clone();
        for _ in 0..4 {
            let at = random.below(flipped.len() as u64) as usize;
            flipped[at] ^= 1 << random.below(8);
        }
        try_with(&flipped);
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_folder_has_a_chain_once_it_has_a_block() {
    let (folder, mut chain) = (folder(), Chain::new(1));
    assert!(!has_chain(folder.path()), "there is nothing");
    drop(store(folder.path(), &chain));
    assert!(!has_chain(folder.path()), "genesis alone is in every folder");
    chain.mine(vec![]);
    let mut written = store(folder.path(), &chain);
    written.write(&[batch(1, chain.writes_above(0))]).expect("written");
    assert!(has_chain(folder.path()), "its journal is not empty");
    drop(written);
    assert!(has_chain(folder.path()));
    fs::write(folder.path().join(open::FILE), "damaged").expect("writable");
    assert!(has_chain(folder.path()), "nobody can tell");
}
