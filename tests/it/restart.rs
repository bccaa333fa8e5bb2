//! A node that starts again: with a long history, and from an old copy of its folder.

use std::time::{Duration, Instant};

use crate::crash;
use crate::harness::{Node, NodeOptions, ids, scale, text};

/// A node that stopped at a long chain has all of it when it is ready again, after a clean end and after a crash. The
/// startup times are printed beside that of an empty node; a test machine's clock decides nothing.
pub(crate) fn a_long_chain_is_read_back() {
    let length = scale("QUIPU_TEST_CHAIN_BLOCKS", 20_000);
    let begin = Instant::now();
    let mut node = Node::new();
    let empty = begin.elapsed();
    node.run_within(&format!("mine {length}"), Duration::from_secs(900));
    let before = (node.tip(), node.run("balance"));

    node.stop();
    let begin = Instant::now();
    node.restart();
    let after_stop = begin.elapsed();
    assert_eq!(before, (node.tip(), node.run("balance")));

    node.kill();
    let begin = Instant::now();
    node.restart();
    let after_kill = begin.elapsed();
    assert_eq!(before, (node.tip(), node.run("balance")));
    assert_eq!(node.height(), length);

    let ratio = after_stop.as_secs_f64() / empty.as_secs_f64();
    eprintln!(
        "spawn to ready: empty {empty:.0?}; at {length} blocks {after_stop:.0?} ({ratio:.1} times), \
         {after_kill:.0?} after kill -9"
    );
}

/// An old copy of a data folder is put back, and the wallet in it was used since: what is acknowledged now can never be
/// mined, and the user is told.
pub(crate) fn a_record_after_an_old_backup_is_told_to_be_lost() {
    let mut node = Node::new();
    node.run("mine 3");
    node.stop();
    let backup = tempfile::tempdir().expect("a temporary folder");
    crash::copy(node.folder(), backup.path());
    // With its key, the copy would be the same peer.
    std::fs::remove_file(backup.path().join("node.key")).expect("it has one");
    node.restart();
    node.run("record first");
    node.run("mine 1");

    let old = Node::start_in(backup.path(), NodeOptions::default());
    let id = text(&old.run("record important"), "id");
    old.connect(&node);
    let told = old.wait_event("watch", |life| life["id"] == *id && life["state"] == "gone");
    assert!(text(&told, "reason").contains("nonce"), "{told}");
    assert_eq!(old.run(&format!("watch {id}"))["state"], "gone", "it is not forgotten");
    assert!(ids(&old.run("pending")).is_empty());
}
