//! Programs as processes that print JSON lines, each stamped with its arrival: by one thread, with one clock for all
//! processes, so that arrivals from different ones can be compared.
//!
//! Every wait has a deadline whose expiry is a failure and never a statement about speed.

use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;
use tempfile::TempDir;

/// The timeout of every wait.
const DEADLINE: Duration = Duration::from_secs(600);
/// The most bytes that are read from a process at once.
const PIECE_BYTES: usize = 1 << 16;

/// A line of a process.
pub(crate) struct Word {
    /// The time of its arrival.
    pub(crate) at: Instant,
    pub(crate) value: Value,
}

/// A running process that accepts commands and prints answers and events, as `quipu --json` does. Killed when it is
/// dropped.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    answers: Mutex<Receiver<OutputLine>>,
    events: Mutex<Receiver<OutputLine>>,
    started: Instant,
    ready: Word,
}

impl Process {
    /// Starts it and waits for its event `ready`.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let stdin = child.stdin.take().expect("piped");
        let (answers, events) = READER.follow(child.stdout.take().expect("piped"));
        let (answers, events) = (Mutex::new(answers), Mutex::new(events));
        let ready = next(&events, |event| event["event"] == "ready");
        Self { child, stdin, answers, events, started, ready }
    }

    /// The time of its start.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The time from its start until it was ready.
    pub(crate) fn start_time(&self) -> Duration {
        self.ready.at - self.started
    }

    /// The event with which it became ready.
    pub(crate) fn ready(&self) -> &Value {
        &self.ready.value
    }

    /// The first address at which it listens.
    pub(crate) fn listen(&self) -> &str {
        self.ready.value["listen"][0].as_str().expect("it says where it listens")
    }

    /// That address's port.
    pub(crate) fn port(&self) -> u16 {
        let port = self.listen().split('/').nth(4).and_then(|port| port.parse().ok());
        port.expect("/ip4/…/tcp/PORT/…")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a command, and does not wait for the answer.
    pub(crate) fn say(&self, line: &str) {
        // In one piece, or a node would begin with half a line.
        (&self.stdin).write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    /// The next answer, which must not be a refusal.
    pub(crate) fn answer(&self) -> Word {
        let word = next(&self.answers, |_| true);
        assert_eq!(word.value["ok"], true, "refused: {}", word.value);
        word
    }

    /// The next answer, if it has come.
    pub(crate) fn answer_now(&self) -> Option<Word> {
        let line = self.answers.lock().unwrap_or_else(PoisonError::into_inner).try_recv().ok()?;
        Some(line.word())
    }

    /// Writes a command and waits for the result.
    pub(crate) fn ask(&self, line: &str) -> Value {
        self.say(line);
        self.answer().value["result"].take()
    }

    /// The next event that passes the test. Earlier ones are dropped.
    pub(crate) fn event(&self, test: impl Fn(&Value) -> bool) -> Word {
        next(&self.events, test)
    }

    /// Drops the events that came so far.
    pub(crate) fn forget_events(&self) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while events.try_recv().is_ok() {}
    }

    /// The peak of its resident memory, in bytes.
    pub(crate) fn memory_peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Its present resident memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The part of that which is its own: no mapped files.
    pub(crate) fn own_memory_bytes(&self) -> u64 {
        self.status_bytes("RssAnon:")
    }

    /// A size in proc(5).
    fn status_bytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a process has a size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") << 10
    }

    /// The processor time of all its threads together.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it lives");
        // The name in parentheses may have blanks. User and system time are fields 14 and 15 of proc(5).
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.map(|field| field.parse::<u64>().expect("a number of ticks")).sum();
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// The processor time of its present threads, to the nanosecond (the scheduler's own count).
    pub(crate) fn run_time(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it lives");
        let of_thread = |path: PathBuf| {
            let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        // A thread may end meanwhile.
        Duration::from_nanos(threads.filter_map(Result::ok).filter_map(|thread| of_thread(thread.path())).sum())
    }

    /// Ends it in order: it has written everything when this returns.
    pub(crate) fn stop(mut self) {
        self.say("quit");
        let status = self.child.wait().expect("our own child");
        assert!(status.success(), "it ended with {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next(lines: &Mutex<Receiver<OutputLine>>, test: impl Fn(&Value) -> bool) -> Word {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).unwrap_or_else(|error| panic!("the awaited line does not come: {error}"));
        let word = line.word();
        if test(&word.value) {
            return word;
        }
    }
}

/// The options of a node. By default it is alone on the network `dev`, on a free port of loopback.
#[derive(Debug, Clone)]
pub(crate) struct NodeProcessOptions {
    /// The value of `--network`.
    pub(crate) network: String,
    /// The values of `--peer`.
    pub(crate) peers: Vec<String>,
    /// Whether to serve HTTP, on a free port.
    pub(crate) http: bool,
    /// Further arguments.
    pub(crate) arguments: Vec<String>,
}

impl Default for NodeProcessOptions {
    fn default() -> Self {
        Self { network: "dev".to_owned(), peers: Vec::new(), http: false, arguments: Vec::new() }
    }
}

/// A node as a process.
pub(crate) struct NodeProcess {
    process: Process,
    folder: PathBuf,
    /// Removed with the node.
    owner: Option<TempDir>,
}

impl NodeProcess {
    /// Starts a node in a new folder.
    pub(crate) fn start(options: &NodeProcessOptions) -> Self {
        Self::start_owning(folder(), options)
    }

    /// Starts a node in a folder that is removed with it.
    pub(crate) fn start_owning(owner: TempDir, options: &NodeProcessOptions) -> Self {
        let node = Self::start_in(owner.path(), options);
        Self { owner: Some(owner), ..node }
    }

    /// Starts a node in a folder that is not removed afterwards.
    pub(crate) fn start_in(folder: &Path, options: &NodeProcessOptions) -> Self {
        let mut command = Command::new(program());
        // The program takes options from the environment too: a person's own must not reach it.
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUIPU_")) {
            command.env_remove(variable);
        }
        command.args(["--json", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--network", &options.network]);
        command.arg("--data-dir").arg(folder);
        for peer in &options.peers {
            command.args(["--peer", peer]);
        }
        if options.http {
            command.args(["--http", "127.0.0.1:0"]);
        } else {
            command.arg("--no-http");
        }
        command.args(&options.arguments);
        Self { process: Process::start(command), folder: folder.to_owned(), owner: None }
    }

    /// Ends it and restarts it in the same folder.
    pub(crate) fn restart(self, options: &NodeProcessOptions) -> Self {
        let Self { process, folder, owner } = self;
        process.stop();
        Self { owner, ..Self::start_in(&folder, options) }
    }

    /// Ends it in order, see [`Process::stop`].
    pub(crate) fn stop(self) {
        self.process.stop();
    }

    /// The address at which it serves HTTP.
    pub(crate) fn http(&self) -> SocketAddr {
        let url = self.ready()["http"].as_str().expect("it serves");
        url.strip_prefix("http://").and_then(|place| place.parse().ok()).expect("an address")
    }

    /// Connects to another node.
    pub(crate) fn connect(&self, other: &Self) {
        self.ask(&format!("connect {}", other.listen()));
        for node in [self, other] {
            node.event(|event| event["event"] == "peer_connected");
        }
    }

    /// Its data folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl AsRef<Process> for Process {
    fn as_ref(&self) -> &Process {
        self
    }
}

impl AsRef<Process> for NodeProcess {
    fn as_ref(&self) -> &Process {
        &self.process
    }
}

impl std::ops::Deref for NodeProcess {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

/// The node's program. `QUIPU_BIN` names another build than the one beside the benchmarks.
pub(crate) fn program() -> OsString {
    let other = OTHER_PROGRAM.lock().unwrap_or_else(PoisonError::into_inner).clone();
    other
        .map(PathBuf::into_os_string)
        .or_else(|| std::env::var_os("QUIPU_BIN"))
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_quipu").into())
}

/// Has nodes that start from now on run another build, or the usual one again.
pub(crate) fn set_program(other: Option<PathBuf>) {
    *OTHER_PROGRAM.lock().unwrap_or_else(PoisonError::into_inner) = other;
}

static OTHER_PROGRAM: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A new folder for data, on the disk of the build. Removed when it is dropped.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder")
}

/// A new folder in memory, if the system has one. Removed when it is dropped.
pub(crate) fn memory_folder() -> Option<TempDir> {
    tempfile::tempdir_in("/dev/shm").ok()
}

/// A line and its arrival.
struct OutputLine {
    at: Instant,
    text: Vec<u8>,
}

impl OutputLine {
    fn word(&self) -> Word {
        let value = serde_json::from_slice(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.text)));
        Word { at: self.at, value }
    }
}

/// The output of a process, on its way to those who wait for it.
struct Stream {
    pipe: ChildStdout,
    half: Vec<u8>,
    answers: Sender<OutputLine>,
    events: Sender<OutputLine>,
}

/// The one thread that reads all processes.
struct OutputReader {
    streams: Mutex<Sender<Stream>>,
    wake: PipeWriter,
}

static READER: LazyLock<OutputReader> = LazyLock::new(|| {
    let (streams, new) = channel();
    let (woken, wake) = std::io::pipe().expect("a pipe");
    thread::spawn(move || read(&new, woken));
    OutputReader { streams: Mutex::new(streams), wake }
});

impl OutputReader {
    /// The answers and events of a process, from now on.
    fn follow(&self, pipe: ChildStdout) -> (Receiver<OutputLine>, Receiver<OutputLine>) {
        let ((answers, told_answers), (events, told_events)) = (channel(), channel());
        let stream = Stream { pipe, half: Vec::new(), answers, events };
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).send(stream).expect("the reader goes on");
        (&self.wake).write_all(&[0]).expect("the reader goes on");
        (told_answers, told_events)
    }
}

fn read(new: &Receiver<Stream>, mut woken: PipeReader) {
    let (mut streams, mut piece) = (Vec::<Stream>::new(), vec![0; PIECE_BYTES]);
    loop {
        let mut polled = vec![PollFd::new(&woken, PollFlags::IN)];
        polled.extend(streams.iter().map(|stream| PollFd::new(&stream.pipe, PollFlags::IN)));
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled.expect("the pipes are open"),
        };
        let now = Instant::now();
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        let is_woken = ready.next() == Some(true);
        // Readers of a process that has ended see that nothing more can come.
        streams.retain_mut(|stream| ready.next() == Some(false) || stream.read(now, &mut piece));
        if is_woken {
            let count = woken.read(&mut piece).expect("its other end is never closed");
            streams.extend(new.iter().take(count));
        }
    }
}

impl Stream {
    /// Reads the available bytes; `false` at the end.
    fn read(&mut self, at: Instant, piece: &mut [u8]) -> bool {
        let length = self.pipe.read(piece).unwrap_or_default();
        let mut bytes = &piece[..length];
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let mut text = std::mem::take(&mut self.half);
            text.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let queue = if text.starts_with(br#"{"ok":"#) { &self.answers } else { &self.events };
            // Nobody may wait any more.
            let _ = queue.send(OutputLine { at, text });
        }
        self.half.extend_from_slice(bytes);
        length > 0
    }
}
