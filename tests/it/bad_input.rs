//! Mistakes of users: each gets one clear line and a stable code, and nothing is lost or half-written.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Cluster, DEADLINE, Node, NodeOptions, number, text};

/// An address that nobody owns.
const NOBODY: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// Every impossible command line gets its code, and the node is as before.
pub(crate) fn commands_are_refused_with_stable_codes() {
    let node = Node::new();
    node.run("mine 2");
    let too_long = format!("record {}", "x".repeat(4097));
    let cases = [
        ("frobnicate", "unknown_command"),
        ("tx", "usage"),
        ("tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "usage"),
        ("mine many", "usage"),
        ("mine 0", "bad_number"),
        ("mine -3", "bad_number"),
        ("chain x", "bad_number"),
        ("block x", "bad_id"),
        ("help frobnicate", "unknown_command"),
        ("tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAec 1", "bad_address"),
        ("tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeA 1", "bad_address"),
        ("tx warehouse 1", "bad_address"),
        ("balance 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAec", "bad_address"),
        ("mine 1 --to nobody", "bad_address"),
        ("block 7", "not_found"),
        ("block 00000000000000000000000000000000000000000000000000000000000000ff", "not_found"),
        ("connect nowhere", "bad_multiaddr"),
        (&too_long, "invalid_transaction"),
    ];
    check_refusals(&node, &cases);
    node.run(&format!("record {}", "x".repeat(4096)));
    assert_eq!((node.height(), node.balance(&node.address())), (2, "2".to_owned()));
    node.run("mine 1");
}

/// Amounts are decimal numbers of coins with at most 8 decimals and 64 bits.
pub(crate) fn amounts_are_refused_with_stable_codes() {
    let node = Node::new();
    node.run("mine 1");
    for amount in [
        "-1",
        "NaN",
        "inf",
        "1e3",
        "0x10",
        "1,5",
        "1.2.3",
        "0.000000001",
        "184467440737.09551616",
        "9".repeat(40).as_str(),
    ] {
        check_refusals(&node, &[(&format!("tx {NOBODY} {amount}"), "bad_amount")]);
        check_refusals(&node, &[(&format!("tx {NOBODY} 1 --fee {amount}"), "bad_amount")]);
    }
    // Valid amounts that the rules or the balance refuse.
    check_refusals(&node, &[(&format!("tx {NOBODY} 0"), "invalid_transaction")]);
    check_refusals(&node, &[(&format!("tx {NOBODY} 184467440737.09551615"), "insufficient_balance")]);
    check_refusals(&node, &[(&format!("tx {NOBODY} 184467440737.09551615 --fee 1"), "insufficient_balance")]);
    assert_eq!(number(&node.run("status"), "pending"), 0);
    node.run(&format!("tx {NOBODY} 0.00000001"));
}

/// Bytes that are not text get an answer like any other line.
pub(crate) fn binary_garbage_is_refused_as_a_command() {
    let node = Node::new();
    node.type_ahead("\u{0}\u{1b}[31m\u{7f}\n");
    assert_eq!(node.answer()["ok"], false);
    node.type_ahead(&format!("{}\n", "a".repeat(1 << 20)));
    assert_eq!(node.answer()["ok"], false);
    assert_eq!(node.strays(), [""; 0]);
    assert_eq!(node.height(), 0);
}

/// Coins in pending transactions can't be spent again.
pub(crate) fn pending_transactions_count_against_the_balance() {
    let node = Node::new();
    check_refusals(&node, &[(&format!("tx {NOBODY} 1"), "insufficient_balance")]);
    node.run("mine 2");
    node.run(&format!("tx {NOBODY} 1.5"));
    check_refusals(&node, &[(&format!("tx {NOBODY} 0.6"), "insufficient_balance")]);
    node.run(&format!("tx {NOBODY} 0.5"));
    node.run("mine 1");
    assert_eq!(node.balance(NOBODY), "2");
}

/// A dead port, a listener without libp2p, the node itself: refused, and the node lives on.
pub(crate) fn unreachable_peers_are_refused_in_words() {
    let node = Node::new();
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound").port()
    };
    // It accepts, and stays silent.
    let mute = TcpListener::bind("127.0.0.1:0").expect("a free port");
    // It accepts, and speaks another protocol.
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (mute_port, other_port) = (mute.local_addr().expect("bound").port(), other.local_addr().expect("bound").port());
    std::thread::spawn(move || {
        for stream in other.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"220 mail.example.org ESMTP\r\n"));
        }
    });
    for port in [dead, mute_port, other_port] {
        check_refusals(&node, &[(&format!("connect /ip4/127.0.0.1/tcp/{port}"), "connect_failed")]);
    }
    check_refusals(&node, &[(&format!("connect {}", node.listen()), "connect_failed")]);
    assert_eq!(number(&node.run("status"), "peers"), 0);
    let friend = Node::new();
    node.connect(&friend);
}

/// Networks don't mix: a node of another one is refused, and both go on undisturbed.
pub(crate) fn another_network_is_left_alone() {
    let nodes = Cluster::start(2);
    let stranger = Node::start(NodeOptions { network: "lan".to_owned(), ..NodeOptions::default() });
    let refusal = nodes[0].try_run(&format!("connect {}", stranger.listen())).expect_err("another network");
    assert_eq!(refusal.code, "connect_failed", "{refusal:?}");
    nodes[0].run("mine 2");
    nodes.connect_all();
    assert_eq!(nodes.agree(), 2);
    assert_eq!(stranger.height(), 0);
    assert_eq!(number(&stranger.run("status"), "peers"), 0);
    assert!(nodes[0].events("peer_connected").iter().all(|event| event["peer_id"] != *stranger.peer_id()));
    assert!(stranger.stderr().len() < 50, "a stranger does not fill the log: {:#?}", stranger.stderr());
}

/// A requested port must be that port.
pub(crate) fn a_requested_port_in_use_ends_the_start() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("/ip4/127.0.0.1/tcp/{}", holder.local_addr().expect("bound").port());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = NodeOptions { listen: vec![address], ..NodeOptions::default() };
    refuses_to_start(folder.path(), options.clone(), "cannot_listen", "in use");
    drop(holder);
    assert_eq!(Node::start_in(folder.path(), options).height(), 0);
}

/// Two nodes on one folder would ruin it: the second one ends.
pub(crate) fn a_folder_in_use_ends_the_start() {
    let node = Node::new();
    node.run("mine 2");
    refuses_to_start(node.folder(), NodeOptions::default(), "data_dir_in_use", "in use");
    node.run("mine 1");
    assert_eq!(node.height(), 3);
}

/// A folder belongs to one network for ever.
pub(crate) fn a_folder_of_another_network_ends_the_start() {
    let mut node = Node::new();
    node.run("mine 2");
    let tip = node.tip();
    node.stop();
    let other = NodeOptions { network: "lan".to_owned(), ..NodeOptions::default() };
    refuses_to_start(node.folder(), other, "other_network", "--network");
    node.restart();
    assert_eq!(node.tip(), tip);
}

/// A truncated key or database: the node names the file, ends, and changes nothing in the folder.
pub(crate) fn truncated_files_end_the_start_and_stay_as_they_are() {
    let mut node = Node::new();
    node.run("mine 20");
    let before = (node.address(), node.peer_id(), node.tip());
    node.stop();
    let files = files_of(node.folder());
    let mut damaged = 0;
    for (file, content) in files.iter().filter(|(file, content)| !content.is_empty() && is_vital(file)) {
        for keep in [0, content.len() / 2] {
            fs::write(file, &content[..keep]).expect("writable");
            let name = file.file_name().expect("a file").to_string_lossy().into_owned();
            let code = match &*name {
                "chain.redb" => "database_damaged",
                "node.key" => "key_damaged",
                _ => "wallet_cut_off",
            };
            refuses_to_start(node.folder(), NodeOptions::default(), code, &name);
            assert_eq!(fs::read(file).expect("readable"), &content[..keep], "{name} was touched");
            fs::write(file, content).expect("writable");
        }
        damaged += 1;
    }
    assert_eq!(damaged, 3, "keys and a database in {:?}", files.iter().map(|(f, _)| f).collect::<Vec<_>>());
    // The index can be rebuilt from the chain, and is.
    let index = node.folder().join("index.redb");
    let length = fs::metadata(&index).expect("there is an index").len();
    fs::File::options().write(true).open(&index).and_then(|file| file.set_len(length / 2)).expect("writable");
    node.restart();
    assert_eq!(before, (node.address(), node.peer_id(), node.tip()));
    assert_eq!(node.run("history --limit 100")["entries"].as_array().map(Vec::len), Some(20));
}

/// NodeOptions that make no sense are refused before anything is created.
pub(crate) fn wrong_arguments_end_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let network_file = folder.path().join("broken.toml");
    fs::write(&network_file, "name = \"lab\"\nsubsidy = \"-1\"\n").expect("writable");
    let data = folder.path().join("data");
    let with = |arguments: &[&str]| NodeOptions {
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        ..NodeOptions::default()
    };
    let network = |network: &str| NodeOptions { network: network.to_owned(), ..NodeOptions::default() };
    let cases = [
        (with(&["--frobnicate"]), "usage"),
        (with(&["--mine", "sometimes"]), "usage"),
        (with(&["--threads", "0"]), "usage"),
        (with(&["--threads", "many"]), "usage"),
        (with(&["--name", &"x".repeat(300)]), "usage"),
        (NodeOptions { listen: vec!["lab1.local:80".to_owned()], ..NodeOptions::default() }, "usage"),
        (NodeOptions { peers: vec!["lab2".to_owned()], ..NodeOptions::default() }, "usage"),
        (network("no-such-network"), "bad_network_file"),
        (network(&network_file.display().to_string()), "bad_network_file"),
    ];
    for (options, code) in cases {
        refuses_to_start(&data, options, code, "");
        assert!(!data.exists(), "a refused start creates nothing");
    }
}

/// A full disk: everything acknowledged is still there, and once there is room the node goes on.
pub(crate) fn a_full_disk_loses_nothing() {
    let disk = SmallDisk::mount();
    let mut node = Node::start_in(&disk.path().join("data"), NodeOptions::default());
    let mut answered = mined(&node.run("mine 3"));
    let filler = disk.fill();

    let mut code = None;
    for _ in 0..20_000 {
        let Some(answer) = node.ask(&format!("record {}", "x".repeat(4096)), DEADLINE) else { break };
        if answer["ok"] == false {
            code = Some(text(&answer["error"], "code"));
            break;
        }
        let Some(answer) = node.ask("mine 1", DEADLINE) else { break };
        if answer["ok"] == false {
            code = Some(text(&answer["error"], "code"));
            break;
        }
        answered.extend(mined(&answer["result"]));
    }
    let told = node.stderr().into_iter().chain(node.events("fatal").iter().map(Value::to_string)).collect::<Vec<_>>();
    assert!(
        code.as_deref() == Some("disk_full") || told.iter().any(|line| line.contains("full") || line.contains("space")),
        "the reason was not reported: {code:?} {told:#?}"
    );
    fs::remove_file(filler).expect("removable");
    // Whether it went on or ended, it must not block a new one.
    node.kill();
    node.restart();
    for id in &answered {
        node.run(&format!("block {id}"));
    }
    node.run("mine 1");
    assert!(node.height() > answered.len() as u64);
}

/// Each line is refused with its code, and with a message.
fn check_refusals(node: &Node, cases: &[(&str, &str)]) {
    for (line, code) in cases {
        let shown: String = line.chars().take(100).collect();
        match node.try_run(line) {
            Ok(result) => panic!("`{shown}` was accepted: {result}"),
            Err(refusal) => {
                assert_eq!(refusal.code, *code, "`{shown}`: {}", refusal.message);
                assert!(!refusal.message.is_empty() && !refusal.message.contains('\n'), "`{shown}`: one clear line");
            }
        }
    }
}

/// The node ends by itself, with the reason: in one line with a stable code on stdout, and in a message that has
/// `word`.
fn refuses_to_start(folder: &Path, options: NodeOptions, code: &str, word: &str) {
    let failure = match Node::try_start_in(folder, options.clone()) {
        Ok(_) => panic!("it started with {options:?}"),
        Err(failure) => failure,
    };
    let status = failure.status.code();
    assert!(status == Some(1) || status == Some(2), "neither success nor a panic: {failure:#?}");
    assert!(!failure.stderr.iter().any(|line| line.contains("panicked")), "{failure:#?}");
    let [line] = &failure.stdout[..] else { panic!("one line on stdout: {failure:#?}") };
    let answer: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!((&answer["ok"], &answer["command"]), (&Value::from(false), &Value::from("start")), "{failure:#?}");
    assert_eq!(answer["error"]["code"], code, "{failure:#?}");
    assert!(text(&answer["error"], "message").contains(word), "nothing about \"{word}\" in {failure:#?}");
}

/// Whether a file is vital: keys and the chain. Others (remembered peers, history, the index) may be rebuilt.
fn is_vital(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".pem") || matches!(name, "node.key" | "chain.redb")
}

fn files_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("a folder").chain(fs::read_dir(folder.join("wallets")).expect("wallets"));
    let paths = entries.map(|entry| entry.expect("readable").path()).filter(|path| path.is_file());
    paths.map(|path| (path.clone(), fs::read(path).expect("readable"))).collect()
}

fn mined(result: &Value) -> Vec<String> {
    crate::harness::ids(&result["blocks"])
}

/// A file system of a few megabytes in memory.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let disk = Self(tempfile::tempdir().expect("a temporary folder"));
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(disk.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "cannot mount a tmpfs");
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = fs::File::create(&path).expect("a new file");
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a node that a failed test leaves behind is only killed afterwards.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
