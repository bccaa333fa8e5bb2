//! One node for each data folder: two with the same keys and files would ignore each other and ruin the files.
//!
//! The first line of the lock file names the holder, and the lines after it say where that node listens and serves, so that other
//! programs of this machine can ask it for what they can't read themselves.

use std::fmt::Display;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;
use crate::files::make_folder;

/// The file that is locked. It stays when the node ends, and names the last holder.
const FILE: &str = "lock";
/// Lines of the file that begin so are no multiaddresses.
const HTTP: &str = "http://";
/// Longer first lines are cut, in characters.
const HOLDER_CHARACTERS_MAX: usize = 200;
/// Reading stops here, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 10;

/// The right to use a data folder, given up when it is dropped or the process ends in any way.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    file: Arc<LockedFile>,
}

/// The locked file. Unlocked when it is dropped, and not only closed: a process that another thread is starting just
/// now has the file open too, for a moment, and would hold the lock.
#[derive(Debug)]
struct LockedFile(File);

impl Drop for LockedFile {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl FolderLock {
    /// Makes the folder if there is none, and locks it for the node called `name`. To be done before anything in it
    /// is read.
    pub fn acquire(folder: &Path, name: &str) -> Result<Self, StoreError> {
        make_folder(folder, false).map_err(|error| StoreError::from_io(folder, &error))?;
        let path = folder.join(FILE);
        let failed = |error: io::Error| StoreError::from_io(&path, &error);
        // Not truncated: until it is locked, it is another's.
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { folder: folder.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                return Err(StoreError::NoLocks { folder: folder.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let file = LockedFile(file);
        file.0.set_len(0).map_err(failed)?;
        write!(&file.0, "quipu {name} (process {})", std::process::id()).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), file: Arc::new(file) })
    }

    /// The locked folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A handle to note later, when the lock itself has been handed on, where the node listens.
    pub fn notes(&self) -> LockNotes {
        LockNotes { file: Arc::clone(&self.file), path: self.folder.join(FILE) }
    }

    /// Where the node that holds a folder's lock listens. Nothing if it is still starting, or if there is no such node;
    /// the lock must have been found taken just before.
    pub fn holder_listens(folder: &Path) -> Vec<String> {
        let text = File::open(folder.join(FILE)).and_then(|mut file| read(&mut file)).unwrap_or_default();
        text.lines().skip(1).filter(|line| !line.starts_with(HTTP)).map(str::to_owned).collect()
    }

    /// The address of that node's API, if it serves any.
    pub fn holder_http(folder: &Path) -> Option<String> {
        let text = File::open(folder.join(FILE)).and_then(|mut file| read(&mut file)).ok()?;
        text.lines().skip(1).find(|line| line.starts_with(HTTP)).map(str::to_owned)
    }
}

/// The right to add to the lock file. Keeps the lock held as long as it is there.
#[derive(Debug)]
pub struct LockNotes {
    file: Arc<LockedFile>,
    path: PathBuf,
}

impl LockNotes {
    /// Notes where the node listens.
    pub fn listens(self, addresses: impl IntoIterator<Item = impl Display>) -> Result<(), StoreError> {
        let lines: String = addresses.into_iter().map(|address| format!("\n{address}")).collect();
        (&self.file.0).write_all(lines.as_bytes()).map_err(|error| StoreError::from_io(&self.path, &error))
    }
}

/// Whether the file system, not the file, is what can't be locked: a network drive, mostly.
fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    let is_known = {
        use nix::errno::Errno;
        // EOPNOTSUPP and ENOTSUP are two numbers on some systems.
        let codes = [Errno::ENOLCK, Errno::EOPNOTSUPP, Errno::ENOSYS];
        error.raw_os_error().is_some_and(|code| codes.contains(&Errno::from_raw(code)))
    };
    #[cfg(not(unix))]
    let is_known = false;
    is_known || error.kind() == io::ErrorKind::Unsupported
}

fn read(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The holder that the lock file names. Some systems do not let a locked file be read.
fn holder(file: &mut File) -> String {
    let text = read(file).unwrap_or_default();
    match text.lines().next() {
        Some(line) if !line.is_empty() => line.chars().take(HOLDER_CHARACTERS_MAX).collect(),
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
    fn a_process_that_was_just_started_does_not_keep_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = FolderLock::acquire(folder.path(), "first").expect("free");
        let _inherited = first.file.0.try_clone().expect("a descriptor");
        let notes = first.notes();
        drop(first);
        FolderLock::acquire(folder.path(), "second").expect_err("the notes hold it");
        drop(notes);
        FolderLock::acquire(folder.path(), "second").expect("free again");
    }

    #[test]
    fn the_holder_notes_where_it_listens() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(FolderLock::holder_listens(folder.path()).is_empty());
        let lock = FolderLock::acquire(folder.path(), "first").expect("free");
        assert!(FolderLock::holder_listens(folder.path()).is_empty());
        let notes = ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/2", "http://127.0.0.1:3"];
        lock.notes().listens(notes).expect("writable");
        assert_eq!(FolderLock::holder_http(folder.path()).as_deref(), Some("http://127.0.0.1:3"));
        assert_eq!(FolderLock::holder_listens(folder.path()), ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/2"]);
        let error = FolderLock::acquire(folder.path(), "second").expect_err("in use");
        assert!(error.to_string().contains(&format!("(process {}): stop", std::process::id())), "{error}");
        drop(lock);
        let _next = FolderLock::acquire(folder.path(), "third").expect("notes hold no lock when they are written");
        assert!(FolderLock::holder_listens(folder.path()).is_empty(), "nothing is left of the one before");
    }

    #[test]
    fn a_folder_that_cannot_be_made() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("writable");
        let error = FolderLock::acquire(&file.join("below"), "first").expect_err("not a folder");
        assert_eq!(error.code(), "io_error");
        assert!(error.to_string().contains("below"), "{error}");
    }
}
