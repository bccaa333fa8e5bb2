//! Real processes as a stage.
//!
//! Each node is a process with a folder of its own; all work in one folder, which has the files that commands write.
//! The [`Ground`] provides the links. A step is over when its condition is true: after `cut` both sides know of it,
//! after `heal` and `restart` the links are up.

mod ground;
mod link;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::outcome::Trouble;
use super::runner::{COMMAND_TIMEOUT, Ending, Stage, unheard};
use super::script::{LinkFault, Script, WITHIN};
use super::set::{copy_wallets, network_file, new_folder, password_file};
use crate::harness::{Node, NodeOptions, Waited, quipu};

pub(crate) use self::ground::Ground;

/// The processes of one script.
#[derive(Debug)]
pub(crate) struct Processes {
    ground: Ground,
    network: String,
    nodes: BTreeMap<String, Member>,
    began: Instant,
    /// Removed at the end.
    folder: TempDir,
}

#[derive(Debug)]
struct Member {
    node: Node,
    options: NodeOptions,
    up: bool,
}

impl Processes {
    /// A stage without nodes.
    pub(crate) fn new(script: &Script, ground: Ground) -> Self {
        let network = match script.network.as_str() {
            built_in @ ("dev" | "lan") => built_in.to_owned(),
            _ => network_file(script).display().to_string(),
        };
        Self { ground, network, nodes: BTreeMap::new(), began: Instant::now(), folder: new_folder() }
    }

    /// Starts several processes at once.
    fn launch(&mut self, options: Vec<(String, NodeOptions)>) -> Result<(), Trouble> {
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
            self.nodes.insert(name, Member { node, options, up: true });
        }
        Ok(())
    }

    fn node(&self, name: &str) -> &Node {
        &self.nodes[name].node
    }
}

impl Stage for Processes {
    fn start(&mut self, names: &[String], apart: bool, key_of: Option<&str>) -> Result<(), Trouble> {
        let folder = self.folder.path();
        let options = |name: &String| {
            let mut options = self.ground.options(name);
            options.network.clone_from(&self.network);
            options.directory = Some(folder.to_owned());
            // One thread finds blocks fast enough, and leaves the machine to the others.
            options.arguments = ["--name", name, "--threads", "1"].map(str::to_owned).to_vec();
            // New wallets can then be made and unlocked.
            options.arguments.extend(["--password-file".to_owned(), password_file(folder).display().to_string()]);
            (name.clone(), options)
        };
        let options = names.iter().map(options).collect();
        if let Some(owner) = key_of {
            names.iter().for_each(|name| copy_wallets(folder, owner, name));
        }
        self.launch(options)?;
        self.ground.joined(&self.nodes, names, apart)
    }

    fn restart(&mut self, names: &[String]) -> Result<(), Trouble> {
        let options = names.iter().map(|name| (name.clone(), self.nodes[name].options.clone())).collect();
        self.launch(options)?;
        self.ground.settle(&self.nodes)
    }

    /// Ends all of them at once, like a power failure; then their peers have to notice.
    fn end(&mut self, names: &[String], ending: Ending) -> Result<(), Trouble> {
        let signal = match ending {
            Ending::Killed => Some(Signal::KILL),
            Ending::Stopped => Some(Signal::TERM),
            Ending::Left => None,
        };
        for name in names {
            signal.into_iter().for_each(|signal| self.node(name).signal(signal));
        }
        for name in names {
            let member = self.nodes.get_mut(name).expect("it was running");
            let status = member.node.try_wait_exit(WITHIN);
            member.up = false;
            if !status.is_some_and(|status| ending == Ending::Killed || status.success()) {
                let seen = status.map_or("it still runs".to_owned(), |status| status.to_string());
                return Err(Trouble::new(format!("{name} ends, with success"), seen, std::slice::from_ref(name)));
            }
        }
        self.ground.settle(&self.nodes)
    }

    fn running(&self) -> Vec<String> {
        self.nodes.iter().filter(|(_, member)| member.up).map(|(name, _)| name.clone()).collect()
    }

    fn connect(&mut self, from: &str, to: &str) -> Result<(), Trouble> {
        self.ground.connect(&self.nodes, from, to)
    }

    fn cut(&mut self, sides: &[Vec<String>]) -> Result<(), Trouble> {
        self.ground.cut(&self.nodes, sides)
    }

    fn hamper(&mut self, fault: LinkFault, from: &str, to: &str) -> Result<(), Trouble> {
        self.ground.hamper(fault, from, to)
    }

    fn heal(&mut self) -> Result<(), Trouble> {
        self.ground.heal(&self.nodes)
    }

    fn hear(&mut self, name: &str, line: &str) -> Result<Value, Trouble> {
        self.node(name).try_ask(line, COMMAND_TIMEOUT).map_err(|waited| match waited {
            Waited::Ended => unheard(name, line, "the node has ended"),
            Waited::TooLong => unheard(name, line, "no answer at all"),
        })
    }

    fn events(&mut self, name: &str, event: &str) -> Result<Vec<Value>, Trouble> {
        Ok(self.node(name).events(event))
    }

    fn verify(&mut self, file: &str, at: Option<&str>) -> Result<(bool, String), Trouble> {
        // A node on a LAN is asked from its own machine.
        let namespace = at.and_then(|name| self.nodes[name].options.namespace.as_deref());
        let mut command = quipu(namespace);
        command.arg("verify").arg(file).current_dir(self.folder.path());
        if let Some(name) = at {
            command.args(["--network", &self.network, "--node", "--data-dir"]).arg(self.node(name).folder());
        }
        let output = command.output().expect("the program runs");
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).trim().to_owned());
        let said = said.join("\n").trim().to_owned();
        match output.status.code() {
            Some(0) => Ok((true, said)),
            Some(1) => Ok((false, said)),
            _ => Err(Trouble::new(
                "a receipt that can be read",
                said,
                &at.map(str::to_owned).into_iter().collect::<Vec<_>>(),
            )),
        }
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn mark(&self, name: &str) -> usize {
        self.node(name).mark()
    }

    fn glance(&mut self, name: &str, mark: usize, at_most: Duration) -> Result<(), Trouble> {
        self.node(name).glance(mark, at_most);
        Ok(())
    }

    fn tail(&self, name: &str) -> String {
        self.node(name).tail()
    }
}
