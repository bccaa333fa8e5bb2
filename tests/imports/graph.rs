//! The files of a crate and which of them import which.
//!
//! A *room* is a folder with the file of its name: `src/engine` with `src/engine.rs`, `src/node/http` with
//! `src/node/http.rs`. Every other file is a room of its own. In `src/node` each part is a room, elsewhere each part of
//! the crate.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{code, paths, without_tests};

/// Paths of files, from `src` on, and what they say.
pub(super) type Tree = BTreeMap<String, String>;

/// Which files import which. Tests are left out: they may look around.
#[derive(Debug, Default)]
pub(super) struct Graph {
    arrows: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Of all files of a tree.
    pub(super) fn new(tree: &Tree) -> Self {
        let modules: BTreeMap<Vec<String>, &str> = tree.keys().map(|file| (module(file), file.as_str())).collect();
        let parts: BTreeMap<_, _> = tree.iter().map(|(file, text)| (file, without_tests(&code(text)))).collect();
        let tests: BTreeSet<Vec<String>> = parts
            .iter()
            .flat_map(|(file, (_, tests))| declared(tests).into_iter().map(|name| [module(file), vec![name]].concat()))
            .collect();
        let is_test = |module: &[String]| (0..=module.len()).any(|length| tests.contains(&module[..length]));
        let mut graph = Self::default();
        for (file, (always, _)) in parts {
            let from = module(file);
            if is_test(&from) {
                continue;
            }
            let targets = paths(always.as_str()).into_iter().filter_map(|path| target(&modules, &from, &path));
            let others = targets.filter(|target| *target != file.as_str()).map(str::to_owned).collect();
            graph.arrows.insert(file.clone(), others);
        }
        graph
    }

    /// How many files, or rooms, there are.
    pub(super) fn files(&self) -> usize {
        self.arrows.len()
    }

    /// All imports.
    pub(super) fn arrows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.arrows.iter().flat_map(|(from, targets)| targets.iter().map(|to| (from.as_str(), to.as_str())))
    }

    /// The same between rooms.
    pub(super) fn rooms(&self) -> Self {
        let mut rooms = Self::default();
        for file in self.arrows.keys() {
            rooms.arrows.entry(room(file)).or_default();
        }
        for (from, to) in self.arrows().map(|(from, to)| (room(from), room(to))) {
            if from != to {
                rooms.arrows.entry(from).or_default().insert(to);
            }
        }
        rooms
    }

    /// What imports itself in the end: sets of two and more, in which each reaches each.
    pub(super) fn circles(&self) -> Vec<BTreeSet<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            self.arrows.keys().map(|from| (from.as_str(), self.reached(from))).collect();
        let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|reached| reached.contains(to));
        let mut circles = BTreeSet::new();
        for one in reached.keys().filter(|one| reaches(one, one)) {
            circles
                .insert(reached.keys().copied().filter(|other| reaches(one, other) && reaches(other, one)).collect());
        }
        circles.into_iter().filter(|circle: &BTreeSet<_>| circle.len() > 1).collect()
    }

    /// Circles of files that are not all of one room.
    pub(super) fn circles_between_rooms(&self) -> Vec<BTreeSet<&str>> {
        let mut circles = self.circles();
        circles.retain(|circle| circle.iter().map(|file| room(file)).collect::<BTreeSet<_>>().len() > 1);
        circles
    }

    /// Arrows that run back up when as many as possible run down: those that would have to go to open all circles.
    /// Found by taking away, again and again, what nobody imports and what imports nobody, else what imports most and is
    /// imported least (Eades, Lin and Smyth, 1993).
    pub(super) fn back_arrows(&self) -> Vec<(&str, &str)> {
        let mut left: BTreeSet<&str> = self.arrows.keys().map(String::as_str).collect();
        let (mut top, mut bottom) = (Vec::new(), Vec::new());
        while !left.is_empty() {
            let out = |one: &str| self.arrows[one].iter().filter(|to| left.contains(to.as_str())).count();
            let into =
                |one: &str| left.iter().filter(|from| **from != one && self.arrows[**from].contains(one)).count();
            let sink = left.iter().copied().find(|one| out(one) == 0);
            let source = left.iter().copied().find(|one| into(one) == 0);
            let best = left.iter().copied().max_by_key(|one| out(one) as i64 - into(one) as i64);
            let taken = sink.or(source).or(best).expect("some are left");
            let side = if sink.is_some() { &mut bottom } else { &mut top };
            side.push(taken);
            left.remove(taken);
        }
        top.extend(bottom.into_iter().rev());
        let floor: BTreeMap<&str, usize> = top.into_iter().zip(0..).collect();
        let runs_up = |(from, to): &(&str, &str)| floor.get(from) > floor.get(to) && floor.contains_key(to);
        self.arrows().filter(runs_up).collect()
    }

    fn reached<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(one) = next.pop() {
            let targets = self.arrows.get(one).into_iter().flatten();
            next.extend(targets.map(String::as_str).filter(|to| reached.insert(*to)));
        }
        reached
    }
}

/// The room of a file.
pub(super) fn room(file: &str) -> String {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let length = if path.starts_with("node/") { 2 } else { 1 };
    path.split('/').take(length).collect::<Vec<_>>().join("/")
}

/// The module that a file is.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The modules that are declared without a body.
fn declared(code: &str) -> Vec<String> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let name = |pair: &[&str]| (pair[0] == "mod").then(|| pair[1].strip_suffix(';').map(str::to_owned)).flatten();
    words.windows(2).filter_map(name).collect()
}

/// The file that a path in a module leads to; `None` if it leads out of the crate or to its root.
fn target<'a>(modules: &BTreeMap<Vec<String>, &'a str>, from: &[String], path: &[String]) -> Option<&'a str> {
    let mut base = from.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        // The binary knows the library by its name.
        "crate" | "quipu" => {
            base.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|word| word == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        child if modules.contains_key(&[from, &[child.to_owned()]].concat()) => {}
        _ => return None,
    }
    let whole = [base, rest.to_vec()].concat();
    (1..=whole.len()).rev().find_map(|length| modules.get(&whole[..length]).copied())
}
