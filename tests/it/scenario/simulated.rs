//! The simulator as a stage: a [`Rehearsal`] with the same prompts, and links in its world that behave like those on
//! loopback.
//!
//! Links follow the script: nodes that can see each other are connected, separated ones know it, and only a
//! [`LinkFault`] leaves that to the nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quipu::cli::Invocation;
use quipu::cli::verify::{VerifyArguments, VerifyContext, judge};
use quipu::node::wallet::password::Sources;
use quipu::protocol::{Millis, Network};
use quipu::rehearsal::{Rehearsal, RehearsalError};
use quipu::sim::id::NodeId;
use quipu::sim::link::Quality;
use serde_json::Value;
use tempfile::TempDir;

use super::outcome::Trouble;
use super::runner::{COMMAND_TIMEOUT, Ending, Stage, unheard};
use super::script::{LinkFault, Script, WITHIN};
use super::set::{copy_wallets, network_file, new_folder, password_file};

/// The seed of all chance in a rehearsal.
const SEED: u64 = 1;
/// The quality of links without a fault, as on loopback.
const WELL: Quality = Quality { latency_millis: 1, jitter_millis: 1, bytes_per_second: None };
/// The most bytes that pass at once through a slow link.
const PIECE_BYTES: u64 = 16 << 10;
/// Interval at which the links are checked.
const LOOK: Millis = Millis(10);
/// The lines of a node's output that are shown to a person who investigates a failure.
const TAIL_LINES: usize = 12;

/// The nodes of one script, in virtual time.
pub(crate) struct Simulated {
    rehearsal: Rehearsal,
    network: Network,
    nodes: BTreeMap<String, SimulatedMember>,
    /// The links, the smaller name first.
    links: BTreeMap<(String, String), Option<LinkTrouble>>,
    /// The sides of a cut; empty if there is none.
    sides: Vec<Vec<String>>,
    /// Removed at the end.
    folder: TempDir,
}

struct SimulatedMember {
    node: NodeId,
    up: bool,
    /// The events since its last start.
    events: Vec<Value>,
}

/// A fault of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LinkTrouble {
    /// Messages in these directions are held back.
    Held(Vec<(NodeId, NodeId)>),
    Slow,
}

impl Simulated {
    /// A stage without nodes. An error says why there is no such network.
    pub(crate) fn new(script: &Script) -> Result<Self, String> {
        let network = match script.network.as_str() {
            built_in @ ("dev" | "lan") => built_in.to_owned(),
            _ => network_file(script).display().to_string(),
        };
        let network = match Invocation::from_arguments(["quipu", "--network", &network]) {
            Ok(Invocation::Node { config, .. }) => Network::clone(&config.network),
            Ok(other) => unreachable!("not an argument of the test: {other:?}"),
            Err(error) => return Err(error.to_string()),
        };
        Ok(Self {
            rehearsal: Rehearsal::new(network.clone(), SEED),
            network,
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            sides: Vec::new(),
            folder: new_folder(),
        })
    }

    /// A digest of everything that happened.
    pub(super) fn trace_hash(&mut self) -> String {
        self.rehearsal.world().trace_hash()
    }

    fn node(&self, name: &str) -> NodeId {
        self.nodes[name].node
    }

    fn side(&self, name: &str) -> Option<usize> {
        self.sides.iter().position(|side| side.iter().any(|member| member == name))
    }

    /// Removes the fault of a link.
    fn mend(&mut self, pair: &(String, String)) {
        let (a, b) = (self.node(&pair.0), self.node(&pair.1));
        match self.links.get_mut(pair).and_then(Option::take) {
            None => {}
            Some(LinkTrouble::Held(ways)) => {
                ways.iter().for_each(|(from, to)| self.rehearsal.world().mend(&[*from], &[*to]));
            }
            Some(LinkTrouble::Slow) => self.rehearsal.world().set_quality(a, b, WELL),
        }
    }

    /// Adjusts the links, and waits until the nodes know.
    fn settle(&mut self) -> Result<(), Trouble> {
        let up = |name: &String| self.nodes[name].up;
        let (together, apart): (Vec<_>, Vec<_>) =
            self.links.iter().partition(|((a, b), _)| up(a) && up(b) && self.side(a) == self.side(b));
        let ends = |(a, b): &(String, String)| (self.node(a), self.node(b));
        let apart: BTreeSet<_> = apart.into_iter().map(|(pair, _)| ends(pair)).collect();
        // A fault of its own may keep two nodes apart.
        let well = together.into_iter().filter(|(_, wrong)| wrong.is_none());
        let well: Vec<_> = well.map(|(pair, _)| (pair.clone(), ends(pair))).collect();
        apart.iter().for_each(|(a, b)| self.rehearsal.world().disconnect(*a, *b));
        let deadline = self.elapsed() + WITHIN;
        loop {
            self.run(LOOK)?;
            let world = self.rehearsal.world();
            let Some(((a, b), _)) = well.iter().find(|(_, (a, b))| !world.are_linked(*a, *b)) else { return Ok(()) };
            if self.elapsed() >= deadline {
                let expected = format!("{a} is connected to {b} within {WITHIN:?}");
                return Err(Trouble::new(expected, "it is not", &[a.clone(), b.clone()]));
            }
        }
    }

    fn run(&mut self, span: Millis) -> Result<(), Trouble> {
        self.rehearsal.run(span).map_err(|error| failed(&error))
    }

    fn begin(&mut self, names: &[String]) -> Result<(), Trouble> {
        for name in names {
            let node = self.node(name);
            self.rehearsal
                .start(node)
                .map_err(|error| Trouble::new(format!("{name} starts"), error.to_string(), &[]))?;
            let member = self.nodes.get_mut(name).expect("it is known");
            member.up = true;
            member.events.clear();
        }
        Ok(())
    }

    fn listen(&mut self, name: &str) -> Result<(), Trouble> {
        let lines = self.rehearsal.events(self.node(name)).map_err(|error| failed(&error))?;
        let member = self.nodes.get_mut(name).expect("it is known");
        member.events.extend(lines.iter().map(|line| parsed(line)));
        Ok(())
    }
}

impl Stage for Simulated {
    fn start(&mut self, names: &[String], apart: bool, key_of: Option<&str>) -> Result<(), Trouble> {
        let folder = self.folder.path().to_owned();
        let passwords = Sources { file: Some(password_file(&folder)), new_file: None };
        for name in names {
            if let Some(owner) = key_of {
                copy_wallets(&folder, owner, name);
            }
            let node = self.rehearsal.add(name, &folder.join(name), &folder, passwords.clone());
            self.nodes.insert(name.clone(), SimulatedMember { node, up: false, events: Vec::new() });
        }
        self.begin(names)?;
        if apart {
            return Ok(());
        }
        for name in names {
            for other in self.nodes.keys().filter(|other| *other != name).cloned().collect::<Vec<_>>() {
                if !self.links.contains_key(&pair(name, &other)) {
                    self.add_link(name, &other);
                }
            }
        }
        self.settle()
    }

    fn restart(&mut self, names: &[String]) -> Result<(), Trouble> {
        self.begin(names)?;
        self.settle()
    }

    fn end(&mut self, names: &[String], ending: Ending) -> Result<(), Trouble> {
        for name in names {
            self.listen(name)?;
            let node = self.node(name);
            let ended = if ending == Ending::Killed { self.rehearsal.kill(node) } else { self.rehearsal.stop(node) };
            ended.map_err(|error| failed(&error))?;
            self.nodes.get_mut(name).expect("it was running").up = false;
        }
        self.settle()
    }

    fn running(&self) -> Vec<String> {
        self.nodes.iter().filter(|(_, member)| member.up).map(|(name, _)| name.clone()).collect()
    }

    fn connect(&mut self, from: &str, to: &str) -> Result<(), Trouble> {
        if self.links.contains_key(&pair(from, to)) {
            return Err(Trouble::new("two nodes without a link", "they have one", &[]));
        }
        self.add_link(from, to);
        self.settle()
    }

    fn cut(&mut self, sides: &[Vec<String>]) -> Result<(), Trouble> {
        let numbers = |sides: &[Vec<String>]| -> Vec<Vec<NodeId>> {
            sides.iter().map(|side| side.iter().map(|name| self.node(name)).collect()).collect()
        };
        let (before, now) = (numbers(&self.sides), numbers(sides));
        let world = self.rehearsal.world();
        for (at, side) in before.iter().enumerate() {
            let others = before.iter().enumerate().filter(|(other, _)| *other != at);
            others.for_each(|(_, other)| world.mend(side, other));
        }
        world.partition(&now);
        self.sides = sides.to_vec();
        self.settle()
    }

    fn hamper(&mut self, fault: LinkFault, from: &str, to: &str) -> Result<(), Trouble> {
        let pair = pair(from, to);
        if !self.links.contains_key(&pair) {
            return Err(Trouble::new(format!("a link between {from} and {to}"), "there is none", &[]));
        }
        self.mend(&pair);
        let (from, to) = (self.node(from), self.node(to));
        let world = self.rehearsal.world();
        let wrong = match fault {
            LinkFault::OneWay => LinkTrouble::Held(vec![(from, to)]),
            LinkFault::Stalled => LinkTrouble::Held(vec![(from, to), (to, from)]),
            LinkFault::Slow(time) => {
                let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                let latency_millis = WELL.latency_millis.saturating_add(millis);
                let bytes_per_second = (PIECE_BYTES * 1000).checked_div(millis).map(|rate| rate.max(1));
                world.set_quality(from, to, Quality { latency_millis, bytes_per_second, ..WELL });
                LinkTrouble::Slow
            }
        };
        if let LinkTrouble::Held(ways) = &wrong {
            ways.iter().for_each(|(from, to)| world.cut(&[*from], &[*to]));
        }
        self.links.insert(pair, Some(wrong));
        Ok(())
    }

    fn heal(&mut self) -> Result<(), Trouble> {
        self.sides.clear();
        // Held messages are as good as lost: their connections are made anew.
        let hampered = self.links.iter().filter(|(_, wrong)| wrong.is_some()).map(|(pair, _)| pair.clone());
        for pair in hampered.collect::<Vec<_>>() {
            let (a, b) = (self.node(&pair.0), self.node(&pair.1));
            self.rehearsal.world().disconnect(a, b);
            self.mend(&pair);
        }
        self.rehearsal.world().heal();
        self.settle()
    }

    fn hear(&mut self, name: &str, line: &str) -> Result<Value, Trouble> {
        let within = Millis(u64::try_from(COMMAND_TIMEOUT.as_millis()).expect("minutes"));
        let answer = self.rehearsal.type_line(self.node(name), line, within).map_err(|error| failed(&error))?;
        self.listen(name)?;
        answer.map(|line| parsed(&line)).ok_or_else(|| unheard(name, line, "no answer at all"))
    }

    fn events(&mut self, name: &str, event: &str) -> Result<Vec<Value>, Trouble> {
        self.listen(name)?;
        Ok(self.nodes[name].events.iter().filter(|told| told["event"] == event).cloned().collect())
    }

    fn verify(&mut self, file: &str, at: Option<&str>) -> Result<(bool, String), Trouble> {
        let involved: Vec<_> = at.map(str::to_owned).into_iter().collect();
        let scratch = tempfile::tempdir_in(self.folder.path()).expect("a folder in our own");
        if let Some(name) = at {
            self.rehearsal.copy_chain(self.node(name), scratch.path()).map_err(|error| failed(&error))?;
        }
        let receipt = self.folder.path().join(file);
        let arguments = VerifyArguments { receipt, file: None, witness: None, node: at.map(|_| None) };
        let network = at.map(|_| self.network.clone().into());
        match judge(&arguments, VerifyContext { data_dir: Some(scratch.path()), name: None, network: network.as_ref() })
        {
            Ok(()) => Ok((true, "proven".to_owned())),
            Err(error) if error.is_unreadable() => {
                Err(Trouble::new("a receipt that can be read", error.to_string(), &involved))
            }
            Err(error) => Ok((false, format!("refuted: {error}"))),
        }
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.rehearsal.now().0)
    }

    /// Virtual time does not wait for news.
    fn mark(&self, _name: &str) -> usize {
        0
    }

    fn glance(&mut self, _name: &str, _mark: usize, at_most: Duration) -> Result<(), Trouble> {
        self.run(Millis(u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX).max(1)))
    }

    fn tail(&self, name: &str) -> String {
        let events = &self.nodes[name].events;
        let last = events[events.len().saturating_sub(TAIL_LINES)..].iter().map(|event| format!("    {event}\n"));
        format!("  last events:\n{}", last.collect::<String>())
    }
}

impl Simulated {
    fn add_link(&mut self, from: &str, to: &str) {
        let (a, b) = (self.node(from), self.node(to));
        self.rehearsal.world().link_with(a, b, WELL);
        self.links.insert(pair(from, to), None);
    }
}

fn pair(one: &str, other: &str) -> (String, String) {
    (one.min(other).to_owned(), one.max(other).to_owned())
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).expect("a node says JSON")
}

fn failed(error: &RehearsalError) -> Trouble {
    Trouble::new("a machine that does what nodes need", error.to_string(), &[])
}
