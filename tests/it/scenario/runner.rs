//! Carries out a script on a stage: what is between nodes and people is the [`Stage`]'s business, all else is done here, once
//! for all stages. So what a step means can't differ between real nodes and simulated ones.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::ask::in_words;
use super::outcome::{Failure, Trouble};
use super::script::{Answer, Expectation, Fault, Line, Script, Step, WITHIN, Who};
use super::values::Values;
use crate::harness::{number, text};

/// How long an answer at the prompt may take; `mine 100` takes its time.
pub(crate) const COMMAND_TIME: Duration = Duration::from_secs(300);
/// How long it takes at most to look at a node again that gives no sign.
const GLANCE: Duration = Duration::from_millis(100);

/// How nodes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The power is cut.
    Killed,
    /// They are asked to.
    Stopped,
    /// They have said that they will.
    Left,
}

/// Nodes, and what is between them. Names are those of started nodes; a step is over when what it says is so, and one that
/// can't be carried out is refused.
pub(crate) trait Stage {
    /// New nodes with folders of their own and links to all others, or to nobody; with an account of their own, or that of a
    /// node that was started before.
    fn start(&mut self, names: &[String], apart: bool, key_of: Option<&str>) -> Result<(), Trouble>;
    /// Nodes that do not run, on their folders of before.
    fn restart(&mut self, names: &[String]) -> Result<(), Trouble>;
    /// Nodes that run.
    fn end(&mut self, names: &[String], ending: Ending) -> Result<(), Trouble>;
    /// All that run, in the order of their names.
    fn running(&self) -> Vec<String>;
    /// A link between two that run.
    fn connect(&mut self, from: &str, to: &str) -> Result<(), Trouble>;
    /// [`Step::Cut`].
    fn cut(&mut self, sides: &[Vec<String>]) -> Result<(), Trouble>;
    /// [`Step::Hamper`].
    fn hamper(&mut self, fault: Fault, from: &str, to: &str) -> Result<(), Trouble>;
    /// [`Step::Heal`].
    fn heal(&mut self) -> Result<(), Trouble>;
    /// Types a line at the prompt of a node that runs; gives the whole answer.
    fn hear(&mut self, name: &str, line: &str) -> Result<Value, Trouble>;
    /// What a running node has told since its start.
    fn events(&mut self, name: &str, event: &str) -> Result<Vec<Value>, Trouble>;
    /// What `quipu verify` says of a receipt, against the chain of a running node or of none: whether it holds, and the words.
    fn verify(&mut self, file: &str, at: Option<&str>) -> Result<(bool, String), Trouble>;
    /// Since the stage was made, by the clock of its nodes.
    fn elapsed(&self) -> Duration;
    /// A point in what a node tells.
    fn mark(&self, name: &str) -> usize;
    /// Lets time pass until there is more than at the mark, at most for so long.
    fn glance(&mut self, name: &str, mark: usize, at_most: Duration) -> Result<(), Trouble>;
    /// The end of what a node said.
    fn tail(&self, name: &str) -> String;
}

/// One script on its stage.
pub(crate) struct Runner<S> {
    pub(super) stage: S,
    /// What each node's name stands for at all nodes: the account that it had at first.
    pub(super) accounts: BTreeMap<String, String>,
    pub(super) values: Values,
    is_cut: bool,
}

/// Runs a script to its end or to its first failure; gives back the stage. `watch` is told of each step before and after it.
pub(crate) fn run<S: Stage>(
    script: &Script,
    stage: S,
    watch: &mut dyn FnMut(&Line, bool),
) -> Result<Runner<S>, Box<Failure>> {
    let mut runner = Runner { stage, accounts: BTreeMap::new(), values: Values::default(), is_cut: false };
    for line in &script.lines {
        watch(line, false);
        runner.step(&line.step).map_err(|trouble| Box::new(runner.failure(script, line, trouble)))?;
        watch(line, true);
    }
    Ok(runner)
}

impl<S: Stage> Runner<S> {
    fn failure(&self, script: &Script, line: &Line, trouble: Trouble) -> Failure {
        let known = trouble.involved.iter().filter(|name| self.accounts.contains_key(*name));
        let last = known.map(|name| (name.clone(), self.stage.tail(name))).collect();
        Failure { file: script.file.clone(), line: line.number, step: line.text.clone(), trouble, last }
    }

    fn step(&mut self, step: &Step) -> Result<(), Trouble> {
        match step {
            Step::Start { nodes, apart, key_of } => {
                if self.is_cut && !apart {
                    let seen = "it is, and the new one is on no side: `heal` first, or `start … apart` and `connect`";
                    return Err(Trouble::new("a network that is not cut when a node joins", seen, &[]));
                }
                self.stage.start(nodes, *apart, key_of.as_deref())?;
                self.introduce(nodes)
            }
            Step::Connect(from, to) => {
                self.all_run([from, to])?;
                self.stage.connect(from, to)
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
            Step::Cut(sides) => {
                self.is_cut = true;
                self.stage.cut(sides)
            }
            Step::Hamper { fault, from, to } => self.stage.hamper(*fault, from, to),
            Step::Heal => {
                self.is_cut = false;
                self.stage.heal()
            }
            Step::Kill(names) => self.end(names, Ending::Killed),
            Step::Stop(names) => self.end(names, Ending::Stopped),
            Step::Restart(names) => {
                if names.iter().any(|name| self.runs(name)) {
                    return Err(Trouble::new("a node that was stopped or killed", "it runs", &[]));
                }
                self.stage.restart(names)?;
                self.introduce(names)
            }
            Step::WaitBlocks { blocks, within } => self.wait_blocks(*blocks, *within),
            Step::Expect { who, what, within } => self.expect(who, what, *within),
        }
    }

    /// Gives everybody everybody's name.
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

    fn type_in(&mut self, name: &String, command: &str, wanted: &Answer) -> Result<(), Trouble> {
        let involved = std::slice::from_ref(name);
        let line = self.values.fill(command).map_err(|problem| Trouble::new("a value for each $NAME", problem, &[]))?;
        let mut answer = self.hear(name, &line)?;
        let code = answer["error"]["code"].as_str();
        match (wanted, code) {
            (Answer::Done, None) => {}
            (Answer::Kept(kept), None) => self.values.keep(kept, answer["result"].take()),
            (Answer::Refused(wanted), Some(code)) if wanted == code => {}
            (Answer::Refused(wanted), _) => {
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

    fn expect(&mut self, who: &Who, what: &Expectation, within: Duration) -> Result<(), Trouble> {
        let names = match who {
            Who::All => self.stage.running(),
            Who::Some(names) => names.clone(),
        };
        if *who == Who::All && names.is_empty() {
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

    /// Looks again and again until it is so. What `look` says: found, not yet and what is seen, or never.
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
                // What concerns no node won't change.
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

    /// Types a line that must work.
    pub(super) fn tell(&mut self, name: &str, line: &str) -> Result<Value, Trouble> {
        let mut answer = self.hear(name, line)?;
        if answer["ok"] == true {
            return Ok(answer["result"].take());
        }
        Err(Trouble::new(format!("`{line}` works at {name}"), in_words(&answer), &[name.to_owned()]))
    }

    /// Types a line and gives back the whole answer.
    pub(super) fn hear(&mut self, name: &str, line: &str) -> Result<Value, Trouble> {
        self.all_run([&name.to_owned()])?;
        self.stage.hear(name, line)
    }
}

/// There was no answer to a line in time, or at all.
pub(super) fn unheard(name: &str, line: &str, seen: &str) -> Trouble {
    Trouble::new(format!("an answer to `{line}` at {name}, within {COMMAND_TIME:?}"), seen, &[name.to_owned()])
}
