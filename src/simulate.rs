//! `quipu simulate`: a scenario on a virtual network, in virtual time, on this machine alone.
//!
//! The world is [`sim`](crate::sim)'s, with the same engine as in a real node. This part reads scenario files, shows
//! the progress of a run, and reports its result: a summary for people, a JSON object for scripts, an HTML report with
//! charts for lessons. At any moment a block may be under way, so after its hours a run goes on until all nodes agree,
//! for at most ten minutes (`SETTLE_SPAN_MAX`). Meanwhile miners are slowed down (`SETTLE_SLOWDOWN`): not stopped,
//! since a tie only ends with the next block.
//!
//! A [judge](crate::sim::judge) checks all honest nodes now and then (`CHECK_SPAN`), and at the end: no chain breaks a
//! rule, by a second implementation of the rules; accounts follow from their chains, and coins are subsidies;
//! acknowledged transactions are there; containers stay in their bounds; no honest node is blamed. A violation ends the
//! run.
//!
//! | exit status | |
//! | --- | --- |
//! | 0 | it ran, and all running nodes agree at the end |
//! | 1 | they do not agree, or a check is broken: the finding names the seed |
//! | 2 | it did not run: the arguments, the scenario or the report's file can't be used; or the result can't be written |
//! | 130 | Ctrl-C ended it early, and the results so far were reported |
//!
//! # JSON
//!
//! With `--json`, stdout has one line, the object
//! `{scenario, interrupted, seed, nodes, virtual_seconds, trace_hash, agreed, height, blocks, stale_rate, propagation_ms:
//! {p50, p95, p99}, reorg_depths, messages, bytes, messages_per_node_second, bytes_per_node_second, events,
//! transactions_sent, transactions_mined, miners: [{node, hash_rate, chain, blocks}], selfish: [{node, from_seconds,
//! to_seconds, hash_rate, chain, chain_error, gamma, formula}], checks: {blocks, broken}, wall_seconds}`:
//!
//! - everything but `wall_seconds` depends on the scenario and the seed alone, unless `interrupted`; `trace_hash` is a
//!   digest of everything that happened to every node;
//! - `nodes` also counts nodes that joined, left or do not run;
//! - `stale_rate` and the shares of `miners` are parts of 1; `hash_rate` is the one at the end;
//! - `propagation_ms` is the delay from a block's discovery to its acceptance by another node;
//! - `reorg_depths` maps a depth in blocks to the number of reorganisations of that depth, over all nodes;
//! - `messages`, `bytes` and `events` are of all nodes together;
//! - `selfish` has an entry for each selfish miner and each span of constant hash rates: its part of the hash rate and
//!   of the chain, with the standard error (null: too few blocks), and the result of the formula for the `gamma` of
//!   that span (null if there are several selfish miners);
//! - `checks` has the number of different blocks judged; `broken` is the violation, in words, or null.
//!
//! `--list --json` gives a list of `{name, description, nodes, hours}`. Errors have the form of the other commands:
//! `{"ok":false,"command":"simulate","error":{code, message}}` with the codes `bad_scenario`, `file_exists` and
//! `write_failed`.
//!
//! # What is deliberately not here
//!
//! Anything that decides the course of a world.

mod charts;
mod facts;
mod report;
mod scenario;
mod selfish;
mod shipped;
mod summary;
pub mod svg;
mod tree;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::facts::{CheckResult, RunFacts};
use self::scenario::{Overrides, Scenario};
use crate::output;
use crate::protocol::Millis;
use crate::sim::change::Change;
use crate::sim::id::NodeId;
use crate::sim::judge::{Finding, Judge};
use crate::sim::miner::HashRate;
use crate::sim::setup::Setup;
use crate::sim::world::World;
use crate::text::{counted, grouped};

/// The scenario that runs if none is named.
const DEFAULT_SCENARIO: &str = "lan";
/// The virtual time beyond its hours after which a run ends without agreement.
const SETTLE_SPAN_MAX: Millis = Millis::from_secs(600);
/// The factor by which blocks come more slowly meanwhile: even over slow links they spread before the next one.
const SETTLE_SLOWDOWN: u64 = 10;
/// Virtual time between two checks for an interruption.
const STEP: Millis = Millis::from_secs(1);
/// Virtual time before the first look of the judge. Later ones follow when the run has become longer by a part, since
/// the judge looks at whole chains.
const CHECK_SPAN: Millis = Millis::from_secs(300);
const CHECK_PART: u64 = 8;
/// Interval between two updates of the progress line.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// With fewer nodes, threads wait for each other longer than they work.
const NODES_ON_THREADS_MIN: usize = 200;
/// More threads than this gain nothing by default.
const THREADS_DEFAULT_MAX: usize = 8;

const AGREED: u8 = 0;
const NOT_AGREED: u8 = 1;
/// The exit status of an interrupted process.
const INTERRUPTED: u8 = 130;

/// The arguments of `quipu simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct SimulateArguments {
    /// A shipped scenario's name, or a TOML file [default: lan]
    #[arg(value_name = "SCENARIO.toml|NAME", conflicts_with_all = ["list", "show"])]
    scenario: Option<String>,

    /// Number of nodes, instead of the scenario's
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,

    /// Hours of virtual time, instead of the scenario's
    #[arg(long, value_name = "H")]
    hours: Option<f64>,

    /// The source of all chance: the same seed gives the same run, on every machine
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    /// Threads to run on; they change the speed, and nothing else [default: one, or for many nodes all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// Write a page with charts and the block tree; it replaces an earlier report, and no other file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,

    /// List the shipped scenarios
    #[arg(long, conflicts_with_all = ["show", "nodes", "hours", "seed", "threads", "report"])]
    list: bool,

    /// Print a shipped scenario's TOML, to start one of your own from
    #[arg(long, value_name = "NAME", conflicts_with_all = ["nodes", "hours", "seed", "threads", "report"])]
    show: Option<String>,
}

const AFTER_HELP: &str = "\
Examples:
  quipu simulate                                    the network as it is when nothing is wrong
  quipu simulate partition --report partition.html  two halves that cannot reach each other, as a page with charts
  quipu simulate internet --nodes 200 --hours 0.2   a smaller one
  quipu simulate --show slow > mine.toml            a scenario to change; run it as `quipu simulate mine.toml`

The exit status is 0 if all honest nodes agree at the end and all checks hold, 1 if not, 2 if it could not run, 130 after \
Ctrl-C.";

/// The reason why a simulation did not run, or could not be reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// The scenario cannot be used.
    #[error("scenario {place}: {problem}")]
    Scenario { place: String, problem: String },
    /// The report's place is taken by another file.
    #[error("{} is there already and is not a report of a simulation: choose another name", file.display())]
    FileExists { file: PathBuf },
    /// The report cannot be written.
    #[error("cannot write {}: {error}; choose another place", file.display())]
    WriteFailed { file: PathBuf, error: io::Error },
    /// The result cannot be written.
    #[error("{}", output::unwritten(.0))]
    Unwritten(io::Error),
}

impl SimulateError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Scenario { .. } => "bad_scenario",
            Self::FileExists { .. } => "file_exists",
            Self::WriteFailed { .. } | Self::Unwritten(_) => "write_failed",
        }
    }
}

/// Carries out the arguments, reports on stdout (and stderr, while it runs), and returns the exit status. `interrupted`
/// is called at every virtual second.
pub fn run(arguments: &SimulateArguments, json: bool, interrupted: impl Fn() -> bool) -> Result<u8, SimulateError> {
    if arguments.list {
        say(&if json { summary::list_json()? } else { summary::list()? })?;
        return Ok(AGREED);
    }
    if let Some(name) = &arguments.show {
        let problem = || format!("is not shipped, choose one of {}", shipped::NAMES.join(", "));
        let text = shipped::text_of(name)
            .ok_or_else(|| SimulateError::Scenario { place: name.clone(), problem: problem() })?;
        say(text)?;
        return Ok(AGREED);
    }
    let place = arguments.scenario.as_deref().unwrap_or(DEFAULT_SCENARIO);
    let SimulateArguments { nodes, hours, seed, threads, .. } = *arguments;
    let mut scenario = Scenario::load(place, Overrides { nodes, hours, seed, threads })?;
    if threads.is_none() && scenario.setup.nodes >= NODES_ON_THREADS_MIN {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        scenario.setup.threads = cores.min(THREADS_DEFAULT_MAX);
    }
    if let Some(file) = &arguments.report {
        report::refuse_to_replace(file)?;
    }
    if scenario.late_events > 0 {
        let events = counted(scenario.late_events as u64, "event");
        output::complain(format_args!("{events} would come after the end and will not happen: choose more --hours"));
    }
    let facts = simulate(&scenario, &interrupted)
        .map_err(|problem| SimulateError::Scenario { place: place.to_owned(), problem })?;
    let said = say(&if json { summary::json(&scenario, &facts) } else { summary::text(&scenario, &facts) });
    if let Some(file) = &arguments.report {
        report::write(file, &scenario, &facts)?;
        output::complain(format_args!("wrote the report {}", file.display()));
    }
    // The report is worth having without the summary.
    said?;
    if let Some(finding) = &facts.checks.broken {
        output::complain(format_args!("a check is broken, which is a bug in this program: {finding}"));
    }
    Ok(match facts.summary.agreed {
        _ if facts.checks.broken.is_some() => NOT_AGREED,
        _ if facts.interrupted => INTERRUPTED,
        true => AGREED,
        false => NOT_AGREED,
    })
}

/// Runs a scenario to its end.
fn simulate(scenario: &Scenario, interrupted: &impl Fn() -> bool) -> Result<RunFacts, String> {
    let began = Instant::now();
    let mut world = scenario.setup.clone().build().map_err(|error| error.to_string())?;
    let mut progress = ProgressLine::new(scenario);
    let mut watch = JudgeWatch::new(scenario, &world);
    let mut stopped = false;
    while world.now() < scenario.span && !stopped && watch.broken.is_none() {
        let rest = scenario.span.saturating_sub(world.now());
        world.run(rest.min(STEP));
        watch.look_if_due(&mut world);
        progress.show(&world);
        stopped = interrupted();
    }
    stopped |= watch.broken.is_some();
    if !stopped && !world.agree() {
        for (node, rate) in hash_rates(scenario) {
            world.set_hash_rate(node, HashRate::PerHour(rate / SETTLE_SLOWDOWN));
        }
    }
    let last = scenario.span + SETTLE_SPAN_MAX;
    while !stopped && !world.agree() && world.now() < last {
        world.run(STEP);
        progress.show(&world);
        stopped = interrupted();
    }
    watch.look(&mut world);
    progress.clear();
    let checks = CheckResult { blocks: watch.judge.blocks(), broken: watch.broken };
    Ok(RunFacts::of(scenario, &mut world, checks, began.elapsed(), stopped))
}

/// The judge, and the time of its next look.
struct JudgeWatch {
    judge: Judge,
    next: Millis,
    broken: Option<Finding>,
}

impl JudgeWatch {
    fn new(scenario: &Scenario, world: &World) -> Self {
        Self { judge: Judge::new(world, scenario.clocks_ahead()), next: CHECK_SPAN, broken: None }
    }

    fn look_if_due(&mut self, world: &mut World) {
        if world.now() >= self.next {
            self.look(world);
            self.next = world.now() + CHECK_SPAN.max(Millis(world.now().0 / CHECK_PART));
        }
    }

    fn look(&mut self, world: &mut World) {
        if self.broken.is_none() {
            self.broken = self.judge.check(world).and_then(|()| self.judge.check_memory(world)).err();
        }
    }
}

/// The hash rates of all miners at the end of a scenario's hours.
fn hash_rates(scenario: &Scenario) -> BTreeMap<NodeId, u64> {
    let Setup { hash_rates, changes, .. } = &scenario.setup;
    let mut rates: BTreeMap<NodeId, u64> = (0..).map(NodeId).zip(hash_rates.iter().copied()).collect();
    for (_, change) in changes {
        if let Change::HashRate(node, HashRate::PerHour(rate)) = change {
            rates.insert(*node, *rate);
        }
    }
    rates
}

/// The progress line on stderr, if that is a terminal.
struct ProgressLine<'a> {
    scenario: &'a Scenario,
    is_shown: bool,
    began: Instant,
    last: Instant,
}

impl<'a> ProgressLine<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let now = Instant::now();
        Self { scenario, is_shown: io::stderr().is_terminal(), began: now, last: now }
    }

    fn show(&mut self, world: &World) {
        if !self.is_shown || self.last.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.last = Instant::now();
        let height = world.nodes().map(|node| world.tip(node).height.0).max().unwrap_or_default();
        let speed = world.now().0 / (self.began.elapsed().as_millis() as u64).max(1);
        let (now, end) = (summary::clock(world.now().0), summary::clock(self.scenario.span.0));
        let name = &self.scenario.name;
        let (height, speed) = (grouped(height), grouped(speed));
        output::show(format_args!("\r{name}: {now} of {end}, height {height}, {speed} times real time\x1b[K"));
    }

    fn clear(&self) {
        if self.is_shown {
            output::show("\r\x1b[K");
        }
    }
}

fn say(text: &str) -> Result<(), SimulateError> {
    output::unless_closed(output::write(text)).map_err(SimulateError::Unwritten)
}

#[cfg(test)]
mod tests;
