//! What a script means: a flat list of steps. Nothing in here says how a step is carried out.
//!
//! `repeat` is unrolled and names are checked before the first step runs, so a runner is one loop with one match. Texts
//! of steps may hold `$NAME`: [`Values`](super::values::Values) puts in what was kept, just before the step runs.

use std::path::PathBuf;
use std::time::Duration;

use super::question::{Comparison, Question};

/// What is waited for takes this long at most, if the script does not say otherwise.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// A script that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// Where it came from, as the person named it. Files that it names are beside it.
    pub(crate) file: PathBuf,
    /// `dev`, `lan`, or a TOML file.
    pub(crate) network: String,
    /// All nodes, in the order in which they start.
    pub(crate) nodes: Vec<String>,
    /// What to do, in order.
    pub(crate) lines: Vec<Line>,
}

/// A step and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: usize,
    /// As it was written, without its comment.
    pub(crate) text: String,
    /// What it means.
    pub(crate) step: Step,
}

/// One thing to do or to wait for. Nodes go by their names, which the parser has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// New nodes with empty folders. Each gets a name for every other one's address.
    Start {
        /// Who.
        nodes: Vec<String>,
        /// Connected to nobody; else to everybody.
        apart: bool,
        /// Whose account it has too; else each has its own.
        key_of: Option<String>,
    },
    /// A link between two nodes that had none.
    Connect(String, String),
    /// A line at a node's prompt.
    Type {
        /// Whose prompt.
        node: String,
        /// The line, with `$NAME`s.
        command: String,
        /// How it must be answered.
        answer: Answer,
    },
    /// Keeps what a node says to a question.
    Keep {
        /// Who is asked.
        node: String,
        /// What.
        question: Question,
        /// The name for it.
        name: String,
    },
    /// Nothing passes between nodes on different sides, and they know it. Each node is on one side.
    Cut(Vec<Vec<String>>),
    /// Something is wrong with one link, and its ends have to find out.
    Hamper {
        /// What.
        fault: Fault,
        /// One end.
        from: String,
        /// The other one.
        to: String,
    },
    /// All links are well again, and those that were lost stand.
    Heal,
    /// The power is cut: what is not on disk is lost.
    Kill(Vec<String>),
    /// A clean end.
    Stop(Vec<String>),
    /// On the folder of before. Connected as before, on its side if there is a cut.
    Restart(Vec<String>),
    /// All running nodes get so many blocks higher than they are.
    WaitBlocks {
        /// How many.
        blocks: u64,
        /// At most.
        within: Duration,
    },
    /// Something becomes true.
    Expect {
        /// Of whom.
        who: Who,
        /// What.
        what: Expectation,
        /// At most.
        within: Duration,
    },
}

/// How a line at the prompt must be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It works.
    Done,
    /// It works, and its result gets a name.
    Kept(String),
    /// It is refused with this code.
    Refused(String),
}

/// What can be wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What the first end sends is held back; the other way is open.
    OneWay,
    /// What both send is held back. No connection is closed.
    Stalled,
    /// Each piece of up to 16 KiB takes this much longer, one after the other.
    Slow(Duration),
}

/// Which nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// All that run.
    All,
    /// These.
    Some(Vec<String>),
}

/// What can be expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// They have the same best block.
    Agree,
    /// Each says so.
    Says {
        /// What is asked.
        question: Question,
        /// How to compare.
        comparison: Comparison,
        /// With what. May hold `$NAME`s.
        value: String,
    },
    /// What a receipt's verification says; of nobody, or of each against its chain.
    Receipt {
        /// The file that `receipt` wrote.
        file: String,
        /// Whether it is to be proven, or refuted.
        holds: bool,
    },
}
