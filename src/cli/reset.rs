//! `quipu reset`: forgets a node's chain, and keeps its keys and names.

use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use serde::Serialize;

use crate::files::sync_folder;
use crate::node::api::error::{Code, Failure};
use crate::node::store::FolderLock;

/// The name that the lock file has for it.
const HOLDER: &str = "reset";
/// The chain and what is made of it, in the order of their removal.
const FILES: [&str; 4] = ["index.redb", "chain.redb.new", "chain.redb", "chain.journal"];
/// Folders that speak of it.
const FOLDERS: [&str; 2] = ["idempotency", "backup"];
/// The word that confirms.
const YES: &str = "reset";

/// What was removed.
#[derive(Debug, Serialize)]
pub(super) struct Removed {
    pub(super) folder: String,
    /// In bytes.
    pub(super) bytes: u64,
}

/// Asks, unless `is_sure`, and removes the chain.
pub(super) fn run(data: &Path, is_sure: bool) -> Result<Removed, Failure> {
    let nothing = || Failure::new(Code::NotFound, format!("{} holds no chain: nothing to reset", data.display()));
    if !data.is_dir() {
        return Err(nothing());
    }
    let lock = FolderLock::acquire(data, HOLDER)?;
    let bytes: u64 = FILES.iter().filter_map(|name| Some(fs::metadata(data.join(name)).ok()?.len())).sum();
    if bytes == 0 {
        return Err(nothing());
    }
    if !is_sure && !confirmed(data)? {
        return Err(Failure::new(Code::Usage, "nothing was removed"));
    }
    let remove = || {
        FILES.iter().try_for_each(|name| unless_gone(fs::remove_file(data.join(name))))?;
        FOLDERS.iter().try_for_each(|name| unless_gone(fs::remove_dir_all(data.join(name))))?;
        sync_folder(data)
    };
    remove().map_err(|error| {
        let message =
            format!("cannot remove all of the chain in {}: {error}; `quipu reset` again goes on", data.display());
        Failure::new(Code::WriteFailed, message)
    })?;
    drop(lock);
    Ok(Removed { folder: data.display().to_string(), bytes })
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Whether a person types the word. Nobody else is asked.
fn confirmed(data: &Path) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Code::Usage, "this removes the node's chain: say --yes, or type it at a terminal"));
    }
    let mut stderr = io::stderr();
    let question = format!(
        "This removes the chain in {}, and transactions that were not mined. Wallets, the node's key and names stay.\n\
         Peers that have the chain give it back. Type `{YES}` to go on: ",
        data.display()
    );
    let mut line = String::new();
    let asked = stderr.write_all(question.as_bytes()).and_then(|()| io::stdin().read_line(&mut line));
    asked.map_err(|error| Failure::new(Code::Usage, format!("cannot ask: {error}; say --yes")))?;
    Ok(line.trim() == YES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_goes_and_the_keys_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        assert_eq!(run(folder.path(), true).expect_err("nothing there").code, Code::NotFound);
        assert_eq!(run(&path("missing"), true).expect_err("nothing there").code, Code::NotFound);
        fs::create_dir(path("idempotency")).and_then(|()| fs::create_dir(path("wallets"))).expect("writable");
        for name in
            ["chain.redb", "chain.journal", "index.redb", "node.key", "idempotency/a.json", "wallets/default.pem"]
        {
            fs::write(path(name), "abc").expect("writable");
        }
        assert_eq!(run(folder.path(), false).expect_err("nobody is asked").code, Code::Usage);
        assert!(path("chain.redb").exists());
        let lock = FolderLock::acquire(folder.path(), "a node").expect("free");
        assert!(run(folder.path(), true).expect_err("in use").message.contains("a node"));
        drop(lock);
        assert_eq!(run(folder.path(), true).expect("removed").bytes, 9);
        let left = ["node.key", "wallets/default.pem"].iter().all(|name| path(name).exists());
        let gone = FILES.iter().chain(&FOLDERS).all(|name| !path(name).exists());
        assert!(left && gone);
    }
}
