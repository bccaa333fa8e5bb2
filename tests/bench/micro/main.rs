//! BranchTimes of single parts: `cargo bench --bench micro [PART OF A NAME]`.
//!
//! Beside a part with a limit stands the limit, measured in the same run: the bare map operations of a block, a bare
//! append with fdatasync of the same bytes. Without an argument the ratios that have a target come last, with exit
//! status 1 if one is missed; with `--rows` they come alone, as lines for `scripts/bench`.
//!
//! `--no-default-features` leaves out the store and, with it, most of what has to be built. Instructions, which do not
//! depend on the machine, are counted by `scripts/instructions`.

mod checking;
mod connecting;
mod encoding;
mod hashing;
mod pool;
mod reorganising;
#[path = "../shell.rs"]
mod shell;
#[allow(dead_code, reason = "each benchmark asks what it needs")]
#[path = "../statistics.rs"]
mod statistics;
#[cfg(feature = "node")]
mod store;
mod targets;
#[path = "../world.rs"]
mod world;

use std::process::ExitCode;

use targets::OutputForm;

fn main() -> ExitCode {
    // Cargo passes `--bench` to every benchmark.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let is_met = match &arguments[..] {
        [only] if only == "--rows" => targets::are_met(OutputForm::Rows),
        _ => {
            divan::main();
            !arguments.is_empty() || targets::are_met(OutputForm::Table)
        }
    };
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
