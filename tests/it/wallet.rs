//! `quipu wallet …` with the real program.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Node, NodeOptions, text};

/// A data folder, and files beside it.
struct WalletFolder(TempDir);

impl WalletFolder {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        place.write("one", "first password\n");
        place.write("two", "second password\n");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("written");
    }

    /// Runs the program in the folder, with the arguments separated by blanks. Returns status and both outputs.
    fn run_with(&self, line: &str, input: &str, environment: &[(&str, &str)]) -> (i32, String, String) {
        let program = std::env::var_os("QUIPU_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_quipu").into());
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("QUIPU_") {
                command.env_remove(variable);
            }
        }
        command.args(line.split(' ')).current_dir(self.0.path()).env("QUIPU_DATA_DIR", self.data());
        command.envs(environment.iter().copied());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // A program that fails early does not read.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("our own child");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
    }

    /// The result of a command that must succeed.
    fn run(&self, line: &str) -> Value {
        self.result(line, "", &[])
    }

    fn result(&self, line: &str, input: &str, environment: &[(&str, &str)]) -> Value {
        let (status, stdout, stderr) = self.run_with(&format!("--json {line}"), input, environment);
        assert_eq!(status, 0, "{line}: {stdout}{stderr}");
        let mut answer = self.answer(&stdout);
        assert_eq!((&answer["ok"], stdout.lines().count()), (&Value::Bool(true), 1), "{line}: {stdout}");
        let words: Vec<&str> = line.split(' ').take(2).collect();
        assert_eq!(answer["command"], words.join(" "));
        answer["result"].take()
    }

    /// The code and the message of a command that must fail, with the status.
    fn refused(&self, line: &str, input: &str) -> (String, String) {
        let (status, stdout, stderr) = self.run_with(&format!("--json {line}"), input, &[]);
        let answer = self.answer(&stdout);
        assert_eq!((status, &answer["ok"]), (1, &Value::Bool(false)), "{line}: {stdout}{stderr}");
        let message = text(&answer["error"], "message");
        assert!(!message.contains('\n') && stderr.contains(&message), "{line}: {stderr}");
        (text(&answer["error"], "code"), message)
    }

    fn answer(&self, stdout: &str) -> Value {
        serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
    }

    /// All wallets' files and their contents.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.data().join("wallets")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("readable").path());
        let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).expect("readable"))).collect();
        files.sort();
        files
    }
}

/// openssl's output, or `None` if there is no openssl.
fn openssl(folder: &Path, line: &str) -> Option<String> {
    match Command::new("openssl").args(line.split(' ')).current_dir(folder).output() {
        Ok(output) => {
            assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).expect("PEM"))
        }
        Err(_) => {
            assert!(std::env::var_os("QUIPU_TEST_TOOLS").is_none_or(|value| value != "1"), "there is no openssl here");
            eprintln!("openssl cannot be run, so `{line}` was not tried");
            None
        }
    }
}

pub(crate) fn a_wallet_from_creation_to_removal() {
    let place = WalletFolder::new();
    let made = place.run("wallet new team --password-file one");
    assert_eq!(text(&made, "words").split(' ').count(), 24);
    let address = text(&made, "address");
    let shown = place.run("wallet show TEAM");
    assert_eq!((text(&shown, "address"), &shown["encrypted"]), (address.clone(), &Value::Bool(true)));
    let file = text(&shown, "file");
    let pem = fs::read_to_string(&file).expect("there");
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{pem}");

    let public = text(&place.run("wallet export team --public"), "pem");
    for (source, what) in [("data/wallets/team.pem", "our file"), ("out.pem", "an export")] {
        if what == "an export" {
            place.run("wallet export team out.pem");
        }
        if let Some(said) = openssl(place.0.path(), &format!("pkey -in {source} -passin file:one -pubout")) {
            assert_eq!(said, public, "{what}");
        }
    }
    assert_eq!(place.refused("wallet export team out.pem", "").0, "file_exists");
    let plain = place.run("wallet export team --no-password --password-file one");
    assert!(text(&plain, "pem").starts_with("-----BEGIN PRIVATE KEY-----\n"));

    place.run("wallet passwd team --password-file one --new-password-file two");
    assert_eq!(place.refused("wallet export team --no-password --password-file one", "").0, "wrong_password");
    assert_eq!(place.run("wallet export team --no-password --password-file two"), plain);

    let listed = place.run("wallet list");
    assert_eq!(listed["wallets"].as_array().map(Vec::len), Some(1));
    assert_eq!(text(&listed["wallets"][0], "address"), address);
    assert_eq!(place.refused("wallet remove team", "tema\n").0, "not_confirmed");
    assert_eq!(text(&place.result("wallet remove team", "team\n", &[]), "address"), address);
    assert!(place.files().is_empty());

    let words = text(&made, "words");
    let restored = place.result("wallet import --words team --no-password", &words, &[]);
    assert_eq!((text(&restored, "address"), &restored["encrypted"]), (address, &Value::Bool(false)));
}

pub(crate) fn a_protected_wallet_starts_locked_and_unlocks_by_a_password() {
    let place = WalletFolder::new();
    let team = text(&place.run("wallet new team --password-file one"), "address");
    place.run("wallet new other --no-password");
    let options = |arguments: &[&str]| NodeOptions {
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        ..NodeOptions::default()
    };
    let one = place.path("one").display().to_string();
    let two = place.path("two").display().to_string();
    let send = "tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0.5";

    let mut node = Node::start_in(&place.data(), options(&["--wallet", "team"]));
    assert_eq!(node.address(), team);
    node.run("mine 1");
    let refusal = node.try_run(send).expect_err("locked");
    assert_eq!(refusal.code, "wallet_locked");
    node.stop();

    node.restart_with(options(&["--wallet", "team", "--password-file", &one]));
    node.run(send);
    node.stop();
    drop(node);

    for (arguments, code) in [
        (&["--wallet", "team", "--password-file", &two][..], "wrong_password"),
        (&["--wallet", "none"], "wallet_not_found"),
        (&[], "wallet_not_chosen"),
    ] {
        let failure = Node::try_start_in(&place.data(), options(arguments)).expect_err("must not start");
        assert!(failure.stdout.iter().any(|line| line.contains(code)), "{failure:?}");
    }
}

pub(crate) fn passwords_and_phrases_come_from_files_and_the_environment() {
    let place = WalletFolder::new();
    let (status, stdout, _) = place.run_with("wallet new team", "", &[("QUIPU_WALLET_PASSWORD", "first password")]);
    assert_eq!(status, 0);
    let words: Vec<&str> = stdout
        .lines()
        .filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()))
        .flat_map(|line| line.split_whitespace().filter(|word| word.chars().all(|c| c.is_ascii_lowercase())))
        .collect();
    assert_eq!(words.len(), 24, "{stdout}");
    let both = [("QUIPU_WALLET_PASSWORD", "first password"), ("QUIPU_WALLET_NEW_PASSWORD", "an unusual passwörd")];
    place.result("wallet passwd team", "", &both);
    place.write("new", "an unusual passwörd");
    place.run("wallet export team --no-password --password-file new");

    // On several lines, in capitals: as people write them down.
    place.result("wallet remove team", "team", &[]);
    let typed = words.chunks(4).map(|line| line.join(" ").to_uppercase()).collect::<Vec<_>>().join("\n");
    let restored = place.result("wallet import --words --password-file one", &typed, &[]);
    assert_eq!(text(&restored, "name"), "restored");
    assert!(stdout.contains(&text(&restored, "address")), "the same key");

    let mistyped = typed.replacen(&words[2].to_uppercase(), "QUIPU", 1);
    let (code, message) = place.refused("wallet import --words x --no-password", &mistyped);
    assert_eq!(code, "bad_words");
    assert!(message.contains("word 3 ") && message.contains("quipu"), "{message}");
    let (code, message) = place.refused("wallet new another", "");
    assert_eq!(code, "password_needed");
    for way in ["--password-file", "QUIPU_WALLET_PASSWORD", "--no-password"] {
        assert!(message.contains(way), "{message}");
    }
}

pub(crate) fn a_foreign_key_is_imported_and_the_file_left_alone() {
    let place = WalletFolder::new();
    let make = "genpkey -algorithm ed25519 -aes-256-cbc -pass file:one -out theirs.pem";
    if openssl(place.0.path(), make).is_none() {
        return;
    }
    let before = fs::read(place.path("theirs.pem")).expect("there");
    assert_eq!(place.refused("wallet import theirs.pem", "").0, "password_needed");
    assert_eq!(place.refused("wallet import theirs.pem --password-file two --no-password", "").0, "wrong_password");
    let imported = place.run("wallet import theirs.pem --password-file one --new-password-file two");
    assert_eq!(text(&imported, "name"), "theirs");
    assert_eq!(fs::read(place.path("theirs.pem")).expect("there"), before);
    // Unless another one is given, its password stays.
    let plain = "wallet export theirs out.pem --no-password --password-file";
    assert_eq!(place.refused(&format!("{plain} one"), "").0, "wrong_password");
    place.run("wallet remove theirs --yes");
    place.run("wallet import theirs.pem --password-file one");
    assert_eq!(place.refused(&format!("{plain} two"), "").0, "wrong_password");
    place.run(&format!("{plain} one"));
    let public = openssl(place.0.path(), "pkey -in theirs.pem -passin file:one -pubout");
    assert_eq!(Some(text(&place.run("wallet export theirs --public"), "pem")), public);

    let (code, message) = place.refused("wallet import theirs.pem again --password-file one --no-password", "");
    assert_eq!(code, "wallet_exists");
    assert!(message.contains("theirs") && message.contains(&text(&imported, "address")), "{message}");
    openssl(place.0.path(), "genpkey -algorithm X25519 -out exchange.pem");
    assert_eq!(place.refused("wallet import exchange.pem --no-password", "").0, "foreign_key");
}

pub(crate) fn errors_are_one_line_and_change_nothing() {
    let place = WalletFolder::new();
    place.run("wallet new team --password-file one");
    place.write("text.pem", "hello");
    place.write("long.pem", &"x".repeat(100_000));
    let file = place.data().join("wallets/cut.pem");
    let whole = fs::read(place.data().join("wallets/team.pem")).expect("there");
    fs::write(&file, &whole[..whole.len() - 10]).expect("written");
    let mut tampered = whole;
    tampered[60] ^= 1;
    fs::write(place.data().join("wallets/bad.pem"), &tampered).expect("written");
    let before = place.files();
    let cases = [
        ("wallet new team --no-password", "wallet_exists"),
        ("wallet new Team --no-password", "wallet_exists"),
        ("wallet new .x --no-password", "bad_wallet_name"),
        ("wallet show none", "wallet_not_found"),
        ("wallet show cut", "wallet_cut_off"),
        ("wallet show bad", "wallet_tampered"),
        ("wallet passwd team --password-file two --no-password", "wrong_password"),
        ("wallet passwd team --password-file one", "password_needed"),
        ("wallet passwd team --password-file none", "password_file"),
        ("wallet import text.pem --no-password", "not_a_key"),
        ("wallet import long.pem --no-password", "key_too_long"),
        ("wallet import none.pem --no-password", "wallet_unreadable"),
        // Its key is whole, and is there already.
        ("wallet import data/wallets/cut.pem new --no-password --password-file one", "wallet_exists"),
        ("wallet import data/wallets/bad.pem new --no-password", "wallet_tampered"),
        ("wallet import --words --no-password", "bad_words"),
        ("wallet remove none --yes", "wallet_not_found"),
    ];
    for (line, code) in cases {
        assert_eq!(place.refused(line, "").0, code, "{line}");
        assert_eq!(place.files(), before, "{line}");
    }
    let problems = place.run("wallet list")["wallets"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|row| !row["problem"].is_null())
        .count();
    assert_eq!(problems, 2);
    for line in
        ["wallet", "wallet frobnicate", "wallet new", "wallet import", "wallet export a b --public --no-password"]
    {
        assert_eq!(place.run_with(line, "", &[]).0, 2, "{line}");
    }
    let (_, _, stderr) = place.run_with("wallet new x --password secret", "", &[]);
    assert!(stderr.contains("--password"), "a password is never an argument: {stderr}");
}

pub(crate) fn a_wallet_stays_while_a_node_runs() {
    let place = WalletFolder::new();
    let mut node = Node::start_in(&place.data(), NodeOptions::default());
    let address = node.address();
    assert_eq!(text(&place.run("wallet show default"), "address"), address);
    assert_eq!(place.refused("wallet remove default --yes", "").0, "wallet_in_use");
    // Harmless commands are possible meanwhile.
    place.run("wallet new second --password-file one");
    place.run("wallet passwd default --new-password-file two");
    node.run("mine 1");
    node.run("tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0.5");
    node.stop();
    node.restart();
    assert_eq!(node.address(), address);
    assert_eq!(node.try_run("record x").expect_err("it has a password now").code, "wallet_locked");
    node.stop();
    place.run("wallet remove default --yes");
}
