//! Kills while the node mines, sends and receives.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quipu::random::Random;
use rustix::process::Signal;

use super::{assert_whole, rounds_and_random};
use crate::harness::{DEADLINE, Node, NodeOptions, agree, ids, text, transactions_of};

/// Longest life of the victim in one round.
const LIFE_MILLIS_MAX: u64 = 600;
/// Transactions that are typed at once.
const BURST: usize = 40;

/// A node that mines, sends and receives is killed at random moments. Each time it restarts by itself, and everything
/// acknowledged is still there: each block known, each transaction on the chain or pending.
pub(crate) fn kill_9_loses_nothing_acknowledged() {
    let (rounds, mut random) = rounds_and_random();
    let companion = Node::new();
    let options = NodeOptions { peers: vec![companion.listen()], ..NodeOptions::default() };
    let mut victim = Node::start(options);
    victim.wait_event("peer_connected", |_| true);
    victim.run("mine 5");
    agree(&[&victim, &companion]);

    let mut answered = AcknowledgedWork::default();
    for round in 0..rounds {
        let life = Duration::from_millis(random.below(LIFE_MILLIS_MAX));
        live_until_killed(&victim, &companion, life, &mut random, &mut answered);
        victim.wait_exit();
        victim.restart();
        answered.check(&victim, round);
        assert_whole(&victim, round);
    }
    victim.wait_connected(&companion.peer_id());
    victim.run("mine 1");
    agree(&[&victim, &companion]);
    let (blocks, transactions) = (answered.blocks.len(), answered.transactions.len());
    assert!(blocks > 0 && transactions > 0, "the victim never lived long enough to answer anything");
    eprintln!("crash: {rounds} kills, {blocks} blocks and {transactions} transactions answered, none lost");
}

/// Keeps both nodes busy until the victim is dead.
fn live_until_killed(
    victim: &Node,
    companion: &Node,
    life: Duration,
    random: &mut Random,
    answered: &mut AcknowledgedWork,
) {
    let over = AtomicBool::new(false);
    let to = companion.address();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The moment of death is the point here; nothing waits for it.
            std::thread::sleep(life);
            victim.signal(Signal::KILL);
        });
        scope.spawn(|| {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                count += 1;
                companion.run(&format!("record {count}"));
                companion.run("mine 1");
            }
        });
        loop {
            let lines = match random.below(4) {
                0 => vec!["mine 1".to_owned()],
                1 => vec![format!("tx {to} 0.00000001")],
                2 => vec![format!("record {}", random.below(u64::MAX))],
                // Many wait for the disk at once.
                _ => vec![format!("tx {to} 0.00000001"); BURST],
            };
            let answers = victim.ask_all(&lines, DEADLINE);
            for (line, answer) in lines.iter().zip(&answers) {
                // A refusal is an answer too: a full pool, coins on a branch that lost.
                if answer["ok"] == true {
                    answered.note(line, &answer["result"]);
                }
            }
            if answers.len() < lines.len() {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// The blocks and transactions that the node acknowledged.
#[derive(Debug, Default)]
struct AcknowledgedWork {
    blocks: BTreeSet<String>,
    transactions: BTreeSet<String>,
}

impl AcknowledgedWork {
    fn note(&mut self, line: &str, result: &serde_json::Value) {
        if line.starts_with("mine") {
            self.blocks.extend(ids(&result["blocks"]));
        } else {
            self.transactions.insert(text(result, "id"));
        }
    }

    fn check(&self, node: &Node, round: u64) {
        for id in &self.blocks {
            assert_eq!(node.run(&format!("block {id}"))["id"], **id, "round {round}");
        }
        // Both at the same moment, or a block that arrives in between would move a transaction unseen. The chain is the
        // one on disk; if that is the engine's tip too, and still is, the pool matches it.
        let (mined, pending) = loop {
            let chain = node.chain();
            let pending = ids(&node.run("pending"));
            let last = chain["blocks"].as_array().and_then(|blocks| blocks.last()).expect("at least genesis");
            if last["id"] == *node.tip() {
                break (transactions_of(&chain), pending);
            }
        };
        let there: BTreeSet<_> = mined.into_iter().chain(pending).collect();
        let lost: Vec<_> = self.transactions.difference(&there).collect();
        if !lost.is_empty() {
            node.fail(&format!("round {round}: transactions were answered and are lost: {lost:?}"));
        }
    }
}
