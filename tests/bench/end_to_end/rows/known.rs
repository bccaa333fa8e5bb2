//! A block of 5,000 transactions that all 8 nodes have in their memory pools: the time until the last one reports it as
//! its tip, and the bytes that cross each link meanwhile. Near-empty blocks over the same links take turns with it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use quipu::protocol::{Address, Amount, CheckedTransaction, Network, Parameters};

use crate::Context;
use crate::chain::{StoredChain, key, on_all_cores, transfer};
use crate::figure::{FigureRow, PlotLine};
use crate::network::{Arrivals, gossips, nodes_in};
use crate::plot::Frame;
use crate::process::{NodeProcess, NodeProcessOptions, folder};
use crate::statistics::{quantile_ms, spread};
use crate::submit::submit;
use crate::traffic::{LinkTraffic, between, so_far};

pub(super) const NAME: &str = "propagation-known";
pub(super) const PLOTS: &[Frame] = &[Frame {
    file: "propagation-by-transactions",
    name: "Last of 8 nodes, median",
    x: "known transactions in the block",
    y: "milliseconds",
    ours: "quipu",
    reference: "gossipsub alone, whole blocks",
}];
const NODES: usize = 8;
/// The initial coins of each account, in units. It sends one at a time.
const FUNDS: u64 = 1_000;
pub(super) const ACCOUNTS: usize = 5_000;
const WARM_UP_BLOCKS: usize = 10;
/// Near-empty blocks after each full one.
const EMPTY_BLOCKS: usize = 10;
/// Pause between two blocks, so that the effects of one are over before the next.
const PAUSE: Duration = Duration::from_millis(20);
/// The links are quiet if less than this crosses all of them together in this time: pings go on.
const QUIET_SPAN: Duration = Duration::from_millis(300);
const QUIET_BYTES: u64 = 16 << 10;
/// Interval at which the pools are asked how full they are.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// The longest time for pools to fill, and for links to fall silent.
const PATIENCE: Duration = Duration::from_secs(120);
/// The greatest part of the block's bytes on the link that carries most.
const LINK_SHARE_MAX: f64 = 0.02;
/// The greatest ratio to the time of a near-empty block, beside connecting it.
const SLOWER_MAX: f64 = 3.0;

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let mut world = FundedNodes::start()?;
    let (mut full, mut empty) = (Arrivals::default(), Arrivals::default());
    world.mine_empty(&mut empty, WARM_UP_BLOCKS);
    world.mine_full(&mut Arrivals::default(), ACCOUNTS)?;
    empty = Arrivals::default();
    let (mut connect, mut crossed) = (Vec::new(), Vec::new());
    for _ in 0..context.size(12, 2) {
        let block = world.mine_full(&mut full, ACCOUNTS)?;
        connect.push(block.connect.as_secs_f64() * 1e3);
        let most = block.crossed.last().copied().unwrap_or_default();
        crossed.push((most as f64, block.crossed[block.crossed.len() / 2] as f64, block.bytes as f64));
        world.mine_empty(&mut empty, EMPTY_BLOCKS);
    }
    plot(context, &mut world, &empty)?;
    let connect = spread(&connect).0;
    let empty_p95 = quantile_ms(&mut empty.last, 95);
    let bytes = crossed[0].2;
    let most = crossed.iter().map(|(most, ..)| *most).fold(0.0, f64::max);
    let middle = spread(&crossed.iter().map(|(_, middle, _)| *middle).collect::<Vec<_>>()).0;
    let row = |what: &str, value: f64, unit: &str| FigureRow::new(NAME, what, value, unit);
    let what = "block of 5,000 known transactions, 8 nodes, at the last one, p95";
    Ok(vec![
        row("bytes on the link that carries most, both directions", most, "B")
            .beside("the block", bytes)
            .at_most(LINK_SHARE_MAX),
        row("bytes on the link in the middle, both directions", middle, "B").beside("the block", bytes),
        row(what, quantile_ms(&mut full.last, 95), "ms")
            .beside("3 × a near-empty block's, and connecting it once", SLOWER_MAX * empty_p95 + connect)
            .at_most(1.0),
        row(&what.replace("p95", "p50"), quantile_ms(&mut full.last, 50), "ms")
            .beside("a near-empty block's", quantile_ms(&mut empty.last, 50)),
        row("at the node that mines it, p50", quantile_ms(&mut full.origin, 50), "ms")
            .beside("a near-empty block's", quantile_ms(&mut empty.origin, 50)),
        row("from there to the last node, p50", quantile_ms(&mut full.after_origin(), 50), "ms")
            .beside("a near-empty block's", quantile_ms(&mut empty.after_origin(), 50)),
        row("connecting it in the ledger alone, median", connect, "ms"),
    ])
}

/// The time over the number of transactions, beside whole blocks over gossipsub alone.
fn plot(context: &mut Context, world: &mut FundedNodes, empty: &Arrivals) -> Result<()> {
    let file = PLOTS[0].file;
    context.point(file, PlotLine::Ours, 0.0, quantile_ms(&mut empty.last.clone(), 50));
    let gossips = gossips(NODES)?;
    for (number, count) in [500, 1_000, 2_000, 3_500, 5_000].into_iter().enumerate() {
        let (mut ours, mut bare) = (Arrivals::default(), Arrivals::default());
        let blocks = context.size(5, 1);
        for block in 0..blocks {
            let full = world.mine_full(&mut ours, count)?;
            let height = (number * blocks + block + 1) as u64;
            thread::sleep(PAUSE);
            let command = format!("publish {height} {}", full.bytes);
            bare.measure(&gossips, block % NODES, &command, height);
        }
        context.point(file, PlotLine::Ours, count as f64, quantile_ms(&mut ours.last, 50));
        context.point(file, PlotLine::Reference, count as f64, quantile_ms(&mut bare.last, 50));
    }
    Ok(())
}

/// Nodes on a chain in which 5,000 accounts have coins.
pub(super) struct FundedNodes {
    pub(super) nodes: Vec<NodeProcess>,
    /// The same chain, except for the accounts that get the rewards.
    chain: StoredChain,
    height: u64,
    /// The number of transactions of each account.
    nonces: Vec<u64>,
}

/// A full block that all nodes have.
struct Full {
    /// The time for connecting it in the ledger alone.
    connect: Duration,
    /// Its length, in bytes.
    bytes: usize,
    /// The bytes that crossed each link meanwhile, sorted.
    crossed: Vec<u64>,
}

impl FundedNodes {
    pub(super) fn start() -> Result<Self> {
        let mut chain = StoredChain::new(Network::new(Parameters::dev())?);
        let rich = key(ACCOUNTS);
        chain.add(rich.public_key().address(), Vec::new());
        let funds = Amount::from_units(FUNDS);
        let fund =
            |number: usize| transfer(&rich, number as u64, key(number).public_key().address(), funds, &chain.network);
        let gifts = on_all_cores(ACCOUNTS, fund);
        chain.add(rich.public_key().address(), gifts);
        let options = NodeProcessOptions { http: true, ..NodeProcessOptions::default() };
        let nodes = nodes_in(NODES, &options, folder, |folder| chain.store(folder))?;
        Ok(Self { nodes, chain, height: 2, nonces: vec![0; ACCOUNTS] })
    }

    fn mine_empty(&mut self, arrivals: &mut Arrivals, blocks: usize) {
        for _ in 0..blocks {
            thread::sleep(PAUSE);
            self.mine(arrivals);
        }
    }

    /// Mines at each node in turn.
    pub(super) fn mine(&mut self, arrivals: &mut Arrivals) {
        self.height += 1;
        let origin = self.height as usize % NODES;
        arrivals.measure(&self.nodes, origin, "mine 1", self.height);
        self.nodes[origin].answer();
    }

    /// Fills all pools with the same transactions.
    pub(super) fn fill(&mut self, count: usize) -> Result<Vec<CheckedTransaction>> {
        let transactions = self.transactions(count);
        submit(&self.nodes, &transactions);
        self.wait_pending(count)?;
        Ok(transactions)
    }

    /// Fills all pools, and mines their content.
    fn mine_full(&mut self, arrivals: &mut Arrivals, count: usize) -> Result<Full> {
        let transactions = self.fill(count)?;
        let before = self.wait_quiet()?;
        self.mine(arrivals);
        let after = self.wait_quiet()?;
        ensure!(self.nodes[0].ask("status")["pending"] == 0, "the block has not all of them");
        let connect = self.chain.add(Address([9; 20]), transactions);
        Ok(Full { connect, bytes: self.chain.tip_bytes(), crossed: between(&before, &after) })
    }

    /// The next transaction of each of `count` accounts.
    fn transactions(&mut self, count: usize) -> Vec<CheckedTransaction> {
        let to = key(ACCOUNTS).public_key().address();
        let one =
            |number: usize| transfer(&key(number), self.nonces[number], to, Amount::from_units(1), &self.chain.network);
        let transactions = on_all_cores(count, one);
        self.nonces[..count].iter_mut().for_each(|nonce| *nonce += 1);
        transactions
    }

    fn wait_pending(&self, count: usize) -> Result<()> {
        let start = Instant::now();
        for node in &self.nodes {
            loop {
                let pending = &node.ask("status")["pending"];
                if *pending == count {
                    break;
                }
                ensure!(start.elapsed() < PATIENCE, "a pool of {count} transactions has {pending} after {PATIENCE:?}");
                thread::sleep(LOOK_INTERVAL);
            }
            node.forget_events();
        }
        Ok(())
    }

    /// Waits until hardly anything crosses the links.
    fn wait_quiet(&self) -> Result<LinkTraffic> {
        let port = |node: &NodeProcess| node.listen().split('/').nth(4).and_then(|port| port.parse().ok());
        let ports: Vec<u16> = self.nodes.iter().map(|node| port(node).expect("/ip4/…/tcp/PORT/…")).collect();
        let start = Instant::now();
        let mut before = so_far(&ports)?;
        while start.elapsed() < PATIENCE {
            thread::sleep(QUIET_SPAN);
            let after = so_far(&ports)?;
            if between(&before, &after).iter().sum::<u64>() < QUIET_BYTES {
                return Ok(after);
            }
            before = after;
        }
        bail!("the links are not quiet after {PATIENCE:?}");
    }
}
