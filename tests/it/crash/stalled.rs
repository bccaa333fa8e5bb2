//! The durability gate, tested with a disk that writes no commit for as long as a test wants. A node that is killed
//! meanwhile is like one whose power was cut: no waiting write has reached the disk.
//!
//! A shared object in front of the C library holds up each write to `chain.journal` while a file is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use super::assert_whole;
use crate::harness::{Node, NodeOptions, agree, ids, number, text, transactions_of};

/// Blocks of the companion that are shown while the disk stands still: more than enough time for a transaction to get
/// out.
const BLOCKS: u64 = 10;

const HOLD_UP: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_held_up(int file) {
    static const char journal[] = "/chain.journal";
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path);
    const char *stalled = getenv("STALLED_WHILE");
    ssize_t tail = sizeof journal - 1;
    return stalled && length >= tail && memcmp(path + length - tail, journal, tail) == 0 && access(stalled, F_OK) == 0;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    while (is_held_up(file)) usleep(1000);
    return real(file, bytes, count, at);
}
"#;

/// A disk that can be stopped.
struct StallableDisk {
    folder: TempDir,
}

impl StallableDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = folder.path().join("disk.c");
        std::fs::write(&source, HOLD_UP).expect("writable");
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-o"]).arg(folder.path().join("disk.so")).arg(source).arg("-ldl");
        let status = compile.status().expect("the C compiler that building quipu needs, too");
        assert!(status.success(), "the shared object does not compile");
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("stalled")
    }

    fn stop(&self) {
        std::fs::write(self.file(), "").expect("writable");
    }

    fn go_on(&self) {
        std::fs::remove_file(self.file()).expect("it was stopped");
    }

    fn options(&self, peer: &Node) -> NodeOptions {
        let path = |path: &Path| path.to_str().expect("a plain name").to_owned();
        let environment =
            [("LD_PRELOAD", path(&self.folder.path().join("disk.so"))), ("STALLED_WHILE", path(&self.file()))];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        NodeOptions { peers: vec![peer.listen()], environment, ..NodeOptions::default() }
    }
}

/// Two nodes with the same chain, on which both have coins. The disk of the first one can be stopped.
fn nodes(disk: &StallableDisk) -> (Node, Node) {
    let companion = Node::new();
    let victim = Node::start(disk.options(&companion));
    victim.wait_event("peer_connected", |_| true);
    victim.run("mine 2");
    agree(&[&victim, &companion]);
    companion.run("mine 2");
    agree(&[&victim, &companion]);
    (victim, companion)
}

/// Blocks of peers are shown and built upon, whatever the disk does.
fn show_blocks(companion: &Node, victim: &Node) {
    for _ in 0..BLOCKS {
        let mined = number(&companion.run("mine 1")["blocks"][0], "height");
        victim.wait_event("tip", |event| number(event, "height") == mined);
    }
}

/// Otherwise a killed node could sign another transaction with a nonce that its peers have seen.
pub(crate) fn an_own_transaction_reaches_no_peer_before_it_is_durable() {
    let disk = StallableDisk::new();
    let (mut victim, mut companion) = nodes(&disk);
    disk.stop();
    victim.type_ahead(&format!("tx {} 0.5\n", companion.address()));
    victim.wait_event("transaction", |_| true);
    show_blocks(&companion, &victim);
    assert!(companion.events("transaction").is_empty(), "a peer has seen it");
    assert_eq!(victim.untaken_answers(), 0, "it was answered before it is durable");
    victim.signal(Signal::KILL);
    victim.wait_exit();
    disk.go_on();

    // Alone, it has nothing of it, and the blocks that were shown are gone as well.
    companion.stop();
    victim.restart_with(NodeOptions::default());
    assert_eq!(ids(&victim.run("pending")), [] as [String; 0]);
    assert!(victim.height() <= 4, "the shown blocks were durable, so this test tested nothing");
    assert_whole(&victim, 0);
    // They come back from peers automatically.
    companion.restart();
    victim.run(&format!("connect {}", companion.listen()));
    agree(&[&victim, &companion]);
    assert_eq!(victim.events("warning").len() + victim.stderr().len(), 0, "{:?}", victim.stderr());
    let id = text(&victim.run(&format!("tx {} 0.5", companion.address())), "id");
    companion.wait_event("transaction", |event| text(event, "id") == id);
}

/// An own block is announced at once. Its answer waits, like that of each command that changes something.
pub(crate) fn answered_commands_are_durable() {
    let disk = StallableDisk::new();
    let (mut victim, mut companion) = nodes(&disk);
    let answers = ["mine 1", "record something", &format!("tx {} 0.5", companion.address())].map(|line| {
        disk.stop();
        victim.type_ahead(&format!("{line}\n"));
        if line == "mine 1" {
            companion.wait_event("tip", |event| number(event, "height") == 5);
        }
        show_blocks(&companion, &victim);
        assert_eq!(victim.untaken_answers(), 0, "`{line}` was answered before it is durable");
        disk.go_on();
        victim.answer()
    });
    victim.signal(Signal::KILL);
    victim.wait_exit();
    // So that its peer does not give back the lost blocks.
    companion.stop();

    victim.restart_with(NodeOptions::default());
    let block = text(&answers[0]["result"]["blocks"][0], "id");
    assert_eq!(victim.run(&format!("block {block}"))["id"], *block);
    assert_whole(&victim, 0);
    // The companion may have mined them.
    let known = [transactions_of(&victim.chain()), ids(&victim.run("pending"))].concat();
    for answer in &answers[1..] {
        assert!(known.contains(&text(&answer["result"], "id")), "{answer} is lost: {known:?}");
    }
}
