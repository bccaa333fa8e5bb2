//! The report on a proven receipt: in plain words, and in JSON.
//!
//! All text from the receipt is made harmless: its author is unknown.

use serde::Serialize;

use super::Verified;
use crate::node::api::proven::{ProvenRow, worth};
use crate::node::api::rows::PlaceRow;
use crate::protocol::record::Content;
use crate::protocol::transaction::RECORD_BYTES_MAX;
use crate::protocol::{Action, Height, Transaction};
use crate::text::{counted, date_time, grouped, harmless, hash_rate, span};

/// The column where values begin.
const COLUMN: usize = 15;

/// A proof, and the speed of this machine.
pub(super) struct Report {
    pub(super) verified: Verified,
    pub(super) hash_rate: u64,
}

impl Report {
    /// Some lines for a person, the last one without a line feed.
    pub(super) fn to_text(&self) -> String {
        let Verified { proof, is_built_in, file, witnessed, node } = &self.verified;
        let network = proof.network();
        let name = &network.parameters().name;
        let (block, tip) = (proof.block(), proof.tip());
        let mut lines = vec![
            format!("proven: {} signed this, and it is in block {} of network {name}", proof.sender(), block.height),
            labelled("transaction", &proof.id().to_string()),
            labelled("says", &self.says()),
        ];
        lines.extend(file.as_ref().map(|file| labelled("file", &format!("{} is what was recorded", file.display()))));
        lines.push(labelled(
            "network",
            &match is_built_in {
                true => format!("{name}, the built-in one"),
                false => format!("{name}, genesis block {}: compare it with that of your nodes", network.genesis_id()),
            },
        ));
        let latest = proof.latest().map_or("unknown, no block follows".to_owned(), |latest| {
            format!("{} UTC, by the clock of the next block's miner", date_time(latest))
        });
        let confirmations = counted(proof.confirmations(), "block");
        lines.extend([
            labelled("block", &format!("{}, {}", block.height, block.id)),
            labelled("not before", &format!("{} UTC, if the nodes' clocks were right", date_time(proof.earliest()))),
            labelled("not after", &latest),
            labelled("confirmations", &format!("{confirmations}, up to {}, {}", tip.height, tip.id)),
            labelled("work", &self.work()),
        ]);
        lines.extend(witnessed.map(|place| labelled("witnessed", &format!("block {}, {}", place.height, place.id))));
        lines.extend(node.map(|height| labelled("best chain", &format!("yes, its height is {height}"))));
        lines.push(worth(proof.form()).to_owned());
        lines.join("\n")
    }

    fn says(&self) -> String {
        let proof = &self.verified.proof;
        let Some(record) = proof.record() else {
            let Transaction { action, .. } = &proof.transaction().signed().transaction;
            return match action {
                Action::Transfer { to, amount } => format!("a transfer of {amount} to {to}"),
                Action::Record { .. } => unreachable!("a record has a record"),
            };
        };
        let shown = |text: &str| harmless(text, RECORD_BYTES_MAX);
        let content = match &record.content {
            Content::Text(text) => format!("\"{}\"", shown(text)),
            Content::File { sha256, name, size } => {
                format!("file {}, {}, SHA-256 {}", shown(name), counted(*size, "byte"), hex::encode(sha256))
            }
            Content::Json(json) => format!("JSON {}", shown(json)),
            Content::Bytes(bytes) => format!("bytes {}", hex::encode(bytes)),
        };
        match record.tags.as_slice() {
            [] => content,
            tags => {
                let tags: Vec<_> = tags.iter().map(|tag| shown(tag.as_str())).collect();
                format!("{content}, tags {}", tags.join(", "))
            }
        }
    }

    /// The meaning of the work on this machine.
    fn work(&self) -> String {
        let rate = hash_rate(self.hash_rate);
        let time = match self.seconds() {
            seconds if seconds < 1.0 => "less than a second".to_owned(),
            seconds => span((seconds * 1000.0) as u64),
        };
        let work = grouped(self.verified.proof.work().0);
        format!("{work} hashes, which this machine would redo in {time} at {rate}")
    }

    fn seconds(&self) -> f64 {
        self.verified.proof.work().0 as f64 / self.hash_rate.max(1) as f64
    }

    /// One line for a script; see [the module](super).
    pub(super) fn to_json(&self) -> String {
        let Verified { proof, file, witnessed, node, .. } = &self.verified;
        let result = VerifiedJson {
            proven: proof.into(),
            hash_rate: self.hash_rate,
            seconds: self.seconds(),
            file: file.as_ref().map(|_| true),
            witness: witnessed.map(PlaceRow::from),
            node: node.map(|height| NodeJson { height }),
        };
        let result = serde_json::to_string(&result).expect("strings and numbers always serialise");
        format!(r#"{{"ok":true,"command":"verify","result":{result}}}"#)
    }
}

/// The line for a script.
#[derive(Serialize)]
struct VerifiedJson {
    #[serde(flatten)]
    proven: ProvenRow,
    hash_rate: u64,
    seconds: f64,
    file: Option<bool>,
    witness: Option<PlaceRow>,
    node: Option<NodeJson>,
}

/// The node that was asked.
#[derive(Serialize)]
struct NodeJson {
    height: Height,
}

fn labelled(label: &str, what: &str) -> String {
    format!("{label:COLUMN$}{what}")
}
