//! Errors of the store, worded for a person who wants to go on.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::node::thread::catch;

/// Why the store can't be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process uses the data folder.
    #[error(
        "{} is in use by {holder}: stop that node, or give this one another --name or --data-dir", folder.display()
    )]
    Locked {
        folder: PathBuf,
        /// The other process, as far as its lock file tells.
        holder: String,
    },
    /// The file system has no locks.
    #[error(
        "{} is on a file system without locks (a network drive?), where two nodes could spoil each other's files: choose a \
         folder on a local disk with --data-dir", folder.display()
    )]
    NoLocks { folder: PathBuf },
    /// The chain in the data folder is another network's.
    #[error(
        "{} holds the chain of network {stored}, not of {wanted}: choose that network with --network, or give this \
         one another --name or --data-dir", folder.display()
    )]
    OtherNetwork {
        folder: PathBuf,
        /// Name and tag of the network in it.
        stored: String,
        /// Name and tag of the network asked for.
        wanted: String,
    },
    /// An older version wrote it, of a protocol that nodes no longer speak. Nothing of it is changed.
    #[error(
        "{} was written by an older quipu (format {found}, known here: {known}), whose chain can't be continued: start with \
         another --data-dir, or move the file away (keys are in other files); that version still reads it", file.display()
    )]
    TooOld {
        file: PathBuf,
        found: u32,
        /// The format of this version.
        known: u32,
    },
    /// A newer version wrote it, in a form that this one does not know.
    #[error("{} was written by a newer quipu (format {found}, known here: {known}): update this one", file.display())]
    TooNew {
        file: PathBuf,
        found: u32,
        /// The format of this version.
        known: u32,
    },
    /// The database is not what was written.
    #[error(
        "{} is damaged ({detail}): move it away and start again, the chain comes back from the peers (keys are in \
         other files)", file.display()
    )]
    Damaged { file: PathBuf, detail: String },
    /// No room.
    #[error("the disk of {} is full: make room and start again, nothing that was confirmed is lost", path.display())]
    Full { path: PathBuf },
    /// Not ours to use.
    #[error(
        "no permission to use {}: make it readable and writable for this user, or choose another --data-dir",
        path.display()
    )]
    Permission { path: PathBuf },
    /// Any other failure of the system.
    #[error("cannot use {}: {detail}", path.display())]
    Io { path: PathBuf, detail: String },
    /// The store has been closed, because the node shuts down.
    #[error("the node is shutting down")]
    Closed,
}

impl StoreError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "data_dir_in_use",
            Self::NoLocks { .. } => "no_locks",
            Self::OtherNetwork { .. } => "other_network",
            Self::TooOld { .. } => "database_too_old",
            Self::TooNew { .. } => "database_too_new",
            Self::Damaged { .. } => "database_damaged",
            Self::Full { .. } => "disk_full",
            Self::Permission { .. } => "permission_denied",
            Self::Io { .. } => "io_error",
            Self::Closed => "closing",
        }
    }

    /// A failure of the system at `path`.
    pub(super) fn from_io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full { path },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Permission { path },
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                Self::Damaged { file: path, detail: error.to_string() }
            }
            _ => Self::Io { path, detail: error.to_string() },
        }
    }

    /// A failure of the database `file`.
    pub(super) fn from_redb(file: &Path, error: redb::Error) -> Self {
        let damaged = |detail: String| Self::Damaged { file: file.to_owned(), detail };
        match error {
            redb::Error::Io(error) => Self::from_io(file, &error),
            redb::Error::Corrupted(detail) => damaged(detail),
            // Nobody else opens the file while the folder is locked, so it was opened by other software.
            redb::Error::DatabaseAlreadyOpen => {
                Self::Io { path: file.to_owned(), detail: "another program has opened it".to_owned() }
            }
            redb::Error::PreviousIo => Self::Io { path: file.to_owned(), detail: "an earlier write failed".to_owned() },
            redb::Error::DatabaseClosed => Self::Closed,
            other => damaged(other.to_string()),
        }
    }
}

/// Runs code that reads or writes the database `file`. A damaged file can make redb panic: that is an error like any
/// other.
pub(super) fn guarded<T>(file: &Path, body: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
    let damaged = |detail| StoreError::Damaged { file: file.to_owned(), detail };
    let last_words = damaged("it cannot even be closed".to_owned()).to_string();
    match catch(last_words, body) {
        Ok(result) => result.map_err(|error| StoreError::from_redb(file, error)),
        Err(detail) => Err(damaged(detail)),
    }
}
