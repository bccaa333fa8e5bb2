//! A virtual network that drives many engines in virtual time.
//!
//! The same [`Engine`](crate::engine::Engine) as in a real node, unchanged, with virtual links, disks, clocks and
//! miners around it. No clock, one seed: what happens once, happens again with the same seed, on every machine and with
//! any number of threads.
//!
//! | module | what it stands for |
//! | --- | --- |
//! | [`setup`] | what a world is made of: how many nodes, which links, whose hash rate, which faults |
//! | [`world`] | all nodes, and the loop that moves time |
//! | [`change`] | what befalls them: cuts, resets, stalls, crashes, clocks, joins and leaves |
//! | `node`, `surroundings` | one engine and the shell around it, and what they may touch |
//! | [`link`] | one direction of a connection: latency, bandwidth, order |
//! | `gossip` | the mesh in which messages spread |
//! | `storage`, [`disk`] | what waits to be written, and what survives a crash |
//! | [`miner`] | when a block is found |
//! | `traffic` | who sends transactions |
//! | [`clock`] | what a node takes for the time |
//! | `size` | how long messages are |
//! | `checks` | the rules without state, applied once to what a thousand nodes check |
//! | [`metrics`] | what is counted, and the summary |
//! | `shard`, `wheel`, `threads` | whose turn it is, on one thread or several |
//! | [`random`] | the only source of chance |
//! | [`mod@reference`] | a second opinion on every block, from the specification alone |
//! | [`judge`] | what must hold of every honest node, whatever befalls it |
//! | [`adversary`] | nodes that do not keep to the rules of conduct |
//! | [`journal`] | what a node's user may know of, for somebody who plays that user |
//!
//! # How time moves
//!
//! Time is counted in whole milliseconds. No message takes less than one, so within a millisecond nodes cannot hear of
//! each other, and each has its own generator of random numbers: what a node does depends on what came to it, and on
//! nothing else. What comes to a node within one millisecond is ordered by who sent it, and then by the order of
//! sending. So nodes may be dealt to any number of shards, each with its own thread, that meet after the shortest
//! latency there is (conservative synchronisation: Chandy and Misra 1979), and the result is the same.
//!
//! # What is deliberately not here
//!
//! Packets, and what a transport makes of their loss: links are streams, so a loss is a stall. Processors: a node
//! computes in no time, but for the few milliseconds that a check or a write takes. Discovery: links are given, and
//! dialled again when they break.

pub mod adversary;
pub mod change;
mod checks;
pub mod clock;
pub mod disk;
mod gossip;
pub mod journal;
pub mod judge;
pub mod link;
pub mod metrics;
pub mod miner;
mod node;
pub mod random;
pub mod reference;
pub mod setup;
mod shard;
mod size;
mod storage;
mod surroundings;
mod threads;
mod traffic;
mod wheel;
pub mod world;

#[cfg(test)]
mod tests;
