//! The wallet of a running node, and what the first start makes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ed25519::KeypairBytes;
use ed25519::pkcs8::EncodePrivateKey;
use pkcs8::LineEnding;

use super::{password, seal};
use crate::node::wallet::folder::Folder;
use crate::node::wallet::pem::ITERATIONS;
use crate::node::wallet::{WalletError, Wallets};
use crate::protocol::{Address, SecretKey};

const HOUR: Duration = Duration::from_secs(3600);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn open(folder: &Path) -> Wallets {
    Wallets::open(folder, None, None).expect("a wallet")
}

/// Adds a wallet with the password `secret` and returns its address.
fn add_protected(folder: &Path, name: &str, seed: u8) -> Address {
    let file = seal(seed, Some(&password("secret")), ITERATIONS);
    Folder::new(folder).add(&name.parse().expect("a name"), &file).expect("a new wallet");
    file.address()
}

fn address_of(seed: u8) -> Address {
    SecretKey::from_seed([seed; 32]).public_key().address()
}

fn old_key(seed: u8) -> String {
    let bytes = KeypairBytes { secret_key: [seed; 32], public_key: None };
    bytes.to_pkcs8_pem(LineEnding::LF).expect("PEM").to_string()
}

fn names(wallets: &Wallets) -> Vec<String> {
    wallets.list().expect("readable").into_iter().map(|listed| listed.name).collect()
}

#[test]
fn the_first_start_makes_a_wallet_that_is_kept() {
    let folder = folder();
    let inner = folder.path().join("a/b");
    let first = open(&inner);
    let current = first.current();
    assert_eq!((current.name.as_str(), current.is_encrypted, current.is_locked), ("default", false, false));
    assert_eq!(first.key().expect("no password").public_key().address(), current.address);
    assert_eq!(open(&inner).current(), current);
    assert!(matches!(first.lock(), Err(WalletError::NotProtected { .. })));
    assert!(matches!(first.unlock(&password("x"), None), Err(WalletError::NotProtected { .. })));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &str| fs::metadata(inner.join(path)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode("wallets"), mode("wallets/default.pem")), (0o700, 0o600));
    }
}

#[test]
fn a_protected_wallet_signs_only_while_it_is_unlocked() {
    let folder = folder();
    let address = add_protected(folder.path(), "team", 7);
    let (right, wrong) = (password("secret"), password("Secret"));
    let wallets = open(folder.path());
    assert!(wallets.current().is_encrypted && wallets.current().is_locked, "locked without a password");
    assert_eq!(wallets.address(), address, "known while it is locked");
    let error = wallets.key().expect_err("locked");
    assert!(error.to_string().contains("wallet unlock"), "{error}");

    assert_eq!(wallets.unlock(&wrong, None).expect_err("wrong").code(), "wrong_password");
    assert!(wallets.key().is_err());
    wallets.unlock(&right, None).expect("right");
    assert_eq!(wallets.key().expect("unlocked").public_key().address(), address);
    assert_eq!(wallets.unlock(&wrong, None).expect_err("wrong").code(), "wrong_password");
    assert!(wallets.key().is_ok(), "a wrong password changes nothing");
    let same = wallets.clone();
    std::thread::spawn(move || same.lock()).join().expect("no panic").expect("it has a password");
    assert!(wallets.current().is_locked && wallets.key().is_err(), "clones are the same");

    let started = Wallets::open(folder.path(), None, Some(right)).expect("right");
    assert!(!started.current().is_locked);
    assert_eq!(Wallets::open(folder.path(), None, Some(wrong)).expect_err("wrong").code(), "wrong_password");
}

#[test]
fn a_lock_that_is_due_locks_and_no_other_does() {
    let folder = folder();
    add_protected(folder.path(), "team", 7);
    let wallets = open(folder.path());
    let right = password("secret");
    wallets.unlock(&right, Some(HOUR)).expect("right");
    let at = wallets.current().locks_at.expect("after an hour");
    assert!(!wallets.lock_if_due(at - Duration::from_millis(1)) && !wallets.current().is_locked);
    assert!(wallets.lock_if_due(at) && wallets.current().is_locked);
    assert!(!wallets.lock_if_due(at + HOUR), "once");
    assert_eq!(wallets.current().locks_at, None);

    wallets.unlock(&right, None).expect("right");
    assert!(!wallets.lock_if_due(Instant::now() + 1000 * HOUR), "without a time it stays unlocked");
    // Nobody needs to look at the time for it: a key is not given out after it.
    wallets.unlock(&right, Some(Duration::ZERO)).expect("right");
    assert!(wallets.key().is_err() && wallets.current().is_locked);
}

#[test]
fn the_wallet_used_last_is_taken_next() {
    let folder = folder();
    let first = open(folder.path());
    let team = add_protected(folder.path(), "Team", 7);
    assert_eq!(open(folder.path()).current().name, "default");
    assert_eq!(Wallets::open(folder.path(), Some("team"), None).expect("there").address(), team);
    assert_eq!(open(folder.path()).current().name, "default", "said for one start alone");

    assert_eq!(first.use_wallet("none", None).expect_err("none").code(), "wallet_not_found");
    let wrong = password("wrong");
    assert_eq!(first.use_wallet("team", Some(&wrong)).expect_err("wrong").code(), "wrong_password");
    assert_eq!(first.current().name, "default", "errors change nothing");
    first.use_wallet("team", Some(&password("secret"))).expect("there");
    assert_eq!((first.current().name.as_str(), first.current().is_locked), ("Team", false));
    assert_eq!(open(folder.path()).current().name, "Team");
    assert!(open(folder.path()).current().is_locked);

    let marked: Vec<_> = first.list().expect("readable").into_iter().map(|row| (row.name, row.is_current)).collect();
    assert_eq!(marked, [("Team".to_owned(), true), ("default".to_owned(), false)]);
}

#[test]
fn without_a_default_the_only_one_is_taken_and_of_several_none() {
    let folder = folder();
    add_protected(folder.path(), "one", 1);
    assert_eq!(open(folder.path()).current().name, "one");
    add_protected(folder.path(), "two", 2);
    assert_eq!(Wallets::open(folder.path(), None, None).expect_err("which?").code(), "wallet_not_chosen");
    assert_eq!(Wallets::open(folder.path(), Some("three"), None).expect_err("none").code(), "wallet_not_found");
}

#[test]
fn a_new_wallet_has_a_free_name_and_its_words_restore_it() {
    let folder = folder();
    let wallets = open(folder.path());
    let (address, words) = wallets.create("team", Some(&password("secret"))).expect("new");
    assert_eq!(SecretKey::from_seed(*words.key_seed()).public_key().address(), address);
    let before = fs::read(folder.path().join("wallets/team.pem")).expect("there");
    for taken in ["team", "TEAM", "default"] {
        assert_eq!(wallets.create(taken, None).expect_err("taken").code(), "wallet_exists");
    }
    assert_eq!(wallets.create("../up", None).expect_err("no name").code(), "bad_wallet_name");
    assert_eq!(fs::read(folder.path().join("wallets/team.pem")).expect("there"), before);
    assert_eq!(
        (names(&wallets), wallets.current().name),
        (vec!["default".to_owned(), "team".to_owned()], "default".to_owned())
    );
}

#[test]
fn the_key_of_older_versions_becomes_a_wallet() {
    let folder = folder();
    let old = folder.path().join("account.pem");
    fs::write(&old, old_key(7)).expect("written");
    let wallets = open(folder.path());
    assert_eq!((wallets.current().name.as_str(), wallets.address()), ("default", address_of(7)));
    assert!(!old.exists(), "it was moved");

    // Cut short between the two steps: the wallet is there, and the old file too.
    fs::write(&old, old_key(7)).expect("written");
    assert_eq!(names(&open(folder.path())), ["default"]);
    assert!(!old.exists());

    // Another key, brought along by hand.
    fs::write(&old, old_key(8)).expect("written");
    let wallets = open(folder.path());
    assert_eq!(names(&wallets), ["account", "default"]);
    assert_eq!(wallets.address(), address_of(7));
    wallets.use_wallet("account", None).expect("there");
    assert_eq!(wallets.address(), address_of(8));
}

#[test]
fn a_damaged_key_of_older_versions_ends_the_start_and_stays() {
    let folder = folder();
    let old = folder.path().join("account.pem");
    let half = &old_key(7)[..60];
    fs::write(&old, half).expect("written");
    let error = Wallets::open(folder.path(), None, None).expect_err("cut off");
    assert_eq!(error.code(), "wallet_cut_off");
    assert!(error.to_string().contains("account.pem"), "{error}");
    assert_eq!(fs::read_to_string(&old).expect("still there"), half);
    assert!(!folder.path().join("wallets").exists(), "no other key takes its place");
}

#[test]
fn a_damaged_wallet_is_listed_and_does_not_start() {
    let folder = folder();
    let wallets = open(folder.path());
    let file = folder.path().join("wallets/default.pem");
    let content = fs::read(&file).expect("there");
    fs::write(&file, &content[..content.len() / 2]).expect("written");
    let rows = wallets.list().expect("readable");
    assert!(rows[0].state.as_ref().is_err_and(|error| error.code() == "wallet_cut_off"));
    assert_eq!(Wallets::open(folder.path(), None, None).expect_err("cut off").code(), "wallet_cut_off");
    assert!(wallets.key().is_ok(), "a node that runs goes on with the key it has");
}

#[test]
fn a_lost_wallet_is_not_replaced_in_silence() {
    let folder = folder();
    let first = open(folder.path()).address();
    let wallets = folder.path().join("wallets");
    for file in ["chain.redb", "chain.journal"] {
        // A damaged file does not show whether there are blocks.
        fs::write(folder.path().join(file), "damaged").expect("written");
        fs::remove_dir_all(&wallets).expect("there");
        for name in [None, Some("default")] {
            let error = Wallets::open(folder.path(), name, None).expect_err("it is gone");
            assert_eq!(error.code(), "wallet_gone");
            for word in [&first.to_string(), "default", "--new-wallet", &wallets.display().to_string()] {
                assert!(error.to_string().contains(word), "{error}");
            }
        }
        assert!(!wallets.exists(), "nothing is made");
        Wallets::make_first(folder.path()).expect("asked for");
        let second = open(folder.path()).address();
        assert_ne!(first, second);
        Wallets::make_first(folder.path()).expect("nothing to do");
        assert_eq!(open(folder.path()).address(), second);
        // Back to the first one, for the message of the next round.
        fs::write(folder.path().join("last-wallet"), format!("default ({first})\n")).expect("written");
        fs::remove_file(folder.path().join(file)).expect("there");
    }
}

#[test]
fn only_files_are_wallets() {
    let folder = folder();
    let wallets = open(folder.path());
    fs::create_dir(folder.path().join("wallets/sub.pem")).expect("made");
    assert_eq!(names(&wallets), ["default"]);
    assert_eq!(open(folder.path()).address(), wallets.address(), "there is nothing to choose from");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/not/there.pem", folder.path().join("wallets/away.pem")).expect("made");
        assert_eq!(names(&wallets), ["away", "default"], "its disk may be missing");
    }
}

#[test]
fn a_file_that_was_swapped_is_not_unlocked() {
    let folder = folder();
    let address = add_protected(folder.path(), "team", 7);
    let wallets = open(folder.path());
    fs::remove_file(folder.path().join("wallets/team.pem")).expect("there");
    add_protected(folder.path(), "team", 8);
    assert_eq!(wallets.unlock(&password("secret"), None).expect_err("another key").code(), "wallet_tampered");
    assert_eq!((wallets.address(), wallets.key().is_err()), (address, true));
}
