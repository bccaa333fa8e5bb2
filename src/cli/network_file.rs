//! Networks by name or from a TOML file, with one line for each mistake in it.

use std::io;
use std::path::Path;

use super::invocation::ConfigError;
use crate::files::read_text;
use crate::node::clock::unix_now;
use crate::protocol::message::printable_problem;
use crate::protocol::{Amount, Network, Parameters, UnixMillis};

/// The longest network file, in bytes.
const NETWORK_FILE_BYTES_MAX: u64 = 64 << 10;

/// A preset's name, or a file.
pub(super) fn load_network(text: &str) -> Result<Network, ConfigError> {
    let fail =
        |problem: String| ConfigError::NetworkFile { file: text.to_owned(), problem: printable_problem(&problem) };
    let parameters = match Parameters::preset(text) {
        Some(parameters) => parameters,
        None => read_network_file(text)
            .and_then(|content| parse_parameters(&content))
            .and_then(|parameters| check_usable(parameters, unix_now()))
            .map_err(fail)?,
    };
    Network::new(parameters).map_err(|error| fail(error.to_string()))
}

/// Mistakes that are not against the rules, but would only be noticed later: when nodes don't agree, or mine.
fn check_usable(parameters: Parameters, now: UnixMillis) -> Result<Parameters, String> {
    if Parameters::preset(&parameters.name).is_some_and(|preset| preset != parameters) {
        return Err(format!("name: {} is another network already, choose a new name", parameters.name));
    }
    if parameters.genesis_time > now {
        return Err(format!("genesis_time: is in the future, and no block may be; it is {} now", now.0));
    }
    let most = Amount::from_units(u64::MAX / 2);
    if parameters.subsidy > most {
        return Err(format!("subsidy: leaves no room for fees in a reward, use at most {most}"));
    }
    Ok(parameters)
}

fn read_network_file(text: &str) -> Result<String, String> {
    read_text(Path::new(text), NETWORK_FILE_BYTES_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file; --network takes lan, class, dev or a TOML file".to_owned(),
        io::ErrorKind::FileTooLarge => {
            format!("is longer than {NETWORK_FILE_BYTES_MAX} bytes, so it is no network file")
        }
        _ => format!("cannot be read: {error}"),
    })
}

/// The spacings in a grace that is not given.
const GRACE_SPACINGS: i64 = 6;

/// The file with a grace in it, which files for earlier versions lack.
fn with_default_grace(text: &str) -> Option<String> {
    let spacing = text.parse::<toml::Table>().ok()?.get("target_spacing")?.as_integer()?;
    Some(format!("grace = {}\n{text}", spacing.checked_mul(GRACE_SPACINGS)?))
}

/// An error in one line: the parser's own errors are drawings of several lines, and leave the field's name to the
/// drawing.
fn parse_parameters(text: &str) -> Result<Parameters, String> {
    let parsed = toml::from_str(text).or_else(|error: toml::de::Error| match with_default_grace(text) {
        Some(text) if error.message().starts_with("missing field `grace`") => toml::from_str(&text),
        _ => Err(error),
    });
    parsed.map_err(|error| {
        let message = error.message().lines().next().unwrap_or("not TOML").to_owned();
        if message.starts_with("missing field") {
            return format!("{message}; every parameter must be there");
        }
        let Some(span) = error.span().filter(|span| span.end <= text.len()) else { return message };
        let before = &text[..span.start];
        let (number, line_start) = (before.matches('\n').count() + 1, before.rfind('\n').map_or(0, |at| at + 1));
        let line = text[line_start..].lines().next().unwrap_or_default();
        match line.split_once('=').map(|(field, _)| field.trim()) {
            Some(field) if !message.contains(&format!("`{field}`")) => format!("line {number}: {field}: {message}"),
            _ => format!("line {number}: {message}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn with_file(content: &str) -> Result<Network, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("lab.toml");
        fs::write(&file, content).expect("written");
        let path = file.to_str().expect("a plain path");
        load_network(path).map_err(|error| {
            assert_eq!(error.code(), "bad_network_file");
            let text = error.to_string();
            assert!(text.contains(path) && !text.contains('\n'), "one line with the file's name: {text}");
            text
        })
    }

    const FILE: &str = r#"
name = "lab"
genesis_time = 1793491200000
target_spacing = 10000
half_life = 180000
grace = 60000
easiest_target = 0x1e03ffff
future_time_max = 60000
subsidy = "2.5"
fee_min = "0"
block_bytes_max = 1048576
"#;

    #[test]
    fn a_network_file() {
        let network = with_file(FILE).expect("valid");
        assert_eq!(
            (network.parameters().subsidy.to_string().as_str(), network.parameters().name.as_str()),
            ("2.5", "lab")
        );
    }

    #[test]
    fn a_grace_that_is_not_given_is_six_spacings() {
        let network = with_file(&FILE.replace("grace = 60000\n", "").replace("10000", "7000")).expect("valid");
        assert_eq!(network.parameters().grace.0, 42_000);
    }

    #[test]
    fn bad_network_files_name_the_field_and_what_is_right() {
        let cases: [(&str, &str, &[&str]); 17] = [
            ("name = \"lab\"\n", "", &["missing field `name`", "every parameter"]),
            ("\"lab\"", "\"La b\"", &["name: use 1 to 32 of a-z"]),
            ("\"2.5\"", "2.5", &["line 9: subsidy:", "string"]),
            ("\"2.5\"", "\"-1\"", &["subsidy: an amount cannot be negative"]),
            ("\"2.5\"", "\"0.123456789\"", &["subsidy: an amount has at most 8 decimals"]),
            // Found by fuzzing, from seed 101106: the line is quoted, whatever is in it.
            ("future_time_max", "future_time\rmax", &["line 8: future_time\\rmax"]),
            ("\"2.5\"", "\"100000000000\"", &["subsidy: leaves no room", "use at most 92233720368.54775807"]),
            ("half_life = 180000\ngrace = 60000\n", "", &["missing field `half_life`", "every parameter"]),
            ("1048576\n", "1048576\n[contracts]\nblock_gas = 1\n", &["missing field `transaction_gas`"]),
            (
                "1048576\n",
                "1048576\n[[opening_balances]]\naddress = \"0x12\"\namount = \"1\"\n",
                &["line 13:", "40 hex digits"],
            ),
            ("fee_min", "feemin", &["line 10:", "unknown field `feemin`", "`fee_min`"]),
            ("10000\n", "-1\n", &["line 4: target_spacing:"]),
            ("10000\n", "0\n", &["target_spacing: must be at least 1"]),
            ("0x1e03ffff", "0", &["easiest_target:"]),
            ("1048576", "", &["line 11:", "block_bytes_max"]),
            ("\"lab\"", "\"dev\"", &["name: dev is another network already"]),
            ("1793491200000", "17934912000000", &["genesis_time: is in the future"]),
        ];
        for (from, to, words) in cases {
            let text = with_file(&FILE.replacen(from, to, 1)).expect_err(to);
            for word in words {
                assert!(text.contains(word), "{to:?}: {text}");
            }
        }
    }

    #[test]
    fn a_network_that_is_not_there() {
        let problem = |text: &str| load_network(text).expect_err("must be refused").to_string();
        assert!(problem("lann").contains("lan, class, dev or a TOML file"));
        assert!(problem("/").contains("cannot be read"));
    }
}
