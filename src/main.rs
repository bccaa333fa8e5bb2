//! Parses the arguments and runs what they ask for.

use std::process::ExitCode;

use quipu::cli::{self, Invocation};

fn main() -> ExitCode {
    cli::run(Invocation::load())
}
