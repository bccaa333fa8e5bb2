//! The routes of tutorials, called by their curl lines.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::client::HttpClient;
use crate::harness::{Node, NodeOptions, agree, number, text};

const OTHER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn pair() -> [(Node, HttpClient); 2] {
    [(); 2].map(|()| {
        let node = Node::start(NodeOptions { http: true, ..NodeOptions::default() });
        let client = HttpClient::of(&node);
        (node, client)
    })
}

/// Mine, send, look, register, resolve, save: the whole lesson.
pub(crate) fn the_lines_of_tutorials_work() {
    let [(node, api), (other, other_api)] = pair();
    let mined = api.get("/mine").json();
    assert_eq!((text(&mined, "message"), number(&mined, "index")), ("New Block Forged".to_owned(), 1));
    let genesis = &api.get("/chain").json()["chain"][0];
    assert_eq!((&mined["previous_hash"], number(genesis, "index")), (&genesis["hash"], 0));
    assert!(mined["proof"].is_u64());
    let reward = &mined["transactions"][0];
    assert_eq!(
        (&reward["sender"], text(reward, "recipient"), &reward["amount"]),
        (&"0".into(), node.address(), &1.into())
    );
    let for_other = api.get(&format!("/mine?miner_address={OTHER}")).json();
    assert_eq!(text(&for_other["transactions"][0], "recipient"), OTHER);

    let wanted = json!({"sender": node.address(), "recipient": OTHER, "amount": 0.25});
    let sent = api.post("/transactions/new", &wanted);
    assert_eq!(sent.status, 201);
    let sent: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!(text(&sent, "message"), "Transaction will be added to Block 3");
    let waiting = api.get("/pending_tx").json();
    assert_eq!((&waiting[0]["id"], &waiting[0]["amount"]), (&sent["id"], &json!(0.25)));
    // A wallet's name, and a text for a number.
    let named = json!({"sender": "default", "recipient": OTHER, "amount": "0.25"});
    assert_eq!(api.post("/transactions/new", &named).status, 201);
    let block = api.get("/mine").json();
    assert_eq!(block["transactions"].as_array().map(Vec::len), Some(3));
    let chain = api.get("/chain").json();
    assert_eq!((number(&chain, "length"), chain["chain"].as_array().map(Vec::len)), (4, Some(4)));
    assert_eq!(node.balance(OTHER), "1.5");

    let nodes = json!({"nodes": [format!("http://{}", api.address)]});
    let registered = other_api.post("/nodes/register", &nodes);
    assert_eq!(registered.status, 201);
    let bare = json!({"nodes": [api.address.to_string()]});
    assert_eq!(other_api.post("/nodes/register", &bare).status, 201, "as tutorials write it");
    let registered: Value = serde_json::from_slice(&registered.body).expect("JSON");
    assert_eq!(text(&registered, "message"), "New nodes have been added");
    assert!(registered["total_nodes"][0].as_str().is_some_and(|place| place.contains(&node.peer_id())));
    for path in ["/nodes/resolve", "/miner/nodes/resolve"] {
        let resolved = other_api.get(path).json();
        let list = if text(&resolved, "message") == "Our chain was replaced" { "new_chain" } else { "chain" };
        assert_eq!(resolved[list].as_array().map(Vec::len), Some(4), "{path}");
        assert_eq!(other_api.send("POST", path, &[], b"").status, 200);
    }
    assert_eq!(agree(&[&node, &other]), 3);
    let saved = other_api.get("/save").json();
    assert_eq!((number(&saved, "blocks"), text(&saved, "message")), (4, "Chain saved".to_owned()));
    let file = std::fs::read(text(&saved, "file")).expect("it is there");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    assert_eq!(file["blocks"].as_array().map(Vec::len), Some(4));
}

/// By a multiaddress or by the address of its HTTP server, by either route.
pub(crate) fn nodes_are_registered_by_either_address() {
    for (path, body) in [("/miner/register", None), ("/register_with", Some("node_address")), ("/register_with", None)]
    {
        let [(node, api), (other, other_api)] = pair();
        node.run("mine 2");
        let place = if body.is_some() { format!("http://{}", api.address) } else { node.listen() };
        let wanted = match path {
            "/register_with" => json!({"node_address": place}),
            _ => json!({"nodes": [place]}),
        };
        assert!([200, 201].contains(&other_api.post(path, &wanted).status), "{path} {wanted}");
        other.wait_connected(&node.peer_id());
        assert_eq!(agree(&[&node, &other]), 2);
    }
}

/// A node accepts another node's block if it has the parent; a changed block is refused.
pub(crate) fn a_block_is_handed_over() {
    let [(node, api), (other, other_api)] = pair();
    node.run("mine 1");
    node.run("record by hand");
    let mined = api.get("/mine").json();
    let first = &api.get("/chain").json()["chain"][1];
    let refused = other_api.post("/add_block", &mined);
    assert_eq!(refused.problem(400), "block_refused");
    assert_eq!(other_api.post("/add_block", first).status, 201);
    let mut greedy = mined.clone();
    greedy["transactions"][0]["amount"] = 5.into();
    greedy["hash"] = Value::Null;
    assert_eq!(other_api.post("/add_block", &greedy).problem(400), "block_refused", "more than the subsidy");
    assert_eq!(other.height(), 1);
    assert_eq!(other_api.post("/add_block", &mined).status, 201);
    assert_eq!(other.tip(), node.tip());
    assert_eq!(other_api.post("/add_block", &mined).status, 201, "a second time changes nothing");
    let mut changed = mined;
    changed["transactions"][0]["recipient"] = OTHER.into();
    assert_eq!(other_api.post("/add_block", &changed).problem(400), "block_refused");
    assert_eq!(other.height(), 2);
}

/// Numbers are taken as their digits say or not at all, and every block that one node shows another one takes.
pub(crate) fn amounts_are_exact_on_every_way() {
    let [(node, api), (other, other_api)] = pair();
    node.run("mine 3");
    let send =
        |path: &str, body: &str| api.send("POST", path, &[("content-type", "application/json")], body.as_bytes());
    let new =
        |rest: &str| send("/transactions/new", &format!(r#"{{"sender":"default","recipient":"{OTHER}",{rest}}}"#));
    for amount in ["0.1", "1e-8", "1.00000000000000000000", "\"0.00000001\"", "0.2,\"fee\":2.5E-1"] {
        assert_eq!(new(&format!(r#""amount":{amount}"#)).status, 201, "{amount}");
    }
    let refused = ["0.30000000000000004", "12345678901234567890.12345678", "1e400", "-0", "1,\"fee\":1e-9"];
    for amount in refused {
        assert_eq!(new(&format!(r#""amount":{amount}"#)).problem(400), "bad_amount", "{amount}");
    }
    assert_eq!(new(r#""amount":1,"amount":2"#).problem(400), "bad_body", "which of them?");
    let key = "00".repeat(32);
    let prepared = |amount: &str| {
        let transfer = format!(r#"{{"public_key":"{key}","transfer":{{"to":"{OTHER}","amount":{amount}}}}}"#);
        send("/api/v1/transactions/prepare", &transfer)
    };
    assert_eq!(text(&prepared("1e-8").json()["summary"], "amount"), "0.00000001");
    assert_eq!(prepared("0.30000000000000004").problem(400), "bad_amount");

    let long = r#"record --json {"n":12345678901234567890.10,"n":1e2} --tag ürün"#;
    for line in ["record \u{202e}e\u{301} \u{1f9f6} \\u0000 \"q\"", long, "record --tag a --fee 0.00000003 b", "mine 2"]
    {
        node.run(line);
    }
    assert_eq!(node.balance(OTHER), "1.30000002");
    let shown = api.get("/chain");
    let parts: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&shown.body).expect("JSON");
    let blocks: Vec<Box<RawValue>> = serde_json::from_str(parts["chain"].get()).expect("a list");
    assert_eq!(blocks.len(), 6);
    for block in &blocks {
        let taken =
            other_api.send("POST", "/add_block", &[("content-type", "application/json")], block.get().as_bytes());
        assert_eq!(taken.status, 201, "{} of {block}", String::from_utf8_lossy(&taken.body));
    }
    assert_eq!(other.tip(), node.tip());
    let finer = blocks[4].get().replace("\"amount\":0.1,", "\"amount\":0.1000000000001,");
    assert_ne!(finer, blocks[4].get());
    let refused = other_api.send("POST", "/add_block", &[("content-type", "application/json")], finer.as_bytes());
    assert_eq!(refused.problem(400), "block_refused");
}

/// Missing fields are named, and each mistake has its own code.
pub(crate) fn classic_mistakes_are_explained() {
    let [(node, api), (other, _)] = pair();
    node.run("mine 1");
    let me = node.address();
    let cases = [
        ("/transactions/new", json!({}), 400, "missing_values"),
        ("/transactions/new", json!({"sender": me, "recipient": OTHER}), 400, "missing_values"),
        ("/transactions/new", json!({"sender": me, "recipient": OTHER, "amount": -1}), 400, "bad_amount"),
        ("/transactions/new", json!({"sender": me, "recipient": "bob", "amount": 1}), 400, "bad_address"),
        ("/transactions/new", json!({"sender": me, "recipient": OTHER, "amount": 9}), 422, "insufficient_balance"),
        (
            "/transactions/new",
            json!({"sender": other.address(), "recipient": me, "amount": 1}),
            404,
            "wallet_not_found",
        ),
        ("/nodes/register", json!({}), 400, "missing_values"),
        ("/nodes/register", json!({"nodes": []}), 400, "missing_values"),
        ("/nodes/register", json!({"nodes": ["nonsense"]}), 400, "bad_multiaddr"),
        ("/nodes/register", json!({"nodes": ["http://127.0.0.1:1"]}), 422, "connect_failed"),
        ("/nodes/register", json!({"nodes": ["/ip4/127.0.0.1/tcp/1"]}), 422, "connect_failed"),
        ("/register_with", json!({}), 400, "missing_values"),
        ("/add_block", json!({"index": 2}), 400, "bad_body"),
    ];
    for (path, body, status, code) in cases {
        let answer = api.post(path, &body);
        assert_eq!(answer.problem(status), code, "{path} {body}");
    }
    let missing = api.post("/transactions/new", &json!({"sender": me}));
    assert!(String::from_utf8_lossy(&missing.body).contains("recipient, amount"));
    assert_eq!(api.get("/mine?miner_address=me").problem(400), "bad_address");
}
