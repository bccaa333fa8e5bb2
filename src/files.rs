//! Files that are there whole or not at all. Those that a user names are opened in `given`.
//!
//! Each is written beside its place, synced, and moved there; then the move is synced. A crash leaves the old file or
//! the new one. It may also leave the temporary one, which may hold a secret: the next writer removes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub(crate) use self::given::{fingerprint, in_folder, open, open_or_pipe, read_text};

mod given;

/// A file that is being made beside its place. It goes away again unless it is moved there.
#[derive(Debug)]
pub(super) struct Temporary {
    folder: PathBuf,
    path: PathBuf,
}

impl Temporary {
    /// A temporary file for `file`, which need not exist.
    pub(super) fn beside(file: &Path) -> io::Result<Self> {
        let name = file.file_name().ok_or_else(|| io::Error::other("that is no name of a file"))?.to_string_lossy();
        let folder = folder_of(file).to_owned();
        // Threads of one process must not share it either.
        let thread = format!("{:?}", std::thread::current().id()).replace(|c: char| !c.is_ascii_digit(), "");
        let path = folder.join(format!(".{name}.{}-{thread}.tmp", std::process::id()));
        remove_left_behind(file);
        Ok(Self { folder, path })
    }

    /// Opens it, for its owner alone if it is to be `private`.
    pub(super) fn create(&self, private: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if private { 0o600 } else { 0o666 });
        #[cfg(not(unix))]
        let _ = private;
        step(WriteStep::Create)?;
        let opened = options.open(&self.path)?;
        // As long as it is locked, it does not count as left behind.
        let _ = opened.try_lock();
        Ok(opened)
    }

    /// Its path until it is moved.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of it.
    pub(super) fn write(&self, content: &[u8], private: bool) -> io::Result<()> {
        let mut opened = self.create(private)?;
        step(WriteStep::Write)?;
        opened.write_all(content)?;
        step(WriteStep::Sync)?;
        opened.sync_all()
    }

    /// Moves it to its place, in place of what is there. It must be synced.
    pub(super) fn replace(self, file: &Path) -> io::Result<()> {
        step(WriteStep::Move)?;
        fs::rename(&self.path, file)?;
        sync_folder(&self.folder)
    }

    /// Moves it to its place, unless something is there ([`io::ErrorKind::AlreadyExists`]). It must be synced.
    pub(super) fn move_if_absent(self, file: &Path) -> io::Result<()> {
        step(WriteStep::Move)?;
        // `link` fails where `rename` would replace a file that another process has just made.
        match fs::hard_link(&self.path, file) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !file.exists() => {
                fs::rename(&self.path, file)?;
            }
            result => result?,
        }
        sync_folder(&self.folder)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A process that has crashed removes nothing.
        #[cfg(test)]
        if faults::has_crashed() {
            return;
        }
        // After a move by name it is not there any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes a file that was not there, durably ([`io::ErrorKind::AlreadyExists`] if it was).
pub(super) fn write_new(file: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = Temporary::beside(file)?;
    temporary.write(content, false)?;
    temporary.move_if_absent(file)
}

/// Writes a file in place of the one that may be there, durably.
pub(crate) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = Temporary::beside(file)?;
    temporary.write(content, false)?;
    temporary.replace(file)
}

/// Makes what was created or renamed in a folder survive a power cut. Windows has no such call and needs none.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    step(WriteStep::SyncFolder)?;
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes a folder and those above it, durably, for the owner alone if it is to be `private`.
pub(super) fn make_folder(folder: &Path, private: bool) -> io::Result<()> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<_> = folder.ancestors().take_while(is_missing).collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, if private { 0o700 } else { 0o777 });
    #[cfg(not(unix))]
    let _ = private;
    builder.create(folder)?;
    for made in missing {
        match sync_folder(folder_of(made)) {
            // A process may be allowed to make a folder in a folder that it can't read.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            result => result?,
        }
    }
    Ok(())
}

/// The folder of a file. A plain name is in the folder where the process is.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes temporary files of a file that killed processes have left behind.
pub(super) fn remove_left_behind(file: &Path) {
    let (folder, name) = (folder_of(file), file.file_name().unwrap_or_default().to_string_lossy());
    // If the folder can't be read, the next operation reports it, not the clean-up.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.file_name();
        let number = other
            .to_str()
            .and_then(|other| other.strip_prefix('.')?.strip_prefix(&*name)?.strip_prefix('.')?.strip_suffix(".tmp"));
        let is_ours = number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit() || c == '-'));
        if is_ours && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// An operation on the disk. The process may end before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteStep {
    Create,
    Write,
    Sync,
    Move,
    SyncFolder,
}

/// Where tests stop the process.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
fn step(_: WriteStep) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use faults::step;

#[cfg(test)]
pub(super) mod faults;
