//! Scenario files: the plan of a world with its faults, in TOML, with one line for each error.
//!
//! Only `name`, `description`, `nodes` and `hours` are required. `--show` prints a file to start from.
//!
//! | field | meaning |
//! | --- | --- |
//! | `name`, `description` | a word, and a paragraph for people |
//! | `nodes`, `hours`, `seed` | the number of nodes, the virtual time, and the source of chance (1) |
//! | `transactions_per_second` | of all nodes together (0) |
//! | `topology` | `"full"`, `{ random = 8 }` links a node (all of them if there are fewer others), `{ links = [[0, 1], …] }` |
//! | `[network]` | `preset` (`lan`), and any other field of a network file except its name and genesis time |
//! | `[links]` | `latency_ms` (1), `jitter_ms` (19), `bytes_per_second` (no limit), each a spread; `regions = { file }`: places and the latencies between them, on top of the latency (then 0): see [`regions`] |
//! | `[mining]` | `shares = [3, 2, 1]` of the first nodes, or `miners` with `rule` `"equal"` or `"harmonic"` (1, 1/2, 1/3, …); `hash_rate` of all together, in hashes per virtual second (by default, blocks are a bit harder than the easiest) |
//! | `[clocks]` | `offset_ms_max`, `drift_ppm_max`: the greatest errors of clocks, in either direction (100, 20) |
//! | `events` | faults and changes: see [`events`] |
//! | `adversaries` | nodes that do not keep to the rules of conduct: see [`adversaries`] |
//!
//! A spread is a number, a list of numbers (with equal chances), `{ from, to }`, `{ median, deviation }` (log-normal,
//! the deviation in doublings), `{ quantiles = [[0, 5], [0.5, 40], [1, 900]] }` (measurements, joined by lines) or `{
//! file }` (a list or quantiles in a file beside the scenario: see [`spread`]).
//!
//! Always true: a [`Scenario`] can be built. Deliberately absent: options of the engine, which is the same in all
//! scenarios.

mod adversaries;
mod events;
mod regions;
mod spread;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::adversaries::AdversaryPart;
use self::events::EventPart;
use self::spread::{FilePart, SpreadPart};
use super::{SimulateError, shipped};
use crate::files::read_text;
use crate::protocol::{Amount, Millis, Network, Parameters, Target};
use crate::sim::change::Change;
use crate::sim::clock::WallClock;
use crate::sim::random::Spread;
use crate::sim::setup::{Links, Setup, Topology};

/// The longest scenario, in bytes.
const SCENARIO_BYTES_MAX: u64 = 1 << 20;
/// The most nodes: more do not fit into a machine's memory.
const NODES_MAX: usize = 100_000;
/// The longest run, a year of virtual time, in hours.
const HOURS_MAX: f64 = 8_784.0;
/// The most links of a world.
const LINKS_MAX: usize = 2_000_000;
/// The most real hashes for a block: nonces are really searched.
const HASHES_PER_BLOCK_MAX: u64 = 1 << 24;
/// The greatest hash rate, in hashes per second: the hashes of an hour fit 64 bits.
const HASH_RATE_MAX: f64 = 1e12;
/// The most transactions per second.
const TRANSACTIONS_PER_SECOND_MAX: f64 = 10_000.0;
/// The ratio of a settled block's difficulty to the easiest, by default.
const HARDER: u64 = 2;
/// An hour in seconds, and in milliseconds.
const HOUR_SECONDS: f64 = 3_600.0;
const HOUR_MILLIS: f64 = 3_600_000.0;

/// A scenario that can be run.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) name: String,
    /// One paragraph, without line breaks.
    pub(super) description: String,
    /// The virtual time that it runs.
    pub(super) span: Millis,
    pub(super) setup: Setup,
    /// The text of the file.
    pub(super) toml: String,
    /// The events, each with its time and a word.
    pub(super) events: Vec<(Millis, &'static str)>,
    /// The number of events after its end.
    pub(super) late_events: usize,
}

/// The settings of the command line, which outrank the scenario's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Overrides {
    pub(super) nodes: Option<usize>,
    pub(super) hours: Option<f64>,
    pub(super) seed: Option<u64>,
    pub(super) threads: Option<usize>,
}

impl Scenario {
    /// Loads a shipped scenario by its name, or one from a file.
    pub(super) fn load(place: &str, overrides: Overrides) -> Result<Self, SimulateError> {
        let fail = |problem: String| SimulateError::Scenario { place: place.to_owned(), problem };
        if let Some(text) = shipped::text_of(place) {
            return parse(text, Path::new("."), overrides).map_err(fail);
        }
        let folder = Path::new(place).parent().map_or_else(PathBuf::new, Path::to_owned);
        read(place).and_then(|text| parse(&text, &folder, overrides)).map_err(fail)
    }
}

impl Scenario {
    /// The greatest lead of a clock over the true time at any moment of a run.
    pub(super) fn clocks_ahead(&self) -> Millis {
        let length = self.span + super::SETTLE_SPAN_MAX;
        let gained = |ppm: u64| (u128::from(ppm) * u128::from(length.0) / 1_000_000) as u64;
        let at_first = self.setup.clock_offset_millis_max.saturating_add(gained(self.setup.clock_drift_ppm_max));
        let set = self.setup.changes.iter().map(|(_, change)| match change {
            Change::Clock(_, WallClock { offset_millis, drift_ppm }) => {
                let ahead = |number: i64| u64::try_from(number).unwrap_or_default();
                ahead(*offset_millis).saturating_add(gained(ahead(*drift_ppm)))
            }
            _ => 0,
        });
        Millis(set.max().unwrap_or_default().max(at_first))
    }
}

fn read(place: &str) -> Result<String, String> {
    read_text(Path::new(place), SCENARIO_BYTES_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no such file; give a TOML file or one of {}", shipped::NAMES.join(", "))
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge => {
            format!("is not a file of at most {SCENARIO_BYTES_MAX} bytes, so it is not a scenario")
        }
        _ => format!("cannot be read: {error}"),
    })
}

/// Parses a scenario. `folder` is the place of its tables.
pub(super) fn parse(text: &str, folder: &Path, overrides: Overrides) -> Result<Scenario, String> {
    let file: ScenarioFile = toml::from_str(text).map_err(|error| one_line(text, &error))?;
    let nodes = overrides.nodes.unwrap_or(file.nodes);
    if nodes == 0 || nodes > NODES_MAX {
        return Err(format!("nodes: {nodes} make no world, choose from 1 to {NODES_MAX}"));
    }
    let span = span_of(overrides.hours.unwrap_or(file.hours))?;
    let mut setup = Setup::lan(nodes);
    setup.seed = overrides.seed.unwrap_or(file.seed);
    setup.threads = overrides.threads.unwrap_or(1);
    setup.network = file.network.network()?;
    setup.topology = file.topology.topology(nodes)?;
    setup.links = file.links.links(folder, nodes)?;
    setup.hash_rates = file.mining.hash_rates(nodes, &setup.network)?;
    setup.transactions_per_hour = per_hour(file.transactions_per_second, TRANSACTIONS_PER_SECOND_MAX)
        .ok_or_else(|| format!("transactions_per_second: choose from 0 to {TRANSACTIONS_PER_SECOND_MAX}"))?;
    setup.clock_offset_millis_max = file.clocks.offset_ms_max;
    setup.clock_drift_ppm_max = file.clocks.drift_ppm_max;
    let line_of = |span: std::ops::Range<usize>| line_number(text, span.start);
    let events::Agenda { changes, names: events, late: late_events } =
        events::changes(file.events, &setup, span, line_of)?;
    let (mut all, too_late): (Vec<_>, Vec<_>) =
        adversaries::changes(file.adversaries, nodes, line_of)?.into_iter().partition(|(at, _)| *at <= span);
    all.extend(changes);
    setup.changes = all;
    let late_events = late_events + too_late.len();
    setup.changes.sort_by_key(|(at, _)| *at);
    setup.check().map_err(|error| error.to_string())?;
    let description = file.description.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Scenario { name: file.name, description, span, setup, toml: text.to_owned(), events, late_events })
}

fn span_of(hours: f64) -> Result<Millis, String> {
    let millis = (hours * HOUR_MILLIS).round();
    if hours <= HOURS_MAX && millis >= 1_000.0 {
        return Ok(Millis(millis as u64));
    }
    Err(format!("hours: {hours} is out of range, choose from a second (0.0003) to {HOURS_MAX}"))
}

/// Converts a rate; `None` if it is not a number from 0 to `most`.
fn per_hour(per_second: f64, most: f64) -> Option<u64> {
    (0.0..=most).contains(&per_second).then(|| (per_second * HOUR_SECONDS).round() as u64)
}

/// Formats an error in one line: the parser's own errors are drawn over several, and only the drawing shows the field's
/// name.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().next().unwrap_or("not TOML");
    let Some(span) = error.span().filter(|span| span.end <= text.len()) else { return message.to_owned() };
    let number = line_number(text, span.start);
    let line = text.lines().nth(number - 1).unwrap_or_default();
    match line.split_once('=').map(|(field, _)| field.trim()) {
        Some(field) if !field.contains(['{', '[', '#']) && !message.contains(&format!("`{field}`")) => {
            format!("line {number}: {field}: {message}")
        }
        _ => format!("line {number}: {message}"),
    }
}

/// The number of a line, from 1.
fn line_number(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    name: String,
    description: String,
    nodes: usize,
    hours: f64,
    #[serde(default = "one")]
    seed: u64,
    #[serde(default)]
    transactions_per_second: f64,
    #[serde(default)]
    topology: TopologyPart,
    #[serde(default)]
    network: NetworkPart,
    #[serde(default)]
    links: LinksPart,
    #[serde(default)]
    mining: MiningPart,
    #[serde(default)]
    clocks: ClocksPart,
    #[serde(default)]
    events: Vec<toml::Spanned<EventPart>>,
    #[serde(default)]
    adversaries: Vec<toml::Spanned<AdversaryPart>>,
}

fn one() -> u64 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum TopologyPart {
    Full,
    Random(usize),
    Links(Vec<(u32, u32)>),
}

impl Default for TopologyPart {
    fn default() -> Self {
        Self::Random(8)
    }
}

impl TopologyPart {
    fn topology(self, nodes: usize) -> Result<Topology, String> {
        let (topology, links) = match self {
            Self::Random(degree) if degree + 1 < nodes => (Topology::Random { degree }, nodes.saturating_mul(degree)),
            Self::Random(_) | Self::Full => (Topology::Full, nodes * (nodes - 1) / 2),
            Self::Links(links) => {
                let count = links.len();
                (Topology::Given(links), count)
            }
        };
        if links > LINKS_MAX {
            return Err(format!("topology: {links} links are too many, choose up to {LINKS_MAX}, or fewer nodes"));
        }
        Ok(topology)
    }
}

/// The fields of a network file; missing ones are as in the preset.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkPart {
    preset: Option<String>,
    target_spacing: Option<Millis>,
    half_life: Option<Millis>,
    grace: Option<Millis>,
    easiest_target: Option<Target>,
    future_time_max: Option<Millis>,
    subsidy: Option<Amount>,
    fee_min: Option<Amount>,
    block_bytes_max: Option<u32>,
}

impl NetworkPart {
    fn network(self) -> Result<Network, String> {
        let preset = match self.preset.as_deref() {
            // A target that needs few real hashes.
            None | Some("lan") => Setup::lan(1).network.parameters().clone(),
            Some("class") => Parameters { name: "class-simulated".to_owned(), ..Parameters::class() },
            Some("dev") => Parameters { name: "dev-simulated".to_owned(), ..Parameters::dev() },
            Some(other) => return Err(format!("network: there is no preset {other}, choose lan, class or dev")),
        };
        let network = Network::new(Parameters {
            target_spacing: self.target_spacing.unwrap_or(preset.target_spacing),
            half_life: self.half_life.unwrap_or(preset.half_life),
            grace: self.grace.unwrap_or(preset.grace),
            easiest_target: self.easiest_target.unwrap_or(preset.easiest_target),
            future_time_max: self.future_time_max.unwrap_or(preset.future_time_max),
            subsidy: self.subsidy.unwrap_or(preset.subsidy),
            fee_min: self.fee_min.unwrap_or(preset.fee_min),
            block_bytes_max: self.block_bytes_max.unwrap_or(preset.block_bytes_max),
            ..preset
        });
        let network = network.map_err(|error| format!("network: {error}"))?;
        if network.parameters().easiest_target.work().0 > u128::from(HASHES_PER_BLOCK_MAX) {
            return Err(format!(
                "network: easiest_target: needs more than {HASHES_PER_BLOCK_MAX} hashes, and each is really made: choose an \
                 easier one, such as 0x1f0fffff"
            ));
        }
        Ok(network)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinksPart {
    latency_ms: Option<SpreadPart>,
    jitter_ms: Option<SpreadPart>,
    bytes_per_second: Option<SpreadPart>,
    regions: Option<FilePart>,
}

impl LinksPart {
    fn links(self, folder: &Path, nodes: usize) -> Result<Links, String> {
        let regions = |part: FilePart| {
            let file = folder.join(part.file);
            let regions = spread::read(&file).and_then(|text| regions::parse(&text, nodes));
            regions.map_err(|problem| format!("links: regions: {}: {problem}", file.display()))
        };
        let regions = self.regions.map(regions).transpose()?;
        let mut standard = Links::default();
        if regions.is_some() {
            standard.latency_millis = Spread::Constant(0);
        }
        let read = |part: Option<SpreadPart>, field| part.map(|part| part.spread(field, folder)).transpose();
        Ok(Links {
            latency_millis: read(self.latency_ms, "latency_ms")?.unwrap_or(standard.latency_millis),
            jitter_millis: read(self.jitter_ms, "jitter_ms")?.unwrap_or(standard.jitter_millis),
            bytes_per_second: read(self.bytes_per_second, "bytes_per_second")?,
            regions,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rule {
    Equal,
    Harmonic,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct MiningPart {
    shares: Option<Vec<f64>>,
    miners: Option<usize>,
    rule: Option<Rule>,
    hash_rate: Option<f64>,
}

/// The number of miners by default.
const MINERS: usize = 32;

impl MiningPart {
    /// Hash rates of the first nodes, in hashes per virtual hour.
    fn hash_rates(self, nodes: usize, network: &Network) -> Result<Vec<u64>, String> {
        let spacing = network.parameters().target_spacing;
        let easiest = network.parameters().easiest_target;
        let spacing_seconds = spacing.0 as f64 / 1000.0;
        let can_retarget = network.parameters().half_life.0 > 0;
        let settled = easiest.work().0 as f64 * if can_retarget { HARDER as f64 } else { 1.0 };
        let total = self.hash_rate.unwrap_or(settled / spacing_seconds);
        if !(0.0..=HASH_RATE_MAX).contains(&total) || total * spacing_seconds > HASHES_PER_BLOCK_MAX as f64 {
            let most = HASH_RATE_MAX.min(HASHES_PER_BLOCK_MAX as f64 / spacing_seconds);
            return Err(format!("mining: hash_rate: choose from 0 to {most:.0} hashes by second: each is really made"));
        }
        let shares = match (self.shares, self.miners, self.rule) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                return Err("mining: say who mines by shares, or by miners and rule, not by both".to_owned());
            }
            (Some(shares), None, None) => shares,
            (None, miners, rule) => {
                let ranks = 1..=miners.unwrap_or(MINERS).min(nodes);
                match rule.unwrap_or(Rule::Harmonic) {
                    Rule::Equal => ranks.map(|_| 1.0).collect(),
                    Rule::Harmonic => ranks.map(|rank| 1.0 / rank as f64).collect(),
                }
            }
        };
        let all: f64 = shares.iter().sum();
        if shares.iter().any(|share| !(0.0..=f64::MAX).contains(share)) || !all.is_finite() {
            return Err("mining: shares: each must be a number from 0 on".to_owned());
        }
        let part = |share: f64| if all > 0.0 { (total * HOUR_SECONDS * (share / all)).round() as u64 } else { 0 };
        Ok(shares.into_iter().map(part).collect())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ClocksPart {
    offset_ms_max: u64,
    drift_ppm_max: u64,
}

impl Default for ClocksPart {
    fn default() -> Self {
        Self { offset_ms_max: 100, drift_ppm_max: 20 }
    }
}

#[cfg(test)]
mod tests;
