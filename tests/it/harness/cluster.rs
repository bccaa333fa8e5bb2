//! Several nodes.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use super::{DEADLINE, Node, NodeOptions, number, text};

/// Nodes that a test treats as one network.
#[derive(Debug)]
pub(crate) struct Cluster(Vec<Node>);

impl Cluster {
    /// Starts that many nodes, which do not know each other.
    pub(crate) fn start(count: usize) -> Self {
        Self((0..count).map(|_| Node::start(NodeOptions::default())).collect())
    }

    /// Connects all pairs.
    pub(crate) fn connect_all(&self) {
        for (at, node) in self.iter().enumerate() {
            for other in &self[at + 1..] {
                node.connect(other);
            }
        }
    }

    /// Connects each node with the next.
    pub(crate) fn connect_line(&self) {
        for pair in self.windows(2) {
            pair[0].connect(&pair[1]);
        }
    }

    /// Stops all nodes and restarts them on their folders, on new ports, so that they do not find each other.
    pub(crate) fn part(&mut self) {
        for node in self.iter_mut() {
            node.stop();
        }
        for node in self.iter_mut() {
            node.restart();
        }
    }

    /// Waits until all have the same tip, and returns its height.
    pub(crate) fn agree(&self) -> u64 {
        agree(&self.iter().collect::<Vec<_>>())
    }
}

impl Deref for Cluster {
    type Target = Vec<Node>;
    fn deref(&self) -> &Vec<Node> {
        &self.0
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut Vec<Node> {
        &mut self.0
    }
}

/// Waits until all have the same tip, and returns its height.
pub(crate) fn agree(nodes: &[&Node]) -> u64 {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let marks: Vec<_> = nodes.iter().map(|node| node.mark()).collect();
        let statuses: Vec<_> = nodes.iter().map(|node| node.run("status")).collect();
        if statuses.iter().all(|status| status["tip"] == statuses[0]["tip"]) {
            return number(&statuses[0], "height");
        }
        // The lowest node's tip will move. Look again after a while all the same: if two tips are equally high, another
        // node's may move.
        let lowest = (0..nodes.len()).min_by_key(|at| number(&statuses[*at], "height")).expect("at least one node");
        if Instant::now() > deadline {
            let tips: Vec<_> = statuses.iter().map(|status| (number(status, "height"), text(status, "tip"))).collect();
            nodes[lowest].fail(&format!("the nodes do not agree; tips: {tips:#?}\nthe lowest node:"));
        }
        nodes[lowest].glance_for_tip(marks[lowest], Duration::from_millis(250));
    }
}
