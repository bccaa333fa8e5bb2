//! The parser of scripts. `tests/scenarios/README.md` describes the language; an error has the line, the problem, and
//! the probable intention.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::question::{Comparison, Question};
use super::script::{Expectation, ExpectedAnswer, LinkFault, NodeSelection, Script, ScriptLine, ScriptStep, WITHIN};
use super::values::{Piece, pieces};
use super::words::nearest;

/// The longest script, in bytes.
const SCRIPT_BYTES_MAX: usize = 1 << 20;
/// The most steps, repetitions included.
const STEPS_MAX: usize = 10_000;
/// The most bytes of their texts.
const STEPS_BYTES_MAX: usize = 16 << 20;
/// The most nodes: each is a process, and each pair is a link.
const NODES_MAX: usize = 12;
/// The longest name, which is the limit of the node's own names.
const NAME_BYTES_MAX: usize = 32;
/// The first words of steps.
const STEPS: [&str; 14] = [
    "network", "start", "connect", "let", "cut", "stall", "slow", "heal", "kill", "stop", "restart", "wait", "expect",
    "repeat",
];
/// Names with another meaning where a node's name may stand.
const RESERVED: [&str; 10] = ["all", "rest", "apart", "as", "agree", "receipt", "default", "you", "nobody", "genesis"];

/// The reason why a script cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScriptError {
    file: PathBuf,
    /// `None` if the error is about the whole file.
    line: Option<usize>,
    problem: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map_or(String::new(), |line| format!(":{line}"));
        write!(to, "{}{line}: ", self.file.display())?;
        // The script's content must not overwrite the screen.
        self.problem
            .chars()
            .try_for_each(|c| if c.is_control() { write!(to, "{}", c.escape_default()) } else { write!(to, "{c}") })
    }
}

impl Script {
    /// Reads the script in a file.
    pub(crate) fn open(file: &Path) -> Result<Self, ScriptError> {
        let failed = |problem: String| ScriptError { file: file.to_owned(), line: None, problem };
        let length = std::fs::metadata(file).map_err(|error| failed(format!("cannot be read: {error}")))?.len();
        if length > SCRIPT_BYTES_MAX as u64 {
            return Err(failed(format!("is longer than {SCRIPT_BYTES_MAX} bytes: is it a script?")));
        }
        let text = std::fs::read_to_string(file).map_err(|error| failed(format!("cannot be read: {error}")))?;
        Self::parse(file, &text)
    }

    /// Reads a script.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, ScriptError> {
        let script = Self { file: file.to_owned(), network: "dev".to_owned(), nodes: Vec::new(), lines: Vec::new() };
        let mut parser = Parser { script, kept: BTreeSet::new(), bytes: 0, at: 0 };
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let lines: Vec<_> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
        match parser.lines(&lines) {
            Ok(()) => Ok(parser.script),
            Err(problem) => Err(ScriptError { file: file.to_owned(), line: Some(parser.at), problem }),
        }
    }
}

struct Parser {
    script: Script,
    /// Names that `let` has given.
    kept: BTreeSet<String>,
    /// The bytes of all steps so far.
    bytes: usize,
    /// The number of the present line.
    at: usize,
}

impl Parser {
    fn lines(&mut self, lines: &[(usize, &str)]) -> Result<(), String> {
        let mut next = 0;
        while let Some((number, line)) = lines.get(next) {
            self.at = *number;
            next += 1;
            let words: Vec<_> = without_comment(line).split_whitespace().collect();
            match words.as_slice() {
                ["repeat", times] => {
                    let ends = |(_, line): &(usize, &str)| without_comment(line).trim() == "end";
                    let length = lines[next..].iter().position(ends).ok_or("this repeat has no `end`")?;
                    let times = times.parse::<usize>().map_err(|_| format!("`{times}` is not a number of times"))?;
                    // A body without a step would be repeated for ever.
                    if times > STEPS_MAX {
                        return Err(format!("more than {STEPS_MAX} steps, repetitions included"));
                    }
                    self.repeat(times, &lines[next..next + length])?;
                    next += length + 1;
                }
                ["repeat", ..] => {
                    return Err("write it as `repeat TIMES`, with an `end` on a line of its own".to_owned());
                }
                ["end"] => return Err("there is no repeat that could end here".to_owned()),
                _ => self.line(line)?,
            }
        }
        Ok(())
    }

    fn repeat(&mut self, times: usize, body: &[(usize, &str)]) -> Result<(), String> {
        for round in 1..=times {
            for (number, line) in body {
                self.at = *number;
                if line.split_whitespace().next() == Some("repeat") {
                    return Err("a repeat can't stand in another one".to_owned());
                }
                self.line(&line.replace("$round", &round.to_string()))?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if self.script.lines.len() == STEPS_MAX {
            return Err(format!("more than {STEPS_MAX} steps, repetitions included"));
        }
        self.bytes += line.len();
        if self.bytes > STEPS_BYTES_MAX {
            return Err(format!("more than {STEPS_BYTES_MAX} bytes of steps, repetitions included"));
        }
        if let Some(step) = self.step(line)? {
            self.script.lines.push(ScriptLine { number: self.at, text: line.to_owned(), step });
        }
        Ok(())
    }

    /// The step of a line; `None` if the line is only about the script.
    fn step(&mut self, line: &str) -> Result<Option<ScriptStep>, String> {
        if let Some(step) = self.typed(line)? {
            return Ok(Some(step));
        }
        if let ("let", rest) = split_word(line) {
            return self.keep(rest).map(Some);
        }
        let (word, rest) = split_word(without_comment(line).trim());
        let step = match word {
            "network" => {
                if !self.script.nodes.is_empty() {
                    return Err("the network must be named before the first start".to_owned());
                }
                rest.clone_into(&mut self.script.network);
                return if rest.is_empty() {
                    Err("write it as `network dev|lan|FILE.toml`".to_owned())
                } else {
                    Ok(None)
                };
            }
            "start" => self.start(rest)?,
            "connect" => match self.names(rest)?.as_slice() {
                [from, to] if from != to => ScriptStep::Connect(from.clone(), to.clone()),
                _ => return Err("write it as `connect NODE NODE`".to_owned()),
            },
            "cut" if rest.contains("->") => self.hamper(LinkFault::OneWay, rest, "->")?,
            "cut" => self.cut(rest)?,
            "stall" => self.hamper(LinkFault::Stalled, rest, "|")?,
            "slow" => {
                let (link, by) = rest.rsplit_once(" by ").ok_or("write it as `slow NODE | NODE by 100ms`")?;
                self.hamper(LinkFault::Slow(duration(by)?), link, "|")?
            }
            "heal" if rest.is_empty() => ScriptStep::Heal,
            "heal" => return Err("heal takes nothing: it makes all links well again".to_owned()),
            "kill" => ScriptStep::Kill(self.names(rest)?),
            "stop" => ScriptStep::Stop(self.names(rest)?),
            "restart" => ScriptStep::Restart(self.names(rest)?),
            "wait" => self.wait(rest)?,
            "expect" => self.expect(rest)?,
            _ => return Err(self.unknown(word)),
        };
        Ok(Some(step))
    }

    fn unknown(&self, word: &str) -> String {
        if self.script.nodes.iter().any(|node| node == word) {
            return format!("after the node's name comes a colon, and what to type: `{word}: status`");
        }
        match nearest(word, STEPS) {
            Some(near) => format!("`{word}` is not a step: did you mean `{near}`?"),
            None => {
                format!("`{word}` is not a step: a line is `NODE: COMMAND` or begins with one of {}", STEPS.join(", "))
            }
        }
    }

    /// Parses `NODE: COMMAND` and `NODE! COMMAND -> CODE`.
    fn typed(&self, line: &str) -> Result<Option<ScriptStep>, String> {
        let end = line.find(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)).unwrap_or(line.len());
        let (node, rest) = line.split_at(end);
        let (command, answer) = match rest.chars().next() {
            Some(':') => (rest[1..].trim(), ExpectedAnswer::Done),
            Some('!') => {
                let (command, code) = rest[1..]
                    .rsplit_once(" -> ")
                    .ok_or("what must be refused says with which code: `NODE! COMMAND -> insufficient_balance`")?;
                (command.trim(), ExpectedAnswer::Refused(code.trim().to_owned()))
            }
            _ => return Ok(None),
        };
        let node = self.name(node)?;
        if command.is_empty() || command.starts_with('#') {
            return Err(format!("nothing is typed: write it as `{node}: status`"));
        }
        self.check_kept(command)?;
        Ok(Some(ScriptStep::Type { node, command: command.to_owned(), answer }))
    }

    /// Parses `NAME = NODE: COMMAND` and `NAME = NODE QUESTION`.
    fn keep(&mut self, rest: &str) -> Result<ScriptStep, String> {
        const USAGE: &str = "write it as `let NAME = NODE: COMMAND` or `let NAME = NODE QUESTION`";
        let (name, source) = rest.split_once('=').ok_or(USAGE)?;
        let (name, source) = (name.trim(), source.trim());
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(fits) || name == "round" {
            return Err(format!(
                "`{name}` can't be kept under: a name begins with a letter and has letters, digits and _"
            ));
        }
        let step = match self.typed(source)? {
            Some(ScriptStep::Type { node, command, answer: ExpectedAnswer::Done }) => {
                ScriptStep::Type { node, command, answer: ExpectedAnswer::Kept(name.to_owned()) }
            }
            Some(_) => return Err("a refusal has nothing that could be kept".to_owned()),
            None => {
                let (node, question) = split_word(without_comment(source).trim());
                let question = self.question(question)?;
                ScriptStep::Keep { node: self.name(node)?, question, name: name.to_owned() }
            }
        };
        self.kept.insert(name.to_owned());
        Ok(step)
    }

    /// Parses `a b c`, `a b c apart` and `a as b`.
    fn start(&mut self, rest: &str) -> Result<ScriptStep, String> {
        let mut nodes: Vec<_> = rest.split_whitespace().map(str::to_owned).collect();
        let apart = nodes.last().is_some_and(|last| last == "apart");
        nodes.truncate(nodes.len() - usize::from(apart));
        let mut key_of = None;
        if let Some(at) = nodes.iter().position(|word| word == "as") {
            if (at, nodes.len()) != (1, 3) {
                return Err("one node at a time has another one's key: `start twin as a`".to_owned());
            }
            key_of = Some(self.name(&nodes[2])?);
            nodes.truncate(1);
        }
        if nodes.is_empty() {
            return Err("name the nodes to start: `start a b c`".to_owned());
        }
        for node in &nodes {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            let begins = node.starts_with(|c: char| c.is_ascii_lowercase());
            if !begins || !node.chars().all(fits) || node.len() > NAME_BYTES_MAX {
                return Err(format!("`{node}` can't be a node's name: small letters, digits, - and _, a letter first"));
            }
            if RESERVED.contains(&node.as_str()) {
                return Err(format!("`{node}` means something else: choose another name"));
            }
            if self.script.nodes.contains(node) {
                return Err(format!(
                    "{node} was started before: `restart {node}` brings it back after a stop or a kill"
                ));
            }
            self.script.nodes.push(node.clone());
        }
        if self.script.nodes.len() > NODES_MAX {
            return Err(format!("more than {NODES_MAX} nodes; `quipu simulate` is for many"));
        }
        Ok(ScriptStep::Start { nodes, apart, key_of })
    }

    /// Parses `a b | c`, with `rest` for the unnamed nodes.
    fn cut(&self, rest: &str) -> Result<ScriptStep, String> {
        let mut named = Vec::new();
        let mut sides: Vec<Vec<String>> = Vec::new();
        let mut remainder = None;
        for (at, side) in rest.split('|').enumerate() {
            if side.trim() == "rest" && remainder.replace(at).is_none() {
                sides.push(Vec::new());
                continue;
            }
            sides.push(self.names(side)?);
            named.extend(sides[at].clone());
        }
        if let Some(twice) = named.iter().enumerate().find(|(at, node)| named[..*at].contains(node)) {
            return Err(format!("{} can't be on two sides", twice.1));
        }
        let missing: Vec<_> = self.script.nodes.iter().filter(|node| !named.contains(node)).cloned().collect();
        match remainder {
            Some(at) => sides[at] = missing,
            None if !missing.is_empty() => {
                return Err(format!(
                    "on which side is {}? `rest` stands for all that are not named",
                    missing.join(" ")
                ));
            }
            None => {}
        }
        if sides.len() < 2 || sides.iter().any(Vec::is_empty) {
            return Err("a cut has two sides or more: `cut a b | c`".to_owned());
        }
        Ok(ScriptStep::Cut(sides))
    }

    fn hamper(&self, fault: LinkFault, link: &str, sign: &str) -> Result<ScriptStep, String> {
        let usage = || format!("between which two? Write it as `NODE {sign} NODE`");
        let (from, to) = link.split_once(sign).ok_or_else(usage)?;
        let (from, to) = (self.name(from.trim())?, self.name(to.trim())?);
        if from == to { Err(usage()) } else { Ok(ScriptStep::Hamper { fault, from, to }) }
    }

    /// Parses `N blocks` and `WHO QUESTION VALUE`.
    fn wait(&self, rest: &str) -> Result<ScriptStep, String> {
        let (rest, within) = split_within(rest)?;
        if let [count, "blocks" | "block"] = rest.split_whitespace().collect::<Vec<_>>().as_slice() {
            let blocks = count.parse().map_err(|_| format!("`{count}` is not a number of blocks"))?;
            return Ok(ScriptStep::WaitBlocks { blocks, within });
        }
        let (who, rest) = self.who(rest)?;
        let height = rest.strip_prefix("height ").map(str::trim).filter(|value| value.parse::<u64>().is_ok());
        let value = height.ok_or("write it as `wait 3 blocks` or `wait NODE height 5`; `expect` waits for all else")?;
        let question = self.question("height")?;
        let what = Expectation::Says { question, comparison: Comparison::AtLeast, value: value.to_owned() };
        Ok(ScriptStep::Expect { who, what, within })
    }

    fn expect(&self, rest: &str) -> Result<ScriptStep, String> {
        let (rest, within) = split_within(rest)?;
        if split_word(rest).0 == "refusal" {
            return Err("mark the line that must fail: `NODE! COMMAND -> CODE`".to_owned());
        }
        if let ("receipt", rest) = split_word(rest) {
            let words: Vec<_> = rest.split_whitespace().collect();
            let (file, verdict, at) = match words.as_slice() {
                [file, verdict @ ("holds" | "fails")] => (file, verdict, NodeSelection::Some(Vec::new())),
                [file, verdict @ ("holds" | "fails"), "at", at @ ..] => {
                    (file, verdict, self.all_or_names(&at.join(" "))?)
                }
                _ => return Err("write it as `expect receipt FILE holds|fails [at NODE…]`".to_owned()),
            };
            let what = Expectation::Receipt { file: (*file).to_owned(), holds: *verdict == "holds" };
            return Ok(ScriptStep::Expect { who: at, what, within });
        }
        let (who, rest) = self.who(rest)?;
        if rest == "agree" {
            return Ok(ScriptStep::Expect { who, what: Expectation::Agree, within });
        }
        // A missing value is reported below, not here.
        let padded = format!("{rest} ");
        let Some((question, comparison, value)) = Comparison::split(&padded) else {
            self.question(rest)?;
            return Err(format!("compared with what? `expect … {rest} = VALUE`, or one of != < <= > >="));
        };
        if value.is_empty() {
            return Err(format!("compared with what? `expect … {rest} VALUE`"));
        }
        self.check_kept(value)?;
        let what = Expectation::Says { question: self.question(question)?, comparison, value: value.to_owned() };
        Ok(ScriptStep::Expect { who, what, within })
    }

    /// Parses the nodes at the beginning, and returns the rest.
    fn who<'a>(&self, text: &'a str) -> Result<(NodeSelection, &'a str), String> {
        if let ("all", rest) = split_word(text) {
            return Ok((NodeSelection::All, rest));
        }
        let mut names = Vec::new();
        let mut rest = text;
        while let (word, behind) = split_word(rest)
            && self.script.nodes.iter().any(|node| node == word)
        {
            names.push(word.to_owned());
            rest = behind;
        }
        if names.is_empty() {
            Err(self.unknown_node(split_word(text).0))
        } else {
            Ok((NodeSelection::Some(names), rest))
        }
    }

    fn all_or_names(&self, text: &str) -> Result<NodeSelection, String> {
        if text == "all" { Ok(NodeSelection::All) } else { self.names(text).map(NodeSelection::Some) }
    }

    fn names(&self, text: &str) -> Result<Vec<String>, String> {
        let names: Vec<_> = text.split_whitespace().map(|name| self.name(name)).collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Err("which node?".to_owned());
        }
        match names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            Some((_, twice)) => Err(format!("{twice} stands there twice")),
            None => Ok(names),
        }
    }

    fn name(&self, name: &str) -> Result<String, String> {
        let known = self.script.nodes.iter().find(|node| *node == name);
        known.cloned().ok_or_else(|| self.unknown_node(name))
    }

    fn unknown_node(&self, name: &str) -> String {
        match nearest(name, self.script.nodes.iter().map(String::as_str)) {
            Some(near) => format!("no node is called `{name}`: did you mean `{near}`?"),
            None if self.script.nodes.is_empty() => "no node was started yet: `start a b c`".to_owned(),
            None => format!("no node is called `{name}`; started were {}", self.script.nodes.join(", ")),
        }
    }

    fn question(&self, text: &str) -> Result<Question, String> {
        let question = Question::parse(text)?;
        self.check_kept(&question.argument)?;
        Ok(question)
    }

    fn check_kept(&self, text: &str) -> Result<(), String> {
        for piece in pieces(text) {
            if let Piece::Kept { name, .. } = piece
                && !self.kept.contains(name)
            {
                return Err(match (name, nearest(name, self.kept.iter().map(String::as_str))) {
                    ("round", _) => "$round stands only between `repeat` and `end`".to_owned(),
                    (_, Some(near)) => format!("nothing is kept as ${name}: did you mean ${near}?"),
                    (_, None) => {
                        format!("nothing is kept as ${name}: `let {name} = …` first, or write $$ for a dollar sign")
                    }
                });
            }
        }
        Ok(())
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// Cuts off a comment, which begins with a `#` after a blank. Not in a typed line: there it may be part of a record.
fn without_comment(line: &str) -> &str {
    line.find(" #").map_or(line, |at| &line[..at])
}

/// Cuts `within TIME` off the end.
fn split_within(text: &str) -> Result<(&str, Duration), String> {
    match text.rsplit_once(" within ") {
        Some((rest, time)) => Ok((rest.trim(), duration(time)?)),
        None => Ok((text.trim(), WITHIN)),
    }
}

/// Parses `500ms`, `10s`, `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(unit);
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let total = millis.and_then(|millis| count.parse::<u32>().ok()?.checked_mul(millis));
    let total = total.ok_or_else(|| format!("`{text}` is not a time: write it as 500ms, 10s or 2m"))?;
    Ok(Duration::from_millis(total.into()))
}
