//! A new node with three peers that have the same chain of full blocks: the transactions per second from the start of
//! its process until it reports the last block as its tip, and the memory for that. All four share the machine. Beside
//! it stands the verification of the same signatures on all cores, without anything around it.
//!
//! Blocks of long records have few signatures and many bytes. Beside those stand as many bytes by request-response alone.
//!
//! Blocks are in flight from the arrival of their first bytes until the node reports that they are on disk: the bytes
//! that crossed its links, less the reported blocks.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use quipu::protocol::encode::encode;

use super::sync::SyncPeers;
use crate::Context;
use crate::figure::{FigureRow, PlotLine};
use crate::fixture::Fixture;
use crate::limits::request_response::PieceServer;
use crate::limits::signatures::Signatures;
use crate::plot::Frame;
use crate::process::{NodeProcess, NodeProcessOptions};
use crate::statistics::spread;
use crate::traffic::between;

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
/// Blocks of this many records of this length have 540 kB.
const RECORDS: (usize, usize) = (129, 4_050);
/// The least part of the rate of request-response alone.
const RECORDS_RATIO_MIN: f64 = 0.7;
/// A piece of a chain, as long as nodes request.
const PIECE_BYTES: u64 = 2 << 20;
const IN_FLIGHT_MIB_MAX: f64 = 64.0;
/// Interval between two looks at the traffic.
const LOOK_INTERVAL: Duration = Duration::from_millis(30);

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let few = (context.size(50, 5), 1_000, 5);
    let many = (context.size(200, 10), context.size(5_000, 2_000), 2);
    let rest = NodeProcess::start(&NodeProcessOptions::default()).memory_bytes();
    let mut rows = Vec::new();
    for (blocks, transactions, times) in [few, many] {
        let chain = FullChain::new(blocks, transactions)?;
        let [rate, bare] = chain.rates(context.size(times, 1));
        let what = format!("{blocks} blocks of {transactions} transfers");
        rows.push(
            FigureRow::new(NAME, &what, rate, "/s").beside("their signatures, all cores", bare).at_least(RATIO_MIN),
        );
        let (in_flight, memory) = chain.memory()?;
        let row = |what: String, bytes: u64| FigureRow::new(NAME, &what, bytes as f64 / f64::from(1 << 20), "MiB");
        rows.push(row(format!("{what}, in flight at most"), in_flight).at_most(IN_FLIGHT_MIB_MAX));
        rows.push(row(format!("{what}, all memory above that at rest"), memory.saturating_sub(rest)));
    }
    rows.push(records(context)?);
    for transactions in if context.quick { vec![10] } else { vec![10, 100, 500, 2_000, 5_000] } {
        let rates = FullChain::new(context.size(50, 5), transactions)?.rates(1);
        for (line, rate) in [PlotLine::Ours, PlotLine::Reference].into_iter().zip(rates) {
            context.point(PLOTS[0].file, line, transactions as f64, rate);
        }
    }
    Ok(rows)
}

/// The rate of bytes, where they are the limit.
fn records(context: &mut Context) -> Result<FigureRow> {
    let blocks = context.size(1_000, 20);
    let chain = FullChain::of(&Fixture::records(blocks, RECORDS.0, RECORDS.1)?)?;
    let mut server = PieceServer::start();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..context.size(3, 1) {
        let rate = |time: Duration| chain.bytes as f64 / 1e6 / time.as_secs_f64();
        ours.push(rate(chain.world.end(&chain.world.begin())));
        bare.push(rate(server.fetch(chain.bytes.div_ceil(PIECE_BYTES), PIECE_BYTES)));
    }
    let [ours, bare] = [ours, bare].map(|rates| spread(&rates).0);
    let what = format!("{blocks} blocks of {} kB of records", chain.bytes / blocks as u64 / 1_000);
    Ok(FigureRow::new(NAME, &what, ours, "MB/s").beside("request-response alone", bare).at_least(RECORDS_RATIO_MIN))
}

/// A chain, nodes that have it, and its signatures.
struct FullChain {
    world: SyncPeers,
    signatures: Signatures,
    /// The length of all blocks.
    bytes: u64,
    height: u64,
}

impl FullChain {
    fn new(blocks: usize, transactions: usize) -> Result<Self> {
        Self::of(&Fixture::full(blocks, transactions)?)
    }

    fn of(fixture: &Fixture) -> Result<Self> {
        let blocks = fixture.blocks()?;
        let all = blocks.iter().flat_map(|block| block.body.transactions.iter());
        let signatures = Signatures::of(all, &fixture.network().genesis_id());
        let bytes = blocks.iter().map(|block| encode(block).len() as u64).sum();
        Ok(Self { world: SyncPeers::start(fixture)?, signatures, bytes, height: fixture.height })
    }

    /// Transactions per second, of a node and of signatures alone, in turns.
    fn rates(&self, times: usize) -> [f64; 2] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..times {
            let rate = |time: Duration| self.signatures.len() as f64 / time.as_secs_f64();
            ours.push(rate(self.world.end(&self.world.begin())));
            bare.push(rate(self.signatures.verify()));
        }
        [spread(&ours).0, spread(&bare).0]
    }

    /// The most bytes in flight, and the peak memory of the process.
    fn memory(&self) -> Result<(u64, u64)> {
        let before = self.world.crossed()?;
        let node = self.world.begin();
        let mut seen = Vec::new();
        let way = thread::scope(|scope| -> Result<_> {
            let way = scope.spawn(|| self.world.way(&node));
            while !way.is_finished() {
                seen.push((Instant::now(), between(&before, &self.world.crossed()?).iter().sum::<u64>()));
                thread::sleep(LOOK_INTERVAL);
            }
            Ok(way.join().expect("no panic"))
        })?;
        let in_flight = seen.into_iter().map(|(at, crossed)| {
            let (_, told) = way.iter().take_while(|(told, _)| *told <= at).last().expect("it began at genesis");
            crossed.saturating_sub(self.bytes * told / self.height)
        });
        Ok((in_flight.max().unwrap_or_default(), node.memory_peak_bytes()))
    }
}
