//! The command line as `clap` reads it, and the texts of its values.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::uri::Authority;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser, Subcommand};
use libp2p::Multiaddr;
use tracing_subscriber::EnvFilter;

use super::{verify, wallet};
use crate::engine::event::MiningMode;
use crate::node::api::parse;
use crate::node::api::peer_address::{listen_address, peer_address};
use crate::protocol::message::NICKNAME_BYTES_MAX;
use crate::protocol::network::ROOM_NAME_BYTES_MAX;
use crate::simulate;

/// More threads than any user's machine has.
const THREADS_MAX: u64 = 1024;

/// A ledger that the machines of a network keep together.
///
/// Start quipu on a few machines: they find each other by themselves and agree on one chain of signed transactions.
/// Type `help` at the prompt to see what to do next.
#[derive(Debug, Parser)]
#[command(name = "quipu", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// Folder for the keys and the chain [default: the platform's data folder, one for each network and name]
    #[arg(long, value_name = "DIR", env = "QUIPU_DATA_DIR", global = true)]
    pub(super) data_dir: Option<PathBuf>,

    /// The node's name, for other nodes and to tell several nodes on this machine apart [default: the host's name]
    #[arg(long, value_name = "NAME", env = "QUIPU_NAME", value_parser = parse_name, global = true)]
    pub(super) name: Option<String>,

    /// `lan`, `class` (a block every 5 s, for lessons), `dev` (trivial difficulty, for tests), or a TOML file with the
    /// parameters of another network [default: lan]
    #[arg(long, value_name = "lan|class|dev|FILE.toml", env = "QUIPU_NETWORK", global = true)]
    pub(super) network: Option<String>,

    /// A network of its own for all who give the same name: `class` as `room-NAME`
    #[arg(long, value_name = "NAME", env = "QUIPU_ROOM", value_parser = parse_room, conflicts_with = "network", global = true)]
    pub(super) room: Option<String>,

    /// The wallet to use [default: the one used last, else `default`, else the only one]
    #[arg(long, value_name = "NAME", env = "QUIPU_WALLET", global = true)]
    pub(super) wallet: Option<String>,

    /// Make a wallet if the folder has none, though it has a chain: another account than before
    #[arg(long, env = "QUIPU_NEW_WALLET", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(super) new_wallet: bool,

    /// File whose first line is the wallet's password; or put the password itself in QUIPU_WALLET_PASSWORD
    #[arg(long, value_name = "FILE", env = "QUIPU_PASSWORD_FILE", global = true)]
    pub(super) password_file: Option<PathBuf>,

    /// Address to listen on, may be repeated [default: TCP port 7787 or any free one, on all interfaces]
    #[arg(long, value_name = "MULTIADDR", env = "QUIPU_LISTEN", value_delimiter = ',', value_parser = listen_address)]
    pub(super) listen: Vec<Multiaddr>,

    /// A node to stay connected to (IP, IP:PORT, NAME:PORT or a multiaddress), may be repeated; none is needed on a LAN
    #[arg(long, value_name = "ADDRESS", env = "QUIPU_PEER", value_delimiter = ',', value_parser = peer_address)]
    pub(super) peer: Vec<Multiaddr>,

    /// Do not look for nodes on the LAN
    #[arg(long, env = "QUIPU_NO_MDNS", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(super) no_mdns: bool,

    /// Keep no index of transactions and records: `history`, `records` and `watch` do not answer
    #[arg(long, env = "QUIPU_NO_INDEX", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(super) no_index: bool,

    /// Where to serve the page and the API [default: port 7788 of 127.0.0.1, or the next free one]. Clients elsewhere, and
    /// other users of this machine, need the token in the data folder's file `http-token`
    #[arg(long, value_name = "ADDRESS:PORT", env = "QUIPU_HTTP", value_parser = parse_socket)]
    pub(super) http: Option<SocketAddr>,

    /// Serve no page and no API
    #[arg(long, env = "QUIPU_NO_HTTP", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new(),
        conflicts_with_all = ["http", "http_read_only", "http_name", "http_allow_origin", "no_http_classic"])]
    pub(super) no_http: bool,

    /// A name under which a reverse proxy serves this node, may be repeated; foreign names are refused
    #[arg(long, value_name = "NAME", env = "QUIPU_HTTP_NAME", value_delimiter = ',', value_parser = parse_host_name)]
    pub(super) http_name: Vec<String>,

    /// Let the web page of this origin ask over HTTP, such as https://page.example, may be repeated. For what changes or
    /// costs something it needs the token
    #[arg(long, value_name = "ORIGIN", env = "QUIPU_HTTP_ALLOW_ORIGIN", value_delimiter = ',', value_parser = parse_origin)]
    pub(super) http_allow_origin: Vec<String>,

    /// Serve the API and the page without the routes of tutorials (`/mine`, `/chain`, `/transactions/new`, …)
    #[arg(long, env = "QUIPU_NO_HTTP_CLASSIC", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(super) no_http_classic: bool,

    /// Make HTTP read-only; then no token is needed
    #[arg(long, env = "QUIPU_HTTP_READ_ONLY", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(super) http_read_only: bool,

    /// When to mine: `on` always, `pending` only while transactions wait
    #[arg(long, value_name = "off|on|pending", env = "QUIPU_MINE", default_value = "off", value_parser = parse::mode)]
    pub(super) mine: MiningMode,

    /// Threads that mine [default: one for each core, less one to leave room for you]
    #[arg(long, value_name = "N", env = "QUIPU_THREADS", value_parser = clap::value_parser!(u64).range(1..=THREADS_MAX))]
    pub(super) threads: Option<u64>,

    /// One JSON object a line on stdout, for scripts
    #[arg(long, env = "QUIPU_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new(), global = true)]
    pub(super) json: bool,

    /// Read no commands; run until SIGINT or SIGTERM
    #[arg(long, env = "QUIPU_NO_PROMPT", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(super) no_prompt: bool,

    /// What to log to stderr, such as `quipu=debug,libp2p=info`; outranks -v
    #[arg(long, value_name = "FILTER", env = "QUIPU_LOG", value_parser = parse_filter)]
    pub(super) log: Option<String>,

    /// Log more; up to three times
    #[arg(short, long, env = "QUIPU_VERBOSE", action = ArgAction::Count)]
    pub(super) verbose: u8,

    #[command(subcommand)]
    pub(super) program: Option<Program>,
}

/// What to do instead of running a node.
#[derive(Debug, Subcommand)]
pub(super) enum Program {
    /// Make, keep and move the keys that sign
    #[command(subcommand)]
    Wallet(wallet::WalletSubcommand),
    /// Copy a node's folder, its keys too, whether the node runs or not
    Backup {
        /// A folder that is not there, or empty
        folder: PathBuf,
    },
    /// Copy a backup to the place of a node that is not there yet
    Restore {
        /// What `quipu backup` has made
        folder: PathBuf,
    },
    /// Remove a node's chain, and keep its keys and names
    Reset {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Say what a receipt proves, without a node and without a network
    Verify(verify::VerifyArguments),
    /// Write a page that does the same in a browser, without a node and without a network
    VerifyPage {
        /// An HTML file that is not there yet
        file: PathBuf,
    },
    /// Run a virtual network of many nodes in virtual time, and report the result
    Simulate(simulate::SimulateArguments),
}

const AFTER_HELP: &str = "\
Examples:
  quipu                                     a node; start another on the same network and they meet
  quipu --name lab2                         a second node on the same machine
  quipu --room physics                      joins those, and only those, who say the same
  quipu --mine pending                      mines whenever transactions wait
  quipu --peer /ip4/192.168.1.5/tcp/7787    also stays connected to a node that discovery does not reach
  quipu wallet new team                     another account, in a file of its own; `quipu wallet` has more
  echo status | quipu --json                for scripts: every answer is one JSON object on a line
  quipu wallet passwd default               puts a password on the key of this machine's node
  quipu backup /media/usb/quipu             a copy of the node's folder, keys included, while the node runs
  quipu restore /media/usb/quipu            brings it back, on this machine or on another
  quipu verify receipt.json --file a.pdf    what a receipt proves: who recorded that file, when, under how much work
  quipu simulate partition                  fifty nodes, of which two fifths cannot reach the others for a while

Every option can also be given in the environment: QUIPU_DATA_DIR, QUIPU_NAME, and so on; lists have commas.

A network file has all of these, with times in milliseconds and amounts as decimal strings; the values are lan's:
  name = \"lab\"                      genesis_time = 1793491200000     target_spacing = 10000
  half_life = 180000                grace = 60000                    easiest_target = 0x1e03ffff
  future_time_max = 60000           subsidy = \"1\"                    fee_min = \"0\"
  block_bytes_max = 1048576
(each on a line of its own), and may have coins before the first block, by address, and limits of contracts:
  [[opening_balances]]
  address = \"0x842c1ec7B91A4c3ed45F870eaB5521544A86DF94\"
  amount = \"100\"
  [contracts]
  block_gas = 30000000              transaction_gas = 8000000        chain_id = 0
Nodes whose files differ in anything are on different networks.";

/// The name of a room. Upper case is taken as lower case, since people say names to each other.
fn parse_room(text: &str) -> Result<String, String> {
    let name = text.to_lowercase();
    let is_character = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=ROOM_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_character) {
        return Ok(name);
    }
    Err(format!("a room's name is 1 to {ROOM_NAME_BYTES_MAX} letters (a-z), digits and `-`"))
}

fn parse_socket(text: &str) -> Result<SocketAddr, String> {
    let problem = || "an address and a port, such as 127.0.0.1:7788, [::1]:7788 or 0.0.0.0:7788".to_owned();
    text.parse().map_err(|_| problem())
}

/// Only what a `Host` header can have.
/// An origin as browsers write it (RFC 6454, section 6.2).
fn parse_origin(text: &str) -> Result<String, String> {
    let hint = "an origin is http:// or https://, a name and perhaps a port, as in https://page.example:8443, without a path; \
                each is named, there is no *";
    let lower = text.to_ascii_lowercase();
    let known = [("http://", ":80"), ("https://", ":443")].into_iter().find(|(scheme, _)| lower.starts_with(scheme));
    let (scheme, port) = known.ok_or(hint)?;
    let authority: Authority = lower[scheme.len()..].parse().map_err(|_| hint)?;
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    if authority.host().is_empty() || !authority.as_str().chars().all(is_fit) || authority.as_str().ends_with(':') {
        return Err(hint.to_owned());
    }
    Ok(format!("{scheme}{}", authority.as_str().strip_suffix(port).unwrap_or(authority.as_str())))
}

fn parse_host_name(text: &str) -> Result<String, String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if text.is_empty() || !text.chars().all(is_fit) || text.starts_with('.') {
        return Err("a name of a host, such as quipu.example.org, without http:// and port".to_owned());
    }
    Ok(text.trim_end_matches('.').to_owned())
}

pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let text = &*crate::text::one_form(text);
    // It names a folder too, so nothing is allowed that leads out of it or that a file system refuses.
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
