//! The page's files: plain HTML, CSS and JavaScript modules, carried in the binary as they are in `http/page/`.
//!
//! | folder | what is in it |
//! | --- | --- |
//! | `app` | the frame: requests, events, which view is shown, elements from values |
//! | `views` | one view for each address |
//! | `picture` | the chain as a cord, charts, the graph of peers |
//! | `protocol` | the specification in JavaScript: encoding, hashes, signatures, records, receipts, wallets' files |
//! | `offline` | the verifier of receipts without a node, which [`standalone`] makes one file of |
//! | `vendor` | a library of others as it is published, see THIRD-PARTY.md |
//!
//! Not here: how they are served, which is [`http`](super::http)'s business.

pub mod standalone;

/// A file of the page.
#[derive(Debug)]
pub(super) struct Asset {
    /// The part of its address after `/page/`.
    pub(super) name: &'static str,
    pub(super) content: &'static [u8],
}

macro_rules! assets {
    ($($name:literal,)*) => {
        &[$(Asset { name: $name, content: include_bytes!(concat!("http/page/", $name)) },)*]
    };
}

/// All of them.
pub(super) const ASSETS: &[Asset] = assets![
    "index.html",
    "icon.svg",
    "frame.css",
    "pieces.css",
    "pictures.css",
    "print.css",
    "app/api.js",
    "app/copy.js",
    "app/dom.js",
    "app/events.js",
    "app/file.js",
    "app/format.js",
    "app/harmless.js",
    "app/live.js",
    "app/main.js",
    "app/parts.js",
    "app/pieces.js",
    "app/router.js",
    "app/search.js",
    "offline/camera.js",
    "offline/main.js",
    "offline/networks.js",
    "offline/offline.css",
    "offline/picture.js",
    "offline/published.js",
    "offline/verdict.js",
    "picture/chart.js",
    "picture/cord.js",
    "picture/graph.js",
    "picture/layout.js",
    "picture/qr.js",
    "protocol/address.js",
    "protocol/base64.js",
    "protocol/bytes.js",
    "protocol/ed25519.js",
    "protocol/encode.js",
    "protocol/history.js",
    "protocol/json.js",
    "protocol/keccak.js",
    "protocol/network.js",
    "protocol/proof.js",
    "protocol/receipt-text.js",
    "protocol/receipt-worker.js",
    "protocol/receipt.js",
    "protocol/record.js",
    "protocol/rules.js",
    "protocol/samples.js",
    "protocol/sha256.js",
    "protocol/sha512.js",
    "protocol/target.js",
    "protocol/transaction.js",
    "protocol/wallet.js",
    "vendor/qr/LICENSE.txt",
    "vendor/qr/decode.js",
    "vendor/qr/index.js",
    "views/account.js",
    "views/api.js",
    "views/block.js",
    "views/blocks.js",
    "views/content.js",
    "views/drop.js",
    "views/file-check.js",
    "views/lessons.js",
    "views/lessons/block.js",
    "views/lessons/chain.js",
    "views/lessons/fork.js",
    "views/lessons/hash.js",
    "views/lessons/sandbox.js",
    "views/lost.js",
    "views/mining.js",
    "views/node-wallet.js",
    "views/now.js",
    "views/offline-link.js",
    "views/peers.js",
    "views/print.js",
    "views/put.js",
    "views/reasons.js",
    "views/record.js",
    "views/records.js",
    "views/search.js",
    "views/send.js",
    "views/signing.js",
    "views/transaction.js",
    "views/verify.js",
    "views/waiting.js",
];

/// A file of the page as text.
fn text(name: &str) -> Option<&'static str> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    Some(std::str::from_utf8(asset.content).expect("all files are text"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn content(asset: &Asset) -> &'static str {
        text(asset.name).expect("it is there")
    }

    /// Those that we have written.
    fn our_own() -> impl Iterator<Item = &'static Asset> {
        ASSETS.iter().filter(|asset| !asset.name.starts_with("vendor/"))
    }

    fn files_below(folder: &Path, prefix: &str, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("our own source") {
            let entry = entry.expect("our own source");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => files_below(&entry.path(), &format!("{name}/"), names),
                false => assert!(names.insert(name)),
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_table() {
        let mut files = BTreeSet::new();
        files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/node/http/page"), "", &mut files);
        let known: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(known, files);
    }

    /// The policy in the guard would stop it in the browser; this stops it before.
    #[test]
    fn nothing_is_inline_and_text_never_becomes_markup() {
        let forbidden = ["style=", " onclick=", " onload=", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval("];
        for asset in ASSETS {
            for word in forbidden {
                assert!(!content(asset).contains(word), "{} has {word}", asset.name);
            }
        }
    }

    /// A page that asks elsewhere would fail on an isolated network, and would reveal who reads what.
    #[test]
    fn nothing_is_asked_of_other_servers() {
        for asset in our_own() {
            let elsewhere: Vec<&str> = (content(asset).split("http").skip(1))
                .filter(|rest| rest.starts_with("://") || rest.starts_with("s://"))
                .filter(|rest| !rest.starts_with("://www.w3.org/2000/svg") && !rest.starts_with("://127.0.0.1"))
                .collect();
            assert!(elsewhere.is_empty(), "{}: {elsewhere:?}", asset.name);
        }
        // The library has addresses in its comments.
        for asset in ASSETS.iter().filter(|asset| asset.name.starts_with("vendor/")) {
            for word in ["fetch(", "XMLHttpRequest", "WebSocket", "EventSource", "sendBeacon", "import(", "Worker("] {
                assert!(!content(asset).contains(word), "{} has {word}", asset.name);
            }
        }
    }

    /// The prompt and the page make foreign text harmless by one rule.
    #[test]
    fn the_page_has_the_prompt_s_table_of_confusing_characters() {
        let table = text("app/harmless.js").expect("it is there");
        let row = |line: &str| {
            let (first, last) = line.trim().strip_prefix("[0x")?.strip_suffix("],")?.split_once(", 0x")?;
            Some((u32::from_str_radix(first, 16).ok()?, u32::from_str_radix(last, 16).ok()?))
        };
        let rows: Vec<(u32, u32)> = table.lines().filter_map(row).collect();
        assert_eq!(rows, crate::protocol::harmless::confusing());
    }

    #[test]
    fn files_stay_short_enough_to_read() {
        for asset in our_own() {
            assert!(content(asset).lines().count() < 500, "{}", asset.name);
        }
    }
}
