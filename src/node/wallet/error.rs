//! Errors of wallets. Each text says what is wrong and what to do; none of them has changed a file.

use std::io;
use std::path::{Path, PathBuf};

use super::limits::{NAME_BYTES_MAX, PASSWORD_BYTES_MAX, WALLETS_MAX};
use crate::node::store::StoreError;
use crate::protocol::Address;

/// Why a wallet can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The file of a key, ours or given, can't be opened.
    #[error("{}", unusable_file(.file, .problem))]
    File {
        file: PathBuf,
        /// The problem with it.
        problem: FileProblem,
    },
    /// The system does not let a file or a folder be used.
    #[error("cannot {verb} {}: {source}; {}", .file.display(), remedy(.source))]
    Unusable {
        /// `read`, `write` or `remove`.
        verb: &'static str,
        file: PathBuf,
        source: io::Error,
    },
    /// The key is needed, but the wallet is locked.
    #[error("the wallet {name} is locked: `wallet unlock` asks for its password")]
    Locked { name: String },
    /// It has no password to lock or unlock it with.
    #[error("the wallet {name} has no password, so it is never locked; `quipu wallet passwd {name}` sets one")]
    NotProtected { name: String },
    /// The file to be signed holds no prepared transaction.
    #[error("{} holds no prepared transaction, and nothing else is signed: prepare it again", .file.display())]
    NotATransaction { file: PathBuf },
    /// The transaction to be signed belongs to another account.
    #[error("that transaction is of {sender}, not of the wallet {name}: use the wallet with that address")]
    OtherSender { name: String, sender: Address },
    /// Not a name for a wallet.
    #[error(
        "{name:?} is no name for a wallet: use 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 . _ - and begin with none of . and \
         -"
    )]
    BadName { name: String },
    /// There is no wallet of that name.
    #[error("there is no wallet {name}; `wallet list` shows those there are, `wallet new` makes one")]
    NotFound { name: String },
    /// There is a chain, and none of the wallets that its node must have had.
    #[error(
        "this folder has a chain, but no wallet any more{}: put its file back into {}, bring it back with `quipu wallet \
         import`, or begin another account with --new-wallet",
        .last.as_ref().map(|last| format!("; it was {last}")).unwrap_or_default(), .folder.display()
    )]
    Gone {
        /// The folder of the wallets.
        folder: PathBuf,
        /// Its name and address, if they are known.
        last: Option<String>,
    },
    /// There are several, and none is marked as the one to use.
    #[error("there are several wallets: say which with --wallet NAME, or choose one for good with `wallet use NAME`")]
    WhichOne,
    /// The name is taken; names that differ in case alone count as the same.
    #[error("there is a wallet {name} already: choose another name, or `wallet remove` that one first")]
    NameTaken {
        /// The one that is there.
        name: String,
    },
    /// The same key is there already.
    #[error("the wallet {name} has this key already ({address}); nothing was imported")]
    Duplicate {
        /// The one that is there.
        name: String,
        address: Address,
    },
    /// No more wallets fit in a data folder.
    #[error("a data folder holds at most {WALLETS_MAX} wallets: remove one, or take another --data-dir")]
    TooMany,
    /// A file to be written is there already.
    #[error("{} is there already, and is never overwritten: choose another file", .file.display())]
    FileExists { file: PathBuf },
    /// A running node may use this wallet.
    #[error("a wallet can only be removed while no node uses its folder: {0}")]
    InUse(StoreError),
    /// The confirmation that was typed is not the name.
    #[error("nothing was removed: what was typed is not the wallet's name")]
    NotConfirmed,
    /// A password is needed, and there is nobody to ask.
    #[error("no password: give {option}, set {variable}, run this in a terminal to be asked{no_password}")]
    NoPasswordGiven {
        /// The option that names a file.
        option: &'static str,
        /// The environment's variable.
        variable: &'static str,
        /// How to do without a password, where that is possible.
        no_password: &'static str,
    },
    /// The file with a password can't be used.
    #[error("cannot read the password file {}: {source}; its first line must be the password", .file.display())]
    PasswordFile { file: PathBuf, source: io::Error },
    /// An empty password protects nothing.
    #[error("the password is empty; choose one, or say --no-password for a wallet without one")]
    EmptyPassword,
    /// Longer than other programs take.
    #[error(
        "the password is longer than {PASSWORD_BYTES_MAX} bytes, which other programs refuse: choose a shorter one"
    )]
    LongPassword,
    /// The two passwords that were typed differ.
    #[error("the two passwords differ: nothing was done, please try again")]
    PasswordsDiffer,
    /// Not a recovery phrase.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// There are no words to read.
    #[error("cannot read the words: {0}; type them in a terminal or pipe them in, on one line or several")]
    WordsUnreadable(io::Error),
    /// An export without a password must be asked for.
    #[error("the file would have no password on it: say --no-password if that is what you want")]
    ExportUnprotected,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers, and no key can be made without: {0}")]
    NoRandomness(getrandom::Error),
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::NotFound => "name another one",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room",
        _ => "check who owns it and its permissions",
    }
}

/// A password is typed again; what is wrong with a file needs its name.
fn unusable_file(file: &Path, problem: &FileProblem) -> String {
    match problem {
        FileProblem::WrongPassword => problem.to_string(),
        _ => format!("{}: {problem}", file.display()),
    }
}

/// Why the file of a key can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// The password does not open it.
    #[error("wrong password: try again")]
    WrongPassword,
    /// It is protected, and no password was given.
    #[error("it is protected by a password: give one")]
    NeedsPassword,
    /// It has been changed since it was written.
    #[error("damaged or tampered with, its parts do not fit together: put back a copy of it")]
    Tampered,
    /// Its end is missing.
    #[error("cut off, its end is missing: put back a copy (a key that another program wrote: `quipu wallet import`)")]
    CutOff,
    /// A key, but of another kind.
    #[error("{0}, but an Ed25519 key is needed: `openssl genpkey -algorithm ed25519` makes one")]
    ForeignKey(&'static str),
    /// Not a private key.
    #[error("not a key file: a private key in PEM form (PKCS#8) is needed")]
    NotAKey,
    /// The public half alone.
    #[error("not a key file, but the public half of a key: the private key is needed")]
    PublicKey,
    /// A public half in the file is of another key.
    #[error("the public key in it is not that of the private key: leave only the block of the private key in the file")]
    OtherPublicKey,
    /// A wallet's file with a whole key, but not as it was written.
    #[error(
        "its line ends or blanks have been changed (by git, an editor or a mail program), but the key in it is whole: \
         move it out of this folder, then `quipu wallet import` takes it"
    )]
    Reformatted,
    /// A key in a form that its own program can change.
    #[error("{0}")]
    Convert(&'static str),
    /// Longer than any key file.
    #[error("too long for a key file: choose another file")]
    TooLong,
    /// An encryption that this program does not know, or that would take for ever.
    #[error("{0}: rewrite it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE`")]
    Unsupported(&'static str),
}

/// Why words are no recovery phrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// A recovery phrase has 24 words, those of other programs 12, 15, 18 or 21.
    #[error("a recovery phrase has 24 words (or 12, 15, 18, 21), not {0}: check that none is missing")]
    Count(usize),
    /// Not in the list of BIP-39.
    #[error("word {position} of the recovery phrase, {word:?}, is not in the English list: check its spelling")]
    Unknown { position: usize, word: String },
    /// All words are in the list, but together they are not a phrase.
    #[error("the recovery phrase has a wrong checksum: a word is wrong, or two changed places; check it word by word")]
    Checksum,
}

impl WalletError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { problem, .. } => problem.code(),
            Self::Unusable { .. } => "wallet_unreadable",
            Self::Locked { .. } => "wallet_locked",
            Self::NotProtected { .. } => "wallet_not_protected",
            Self::NotATransaction { .. } => "not_a_transaction",
            Self::OtherSender { .. } => "other_sender",
            Self::BadName { .. } => "bad_wallet_name",
            Self::Gone { .. } => "wallet_gone",
            Self::NotFound { .. } => "wallet_not_found",
            Self::WhichOne => "wallet_not_chosen",
            Self::NameTaken { .. } | Self::Duplicate { .. } => "wallet_exists",
            Self::TooMany => "too_many_wallets",
            Self::FileExists { .. } => "file_exists",
            Self::InUse(_) => "wallet_in_use",
            Self::NotConfirmed => "not_confirmed",
            Self::NoPasswordGiven { .. } => "password_needed",
            Self::PasswordFile { .. } => "password_file",
            Self::EmptyPassword | Self::LongPassword | Self::PasswordsDiffer => "bad_password",
            Self::Words(_) | Self::WordsUnreadable(_) => "bad_words",
            Self::ExportUnprotected => "export_unprotected",
            Self::NoRandomness(_) => "system",
        }
    }
}

impl FileProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong_password",
            Self::NeedsPassword => "password_needed",
            Self::Tampered => "wallet_tampered",
            Self::CutOff => "wallet_cut_off",
            Self::ForeignKey(_) => "foreign_key",
            Self::NotAKey | Self::PublicKey => "not_a_key",
            Self::OtherPublicKey => "other_public_key",
            Self::Reformatted => "wallet_reformatted",
            Self::TooLong => "key_too_long",
            Self::Unsupported(_) | Self::Convert(_) => "key_unsupported",
        }
    }
}
