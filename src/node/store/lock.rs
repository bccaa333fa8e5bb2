//! One node for each data folder: two with the same keys and files would ignore each other and ruin the files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::StoreError;

/// The file that is locked. It stays when the node ends, and says who held the lock last.
const FILE: &str = "lock";
/// More of a lock file than this is not read, in bytes.
const HOLDER_BYTES_MAX: u64 = 200;

/// The right to use a data folder, given up when it is dropped or the process ends in any way.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    // The operating system holds the lock for as long as this file is open.
    _file: File,
}

impl FolderLock {
    /// Makes the folder if there is none, and locks it for the node called `name`. To be done before anything in it
    /// is read.
    pub fn acquire(folder: &Path, name: &str) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::from_io(folder, &error))?;
        let path = folder.join(FILE);
        let failed = |error: std::io::Error| StoreError::from_io(&path, &error);
        // Not truncated: until it is locked, it is another's.
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { folder: folder.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        write!(file, "quipu {name} (process {})", std::process::id()).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), _file: file })
    }

    /// The locked folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What the lock file says. Some systems do not let a locked file be read.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(HOLDER_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) if !text.is_empty() => text,
        _ => "another node".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path().join("made on the way");
        let first = FolderLock::acquire(&folder, "first").expect("free");
        let error = FolderLock::acquire(&folder, "second").expect_err("in use");
        assert_eq!(error.code(), "data_dir_in_use");
        let pid = std::process::id();
        assert!(error.to_string().contains(&format!("quipu first (process {pid})")), "{error}");
        drop(first);
        FolderLock::acquire(&folder, "second").expect("free again");
    }

    #[test]
    fn a_folder_that_cannot_be_made() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("writable");
        let error = FolderLock::acquire(&file.join("below"), "first").expect_err("not a folder");
        assert_eq!(error.code(), "io_error");
        assert!(error.to_string().contains("below"), "{error}");
    }
}
