//! Scenario scripts: plain text, one step a line, on real nodes. The language is in `tests/scenarios/README.md`.
//!
//! # The seam
//!
//! ```text
//!   parse ──> script::Script { nodes, lines: [Line { number, text, step: Step }] }
//!                                 │
//!                      a runner: fn run(&Script, …) -> Result<(), Box<outcome::Failure>>
//!                                 │ real::Runner: processes, on loopback or on a LAN
//! ```
//!
//! - Above the runner nothing knows how a step is carried out: [`script`] is data, [`parse`] makes it (names checked,
//!   `repeat` written out), [`question`] says what can be asked and compares answers, [`values`] puts in what `let` has
//!   kept, [`outcome`] is how a failure is told.
//! - A runner is one `match` on [`Step`](script::Step), whose documentation is the contract: when a step is over, what it
//!   says is so. Answers of commands are JSON as `src/node/prompt/json.rs` documents it. It refuses a step that
//!   it can't carry out, with a [`Trouble`](outcome::Trouble), and never passes it by.
//!
//! There is no trait between the two: a runner calls what it needs from above.

mod outcome;
mod parse;
mod question;
mod real;
mod script;
mod tests;
mod values;
mod words;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::Trial;

use self::real::{Ground, Runner};
use self::script::{Line, Script};
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
            trials.push(privileged(&format!("scenario::{name}::on_a_lan"), move || test(&file, true)));
        }
        trials.push(plain(&format!("scenario::{name}"), move || test(&file, false)));
    }
    trials
}

fn test(file: &Path, on_a_lan: bool) {
    let script = Script::open(file).unwrap_or_else(|error| panic!("{error}"));
    let ground = if on_a_lan { Ground::lan(&script.nodes) } else { Ground::loopback() };
    if let Err(failure) = Runner::run(&script, ground, &mut |_, _| {}) {
        panic!("{failure}");
    }
}

/// Runs the one script that `scripts/scenario` asks for through the environment. 0: all as expected, 1: a step failed, 2:
/// the script can't be read, or this machine can't run it.
pub(crate) fn asked_for() -> Option<ExitCode> {
    let file = PathBuf::from(std::env::var_os("QUIPU_SCENARIO")?);
    let on_a_lan = std::env::var_os("QUIPU_SCENARIO_LAN").is_some();
    let script = match Script::open(&file) {
        Ok(script) => script,
        Err(error) => {
            eprintln!("{error}");
            return Some(ExitCode::from(2));
        }
    };
    if on_a_lan && *ability() != Ability::Here {
        eprintln!("--lan needs network namespaces; `scripts/lan check` tells why there are none");
        return Some(ExitCode::from(2));
    }
    let ground = if on_a_lan { Ground::lan(&script.nodes) } else { Ground::loopback() };
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
    match Runner::run(&script, ground, &mut watch) {
        Ok(()) => {
            println!("{}: {} steps, all as expected", file.display(), script.lines.len());
            Some(ExitCode::SUCCESS)
        }
        Err(failure) => {
            println!("{}✗ {:4}  {}", if is_terminal { "\r" } else { "" }, failure.line, failure.step);
            eprintln!("{failure}");
            Some(ExitCode::FAILURE)
        }
    }
}
