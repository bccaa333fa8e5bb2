//! The committed figures, and the comparison of counts with them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The file of the figures, from the root of the repository.
pub(crate) const FILE: &str = "tests/bench/instructions.json";
/// The greatest difference of a count from its figure, in percent, with the same compiler.
const TOLERANCE_PERCENT: f64 = 3.0;
/// The same with another compiler: a difference between the two limits is only reported.
const OTHER_COMPILER_TOLERANCE_PERCENT: f64 = 20.0;

/// The committed figures.
pub(crate) struct Figures {
    counts: BTreeMap<String, u64>,
    compiler: String,
    is_ours: bool,
}

/// The judgement of a count.
pub(crate) enum Judgement {
    /// The count is close to its figure.
    Holds(f64),
    /// The difference should be looked at.
    Differs(String),
    /// The difference is an error.
    Fails(String),
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds(percent) => write!(f, "{percent:+.2} %"),
            Self::Differs(text) => write!(f, "DIFFERS: {text}"),
            Self::Fails(text) => write!(f, "FAILS: {text}"),
        }
    }
}

impl Figures {
    /// Reads the committed figures.
    pub(crate) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(path()).map_err(|error| format!("{FILE}: {error}; --bless makes it"))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| format!("{FILE}: {error}; --bless makes it anew"))?;
        let compiler = value["compiler"].as_str().unwrap_or_default().to_owned();
        let counts = value["instructions"].as_object().into_iter().flatten();
        let counts = counts.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
        Ok(Self { counts, is_ours: compiler == our_compiler()?, compiler })
    }

    /// Writes new figures; those of other paths stay, unless they are of another compiler.
    pub(crate) fn update(counts: &[(&str, u64)]) -> Result<(), String> {
        let mut kept = Self::read().ok().filter(|figures| figures.is_ours).map_or_else(BTreeMap::new, |old| old.counts);
        kept.retain(|name, _| super::paths::names().contains(&name.as_str()));
        kept.extend(counts.iter().map(|(name, count)| ((*name).to_owned(), *count)));
        let value = json!({ "compiler": our_compiler()?, "instructions": kept });
        fs::write(path(), format!("{value:#}\n")).map_err(|error| format!("{FILE}: {error}"))
    }

    /// Compares a count with its figure.
    pub(crate) fn judge(&self, name: &str, count: u64) -> Judgement {
        let bless = format!("if that is meant, run `scripts/instructions --bless {name}` and commit {FILE}");
        let Some(&figure) = self.counts.get(name) else {
            return Judgement::Fails(format!("no figure is committed for it; {bless}"));
        };
        let percent = (count as f64 / figure as f64 - 1.0) * 100.0;
        if percent.abs() <= TOLERANCE_PERCENT {
            return Judgement::Holds(percent);
        }
        let more = if percent > 0.0 { "more" } else { "less" };
        let told = format!("{:.1} % {more} than the {figure} of {FILE}", percent.abs());
        if self.is_ours {
            Judgement::Fails(format!("{told}; {bless}"))
        } else if percent > OTHER_COMPILER_TOLERANCE_PERCENT {
            Judgement::Fails(format!("{told}, by far more than another compiler explains; {bless}"))
        } else {
            let compiler = &self.compiler;
            Judgement::Differs(format!("{told}, which is for {compiler}; compare with that, or make all figures anew"))
        }
    }
}

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)
}

/// The compiler's name for itself.
fn our_compiler() -> Result<String, String> {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.map_err(|error| format!("rustc does not start ({error}): please put it on the path"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
