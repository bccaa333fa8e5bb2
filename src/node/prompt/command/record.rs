//! `record`: its argument is a text as it is, so options are told apart by where they stand.

use std::path::PathBuf;

use super::CommandEntry;
use super::dashes::{DASHES, look_alike, misspelt};
use super::words::wrong_usage;
use crate::node::api::error::{Code, Failure};
use crate::node::api::parse::{self, bad};
use crate::protocol::Amount;
use crate::protocol::record::{TAGS_MAX, Tag};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    pub what: Recorded,
    /// The tags by which it can be found, each once.
    pub tags: Vec<Tag>,
    /// For the miner; `None`: the network's minimum.
    pub fee: Option<Amount>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    Text(String),
    /// The fingerprint of this file.
    File(PathBuf),
    Json(String),
}

/// The options that a slip may be meant as.
const OPTIONS: [&str; 3] = ["--tag", "--fee", "--json"];

/// A text that is perhaps not meant as one. A record can't be taken back, so a person is asked, and a script has to write it
/// behind `--`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What looks like a slip.
    pub word: String,
    /// What it looks like.
    pub problem: String,
    /// The record, if it is meant.
    pub recording: Recording,
}

impl Doubt {
    /// For a script.
    pub(super) fn failure(&self) -> Failure {
        bad(
            Code::Usage,
            &self.word,
            &format!("nothing was recorded. {}; a text is written `record -- TEXT`", self.problem),
        )
    }
}

/// Something to record, or the reason why not; and what it is if it is meant.
pub(super) type Understood = (Result<Recording, Failure>, Option<Doubt>);

/// Parses everything after `record` and one blank.
pub(super) fn parse(entry: &'static CommandEntry, rest: &str) -> Understood {
    let mut options = RecordOptions::default();
    match read(entry, rest, &mut options) {
        Ok((recording, Some((word, problem)))) => {
            let doubt = Doubt { word, problem, recording };
            let failure = doubt.failure();
            // A file's name would be asked about in other words, and is seldom meant.
            (Err(failure), Some(doubt).filter(|doubt| matches!(doubt.recording.what, Recorded::Text(_))))
        }
        read => (read.map(|(recording, _)| recording), None),
    }
}

/// A word that looks like a slip, and what it looks like.
type Slip = (String, String);

fn read(
    entry: &'static CommandEntry,
    rest: &str,
    options: &mut RecordOptions,
) -> Result<(Recording, Option<Slip>), Failure> {
    let content = options.take(entry, rest)?;
    if content.trim().is_empty() {
        return Err(wrong_usage(entry));
    }
    let slip = if options.literal || options.json { None } else { slip(content) };
    let what = if options.json {
        Recorded::Json(unquoted(content.trim()).to_owned())
    } else if let Some(file) = content.strip_prefix('@').filter(|_| !options.literal) {
        if file.trim().is_empty() {
            return Err(wrong_usage(entry));
        }
        Recorded::File(PathBuf::from(file.trim()))
    } else {
        Recorded::Text(content.to_owned())
    };
    Ok((Recording { what, tags: std::mem::take(&mut options.tags), fee: options.fee }, slip))
}

fn slip(content: &str) -> Option<Slip> {
    let option = |word| look_alike(word, &OPTIONS).or_else(|| misspelt(word, &OPTIONS));
    if let Some((word, option)) = content.split_whitespace().find_map(|word| Some((word, option(word)?))) {
        let problem =
            format!("As an option, write {option} with two plain hyphens, a value, and before or behind the text");
        return Some((word.to_owned(), problem));
    }
    let first = content.split_whitespace().next()?;
    let problem = if first.starts_with("--") {
        "`record` has no such option"
    } else if first.starts_with(|c| c != '-' && DASHES.contains(&c)) {
        "It begins with a dash that is no hyphen"
    } else {
        return None;
    };
    Some((first.to_owned(), problem.to_owned()))
}

#[derive(Debug, Default)]
struct RecordOptions {
    tags: Vec<Tag>,
    fee: Option<Amount>,
    json: bool,
    /// Everything after `--` is text.
    literal: bool,
}

impl RecordOptions {
    /// Takes the options off both ends; the rest is the content.
    fn take<'a>(&mut self, entry: &'static CommandEntry, rest: &'a str) -> Result<&'a str, Failure> {
        let mut content = rest;
        loop {
            let begin = content.trim_start();
            let (word, after) = begin.split_once(char::is_whitespace).unwrap_or((begin, ""));
            if word == "--" {
                self.literal = true;
                return Ok(after);
            }
            if word == "--json" {
                self.json = true;
                content = after;
                continue;
            }
            let Some(option) = option_of(word) else { break };
            let (value, after) = match word.strip_prefix(option).and_then(|tail| tail.strip_prefix('=')) {
                Some(value) => (value, after),
                None => {
                    let after = after.trim_start();
                    after.split_once(char::is_whitespace).unwrap_or((after, ""))
                }
            };
            self.set(entry, option, value)?;
            content = after;
        }
        self.take_behind(entry, content)
    }

    /// `… --tag WORD --fee F`, from the end.
    fn take_behind<'a>(&mut self, entry: &'static CommandEntry, mut content: &'a str) -> Result<&'a str, Failure> {
        let mut found = Vec::new();
        loop {
            let end = content.trim_end();
            let Some((before, last)) = end.rsplit_once(char::is_whitespace) else { break };
            if let Some(option) = option_of(last).filter(|option| *option != last) {
                found.push((option, &last[option.len() + 1..]));
                content = before;
                continue;
            }
            let (before, option) =
                before.trim_end().rsplit_once(char::is_whitespace).unwrap_or(("", before.trim_end()));
            let Some(option) = option_of(option).filter(|known| *known == option) else { break };
            found.push((option, last));
            content = before;
        }
        let any = !found.is_empty();
        for (option, value) in found.into_iter().rev() {
            self.set(entry, option, value)?;
        }
        // Blanks before an option are not part of a text; at the end of a text alone they are kept.
        Ok(if any { content.trim_end() } else { content })
    }

    fn set(&mut self, entry: &'static CommandEntry, option: &str, value: &str) -> Result<(), Failure> {
        if option == "--fee" && self.fee.is_none() {
            self.fee = Some(parse::amount(value, "fee")?);
        } else if option == "--tag" {
            let tag = parse::tag(value)?;
            if !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
            if self.tags.len() > TAGS_MAX {
                return Err(bad(Code::BadTag, value, &format!("a record has at most {TAGS_MAX} tags")));
            }
        } else {
            return Err(wrong_usage(entry));
        }
        Ok(())
    }
}

/// The option that a word is or begins with.
fn option_of(word: &str) -> Option<&'static str> {
    let is = |option: &str| word.strip_prefix(option).is_some_and(|tail| tail.is_empty() || tail.starts_with('='));
    ["--tag", "--fee"].into_iter().find(|option| is(option))
}

/// Without the quotes that a shell would have taken.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text)
}
