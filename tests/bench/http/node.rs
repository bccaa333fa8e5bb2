//! A node as a process, whose words are stamped with the time at which they came.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// Killed when it is dropped.
pub(crate) struct Node {
    folder: TempDir,
    child: Child,
    stdin: Mutex<ChildStdin>,
    said: Mutex<Receiver<(Instant, Value)>>,
    ready: Value,
}

impl Node {
    /// A new one of the network `dev`.
    pub(crate) fn start() -> Self {
        let place = env!("CARGO_TARGET_TMPDIR");
        Self::start_in(tempfile::tempdir_in(place).expect("a temporary folder"))
    }

    fn start_in(folder: TempDir) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUIPU_")) {
            command.env_remove(variable);
        }
        command.args(["--json", "--network", "dev", "--no-mdns", "--threads", "1", "--http", "127.0.0.1:0"]);
        command.args(["--listen", "/ip4/127.0.0.1/tcp/0", "--data-dir"]).arg(folder.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (tell, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let now = Instant::now();
                let value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if tell.send((now, value)).is_err() {
                    return;
                }
            }
        });
        let mut node = Self { folder, child, stdin: Mutex::new(stdin), said: Mutex::new(said), ready: Value::Null };
        node.ready = node.wait(|said| said["event"] == "ready").1;
        node
    }

    /// The same again, in the same folder.
    pub(crate) fn restart(&mut self) {
        self.say("quit");
        self.child.wait().expect("our own child");
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a temporary folder"));
        *self = Self::start_in(folder);
    }

    /// Where it serves.
    pub(crate) fn http(&self) -> SocketAddr {
        let url = self.ready["http"].as_str().expect("it serves");
        url.strip_prefix("http://").and_then(|place| place.parse().ok()).expect("an address")
    }

    /// Connects to another one.
    pub(crate) fn connect(&self, other: &Self) {
        self.say(&format!("connect {}", other.ready["listen"][0].as_str().expect("it listens")));
        for node in [self, other] {
            node.wait(|said| said["event"] == "peer_connected");
        }
    }

    /// Mines, and waits until it is done.
    pub(crate) fn mine(&self, count: u64) {
        self.say(&format!("mine {count}"));
        self.wait(|said| said["command"] == "mine");
    }

    /// Mines one block; how long after this node the other one had it.
    pub(crate) fn mine_for(&self, other: &Self) -> Duration {
        self.say("mine 1");
        let (mined, answer) = self.wait(|said| said["command"] == "mine");
        let id = &answer["result"]["blocks"][0]["id"];
        let (arrived, _) = other.wait(|said| said["event"] == "tip" && said["id"] == *id);
        arrived.saturating_duration_since(mined)
    }

    /// The most memory that it has ever had resident, in bytes.
    pub(crate) fn memory_peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has a size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") << 10
    }

    fn say(&self, line: &str) {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    /// The next of its words that passes the test, and when it came.
    fn wait(&self, test: impl Fn(&Value) -> bool) -> (Instant, Value) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let word = said.recv_timeout(DEADLINE).expect("it goes on");
            if test(&word.1) {
                return word;
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
