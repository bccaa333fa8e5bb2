//! Events: faults and changes. Each has a time `at` (`"90s"`, `"20m"`, `"1h30m"`), and one of
//!
//! | field | effect |
//! | --- | --- |
//! | `partition = [NODES, …]` | these groups are cut off from each other |
//! | `cut = { from, to }` | messages from the former to the latter are held back; the way back stays open |
//! | `heal = true` | all cuts end |
//! | `reset = { from, to }` | the connections between them break, and are redialled |
//! | `stall = { from, to, for }` | messages from the former to the latter are delayed for a time |
//! | `crash`, `start` or `leave` `= NODES` | stop at once (unwritten data is lost), start again, stop for good |
//! | `join = { nodes, links }` | that many new nodes, with that many links each |
//! | `hash_rate = { nodes, times }` | a multiple of the rate at the beginning; 0 stops the search |
//! | `hash_rate = { nodes, share }` | a part of the whole (0.25) for these together, the rest for the other miners; the sum and the proportions within both are those of the beginning |
//! | `clock = { nodes, offset_ms, drift_ppm }` | clocks are set wrong |
//!
//! NODES is a number (from 0), a range `"3-7"`, a part `"50%-100%"` (of the nodes at the beginning; so a scenario fits
//! any number of nodes), `"all"` (including those that have joined), or several of them with commas.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::protocol::Millis;
use crate::sim::change::Change;
use crate::sim::clock::WallClock;
use crate::sim::id::NodeId;
use crate::sim::miner::HashRate;
use crate::sim::setup::Setup;

/// The most changes of all events together, each to one node or one direction of a link.
const CHANGES_MAX: usize = 1_000_000;
/// The greatest factor of a hash rate.
const TIMES_MAX: f64 = 1_000.0;
/// The greatest offset of a clock, in milliseconds: a year.
const OFFSET_MILLIS_MAX: i64 = 366 * 24 * 3_600_000;
/// The greatest drift of a clock, in milliseconds per 1,000 seconds: half of the time.
const DRIFT_PPM_MAX: i64 = 500_000;

const ONE_THING: &str = "one thing happens at a time: give each event its own time and one of partition, cut, heal, \
                         reset, stall, crash, start, leave, join, hash_rate, clock";

/// An event as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventPart {
    at: Time,
    partition: Option<Vec<NodesPart>>,
    cut: Option<OneWayPart>,
    heal: Option<bool>,
    reset: Option<OneWayPart>,
    stall: Option<StallPart>,
    crash: Option<NodesPart>,
    start: Option<NodesPart>,
    leave: Option<NodesPart>,
    join: Option<JoinPart>,
    hash_rate: Option<HashRatePart>,
    clock: Option<ClockPart>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneWayPart {
    from: NodesPart,
    to: NodesPart,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StallPart {
    from: NodesPart,
    to: NodesPart,
    #[serde(rename = "for")]
    span: Time,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinPart {
    nodes: usize,
    links: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HashRatePart {
    nodes: NodesPart,
    times: Option<f64>,
    share: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockPart {
    nodes: NodesPart,
    #[serde(default)]
    offset_ms: i64,
    #[serde(default)]
    drift_ppm: i64,
}

/// A span of virtual time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Time(pub(super) Millis);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fail = || format!("{text:?} is not a time, write it like \"90s\", \"20m\" or \"1h30m\"");
        let mut millis = 0u64;
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
            let number: u64 = rest[..digits].parse().map_err(|_| fail())?;
            let after = &rest[digits..];
            let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
            let (unit, factor) = units.into_iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(fail)?;
            millis = number.checked_mul(factor).and_then(|more| millis.checked_add(more)).ok_or_else(fail)?;
            rest = &after[unit.len()..];
        }
        if text.is_empty() { Err(fail()) } else { Ok(Self(Millis(millis))) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "nodes are a number, or a text such as \"3-7\", \"50%-100%\" or \"all\"")]
enum NodesText {
    Number(u32),
    Text(String),
}

/// A selection of nodes.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NodesText")]
pub(super) struct NodesPart(Vec<NodesRange>);

#[derive(Debug, PartialEq, Eq)]
enum NodesRange {
    All,
    /// A range of numbers, both ends included.
    Numbers(u32, u32),
    /// A range of percents, the second excluded.
    Percent(u64, u64),
}

impl TryFrom<NodesText> for NodesPart {
    type Error = String;

    fn try_from(text: NodesText) -> Result<Self, String> {
        let text = match text {
            NodesText::Number(number) => return Ok(Self(vec![NodesRange::Numbers(number, number)])),
            NodesText::Text(text) => text,
        };
        let fail = || format!("{text:?} names no nodes, write them like 3, \"3-7\", \"50%-100%\" or \"all\"");
        let part = |word: &str| {
            let (from, to) = word.split_once('-').unwrap_or((word, word));
            match (from.strip_suffix('%'), to.strip_suffix('%')) {
                _ if word == "all" => Some(NodesRange::All),
                (Some(from), Some(to)) => {
                    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
                    (from < to && to <= 100).then_some(NodesRange::Percent(from, to))
                }
                _ => {
                    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
                    (from <= to).then_some(NodesRange::Numbers(from, to))
                }
            }
        };
        text.split(',').map(|word| part(word.trim()).ok_or_else(fail)).collect::<Result<_, _>>().map(Self)
    }
}

/// The numbers of nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Census {
    pub(super) at_first: usize,
    pub(super) now: usize,
}

impl NodesPart {
    /// The numbers of the selected nodes, ascending.
    pub(super) fn resolve(&self, census: Census) -> Result<Vec<NodeId>, String> {
        let share = |percent: u64| (census.at_first as u64 * percent / 100) as u32;
        let mut nodes = Vec::new();
        for part in &self.0 {
            match *part {
                NodesRange::All => nodes.extend(0..census.now as u32),
                NodesRange::Percent(from, to) => nodes.extend(share(from)..share(to)),
                NodesRange::Numbers(_, last) if last as usize >= census.now => {
                    let known = census.now;
                    return Err(format!("node {last} does not exist, there are {known}, numbered from 0"));
                }
                NodesRange::Numbers(first, last) => nodes.extend(first..=last),
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        Ok(nodes.into_iter().map(NodeId).collect())
    }
}

/// The changes of all events, in the order of time.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    pub(super) changes: Vec<(Millis, Change)>,
    /// The events, each with its time and a word.
    pub(super) names: Vec<(Millis, &'static str)>,
    /// The number of events after the end.
    pub(super) late: usize,
}

/// The agenda of these events up to the `end`.
pub(super) fn changes(
    mut events: Vec<Spanned<EventPart>>,
    setup: &Setup,
    end: Millis,
    line_of: impl Fn(Range<usize>) -> usize,
) -> Result<Agenda, String> {
    events.sort_by_key(|event| event.as_ref().at);
    let mut census = Census { at_first: setup.nodes, now: setup.nodes };
    let mut agenda = Agenda::default();
    for event in events {
        let line = line_of(event.span());
        let fail = |problem: String| format!("line {line}: event: {problem}");
        let event = event.into_inner();
        let at = event.at.0;
        let name = event.name().ok_or_else(|| fail(ONE_THING.to_owned()))?;
        let changes = event.changes(&mut census, setup).map_err(fail)?;
        if at > end {
            agenda.late += 1;
            continue;
        }
        agenda.names.push((at, name));
        agenda.changes.extend(changes.into_iter().map(|change| (at, change)));
        if agenda.changes.len() > CHANGES_MAX {
            return Err(fail(format!("more than {CHANGES_MAX} changes in all, name fewer nodes")));
        }
    }
    Ok(agenda)
}

impl EventPart {
    /// The event's word, if it has one effect.
    fn name(&self) -> Option<&'static str> {
        let happenings = [
            ("partition", self.partition.is_some()),
            ("cut", self.cut.is_some()),
            ("heal", self.heal.is_some()),
            ("reset", self.reset.is_some()),
            ("stall", self.stall.is_some()),
            ("crash", self.crash.is_some()),
            ("start", self.start.is_some()),
            ("leave", self.leave.is_some()),
            ("join", self.join.is_some()),
            ("hash rate", self.hash_rate.is_some()),
            ("clock", self.clock.is_some()),
        ];
        let mut named = happenings.into_iter().filter(|(_, happens)| *happens);
        let (name, _) = named.next()?;
        named.next().is_none().then_some(name)
    }

    fn changes(self, census: &mut Census, setup: &Setup) -> Result<Vec<Change>, String> {
        let known = *census;
        let each = |nodes: NodesPart, change: fn(NodeId) -> Change| {
            nodes.resolve(known).map(|nodes| nodes.into_iter().map(change).collect())
        };
        match self {
            Self { partition: Some(groups), .. } => {
                let groups: Result<Vec<_>, _> = groups.iter().map(|group| group.resolve(known)).collect();
                Ok(vec![Change::Partition(groups?)])
            }
            Self { cut: Some(way), .. } => {
                Ok(vec![Change::Cut { from: way.from.resolve(known)?, to: way.to.resolve(known)? }])
            }
            Self { heal: Some(true), .. } => Ok(vec![Change::Heal]),
            Self { heal: Some(false), .. } => Err("heal is true, or it is left out".to_owned()),
            Self { reset: Some(way), .. } => pairs(&way.from, &way.to, known, Change::Reset),
            Self { stall: Some(StallPart { from, to, span }), .. } => {
                pairs(&from, &to, known, |from, to| Change::Stall { from, to, span: span.0 })
            }
            Self { crash: Some(nodes), .. } => each(nodes, Change::Crash),
            Self { start: Some(nodes), .. } => each(nodes, Change::Start),
            Self { leave: Some(nodes), .. } => each(nodes, Change::Leave),
            Self { join: Some(JoinPart { nodes, links }), .. } => {
                census.now = known.now.saturating_add(nodes);
                if census.now > super::NODES_MAX {
                    return Err(format!("with {nodes} more there would be more than {} nodes", super::NODES_MAX));
                }
                Ok((0..nodes).map(|_| Change::Join { links }).collect())
            }
            Self { hash_rate: Some(rate), .. } => rate.changes(known, setup),
            Self { clock: Some(clock), .. } => clock.changes(known),
            _ => unreachable!("one of them is there"),
        }
    }
}

/// Every pair of one of the first and another of the second.
fn pairs(
    one: &NodesPart,
    other: &NodesPart,
    census: Census,
    change: impl Fn(NodeId, NodeId) -> Change,
) -> Result<Vec<Change>, String> {
    let (one, other) = (one.resolve(census)?, other.resolve(census)?);
    if one.len().saturating_mul(other.len()) > CHANGES_MAX {
        return Err(format!("{} times {} nodes are too many pairs, name fewer", one.len(), other.len()));
    }
    let with = |one: &NodeId| other.iter().map(|other| (*one, *other)).collect::<Vec<_>>();
    let pairs = one.iter().flat_map(with).filter(|(one, other)| one != other);
    Ok(pairs.map(|(one, other)| change(one, other)).collect())
}

impl HashRatePart {
    fn changes(self, census: Census, setup: &Setup) -> Result<Vec<Change>, String> {
        let times = match (self.times, self.share) {
            (Some(times), None) => times,
            (None, Some(share)) => return shared(&self.nodes.resolve(census)?, share, setup),
            _ => return Err("hash_rate: say how many times, or which share, one of both".to_owned()),
        };
        if !(0.0..=TIMES_MAX).contains(&times) {
            return Err(format!("hash_rate: {times} times is out of range, choose from 0 to {TIMES_MAX}"));
        }
        let at_first = |node: NodeId| setup.hash_rates.get(node.0 as usize).copied().unwrap_or_default();
        let miners = self.nodes.resolve(census)?.into_iter().filter(|node| at_first(*node) > 0);
        let change = |node| Change::HashRate(node, HashRate::PerHour((at_first(node) as f64 * times).round() as u64));
        Ok(miners.map(change).collect())
    }
}

/// Divides the hash rate of the beginning anew, between these miners and all others.
fn shared(nodes: &[NodeId], share: f64, setup: &Setup) -> Result<Vec<Change>, String> {
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("hash_rate: a share of {share} is out of range, choose from 0 to 1"));
    }
    let all = (0..).map(NodeId).zip(&setup.hash_rates).filter(|(_, rate)| **rate > 0);
    let (named, others): (Vec<_>, Vec<_>) = all.partition(|(node, _)| nodes.contains(node));
    if named.is_empty() || others.is_empty() {
        return Err("hash_rate: a share needs miners among the nodes that it names, and among the others".to_owned());
    }
    let total: u64 = setup.hash_rates.iter().sum();
    let mut changes = Vec::new();
    for (group, share) in [(named, share), (others, 1.0 - share)] {
        let sum: u64 = group.iter().map(|(_, rate)| **rate).sum();
        let factor = share * total as f64 / sum as f64;
        let change =
            |(node, rate): (NodeId, &u64)| Change::HashRate(node, HashRate::PerHour((*rate as f64 * factor) as u64));
        changes.extend(group.into_iter().map(change));
    }
    Ok(changes)
}

impl ClockPart {
    fn changes(self, census: Census) -> Result<Vec<Change>, String> {
        let Self { nodes, offset_ms, drift_ppm } = self;
        if offset_ms.unsigned_abs() > OFFSET_MILLIS_MAX.unsigned_abs() {
            return Err(format!("clock: offset_ms: choose up to {OFFSET_MILLIS_MAX}, either way"));
        }
        if drift_ppm.unsigned_abs() > DRIFT_PPM_MAX.unsigned_abs() {
            return Err(format!("clock: drift_ppm: choose up to {DRIFT_PPM_MAX}, either way"));
        }
        let clock = WallClock { offset_millis: offset_ms, drift_ppm };
        Ok(nodes.resolve(census)?.into_iter().map(|node| Change::Clock(node, clock)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let time = |text: &str| Time::try_from(text.to_owned()).map(|time| time.0.0);
        assert_eq!(
            [time("90s"), time("1h30m"), time("0s"), time("250ms")],
            [Ok(90_000), Ok(5_400_000), Ok(0), Ok(250)]
        );
        for text in ["", "20", "m", "1.5h", "-3s", "20 m", "1d", "99999999999999999999s", "18446744073709551615h", "ü"]
        {
            assert!(time(text).is_err_and(|problem| problem.contains("1h30m")), "{text}");
        }
    }

    #[test]
    fn nodes() {
        let census = Census { at_first: 10, now: 12 };
        let nodes = |text: &str| {
            let nodes = NodesPart::try_from(NodesText::Text(text.to_owned()))?.resolve(census)?;
            Ok::<_, String>(nodes.into_iter().map(|node| node.0).collect::<Vec<_>>())
        };
        let cases: [(&str, &[u32]); 7] = [
            ("3", &[3]),
            ("3-5", &[3, 4, 5]),
            ("5, 0-1,1", &[0, 1, 5]),
            ("0%-30%", &[0, 1, 2]),
            ("85%-100%", &[8, 9]),
            ("10-11", &[10, 11]),
            ("all", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ];
        for (text, found) in cases {
            assert_eq!(nodes(text).as_deref(), Ok(found), "{text}");
        }
        for text in ["", "x", "5-3", "50%", "60%-50%", "0%-101%", "1-", "50%-3", "every"] {
            assert!(nodes(text).is_err_and(|problem| problem.contains("\"all\"")), "{text}");
        }
        assert!(nodes("12").is_err_and(|problem| problem.contains("there are 12")));
    }

    #[test]
    fn groups_of_percents_leave_nobody_out() {
        for nodes in 1..50 {
            let census = Census { at_first: nodes, now: nodes };
            let part = |from, to| NodesPart(vec![NodesRange::Percent(from, to)]).resolve(census).expect("they exist");
            let all = [part(0, 33), part(33, 67), part(67, 100)].concat();
            assert_eq!(all.len(), nodes);
            assert!(all.is_sorted());
        }
    }
}
