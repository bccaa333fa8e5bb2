//! Payments from a script: `tx` lines written to the prompt's input at once, each answered when its transaction is on
//! disk. Beside them stand appends to a file, each on disk before the next one.

use std::time::Instant;

use anyhow::Result;

use crate::Context;
use crate::figure::FigureRow;
use crate::limits::append::append;
use crate::process::{NodeProcess, NodeProcessOptions, folder};
use crate::statistics::spread;

pub(super) const NAME: &str = "prompt";
/// The least answers in a second.
const RATE_MIN: f64 = 5_000.0;
const RECORD_BYTES: usize = 200;
/// Within the limit of one account's pending transactions.
const LINES: usize = 10_000;

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let (lines, records) = (context.size(LINES, 500), context.size(2_000, 100));
    let (mut rates, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..context.size(5, 1) {
        rates.push(lines as f64 / send(lines));
        bare.push(records as f64 / append(folder().path(), records, RECORD_BYTES).as_secs_f64());
    }
    let (rate, bare) = (spread(&rates).0, spread(&bare).0);
    Ok(vec![
        FigureRow::new(NAME, "tx lines answered", rate, "/s").at_least(RATE_MIN),
        FigureRow::new(NAME, "the same beside its limit", rate, "/s").beside("appends, each with fdatasync", bare),
    ])
}

/// The seconds until all are answered.
fn send(lines: usize) -> f64 {
    let node = NodeProcess::start(&NodeProcessOptions::default());
    node.ask("mine 1");
    let line = "tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0.00000001";
    let script = vec![line; lines].join("\n");
    let start = Instant::now();
    node.say(&script);
    let last = (0..lines).map(|_| node.answer().at).last().expect("there are some");
    (last - start).as_secs_f64()
}
