//! Carries out a script on real processes.
//!
//! Each node is a process with a folder of its own; all work in one folder, where the files are that commands write.
//! What is between them is the [`Ground`]'s business. A step is over when what it says is so: after `cut` both sides know
//! of it, after `heal` and `restart` the links stand.

mod ask;
mod ground;
mod link;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::outcome::{Failure, Trouble};
use super::script::{Answer, Expectation, Line, Script, Step, WITHIN, Who};
use super::values::Values;
use crate::harness::{Node, Options, Waited, number, text};

pub(crate) use self::ground::Ground;

/// How long an answer at the prompt may take; `mine 100` takes its time.
const COMMAND_TIME: Duration = Duration::from_secs(300);
/// The password of all wallets that a script makes is in it.
const PASSWORD_FILE: &str = "password";
/// How long it takes at most to look at a node again that gives no sign.
const GLANCE: Duration = Duration::from_millis(100);

/// The processes of one script.
#[derive(Debug)]
pub(crate) struct Runner {
    ground: Ground,
    network: String,
    nodes: BTreeMap<String, Member>,
    values: Values,
    /// Removed when all is over.
    folder: TempDir,
}

#[derive(Debug)]
struct Member {
    node: Node,
    options: Options,
    /// The account that it had at first, for which its name stands at all nodes.
    account: String,
    up: bool,
}

impl Runner {
    /// Runs a script to its end or to its first failure. `watch` is told of each step before and after it.
    pub(crate) fn run(script: &Script, ground: Ground, watch: &mut dyn FnMut(&Line, bool)) -> Result<(), Box<Failure>> {
        let network = match script.network.as_str() {
            built_in @ ("dev" | "lan") => built_in.to_owned(),
            file => {
                let beside = script.file.parent().unwrap_or(&script.file).join(file);
                fs::canonicalize(&beside).unwrap_or(beside).display().to_string()
            }
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_password(&folder.path().join(PASSWORD_FILE)).expect("a new folder takes a file");
        let mut runner = Self { ground, network, nodes: BTreeMap::new(), values: Values::default(), folder };
        for line in &script.lines {
            watch(line, false);
            runner.step(&line.step).map_err(|trouble| Box::new(runner.failure(script, line, trouble)))?;
            watch(line, true);
        }
        Ok(())
    }

    fn failure(&self, script: &Script, line: &Line, trouble: Trouble) -> Failure {
        let tail = |name: &String| Some((name.clone(), self.nodes.get(name)?.node.tail()));
        let last = trouble.involved.iter().filter_map(tail).collect();
        Failure { file: script.file.clone(), line: line.number, step: line.text.clone(), trouble, last }
    }

    fn step(&mut self, step: &Step) -> Result<(), Trouble> {
        match step {
            Step::Start { nodes, apart, key_of } => self.start(nodes, *apart, key_of.as_deref()),
            Step::Connect(from, to) => {
                self.running(from)?;
                self.running(to)?;
                self.ground.connect(&self.nodes, from, to)
            }
            Step::Type { node, command, answer } => self.type_in(node, command, answer),
            Step::Keep { node, question, name } => {
                let question = self.fill_question(question)?;
                let seen = self.until(std::slice::from_ref(node), WITHIN, &question.text(), |runner| {
                    runner.ask(node, &question)
                })?;
                self.values.keep(name, seen.into());
                Ok(())
            }
            Step::Cut(sides) => self.ground.cut(&self.nodes, sides),
            Step::Hamper { fault, from, to } => self.ground.hamper(*fault, from, to),
            Step::Heal => self.ground.heal(&self.nodes),
            Step::Kill(names) => self.end(names, Signal::KILL),
            Step::Stop(names) => self.end(names, Signal::TERM),
            Step::Restart(names) => self.restart(names),
            Step::WaitBlocks { blocks, within } => self.wait_blocks(*blocks, *within),
            Step::Expect { who, what, within } => self.expect(who, what, *within),
        }
    }

    fn start(&mut self, names: &[String], apart: bool, key_of: Option<&str>) -> Result<(), Trouble> {
        let options = |name: &String| {
            let mut options = self.ground.options(name);
            options.network.clone_from(&self.network);
            options.directory = Some(self.folder.path().to_owned());
            // One thread finds blocks fast enough, and leaves the machine to the others.
            options.arguments = ["--name", name, "--threads", "1"].map(str::to_owned).to_vec();
            // So that new wallets can be made and unlocked.
            options
                .arguments
                .extend(["--password-file".to_owned(), self.folder.path().join(PASSWORD_FILE).display().to_string()]);
            (name.clone(), options)
        };
        let options = names.iter().map(options).collect();
        if let Some(owner) = key_of {
            for name in names {
                self.copy_wallets(owner, name);
            }
        }
        self.launch(options)?;
        self.ground.joined(&self.nodes, names, apart)
    }

    /// Gives a node that has not started yet the accounts of another one.
    fn copy_wallets(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|name| self.folder.path().join(name).join("wallets"));
        fs::create_dir_all(&to).expect("a new folder in our own");
        for entry in fs::read_dir(from).expect("it has started, so it has wallets") {
            let file = entry.expect("our own folder").path();
            fs::copy(&file, to.join(file.file_name().expect("it is in a folder"))).expect("our own files");
        }
    }

    fn restart(&mut self, names: &[String]) -> Result<(), Trouble> {
        let mut options = Vec::new();
        for name in names {
            match &self.nodes[name] {
                member if member.up => return Err(Trouble::new("a node that was stopped or killed", "it runs", &[])),
                member => options.push((name.clone(), member.options.clone())),
            }
        }
        self.launch(options)?;
        self.ground.settle(&self.nodes)
    }

    /// Starts processes at once, and gives everybody everybody's name.
    fn launch(&mut self, options: Vec<(String, Options)>) -> Result<(), Trouble> {
        let folder = self.folder.path();
        let started = std::thread::scope(|scope| {
            let starting: Vec<_> = options
                .into_iter()
                .map(|(name, options)| {
                    scope.spawn(move || (Node::try_start_in(&folder.join(&name), options.clone()), name, options))
                })
                .collect();
            starting.into_iter().map(|start| start.join().expect("no panic in a start")).collect::<Vec<_>>()
        });
        for (node, name, options) in started {
            let node = node.map_err(|failure| Trouble::new(format!("{name} starts"), format!("{failure:#?}"), &[]))?;
            let account = self.nodes.get(&name).map_or_else(|| node.address(), |before| before.account.clone());
            self.nodes.insert(name, Member { node, options, account, up: true });
        }
        let names: Vec<_> = self.nodes.iter().map(|(name, member)| (name.clone(), member.account.clone())).collect();
        for (name, member) in self.nodes.iter().filter(|(_, member)| member.up) {
            for (alias, address) in &names {
                self.tell(name, &member.node, &format!("alias {alias} {address}"))?;
            }
        }
        Ok(())
    }

    /// All at once, as when a fuse blows.
    fn end(&mut self, names: &[String], signal: Signal) -> Result<(), Trouble> {
        let running = names.iter().map(|name| self.running(name)).collect::<Result<Vec<_>, _>>()?;
        running.iter().for_each(|node| node.signal(signal));
        self.reap(names, signal == Signal::TERM)
    }

    /// Waits for the end of processes that were asked to end, and for their peers to notice.
    fn reap(&mut self, names: &[String], clean: bool) -> Result<(), Trouble> {
        for name in names {
            let member = self.nodes.get_mut(name).expect("it was running");
            let status = member.node.try_wait_exit(WITHIN);
            member.up = false;
            if !status.is_some_and(|status| !clean || status.success()) {
                let seen = status.map_or("it still runs".to_owned(), |status| status.to_string());
                return Err(Trouble::new(format!("{name} ends, with success"), seen, std::slice::from_ref(name)));
            }
        }
        self.ground.settle(&self.nodes)
    }

    fn type_in(&mut self, name: &String, command: &str, wanted: &Answer) -> Result<(), Trouble> {
        let involved = std::slice::from_ref(name);
        let line = self.values.fill(command).map_err(|problem| Trouble::new("a value for each $NAME", problem, &[]))?;
        let node = self.running(name)?;
        let mut answer = self.hear(name, node, &line)?;
        let code = answer["error"]["code"].as_str();
        match (wanted, code) {
            (Answer::Done, None) => {}
            (Answer::Kept(kept), None) => self.values.keep(kept, answer["result"].take()),
            (Answer::Refused(wanted), Some(code)) if wanted == code => {}
            (Answer::Refused(wanted), _) => {
                let expected = format!("`{line}` is refused with {wanted}");
                return Err(Trouble::new(expected, ask::in_words(&answer), involved));
            }
            (_, Some(_)) => return Err(Trouble::new(format!("`{line}` works"), ask::in_words(&answer), involved)),
        }
        match line.split_whitespace().next() {
            Some("quit" | "exit") => self.reap(involved, true),
            _ => Ok(()),
        }
    }

    fn wait_blocks(&mut self, blocks: u64, within: Duration) -> Result<(), Trouble> {
        let heights = |runner: &Self| {
            let up = runner.nodes.iter().filter(|(_, member)| member.up);
            let heights =
                up.map(|(name, member)| Ok((name.clone(), number(&runner.status(name, &member.node)?, "height"))));
            heights.collect::<Result<Vec<_>, Trouble>>()
        };
        let before: BTreeMap<_, _> = heights(self)?.into_iter().collect();
        let names: Vec<_> = before.keys().cloned().collect();
        self.until(&names, within, &format!("{blocks} more blocks at all nodes"), |runner| {
            let now = heights(runner)?;
            let grown = now.iter().all(|(name, height)| *height >= before[name] + blocks);
            let seen =
                now.iter().map(|(name, height)| format!("{name}: {} to {height}", before[name])).collect::<Vec<_>>();
            Ok(if grown { Ok(()) } else { Err(seen.join(", ")) })
        })
    }

    fn expect(&mut self, who: &Who, what: &Expectation, within: Duration) -> Result<(), Trouble> {
        let names: Vec<_> = match who {
            Who::All => self.nodes.iter().filter(|(_, member)| member.up).map(|(name, _)| name.clone()).collect(),
            Who::Some(names) => names.clone(),
        };
        if *who == Who::All && names.is_empty() {
            return Err(Trouble::new("a node that runs", "there is none", &[]));
        }
        for name in &names {
            self.running(name)?;
        }
        match what {
            Expectation::Agree => self.until(&names, within, "the same best block everywhere", |runner| {
                let statuses = names.iter().map(|name| runner.status(name, &runner.nodes[name].node));
                let statuses = statuses.collect::<Result<Vec<_>, _>>()?;
                let seen = names.iter().zip(&statuses).map(|(name, status)| {
                    format!("{name}: {} {}", number(status, "height"), &text(status, "tip")[..8])
                });
                let agree = statuses.windows(2).all(|pair| pair[0]["tip"] == pair[1]["tip"]);
                Ok(if agree { Ok(()) } else { Err(seen.collect::<Vec<_>>().join(", ")) })
            }),
            Expectation::Says { question, comparison, value } => {
                let question = self.fill_question(question)?;
                let value = self.values.fill(value);
                let value = value.map_err(|problem| Trouble::new("a value for each $NAME", problem, &[]))?;
                let value = self.name_of(&value);
                let expected = format!("{} {} {value}", question.text(), comparison.sign());
                self.until(&names, within, &expected, |runner| {
                    for name in &names {
                        match runner.ask(name, &question)? {
                            Ok(seen) if comparison.holds(&seen, &value) => {}
                            Ok(seen) | Err(seen) => return Ok(Err(format!("{name}: {seen}"))),
                        }
                    }
                    Ok(Ok(()))
                })
            }
            Expectation::Receipt { file, holds } => {
                let expected = format!("the receipt {file} {}", if *holds { "holds" } else { "fails" });
                self.until(&names, within, &expected, |runner| runner.verify(file, &names, *holds))
            }
        }
    }

    /// Looks again and again until it is so. What `look` says: found, not yet and what is seen, or never.
    fn until<T>(
        &self,
        involved: &[String],
        within: Duration,
        expected: &str,
        mut look: impl FnMut(&Self) -> Result<Result<T, String>, Trouble>,
    ) -> Result<T, Trouble> {
        let deadline = Instant::now() + within;
        let mut turns = involved.iter().cycle();
        loop {
            let turn = turns.next().and_then(|name| self.nodes.get(name)).map(|member| &member.node);
            let mark = turn.map(Node::mark);
            let seen = match look(self)? {
                Ok(found) => return Ok(found),
                Err(seen) => seen,
            };
            // What concerns no node won't change.
            if Instant::now() >= deadline || involved.is_empty() {
                return Err(Trouble::new(format!("{expected}, within {within:?}"), seen, involved));
            }
            if let (Some(node), Some(mark)) = (turn, mark) {
                node.glance(mark, GLANCE.min(deadline.saturating_duration_since(Instant::now())));
            }
        }
    }

    fn running(&self, name: &String) -> Result<&Node, Trouble> {
        match self.nodes.get(name) {
            Some(member) if member.up => Ok(&member.node),
            _ => Err(Trouble::new(format!("{name} runs"), format!("it does not: `restart {name}` first"), &[])),
        }
    }

    /// Types a line that must work.
    fn tell(&self, name: &str, node: &Node, line: &str) -> Result<serde_json::Value, Trouble> {
        let mut answer = self.hear(name, node, line)?;
        if answer["ok"] == true {
            return Ok(answer["result"].take());
        }
        Err(Trouble::new(format!("`{line}` works at {name}"), ask::in_words(&answer), &[name.to_owned()]))
    }

    /// Types a line and gives back the whole answer.
    fn hear(&self, name: &str, node: &Node, line: &str) -> Result<serde_json::Value, Trouble> {
        node.try_ask(line, COMMAND_TIME).map_err(|waited| {
            let seen = match waited {
                Waited::Ended => "the node has ended",
                Waited::TooLong => "no answer at all",
            };
            Trouble::new(format!("an answer to `{line}` at {name}, within {COMMAND_TIME:?}"), seen, &[name.to_owned()])
        })
    }
}

/// Nodes warn of a password that others can read.
fn write_password(file: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(b"quipu\n")
}
