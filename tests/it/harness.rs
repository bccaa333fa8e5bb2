//! Real nodes as processes: started, addressed in JSON lines, and never left behind.
//!
//! Every wait is for an event or an answer, with a deadline whose expiry is a failure with diagnostics and never a
//! statement about speed. Nothing in here knows how a node works inside.

mod cluster;
mod lan;
mod log;
mod node;

use std::time::Duration;

pub(crate) use cluster::{Cluster, agree};
pub(crate) use lan::{Ability, Lan, ability};
pub(crate) use log::Waited;
pub(crate) use node::{Node, NodeOptions, quipu};

/// The longest time for anything that is not known to take long. Far above the real time on any machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A number that the long versions of the tests raise through the environment (see `scripts/soak`).
pub(crate) fn scale(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
        Err(_) => default,
    }
}

/// The transactions of a list of blocks or of the pool, by id.
pub(crate) fn ids(list: &serde_json::Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("a list, not {list}"));
    list.iter().map(|entry| text(entry, "id")).collect()
}

/// The ids of all transactions of a chain, rewards included.
pub(crate) fn transactions_of(chain: &serde_json::Value) -> Vec<String> {
    let blocks = chain["blocks"].as_array().unwrap_or_else(|| panic!("a chain, not {chain}"));
    blocks.iter().flat_map(|block| ids(&block["transactions"])).collect()
}

/// A field that is a text.
pub(crate) fn text(value: &serde_json::Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no text \"{field}\" in {value}")).to_owned()
}

/// A field that is a whole number.
pub(crate) fn number(value: &serde_json::Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("no number \"{field}\" in {value}"))
}
