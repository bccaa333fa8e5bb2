//! The commands of the prompt, and the parser.
//!
//! A line is one command; words are separated by blanks. A blank line, and one whose first character is `#`, is no
//! command and gets no answer. Parsing knows nothing of the running node.

mod dashes;
mod record;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::path::PathBuf;

use libp2p::Multiaddr;

use self::words::{Words, wrong_usage};
use crate::engine::event::MiningMode;
use crate::node::api::error::{Code, Failure};
use crate::node::api::parse;
use crate::node::api::query::{BlockName, Range, RecordFilter, TransactionName, Who};
use crate::protocol::receipt::Form;
use crate::protocol::{Address, Amount, Height};
use crate::text::one_form;

pub use self::record::{Doubt, Recorded, Recording};
pub use self::table::{COMMANDS, CommandEntry, find};

/// A command of the prompt, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptCommand {
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
        /// For the miner; `None`: the least that gets into the memory pool.
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
    /// Signs the content of a lost transaction once more.
    Again(TransactionName),
    /// Writes a proof of a transaction to a file.
    Receipt {
        of: TransactionName,
        /// Blocks from its own on; `None`: up to the best one.
        confirmations: Option<u64>,
        /// `None`: the smallest that shows work.
        form: Option<Form>,
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
    /// Copies the data folder.
    Backup(PathBuf),
    /// Shows the state of the node.
    Status,
    /// Explains all commands, or one.
    Help(Option<&'static CommandEntry>),
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
    pub command: Result<PromptCommand, Failure>,
    /// What was refused because it looks like a slip. A person may say that it is meant.
    pub doubt: Option<Doubt>,
}

/// The prompt, as it stands before a command in the README and on screens.
const TRANSCRIPT: &str = "quipu>";

/// Parses a line. `None`: nothing to do.
pub fn parse(line: &str) -> Option<Parsed> {
    let line = line.trim_end_matches(['\r', '\n']).trim_start();
    // Pasted from a transcript.
    let line = line.strip_prefix(TRANSCRIPT).map_or(line, str::trim_start);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (command, doubt) = match find(name) {
        // The only command whose argument is not made of words.
        Some(entry) if entry.name == "record" => {
            let (recording, doubt) = record::parse(entry, rest);
            (recording.map(PromptCommand::Record), doubt)
        }
        Some(entry) => (parse_arguments(entry, rest), None),
        None => (Err(table::unknown(name)), None),
    };
    Some(Parsed { name: name.to_owned(), command, doubt })
}

fn parse_arguments(entry: &'static CommandEntry, rest: &str) -> Result<PromptCommand, Failure> {
    let options: &[&str] = match entry.name {
        "mine" => &["--to"],
        "tx" => &["--fee"],
        "records" => &["--tag", "--from", "--since", "--find", "--limit", "--before"],
        "history" => &["--limit", "--before"],
        _ => &[],
    };
    let own: &[&str] = if entry.name == "receipt" { &["--tip", "--confirmations", "--form"] } else { options };
    if let Some((word, option)) = rest.split_whitespace().find_map(|word| Some((word, dashes::slip(word, own)?))) {
        let problem = format!("write {option}, with two plain hyphens");
        return Err(parse::bad(Code::Usage, word, &problem));
    }
    let words = Words::split(entry, rest, options)?;
    let command = match (entry.name, words.plain.as_slice()) {
        ("mine", _) => parse_mine(entry, &words)?,
        ("tx", [to, amount]) => PromptCommand::Tx {
            to: parse::who(to)?,
            amount: parse::amount(amount, "amount")?,
            fee: words.option("--fee", |fee| parse::amount(fee, "fee"))?,
        },
        ("records", []) => PromptCommand::Records { filter: parse_filter(&words)?, range: parse_range(&words)? },
        ("history", _) => PromptCommand::History {
            of: words.at_most_one()?.map(parse::who).transpose()?,
            range: parse_range(&words)?,
        },
        ("watch", []) => PromptCommand::Watching,
        ("watch", [id]) => PromptCommand::Watch(parse::transaction_name(id)?),
        ("again", [id]) => PromptCommand::Again(parse::transaction_name(id)?),
        ("unwatch", [id]) => PromptCommand::Unwatch(parse::transaction_name(id)?),
        ("receipt", ["--tip"]) => PromptCommand::ReceiptTip,
        ("receipt", [_, _, ..]) => parse_receipt(entry, rest)?,
        ("checkpoint", []) => PromptCommand::Checkpoint,
        ("checkpoint", ["off"]) => PromptCommand::SetCheckpoint(None),
        ("checkpoint", [height]) => PromptCommand::SetCheckpoint(Some(parse::height(height)?)),
        ("chain", []) => PromptCommand::Chain { from: None, count: None },
        ("chain", [from]) => PromptCommand::Chain { from: Some(parse::height(from)?), count: None },
        ("chain", [from, count]) => {
            PromptCommand::Chain { from: Some(parse::height(from)?), count: Some(parse::count(count, "COUNT")?) }
        }
        ("block", [name]) => PromptCommand::Block(parse::block_name(name)?),
        ("pending", []) => PromptCommand::Pending,
        ("balance", _) => PromptCommand::Balance(words.at_most_one()?.map(parse::who).transpose()?),
        ("address", []) => PromptCommand::Address,
        ("alias", []) => PromptCommand::Aliases(None),
        ("alias", [name]) => PromptCommand::Aliases(Some(parse::alias(name)?)),
        ("alias", [name, address]) => {
            PromptCommand::SetAlias { name: parse::alias(name)?, address: parse::address(address)? }
        }
        ("unalias", [name]) => PromptCommand::RemoveAlias(one_form(name).into_owned()),
        ("wallet", words) => PromptCommand::Wallet(parse_wallet(entry, words)?),
        ("unlock", words) => PromptCommand::Wallet(parse_unlock(entry, words)?),
        ("lock", []) => PromptCommand::Wallet(WalletCommand::Lock),
        ("peers", []) => PromptCommand::Peers,
        ("connect", [address]) => PromptCommand::Connect(parse::multiaddr(address)?),
        ("resolve", []) => PromptCommand::Resolve,
        // A file's name may contain blanks.
        ("save", [_, ..]) => PromptCommand::Save(PathBuf::from(rest.trim())),
        ("backup", [_, ..]) => PromptCommand::Backup(PathBuf::from(rest.trim())),
        ("status", []) => PromptCommand::Status,
        ("help", []) => PromptCommand::Help(None),
        ("help", [name]) => PromptCommand::Help(Some(find(name).ok_or_else(|| table::unknown(name))?)),
        ("quit", []) => PromptCommand::Quit,
        _ => return Err(wrong_usage(entry)),
    };
    Ok(command)
}

fn parse_mine(entry: &CommandEntry, words: &Words<'_>) -> Result<PromptCommand, Failure> {
    let to = words.option("--to", parse::who)?;
    let Some(word) = words.at_most_one()? else { return Ok(PromptCommand::Mine { count: 1, to }) };
    match parse::mode(word) {
        Ok(MiningMode::Off) if to.is_some() => Err(wrong_usage(entry)),
        Ok(mode) => Ok(PromptCommand::SetMining { mode, to }),
        Err(_) if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            Ok(PromptCommand::Mine { count: words::mine_count(word)?, to })
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

/// `TXID FILE`, where the file's name may contain blanks, with the options first or last.
fn parse_receipt(entry: &CommandEntry, rest: &str) -> Result<PromptCommand, Failure> {
    let mut rest = rest.trim().to_owned();
    let mut take = |option: &str| {
        let (before, after) = rest.split_once(option)?;
        let value = after.trim_start_matches('=').trim_start();
        let (value, behind) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
        let value = value.to_owned();
        rest = format!("{} {}", before.trim(), behind.trim());
        Some(value)
    };
    let confirmations = take("--confirmations").map(|count| parse::count(&count, "N")).transpose()?;
    let form = take("--form").map(|form| parse::receipt_form(&form)).transpose()?;
    let (of, file) = rest.trim().split_once(char::is_whitespace).ok_or_else(|| wrong_usage(entry))?;
    let (of, file) = (parse::transaction_name(of)?, PathBuf::from(file.trim()));
    Ok(PromptCommand::Receipt { of, confirmations, form, file })
}

fn parse_wallet(entry: &CommandEntry, words: &[&str]) -> Result<WalletCommand, Failure> {
    match words {
        [] | ["list"] => Ok(WalletCommand::List),
        ["new", name] => Ok(WalletCommand::New((*name).to_owned())),
        ["use", name] => Ok(WalletCommand::Use((*name).to_owned())),
        ["unlock", rest @ ..] => parse_unlock(entry, rest),
        ["lock"] => Ok(WalletCommand::Lock),
        _ => Err(wrong_usage(entry)),
    }
}

fn parse_unlock(entry: &CommandEntry, words: &[&str]) -> Result<WalletCommand, Failure> {
    match words {
        [] => Ok(WalletCommand::Unlock { minutes: None }),
        [minutes] => Ok(WalletCommand::Unlock { minutes: Some(parse::count(minutes, "MINUTES")?) }),
        _ => Err(wrong_usage(entry)),
    }
}
