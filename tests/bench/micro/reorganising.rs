//! A reorganisation from one long branch to another, in the engine alone.

use std::time::Duration;

use quipu::protocol::CheckedBlock;

use crate::shell::BenchShell;
use crate::targets::processor_time;
use crate::world::{accounts, chain, network, transfers};

/// Blocks of the branch that is left. The other has one more.
const BLOCKS: usize = 1_000;
const BLOCK_TRANSACTIONS: usize = 100;
/// The number of accounts that send.
const SENDERS: u64 = 2_000;

/// The content of the other branch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Other {
    /// The same transactions, in other blocks.
    Same,
    /// None: those of the branch that is left become pending again.
    None,
}

/// Two branches from genesis on.
pub(crate) struct ReorganiseCase {
    left: Vec<CheckedBlock>,
    taken: Vec<CheckedBlock>,
}

/// The engine's times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BranchTimes {
    /// The time to connect the branch that is left, from genesis on.
    pub(crate) connect: Duration,
    /// The time to leave it for the other.
    pub(crate) reorganise: Duration,
}

impl ReorganiseCase {
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

    /// Follows one branch and then the other, with a new engine.
    pub(crate) fn run(&self) -> BranchTimes {
        let mut shell = BenchShell::new(&network(), accounts(SENDERS));
        let connect = timed(|around| shell.follow(self.left.clone(), around));
        BranchTimes { connect, reorganise: timed(|around| shell.follow(self.taken.clone(), around)) }
    }
}

/// The time that the engine alone takes for its part of the work.
fn timed(work: impl FnOnce(&mut dyn FnMut(&mut dyn FnMut()))) -> Duration {
    let mut spent = Duration::ZERO;
    work(&mut |call| {
        let start = processor_time();
        call();
        spent += processor_time() - start;
    });
    spent
}
