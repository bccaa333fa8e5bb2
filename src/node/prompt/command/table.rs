//! The one table of commands that help, completion, hints and errors share.

use crate::node::api::error::{Code, Failure};
use crate::node::api::parse::bad;
use crate::text::distance;

/// The help about a command.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandEntry {
    pub name: &'static str,
    /// The arguments.
    pub arguments: &'static str,
    pub summary: &'static str,
    /// Further explanation; may be empty.
    pub details: &'static str,
}

impl CommandEntry {
    /// The name and the arguments.
    pub fn usage(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_owned()
    }
}

const fn entry(
    name: &'static str,
    arguments: &'static str,
    summary: &'static str,
    details: &'static str,
) -> CommandEntry {
    CommandEntry { name, arguments, summary, details }
}

/// All commands, in the order of the help.
pub const COMMANDS: &[CommandEntry] = &[
    entry(
        "mine",
        "[N|on|off|pending] [--to WHO]",
        "mine N blocks (1), or set when the node mines",
        "`mine` and `mine N` end when the blocks are found and safe on disk;\n\
         Ctrl-C ends them earlier and keeps what was found.\n\
         `mine on` mines until `mine off`, `mine pending` only while transactions wait.\n\
         The rewards go to your account, or with --to to another one.",
    ),
    entry(
        "tx",
        "TO AMOUNT [--fee F]",
        "send AMOUNT coins to TO, an address or a name",
        "The amount is a decimal number of coins with up to 8 decimals, such as 2.5.\n\
         The fee goes to the miner; a higher one is mined earlier.\n\
         The transaction waits (see `pending`) until somebody mines a block.",
    ),
    entry(
        "record",
        "TEXT|@FILE|@FOLDER",
        "put a text or a file's fingerprint on the chain",
        "Everything after `record` and one blank is the text, as it is (quotes too), up to\n\
         4096 bytes. @FILE puts the file's SHA-256, name and size there, never the file;\n\
         @FOLDER those of each file in it (up to 500, without its folders);\n\
         `record --json JSON` puts a JSON value there, such as {\"pallet\": 7}.\n\
         Options stand before or behind: --tag WORD (up to 8 times), --fee F.\n\
         A text that looks like an option is asked about, and refused in a script; behind\n\
         `--` it is a text: `record -- --tag is a word`.\n\
         It is signed by your account. Everybody can read it, for ever.",
    ),
    entry(
        "records",
        "[--tag WORD] [--from WHO] [--since WHEN] [--find WHAT]",
        "find records, the newest first",
        "WHEN is a date (2026-11-21 or 2026-11-21T14:30, UTC) or a span back from now (30m,\n\
         12h, 7d). WHAT is a file (\"in quotes\", if its name has blanks), the SHA-256 of its\n\
         content, or a transaction's id.\n\
         --limit N shows up to N (20); --before PLACE goes on where a list ended.",
    ),
    entry(
        "history",
        "[WHO]",
        "show what an account sent, got, mined, recorded",
        "The newest first; without WHO: of your account.\n\
         --limit N shows up to N (20); --before PLACE goes on where a list ended.",
    ),
    entry(
        "watch",
        "[TXID]",
        "watch a transaction, or list the watched ones",
        "Reports when it gets into a block, its confirmations up to 6, and when it is\n\
         rolled back by a reorganisation. The TXID is all 64 hex digits, or the 8 shown.\n\
         Your own transactions that are rolled back are watched automatically.",
    ),
    entry("unwatch", "TXID", "stop watching a transaction", ""),
    entry(
        "again",
        "TXID",
        "sign a lost transaction of yours once more",
        "Its content byte for byte, with a free nonce and the least fee that gets in.\n\
         It works once for each, and only for one that can no longer be mined itself: the\n\
         node tells of such a loss, and `watch TXID` shows it until the node stops.",
    ),
    entry(
        "receipt",
        "TXID FILE|--tip",
        "write a proof of it, for `quipu verify FILE`",
        "The file proves the transaction, its block and the work up to the best block; with\n\
         --confirmations N, of N blocks. It stays small: of many headers it holds samples.\n\
         --form full holds all headers, --form witnessed none: such a receipt fits a QR\n\
         code, for readers who know the id of the best block from elsewhere.\n\
         `receipt --tip` shows the id of the best block: published elsewhere (a newspaper,\n\
         a mail), it proves later that everything below it was there.",
    ),
    entry(
        "checkpoint",
        "[HEIGHT|off]",
        "never leave the chain up to HEIGHT; alone: show it",
        "This node then refuses every reorganisation that would take off the block at\n\
         HEIGHT, however much work it shows, and reports when one is offered. Choose a\n\
         block that all agree on. It holds for this node alone, until `checkpoint off`.",
    ),
    entry(
        "chain",
        "[FROM [COUNT]]",
        "show the blocks of the chain",
        "FROM is the height of the first block to show and COUNT how many.\n\
         Without FROM: the last 10 blocks; without COUNT: up to 50 (with --json: all).",
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
    entry("balance", "[WHO]", "show your balance, or that of another account", ""),
    entry("address", "", "show the address of your account", "A sender of coins to you needs it."),
    entry(
        "alias",
        "[NAME [ADDRESS]]",
        "give an address a name, or show all names",
        "A name works wherever an address does, and is shown instead. It is known to this\n\
         node alone. A name that is taken has to be freed first, with `unalias`.",
    ),
    entry("unalias", "NAME", "forget a name", ""),
    entry(
        "wallet",
        "[new|use|lock|…]",
        "show your wallets, make one, or change to another",
        "`wallet` alone lists them. Each is a file in the folder `wallets`, with a key and\n\
         mostly a password. `wallet new NAME` asks for the password and shows 24 words,\n\
         once: they bring the key back when the file is lost. `wallet use NAME` makes it\n\
         the node's own account. `wallet unlock [MINUTES]` asks for the password and allows\n\
         signing, for that time or until `wallet lock`. `quipu wallet --help` shows what\n\
         else can be done with the files.",
    ),
    entry("unlock", "[MINUTES]", "allow signing again (`wallet unlock`)", ""),
    entry("lock", "", "forget the wallet's key again (`wallet lock`)", ""),
    entry("peers", "", "show the connected peers", ""),
    entry(
        "connect",
        "ADDRESS",
        "connect to a node that was not found automatically",
        "Such as 192.168.1.5, 192.168.1.5:7787, lab1.local or /ip4/192.168.1.5/tcp/7787;\n\
         `status` at the other node shows its address.",
    ),
    entry(
        "resolve",
        "",
        "ask every peer now, and adopt the best chain",
        "The node does so automatically all the time; this waits for the result.",
    ),
    entry(
        "save",
        "FILE",
        "write the whole chain to a file, as JSON",
        "The file appears when it is complete.\nA chain saved earlier is replaced, any other file is not.",
    ),
    entry(
        "backup",
        "FOLDER",
        "copy the node's folder, from which a node can start",
        "The folder appears when it is complete; it holds the keys. A node of which an old\nbackup is put back tells what was lost.",
    ),
    entry("status", "", "show the state of the node", ""),
    entry("help", "[COMMAND]", "show all commands, or more about one", ""),
    entry("quit", "", "stop the node and leave (also `exit`)", ""),
];

pub fn find(name: &str) -> Option<&'static CommandEntry> {
    let lower = name.to_lowercase();
    let name = SYNONYMS.iter().find(|(synonym, _)| *synonym == lower).map_or(&*lower, |(_, name)| name);
    COMMANDS.iter().find(|entry| entry.name == name)
}

/// Words that people try, and the commands that they mean.
const SYNONYMS: [(&str, &str); 4] = [("?", "help"), ("exit", "quit"), ("pay", "tx"), ("send", "tx")];

/// Abilities of the program that the prompt does not have, and that users look for here.
const IN_A_SHELL: [&str; 2] = ["simulate", "verify"];

/// The error for an unknown name.
pub(super) fn unknown(name: &str) -> Failure {
    let message = match nearest(name) {
        _ if IN_A_SHELL.contains(&name) => format!("that is for a shell, without a node: `quipu {name} --help`"),
        Some(entry) => format!("did you mean `{}`? `help` shows all commands", entry.name),
        None => "there is no such command; `help` shows all".to_owned(),
    };
    bad(Code::UnknownCommand, name, &message)
}

/// The command that was probably meant: one with that beginning, or one that differs in a letter or two.
fn nearest(name: &str) -> Option<&'static CommandEntry> {
    let name = name.to_lowercase();
    let by_prefix = COMMANDS.iter().find(|entry| name.len() >= 2 && entry.name.starts_with(&name));
    let by_distance = || {
        let within = if name.len() <= 3 { 1 } else { 2 };
        let candidates = COMMANDS.iter().map(|entry| (distance(&name, entry.name), entry));
        candidates.filter(|(distance, _)| *distance <= within).min_by_key(|(distance, _)| *distance)
    };
    by_prefix.or_else(|| by_distance().map(|(_, entry)| entry))
}
