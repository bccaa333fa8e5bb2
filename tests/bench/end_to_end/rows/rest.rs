//! What a node with 8 peers takes while nothing happens: memory, and time of the processor.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Context;
use crate::figure::Row;
use crate::process::{Node, Options};

pub(super) const NAME: &str = "rest";
const PEERS: usize = 8;
/// After the last peer has come.
const SETTLE_TIME: Duration = Duration::from_secs(10);
const MEMORY_MIB_MAX: f64 = 25.0;
/// Of one core.
const PROCESSOR_PERCENT_MAX: f64 = 0.3;

pub(super) fn run(context: &mut Context) -> Result<Vec<Row>> {
    let node = Node::start(&Options::default());
    let options = Options { peers: vec![node.listen().to_owned()], ..Options::default() };
    let peers: Vec<Node> = (0..PEERS).map(|_| Node::start(&options)).collect();
    for _ in &peers {
        node.event(|event| event["event"] == "peer_connected");
    }
    thread::sleep(SETTLE_TIME);
    let (before, start) = (node.run_time(), Instant::now());
    thread::sleep(Duration::from_secs(context.size(60, 5) as u64));
    let share = (node.run_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    let memory = node.memory_bytes() as f64 / f64::from(1 << 20);
    Ok(vec![
        Row::new(NAME, "resident, with 8 peers", memory, "MiB").at_most(MEMORY_MIB_MAX),
        Row::new(NAME, "processor, with 8 peers", share * 100.0, "% of a core").at_most(PROCESSOR_PERCENT_MAX),
    ])
}
