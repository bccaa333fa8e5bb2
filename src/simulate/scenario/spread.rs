//! Spreads: the variation of a quantity from one link to the next.
//!
//! A file has whole numbers with equal chances, separated by commas, blanks or lines:
//!
//! ```text
//! ms        # a first line with letters is a heading
//! 12, 30, 31
//! 200       # Lima
//! ```
//!
//! or, if its heading begins with `quantile`, on each line a part (from 0 to 1) and the value below which that part is,
//! joined by straight lines:
//!
//! ```text
//! quantile, ms
//! 0,         5
//! 0.5,      40
//! 0.99,    180
//! 1,       900
//! ```

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files::read_text;
use crate::sim::random::{MILLION, Spread};

/// The longest table, in bytes.
const TABLE_BYTES_MAX: u64 = 4 << 20;
/// The largest number in a spread: more than an hour in milliseconds, and than the bytes per second of a fast link.
const VALUE_MAX: u64 = 1 << 40;
/// The largest deviation of a log-normal spread, in doublings.
const DEVIATION_MAX: f64 = 8.0;

/// A spread as it is written.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a whole number, a list of them, { from, to }, { median, deviation }, { quantiles } or { file }"
)]
pub(super) enum SpreadPart {
    Constant(u64),
    Table(Vec<u64>),
    Uniform(Uniform),
    LogNormal(LogNormal),
    Quantiles(QuantilesPart),
    File(FilePart),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuantilesPart {
    quantiles: Vec<(f64, u64)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Uniform {
    from: u64,
    to: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogNormal {
    median: u64,
    /// The standard deviation, in doublings.
    deviation: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilePart {
    pub(super) file: PathBuf,
}

impl SpreadPart {
    /// The spread. Errors name `field`; `folder` has the table's file.
    pub(super) fn spread(self, field: &str, folder: &Path) -> Result<Spread, String> {
        let fail = |problem: &str| Err(format!("links: {field}: {problem}"));
        let spread = match self {
            Self::Constant(value) => Spread::Constant(value),
            Self::Table(values) => Spread::Table(values),
            Self::Uniform(Uniform { from, to }) => Spread::Uniform(from, to),
            Self::LogNormal(LogNormal { median, deviation }) => {
                if !(0.0..=DEVIATION_MAX).contains(&deviation) {
                    return fail(&format!("deviation: {deviation} is out of range, choose from 0 to {DEVIATION_MAX}"));
                }
                Spread::LogNormal { median, deviation: (deviation * 1000.0).round() as u64 }
            }
            Self::File(FilePart { file }) => {
                let file = folder.join(file);
                let table = read(&file).and_then(|text| parse_table(&text));
                table.map_err(|problem| format!("links: {field}: {}: {problem}", file.display()))?
            }
            Self::Quantiles(QuantilesPart { quantiles }) => Spread::Quantiles(in_millionths(quantiles)),
        };
        match &spread {
            Spread::Uniform(from, to) if from > to => fail("from is above to: write the lower bound first"),
            Spread::Quantiles(_) if !spread.is_possible() => {
                fail("quantiles go from 0 to 1, each above the one before, with values that do not fall")
            }
            Spread::Quantiles(points) if points.iter().any(|(_, value)| *value > VALUE_MAX) => {
                fail(&format!("a value is too much, choose up to {VALUE_MAX}"))
            }
            Spread::Table(values) if values.is_empty() => fail("the list is empty: name at least one value"),
            Spread::Constant(most) | Spread::Uniform(_, most) | Spread::LogNormal { median: most, .. }
                if *most > VALUE_MAX =>
            {
                fail(&format!("{most} is too much, choose up to {VALUE_MAX}"))
            }
            Spread::Table(values) if values.iter().any(|value| *value > VALUE_MAX) => {
                fail(&format!("a value is too much, choose up to {VALUE_MAX}"))
            }
            _ => Ok(spread),
        }
    }
}

/// Converts parts to millionths. Invalid parts are left for [`Spread`] to refuse.
fn in_millionths(quantiles: Vec<(f64, u64)>) -> Vec<(u64, u64)> {
    quantiles.into_iter().map(|(part, value)| ((part * MILLION as f64).round() as u64, value)).collect()
}

/// A text file beside the scenario.
pub(super) fn read(file: &Path) -> Result<String, String> {
    read_text(file, TABLE_BYTES_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge => {
            format!("is not a file of at most {TABLE_BYTES_MAX} bytes")
        }
        _ => format!("cannot be read: {error}; name a file beside the scenario"),
    })
}

fn parse_table(text: &str) -> Result<Spread, String> {
    if text.trim_start().starts_with("quantile") {
        return parse_quantiles(text);
    }
    let mut values = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        if number == 1 && line.contains(char::is_alphabetic) {
            continue;
        }
        for word in line.split([',', ';', ' ', '\t', '\r']).filter(|word| !word.is_empty()) {
            values.push(word.parse().map_err(|_| format!("line {number}: {word:?} is not a whole number"))?);
        }
    }
    Ok(Spread::Table(values))
}

fn parse_quantiles(text: &str) -> Result<Spread, String> {
    let mut quantiles = Vec::new();
    for (number, line) in (1..).zip(text.lines()).skip(1) {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split([',', ';', ' ', '\t', '\r']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            [] => {}
            [part, value] => match (part.parse(), value.parse()) {
                (Ok(part), Ok(value)) => quantiles.push((part, value)),
                _ => return Err(format!("line {number}: {line:?} is not a part from 0 to 1 and a whole number")),
            },
            _ => return Err(format!("line {number}: write a part and a value, such as 0.5, 40")),
        }
    }
    Ok(Spread::Quantiles(in_millionths(quantiles)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_numbers_headings_and_comments() {
        assert_eq!(
            parse_table("latency (ms)\n12, 30\n# far away\n200 # Lima\n\n7;8\r\n"),
            Ok(Spread::Table(vec![12, 30, 200, 7, 8]))
        );
        assert_eq!(parse_table("1\n2\nabc"), Err("line 3: \"abc\" is not a whole number".to_owned()));
        let quantiles = Spread::Quantiles(vec![(0, 5), (500_000, 40), (MILLION, 900)]);
        assert_eq!(parse_table("quantile,ms\n0, 5\n0.5;40 # half\n\n1 900\n"), Ok(quantiles));
        assert_eq!(parse_table("quantile\n0\n"), Err("line 2: write a part and a value, such as 0.5, 40".to_owned()));
        assert!(
            parse_table("quantile\n0 x\n").is_err_and(|problem| problem.starts_with("line 2: \"0 x\" is not a part"))
        );
        assert_eq!(parse_table("-1"), Err("line 1: \"-1\" is not a whole number".to_owned()));
    }
}
