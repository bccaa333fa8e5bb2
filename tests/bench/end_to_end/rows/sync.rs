//! A new node with three peers that have the same long chain of near-empty blocks: the time from the start of its
//! process until it reports the last block as its tip, on disk and checked. All four share the machine.
//!
//! Beside it stands the unavoidable work: as many bytes by request-response alone, and the same blocks written to the
//! store by a program that does nothing else, one after the other.

use std::time::{Duration, Instant};

use anyhow::Result;
use quipu::protocol::block::HEADER_BYTES;
use quipu::protocol::encode::encode;
use quipu::protocol::{Address, Network, Parameters};

use crate::Context;
use crate::chain::StoredChain;
use crate::figure::{FigureRow, PlotLine};
use crate::fixture::Fixture;
use crate::limits::request_response::PieceServer;
use crate::plot::Frame;
use crate::process::{NodeProcess, NodeProcessOptions, folder};
use crate::statistics::spread;
use crate::traffic::{LinkTraffic, so_far};

pub(super) const NAME: &str = "sync";
pub(super) const PLOTS: &[Frame] = &[Frame {
    file: "sync-by-blocks",
    name: "Near-empty blocks from 3 peers",
    x: "blocks",
    y: "seconds",
    ours: "quipu",
    reference: "at the rate of the second shortest chain",
}];
const PEERS: usize = 3;
/// A piece of a chain, as long as nodes request.
const PIECE_BYTES: u64 = 2 << 20;
/// The least blocks in a second, for the shorter chain.
const RATE_MIN: f64 = 50_000.0;
/// The least ratio of the longer chain's rate to it.
const LONGER_RATIO_MIN: f64 = 0.8;

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let (short, long) = (context.size(100_000, 5_000), context.size(1_000_000, 10_000));
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    {
        let world = SyncPeers::start(&Fixture::empty(short)?)?;
        let mut limit = Limit::of(short)?;
        for _ in 0..context.size(5, 1) {
            ours.push(short as f64 / world.sync().as_secs_f64());
            bare.push(short as f64 / limit.measure()?.as_secs_f64());
        }
    }
    let mut longer = Vec::new();
    {
        let world = SyncPeers::start(&Fixture::empty(long)?)?;
        for _ in 0..context.size(2, 1) {
            longer.push(long as f64 / world.sync().as_secs_f64());
        }
    }
    let [ours, bare, longer] = [ours, bare, longer].map(|rates| spread(&rates).0);
    plot(context, &[(short, ours), (long, longer)])?;
    let what = |blocks: usize| format!("near-empty blocks, {blocks} from 3 peers");
    Ok(vec![
        FigureRow::new(NAME, &what(short), ours, "blocks/s").at_least(RATE_MIN),
        FigureRow::new(NAME, "the same beside its limits", ours, "blocks/s")
            .beside("request-response alone, then the store alone", bare),
        FigureRow::new(NAME, &what(long), longer, "blocks/s")
            .beside("of the shorter chain", ours)
            .at_least(LONGER_RATIO_MIN),
    ])
}

/// The time over the length of the chain.
fn plot(context: &mut Context, measured: &[(usize, f64)]) -> Result<()> {
    let file = PLOTS[0].file;
    let mut rates = measured.to_vec();
    for blocks in if context.quick { vec![1_000] } else { vec![10_000, 30_000, 300_000] } {
        let world = SyncPeers::start(&Fixture::empty(blocks)?)?;
        rates.push((blocks, blocks as f64 / world.sync().as_secs_f64()));
    }
    let steady = measured[0].1;
    for (blocks, rate) in rates {
        context.point(file, PlotLine::Ours, blocks as f64, blocks as f64 / rate);
        context.point(file, PlotLine::Reference, blocks as f64, blocks as f64 / steady);
    }
    Ok(())
}

/// Nodes that have the chain.
pub(super) struct SyncPeers {
    peers: Vec<NodeProcess>,
    height: u64,
}

impl SyncPeers {
    pub(super) fn start(fixture: &Fixture) -> Result<Self> {
        let start = |_| Ok(NodeProcess::start_owning(fixture.copy()?, &NodeProcessOptions::default()));
        let peers = (0..PEERS).map(start).collect::<Result<_>>()?;
        Ok(Self { peers, height: fixture.height })
    }

    /// A new node with all of them as its peers.
    pub(super) fn begin(&self) -> NodeProcess {
        let peers = self.peers.iter().map(|peer| peer.listen().to_owned()).collect();
        NodeProcess::start(&NodeProcessOptions { peers, ..NodeProcessOptions::default() })
    }

    /// The time from the start of its process until it reports the last block.
    pub(super) fn end(&self, node: &NodeProcess) -> Duration {
        node.event(|event| event["event"] == "tip" && event["height"] == self.height).at - node.started()
    }

    /// Waits for the same, and returns all heights that it reports on the way.
    pub(super) fn way(&self, node: &NodeProcess) -> Vec<(Instant, u64)> {
        let mut way = vec![(node.started(), 0)];
        while way.last().is_some_and(|(_, height)| *height < self.height) {
            let tip = node.event(|event| event["event"] == "tip");
            way.push((tip.at, tip.value["height"].as_u64().expect("a tip has a height")));
        }
        way
    }

    /// The bytes that have crossed the peers' links so far.
    pub(super) fn crossed(&self) -> Result<LinkTraffic> {
        let ports: Vec<u16> = self.peers.iter().map(|peer| peer.port()).collect();
        so_far(&ports)
    }

    fn sync(&self) -> Duration {
        self.end(&self.begin())
    }
}

/// The unavoidable work.
struct Limit {
    server: PieceServer,
    chain: StoredChain,
    bytes: u64,
}

impl Limit {
    fn of(blocks: usize) -> Result<Self> {
        let network = Network::new(Parameters::dev())?;
        // Every near-empty block is as long as the genesis block. Headers travel before their blocks, and with them.
        let bytes = (blocks * (HEADER_BYTES + encode(network.genesis()).len())) as u64;
        let mut chain = StoredChain::new(network);
        for _ in 0..blocks {
            chain.add(Address([9; 20]), Vec::new());
        }
        Ok(Self { server: PieceServer::start(), chain, bytes })
    }

    fn measure(&mut self) -> Result<Duration> {
        let fetched = self.server.fetch(self.bytes.div_ceil(PIECE_BYTES), PIECE_BYTES);
        let folder = folder();
        let start = Instant::now();
        self.chain.store(folder.path())?;
        Ok(fetched + start.elapsed())
    }
}
