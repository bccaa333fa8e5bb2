//! The words of a command line: options apart from the rest.

use super::CommandEntry;
use crate::engine::event::MINE_COUNT_MAX;
use crate::node::api::error::{Code, Failure};
use crate::node::api::parse::{bad, count};
use crate::text::grouped;

/// A line after its first word: options with their values, and the other words.
#[derive(Debug)]
pub(super) struct Words<'a> {
    entry: &'static CommandEntry,
    /// The words that are no option.
    pub(super) plain: Vec<&'a str>,
    options: Vec<(&'static str, &'a str)>,
}

impl<'a> Words<'a> {
    /// Takes the line apart. Options are `--option VALUE` or `--option=VALUE`, each of them once.
    pub(super) fn split(
        entry: &'static CommandEntry,
        rest: &'a str,
        options: &[&'static str],
    ) -> Result<Self, Failure> {
        let mut found = Self { entry, plain: Vec::new(), options: Vec::new() };
        let mut words = rest.split_whitespace();
        while let Some(word) = words.next() {
            if options.is_empty() || !word.starts_with("--") {
                found.plain.push(word);
                continue;
            }
            let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
            let known = options.iter().find(|known| **known == option).ok_or_else(|| wrong_usage(entry))?;
            let value = value.or_else(|| words.next()).ok_or_else(|| wrong_usage(entry))?;
            if found.options.iter().any(|(earlier, _)| earlier == known) {
                return Err(wrong_usage(entry));
            }
            found.options.push((known, value));
        }
        Ok(found)
    }

    /// An option's parsed value.
    pub(super) fn option<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&'a str) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        self.options.iter().find(|(option, _)| *option == name).map(|(_, value)| parse(value)).transpose()
    }

    /// The only word that is no option, if there is one.
    pub(super) fn at_most_one(&self) -> Result<Option<&'a str>, Failure> {
        match self.plain[..] {
            [] => Ok(None),
            [word] => Ok(Some(word)),
            _ => Err(wrong_usage(self.entry)),
        }
    }
}

pub(super) fn wrong_usage(entry: &CommandEntry) -> Failure {
    Failure::new(Code::Usage, format!("usage: {} (`help {}` says more)", entry.usage(), entry.name))
}

pub(super) fn mine_count(word: &str) -> Result<u64, Failure> {
    let problem = format!("N is at most {}; `mine on` goes on without an end", grouped(MINE_COUNT_MAX));
    let count = count(word, "N")?;
    if count > MINE_COUNT_MAX { Err(bad(Code::BadNumber, word, &problem)) } else { Ok(count) }
}
