//! Processes with links between them, and the delay of news over those links.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use quipu::random::Random;
use tempfile::TempDir;

use crate::limits::LimitRole;
use crate::process::{NodeProcess, NodeProcessOptions, Process};

/// Links of each process, if there are enough processes.
const LINKS_MIN: usize = 3;
const LINKS_MAX: usize = 4;
/// Both kinds have the same links, in every run.
const SEED: u64 = 8;

/// Pairs of numbers, the smaller one first: a ring in random order and random chords, 3 or 4 links for each.
pub(crate) fn links(count: usize) -> BTreeSet<(usize, usize)> {
    let mut random = Random::new(SEED);
    let mut order: Vec<usize> = (0..count).collect();
    shuffle(&mut order, &mut random);
    let pair = |one: usize, other: usize| (one.min(other), one.max(other));
    let mut links: BTreeSet<_> = (0..count).map(|at| pair(order[at], order[(at + 1) % count])).collect();
    let mut chords: Vec<_> = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))).collect();
    shuffle(&mut chords, &mut random);
    for (one, other) in chords {
        let degree = |of: usize| links.iter().filter(|(one, other)| *one == of || *other == of).count();
        let degrees = [degree(one), degree(other)];
        if degrees.iter().any(|degree| *degree < LINKS_MIN) && degrees.iter().all(|degree| *degree < LINKS_MAX) {
            links.insert((one, other));
        }
    }
    links
}

fn shuffle<T>(list: &mut [T], random: &mut Random) {
    for at in (1..list.len()).rev() {
        list.swap(at, (random.bits() % (at as u64 + 1)) as usize);
    }
}

/// Starts `count` processes, each with the addresses of the earlier ones that it is linked to, and waits until all
/// links are up.
fn start<T: AsRef<Process>>(count: usize, start: impl Fn(Vec<String>) -> Result<T>) -> Result<Vec<T>> {
    let links = links(count);
    let mut started: Vec<T> = Vec::new();
    for number in 0..count {
        let earlier = links.iter().filter(|(_, later)| *later == number).map(|(earlier, _)| *earlier);
        let peers = earlier.map(|earlier| started[earlier].as_ref().listen().to_owned()).collect();
        started.push(start(peers)?);
    }
    for (number, process) in started.iter().enumerate() {
        for _ in links.iter().filter(|(one, other)| *one == number || *other == number) {
            process.as_ref().event(|event| event["event"] == "peer_connected");
        }
    }
    Ok(started)
}

/// Nodes with those links, each in a new folder of its own that is filled first.
pub(crate) fn nodes_in(
    count: usize,
    options: &NodeProcessOptions,
    folder: impl Fn() -> TempDir,
    fill: impl Fn(&Path) -> Result<()>,
) -> Result<Vec<NodeProcess>> {
    start(count, |peers| {
        let owner = folder();
        fill(owner.path())?;
        Ok(NodeProcess::start_owning(owner, &NodeProcessOptions { peers, ..options.clone() }))
    })
}

/// Processes of gossipsub alone, with those links.
pub(crate) fn gossips(count: usize) -> Result<Vec<Process>> {
    start(count, |peers| Ok(Process::start(LimitRole::Gossip.command(&peers))))
}

/// The arrival times of news.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// At each process except its origin.
    pub(crate) each: Vec<Duration>,
    /// At the last process.
    pub(crate) last: Vec<Duration>,
    /// At its origin.
    pub(crate) origin: Vec<Duration>,
}

impl Arrivals {
    /// Gives the command at one process and waits until all report a tip of that height; times are from the command on.
    pub(crate) fn measure<T: AsRef<Process>>(&mut self, all: &[T], origin: usize, command: &str, height: u64) {
        let start = Instant::now();
        all[origin].as_ref().say(command);
        let is_told = |event: &serde_json::Value| event["event"] == "tip" && event["height"] == height;
        let times: Vec<_> =
            all.iter().map(|process| process.as_ref().event(is_told).at.saturating_duration_since(start)).collect();
        self.last.push(times.iter().copied().max().unwrap_or_default());
        self.origin.push(times[origin]);
        let others = times.iter().enumerate().filter(|(number, _)| *number != origin);
        self.each.extend(others.map(|(_, time)| *time));
    }

    /// The delay from the origin to the last process.
    pub(crate) fn after_origin(&self) -> Vec<Duration> {
        self.last.iter().zip(&self.origin).map(|(last, origin)| last.saturating_sub(*origin)).collect()
    }
}
