//! Kills while a wallet gets another password.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use quipu::node::wallet::{Password, Wallets};

use super::rounds_and_random;

/// The program is killed at any moment while it changes a password: the old or the new password opens the wallet, and
/// it is the same key.
pub(crate) fn kill_9_while_a_wallet_is_written() {
    let (rounds, mut random) = rounds_and_random();
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path();
    for word in ["one", "two"] {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(word)).expect("new");
        file.write_all(format!("password {word}\n").as_bytes()).expect("written");
    }
    let finish = |mut child: Child| assert!(child.wait().expect("our own child").success());
    finish(wallet(folder, "wallet new team --password-file one"));
    let begin = Instant::now();
    finish(wallet(folder, "wallet passwd team --password-file one --new-password-file one"));
    let whole_life = begin.elapsed();
    let address = opens_with(folder, "one").expect("its password");
    let mut passwords = ["one", "two"];
    let mut changed = 0;
    for round in 0..rounds {
        let [old, new] = passwords;
        let line = format!("wallet passwd team --password-file {old} --new-password-file {new}");
        let mut child = wallet(folder, &line);
        // More often towards the end, where the file is written.
        let share = random.below(1000).max(random.below(1000)) as u32;
        std::thread::sleep(whole_life * share / 950);
        let _ = child.kill();
        child.wait().expect("our own child");
        let found = [old, new].map(|word| opens_with(folder, word));
        match found {
            [Some(found), None] => assert_eq!(found, address, "round {round}"),
            [None, Some(found)] => {
                assert_eq!(found, address, "round {round}");
                passwords.swap(0, 1);
                changed += 1;
            }
            other => panic!("round {round}: {other:?}"),
        }
    }
    let [old, new] = passwords;
    finish(wallet(folder, &format!("wallet passwd team --password-file {old} --new-password-file {new}")));
    let left: Vec<_> = fs::read_dir(folder.join("data/wallets")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "leftovers of the kills are removed: {left:?}");
    eprintln!("crash: {rounds} kills while a password was changed: {changed} after the change");
}

/// Starts the program in this folder, with the arguments separated by blanks.
fn wallet(folder: &Path, line: &str) -> Child {
    let program = std::env::var_os("QUIPU_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_quipu").into());
    let mut command = Command::new(program);
    command.args(line.split(' ')).current_dir(folder).env("QUIPU_DATA_DIR", folder.join("data"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it runs")
}

/// The wallet's address, if the password in this file opens it.
fn opens_with(folder: &Path, word: &str) -> Option<String> {
    let password = Password::from_file(&folder.join(word)).expect("a password");
    let wallets = Wallets::open(&folder.join("data"), Some("team"), Some(password)).ok()?;
    assert!(!wallets.current().is_locked);
    Some(wallets.address().to_string())
}
