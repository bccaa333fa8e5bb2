//! The form for people: answers in words and columns.
//!
//! Works on plain data alone. All text that another node may have written goes through [`harmless`].

mod ledger;
mod wallet;

use std::fmt::Write;
use std::path::Path;

use super::notice::NoticeLine;
use super::outcome::{CommandOutcome, HelpRow};
use crate::engine::event::MiningMode;
use crate::engine::view::{MiningView, MiningWait, SyncView};
use crate::node::api::error::Failure;
use crate::node::api::rows::{
    AccountRow, BackedUp, BlockPage, BlockRow, Data, Direction, HistoryPage, Identity, Kind, NodeStatus, Peer,
    PlaceRow, RecordPage, Resolved, Saved, TransactionRow,
};
use crate::protocol::record::Record;
use crate::protocol::{Address, Height, Network, Parameters, Target};
use crate::text::{Style, Tone, counted, date_time, grouped, harmless, hash_rate, short_peer, span};

pub use self::ledger::{life, recording_in_words};

/// A record among the pending transactions is cut here, in characters. With its block it is shown whole.
/// A best block that is dated ahead by less is shown as made just now.
const AHEAD_SHOWN_MIN_MILLIS: u64 = 10_000;
/// A shorter rest of `mine N` is not worth a word.
const REST_SHOWN_MIN_MILLIS: u64 = 60_000;
const RECORD_CHARACTERS_MAX: usize = 60;
/// Mined blocks beyond this many are counted, not listed.
const MINED_LISTED_MAX: usize = 5;

/// The source of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandsFrom {
    Terminal,
    Input,
    Nowhere,
}

#[derive(Debug, Clone, Copy)]
pub struct Renderer<'a> {
    pub style: Style,
    /// The node's names and addresses.
    pub identity: &'a Identity,
    /// The address of its page, with the token in it, if only its user sees what is written.
    pub page: Option<&'a str>,
    /// The node's data folder.
    pub folder: Option<&'a Path>,
}

impl Renderer<'_> {
    /// An answer; one line or several, without the last line feed.
    pub fn answer(&self, result: &Result<CommandOutcome, Failure>) -> String {
        let mut text = match result {
            Ok(outcome) => self.outcome(outcome),
            Err(failure) => self.style.paint(Tone::Error, &harmless(&failure.message, 600)),
        };
        text.truncate(text.trim_end().len());
        text
    }

    /// The first lines that a person sees.
    pub fn banner(&self, status: &NodeStatus, commands: CommandsFrom) -> String {
        let id = self.identity;
        let strong = |text: &str| self.style.paint(Tone::Strong, text);
        let title = format!("quipu {}", env!("CARGO_PKG_VERSION"));
        let mut text = format!(
            "{}: node {} ({}) on network {}\n",
            strong(&title),
            strong(&harmless(&id.name, 40)),
            short_peer(&id.peer_id),
            strong(&id.network)
        );
        self.field(&mut text, "account", &format!("{}, balance {}", status.address, status.balance));
        self.field(&mut text, "chain", &format!("height {}", grouped(status.height.0)));
        self.listens(&mut text, status);
        let found = if id.finds_peers {
            "Nodes on this LAN find each other by themselves.\n"
        } else {
            "Looks for no nodes on the LAN: --peer and `connect` reach others.\n"
        };
        let next = match commands {
            CommandsFrom::Terminal => "Try `mine`, `status` or `help`; `quit` leaves.",
            CommandsFrom::Input => "Reads commands; stops when they end.",
            CommandsFrom::Nowhere => "Ctrl-C or SIGTERM stops the node.",
        };
        text + found + next
    }

    fn outcome(&self, outcome: &CommandOutcome) -> String {
        match outcome {
            CommandOutcome::Mined { mined, wanted } => self.mined(&mined.blocks, *wanted),
            CommandOutcome::MiningSet(mining) => match mining.mode {
                MiningMode::Off => "mining is off".to_owned(),
                MiningMode::On => "mining until `mine off`".to_owned(),
                MiningMode::Pending => "mining whenever transactions wait, until `mine off`".to_owned(),
            },
            CommandOutcome::Sent(sent) => self.sent(sent),
            CommandOutcome::RecordedFolder { records, left_out } => self.recorded_folder(records, left_out),
            CommandOutcome::Records(RecordPage { records, next }) => self.records(records, next.as_deref()),
            CommandOutcome::History(HistoryPage { address, entries, next }) => {
                self.history(address, entries, next.as_deref())
            }
            CommandOutcome::Watched(row) => self.line(&life(row)),
            CommandOutcome::Watching(lives) => self.watching(lives),
            CommandOutcome::Unwatched { id } => format!("{} is not watched any longer", id.short()),
            CommandOutcome::Receipt { file, height, form, confirmations, bytes, .. } => {
                self.receipt(file, *height, *form, *confirmations, *bytes)
            }
            CommandOutcome::Tip { height, id, timestamp } => self.tip(*height, id, *timestamp),
            CommandOutcome::Checkpoint { checkpoint } => self.checkpoint(checkpoint.as_ref()),
            CommandOutcome::Aliases(rows) => self.aliases(rows),
            CommandOutcome::AliasSet(row) => format!("{} is {}", row.name, row.address),
            CommandOutcome::AliasRemoved(row) => format!("{} is not called {} any longer", row.address, row.name),
            CommandOutcome::Wallets(rows) => self.wallets(rows),
            CommandOutcome::Wallet { wallet, change } => self.wallet(wallet, *change),
            CommandOutcome::WalletMade(made) => self.wallet_made(made),
            CommandOutcome::Chain(page) => self.chain(page),
            CommandOutcome::Block(found) => self.block(&found.block, found.best_chain),
            CommandOutcome::Pending(rows) if rows.is_empty() => "no transactions are waiting".to_owned(),
            CommandOutcome::Pending(rows) => {
                format!(
                    "{}\n{}",
                    counted(rows.len() as u64, "transaction"),
                    self.transactions(rows, RECORD_CHARACTERS_MAX)
                )
            }
            CommandOutcome::Balance(row) => self.balance(row),
            CommandOutcome::Address { address } => address.to_string(),
            CommandOutcome::Peers(peers) if peers.is_empty() && self.identity.finds_peers => {
                "no peer is connected: nodes on this LAN are found automatically, `connect`\nreaches others".to_owned()
            }
            CommandOutcome::Peers(peers) if peers.is_empty() => {
                "no peer is connected: `connect` reaches others".to_owned()
            }
            CommandOutcome::Peers(peers) => self.peers(peers),
            CommandOutcome::Connected(Peer { peer_id, address, agent, .. }) => {
                format!("connected to {peer_id} at {address} ({})", harmless(agent, 40))
            }
            CommandOutcome::Resolved(resolved) => resolved_in_words(resolved),
            CommandOutcome::Saved(Saved { file, blocks, bytes }) => {
                format!("saved {} to {file} ({} bytes)", counted(*blocks, "block"), grouped(*bytes))
            }
            CommandOutcome::BackedUp(BackedUp { folder, files, bytes }) => {
                format!("copied {} to {folder} ({} bytes)", counted(*files, "file"), grouped(*bytes))
            }
            CommandOutcome::Status(status) => self.status(status),
            CommandOutcome::Help { commands } => self.help(commands),
            CommandOutcome::Quit {} => "stopping the node".to_owned(),
        }
    }

    fn field(&self, text: &mut String, name: &str, value: &str) {
        let name = self.style.paint(Tone::Quiet, &format!("{name:<9}"));
        writeln!(text, "  {name} {value}").expect("a string takes everything");
    }

    fn listens(&self, text: &mut String, status: &NodeStatus) {
        if status.listen.is_empty() {
            self.field(text, "listens", "nowhere");
        }
        for (at, address) in status.listen.iter().enumerate() {
            self.field(text, if at == 0 { "listens" } else { "" }, &address.to_string());
        }
        if let Some(http) = &status.http {
            self.field(text, "page", self.page.unwrap_or(http));
        }
    }

    fn who(&self, address: Option<&Address>) -> String {
        address.map_or_else(|| "nobody".to_owned(), |address| self.identity.names.short(address))
    }

    fn mined(&self, blocks: &[PlaceRow], wanted: u64) -> String {
        let mut text = String::new();
        let listed = if blocks.len() > MINED_LISTED_MAX { &blocks[blocks.len() - 1..] } else { blocks };
        if blocks.len() as u64 != wanted {
            let total = grouped(wanted);
            writeln!(text, "stopped after {} of {total} blocks", grouped(blocks.len() as u64)).expect("a string");
        } else if listed.len() < blocks.len() {
            writeln!(text, "mined {}, the last one:", counted(wanted, "block")).expect("a string");
        }
        for block in listed {
            let line = format!("mined block {} ({})", grouped(block.height.0), block.id.short());
            writeln!(text, "{}", self.style.paint(Tone::Good, &line)).expect("a string takes everything");
        }
        text
    }

    fn chain(&self, page: &BlockPage) -> String {
        let BlockPage { length, blocks, next } = page;
        let length = *length;
        let mut text = match blocks.as_slice() {
            [first, .., last] if (blocks.len() as u64) < length => {
                let (first, last) = (grouped(first.height.0), grouped(last.height.0));
                format!("blocks {first} to {last} of {}\n", grouped(length))
            }
            [only] if length > 1 => {
                format!("block {} of {}\n", grouped(only.height.0), grouped(length))
            }
            _ => format!("{} in all\n", counted(length, "block")),
        };
        let head = format!("{:>9}  {:<8}  {:<19}  {:<13}  {}", "height", "id", "time (UTC)", "miner", "transactions");
        writeln!(text, "{}", self.style.paint(Tone::Quiet, &head)).expect("a string takes everything");
        for block in blocks {
            let (height, time) = (grouped(block.height.0), date_time(block.timestamp));
            let miner = if block.height.0 == 0 { "genesis".to_owned() } else { self.who(Some(&block.miner)) };
            // Nobody has sent the reward.
            let sent = block.transactions.len() - 1;
            writeln!(text, "{height:>9}  {}  {time}  {miner:<13}  {sent}", block.id.short()).expect("a string");
        }
        match (next, blocks.first()) {
            (Some(next), _) => text + &self.style.paint(Tone::Quiet, &format!("`chain {next}` goes on")),
            (None, Some(first)) if first.height.0 > 0 => {
                text + &self.style.paint(Tone::Quiet, "`chain 0` begins with the first block")
            }
            _ => text,
        }
    }

    fn block(&self, block: &BlockRow, best_chain: bool) -> String {
        let place = if best_chain { "on the best chain" } else { "on a branch that is not the best chain" };
        let mut text = format!("block {} {place}\n", grouped(block.height.0));
        self.field(&mut text, "id", &block.id.to_string());
        self.field(&mut text, "parent", &block.parent.to_string());
        self.field(&mut text, "time", &format!("{} UTC", date_time(block.timestamp)));
        self.field(&mut text, "miner", &self.identity.names.full(&block.miner));
        self.field(&mut text, "target", &target(block.target));
        self.field(&mut text, "nonce", &block.nonce.to_string());
        text + &self.transactions(&block.transactions, usize::MAX)
    }

    fn transactions(&self, rows: &[TransactionRow], record_characters_max: usize) -> String {
        let mut text = String::new();
        for row in rows {
            let amount = row.amount.unwrap_or_default();
            let (from, to) = (self.who(row.sender.as_ref()), self.who(row.to.as_ref()));
            let what = match row.kind {
                Kind::Reward => format!("reward    {amount} to {to}"),
                Kind::Transfer => format!("transfer  {amount} from {from} to {to}, fee {}", row.fee),
                Kind::Record => {
                    format!(
                        "record    {} by {from}, fee {}",
                        self.data(row.data.as_ref(), record_characters_max),
                        row.fee
                    )
                }
            };
            let id = self.style.paint(Tone::Quiet, &row.id.short());
            writeln!(text, "  {id}  {what}").expect("a string takes everything");
        }
        text
    }

    /// The data of a record, in words.
    fn data(&self, data: Option<&Data>, characters_max: usize) -> String {
        match data {
            Some(Data::Text(text)) => ledger::says(self.style, &Record::read(text.as_bytes()), characters_max),
            Some(Data::Bytes { hex }) => format!("0x{}", harmless(hex, characters_max)),
            None => String::new(),
        }
    }

    fn balance(&self, row: &AccountRow) -> String {
        let balance = self.style.paint(Tone::Strong, &row.balance.to_string());
        let whose = self.identity.names.full(&row.address);
        let mut text = format!("{balance} at {whose}, {} made", counted(row.nonce, "transaction"));
        if row.pending > 0 {
            let waiting = counted(row.pending, "pending transaction");
            write!(text, "\n{} of it can be spent now, with {waiting}", row.spendable)
                .expect("a string takes everything");
        }
        text
    }

    fn peers(&self, peers: &[Peer]) -> String {
        let head = format!("{:<9}  {:<16}  {:>9}  {:>7}  {:<3}  {}", "peer", "name", "height", "ping", "", "address");
        let mut text = self.style.paint(Tone::Quiet, &head) + "\n";
        for peer in peers {
            let id = peer.peer_id.chars().skip(peer.peer_id.len().saturating_sub(8)).collect::<String>();
            let height = peer.height.map_or_else(|| "?".to_owned(), |height| grouped(height.0));
            let ping = peer.ping_ms.map_or_else(|| "?".to_owned(), |millis| format!("{millis} ms"));
            let direction = if peer.direction == Direction::Inbound { "in" } else { "out" };
            let (name, address) = (harmless(&peer.name, 16), harmless(&peer.address.to_string(), 80));
            let clock = match peer.clock_offset_millis {
                Some(offset) if offset.unsigned_abs() >= 10_000 => {
                    format!("  (its clock is off by {})", span(offset.unsigned_abs()))
                }
                _ => String::new(),
            };
            writeln!(text, "…{id}  {name:<16}  {height:>9}  {ping:>7}  {direction:<3}  {address}{clock}")
                .expect("a string");
        }
        text
    }

    fn status(&self, status: &NodeStatus) -> String {
        let mut text = String::new();
        self.field(&mut text, "node", &format!("{} ({})", harmless(&status.name, 40), status.peer_id));
        self.field(&mut text, "network", &format!("{} (genesis {})", status.network, status.genesis.short()));
        let made = match status.tip_ahead_millis {
            0..AHEAD_SHOWN_MIN_MILLIS => format!("made {} ago", span(status.tip_age_millis)),
            ahead => format!("dated {} ahead of this machine's clock", span(ahead)),
        };
        let chain = format!("height {}, best block {} {made}", grouped(status.height.0), status.tip.short());
        self.field(&mut text, "chain", &chain);
        if let Some(folder) = self.folder {
            self.field(&mut text, "folder", &harmless(&folder.to_string_lossy(), usize::MAX));
        }
        self.field(&mut text, "work", &format!("{} hashes", grouped(status.work)));
        self.field(&mut text, "account", &format!("{}, balance {}", status.address, status.balance));
        let lock = if status.locked { " (locked: `wallet unlock`)" } else { "" };
        self.field(&mut text, "wallet", &format!("{}{lock}", status.wallet));
        if let Some(checkpoint) = &status.checkpoint {
            let place = format!("height {} ({})", grouped(checkpoint.height.0), checkpoint.id.short());
            self.field(&mut text, "fixed", &format!("up to {place}, see `checkpoint`"));
        }
        self.field(&mut text, "pending", &counted(status.pending as u64, "transaction"));
        self.field(&mut text, "peers", &status.peers.to_string());
        self.listens(&mut text, status);
        let mode = match status.mining.mode {
            MiningMode::Off => "off",
            MiningMode::On => "on",
            MiningMode::Pending => "while transactions wait",
        };
        let rests = match status.mining.waits_for {
            Some(MiningWait::Chain) => " (waits for a better chain)",
            Some(MiningWait::Transactions) | None => "",
        };
        self.field(&mut text, "mining", &format!("{mode}, {}{rests}", hash_rate(status.mining.hash_rate)));
        if let Some(sync) = &status.sync {
            self.field(&mut text, "syncing", &progress(sync.height.0, sync.target.0));
        }
        text
    }

    fn help(&self, commands: &[HelpRow]) -> String {
        if let [command] = commands {
            return format!(
                "{}\n{}\n{}",
                self.style.paint(Tone::Strong, &command.usage),
                command.summary,
                command.details
            );
        }
        let mut text = String::new();
        for command in commands {
            // The help of a long command has its options already.
            let usage = if command.usage.len() > 24 { command.usage.split(" [--").next() } else { None };
            let usage = usage.unwrap_or(&command.usage);
            let usage = self.style.paint(Tone::Strong, &format!("{usage:<24}"));
            writeln!(text, "  {usage}  {}", command.summary).expect("a string takes everything");
        }
        text + "`help COMMAND` says more about one."
    }
}

fn resolved_in_words(resolved: &Resolved) -> String {
    let Resolved { replaced, answered, asked, tip, kept_back_until } = resolved;
    let verdict = match (replaced, asked) {
        (true, _) => "our chain was replaced by a better one",
        (false, _) if kept_back_until.is_some() => {
            "our chain stays for now: a peer claims a better one, whose blocks are dated ahead of this machine's clock"
        }
        (false, 0) => "no peer is connected: our chain stays as it is",
        (false, _) => "our chain is authoritative: no peer has a better one",
    };
    let asked = format!("{answered} of {} answered", counted(*asked as u64, "peer"));
    format!("{verdict} ({asked}); best block {} ({})", grouped(tip.height.0), tip.id.short())
}

/// What an id needs to meet it, and what that takes.
fn target(target: Target) -> String {
    let Some(bound) = target.expand() else { return target.to_string() };
    let hashes = u64::try_from(target.work().0).unwrap_or(u64::MAX);
    let zeros = counted(bound.leading_zeros().into(), "zero bit");
    format!(
        "{target}: needs {zeros}, {} on average",
        if hashes == 1 { "1 hash".to_owned() } else { format!("{} hashes", grouped(hashes)) }
    )
}

/// `12,000 / 20,000 (60 %)`.
fn progress(done: u64, of: u64) -> String {
    // Rounded down, so that 100 % means all.
    let percent = u128::from(done) * 100 / u128::from(of.max(1));
    format!("{} / {} ({} %)", grouped(done), grouped(of), percent.min(100))
}

/// The progress line of a synchronisation.
pub fn sync_line(sync: &SyncView) -> String {
    format!("syncing {}", progress(sync.height.0, sync.target.0))
}

/// The line after the last progress line of a synchronisation.
pub fn sync_end(height: Height, target: Height) -> NoticeLine {
    let reached = grouped(height.0);
    if height >= target {
        return NoticeLine::new(Tone::Good, format!("up to date at height {reached}"));
    }
    let text = format!("stopped syncing at height {reached} of {}: no connected peer has the rest", grouped(target.0));
    NoticeLine::new(Tone::Warning, text)
}

/// The progress line of `mine N`, if one runs. Where targets follow the time between blocks, it has an estimate.
pub fn mining_line(mining: &MiningView, elapsed_millis: u64, network: &Network) -> Option<String> {
    let (done, wanted) = mining.job?;
    let next = (done + 1).min(wanted);
    let rate = hash_rate(mining.hash_rate);
    let Parameters { half_life, target_spacing, .. } = network.parameters();
    let spacing = if half_life.0 > 0 { target_spacing.0 } else { 0 };
    let rest = wanted.saturating_sub(done).saturating_mul(spacing);
    let rest = if rest < REST_SHOWN_MIN_MILLIS { String::new() } else { format!(", about {} to go", span(rest)) };
    Some(format!(
        "mining block {} of {}, {rate}, {}{rest}; Ctrl-C stops it",
        grouped(next),
        grouped(wanted),
        span(elapsed_millis)
    ))
}

#[cfg(test)]
mod tests;
