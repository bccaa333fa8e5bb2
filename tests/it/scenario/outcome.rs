//! How a script ends that does not end well.

use std::fmt;
use std::path::PathBuf;

/// Why a step failed, as a runner tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What was to happen.
    pub(crate) expected: String,
    /// What was seen instead.
    pub(crate) seen: String,
    /// The nodes whose last words may explain it.
    pub(crate) involved: Vec<String>,
}

impl Trouble {
    /// With what concerns these nodes.
    pub(crate) fn new(expected: impl Into<String>, seen: impl Into<String>, involved: &[String]) -> Self {
        Self { expected: expected.into(), seen: seen.into(), involved: involved.to_vec() }
    }
}

/// A step that failed, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The script.
    pub(crate) file: PathBuf,
    /// From 1.
    pub(crate) line: usize,
    /// The step as it was written.
    pub(crate) step: String,
    /// Why.
    pub(crate) trouble: Trouble,
    /// The end of what each of the nodes said.
    pub(crate) last: Vec<(String, String)>,
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "{}:{}: {}", self.file.display(), self.line, self.step)?;
        writeln!(to, "  expected: {}", self.trouble.expected)?;
        write!(to, "  seen:     {}", self.trouble.seen)?;
        for (node, tail) in &self.last {
            write!(to, "\nnode {node}:\n{}", tail.trim_end())?;
        }
        Ok(())
    }
}
