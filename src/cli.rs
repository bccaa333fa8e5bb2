//! The programs of the command line, and the meaning of their arguments.
//!
//! | module | what it is |
//! | --- | --- |
//! | `invocation` | the arguments and the environment, in usable values |
//! | `arguments`, `network_file` | the same as they are written |
//! | `node` | `quipu` |
//! | `backup` | `quipu backup` |
//! | `reset` | `quipu reset` |
//! | [`wallet`] | `quipu wallet …` |
//! | [`verify`] | `quipu verify` |
//! | `verify_page` | `quipu verify-page` |
//!
//! `quipu simulate` is a module of its own, `simulate`. Only `main` imports this one.

mod arguments;
mod backup;
pub mod invocation;
mod network_file;
mod node;
mod reset;
pub mod verify;
mod verify_page;
pub mod wallet;

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use zeroize::Zeroizing;

use self::invocation::wants_json;
pub use self::invocation::{ConfigError, Invocation};
use self::wallet::WalletRequest;
use crate::node::api::error::Failure;
use crate::node::prompt::json;
use crate::node::prompt::signal::Signals;
use crate::node::telemetry;
use crate::output;
use crate::simulate;
use crate::text::grouped;

/// The exit status for wrong arguments, as `clap` and most tools have it.
const EXIT_USAGE: u8 = 2;

/// Carries out the command line, or says why not.
pub fn run(invocation: Result<Invocation, ConfigError>) -> ExitCode {
    match invocation {
        Ok(Invocation::Node { config, wallet, new_wallet, passwords }) => {
            node::run(config, wallet.as_deref(), new_wallet, &passwords)
        }
        Ok(Invocation::Wallet { request, json, log }) => run_wallet(request, json, &log),
        Ok(Invocation::Backup { data_dir, to, json }) => report("backup", backup::run(&data_dir, &to), json, |done| {
            format!("copied {} files to {} ({} bytes)", done.files, done.folder, grouped(done.bytes))
        }),
        Ok(Invocation::Restore { from, data_dir, network, json }) => {
            report("restore", backup::restore(&from, &data_dir, &network), json, |done| {
                format!("restored {} files to {} ({} bytes)", done.files, done.folder, grouped(done.bytes))
            })
        }
        Ok(Invocation::Reset { data_dir, is_sure, json }) => {
            report("reset", reset::run(&data_dir, is_sure), json, |done| {
                format!("removed the chain in {} ({} bytes)", done.folder, grouped(done.bytes))
            })
        }
        Ok(Invocation::Verify { arguments, data_dir, name, network, json }) => {
            let place = verify::VerifyContext {
                data_dir: data_dir.as_deref(),
                name: name.as_deref(),
                network: network.as_ref(),
            };
            ExitCode::from(verify::run(&arguments, place, json))
        }
        Ok(Invocation::VerifyPage { file, json }) => report("verify-page", verify_page::run(&file), json, |done| {
            format!("wrote {} ({} bytes): a browser verifies receipts in it", done.file, grouped(done.bytes))
        }),
        Ok(Invocation::Simulate { arguments, json }) => run_simulation(&arguments, json),
        Err(ConfigError::Usage(error)) => usage(&error),
        Err(error) => fail("start", error.code(), &error.to_string(), wants_json()),
    }
}

fn run_wallet(request: WalletRequest, json: bool, log: &str) -> ExitCode {
    let _log = telemetry::start(log);
    let name = request.name();
    let done = match request.run() {
        Ok(done) => done,
        Err(error) => return fail(name, error.code(), &error.to_string(), json),
    };
    // A phrase or a key may be in it.
    let text = if json { Zeroizing::new(json::success(name, &done) + "\n") } else { done.to_text() };
    match (output::write(&text), done.if_unseen()) {
        (Ok(()), _) => ExitCode::SUCCESS,
        (Err(error), Some(consequence)) => {
            output::complain(format_args!("{}: {consequence}", output::unwritten(&error)));
            ExitCode::FAILURE
        }
        (written, None) => status_of(written),
    }
}

/// Reports what a program has done to a data folder.
fn report<T: Serialize>(
    program: &str,
    done: Result<T, Failure>,
    json: bool,
    text: impl FnOnce(&T) -> String,
) -> ExitCode {
    match done {
        Ok(done) if json => status_of(output::write(&(json::success(program, &done) + "\n"))),
        Ok(done) => status_of(output::write(&(text(&done) + "\n"))),
        Err(failure) => fail(program, failure.code.as_str(), &failure.message, json),
    }
}

fn run_simulation(arguments: &simulate::SimulateArguments, json: bool) -> ExitCode {
    // If signals can't be taken over, they end the process as usual.
    let signals = Signals::take_over().ok();
    let interrupted = || signals.as_ref().is_some_and(|signals| !signals.receiver.is_empty());
    match simulate::run(arguments, json, interrupted) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            fail("simulate", error.code(), &error.to_string(), json);
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Help and the version go to stdout with status 0, errors to stderr.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return status_of(error.print().and_then(|()| io::stdout().flush()));
    }
    if wants_json() {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        // The message goes to stderr in any case.
        let _ = output::write(&(json::start_failure("usage", line) + "\n"));
    }
    // A closed stderr leaves no place for a message.
    let _ = error.print();
    ExitCode::from(EXIT_USAGE)
}

fn fail(command: &str, code: &str, message: &str, json: bool) -> ExitCode {
    let message = &*output::with_remedy(message);
    if json {
        // The message goes to stderr in any case.
        let _ = output::write(&(json::error(command, code, message) + "\n"));
    }
    output::complain(message);
    ExitCode::FAILURE
}

/// The exit status after the last write to stdout.
fn status_of(written: io::Result<()>) -> ExitCode {
    match output::unless_closed(written) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(output::unwritten(&error));
            ExitCode::FAILURE
        }
    }
}
