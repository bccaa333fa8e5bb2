//! Who may import whom: `protocol <- engine <- {sim, node}`, and only `node` touches the world. Inside `node`, front ends
//! stand on `api` and never on each other, and no shell knows the driver. No import circle joins files of different rooms.
//!
//! A build without the feature `node` proves the half of it that is about libraries. This computes the graph of all
//! imports and proves the rest: see [`graph`] for what a room is.

#[path = "imports/graph.rs"]
mod graph;
#[path = "imports/source.rs"]
mod source;

use std::path::{Path, PathBuf};

use graph::{Graph, Tree};
use source::{code, is_named};

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

/// Runs the shards of a simulation in step, so that it does not matter how threads are scheduled. Nothing else below
/// `node` knows of threads.
const MAY_NAME_THREADS: &str = "src/sim/threads.rs";
/// The test that runs many simulations: how many is set from outside, and they run beside each other.
const SEEDS: &str = "src/sim/tests/seeds.rs";
/// A test that reads its own memory through a file.
const READS_MEMORY: &str = "protocol/src/account/wiped.rs";

/// Faces of a node for its users. Each imports `node/api`, and none another.
const FRONT_ENDS: [&str; 3] = ["src/node/prompt", "src/node/http", "src/node/eth"];

/// Importers and what they must not import. The first rule that an import breaks is named.
const WALLS: [Wall; 8] = [
    Wall { of: "src/engine", but: &[], without: &["src/sim", "src/node", "src/simulate", "src/cli", "src/rehearsal"] },
    Wall { of: "src/sim", but: &[], without: &["src/node", "src/simulate", "src/cli", "src/rehearsal"] },
    Wall { of: "src/simulate", but: &[], without: &["src/node", "src/cli", "src/rehearsal"] },
    Wall { of: "src/node", but: &[], without: &["src/sim", "src/simulate", "src/cli", "src/rehearsal"] },
    // Shells report to `node/inbox`; only the assembly of a node knows who reads it.
    Wall { of: "src/node", but: &["src/node.rs", "src/node/driver.rs"], without: &["src/node/driver"] },
    // Nothing but the assembly knows a front end.
    Wall { of: "src/node", but: &["src/node.rs"], without: &FRONT_ENDS },
    Wall { of: "src/cli", but: &[], without: &["src/node/http", "src/node/driver", "src/rehearsal"] },
    Wall { of: "src/main", but: &[], without: &["src/engine", "src/sim", "src/node", "src/simulate", "src/rehearsal"] },
];

struct Wall {
    of: &'static str,
    but: &'static [&'static str],
    without: &'static [&'static str],
}

/// The rules that a graph breaks, in words.
fn broken_walls(graph: &Graph) -> Vec<String> {
    let mut broken = Vec::new();
    for (from, to) in graph.arrows() {
        let same_room = graph::room(from) == graph::room(to);
        let forbidden = |wall: &&Wall| {
            is_in(from, wall.of)
                && !wall.but.iter().any(|but| is_in(from, but))
                && wall.without.iter().any(|w| is_in(to, w))
        };
        if let Some(wall) = WALLS.iter().find(forbidden).filter(|_| !same_room) {
            broken.push(format!("{from} imports {to}: {} must not know {:?}", wall.of, wall.without));
        }
    }
    broken
}

/// Whether a file is `place`, `place.rs`, or in the folder `place`.
fn is_in(file: &str, place: &str) -> bool {
    file.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

#[test]
fn imports_run_one_way() {
    let graph = Graph::new(&sources("src"));
    assert!(graph.arrows().count() > 500, "files have moved: the graph is not whole");
    let rooms = graph.rooms();
    let (circles, between) = (graph.circles(), graph.circles_between_rooms());
    println!(
        "{} rooms with {} imports, {} run back; circles: {} of rooms, {} of files, {} of these join rooms",
        rooms.files(),
        rooms.arrows().count(),
        rooms.back_arrows().len(),
        rooms.circles().len(),
        circles.len(),
        between.len(),
    );
    let walls = broken_walls(&graph);
    assert!(walls.is_empty(), "{walls:#?}");
    assert!(between.is_empty(), "files of different rooms import each other: {between:#?}");
    assert!(rooms.circles().is_empty(), "rooms import each other: {:#?}", rooms.circles());
}

/// A small crate that keeps all rules.
fn planted() -> Tree {
    let files = [
        ("src/lib.rs", "pub mod engine; pub mod sim; pub mod node; pub mod cli;"),
        ("src/engine.rs", "mod chain; use self::chain::Chain; #[cfg(test)] mod tests;"),
        ("src/engine/chain.rs", "use super::Index; // crate::node is nobody here\nconst A: &str = \"crate::sim\";"),
        ("src/engine/tests.rs", "use crate::sim::World;"),
        ("src/sim.rs", "use crate::engine::{self, chain::Chain};"),
        ("src/node.rs", "mod driver; mod inbox; mod api; mod http; mod prompt; use driver::Driver; use http::Server;"),
        ("src/node/inbox.rs", "use crate::engine::Event;"),
        ("src/node/driver.rs", "use super::inbox::Queues;"),
        ("src/node/api.rs", "use super::inbox::Sender; pub mod rows;"),
        ("src/node/api/rows.rs", "pub(in crate::node) struct Row; #[cfg(test)] use crate::node::prompt::Typist;"),
        ("src/node/http.rs", "mod feed; use crate::node::api;"),
        ("src/node/http/feed.rs", "use {super::App, crate::node::api::rows::{Row as R, *}};"),
        ("src/node/prompt.rs", "fn f() { crate::node::api::rows::all() }"),
        ("src/cli.rs", "use crate::node::prompt;"),
        ("src/main.rs", "use quipu::cli;"),
    ];
    files.into_iter().map(|(file, text)| (file.to_owned(), text.to_owned())).collect()
}

fn planted_with(file: &str, more: &str) -> Graph {
    let mut tree = planted();
    tree.entry(file.to_owned()).or_default().push_str(more);
    Graph::new(&tree)
}

#[test]
fn a_crate_that_keeps_the_rules_passes() {
    let graph = planted_with("src/lib.rs", "");
    let arrows: Vec<_> = graph.arrows().collect();
    let expected = [
        ("src/cli.rs", "src/node/prompt.rs"),
        ("src/engine.rs", "src/engine/chain.rs"),
        ("src/engine/chain.rs", "src/engine.rs"),
        ("src/main.rs", "src/cli.rs"),
        ("src/node.rs", "src/node/driver.rs"),
        ("src/node.rs", "src/node/http.rs"),
        ("src/node/api.rs", "src/node/inbox.rs"),
        ("src/node/driver.rs", "src/node/inbox.rs"),
        ("src/node/http.rs", "src/node/api.rs"),
        ("src/node/http/feed.rs", "src/node/api/rows.rs"),
        ("src/node/http/feed.rs", "src/node/http.rs"),
        ("src/node/inbox.rs", "src/engine.rs"),
        ("src/node/prompt.rs", "src/node/api/rows.rs"),
        ("src/sim.rs", "src/engine.rs"),
        ("src/sim.rs", "src/engine/chain.rs"),
    ];
    assert_eq!(arrows, expected);
    assert_eq!(broken_walls(&graph), Vec::<String>::new());
    assert_eq!(graph.circles().len(), 1, "a file and its parent may know each other");
    assert!(graph.circles_between_rooms().is_empty() && graph.rooms().circles().is_empty());
    assert!(graph.rooms().back_arrows().is_empty());
}

#[test]
fn planted_circles_are_found() {
    // Of files: feed -> rows -> feed.
    let graph = planted_with("src/node/api/rows.rs", " use crate::node::http::feed::Line;");
    assert_eq!(graph.circles_between_rooms().len(), 1);
    // Of rooms alone: no file reaches itself.
    let graph = planted_with("src/node/inbox.rs", " use super::api::rows::Row;");
    assert!(graph.circles_between_rooms().is_empty());
    assert_eq!(graph.rooms().circles().len(), 1);
    assert_eq!(graph.rooms().back_arrows().len(), 1);
}

#[test]
fn planted_imports_through_a_wall_are_found() {
    let cases = [
        ("src/engine/chain.rs", " use crate::sim::World;"),
        ("src/engine/chain.rs", " fn f() { crate::node::inbox::send() }"),
        ("src/sim.rs", " use crate::{engine, node::inbox};"),
        ("src/node/inbox.rs", " use crate::sim;"),
        ("src/node/http/feed.rs", " use super::super::prompt::json;"),
        ("src/node/prompt.rs", " use super::http::Server;"),
        ("src/node/eth.rs", " use super::http::Server;"),
        ("src/node/api.rs", " use crate::node::prompt as p;"),
        ("src/node/inbox.rs", " use super::driver::Driver;"),
        ("src/node/inbox.rs", " use crate::cli;"),
        ("src/main.rs", " use quipu::node;"),
    ];
    for (file, more) in cases {
        let broken = broken_walls(&planted_with(file, more));
        assert_eq!(broken.len(), 1, "{file}{more}: {broken:?}");
        assert!(broken[0].starts_with(&format!("{file} imports src/")), "{broken:?}");
    }
}

/// No source below `node` names the world.
#[test]
fn nothing_below_node_touches_the_world() {
    let mut files = 0;
    for place in ["protocol/src", "src/engine", "src/sim"] {
        for (file, text) in sources(place) {
            files += 1;
            let names = WORLD.iter().filter(|name| {
                let may_name_threads = [MAY_NAME_THREADS, SEEDS].contains(&file.as_str());
                let is_excused = match **name {
                    "std::thread" => may_name_threads,
                    "std::env" => file == SEEDS,
                    "std::fs" => file == READS_MEMORY,
                    _ => false,
                };
                !is_excused
            });
            check(&file, &text, names.copied());
        }
    }
    assert!(files > 15, "only {files} files were found: have they moved?");
}

/// The simulator and its scripts name no runtime, network or database; of clocks, only the command tells how long it took.
#[test]
fn simulations_do_not_touch_the_world() {
    for place in ["src/simulate", "src/rehearsal"] {
        let sources = sources(place);
        assert!(!sources.is_empty(), "{place}: has it moved?");
        for (file, text) in sources {
            check(&file, &text, ["tokio", "libp2p", "redb"]);
            if is_in(&file, "src/rehearsal") {
                check(&file, &text, ["Instant", "SystemTime", "OsRng", "getrandom"]);
            }
        }
    }
}

/// The specification's crate knows nothing of this one.
#[test]
fn the_protocol_stands_alone() {
    for (file, text) in sources("protocol/src") {
        check(&file, &text, ["crate::engine", "crate::sim", "crate::node", "quipu::"]);
    }
}

/// Comments may speak of everything, and a name is a whole one: `rand_chacha` is not `rand`.
#[test]
fn names_are_found_in_code_alone() {
    for line in ["use std::time::Instant;", "let x = rand::random();", "use std::{fs, io};", "tokio::spawn(f)"] {
        assert!(WORLD.iter().any(|name| is_named(name, &code(line))), "{line}");
    }
    let harmless = [
        "use rand_chacha::ChaCha20Rng;",
        "// no libp2p here",
        "let instant = 1;",
        "let myredb = 2;",
        "let text = \"tokio \\\" redb\"; let char = '\"'; let life: &'static str = r#\"rand::\"#;",
        "/* std::net */",
    ];
    for line in harmless {
        assert!(!WORLD.iter().any(|name| is_named(name, &code(line))), "{line}");
    }
}

fn check<'a>(file: &str, text: &str, names: impl IntoIterator<Item = &'a str> + Clone) {
    for (number, line) in code(text).lines().enumerate() {
        for name in names.clone() {
            assert!(!is_named(name, line), "{file}:{} names `{name}`: {}", number + 1, line.trim());
        }
    }
}

/// `place.rs` and everything under the folder `place`. Tests run in the package's folder.
fn sources(place: &str) -> Tree {
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
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("readable");
        (file.to_string_lossy().replace('\\', "/"), text)
    };
    files.into_iter().map(read).collect()
}
