//! From one long branch to another, in the engine alone.

use std::time::Duration;

use quipu::protocol::CheckedBlock;

use crate::shell::Shell;
use crate::targets::processor_time;
use crate::world::{accounts, chain, network, transfers};

/// Blocks of the branch that is left. The other has one more.
const BLOCKS: usize = 1_000;
const BLOCK_TRANSACTIONS: usize = 100;
/// Who sends.
const SENDERS: u64 = 2_000;

/// Whose transactions the other branch has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Other {
    /// The same ones, in other blocks.
    Same,
    /// None: those of the branch that is left wait again.
    None,
}

/// Two branches from genesis on.
pub(crate) struct Case {
    left: Vec<CheckedBlock>,
    taken: Vec<CheckedBlock>,
}

/// How long the engine took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// To connect the branch that is left, from genesis on.
    pub(crate) connect: Duration,
    /// To leave it for the other.
    pub(crate) reorganise: Duration,
}

impl Case {
    pub(crate) fn new(other: Other) -> Self {
        let network = network();
        let transactions = transfers(((BLOCKS + 1) * BLOCK_TRANSACTIONS) as u64, SENDERS, &network);
        let others = match other {
            Other::Same => &transactions[..],
            Other::None => &[],
        };
        let left = chain(BLOCKS, 0, &transactions[..BLOCKS * BLOCK_TRANSACTIONS], &network);
        Self { left, taken: chain(BLOCKS + 1, 1, others, &network) }
    }

    /// Goes one branch and then the other, with a new engine.
    pub(crate) fn run(&self) -> Times {
        let mut shell = Shell::new(&network(), accounts(SENDERS));
        let connect = timed(|around| shell.follow(self.left.clone(), around));
        Times { connect, reorganise: timed(|around| shell.follow(self.taken.clone(), around)) }
    }
}

/// How long the engine alone takes for what it is given to do.
fn timed(work: impl FnOnce(&mut dyn FnMut(&mut dyn FnMut()))) -> Duration {
    let mut spent = Duration::ZERO;
    work(&mut |call| {
        let start = processor_time();
        call();
        spent += processor_time() - start;
    });
    spent
}
