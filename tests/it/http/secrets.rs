//! Secrets that no answer may have, and unsupported methods.

use std::fs;

use serde_json::json;

use super::client::HttpClient;
use crate::harness::{Node, NodeOptions, quipu, text};

/// The password of a wallet, too long to occur by chance.
const PASSWORD: &str = "correct-horse-battery-staple";

/// All answers and the whole log: no password, no key, no word of a phrase leaves the node.
pub(crate) fn passwords_and_keys_stay_inside() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("password"));
    fs::write(&file, PASSWORD).expect("our own folder");
    let wallet = |line: &str| {
        let mut command = quipu(None);
        command.arg("--json").arg("--data-dir").arg(&data).args(line.split(' ')).arg("--password-file").arg(&file);
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("one answer")["result"].take()
    };
    let words = text(&wallet("wallet new team"), "words");
    assert!(quipu(None).arg("--data-dir").arg(&data).args(["wallet", "new", "open", "--no-password"]).output().is_ok());
    let arguments = ["--log", "trace", "--wallet", "team", "--password-file", &file.display().to_string()];
    let arguments = arguments.map(str::to_owned).to_vec();
    let node = Node::start_in(&data, NodeOptions { http: true, arguments, ..NodeOptions::default() });
    let api = HttpClient::of(&node);

    let mut said = vec![api.get("/mine"), api.get("/save"), api.get("/chain"), api.get("/metrics")];
    let send = json!({"sender": "team", "recipient": node.address(), "amount": 0.25});
    said.push(api.post("/transactions/new", &send));
    assert_eq!(said.last().map(|answer| answer.status), Some(201), "it signs, so it has the key");
    let locked = json!({"sender": "open", "recipient": node.address(), "amount": 0.25});
    said.push(api.post("/transactions/new", &locked));
    let description = api.get("/api/openapi.json").json();
    for path in description["paths"].as_object().expect("paths").keys().filter(|path| !path.ends_with("/events")) {
        said.push(api.get(path));
    }
    let pem = fs::read_to_string(data.join("wallets/open.pem")).expect("a wallet without a password");
    let key: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    // The last 32 of a key's 48 bytes are the secret ones: this much of the text covers them alone.
    let key = &key[key.len() - 42..];
    let phrase: Vec<&str> = words.split(' ').collect();
    let secrets = [PASSWORD.to_owned(), key.to_owned(), phrase[..3].join(" "), phrase[21..].join(" ")];
    let log = node.stderr();
    assert!(log.len() > 10, "a log without anything in it proves nothing");
    for secret in secrets {
        assert!(said.iter().all(|answer| !answer.contains(&secret)), "an answer tells {secret}");
        assert!(log.iter().all(|line| !line.contains(&secret)), "the log tells {secret}");
    }
}

/// Each path names its methods. HEAD answers like GET without a body, and never changes anything.
pub(crate) fn unsupported_methods_are_refused() {
    let (node, api) = super::node();
    let cases = [
        ("DELETE", "/api/v1/status", "GET,HEAD"),
        ("OPTIONS", "/api/v1/status", "GET,HEAD"),
        ("TRACE", "/metrics", "GET,HEAD"),
        ("PUT", "/chain", "GET,HEAD"),
        ("GET", "/api/v1/transactions/prepare", "POST"),
        ("HEAD", "/transactions/new", "POST"),
        ("HEAD", "/mine", "GET"),
        ("HEAD", "/nodes/resolve", "GET"),
    ];
    for (method, path, allowed) in cases {
        let answer = api.send(method, path, &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {path}");
        assert!(answer.header("content-security-policy").is_some());
    }
    for path in ["/api/v1/status", "/chain", "/metrics", "/healthz"] {
        let answer = api.send("HEAD", path, &[], b"");
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        assert_eq!(answer.header("server"), None);
    }
    assert_eq!(node.height(), 0);
}
