//! Lists in other forms than a page, and values alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::{HttpClient, HttpResponse};
use super::node;
use crate::harness::{number, text};

const SHOP: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// Records of strangers who mean harm to a spreadsheet or to its reader.
const EVIL: [&str; 5] = ["=1+1", "@SUM(A1)", "a\u{202e}b, \"c\"\r\n=d", "-2", "\u{feff}=x"];

fn body(answer: &HttpResponse) -> String {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    String::from_utf8(answer.body.clone()).expect("UTF-8")
}

fn ndjson(api: &HttpClient, path: &str) -> Vec<Value> {
    let text = body(&api.send("GET", path, &[("accept", "application/x-ndjson")], b""));
    assert!(!text.contains(['\u{202e}', '\u{feff}']), "what confuses is escaped");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The rows of a CSV, by the names of their columns (RFC 4180).
fn csv(api: &HttpClient, path: &str) -> Vec<BTreeMap<String, String>> {
    let answer = api.send("GET", path, &[("accept", "text/csv")], b"");
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"), "{path}");
    assert!(answer.varies_by("accept"));
    let text = body(&answer);
    let lines = text.strip_suffix("\r\n").expect("complete").split("\r\n").map(cells);
    let mut lines = lines.collect::<Vec<_>>().into_iter();
    let names = lines.next().expect("a header");
    let row = |cells: Vec<String>| {
        assert_eq!(cells.len(), names.len(), "{cells:?}");
        names.iter().cloned().zip(cells).collect()
    };
    lines.map(row).collect()
}

fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted, mut chars) = (Vec::new(), String::new(), false, line.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

fn data_of(row: &BTreeMap<String, String>) -> Vec<u8> {
    hex::decode(row["data"].strip_prefix("0x").expect("the mark")).expect("hex")
}

/// Whole lists come as CSV and NDJSON: all rows, harmless, and with every byte of what is on the chain.
pub(crate) fn whole_lists_come_in_other_forms() {
    let (node, api) = node();
    node.run("mine 2");
    node.run(&format!("tx {SHOP} 0.5 --fee 0.1"));
    let evil: Vec<Value> = EVIL.iter().map(|text| json!({"text": text, "tags": ["=tag"]})).collect();
    api.post("/api/v1/records", &json!({"records": evil}));
    node.run("mine 1");
    let many: Vec<Value> = (0..230).map(|number| json!({"text": format!("row {number}")})).collect();
    api.post("/api/v1/records", &json!({"records": many}));
    node.run("mine 1");
    api.post("/api/v1/records", &json!({"text": "=waits", "tags": ["t"]}));

    let page = api.get("/api/v1/records?limit=1000").json();
    assert_eq!(Some(&ndjson(&api, "/api/v1/records")), page["records"].as_array());
    let rows = csv(&api, "/api/v1/records");
    assert_eq!(rows.len(), 235);
    for row in &rows {
        let on_chain = api.get(&format!("/api/v1/transactions/{}", row["id"])).json();
        assert_eq!(data_of(row), text(&on_chain, "data").as_bytes(), "byte for byte");
        assert!(!row["text"].starts_with(['=', '+', '-', '@']) && !row["text"].contains('\u{202e}'), "{row:?}");
        assert!(row["tags"].is_empty() || row["tags"] == "'=tag");
    }
    let evil = csv(&api, "/api/v1/records?text=SUM&format=csv");
    assert_eq!((evil.len(), &*evil[0]["text"], &*evil[0]["height"]), (1, "'@SUM(A1)", "3"));
    assert_eq!(csv(&api, "/api/v1/records?limit=3").len(), 3);
    assert_eq!(csv(&api, "/api/v1/records?tag=none"), []);

    let chain = api.get("/api/v1/blocks?order=oldest").json();
    assert_eq!(Some(&ndjson(&api, "/api/v1/blocks?order=oldest")), chain["blocks"].as_array());
    let brief = api.get("/api/v1/blocks/brief?from=2").json();
    assert_eq!(Some(&ndjson(&api, "/api/v1/blocks/brief?from=2")), brief["blocks"].as_array());
    for (path, heights) in [("blocks?order=oldest&from=3", vec!["3", "4"]), ("blocks/brief?limit=2", vec!["4", "3"])] {
        let rows = csv(&api, &format!("/api/v1/{path}"));
        assert_eq!(rows.iter().map(|row| &*row["height"]).collect::<Vec<_>>(), heights);
        let block = api.get(&format!("/api/v1/blocks/{}", heights[0])).json();
        assert_eq!((&*rows[0]["id"], &rows[0]["size"]), (&*text(&block, "id"), &block["size"].to_string()));
    }

    let waiting = csv(&api, "/api/v1/transactions");
    assert_eq!((waiting.len(), &*waiting[0]["type"]), (1, "record"));
    assert!(String::from_utf8(data_of(&waiting[0])).is_ok_and(|data| data.contains("=waits")));
    let me = node.address();
    let history = api.get(&format!("/api/v1/accounts/{me}/history?limit=1000")).json();
    assert_eq!(Some(&ndjson(&api, &format!("/api/v1/accounts/{me}/history"))), history["entries"].as_array());
    assert_eq!(csv(&api, &format!("/api/v1/accounts/{me}/history?limit=1"))[0]["roles"], "recorded");
    assert_eq!(api.get("/api/v1/blocks?format=xml").problem(400), "bad_query");
    mined_transactions(&api, &me);
}

fn mined_transactions(api: &HttpClient, me: &str) {
    let all = ndjson(api, "/api/v1/transactions/mined");
    // 236 of ours, a reward in each of four blocks, and that of the first.
    assert_eq!(all.len(), 236 + 5);
    assert!(all.is_sorted_by(|one, next| number(one, "height") >= number(next, "height")));
    let (mut listed, mut next) = (Vec::new(), Value::Null);
    loop {
        let before = next.as_str().map(|next| format!("&before={next}")).unwrap_or_default();
        let page = api.get(&format!("/api/v1/transactions/mined?limit=100{before}")).json();
        listed.extend_from_slice(page["transactions"].as_array().expect("a list"));
        next = page["next"].clone();
        if next.is_null() {
            break;
        }
    }
    assert_eq!(listed, all);
    assert_eq!(ndjson(api, &format!("/api/v1/transactions/mined?sender={me}")).len(), 236);
    let none = api.get(&format!("/api/v1/transactions/mined?sender={SHOP}")).json();
    assert_eq!(none, json!({"transactions": [], "next": null}));
    let rows = csv(api, "/api/v1/transactions/mined?since=2026-11-02&limit=1000");
    let transfer = rows.iter().find(|row| row["type"] == "transfer").expect("one of them");
    assert_eq!((&*transfer["to"], &*transfer["amount"], &*transfer["fee"]), (SHOP, "0.5", "0.1"));
    assert_eq!(api.get("/api/v1/transactions/mined?before=x").problem(400), "bad_number");
    assert_eq!(csv(api, "/api/v1/transactions/mined?before=0.0"), []);
}

/// A transaction as it is signed, and the tip, with nothing around them.
pub(crate) fn values_come_alone() {
    let (node, api) = node();
    node.run("mine 2");
    let id = text(&node.run("record raw"), "id");
    for _ in 0..2 {
        // While it waits, and on the chain.
        let raw = api.get(&format!("/api/v1/transactions/{id}/encoded"));
        let hex = api.get(&format!("/api/v1/transactions/{id}/hex"));
        assert_eq!(raw.header("content-type"), Some("application/octet-stream"));
        assert_eq!(hex.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(body(&hex), hex::encode(&raw.body));
        if node.height() == 2 {
            let again = api.post("/api/v1/transactions", &json!({"transaction": body(&hex)})).json();
            assert_eq!(text(&again, "id"), id, "it is the signed one");
        }
        node.run("mine 1");
    }
    let block = api.get("/api/v1/blocks/1").json();
    let reward = text(&block["transactions"][0], "id");
    assert_eq!(api.get(&format!("/api/v1/transactions/{reward}/hex")).problem(404), "not_found");
    assert_eq!(api.get("/api/v1/transactions/zz/encoded").problem(400), "bad_id");

    let tip = api.get("/api/v1/tip/height");
    assert_eq!((body(&tip), tip.header("content-type")), ("4".to_owned(), Some("text/plain; charset=utf-8")));
    assert_eq!(body(&api.get("/api/v1/tip/id")), text(&node.run("status"), "tip"));
    let tag = tip.header("etag").expect("a tag");
    assert_eq!(api.send("GET", "/api/v1/tip/height", &[("if-none-match", tag)], b"").status, 304);
    node.run("mine 1");
    assert_eq!(body(&api.send("GET", "/api/v1/tip/height", &[("if-none-match", tag)], b"")), "5");
}
