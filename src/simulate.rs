//! `quipu simulate`: a scenario on a virtual network, in virtual time, on this machine alone.
//!
//! The world is [`sim`](crate::sim)'s, with the same engine as in a real node. This part reads scenario files, shows
//! how far a run is, and tells what came of it: a summary for people, a JSON object for scripts, an HTML report with charts
//! for lessons. At any moment a block may be on its way, so after its hours a run goes on until all nodes agree, for at
//! most ten minutes (`SETTLE_TIME_MAX`). Meanwhile miners are slowed down (`SETTLE_SLOWDOWN`): not stopped, since a tie
//! only ends with the next block.
//!
//! A [judge](crate::sim::judge) looks at all honest nodes now and then (`CHECK_TIME`), and at the end: no chain breaks a rule,
//! by a second implementation of them; accounts are what their chains make of them, and coins are subsidies; what was
//! acknowledged is there; containers stay in their bounds; nobody honest is blamed. What does not hold ends the run.
//!
//! | exit status | |
//! | --- | --- |
//! | 0 | it ran, and all running nodes agree at the end |
//! | 1 | they do not, or something does not hold that must: it is told with the seed |
//! | 2 | it did not run: the arguments, the scenario or the report's file can't be used |
//! | 130 | Ctrl-C ended it early, and what had happened so far was told |
//!
//! # JSON
//!
//! With `--json`, stdout has one line, the object
//! `{scenario, interrupted, seed, nodes, virtual_seconds, trace_hash, agreed, height, blocks, stale_rate, propagation_ms:
//! {p50, p95, p99}, reorg_depths, messages, bytes, messages_per_node_second, bytes_per_node_second, events,
//! transactions_sent, transactions_mined, miners: [{node, hash_rate, chain, blocks}], selfish: [{node, from_seconds,
//! to_seconds, hash_rate, chain, chain_error, gamma, formula}], checks: {blocks, broken}, wall_seconds}`:
//!
//! - all but `wall_seconds` depends on the scenario and the seed alone, unless `interrupted`; `trace_hash` is a digest of
//!   everything that happened to every node;
//! - `nodes` counts those too that joined, left or do not run;
//! - `stale_rate` and the shares of `miners` are parts of 1; `hash_rate` is the one at the end;
//! - `propagation_ms` is from a block's being found to its being accepted by another node;
//! - `reorg_depths` maps a number of blocks to how often a node took so many off its chain;
//! - `messages`, `bytes` and `events` are of all nodes together;
//! - `selfish` has a line for each selfish miner and each span in which hash rates stay: its part of them and of the
//!   chain, with its standard error (null: too few blocks), and what the formula gives for the `gamma` of that span (null if
//!   there are several selfish miners);
//! - `checks` says how many different blocks were judged; `broken` is what does not hold, in words, or null.
//!
//! `--list --json` gives a list of `{name, description, nodes, hours}`. Errors are as of the other commands:
//! `{"ok":false,"command":"simulate","error":{code, message}}` with the codes `bad_scenario`, `file_exists` and
//! `write_failed`.
//!
//! # What is deliberately not here
//!
//! Anything that decides what happens in a world, and anything of [`node`](crate::node) but texts and files.

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
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::facts::{Checks, Facts};
use self::scenario::{Overrides, Scenario};
use crate::protocol::Millis;
use crate::sim::change::Change;
use crate::sim::id::NodeId;
use crate::sim::judge::{Finding, Judge};
use crate::sim::miner::HashRate;
use crate::sim::setup::Setup;
use crate::sim::world::World;
use crate::text::{counted, grouped};

/// What runs if nothing is named.
const DEFAULT_SCENARIO: &str = "lan";
/// A run ends after so much virtual time without agreement, beyond its hours.
const SETTLE_TIME_MAX: Millis = Millis::from_secs(600);
/// How many times slower blocks are found meanwhile: even over slow links they get around before the next one.
const SETTLE_SLOWDOWN: u64 = 10;
/// How much virtual time passes between two looks at the signals.
const STEP: Millis = Millis::from_secs(1);
/// The judge looks for the first time after so much virtual time, and then whenever the run has become longer by a part,
/// since it looks at whole chains.
const CHECK_TIME: Millis = Millis::from_secs(300);
const CHECK_PART: u64 = 8;
/// How often the progress line changes.
const PROGRESS_TIME: Duration = Duration::from_millis(200);
/// With fewer nodes, threads wait for each other longer than they work.
const NODES_ON_THREADS_MIN: usize = 200;
/// More threads than this gain nothing by default.
const THREADS_DEFAULT_MAX: usize = 8;

const AGREED: u8 = 0;
const NOT_AGREED: u8 = 1;
/// What the system says of a process that was interrupted.
const INTERRUPTED: u8 = 130;

/// The arguments of `quipu simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// A shipped scenario's name, or a TOML file [default: lan]
    #[arg(value_name = "SCENARIO.toml|NAME", conflicts_with_all = ["list", "show"])]
    scenario: Option<String>,

    /// How many nodes, instead of what the scenario says
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,

    /// How long, in hours of virtual time, instead of what the scenario says
    #[arg(long, value_name = "H")]
    hours: Option<f64>,

    /// The source of all chance: the same seed gives the same run, on every machine
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    /// Threads to run on; they change how long it takes, and nothing else [default: one, or for many nodes all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// Write a page with charts and the block tree; an earlier report there is replaced, nothing else is
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,

    /// Say which scenarios are shipped
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

/// Why nothing was simulated, or not told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// The scenario can't be used.
    #[error("scenario {place}: {problem}")]
    Scenario {
        /// Its name or file.
        place: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// Something else is where the report should go.
    #[error("{} is there already and is not a report of a simulation: choose another name", file.display())]
    FileExists {
        /// Where.
        file: PathBuf,
    },
    /// The report can't be written.
    #[error("cannot write {}: {error}; choose another place", file.display())]
    WriteFailed {
        /// Where.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl SimulateError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Scenario { .. } => "bad_scenario",
            Self::FileExists { .. } => "file_exists",
            Self::WriteFailed { .. } => "write_failed",
        }
    }
}

/// Does what the arguments say, tells about it on stdout (and stderr, while it runs), and returns the exit status.
/// `interrupted` is asked at every virtual second.
pub fn run(arguments: &Arguments, json: bool, interrupted: impl Fn() -> bool) -> Result<u8, SimulateError> {
    if arguments.list {
        say(&if json { summary::list_json()? } else { summary::list()? });
        return Ok(AGREED);
    }
    if let Some(name) = &arguments.show {
        let problem = || format!("is not shipped, choose one of {}", shipped::NAMES.join(", "));
        let text = shipped::text_of(name)
            .ok_or_else(|| SimulateError::Scenario { place: name.clone(), problem: problem() })?;
        say(text);
        return Ok(AGREED);
    }
    let place = arguments.scenario.as_deref().unwrap_or(DEFAULT_SCENARIO);
    let Arguments { nodes, hours, seed, threads, .. } = *arguments;
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
        eprintln!("quipu: {events} would come after the end and will not happen: choose more --hours");
    }
    let facts = simulate(&scenario, &interrupted)
        .map_err(|problem| SimulateError::Scenario { place: place.to_owned(), problem })?;
    say(&if json { summary::json(&scenario, &facts) } else { summary::text(&scenario, &facts) });
    if let Some(file) = &arguments.report {
        report::write(file, &scenario, &facts)?;
        eprintln!("quipu: wrote the report {}", file.display());
    }
    if let Some(finding) = &facts.checks.broken {
        eprintln!("quipu: a check is broken, which is a bug in this program: {finding}");
    }
    Ok(match facts.summary.agreed {
        _ if facts.checks.broken.is_some() => NOT_AGREED,
        _ if facts.interrupted => INTERRUPTED,
        true => AGREED,
        false => NOT_AGREED,
    })
}

/// Runs a scenario to its end.
fn simulate(scenario: &Scenario, interrupted: &impl Fn() -> bool) -> Result<Facts, String> {
    let began = Instant::now();
    let mut world = scenario.setup.clone().build().map_err(|error| error.to_string())?;
    let mut progress = Progress::new(scenario);
    let mut watch = Watch::new(scenario, &world);
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
    let last = scenario.span + SETTLE_TIME_MAX;
    while !stopped && !world.agree() && world.now() < last {
        world.run(STEP);
        progress.show(&world);
        stopped = interrupted();
    }
    watch.look(&mut world);
    progress.clear();
    let checks = Checks { blocks: watch.judge.blocks(), broken: watch.broken };
    Ok(Facts::of(scenario, &mut world, checks, began.elapsed(), stopped))
}

/// The judge, and when it looks.
struct Watch {
    judge: Judge,
    next: Millis,
    broken: Option<Finding>,
}

impl Watch {
    fn new(scenario: &Scenario, world: &World) -> Self {
        Self { judge: Judge::new(world, scenario.clocks_ahead()), next: CHECK_TIME, broken: None }
    }

    fn look_if_due(&mut self, world: &mut World) {
        if world.now() >= self.next {
            self.look(world);
            self.next = world.now() + CHECK_TIME.max(Millis(world.now().0 / CHECK_PART));
        }
    }

    fn look(&mut self, world: &mut World) {
        if self.broken.is_none() {
            self.broken = self.judge.check(world).and_then(|()| self.judge.check_memory(world)).err();
        }
    }
}

/// Those of all miners at the end of a scenario's hours.
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

/// One line on stderr, if that is a terminal.
struct Progress<'a> {
    scenario: &'a Scenario,
    is_shown: bool,
    began: Instant,
    last: Instant,
}

impl<'a> Progress<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let now = Instant::now();
        Self { scenario, is_shown: io::stderr().is_terminal(), began: now, last: now }
    }

    fn show(&mut self, world: &World) {
        if !self.is_shown || self.last.elapsed() < PROGRESS_TIME {
            return;
        }
        self.last = Instant::now();
        let height = world.nodes().map(|node| world.tip(node).height.0).max().unwrap_or_default();
        let speed = world.now().0 / (self.began.elapsed().as_millis() as u64).max(1);
        let (now, end) = (summary::clock(world.now().0), summary::clock(self.scenario.span.0));
        let name = &self.scenario.name;
        eprint!("\r{name}: {now} of {end}, height {}, {} times real time\x1b[K", grouped(height), grouped(speed));
    }

    fn clear(&self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}

/// To stdout; nobody is left to be told that it is closed.
fn say(text: &str) {
    let mut stdout = io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests;
