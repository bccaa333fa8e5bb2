//! Files for their owner alone: written whole or not at all, durable when the call returns, never replaced in silence.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::files::{Temporary, folder_of, open_or_pipe, remove_left_behind, sync_folder};
use crate::text::bytes_without_mark;

/// Memory reserved for a file of unknown length: a key, a phrase, a password.
const READ_BYTES_EXPECTED: usize = 4096;

/// Reads at most `bytes_max + 1` bytes, so that the caller sees when there are more, and leaves out a byte order mark.
/// Warns if others may read it too.
pub(crate) fn read(file: &Path, bytes_max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let opened = open_or_pipe(file)?;
    let metadata = opened.metadata()?;
    warn_if_open_to_others(file, &metadata);
    // Room from the start: a buffer that grows leaves copies of the secret behind. A pipe does not say its length.
    let expected = usize::try_from(metadata.len())
        .unwrap_or(bytes_max)
        .clamp(READ_BYTES_EXPECTED, bytes_max.max(READ_BYTES_EXPECTED));
    let mut content = Zeroizing::new(Vec::with_capacity(expected + 2));
    opened.take(bytes_max as u64 + 1).read_to_end(&mut content)?;
    let mark = content.len() - bytes_without_mark(&content).len();
    content.drain(..mark);
    Ok(content)
}

/// Writes a file that did not exist, or leaves nothing behind. `AlreadyExists` if it did.
pub(crate) fn write_new(file: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = Temporary::beside(file)?;
    temporary.write(content, true)?;
    temporary.move_if_absent(file)
}

/// Writes a file in the place of the one that is there: at any moment, and after any crash, it is one or the other.
pub(crate) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = Temporary::beside(file)?;
    temporary.write(content, true)?;
    // The old file may be the only copy of a key: it is replaced only once the new one can be read.
    if *read(temporary.path(), content.len())? != *content {
        return Err(io::Error::other("what was written reads back differently, the old file was kept"));
    }
    temporary.replace(file)
}

/// Removes a file, durably, with the temporary files that crashes have left.
pub(crate) fn remove(file: &Path) -> io::Result<()> {
    fs::remove_file(file)?;
    remove_left_behind(file);
    sync_folder(folder_of(file))
}

#[cfg(unix)]
fn warn_if_open_to_others(file: &Path, metadata: &fs::Metadata) {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    if mode & 0o077 != 0 {
        tracing::warn!("other users may read {0}, which is secret: run `chmod 600 {0}`", file.display());
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_others(_file: &Path, _metadata: &fs::Metadata) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_never_replaced_in_silence() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("a.pem");
        fs::write(&file, "precious").expect("written");
        assert_eq!(write_new(&file, b"other").expect_err("it exists").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).expect("still there"), "precious");
        replace(&file, b"other").expect("asked for");
        assert_eq!(fs::read_to_string(&file).expect("there"), "other");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing temporary stays");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_secret() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("secret");
        for (content, want) in
            [("\u{feff}secret\r\n", "secret\r\n"), ("sec\u{feff}ret", "sec\u{feff}ret"), ("\u{feff}", "")]
        {
            fs::write(&file, content).expect("written");
            assert_eq!(*read(&file, 100).expect("readable"), want.as_bytes());
        }
    }

    #[test]
    fn reading_stops_one_byte_after_the_bound() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("long");
        fs::write(&file, [7; 100]).expect("written");
        assert_eq!(read(&file, 100).expect("readable").len(), 100);
        assert_eq!(read(&file, 10).expect("readable").len(), 11);
    }
}
