//! A node as a process, asked over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use libp2p::Multiaddr;
use serde_json::Value;
use tempfile::TempDir;

/// Killed when it is dropped.
pub(crate) struct Node {
    _folder: TempDir,
    child: Child,
    ready: Value,
}

impl Node {
    /// A new one of the network `dev`. What it prints after its first line is read and dropped.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_quipu"));
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUIPU_")) {
            command.env_remove(variable);
        }
        command.args(["--json", "--network", "dev", "--no-mdns", "--threads", "1", "--http", "127.0.0.1:0"]);
        command.args(["--listen", "/ip4/127.0.0.1/tcp/0", "--data-dir"]).arg(folder.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let ready = loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).expect("it says something") > 0, "it ended");
            let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if said["event"] == "ready" {
                break said;
            }
        };
        std::thread::spawn(move || {
            let mut piece = [0; 1 << 16];
            while matches!(stdout.read(&mut piece), Ok(1..)) {}
        });
        Self { _folder: folder, child, ready }
    }

    /// Where peers reach it.
    pub(crate) fn address(&self) -> Multiaddr {
        let listen = self.ready["listen"][0].as_str().expect("it listens");
        listen.parse().expect("a node listens on multiaddresses")
    }

    /// What the system calls it.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// How many transactions wait in its memory pool.
    pub(crate) fn pending(&self) -> u64 {
        self.status()["pending"].as_u64().expect("a number")
    }

    fn status(&self) -> Value {
        let url = self.ready["http"].as_str().expect("it serves");
        let place: SocketAddr = url.strip_prefix("http://").and_then(|place| place.parse().ok()).expect("an address");
        let mut stream = TcpStream::connect(place).expect("it listens");
        let request = format!("GET /api/v1/status HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
