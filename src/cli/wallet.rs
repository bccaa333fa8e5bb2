//! `quipu wallet …`. It needs no running node; one may run in the same folder meanwhile.
//!
//! All questions come before anything is written, and a name that is taken is refused before the question for a
//! password. The form of answers is in [`outcome`].

pub mod outcome;
pub mod sign;

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use self::outcome::{ListedRow, WalletOutcome};
use crate::node::private_file;
use crate::node::store::FolderLock;
use crate::node::wallet::error::WalletError;
use crate::node::wallet::folder::{Folder, unusable};
use crate::node::wallet::foreign::KeyFile;
use crate::node::wallet::name::WalletName;
use crate::node::wallet::password::{Password, Sources};
use crate::node::wallet::pem::{FILE_BYTES_MAX, ITERATIONS, PRIVATE_LABEL, WalletFile};
use crate::node::wallet::session::{create, list, take_in_old_key};
use crate::node::wallet::words::{RecoveryPhrase, Seed};
use crate::output;
use crate::text::without_mark;

/// The longest input for a recovery phrase, in bytes: 24 words of at most 8 letters, and room for blanks.
const WORDS_BYTES_MAX: u64 = 4096;
/// The longest input for a name, in bytes.
const CONFIRMATION_BYTES_MAX: u64 = 100;
/// The default name of a wallet from a phrase.
const RESTORED_NAME: &str = "restored";

/// A subcommand. No field of its parts may have the name of an option of the whole program: `clap` would take them for
/// one.
#[derive(Debug, Subcommand)]
pub enum WalletSubcommand {
    /// Make a wallet; its recovery phrase is shown once
    New(New),
    /// List the wallets of the data folder
    List,
    /// Show one wallet: its address, its public key, its file
    Show(Show),
    /// Write the key file (with its password), or with --public the public half, to stdout or to FILE
    Export(Export),
    /// Import a key file of this or another program, or a recovery phrase
    Import(Import),
    /// Sign a prepared transaction, and show what it does
    Sign(sign::Sign),
    /// Set, change or remove the password
    Passwd(Passwd),
    /// Remove a wallet. The coins of its key are lost, unless there is a copy or a recovery phrase
    Remove(Remove),
}

/// `wallet new`.
#[derive(Debug, Args)]
pub struct New {
    /// 1 to 32 of A-Z a-z 0-9 . _ -
    #[arg(value_name = "WALLET")]
    which: String,
    #[command(flatten)]
    protection: Protection,
}

/// `wallet show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The wallet's name
    #[arg(value_name = "WALLET")]
    which: String,
}

/// `wallet export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The wallet's name
    #[arg(value_name = "WALLET")]
    which: String,
    /// The file to write; an existing one is never overwritten
    file: Option<PathBuf>,
    /// Only the public key, as an X.509 SubjectPublicKeyInfo
    #[arg(long, conflicts_with = "no_password")]
    public: bool,
    #[command(flatten)]
    protection: Protection,
}

/// `wallet import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The key file: PKCS#8 in PEM form, Ed25519; it is left alone, and its password stays that of the wallet. With
    /// --words, the new wallet's name instead
    #[arg(value_name = "FILE", required_unless_present = "words")]
    source: Option<PathBuf>,
    /// The wallet's name here [default: as the file]
    #[arg(value_name = "WALLET", conflicts_with = "words")]
    called: Option<String>,
    /// Restore from the recovery phrase, which is read from the terminal or from stdin
    #[arg(long)]
    words: bool,
    #[command(flatten)]
    new_password: NewPassword,
    #[command(flatten)]
    protection: Protection,
}

/// `wallet passwd`.
#[derive(Debug, Args)]
pub struct Passwd {
    /// The wallet's name
    #[arg(value_name = "WALLET")]
    which: String,
    #[command(flatten)]
    new_password: NewPassword,
    #[command(flatten)]
    protection: Protection,
}

/// `wallet remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The wallet's name
    #[arg(value_name = "WALLET")]
    which: String,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

/// The source of a new password, if there is an old one too.
#[derive(Debug, Args)]
struct NewPassword {
    /// File whose first line is the new password; or put the password itself in QUIPU_WALLET_NEW_PASSWORD
    #[arg(long, value_name = "FILE", env = "QUIPU_NEW_PASSWORD_FILE")]
    new_password_file: Option<PathBuf>,
}

/// The choice to write a file without a password.
#[derive(Debug, Args)]
struct Protection {
    /// Write the key without a password: anyone who can read the file has the key
    #[arg(long)]
    no_password: bool,
}

/// A command and its subject.
#[derive(Debug)]
pub struct WalletRequest {
    pub command: WalletSubcommand,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The sources of passwords.
    pub passwords: Sources,
}

impl WalletRequest {
    /// The command's name in answers.
    pub fn name(&self) -> &'static str {
        match self.command {
            WalletSubcommand::New(_) => "wallet new",
            WalletSubcommand::List => "wallet list",
            WalletSubcommand::Show(_) => "wallet show",
            WalletSubcommand::Export(_) => "wallet export",
            WalletSubcommand::Import(_) => "wallet import",
            WalletSubcommand::Sign(_) => "wallet sign",
            WalletSubcommand::Passwd(_) => "wallet passwd",
            WalletSubcommand::Remove(_) => "wallet remove",
        }
    }

    /// Carries it out. Asks in the terminal for the values that are missing.
    pub fn run(self) -> Result<WalletOutcome, WalletError> {
        let Self { command, data_dir, mut passwords } = self;
        let folder = Folder::new(&data_dir);
        take_in_old_key(&folder, &data_dir)?;
        match command {
            WalletSubcommand::New(new) => run_new(&folder, &new, &passwords),
            WalletSubcommand::List => {
                // If the next start's wallet is not certain, none is marked.
                let next = folder.choose().ok().flatten();
                Ok(WalletOutcome::List {
                    wallets: list(&folder, next.as_ref())?.into_iter().map(ListedRow::from).collect(),
                })
            }
            WalletSubcommand::Show(show) => run_show(&folder, &show),
            WalletSubcommand::Export(export) => run_export(&folder, &export, &passwords),
            WalletSubcommand::Import(import) => {
                passwords.new_file.clone_from(&import.new_password.new_password_file);
                run_import(&folder, &import, &passwords)
            }
            WalletSubcommand::Passwd(passwd) => {
                passwords.new_file.clone_from(&passwd.new_password.new_password_file);
                run_passwd(&folder, &passwd, &passwords)
            }
            WalletSubcommand::Sign(sign) => sign::run(&folder, &sign, &passwords),
            WalletSubcommand::Remove(remove) => run_remove(&data_dir, &folder, &remove),
        }
    }
}

impl Protection {
    fn password(&self, passwords: &Sources, has_old: bool, name: &WalletName) -> Result<Option<Password>, WalletError> {
        if self.no_password {
            return Ok(None);
        }
        passwords.new_one(has_old, &format!("New password for the wallet {name}: ")).map(Some)
    }
}

fn run_new(folder: &Folder, new: &New, passwords: &Sources) -> Result<WalletOutcome, WalletError> {
    let name = new.which.parse()?;
    folder.check_free(&name)?;
    let password = new.protection.password(passwords, false, &name)?;
    let (address, words) = create(folder, &name, password.as_ref())?;
    Ok(WalletOutcome::Made { name, address, words, encrypted: password.is_some() })
}

fn run_show(folder: &Folder, show: &Show) -> Result<WalletOutcome, WalletError> {
    let name = folder.find(&show.which.parse()?)?;
    let file = folder.read(&name)?;
    Ok(WalletOutcome::Shown {
        address: file.address(),
        public_key: file.public_key(),
        encrypted: file.is_encrypted(),
        current: folder.choose().is_ok_and(|next| next.as_ref() == Some(&name)),
        file: folder.file(&name),
        name,
    })
}

fn run_export(folder: &Folder, export: &Export, passwords: &Sources) -> Result<WalletOutcome, WalletError> {
    let name = folder.find(&export.which.parse()?)?;
    let file = folder.read(&name)?;
    let pem = if export.public {
        file.public_pem()
    } else if export.protection.no_password {
        let seed = open(folder, &name, &file, passwords, "")?.0;
        WalletFile::seal(&seed, None, ITERATIONS)?.private_pem()
    } else if file.is_encrypted() {
        file.private_pem()
    } else {
        return Err(WalletError::ExportUnprotected);
    };
    let is_secret = !export.public && pem.contains(&format!("BEGIN {PRIVATE_LABEL}"));
    let Some(target) = export.file.clone() else {
        return Ok(WalletOutcome::Exported { name, address: file.address(), pem });
    };
    private_file::write_new(&target, pem.as_bytes()).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => WalletError::FileExists { file: target.clone() },
        _ => unusable("write", &target, source),
    })?;
    Ok(WalletOutcome::ExportedTo {
        name,
        address: file.address(),
        file: target,
        encrypted: !export.public && !is_secret,
    })
}

fn run_import(folder: &Folder, import: &Import, passwords: &Sources) -> Result<WalletOutcome, WalletError> {
    let source = import.source.as_deref();
    let name: WalletName = match (import.words, source, &import.called) {
        (true, Some(name), _) => name.to_string_lossy().parse()?,
        (true, None, _) => RESTORED_NAME.parse()?,
        (false, _, Some(name)) => name.parse()?,
        (false, file, None) => file.and_then(Path::file_stem).unwrap_or_default().to_string_lossy().parse()?,
    };
    folder.check_free(&name)?;
    let mut old = None;
    let seed = if import.words {
        read_words()?.key_seed()
    } else {
        let file = source.expect("the command line demands a file or --words");
        let content = private_file::read(file, FILE_BYTES_MAX).map_err(|source| unusable("read", file, source))?;
        let failed = |problem| WalletError::File { file: file.to_owned(), problem };
        let key = KeyFile::parse(&content).map_err(failed)?;
        let ask = || passwords.existing(&format!("Password of {}: ", file.display()));
        old = key.is_encrypted().then(ask).transpose()?;
        key.open(old.as_ref()).map_err(failed)?
    };
    let address = WalletFile::seal(&seed, None, ITERATIONS)?.address();
    if let Some(other) = folder.with_address(&address)? {
        return Err(WalletError::Duplicate { name: other.to_string(), address });
    }
    let password = match old {
        Some(old) if !import.protection.no_password => Some(passwords.new_given()?.unwrap_or(old)),
        _ => import.protection.password(passwords, false, &name)?,
    };
    folder.add(&name, &WalletFile::seal(&seed, password.as_ref(), ITERATIONS)?)?;
    Ok(WalletOutcome::Imported { name, address, encrypted: password.is_some() })
}

fn run_passwd(folder: &Folder, passwd: &Passwd, passwords: &Sources) -> Result<WalletOutcome, WalletError> {
    let name = folder.find(&passwd.which.parse()?)?;
    let file = folder.read(&name)?;
    let (seed, has_old) = open(folder, &name, &file, passwords, "")?;
    let password = passwd.protection.password(passwords, has_old, &name)?;
    let sealed = WalletFile::seal(&seed, password.as_ref(), ITERATIONS)?;
    // The only copy of a key is not replaced by one that was never opened.
    let reread =
        WalletFile::parse(sealed.to_text().as_bytes(), ITERATIONS).and_then(|file| file.open(password.as_ref()));
    assert_eq!(reread.as_ref().ok(), Some(&seed), "a wallet that was just made must open");
    folder.replace(&name, &sealed)?;
    Ok(WalletOutcome::PasswordSet { name, address: file.address(), encrypted: password.is_some() })
}

fn run_remove(data_dir: &Path, folder: &Folder, remove: &Remove) -> Result<WalletOutcome, WalletError> {
    let name = folder.find(&remove.which.parse()?)?;
    // No later node starts with it, and no running one can have it: the wallet in use can't be seen from outside.
    let _lock = FolderLock::acquire(data_dir, "wallet remove").map_err(WalletError::InUse)?;
    if !remove.yes {
        output::show(format_args!(
            "Removing the wallet {name} loses its key, unless you have a copy or its words.\nType its name: "
        ));
        let mut typed = String::new();
        // Unreadable input is not the name.
        let _ = io::stdin().lock().take(CONFIRMATION_BYTES_MAX).read_line(&mut typed);
        if without_mark(&typed).trim() != name.as_str() {
            return Err(WalletError::NotConfirmed);
        }
    }
    // An unreadable wallet may be removed too.
    let address = folder.read(&name).ok().map(|file| file.address());
    folder.remove(&name)?;
    Ok(WalletOutcome::Removed { name, address })
}

/// The secret half of a wallet, and whether it took a password. A question for it begins with the lines in `before`.
fn open(
    folder: &Folder,
    name: &WalletName,
    file: &WalletFile,
    passwords: &Sources,
    before: &str,
) -> Result<(Seed, bool), WalletError> {
    let is_encrypted = file.is_encrypted();
    let ask = || passwords.existing(&format!("{before}Password of the wallet {name}: "));
    let password = is_encrypted.then(ask).transpose()?;
    let seed = file.open(password.as_ref()).map_err(|problem| folder.problem(name, problem))?;
    Ok((seed, is_encrypted))
}

/// The recovery phrase: in a terminal one line that is typed without echo, as a password is, else all of the input.
fn read_words() -> Result<RecoveryPhrase, WalletError> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let typed = rpassword::prompt_password("The words of the recovery phrase, on one line (they are not shown): ");
        return Ok(RecoveryPhrase::parse(&Zeroizing::new(typed.map_err(WalletError::WordsUnreadable)?))?);
    }
    // Room from the start: a buffer that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(WORDS_BYTES_MAX as usize + 1));
    stdin.lock().take(WORDS_BYTES_MAX).read_to_string(&mut text).map_err(WalletError::WordsUnreadable)?;
    Ok(RecoveryPhrase::parse(without_mark(&text))?)
}
