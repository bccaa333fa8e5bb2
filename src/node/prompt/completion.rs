//! Completion at the prompt: commands, options, and what has been seen lately - accounts, names, ids, peers - and files.
//!
//! Offered are whole words that a command would take as they are. Names and files with characters that confuse are left
//! out: nobody could tell what they are.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::command::{COMMANDS, find};
use super::outcome::CommandOutcome;
use crate::engine::event::Notice;
use crate::node::api::names::Names;
use crate::node::api::rows::{BlockRow, TransactionRow};
use crate::node::event::UserEvent;
use crate::protocol::{Action, Address, BlockId, TransactionId};
use crate::text::harmless;

/// Addresses that completion offers; later ones are not learnt.
const ADDRESSES_MAX: usize = 500;
/// Ids of each kind that completion offers; the one that was shown longest ago is evicted.
const IDS_MAX: usize = 100;
/// Peers that completion offers; the one that was met longest ago is evicted.
const PEERS_MAX: usize = 100;
/// Entries of a folder that are looked at, and files that are offered.
const ENTRIES_READ_MAX: usize = 20_000;
const FILES_OFFERED_MAX: usize = 200;
/// A longer name is left out.
const NAME_CHARACTERS_MAX: usize = 255;
/// The digits of an id that are shown in lists.
const SHORT_ID_DIGITS: usize = 8;

/// What completion knows. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    addresses: BTreeSet<String>,
    /// Aliases and wallets.
    names: BTreeSet<String>,
    wallets: BTreeSet<String>,
    /// Names and addresses of peers.
    peers: VecDeque<String>,
    /// Ids as they are written in full.
    blocks: VecDeque<String>,
    transactions: VecDeque<String>,
}

/// Puts a text at the front of a list, once.
fn put_first(list: &mut VecDeque<String>, text: String, entries_max: usize) {
    list.retain(|other| *other != text);
    list.push_front(text);
    list.truncate(entries_max);
}

/// Whether it can be typed as one word and is what it looks like.
fn is_plain_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace) && harmless(text, NAME_CHARACTERS_MAX) == text
}

impl Known {
    pub(super) fn learn(&self, address: &Address) {
        let known = &mut self.lists().addresses;
        if known.len() < ADDRESSES_MAX {
            known.insert(address.to_string());
        }
    }

    /// Replaces the offered names of accounts and wallets.
    pub(super) fn learn_names(&self, names: &Names, wallets: impl Iterator<Item = String>) {
        let mut lists = self.lists();
        lists.names = names.known.values().cloned().collect();
        lists.wallets = wallets.collect();
    }

    /// A peer's name or address.
    pub(super) fn learn_peer(&self, name: &str) {
        if is_plain_word(name) {
            put_first(&mut self.lists().peers, name.to_owned(), PEERS_MAX);
        }
    }

    /// What a line about an event shows.
    pub(super) fn learn_event(&self, event: &UserEvent) {
        match event {
            UserEvent::Notice(Notice::Transaction(transaction)) => {
                self.learn(&transaction.sender());
                self.learn_transaction(&transaction.id());
                if let Action::Transfer { to, .. } = &transaction.signed().transaction.action {
                    self.learn(to);
                }
            }
            UserEvent::Notice(Notice::Tip { tip, .. }) => self.learn_block(&tip.id),
            UserEvent::Life { id, .. } => self.learn_transaction(id),
            UserEvent::PeerConnected(row) => self.learn_peer(&row.address.to_string()),
            _ => {}
        }
    }

    /// What an answer shows. The first of a list is the last to be evicted.
    pub(super) fn learn_answer(&self, outcome: &CommandOutcome) {
        match outcome {
            CommandOutcome::Mined { mined, .. } => mined.blocks.iter().for_each(|block| self.learn_block(&block.id)),
            CommandOutcome::Chain(page) => page.blocks.iter().for_each(|block| self.learn_block(&block.id)),
            CommandOutcome::Block(found) => self.learn_whole_block(&found.block),
            CommandOutcome::Sent(sent) => self.learn_transaction(&sent.id),
            CommandOutcome::RecordedFolder { records, .. } => {
                records.iter().for_each(|sent| self.learn_transaction(&sent.id));
            }
            CommandOutcome::Pending(rows) => self.learn_rows(rows),
            CommandOutcome::Records(page) => {
                page.records.iter().rev().for_each(|row| self.learn_transaction(&row.id));
            }
            CommandOutcome::History(page) => {
                page.entries.iter().rev().for_each(|row| self.learn_transaction(&row.transaction.id));
            }
            CommandOutcome::Watched(life) => self.learn_transaction(&life.id),
            CommandOutcome::Watching(lives) => lives.iter().rev().for_each(|life| self.learn_transaction(&life.id)),
            CommandOutcome::Peers(peers) => peers.iter().for_each(|peer| {
                self.learn_peer(&peer.address.to_string());
                self.learn_peer(&peer.name);
            }),
            _ => {}
        }
    }

    fn learn_whole_block(&self, block: &BlockRow) {
        self.learn_rows(&block.transactions);
        self.learn_block(&block.parent);
        self.learn_block(&block.id);
    }

    fn learn_rows(&self, rows: &[TransactionRow]) {
        rows.iter().take(IDS_MAX).rev().for_each(|row| self.learn_transaction(&row.id));
    }

    fn learn_block(&self, id: &BlockId) {
        put_first(&mut self.lists().blocks, id.to_string(), IDS_MAX);
    }

    fn learn_transaction(&self, id: &TransactionId) {
        put_first(&mut self.lists().transactions, id.to_string(), IDS_MAX);
    }

    fn accounts(&self, beginning: &str) -> Vec<String> {
        let lists = self.lists();
        let names = lists.names.iter().filter(|name| name.starts_with(beginning));
        let beginning = beginning.to_lowercase();
        let addresses = lists.addresses.iter().filter(|address| address.to_lowercase().starts_with(&beginning));
        names.chain(addresses).cloned().collect()
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock()
    }
}

/// Ids as lists show them, or in full where more digits were typed.
fn ids(list: &VecDeque<String>, beginning: &str) -> Vec<String> {
    let beginning = beginning.to_lowercase();
    let form = |id: &String| match beginning.len() {
        0..=SHORT_ID_DIGITS => {
            let digits = id.trim_start_matches('0');
            digits[..SHORT_ID_DIGITS.min(digits.len())].to_owned()
        }
        _ => id.clone(),
    };
    list.iter().map(form).filter(|id| id.starts_with(&beginning)).collect()
}

/// What may be typed from `start` on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Completions {
    pub(super) start: usize,
    pub(super) offered: Vec<Offer>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) shown: String,
    pub(super) typed: String,
}

impl Completions {
    /// Words behind each of which another may come.
    fn words(start: usize, words: Vec<String>) -> Self {
        let offer = |word: String| Offer { typed: word.clone() + " ", shown: word };
        Self { start, offered: words.into_iter().map(offer).collect() }
    }
}

/// The completions of a line up to the cursor. Files are looked for from the working directory on.
pub(super) fn complete(line: &str, known: &Known) -> Completions {
    let line_start = line.len() - line.trim_start().len();
    if let Some(file) = file_argument(&line[line_start..]) {
        let start = line.len() - file.len();
        return Completions { start, offered: files(file) };
    }
    let start =
        line.rfind(char::is_whitespace).map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
    let (before, word) = line.split_at(start);
    Completions::words(start, words(before, word, known))
}

/// The command's name in the table.
fn command_of(word: &str) -> &str {
    find(word).map_or(word, |entry| entry.name)
}

fn words(before: &str, word: &str, known: &Known) -> Vec<String> {
    let matching = |candidates: &[&str]| -> Vec<String> {
        candidates.iter().filter(|name| name.starts_with(word)).map(|name| (*name).to_owned()).collect()
    };
    let those = |candidates: &mut dyn Iterator<Item = &String>| -> Vec<String> {
        candidates.filter(|name| name.starts_with(word)).cloned().collect()
    };
    let mut words: Vec<&str> = before.split_whitespace().collect();
    if let Some(first) = words.first_mut() {
        *first = command_of(first);
    }
    let names: Vec<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
    match words.as_slice() {
        [] | ["help"] => matching(&names),
        [.., "--to" | "--from"] | ["tx" | "balance" | "history"] | ["alias", _] => known.accounts(word),
        ["wallet"] => matching(&["lock", "new", "unlock", "use"]),
        ["wallet", "use"] => those(&mut known.lists().wallets.iter()),
        ["unalias"] => those(&mut known.lists().names.iter()),
        ["alias"] | ["connect"] => those(&mut known.lists().peers.iter()),
        ["block"] => ids(&known.lists().blocks, word),
        ["watch" | "unwatch" | "again"] => ids(&known.lists().transactions, word),
        ["receipt"] if word.starts_with('-') => matching(&["--tip"]),
        ["receipt"] => ids(&known.lists().transactions, word),
        ["receipt", .., "--form"] => matching(&["full", "sampled", "witnessed"]),
        ["receipt", _, ..] if word.starts_with('-') => matching(&["--confirmations", "--form"]),
        ["records", ..] if word.starts_with("--") => {
            matching(&["--before", "--find", "--from", "--limit", "--since", "--tag"])
        }
        ["record"] if word.starts_with("--") => matching(&["--fee", "--json", "--tag"]),
        ["mine"] => matching(&["on", "off", "pending", "--to"]),
        ["mine", ..] if !words.contains(&"--to") => matching(&["--to"]),
        ["tx", _, _] => matching(&["--fee"]),
        ["checkpoint"] => matching(&["off"]),
        _ => Vec::new(),
    }
}

/// The file's name at the end of a line whose command takes one there. It may have blanks: it goes on to the end.
fn file_argument(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    match command_of(name) {
        "save" | "backup" => Some(rest.trim_start()),
        "receipt" => {
            let (of, file) = rest.trim_start().split_once(char::is_whitespace)?;
            let file = file.trim_start();
            (!of.starts_with('-') && !file.starts_with("--")).then_some(file)
        }
        "records" => {
            let (before, word) = rest.rsplit_once(char::is_whitespace)?;
            let word = word.strip_prefix('@').unwrap_or(word);
            (before.split_whitespace().next_back() == Some("--find")).then_some(word)
        }
        "record" => {
            let mut rest = rest.trim_start();
            while let Some(option) = ["--tag", "--fee"].into_iter().find(|option| rest.starts_with(option)) {
                let (_, behind) = rest[option.len()..].trim_start_matches('=').trim_start().split_once(' ')?;
                rest = behind.trim_start();
            }
            rest.strip_prefix('@')
        }
        _ => None,
    }
}

/// The files that begin like this. A folder ends with a slash, so that the next key goes on in it.
fn files(beginning: &str) -> Vec<Offer> {
    let cut = beginning.rfind(std::path::is_separator).map_or(0, |at| at + 1);
    let (folder, begun) = beginning.split_at(cut);
    let read = std::fs::read_dir(if folder.is_empty() { Path::new(".") } else { Path::new(folder) });
    let Ok(entries) = read else { return Vec::new() };
    let mut offers: Vec<_> = entries
        .take(ENTRIES_READ_MAX)
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let is_wanted = name.starts_with(begun) && (begun.starts_with('.') || !name.starts_with('.'));
            if !is_wanted || harmless(&name, NAME_CHARACTERS_MAX) != name {
                return None;
            }
            // A link to a folder is one.
            let is_folder = entry.path().is_dir();
            let shown = if is_folder { name + "/" } else { name };
            Some(Offer { typed: format!("{folder}{shown}"), shown })
        })
        .collect();
    offers.sort_by(|one, other| one.shown.cmp(&other.shown));
    offers.truncate(FILES_OFFERED_MAX);
    offers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::api::rows::{LifeRow, Sent};
    use crate::node::event::Life;
    use crate::protocol::Amount;

    fn offered(line: &str, known: &Known) -> (usize, Vec<String>) {
        let Completions { start, offered } = complete(line, known);
        (start, offered.into_iter().map(|offer| offer.typed.trim_end().to_owned()).collect())
    }

    fn assert_offers(known: &Known, cases: &[(&str, usize, &[&str])]) {
        for (line, start, words) in cases {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(offered(line, known), (*start, words), "{line}");
        }
    }

    #[test]
    fn commands_options_and_addresses() {
        let known = Known::default();
        let address: Address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse().expect("valid");
        known.learn(&address);
        let text = address.to_string();
        let cases: [(&str, usize, &[&str]); 12] = [
            ("st", 0, &["status"]),
            ("pe", 0, &["pending", "peers"]),
            ("help pen", 5, &["pending"]),
            ("tx 0x5aae", 3, &[&text]),
            ("pay 0x5aae", 4, &[&text]),
            ("balance ", 8, &[&text]),
            ("alias bob 0x", 10, &[&text]),
            ("mine 3 --to ", 12, &[&text]),
            ("mine o", 5, &["on", "off"]),
            ("mine 3 ", 7, &["--to"]),
            ("tx 0x5aae 3 --f", 12, &["--fee"]),
            ("record st", 7, &[]),
        ];
        assert_offers(&known, &cases);
    }

    #[test]
    fn names_of_wallets_accounts_and_peers() {
        let known = Known::default();
        let mut names = Names::only(Address([1; 20]));
        names.known.insert(Address([2; 20]), "lab".to_owned());
        names.known.insert(Address([3; 20]), "warehouse".to_owned());
        known.learn_names(&names, ["default", "lab"].map(str::to_owned).into_iter());
        ["lab2", "lab 3", "la\u{202e}b4", "", "lab5"].iter().for_each(|name| known.learn_peer(name));
        let cases: [(&str, usize, &[&str]); 5] = [
            ("wallet use ", 11, &["default", "lab"]),
            ("unalias w", 8, &["warehouse"]),
            ("tx l", 3, &["lab"]),
            // A name that is no single word, or not what it looks like, is left out.
            ("alias l", 6, &["lab5", "lab2"]),
            ("connect ", 8, &["lab5", "lab2"]),
        ];
        assert_offers(&known, &cases);
    }

    #[test]
    fn ids_that_were_shown_the_latest_first() {
        let known = Known::default();
        let id = |byte: u8| TransactionId([byte; 32]);
        let sent = Sent { id: id(0xa1), fee: Amount::ZERO, file: None, signed: None };
        known.learn_answer(&CommandOutcome::Sent(sent));
        known.learn_answer(&CommandOutcome::Watched(LifeRow::new(id(0xa2), &Life::Pending, false)));
        known.learn_event(&UserEvent::Life { id: id(0xa1), life: Life::Pending, again: false });
        known.learn_block(&BlockId([0xb1; 32]));
        // Shown without its zeros.
        let mut zeros = [0x17; 32];
        zeros[0] = 0;
        known.learn_block(&BlockId(zeros));
        let full = id(0xa2).to_string();
        let cases: [(&str, usize, &[&str]); 6] = [
            ("watch ", 6, &["a1a1a1a1", "a2a2a2a2"]),
            ("again A2", 6, &["a2a2a2a2"]),
            ("receipt a", 8, &["a1a1a1a1", "a2a2a2a2"]),
            ("watch a2a2a2a2a", 6, &[&full]),
            ("block ", 6, &["17171717", "b1b1b1b1"]),
            ("block a1", 6, &[]),
        ];
        assert_offers(&known, &cases);
        (0..=u8::MAX).for_each(|byte| known.learn_block(&BlockId([byte; 32])));
        assert_eq!(known.lists().blocks.len(), IDS_MAX);
        (0..=u8::MAX).for_each(|byte| known.learn_peer(&byte.to_string()));
        assert_eq!(known.lists().peers.len(), PEERS_MAX);
    }

    #[test]
    fn files_behind_the_commands_that_take_one() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let root = place.path().to_str().expect("UTF-8");
        for name in ["report.pdf", "two words.txt", ".hidden", "ring\u{7}.txt"] {
            std::fs::write(place.path().join(name), "").expect("written");
        }
        std::fs::create_dir(place.path().join("old")).expect("made");
        let all: Vec<_> = ["old/", "report.pdf", "two words.txt"].iter().map(|name| format!("{root}/{name}")).collect();
        let cases = [
            ("record @", "", &all[..]),
            ("record --tag lot --fee 0.5 @", "re", &all[1..2]),
            ("RECORD @", "two w", &all[2..]),
            ("receipt a1a1a1a1 ", "r", &all[1..2]),
            ("save ", "t", &all[2..]),
            ("backup ", "o", &all[..1]),
            ("records --tag lot --find ", "r", &all[1..2]),
            ("records --find @", "r", &all[1..2]),
            ("record about @", "", &[]),
            ("receipt ", "", &[]),
            ("receipt --tip ", "", &[]),
            ("records ", "", &[]),
        ];
        for (before, begun, found) in cases {
            let line = format!("{before}{root}/{begun}");
            let Completions { offered, start } = complete(&line, &Known::default());
            let typed: Vec<_> = offered.iter().map(|offer| offer.typed.clone()).collect();
            assert_eq!(typed, found, "{line}");
            assert!(found.is_empty() || start == before.len(), "{line}: {start}");
        }
        let hidden = complete(&format!("save {root}/.h"), &Known::default());
        assert_eq!(hidden.offered.iter().map(|offer| &*offer.shown).collect::<Vec<_>>(), [".hidden"]);
        assert_eq!(complete("save /no/such/folder/", &Known::default()).offered, []);
    }
}
