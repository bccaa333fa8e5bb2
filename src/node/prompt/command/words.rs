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
    /// Takes the line apart. Options are `--option VALUE` or `--option=VALUE`, each of them once. A value with blanks
    /// stands in double quotes.
    pub(super) fn split(
        entry: &'static CommandEntry,
        rest: &'a str,
        options: &[&'static str],
    ) -> Result<Self, Failure> {
        let mut found = Self { entry, plain: Vec::new(), options: Vec::new() };
        let mut words = words_of(rest);
        while let Some(word) = words.next() {
            if options.is_empty() || !word.starts_with("--") {
                found.plain.push(unquoted(word));
                continue;
            }
            let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
            let known = options.iter().find(|known| **known == option).ok_or_else(|| wrong_usage(entry))?;
            let value = value.or_else(|| words.next()).ok_or_else(|| wrong_usage(entry))?;
            if found.options.iter().any(|(earlier, _)| earlier == known) {
                return Err(wrong_usage(entry));
            }
            found.options.push((known, unquoted(value)));
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

/// The words of a line. Blanks between two double quotes are part of a word.
fn words_of(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let mut is_quoted = false;
        let ends = |c: char| {
            is_quoted ^= c == '"';
            c.is_whitespace() && !is_quoted
        };
        let end = rest.find(ends).unwrap_or(rest.len());
        // A quote that is never closed is a character like any other.
        let end = if is_quoted { rest.find(char::is_whitespace).unwrap_or(rest.len()) } else { end };
        let (word, left) = rest.split_at(end);
        rest = left;
        (!word.is_empty()).then_some(word)
    })
}

fn unquoted(word: &str) -> &str {
    word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word)
}

pub(super) fn wrong_usage(entry: &CommandEntry) -> Failure {
    Failure::new(Code::Usage, format!("usage: {} (`help {}` says more)", entry.usage(), entry.name))
}

pub(super) fn mine_count(word: &str) -> Result<u64, Failure> {
    let problem = format!("N is at most {}; `mine on` goes on without an end", grouped(MINE_COUNT_MAX));
    let count = count(word, "N")?;
    if count > MINE_COUNT_MAX { Err(bad(Code::BadNumber, word, &problem)) } else { Ok(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<&str> {
        words_of(line).map(unquoted).collect()
    }

    #[test]
    fn blanks_in_quotes_are_part_of_a_word() {
        assert_eq!(
            split(r#"  --find "my papers/one.pdf"  --limit 2"#),
            ["--find", "my papers/one.pdf", "--limit", "2"]
        );
        assert_eq!(split(r#"a "b" "" "c d""#), ["a", "b", "", "c d"]);
        assert_eq!(split(r#"--find="my papers""#), [r#"--find="my papers""#]);
        assert_eq!(split(r#"3.5" disk" x"#), [r#"3.5" disk""#, "x"]);
        assert_eq!(split(r#"it is 3.5" wide"#), ["it", "is", "3.5\"", "wide"]);
        assert_eq!(split(" \t "), [""; 0]);
    }
}
