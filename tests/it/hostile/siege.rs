//! A node under attack, observed: its answers, its chain, its memory.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Node, agree, number};

/// The most resident memory of a node under any of these attacks, in bytes. It has 30 MiB at rest. On top come redb's
/// cache (16 MiB), the cached bodies (32 MiB), one attacker's share of the memory pool (half of 48 MiB) and of
/// the orphans (8 MiB), and data under way on its connections: requests, gossip that waits for its check, and unread
/// responses, which are bounded for each peer.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Answers at the prompt that an attack must leave room for.
const ANSWERS_LEAST: usize = 40;
/// A block is mined after this many answers, and has to reach the honest peer.
const ANSWERS_PER_BLOCK: usize = 10;
/// Pause between two questions. Nobody types faster.
const PAUSE: Duration = Duration::from_millis(10);

/// A node with a short chain, and an honest peer of it.
pub(crate) struct Siege {
    pub(crate) node: Node,
    honest: Node,
}

impl Siege {
    pub(crate) fn begin() -> Self {
        let node = Node::new();
        node.run("mine 3");
        Self::around(node)
    }

    /// The same with a node that has a chain already.
    pub(crate) fn around(node: Node) -> Self {
        let honest = Node::new();
        honest.connect(&node);
        agree(&[&node, &honest]);
        Self { node, honest }
    }

    /// The honest peer sends a block that becomes the node's tip.
    pub(crate) fn honest_peer_proves_itself(&self) {
        self.honest.run("mine 1");
        agree(&[&self.honest, &self.node]);
    }

    /// The honest peer leaves, and connects again.
    pub(crate) fn honest_peer_comes_back(&mut self) {
        self.honest.stop();
        self.honest.restart();
        self.honest.connect(&self.node);
        agree(&[&self.honest, &self.node]);
    }

    /// The address at which the node listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let port = self.node.listen().split('/').nth(4).and_then(|port| port.parse().ok()).expect("/ip4/…/tcp/PORT");
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Asks at the prompt and mines during the attack, and beyond. The honest peer has to keep up, and the node's
    /// memory has to stay within its bound. Prints a row of the table in [`super`].
    pub(crate) fn during<T: Send>(&self, name: &str, attack: impl FnOnce() -> T + Send) -> T {
        let over = AtomicBool::new(false);
        let (result, mut waited) = std::thread::scope(|scope| {
            let attack = scope.spawn(|| {
                let result = attack();
                over.store(true, Ordering::Relaxed);
                result
            });
            let mut waited = Vec::new();
            while waited.len() < ANSWERS_LEAST || !over.load(Ordering::Relaxed) && !attack.is_finished() {
                let begin = Instant::now();
                // One is answered from a snapshot, the other by the engine.
                let question = ["status", "balance"][waited.len() % 2];
                self.node.run(question);
                waited.push(begin.elapsed());
                if waited.len() % ANSWERS_PER_BLOCK == 0 && waited.len() <= ANSWERS_LEAST {
                    self.node.run("mine 1");
                    agree(&[&self.node, &self.honest]);
                }
                std::thread::sleep(PAUSE);
            }
            (attack.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), waited)
        });
        agree(&[&self.node, &self.honest]);
        assert!(number(&self.node.run("status"), "height") >= 3 + (ANSWERS_LEAST / ANSWERS_PER_BLOCK) as u64);
        waited.sort();
        let (p50, p99) = (waited[waited.len() / 2], waited[waited.len() * 99 / 100]);
        let memory = self.node.memory_peak_bytes();
        eprintln!(
            "siege: {name}: {} answers, p50 {:.1?}, p99 {:.1?}, at most {} MiB",
            waited.len(),
            p50,
            p99,
            memory >> 20
        );
        if memory > MEMORY_BYTES_MAX {
            self.node.fail(&format!("{name}: {memory} bytes were resident, {MEMORY_BYTES_MAX} are allowed"));
        }
        result
    }
}
