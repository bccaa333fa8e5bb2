//! The page in front of a change that a browser asks for by its address alone.
//!
//! Some classic routes change something in spite of GET, so that a link in a mail or on another page could do it. A
//! browser says where a request comes from: of one that does not come from this node's own page, the person has to
//! confirm that it is meant. Programs such as curl are no browsers, and are served at once.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};

/// The way in which a browser came to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// It was typed, or opened from another program: the browser says so.
    FromOutside,
    /// An old browser does not say where requests come from.
    Unsaid,
}

/// How a browser came here, unless it was from this node's own page. `None` also for programs that are no browsers.
pub(super) fn came(headers: &HeaderMap) -> Option<Came> {
    match headers.get("sec-fetch-site") {
        Some(site) => (site != "same-origin").then_some(Came::FromOutside),
        // Every browser calls itself that, and hardly any program.
        None => headers.get(header::USER_AGENT)?.as_bytes().starts_with(b"Mozilla/").then_some(Came::Unsaid),
    }
}

/// The page. Nothing has been changed.
pub(super) fn page(came: Came, uri: &Uri) -> Response {
    let target = escaped(uri.path_and_query().map_or("/", |target| target.as_str()));
    let remedy = match came {
        // From here the link comes from this node's own page.
        Came::FromOutside => {
            format!(
                "<p>If you meant it: <a href=\"{target}\"><strong>yes, do it</strong></a>. If not, close this page.</p>"
            )
        }
        Came::Unsaid => "<p>This browser does not say whether you meant it or another page did. Use <a href=\"/\">the \
                         node's own page</a>, a newer browser, or a program such as curl.</p>"
            .to_owned(),
    };
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>quipu: nothing was done yet</title></head>\n\
         <body><h1>Nothing was done yet</h1>\n<p>The address <code>{target}</code> makes this node do something. It was \
         not opened from the node's own page.</p>\n{remedy}\n</body></html>\n"
    );
    (StatusCode::FORBIDDEN, Html(text)).into_response()
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_confirm_and_programs_do_not() {
        let safari =
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/15.6 Safari/605.1.15";
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<Came>);
        let cases: [Case; 8] = [
            (&[], None),
            (&[("user-agent", "curl/8.5.0")], None),
            (&[("user-agent", "python-requests/2.31.0")], None),
            (&[("user-agent", "Python-urllib/3.12")], None),
            (&[("user-agent", safari)], Some(Came::Unsaid)),
            (&[("user-agent", safari), ("sec-fetch-site", "same-origin")], None),
            (&[("user-agent", safari), ("sec-fetch-site", "none")], Some(Came::FromOutside)),
            (&[("sec-fetch-site", "none")], Some(Came::FromOutside)),
        ];
        for (given, want) in cases {
            let headers: HeaderMap = given
                .iter()
                .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("visible")))
                .collect();
            assert_eq!(came(&headers), want, "{given:?}");
        }
    }

    #[test]
    fn an_address_is_shown_as_text() {
        assert_eq!(escaped("/mine?a=1&b='<\">"), "/mine?a=1&amp;b=&#39;&lt;&quot;&gt;");
    }
}
