//! The files of every stage: those that the script names, a working folder, and a password for its wallets.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::script::Script;

/// A folder that is removed at the end, with the password of all wallets that a script makes.
pub(super) fn new_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Nodes warn of a password that others can read.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(password_file(folder.path()));
    let written = file.as_mut().map(|file| file.write_all(b"quipu\n"));
    written.expect("a new folder takes a file").expect("and its content");
    folder
}

/// The file with that password.
pub(super) fn password_file(folder: &Path) -> PathBuf {
    folder.join("password")
}

/// The file of the script's network, which is beside the script.
pub(super) fn network_file(script: &Script) -> PathBuf {
    let beside = script.file.parent().unwrap_or(&script.file).join(&script.network);
    fs::canonicalize(&beside).unwrap_or(beside)
}

/// Gives a node that has not started yet the accounts of another one. Their data folders have their names.
pub(super) fn copy_wallets(folder: &Path, from: &str, to: &str) {
    let [from, to] = [from, to].map(|name| folder.join(name).join("wallets"));
    fs::create_dir_all(&to).expect("a new folder in our own");
    for entry in fs::read_dir(from).expect("it has started, so it has wallets") {
        let file = entry.expect("our own folder").path();
        fs::copy(&file, to.join(file.file_name().expect("it is in a folder"))).expect("our own files");
    }
}
