//! The wallets of a data folder: `wallets/NAME.pem`, and `wallets/current`, which names the one to start with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{FileProblem, WalletError};
use super::foreign::KeyFile;
use super::limits::WALLETS_MAX;
use super::name::WalletName;
use super::pem::{FILE_BYTES_MAX, ITERATIONS, WalletFile};
use crate::files::{make_folder, read_text, replace};
use crate::node::private_file;
use crate::protocol::Address;
use crate::text::excerpt;

/// The folder in the data folder.
const FOLDER: &str = "wallets";
const EXTENSION: &str = "pem";
/// Names the wallet that was used last.
const CURRENT_FILE: &str = "current";
/// In the data folder: the name and the address of the wallet that was used last, for the day when it is gone.
const LAST_FILE: &str = "last-wallet";
/// More of these files is not read, in bytes.
const CURRENT_FILE_BYTES_MAX: usize = 100;

/// The wallets of a data folder. Holds nothing but the path: each call looks at the files.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Of this data folder. Makes nothing.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self(data_dir.join(FOLDER))
    }

    /// All names, sorted. No folder is no wallets.
    pub(crate) fn names(&self) -> Result<Vec<WalletName>, WalletError> {
        let failed = |source| unusable("read", &self.0, source);
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            // A link that leads nowhere counts: its key may be on a disk that is not there.
            if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
                continue;
            }
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                && let Ok(name) = stem.parse()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The name as it is written in the folder, for one that may differ in case.
    pub(crate) fn find(&self, name: &WalletName) -> Result<WalletName, WalletError> {
        let found = self.names()?.into_iter().find(|other| other.is_same(name));
        found.ok_or_else(|| WalletError::NotFound { name: name.to_string() })
    }

    /// The file of a wallet.
    pub(crate) fn file(&self, name: &WalletName) -> PathBuf {
        self.0.join(format!("{name}.{EXTENSION}"))
    }

    /// Reads a wallet's file; the key in it may be locked.
    pub(crate) fn read(&self, name: &WalletName) -> Result<WalletFile, WalletError> {
        let file = self.file(name);
        let content = private_file::read(&file, FILE_BYTES_MAX).map_err(|source| unusable("read", &file, source))?;
        WalletFile::parse(&content, ITERATIONS)
            .map_err(|problem| WalletError::File { file, problem: named(problem, &content) })
    }

    /// Fails if a new wallet can't have this name.
    pub(crate) fn check_free(&self, name: &WalletName) -> Result<(), WalletError> {
        let names = self.names()?;
        match names.iter().find(|other| other.is_same(name)) {
            Some(other) => Err(WalletError::NameTaken { name: other.to_string() }),
            None if names.len() >= WALLETS_MAX => Err(WalletError::TooMany),
            None => Ok(()),
        }
    }

    /// Writes a new wallet. Its name must not be taken.
    pub(crate) fn add(&self, name: &WalletName, wallet: &WalletFile) -> Result<(), WalletError> {
        make_folder(&self.0, true).map_err(|source| unusable("write", &self.0, source))?;
        self.check_free(name)?;
        let file = self.file(name);
        private_file::write_new(&file, wallet.to_text().as_bytes()).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => WalletError::NameTaken { name: name.to_string() },
            _ => unusable("write", &file, source),
        })
    }

    /// Replaces a wallet's file.
    pub(crate) fn replace(&self, name: &WalletName, wallet: &WalletFile) -> Result<(), WalletError> {
        let file = self.file(name);
        private_file::replace(&file, wallet.to_text().as_bytes()).map_err(|source| unusable("write", &file, source))
    }

    /// Removes a wallet, and forgets that it was used last.
    pub(crate) fn remove(&self, name: &WalletName) -> Result<(), WalletError> {
        let file = self.file(name);
        private_file::remove(&file).map_err(|source| unusable("remove", &file, source))?;
        if self.current()?.as_ref().is_some_and(|current| current.is_same(name)) {
            let file = self.0.join(CURRENT_FILE);
            private_file::remove(&file).map_err(|source| unusable("remove", &file, source))?;
        }
        Ok(())
    }

    /// The wallet that has this address, if one has. Those that can't be read have none.
    pub(crate) fn with_address(&self, address: &Address) -> Result<Option<WalletName>, WalletError> {
        let has_it = |name: &WalletName| self.read(name).is_ok_and(|wallet| wallet.address() == *address);
        Ok(self.names()?.into_iter().find(has_it))
    }

    /// The one that was used last. A file that holds no name counts as missing: it is a convenience.
    pub(crate) fn current(&self) -> Result<Option<WalletName>, WalletError> {
        let file = self.0.join(CURRENT_FILE);
        match private_file::read(&file, CURRENT_FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(unusable("read", &file, source)),
            Ok(content) => Ok(std::str::from_utf8(&content).ok().and_then(|text| text.trim_end().parse().ok())),
        }
    }

    /// Remembers the one that was used last.
    pub(crate) fn set_current(&self, name: &WalletName) -> Result<(), WalletError> {
        let file = self.0.join(CURRENT_FILE);
        private_file::replace(&file, format!("{name}\n").as_bytes()).map_err(|source| unusable("write", &file, source))
    }

    /// Notes whose folder this is.
    pub(crate) fn note_last(&self, name: &WalletName, address: &Address) {
        let note = format!("{name} ({address})");
        if self.last().is_none_or(|last| last != note) {
            // It is only for a message: a folder that can't be written to has other worries.
            let _ = replace(&self.0.with_file_name(LAST_FILE), format!("{note}\n").as_bytes());
        }
    }

    /// The name and the address of the wallet that was used last, as far as is known.
    pub(crate) fn last(&self) -> Option<String> {
        let text = read_text(&self.0.with_file_name(LAST_FILE), CURRENT_FILE_BYTES_MAX as u64).ok()?;
        Some(excerpt(text.trim()))
    }

    /// The problem that there is no wallet where there must have been one.
    pub(crate) fn gone(&self) -> WalletError {
        WalletError::Gone { folder: self.0.clone(), last: self.last() }
    }

    /// The one to start with: the one used last, else `default`, else the only one. `None` if there is none at all.
    pub(crate) fn choose(&self) -> Result<Option<WalletName>, WalletError> {
        let names = self.names()?;
        let find = |wanted: &WalletName| names.iter().find(|name| name.is_same(wanted)).cloned();
        let remembered = self.current()?.and_then(|current| find(&current));
        match remembered.or_else(|| find(&WalletName::default_name())) {
            Some(name) => Ok(Some(name)),
            None if names.len() > 1 => Err(WalletError::WhichOne),
            None => Ok(names.into_iter().next()),
        }
    }

    /// A problem of this wallet's file.
    pub(crate) fn problem(&self, name: &WalletName, problem: FileProblem) -> WalletError {
        WalletError::File { file: self.file(name), problem }
    }
}

/// The reason why a file is not as it was written, as exactly as its contents show it.
fn named(problem: FileProblem, content: &[u8]) -> FileProblem {
    use FileProblem::{Convert, ForeignKey, Unsupported};
    match KeyFile::parse(content) {
        // In its form, but too easily opened.
        Ok(_) if WalletFile::parse(content, 1).is_ok() => problem,
        Ok(key) if key.is_whole_wallet() => FileProblem::Reformatted,
        Err(found @ (Convert(_) | ForeignKey(_) | Unsupported(_))) => found,
        _ => problem,
    }
}

pub(crate) fn unusable(verb: &'static str, file: &Path, source: io::Error) -> WalletError {
    WalletError::Unusable { verb, file: file.to_owned(), source }
}
