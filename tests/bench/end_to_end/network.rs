//! Processes with links between them, and how long news takes over those links.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use tempfile::TempDir;

use crate::limits::Role;
use crate::process::{Node, Options, Process};

/// Links of each process, where there are enough of them.
const LINKS_MIN: usize = 3;
const LINKS_MAX: usize = 4;
/// So that both kinds have the same links, in every run.
const SEED: u64 = 8;

/// Pairs of numbers, the smaller one first: a ring in random order and random chords, 3 or 4 links for each.
pub(crate) fn links(count: usize) -> BTreeSet<(usize, usize)> {
    let mut state = SEED;
    let mut order: Vec<usize> = (0..count).collect();
    shuffle(&mut order, &mut state);
    let pair = |one: usize, other: usize| (one.min(other), one.max(other));
    let mut links: BTreeSet<_> = (0..count).map(|at| pair(order[at], order[(at + 1) % count])).collect();
    let mut chords: Vec<_> = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))).collect();
    shuffle(&mut chords, &mut state);
    for (one, other) in chords {
        let degree = |of: usize| links.iter().filter(|(one, other)| *one == of || *other == of).count();
        let degrees = [degree(one), degree(other)];
        if degrees.iter().any(|degree| *degree < LINKS_MIN) && degrees.iter().all(|degree| *degree < LINKS_MAX) {
            links.insert((one, other));
        }
    }
    links
}

fn shuffle<T>(list: &mut [T], state: &mut u64) {
    for at in (1..list.len()).rev() {
        // splitmix64
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        list.swap(at, ((mixed ^ (mixed >> 31)) % (at as u64 + 1)) as usize);
    }
}

/// Starts so many, each given the addresses of those before it that it is linked to, and waits until all links are up.
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
    options: &Options,
    folder: impl Fn() -> TempDir,
    fill: impl Fn(&Path) -> Result<()>,
) -> Result<Vec<Node>> {
    start(count, |peers| {
        let owner = folder();
        fill(owner.path())?;
        Ok(Node::start_owning(owner, &Options { peers, ..options.clone() }))
    })
}

/// gossipsub alone, with those links.
pub(crate) fn gossips(count: usize) -> Result<Vec<Process>> {
    start(count, |peers| Ok(Process::start(Role::Gossip.command(&peers))))
}

/// When news arrived.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// At each process but the one it came from.
    pub(crate) each: Vec<Duration>,
    /// At the last one.
    pub(crate) last: Vec<Duration>,
    /// At the one that it came from.
    pub(crate) origin: Vec<Duration>,
}

impl Arrivals {
    /// Says the command at one process and waits until all tell a tip of that height; times are from the command on.
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

    /// From where it came to the last one.
    pub(crate) fn after_origin(&self) -> Vec<Duration> {
        self.last.iter().zip(&self.origin).map(|(last, origin)| last.saturating_sub(*origin)).collect()
    }
}
