//! The words of a command line: options apart from the rest, and what a word can mean.

use std::str::FromStr;

use super::{BlockName, Code, Entry, Failure, Since, TransactionName, Who};
use crate::engine::event::MINE_COUNT_MAX;
use crate::node::aliases;
use crate::node::index::Cursor;
use crate::node::prompt::text::{date_time_of, grouped};
use crate::protocol::{Address, Amount, Height, Millis};

/// How many digits of an id are shown.
const SHORT_ID_DIGITS: usize = 8;
/// Rows that a list shows at most.
const LIMIT_MAX: u64 = 1000;

/// A line after its first word: options with their values, and the other words.
#[derive(Debug)]
pub(super) struct Words<'a> {
    entry: &'static Entry,
    /// What is no option.
    pub(super) plain: Vec<&'a str>,
    options: Vec<(&'static str, &'a str)>,
}

impl<'a> Words<'a> {
    /// Takes the line apart. Options are `--option VALUE` or `--option=VALUE`, each of them once.
    pub(super) fn split(entry: &'static Entry, rest: &'a str, options: &[&'static str]) -> Result<Self, Failure> {
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

    /// An option's value, understood.
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

pub(super) fn wrong_usage(entry: &Entry) -> Failure {
    Failure::new(Code::Usage, format!("usage: {} (`help {}` says more)", entry.usage(), entry.name))
}

pub(super) fn bad(code: Code, word: &str, problem: &str) -> Failure {
    let shown: String = word.chars().take(80).flat_map(char::escape_debug).collect();
    Failure::new(code, format!("{shown}: {problem}"))
}

/// An address, or a name whose owner is looked up later.
pub(in crate::node) fn who(word: &str) -> Result<Who, Failure> {
    if aliases::check_name(word).is_ok() {
        return Ok(Who::Name(word.to_owned()));
    }
    address(word).map(Who::Address)
}

pub(in crate::node) fn address(word: &str) -> Result<Address, Failure> {
    word.parse().map_err(|error: <Address as FromStr>::Err| bad(Code::BadAddress, word, &error.to_string()))
}

pub(in crate::node) fn amount(word: &str, what: &str) -> Result<Amount, Failure> {
    let result = word.parse::<Amount>();
    result.map_err(|error| bad(Code::BadAmount, word, &format!("not a valid {what}: {error}")))
}

pub(in crate::node) fn height(word: &str) -> Result<Height, Failure> {
    let problem = "a height is a whole number, 0 for the first block";
    whole(word).map(Height).ok_or_else(|| bad(Code::BadNumber, word, problem))
}

pub(in crate::node) fn count(word: &str, what: &str) -> Result<u64, Failure> {
    let problem = format!("{what} is a whole number, at least 1");
    whole(word).filter(|count| *count > 0).ok_or_else(|| bad(Code::BadNumber, word, &problem))
}

pub(in crate::node) fn mine_count(word: &str) -> Result<u64, Failure> {
    let problem = format!("N is at most {}; `mine on` goes on without an end", grouped(MINE_COUNT_MAX));
    let count = count(word, "N")?;
    if count > MINE_COUNT_MAX { Err(bad(Code::BadNumber, word, &problem)) } else { Ok(count) }
}

pub(in crate::node) fn limit(word: &str) -> Result<usize, Failure> {
    let problem = format!("a list shows 1 to {LIMIT_MAX} rows");
    let limit = whole(word).filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.map(|limit| limit as usize).ok_or_else(|| bad(Code::BadNumber, word, &problem))
}

/// Where a list ended.
pub(in crate::node) fn cursor(word: &str) -> Result<Cursor, Failure> {
    let problem = "a place in a list is what its last line names, such as 120.3";
    word.parse().map_err(|_| bad(Code::BadNumber, word, problem))
}

/// A whole number, also as answers show it: `20,000`.
fn whole(word: &str) -> Option<u64> {
    let number = word.replace(',', "").parse::<u64>().ok()?;
    (!word.contains(',') || word == grouped(number)).then_some(number)
}

pub(in crate::node) fn block_name(word: &str) -> Result<BlockName, Failure> {
    let short = || u32::from_str_radix(word, 16).ok().filter(|_| word.len() == SHORT_ID_DIGITS);
    let name = (word.parse().ok().map(BlockName::Id))
        .or_else(|| whole(word).map(|height| BlockName::Height(Height(height))))
        .or_else(|| short().map(BlockName::Short));
    let problem = "a block is named by its height or its id (64 hex digits, or the 8 that `chain` shows)";
    name.ok_or_else(|| bad(Code::BadId, word, problem))
}

pub(in crate::node) fn transaction_name(word: &str) -> Result<TransactionName, Failure> {
    let is_short = || word.len() >= SHORT_ID_DIGITS && word.len() < 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let name = (word.parse().ok().map(TransactionName::Id))
        .or_else(|| is_short().then(|| TransactionName::Short(word.to_lowercase())));
    let problem = "a transaction is named by its id (64 hex digits, or at least the 8 that are shown)";
    name.ok_or_else(|| bad(Code::BadId, word, problem))
}

/// A moment: a date in UTC, with or without a time, or a span back from now.
pub(in crate::node) fn since(word: &str) -> Result<Since, Failure> {
    let span = || {
        let unit = word.chars().next_back()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let number = whole(&word[..word.len() - 1])?;
        number.checked_mul(seconds)?.checked_mul(1000).map(|millis| Since::Ago(Millis(millis)))
    };
    let problem = "not a moment, write it like 2026-11-21, 2026-11-21T14:30 (UTC), 30m, 12h or 7d";
    date_time_of(word).map(Since::At).or_else(span).ok_or_else(|| bad(Code::BadNumber, word, problem))
}
