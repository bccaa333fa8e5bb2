//! `backup`: a copy of a node's data folder from which a node can start; and `restore`, its way back.
//!
//! Always true: the copy of the chain is one that a power cut could have left, so a start from it loses nothing that was
//! acknowledged before; wallets are copied after the chain, so none is missing that earned something on it; and the
//! copy is on disk and has its name only once it is complete.
//!
//! Not in it: the lock, the token for HTTP, the typed lines, and the index, which is built anew.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Code, Failure};
use super::rows::BackedUp;
use crate::files::{folder_of, make_folder, sync_folder};
use crate::node::handle::Handle;
use crate::node::store::{self, FolderLock, StoreError};
use crate::protocol::Network;

/// The folder in the data folder where a running node leaves a copy of its chain for `quipu backup`.
const STAGE: &str = "backup";
/// In it: which copy it is.
const STAGE_ID: &str = "id";
/// The copy is called that until it is complete.
const PARTIAL: &str = "partial";
/// Files of the data folder that are of no use elsewhere, or copied in another way.
const LEFT_OUT: [&str; 6] = ["lock", "http-token", "history", "index.redb", "chain.redb", "chain.journal"];
/// Its folders that are copied.
const FOLDERS: [&str; 3] = ["wallets", "idempotency", "lost"];
/// The name that lock files have for who restores.
const RESTORER: &str = "restore";
/// Entries of a folder among which a node's folder is looked for.
const ENTRIES_MAX: usize = 1000;

/// Copies the folder of a running node.
pub(in crate::node) fn of_running(handle: &Handle, to: &Path) -> Result<BackedUp, Failure> {
    copy(handle.reader().folder(), to, |folder| Ok(handle.reader().copy_to(folder)?))
}

/// Copies the folder of a node that does not run.
pub fn of_stopped(lock: &FolderLock, to: &Path) -> Result<BackedUp, Failure> {
    if !store::Store::is_in(lock.folder()) {
        let message = format!("{} holds no chain: nothing was copied", lock.folder().display());
        return Err(Failure::new(Code::NotFound, message));
    }
    copy(lock.folder(), to, |folder| Ok(store::copy_files(lock.folder(), folder)?))
}

/// Has the chain of a running node copied into its own folder, for [`of_staged`]. Returns which copy it is.
pub(in crate::node) fn stage(handle: &Handle) -> Result<String, Failure> {
    let stage = handle.reader().folder().join(STAGE);
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| unwritten(&stage, &error.into()))?;
    let id = hex::encode(id);
    let make = || {
        remove_folder(&stage)?;
        make_folder(&stage, true)
    };
    make().map_err(|error| unwritten(&stage, &error))?;
    handle.reader().copy_to(&stage)?;
    fs::write(stage.join(STAGE_ID), &id).map_err(|error| unwritten(&stage, &error))?;
    Ok(id)
}

/// Copies the folder of a running node that has staged its chain.
pub fn of_staged(data: &Path, id: &str, to: &Path) -> Result<BackedUp, Failure> {
    let stage = data.join(STAGE);
    let copied = copy(data, to, |folder| {
        store::copy_files(&stage, folder)?;
        let staged = fs::read_to_string(stage.join(STAGE_ID)).unwrap_or_default();
        if staged == id {
            return Ok(());
        }
        Err(Failure::new(Code::Busy, "another backup was made at the same time: try again"))
    });
    if copied.is_ok() {
        // The next backup removes what stays.
        let _ = remove_folder(&stage);
    }
    copied
}

/// Copies a backup to the place of a node that is not there yet. The chain is read first, as a start reads it.
pub fn restore(from: &Path, to: &Path, network: &Arc<Network>) -> Result<BackedUp, Failure> {
    if !store::Store::is_in(from) {
        let more = node_folder_in(from)
            .map(|inside| format!(", but {} does: restore that one", inside.display()))
            .unwrap_or_else(|| ", so it is no copy of a node's folder".to_owned());
        return Err(Failure::new(Code::NotFound, format!("{} holds no chain{more}", from.display())));
    }
    // A backup has no lock: this is the folder itself, and its node must not run.
    let in_use = |error: StoreError| Failure::new(Code::Of(error.code()), error.to_string());
    let lock = from.join("lock").exists().then(|| FolderLock::acquire(from, RESTORER)).transpose().map_err(in_use)?;
    if to.is_dir() && refuse_taken(to).is_err() {
        let message = format!(
            "{} holds something already: restore to another place with --name or --data-dir, or move it away",
            to.display()
        );
        return Err(Failure::new(Code::FileExists, message));
    }
    let done = copy(from, to, |folder| {
        store::copy_files(from, folder)?;
        let opened = FolderLock::acquire(folder, RESTORER).and_then(|lock| store::Store::open(lock, network));
        let named = |error: StoreError| {
            // The copy goes away again, so the message names the backup.
            let message = error.to_string().replace(&*folder.to_string_lossy(), &from.to_string_lossy());
            Failure::new(Code::Of(error.code()), message)
        };
        drop(opened.map_err(named)?);
        fs::remove_file(folder.join("lock")).map_err(|error| unwritten(to, &error))
    });
    drop(lock);
    done
}

/// A node's folder in this folder, which is none itself: people copy and choose folders one too high.
pub fn node_folder_in(folder: &Path) -> Option<PathBuf> {
    let inside = fs::read_dir(folder).ok()?.take(ENTRIES_MAX).flatten().map(|entry| entry.path());
    inside.filter(|path| store::Store::is_in(path)).min()
}

fn copy(from: &Path, to: &Path, chain: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<BackedUp, Failure> {
    let failed = |error: io::Error| unwritten(to, &error);
    let to = std::path::absolute(to).map_err(failed)?;
    refuse_taken(&to)?;
    let partial = Partial::make(&to)?;
    chain(&partial.0)?;
    let copied = || -> io::Result<BackedUp> {
        copy_files(from, &partial.0, &LEFT_OUT)?;
        for name in FOLDERS.into_iter().filter(|name| from.join(name).is_dir()) {
            make_folder(&partial.0.join(name), true)?;
            copy_files(&from.join(name), &partial.0.join(name), &[])?;
        }
        let (files, bytes) = sync_files(&partial.0)?;
        Ok(BackedUp { folder: to.display().to_string(), files, bytes })
    };
    let done = copied().map_err(failed)?;
    partial.move_to(&to).map_err(failed)?;
    Ok(done)
}

/// A backup never mixes with something else.
fn refuse_taken(to: &Path) -> Result<(), Failure> {
    let is_free = match fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    if is_free {
        return Ok(());
    }
    let message = format!("{} is there already and is no empty folder: choose another name", to.display());
    Err(Failure::new(Code::FileExists, message))
}

fn unwritten(to: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot make the copy {}: {error}; nothing is left of it", to.display());
    Failure::new(Code::WriteFailed, what)
}

/// Copies the regular files of a folder, with their permissions.
fn copy_files(from: &Path, to: &Path, but: &[&str]) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name_text = name.to_string_lossy();
        // Temporary files begin with a dot.
        if !entry.file_type()?.is_file() || name_text.starts_with('.') || but.contains(&&*name_text) {
            continue;
        }
        match fs::copy(entry.path(), to.join(&name)) {
            // It was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && !entry.path().exists() => {}
            copied => drop(copied?),
        }
    }
    Ok(())
}

/// Makes all files of a folder and of its folders durable. Their number and their length.
fn sync_files(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (count, length) = if entry.file_type()?.is_dir() {
            sync_files(&entry.path())?
        } else {
            // Windows syncs only what may be written.
            File::options().read(true).write(cfg!(windows)).open(entry.path())?.sync_all()?;
            (1, entry.metadata()?.len())
        };
        files += count;
        bytes += length;
    }
    sync_folder(folder)?;
    Ok((files, bytes))
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A copy that is being made. It goes away again unless it is moved to its place.
struct Partial(PathBuf);

impl Partial {
    fn make(to: &Path) -> Result<Self, Failure> {
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{PARTIAL}"));
        let path = PathBuf::from(name);
        if path.exists() {
            let message = format!("{} is left of a copy that was broken off: remove it", path.display());
            return Err(Failure::new(Code::FileExists, message));
        }
        make_folder(&path, true).map_err(|error| unwritten(to, &error))?;
        Ok(Self(path))
    }

    fn move_to(self, to: &Path) -> io::Result<()> {
        match fs::remove_dir(to) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => fs::rename(&self.0, to)?,
        }
        sync_folder(folder_of(to))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the move it is not there any more.
        let _ = remove_folder(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A folder with these files.
    fn folder(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(folder_of(&path)).expect("made");
            fs::write(path, file).expect("written");
        }
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_of_use_elsewhere_is_copied() {
        let data = folder(&[
            "node.key",
            "lock",
            "http-token",
            "aliases.toml",
            ".x.1-1.tmp",
            "wallets/a.pem",
            "idempotency/k",
            "backup/id",
        ]);
        let place = folder(&[]);
        let to = place.path().join("copy");
        let done = copy(data.path(), &to, |folder| {
            fs::write(folder.join("chain.redb"), "c").expect("written");
            Ok(())
        });
        assert_eq!(done.expect("copied").files, 5);
        assert_eq!(names(&to), ["aliases.toml", "chain.redb", "idempotency", "node.key", "wallets"]);
        assert_eq!(fs::read_to_string(to.join("wallets/a.pem")).expect("copied"), "wallets/a.pem");
        assert_eq!(names(place.path()), ["copy"]);
    }

    #[test]
    fn a_backup_is_whole_and_alone_or_not_there() {
        let (data, place) = (folder(&["node.key"]), folder(&["taken/precious", "file", "broken.partial/x"]));
        let code = |name: &str, chain: fn(&Path) -> Result<(), Failure>| {
            copy(data.path(), &place.path().join(name), chain).expect_err(name).code
        };
        for name in ["taken", "file", "broken"] {
            assert_eq!(code(name, |_| Ok(())), Code::FileExists, "{name}");
        }
        assert_eq!(code("new", |_| Err(Failure::new(Code::Closing, "it stops"))), Code::Closing);
        assert_eq!(names(place.path()), ["broken.partial", "file", "taken"]);
        assert_eq!(names(&place.path().join("taken")), ["precious"]);
    }

    #[test]
    fn a_chain_that_was_staged_for_another_is_not_taken() {
        let (data, place) = (folder(&["backup/chain.redb", "backup/chain.journal", "backup/id"]), folder(&[]));
        let to = place.path().join("copy");
        assert_eq!(of_staged(data.path(), "other", &to).expect_err("another id").code, Code::Busy);
        assert!(names(place.path()).is_empty() && data.path().join(STAGE).exists());
        of_staged(data.path(), "backup/id", &to).expect("its own");
        assert_eq!(names(&to), ["chain.journal", "chain.redb"]);
        assert!(!data.path().join(STAGE).exists());
    }
}
