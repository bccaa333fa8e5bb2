//! Parses the arguments, runs the node, serves its user.

use std::io::{self, Write};
use std::process::ExitCode;

use quipu::node::config::{self, Config, ConfigError};
use quipu::node::keys::Keys;
use quipu::node::prompt::signal::Signals;
use quipu::node::prompt::{self, Options, json};
use quipu::node::{self, telemetry};

/// As `clap` and most tools have it: the arguments make no sense.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let config = match Config::load() {
        Ok(config) => config,
        Err(ConfigError::Usage(error)) => return usage(&error),
        Err(error) => return fail(error.code(), &error.to_string(), config::wants_json()),
    };
    let json = config.json;
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::ToStart { code, message }) => fail(code, &message, json),
        // The event `fatal` has told scripts already.
        Err(Failed::Later(message)) => fail("fatal", &message, false),
    }
}

enum Failed {
    ToStart { code: &'static str, message: String },
    Later(String),
}

fn run(config: Config) -> Result<(), Failed> {
    let log = telemetry::start(&config.log);
    let options = Options::from(&config);
    let failed = |code, message| Failed::ToStart { code, message };
    let signals = Signals::take_over().map_err(|error| failed("signals", error.to_string()))?;
    let keys = Keys::load_or_create(&config.data_dir).map_err(|error| failed(error.code(), error.to_string()))?;
    let node = node::start(config, keys).map_err(|error| failed(error.code(), error.to_string()))?;
    let handle = node.handle();
    prompt::run(&handle, handle.subscribe(), &options, &log, &signals);
    signals.leaving();
    handle.shut_down();
    node.join().map_err(Failed::Later)
}

/// Help and the version go to stdout with status 0, errors to stderr.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    if config::wants_json() {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        say(&json::start_failure("usage", line));
    }
    // Nobody is left to be told that stderr is closed.
    let _ = error.print();
    ExitCode::from(EXIT_USAGE)
}

fn fail(code: &str, message: &str, json: bool) -> ExitCode {
    if json {
        say(&json::start_failure(code, message));
    }
    eprintln!("quipu: {message}");
    ExitCode::FAILURE
}

/// To stdout; nobody is left to be told that it is closed.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
