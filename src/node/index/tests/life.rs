//! Crashes, damage, and readers at a bad moment.

use std::fs;

use super::*;

#[test]
fn what_a_crash_loses_is_indexed_again() {
    let (chain, other) = (random_chain(1, 40), random_chain(2, 45));
    let mut world = World::new(&chain);
    world.write(chain.writes_above(0)[..20].to_vec());
    // Ends in order, so these blocks survive.
    drop(world.index());
    let running = world.index();
    world.write(chain.writes_above(0)[20..].to_vec());
    let rows = running.rows();
    // A process that is killed leaves the file as it is now.
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::copy(world.file(), folder.path().join(file::FILE)).expect("copied");
    let after = world.index_in(folder.path());
    assert_eq!(after.rows(), rows);
    drop(after);
    // And the best chain may be another one at the next start.
    world.write([chain.undo_above(0), other.writes_above(0)].concat());
    assert_eq!(world.index_in(folder.path()).rows(), rows_anew(&world));
}

#[test]
fn a_file_that_is_of_no_use_is_built_anew() {
    let chain = random_chain(1, 20);
    let mut world = World::new(&chain);
    world.write(chain.writes_above(0));
    let rows = rows_anew(&world);
    drop(world.index());
    let good = fs::read(world.file()).expect("readable");
    let lan = Network::new(Parameters::lan()).expect("a preset is valid");
    let foreign = world.folder.path().join("foreign");
    file::open(&foreign, &lan).expect("made");
    let foreign = fs::read(foreign).expect("readable");
    let mut random = Random::new(1);
    let noise: Vec<u8> = (0..good.len()).map(|_| random.below(256) as u8).collect();
    let half_noise = [&good[..good.len() / 2], &noise[..good.len() / 2]].concat();
    for bytes in [&[][..], b"quipu", &good[..good.len() / 2], &noise, &half_noise, &foreign, &good] {
        fs::write(world.file(), bytes).expect("writable");
        assert_eq!(world.index().rows(), rows, "{} bytes", bytes.len());
    }
    for _ in 0..20 {
        let mut flipped = good.clone();
        for _ in 0..200 {
            flipped[random.below(good.len() as u64) as usize] ^= 1 << random.below(8);
        }
        fs::write(world.file(), flipped).expect("writable");
        // Some damage is not seen, but it stops nothing.
        let running = world.index();
        let _ = running.index.view().and_then(|view| view.history(&address(1), Period::default(), None, 100));
        assert_eq!(running.index.shared.state().failure, None);
    }
}

#[test]
fn an_index_of_another_store_is_built_anew() {
    let (chain, other) = (random_chain(1, 20), random_chain(2, 10));
    let (mut world, mut another) = (World::new(&chain), World::new(&other));
    world.write(chain.writes_above(0));
    another.write(other.writes_above(0));
    drop(world.index());
    fs::copy(world.file(), another.file()).expect("copied");
    assert_eq!(another.index().rows(), rows_anew(&another));
}

#[test]
fn damage_that_a_reader_sees_is_repaired() {
    let chain = random_chain(1, 20);
    let mut world = World::new(&chain);
    world.write(chain.writes_above(0));
    let running = world.index();
    let rows = running.rows();
    running.wait_for(chain.tip());
    running.index.report_damage("a test says so");
    running.wait_for(chain.tip());
    assert_eq!(running.rows(), rows);
}

#[test]
fn a_view_says_when_the_index_is_behind() {
    let chain = random_chain(1, 2);
    let mut world = World::new(&chain);
    let (hold, held) = bounded::<()>(0);
    let stuck = move |_| {
        let _ = held.recv();
    };
    world.write(chain.writes_above(0)[..2].to_vec());
    let (index, thread) =
        ChainIndex::start(world.folder.path(), world.store.reader(), &world.network, stuck).expect("a thread");
    assert_eq!(index.view().expect("in time").tip().height, Height(1));
    world.write(chain.writes_above(1));
    let error = index.view().err().expect("the thread is held up");
    assert!(matches!(error, IndexError::Behind { indexed: Height(1), tip: Height(2) }), "{error}");
    drop(hold);
    index.stop();
    thread.join().expect("in order");
}

#[test]
fn the_thread_ends_with_the_last_who_could_ask() {
    let chain = random_chain(1, 5);
    let mut world = World::new(&chain);
    world.write(chain.writes_above(0));
    let (index, thread) =
        ChainIndex::start(world.folder.path(), world.store.reader(), &world.network, |_| {}).expect("a thread");
    let view = index.view().expect("in time");
    drop((index, view));
    thread.join().expect("in order");
    let (database, tip) = file::open(&world.file(), &world.network).expect("a good file");
    assert_eq!(tip, chain.tip());
    drop(database);
}

#[test]
fn a_view_has_what_is_durable() {
    let chain = random_chain(1, 200);
    let mut world = World::new(&chain);
    let running = world.index();
    for (writes, (block, _)) in chain.writes_above(0).chunks(2).zip(&chain.blocks) {
        world.write(writes.to_vec());
        // Nobody has nudged: the view does.
        let view = running.view();
        assert_eq!(view.tip().id, block.id());
        let reward = block.reward().id(&block.header().parent);
        assert!(view.find(&reward).expect("readable").is_some());
    }
}

#[test]
fn a_view_stays_as_it_was() {
    let (old, new) = (random_chain(1, 10), random_chain(2, 12));
    let mut world = World::new(&old);
    world.write(old.writes_above(0));
    let running = world.index();
    let view = running.view();
    let history = view.history(&address(1), Period::default(), None, 1000).expect("readable");
    world.write([old.undo_above(0), new.writes_above(0)].concat());
    assert_eq!(running.view().tip(), new.tip());
    assert_eq!(
        (view.tip(), view.history(&address(1), Period::default(), None, 1000).expect("readable")),
        (old.tip(), history)
    );
}
