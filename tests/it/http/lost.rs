//! A user signs an acknowledged transaction that can never be mined again, once. A locked wallet signs nothing.

use std::fs;

use serde_json::{Value, json};

use super::client::{HttpClient, HttpResponse};
use crate::crash;
use crate::harness::{Node, NodeOptions, quipu, text};

const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// What was made.
fn made(answer: &HttpResponse) -> Value {
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// After an old backup was put back, a record takes a nonce that the chain has used. At the prompt and over HTTP its content
/// is signed once more, byte for byte, and never twice.
pub(crate) fn a_lost_record_is_signed_again() {
    let with_http = || NodeOptions { http: true, ..NodeOptions::default() };
    let mut node = Node::new();
    node.run("mine 3");
    node.stop();
    let backup = tempfile::tempdir().expect("a temporary folder");
    crash::copy(node.folder(), backup.path());
    // With its key, the copy would be the same peer.
    fs::remove_file(backup.path().join("node.key")).expect("it has one");
    node.restart();
    node.run("record first");
    node.run("record second");
    node.run("mine 1");

    let mut old = Node::start_in(backup.path(), with_http());
    let api = HttpClient::of(&old);
    let said = " two  blanks, \u{e9} and e\u{301} ";
    let typed = text(&old.run(&format!("record --tag lot {said}")), "id");
    let posted = text(&made(&api.post("/api/v1/records", &json!({"text": said}))), "id");
    assert_eq!(old.try_run(&format!("again {typed}")).expect_err("it waits").code, "not_lost");
    assert_eq!(api.get("/api/v1/lost").json(), json!([]));
    old.connect(&node);
    for id in [&typed, &posted] {
        let told = old.wait_event("watch", |life| life["id"] == **id && life["state"] == "gone");
        assert_eq!(told["again"], true, "{told}");
    }
    let lost = api.get("/api/v1/lost").json();
    let rows = lost.as_array().expect("a list");
    assert_eq!(rows.iter().map(|row| text(row, "id")).collect::<Vec<_>>(), [posted.clone(), typed.clone()]);
    assert!(text(&rows[0], "reason").contains("nonce") && rows[0]["again"].is_null(), "{lost}");

    // By the digits that are shown.
    let new = text(&old.run(&format!("again {}", &typed.trim_start_matches('0')[..8])), "id");
    // A restart forgets neither what is lost nor what was sent again.
    old.kill();
    old.restart();
    let api = HttpClient::of(&old);
    let warned = old.wait_event("warning", |warning| text(warning, "message").contains("no longer be mined"));
    assert!(text(&warned, "message").starts_with("1 transaction of"), "{warned}");
    let again = api.get("/api/v1/lost").json();
    assert_eq!((&again[0], text(&again[1], "again")), (&rows[0], new.clone()));
    let lives = old.run("watch");
    assert!(lives.as_array().is_some_and(|lives| lives.iter().any(|life| life["id"] == *posted)), "{lives}");
    let answer = api.post(&format!("/api/v1/lost/{posted}/again"), &json!({}));
    let other = text(&made(&answer), "id");
    let data = |id: &str| api.get(&format!("/api/v1/transactions/{id}")).json()["data"].clone();
    assert_eq!((data(&new), data(&other)), (rows[1]["data"].clone(), rows[0]["data"].clone()));
    assert!(data(&new).to_string().contains("e\u{301}"), "{}", data(&new));
    for id in [&typed, &posted] {
        let refusal = old.try_run(&format!("again {id}")).expect_err("a second time");
        assert_eq!(refusal.code, "sent_again");
        assert!(refusal.message.contains(if *id == typed { &new } else { &other }), "{refusal:?}");
        assert_eq!(api.post(&format!("/api/v1/lost/{id}/again"), &json!({})).problem(409), "sent_again");
        assert_eq!(old.run(&format!("watch {id}"))["again"], false);
    }
    assert_eq!(old.try_run(&format!("again {new}")).expect_err("it waits").code, "not_lost");
    let unknown = "ab".repeat(32);
    assert_eq!(old.try_run(&format!("again {unknown}")).expect_err("unknown").code, "not_found");
    old.run("mine 1");
    assert_eq!(old.try_run(&format!("again {new}")).expect_err("it is mined").code, "not_lost");
    let records = old.run("records");
    assert_eq!(records["records"].as_array().map(Vec::len), Some(4), "{records}");
}

/// Over HTTP a locked wallet signs nothing, and says so with 423.
pub(crate) fn a_locked_wallet_signs_nothing() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (data, password) = (place.path().join("data"), place.path().join("password"));
    fs::write(&password, "secret").expect("written");
    let file = password.display().to_string();
    let mut make = quipu(None);
    make.args(["wallet", "new", "team", "--network", "dev", "--password-file", &file]).arg("--data-dir").arg(&data);
    let made = make.output().expect("it runs");
    assert!(made.status.success(), "{made:?}");
    let options = |arguments: &[&str]| NodeOptions {
        http: true,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        ..NodeOptions::default()
    };
    let mut node = Node::start_in(&data, options(&["--wallet", "team"]));
    node.run("mine 1");
    let send = json!({"sender": node.address(), "recipient": ADDRESS, "amount": 0.5});
    let requests = [
        ("/api/v1/records", json!({"text": "a"})),
        ("/api/v1/records", json!({"records": [{"text": "a"}, {"json": 1}]})),
    ];
    let api = HttpClient::of(&node);
    for (path, body) in &requests {
        let refused = api.post(path, body);
        assert!(refused.contains("unlock"), "it says what to do");
        assert_eq!(refused.problem(423), "wallet_locked");
    }
    assert_eq!(api.post("/transactions/new", &send).problem(423), "wallet_locked");
    assert_eq!(node.run("pending"), json!([]));
    node.stop();

    node.restart_with(options(&["--wallet", "team", "--password-file", &file]));
    let api = HttpClient::of(&node);
    for (path, body) in &requests {
        assert_eq!(api.post(path, body).status, 201);
    }
    assert_eq!(node.run("pending").as_array().map(Vec::len), Some(3));
}
