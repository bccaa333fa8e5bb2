//! Pages of other origins that the user lets in.

use serde_json::json;

use super::client::HttpClient;
use crate::harness::{Node, NodeOptions};

const PAGE: (&str, &str) = ("origin", "https://page.example");
const SITE: (&str, &str) = ("sec-fetch-site", "cross-site");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A page of an allowed origin reads, and changes something with the token alone; others get nothing.
pub(crate) fn allowed_pages_may_ask() {
    let origins = "https://page.example,http://lab.example:8080".to_owned();
    let arguments = vec!["--http-allow-origin".to_owned(), origins];
    let node = Node::start(NodeOptions { http: true, arguments, ..NodeOptions::default() });
    let api = HttpClient::of(&node);
    let shared = "access-control-allow-origin";

    let asks =
        [PAGE, SITE, ("access-control-request-method", "POST"), ("access-control-request-private-network", "true")];
    let preflight = api.send("OPTIONS", "/api/v1/mining/blocks", &asks, b"");
    assert_eq!((preflight.status, preflight.header(shared)), (204, Some(PAGE.1)));
    assert!(preflight.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    assert!(preflight.header("access-control-allow-headers").is_some_and(|names| names.contains("authorization")));
    assert_eq!(preflight.header("access-control-allow-private-network"), Some("true"));
    assert_eq!(api.send("OPTIONS", "/chain", &asks, b"").status, 204, "whatever it costs");

    let read = api.send("GET", "/api/v1/status", &[PAGE, SITE], b"");
    assert_eq!((read.status, read.header(shared)), (200, Some(PAGE.1)));
    assert!(read.varies_by("origin"));
    assert_eq!(read.header("access-control-allow-credentials"), None, "nothing counts that a browser adds");
    let missing = api.send("GET", "/api/v1/blocks/9", &[PAGE, SITE], b"");
    assert_eq!((missing.problem(404), missing.header(shared)), ("not_found".to_owned(), Some(PAGE.1)));

    // Its browser runs as the node's own user, which is worth nothing here.
    let mine = json!({"count": 1}).to_string();
    let refused = api.send("POST", "/api/v1/mining/blocks", &[PAGE, SITE, JSON], mine.as_bytes());
    assert_eq!((refused.problem(401), refused.header(shared)), ("no_token".to_owned(), Some(PAGE.1)));
    for path in ["/mine", "/chain", "/api/v1/blocks?format=csv"] {
        assert_eq!(api.send("GET", path, &[PAGE, SITE], b"").problem(401), "no_token", "{path}");
    }
    assert_eq!(node.height(), 0);
    let token = std::fs::read_to_string(node.folder().join("http-token")).expect("it is there");
    let bearer = format!("Bearer {}", token.trim());
    let with_token = [PAGE, SITE, JSON, ("authorization", &bearer)];
    assert_eq!(api.send("POST", "/api/v1/mining/blocks", &with_token, mine.as_bytes()).status, 200);
    assert_eq!(node.height(), 1);

    for origin in ["http://page.example", "https://page.example:8080", "https://lab.example:8080", "null", "*"] {
        for method in ["GET", "OPTIONS"] {
            let headers = [("origin", origin), SITE, ("access-control-request-method", "GET")];
            let answer = api.send(method, "/api/v1/status", &headers, b"");
            assert_eq!((answer.problem(403), answer.header(shared)), ("foreign_origin".to_owned(), None), "{origin}");
        }
    }
    // A foreign name that leads here stays foreign, and without CORS a foreign page stays one.
    let rebound = api.send("GET", "/api/v1/status", &[PAGE, ("host", "page.example")], b"");
    assert_eq!((rebound.problem(403), rebound.header(shared)), ("foreign_host".to_owned(), None));
    assert_eq!(api.send("GET", "/api/v1/status", &[SITE], b"").problem(403), "cross_site");

    for wrong in ["*", "null", "page.example", "https://page.example/", "ftp://page.example", "https://a@page.example"]
    {
        let run = crate::harness::quipu(None).args(["--http-allow-origin", wrong, "--no-prompt"]).output();
        let output = run.expect("it starts");
        assert!(
            !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("an origin is"),
            "{wrong}"
        );
    }
}
