use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const BEARER: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");

fn guard(address: &str, read_only: bool) -> Guard {
    Guard {
        address: address.parse().expect("an address"),
        token: (!read_only).then(|| Token::new(TOKEN)),
        host_name: Some("Lab1.school.example".to_owned()),
        names: vec!["quipu.example.org".to_owned()],
        origins: vec!["https://page.example".to_owned(), "http://lab.example:8080".to_owned()],
        has_classic: true,
    }
}

fn judge(guard: &Guard, method: Method, path: &str, given: &[(&'static str, &str)]) -> &'static str {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        headers.append(*name, value.parse().expect("visible"));
    }
    let uri: Uri = path.parse().expect("a path");
    let page = guard.judge_page(&uri, &headers);
    match page.and_then(|page| guard.judge_rights(page, &method, &uri, Form::of(&uri, &headers), &headers)) {
        Ok(Admitted::Anybody) => "let in",
        Ok(Admitted::OwnUser) => "own user",
        Err(problem) => problem.code(),
    }
}

/// Requests that a foreign page can make a browser send.
#[test]
fn foreign_pages_are_refused() {
    let guard = guard("127.0.0.1:7788", false);
    let (ours, good) = (("host", "127.0.0.1:7788"), "own user");
    let cases: [(&[(&'static str, &str)], &str); 21] = [
        (&[ours], good),
        (&[("host", "localhost:7788")], good),
        (&[("host", "LOCALHOST")], good),
        (&[("host", "[::1]:7788")], good),
        (&[], "bad_host"),
        (&[ours, ours], "bad_host"),
        (&[("host", "")], "foreign_host"),
        (&[("host", "evil.example:7788")], "foreign_host"),
        (&[("host", "127.0.0.1.evil.example")], "foreign_host"),
        (&[("host", "localhost.evil.example")], "foreign_host"),
        (&[("host", "evil@127.0.0.1")], "foreign_host"),
        (&[("host", "192.168.1.5:7788")], "foreign_host"),
        (&[ours, ("origin", "http://127.0.0.1:7788")], good),
        (&[ours, ("origin", "http://127.0.0.1:9999")], "foreign_origin"),
        (&[ours, ("origin", "https://evil.example")], "foreign_origin"),
        (&[ours, ("origin", "null")], "foreign_origin"),
        (&[ours, ("origin", "https://127.0.0.1:7788")], good),
        (&[ours, ("origin", "ftp://127.0.0.1:7788")], "foreign_origin"),
        (&[("host", "QUIPU.example.org"), ("origin", "https://quipu.example.org")], good),
        (&[ours, ("sec-fetch-site", "cross-site")], "cross_site"),
        (&[ours, ("sec-fetch-site", "same-site")], "cross_site"),
    ];
    for (headers, wanted) in cases {
        assert_eq!(judge(&guard, Method::GET, "/mine", headers), wanted, "{headers:?}");
    }
}

#[test]
fn who_is_elsewhere_needs_the_token() {
    let guard = guard("0.0.0.0:7788", false);
    let host = ("host", "192.168.1.5:7788");
    assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host]), "no_token");
    assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host, ("authorization", "Bearer x")]), "no_token");
    assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host, BEARER]), "let in");
    assert_eq!(judge(&guard, Method::GET, "/page/style.css", &[host]), "let in");
    assert_eq!(judge(&guard, Method::GET, "/verify.html", &[host]), "let in");
    assert_eq!(judge(&guard, Method::GET, "/healthz", &[host]), "let in");
}

#[test]
fn names_are_asked_for_where_they_protect_something() {
    let (local, closed) = (guard("127.0.0.1:7788", false), guard("0.0.0.0:7788", false));
    for name in ["lab1:7788", "LAB1.local", "lab1.local.:7788", "lab1.school.example:7788"] {
        assert_eq!(judge(&local, Method::GET, "/mine", &[("host", name)]), "own user", "{name}");
    }
    for name in ["lab2:7788", "lab1.evil.example", "lab1.local.evil.example", "school.example", ".local", "local"] {
        assert_eq!(judge(&local, Method::GET, "/mine", &[("host", name)]), "foreign_host", "{name}");
        assert_eq!(judge(&closed, Method::GET, "/metrics", &[("host", name), BEARER]), "let in", "{name}");
        assert_eq!(judge(&closed, Method::GET, "/metrics", &[("host", name)]), "foreign_host", "{name}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(judge(&local, Method::GET, path, &[]), "let in");
        assert_eq!(judge(&local, Method::GET, path, &[("host", "probe.example")]), "let in");
        assert_eq!(judge(&local, Method::GET, path, &[("host", "a"), ("host", "b")]), "bad_host");
    }
    let foreign = [("host", "evil.example"), ("origin", "http://other.example"), BEARER];
    assert_eq!(judge(&closed, Method::POST, "/mine", &foreign), "foreign_origin");
    let readers = guard("0.0.0.0:7788", true);
    assert_eq!(judge(&readers, Method::GET, "/metrics", &[("host", "prometheus.example")]), "let in");
    assert_eq!(judge(&readers, Method::GET, "/chain", &[("host", "prometheus.example")]), "foreign_host");
}

/// A page that may ask has no more rights than a stranger on this machine, wherever its browser runs.
#[test]
fn allowed_pages_are_let_in_and_nobodys_own() {
    let (local, closed) = (guard("127.0.0.1:7788", false), guard("0.0.0.0:7788", false));
    let (host, site) = (("host", "127.0.0.1:7788"), ("sec-fetch-site", "cross-site"));
    let cases = [
        ("https://page.example", "let in", "no_token"),
        ("http://lab.example:8080", "let in", "no_token"),
        ("http://page.example", "foreign_origin", "foreign_origin"),
        ("https://page.example:443", "foreign_origin", "foreign_origin"),
        ("https://page.example.evil.example", "foreign_origin", "foreign_origin"),
        ("https://sub.page.example", "foreign_origin", "foreign_origin"),
        ("HTTPS://page.example", "foreign_origin", "foreign_origin"),
        ("null", "foreign_origin", "foreign_origin"),
        ("*", "foreign_origin", "foreign_origin"),
    ];
    for (origin, reads, changes) in cases {
        let given = [host, site, ("origin", origin)];
        assert_eq!(judge(&local, Method::GET, "/api/v1/status", &given), reads, "{origin}");
        for path in ["/mine", "/chain", "/api/v1/records?format=csv", WALLET_FILES_PATH] {
            assert_eq!(judge(&local, Method::GET, path, &given), changes, "{origin} {path}");
        }
        let with_token = [host, site, ("origin", origin), BEARER];
        let wanted = if reads == "let in" { "let in" } else { reads };
        assert_eq!(judge(&local, Method::POST, "/api/v1/records", &with_token), wanted, "{origin}");
    }
    let allowed = ("origin", "https://page.example");
    assert_eq!(judge(&local, Method::GET, "/api/v1/status", &[("host", "evil.example"), allowed]), "foreign_host");
    assert_eq!(judge(&local, Method::GET, "/api/v1/status", &[host, allowed, allowed]), "foreign_origin");
    assert_eq!(judge(&local, Method::GET, "/api/v1/status", &[host, site]), "cross_site", "without CORS");
    assert_eq!(judge(&closed, Method::GET, "/api/v1/status", &[("host", "10.0.0.5:7788"), allowed]), "no_token");
}

#[test]
fn a_server_for_readers_changes_nothing() {
    let guard = guard("0.0.0.0:7788", true);
    let host = ("host", "192.168.1.5:7788");
    assert_eq!(judge(&guard, Method::GET, "/api/v1/status", &[host]), "let in");
    assert_eq!(judge(&guard, Method::POST, "/api/v1/transactions", &[host]), "read_only");
    for path in CHANGING_GETS {
        assert_eq!(judge(&guard, Method::GET, path, &[host]), "read_only", "{path}");
    }
    // Nobody is told apart there.
    assert_eq!(judge(&guard, Method::GET, WALLET_FILES_PATH, &[host]), "read_only");
}

/// On this machine, what is cheap and changes nothing is for everybody.
#[test]
fn the_token_or_the_own_user_where_it_matters() {
    let guard = guard("127.0.0.1:7788", false);
    let host = ("host", "127.0.0.1:7788");
    let cases = [
        (Method::GET, "/api/v1/status", "let in", "let in"),
        (Method::GET, "/api/v1/blocks", "let in", "let in"),
        (Method::GET, "/pending_tx", "let in", "let in"),
        (Method::GET, "/", "let in", "let in"),
        (Method::GET, "/mine", "own user", "no_token"),
        (Method::GET, "/chain", "own user", "no_token"),
        (Method::HEAD, "/chain", "own user", "no_token"),
        (Method::GET, "/api/v1/transactions/ab/receipt", "own user", "no_token"),
        (Method::GET, WALLET_FILES_PATH, "own user", "no_token"),
        (Method::GET, "/api/v1/records?format=json", "let in", "let in"),
        (Method::GET, "/api/v1/records?format=csv", "own user", "no_token"),
        (Method::GET, "/api/v1/blocks?limit=1&form%61t=ndjson", "own user", "no_token"),
        (Method::POST, "/transactions/new", "own user", "no_token"),
        (Method::PUT, "/api/v1/mining", "own user", "no_token"),
        (Method::DELETE, "/api/v1/mining/blocks", "own user", "no_token"),
    ];
    for (method, path, plain, by_proxy) in cases {
        assert_eq!(judge(&guard, method.clone(), path, &[host]), plain, "{path}");
        assert_eq!(judge(&guard, method.clone(), path, &[host, ("x-forwarded-for", "::1")]), by_proxy, "{path}");
        assert_eq!(judge(&guard, method, path, &[host, ("via", "1.1 p"), BEARER]), "let in", "{path}");
    }
    for name in
        ["Forwarded", "Via", "X-Forwarded-Host", "X-Forwarded", "X-Real-IP", "CF-Connecting-IP", "X-Original-URL"]
    {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::try_from(name).expect("a name"), HeaderValue::from_static("x"));
        assert!(came_through_proxy(&headers), "{name}");
    }
    let without = Guard { has_classic: false, ..guard };
    assert_eq!(judge(&without, Method::GET, "/mine", &[host]), "let in", "to an answer that there is no such route");
}
