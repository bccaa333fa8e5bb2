//! Files that somebody has named or edited: opened without waiting for another program, and read as text.
//!
//! Where a file is meant, nothing else is taken: a device may never end, a pipe may never begin, and what the system
//! makes up while it is read (`/proc`) is no file that anyone could show again.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::text::without_mark;

/// Files are hashed in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// Opens a file to read it. Never blocks. Only a regular file is opened ([`io::ErrorKind::InvalidInput`] if it is
/// something else).
pub(crate) fn open(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let opened = options.open(file).map_err(|error| if is_socket(file, &error) { not_regular() } else { error })?;
    if opened.metadata()?.is_file() && !is_made_up(&opened) { Ok(opened) } else { Err(not_regular()) }
}

/// Opens a file as [`open`] does, or a pipe that the shell has opened for this process: `/dev/stdin`, `<(…)`. For what
/// is read once and is not kept: passwords, keys, receipts.
pub(crate) fn open_or_pipe(file: &Path) -> io::Result<File> {
    match open(file) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && is_descriptor(file) => {
            let opened = File::open(file)?;
            if is_pipe(&opened.metadata()?) { Ok(opened) } else { Err(error) }
        }
        opened => opened,
    }
}

/// The text of a regular file, without a byte order mark. [`io::ErrorKind::FileTooLarge`] if it has more than
/// `bytes_max` bytes, [`io::ErrorKind::InvalidData`] if it is not UTF-8.
pub(crate) fn read_text(file: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    if open(file)?.take(bytes_max + 1).read_to_string(&mut text)? as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {bytes_max} bytes")));
    }
    Ok(without_mark(&text).to_owned())
}

/// The SHA-256 and the length of a regular file of any length, which must not change meanwhile. `None` if it was
/// `cancelled` on the way.
pub(crate) fn fingerprint(file: &Path, cancelled: impl Fn() -> bool) -> io::Result<Option<([u8; 32], u64)>> {
    let (mut file, mut hash, mut size, mut piece) = (open(file)?, Sha256::new(), 0, vec![0; PIECE_BYTES]);
    let before = file.metadata()?;
    while !cancelled() {
        match file.read(&mut piece) {
            Ok(0) => {
                let after = file.metadata()?;
                let is_same = size == after.len() && before.modified().ok() == after.modified().ok();
                return if is_same { Ok(Some((hash.finalize().into(), size))) } else { Err(changed()) };
            }
            Ok(length) => {
                hash.update(&piece[..length]);
                size += length as u64;
                // Or it would be followed for as long as it grows.
                if size > before.len() {
                    return Err(changed());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What is directly in a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct InFolder {
    /// The names of its regular files, in order.
    pub(crate) files: Vec<OsString>,
    /// The names of all else: folders, hidden files, pipes, links that lead nowhere.
    pub(crate) left_out: Vec<String>,
}

/// Lists a folder's files, without those in its folders.
pub(crate) fn in_folder(folder: &Path) -> io::Result<InFolder> {
    let mut found = InFolder::default();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let shown = name.to_string_lossy();
        let is_file = std::fs::metadata(folder.join(&name)).is_ok_and(|found| found.is_file());
        if is_file && !shown.starts_with('.') {
            found.files.push(name);
        } else {
            found.left_out.push(shown.into_owned());
        }
    }
    found.files.sort();
    found.left_out.sort();
    Ok(found)
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

fn changed() -> io::Error {
    io::Error::other("it changed while it was read: try again when nothing writes to it")
}

/// Sockets can't be opened at all.
fn is_socket(file: &Path, error: &io::Error) -> bool {
    let unopenable = cfg!(unix) && error.raw_os_error().is_some();
    unopenable && error.kind() != io::ErrorKind::NotFound && std::fs::metadata(file).is_ok_and(|found| is_other(&found))
}

fn is_other(found: &Metadata) -> bool {
    !found.is_file() && !found.is_dir()
}

#[cfg(unix)]
fn is_pipe(found: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    false
}

/// Whether a path names what this process has open already.
fn is_descriptor(file: &Path) -> bool {
    file == Path::new("/dev/stdin") || ["/dev/fd", "/proc/self/fd"].iter().any(|folder| file.starts_with(folder))
}

/// Whether a file of the system is made up while it is read: its length is not known before, nor twice the same.
#[cfg(target_os = "linux")]
fn is_made_up(file: &File) -> bool {
    const SYSFS_MAGIC: rustix::fs::FsWord = 0x6265_6572;
    rustix::fs::fstatfs(file).is_ok_and(|found| [rustix::fs::PROC_SUPER_MAGIC, SYSFS_MAGIC].contains(&found.f_type))
}

#[cfg(not(target_os = "linux"))]
fn is_made_up(_: &File) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::io::Write;
    use std::process::Command;

    use super::*;

    fn refusal<T>(result: io::Result<T>) -> String {
        result.map(drop).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_folder_is_its_regular_files_in_order() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["b", "a b", ".hidden", "ä"] {
            fs::write(path(name), name).expect("a file");
        }
        fs::create_dir(path("inner")).expect("a folder");
        fs::write(path("inner/c"), "c").expect("a file");
        std::os::unix::fs::symlink(path("b"), path("link")).expect("a link");
        std::os::unix::fs::symlink(path("nowhere"), path("broken")).expect("a link");
        let found = in_folder(folder.path()).expect("readable");
        assert_eq!(found.files, ["a b", "b", "link", "ä"]);
        assert_eq!(found.left_out, [".hidden", "broken", "inner"]);
        assert!(in_folder(&path("b")).is_err());
    }

    /// Each at once: this test would hang on a pipe that nobody writes to.
    #[test]
    fn nothing_but_regular_files_is_opened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [pipe, socket, file] = ["pipe", "socket", "file"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("there is a mkfifo").success());
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a short path");
        fs::write(&file, "text").expect("written");
        let mut others = vec![pipe.as_path(), &socket, folder.path(), Path::new("/dev/null"), Path::new("/dev/zero")];
        if cfg!(target_os = "linux") {
            others.extend(["/proc/self/status", "/proc/cpuinfo", "/sys/kernel/mm"].map(Path::new));
        }
        for other in others {
            for text in [
                refusal(open(other)),
                refusal(open_or_pipe(other)),
                refusal(read_text(other, 10)),
                refusal(fingerprint(other, || false)),
            ] {
                assert_eq!(text, "not a regular file", "{}", other.display());
            }
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        assert_eq!(read_text(&link, 4).expect("a file"), "text");
        assert_eq!(open(&folder.path().join("none")).expect_err("nothing").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_pipe_of_the_shell_is_read_where_that_makes_sense() {
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(b"secret").expect("room");
        drop(writer);
        let place = format!("/dev/fd/{}", reader.as_raw_fd());
        assert_eq!(refusal(open(Path::new(&place))), "not a regular file");
        let mut text = String::new();
        open_or_pipe(Path::new(&place)).expect("ours").read_to_string(&mut text).expect("readable");
        assert_eq!(text, "secret");
    }

    #[test]
    fn text_has_a_bound_and_no_byte_order_mark() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        for (content, want) in [("\u{feff}name", "name"), ("\u{feff}\u{feff}x", "\u{feff}x"), ("", ""), ("x", "x")] {
            fs::write(&file, content).expect("written");
            assert_eq!(read_text(&file, 100).expect("text"), want);
        }
        fs::write(&file, "12345").expect("written");
        assert_eq!(read_text(&file, 5).expect("short enough"), "12345");
        assert_eq!(read_text(&file, 4).expect_err("too long").kind(), io::ErrorKind::FileTooLarge);
        fs::write(&file, b"\xff").expect("written");
        assert_eq!(read_text(&file, 4).expect_err("no text").kind(), io::ErrorKind::InvalidData);
    }

    /// Calls `change` after the first piece was read, and hashes on.
    fn while_it_is_hashed(change: impl Fn(&Path)) -> io::Result<Option<([u8; 32], u64)>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        fs::write(&file, vec![1; 3 * PIECE_BYTES]).expect("written");
        // Older than any change that follows.
        let opened = OpenOptions::new().write(true).open(&file).expect("there");
        opened.set_modified(std::time::UNIX_EPOCH).expect("ours");
        let turns = Cell::new(0);
        fingerprint(&file, || {
            turns.set(turns.get() + 1);
            if turns.get() == 2 {
                change(&file);
            }
            false
        })
    }

    #[test]
    fn a_file_that_changes_while_it_is_hashed_is_refused() {
        let append = |file: &Path| {
            let mut opened = OpenOptions::new().append(true).open(file).expect("there");
            opened.write_all(b"more").expect("written");
        };
        let cut = |file: &Path| {
            OpenOptions::new().write(true).open(file).and_then(|opened| opened.set_len(10)).expect("there");
        };
        let edit = |file: &Path| {
            OpenOptions::new().write(true).open(file).expect("there").write_all(b"other").expect("written");
        };
        for text in
            [refusal(while_it_is_hashed(append)), refusal(while_it_is_hashed(cut)), refusal(while_it_is_hashed(edit))]
        {
            assert!(text.contains("changed while it was read"), "{text}");
        }
        let (_, size) = while_it_is_hashed(|_| {}).expect("a file").expect("nobody cancels it");
        assert_eq!(size, 3 * PIECE_BYTES as u64);
    }
}
