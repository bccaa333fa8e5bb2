//! Scenario scripts: plain text, one step a line, on real nodes and on the simulator. The language is in `tests/scenarios/README.md`.
//!
//! # The seam
//!
//! ```text
//!   language::parse ──> script::Script { nodes, lines: [Line { number, text, step: Step }] }
//!                                 │
//!                      runner::run(&Script, impl Stage, …) -> Result<…, Box<outcome::Failure>>
//!                                 │
//!                real::Processes, on loopback or on a LAN      simulated::Simulated, in virtual time
//! ```
//!
//! - Above the runner nothing knows how a step is carried out: [`language`] makes data of a text, [`outcome`] is how a failure
//!   is told.
//! - The [`runner`] is one `match` on [`Step`](script::Step), whose documentation is the contract: when a step is over, what
//!   it says is so. Answers of commands are JSON as `src/node/prompt/json.rs` documents it; [`ask`] knows which command
//!   answers which question.
//! - A [`Stage`](runner::Stage) is nodes and what is between them. It refuses a step that it can't carry out, with a
//!   [`Trouble`](outcome::Trouble), and never passes it by.

mod ask;
mod language;
mod outcome;
mod real;
mod runner;
mod set;
mod simulated;
mod tests;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::Trial;

use self::language::script::{Line, Script};
use self::language::{question, script, values};
use self::outcome::Failure;
use self::real::{Ground, Processes};
use self::simulated::Simulated;
use crate::harness::{Ability, ability};
use crate::{plain, privileged};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
/// Those that also run where nodes find each other by mDNS.
const ON_A_LAN: [&str; 3] = ["first-coins", "fork-and-heal", "late-joiner"];

/// All scripts of the folder as tests, and those of the language.
pub(crate) fn trials() -> Vec<Trial> {
    let entries = std::fs::read_dir(FOLDER).unwrap_or_else(|error| panic!("{FOLDER}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "scn"));
    files.sort();
    let mut trials = Vec::from(tests::ALL.map(|(name, test)| plain(&format!("scenario::tests::{name}"), test)));
    for file in files {
        let name = file.file_stem().expect("it has an extension").to_string_lossy().into_owned();
        if ON_A_LAN.contains(&&*name) {
            let file = file.clone();
            trials.push(privileged(&format!("scenario::{name}::on_a_lan"), move || test(&file, Place::Lan)));
        }
        let simulated = file.clone();
        trials.push(plain(&format!("scenario::{name}::simulated"), move || test(&simulated, Place::Simulated)));
        trials.push(plain(&format!("scenario::{name}"), move || test(&file, Place::Loopback)));
    }
    trials
}

/// Where a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Loopback,
    Lan,
    Simulated,
}

/// Why a script did not run to its end.
enum Broken {
    /// It can't be run at all.
    Unusable(String),
    /// A step failed.
    Failed(Box<Failure>),
}

fn run(script: &Script, place: Place, watch: &mut dyn FnMut(&Line, bool)) -> Result<(), Broken> {
    let ground = match place {
        Place::Loopback => Ground::loopback(),
        Place::Lan => Ground::lan(&script.nodes),
        Place::Simulated => {
            let stage = Simulated::new(script).map_err(Broken::Unusable)?;
            return runner::run(script, stage, watch).map(drop).map_err(Broken::Failed);
        }
    };
    runner::run(script, Processes::new(script, ground), watch).map(drop).map_err(Broken::Failed)
}

fn test(file: &Path, place: Place) {
    let script = Script::open(file).unwrap_or_else(|error| panic!("{error}"));
    match run(&script, place, &mut |_, _| {}) {
        Ok(()) => {}
        Err(Broken::Failed(failure)) => panic!("{failure}"),
        Err(Broken::Unusable(why)) => panic!("{}: {why}", file.display()),
    }
}

/// Runs the one script that `scripts/scenario` asks for through the environment. 0: all as expected, 1: a step failed, 2:
/// the script can't be read, or this machine can't run it.
pub(crate) fn asked_for() -> Option<ExitCode> {
    let file = PathBuf::from(std::env::var_os("QUIPU_SCENARIO")?);
    let place = match std::env::var("QUIPU_SCENARIO_PLACE").as_deref() {
        Ok("lan") => Place::Lan,
        Ok("simulated") => Place::Simulated,
        _ => Place::Loopback,
    };
    let script = match Script::open(&file) {
        Ok(script) => script,
        Err(error) => {
            eprintln!("{error}");
            return Some(ExitCode::from(2));
        }
    };
    if place == Place::Lan && *ability() != Ability::Here {
        eprintln!("--lan needs network namespaces; `scripts/lan check` tells why there are none");
        return Some(ExitCode::from(2));
    }
    let is_terminal = std::io::stdout().is_terminal();
    let mut watch = |line: &Line, is_over: bool| {
        // On a terminal the tick takes the place of the dots when the step is over.
        let text = match (is_over, is_terminal) {
            (false, true) => format!("… {:4}  {}", line.number, line.text),
            (true, true) => format!("\r✓ {:4}  {}\n", line.number, line.text),
            (true, false) => format!("✓ {:4}  {}\n", line.number, line.text),
            (false, false) => return,
        };
        let mut out = std::io::stdout();
        // Nobody reads on: the exit status tells all the same.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    };
    match run(&script, place, &mut watch) {
        Ok(()) => {
            println!("{}: {} steps, all as expected", file.display(), script.lines.len());
            Some(ExitCode::SUCCESS)
        }
        Err(Broken::Unusable(why)) => {
            eprintln!("{}: {why}", file.display());
            Some(ExitCode::from(2))
        }
        Err(Broken::Failed(failure)) => {
            println!("{}✗ {:4}  {}", if is_terminal { "\r" } else { "" }, failure.line, failure.step);
            eprintln!("{failure}");
            Some(ExitCode::FAILURE)
        }
    }
}
