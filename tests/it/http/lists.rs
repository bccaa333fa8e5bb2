//! Lists: filters, and the way from one page to the next.

use serde_json::{Value, json};

use super::client::HttpClient;
use super::node;
use crate::harness::{number, text};

const SHOP: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn heights(page: &Value) -> Vec<u64> {
    page["blocks"].as_array().expect("a list").iter().map(|block| number(block, "height")).collect()
}

fn texts(page: &Value) -> Vec<String> {
    page["records"].as_array().expect("a list").iter().map(|record| text(record, "text")).collect()
}

/// Only what fits every condition is listed, page by page.
pub(crate) fn lists_are_filtered() {
    let (node, api) = node();
    node.run("mine 2");
    api.post("/api/v1/mining/blocks", &json!({"count": 2, "to": SHOP}));
    node.run("record Pallet SIEBEN kam an --tag halle");
    node.run("mine 1");
    node.run("record zwei Paletten");
    api.post("/api/v1/mining/blocks", &json!({"count": 1, "to": SHOP}));
    let get = |path: &str| api.get(&format!("/api/v1/{path}")).json();

    for list in ["blocks", "blocks/brief"] {
        assert_eq!(heights(&get(&format!("{list}?miner={SHOP}"))), [6, 4, 3]);
        let page = get(&format!("{list}?miner={SHOP}&limit=2"));
        assert_eq!((heights(&page), number(&page, "length")), (vec![6, 4], 7));
        let rest = get(&format!("{list}?miner={SHOP}&limit=2&from={}", page["next"]));
        assert_eq!((heights(&rest), &rest["next"]), (vec![3], &Value::Null));
        assert_eq!(heights(&get(&format!("{list}?miner={SHOP}&order=oldest&from=4"))), [4, 6]);
        // The first block is of the network's beginning, the others are of today.
        assert_eq!(heights(&get(&format!("{list}?until=2026-11-02"))), [0]);
        assert_eq!(heights(&get(&format!("{list}?since=2026-11-02&order=oldest&limit=2"))), [1, 2]);
        assert_eq!(heights(&get(&format!("{list}?since=1d&miner={SHOP}&from=4"))), [4, 3]);
        assert_eq!(heights(&get(&format!("{list}?until=1d&miner={SHOP}"))), [0; 0]);
        let far = api.get(&format!("/api/v1/{list}?since=2100-01-01"));
        assert_eq!((heights(&far.json()), far.json()["next"].clone()), (vec![], Value::Null));
    }

    assert_eq!(texts(&get("records?text=sieben")), ["Pallet SIEBEN kam an"]);
    assert_eq!(texts(&get("records?text=PALET")), ["zwei Paletten"]);
    assert_eq!(texts(&get("records?text=hall")), ["Pallet SIEBEN kam an"], "a tag is text, too");
    assert_eq!(texts(&get("records?text=e&since=1h")), ["zwei Paletten", "Pallet SIEBEN kam an"]);
    assert_eq!(texts(&get("records?text=e&since=7d&until=1h")), [""; 0]);
    assert_eq!(texts(&get("records?until=2026-11-02")), [""; 0]);
    let me = node.address();
    let all = get(&format!("accounts/{me}/history"));
    assert_eq!(get(&format!("accounts/{me}/history?since=2026-11-02")), all);
    assert_eq!(get(&format!("accounts/{me}/history?until=2026-11-02"))["entries"], json!([]));

    node.run("record waits");
    let waiting = get(&format!("transactions?sender={me}"));
    assert_eq!((number(&waiting, "length"), waiting["transactions"].as_array().map(Vec::len)), (1, Some(1)));
    let none = get(&format!("transactions?sender={SHOP}"));
    assert_eq!(none, json!({"length": 0, "transactions": [], "next": null}));
    mistakes_are_explained(&api);
    parts_of_whole_lists(&api);
}

fn mistakes_are_explained(api: &HttpClient) {
    let long = "x".repeat(257);
    let cases = [
        ("/api/v1/blocks?miner=bob", "bad_address"),
        ("/api/v1/blocks?until=tomorrow", "bad_number"),
        ("/api/v1/blocks/brief?since=1d&until=2d", "bad_period"),
        ("/api/v1/records?since=1d&until=1d", "bad_period"),
        ("/api/v1/records?text=", "bad_search"),
        (&format!("/api/v1/records?text={long}"), "bad_search"),
        ("/api/v1/records?miner=x", "bad_query"),
        ("/api/v1/transactions?sender=0x1", "bad_address"),
        ("/api/v1/transactions?until=1d", "bad_query"),
        ("/chain?limit=0", "bad_number"),
        ("/chain?from=x", "bad_number"),
        ("/pending_tx?limit=1001", "bad_number"),
    ];
    for (path, code) in cases {
        assert_eq!(api.get(path).problem(400), code, "{path}");
    }
    let words = api.get("/api/v1/blocks?until=tomorrow").json_of(400)["detail"].clone();
    assert!(
        words.as_str().is_some_and(|words| words.starts_with("until: ") && words.contains("2026-11-21")),
        "{words}"
    );
    let words = api.get("/api/v1/records?miner=x").json_of(400)["detail"].clone();
    assert!(words.as_str().is_some_and(|words| words.contains("`until`")), "it says what there is: {words}");
}

/// The lists of tutorials are whole, unless a part is asked for; headers say where they go on.
fn parts_of_whole_lists(api: &HttpClient) {
    let all = api.get("/chain").json();
    let chain = all["chain"].as_array().expect("a list");
    assert_eq!((chain.len(), number(&all, "length")), (7, 7));
    let part = api.get("/chain?from=2&limit=3").json();
    assert_eq!((part["chain"].as_array().map(Vec::as_slice), number(&part, "length")), (Some(&chain[2..5]), 7));
    assert_eq!(api.get("/chain?from=5").json()["chain"].as_array().map(Vec::as_slice), Some(&chain[5..]));
    assert_eq!(api.get("/chain?from=7").problem(404), "not_found");
    assert_eq!(api.get("/pending_tx?from=1").json(), json!([]));
    assert_eq!(api.get("/pending_tx?from=0&limit=1").json(), api.get("/pending_tx").json());

    let (mut listed, mut next) = (Vec::new(), Some("/api/v1/headers?from=0&limit=3".to_owned()));
    while let Some(path) = next {
        let page = api.get(&path);
        listed.extend(page.json().as_array().expect("a list").iter().map(|header| number(header, "height")));
        next = page.header("link").map(|link| {
            let (path, rest) = link.trim_start_matches('<').split_once('>').expect("a link");
            assert_eq!(rest, "; rel=\"next\"");
            path.to_owned()
        });
    }
    assert_eq!(listed, [0, 1, 2, 3, 4, 5, 6]);
}
