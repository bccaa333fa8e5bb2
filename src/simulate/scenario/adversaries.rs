//! NodesPart that do not keep to the rules of conduct. Each of `[[adversaries]]` has `nodes` (as events name them), a
//! `kind`, and optionally `from` (`"10m"`; the beginning):
//!
//! | kind | behaviour | own fields |
//! | --- | --- | --- |
//! | `selfish` | keep found blocks back, to waste the work of others (Eyal and Sirer 2014) | |
//! | `double_spend` | pay, and mine another history without the payment | `payee`, a node |
//! | `eclipse` | show their neighbours a network that stands still | |
//! | `spam` | flood all their peers | `floods` (`["transactions", "orphans", "headers"]`) |
//! | `timestamp` | date their blocks ahead, for easier targets | `ahead_ms` (59500: just within the peers' limit) |
//! | `liar` | stall, lie, answer late, answer another question, change blocks | |
//! | `equivocate` | tell half of their peers one thing and the others another | |
//!
//! The part of the honest miners that work on a selfish miner's block during a race (gamma) is not a setting: it
//! follows from the links. `topology = { links = … }` gives a miner more of them.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::events::{Census, NodesPart, Time};
use crate::protocol::Millis;
use crate::sim::adversary::Role;
use crate::sim::adversary::spam::Floods;
use crate::sim::change::Change;
use crate::sim::id::NodeId;

/// The default distance by which blocks are dated ahead: the limit of the `lan` network, less a bit for wrong clocks.
const AHEAD_MILLIS: u64 = 59_500;
/// The greatest distance: a year.
const AHEAD_MILLIS_MAX: u64 = 366 * 24 * 3_600_000;

/// An adversary as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdversaryPart {
    nodes: NodesPart,
    kind: AdversaryKind,
    from: Option<Time>,
    payee: Option<u32>,
    ahead_ms: Option<u64>,
    floods: Option<Vec<FloodKind>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AdversaryKind {
    Selfish,
    DoubleSpend,
    Eclipse,
    Spam,
    Timestamp,
    Liar,
    Equivocate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FloodKind {
    Transactions,
    Orphans,
    Headers,
}

/// The times at which nodes of the beginning become adversaries, in the order of the file.
pub(super) fn changes(
    parts: Vec<Spanned<AdversaryPart>>,
    nodes: usize,
    line_of: impl Fn(Range<usize>) -> usize,
) -> Result<Vec<(Millis, Change)>, String> {
    let mut changes = Vec::new();
    let mut taken = BTreeSet::new();
    for part in parts {
        let line = line_of(part.span());
        let fail = |problem: String| format!("line {line}: adversary: {problem}");
        let part = part.into_inner();
        let role = part.role(nodes).map_err(fail)?;
        let from = part.from.map_or(Millis(0), |time| time.0);
        for node in part.nodes.resolve(Census { at_first: nodes, now: nodes }).map_err(fail)? {
            if role == (Role::DoubleSpend { payee: node }) {
                return Err(fail(format!("payee: node {node} cannot cheat itself, name another node")));
            }
            if !taken.insert(node) {
                return Err(fail(format!("node {node} is an adversary already: name each node once")));
            }
            changes.push((from, Change::Corrupt(node, role)));
        }
    }
    if taken.len() == nodes {
        return Err("adversaries: nobody is left to be honest: name fewer nodes".to_owned());
    }
    Ok(changes)
}

impl AdversaryPart {
    fn role(&self, nodes: usize) -> Result<Role, String> {
        let foreign = [
            ("payee", self.payee.is_some() && self.kind != AdversaryKind::DoubleSpend, "double_spend"),
            ("ahead_ms", self.ahead_ms.is_some() && self.kind != AdversaryKind::Timestamp, "timestamp"),
            ("floods", self.floods.is_some() && self.kind != AdversaryKind::Spam, "spam"),
        ];
        if let Some((field, _, kind)) = foreign.into_iter().find(|(_, is_foreign, _)| *is_foreign) {
            return Err(format!("{field} belongs to the kind {kind}: leave it out, or choose that kind"));
        }
        Ok(match self.kind {
            AdversaryKind::Selfish => Role::Selfish,
            AdversaryKind::DoubleSpend => match self.payee {
                Some(payee) if (payee as usize) < nodes => Role::DoubleSpend { payee: NodeId(payee) },
                Some(payee) => return Err(format!("payee: node {payee} does not exist, there are {nodes}, from 0 on")),
                None => return Err("double_spend needs a payee: name the node that is cheated".to_owned()),
            },
            AdversaryKind::Eclipse => Role::Eclipse,
            AdversaryKind::Spam => Role::Spam(self.floods.as_deref().map_or(Ok(Floods::default()), floods)?),
            AdversaryKind::Timestamp => match self.ahead_ms.unwrap_or(AHEAD_MILLIS) {
                ahead @ ..=AHEAD_MILLIS_MAX => Role::Timestamp { ahead: Millis(ahead) },
                ahead => return Err(format!("ahead_ms: {ahead} is too much, choose up to {AHEAD_MILLIS_MAX}")),
            },
            AdversaryKind::Liar => Role::Liar,
            AdversaryKind::Equivocate => Role::Equivocator,
        })
    }
}

fn floods(named: &[FloodKind]) -> Result<Floods, String> {
    let has = |flood| named.contains(&flood);
    if named.is_empty() {
        return Err("floods: name at least one of transactions, orphans, headers".to_owned());
    }
    Ok(Floods {
        transactions: has(FloodKind::Transactions),
        orphans: has(FloodKind::Orphans),
        headers: has(FloodKind::Headers),
    })
}
