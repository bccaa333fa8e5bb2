//! Answers to a script's questions, asked at the nodes' prompts.

use serde_json::Value;

use super::outcome::Trouble;
use super::question::{Question, Topic};
use super::runner::{Runner, Stage};
use crate::harness::{number, text};

/// The most records that a node lists at once.
const RECORDS_MAX: usize = 100;

/// The answer, or a description of the present state if it is not there yet.
type Look = Result<String, String>;

impl<S: Stage> Runner<S> {
    /// Asks a node. A refusal that a person would retry means "not yet"; any other is final.
    pub(super) fn ask(&mut self, name: &str, question: &Question) -> Result<Look, Trouble> {
        let argument = &question.argument;
        let seen = match question.topic {
            Topic::Height => number(&self.status(name)?, "height").to_string(),
            Topic::Tip => text(&self.status(name)?, "tip"),
            Topic::Peers => number(&self.status(name)?, "peers").to_string(),
            Topic::Pending => number(&self.status(name)?, "pending").to_string(),
            Topic::Checkpoint => match &self.status(name)?["checkpoint"] {
                Value::Null => "none".to_owned(),
                checkpoint => number(checkpoint, "height").to_string(),
            },
            Topic::Balance => text(&self.tell(name, &format!("balance {argument}"))?, "balance"),
            Topic::Records => {
                let answer = self.tell(name, &format!("records --limit {RECORDS_MAX} {argument}"))?;
                answer["records"].as_array().map_or(0, Vec::len).to_string()
            }
            Topic::Miner => {
                let answer = self.hear(name, &format!("block {argument}"))?;
                if answer["error"]["code"] == "not_found" {
                    return Ok(Err(in_words(&answer)));
                }
                match answer["result"]["miner"].as_str() {
                    Some(miner) => self.name_of(miner),
                    None => {
                        let involved = [name.to_owned()];
                        return Err(Trouble::new("the miner of a block", in_words(&answer), &involved));
                    }
                }
            }
            Topic::State => text(&self.tell(name, &format!("watch {argument}"))?, "state"),
            Topic::Confirmations => {
                let life = self.tell(name, &format!("watch {argument}"))?;
                life["confirmations"].as_u64().unwrap_or(0).to_string()
            }
            Topic::Reorganised => {
                let depths =
                    self.stage.events(name, "tip")?.iter().map(|tip| number(tip, "reorg_depth")).collect::<Vec<_>>();
                depths.into_iter().rev().find(|depth| *depth > 0).unwrap_or(0).to_string()
            }
            Topic::Warnings => {
                let warnings = self.stage.events(name, "warning")?;
                warnings.iter().filter(|warning| warning["code"] == **argument).count().to_string()
            }
        };
        Ok(Ok(seen))
    }

    pub(super) fn status(&mut self, name: &str) -> Result<Value, Trouble> {
        self.tell(name, "status")
    }

    /// Fills in the kept values.
    pub(super) fn fill_question(&self, question: &Question) -> Result<Question, Trouble> {
        let argument = self.values.fill(&question.argument);
        let argument = argument.map_err(|problem| Trouble::new("a value for each $NAME", problem, &[]))?;
        Ok(Question { argument, ..question.clone() })
    }

    /// The node whose account this is, or the text itself.
    pub(super) fn name_of(&self, text: &str) -> String {
        let owner = self.accounts.iter().find(|(_, account)| *account == text);
        owner.map_or(text, |(name, _)| name).to_owned()
    }
}

/// An answer in words for people.
pub(super) fn in_words(answer: &Value) -> String {
    match &answer["error"] {
        Value::Null => format!("it works: {}", answer["result"]),
        error => format!("refused with {}: {}", text(error, "code"), text(error, "message")),
    }
}
