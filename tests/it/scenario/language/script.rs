//! The meaning of a script: a flat list of steps. Nothing in here says how a step is carried out.
//!
//! `repeat` is unrolled and names are checked before the first step runs, so a runner is one loop with one match. Texts
//! of steps may hold `$NAME`: [`Values`](super::values::Values) fills in the kept values just before the step runs.

use std::path::PathBuf;
use std::time::Duration;

use super::question::{Comparison, Question};

/// The default timeout of a wait.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// A parsed script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// The file, as the person named it. Files that the script names are beside it.
    pub(crate) file: PathBuf,
    /// `dev`, `lan`, or a TOML file.
    pub(crate) network: String,
    /// All nodes, in the order in which they start.
    pub(crate) nodes: Vec<String>,
    /// The steps, in order.
    pub(crate) lines: Vec<ScriptLine>,
}

/// A step and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScriptLine {
    /// The number of the line, from 1.
    pub(crate) number: usize,
    /// The text of the line, without its comment.
    pub(crate) text: String,
    pub(crate) step: ScriptStep,
}

/// An action or a wait. Nodes are given by name, which the parser has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScriptStep {
    /// Starts new nodes with empty folders. Each gets a name for every other one's address.
    Start {
        nodes: Vec<String>,
        /// Connected to no other node; otherwise to all.
        apart: bool,
        /// A node whose account it shares; otherwise each has its own.
        key_of: Option<String>,
    },
    /// Links two nodes that had no link.
    Connect(String, String),
    /// Types a line at a node's prompt.
    Type {
        node: String,
        /// The line, with `$NAME`s.
        command: String,
        /// The expected answer.
        answer: ExpectedAnswer,
    },
    /// Keeps a node's answer to a question.
    Keep {
        node: String,
        question: Question,
        /// The name for it.
        name: String,
    },
    /// Separates the sides: nothing passes between them, and the nodes know it. Each node is on one side.
    Cut(Vec<Vec<String>>),
    /// Puts a fault on one link; its ends have to find out.
    Hamper {
        fault: LinkFault,
        /// One end.
        from: String,
        /// The other end.
        to: String,
    },
    /// Mends all links and restores the lost ones.
    Heal,
    /// Cuts the power: unwritten data is lost.
    Kill(Vec<String>),
    /// Ends nodes in order.
    Stop(Vec<String>),
    /// Restarts nodes on their folders, connected as before, on their side if there is a cut.
    Restart(Vec<String>),
    /// Waits until all running nodes are that many blocks higher.
    WaitBlocks { blocks: u64, within: Duration },
    /// Waits until something is true.
    Expect { who: NodeSelection, what: Expectation, within: Duration },
}

/// The expected answer to a typed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExpectedAnswer {
    /// The command succeeds.
    Done,
    /// The command succeeds, and its result gets a name.
    Kept(String),
    /// The command is refused with this code.
    Refused(String),
}

/// A fault of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkFault {
    /// Messages from the first end are held back; the other direction is open.
    OneWay,
    /// Messages of both ends are held back. No connection is closed.
    Stalled,
    /// Each piece of up to 16 KiB takes this much longer, one after the other.
    Slow(Duration),
}

/// A selection of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeSelection {
    /// All running nodes.
    All,
    /// The named nodes.
    Some(Vec<String>),
}

/// An expected state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// They have the same best block.
    Agree,
    /// Each gives an answer that passes the comparison.
    Says {
        question: Question,
        comparison: Comparison,
        /// The value to compare with. May hold `$NAME`s.
        value: String,
    },
    /// The result of verifying a receipt, without a node or against each node's chain.
    Receipt {
        /// The file that `receipt` wrote.
        file: String,
        /// Whether it is to be proven, or refuted.
        holds: bool,
    },
}
