//! The failure of a script.

use std::fmt;
use std::path::PathBuf;

/// The reason why a step failed, from a runner or a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The expected state.
    pub(crate) expected: String,
    /// The observed state.
    pub(crate) seen: String,
    /// The nodes whose last output may explain it.
    pub(crate) involved: Vec<String>,
}

impl Trouble {
    /// A trouble that concerns these nodes.
    pub(crate) fn new(expected: impl Into<String>, seen: impl Into<String>, involved: &[String]) -> Self {
        Self { expected: expected.into(), seen: seen.into(), involved: involved.to_vec() }
    }
}

/// A failed step, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepFailure {
    pub(crate) file: PathBuf,
    /// The number of the line, from 1.
    pub(crate) line: usize,
    /// The text of the step.
    pub(crate) step: String,
    pub(crate) trouble: Trouble,
    /// The end of the output of each node concerned.
    pub(crate) last: Vec<(String, String)>,
}

impl fmt::Display for StepFailure {
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
