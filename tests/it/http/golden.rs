//! One shape for each answer: what the prompt says with `--json` is what HTTP says.
//!
//! Whole answers are compared as values. The permitted differences are named here: figures that are measured at the
//! moment of the question, and heights and ids where the question changes the chain.

use serde_json::{Value, json};

use super::{HELLO, HttpClient};
use crate::harness::{Node, NodeOptions, number, text};

/// Fields that are measured for each answer.
const MEASURED: [&str; 2] = ["hash_rate", "ping_ms"];

/// All questions that both faces answer.
pub(crate) fn both_faces_give_the_same_answers() {
    let node = Node::start(NodeOptions { http: true, ..NodeOptions::default() });
    let api = HttpClient::of(&node);
    let other = Node::new();
    node.connect(&other);
    node.run("mine 3");
    node.run("alias shop 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
    let sent = text(&node.run("tx shop 0.5 --fee 0.1"), "id");
    node.run("record --tag t hello");
    node.run("record --tag u --json {\"pallet\":7}");
    node.run("mine 1");
    node.run("tx shop 0.25");
    std::fs::write(node.folder().join("wallets/broken.pem"), "no key").expect("our own folder");

    let me = node.address();
    let tip = text(&node.run("status"), "tip");
    let next = text(&node.run("history --limit 2"), "next");
    let account = format!("/accounts/{me}");
    let questions = [
        ("status".to_owned(), "/status".to_owned()),
        ("peers".to_owned(), "/peers".to_owned()),
        ("alias".to_owned(), "/aliases".to_owned()),
        ("wallet".to_owned(), "/wallets".to_owned()),
        ("chain".to_owned(), "/blocks?order=oldest".to_owned()),
        ("chain 1 2".to_owned(), "/blocks?order=oldest&from=1&limit=2".to_owned()),
        ("block 4".to_owned(), "/blocks/4".to_owned()),
        (format!("block {tip}"), format!("/blocks/{tip}")),
        ("balance".to_owned(), account.clone()),
        ("balance shop".to_owned(), "/accounts/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned()),
        ("history".to_owned(), format!("{account}/history")),
        ("history --limit 2".to_owned(), format!("{account}/history?limit=2")),
        (format!("history --before {next}"), format!("{account}/history?before={next}")),
        ("records".to_owned(), "/records".to_owned()),
        ("records --limit 1".to_owned(), "/records?limit=1".to_owned()),
        (format!("records --tag t --from {me} --since 1h"), format!("/records?tag=t&from={me}&since=1h")),
        (format!("records --find {HELLO}"), format!("/records?sha256={HELLO}")),
    ];
    for (line, path) in &questions {
        let typed = node.run(line);
        assert_ne!(typed, json!([]), "{line} would compare nothing");
        same(line, &typed, &api.get(&format!("/api/v1{path}")).json());
    }
    same("pending", &node.run("pending"), &api.get("/api/v1/transactions").json()["transactions"]);

    let file = node.folder().join("receipt.json");
    node.run(&format!("receipt {sent} {}", file.display()));
    let written: Value = serde_json::from_slice(&std::fs::read(file).expect("written")).expect("JSON");
    same("receipt", &written, &api.get(&format!("/api/v1/transactions/{sent}/receipt")).json());

    actions(&node, &api, &other);
    refusals(&node, &api);
}

/// Questions that change the chain: the answers are the same, except for the new blocks.
fn actions(node: &Node, api: &HttpClient, other: &Node) {
    let connect = json!({"address": other.listen()});
    same("connect", &node.run(&format!("connect {}", other.listen())), &api.post("/api/v1/peers", &connect).json());
    same("resolve", &node.run("resolve"), &api.post("/api/v1/resolve", &json!({})).json());
    let off = json!({"mode": "off"}).to_string();
    let set = api.send("PUT", "/api/v1/mining", &[("content-type", "application/json")], off.as_bytes());
    same("mine off", &node.run("mine off"), &set.json());
    let mut mined = [node.run("mine 2"), api.post("/api/v1/mining/blocks", &json!({"count": 2})).json()];
    let chain = node.chain();
    for (answer, first) in mined.iter_mut().zip([5, 7]) {
        for (block, height) in answer["blocks"].as_array_mut().expect("a list").iter_mut().zip(first..) {
            assert_eq!((number(block, "height"), &block["id"]), (height, &chain["blocks"][height as usize]["id"]));
            *block = json!({"height": null, "id": null});
        }
    }
    assert_eq!(mined[0], mined[1]);
}

/// The code and the line are the same, too.
fn refusals(node: &Node, api: &HttpClient) {
    let cases = [
        ("block 99", "/blocks/99", 404),
        ("chain 99", "/blocks?from=99", 404),
        ("block nonsense", "/blocks/nonsense", 400),
        ("chain x", "/blocks?from=x", 400),
        ("balance 0x12", "/accounts/0x12", 400),
        ("history --limit 0", "/records?limit=0", 400),
        ("records --tag a,b", "/records?tag=a,b", 400),
        ("records --since later", "/records?since=later", 400),
        ("watch abababababab", "/transactions/abababababab", 404),
    ];
    for (line, path, status) in cases {
        let refusal = node.try_run(line).expect_err(line);
        let response = api.get(&format!("/api/v1{path}"));
        assert_eq!(response.problem(status), refusal.code, "{line}");
        let problem: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(text(&problem, "detail"), refusal.message, "{line}");
    }
}

fn same(question: &str, typed: &Value, served: &Value) {
    let (mut typed, mut served) = (typed.clone(), served.clone());
    [&mut typed, &mut served].into_iter().for_each(forget_measured);
    assert_eq!(typed, served, "{question}");
}

fn forget_measured(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(forget_measured),
        Value::Object(fields) => {
            for (name, value) in fields {
                if MEASURED.contains(&name.as_str()) { *value = Value::Null } else { forget_measured(value) }
            }
        }
        _ => {}
    }
}

/// Events of a run are the same on the stream and on the prompt's lines.
pub(crate) fn both_faces_tell_the_same_events() {
    let node = Node::start(NodeOptions { http: true, ..NodeOptions::default() });
    let api = HttpClient::of(&node);
    let mut stream = api.events(None);
    assert_eq!(stream.next().kind, "hello");
    let other = Node::new();
    node.connect(&other);
    node.run("mine 1");
    let sent = text(&node.run("record hello"), "id");
    node.run(&format!("watch {sent}"));
    node.run("mine 1");
    // The index may be behind: its events must come before the peer leaves.
    node.wait_event("watch", |event| event["id"] == sent.as_str() && event["state"] == "in_block");
    drop(other);
    for kind in ["peer_connected", "tip", "transaction", "tip", "watch", "peer_disconnected"] {
        let told = stream.next_of(kind);
        node.wait_event(kind, |event| *event == told.data);
    }
}
