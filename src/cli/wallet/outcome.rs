//! The answers of `quipu wallet …`: plain lines for people, one JSON object for scripts.
//!
//! | command | JSON result |
//! | --- | --- |
//! | `wallet new` | `{name, address, encrypted, words, path}`; the words are shown nowhere else |
//! | `wallet list` | `{wallets: [{name, address, encrypted, current, problem}]}`; if a file can't be read, all but
//! name, current and problem are null |
//! | `wallet show` | `{name, address, public_key, encrypted, current, file}`; `public_key` is 64 hex digits |
//! | `wallet export` | `{name, address, pem}`, or `{name, address, file, encrypted}` |
//! | `wallet import`, `passwd` | `{name, address, encrypted}` |
//! | `wallet sign` | `{name, network, genesis, signature, transaction, submit}`; the transaction as the prompt shows it, `network` is null
//! if it is no built-in one, `submit` is the body of `POST /api/v1/transactions` |
//! | `wallet remove` | `{name, address}` |

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::sign::SubmitBody;
use crate::node::api::rows::{Data, Kind, TransactionRow};
use crate::node::wallet::name::WalletName;
use crate::node::wallet::session::Listed;
use crate::node::wallet::words::{PATH_TEXT, RecoveryPhrase, numbered};
use crate::protocol::{Address, BlockId, Network, Parameters, PublicKey};
use crate::text::harmless;

/// Characters of a record that are shown before it is signed.
const RECORD_CHARACTERS_MAX: usize = 200;

/// The result of a command.
#[derive(Debug)]
pub enum WalletOutcome {
    /// `wallet new`.
    Made {
        name: WalletName,
        address: Address,
        encrypted: bool,
        /// The recovery phrase, shown nowhere else.
        words: RecoveryPhrase,
    },
    /// `wallet list`.
    List {
        /// Sorted by name.
        wallets: Vec<ListedRow>,
    },
    /// `wallet show`.
    Shown {
        name: WalletName,
        address: Address,
        public_key: PublicKey,
        encrypted: bool,
        /// The next start takes it.
        current: bool,
        file: PathBuf,
    },
    /// `wallet export` to stdout.
    Exported {
        name: WalletName,
        address: Address,
        /// The PEM block.
        pem: Zeroizing<String>,
    },
    /// `wallet export` to a file.
    ExportedTo { name: WalletName, address: Address, file: PathBuf, encrypted: bool },
    /// `wallet import`.
    Imported { name: WalletName, address: Address, encrypted: bool },
    /// `wallet passwd`.
    PasswordSet {
        name: WalletName,
        address: Address,
        /// Whether it has a password now.
        encrypted: bool,
    },
    /// `wallet sign`.
    Signed {
        name: WalletName,
        /// The genesis block of the transaction's network.
        genesis: BlockId,
        summary: Box<TransactionRow>,
        submit: SubmitBody,
        /// A saved answer was signed, so people get the body alone.
        is_saved: bool,
    },
    /// `wallet remove`.
    Removed {
        name: WalletName,
        /// `None`: its file was not readable.
        address: Option<Address>,
    },
}

impl WalletOutcome {
    /// The consequence of an answer that nobody has seen, where a second call does not give it again or where it is a copy
    /// that somebody counts on.
    pub fn if_unseen(&self) -> Option<String> {
        match self {
            Self::Made { name, .. } => Some(format!(
                "the wallet {name} is there, but nobody has seen its recovery phrase: `quipu wallet remove {name}`, then \
                 make it again"
            )),
            Self::Exported { name, .. } => {
                Some(format!("the wallet {name} was not exported: what was written is no copy of it"))
            }
            _ => None,
        }
    }
}

/// A wallet in a list.
#[derive(Debug, Serialize)]
pub struct ListedRow {
    name: String,
    address: Option<Address>,
    encrypted: Option<bool>,
    current: bool,
    problem: Option<String>,
}

impl From<Listed> for ListedRow {
    fn from(listed: Listed) -> Self {
        let Listed { name, state, is_current: current } = listed;
        let (address, encrypted, problem) = match state {
            Ok((address, encrypted)) => (Some(address), Some(encrypted), None),
            Err(error) => (None, None, Some(error.to_string())),
        };
        Self { name, address, encrypted, current, problem }
    }
}

/// The JSON form of [`WalletOutcome`], with its names and types.
#[derive(Serialize)]
#[serde(untagged)]
enum JsonForm<'a> {
    List {
        wallets: &'a [ListedRow],
    },
    Made {
        name: &'a str,
        address: Address,
        encrypted: bool,
        words: &'a str,
        path: &'a str,
    },
    Shown {
        name: &'a str,
        address: Address,
        public_key: String,
        encrypted: bool,
        current: bool,
        file: &'a Path,
    },
    Exported {
        name: &'a str,
        address: Address,
        pem: &'a str,
    },
    ExportedTo {
        name: &'a str,
        address: Address,
        file: &'a Path,
        encrypted: bool,
    },
    Kept {
        name: &'a str,
        address: Address,
        encrypted: bool,
    },
    Signed {
        name: &'a str,
        network: Option<String>,
        genesis: BlockId,
        signature: &'a str,
        transaction: &'a TransactionRow,
        submit: &'a SubmitBody,
    },
    Removed {
        name: &'a str,
        address: Option<Address>,
    },
}

impl Serialize for WalletOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = match self {
            Self::List { wallets } => JsonForm::List { wallets },
            Self::Made { name, address, encrypted, words } => JsonForm::Made {
                name: name.as_str(),
                address: *address,
                encrypted: *encrypted,
                words: words.phrase(),
                path: PATH_TEXT,
            },
            Self::Shown { name, address, public_key, encrypted, current, file } => JsonForm::Shown {
                name: name.as_str(),
                address: *address,
                public_key: digits(public_key),
                encrypted: *encrypted,
                current: *current,
                file,
            },
            Self::Exported { name, address, pem } => JsonForm::Exported { name: name.as_str(), address: *address, pem },
            Self::ExportedTo { name, address, file, encrypted } => {
                JsonForm::ExportedTo { name: name.as_str(), address: *address, file, encrypted: *encrypted }
            }
            Self::Imported { name, address, encrypted } | Self::PasswordSet { name, address, encrypted } => {
                JsonForm::Kept { name: name.as_str(), address: *address, encrypted: *encrypted }
            }
            Self::Signed { name, genesis, summary, submit, .. } => JsonForm::Signed {
                name: name.as_str(),
                network: built_in(genesis),
                genesis: *genesis,
                signature: &submit.signature,
                transaction: summary,
                submit,
            },
            Self::Removed { name, address } => JsonForm::Removed { name: name.as_str(), address: *address },
        };
        json.serialize(serializer)
    }
}

impl WalletOutcome {
    /// Lines for people. May hold secrets.
    pub fn to_text(&self) -> Zeroizing<String> {
        let text = match self {
            Self::Made { name, address, encrypted, words } => {
                return made(name, address, *encrypted, words);
            }
            Self::Exported { pem, .. } => return pem.clone(),
            Self::List { wallets } => list(wallets),
            Self::Shown { name, address, public_key, encrypted, current, file } => format!(
                "wallet      {name}{}\naddress     {address}\npublic key  {}\npassword    {}\nfile        {}\n",
                if *current { " (current)" } else { "" },
                digits(public_key),
                if *encrypted { "yes" } else { "none" },
                file.display(),
            ),
            Self::ExportedTo { name, file, encrypted, .. } => {
                let how = if *encrypted { "; its password opens it" } else { "" };
                format!("exported {name} to {}{how}\n", file.display())
            }
            Self::Imported { name, address, encrypted } => {
                format!("imported {name}: {address}\n{}", hint(name, *encrypted))
            }
            Self::PasswordSet { name, encrypted: true, .. } => {
                format!("{name} has a new password; copies of its file have the old one\n")
            }
            Self::PasswordSet { name, .. } => format!("{name} no longer has a password\n"),
            Self::Signed { submit, is_saved: true, .. } => {
                serde_json::to_string(submit).expect("strings always serialise") + "\n"
            }
            Self::Signed { name, genesis, summary, submit, .. } => {
                format!("{}signature  {}\n", description(name, genesis, summary), submit.signature)
            }
            Self::Removed { name, address: Some(address) } => format!("removed {name} ({address})\n"),
            Self::Removed { name, address: None } => format!("removed {name}\n"),
        };
        Zeroizing::new(text)
    }
}

fn made(name: &WalletName, address: &Address, encrypted: bool, words: &RecoveryPhrase) -> Zeroizing<String> {
    // Room from the start: a buffer that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(2048));
    let written = write!(
        text,
        "made {name}: {address}\n\nIts recovery phrase restores the key when the file or its password is lost, and gives it to\n\
         anyone who reads it. Write it down on paper; it is shown only now:\n\n"
    );
    written.expect("a string takes everything");
    text.push_str(&numbered(words.phrase()));
    text.push_str("\n`quipu wallet import --words` restores it.\n");
    text.push_str(&hint(name, encrypted));
    text
}

fn list(rows: &[ListedRow]) -> String {
    if rows.is_empty() {
        return "no wallets yet; `quipu wallet new NAME` makes one, and so does the first start of a node\n".to_owned();
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for ListedRow { name, address, encrypted, current, problem } in rows {
        let mark = if *current { '*' } else { ' ' };
        let rest = match (address, problem) {
            (Some(address), _) if *encrypted == Some(true) => address.to_string(),
            (Some(address), _) => format!("{address} (no password)"),
            (None, problem) => problem.clone().unwrap_or_default(),
        };
        writeln!(text, "{mark} {name:<width$}  {rest}").expect("a string takes everything");
    }
    text
}

/// What is signed, and for which network, in lines.
pub(super) fn description(name: &WalletName, genesis: &BlockId, summary: &TransactionRow) -> String {
    let network = match built_in(genesis) {
        Some(network) => format!("{network} (genesis {})", genesis.short()),
        None => format!("none that is built in: genesis {genesis}"),
    };
    format!("{name} signs: {}\nnetwork    {network}\n", in_words(summary))
}

/// The built-in network with this genesis block.
fn built_in(genesis: &BlockId) -> Option<String> {
    let networks = [Parameters::lan(), Parameters::dev()].map(|built_in| Network::new(built_in).expect("it is valid"));
    let found = networks.iter().find(|network| network.genesis_id() == *genesis)?;
    Some(found.parameters().name.clone())
}

fn in_words(summary: &TransactionRow) -> String {
    let deed = match (summary.kind, &summary.to, &summary.amount, &summary.data) {
        (Kind::Transfer, Some(to), Some(amount), _) => format!("{amount} to {to}"),
        (_, _, _, Some(Data::Text(text))) => format!("the record {}", harmless(text, RECORD_CHARACTERS_MAX)),
        (_, _, _, Some(Data::Bytes { hex })) => format!("a record of {} bytes", hex.len() / 2),
        _ => "nothing".to_owned(),
    };
    format!("{deed}, fee {}, nonce {}", summary.fee, summary.nonce.unwrap_or_default())
}

fn hint(name: &WalletName, encrypted: bool) -> String {
    if encrypted { String::new() } else { format!("It has no password; `quipu wallet passwd {name}` sets one.\n") }
}

fn digits(key: &PublicKey) -> String {
    let PublicKey::Ed25519(bytes) = key;
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Amount, TransactionId};

    fn name() -> WalletName {
        "team".parse().expect("a name")
    }

    #[test]
    fn a_phrase_is_numbered_and_in_order() {
        let words = RecoveryPhrase::random().expect("random");
        let all: Vec<String> = words.phrase().split(' ').map(str::to_owned).collect();
        let done = WalletOutcome::Made { name: name(), address: Address([1; 20]), encrypted: true, words };
        let text = done.to_text();
        let shown: Vec<&str> = text
            .lines()
            .filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()))
            .flat_map(str::split_whitespace)
            .collect();
        let want: Vec<String> =
            all.iter().enumerate().flat_map(|(at, word)| [(at + 1).to_string(), word.clone()]).collect();
        assert_eq!(shown, want);
        assert!(text.lines().all(|line| line.len() <= 100 && line == line.trim_end()), "{}", *text);
        assert!(!format!("{done:?}").contains(&all.join(" ")), "Debug shows no secret");
    }

    #[test]
    fn a_description_names_what_is_signed_and_the_network() {
        let summary = TransactionRow {
            id: TransactionId([7; 32]),
            kind: Kind::Transfer,
            sender: Some(Address([1; 20])),
            nonce: Some(3),
            fee: Amount::ZERO,
            to: Some(Address([2; 20])),
            amount: Some(Amount::COIN),
            data: None,
        };
        let of = |genesis| description(&name(), &genesis, &summary);
        for (parameters, called) in [(Parameters::lan(), "lan"), (Parameters::dev(), "dev")] {
            let genesis = Network::new(parameters).expect("valid").genesis_id();
            let want = format!(
                "team signs: 1 to {}, fee 0, nonce 3\nnetwork    {called} (genesis {})\n",
                Address([2; 20]),
                genesis.short()
            );
            assert_eq!(of(genesis), want);
        }
        assert!(of(BlockId([9; 32])).contains(&BlockId([9; 32]).to_string()), "an unknown one by its whole genesis");
    }

    #[test]
    fn a_list_marks_the_current_one_and_shows_what_cannot_be_read() {
        let row = |name: &str, address, current, problem: Option<&str>| ListedRow {
            name: name.to_owned(),
            address,
            encrypted: address.map(|_| current),
            current,
            problem: problem.map(str::to_owned),
        };
        let address = Address([1; 20]);
        let rows = vec![
            row("a", Some(address), true, None),
            row("long", Some(address), false, None),
            row("z", None, false, Some("z.pem: cut off")),
        ];
        let text = WalletOutcome::List { wallets: rows }.to_text();
        let want = format!("* a     {address}\n  long  {address} (no password)\n  z     z.pem: cut off\n");
        assert_eq!(*text, want);
    }

    #[test]
    fn results_have_the_documented_fields() {
        let address = Address([1; 20]);
        let cases = [
            (WalletOutcome::List { wallets: vec![] }, "{wallets}"),
            (
                WalletOutcome::Made {
                    name: name(),
                    address,
                    encrypted: true,
                    words: RecoveryPhrase::random().expect("random"),
                },
                "{name, address, encrypted, words, path}",
            ),
            (
                WalletOutcome::Shown {
                    name: name(),
                    address,
                    public_key: PublicKey::Ed25519([1; 32]),
                    encrypted: true,
                    current: true,
                    file: "f".into(),
                },
                "{name, address, public_key, encrypted, current, file}",
            ),
            (
                WalletOutcome::Exported { name: name(), address, pem: Zeroizing::new("p".to_owned()) },
                "{name, address, pem}",
            ),
            (
                WalletOutcome::ExportedTo { name: name(), address, file: "f".into(), encrypted: true },
                "{name, address, file, encrypted}",
            ),
            (WalletOutcome::Imported { name: name(), address, encrypted: true }, "{name, address, encrypted}"),
            (WalletOutcome::PasswordSet { name: name(), address, encrypted: true }, "{name, address, encrypted}"),
            (WalletOutcome::Removed { name: name(), address: Some(address) }, "{name, address}"),
        ];
        for (done, want) in cases {
            let json = serde_json::to_value(&done).expect("JSON");
            let mut fields: Vec<&str> = json.as_object().expect("an object").keys().map(String::as_str).collect();
            let mut want: Vec<&str> = want.trim_matches(['{', '}']).split(", ").collect();
            fields.sort_unstable();
            want.sort_unstable();
            assert_eq!(fields, want);
        }
    }
}
