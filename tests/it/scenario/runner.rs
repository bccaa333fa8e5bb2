//! Carries out a script on a stage: the [`Stage`] provides the nodes and links, and everything else is done here, once
//! for all stages. So the meaning of a step cannot differ between real nodes and simulated ones.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::ask::in_words;
use super::outcome::{StepFailure, Trouble};
use super::script::{Expectation, ExpectedAnswer, LinkFault, NodeSelection, Script, ScriptLine, ScriptStep, WITHIN};
use super::values::Values;
use crate::harness::{number, text};

/// The timeout of a command at the prompt; `mine 100` takes its time.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// The longest pause before a silent node is looked at again.
const GLANCE: Duration = Duration::from_millis(100);

/// The way in which nodes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Their power was cut.
    Killed,
    /// They were told to stop.
    Stopped,
    /// They announced their end themselves.
    Left,
}

/// Nodes and the links between them. Names are those of started nodes; a step is over when its condition is true, and
/// one that cannot be carried out is refused.
pub(crate) trait Stage {
    /// Starts new nodes with folders of their own and links to all others, or to none; with an account of their own, or
    /// that of a node that was started before.
    fn start(&mut self, names: &[String], apart: bool, key_of: Option<&str>) -> Result<(), Trouble>;
    /// Restarts stopped nodes on their folders.
    fn restart(&mut self, names: &[String]) -> Result<(), Trouble>;
    /// Ends running nodes.
    fn end(&mut self, names: &[String], ending: Ending) -> Result<(), Trouble>;
    /// All running nodes, in the order of their names.
    fn running(&self) -> Vec<String>;
    /// Links two running nodes.
    fn connect(&mut self, from: &str, to: &str) -> Result<(), Trouble>;
    /// Carries out [`ScriptStep::Cut`].
    fn cut(&mut self, sides: &[Vec<String>]) -> Result<(), Trouble>;
    /// Carries out [`ScriptStep::Hamper`].
    fn hamper(&mut self, fault: LinkFault, from: &str, to: &str) -> Result<(), Trouble>;
    /// Carries out [`ScriptStep::Heal`].
    fn heal(&mut self) -> Result<(), Trouble>;
    /// Types a line at the prompt of a running node; returns the whole answer.
    fn hear(&mut self, name: &str, line: &str) -> Result<Value, Trouble>;
    /// The events of a running node since its start.
    fn events(&mut self, name: &str, event: &str) -> Result<Vec<Value>, Trouble>;
    /// The result of `quipu verify` on a receipt, against the chain of a running node or of none: whether it holds, and
    /// the words.
    fn verify(&mut self, file: &str, at: Option<&str>) -> Result<(bool, String), Trouble>;
    /// The time since the stage was made, by the clock of its nodes.
    fn elapsed(&self) -> Duration;
    /// A point in a node's output.
    fn mark(&self, name: &str) -> usize;
    /// Lets time pass until there is more output than at the mark, at most for `at_most`.
    fn glance(&mut self, name: &str, mark: usize, at_most: Duration) -> Result<(), Trouble>;
    /// The end of a node's output.
    fn tail(&self, name: &str) -> String;
}

/// A script on its stage.
pub(crate) struct Runner<S> {
    pub(super) stage: S,
    /// The account that each node's name stands for: the one it had at first.
    pub(super) accounts: BTreeMap<String, String>,
    pub(super) values: Values,
    is_cut: bool,
}

/// Runs a script to its end or to its first failure; returns the stage. `watch` is called before and after each step.
pub(crate) fn run<S: Stage>(
    script: &Script,
    stage: S,
    watch: &mut dyn FnMut(&ScriptLine, bool),
) -> Result<Runner<S>, Box<StepFailure>> {
    let mut runner = Runner { stage, accounts: BTreeMap::new(), values: Values::default(), is_cut: false };
    for line in &script.lines {
        watch(line, false);
        runner.step(&line.step).map_err(|trouble| Box::new(runner.failure(script, line, trouble)))?;
        watch(line, true);
    }
    Ok(runner)
}

impl<S: Stage> Runner<S> {
    fn failure(&self, script: &Script, line: &ScriptLine, trouble: Trouble) -> StepFailure {
        let known = trouble.involved.iter().filter(|name| self.accounts.contains_key(*name));
        let last = known.map(|name| (name.clone(), self.stage.tail(name))).collect();
        StepFailure { file: script.file.clone(), line: line.number, step: line.text.clone(), trouble, last }
    }

    fn step(&mut self, step: &ScriptStep) -> Result<(), Trouble> {
        match step {
            ScriptStep::Start { nodes, apart, key_of } => {
                if self.is_cut && !apart {
                    let seen = "it is, and the new one is on no side: `heal` first, or `start … apart` and `connect`";
                    return Err(Trouble::new("a network that is not cut when a node joins", seen, &[]));
                }
                self.stage.start(nodes, *apart, key_of.as_deref())?;
                self.introduce(nodes)
            }
            ScriptStep::Connect(from, to) => {
                self.all_run([from, to])?;
                self.stage.connect(from, to)
            }
            ScriptStep::Type { node, command, answer } => self.type_in(node, command, answer),
            ScriptStep::Keep { node, question, name } => {
                let question = self.fill_question(question)?;
                let seen = self.until(std::slice::from_ref(node), WITHIN, &question.text(), |runner| {
                    runner.ask(node, &question)
                })?;
                self.values.keep(name, seen.into());
                Ok(())
            }
            ScriptStep::Cut(sides) => {
                self.is_cut = true;
                self.stage.cut(sides)
            }
            ScriptStep::Hamper { fault, from, to } => self.stage.hamper(*fault, from, to),
            ScriptStep::Heal => {
                self.is_cut = false;
                self.stage.heal()
            }
            ScriptStep::Kill(names) => self.end(names, Ending::Killed),
            ScriptStep::Stop(names) => self.end(names, Ending::Stopped),
            ScriptStep::Restart(names) => {
                if names.iter().any(|name| self.runs(name)) {
                    return Err(Trouble::new("a node that was stopped or killed", "it runs", &[]));
                }
                self.stage.restart(names)?;
                self.introduce(names)
            }
            ScriptStep::WaitBlocks { blocks, within } => self.wait_blocks(*blocks, *within),
            ScriptStep::Expect { who, what, within } => self.expect(who, what, *within),
        }
    }

    /// Makes the names of all nodes known to all nodes.
    fn introduce(&mut self, names: &[String]) -> Result<(), Trouble> {
        for name in names {
            if !self.accounts.contains_key(name) {
                let account = text(&self.tell(name, "address")?, "address");
                self.accounts.insert(name.clone(), account);
            }
        }
        for name in self.stage.running() {
            for (alias, address) in self.accounts.clone() {
                self.tell(&name, &format!("alias {alias} {address}"))?;
            }
        }
        Ok(())
    }

    fn end(&mut self, names: &[String], ending: Ending) -> Result<(), Trouble> {
        self.all_run(names)?;
        self.stage.end(names, ending)
    }

    fn type_in(&mut self, name: &String, command: &str, wanted: &ExpectedAnswer) -> Result<(), Trouble> {
        let involved = std::slice::from_ref(name);
        let line = self.values.fill(command).map_err(|problem| Trouble::new("a value for each $NAME", problem, &[]))?;
        let mut answer = self.hear(name, &line)?;
        let code = answer["error"]["code"].as_str();
        match (wanted, code) {
            (ExpectedAnswer::Done, None) => {}
            (ExpectedAnswer::Kept(kept), None) => self.values.keep(kept, answer["result"].take()),
            (ExpectedAnswer::Refused(wanted), Some(code)) if wanted == code => {}
            (ExpectedAnswer::Refused(wanted), _) => {
                let expected = format!("`{line}` is refused with {wanted}");
                return Err(Trouble::new(expected, in_words(&answer), involved));
            }
            (_, Some(_)) => return Err(Trouble::new(format!("`{line}` works"), in_words(&answer), involved)),
        }
        match line.split_whitespace().next() {
            Some("quit" | "exit") => self.stage.end(involved, Ending::Left),
            _ => Ok(()),
        }
    }

    fn wait_blocks(&mut self, blocks: u64, within: Duration) -> Result<(), Trouble> {
        let names = self.stage.running();
        let heights = |runner: &mut Self| {
            let heights = names.iter().map(|name| Ok((name.clone(), number(&runner.status(name)?, "height"))));
            heights.collect::<Result<Vec<_>, Trouble>>()
        };
        let before: BTreeMap<_, _> = heights(self)?.into_iter().collect();
        self.until(&names, within, &format!("{blocks} more blocks at all nodes"), |runner| {
            let now = heights(runner)?;
            let grown = now.iter().all(|(name, height)| *height >= before[name] + blocks);
            let seen =
                now.iter().map(|(name, height)| format!("{name}: {} to {height}", before[name])).collect::<Vec<_>>();
            Ok(if grown { Ok(()) } else { Err(seen.join(", ")) })
        })
    }

    fn expect(&mut self, who: &NodeSelection, what: &Expectation, within: Duration) -> Result<(), Trouble> {
        let names = match who {
            NodeSelection::All => self.stage.running(),
            NodeSelection::Some(names) => names.clone(),
        };
        if *who == NodeSelection::All && names.is_empty() {
            return Err(Trouble::new("a node that runs", "there is none", &[]));
        }
        self.all_run(&names)?;
        match what {
            Expectation::Agree => self.until(&names, within, "the same best block everywhere", |runner| {
                let statuses = names.iter().map(|name| runner.status(name)).collect::<Result<Vec<_>, _>>()?;
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
                let against: Vec<_> =
                    if names.is_empty() { vec![None] } else { names.iter().map(|name| Some(name.as_str())).collect() };
                self.until(&names, within, &expected, |runner| {
                    for at in &against {
                        let (seen, said) = runner.stage.verify(file, *at)?;
                        if seen != *holds {
                            return Ok(Err(said));
                        }
                    }
                    Ok(Ok(()))
                })
            }
        }
    }

    /// Looks again and again until `look` succeeds. It returns a result, a description of the present state, or a final
    /// failure.
    fn until<T>(
        &mut self,
        involved: &[String],
        within: Duration,
        expected: &str,
        mut look: impl FnMut(&mut Self) -> Result<Result<T, String>, Trouble>,
    ) -> Result<T, Trouble> {
        let deadline = self.stage.elapsed() + within;
        let mut turns = involved.iter().cycle();
        loop {
            let turn = turns.next().map(|name| (name, self.stage.mark(name)));
            let seen = match look(self)? {
                Ok(found) => return Ok(found),
                Err(seen) => seen,
            };
            let left = deadline.saturating_sub(self.stage.elapsed());
            match turn {
                Some((name, mark)) if left > Duration::ZERO => self.stage.glance(name, mark, GLANCE.min(left))?,
                // Only events of nodes can change it.
                _ => return Err(Trouble::new(format!("{expected}, within {within:?}"), seen, involved)),
            }
        }
    }

    fn runs(&self, name: &str) -> bool {
        self.stage.running().iter().any(|running| running == name)
    }

    fn all_run<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Result<(), Trouble> {
        match names.into_iter().find(|name| !self.runs(name)) {
            None => Ok(()),
            Some(name) => {
                Err(Trouble::new(format!("{name} runs"), format!("it does not: `restart {name}` first"), &[]))
            }
        }
    }

    /// Types a line that must succeed.
    pub(super) fn tell(&mut self, name: &str, line: &str) -> Result<Value, Trouble> {
        let mut answer = self.hear(name, line)?;
        if answer["ok"] == true {
            return Ok(answer["result"].take());
        }
        Err(Trouble::new(format!("`{line}` works at {name}"), in_words(&answer), &[name.to_owned()]))
    }

    /// Types a line and returns the whole answer.
    pub(super) fn hear(&mut self, name: &str, line: &str) -> Result<Value, Trouble> {
        self.all_run([&name.to_owned()])?;
        self.stage.hear(name, line)
    }
}

/// A line got no answer in time, or none at all.
pub(super) fn unheard(name: &str, line: &str, seen: &str) -> Trouble {
    Trouble::new(format!("an answer to `{line}` at {name}, within {COMMAND_TIMEOUT:?}"), seen, &[name.to_owned()])
}
