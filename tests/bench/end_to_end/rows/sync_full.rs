//! A new node that is given three others with the same chain of full blocks: how many transactions a second it has, from
//! the start of its process until it tells the last block as its tip, and how much memory that takes. All four share the
//! machine. Beside it stands the verification of the same signatures on all cores, with nothing around it.
//!
//! The memory is the most that the process ever had resident, less what a node has that has synchronised nothing: so it
//! holds blocks in flight, and beside them the accounts, the blocks that are kept at hand, and the database's cache.

use anyhow::Result;

use super::sync::World;
use crate::Context;
use crate::figure::{Line, Row, spread};
use crate::fixture::Fixture;
use crate::limits::signatures::Signatures;
use crate::plot::Frame;
use crate::process::{Node, Options};

pub(super) const NAME: &str = "sync-full";
pub(super) const PLOTS: &[Frame] = &[Frame {
    file: "sync-by-transactions",
    name: "Synchronisation of full blocks from 3 peers",
    x: "transactions in each of 50 blocks",
    y: "transactions a second",
    ours: "quipu",
    reference: "signatures alone",
}];
const RATIO_MIN: f64 = 0.8;
const MEMORY_MIB_MAX: f64 = 64.0;

/// What one chain gave.
struct Measured {
    /// Transactions in a second, of the node and of signatures alone.
    rates: [f64; 2],
    memory_mib: f64,
}

pub(super) fn run(context: &mut Context) -> Result<Vec<Row>> {
    let chains = [(context.size(50, 5), 1_000, 5), (context.size(200, 5), context.size(5_000, 1_000), 1)];
    let rest = Node::start(&Options::default()).memory_bytes();
    let mut rows = Vec::new();
    for (blocks, transactions, times) in chains {
        let measured = measure(blocks, transactions, context.size(times, 1), rest)?;
        let [rate, bare] = measured.rates;
        let what = format!("{blocks} blocks of {transactions} transfers");
        rows.push(Row::new(NAME, &what, rate, "/s").beside("their signatures, all cores", bare).at_least(RATIO_MIN));
        let what = format!("memory at most for {what}, above a node at rest");
        rows.push(Row::new(NAME, &what, measured.memory_mib, "MiB").at_most(MEMORY_MIB_MAX));
    }
    for transactions in if context.quick { vec![10] } else { vec![10, 100, 500, 2_000, 5_000] } {
        let measured = measure(context.size(50, 5), transactions, 1, rest)?;
        for (line, rate) in [Line::Ours, Line::Reference].into_iter().zip(measured.rates) {
            context.point(PLOTS[0].file, line, transactions as f64, rate);
        }
    }
    Ok(rows)
}

fn measure(blocks: usize, transactions: usize, times: usize, rest_bytes: u64) -> Result<Measured> {
    let fixture = Fixture::full(blocks, transactions)?;
    let signatures = Signatures::of(&fixture.transactions()?, &fixture.network().genesis_id());
    let world = World::start(&fixture)?;
    let (mut ours, mut bare, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..times {
        let node = world.begin();
        ours.push(signatures.len() as f64 / world.end(&node).as_secs_f64());
        memory = memory.max(node.memory_peak_bytes());
        drop(node);
        bare.push(signatures.len() as f64 / signatures.verify().as_secs_f64());
    }
    let memory_mib = memory.saturating_sub(rest_bytes) as f64 / f64::from(1 << 20);
    Ok(Measured { rates: [spread(&ours).0, spread(&bare).0], memory_mib })
}
