//! The summary of a run: a table for people, one object for scripts.

use serde::Serialize;
use serde_json::json;

use super::SimulateError;
use super::facts::RunFacts;
use super::scenario::{Overrides, Scenario};
use super::selfish::SelfishSpan;
use super::shipped;
use crate::sim::metrics::{MinerShare, Summary};
use crate::text::{counted, grouped};

/// The most miners in the table.
pub(super) const MINERS_SHOWN_MAX: usize = 10;
/// The most depths in the table.
const DEPTHS_SHOWN_MAX: usize = 6;

/// The one line of `--json`.
pub(super) fn json(scenario: &Scenario, facts: &RunFacts) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        scenario: &'a str,
        interrupted: bool,
        #[serde(flatten)]
        summary: &'a Summary,
        selfish: &'a [SelfishSpan],
        checks: serde_json::Value,
        wall_seconds: f64,
    }
    let RunFacts { summary, interrupted, wall, selfish, checks, .. } = facts;
    let broken = checks.broken.as_ref().map(ToString::to_string);
    let checks = json!({ "blocks": checks.blocks, "broken": broken });
    let wall_seconds = wall.as_millis() as f64 / 1000.0;
    let object = Object { scenario: &scenario.name, interrupted: *interrupted, summary, selfish, checks, wall_seconds };
    serde_json::to_string(&object).expect("numbers and texts have a JSON form") + "\n"
}

/// The table, below a line about the run.
pub(super) fn text(scenario: &Scenario, facts: &RunFacts) -> String {
    let mut text = format!("{}: {}\n\n", scenario.name, what_ran(facts));
    for (name, value) in rows(facts) {
        text += &format!("{name:<18}{value}\n");
    }
    let (shown, others) = shares(&facts.summary);
    if !shown.is_empty() {
        text += &format!("\n{:<18}{:>9}{:>11}{:>9}\n", "miner", "hash rate", "best chain", "blocks");
    }
    for share in shown.iter().chain(&others) {
        let (rate, chain) = (percent(share.hash_rate), percent(share.chain));
        text += &format!("{:<18}{rate:>9}{chain:>11}{:>9}\n", share.name, grouped(share.blocks));
    }
    if !facts.selfish.is_empty() {
        text.push('\n');
        let columns = SELFISH_COLUMNS.map(str::to_owned);
        for [who, rate, chain, formula, gamma] in [columns].into_iter().chain(facts.selfish.iter().map(selfish_row)) {
            text += &format!("{who:<24}{rate:>9}{chain:>16}{formula:>10}{gamma:>7}\n");
        }
    }
    text
}

/// `50 nodes for 1:00:00 of virtual time, seed 1`.
pub(super) fn what_ran(facts: &RunFacts) -> String {
    let Summary { nodes, virtual_seconds, seed, .. } = facts.summary;
    let so_far = if facts.interrupted { " (stopped early)" } else { "" };
    let time = clock((virtual_seconds * 1000.0) as u64);
    format!("{} for {time} of virtual time, seed {seed}{so_far}", counted(nodes as u64, "node"))
}

/// The rows about a run, each a name and a value.
pub(super) fn rows(facts: &RunFacts) -> Vec<(&'static str, String)> {
    let RunFacts { summary, wall, .. } = facts;
    let times = summary.propagation_ms;
    let seconds = wall.as_secs_f64();
    let agreed = if summary.agreed { "yes" } else { "NO" };
    vec![
        ("all agree", format!("{agreed}, the best chain has height {}", grouped(summary.height))),
        ("blocks", format!("{} found, {} stale", grouped(summary.blocks), percent(summary.stale_rate))),
        (
            "propagation",
            format!(
                "{} ms to half of the nodes, {} ms to 95 %, {} ms to 99 %",
                grouped(times.p50),
                grouped(times.p95),
                grouped(times.p99)
            ),
        ),
        ("reorganisations", reorganisations(summary)),
        (
            "transactions",
            format!("{} sent, {} mined", grouped(summary.transactions_sent), grouped(summary.transactions_mined)),
        ),
        (
            "messages",
            format!("{} in all, {:.1} a second and node", grouped(summary.messages), summary.messages_per_node_second),
        ),
        (
            "traffic",
            format!(
                "{} in all, {} a second and node",
                bytes(summary.bytes as f64),
                bytes(summary.bytes_per_node_second)
            ),
        ),
        ("checks", checks(facts)),
        ("trace", summary.trace_hash.clone()),
        ("real time", format!("{seconds:.1} s, {:.0} times as fast", summary.virtual_seconds / seconds.max(0.001))),
    ]
}

fn checks(facts: &RunFacts) -> String {
    let blocks = counted(facts.checks.blocks as u64, "block");
    match &facts.checks.broken {
        None => format!("{blocks} judged, all hold"),
        Some(finding) => format!("BROKEN: {finding}"),
    }
}

/// The row about a selfish miner and span: node and time, hash rate, chain, formula, gamma.
pub(super) fn selfish_row(phase: &SelfishSpan) -> [String; 5] {
    let who = format!("node {}, from {}", phase.node, clock((phase.from_seconds * 1000.0) as u64));
    let error = phase.chain_error.map_or_else(String::new, |error| format!(" ± {:.1}", error * 100.0));
    let chain = format!("{:.1}{error} %", phase.chain * 100.0);
    let formula = phase.formula.map_or_else(|| "-".to_owned(), percent);
    [who, percent(phase.hash_rate), chain, formula, format!("{:.2}", phase.gamma)]
}

/// The headings of these columns.
pub(super) const SELFISH_COLUMNS: [&str; 5] = ["selfish", "hash rate", "best chain", "formula", "gamma"];

fn reorganisations(summary: &Summary) -> String {
    let all: u64 = summary.reorg_depths.values().sum();
    let depth = |(depth, count): (&u64, &u64)| format!("{} deep: {}", counted(*depth, "block"), grouped(*count));
    // The deepest are those that matter.
    let deepest: Vec<String> = summary.reorg_depths.iter().rev().take(DEPTHS_SHOWN_MAX).map(depth).collect();
    match all {
        0 => "none".to_owned(),
        _ => format!("{} on nodes ({})", grouped(all), deepest.join(", ")),
    }
}

/// A miner, or several together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Share {
    pub(super) name: String,
    pub(super) hash_rate: f64,
    pub(super) chain: f64,
    pub(super) blocks: u64,
}

/// The miners with the highest hash rates, and all others together.
pub(super) fn shares(summary: &Summary) -> (Vec<Share>, Option<Share>) {
    let name = |share: &MinerShare| format!("node {}", share.node);
    let one = |share: &MinerShare| Share {
        name: name(share),
        hash_rate: share.hash_rate,
        chain: share.chain,
        blocks: share.blocks,
    };
    let (shown, rest) = summary.miners.split_at(summary.miners.len().min(MINERS_SHOWN_MAX));
    let others = (!rest.is_empty()).then(|| Share {
        name: counted(rest.len() as u64, "other"),
        hash_rate: rest.iter().map(|share| share.hash_rate).sum(),
        chain: rest.iter().map(|share| share.chain).sum(),
        blocks: rest.iter().map(|share| share.blocks).sum(),
    });
    (shown.iter().map(one).collect(), others)
}

/// `--list`: a name, and the paragraph below it.
pub(super) fn list() -> Result<String, SimulateError> {
    let mut text = String::new();
    for name in shipped::NAMES {
        let scenario = Scenario::load(name, Overrides::default())?;
        let nodes = counted(scenario.setup.nodes as u64, "node");
        let time = clock(scenario.span.0);
        text += &format!("{name}: {nodes}, {time}\n");
        text += &wrapped(&scenario.description);
        text.push('\n');
    }
    Ok(text + "Run one as `quipu simulate NAME`; `--show NAME` prints it, to start one of your own from.\n")
}

/// `--list --json`.
pub(super) fn list_json() -> Result<String, SimulateError> {
    let object = |name: &str| {
        let Scenario { name, description, setup, span, .. } = Scenario::load(name, Overrides::default())?;
        let hours = span.0 as f64 / 3_600_000.0;
        Ok(json!({ "name": name, "description": description, "nodes": setup.nodes, "hours": hours }))
    };
    let list: Result<Vec<_>, SimulateError> = shipped::NAMES.into_iter().map(object).collect();
    Ok(serde_json::Value::from(list?).to_string() + "\n")
}

/// Indented lines of at most 100 characters.
fn wrapped(text: &str) -> String {
    const LINE_CHARACTERS_MAX: usize = 96;
    let mut lines = String::new();
    let mut width = LINE_CHARACTERS_MAX;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width + 1 + length > LINE_CHARACTERS_MAX {
            lines += if lines.is_empty() { "    " } else { "\n    " };
            width = length;
        } else {
            lines.push(' ');
            width += 1 + length;
        }
        lines += word;
    }
    lines + "\n"
}

/// A virtual time: `1:02:05`.
pub(super) fn clock(millis: u64) -> String {
    let seconds = millis / 1000;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A part of 1: `2.5 %`.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// `12 B`, `1.5 kB`, `2.0 MB`.
pub(super) fn bytes(count: f64) -> String {
    match count {
        ..1e3 => format!("{count:.0} B"),
        ..1e6 => format!("{:.1} kB", count / 1e3),
        ..1e9 => format!("{:.1} MB", count / 1e6),
        _ => format!("{:.1} GB", count / 1e9),
    }
}
