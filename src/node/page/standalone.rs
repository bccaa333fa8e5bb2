//! The verifier of receipts as one file, for a reader who has no node: `GET /verify.html`, `quipu verify-page FILE`.
//!
//! It holds the page's own modules, those that its main module needs. A browser loads no module from a disk, so an
//! import map has each of them as a `data:` address (RFC 2397) under a bare name, and imports are rewritten to these
//! names.
//!
//! Always true: its policy forbids all requests, and all scripts and styles but its own, wherever it is opened; and it
//! has the same bytes in every copy of one version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

/// The module that imports all others.
const MAIN: &str = "offline/main.js";
const STYLES: [&str; 3] = ["frame.css", "pieces.css", "offline/offline.css"];
const ICON: &str = "icon.svg";
/// The notice of the one library in it, whose licence asks for that.
const NOTICE: &str = "vendor/qr/LICENSE.txt";
/// Before each module's name. Browsers look up only bare names in an import map, wherever the importing module is from.
const PREFIX: &str = "quipu/";

static FILE: LazyLock<Standalone> = LazyLock::new(|| Standalone::of(super::text));

/// The file's content.
pub fn verify_page() -> &'static str {
    &FILE.html
}

/// The policy in it, for a server to say as well.
pub fn policy() -> &'static str {
    &FILE.policy
}

#[derive(Debug)]
struct Standalone {
    html: String,
    policy: String,
}

impl Standalone {
    /// The file, made of the page's files. Panics if one is missing: they are ours, and a test makes it.
    fn of(file: impl Fn(&str) -> Option<&'static str>) -> Self {
        let text = |name: &str| file(name).unwrap_or_else(|| panic!("{name} is missing"));
        let modules = modules(&text);
        let entries: Vec<String> = modules
            .iter()
            .map(|(name, source)| format!("\"{PREFIX}{name}\":\"{}\"", data_url("text/javascript", source)))
            .collect();
        let map = format!("{{\"imports\":{{\n{}\n}}}}", entries.join(",\n"));
        let start = format!("import '{PREFIX}{MAIN}';");
        let style = STYLES.map(text).concat();
        let policy = policy_of(&[&map, &start], &style);
        let icon = data_url("image/svg+xml", text(ICON));
        let version = env!("CARGO_PKG_VERSION");
        let notice = text(NOTICE);
        let html = format!(
            r#"<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta http-equiv="Content-Security-Policy" content="{policy}">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="referrer" content="no-referrer">
  <title>Verify a receipt · quipu</title>
  <link rel="icon" type="image/svg+xml" href="{icon}">
  <style>{style}</style>
  <script type="importmap">{map}</script>
  <script type="module">{start}</script>
</head>
<body>
  <header class="frame"><p class="brand"><img src="{icon}" alt="" width="28" height="28"> <span>quipu</span></p></header>
  <main id="main">
    <noscript><p>This page computes a proof and needs JavaScript. Elsewhere, <code>quipu verify</code> does the same.</p></noscript>
  </main>
  <footer class="frame">
    <p>Made by quipu {version}, whose <code>quipu verify-page</code> makes the same file again. It works without a network; its policy
      forbids every request.</p>
  </footer>
</body>
</html>
<!-- The files in vendor/qr are the library qr under this licence:

{notice}-->
"#
        );
        Self { html, policy }
    }
}

/// The main module and all that it imports, by name, with bare names for what they import.
fn modules(text: &impl Fn(&str) -> &'static str) -> BTreeMap<String, String> {
    let mut done = BTreeMap::new();
    let mut due = BTreeSet::from([MAIN.to_owned()]);
    while let Some(name) = due.pop_first() {
        let (source, imports) = with_bare_names(&name, text(&name));
        done.insert(name, source);
        due.extend(imports.into_iter().filter(|import| !done.contains_key(import)));
    }
    done
}

/// A module's source, and the names of what it imports. All our imports are written with single quotes.
fn with_bare_names(name: &str, source: &str) -> (String, Vec<String>) {
    const RELATIVE: &str = " from '.";
    let (mut text, mut imports, mut rest) = (String::new(), Vec::new(), source);
    while let Some(at) = rest.find(RELATIVE) {
        let (before, specifier) = rest.split_at(at + RELATIVE.len() - 1);
        let (specifier, after) = specifier.split_once('\'').expect("a string ends");
        let import = resolve(name, specifier);
        text += &format!("{before}{PREFIX}{import}'");
        imports.push(import);
        rest = after;
    }
    (text + rest, imports)
}

/// The name of the module that `from` means by a relative specifier.
fn resolve(from: &str, specifier: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in specifier.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// An address that holds a text, for use inside of quotes in HTML and JSON.
fn data_url(media: &str, text: &str) -> String {
    let mut url = format!("data:{media};charset=utf-8,");
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' | b'#' | b'<' | b'&' | b'\\' => url += &format!("%{byte:02X}"),
            b' '..=b'~' => url.push(char::from(byte)),
            _ => url += &format!("%{byte:02X}"),
        }
    }
    url
}

/// No request, no form, no markup from text; scripts and styles of these hashes, and the modules of the import map.
fn policy_of(scripts: &[&str], style: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text)));
    let scripts: Vec<String> = scripts.iter().map(|script| hash(script)).collect();
    format!(
        "default-src 'none'; script-src {} data:; style-src {}; img-src data:; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        scripts.join(" "),
        hash(style)
    )
}

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;
    use crate::protocol::{Network, Parameters};

    #[test]
    fn specifiers_become_the_names_of_the_map() {
        let source = "import { a,\n  b } from '../app/a.js';\nexport * from './b.js';\nimport c from 'd';\n";
        let (text, imports) = with_bare_names("offline/main.js", source);
        assert_eq!(
            text,
            "import { a,\n  b } from 'quipu/app/a.js';\nexport * from 'quipu/offline/b.js';\nimport c from 'd';\n"
        );
        assert_eq!(imports, ["app/a.js", "offline/b.js"]);
    }

    #[test]
    fn an_address_holds_any_text_within_quotes() {
        assert_eq!(data_url("a/b", "x = \"<\\&#%é\"\n"), "data:a/b;charset=utf-8,x = %22%3C%5C%26%23%25%C3%A9%22%0A");
    }

    /// The policy forbids it in the browser; this forbids it before.
    #[test]
    fn the_file_has_no_module_that_speaks_to_a_node_or_loads_another() {
        let modules = modules(&|name| text(name).expect("it is there"));
        assert!(modules.contains_key("protocol/receipt.js") && modules.contains_key("vendor/qr/decode.js"));
        for (name, source) in &modules {
            for word in ["fetch(", "Worker(", "import(", "import '", "from '.", "localStorage", "sessionStorage"] {
                assert!(!source.contains(word), "{name} has {word}");
            }
        }
    }

    /// It knows the networks that this program knows, and no others.
    #[test]
    fn built_in_networks_are_ours() {
        let table = text("offline/networks.js").expect("it is there");
        let rows: BTreeMap<&str, &str> =
            (table.lines()).filter_map(|line| line.trim().strip_suffix("',")?.split_once(": '")).collect();
        for (name, genesis) in &rows {
            let parameters = Parameters::preset(name).expect("it is built in");
            assert_eq!(Network::new(parameters).expect("a preset is valid").genesis_id().to_string(), *genesis);
        }
        assert_eq!(rows.keys().copied().collect::<Vec<_>>(), ["class", "dev", "lan"]);
    }
}
