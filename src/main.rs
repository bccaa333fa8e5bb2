//! Parses the arguments, runs the node or a subcommand, serves the user.

use std::io::{self, Write};
use std::process::ExitCode;

use quipu::node::config::{self, Config, ConfigError, Invocation};
use quipu::node::keys::load_or_create_identity;
use quipu::node::prompt::signal::Signals;
use quipu::node::prompt::{self, Options, json};
use quipu::node::wallet::Wallets;
use quipu::node::wallet::command::Request;
use quipu::node::wallet::password::Sources;
use quipu::node::{self, telemetry, verify};
use quipu::simulate;
use zeroize::Zeroizing;

/// As `clap` and most tools have it: the arguments make no sense.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    match Invocation::load() {
        Ok(Invocation::Node { config, wallet, passwords }) => {
            let json = config.json;
            match run(config, wallet.as_deref(), &passwords) {
                Ok(()) => ExitCode::SUCCESS,
                Err(Failed::ToStart { code, message }) => fail("start", code, &message, json),
                // The event `fatal` has told scripts already.
                Err(Failed::Later(message)) => fail("start", "fatal", &message, false),
            }
        }
        Ok(Invocation::Wallet { request, json, log }) => wallet(request, json, &log),
        Ok(Invocation::Verify { arguments, data_dir, name, network, json }) => {
            let place =
                verify::Place { data_dir: data_dir.as_deref(), name: name.as_deref(), network: network.as_ref() };
            ExitCode::from(verify::run(&arguments, place, json))
        }
        Ok(Invocation::Simulate { arguments, json }) => simulate(&arguments, json),
        Err(ConfigError::Usage(error)) => usage(&error),
        Err(error) => fail("start", error.code(), &error.to_string(), config::wants_json()),
    }
}

enum Failed {
    ToStart { code: &'static str, message: String },
    Later(String),
}

fn run(config: Config, wallet: Option<&str>, passwords: &Sources) -> Result<(), Failed> {
    let log = telemetry::start(&config.log);
    let options = Options::new(&config, passwords);
    let failed = |code, message| Failed::ToStart { code, message };
    let signals = Signals::take_over().map_err(|error| failed("signals", error.to_string()))?;
    let identity =
        load_or_create_identity(&config.data_dir).map_err(|error| failed(error.code(), error.to_string()))?;
    let wallets = passwords
        .given()
        .and_then(|password| Wallets::open(&config.data_dir, wallet, password))
        .map_err(|error| failed(error.code(), error.to_string()))?;
    let node = node::start(config, identity, wallets).map_err(|error| failed(error.code(), error.to_string()))?;
    let handle = node.handle();
    prompt::run(&handle, handle.subscribe(), &options, &log, &signals);
    signals.leaving();
    handle.shut_down();
    node.join().map_err(Failed::Later)
}

fn wallet(request: Request, json: bool, log: &str) -> ExitCode {
    let _log = telemetry::start(log);
    let name = request.name();
    match request.run() {
        // A phrase or a key may be in it.
        Ok(done) if json => say(&Zeroizing::new(json::success(name, &done) + "\n")),
        Ok(done) => say(&done.to_text()),
        Err(error) => return fail(name, error.code(), &error.to_string(), json),
    }
    ExitCode::SUCCESS
}

fn simulate(arguments: &simulate::Arguments, json: bool) -> ExitCode {
    // Where signals can't be taken over, they end the process as usual.
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
        error.exit();
    }
    if config::wants_json() {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        say(&(json::start_failure("usage", line) + "\n"));
    }
    // Nobody is left to be told that stderr is closed.
    let _ = error.print();
    ExitCode::from(EXIT_USAGE)
}

fn fail(command: &str, code: &str, message: &str, json: bool) -> ExitCode {
    if json {
        say(&(json::error(command, code, message) + "\n"));
    }
    eprintln!("quipu: {message}");
    ExitCode::FAILURE
}

/// To stdout; nobody is left to be told that it is closed.
fn say(text: &str) {
    let mut stdout = io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
