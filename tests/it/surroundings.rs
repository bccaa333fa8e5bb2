//! What a shell, a service manager, an editor or a full disk does to the program.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::harness::Node;

/// A program in a folder of its own, without variables of the environment.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program with these arguments, between blanks; stdin is empty.
    fn quipu(&self, line: &str) -> Command {
        let mut command = Command::new(std::env::var_os("QUIPU_BIN").unwrap_or(env!("CARGO_BIN_EXE_quipu").into()));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("QUIPU_") {
                command.env_remove(variable);
            }
        }
        command.args(line.split_whitespace()).current_dir(self.path()).env("HOME", self.path());
        command.env_remove("XDG_DATA_HOME").stdin(Stdio::null());
        command
    }

    fn node(&self, more: &str) -> Command {
        let options = "--data-dir node --network dev --no-mdns --no-http --listen /ip4/127.0.0.1/tcp/0";
        self.quipu(&format!("{options} {more}"))
    }
}

/// The status, and all that was said.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

fn with_input(mut command: Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // A program that fails early does not read.
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("our own child")
}

/// Nothing that was to be shown is lost with status 0.
#[cfg(target_os = "linux")]
pub(crate) fn a_full_stdout_is_told() {
    let place = Place::new();
    assert!(place.quipu("--data-dir node wallet new lab --no-password").output().expect("it runs").status.success());
    let cases = [
        ("--help", 1),
        ("--version", 1),
        ("wallet new --help", 1),
        ("wallet list --data-dir node", 1),
        ("wallet list --data-dir node --json", 1),
        ("wallet new other --no-password --data-dir node", 1),
        ("wallet export lab --no-password --data-dir node", 1),
        ("simulate --list", 2),
        ("simulate --show partition", 2),
        ("--data-dir new --network dev --no-mdns --no-http --listen /ip4/127.0.0.1/tcp/0", 1),
        ("--data-dir new --network dev --no-mdns --no-http --listen /ip4/127.0.0.1/tcp/0 --json", 1),
    ];
    for (line, status) in cases {
        let full = File::options().write(true).open("/dev/full").expect("Linux has it");
        let output = place.quipu(line).stdout(full).output().expect("it runs");
        let (code, text) = said(&output);
        assert_eq!(code, Some(status), "{line}: {text}");
        assert!(text.contains("cannot write to stdout: No space left on device"), "{line}: {text}");
    }
    let made = place.quipu("wallet new third --no-password --data-dir node");
    assert!(into_closed_pipe(made).1.contains("nobody has seen its recovery phrase"));
    let list = place.quipu("wallet list --data-dir node");
    assert_eq!(into_closed_pipe(list), (Some(0), String::new()), "a reader may stop reading");
    assert_eq!(into_closed_pipe(place.quipu("--help")), (Some(0), String::new()));
}

/// The status and the messages of a program whose stdout is a closed pipe.
#[cfg(target_os = "linux")]
fn into_closed_pipe(mut command: Command) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = command.stdout(writer).stderr(Stdio::piped()).output().expect("it runs");
    said(&output)
}

/// All variables that the help knows, set but empty, as a compose file or a unit leaves them.
pub(crate) fn empty_variables_count_as_not_set() {
    let place = Place::new();
    let help =
        ["--help", "wallet import --help"].map(|line| said(&place.quipu(line).output().expect("it runs")).1).concat();
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split('=').next());
    let mut variables: Vec<&str> = named.collect();
    variables.extend(["QUIPU_WALLET_PASSWORD", "QUIPU_WALLET_NEW_PASSWORD"]);
    variables.sort_unstable();
    variables.dedup();
    assert!(variables.len() > 15 && variables.contains(&"QUIPU_PEER"), "{variables:?}");
    let empty = || variables.iter().map(|variable| (variable, ""));
    let (code, text) = said(&place.node("").envs(empty()).output().expect("it runs"));
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = said(&place.quipu("--data-dir node wallet list").envs(empty()).output().expect("it runs"));
    assert!(code == Some(0) && text.contains("default"), "{text}");
}

pub(crate) fn a_node_without_commands_says_what_keeps_it() {
    let place = Place::new();
    for mode in ["", "--json"] {
        let output = place.node(mode).output().expect("it runs");
        assert!(String::from_utf8_lossy(&output.stderr).contains("`--no-prompt` keeps a node running"), "{output:?}");
        let output = with_input(place.node(mode), b"status\n");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("--no-prompt"), "{output:?}");
    }
}

/// Byte order marks of Windows: of a password's file, a script, a network and a request.
pub(crate) fn byte_order_marks_are_left_out() {
    let place = Place::new();
    let write = |name: &str, content: &[u8]| fs::write(place.path().join(name), content).expect("written");
    write("marked", b"\xef\xbb\xbfsecret\r\n");
    write("typed", b"secret");
    let run = |line: &str| said(&place.quipu(line).output().expect("it runs"));
    let (code, text) = run("--data-dir node wallet new lab --password-file marked");
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run("--data-dir node wallet export lab --no-password --password-file typed");
    assert_eq!(code, Some(0), "{text}");
    let output = with_input(place.node("--json --password-file typed"), b"\xef\xbb\xbfmine 1\n");
    assert!(said(&output).1.contains(r#""ok":true,"command":"mine""#), "{output:?}");
}

/// Where a file is meant, nothing else is opened, and nothing waits.
#[cfg(unix)]
pub(crate) fn only_regular_files_are_opened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("there is a mkfifo").success());
    let node = Node::new();
    for other in [pipe.to_str().expect("a plain path"), "/dev/zero", "/dev/null", "/"] {
        for command in ["record @", "records --find "] {
            // The files of a folder are recorded.
            if (command, other) == ("record @", "/") {
                continue;
            }
            let refused = node.try_run(&format!("{command}{other}")).expect_err(other);
            assert_eq!(refused.code, "file_unreadable", "{command}{other}");
            assert!(refused.message.contains("not a regular file"), "{refused:?}");
        }
        assert_eq!(node.try_run(&format!("save {other}")).expect_err(other).code, "file_exists", "{other}");
    }
    let place = Place::new();
    for line in
        ["verify PIPE", "--network PIPE", "wallet import PIPE x --no-password", "wallet list --network /dev/zero"]
    {
        let line = line.replace("PIPE", &pipe.display().to_string());
        let (code, text) = said(&place.quipu(&line).output().expect("it runs"));
        assert!(code != Some(0) && text.contains("not a regular file"), "{line}: {text}");
    }
}

/// A folder that had a wallet does not get another one without a word.
pub(crate) fn a_lost_wallet_is_told() {
    let place = Place::new();
    let run = |more: &str| said(&with_input(place.node(&format!("--json {more}")), b"address\n"));
    let (code, before) = run("");
    assert_eq!(code, Some(0), "{before}");
    // Without a block there is nothing to lose.
    let (code, mined) = said(&with_input(place.node("--json"), b"mine\n"));
    assert_eq!(code, Some(0), "{mined}");
    let wallets = place.path().join("node/wallets");
    let kept = place.path().join("kept");
    fs::rename(&wallets, &kept).expect("there");
    let address = before.split("\"result\":{\"address\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let address = address.expect("the answer");
    let (code, told) = run("");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("wallet_gone") && told.contains(address) && told.contains("--new-wallet"), "{told}");
    assert!(!wallets.exists());
    let (code, other) = run("--new-wallet");
    assert!(code == Some(0) && !other.contains(address), "{other}");
    fs::remove_dir_all(&wallets).expect("there");
    fs::rename(&kept, &wallets).expect("there");
    let (code, again) = run("");
    assert!(code == Some(0) && again.contains(address), "{again}");
}

/// A name that can't be one is refused before anybody is asked for a password.
pub(crate) fn a_bad_name_is_refused_first() {
    let node = Node::new();
    for name in ["Zoé", "default"] {
        let refused = node.try_run(&format!("wallet new {name}")).expect_err(name);
        assert!(refused.code != "password_needed", "{refused:?}");
    }
    assert_eq!(node.try_run("wallet new good").expect_err("nobody can be asked").code, "password_needed");
}

/// A terminal without a cursor (`TERM=dumb`) has a prompt, words that stay whole on its narrow rows, and a question before
/// Ctrl-C ends the node.
#[cfg(target_os = "linux")]
pub(crate) fn a_terminal_without_a_cursor_has_a_prompt() {
    let place = Place::new();
    let node = place.node("");
    let line: Vec<_> =
        std::iter::once(node.get_program()).chain(node.get_args()).map(|word| word.to_string_lossy()).collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("stty rows 24 cols 40; exec {}", line.join(" ")), "/dev/null"]);
    terminal.env("TERM", "dumb").current_dir(place.path()).env("HOME", place.path());
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script(1) is there");
    let (mut keys, mut screen) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut shown = String::new();
    let mut wait_for = |wanted: &str, shown: &mut String| {
        let mut bytes = [0; 4096];
        while !shown.contains(wanted) {
            let count = screen.read(&mut bytes).expect("a terminal");
            assert!(count > 0, "ended without {wanted}: {shown}");
            shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    wait_for("quipu> ", &mut shown);
    assert!(shown.contains("leaves.\r\nquipu> "), "behind the banner: {shown}");
    let mut answer = |keys_pressed: &str, wanted: &str| {
        shown.clear();
        keys.write_all(keys_pressed.as_bytes()).expect("a terminal");
        wait_for(wanted, &mut shown);
        shown.clone()
    };
    let help = answer("help chain\n", "quipu> ");
    assert!(
        help.contains("Without FROM: the last 10 blocks;\r\nwithout COUNT: up to 50 (with --json:\r\nall)."),
        "{help}"
    );
    // An id that is longer than a row is in one piece.
    let sent = answer("record two words\n", "quipu> ");
    let id = sent.lines().find_map(|line| line.strip_prefix("sent ")).expect("an answer");
    assert_eq!(id.trim().len(), 64, "{sent}");
    let asked = answer("\u{3}", "quipu> ");
    assert!(asked.contains("Ctrl-C again, Ctrl-D or `quit` stops"), "{asked}");
    keys.write_all(b"\x03").expect("a terminal");
    assert!(child.wait().expect("our own child").success());
}

/// Where files can't be locked, as on some network drives, the start says so and what to do.
#[cfg(target_os = "linux")]
pub(crate) fn a_file_system_without_locks_is_told() {
    let place = Place::new();
    let source =
        "#include <errno.h>\nint flock(int file, int how) { (void)file; (void)how; errno = FAILURE; return -1; }\n";
    fs::write(place.path().join("locks.c"), source).expect("written");
    for failure in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        // What links Rust programs makes this one, too.
        let library = place.path().join(format!("{failure}.so"));
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", &format!("-DFAILURE={failure}"), "locks.c", "-o"]).arg(&library);
        assert!(compiler.current_dir(place.path()).status().expect("cc is there").success());
        let mut node = place.node("--json");
        node.env("LD_PRELOAD", &library);
        let (code, text) = said(&with_input(node, b"quit\n"));
        assert_eq!(code, Some(1), "{failure}: {text}");
        assert!(text.contains("without locks") && text.contains("--data-dir"), "{failure}: {text}");
    }
    let (code, text) = said(&with_input(place.node("--json"), b"quit\n"));
    assert_eq!(code, Some(0), "nothing was spoilt: {text}");
}

/// A node that may open too few files says what helps, whatever it was about to open.
#[cfg(target_os = "linux")]
pub(crate) fn a_lack_of_descriptors_is_told() {
    let place = Place::new();
    let limited = |limit: u32| {
        let node = place.node(&format!("--json --name n{limit}"));
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "ulimit -n $0; exec \"$@\"", &limit.to_string()])
            .arg(node.get_program())
            .args(node.get_args());
        shell.current_dir(place.path()).env("HOME", place.path());
        said(&with_input(shell, b"quit\n"))
    };
    let mut refused = 0;
    for limit in [8, 10, 12, 14, 16, 18] {
        let (code, text) = limited(limit);
        if code == Some(0) {
            continue;
        }
        refused += 1;
        assert_eq!(code, Some(1), "{limit}: {text}");
        assert!(text.contains("ulimit -n"), "{limit}: {text}");
    }
    assert!(refused >= 3, "the limits are too high to try anything");
    let (code, text) = limited(256);
    assert_eq!(code, Some(0), "nothing was spoilt: {text}");
}
