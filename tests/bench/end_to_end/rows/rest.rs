//! The cost of a node with 8 peers while nothing happens: memory, and processor time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Context;
use crate::figure::FigureRow;
use crate::process::{NodeProcess, NodeProcessOptions};

pub(super) const NAME: &str = "rest";
const PEERS: usize = 8;
/// The time after the last peer has come, before the measurement.
const SETTLE_SPAN: Duration = Duration::from_secs(10);
const MEMORY_MIB_MAX: f64 = 25.0;
/// In percent of one core.
const PROCESSOR_PERCENT_MAX: f64 = 0.3;

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let node = NodeProcess::start(&NodeProcessOptions::default());
    let options = NodeProcessOptions { peers: vec![node.listen().to_owned()], ..NodeProcessOptions::default() };
    let peers: Vec<NodeProcess> = (0..PEERS).map(|_| NodeProcess::start(&options)).collect();
    for _ in &peers {
        node.event(|event| event["event"] == "peer_connected");
    }
    thread::sleep(SETTLE_SPAN);
    let before = node.run_time();
    let start = Instant::now();
    thread::sleep(Duration::from_secs(context.size(60, 5) as u64));
    let share = (node.run_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    let memory = node.memory_bytes() as f64 / f64::from(1 << 20);
    Ok(vec![
        FigureRow::new(NAME, "resident, with 8 peers", memory, "MiB").at_most(MEMORY_MIB_MAX),
        FigureRow::new(NAME, "processor, with 8 peers", share * 100.0, "% of a core").at_most(PROCESSOR_PERCENT_MAX),
    ])
}
