//! The meaning of the arguments and the environment.
//!
//! [`Invocation::load`] returns either a command whose values are all usable, or one line that says what is wrong and
//! what would be right. It reads a network file; it makes no folder and opens no socket.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{OsStr as ClapText, Resettable};
use clap::{Command, CommandFactory, FromArgMatches};

use super::arguments::{Arguments, Program, parse_name};
use super::network_file::load_network;
use super::verify;
use super::wallet::WalletRequest;
use crate::node::config::{Config, HttpConfig};
use crate::node::wallet::password::Sources;
use crate::protocol::{Network, Parameters};
use crate::simulate;

/// The folder of a node that has no `--name`.
const DEFAULT_FOLDER: &str = "default";

/// The network of a node that names none.
const DEFAULT_NETWORK: &str = "lan";

/// The reason why a command line gives no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An argument is wrong, or help or the version was asked for. Knows its own exit status and how to be shown.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The network file can't be used.
    #[error("network file {file}: {problem}")]
    NetworkFile {
        file: String,
        /// The mistake and its remedy.
        problem: String,
    },
    /// The platform has no place for a program's data.
    #[error("this system has no folder for data (is HOME set?): choose one with --data-dir")]
    NoDataFolder,
}

impl ConfigError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::NetworkFile { .. } => "bad_network_file",
            Self::NoDataFolder => "data_folder",
        }
    }
}

/// A command line, understood.
#[derive(Debug)]
pub enum Invocation {
    /// `quipu`: run a node.
    Node {
        config: Config,
        /// The chosen wallet, if there is one.
        wallet: Option<String>,
        /// Whether to make a wallet where there is none any more.
        new_wallet: bool,
        /// The sources of the wallet's password.
        passwords: Sources,
    },
    /// `quipu wallet …`.
    Wallet { request: WalletRequest, json: bool, log: String },
    /// `quipu backup DIR`.
    Backup { data_dir: PathBuf, to: PathBuf, json: bool },
    /// `quipu restore DIR`.
    Restore { from: PathBuf, data_dir: PathBuf, network: Arc<Network>, json: bool },
    /// `quipu reset`.
    Reset { data_dir: PathBuf, is_sure: bool, json: bool },
    /// `quipu verify …`.
    Verify {
        arguments: verify::VerifyArguments,
        /// The folder of the node to ask.
        data_dir: Option<PathBuf>,
        /// The name of that node.
        name: Option<String>,
        /// The network that it must be, if one was named.
        network: Option<Arc<Network>>,
        json: bool,
    },
    /// `quipu verify-page FILE`.
    VerifyPage { file: PathBuf, json: bool },
    /// `quipu simulate …`.
    Simulate { arguments: simulate::SimulateArguments, json: bool },
}

impl Invocation {
    /// Reads the process's arguments and environment.
    pub fn load() -> Result<Self, ConfigError> {
        Self::from_arguments(std::env::args_os())
    }

    /// Reads these arguments, the program's name first, and the process's environment.
    pub fn from_arguments<T: Into<OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, ConfigError> {
        let mut arguments = parse(arguments, |variable| std::env::var_os(variable).is_some_and(|it| it.is_empty()))?;
        // A virtual network has its own parameters.
        if let Some(Program::Simulate(simulate)) = arguments.program {
            return Ok(Self::Simulate { arguments: simulate, json: arguments.json });
        }
        if let Some(Program::VerifyPage { file }) = arguments.program {
            return Ok(Self::VerifyPage { file, json: arguments.json });
        }
        let room = arguments.room.take().map(|name| Parameters::room(&name).name);
        let named = room.or(arguments.network.take());
        let network = Arc::new(load_network(named.as_deref().unwrap_or(DEFAULT_NETWORK))?);
        if let Some(Program::Verify(verify)) = arguments.program {
            let network = named.map(|_| network);
            let Arguments { data_dir, name, json, .. } = arguments;
            return Ok(Self::Verify { arguments: verify, data_dir, name, network, json });
        }
        let data_dir = match arguments.data_dir.take() {
            Some(folder) => folder,
            None => default_folder(&network.parameters().name, arguments.name.as_deref())?,
        };
        let log = arguments.log.take().unwrap_or_else(|| filter_of(arguments.verbose).to_owned());
        let passwords = Sources { file: arguments.password_file.take(), new_file: None };
        match arguments.program.take() {
            None => {
                let (wallet, new_wallet) = (arguments.wallet.take(), arguments.new_wallet);
                Ok(Self::Node { config: config(arguments, data_dir, network, log), wallet, new_wallet, passwords })
            }
            Some(Program::Wallet(command)) => {
                let request = WalletRequest { command, data_dir, passwords };
                Ok(Self::Wallet { request, json: arguments.json, log })
            }
            Some(Program::Backup { folder }) => Ok(Self::Backup { data_dir, to: folder, json: arguments.json }),
            Some(Program::Restore { folder }) => {
                Ok(Self::Restore { from: folder, data_dir, network, json: arguments.json })
            }
            Some(Program::Reset { yes }) => Ok(Self::Reset { data_dir, is_sure: yes, json: arguments.json }),
            Some(Program::Verify(_) | Program::VerifyPage { .. } | Program::Simulate(_)) => {
                unreachable!("they were taken before")
            }
        }
    }
}

/// Parses the arguments. Variables of the environment that are set but empty count as not set: that is how a compose
/// file or a unit says that there is none.
fn parse<T: Into<OsString> + Clone>(
    arguments: impl IntoIterator<Item = T>,
    is_empty: impl Fn(&OsStr) -> bool,
) -> Result<Arguments, clap::Error> {
    let mut command = without_empty(Arguments::command(), &is_empty);
    let matches = command.try_get_matches_from_mut(arguments)?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn without_empty(command: Command, is_empty: &dyn Fn(&OsStr) -> bool) -> Command {
    let command = command.mut_args(|argument| match argument.get_env() {
        Some(variable) if is_empty(variable) => argument.env(Resettable::<ClapText>::Reset),
        _ => argument,
    });
    command.mut_subcommands(|subcommand| without_empty(subcommand, is_empty))
}

/// The configuration of a node.
fn config(arguments: Arguments, data_dir: PathBuf, network: Arc<Network>, log: String) -> Config {
    Config {
        data_dir,
        name: arguments.name.unwrap_or_else(host_name),
        network,
        listen: arguments.listen,
        peers: arguments.peer,
        mdns: !arguments.no_mdns,
        index: !arguments.no_index,
        http: (!arguments.no_http).then_some(HttpConfig {
            address: arguments.http,
            read_only: arguments.http_read_only,
            names: arguments.http_name,
            origins: arguments.http_allow_origin,
            classic: !arguments.no_http_classic,
        }),
        mine: arguments.mine,
        threads: arguments.threads.map_or_else(default_threads, |threads| threads as usize),
        json: arguments.json,
        prompt: !arguments.no_prompt,
        log,
    }
}

/// Whether errors must be in JSON too. Asked before the arguments are parsed, and whether or not they make sense.
pub fn wants_json() -> bool {
    let env = std::env::var("QUIPU_JSON").unwrap_or_default().to_lowercase();
    ["1", "true", "t", "yes", "y", "on"].contains(&env.as_str()) || std::env::args_os().any(|arg| arg == "--json")
}

fn filter_of(verbose: u8) -> &'static str {
    match verbose {
        0 => "error,quipu=warn",
        // These warn of what a LAN does all the time, such as a machine that leaves.
        1 => "warn,yamux=error,libp2p_gossipsub=error,libp2p_mdns=error,quipu=info",
        2 => "info,quipu=debug",
        _ => "debug,quipu=trace",
    }
}

fn default_threads() -> usize {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        cores @ (1 | 2) => cores,
        cores => cores - 1,
    }
}

fn host_name() -> String {
    #[cfg(unix)]
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok();
    // `lab2.example.org` calls itself `lab2`.
    let short = name.as_deref().and_then(|name| name.split('.').next()).unwrap_or_default();
    parse_name(short).unwrap_or_else(|_| "node".to_owned())
}

/// The folder of a node that was given none: one for each network and name.
pub fn default_folder(network: &str, name: Option<&str>) -> Result<PathBuf, ConfigError> {
    let project = directories::ProjectDirs::from("", "", "quipu").ok_or(ConfigError::NoDataFolder)?;
    Ok(project.data_dir().join(network).join(name.unwrap_or(DEFAULT_FOLDER)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::MiningMode;
    use crate::protocol::Parameters;

    fn config_of(arguments: &[&str]) -> Result<Config, ConfigError> {
        match Invocation::from_arguments(["quipu"].iter().chain(arguments))? {
            Invocation::Node { config, .. } => Ok(config),
            other => panic!("{other:?}"),
        }
    }

    fn problem(arguments: &[&str]) -> String {
        config_of(arguments).expect_err("must be refused").to_string()
    }

    #[test]
    fn defaults() {
        let config = config_of(&[]).expect("valid");
        assert_eq!(config.network.parameters(), &Parameters::lan());
        assert!(config.data_dir.ends_with("quipu/lan/default"), "{}", config.data_dir.display());
        assert!(config.mdns && config.prompt && !config.json);
        assert!(config.threads >= 1 && !config.name.is_empty());
        assert_eq!((config.mine, config.log.as_str()), (MiningMode::Off, "error,quipu=warn"));
    }

    #[test]
    fn everything_given() {
        let line = "--name lab2 --network dev --listen /ip4/0.0.0.0/tcp/0 --listen /ip6/::/tcp/1 \
                    --peer /ip4/10.0.0.1/tcp/7787 --no-mdns --mine pending --threads 3 --json --no-prompt -vv";
        let config = config_of(&line.split_whitespace().collect::<Vec<_>>()).expect("valid");
        assert!(config.data_dir.ends_with("quipu/dev/lab2"));
        assert_eq!((config.name.as_str(), config.listen.len(), config.peers.len()), ("lab2", 2, 1));
        assert!(!config.mdns && !config.prompt && config.json);
        assert_eq!((config.mine, config.threads), (MiningMode::Pending, 3));
        assert_eq!(config.log, "info,quipu=debug");
    }

    #[test]
    fn a_room_is_a_network_of_its_own() {
        let parameters = |line: &str| {
            let config = config_of(&line.split_whitespace().collect::<Vec<_>>());
            config.map(|config| (config.network.parameters().clone(), config.data_dir))
        };
        let (room, folder) = parameters("--room Physics-7").expect("valid");
        assert_eq!(room, Parameters { name: "room-physics-7".to_owned(), ..Parameters::class() });
        assert!(folder.ends_with("quipu/room-physics-7/default"));
        for bad in ["--room a_b", "--room äb", "--room 0123456789012345678901234567", "--room x --network lan"] {
            assert!(parameters(bad).is_err(), "{bad}");
        }
        assert!(parameters("--room 012345678901234567890123456").is_ok());
    }

    #[test]
    fn a_variable_that_is_set_but_empty_counts_as_not_set() {
        fn variables(command: &Command) -> Vec<String> {
            let own = command.get_arguments().filter_map(|it| Some(it.get_env()?.to_string_lossy().into_owned()));
            own.chain(command.get_subcommands().flat_map(variables)).collect()
        }
        let all = variables(&Arguments::command());
        assert!(all.len() > 15 && all.contains(&"QUIPU_NEW_PASSWORD_FILE".to_owned()), "{all:?}");
        assert!(variables(&without_empty(Arguments::command(), &|_| true)).is_empty());
        let one = without_empty(Arguments::command(), &|variable| variable == "QUIPU_NEW_PASSWORD_FILE");
        let left = variables(&one);
        assert!(all.iter().all(|variable| left.contains(variable) != (variable == "QUIPU_NEW_PASSWORD_FILE")));
    }

    #[test]
    fn a_filter_outranks_verbosity() {
        assert_eq!(config_of(&["-v", "--log", "trace"]).expect("valid").log, "trace");
        assert!(problem(&["--log", "quipu=loud"]).contains("quipu=debug"));
    }

    #[test]
    fn wrong_arguments_are_usage_errors_that_help() {
        let cases: [(&[&str], &str); 9] = [
            (&["--listen", "lab1.local:7787"], "an IP address of this machine"),
            (&["--peer", "lab2"], "/ip4/192.168.1.5/tcp/7787"),
            (&["--peer", ""], "192.168.1.5:7787"),
            (&["--mine", "maybe"], "off, on or pending"),
            (&["--threads", "0"], "1..=1024"),
            (&["--name", "../up"], "leading dot"),
            (&["--name", "a/b"], "none of"),
            (&["--name", "0123456789012345678901234567890123"], "1 to 32"),
            (&["--nmae", "x"], "--name"),
        ];
        for (arguments, hint) in cases {
            let error = config_of(arguments).expect_err("must be refused");
            assert_eq!(error.code(), "usage");
            assert!(error.to_string().contains(hint), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn options_go_before_and_after_a_subcommand() {
        let lines = [
            "--name lab2 --network dev --json wallet new team --no-password",
            "wallet new team --no-password --name lab2 --network dev --json",
            "--name lab2 wallet --network dev new --json team --no-password",
        ];
        for line in lines {
            match Invocation::from_arguments(format!("quipu {line}").split(' ')).expect("valid") {
                Invocation::Wallet { request, json, .. } => {
                    assert!(request.data_dir.ends_with("quipu/dev/lab2"), "{line}: {}", request.data_dir.display());
                    assert!(json && format!("{:?}", request.command).contains("\"team\""), "{line}: {request:?}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_wallet_and_its_password_for_the_start() {
        let line = ["quipu", "--wallet", "team", "--password-file", "secret"];
        match Invocation::from_arguments(line).expect("valid") {
            Invocation::Node { wallet, passwords, .. } => {
                assert_eq!(wallet.as_deref(), Some("team"));
                assert_eq!(passwords.file.as_deref(), Some(std::path::Path::new("secret")));
            }
            other => panic!("{other:?}"),
        }
    }
}
