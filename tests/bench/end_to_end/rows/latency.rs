//! How long `status` takes at the prompt of a node that is busy: asked every 10 ms, whether or not the last answer has come.
//! What the asker and the other processes take of the machine is part of it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::sync::World;
use crate::Context;
use crate::figure::{Row, quantile_ms};
use crate::fixture::Fixture;
use crate::process::{Node, Options};

pub(super) const NAME: &str = "latency";
const INTERVAL: Duration = Duration::from_millis(10);
const P99_MILLIS_MAX: f64 = 20.0;

pub(super) fn run(context: &mut Context) -> Result<Vec<Row>> {
    let time = Duration::from_secs(context.size(10, 1) as u64);
    let rest = watch(&Node::start(&Options::default()), time);
    let mines =
        Options { network: "lan".to_owned(), arguments: vec!["--mine".into(), "on".into()], ..Options::default() };
    let mining = watch(&Node::start(&mines), time);
    let empty = while_synchronising(&Fixture::empty(context.size(1_000_000, 10_000))?)?;
    let full = while_synchronising(&Fixture::full(context.size(200, 5), context.size(5_000, 1_000))?)?;
    let row = |what: &str, mut times: Vec<Duration>| {
        Row::new(NAME, &format!("status while {what}, p99"), quantile_ms(&mut times, 99), "ms").at_most(P99_MILLIS_MAX)
    };
    Ok(vec![
        row("nothing happens", rest),
        row("it mines", mining),
        row("it synchronises near-empty blocks", empty),
        row("it synchronises full blocks", full),
    ])
}

fn while_synchronising(fixture: &Fixture) -> Result<Vec<Duration>> {
    let world = World::start(fixture)?;
    let node = world.begin();
    Ok(thread::scope(|scope| {
        let end = scope.spawn(|| world.end(&node));
        watch_until(&node, || end.is_finished())
    }))
}

fn watch(node: &Node, time: Duration) -> Vec<Duration> {
    let start = Instant::now();
    watch_until(node, || start.elapsed() >= time)
}

/// How long each answer took.
fn watch_until(node: &Node, mut is_over: impl FnMut() -> bool) -> Vec<Duration> {
    let mut asked = Vec::new();
    let mut due = Instant::now();
    while !is_over() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        asked.push(Instant::now());
        node.say("status");
        due = Instant::now().max(due + INTERVAL);
    }
    asked.into_iter().map(|asked| node.answer().at - asked).collect()
}
