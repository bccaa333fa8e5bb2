//! The commands of the prompt: one table that help, completion, hints and errors share, and the parser.
//!
//! A line is one command; words are separated by blanks. A blank line, and one whose first character is `#`, is no
//! command and gets no answer. Parsing knows nothing of the running node.

use std::path::PathBuf;
use std::str::FromStr;

use libp2p::Multiaddr;

use super::failure::{Code, Failure};
use super::text::{distance, grouped};
use crate::engine::event::MiningMode;
use crate::node::config::{parse_mode, parse_multiaddr};
use crate::protocol::{Address, Amount, BlockId, Height};

/// What the user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Mine some blocks now.
    Mine {
        /// How many, at least one.
        count: u64,
        /// Who gets the rewards; `None`: the node's own account.
        to: Option<Address>,
    },
    /// Mine by itself, or no more.
    SetMining {
        /// When.
        mode: MiningMode,
        /// Who gets the rewards; `None`: the node's own account.
        to: Option<Address>,
    },
    /// Send coins.
    Tx {
        /// To whom.
        to: Address,
        /// How many.
        amount: Amount,
        /// For the miner; `None`: the network's least.
        fee: Option<Amount>,
    },
    /// Put a text on the chain.
    Record(String),
    /// Blocks of the best chain.
    Chain {
        /// The first one; `None` leaves the choice to whoever answers.
        from: Option<Height>,
        /// How many; `None`: up to the best block.
        count: Option<u64>,
    },
    /// One block.
    Block(BlockName),
    /// What waits to be mined.
    Pending,
    /// An account; `None`: the node's own.
    Balance(Option<Address>),
    /// The node's own account.
    Address,
    /// Who is connected.
    Peers,
    /// Connect to a peer.
    Connect(Multiaddr),
    /// Ask every peer for its chain now.
    Resolve,
    /// Write the whole chain to a file.
    Save(PathBuf),
    /// How the node is.
    Status,
    /// All commands, or one.
    Help(Option<&'static Entry>),
    /// Leave.
    Quit,
}

/// How a block is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockName {
    /// On the best chain.
    Height(Height),
    /// On any branch.
    Id(BlockId),
    /// On any branch, by the eight digits that [`BlockId::short`] shows.
    Short(u32),
}

/// How many digits of an id are shown.
const SHORT_ID_DIGITS: usize = 8;

/// What is told about a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The first word.
    pub name: &'static str,
    /// What may follow it.
    pub arguments: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The rest of what a user may want to know; may be empty.
    pub details: &'static str,
}

impl Entry {
    /// The name and what may follow it.
    pub fn usage(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_owned()
    }
}

const fn entry(name: &'static str, arguments: &'static str, summary: &'static str, details: &'static str) -> Entry {
    Entry { name, arguments, summary, details }
}

/// All commands, in the order in which help shows them.
pub const COMMANDS: &[Entry] = &[
    entry(
        "mine",
        "[N|on|off|pending] [--to ADDRESS]",
        "mine N blocks (1), or set when to mine by itself",
        "`mine` and `mine N` end when the blocks are found and safe on disk;\n\
         Ctrl-C ends them earlier and keeps what was found.\n\
         `mine on` mines until `mine off`, `mine pending` only while transactions wait.\n\
         The rewards go to your account, or with --to to another one.",
    ),
    entry(
        "tx",
        "TO AMOUNT [--fee F]",
        "send AMOUNT coins to the address TO",
        "The amount is a decimal number of coins with up to 8 decimals, such as 2.5.\n\
         The fee goes to the miner; a higher one is mined earlier.\n\
         The transaction waits (see `pending`) until somebody mines a block.",
    ),
    entry(
        "record",
        "TEXT",
        "put a text on the chain, signed by your account",
        "Everything after `record` and one blank is the text, as it is (quotes too), up to\n\
         4096 bytes. Everybody can read it, for ever.",
    ),
    entry(
        "chain",
        "[FROM [COUNT]]",
        "show the blocks of the chain",
        "FROM is the height of the first block to show and COUNT how many.\n\
         Without FROM: the last 10 blocks (with --json: all). `chain 0` shows all of them.",
    ),
    entry(
        "block",
        "HEIGHT|ID",
        "show one block and its transactions",
        "The ID is all 64 hex digits or the 8 that are shown of it, also of a block on a\n\
         branch that lost.",
    ),
    entry(
        "pending",
        "",
        "show the transactions that wait to be mined",
        "In the order in which they would be mined now.",
    ),
    entry("balance", "[ADDRESS]", "show your balance, or that of another account", ""),
    entry("address", "", "show the address of your account", "Whoever wants to send you coins needs it."),
    entry("peers", "", "show who is connected", ""),
    entry(
        "connect",
        "MULTIADDR",
        "connect to a node that was not found by itself",
        "Such as /ip4/192.168.1.5/tcp/7787; `status` at the other node shows its address.",
    ),
    entry(
        "resolve",
        "",
        "ask every peer now, and adopt the best chain",
        "The node does so by itself all the time; this waits and tells the outcome.",
    ),
    entry(
        "save",
        "FILE",
        "write the whole chain to a file, as JSON",
        "The file appears when it is complete.\nA chain saved earlier is replaced, any other file is not.",
    ),
    entry("status", "", "show how the node is", ""),
    entry("help", "[COMMAND]", "show all commands, or more about one", ""),
    entry("quit", "", "stop the node and leave (also `exit`)", ""),
];

/// The entry of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    let name = if name == "exit" { "quit" } else { name };
    COMMANDS.iter().find(|entry| entry.name == name)
}

/// A line that was a command, or wanted to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The first word, as it was typed.
    pub name: String,
    /// What it means.
    pub command: Result<Command, Failure>,
}

/// Understands a line. `None`: nothing to do.
pub fn parse(line: &str) -> Option<Parsed> {
    let line = line.trim_end_matches(['\r', '\n']).trim_start();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let command = match find(name) {
        Some(entry) => parse_arguments(entry, rest),
        None => Err(unknown(name)),
    };
    Some(Parsed { name: name.to_owned(), command })
}

fn parse_arguments(entry: &'static Entry, rest: &str) -> Result<Command, Failure> {
    // The only command whose argument is not made of words.
    if entry.name == "record" {
        return if rest.is_empty() { Err(wrong_usage(entry)) } else { Ok(Command::Record(rest.to_owned())) };
    }
    let option = match entry.name {
        "mine" => Some("--to"),
        "tx" => Some("--fee"),
        _ => None,
    };
    let (words, option) = split(entry, rest, option)?;
    let command = match (entry.name, words.as_slice()) {
        ("mine", words) => parse_mine(entry, words, option)?,
        ("tx", [to, amount]) => Command::Tx {
            to: parse_address(to)?,
            amount: parse_amount(amount, "amount")?,
            fee: option.map(|fee| parse_amount(fee, "fee")).transpose()?,
        },
        ("chain", []) => Command::Chain { from: None, count: None },
        ("chain", [from]) => Command::Chain { from: Some(parse_height(from)?), count: None },
        ("chain", [from, count]) => {
            Command::Chain { from: Some(parse_height(from)?), count: Some(parse_count(count, "COUNT")?) }
        }
        ("block", [name]) => Command::Block(parse_block_name(name)?),
        ("pending", []) => Command::Pending,
        ("balance", []) => Command::Balance(None),
        ("balance", [address]) => Command::Balance(Some(parse_address(address)?)),
        ("address", []) => Command::Address,
        ("peers", []) => Command::Peers,
        ("connect", [address]) => {
            Command::Connect(parse_multiaddr(address).map_err(|problem| bad(Code::BadMultiaddr, address, &problem))?)
        }
        ("resolve", []) => Command::Resolve,
        // A file's name may contain blanks.
        ("save", [_, ..]) => Command::Save(PathBuf::from(rest.trim())),
        ("status", []) => Command::Status,
        ("help", []) => Command::Help(None),
        ("help", [name]) => Command::Help(Some(find(name).ok_or_else(|| unknown(name))?)),
        ("quit", []) => Command::Quit,
        _ => return Err(wrong_usage(entry)),
    };
    Ok(command)
}

fn parse_mine(entry: &Entry, words: &[&str], to: Option<&str>) -> Result<Command, Failure> {
    let to = to.map(parse_address).transpose()?;
    let word = match words {
        [] => return Ok(Command::Mine { count: 1, to }),
        [word] => *word,
        _ => return Err(wrong_usage(entry)),
    };
    match parse_mode(word) {
        Ok(MiningMode::Off) if to.is_some() => Err(wrong_usage(entry)),
        Ok(mode) => Ok(Command::SetMining { mode, to }),
        Err(_) if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            Ok(Command::Mine { count: parse_count(word, "N")?, to })
        }
        Err(_) => Err(wrong_usage(entry)),
    }
}

/// Words, and the value of the one option that the command has, as `--option VALUE` or `--option=VALUE`.
fn split<'a>(entry: &Entry, rest: &'a str, option: Option<&str>) -> Result<(Vec<&'a str>, Option<&'a str>), Failure> {
    let (mut plain, mut value) = (Vec::new(), None);
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        let Some(option) = option.filter(|_| word.starts_with("--")) else {
            plain.push(word);
            continue;
        };
        let given = match word.strip_prefix(option) {
            Some("") => words.next(),
            Some(tail) => tail.strip_prefix('='),
            None => None,
        };
        if given.is_none() || value.is_some() {
            return Err(wrong_usage(entry));
        }
        value = given;
    }
    Ok((plain, value))
}

fn wrong_usage(entry: &Entry) -> Failure {
    Failure::new(Code::Usage, format!("usage: {} (`help {}` says more)", entry.usage(), entry.name))
}

fn bad(code: Code, word: &str, problem: &str) -> Failure {
    let shown: String = word.chars().take(80).flat_map(char::escape_debug).collect();
    Failure::new(code, format!("{shown}: {problem}"))
}

fn parse_address(word: &str) -> Result<Address, Failure> {
    word.parse().map_err(|error: <Address as FromStr>::Err| bad(Code::BadAddress, word, &error.to_string()))
}

fn parse_amount(word: &str, what: &str) -> Result<Amount, Failure> {
    let result = word.parse::<Amount>();
    result.map_err(|error| bad(Code::BadAmount, word, &format!("not a valid {what}: {error}")))
}

fn parse_height(word: &str) -> Result<Height, Failure> {
    let problem = "a height is a whole number, 0 for the first block";
    parse_whole(word).map(Height).ok_or_else(|| bad(Code::BadNumber, word, problem))
}

fn parse_count(word: &str, what: &str) -> Result<u64, Failure> {
    let problem = format!("{what} is a whole number, at least 1");
    parse_whole(word).filter(|count| *count > 0).ok_or_else(|| bad(Code::BadNumber, word, &problem))
}

/// A whole number, also as answers show it: `20,000`.
fn parse_whole(word: &str) -> Option<u64> {
    let number = word.replace(',', "").parse::<u64>().ok()?;
    (!word.contains(',') || word == grouped(number)).then_some(number)
}

fn parse_block_name(word: &str) -> Result<BlockName, Failure> {
    let short = || u32::from_str_radix(word, 16).ok().filter(|_| word.len() == SHORT_ID_DIGITS);
    let name = (word.parse().ok().map(BlockName::Id))
        .or_else(|| parse_whole(word).map(|height| BlockName::Height(Height(height))))
        .or_else(|| short().map(BlockName::Short));
    let problem = "a block is named by its height or its id (64 hex digits, or the 8 that `chain` shows)";
    name.ok_or_else(|| bad(Code::BadId, word, problem))
}

fn unknown(name: &str) -> Failure {
    let message = match nearest(name) {
        Some(entry) => format!("did you mean `{}`? `help` shows all commands", entry.name),
        None => "there is no such command; `help` shows all".to_owned(),
    };
    bad(Code::UnknownCommand, name, &message)
}

/// What was probably meant: the command with that beginning, or one that differs in a letter or two.
fn nearest(name: &str) -> Option<&'static Entry> {
    let name = name.to_lowercase();
    let by_prefix = COMMANDS.iter().find(|entry| name.len() >= 2 && entry.name.starts_with(&name));
    let by_distance = || {
        let within = if name.len() <= 3 { 1 } else { 2 };
        let candidates = COMMANDS.iter().map(|entry| (distance(&name, entry.name), entry));
        candidates.filter(|(distance, _)| *distance <= within).min_by_key(|(distance, _)| *distance)
    };
    by_prefix.or_else(|| by_distance().map(|(_, entry)| entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

    fn command(line: &str) -> Command {
        parse(line).expect("a command").command.unwrap_or_else(|failure| panic!("{line}: {failure}"))
    }

    fn failure(line: &str) -> (&'static str, String) {
        let failure = parse(line).expect("a command").command.expect_err(line);
        (failure.code.as_str(), failure.message)
    }

    #[test]
    fn lines_without_a_command() {
        for line in ["", "  ", "\n", "# comment", "  # comment"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn every_command() {
        let address: Address = ADDRESS.parse().expect("valid");
        let (coins, fee): (Amount, Amount) = ("2.5".parse().expect("valid"), "0.1".parse().expect("valid"));
        let id = BlockId([0xab; 32]);
        let cases = [
            ("mine", Command::Mine { count: 1, to: None }),
            (" mine  5 ", Command::Mine { count: 5, to: None }),
            (&format!("mine --to {ADDRESS} 3"), Command::Mine { count: 3, to: Some(address) }),
            (&format!("mine --to={ADDRESS}"), Command::Mine { count: 1, to: Some(address) }),
            ("mine on", Command::SetMining { mode: MiningMode::On, to: None }),
            ("mine off", Command::SetMining { mode: MiningMode::Off, to: None }),
            (
                &format!("mine pending --to {ADDRESS}"),
                Command::SetMining { mode: MiningMode::Pending, to: Some(address) },
            ),
            (&format!("tx {ADDRESS} 2.5"), Command::Tx { to: address, amount: coins, fee: None }),
            (&format!("tx {ADDRESS} 2.5 --fee 0.1\r\n"), Command::Tx { to: address, amount: coins, fee: Some(fee) }),
            (&format!("tx --fee=0.1 {ADDRESS} 2.5"), Command::Tx { to: address, amount: coins, fee: Some(fee) }),
            ("record  a  --b # ü ", Command::Record(" a  --b # ü ".to_owned())),
            ("chain", Command::Chain { from: None, count: None }),
            ("chain 7", Command::Chain { from: Some(Height(7)), count: None }),
            ("chain 7 2", Command::Chain { from: Some(Height(7)), count: Some(2) }),
            ("block 0", Command::Block(BlockName::Height(Height(0)))),
            ("block 20,000", Command::Block(BlockName::Height(Height(20_000)))),
            ("block 1024ccb2", Command::Block(BlockName::Short(0x1024_ccb2))),
            (&format!("block {id}"), Command::Block(BlockName::Id(id))),
            ("pending", Command::Pending),
            ("balance", Command::Balance(None)),
            (&format!("balance {}", ADDRESS.to_lowercase()), Command::Balance(Some(address))),
            ("address", Command::Address),
            ("peers", Command::Peers),
            ("connect /ip4/1.2.3.4/tcp/5", Command::Connect("/ip4/1.2.3.4/tcp/5".parse().expect("valid"))),
            ("resolve", Command::Resolve),
            ("save my chain.json", Command::Save("my chain.json".into())),
            ("status", Command::Status),
            ("help", Command::Help(None)),
            ("help tx", Command::Help(find("tx"))),
            ("quit", Command::Quit),
            ("exit", Command::Quit),
        ];
        for (line, want) in &cases {
            assert_eq!(&command(line), want, "{line}");
        }
        for entry in COMMANDS {
            assert!(
                cases.iter().any(|(line, _)| line.trim_start().starts_with(entry.name)),
                "{} is tested",
                entry.name
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_a_stable_code() {
        let typo = ADDRESS.replace("BeAed", "BeAec");
        let cases = [
            ("frobnicate".to_owned(), "unknown_command", "`help` shows all"),
            ("blance".to_owned(), "unknown_command", "did you mean `balance`?"),
            ("MINE 3".to_owned(), "unknown_command", "did you mean `mine"),
            ("transfer".to_owned(), "unknown_command", "`help`"),
            ("help minne".to_owned(), "unknown_command", "`mine"),
            ("mine 0".to_owned(), "bad_number", "at least 1"),
            ("mine -1".to_owned(), "bad_number", "at least 1"),
            ("mine 1.5".to_owned(), "bad_number", "whole number"),
            ("mine 99999999999999999999".to_owned(), "bad_number", "whole number"),
            ("mine maybe".to_owned(), "usage", "usage: mine"),
            ("mine 1 2".to_owned(), "usage", "usage: mine"),
            (format!("mine off --to {ADDRESS}"), "usage", "usage: mine"),
            ("mine --to".to_owned(), "usage", "usage: mine"),
            ("mine --too 3".to_owned(), "usage", "usage: mine"),
            ("mine --to 0x12".to_owned(), "bad_address", "40 hex digits"),
            ("tx".to_owned(), "usage", "usage: tx TO AMOUNT [--fee F]"),
            (format!("tx {ADDRESS}"), "usage", "usage: tx"),
            (format!("tx {ADDRESS} 1 2"), "usage", "usage: tx"),
            (format!("tx {ADDRESS} 1 --fee 1 --fee 2"), "usage", "usage: tx"),
            (format!("tx {typo} 1"), "bad_address", "checksum"),
            (format!("tx {ADDRESS} -1"), "bad_amount", "negative"),
            (format!("tx {ADDRESS} NaN"), "bad_amount", "decimal number"),
            (format!("tx {ADDRESS} 0.123456789"), "bad_amount", "8 decimals"),
            (format!("tx {ADDRESS} 184467440737.09551616"), "bad_amount", "at most"),
            (format!("tx {ADDRESS} 1 --fee -2"), "bad_amount", "fee"),
            ("record".to_owned(), "usage", "usage: record TEXT"),
            ("chain x".to_owned(), "bad_number", "height"),
            ("chain 1 0".to_owned(), "bad_number", "COUNT"),
            ("block abc".to_owned(), "bad_id", "64 hex digits"),
            ("chain 20,00".to_owned(), "bad_number", "height"),
            ("connect 1.2.3.4:5".to_owned(), "bad_multiaddr", "/ip4/1.2.3.4/tcp/5"),
            ("save".to_owned(), "usage", "usage: save FILE"),
            ("status now".to_owned(), "usage", "usage: status"),
        ];
        for (line, code, words) in cases {
            let (got, message) = failure(&line);
            assert_eq!(got, code, "{line}: {message}");
            assert!(message.contains(words), "{line}: {message}");
            assert!(!message.contains('\n'));
        }
    }

    #[test]
    fn the_name_of_a_failed_command_is_kept() {
        assert_eq!(parse("tx a b").expect("a command").name, "tx");
        assert_eq!(parse("wat 1").expect("a command").name, "wat");
    }

    #[test]
    fn escape_sequences_are_not_echoed() {
        assert!(!failure("\u{1b}[2J").1.contains('\u{1b}'));
    }
}
