//! Records in one call.

use std::sync::Barrier;

use serde_json::{Value, json};

use super::client::{HttpClient, HttpResponse};
use super::{HELLO, node};
use crate::harness::{number, text};
use quipu::engine::mempool::SENDER_TRANSACTIONS_MAX;

const PATH: &str = "/api/v1/records";

/// A request with a key.
fn keyed(api: &HttpClient, key: &str, body: &str) -> HttpResponse {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    api.send("POST", PATH, &headers, body.as_bytes())
}

fn body(response: &HttpResponse, status: u16) -> Value {
    let text = String::from_utf8_lossy(&response.body);
    assert_eq!(response.status, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A text, JSON as it was typed, and a file by its bytes or by its hash, up to the receipt.
pub(crate) fn a_wallet_of_the_node_records_in_one_call() {
    let (node, api) = node();
    node.run("mine 1");
    let send = |body: &str| api.send("POST", PATH, &[("content-type", "application/json")], body.as_bytes());
    let made = body(&send(r#"{"text":"pallet 7","tags":["delivery"],"fee":1e-8,"wallet":"default"}"#), 201);
    assert_eq!(
        (text(&made, "sender"), text(&made, "fee"), number(&made, "nonce")),
        (node.address(), "0.00000001".to_owned(), 0)
    );
    let typed = r#"{"n":12345678901234567890123, "a":[1.10,-0],"a":1e2}"#;
    body(&send(&format!(r#"{{"tags":["json"],"json":{typed}}}"#)), 201);
    let file = body(&send(&format!(r#"{{"file":{{"name":"a.txt","hex":"{}"}}}}"#, hex::encode("hello"))), 201);
    let row = json!({"sha256": HELLO, "name": "a.txt", "size": 5});
    assert_eq!(file["file"], row);
    let by_hash = body(&send(&json!({"file": row, "tags": ["b"]}).to_string()), 201);
    assert_eq!(by_hash["file"], row);
    node.run("mine 1");

    let id = text(&made, "id");
    let found = api.get("/api/v1/records?tag=delivery").json();
    assert_eq!((text(&found["records"][0], "id"), text(&found["records"][0], "text")), (id.clone(), "pallet 7".into()));
    assert_eq!(text(&api.get("/api/v1/records?tag=json").json()["records"][0], "json"), typed);
    let files = api.get(&format!("/api/v1/records?sha256={HELLO}")).json();
    assert_eq!(files["records"].as_array().map(Vec::len), Some(2));
    assert_eq!(api.get(&format!("/api/v1/transactions/{id}/receipt")).status, 200);

    let cases = [
        ("{}", 400, "bad_record"),
        (r#"{"text":"a","json":1}"#, 400, "bad_record"),
        (r#"{"text":"a","text":"b"}"#, 400, "bad_body"),
        (r#"{"text":"a","tag":"b"}"#, 400, "bad_body"),
        (r#"{"text":"a","tags":["b c"]}"#, 400, "bad_tag"),
        (r#"{"text":"a","fee":0.000000001}"#, 400, "bad_amount"),
        (r#"{"text":"a","fee":99}"#, 422, "insufficient_balance"),
        (r#"{"text":"a","wallet":"nobody"}"#, 404, "wallet_not_found"),
        (r#"{"file":{"name":"a","hex":"0"}}"#, 400, "bad_record"),
        (r#"{"file":{"name":"a/b","hex":""}}"#, 400, "bad_record"),
        (r#"{"file":{"name":"a","hex":"","size":0}}"#, 400, "bad_record"),
    ];
    for (given, status, code) in cases {
        assert_eq!(send(given).problem(status), code, "{given}");
    }
    assert_eq!(node.run("pending"), json!([]), "nothing of it was recorded");
}

/// All are checked before the first one is sent; then they have nonces in a row, beside others of the same account.
pub(crate) fn many_records_go_in_one_call() {
    const MANY: usize = 120;
    const SINGLES: usize = 32;
    let (node, api) = node();
    node.run("mine 1");
    let records: Vec<Value> = (0..MANY).map(|n| json!({"text": format!("item {n}"), "tags": ["many"]})).collect();
    let mut wrong = records.clone();
    wrong[7]["tags"] = json!(["a b"]);
    let refused = api.post(PATH, &json!({"records": wrong}));
    assert!(refused.contains("records[7]"));
    assert_eq!(refused.problem(400), "bad_tag");
    assert_eq!(api.post(PATH, &json!({"records": []})).problem(400), "too_many");
    assert_eq!(api.post(PATH, &json!({"records": records, "text": "a"})).problem(400), "bad_record");
    let costly: Vec<Value> = (0..3).map(|n| json!({"text": n.to_string(), "fee": "0.4"})).collect();
    assert_eq!(api.post(PATH, &json!({"records": costly})).problem(422), "insufficient_balance");
    assert_eq!(node.run("pending"), json!([]));

    // All use the same account at the same time.
    let made = std::thread::scope(|scope| {
        for n in 0..SINGLES {
            scope.spawn(move || body(&api.post(PATH, &json!({"text": format!("single {n}")})), 201));
        }
        let typed = scope.spawn(|| {
            for n in 0..30 {
                node.run(&format!("record typed {n}"));
            }
        });
        let made = body(&api.post(PATH, &json!({"records": records})), 201);
        typed.join().expect("all were recorded");
        made
    });
    let made = made["records"].as_array().expect("a list");
    assert_eq!(made.len(), MANY);
    let mut nonces: Vec<u64> = made.iter().map(|one| number(one, "nonce")).collect();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), MANY);
    node.run("mine 1");
    let listed = node.run("records --limit 1000");
    assert_eq!(listed["records"].as_array().map(Vec::len), Some(MANY + SINGLES + 30));
    for (n, one) in made.iter().enumerate() {
        let found = api.get(&format!("/api/v1/transactions/{}", text(one, "id"))).json();
        assert!(text(&found, "data").contains(&format!("\"item {n}\"")), "{found}");
    }
}

/// The same key and body: the same answer, from a killed node too. Another body, or two at once, are refused.
pub(crate) fn a_repeated_request_records_nothing_again() {
    let (mut node, api) = node();
    let one = r#"{"text":"only once","tags":["k"]}"#;
    let first = keyed(&api, "8e03978e-40d5", one);
    let made = body(&first, 201);
    node.kill();
    node.restart();
    let api = HttpClient::of(&node);
    assert_eq!(node.run("pending").as_array().map(Vec::len), Some(1), "it was answered, so it is there");
    let again = keyed(&api, "\"8e03978e-40d5\"", one);
    assert_eq!((again.status, &again.body), (201, &first.body));
    node.run("mine 1");
    assert_eq!(keyed(&api, "8e03978e-40d5", one).body, first.body);
    let other = keyed(&api, "8e03978e-40d5", r#"{"text":"only once","tags":["l"]}"#);
    assert_eq!(other.problem(422), "idempotency_key_reused");
    for wrong in ["", "a b", &"k".repeat(129)] {
        assert_eq!(keyed(&api, wrong, one).problem(400), "bad_idempotency_key", "{wrong}");
    }

    // A plan without an answer, as a node leaves it that is killed on the way: what was sent is found.
    let folder = node.folder().join("idempotency");
    let file = std::fs::read_dir(&folder).expect("one key").next().expect("one key").expect("readable").path();
    let mut known: Value = serde_json::from_slice(&std::fs::read(&file).expect("readable")).expect("JSON");
    known["answer"] = Value::Null;
    std::fs::write(&file, known.to_string()).expect("our own folder");
    assert_eq!(body(&keyed(&api, "8e03978e-40d5", one), 201), made);
    // The same, killed before it was sent.
    known["plan"][0]["id"] = "07".repeat(32).into();
    std::fs::write(&file, known.to_string()).expect("our own folder");
    let second = body(&keyed(&api, "8e03978e-40d5", one), 201);
    assert_eq!((number(&made, "nonce"), number(&second, "nonce")), (0, 1));

    // A refused one leaves its key free.
    assert_eq!(keyed(&api, "dear", r#"{"text":"a","fee":9}"#).problem(422), "insufficient_balance");
    body(&keyed(&api, "dear", r#"{"text":"a"}"#), 201);

    // Of many at once, one records; the others get its answer, or are told to wait for it.
    let start = Barrier::new(8);
    let answers: Vec<HttpResponse> = std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            keyed(&api, "race", r#"{"text":"raced"}"#)
        };
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    for answer in answers {
        if answer.status != 201 {
            assert_eq!(answer.problem(409), "idempotency_key_in_use");
        }
    }
    node.run("mine 1");
    let found = node.run("records");
    let raced = found["records"].as_array().expect("a list").iter().filter(|row| row["text"] == "raced");
    assert_eq!(raced.count(), 1);
}

/// Records in one call.
const RECORDS_MAX: usize = 500;

/// The memory pool has no room for the last of several records: those before it are made, it is not, and the answer says
/// which, with 207.
pub(crate) fn a_part_is_recorded_when_room_runs_out() {
    let (node, api) = node();
    node.run("mine 1");
    let call = |count: usize| {
        let records: Vec<Value> = (0..count).map(|n| json!({"text": n.to_string()})).collect();
        api.post(PATH, &json!({"records": records}))
    };
    let mut room = SENDER_TRANSACTIONS_MAX;
    while room > RECORDS_MAX - 3 {
        let count = RECORDS_MAX.min(room - 7);
        body(&call(count), 201);
        room -= count;
    }
    let answer = body(&call(room + 3), 207);
    let rows = answer["records"].as_array().expect("a list");
    assert_eq!(rows.len(), room + 3);
    for row in &rows[..room] {
        assert!(row["id"].is_string() && row["problem"].is_null(), "{row}");
    }
    for row in &rows[room..] {
        assert!(row["id"].is_null(), "{row}");
        assert_eq!((text(&row["problem"], "code"), number(&row["problem"], "status")), ("pool_full".to_owned(), 503));
    }
    assert_eq!(number(&node.run("status"), "pending"), SENDER_TRANSACTIONS_MAX as u64);
    // None of them alone: the whole call is refused.
    assert_eq!(call(2).problem(503), "pool_full");
}
