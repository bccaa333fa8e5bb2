//! Input from people and other programs: command lines, files of names, networks and keys. It goes through the
//! program's own functions, so files are really written and read.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;

use quipu::cli::Invocation;
use quipu::node::aliases::Aliases;
use quipu::node::prompt::command::parse;
use quipu::node::wallet::{Password, Wallets};
use quipu::protocol::{Address, SecretKey};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::texts::one_line;

/// The password of the protected files in the corpus.
const PASSWORD: &str = "correct horse";
/// Begins the last line of a wallet's file, before the digits of its checksum.
const CHECKSUM_PREFIX: &str = "sha256 of the above: ";

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Calls `run` with a folder of this thread.
fn in_folder(run: impl FnOnce(&Path)) {
    FOLDER.with(|folder| run(folder.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path()));
}

/// A line at the prompt.
pub(crate) fn commands(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    let Some(parsed) = parse(&line) else { return };
    assert!(line.contains(&parsed.name) && !parsed.name.is_empty());
    if let Err(failure) = parsed.command {
        one_line(&failure.message);
        assert!(!failure.message.is_empty(), "a failure says what is wrong");
    }
}

/// A file given with `--network`.
pub(crate) fn networks(data: &[u8]) {
    in_folder(|folder| {
        let file = folder.join("network.toml");
        fs::write(&file, data).expect("a writable folder");
        let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
        match Invocation::from_arguments(["quipu".to_owned(), "--network".to_owned(), text(&file)]) {
            Ok(Invocation::Node { config, .. }) => {
                let parameters = config.network.parameters();
                assert!(!parameters.name.is_empty() && parameters.target_spacing.0 > 0, "{parameters:?}");
            }
            Ok(other) => panic!("not an argument of the test: {other:?}"),
            Err(error) => one_line(&error.to_string()),
        }
    });
}

/// The file of names.
pub(crate) fn aliases(data: &[u8]) {
    in_folder(|folder| {
        fs::write(folder.join("aliases.toml"), data).expect("a writable folder");
        match Aliases::open(folder) {
            Ok(aliases) => {
                // Whatever the file holds, it is written again in the known form.
                let name = "fuzzed";
                let was_free = aliases.find(name).is_none() && aliases.set(name, Address([7; 20])).is_ok();
                let again = Aliases::open(folder).expect("a written file can be read").list();
                assert_eq!(again, aliases.list());
                assert!(!was_free || aliases.remove(name).is_ok());
            }
            Err(error) => one_line(&error.to_string()),
        }
    });
}

/// A wallet's own file, as it is and with a correct checksum.
pub(crate) fn wallets(data: &[u8]) {
    open_wallet(data);
    let prefix = CHECKSUM_PREFIX.as_bytes();
    let end = data.windows(prefix.len()).rposition(|window| window == prefix).unwrap_or(data.len());
    let body = &data[..end];
    let digits = hex::encode(Sha256::digest(body));
    let whole = [body, prefix, digits.as_bytes(), b"\n"].concat();
    if whole != data {
        open_wallet(&whole);
    }
}

fn open_wallet(content: &[u8]) {
    in_folder(|folder| {
        let wallets = folder.join("wallets");
        fs::create_dir_all(&wallets).expect("a writable folder");
        let file = wallets.join("mine.pem");
        fs::write(&file, content).expect("a writable folder");
        match Wallets::open(folder, Some("mine"), None) {
            Ok(wallets) => {
                let password = Password::new(Zeroizing::new(PASSWORD.into())).expect("a password");
                let is_locked = wallets.current().is_locked;
                if !is_locked || wallets.unlock(&password, None).is_ok() {
                    let key: std::sync::Arc<SecretKey> = wallets.key().expect("it is unlocked");
                    assert_eq!(key.public_key().address(), wallets.address(), "the key is that of the address");
                }
            }
            Err(error) => one_line(&error.to_string()),
        }
        assert_eq!(fs::read(&file).expect("it is still there"), content, "nobody else writes it");
        fs::remove_file(file).expect("it was written here");
    });
}

/// A key file of another program, with a password beside it.
pub(crate) fn keys(data: &[u8]) {
    in_folder(|folder| {
        let _ = fs::remove_dir_all(folder.join("wallets"));
        let (file, password) = (folder.join("other.pem"), folder.join("password"));
        fs::write(&file, data).expect("a writable folder");
        fs::write(&password, PASSWORD).expect("a writable folder");
        let paths = [folder, &password, &file].map(|path| path.to_str().expect("a plain path").to_owned());
        let [folder, password, file] = &paths;
        let words =
            ["quipu", "--data-dir", folder, "--password-file", password, "wallet", "import", file, "--no-password"];
        let Ok(Invocation::Wallet { request, .. }) = Invocation::from_arguments(words) else {
            panic!("not a command: {words:?}")
        };
        match request.run() {
            Ok(_) => {
                let taken_in = Wallets::open(folder.as_ref(), Some("other"), None).expect("it was taken in");
                assert!(taken_in.key().is_ok(), "it was taken in without a password");
            }
            Err(error) => one_line(&error.to_string()),
        }
    });
}
