//! One node as a process.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::log::{Log, Waited};
use super::{DEADLINE, number, text};

/// The options of a node. By default it is alone on the network `dev`, on a free port of loopback.
#[derive(Debug, Clone)]
pub(crate) struct NodeOptions {
    /// The value of `--network`.
    pub(crate) network: String,
    /// The values of `--listen`.
    pub(crate) listen: Vec<String>,
    /// The values of `--peer`.
    pub(crate) peers: Vec<String>,
    /// Whether to look for peers on the LAN. Only inside a [`super::Lan`].
    pub(crate) mdns: bool,
    /// Whether to serve HTTP, on a free port.
    pub(crate) http: bool,
    /// The network namespace to run in.
    pub(crate) namespace: Option<String>,
    /// The folder for files that commands name without one; `None`: the folder in which the tests run.
    pub(crate) directory: Option<PathBuf>,
    /// Variables of the environment, beside those of the tests.
    pub(crate) environment: Vec<(String, String)>,
    /// Further arguments.
    pub(crate) arguments: Vec<String>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            network: "dev".to_owned(),
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            peers: Vec::new(),
            mdns: false,
            http: false,
            namespace: None,
            directory: None,
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }
}

impl NodeOptions {
    fn command(&self, folder: &Path) -> Command {
        let mut command = quipu(self.namespace.as_deref());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.arg("--json").arg("--data-dir").arg(folder).args(["--network", &self.network]);
        for address in &self.listen {
            command.args(["--listen", address]);
        }
        for address in &self.peers {
            command.args(["--peer", address]);
        }
        if !self.mdns {
            command.arg("--no-mdns");
        }
        if self.http {
            command.args(["--http", "127.0.0.1:0"]);
        } else if !self.arguments.iter().any(|argument| argument == "--http") {
            command.arg("--no-http");
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// The program, in a network namespace or in ours, without a person's own options.
pub(crate) fn quipu(namespace: Option<&str>) -> Command {
    // `QUIPU_BIN` names another build than the one beside the tests.
    let program = std::env::var_os("QUIPU_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_quipu").into());
    let mut command = match namespace {
        None => Command::new(program),
        Some(namespace) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net=/run/netns/{namespace}")).arg("--").arg(program);
            command
        }
    };
    // The program takes options from the environment too: a person's own must not reach it.
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("QUIPU_") {
            command.env_remove(variable);
        }
    }
    command
}

/// A node that ended instead of becoming ready.
#[derive(Debug)]
pub(crate) struct StartFailure {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

/// An answer that refuses a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandRefusal {
    /// The stable code.
    pub(crate) code: String,
    /// The message for people.
    pub(crate) message: String,
}

/// A running node, which is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    options: NodeOptions,
    folder: PathBuf,
    /// Removed with the last node that uses it.
    owner: Option<Arc<TempDir>>,
    child: Child,
    /// Held while a command runs, so that threads that share a node get their own answers.
    stdin: Mutex<Option<ChildStdin>>,
    log: Arc<Log>,
    ready: Value,
}

impl Node {
    /// Starts a node in a new folder and waits until it is ready.
    pub(crate) fn start(options: NodeOptions) -> Self {
        let owner = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let mut node = Self::start_in(&owner.path().join("data"), options);
        node.owner = Some(owner);
        node
    }

    /// Starts a node with the default options.
    pub(crate) fn new() -> Self {
        Self::start(NodeOptions::default())
    }

    /// Starts a node in a folder that is not removed afterwards, and waits until it is ready.
    pub(crate) fn start_in(folder: &Path, options: NodeOptions) -> Self {
        match Self::try_start_in(folder, options) {
            Ok(node) => node,
            Err(failure) => panic!("the node did not start: {failure:#?}"),
        }
    }

    /// Like [`Node::start_in`], for nodes that may refuse to start.
    pub(crate) fn try_start_in(folder: &Path, options: NodeOptions) -> Result<Self, StartFailure> {
        let mut command = options.command(folder);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let log = Log::follow(child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let stdin = Mutex::new(child.stdin.take());
        let mut node = Self { options, folder: folder.to_owned(), owner: None, child, stdin, log, ready: Value::Null };
        let is_ready = |event: &&Value| event["event"] == "ready";
        match node.log.wait(DEADLINE, |said| said.events.iter().find(is_ready).cloned()) {
            Ok(ready) => {
                node.ready = ready;
                Ok(node)
            }
            Err(Waited::TooLong) => node.fail("the node is neither ready nor gone"),
            Err(Waited::Ended) => {
                let status = node.child.wait().expect("our own child");
                let said = node.log.lock();
                let values = said.events.iter().chain(&said.answers).map(Value::to_string);
                let stdout = values.chain(said.strays.iter().cloned()).collect();
                Err(StartFailure { status, stdout, stderr: said.stderr.iter().cloned().collect() })
            }
        }
    }

    /// Gives a command and returns the whole answer, or `None` if the node is gone.
    pub(crate) fn ask(&self, line: &str, at_most: Duration) -> Option<Value> {
        match self.try_ask(line, at_most) {
            Ok(answer) => Some(answer),
            Err(Waited::Ended) => None,
            Err(Waited::TooLong) => self.fail(&format!("no answer to `{line}` within {at_most:?}")),
        }
    }

    /// Like [`Node::ask`], for callers with their own message about a node that does not answer.
    pub(crate) fn try_ask(&self, line: &str, at_most: Duration) -> Result<Value, Waited> {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = stdin.as_mut().expect("the input is still open");
        if pipe.write_all(format!("{line}\n").as_bytes()).is_err() {
            return Err(Waited::Ended);
        }
        self.log.wait(at_most, |said| said.answers.pop_front())
    }

    /// Writes all lines at once, and returns their answers, fewer if the node ends meanwhile.
    pub(crate) fn ask_all(&self, lines: &[String], at_most: Duration) -> Vec<Value> {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = stdin.as_mut().expect("the input is still open");
        // A node that is gone answers nothing.
        let _ = pipe.write_all((lines.join("\n") + "\n").as_bytes());
        let next = |_: &String| match self.log.wait(at_most, |said| said.answers.pop_front()) {
            Ok(answer) => Some(answer),
            Err(Waited::Ended) => None,
            Err(Waited::TooLong) => self.fail(&format!("no answer to one of {} lines within {at_most:?}", lines.len())),
        };
        lines.iter().map_while(next).collect()
    }

    /// Runs a command that may be refused.
    pub(crate) fn try_run(&self, line: &str) -> Result<Value, CommandRefusal> {
        self.try_run_within(line, DEADLINE)
    }

    fn try_run_within(&self, line: &str, at_most: Duration) -> Result<Value, CommandRefusal> {
        let Some(mut answer) = self.ask(line, at_most) else { self.fail(&format!("the node ended during `{line}`")) };
        if answer["ok"] == true {
            assert_eq!(answer["command"].as_str(), line.split_whitespace().next(), "the answer to another command");
            return Ok(answer["result"].take());
        }
        let error = &answer["error"];
        Err(CommandRefusal { code: text(error, "code"), message: text(error, "message") })
    }

    /// Runs a command that must succeed.
    pub(crate) fn run(&self, line: &str) -> Value {
        self.run_within(line, DEADLINE)
    }

    /// Runs a command that must succeed and may take long.
    pub(crate) fn run_within(&self, line: &str, at_most: Duration) -> Value {
        self.try_run_within(line, at_most).unwrap_or_else(|refusal| self.fail(&format!("`{line}`: {refusal:?}")))
    }

    /// Writes lines without waiting for their answers. For a script that ends with [`Node::close_input`].
    pub(crate) fn type_ahead(&self, lines: &str) {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        stdin.as_mut().expect("the input is still open").write_all(lines.as_bytes()).expect("the node reads");
    }

    /// The next answer that was not taken.
    pub(crate) fn answer(&self) -> Value {
        match self.log.wait(DEADLINE, |said| said.answers.pop_front()) {
            Ok(answer) => answer,
            Err(waited) => self.fail(&format!("no answer: {waited:?}")),
        }
    }

    /// How many answers were not taken yet.
    pub(crate) fn untaken_answers(&self) -> usize {
        self.log.lock().answers.len()
    }

    /// Ends the input, as the end of a script does.
    pub(crate) fn close_input(&self) {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The number of events so far, to wait from.
    pub(crate) fn mark(&self) -> usize {
        self.log.lock().events.len()
    }

    /// All events of a name so far.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        self.log.lock().events.iter().filter(|event| event["event"] == name).cloned().collect()
    }

    /// Waits for an event of that name that passes the test, from the start of the node on.
    pub(crate) fn wait_event(&self, name: &str, test: impl Fn(&Value) -> bool) -> Value {
        self.wait_event_since(0, name, test)
    }

    /// The same, with a longer deadline.
    pub(crate) fn wait_event_within(&self, name: &str, at_most: Duration, test: impl Fn(&Value) -> bool) -> Value {
        self.find_event(0, name, at_most, test)
    }

    /// The same from a [`Node::mark`] on.
    pub(crate) fn wait_event_since(&self, mark: usize, name: &str, test: impl Fn(&Value) -> bool) -> Value {
        self.find_event(mark, name, DEADLINE, test)
    }

    fn find_event(&self, mark: usize, name: &str, at_most: Duration, test: impl Fn(&Value) -> bool) -> Value {
        // Each event is looked at once, or a chain of many thousand tips would take quadratic time.
        let mut next = mark;
        let found = self.log.wait(at_most, |said| {
            let new = &said.events[next..];
            next = said.events.len();
            new.iter().find(|event| event["event"] == name && test(event)).cloned()
        });
        match found {
            Ok(event) => event,
            Err(waited) => {
                let seen = self.events(name);
                self.fail(&format!("no event \"{name}\" of the wanted kind ({waited:?}); {} others", seen.len()))
            }
        }
    }

    /// Waits a little for a new tip. For callers that look at several nodes in turn.
    pub(super) fn glance_for_tip(&self, mark: usize, at_most: Duration) {
        let is_tip = |event: &Value| event["event"] == "tip";
        let _ = self.log.wait(at_most, |said| said.events[mark..].iter().any(is_tip).then_some(()));
    }

    /// Waits a little for any news. For callers that look at several nodes in turn.
    pub(crate) fn glance(&self, mark: usize, at_most: Duration) {
        let _ = self.log.wait(at_most, |said| (said.events.len() > mark).then_some(()));
    }

    /// Whether that peer is connected, by the last event about it.
    pub(crate) fn is_connected(&self, peer_id: &str) -> bool {
        let said = self.log.lock();
        let names = said.events.iter().rev().filter(|event| event["peer_id"] == peer_id).map(|event| &event["event"]);
        names.filter_map(Value::as_str).find(|name| name.starts_with("peer_")) == Some("peer_connected")
    }

    /// The end of its output, for people.
    pub(crate) fn tail(&self) -> String {
        self.log.tail()
    }

    /// Waits until that peer is connected, whatever happened before.
    pub(crate) fn wait_connected(&self, peer_id: &str) {
        let found = self.log.wait(DEADLINE, |said| {
            let last = said.events.iter().rev().find(|event| {
                event["peer_id"] == peer_id && event["event"].as_str().is_some_and(|name| name.starts_with("peer_"))
            })?;
            (last["event"] == "peer_connected").then_some(())
        });
        if let Err(waited) = found {
            self.fail(&format!("peer {peer_id} is not connected ({waited:?})"));
        }
    }

    /// Connects to another node; both know of it afterwards.
    pub(crate) fn connect(&self, other: &Self) {
        self.run(&format!("connect {}", other.listen()));
        self.wait_connected(&other.peer_id());
        other.wait_connected(&self.peer_id());
    }

    /// Kills the node with SIGKILL. Only the folder remains.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("our own child");
    }

    /// Ends the node in order, by SIGTERM.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait_exit();
        assert!(status.success(), "SIGTERM is a normal end, not {status}\n{}", self.log.tail());
    }

    /// Its resident memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The peak of its resident memory, in bytes.
    pub(crate) fn memory_peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// A size of proc(5).
    fn memory(&self, field: &str) -> u64 {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a living process has a size");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kibibytes << 10
    }

    /// Its folder in proc(5).
    pub(crate) fn process_folder(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id()))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot signal process {pid:?}: {error}"));
    }

    /// Waits for the end of the process.
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        self.try_wait_exit(DEADLINE).unwrap_or_else(|| self.fail("the node does not end"))
    }

    /// The exit status; `None` if it has not ended by then.
    pub(crate) fn try_wait_exit(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let ended = self.log.wait_end(at_most).is_ok();
        ended.then(|| self.child.wait().expect("our own child"))
    }

    /// Restarts in the same folder, after [`Node::kill`] or [`Node::stop`].
    pub(crate) fn restart(&mut self) {
        let options = self.options.clone();
        self.restart_with(options);
    }

    /// The same with other options.
    pub(crate) fn restart_with(&mut self, options: NodeOptions) {
        let owner = self.owner.take();
        *self = Self::start_in(&self.folder.clone(), options);
        self.owner = owner;
    }

    /// Its data folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The event with which it became ready.
    pub(crate) fn ready(&self) -> &Value {
        &self.ready
    }

    /// Its peer id.
    pub(crate) fn peer_id(&self) -> String {
        text(&self.ready, "peer_id")
    }

    /// The address of its account.
    pub(crate) fn address(&self) -> String {
        text(&self.ready, "address")
    }

    /// The address at which it listens.
    pub(crate) fn listen(&self) -> String {
        let address = self.ready["listen"][0].as_str();
        address.unwrap_or_else(|| self.fail("it does not say where it listens")).to_owned()
    }

    /// The height of its best block.
    pub(crate) fn height(&self) -> u64 {
        number(&self.run("status"), "height")
    }

    /// The id of its best block.
    pub(crate) fn tip(&self) -> String {
        text(&self.run("status"), "tip")
    }

    /// The coins of an account, as text.
    pub(crate) fn balance(&self, address: &str) -> String {
        text(&self.run(&format!("balance {address}")), "balance")
    }

    /// The whole chain, genesis first.
    pub(crate) fn chain(&self) -> Value {
        self.run("chain 0 1000000000")
    }

    /// The ids of all transactions on its chain, rewards included.
    pub(crate) fn mined_ids(&self) -> Vec<String> {
        super::transactions_of(&self.chain())
    }

    /// Its lines on stderr so far.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.log.lock().stderr.iter().cloned().collect()
    }

    /// Lines on stdout that are neither an answer nor an event.
    pub(crate) fn strays(&self) -> Vec<String> {
        self.log.lock().strays.clone()
    }

    /// Fails the test and shows the node's last output.
    pub(crate) fn fail(&self, why: &str) -> ! {
        panic!("{why}\nnode in {}:\n{}", self.folder.display(), self.log.tail())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Also works on a stopped process. It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
