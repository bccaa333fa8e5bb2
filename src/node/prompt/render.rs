//! The form for people: answers in words and columns.
//!
//! Works on plain data alone. Whatever another node may have written goes through [`harmless`].

mod ledger;
mod wallet;

use std::fmt::Write;

use super::failure::Failure;
use super::notice::Line;
use super::outcome::{
    BlockRow, Data, Direction, HelpRow, Identity, Kind, Outcome, Peer, PlaceRow, Status, TransactionRow,
};
use super::text::{Style, Tone, counted, date_time, grouped, harmless, hash_rate, short_peer, span};
use crate::engine::event::MiningMode;
use crate::engine::view::{MiningView, SyncView};
use crate::protocol::{Address, Amount, Height};

pub use self::ledger::life;

/// A record among the pending transactions is cut here, in characters. With its block it is shown whole.
const RECORD_CHARACTERS_MAX: usize = 60;
/// Mined blocks beyond this many are counted, not listed.
const MINED_LISTED_MAX: usize = 5;

/// Where commands come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandsFrom {
    /// A person types them.
    Terminal,
    /// A file or a program.
    Input,
    /// There are none.
    Nowhere,
}

/// Renders for one user.
#[derive(Debug, Clone, Copy)]
pub struct Renderer<'a> {
    /// Whether to colour.
    pub style: Style,
    /// Whose node it is.
    pub identity: &'a Identity,
}

impl Renderer<'_> {
    /// An answer; one line or several, without the last line feed.
    pub fn answer(&self, result: &Result<Outcome, Failure>) -> String {
        let text = match result {
            Ok(outcome) => self.outcome(outcome),
            Err(failure) => self.style.paint(Tone::Error, &harmless(&failure.message, 600)),
        };
        text.trim_end().to_owned()
    }

    /// What a person sees first.
    pub fn banner(&self, status: &Status, commands: CommandsFrom) -> String {
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

    fn outcome(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Mined { blocks, wanted } => self.mined(blocks, *wanted),
            Outcome::MiningSet { mode } => match mode {
                MiningMode::Off => "mining is off".to_owned(),
                MiningMode::On => "mining until `mine off`".to_owned(),
                MiningMode::Pending => "mining whenever transactions wait, until `mine off`".to_owned(),
            },
            Outcome::Sent { id, file } => self.sent(id, file.as_ref()),
            Outcome::Records { records, next } => self.records(records, next.as_deref()),
            Outcome::History { address, entries, next } => self.history(address, entries, next.as_deref()),
            Outcome::Watched(row) => self.line(&life(row)),
            Outcome::Watching(lives) => self.watching(lives),
            Outcome::Unwatched { id } => format!("{} is followed no more", id.short()),
            Outcome::Receipt { file, height, confirmations, bytes, .. } => {
                self.receipt(file, *height, *confirmations, *bytes)
            }
            Outcome::Tip { height, id, timestamp } => self.tip(*height, id, *timestamp),
            Outcome::Checkpoint { checkpoint } => self.checkpoint(checkpoint.as_ref()),
            Outcome::Aliases(rows) => self.aliases(rows),
            Outcome::AliasSet(row) => format!("{} is {}", row.name, row.address),
            Outcome::AliasRemoved(row) => format!("{} is called {} no more", row.address, row.name),
            Outcome::Wallets(rows) => self.wallets(rows),
            Outcome::Wallet { wallet, change } => self.wallet(wallet, *change),
            Outcome::WalletMade(made) => self.wallet_made(made),
            Outcome::Chain { length, blocks } => self.chain(*length, blocks),
            Outcome::Block { block, best_chain } => self.block(block, *best_chain),
            Outcome::Pending(rows) if rows.is_empty() => "no transactions wait".to_owned(),
            Outcome::Pending(rows) => {
                format!(
                    "{}\n{}",
                    counted(rows.len() as u64, "transaction"),
                    self.transactions(rows, RECORD_CHARACTERS_MAX)
                )
            }
            Outcome::Balance { address, balance, nonce, pending, spendable } => {
                self.balance(address, *balance, *nonce, *pending, *spendable)
            }
            Outcome::Address { address } => address.to_string(),
            Outcome::Peers(peers) if peers.is_empty() && self.identity.finds_peers => {
                "nobody is connected: nodes on this LAN are found by themselves, `connect`\nreaches others".to_owned()
            }
            Outcome::Peers(peers) if peers.is_empty() => "nobody is connected: `connect` reaches others".to_owned(),
            Outcome::Peers(peers) => self.peers(peers),
            Outcome::Connected { peer_id, address, agent, .. } => {
                format!("connected to {peer_id} at {address} ({})", harmless(agent, 40))
            }
            Outcome::Resolved { replaced, answered, asked, height, tip } => {
                let verdict = match (*replaced, *asked) {
                    (true, _) => "our chain was replaced by a better one",
                    (false, 0) => "nobody is connected to ask: our chain stays as it is",
                    (false, _) => "our chain is authoritative: no peer has a better one",
                };
                let asked = format!("{answered} of {} answered", counted(*asked as u64, "peer"));
                format!("{verdict} ({asked}); best block {} ({})", grouped(height.0), tip.short())
            }
            Outcome::Saved { file, blocks, bytes } => {
                format!("saved {} to {file} ({} bytes)", counted(*blocks, "block"), grouped(*bytes))
            }
            Outcome::Status(status) => self.status(status),
            Outcome::Help { commands } => self.help(commands),
            Outcome::Quit {} => "stopping the node".to_owned(),
        }
    }

    fn field(&self, text: &mut String, name: &str, value: &str) {
        let name = self.style.paint(Tone::Quiet, &format!("{name:<9}"));
        writeln!(text, "  {name} {value}").expect("a string takes everything");
    }

    fn listens(&self, text: &mut String, status: &Status) {
        if status.listen.is_empty() {
            self.field(text, "listens", "nowhere");
        }
        for (at, address) in status.listen.iter().enumerate() {
            self.field(text, if at == 0 { "listens" } else { "" }, &address.to_string());
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

    fn chain(&self, length: u64, blocks: &[BlockRow]) -> String {
        let mut text = format!("{} in all", counted(length, "block"));
        match (blocks.first(), blocks.last()) {
            (Some(first), Some(last)) if (blocks.len() as u64) < length => {
                let (first, last) = (grouped(first.height.0), grouped(last.height.0));
                writeln!(text, "; here {first} to {last} (`chain 0` shows all)").expect("a string takes everything");
            }
            _ => text.push('\n'),
        }
        let head = format!("{:>9}  {:<8}  {:<19}  {:<13}  {}", "height", "id", "time (UTC)", "miner", "transactions");
        writeln!(text, "{}", self.style.paint(Tone::Quiet, &head)).expect("a string takes everything");
        for block in blocks {
            let (height, time) = (grouped(block.height.0), date_time(block.timestamp));
            let miner = if block.height.0 == 0 { "genesis".to_owned() } else { self.who(Some(&block.miner)) };
            // The reward is not one that anybody sent.
            let sent = block.transactions.len() - 1;
            writeln!(text, "{height:>9}  {}  {time}  {miner:<13}  {sent}", block.id.short()).expect("a string");
        }
        text
    }

    fn block(&self, block: &BlockRow, best_chain: bool) -> String {
        let place = if best_chain { "on the best chain" } else { "on a branch that is not the best chain" };
        let mut text = format!("block {} {place}\n", grouped(block.height.0));
        self.field(&mut text, "id", &block.id.to_string());
        self.field(&mut text, "parent", &block.parent.to_string());
        self.field(&mut text, "time", &format!("{} UTC", date_time(block.timestamp)));
        self.field(&mut text, "miner", &self.identity.names.full(&block.miner));
        self.field(&mut text, "target", &block.target.to_string());
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
                    format!("record    {} by {from}, fee {}", data(row.data.as_ref(), record_characters_max), row.fee)
                }
            };
            let id = self.style.paint(Tone::Quiet, &row.id.short());
            writeln!(text, "  {id}  {what}").expect("a string takes everything");
        }
        text
    }

    fn balance(&self, address: &Address, balance: Amount, nonce: u64, pending: u64, spendable: Amount) -> String {
        let balance = self.style.paint(Tone::Strong, &balance.to_string());
        let mut text =
            format!("{balance} at {}, {} made", self.identity.names.full(address), counted(nonce, "transaction"));
        if pending > 0 {
            let waiting = counted(pending, "pending transaction");
            write!(text, "\n{spendable} of it can still be spent, beside {waiting}")
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

    fn status(&self, status: &Status) -> String {
        let mut text = String::new();
        self.field(&mut text, "node", &format!("{} ({})", harmless(&status.name, 40), status.peer_id));
        self.field(&mut text, "network", &format!("{} (genesis {})", status.network, status.genesis.short()));
        let age = span(status.tip_age_millis);
        let chain = format!("height {}, best block {} made {age} ago", grouped(status.height.0), status.tip.short());
        self.field(&mut text, "chain", &chain);
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
        self.field(&mut text, "mining", &format!("{mode}, {}", hash_rate(status.mining.hash_rate)));
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
            // Its own help has the options of a long one.
            let usage = if command.usage.len() > 24 { command.usage.split(" [--").next() } else { None };
            let usage = usage.unwrap_or(&command.usage);
            let usage = self.style.paint(Tone::Strong, &format!("{usage:<24}"));
            writeln!(text, "  {usage}  {}", command.summary).expect("a string takes everything");
        }
        text + "`help COMMAND` says more about one."
    }
}

fn data(data: Option<&Data>, characters_max: usize) -> String {
    match data {
        Some(Data::Text(text)) => format!("\"{}\"", harmless(text, characters_max)),
        Some(Data::Bytes { hex }) => format!("0x{}", harmless(hex, characters_max)),
        None => String::new(),
    }
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
pub fn sync_end(height: Height, target: Height) -> Line {
    let reached = grouped(height.0);
    if height >= target {
        return Line::new(Tone::Good, format!("up to date at height {reached}"));
    }
    let text = format!("stopped syncing at height {reached} of {}: nobody connected has the rest", grouped(target.0));
    Line::new(Tone::Warning, text)
}

/// The progress line of `mine N`, if one runs.
pub fn mining_line(mining: &MiningView, elapsed_millis: u64) -> Option<String> {
    let (done, wanted) = mining.job?;
    let next = (done + 1).min(wanted);
    let rate = hash_rate(mining.hash_rate);
    Some(format!(
        "mining block {} of {}, {rate}, {}; Ctrl-C stops it",
        grouped(next),
        grouped(wanted),
        span(elapsed_millis)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::command::{COMMANDS, find};
    use super::super::failure::Code;
    use super::super::fixture;
    use super::*;
    use crate::protocol::{BlockId, UnixMillis};

    fn shown(result: &Result<Outcome, Failure>) -> String {
        Renderer { style: Style { colour: false }, identity: &fixture::identity() }.answer(result)
    }

    fn places(count: u64) -> Vec<PlaceRow> {
        (1..=count).map(|height| PlaceRow { height: Height(height), id: BlockId([0xab; 32]) }).collect()
    }

    #[test]
    fn mined_blocks_are_listed_summed_up_or_cut_short() {
        let mined = |blocks, wanted| shown(&Ok(Outcome::Mined { blocks: places(blocks), wanted }));
        assert_eq!(mined(2, 2), "mined block 1 (abababab)\nmined block 2 (abababab)");
        assert_eq!(mined(2_000, 2_000), "mined 2,000 blocks, the last one:\nmined block 2,000 (abababab)");
        assert_eq!(mined(0, 5), "stopped after 0 of 5 blocks");
        assert_eq!(mined(1, 5), "stopped after 1 of 5 blocks\nmined block 1 (abababab)");
    }

    #[test]
    fn a_resolution_says_whose_chain_it_is() {
        let resolved = |replaced, asked| {
            let outcome =
                Outcome::Resolved { replaced, answered: asked, asked, height: Height(7), tip: BlockId([1; 32]) };
            shown(&Ok(outcome))
        };
        assert!(resolved(true, 2).starts_with("our chain was replaced"));
        assert!(resolved(false, 2).starts_with("our chain is authoritative"));
        assert!(resolved(false, 0).starts_with("nobody is connected"));
    }

    #[test]
    fn blocks_and_chains() {
        let block = BlockRow::new(&fixture::block(), &fixture::network());
        let text = shown(&Ok(Outcome::Block { block: block.clone(), best_chain: true }));
        for words in [
            "block 1 on the best chain",
            "2026-11-01 00:00:00 UTC",
            "(you)",
            "reward    1.25 to you",
            "transfer  2.5 from 0x",
            "fee 0.25",
            "record    \"p \"7\"\" by",
            "record    0xff00 by",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let text = shown(&Ok(Outcome::Chain { length: 20_001, blocks: vec![block] }));
        assert!(text.starts_with("20,001 blocks in all; here 1 to 1 (`chain 0` shows all)\n"), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().last().is_some_and(|line| line.trim_end().ends_with("you            3")), "{text}");
    }

    #[test]
    fn what_others_write_cannot_steer_the_terminal() {
        let mut block = BlockRow::new(&fixture::block(), &fixture::network());
        block.transactions[2].data = Some(Data::Text("\x1b[2J\nmined block".to_owned() + &"x".repeat(4_000)));
        let text = shown(&Ok(Outcome::Pending(block.transactions)));
        assert!(!text.contains('\x1b') && text.lines().all(|line| line.chars().count() < 200), "{text}");
        let peer = Peer {
            peer_id: "12D3KooWabcdefgh".to_owned(),
            address: "/ip4/10.0.0.2/tcp/7787".parse().expect("valid"),
            name: "\x1b]0;evil\x07".to_owned(),
            agent: String::new(),
            height: None,
            direction: Direction::Inbound,
            ping_ms: Some(3),
            clock_offset_millis: Some(-90_000),
        };
        let text = shown(&Ok(Outcome::Peers(vec![peer])));
        assert!(!text.contains('\x1b') && text.contains("…abcdefgh") && text.contains("off by 90 s"), "{text}");
        assert!(!shown(&Err(Failure::new(Code::ConnectFailed, "\x1b[1m"))).contains('\x1b'));
    }

    #[test]
    fn balances_and_status() {
        let balance = |pending| {
            let (address, spendable) = (fixture::me(), Amount::COIN);
            let balance = Amount::from_units(250_000_000);
            shown(&Ok(Outcome::Balance { address, balance, nonce: 1, pending, spendable }))
        };
        let end = "at 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed (you), 1 transaction made";
        assert_eq!(balance(0), format!("2.5 {end}"));
        let spent = "1 of it can still be spent, beside";
        assert_eq!(balance(1), format!("2.5 {end}\n{spent} 1 pending transaction"));
        assert_eq!(balance(2), format!("2.5 {end}\n{spent} 2 pending transactions"));
        let status =
            Status::new(&fixture::identity(), &fixture::view(), &fixture::wallet(), 3, Vec::new(), UnixMillis(13_000));
        let text = shown(&Ok(Outcome::Status(Box::new(status))));
        for words in ["lab2", "made 12 s ago", "on, 4.2 MH/s", "12,000 / 20,000 (60 %)", "balance 2.5"] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn progress_lines() {
        let view = fixture::view();
        assert_eq!(sync_line(&view.syncing.expect("syncing")), "syncing 12,000 / 20,000 (60 %)");
        let almost = SyncView { height: Height(19_999), target: Height(20_000) };
        assert_eq!(sync_line(&almost), "syncing 19,999 / 20,000 (99 %)");
        assert_eq!(sync_line(&SyncView { height: Height(0), target: Height(0) }), "syncing 0 / 0 (0 %)");
        assert_eq!(sync_end(Height(20_001), Height(20_000)).text, "up to date at height 20,001");
        assert!(
            sync_end(Height(12_000), Height(20_000)).text.starts_with("stopped syncing at height 12,000 of 20,000")
        );
        let line = mining_line(&view.mining, 5_000);
        assert_eq!(line.as_deref(), Some("mining block 2 of 5, 4.2 MH/s, 5 s; Ctrl-C stops it"));
        assert_eq!(mining_line(&MiningView::default(), 0), None);
    }

    #[test]
    fn help_fits_a_terminal() {
        let text = shown(&Ok(Outcome::Help { commands: COMMANDS.iter().map(Into::into).collect() }));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.lines().count(), COMMANDS.len() + 1);
        for entry in COMMANDS {
            let text = shown(&Ok(Outcome::Help { commands: vec![entry.into()] }));
            assert!(text.lines().all(|line| line.chars().count() <= 82), "{text}");
        }
        let text = shown(&Ok(Outcome::Help { commands: vec![find("mine").expect("there").into()] }));
        assert!(text.starts_with("mine [N|on|off|pending] [--to WHO]") && text.contains("Ctrl-C"), "{text}");
    }

    #[test]
    fn the_banner_says_who_where_and_what_next() {
        let identity = fixture::identity();
        let renderer = Renderer { style: Style { colour: false }, identity: &identity };
        let listen = vec!["/ip4/192.168.100.100/tcp/7787".parse().expect("valid")];
        let status = Status::new(&identity, &fixture::view(), &fixture::wallet(), 0, listen, UnixMillis(2_000));
        let text = renderer.banner(&status, CommandsFrom::Terminal);
        let place = "/ip4/192.168.100.100/tcp/7787";
        for words in ["lab2", "network dev", "0x5aAeb6", "balance 2.5", "height 7", place, "on this LAN", "`help`"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(renderer.banner(&status, CommandsFrom::Nowhere).contains("SIGTERM"));
        let identity = Identity { finds_peers: false, ..fixture::identity() };
        let text = Renderer { identity: &identity, ..renderer }.banner(&status, CommandsFrom::Terminal);
        assert!(text.contains("--peer") && !text.contains("by themselves"), "{text}");
    }
}
