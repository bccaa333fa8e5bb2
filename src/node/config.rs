//! The command line, the environment, and network files.
//!
//! [`Config::load`] either gives a configuration in which every value is usable, or one line that says what is wrong
//! and what would be right. It reads a network file; it makes no folder and opens no socket.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser};
use libp2p::Multiaddr;
use tracing_subscriber::EnvFilter;

use crate::engine::event::MiningMode;
use crate::protocol::message::NICKNAME_BYTES_MAX;
use crate::protocol::{Network, Parameters};

/// The longest network file, in bytes.
const NETWORK_FILE_BYTES_MAX: u64 = 64 << 10;
/// More threads than any machine of a user has.
const THREADS_MAX: u64 = 1024;
/// The folder of a node that has no `--name`.
const DEFAULT_FOLDER: &str = "default";

/// Everything that the arguments and the environment say.
#[derive(Debug, Clone)]
pub struct Config {
    /// One folder for each network and name.
    pub data_dir: PathBuf,
    /// What the owner calls the node; told to peers.
    pub name: String,
    /// The network.
    pub network: Arc<Network>,
    /// As in `SwarmConfig`.
    pub listen: Vec<Multiaddr>,
    /// As in `SwarmConfig`.
    pub peers: Vec<Multiaddr>,
    /// As in `SwarmConfig`.
    pub mdns: bool,
    /// Whether to keep an index of transactions and records.
    pub index: bool,
    /// When to mine.
    pub mine: MiningMode,
    /// Miner threads.
    pub threads: usize,
    /// JSON lines on stdout.
    pub json: bool,
    /// Whether to read commands.
    pub prompt: bool,
    /// tracing filter.
    pub log: String,
}

/// Why the command line gives no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An argument is wrong, or help or the version was asked for. Knows its own exit status and how to be shown.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The network file can't be used.
    #[error("network file {file}: {problem}")]
    NetworkFile {
        /// Which.
        file: String,
        /// What is wrong with it, and what would be right.
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

/// A ledger that the machines of a network keep together.
///
/// Start quipu on a few machines: they find each other by themselves and agree on one chain of signed transactions.
/// Type `help` at the prompt to see what to do next.
#[derive(Debug, Parser)]
#[command(name = "quipu", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Arguments {
    /// Folder for the keys and the chain [default: the platform's data folder, one for each network and name]
    #[arg(long, value_name = "DIR", env = "QUIPU_DATA_DIR")]
    data_dir: Option<PathBuf>,

    /// What other nodes call this one, and which of several nodes on this machine it is [default: the host's name]
    #[arg(long, value_name = "NAME", env = "QUIPU_NAME", value_parser = parse_name)]
    name: Option<String>,

    /// `lan`, `dev` (trivial difficulty, for lessons), or a TOML file with the parameters of another network
    #[arg(long, value_name = "lan|dev|FILE.toml", env = "QUIPU_NETWORK", default_value = "lan")]
    network: String,

    /// Address to listen on, may be repeated [default: TCP port 7787 or any free one, on all interfaces]
    #[arg(long, value_name = "MULTIADDR", env = "QUIPU_LISTEN", value_delimiter = ',', value_parser = parse_multiaddr)]
    listen: Vec<Multiaddr>,

    /// A node to stay connected to, may be repeated; none is needed on a LAN
    #[arg(long, value_name = "MULTIADDR", env = "QUIPU_PEER", value_delimiter = ',', value_parser = parse_multiaddr)]
    peer: Vec<Multiaddr>,

    /// Do not look for nodes on the LAN
    #[arg(long, env = "QUIPU_NO_MDNS", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    no_mdns: bool,

    /// Keep no index of transactions and records: `history` and `records` do not answer
    #[arg(long, env = "QUIPU_NO_INDEX", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    no_index: bool,

    /// Mine by itself: `on` always, `pending` only while transactions wait
    #[arg(long, value_name = "off|on|pending", env = "QUIPU_MINE", default_value = "off", value_parser = parse_mode)]
    mine: MiningMode,

    /// Threads that mine [default: one for each core, less one to leave room for you]
    #[arg(long, value_name = "N", env = "QUIPU_THREADS", value_parser = clap::value_parser!(u64).range(1..=THREADS_MAX))]
    threads: Option<u64>,

    /// One JSON object a line on stdout, for scripts
    #[arg(long, env = "QUIPU_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    json: bool,

    /// Read no commands; run until SIGINT or SIGTERM
    #[arg(long, env = "QUIPU_NO_PROMPT", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    no_prompt: bool,

    /// What to log to stderr, such as `quipu=debug,libp2p=info`; outranks -v
    #[arg(long, value_name = "FILTER", env = "QUIPU_LOG", value_parser = parse_filter)]
    log: Option<String>,

    /// Log more; up to three times
    #[arg(short, long, env = "QUIPU_VERBOSE", action = ArgAction::Count)]
    verbose: u8,
}

const AFTER_HELP: &str = "\
Examples:
  quipu                                     a node; start another on the same network and they meet
  quipu --name lab2                         a second node on the same machine
  quipu --mine pending                      mines whenever transactions wait
  quipu --peer /ip4/192.168.1.5/tcp/7787    also stays connected to a node that discovery does not reach
  echo status | quipu --json                for scripts: every answer is one JSON object on a line

Every option can also be given in the environment: QUIPU_DATA_DIR, QUIPU_NAME, and so on; lists have commas.

A network file has all of these, with times in milliseconds and amounts as decimal strings; the values are lan's:
  name = \"lab\"                      genesis_time = 1793491200000     target_spacing = 10000
  half_life = 180000                easiest_target = 0x1e03ffff      future_time_max = 60000
  subsidy = \"1\"                     fee_min = \"0\"                    block_bytes_max = 1048576
(each on a line of its own). Nodes whose files differ in anything are on different networks.";

impl Config {
    /// From the process's arguments and environment.
    pub fn load() -> Result<Self, ConfigError> {
        Self::from_arguments(std::env::args_os())
    }

    /// From these arguments, the program's name first, and the process's environment.
    pub fn from_arguments<T: Into<OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, ConfigError> {
        let arguments = Arguments::try_parse_from(arguments)?;
        let network = Arc::new(load_network(&arguments.network)?);
        let data_dir = match arguments.data_dir {
            Some(folder) => folder,
            None => default_folder(&network.parameters().name, arguments.name.as_deref())?,
        };
        Ok(Self {
            data_dir,
            name: arguments.name.unwrap_or_else(host_name),
            network,
            listen: arguments.listen,
            peers: arguments.peer,
            mdns: !arguments.no_mdns,
            index: !arguments.no_index,
            mine: arguments.mine,
            threads: arguments.threads.map_or_else(default_threads, |threads| threads as usize),
            json: arguments.json,
            prompt: !arguments.no_prompt,
            log: arguments.log.unwrap_or_else(|| filter_of(arguments.verbose).to_owned()),
        })
    }
}

/// Whether errors must be told in JSON too: asked before, and whether or not, the arguments make sense.
pub fn wants_json() -> bool {
    let env = std::env::var("QUIPU_JSON").unwrap_or_default().to_lowercase();
    ["1", "true", "t", "yes", "y", "on"].contains(&env.as_str()) || std::env::args_os().any(|arg| arg == "--json")
}

/// An address of a peer, or what is wrong with it and an example; a plain `host:port` is shown rewritten.
pub fn parse_multiaddr(text: &str) -> Result<Multiaddr, String> {
    if let Ok(address) = text.parse::<Multiaddr>()
        && !address.is_empty()
    {
        return Ok(address);
    }
    let example = match text.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(v4)) => format!("/ip4/{}/tcp/{}", v4.ip(), v4.port()),
        Ok(SocketAddr::V6(v6)) => format!("/ip6/{}/tcp/{}", v6.ip(), v6.port()),
        Err(_) => "/ip4/192.168.1.5/tcp/7787".to_owned(),
    };
    Err(format!("not a multiaddress, write it like {example}"))
}

/// `off`, `on` or `pending`.
pub fn parse_mode(text: &str) -> Result<MiningMode, String> {
    match text {
        "off" => Ok(MiningMode::Off),
        "on" => Ok(MiningMode::On),
        "pending" => Ok(MiningMode::Pending),
        _ => Err("mining is off, on or pending".to_owned()),
    }
}

fn parse_name(text: &str) -> Result<String, String> {
    // It names a folder too, so nothing that leads out of it or that a file system refuses.
    let forbidden = |c: char| c.is_control() || r#"/\:*?"<>|"#.contains(c);
    if text.is_empty() || text.len() > NICKNAME_BYTES_MAX {
        Err(format!("a name has 1 to {NICKNAME_BYTES_MAX} bytes"))
    } else if text.starts_with('.') || text.trim() != text || text.contains(forbidden) {
        Err(r#"a name has no leading dot, no outer blanks and none of / \ : * ? " < > |"#.to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn parse_filter(text: &str) -> Result<String, String> {
    let hint = "a filter is a level (error, warn, info, debug, trace) or a list such as quipu=debug,libp2p=info";
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| format!("{error}; {hint}"))
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

fn default_folder(network: &str, name: Option<&str>) -> Result<PathBuf, ConfigError> {
    let project = directories::ProjectDirs::from("", "", "quipu").ok_or(ConfigError::NoDataFolder)?;
    Ok(project.data_dir().join(network).join(name.unwrap_or(DEFAULT_FOLDER)))
}

fn load_network(text: &str) -> Result<Network, ConfigError> {
    let fail = |problem: String| ConfigError::NetworkFile { file: text.to_owned(), problem };
    let parameters = match Parameters::preset(text) {
        Some(parameters) => parameters,
        None => read_network_file(text)
            .and_then(|content| parse_parameters(&content))
            .and_then(|parameters| check_usable(parameters, SystemTime::now()))
            .map_err(fail)?,
    };
    Network::new(parameters).map_err(|error| fail(error.to_string()))
}

/// Two mistakes that are not against the rules, but would only be noticed when nodes don't agree.
fn check_usable(parameters: Parameters, now: SystemTime) -> Result<Parameters, String> {
    if Parameters::preset(&parameters.name).is_some_and(|preset| preset != parameters) {
        return Err(format!("name: {} is another network already, choose a new name", parameters.name));
    }
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    if u128::from(parameters.genesis_time.0) > now {
        return Err(format!("genesis_time: is in the future, and no block may be; it is {now} now"));
    }
    Ok(parameters)
}

fn read_network_file(text: &str) -> Result<String, String> {
    let file = Path::new(text);
    let explain = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file; --network takes lan, dev or a TOML file".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    if fs::metadata(file).map_err(explain)?.len() > NETWORK_FILE_BYTES_MAX {
        return Err(format!("is longer than {NETWORK_FILE_BYTES_MAX} bytes, so it is no network file"));
    }
    fs::read_to_string(file).map_err(explain)
}

/// One line for what can be wrong: the parser's own errors are drawn over several, and leave the field's name to the
/// drawing.
fn parse_parameters(text: &str) -> Result<Parameters, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let message = error.message().lines().next().unwrap_or("not TOML").to_owned();
        if message.starts_with("missing field") {
            return format!("{message}; every parameter must be there");
        }
        let Some(span) = error.span().filter(|span| span.end <= text.len()) else { return message };
        let before = &text[..span.start];
        let (number, line_start) = (before.matches('\n').count() + 1, before.rfind('\n').map_or(0, |at| at + 1));
        let line = text[line_start..].lines().next().unwrap_or_default();
        match line.split_once('=').map(|(field, _)| field.trim()) {
            Some(field) if !message.contains(&format!("`{field}`")) => format!("line {number}: {field}: {message}"),
            _ => format!("line {number}: {message}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<Config, ConfigError> {
        Config::from_arguments(["quipu"].iter().chain(arguments))
    }

    fn problem(arguments: &[&str]) -> String {
        config(arguments).expect_err("must be refused").to_string()
    }

    #[test]
    fn defaults() {
        let config = config(&[]).expect("valid");
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
        let config = config(&line.split_whitespace().collect::<Vec<_>>()).expect("valid");
        assert!(config.data_dir.ends_with("quipu/dev/lab2"));
        assert_eq!((config.name.as_str(), config.listen.len(), config.peers.len()), ("lab2", 2, 1));
        assert!(!config.mdns && !config.prompt && config.json);
        assert_eq!((config.mine, config.threads), (MiningMode::Pending, 3));
        assert_eq!(config.log, "info,quipu=debug");
    }

    #[test]
    fn a_filter_outranks_verbosity() {
        assert_eq!(config(&["-v", "--log", "trace"]).expect("valid").log, "trace");
        assert!(problem(&["--log", "quipu=loud"]).contains("quipu=debug"));
    }

    #[test]
    fn wrong_arguments_are_usage_errors_that_help() {
        let cases: [(&[&str], &str); 9] = [
            (&["--listen", "0.0.0.0:7787"], "/ip4/0.0.0.0/tcp/7787"),
            (&["--peer", "lab2"], "/ip4/192.168.1.5/tcp/7787"),
            (&["--peer", ""], "multiaddress"),
            (&["--mine", "maybe"], "off, on or pending"),
            (&["--threads", "0"], "1..=1024"),
            (&["--name", "../up"], "leading dot"),
            (&["--name", "a/b"], "none of"),
            (&["--name", "0123456789012345678901234567890123"], "1 to 32"),
            (&["--nmae", "x"], "--name"),
        ];
        for (arguments, hint) in cases {
            let error = config(arguments).expect_err("must be refused");
            assert_eq!(error.code(), "usage");
            assert!(error.to_string().contains(hint), "{arguments:?}: {error}");
        }
    }

    fn with_file(content: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("lab.toml");
        fs::write(&file, content).expect("written");
        let path = file.to_str().expect("a plain path");
        let result = config(&["--network", path]);
        result.map_err(|error| {
            assert_eq!(error.code(), "bad_network_file");
            let text = error.to_string();
            assert!(text.contains(path) && !text.contains('\n'), "one line with the file's name: {text}");
            text
        })
    }

    const FILE: &str = r#"
name = "lab"
genesis_time = 1793491200000
target_spacing = 10000
half_life = 180000
easiest_target = 0x1e03ffff
future_time_max = 60000
subsidy = "2.5"
fee_min = "0"
block_bytes_max = 1048576
"#;

    #[test]
    fn a_network_file() {
        let config = with_file(FILE).expect("valid");
        assert_eq!(config.network.parameters().subsidy.to_string(), "2.5");
        assert!(config.data_dir.ends_with("quipu/lab/default"));
    }

    #[test]
    fn bad_network_files_name_the_field_and_what_is_right() {
        let cases: [(&str, &str, &[&str]); 12] = [
            ("name = \"lab\"\n", "", &["missing field `name`", "every parameter"]),
            ("\"lab\"", "\"La b\"", &["name: use 1 to 32 of a-z"]),
            ("\"2.5\"", "2.5", &["line 8: subsidy:", "string"]),
            ("\"2.5\"", "\"-1\"", &["subsidy: an amount cannot be negative"]),
            ("\"2.5\"", "\"0.123456789\"", &["subsidy: an amount has at most 8 decimals"]),
            ("fee_min", "feemin", &["line 9:", "unknown field `feemin`", "`fee_min`"]),
            ("10000\n", "-1\n", &["line 4: target_spacing:"]),
            ("10000\n", "0\n", &["target_spacing: must be at least 1"]),
            ("0x1e03ffff", "0", &["easiest_target:"]),
            ("1048576", "", &["line 10:", "block_bytes_max"]),
            ("\"lab\"", "\"dev\"", &["name: dev is another network already"]),
            ("1793491200000", "17934912000000", &["genesis_time: is in the future"]),
        ];
        for (from, to, words) in cases {
            let text = with_file(&FILE.replacen(from, to, 1)).expect_err(to);
            for word in words {
                assert!(text.contains(word), "{to:?}: {text}");
            }
        }
    }

    #[test]
    fn a_network_that_is_not_there() {
        assert!(problem(&["--network", "lann"]).contains("lan, dev or a TOML file"));
        assert!(problem(&["--network", "/"]).contains("cannot be read"));
    }
}
