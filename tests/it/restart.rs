//! A node with a long history.

use std::time::{Duration, Instant};

use crate::harness::{Node, scale};

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
