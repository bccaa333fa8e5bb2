//! Scenario scripts: plain text, one step a line, on real nodes and on the simulator. `tests/scenarios/README.md` has
//! the language.
//!
//! # The seam
//!
//! ```text
//!   language::parse ──> script::Script { nodes, lines: [ScriptLine { number, text, step: ScriptStep }] }
//!                                 │
//!                      runner::run(&Script, impl Stage, …) -> Result<…, Box<outcome::StepFailure>>
//!                                 │
//!                real::Processes, on loopback or on a LAN      simulated::Simulated, in virtual time
//! ```
//!
//! - Above the runner nothing knows how a step is carried out: [`language`] turns a text into data, [`outcome`] formats
//!   a failure.
//! - The [`runner`] is one `match` on [`ScriptStep`](script::ScriptStep), whose documentation is the contract: a step
//!   is over when its condition is true. Answers of commands are JSON as `src/node/prompt/json.rs` documents it;
//!   [`ask`] maps questions to commands.
//! - A [`Stage`](runner::Stage) is the nodes and the links between them. It refuses a step that it cannot carry out,
//!   with a [`Trouble`](outcome::Trouble), and never skips one.

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

use self::language::script::{Script, ScriptLine};
use self::language::{question, script, values};
use self::outcome::StepFailure;
use self::real::{Ground, Processes};
use self::simulated::Simulated;
use crate::harness::{Ability, ability};
use crate::{plain, privileged};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
/// Scripts that also run where nodes find each other by mDNS.
const ON_A_LAN: [&str; 3] = ["first-coins", "fork-and-heal", "late-joiner"];

/// All scripts of the folder as tests, and the tests of the language.
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
            trials.push(privileged(&format!("scenario::{name}::on_a_lan"), move || test(&file, Venue::Lan)));
        }
        let simulated = file.clone();
        trials.push(plain(&format!("scenario::{name}::simulated"), move || test(&simulated, Venue::Simulated)));
        trials.push(plain(&format!("scenario::{name}"), move || test(&file, Venue::Loopback)));
    }
    trials
}

/// The place in which a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Venue {
    Loopback,
    Lan,
    Simulated,
}

/// The reason why a script did not run to its end.
enum ScriptFailure {
    /// It cannot be run at all.
    Unusable(String),
    /// A step failed.
    Failed(Box<StepFailure>),
}

fn run(script: &Script, place: Venue, watch: &mut dyn FnMut(&ScriptLine, bool)) -> Result<(), ScriptFailure> {
    let ground = match place {
        Venue::Loopback => Ground::loopback(),
        Venue::Lan => Ground::lan(&script.nodes),
        Venue::Simulated => {
            let stage = Simulated::new(script).map_err(ScriptFailure::Unusable)?;
            return runner::run(script, stage, watch).map(drop).map_err(ScriptFailure::Failed);
        }
    };
    runner::run(script, Processes::new(script, ground), watch).map(drop).map_err(ScriptFailure::Failed)
}

fn test(file: &Path, place: Venue) {
    let script = Script::open(file).unwrap_or_else(|error| panic!("{error}"));
    match run(&script, place, &mut |_, _| {}) {
        Ok(()) => {}
        Err(ScriptFailure::Failed(failure)) => panic!("{failure}"),
        Err(ScriptFailure::Unusable(why)) => panic!("{}: {why}", file.display()),
    }
}

/// Runs the one script that `scripts/scenario` names in the environment. 0: all as expected, 1: a step failed, 2: the
/// script cannot be read, or this machine cannot run it.
pub(crate) fn asked_for() -> Option<ExitCode> {
    let file = PathBuf::from(std::env::var_os("QUIPU_SCENARIO")?);
    let place = match std::env::var("QUIPU_SCENARIO_PLACE").as_deref() {
        Ok("lan") => Venue::Lan,
        Ok("simulated") => Venue::Simulated,
        _ => Venue::Loopback,
    };
    let script = match Script::open(&file) {
        Ok(script) => script,
        Err(error) => {
            eprintln!("{error}");
            return Some(ExitCode::from(2));
        }
    };
    if place == Venue::Lan && *ability() != Ability::Here {
        eprintln!("--lan needs network namespaces; `scripts/lan check` tells why there are none");
        return Some(ExitCode::from(2));
    }
    let is_terminal = std::io::stdout().is_terminal();
    let mut watch = |line: &ScriptLine, is_over: bool| {
        // On a terminal the tick replaces the dots when the step is over.
        let text = match (is_over, is_terminal) {
            (false, true) => format!("… {:4}  {}", line.number, line.text),
            (true, true) => format!("\r✓ {:4}  {}\n", line.number, line.text),
            (true, false) => format!("✓ {:4}  {}\n", line.number, line.text),
            (false, false) => return,
        };
        let mut out = std::io::stdout();
        // If nobody reads on, the exit status still tells the result.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    };
    match run(&script, place, &mut watch) {
        Ok(()) => {
            println!("{}: {} steps, all as expected", file.display(), script.lines.len());
            Some(ExitCode::SUCCESS)
        }
        Err(ScriptFailure::Unusable(why)) => {
            eprintln!("{}: {why}", file.display());
            Some(ExitCode::from(2))
        }
        Err(ScriptFailure::Failed(failure)) => {
            println!("{}✗ {:4}  {}", if is_terminal { "\r" } else { "" }, failure.line, failure.step);
            eprintln!("{failure}");
            Some(ExitCode::FAILURE)
        }
    }
}
