//! The values that a script keeps with `let`, and their insertion for `$NAME`.

use std::collections::BTreeMap;

use serde_json::Value;

/// The values kept so far.
#[derive(Debug, Default)]
pub(crate) struct Values(BTreeMap<String, Value>);

/// A piece of a text with `$NAME`s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text without `$NAME`.
    Plain(&'a str),
    /// `$NAME`, `$NAME.FIELD.FIELD`; a number picks from a list.
    Kept {
        name: &'a str,
        /// The fields, outermost first.
        path: Vec<&'a str>,
    },
}

impl Values {
    /// Keeps a value, in place of an earlier one with the same name.
    pub(crate) fn keep(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// The text with all values filled in, or the reason why that fails.
    pub(crate) fn fill(&self, text: &str) -> Result<String, String> {
        pieces(text)
            .into_iter()
            .map(|piece| match piece {
                Piece::Plain(text) => Ok(text.to_owned()),
                Piece::Kept { name, path } => self.find(name, &path),
            })
            .collect()
    }

    fn find(&self, name: &str, path: &[&str]) -> Result<String, String> {
        let whole = self.0.get(name).ok_or_else(|| format!("nothing is kept as ${name} yet"))?;
        // An answer stands for its id, which a person would copy from it.
        let path = if path.is_empty() && whole.is_object() { &["id"] } else { path };
        let mut value = whole;
        for field in path {
            let inner = field.parse::<usize>().map_or_else(|_| value.get(field), |at| value.get(at));
            value = inner.ok_or_else(|| format!("${name} has no `{field}`; it is {whole}"))?;
        }
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

/// Splits a text into pieces. `$$` is a dollar sign, and so is one that no letter follows.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let behind = &rest[at + 1..];
        let begins = behind.starts_with(|c: char| c.is_ascii_alphabetic());
        let name = if begins { &behind[..word_length(behind)] } else { "" };
        if name.is_empty() {
            pieces.push(Piece::Plain(&rest[..=at]));
            rest = behind.strip_prefix('$').unwrap_or(behind);
            continue;
        }
        pieces.push(Piece::Plain(&rest[..at]));
        rest = &behind[name.len()..];
        let mut path = Vec::new();
        while let Some(field) = rest.strip_prefix('.').map(|behind| &behind[..word_length(behind)])
            && !field.is_empty()
        {
            path.push(field);
            rest = &rest[field.len() + 1..];
        }
        pieces.push(Piece::Kept { name, path });
    }
    pieces.push(Piece::Plain(rest));
    pieces
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}
