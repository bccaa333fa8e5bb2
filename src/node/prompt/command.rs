//! The commands of the prompt, and the parser.
//!
//! A line is one command; words are separated by blanks. A blank line, and one whose first character is `#`, is no
//! command and gets no answer. Parsing knows nothing of the running node.

mod record;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::path::PathBuf;

use libp2p::Multiaddr;

use self::words::{Words, wrong_usage};
use crate::engine::event::MiningMode;
use crate::node::api::error::Failure;
use crate::node::api::parse;
use crate::node::api::query::{BlockName, Range, RecordFilter, TransactionName, Who};
use crate::protocol::{Address, Amount, Height};

pub use self::record::{Recorded, Recording};
pub use self::table::{COMMANDS, Entry, find};

/// A command of the prompt, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Mines some blocks now.
    Mine {
        /// At least one.
        count: u64,
        /// The recipient of the rewards; `None`: the node's own account.
        to: Option<Who>,
    },
    /// Sets when the node mines.
    SetMining {
        mode: MiningMode,
        /// The recipient of the rewards; `None`: the node's own account.
        to: Option<Who>,
    },
    /// Sends coins.
    Tx {
        to: Who,
        amount: Amount,
        /// For the miner; `None`: the network's minimum.
        fee: Option<Amount>,
    },
    /// Puts something on the chain.
    Record(Recording),
    /// Finds records.
    Records {
        filter: RecordFilter,
        range: Range,
    },
    /// The history of an account; `None`: the node's own.
    History {
        of: Option<Who>,
        range: Range,
    },
    /// Watches a transaction.
    Watch(TransactionName),
    /// Lists the watched transactions.
    Watching,
    /// Watches a transaction no longer.
    Unwatch(TransactionName),
    /// Writes a proof of a transaction to a file.
    Receipt {
        of: TransactionName,
        /// Blocks from its own on; `None`: up to the best one.
        confirmations: Option<u64>,
        file: PathBuf,
    },
    /// Shows the best block, to be published.
    ReceiptTip,
    /// Shows the checkpoint.
    Checkpoint,
    /// Fixes the chain up to a height; `None` removes the checkpoint.
    SetCheckpoint(Option<Height>),
    /// Lists blocks of the best chain.
    Chain {
        /// The first one; `None` leaves the choice to the one that answers.
        from: Option<Height>,
        /// `None`: up to the best block.
        count: Option<u64>,
    },
    /// Shows one block.
    Block(BlockName),
    /// Lists the pending transactions.
    Pending,
    /// Shows an account; `None`: the node's own.
    Balance(Option<Who>),
    /// Shows the node's own account.
    Address,
    /// Lists all names, or one.
    Aliases(Option<String>),
    /// Gives an address a name.
    SetAlias {
        name: String,
        address: Address,
    },
    /// Forgets a name.
    RemoveAlias(String),
    Wallet(WalletCommand),
    /// Lists the connected peers.
    Peers,
    /// Connects to a peer.
    Connect(Multiaddr),
    /// Asks every peer for its chain now.
    Resolve,
    /// Writes the whole chain to a file.
    Save(PathBuf),
    /// Shows the state of the node.
    Status,
    /// Explains all commands, or one.
    Help(Option<&'static Entry>),
    /// Stops the node.
    Quit,
}

/// A subcommand of `wallet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalletCommand {
    List,
    New(String),
    /// Makes one the node's own.
    Use(String),
    /// Allows signing.
    Unlock {
        /// `None`: until it is locked, or the node stops.
        minutes: Option<u64>,
    },
    /// Forbids signing.
    Lock,
}

/// A line that has a command, right or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The first word, as it was typed.
    pub name: String,
    /// The command, or why it makes no sense.
    pub command: Result<Command, Failure>,
}

/// Parses a line. `None`: nothing to do.
pub fn parse(line: &str) -> Option<Parsed> {
    let line = line.trim_end_matches(['\r', '\n']).trim_start();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let command = match find(name) {
        Some(entry) => parse_arguments(entry, rest),
        None => Err(table::unknown(name)),
    };
    Some(Parsed { name: name.to_owned(), command })
}

fn parse_arguments(entry: &'static Entry, rest: &str) -> Result<Command, Failure> {
    let options: &[&str] = match entry.name {
        // The only command whose argument is not made of words.
        "record" => return record::parse(entry, rest).map(Command::Record),
        "mine" => &["--to"],
        "tx" => &["--fee"],
        "records" => &["--tag", "--from", "--since", "--find", "--limit", "--before"],
        "history" => &["--limit", "--before"],
        _ => &[],
    };
    let words = Words::split(entry, rest, options)?;
    let command = match (entry.name, words.plain.as_slice()) {
        ("mine", _) => parse_mine(entry, &words)?,
        ("tx", [to, amount]) => Command::Tx {
            to: parse::who(to)?,
            amount: parse::amount(amount, "amount")?,
            fee: words.option("--fee", |fee| parse::amount(fee, "fee"))?,
        },
        ("records", []) => Command::Records { filter: parse_filter(&words)?, range: parse_range(&words)? },
        ("history", _) => {
            Command::History { of: words.at_most_one()?.map(parse::who).transpose()?, range: parse_range(&words)? }
        }
        ("watch", []) => Command::Watching,
        ("watch", [id]) => Command::Watch(parse::transaction_name(id)?),
        ("unwatch", [id]) => Command::Unwatch(parse::transaction_name(id)?),
        ("receipt", ["--tip"]) => Command::ReceiptTip,
        ("receipt", [_, _, ..]) => parse_receipt(entry, rest)?,
        ("checkpoint", []) => Command::Checkpoint,
        ("checkpoint", ["off"]) => Command::SetCheckpoint(None),
        ("checkpoint", [height]) => Command::SetCheckpoint(Some(parse::height(height)?)),
        ("chain", []) => Command::Chain { from: None, count: None },
        ("chain", [from]) => Command::Chain { from: Some(parse::height(from)?), count: None },
        ("chain", [from, count]) => {
            Command::Chain { from: Some(parse::height(from)?), count: Some(parse::count(count, "COUNT")?) }
        }
        ("block", [name]) => Command::Block(parse::block_name(name)?),
        ("pending", []) => Command::Pending,
        ("balance", _) => Command::Balance(words.at_most_one()?.map(parse::who).transpose()?),
        ("address", []) => Command::Address,
        ("alias", []) => Command::Aliases(None),
        ("alias", [name]) => Command::Aliases(Some(parse::alias(name)?)),
        ("alias", [name, address]) => {
            Command::SetAlias { name: parse::alias(name)?, address: parse::address(address)? }
        }
        ("unalias", [name]) => Command::RemoveAlias((*name).to_owned()),
        ("wallet", words) => Command::Wallet(parse_wallet(entry, words)?),
        ("unlock", words) => Command::Wallet(parse_unlock(entry, words)?),
        ("lock", []) => Command::Wallet(WalletCommand::Lock),
        ("peers", []) => Command::Peers,
        ("connect", [address]) => Command::Connect(parse::multiaddr(address)?),
        ("resolve", []) => Command::Resolve,
        // A file's name may contain blanks.
        ("save", [_, ..]) => Command::Save(PathBuf::from(rest.trim())),
        ("status", []) => Command::Status,
        ("help", []) => Command::Help(None),
        ("help", [name]) => Command::Help(Some(find(name).ok_or_else(|| table::unknown(name))?)),
        ("quit", []) => Command::Quit,
        _ => return Err(wrong_usage(entry)),
    };
    Ok(command)
}

fn parse_mine(entry: &Entry, words: &Words<'_>) -> Result<Command, Failure> {
    let to = words.option("--to", parse::who)?;
    let Some(word) = words.at_most_one()? else { return Ok(Command::Mine { count: 1, to }) };
    match parse::mode(word) {
        Ok(MiningMode::Off) if to.is_some() => Err(wrong_usage(entry)),
        Ok(mode) => Ok(Command::SetMining { mode, to }),
        Err(_) if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            Ok(Command::Mine { count: words::mine_count(word)?, to })
        }
        Err(_) => Err(wrong_usage(entry)),
    }
}

fn parse_filter(words: &Words<'_>) -> Result<RecordFilter, Failure> {
    Ok(RecordFilter {
        tag: words.option("--tag", parse::tag)?,
        from: words.option("--from", parse::who)?,
        since: words.option("--since", parse::since)?,
        find: words.option("--find", |what| Ok(what.to_owned()))?,
    })
}

fn parse_range(words: &Words<'_>) -> Result<Range, Failure> {
    Ok(Range { before: words.option("--before", parse::cursor)?, limit: words.option("--limit", parse::limit)? })
}

/// `TXID FILE`, where the file's name may contain blanks, with the option first or last.
fn parse_receipt(entry: &Entry, rest: &str) -> Result<Command, Failure> {
    const OPTION: &str = "--confirmations";
    let mut confirmations = None;
    let mut rest = rest.trim().to_owned();
    if let Some((before, after)) = rest.split_once(OPTION) {
        let value = after.trim_start_matches('=').trim_start();
        let (value, behind) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
        confirmations = Some(parse::count(value, "N")?);
        rest = format!("{} {}", before.trim(), behind.trim());
    }
    let (of, file) = rest.trim().split_once(char::is_whitespace).ok_or_else(|| wrong_usage(entry))?;
    let (of, file) = (parse::transaction_name(of)?, PathBuf::from(file.trim()));
    Ok(Command::Receipt { of, confirmations, file })
}

fn parse_wallet(entry: &Entry, words: &[&str]) -> Result<WalletCommand, Failure> {
    match words {
        [] | ["list"] => Ok(WalletCommand::List),
        ["new", name] => Ok(WalletCommand::New((*name).to_owned())),
        ["use", name] => Ok(WalletCommand::Use((*name).to_owned())),
        ["unlock", rest @ ..] => parse_unlock(entry, rest),
        ["lock"] => Ok(WalletCommand::Lock),
        _ => Err(wrong_usage(entry)),
    }
}

fn parse_unlock(entry: &Entry, words: &[&str]) -> Result<WalletCommand, Failure> {
    match words {
        [] => Ok(WalletCommand::Unlock { minutes: None }),
        [minutes] => Ok(WalletCommand::Unlock { minutes: Some(parse::count(minutes, "MINUTES")?) }),
        _ => Err(wrong_usage(entry)),
    }
}
