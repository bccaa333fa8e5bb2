//! The cost of the index, and its speed: `cargo bench --bench index`.
//!
//! Makes a chain of 200,000 blocks with 1,000,000 records (`QUIPU_BENCH_BLOCKS` makes it shorter) and prints
//!
//! - the time until all blocks are durable, with the index off and on, when blocks are stored only, and when they are
//!   checked too, signatures included, as by a node that synchronises; and until the index has caught up;
//! - the time of each kind of look-up, cold (files just opened, and dropped from the system's cache) and warm.
//!
//! Exits with 1 if a look-up takes 10 ms or more, or if the index makes checked blocks more than 1.3 times slower.
//! Processor times are printed beside: on a busy machine they measure the cost of the index better.

mod chain;
mod look_up;
#[allow(dead_code, reason = "each benchmark asks what it needs")]
#[path = "../statistics.rs"]
mod statistics;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, unbounded};
use quipu::engine::Event;
use quipu::engine::event::{Batch, Place, Write};
use quipu::node::inbox::{EngineSender, Queues};
use quipu::node::index::ChainIndex;
use quipu::node::store::writer;
use quipu::node::store::{FolderLock, Reader, Store};
use quipu::protocol::check::check_block_bytes;
use quipu::protocol::encode::{DECODE_BYTES_MAX, decode};
use quipu::protocol::{CheckedBlock, Ledger, Network};

use chain::RecordChain;

/// The greatest slowdown of checked blocks by the index.
const SLOWER_MAX: f64 = 1.3;
/// Blocks that are checked, connected and queued together, like peers' answers.
const CHUNK_BLOCKS: usize = 256;
/// The most chunks under way.
const CHUNKS_MAX: usize = 16;

/// The way of blocks to the store.
#[derive(Clone, Copy, PartialEq)]
enum Storing {
    /// Stored without a check.
    Stored,
    /// Checked before, on all cores.
    Checked,
}

/// The times of a run.
struct RunTimes {
    durable: Duration,
    /// The processor time of all threads together, until both are done.
    processor: Duration,
    /// The time until the index had all blocks too.
    indexed: Option<Duration>,
}

fn main() -> ExitCode {
    let blocks = std::env::var("QUIPU_BENCH_BLOCKS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    println!("making {blocks} blocks with {} records", blocks * chain::RECORDS);
    let chain = RecordChain::make(blocks);
    println!("{} MB of blocks", chain.bytes() >> 20);

    let mut is_good = true;
    for (way, name) in [(Storing::Stored, "stored"), (Storing::Checked, "checked and stored")] {
        let folder = || tempfile::tempdir_in(place).expect("a temporary folder");
        let off = run(folder().path(), &chain, way, false);
        let with_index = folder();
        let on = run(with_index.path(), &chain, way, true);
        let ratio = |time: Duration| time.as_secs_f64() / off.durable.as_secs_f64();
        let indexed = on.indexed.expect("the index was on");
        let processor = |times: &RunTimes| times.processor.as_secs_f64();
        println!(
            "blocks {name}, index off: durable after {:.1} s; processor {:.1} s",
            off.durable.as_secs_f64(),
            processor(&off)
        );
        println!(
            "blocks {name}, index on:  durable after {:.1} s ({:.2} x), indexed after {:.1} s ({:.2} x); \
             processor {:.1} s ({:.2} x)",
            on.durable.as_secs_f64(),
            ratio(on.durable),
            indexed.as_secs_f64(),
            ratio(indexed),
            processor(&on),
            processor(&on) / processor(&off)
        );
        if way == Storing::Checked {
            is_good &= ratio(on.durable) <= SLOWER_MAX;
            is_good &= look_up::all(with_index.path(), &chain);
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Stores the chain in a new folder, as a node does: the same threads, queues and commits.
fn run(folder: &Path, chain: &RecordChain, way: Storing, with_index: bool) -> RunTimes {
    let (store, _) = open(folder, &chain.network);
    let (tell, told) = unbounded();
    let index = with_index.then(|| start_index(folder, store.reader(), &chain.network, tell));
    let (engine, Queues { results: persisted, .. }) = EngineSender::new();
    let (queue, jobs) = bounded(CHUNKS_MAX);
    let (start, processor) = (Instant::now(), processor_time());
    let committed = index.as_ref().map(|(index, _)| index.clone());
    let writer = thread::spawn(move || {
        writer::run(store, &jobs, &engine, || committed.iter().for_each(ChainIndex::nudge)).expect("written");
    });
    let mut last = 0;
    thread::scope(|scope| {
        let mut ledger = Ledger::default();
        for (sequence, blocks) in (1..).zip(prepare(scope, chain, way)) {
            let writes = blocks.into_iter().flat_map(|block| connect(block, &mut ledger, &chain.network)).collect();
            queue.send(vec![Batch { sequence, writes }]).expect("the writer goes on");
            last = sequence;
        }
    });
    let is_last = |event: &Event| matches!(event, Event::Persisted { sequence } if *sequence == last);
    while !is_last(&persisted.recv().expect("the writer goes on")) {}
    let durable = start.elapsed();
    let indexed = index.map(|(index, thread)| {
        while told.recv().unwrap_or_else(|_| panic!("{:?}", index.view().err())) != chain.tip() {}
        let indexed = start.elapsed();
        index.stop();
        thread.join().expect("in order");
        indexed
    });
    drop((queue, persisted));
    writer.join().expect("in order");
    RunTimes { durable, processor: processor_time() - processor, indexed }
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.try_into().expect("it only grows")
}

fn connect(block: CheckedBlock, ledger: &mut Ledger, network: &Network) -> [Write; 2] {
    let delta = ledger.connect(&block, network).expect("valid in its place");
    ledger.apply(&delta);
    let place = Place { height: block.header().height, id: block.id() };
    [Write::Block(Arc::new(block)), Write::Connect { place, delta: Arc::new(delta) }]
}

/// Decodes, and checks if wanted, on all cores, and returns the blocks in their order.
fn prepare<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    chain: &'scope RecordChain,
    way: Storing,
) -> impl Iterator<Item = Vec<CheckedBlock>> + use<'scope> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<Receiver<Vec<CheckedBlock>>> = (0..cores)
        .map(|core| {
            let (send, receive) = bounded(CHUNKS_MAX / cores);
            scope.spawn(move || {
                for chunk in chain.chunks(CHUNK_BLOCKS).skip(core).step_by(cores) {
                    let blocks = chunk.map(|bytes| match way {
                        Storing::Checked => check_block_bytes(bytes, &chain.network).expect("valid"),
                        Storing::Stored => {
                            let block = decode(bytes, DECODE_BYTES_MAX).expect("well formed");
                            CheckedBlock::recall(block, &chain.network)
                        }
                    });
                    send.send(blocks.collect()).expect("awaited");
                }
            });
            receive
        })
        .collect();
    let mut turns = (0..cores).cycle();
    std::iter::from_fn(move || results[turns.next()?].recv().ok())
}

fn open(folder: &Path, network: &Arc<Network>) -> (Store, quipu::engine::event::Stored) {
    let lock = FolderLock::acquire(folder, "bench").expect("free");
    Store::open(lock, network).expect("a store")
}

fn start_index(
    folder: &Path,
    reader: Reader,
    network: &Arc<Network>,
    tell: crossbeam_channel::Sender<Place>,
) -> (ChainIndex, thread::JoinHandle<()>) {
    let told = move |tip| {
        // Look-ups do not wait for it.
        let _ = tell.send(tip);
    };
    ChainIndex::start(folder, reader, network, told).expect("a thread")
}
