//! Files that are there whole or not at all, and what they are known by.
//!
//! Each is written beside its place, synced, and moved there; then the move is synced. A crash leaves the old file or the
//! new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// A file is hashed in pieces of so many bytes.
const PIECE_BYTES: usize = 64 << 10;

/// A file that is being made beside its place. It goes away again unless it is moved there.
#[derive(Debug)]
pub(super) struct Temporary {
    folder: PathBuf,
    path: PathBuf,
}

impl Temporary {
    /// For `file`, which need not be there.
    pub(super) fn beside(file: &Path) -> io::Result<Self> {
        let name = file.file_name().ok_or_else(|| io::Error::other("that is no name of a file"))?.to_string_lossy();
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        // Threads of one process must not share it either.
        let thread = format!("{:?}", std::thread::current().id()).replace(|c: char| !c.is_ascii_digit(), "");
        let path = folder.join(format!(".{name}.{}-{thread}.tmp", std::process::id()));
        // What a killed process with our number left behind.
        let _ = fs::remove_file(&path);
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
        options.open(&self.path)
    }

    /// Where it is until then.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of it.
    pub(super) fn write(&self, content: &[u8], private: bool) -> io::Result<()> {
        let mut opened = self.create(private)?;
        opened.write_all(content)?;
        opened.sync_all()
    }

    /// Moves it to its place, in place of what is there. It must be synced.
    pub(super) fn replace(self, file: &Path) -> io::Result<()> {
        fs::rename(&self.path, file)?;
        sync_folder(&self.folder)
    }

    /// Moves it to its place, unless something is there ([`io::ErrorKind::AlreadyExists`]). It must be synced.
    pub(super) fn move_if_absent(self, file: &Path) -> io::Result<()> {
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

/// The SHA-256 and the length of a file of any length. `None` if it was `cancelled` on the way.
pub(super) fn fingerprint(file: &Path, cancelled: impl Fn() -> bool) -> io::Result<Option<([u8; 32], u64)>> {
    let (mut file, mut hash, mut size, mut piece) = (File::open(file)?, Sha256::new(), 0, vec![0; PIECE_BYTES]);
    while !cancelled() {
        match file.read(&mut piece) {
            Ok(0) => return Ok(Some((hash.finalize().into(), size))),
            Ok(length) => {
                hash.update(&piece[..length]);
                size += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Makes what was created or renamed in a folder survive a power cut. Windows has no such call and needs none.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
