//! Asks real nodes what a script wants to know, at their prompts.

use serde_json::Value;

use super::Runner;
use crate::harness::{Node, number, quipu, text};
use crate::scenario::outcome::Trouble;
use crate::scenario::question::{Question, Topic};

/// The most records that a node lists at once.
const RECORDS_MAX: usize = 100;

/// What was asked for, or what is seen while it is not there yet.
type Look = Result<String, String>;

impl Runner {
    /// Asks a node. What a person would try again is not there yet, any other refusal is final.
    pub(super) fn ask(&self, name: &String, question: &Question) -> Result<Look, Trouble> {
        let node = self.running(name)?;
        let argument = &question.argument;
        let status = || self.status(name, node);
        let seen = match question.topic {
            Topic::Height => number(&status()?, "height").to_string(),
            Topic::Tip => text(&status()?, "tip"),
            Topic::Peers => number(&status()?, "peers").to_string(),
            Topic::Pending => number(&status()?, "pending").to_string(),
            Topic::Checkpoint => match &status()?["checkpoint"] {
                Value::Null => "none".to_owned(),
                checkpoint => number(checkpoint, "height").to_string(),
            },
            Topic::Balance => text(&self.tell(name, node, &format!("balance {argument}"))?, "balance"),
            Topic::Records => {
                let answer = self.tell(name, node, &format!("records --limit {RECORDS_MAX} {argument}"))?;
                answer["records"].as_array().map_or(0, Vec::len).to_string()
            }
            Topic::Miner => {
                let answer = self.hear(name, node, &format!("block {argument}"))?;
                if answer["error"]["code"] == "not_found" {
                    return Ok(Err(in_words(&answer)));
                }
                match answer["result"]["miner"].as_str() {
                    Some(miner) => self.name_of(miner),
                    None => {
                        let involved = std::slice::from_ref(name);
                        return Err(Trouble::new("the miner of a block", in_words(&answer), involved));
                    }
                }
            }
            Topic::State => text(&self.tell(name, node, &format!("watch {argument}"))?, "state"),
            Topic::Confirmations => {
                let life = self.tell(name, node, &format!("watch {argument}"))?;
                life["confirmations"].as_u64().unwrap_or(0).to_string()
            }
            Topic::Reorganised => {
                let depths = node.events("tip").iter().map(|tip| number(tip, "reorg_depth")).collect::<Vec<_>>();
                depths.into_iter().rev().find(|depth| *depth > 0).unwrap_or(0).to_string()
            }
            Topic::Warnings => {
                node.events("warning").iter().filter(|warning| warning["code"] == **argument).count().to_string()
            }
        };
        Ok(Ok(seen))
    }

    pub(super) fn status(&self, name: &str, node: &Node) -> Result<Value, Trouble> {
        self.tell(name, node, "status")
    }

    /// Puts in what was kept.
    pub(super) fn fill_question(&self, question: &Question) -> Result<Question, Trouble> {
        let argument = self.values.fill(&question.argument);
        let argument = argument.map_err(|problem| Trouble::new("a value for each $NAME", problem, &[]))?;
        Ok(Question { argument, ..question.clone() })
    }

    /// The node whose account this is, or the text itself.
    pub(super) fn name_of(&self, text: &str) -> String {
        let owner = self.nodes.iter().find(|(_, member)| member.account == text);
        owner.map_or(text, |(name, _)| name).to_owned()
    }

    /// Whether `quipu verify` says what is wanted; against the chain of each of these nodes, or against none.
    pub(super) fn verify(&self, file: &str, names: &[String], holds: bool) -> Result<Result<(), String>, Trouble> {
        let against: Vec<_> = if names.is_empty() { vec![None] } else { names.iter().map(Some).collect() };
        for name in against {
            // A node on a LAN is asked from its own machine.
            let namespace = name.and_then(|name| self.nodes[name].options.namespace.as_deref());
            let mut command = quipu(namespace);
            command.arg("verify").arg(file).current_dir(self.folder.path());
            if let Some(name) = name {
                command.args(["--network", &self.network, "--node"]);
                command.arg("--data-dir").arg(self.nodes[name].node.folder());
            }
            let output = command.output().expect("the program runs");
            let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).trim().to_owned());
            let said = said.join("\n").trim().to_owned();
            match output.status.code() {
                Some(0) if holds => {}
                Some(1) if !holds => {}
                Some(0 | 1) => return Ok(Err(said)),
                _ => return Err(Trouble::new("a receipt that can be read", said, names)),
            }
        }
        Ok(Ok(()))
    }
}

/// An answer as a person wants to see it.
pub(super) fn in_words(answer: &Value) -> String {
    match &answer["error"] {
        Value::Null => format!("it works: {}", answer["result"]),
        error => format!("refused with {}: {}", text(error, "code"), text(error, "message")),
    }
}
