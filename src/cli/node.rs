//! `quipu`: runs a node and serves its user.

use std::process::ExitCode;

use super::{backup, fail};
use crate::node::config::Config;
use crate::node::keys::load_or_create_identity;
use crate::node::prompt::signal::Signals;
use crate::node::prompt::{self, PromptOptions};
use crate::node::wallet::Wallets;
use crate::node::wallet::password::Sources;
use crate::node::{self, telemetry};
use crate::output;

/// Runs the node until the user leaves, or until it fails.
pub(super) fn run(config: Config, wallet: Option<&str>, new_wallet: bool, passwords: &Sources) -> ExitCode {
    let json = config.json;
    match serve(config, wallet, new_wallet, passwords) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::ToStart { code, message }) => fail("start", code, &message, json),
        // Scripts have got the event `fatal` already.
        Err(Failed::Later(message)) => fail("start", "fatal", &message, false),
    }
}

enum Failed {
    ToStart { code: &'static str, message: String },
    Later(String),
}

fn serve(config: Config, wallet: Option<&str>, new_wallet: bool, passwords: &Sources) -> Result<(), Failed> {
    let log = telemetry::start(&config.log);
    let options = PromptOptions::new(&config, passwords);
    let failed = |code, message| Failed::ToStart { code, message };
    let signals = Signals::take_over().map_err(|error| failed("signals", error.to_string()))?;
    if !new_wallet && let Some(inside) = backup::mistaken_folder(&config.data_dir) {
        let (folder, inside) = (config.data_dir.display(), inside.display());
        let message = format!(
            "{folder} holds no chain and no wallet, but {inside} does: choose that with --data-dir {inside}, or begin another \
             account in {folder} with --new-wallet"
        );
        return Err(failed("node_folder_inside", message));
    }
    let identity =
        load_or_create_identity(&config.data_dir).map_err(|error| failed(error.code(), error.to_string()))?;
    let first = if new_wallet { Wallets::make_first(&config.data_dir) } else { Ok(()) };
    let wallets = first
        .and_then(|()| passwords.given())
        .and_then(|password| Wallets::open(&config.data_dir, wallet, password))
        .map_err(|error| failed(error.code(), error.to_string()))?;
    let node = node::start(config, identity, wallets).map_err(|error| failed(error.code(), error.to_string()))?;
    let handle = node.handle();
    let shown = prompt::run(&handle, handle.subscribe(), &options, &log, &signals);
    signals.leaving();
    handle.shut_down();
    node.join().map_err(Failed::Later)?;
    shown.map_err(|error| Failed::Later(output::unwritten(&error)))
}
