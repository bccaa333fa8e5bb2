//! `backup`: copies of nodes that run and of nodes that do not.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Node, NodeOptions, ids, number, quipu, text};

/// `quipu backup`, and the JSON that it wrote.
fn back_up(data: &Path, to: &Path) -> Result<Value, Value> {
    copy("backup", data, to, "dev")
}

fn restore(data: &Path, from: &Path, network: &str) -> Result<Value, Value> {
    copy("restore", data, from, network)
}

fn copy(program: &str, data: &Path, other: &Path, network: &str) -> Result<Value, Value> {
    let mut command = quipu(None);
    let arguments = ["--json", "--network", network, program];
    let Output { status, stdout, stderr } =
        command.args(arguments).arg(other).arg("--data-dir").arg(data).output().expect("it runs");
    let mut answer: Value =
        serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stderr)));
    assert_eq!(status.success(), answer["ok"] == true, "{answer}");
    if status.success() { Ok(answer["result"].take()) } else { Err(answer["error"].take()) }
}

/// The keys are for their owner alone, and nothing is there that is of no use elsewhere.
fn assert_whole(copy: &Path) {
    for gone in ["lock", "http-token", "history", "index.redb"] {
        assert!(!copy.join(gone).exists(), "{gone}");
    }
    for file in ["chain.redb", "chain.journal", "node.key", "wallets/default.pem"] {
        assert!(copy.join(file).is_file(), "{file}");
    }
    #[cfg(unix)]
    for (secret, mode) in [("", 0o700), ("wallets", 0o700), ("node.key", 0o600), ("wallets/default.pem", 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        let found = fs::metadata(copy.join(secret)).expect("there").permissions().mode();
        assert_eq!(found & 0o777, mode, "{secret}");
    }
    assert!(!copy.with_extension("partial").exists());
}

/// The copy has all records acknowledged before, and its chain is a beginning of the node's own.
pub(crate) fn a_node_is_backed_up_while_it_mines() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let options = |arguments: &[&str]| NodeOptions {
        http: true,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        ..NodeOptions::default()
    };
    let mut node = Node::start(options(&["--mine", "on"]));
    node.wait_event("tip", |event| number(event, "height") >= 5);
    let mut copies = Vec::new();
    for round in 0..3 {
        let sent = text(&node.run(&format!("record round {round}")), "id");
        let (height, to) = (node.height(), place.path().join(format!("copy{round}")));
        // Over HTTP, and by the node itself.
        let done = if round == 1 {
            node.run(&format!("backup {}", to.display()))
        } else {
            back_up(node.folder(), &to).expect("the node runs and serves")
        };
        assert!(number(&done, "files") >= 4 && number(&done, "bytes") > 0, "{done}");
        assert_whole(&to);
        copies.push((sent, height, to));
    }
    node.kill();
    assert!(!node.folder().join("backup").exists(), "nothing is left in the node's folder");
    node.restart_with(options(&[]));
    let chain = node.chain();
    for (sent, height, to) in copies {
        let copy = Node::start_in(&to, NodeOptions::default());
        let (copied, tip) = (copy.chain(), copy.height());
        assert!(tip >= height, "a block that was told is in the copy");
        assert_eq!(copied["blocks"].as_array().map(Vec::len), Some(tip as usize + 1));
        let own = chain["blocks"].as_array().expect("a chain");
        if let Some(block) = own.get(tip as usize) {
            assert_eq!(block["id"], copied["blocks"][tip as usize]["id"], "one chain");
        }
        let known = [copy.mined_ids(), ids(&copy.run("pending"))].concat();
        assert!(known.contains(&sent), "what was acknowledged is in the copy");
        assert_eq!(copy.address(), node.address());
        copy.run("record from the copy");
        copy.run("mine 1");
    }
}

/// A backup comes back whole, to an empty place alone, and only if it is what it should be.
pub(crate) fn a_backup_is_restored() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let [stick, copied, data] = ["stick", "stick/copy", "data"].map(|name| place.path().join(name));
    let mut node = Node::new();
    node.run("mine 3");
    let sent = text(&node.run("record kept"), "id");
    node.stop();
    fs::create_dir(&stick).expect("made");
    back_up(node.folder(), &copied).expect("nobody uses it");
    let refused = |data: &Path, from: &Path, network: &str, code: &str, says: &str| {
        let error = restore(data, from, network).expect_err(code);
        assert_eq!(text(&error, "code"), code, "{error}");
        assert!(text(&error, "message").contains(says), "{error}");
    };
    refused(&data, &stick, "dev", "not_found", &format!("but {} does", copied.display()));
    refused(&data, &place.path().join("none"), "dev", "not_found", "no copy of a node's folder");
    refused(&data, &copied, "lan", "other_network", &copied.display().to_string());
    refused(node.folder(), &copied, "dev", "file_exists", "move it away");
    let broken = place.path().join("broken");
    back_up(node.folder(), &broken).expect("nobody uses it");
    fs::write(broken.join("chain.redb"), b"x").expect("written");
    let error = restore(&data, &broken, "dev").expect_err("no database");
    assert!(text(&error, "message").contains("broken/chain.redb"), "{error}");
    assert!(!data.exists() && !data.with_extension("partial").exists(), "nothing is left of all that");

    restore(&data, &copied, "dev").expect("the place is free");
    assert_whole(&data);
    let restored = Node::start_in(&data, NodeOptions::default());
    assert_eq!((restored.height(), restored.address()), (3, node.address()));
    assert_eq!(ids(&restored.run("pending")), [sent]);
    refused(&place.path().join("other"), &data, "dev", "data_dir_in_use", "in use by");
}

/// One folder too high, there would be an empty chain and another account. The right one is named.
pub(crate) fn a_folder_one_too_high_is_named() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut node = Node::start_in(&place.path().join("node"), NodeOptions::default());
    node.run("mine 1");
    node.stop();
    let failure = Node::try_start_in(place.path(), NodeOptions::default()).expect_err("nothing is there");
    assert!(failure.stdout[0].contains("node_folder_inside"), "{failure:?}");
    assert!(failure.stderr[0].contains(&format!("--data-dir {}", place.path().join("node").display())), "{failure:?}");
    let left: Vec<_> =
        fs::read_dir(place.path()).expect("there").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["node"], "nothing was made");
    let options = NodeOptions { arguments: vec!["--new-wallet".to_owned()], ..NodeOptions::default() };
    assert_eq!(Node::start_in(place.path(), options).height(), 0);
}

/// Without a running node the program copies by itself; with one that does not help it says what to do.
pub(crate) fn a_node_that_rests_is_backed_up() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let to = place.path().join("copy");
    let mut node = Node::new();
    node.run("mine 3");
    let tip = node.tip();
    let refused = back_up(node.folder(), &to).expect_err("it serves no HTTP");
    assert_eq!(text(&refused, "code"), "connect_failed");
    assert!(text(&refused, "message").contains("type `backup DIR` at its prompt"), "{refused}");
    node.stop();
    back_up(node.folder(), &to).expect("nobody uses it");
    assert_whole(&to);
    let again = back_up(node.folder(), &to).expect_err("it is there");
    assert_eq!(text(&again, "code"), "file_exists");
    assert_eq!(text(&back_up(&place.path().join("none"), &to).expect_err("nothing"), "code"), "not_found");
    assert!(!place.path().join("none").exists());
    let empty = place.path().join("empty");
    fs::create_dir(&empty).expect("made");
    back_up(node.folder(), &empty).expect("an empty folder will do");
    let copy = Node::start_in(&to, NodeOptions::default());
    assert_eq!(copy.tip(), tip);
}
