//! The wallet that a running node signs with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::error::{FileProblem, WalletError};
use super::folder::{Folder, unusable};
use super::foreign::KeyFile;
use super::name::WalletName;
use super::password::Password;
use super::pem::{FILE_BYTES_MAX, ITERATIONS, WalletFile};
use super::wiped::wiped;
use super::words::{RecoveryPhrase, Seed, random};
use crate::files::make_folder;
use crate::node::private_file;
use crate::node::store::has_chain;
use crate::protocol::{Address, SecretKey};

/// The file of the account's key before there were wallets.
const OLD_KEY_FILE: &str = "account.pem";
/// The wallet that it becomes if `default` is taken.
const OLD_KEY_NAME: &str = "account";

/// The wallets of a data folder, and which of them is in use. Cheap to clone; all clones are the same.
///
/// Reading files and trying passwords does not delay requests for the address or the key.
#[derive(Debug, Clone)]
pub struct Wallets(Arc<WalletsInner>);

#[derive(Debug)]
struct WalletsInner {
    folder: Folder,
    active: Mutex<Active>,
}

/// The wallet in use.
#[derive(Debug)]
struct Active {
    name: WalletName,
    address: Address,
    is_encrypted: bool,
    /// `None` while it is locked.
    key: Option<Arc<SecretKey>>,
    locks_at: Option<Instant>,
}

/// How the wallet in use is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    pub name: String,
    /// Its address; known while it is locked too.
    pub address: Address,
    /// Whether its file has a password.
    pub is_encrypted: bool,
    /// Whether signing is refused.
    pub is_locked: bool,
    /// When it locks itself, if it does.
    pub locks_at: Option<Instant>,
}

/// One of the wallets of a folder.
#[derive(Debug)]
pub struct Listed {
    pub name: String,
    /// Its address and whether it has a password, or why its file can't be read.
    pub state: Result<(Address, bool), WalletError>,
    /// Whether it is the one in use, or the one that the next start takes.
    pub is_current: bool,
}

impl Wallets {
    /// The wallet to start with: the one called `name`, else the one used last, else `default`, else the only one.
    ///
    /// In a new folder `default` is made, without a password, or with the key of an `account.pem` of older versions. A
    /// folder that has a chain had a wallet: a new one in its place would be another account, without a word. A protected wallet is locked unless there is a password, which then must be right.
    pub fn open(data_dir: &Path, name: Option<&str>, password: Option<Password>) -> Result<Self, WalletError> {
        make_folder(data_dir, true).map_err(|source| unusable("write", data_dir, source))?;
        let folder = Folder::new(data_dir);
        take_in_old_key(&folder, data_dir)?;
        let asked = name.map(str::parse::<WalletName>).transpose()?;
        let default = WalletName::default_name();
        if asked.as_ref().is_none_or(|name| name.is_same(&default)) && folder.names()?.is_empty() {
            if has_chain(data_dir) {
                return Err(folder.gone());
            }
            wiped(|| make_default(&folder, &random()?))?;
        }
        let name = match asked {
            Some(name) => folder.find(&name)?,
            None => folder.choose()?.ok_or_else(|| WalletError::NotFound { name: default.to_string() })?,
        };
        let active = Active::read(&folder, name, password.as_ref())?;
        folder.note_last(&active.name, &active.address);
        Ok(Self(Arc::new(WalletsInner { folder, active: Mutex::new(active) })))
    }

    /// Makes `default` in a folder that has no wallet, whatever else is in it.
    pub fn make_first(data_dir: &Path) -> Result<(), WalletError> {
        make_folder(data_dir, true).map_err(|source| unusable("write", data_dir, source))?;
        let folder = Folder::new(data_dir);
        take_in_old_key(&folder, data_dir)?;
        if folder.names()?.is_empty() { wiped(|| make_default(&folder, &random()?)) } else { Ok(()) }
    }

    /// The wallets of a folder in which the first one has the key of this seed, and no password; else as
    /// [`Wallets::open`]. For nodes that must be the same in each run: anyone who knows the seed has the coins.
    pub fn open_seeded(data_dir: &Path, seed: [u8; 32], password: Option<Password>) -> Result<Self, WalletError> {
        make_folder(data_dir, true).map_err(|source| unusable("write", data_dir, source))?;
        let folder = Folder::new(data_dir);
        if folder.names()?.is_empty() {
            make_default(&folder, &Seed::new(seed))?;
        }
        Self::open(data_dir, None, password)
    }

    /// The wallet in use.
    pub fn current(&self) -> Current {
        let active = self.active();
        Current {
            name: active.name.to_string(),
            address: active.address,
            is_encrypted: active.is_encrypted,
            is_locked: active.key.is_none(),
            locks_at: active.locks_at,
        }
    }

    pub fn address(&self) -> Address {
        self.active().address
    }

    /// Its key, for one signature: a copy that is kept outlives the lock. `Locked` while it is locked.
    pub fn key(&self) -> Result<Arc<SecretKey>, WalletError> {
        let mut active = self.active();
        active.lock_if_due(Instant::now());
        active.key.clone().ok_or_else(|| WalletError::Locked { name: active.name.to_string() })
    }

    /// The wallets' names and files.
    pub fn files(&self) -> Result<Vec<(String, PathBuf)>, WalletError> {
        let (folder, names) = (&self.0.folder, self.0.folder.names()?);
        Ok(names.iter().map(|name| (name.to_string(), folder.file(name))).collect())
    }

    /// Whether one of the wallets has this address. One that can't be read has none.
    pub fn has(&self, address: &Address) -> bool {
        self.address() == *address || self.0.folder.with_address(address).is_ok_and(|found| found.is_some())
    }

    /// The key of any wallet that needs no password now: the one in use, or one that has none.
    pub fn key_of(&self, address: &Address) -> Result<Arc<SecretKey>, WalletError> {
        if self.address() == *address {
            return self.key();
        }
        let folder = &self.0.folder;
        let none = || WalletError::NotFound { name: address.to_string() };
        let name = folder.with_address(address)?.ok_or_else(none)?;
        let read = Active::read(folder, name, None)?;
        read.key.ok_or_else(|| WalletError::Locked { name: read.name.to_string() })
    }

    /// Unlocks it, until it is locked or for `lasting`. Blocks for as long as a password takes to try.
    pub fn unlock(&self, password: &Password, lasting: Option<Duration>) -> Result<(), WalletError> {
        let name = self.active().name.clone();
        let mut read = Active::read(&self.0.folder, name, Some(password))?;
        if !read.is_encrypted {
            return Err(WalletError::NotProtected { name: read.name.to_string() });
        }
        read.locks_at = lasting.and_then(|lasting| Instant::now().checked_add(lasting));
        let mut active = self.active();
        // If another one has come into use meanwhile, that one stays.
        if active.name == read.name {
            // Otherwise the node would sign for another account than the one that it shows.
            if active.address != read.address {
                return Err(self.0.folder.problem(&read.name, FileProblem::Tampered));
            }
            *active = read;
        }
        Ok(())
    }

    /// Locks it: the key is dropped, and cleared when the last signature that uses it is made.
    pub fn lock(&self) -> Result<(), WalletError> {
        let name = self.active().name.clone();
        // The password may have been set or taken off since.
        let read = Active::read(&self.0.folder, name, None)?;
        if !read.is_encrypted {
            return Err(WalletError::NotProtected { name: read.name.to_string() });
        }
        let mut active = self.active();
        if active.name == read.name {
            *active = read;
        }
        Ok(())
    }

    /// Locks it if its time is over. Returns whether it did.
    pub fn lock_if_due(&self, now: Instant) -> bool {
        self.active().lock_if_due(now)
    }

    /// Switches to another wallet, for this run and later ones. A protected one is locked without its password.
    pub fn use_wallet(&self, name: &str, password: Option<&Password>) -> Result<(), WalletError> {
        let folder = &self.0.folder;
        let name = folder.find(&name.parse()?)?;
        let read = Active::read(folder, name.clone(), password)?;
        folder.set_current(&name)?;
        folder.note_last(&name, &read.address);
        *self.active() = read;
        Ok(())
    }

    /// Fails if a new wallet can't have this name.
    pub fn check_free(&self, name: &str) -> Result<(), WalletError> {
        self.0.folder.check_free(&name.parse()?)
    }

    /// Makes a new wallet, without switching to it. The words are shown to its owner once, and stored nowhere.
    pub fn create(&self, name: &str, password: Option<&Password>) -> Result<(Address, RecoveryPhrase), WalletError> {
        create(&self.0.folder, &name.parse()?, password)
    }

    /// All of them, sorted by name. Reads each file.
    pub fn list(&self) -> Result<Vec<Listed>, WalletError> {
        let current = self.active().name.clone();
        list(&self.0.folder, Some(&current))
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        self.0.active.lock()
    }
}

impl Active {
    fn read(folder: &Folder, name: WalletName, password: Option<&Password>) -> Result<Self, WalletError> {
        wiped(|| Self::read_secrets(folder, name, password))
    }

    fn read_secrets(folder: &Folder, name: WalletName, password: Option<&Password>) -> Result<Self, WalletError> {
        let file = folder.read(&name)?;
        let is_encrypted = file.is_encrypted();
        let key = if is_encrypted && password.is_none() {
            None
        } else {
            let seed = file.open(password).map_err(|problem| folder.problem(&name, problem))?;
            Some(Arc::new(SecretKey::from_seed(*seed)))
        };
        Ok(Self { name, address: file.address(), is_encrypted, key, locks_at: None })
    }

    fn lock_if_due(&mut self, now: Instant) -> bool {
        let is_due = self.locks_at.is_some_and(|at| at <= now);
        if is_due {
            (self.key, self.locks_at) = (None, None);
        }
        is_due
    }
}

/// Makes the first wallet of a folder.
fn make_default(folder: &Folder, seed: &Seed) -> Result<(), WalletError> {
    match folder.add(&WalletName::default_name(), &WalletFile::seal(seed, None, ITERATIONS)?) {
        // Another process was first; its key is used.
        Ok(()) | Err(WalletError::NameTaken { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a wallet with a new phrase.
pub(crate) fn create(
    folder: &Folder,
    name: &WalletName,
    password: Option<&Password>,
) -> Result<(Address, RecoveryPhrase), WalletError> {
    wiped(|| {
        let words = RecoveryPhrase::random()?;
        let wallet = WalletFile::seal(&words.key_seed(), password, ITERATIONS)?;
        folder.add(name, &wallet)?;
        Ok((wallet.address(), words))
    })
}

/// All wallets of a folder.
pub(crate) fn list(folder: &Folder, current: Option<&WalletName>) -> Result<Vec<Listed>, WalletError> {
    let listed = |name: WalletName| Listed {
        state: folder.read(&name).map(|file| (file.address(), file.is_encrypted())),
        is_current: current == Some(&name),
        name: name.to_string(),
    };
    Ok(folder.names()?.into_iter().map(listed).collect())
}

/// Moves the key of older versions into a wallet. The old file goes when the key is safe in the new one, so whenever
/// this is cut short, the next start does the rest.
pub(crate) fn take_in_old_key(folder: &Folder, data_dir: &Path) -> Result<(), WalletError> {
    let old = &data_dir.join(OLD_KEY_FILE);
    match fs::symlink_metadata(old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(unusable("read", old, source)),
        Ok(_) => {}
    }
    wiped(|| add_old_key(folder, old))?;
    private_file::remove(old).map_err(|source| unusable("remove", old, source))
}

fn add_old_key(folder: &Folder, old: &Path) -> Result<(), WalletError> {
    let content = private_file::read(old, FILE_BYTES_MAX).map_err(|source| unusable("read", old, source))?;
    let seed = KeyFile::parse(&content)
        .and_then(|file| file.open(None))
        .map_err(|problem| WalletError::File { file: old.to_owned(), problem })?;
    let wallet = WalletFile::seal(&seed, None, ITERATIONS)?;
    if folder.with_address(&wallet.address())?.is_none() {
        let default = WalletName::default_name();
        let name = match folder.find(&default) {
            Ok(_) => OLD_KEY_NAME.parse()?,
            Err(_) => default,
        };
        folder.add(&name, &wallet)?;
    }
    Ok(())
}
