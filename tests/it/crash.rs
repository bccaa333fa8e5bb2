//! Kills at any moment: while the node mines and sends, synchronises, or reorganises, and while a wallet is written.
//!
//! After each kill the node restarts by itself, everything that it answered is there, the chain is whole from genesis
//! to tip, the index answers, and the wallet opens. (The store checks at each startup that the accounts add up.)
//!
//! Results of `scripts/soak`, optimised, on two cores that other builds kept busy:
//!
//! | killed while it | kills | moment | lost |
//! | --- | --- | --- | --- |
//! | mines, sends and receives | 80 | between 893 blocks and 1,752 transactions that were answered | none |
//! | synchronises 6,000 blocks | 80 | each before the end | none |
//! | reorganises, 400 blocks down and 600 up | 80 | 71 before it, 9 after it, none in it | none |
//! | writes a wallet's new password | 80 | 23 before the change, 57 after it | none |
//!
//! Disks that tear writes, lose unsynced data, fail and fill up are tested under the real store in
//! `node::store::faults`.

mod busy;
mod stalled;
mod wallet;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use quipu::random::Random;
use rustix::process::Signal;
use serde_json::Value;

pub(crate) use busy::kill_9_loses_nothing_acknowledged;
pub(crate) use stalled::{an_own_transaction_reaches_no_peer_before_it_is_durable, answered_commands_are_durable};
pub(crate) use wallet::kill_9_while_a_wallet_is_written;

use crate::harness::{DEADLINE, Node, NodeOptions, ids, number, scale, text, transactions_of};

/// The number of kills in each test, unless the environment says otherwise.
const KILLS: u64 = 8;

/// The number of kills, and the choices of this run, which `QUIPU_TEST_SEED` repeats.
fn rounds_and_random() -> (u64, Random) {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let seed = scale("QUIPU_TEST_SEED", clock.subsec_nanos().into());
    eprintln!("crash: repeat with QUIPU_TEST_SEED={seed}");
    (scale("QUIPU_TEST_KILLS", KILLS), Random::new(seed))
}

/// Lets a node live for a while, kills it, and returns the last tip that it reported.
fn kill_after(node: &mut Node, life: Duration) -> Option<Value> {
    // The moment of death is the point here; nothing waits for it.
    std::thread::sleep(life);
    node.signal(Signal::KILL);
    node.wait_exit();
    node.events("tip").pop()
}

/// A node that is killed while it fetches a chain continues there, again and again, until it has all of it.
pub(crate) fn kill_9_while_it_synchronises() {
    /// Blocks of the chain to fetch.
    const BLOCKS: u64 = 6000;
    /// The longest life of the victim meanwhile.
    const LIFE_MILLIS_MAX: u64 = 250;
    let (rounds, mut random) = rounds_and_random();
    let source = Node::new();
    source.run_within(&format!("mine {BLOCKS}"), Duration::from_secs(600));
    let tip = source.tip();
    let start = || Node::start(NodeOptions { peers: vec![source.listen()], ..NodeOptions::default() });
    let mut victim = start();
    let (mut cut, mut complete) = (0, 0);
    for round in 0..rounds {
        let told = kill_after(&mut victim, Duration::from_millis(random.below(LIFE_MILLIS_MAX)));
        victim.restart_with(NodeOptions::default());
        assert_whole(&victim, round);
        let height = victim.height();
        // The last shown tip may not have been on the disk; the stored chain is then a part of it.
        if let Some(told) = told.filter(|told| number(told, "height") <= height) {
            assert_eq!(victim.run(&format!("block {}", number(&told, "height")))["id"], told["id"], "round {round}");
        }
        if height < BLOCKS {
            cut += 1;
            victim.stop();
            victim.restart_with(NodeOptions { peers: vec![source.listen()], ..NodeOptions::default() });
        } else {
            complete += 1;
            assert_eq!(victim.tip(), tip);
            victim = start();
        }
    }
    crate::harness::agree(&[&victim, &source]);
    assert_whole(&victim, rounds);
    eprintln!("crash: {rounds} kills during synchronisation: {cut} were cut short, {complete} had all of it already");
}

/// A reorganisation is done or not begun on disk, whenever the node is killed; no record is lost by it. (If it was not
/// begun, the next start does it, if the blocks are there.)
pub(crate) fn kill_9_while_it_reorganises() {
    /// Lengths of the branch to leave and of the one to get to.
    const OLD: u64 = 400;
    const NEW: u64 = 600;
    /// The longest life of the victim once it dials the other branch.
    const LIFE_MILLIS_MAX: u64 = 250;
    let (rounds, mut random) = rounds_and_random();
    let mut old = Node::new();
    old.run(&format!("mine {}", OLD - 1));
    let records: Vec<_> = (0..5).map(|number| text(&old.run(&format!("record {number}")), "id")).collect();
    old.run("mine 1");
    let old_tip = old.tip();
    old.stop();
    let new = Node::new();
    new.run(&format!("mine {NEW}"));
    let branch = ids(&new.chain()["blocks"]);
    let (mut before, mut after) = (0, 0);
    for round in 0..rounds {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(old.folder(), folder.path());
        let mut victim = Node::start_in(folder.path(), NodeOptions::default());
        victim.type_ahead(&format!("connect {}\n", new.listen()));
        kill_after(&mut victim, Duration::from_millis(random.below(LIFE_MILLIS_MAX)));
        // Without peers: it has now what was on its disk.
        victim.restart_with(NodeOptions::default());
        let status = victim.run("status");
        let (tip, height) = (text(&status, "tip"), number(&status, "height"));
        assert_whole(&victim, round);
        if tip == old_tip {
            before += 1;
        } else {
            assert!(height > OLD && branch.get(height as usize) == Some(&tip), "round {round}: {tip} at {height}");
            after += 1;
        }
        let known = [transactions_of(&victim.chain()), ids(&victim.run("pending"))].concat();
        let lost: Vec<_> = records.iter().filter(|id| !known.contains(id)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} are lost");
    }
    eprintln!("crash: {rounds} kills around a reorganisation: {before} before it, {after} after it");
}

/// Checks that each block follows the one before, from genesis to the tip, and that the index knows the tip.
fn assert_whole(node: &Node, round: u64) {
    // Stored blocks that a killed node had not connected yet are connected now: then look again.
    while !is_whole(node, round) {}
}

/// Returns false if the chain has changed meanwhile.
fn is_whole(node: &Node, round: u64) -> bool {
    let chain = node.chain();
    let blocks = chain["blocks"].as_array().expect("a list");
    for (height, pair) in (1..).zip(blocks.windows(2)) {
        assert_eq!((number(&pair[1], "height"), &pair[1]["parent"]), (height, &pair[0]["id"]), "round {round}");
    }
    let last = blocks.last().expect("at least genesis");
    let height = number(last, "height");
    if height == 0 {
        return true;
    }
    // The newest entry of the miner's history is that block, or one that has come since.
    let history = within_patience(|| node.try_run(&format!("history {} --limit 1", text(last, "miner"))).ok());
    let newest = history["entries"][0]["height"].as_u64();
    if newest >= Some(height) {
        return true;
    }
    if node.run(&format!("block {height}"))["id"] == last["id"] {
        node.fail(&format!("round {round}: the index ends at {newest:?}, the chain at {last}"));
    }
    false
}

/// Tries again if the answer says so: an index that was cut off catches up.
fn within_patience<T>(look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it was tried again and again");
    }
}

/// Copies a folder and all below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("writable");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let (entry, is_folder) =
            entry.and_then(|entry| Ok((entry.path(), entry.file_type()?.is_dir()))).expect("readable");
        let target = to.join(entry.file_name().expect("it has a name"));
        if is_folder { copy(&entry, &target) } else { std::fs::copy(&entry, &target).map(drop).expect("readable") }
    }
}
