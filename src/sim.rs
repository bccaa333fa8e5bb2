//! A virtual network that drives many engines in virtual time.
//!
//! The same [`Engine`](crate::engine::Engine) as in a real node, unchanged, with virtual links, disks, clocks and
//! miners around it. No real clock and one seed: a run with the same seed is the same on every machine and with any
//! number of threads.
//!
//! | module | what it models |
//! | --- | --- |
//! | [`setup`] | the plan of a world: nodes, links, hash rates, faults |
//! | [`id`] | the numbers of nodes |
//! | [`world`] | all nodes, and the loop that moves time |
//! | [`change`] | faults and scheduled changes: cuts, resets, stalls, crashes, clocks, joins and leaves |
//! | `node`, `surroundings` | one engine with its shell, and the things outside that it may touch |
//! | [`link`] | one direction of a connection: latency, bandwidth, order |
//! | `gossip` | the mesh in which messages spread |
//! | `storage`, [`disk`] | the queue of writes, and the data that survives a crash |
//! | [`miner`] | the time at which a block is found |
//! | `traffic` | the users who send transactions |
//! | [`clock`] | a node's wall clock |
//! | `size` | the length of messages |
//! | `checks` | the rules without state, applied once for a thousand nodes |
//! | [`metrics`] | counters, and the summary |
//! | `shard`, `wheel`, `threads` | the order of events, on one thread or several |
//! | [`random`] | the only source of chance |
//! | [`mod@reference`] | a second opinion on every block, from the specification alone |
//! | [`judge`] | the properties that every honest node must keep, whatever the faults |
//! | [`adversary`] | nodes that do not keep to the rules of conduct |
//! | [`event_log`] | everything that a node's user may know, for a caller who plays that user |
//!
//! # How time moves
//!
//! Time is counted in whole milliseconds. Every message takes at least one, so within a millisecond nodes cannot hear
//! of each other, and each has its own generator of random numbers: the actions of a node depend on its input, and on
//! nothing else. Input of the same millisecond is ordered by sender, and then by the order of sending. So nodes may be
//! dealt to any number of shards, each with its own thread, that meet after the shortest latency of all links
//! (conservative synchronisation: Chandy and Misra 1979), and the result is the same.
//! # What is deliberately not here
//!
//! Packets, and a transport's answer to their loss: links are streams, so a loss is a stall. Processors: a node
//! computes in no time, but for the few milliseconds of a check or a write. Discovery: links are given, and redialled
//! when they break.

pub mod adversary;
pub mod change;
mod checks;
pub mod clock;
pub mod disk;
pub mod event_log;
mod gossip;
pub mod id;
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
