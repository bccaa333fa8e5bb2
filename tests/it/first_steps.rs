//! The first ten minutes of a new user.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Cluster, DEADLINE, Node, NodeOptions, ids, number, text};

/// Mine on one, send to the other, mine again: both show the same chain and the right balances.
pub(crate) fn two_nodes_mine_send_and_agree() {
    let nodes = Cluster::start(2);
    let (a, b) = (&nodes[0], &nodes[1]);
    nodes.connect_all();

    let mined = a.run("mine 3");
    let heights: Vec<_> = mined["blocks"].as_array().expect("a list").iter().map(|b| number(b, "height")).collect();
    assert_eq!(heights, [1, 2, 3]);
    assert_eq!(nodes.agree(), 3);
    assert_eq!(b.balance(&a.address()), "3");

    let sent = text(&a.run(&format!("tx {} 1.25 --fee 0.01", b.address())), "id");
    b.wait_event("transaction", |event| event["id"] == *sent);
    assert_eq!(ids(&b.run("pending")), [&*sent]);
    assert_eq!(number(&b.run("status"), "pending"), 1);

    b.run("mine 1");
    assert_eq!(nodes.agree(), 4);
    for node in nodes.iter() {
        assert_eq!(node.balance(&a.address()), "1.74");
        assert_eq!(node.balance(&b.address()), "2.26");
        assert!(ids(&node.run("pending")).is_empty());
        assert!(node.mined_ids().contains(&sent));
    }
    assert_eq!(a.run("balance")["address"], *a.address());
    assert_eq!(number(&a.run("balance"), "nonce"), 1);
    assert_eq!(a.run("peers").as_array().map(Vec::len), Some(1));
    assert_eq!(a.run("peers")[0]["peer_id"], *b.peer_id());
}

/// A node that finds nobody says what to type at another one, and that works; so do the other ways to name a node.
pub(crate) fn a_node_that_is_alone_says_what_to_try() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a free port");
    let alone = Node::start(NodeOptions { peers: vec![gone.to_string()], ..NodeOptions::default() });
    let told = alone.wait_event("warning", |event| text(event, "message").contains("no other node reached so far"));
    let message = text(&told, "message");
    let line = message.split('`').nth(1).expect("a command in backticks");
    let other = Node::new();
    assert_eq!(text(&other.run(line), "peer_id"), alone.peer_id());
    let port = line.rsplit(':').next().expect("IP:PORT");
    let by_name = Node::start(NodeOptions { peers: vec![format!("localhost:{port}")], ..NodeOptions::default() });
    by_name.wait_connected(&alone.peer_id());
    let refused = other.try_run("connect nobody.invalid:1").expect_err("RFC 6761 keeps that name free");
    assert!(refused.message.contains("name"), "{refused:?}");
}

/// The fields that scripts rely on, of a reward, a transfer and a record.
pub(crate) fn the_chain_has_the_documented_shape() {
    let node = Node::new();
    node.run("mine 1");
    let to = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    node.run(&format!("tx {to} 0.5 --fee 0.25"));
    node.run("record pallet 7 arrived");
    node.run("mine 1");

    let chain = node.chain();
    assert_eq!(number(&chain, "length"), 3, "genesis counts");
    let blocks = chain["blocks"].as_array().expect("a list");
    for (at, block) in blocks.iter().enumerate() {
        assert_eq!(number(block, "height"), at as u64);
        assert_eq!(text(block, "id").len(), 64);
        assert!(number(block, "timestamp") > 1_700_000_000_000, "Unix milliseconds");
        assert!(!block["target"].is_null() && !block["nonce"].is_null());
        if at > 0 {
            assert_eq!(block["parent"], blocks[at - 1]["id"]);
            assert_eq!(block["miner"], *node.address());
        }
    }
    assert_eq!(blocks[0]["id"], node.ready()["genesis"]);

    let listed = blocks[2]["transactions"].as_array().expect("a list");
    let [reward, transfer, record] = &listed[..] else { panic!("a reward and two transactions, not {listed:?}") };
    assert_eq!((&reward["sender"], &reward["to"]), (&Value::from("0"), &Value::from(node.address())));
    assert_eq!(reward["amount"], "1.25", "the subsidy and the fee");
    assert_eq!((&transfer["sender"], &transfer["to"]), (&Value::from(node.address()), &Value::from(to)));
    assert_eq!((&transfer["amount"], &transfer["fee"]), (&Value::from("0.5"), &Value::from("0.25")));
    assert_eq!((number(transfer, "nonce"), number(record, "nonce")), (0, 1));
    assert_eq!(record["data"], "pallet 7 arrived");
    assert!([reward, transfer, record].iter().all(|listed| listed["type"].is_string()));

    assert_eq!(node.run("chain 1 1")["blocks"].as_array().map(Vec::len), Some(1));
    assert_eq!(node.run("block 2")["id"], blocks[2]["id"]);
    let id = text(&blocks[2], "id");
    assert_eq!(number(&node.run(&format!("block {id}")), "height"), 2);

    let status = node.run("status");
    for field in ["name", "network", "genesis", "tip", "work", "mining", "balance", "address", "syncing"] {
        assert!(!status[field].is_null() || field == "syncing", "status has no {field}: {status}");
    }
    assert_eq!((number(&status, "height"), number(&status, "peers")), (2, 0));
    assert_eq!(status["mining"]["mode"], "off");
    assert!(status["mining"]["hash_rate"].is_number());
}

/// `save` writes valid JSON with the very blocks that `chain` shows, and refuses impossible places.
pub(crate) fn saved_chain_is_json_and_equals_the_chain() {
    let node = Node::new();
    node.run("mine 20");
    node.run("record saved");
    node.run("mine 1");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("chain.json");
    node.run(&format!("save {}", file.display()));
    let saved: Value = serde_json::from_slice(&std::fs::read(&file).expect("saved")).expect("JSON");
    assert_eq!(saved["blocks"], node.chain()["blocks"]);
    assert_eq!(number(&saved, "length"), 22);

    node.try_run(&format!("save {}/no/such/folder.json", folder.path().display())).expect_err("nowhere to write");
    assert_eq!(node.height(), 21);
}

/// Identity, account, chain, pending transactions: everything is there after a clean restart.
pub(crate) fn a_restart_keeps_everything() {
    let mut node = Node::new();
    node.run("mine 5");
    let pending = text(&node.run("tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 2"), "id");
    let before = (node.peer_id(), node.address(), node.tip(), node.chain(), node.run("balance"));
    node.stop();
    node.restart();
    assert_eq!(before, (node.peer_id(), node.address(), node.tip(), node.chain(), node.run("balance")));
    assert_eq!(ids(&node.run("pending")), [&*pending]);
    node.run("mine 1");
    assert!(node.mined_ids().contains(&pending));
}

/// Lines that are typed ahead are answered one by one in their order, and stdout carries nothing but JSON.
pub(crate) fn each_line_gets_one_answer_in_order() {
    let node = Node::new();
    node.type_ahead("mine 2\nstatus\nnonsense\nbalance\naddress\npeers\npending\nhelp\nhelp tx\nresolve\n");
    let commands: Vec<_> = (0..10).map(|_| node.answer()).map(|answer| text(&answer, "command")).collect();
    let typed = ["mine", "status", "nonsense", "balance", "address", "peers", "pending", "help", "help", "resolve"];
    assert_eq!(commands, typed);
    assert_eq!(node.strays(), [""; 0]);
    assert_eq!(node.height(), 2);
}

/// Transactions that arrive in one piece are started and written together; every line is answered in its turn, with the
/// same answer as if it were alone.
pub(crate) fn a_pile_of_transactions_is_answered_in_order() {
    let mut node = Node::new();
    let to = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    node.run("mine 1");
    let mut lines: Vec<_> = (0..300).map(|amount| format!("tx {to} 0.000{amount:04}1")).collect();
    lines.extend([format!("tx {to} 5"), format!("tx {to} nonsense"), "record the last".to_owned()]);
    lines.extend(["pending".to_owned(), format!("balance {to}")]);
    let answers = node.ask_all(&lines, DEADLINE);
    assert_eq!(answers.len(), lines.len());
    for (line, answer) in lines.iter().zip(&answers) {
        assert_eq!(answer["command"].as_str(), line.split(' ').next(), "{line}: {answer}");
    }
    let refused: Vec<_> = (0..answers.len()).filter(|at| answers[*at]["ok"] != true).collect();
    assert_eq!(refused, [300, 301], "too much, and no amount");
    let sent: Vec<_> =
        answers[..303].iter().filter(|answer| answer["ok"] == true).map(|answer| &answer["result"]["id"]).collect();
    let pending = &answers[303]["result"];
    assert_eq!(pending.as_array().map(Vec::len), Some(301));
    let mut rows: Vec<_> = pending.as_array().expect("a list").iter().collect();
    rows.sort_by_key(|row| number(row, "nonce"));
    assert_eq!(rows.iter().map(|row| &row["id"]).collect::<Vec<_>>(), sent, "in the order in which they were typed");

    // A script that ends is finished first, and nothing of it is lost.
    node.type_ahead(&(vec![format!("tx {to} 0.00000001"); 200].join("\n") + "\n"));
    node.close_input();
    assert_eq!(node.wait_exit().code(), Some(0));
    assert!((0..200).all(|_| node.answer()["ok"] == true));
    node.restart();
    assert_eq!(ids(&node.run("pending")).len(), 501);
}

/// SIGTERM and SIGINT end the node with status 0, also while it mines.
pub(crate) fn sigterm_and_sigint_are_a_normal_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut node = Node::new();
        node.run("mine on");
        node.wait_event("tip", |event| number(event, "height") >= 3);
        node.signal(signal);
        let status = node.wait_exit();
        assert_eq!(status.code(), Some(0), "{signal:?}: {status}");
        let seen = node.events("tip").iter().map(|event| number(event, "height")).max();
        node.restart();
        assert!(Some(node.height()) >= seen, "shown blocks are still there");
    }
}

/// A script's end of input: every command is carried out and answered first, then the node ends with status 0.
pub(crate) fn a_script_is_finished_before_the_node_leaves() {
    let mut node = Node::new();
    node.type_ahead("mine 50\nrecord done\nmine 1\n");
    node.close_input();
    assert_eq!(node.wait_exit().code(), Some(0));
    let answers: Vec<_> = (0..3).map(|_| node.answer()).collect();
    assert!(answers.iter().all(|answer| answer["ok"] == true), "{answers:?}");
    node.restart();
    assert_eq!(node.height(), 51);

    // A last line without its line end counts too.
    node.type_ahead("mine 1");
    node.close_input();
    assert_eq!(node.wait_exit().code(), Some(0));
    assert_eq!(node.answer()["ok"], true);

    node.restart();
    node.type_ahead("quit\n");
    assert_eq!(node.wait_exit().code(), Some(0));
}

/// With `--no-prompt` a node runs with its input closed, until a signal.
pub(crate) fn without_a_prompt_the_node_outlives_its_input() {
    let watcher = Node::new();
    let arguments = ["--no-prompt", "--mine", "on"].map(str::to_owned).to_vec();
    let mut node = Node::start(NodeOptions { arguments, peers: vec![watcher.listen()], ..NodeOptions::default() });
    node.close_input();
    watcher.wait_event("tip", |event| number(event, "height") >= 5);
    node.stop();
}

/// `quipu` and `quipu --name lab2` use different folders of the platform's place for data.
pub(crate) fn two_names_run_side_by_side() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(std::env::var_os("QUIPU_BIN").unwrap_or(env!("CARGO_BIN_EXE_quipu").into()));
        command.args(["--json", "--network", "dev", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"]).args(arguments);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("QUIPU_") {
                command.env_remove(variable);
            }
        }
        command.env("HOME", home.path()).env_remove("XDG_DATA_HOME").stdin(std::process::Stdio::null());
        let output = command.output().expect("the program runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        let mut events = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let ready = events.find(|event| event["event"] == "ready").expect("ready");
        (text(&ready, "address"), text(&ready, "peer_id"))
    };
    let (plain, named) = (run(&[]), run(&["--name", "lab2"]));
    assert_ne!(plain, named);
    assert_eq!(plain, run(&[]), "each keeps its own keys");
    assert_eq!(named, run(&["--name", "lab2"]));
}

/// Keys are readable by their owner alone, and the coin key is a PEM file that `openssl pkey` reads.
pub(crate) fn the_coin_key_is_private_and_openssl_reads_it() {
    let node = Node::new();
    let mut pem = Vec::new();
    for file in files_below(node.folder()) {
        let extension = file.extension().unwrap_or_default();
        if extension == "key" || extension == "pem" {
            let mode = file.metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
        if extension == "pem" {
            pem.push(file);
        }
    }
    assert!(!pem.is_empty(), "no PEM file in {:?}", files_below(node.folder()));
    // openssl is nearly everywhere; without it there is nothing to check.
    for file in pem {
        match Command::new("openssl").args(["pkey", "-noout", "-text", "-in"]).arg(&file).output() {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => eprintln!("openssl cannot be run, so {} was not read by it: {error}", file.display()),
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
