//! What lists and searches over HTTP say.

use serde_json::{Value, json};

use super::node;
use crate::harness::{number, text};

/// An account that never signs.
const SHOP: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// Blocks in brief say of each block what the whole one says.
pub(crate) fn blocks_are_listed_in_brief() {
    let (node, api) = node();
    node.run("mine 3");
    node.run(&format!("tx {SHOP} 0.5 --fee 0.25"));
    node.run("record hello --fee 0.5");
    node.run("mine 2");
    let page = api.get("/api/v1/blocks/brief?limit=4").json();
    assert_eq!((number(&page, "length"), number(&page, "next")), (6, 1));
    for brief in page["blocks"].as_array().expect("a list") {
        let whole = api.get(&format!("/api/v1/blocks/{}", brief["height"])).json();
        for field in ["height", "id", "timestamp", "miner", "size"] {
            assert_eq!(brief[field], whole[field], "{field}");
        }
        let others = whole["transactions"].as_array().expect("a list").len() as u64 - 1;
        assert_eq!(number(brief, "transactions"), others);
    }
    let fees: Vec<&Value> = page["blocks"].as_array().expect("a list").iter().map(|one| &one["fees"]).collect();
    assert_eq!(fees, [&json!("0"), &json!("0.75"), &json!("0"), &json!("0")]);
    let rest = api.get("/api/v1/blocks/brief?from=1").json();
    assert_eq!((rest["blocks"].as_array().map(Vec::len), &rest["next"]), (Some(2), &Value::Null));
    assert_eq!(api.get("/api/v1/blocks/brief?from=7").problem(404), "not_found");
}

/// Everything that has a name is found by it, in any case, and by its beginning.
pub(crate) fn a_search_finds_whatever_has_a_name() {
    let (node, api) = node();
    node.run("mine 2");
    let record = text(&node.run("record Pallet 7 arrived --tag Lot-17"), "id");
    let transfer = text(&node.run(&format!("tx {SHOP} 0.5")), "id");
    node.run("mine 1");
    let waiting = text(&node.run("record another pallet waits"), "id");
    node.run("alias Bob 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359");
    let block = text(&api.get("/api/v1/blocks/2").json(), "id");
    let shown = block.trim_start_matches('0');
    let search = |q: &str| api.get(&format!("/api/v1/search?q={}", q.replace(' ', "%20"))).json();
    let first = |q: &str| {
        let hits = search(q)["hits"].clone();
        (text(&hits[0], "kind"), text(&hits[0], "id"), hits[0]["exact"] == true)
    };
    let hit = |kind: &str, id: &str, exact: bool| (kind.to_owned(), id.to_owned(), exact);
    let me = node.address();
    let cases = [
        ("2".to_owned(), hit("block", &block, true)),
        (block.clone(), hit("block", &block, true)),
        (block.to_uppercase(), hit("block", &block, true)),
        (block[..20].to_owned(), hit("block", &block, false)),
        (shown[..8].to_owned(), hit("block", &block, true)),
        (record.clone(), hit("transaction", &record, true)),
        (record[..12].to_uppercase(), hit("transaction", &record, false)),
        (waiting[..12].to_owned(), hit("transaction", &waiting, false)),
        (transfer[..16].to_owned(), hit("transaction", &transfer, false)),
        (me.to_lowercase(), hit("account", &me, true)),
        (me[..10].to_lowercase(), hit("account", &me, false)),
        (me[2..12].to_uppercase(), hit("account", &me, false)),
        (SHOP[..9].to_owned(), hit("account", SHOP, false)),
        ("bob".to_owned(), hit("account", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", true)),
        ("BO".to_owned(), hit("account", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", false)),
        ("Lot-17".to_owned(), hit("tag", "Lot-17", true)),
        ("lot-1".to_owned(), hit("record", &record, false)),
        ("7 ARRIVED".to_owned(), hit("record", &record, false)),
    ];
    for (q, wanted) in cases {
        assert_eq!(first(&q), wanted, "{q}");
    }
    let both = search("pallet");
    let ids: Vec<&Value> = both["hits"].as_array().expect("a list").iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(waiting), &json!(record)], "what waits, then the newest");
    assert_eq!((number(&both, "records_read"), &both["complete"]), (1, &json!(true)));
    for nothing in ["nobody-knows", "", "%20", "0x", "fff"] {
        assert_eq!(search(nothing)["hits"], json!([]), "{nothing}");
    }
    let long = "x".repeat(257);
    assert_eq!(api.get(&format!("/api/v1/search?q={long}")).problem(400), "bad_search");
}
