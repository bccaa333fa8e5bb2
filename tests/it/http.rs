//! The API over HTTP, used as by a stranger's program.

mod classic;
mod client;
mod elsewhere;
mod forms;
mod golden;
mod lists;
mod lost;
mod openmetrics;
mod origins;
#[cfg(target_os = "linux")]
mod owner;
mod recording;
mod rude;
mod search;
mod secrets;
mod slow;
mod verify;
mod watched;

use serde_json::{Value, json};

use self::client::{HttpClient, HttpResponse};
use crate::harness::{DEADLINE, Node, NodeOptions, agree, number, text};
use quipu::protocol::{Network, Parameters, SecretKey};

pub(crate) use self::classic::{
    a_block_is_handed_over, amounts_are_exact_on_every_way, classic_mistakes_are_explained,
    nodes_are_registered_by_either_address, the_lines_of_tutorials_work,
};
pub(crate) use self::elsewhere::{
    one_machine_does_not_keep_others_out, other_machines_need_the_token, readers_change_nothing,
};
pub(crate) use self::forms::{values_come_alone, whole_lists_come_in_other_forms};
pub(crate) use self::golden::{both_faces_give_the_same_answers, both_faces_tell_the_same_events};
pub(crate) use self::lists::lists_are_filtered;
pub(crate) use self::lost::{a_locked_wallet_signs_nothing, a_lost_record_is_signed_again};
pub(crate) use self::origins::allowed_pages_may_ask;
#[cfg(target_os = "linux")]
pub(crate) use self::owner::{
    other_users_need_the_token, the_documented_proxy_works, the_routes_of_tutorials_can_be_left_out,
    what_comes_through_a_proxy_needs_the_token,
};
pub(crate) use self::recording::{
    a_part_is_recorded_when_room_runs_out, a_repeated_request_records_nothing_again,
    a_wallet_of_the_node_records_in_one_call, many_records_go_in_one_call,
};
pub(crate) use self::rude::{
    foreign_pages_are_refused, links_that_change_something_ask_first, long_and_slow_requests_are_refused,
    odd_paths_lead_nowhere,
};
pub(crate) use self::search::{a_search_finds_whatever_has_a_name, blocks_are_listed_in_brief};
pub(crate) use self::secrets::{passwords_and_keys_stay_inside, unsupported_methods_are_refused};
pub(crate) use self::slow::{
    connections_beyond_the_limit_are_closed, long_answers_that_nobody_reads_take_bounded_memory,
    requests_that_trickle_are_given_up, slow_readers_of_the_chain_are_evicted,
};
pub(crate) use self::verify::receipts_are_verified;
pub(crate) use self::watched::{health_is_reported, metrics_count_events, the_dashboard_matches_the_metrics};

/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn node() -> (Node, HttpClient) {
    let node = Node::start(NodeOptions { http: true, ..NodeOptions::default() });
    let client = HttpClient::of(&node);
    (node, client)
}

/// The API gives the same answers about a chain as the prompt.
pub(crate) fn the_api_says_what_the_prompt_says() {
    let (node, api) = node();
    node.run("mine 3");
    let sent = text(&node.run("tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0.5 --fee 0.1"), "id");
    let waiting = api.get("/api/v1/transactions").json();
    let next = &waiting["next"];
    assert_eq!((&waiting["transactions"], &waiting["length"], next), (&node.run("pending"), &json!(1), &Value::Null));
    assert_eq!(text(&api.get(&format!("/api/v1/transactions/{sent}")).json(), "state"), "pending");
    node.run("record --tag t hello");
    node.run("mine 1");

    let mut status = api.get("/api/v1/status").json();
    let mut typed = node.run("status");
    for one in [&mut status, &mut typed] {
        // They are of different moments.
        one["mining"]["hash_rate"].take();
    }
    assert_eq!(status, typed);
    let page = api.get("/api/v1/blocks?order=oldest").json();
    let chain = node.run("chain");
    assert_eq!((&page["blocks"], &page["length"], &page["next"]), (&chain["blocks"], &chain["length"], &Value::Null));
    let newest = api.get("/api/v1/blocks?limit=2").json();
    assert_eq!((number(&newest["blocks"][0], "height"), number(&newest, "next")), (4, 2));
    let rest = api.get("/api/v1/blocks?limit=9&from=2").json();
    assert_eq!((rest["blocks"].as_array().map(Vec::len), &rest["next"]), (Some(3), &Value::Null));
    let block = api.get("/api/v1/blocks/4").json();
    assert_eq!((&block["id"], number(&block, "confirmations")), (&chain["blocks"][4]["id"], 1));
    let id = text(&block, "id");
    assert_eq!(api.get(&format!("/api/v1/blocks/{id}")).json(), block);
    let encoded = api.get(&format!("/api/v1/blocks/{id}/encoded"));
    assert_eq!(encoded.body.len() as u64, number(&block, "size"));
    let headers = api.get("/api/v1/headers?from=0").json();
    assert_eq!(headers.as_array().map(Vec::len), Some(5));
    assert_eq!((&headers[4]["id"], &headers[4]["best_chain"]), (&block["id"], &Value::Bool(true)));

    let me = node.address();
    let account = api.get(&format!("/api/v1/accounts/{me}")).json();
    assert_eq!((text(&account, "balance"), number(&account, "nonce")), (node.balance(&me), 2));
    assert_eq!(api.get(&format!("/api/v1/accounts/{me}/history")).json(), node.run("history"));
    assert_eq!(api.get("/api/v1/records?tag=t").json(), node.run("records --tag t"));
    let found = api.get(&format!("/api/v1/records?sha256={HELLO}")).json();
    assert_eq!(found["records"].as_array().map(Vec::len), Some(1));
    assert_eq!(api.get("/api/v1/peers").json(), json!([]));
    let wallets = api.get("/api/v1/wallets").json();
    assert_eq!((text(&wallets[0], "name"), text(&wallets[0], "address")), ("default".to_owned(), me));
    let network = api.get("/api/v1/network").json();
    assert_eq!((text(&network, "name"), &network["genesis"]), ("dev".to_owned(), &node.ready()["genesis"]));
}

/// Pages of the pending transactions, one after the other, are what the prompt lists.
pub(crate) fn pending_transactions_come_in_pages() {
    let (node, api) = node();
    let lines: Vec<String> = (0..700).map(|n| format!("record {}{n}", "x".repeat(4000))).collect();
    assert!(node.ask_all(&lines, DEADLINE).iter().all(|answer| answer["ok"] == true));
    let all = node.run("pending");
    let (mut pages, mut listed, mut next) = (0, Vec::new(), json!(0));
    while let Some(from) = next.as_u64() {
        let page = api.get(&format!("/api/v1/transactions?limit=300&from={from}")).json();
        assert_eq!(number(&page, "length"), 700);
        listed.extend_from_slice(page["transactions"].as_array().expect("a list"));
        next = page["next"].clone();
        pages += 1;
    }
    assert_eq!((pages, &Value::from(listed)), (3, &all));
    assert_eq!(api.get("/api/v1/transactions").json()["transactions"].as_array().map(Vec::len), Some(20));
    let past = api.get("/api/v1/transactions?from=700").json();
    assert_eq!((&past["transactions"], &past["next"]), (&json!([]), &Value::Null));
    // 2 MiB of encoded ones are fewer than were asked for.
    let long = api.get("/api/v1/transactions?limit=1000").json();
    let (shown, next) = (long["transactions"].as_array().map_or(0, Vec::len), number(&long, "next"));
    assert!(shown as u64 == next && (400..600).contains(&shown), "{shown} and then {next}");
    assert_eq!(api.get("/pending_tx").json().as_array().map(Vec::len), Some(shown));
    for path in ["/api/v1/transactions?limit=1001", "/api/v1/transactions?from=-1"] {
        assert_eq!(api.get(path).problem(400), "bad_number", "{path}");
    }
}

/// Prepared by the node, signed elsewhere, submitted, mined, proven.
pub(crate) fn a_transaction_signed_elsewhere_is_accepted() {
    let (node, api) = node();
    let (key, network) = (SecretKey::from_seed([9; 32]), Network::new(Parameters::dev()).expect("a preset is valid"));
    let quipu::protocol::PublicKey::Ed25519(public) = key.public_key();
    let public = hex::encode(public);
    let wanted = json!({"public_key": public, "record": {"text": "from a browser", "tags": ["web"]}});
    let prepared = api.post("/api/v1/transactions/prepare", &wanted).json();
    let bytes = hex::decode(text(&prepared, "signing_bytes")).expect("hex");
    assert!(bytes.windows(32).any(|window| window == network.genesis_id().as_bytes()), "bound to the network");
    assert_eq!((text(&prepared["summary"], "type"), number(&prepared["summary"], "nonce")), ("record".to_owned(), 0));
    let quipu::protocol::Signature::Ed25519(signature) = key.sign(&bytes);
    let signed = json!({"transaction": prepared["transaction"], "signature": hex::encode(signature)});
    for _ in 0..2 {
        // A second submission changes nothing.
        let sent = json!({"id": prepared["id"], "fee": prepared["summary"]["fee"]});
        assert_eq!(api.post("/api/v1/transactions", &signed).json(), sent);
    }
    assert_eq!(node.run("pending").as_array().map(Vec::len), Some(1));
    let forged = json!({"transaction": prepared["transaction"], "signature": hex::encode([7; 64])});
    assert_eq!(api.post("/api/v1/transactions", &forged).problem(422), "invalid_transaction");
    let mined = api.post("/api/v1/mining/blocks", &json!({"count": 1})).json();
    assert_eq!(number(&mined["blocks"][0], "height"), 1);
    let found = api.get("/api/v1/records?tag=web").json();
    assert_eq!(text(&found["records"][0], "text"), "from a browser");
    assert_eq!(api.post("/api/v1/transactions", &signed).problem(409), "wrong_nonce");

    let receipt = api.get(&format!("/api/v1/transactions/{}/receipt", text(&prepared, "id")));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("receipt.json");
    std::fs::write(&file, &receipt.body).expect("our own folder");
    let verified = crate::harness::quipu(None).arg("verify").arg(&file).output().expect("it starts");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// Digits, spaces, and the order of names: JSON that came over HTTP is on the chain, and in answers, as it was sent.
pub(crate) fn json_is_recorded_and_shown_as_it_was_sent() {
    let (node, api) = node();
    let key = hex::encode([9; 32]);
    for sent in [
        r#"{"n":12345678901234567890123,"t":1.10, "b":0,"a":-0}"#,
        "9007199254740993",
        "[\n 1e2,\t19.90 ]",
        r#"{"a":1,"a":2,"\u0061":"\/"}"#,
    ] {
        let body = format!(r#"{{"public_key":"{key}","record":{{"json":{sent}}}}}"#);
        let prepared =
            api.send("POST", "/api/v1/transactions/prepare", &[("content-type", "application/json")], body.as_bytes());
        let data = text(&prepared.json()["summary"], "data");
        assert_eq!(data, format!(r#"{{"quipu":1,"json":{sent}}}"#));
    }
    let typed = r#"{"n":12345678901234567890123,"t":1.10, "b":0,"a":-0}"#;
    node.run(&format!("record --json {typed}"));
    node.run("mine 1");
    let page = api.get("/api/v1/records").json();
    assert_eq!((text(&page["records"][0], "json"), &page), (typed.to_owned(), &node.run("records")));
}

/// Prepared by the node, signed by `quipu wallet sign`, which signs nothing else.
pub(crate) fn a_wallet_signs_a_prepared_transaction() {
    let (node, api) = node();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wallet = |arguments: &[&str]| {
        let run = crate::harness::quipu(None)
            .args(["--json", "--data-dir"])
            .arg(folder.path())
            .arg("wallet")
            .args(arguments)
            .output();
        let output = String::from_utf8(run.expect("it starts").stdout).expect("UTF-8");
        serde_json::from_str::<Value>(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
    };
    wallet(&["new", "clerk", "--no-password"]);
    wallet(&["new", "other", "--no-password"]);
    let public = text(&wallet(&["show", "clerk"])["result"], "public_key");
    let wanted = json!({"public_key": public, "record": {"text": "signed elsewhere"}});
    let prepared = api.post("/api/v1/transactions/prepare", &wanted).json();
    let file = folder.path().join("prepared.hex").display().to_string();
    std::fs::write(&file, text(&prepared, "signing_bytes")).expect("our own folder");
    let signed = wallet(&["sign", "clerk", &file])["result"].clone();
    assert_eq!(
        (&signed["genesis"], text(&signed["transaction"], "data")),
        (&node.ready()["genesis"], "signed elsewhere".to_owned())
    );
    let sent = json!({"transaction": prepared["transaction"], "signature": signed["signature"]});
    assert_eq!(api.post("/api/v1/transactions", &sent).json()["id"], prepared["id"]);

    // The saved answer as a whole: the output is what is submitted.
    let wanted = json!({"public_key": public, "record": {"json": {"saved": true}, "tags": ["t"]}});
    let prepared = api.post("/api/v1/transactions/prepare", &wanted);
    std::fs::write(&file, &prepared.body).expect("our own folder");
    let mut sign = crate::harness::quipu(None);
    sign.arg("--data-dir").arg(folder.path()).args(["wallet", "sign", "clerk", &file]);
    let output = sign.output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("clerk signs: the record") && told.contains("network    dev"), "{told}");
    let sent = api.send("POST", "/api/v1/transactions", &[("content-type", "application/json")], &output.stdout);
    assert_eq!(sent.json()["id"], prepared.json()["id"]);
    let submit = &wallet(&["sign", "clerk", &file])["result"]["submit"];
    assert_eq!(*submit, serde_json::from_slice::<Value>(&output.stdout).expect("JSON"));

    assert_eq!(text(&wallet(&["sign", "other", &file])["error"], "code"), "other_sender");
    std::fs::write(&file, r#"{"signing_bytes": "00"}"#).expect("our own folder");
    assert_eq!(text(&wallet(&["sign", "clerk", &file])["error"], "code"), "not_a_transaction");
    std::fs::write(&file, "anything else").expect("our own folder");
    assert_eq!(text(&wallet(&["sign", "clerk", &file])["error"], "code"), "not_a_transaction");
}

/// Each wrong argument gets its own code, and nothing is done.
pub(crate) fn wrong_arguments_are_explained() {
    let (node, api) = node();
    let cases = [
        ("/api/v1/nothing", 404, "no_such_route"),
        ("/api/v1/blocks/77", 404, "not_found"),
        ("/api/v1/blocks/x", 400, "bad_id"),
        ("/api/v1/blocks?from=-1", 400, "bad_number"),
        ("/api/v1/blocks?from=1", 404, "not_found"),
        ("/api/v1/blocks?limit=0", 400, "bad_number"),
        ("/api/v1/blocks?limit=1001", 400, "bad_number"),
        ("/api/v1/blocks?order=sideways", 400, "bad_query"),
        ("/api/v1/blocks?form=1", 400, "bad_query"),
        ("/api/v1/accounts/0x12", 400, "bad_address"),
        ("/api/v1/transactions/123", 400, "bad_id"),
        ("/api/v1/transactions/12345678", 404, "not_found"),
        ("/api/v1/records?since=yesterday", 400, "bad_number"),
        ("/api/v1/records?before=7", 400, "bad_number"),
        ("/api/v1/records?sha256=zz", 400, "bad_id"),
    ];
    for (path, status, code) in cases {
        assert_eq!(api.get(path).problem(status), code, "{path}");
    }
    let key = "00".repeat(32);
    let posts = [
        ("/api/v1/peers", json!({"address": "10.0.0.1:x"}), 400, "bad_multiaddr"),
        ("/api/v1/mining/blocks", json!({"count": 0}), 400, "bad_number"),
        ("/api/v1/mining/blocks", json!({"count": 1, "too": "me"}), 400, "bad_body"),
        ("/api/v1/transactions", json!({"transaction": "zz"}), 400, "bad_transaction"),
        ("/api/v1/transactions", json!({"transaction": ""}), 400, "bad_transaction"),
        ("/api/v1/transactions/prepare", json!({"public_key": "7"}), 400, "bad_key"),
        ("/api/v1/transactions/prepare", json!({"public_key": key}), 400, "usage"),
        ("/api/v1/status", json!({}), 405, "no_such_method"),
    ];
    for (path, body, status, code) in posts {
        assert_eq!(api.post(path, &body).problem(status), code, "{path} {body}");
    }
    assert_eq!(api.send("POST", "/api/v1/resolve", &[], b"").status, 200);
    let unmarked = api.send("POST", "/api/v1/mining/blocks", &[("content-type", "text/plain")], b"{\"count\":1}");
    assert_eq!(unmarked.problem(415), "no_json");
    let json = ("content-type", "application/json");
    let compressed = api.send("POST", "/api/v1/mining/blocks", &[json, ("content-encoding", "gzip")], b"\x1f\x8b\x08");
    assert_eq!(compressed.problem(415), "body_compressed");
    let marked = b"\xef\xbb\xbf{\"public_key\":\"7\"}";
    assert_eq!(api.send("POST", "/api/v1/transactions/prepare", &[json], marked).problem(400), "bad_key");
    assert_eq!(node.height(), 0);
}

/// A client that has the current answer does not get it again.
pub(crate) fn an_unchanged_answer_is_not_sent_again() {
    let (node, api) = node();
    node.run("mine 1");
    let first = api.get("/api/v1/blocks");
    let tag = first.header("etag").expect("a tag").to_owned();
    let again = |path: &str, tag: &str| api.send("GET", path, &[("if-none-match", tag)], b"");
    let same = again("/api/v1/blocks", &tag);
    assert_eq!((same.status, same.body.len()), (304, 0));
    node.run("mine 1");
    assert_eq!(again("/api/v1/blocks", &tag).status, 200);
    let encoded = format!("/api/v1/blocks/{}/encoded", node.tip());
    let kept = api.get(&encoded);
    assert!(kept.header("cache-control").is_some_and(|cache| cache.contains("immutable")));
    assert_eq!(again(&encoded, kept.header("etag").expect("a tag")).status, 304);
    let packed = api.send("GET", "/api/v1/blocks", &[("accept-encoding", "gzip")], b"");
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
}

/// The page and its files are served by their names alone, to be revalidated by their tags.
pub(crate) fn the_page_is_served() {
    let (node, api) = node();
    let index = api.get("/");
    assert_eq!((index.status, index.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = String::from_utf8(index.body).expect("UTF-8");
    let names: Vec<&str> = text.split('"').filter(|part| part.starts_with("/page/")).collect();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let file = api.get(name);
        let media = file.header("content-type").unwrap_or_default();
        assert!(file.status == 200 && !media.starts_with("application"), "{name}: {media}");
        let tag = file.header("etag").expect("a tag").to_owned();
        let again = api.send("GET", name, &[("if-none-match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{name}");
        assert_eq!(file.header("cache-control"), Some("no-cache"));
        let policy = file.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        let head = api.send("HEAD", name, &[], b"");
        assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, Some(&*tag)), "{name}");
    }
    // One file of its own, under its own policy, whether it is sent or known already.
    let verifier = api.get("/verify.html");
    let tag = verifier.header("etag").expect("a tag").to_owned();
    let known = api.send("GET", "/verify.html", &[("if-none-match", &tag)], b"");
    assert_eq!((verifier.status, known.status, known.body.len()), (200, 304, 0));
    for answer in [&verifier, &known] {
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("'self'") && !policy.contains("unsafe"), "{policy}");
    }
    for path in ["/page/", "/page/app", "/page/app/", "/page/app/main.js/", "/page/APP/MAIN.JS", "/index.html"] {
        assert_eq!(api.get(path).problem(404), "no_such_route", "{path}");
    }
    assert_eq!(api.send("POST", "/", &[], b"").problem(405), "no_such_method");
    node.run("alias bob 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
    assert_eq!(api.get("/api/v1/aliases").json(), node.run("alias"));
}

/// Events arrive as they happen; a client that comes back gets the ones it missed; two nodes report each other.
pub(crate) fn events_come_as_they_happen() {
    let (node, api) = node();
    let mut stream = api.events(None);
    assert_eq!(stream.next().kind, "hello");
    node.run("mine 1");
    let tip = stream.next_of("tip");
    assert_eq!((number(&tip.data, "height"), text(&tip.data, "id")), (1, node.tip()));
    drop(stream);
    let other = Node::new();
    other.connect(&node);
    agree(&[&node, &other]);
    let sent = text(&node.run("record hello"), "id");
    node.run("mine 1");

    let mut back = api.events(Some(&tip.id));
    assert_eq!(back.next().kind, "hello");
    assert_eq!(text(&back.next_of("peer_connected").data, "peer_id"), other.peer_id());
    assert_eq!(text(&back.next_of("transaction").data, "id"), sent);
    assert_eq!(number(&back.next_of("tip").data, "height"), 2);
    let mut lost = api.events(Some("00000000-7"));
    assert_eq!(lost.next().kind, "reset");
}

/// The description has every route, and each route without arguments answers.
pub(crate) fn the_description_matches_the_routes() {
    let (node, api) = node();
    node.run("mine 1");
    let description = api.get("/api/openapi.json").json();
    let paths = description["paths"].as_object().expect("paths").clone();
    assert!(paths.len() >= 15, "{paths:?}");
    for (path, methods) in &paths {
        if methods["get"].is_object() && !path.contains('{') && !path.ends_with("/events") {
            let answer: HttpResponse = api.get(path);
            assert_eq!(answer.status, 200, "{path}");
            // A value alone is plain text.
            if answer.header("content-type").is_some_and(|media| media.starts_with("application/json")) {
                answer.json();
            } else {
                assert!(["/api/v1/tip/height", "/api/v1/tip/id"].contains(&path.as_str()), "{path}");
            }
        }
    }
}

/// A node that stops during a request ends the stream properly.
pub(crate) fn a_stopping_node_closes_its_streams() {
    let (mut node, api) = node();
    let mut stream = api.events(None);
    assert_eq!(stream.next().kind, "hello");
    node.stop();
    assert!(stream.is_over());
}
