//! Records: written, found, watched, rolled back, and proven without a node.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Cluster, Node, agree, ids, number, text};

const OTHER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// Text, file and JSON, found by tag, sender, time, content and id.
pub(crate) fn records_are_found_again() {
    let nodes = Cluster::start(2);
    let (a, b) = (&nodes[0], &nodes[1]);
    nodes.connect_all();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("bill of lading.pdf");
    std::fs::write(&file, "hello").expect("written");

    let text_id = text(&a.run("record pallet 7 arrived --tag delivery --tag warehouse-2"), "id");
    let answer = a.run(&format!("record --tag delivery @{}", file.display()));
    let file_id = text(&answer, "id");
    assert_eq!((text(&answer["file"], "sha256"), number(&answer["file"], "size")), (HELLO.to_owned(), 5));
    let json_id = text(&b.run("record --json {\"temperature\": 4.50} --tag lab"), "id");
    for node in nodes.iter() {
        node.run("resolve");
        assert!(found(node, "records").is_empty(), "pending records are not found");
    }
    a.wait_event("transaction", |event| event["id"] == *json_id);
    a.run("mine 1");
    assert_eq!(nodes.agree(), 1);

    for node in nodes.iter() {
        let all = found(node, "records");
        assert_eq!(all.len(), 3);
        assert_eq!(sorted(found(node, "records --tag delivery")), sorted(vec![text_id.clone(), file_id.clone()]));
        assert_eq!(found(node, "records --tag warehouse-2"), [&*text_id]);
        assert_eq!(found(node, &format!("records --from {}", b.address())), [&*json_id]);
        assert!(found(node, &format!("records --tag delivery --from {}", b.address())).is_empty());
        assert_eq!(found(node, &format!("records --find {HELLO}")), [&*file_id]);
        assert_eq!(found(node, &format!("records --find {file_id}")), [&*file_id]);
        assert!(found(node, &format!("records --find {file_id} --tag lab")).is_empty());
        assert_eq!(found(node, "records --since 1h").len(), 3);
        assert!(found(node, "records --since 2999-01-01").is_empty());
        let page = node.run("records --limit 2");
        let next = text(&page, "next");
        let rest = found(node, &format!("records --limit 2 --before {next}"));
        assert_eq!([ids(&page["records"]), rest].concat(), all);
    }
    let row = &b.run("records --tag lab")["records"][0];
    let recorded = ("{\"temperature\": 4.50}".to_owned(), b.address());
    assert_eq!((text(row, "json"), text(row, "sender")), recorded, "as it was typed");
    let row = &b.run(&format!("records --find {HELLO}"))["records"][0];
    assert_eq!((text(&row["file"], "name"), number(row, "height")), ("bill of lading.pdf".to_owned(), 1));

    assert_eq!(refusal(a, &format!("record @{}/no", folder.path().display())), "file_unreadable");
    assert_eq!(refusal(a, "record --json {"), "bad_record");
    assert_eq!(refusal(a, &format!("record --tag t {}", "x".repeat(4090))), "invalid_transaction");
}

/// Each file of a folder is a record of its own.
pub(crate) fn a_folder_is_recorded_with_one_command() {
    let node = Node::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (papers, many) = (folder.path().join("the papers"), folder.path().join("many"));
    std::fs::create_dir_all(papers.join("older")).expect("made");
    std::fs::create_dir(&many).expect("made");
    assert_eq!(refusal(&node, &format!("record @{}", many.display())), "file_unreadable");
    for number in 0..501 {
        std::fs::write(many.join(number.to_string()), "").expect("written");
    }
    assert_eq!(refusal(&node, &format!("record @{}", many.display())), "too_many");
    let names: Vec<String> = (10..30).map(|number| format!("paper {number}.pdf")).collect();
    for name in &names {
        std::fs::write(papers.join(name), name).expect("written");
    }
    std::fs::write(papers.join("older/paper.pdf"), "older").expect("written");
    std::fs::write(papers.join(".DS_Store"), "").expect("written");

    let answer = node.run(&format!("record @{}/ --tag papers", papers.display()));
    assert_eq!(answer["left_out"], serde_json::json!([".DS_Store", "older"]));
    let recorded = answer["records"].as_array().expect("a list");
    assert_eq!(recorded.iter().map(|row| text(&row["file"], "name")).collect::<Vec<_>>(), names);
    node.run("mine 1");
    assert_eq!(sorted(found(&node, "records --tag papers --limit 100")), sorted(ids(&answer["records"])));
    let one = papers.join(&names[7]);
    assert_eq!(found(&node, &format!("records --find \"{}\"", one.display())), [text(&recorded[7], "id")]);
}

/// An accent is a part of its letter on one system, and follows it on another.
pub(crate) fn names_and_tags_are_the_same_in_both_forms_of_their_letters() {
    let node = Node::new();
    node.run(&format!("alias José {OTHER}"));
    assert_eq!(text(&node.run("balance Jose\u{301}"), "address"), OTHER);
    let id = text(&node.run("record hello --tag Cafe\u{301}"), "id");
    node.run("mine 1");
    for form in ["Café", "Cafe\u{301}"] {
        assert_eq!(found(&node, &format!("records --tag {form}")), [&*id], "{form}");
    }
    assert_eq!(text(&node.run("unalias Jose\u{301}"), "name"), "José");
}

/// An account's transfers, rewards and records, page by page.
pub(crate) fn a_history_has_everything() {
    let mut node = Node::new();
    node.run("mine 2");
    node.run(&format!("alias customer {OTHER}"));
    node.run("tx customer 0.5");
    node.run("record a");
    node.run("mine 1");
    for _ in 0..2 {
        let history = node.run("history");
        let deeds: Vec<String> = history["entries"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| format!("{} {}", number(entry, "height"), entry["roles"][0].as_str().unwrap_or_default()))
            .collect();
        assert_eq!(deeds, ["3 recorded", "3 sent", "3 mined", "2 mined", "1 mined"]);
        assert_eq!(history["next"], Value::Null);
        let mut pages = Vec::new();
        let mut before = String::new();
        loop {
            let page = node.run(&format!("history --limit 2{before}"));
            pages.extend(page["entries"].as_array().expect("a list").clone());
            let Some(next) = page["next"].as_str() else { break };
            before = format!(" --before {next}");
        }
        assert_eq!(Value::from(pages), history["entries"]);
        let theirs = node.run("history customer");
        assert_eq!(
            (text(&theirs, "address"), &theirs["entries"][0]["roles"][0]),
            (OTHER.to_owned(), &"received".into())
        );
        // The index may be deleted at any time.
        node.stop();
        std::fs::remove_file(node.folder().join("index.redb")).expect("there is an index");
        node.restart();
    }
}

/// Names stand for addresses everywhere, and unknown ones are refused with a hint.
pub(crate) fn names_work_where_addresses_do() {
    let mut node = Node::new();
    node.run(&format!("alias customer {OTHER}"));
    node.run("mine 2 --to customer");
    assert_eq!(node.run("balance customer")["balance"], "2");
    assert_eq!(node.run("balance default")["address"], *node.address(), "one's own wallets have names too");
    node.stop();
    node.restart();
    assert_eq!(node.run("alias")[0]["address"], OTHER);
    assert_eq!(refusal(&node, &format!("alias customer {}", node.address())), "name_taken");
    assert_eq!(refusal(&node, &format!("alias default {OTHER}")), "name_taken");
    assert_eq!(refusal(&node, "alias nobody 0x0000000000000000000000000000000000000000"), "bad_name");
    let refused = node.try_run("tx custmer 1").expect_err("nobody is called so");
    assert!(refused.code == "bad_address" && refused.message.contains("did you mean customer?"), "{refused:?}");
    node.run("unalias customer");
    assert_eq!(refusal(&node, "balance customer"), "bad_address");
    assert_eq!(refusal(&node, "unalias customer"), "not_found");
}

/// A record in a losing branch is reported as rolled back, becomes pending and is mined again; its old receipt proves
/// the block, but not that it is on the best chain.
pub(crate) fn a_rolled_back_record_is_reported() {
    let mut nodes = Cluster::start(2);
    nodes.connect_all();
    nodes[0].run("mine 2");
    assert_eq!(nodes.agree(), 2);
    nodes.part();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = (folder.path().join("old.json"), folder.path().join("new.json"));
    let (a, b) = (&nodes[0], &nodes[1]);

    let id = text(&a.run("record pallet 7 arrived"), "id");
    let short = id.trim_start_matches('0')[..8].to_owned();
    assert_eq!(text(&a.run(&format!("watch {short}")), "state"), "pending");
    a.run("mine 1");
    let life = a.wait_event("watch", |life| life["state"] == "in_block");
    assert_eq!((text(&life, "id"), number(&life, "height"), number(&life, "confirmations")), (id.clone(), 3, 1));
    let receipt = a.run(&format!("receipt {short} {}", old.display()));
    assert_eq!((number(&receipt, "height"), number(&receipt, "confirmations")), (3, 1));
    let verified = verify(&old, &["--node", "--data-dir", &a.folder().display().to_string(), "--network", "dev"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");

    b.run("mine 3");
    let mark = a.mark();
    a.connect(b);
    assert_eq!(nodes.agree(), 5);
    let life = a.wait_event_since(mark, "watch", |life| life["state"] == "rolled_back");
    assert_eq!(
        (text(&life, "id"), number(&life, "height"), text(&life, "fate")),
        (id.clone(), 3, "pending".to_owned())
    );
    let verified = verify(&old, &["--node", "--data-dir", &a.folder().display().to_string(), "--network", "dev"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    assert!(said.contains("not in the best chain"), "{said}");
    assert_eq!(verify(&old, &[]).status.code(), Some(0), "the work was done, even if the chain was replaced");

    a.run("mine 1");
    let life = a.wait_event_since(mark, "watch", |life| life["state"] == "in_block");
    assert_eq!((number(&life, "height"), number(&life, "confirmations")), (6, 1));
    assert_eq!(agree(&[a, b]), 6);
    a.run(&format!("receipt {id} {}", new.display()));
    assert_eq!(refusal(a, &format!("receipt {id} {}", new.display())), "file_exists");
    let folder_of_b = b.folder().display().to_string();
    let verified = verify(&new, &["--node", "--data-dir", &folder_of_b, "--network", "dev"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

/// A record that is lost in a rollback is reported with the reason, even if nobody watched it.
pub(crate) fn a_lost_record_is_reported_with_the_reason() {
    let mut nodes = Cluster::start(2);
    nodes.connect_all();
    nodes[0].run("mine 1");
    assert_eq!(nodes.agree(), 1);
    nodes.part();
    let (a, b) = (&nodes[0], &nodes[1]);
    // The fee is paid with coins that exist on one side only.
    a.run("mine 1");
    let id = text(&a.run("record paid for --fee 1.5"), "id");
    a.run("mine 1");
    b.run("mine 3");
    a.connect(b);
    assert_eq!(nodes.agree(), 4);
    let life = a.wait_event("watch", |life| life["state"] == "rolled_back");
    assert_eq!((text(&life, "id"), text(&life, "fate")), (id, "gone".to_owned()));
    assert!(text(&life, "reason").contains("coins"), "{life}");
    // With a fee that can be paid, it is signed again, under the nonce that the first one had.
    let id = text(&life, "id");
    assert_eq!(life["again"], true, "{life}");
    let new = text(&a.run(&format!("again {id}")), "id");
    let pending = a.run("pending");
    assert_eq!((text(&pending[0], "id"), text(&pending[0], "data")), (new, "paid for".to_owned()));
    assert_eq!(number(&pending[0], "nonce"), 0);
}

/// A receipt is verified with nothing but itself, and the recorded file.
pub(crate) fn a_receipt_is_verified_in_an_empty_folder() {
    let node = Node::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, receipt) = (folder.path().join("hello.txt"), folder.path().join("receipt.json"));
    std::fs::write(&file, "hello").expect("written");
    let id = text(&node.run(&format!("record @{}", file.display())), "id");
    assert_eq!(refusal(&node, &format!("receipt {id} {}", receipt.display())), "not_found");
    node.run("mine 4");
    node.run(&format!("receipt {id} {} --confirmations 3", receipt.display()));
    let tip = text(&node.run("receipt --tip"), "id");
    let without_work = folder.path().join("without-work.json");
    node.run(&format!("receipt {id} {} --form witnessed", without_work.display()));
    let address = node.address();
    drop(node);

    let verified = verify(&receipt, &["--file", &file.display().to_string()]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(0), "{said}");
    for words in [&*address, "hello.txt", HELLO, "dev", "3 "] {
        assert!(said.contains(words), "{words}: {said}");
    }
    std::fs::write(&file, "hellp").expect("written");
    assert_eq!(verify(&receipt, &["--file", &file.display().to_string()]).status.code(), Some(1));
    assert_eq!(verify(&receipt, &["--witness", &tip]).status.code(), Some(1), "it ends below that block");
    assert_eq!(verify(&receipt, &["--network", "lan"]).status.code(), Some(1));
    // It is worth what its reader knows.
    let undecided = verify(&without_work, &[]);
    assert_eq!(undecided.status.code(), Some(2), "{undecided:?}");
    assert!(String::from_utf8_lossy(&undecided.stderr).starts_with("undecided: the receipt holds"), "{undecided:?}");
    assert_eq!(verify(&without_work, &["--witness", &tip]).status.code(), Some(0));
    assert_eq!(verify(&without_work, &["--witness", &"0".repeat(64)]).status.code(), Some(1));
    assert_eq!(verify(&folder.path().join("no.json"), &[]).status.code(), Some(2));

    // One bit in each tenth byte of the file; the protocol's own tests try them all.
    let whole = std::fs::read(&receipt).expect("written");
    for at in (0..whole.len()).step_by(whole.len() / 24) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let copy = folder.path().join("changed.json");
        std::fs::write(&copy, changed).expect("written");
        let verified = verify(&copy, &[]);
        assert!(matches!(verified.status.code(), Some(1 | 2)), "bit 0 of byte {at}: {verified:?}");
    }
}

/// A checkpoint holds against a chain with more work, also after a restart, until it is removed.
pub(crate) fn a_checkpoint_holds() {
    let mut nodes = Cluster::start(2);
    nodes[0].run("mine 2");
    nodes[1].run("mine 5");
    let (mine, theirs) = (nodes[0].tip(), nodes[1].tip());
    assert_eq!(number(&nodes[0].run("checkpoint 2")["checkpoint"], "height"), 2);
    assert_eq!(refusal(&nodes[0], "checkpoint 3"), "no_such_height");
    for _ in 0..2 {
        nodes.connect_all();
        nodes[0].wait_event("warning", |warning| warning["code"] == "reorganisation_refused");
        nodes[0].run("resolve");
        assert_eq!((nodes[0].tip(), nodes[1].tip()), (mine.clone(), theirs.clone()));
        assert_eq!(number(&nodes[0].run("status")["checkpoint"], "height"), 2);
        nodes.part();
    }
    assert_eq!(nodes[0].run("checkpoint off")["checkpoint"], Value::Null);
    nodes.connect_all();
    assert_eq!((nodes.agree(), nodes[0].tip()), (5, theirs));
}

fn verify(receipt: &Path, arguments: &[&str]) -> Output {
    let empty = tempfile::tempdir().expect("a temporary folder");
    let program = std::env::var_os("QUIPU_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_quipu").into());
    let mut command = Command::new(program);
    command.arg("verify").arg(receipt).args(arguments).current_dir(empty.path()).env_clear();
    let output = command.output().expect("the program runs");
    assert_eq!(std::fs::read_dir(empty.path()).expect("a folder").count(), 0, "it leaves nothing behind");
    output
}

fn found(node: &Node, command: &str) -> Vec<String> {
    ids(&node.run(command)["records"])
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

fn refusal(node: &Node, command: &str) -> String {
    node.try_run(command).expect_err(command).code
}
