//! The latency of `status` at the prompt of a busy node, asked every 10 ms, whether or not the last answer has come. It
//! includes the load of the asker and the other processes on the machine.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::{known, sync, transactions};
use crate::Context;
use crate::figure::FigureRow;
use crate::fixture::Fixture;
use crate::network::Arrivals;
use crate::process::{NodeProcess, NodeProcessOptions};
use crate::statistics::quantile_ms;

pub(super) const NAME: &str = "latency";
const INTERVAL: Duration = Duration::from_millis(10);
const P99_MILLIS_MAX: f64 = 20.0;

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let time = Duration::from_secs(context.size(10, 1) as u64);
    let rest = for_a_while(&NodeProcess::start(&NodeProcessOptions::default()), time);
    let mines = NodeProcessOptions {
        network: "lan".to_owned(),
        arguments: vec!["--mine".into(), "on".into()],
        ..NodeProcessOptions::default()
    };
    let mining = for_a_while(&NodeProcess::start(&mines), time);
    let empty = while_synchronising(&Fixture::empty(context.size(1_000_000, 10_000))?)?;
    let full = while_synchronising(&Fixture::full(context.size(200, 10), context.size(5_000, 2_000))?)?;
    let taking_in = while_taking_in(context.size(5_000, 500), context.size(10, 1))?;
    let propagating = while_propagating(context.size(15, 2))?;
    let row = |what: &str, mut times: Vec<Duration>| {
        FigureRow::new(NAME, &format!("status while {what}, p99"), quantile_ms(&mut times, 99), "ms")
            .at_most(P99_MILLIS_MAX)
    };
    Ok(vec![
        row("nothing happens", rest),
        row("it mines", mining),
        row("it synchronises near-empty blocks", empty),
        row("it synchronises full blocks", full),
        row("40,000 transactions come from the network", taking_in),
        row("a block of 5,000 known transactions spreads among 9 nodes", propagating),
    ])
}

fn for_a_while(node: &NodeProcess, time: Duration) -> Vec<Duration> {
    let start = Instant::now();
    watch(node, |_| start.elapsed() >= time)
}

fn while_synchronising(fixture: &Fixture) -> Result<Vec<Duration>> {
    let world = sync::SyncPeers::start(fixture)?;
    Ok(watch(&world.begin(), |status| status["height"] == fixture.height))
}

fn while_taking_in(accounts: usize, rounds: usize) -> Result<Vec<Duration>> {
    let world = transactions::SenderAccounts::new(accounts)?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let round = world.begin()?;
        thread::scope(|scope| {
            scope.spawn(|| round.send());
            times.extend(watch(&round.node, |status| status["pending"] == world.count()));
        });
    }
    Ok(times)
}

/// Asks a ninth node, which is linked to one of the eight.
fn while_propagating(blocks: usize) -> Result<Vec<Duration>> {
    let mut world = known::FundedNodes::start()?;
    let peers = vec![world.nodes[0].listen().to_owned()];
    let node = NodeProcess::start(&NodeProcessOptions { peers, ..NodeProcessOptions::default() });
    let mut times = Vec::new();
    for _ in 0..blocks {
        let transactions = world.fill(known::ACCOUNTS)?;
        watch(&node, |status| status["pending"] == transactions.len());
        thread::scope(|scope| {
            let mining = scope.spawn(|| world.mine(&mut Arrivals::default()));
            times.extend(watch(&node, |status| mining.is_finished() && status["pending"] == 0));
        });
    }
    Ok(times)
}

/// The latency of each answer, until a status shows the end.
fn watch(node: &NodeProcess, is_over: impl Fn(&Value) -> bool) -> Vec<Duration> {
    let mut asked = Vec::new();
    let mut times = Vec::new();
    let mut due = Instant::now();
    let mut status = Value::Null;
    while !is_over(&status) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        asked.push(Instant::now());
        node.say("status");
        due = Instant::now().max(due + INTERVAL);
        while let Some(answer) = node.answer_now() {
            times.push(answer.at - asked[times.len()]);
            status = answer.value["result"].clone();
        }
    }
    for asked in &asked[times.len()..] {
        times.push(node.answer().at - *asked);
    }
    times
}
