//! The one rule of dependencies: `protocol <- engine <- {sim, node}`, and only `node` touches the world. (`simulate` is
//! the one part above `sim`, `rehearsal` the one above `sim` and `node`.)
//!
//! A build without the feature `node` proves the half of it that is about libraries. This proves the rest: nothing
//! below `node` names a clock, a thread, a file, a socket or a source of randomness, and no module looks up or aside.

use std::path::{Path, PathBuf};

/// What only `node` may name. A grouped `std::{…}` would hide the others from this test.
const WORLD: [&str; 14] = [
    "Instant",
    "SystemTime",
    "std::thread",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::{",
    "tokio",
    "libp2p",
    "redb",
    "rand::",
    "getrandom",
    "OsRng",
];

/// Folders and single files, and what they must not name besides [`WORLD`].
const RULES: [(&str, &[&str]); 3] = [
    ("protocol/src", &["crate::engine", "crate::sim", "crate::node"]),
    ("src/engine", &["crate::sim", "crate::node"]),
    ("src/sim", &["crate::node"]),
];

/// Runs the shards of a simulation in step, so that it does not matter how threads are scheduled. Nothing else below
/// `node` knows of threads.
const MAY_NAME_THREADS: &str = "src/sim/threads.rs";
/// The test that runs many simulations.
const SEEDS: &str = "src/sim/tests/seeds.rs";

/// No source below `node` names the world or a module that it must not know.
#[test]
fn nothing_below_node_touches_the_world() {
    let mut files = 0;
    for (place, others) in RULES {
        for file in sources(place) {
            files += 1;
            // Unit tests may look around: the simulator is how the engine is tested. They have no clock either.
            let is_test = file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
            let mut names = [&WORLD[..], if is_test { &[] } else { others }].concat();
            names.retain(|name| *name != "std::thread" || file != Path::new(MAY_NAME_THREADS));
            // How many seeds to run is set from outside, and they run beside each other.
            names.retain(|name| !["std::env", "std::thread"].contains(name) || file != Path::new(SEEDS));
            check(&file, &names);
        }
    }
    assert!(files > 15, "only {files} files were found: have they moved?");
}

/// `node` is a shell around the engine: it does not know the simulator.
#[test]
fn node_does_not_know_the_simulator() {
    for file in sources("src/node") {
        check(&file, &["crate::sim"]);
    }
}

/// The command's arguments are all that `node` carries of `simulate`, and `simulate` takes texts and files from `node`.
#[test]
fn simulate_and_node_hardly_know_each_other() {
    for file in sources("src/node").iter().filter(|file| !file.starts_with("src/node/config")) {
        if file != Path::new("src/node/config.rs") {
            check(file, &["crate::simulate"]);
        }
    }
    for file in sources("src/simulate") {
        check(&file, &["tokio", "libp2p", "redb"]);
        let source = std::fs::read_to_string(&file).expect("readable");
        for line in source.lines().filter(|line| is_named("crate::node", line)) {
            let is_allowed =
                ["crate::node::files", "crate::node::prompt::text"].iter().any(|name| is_named(name, line));
            assert!(is_allowed, "{}: {line}", file.display());
        }
    }
}

/// A rehearsal sees both, through what they show everybody, and nothing sees it.
#[test]
fn rehearsal_is_on_top() {
    let tops = sources("src/rehearsal");
    assert!(!tops.is_empty(), "has it moved?");
    tops.iter()
        .for_each(|file| check(file, &["tokio", "libp2p", "redb", "Instant", "SystemTime", "OsRng", "getrandom"]));
    for place in ["src/engine", "src/sim", "src/node", "src/simulate", "src/main"] {
        sources(place).iter().for_each(|file| check(file, &["crate::rehearsal", "quipu::rehearsal"]));
    }
}

/// Comments may speak of everything, and a name is a whole one: `rand_chacha` is not `rand`.
#[test]
fn names_are_found_in_code_alone() {
    for line in ["use std::time::Instant;", "let x = rand::random();", "use std::{fs, io};", "tokio::spawn(f)"] {
        assert!(WORLD.iter().any(|name| is_named(name, line)), "{line}");
    }
    for line in ["use rand_chacha::ChaCha20Rng;", "// no libp2p here", "let instant = 1;", "let myredb = 2;"] {
        assert!(!WORLD.iter().any(|name| is_named(name, line)), "{line}");
    }
}

fn check(file: &Path, names: &[&str]) {
    let source = std::fs::read_to_string(file).expect("readable");
    for (number, line) in source.lines().enumerate() {
        for name in names {
            assert!(!is_named(name, line), "{}:{} names `{name}`: {}", file.display(), number + 1, line.trim());
        }
    }
}

fn is_named(name: &str, line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let in_a_name = |char: char| char.is_alphanumeric() || char == '_';
    code.match_indices(name).any(|(at, _)| {
        let starts = !code[..at].ends_with(in_a_name);
        let ends = !name.ends_with(in_a_name) || !code[at + name.len()..].starts_with(in_a_name);
        starts && ends
    })
}

/// `place.rs` and everything under the folder `place`. Tests run in the package's folder.
fn sources(place: &str) -> Vec<PathBuf> {
    let place = Path::new(place);
    let mut files = Vec::new();
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.extend(Some(place.with_extension("rs")).filter(|file| file.is_file()));
    files
}
