//! Receipts in every form, and what the node says of them.

use serde_json::json;

use super::client::HttpClient;
use super::node;
use crate::harness::{number, text};

/// A record under 300 blocks, whose receipts are taken in every form and given back: as they are, damaged, and with a witness.
pub(crate) fn receipts_are_verified() {
    let (node, api) = node();
    let id = text(&node.run("record pallet 7 arrived"), "id");
    node.run("mine 300");
    let tip = text(&node.run("receipt --tip"), "id");
    let (_other, stranger) = self::node();
    let receipt = |form: &str| {
        let answer = api.get(&format!("/api/v1/transactions/{id}/receipt?form={form}"));
        assert_eq!(answer.status, 200, "{form}");
        answer.body
    };
    let verify = |at: &HttpClient, receipt: &[u8], query: &str| {
        at.send("POST", &format!("/api/v1/verify{query}"), &[("content-type", "application/json")], receipt)
    };
    for (form, worth) in [("full", "All of the work"), ("sampled", "Samples of the work"), ("witnessed", "No work")] {
        let receipt = receipt(form);
        let proven = verify(&api, &receipt, "").json();
        assert_eq!((text(&proven, "form"), &proven["best_chain"]), (form.to_owned(), &json!(true)));
        assert_eq!(
            (number(&proven, "confirmations"), text(&proven["record"], "text")),
            (300, "pallet 7 arrived".into())
        );
        assert_eq!((text(&proven["transaction"], "id"), text(&proven["tip"], "id")), (id.clone(), tip.clone()));
        assert!(text(&proven, "worth").starts_with(worth), "{proven}");

        // A node with another chain knows nothing of the block, and needs a witness where no work is shown.
        let elsewhere = verify(&stranger, &receipt, "");
        if form == "witnessed" {
            assert_eq!(elsewhere.problem(422), "needs_witness");
        } else {
            assert_eq!(elsewhere.json()["best_chain"], json!(false));
        }
        let witnessed = verify(&stranger, &receipt, &format!("?witness={tip}")).json();
        assert_eq!(witnessed["witness"], json!({ "height": 300, "id": tip }));
        let wrong = format!("?witness={}", "0".repeat(64));
        assert_eq!(verify(&api, &receipt, &wrong).problem(422), "not_witnessed");
        assert_eq!(verify(&api, &receipt, "?witness=12").problem(400), "bad_id");

        let damaged = String::from_utf8(receipt.clone()).expect("ASCII").replacen(&tip, &"1".repeat(64), 1);
        assert_eq!(verify(&api, damaged.as_bytes(), "").problem(422), "tip");
        assert_eq!(verify(&api, &receipt[..receipt.len() / 2], "").problem(400), "form");
    }
    assert_eq!(verify(&api, &vec![b' '; (8 << 20) + 1], "").problem(400), "too_long");
    assert_eq!(verify(&api, &vec![b' '; (8 << 20) + 2], "").problem(413), "body_too_large");
    let answer = api.get(&format!("/api/v1/transactions/{id}/receipt?form=short"));
    assert_eq!(answer.problem(400), "usage");
}
