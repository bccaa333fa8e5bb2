//! A virtual network that drives many engines in virtual time.
//!
//! The same [`Engine`](crate::engine::Engine) as in a real node, unchanged, with virtual links, disks, clocks and
//! miners around it. One thread, no clock, one seed: what happens once, happens again with the same seed.
//!
//! | module | what it stands for |
//! | --- | --- |
//! | [`network`] | links with latency, gossip, requests, and the loop that moves time |
//! | [`disk`] | what survives a crash |
//! | [`random`] | the only source of chance |
//! | [`reference`] | a second opinion on every block, from the specification alone |

pub mod disk;
pub mod network;
pub mod random;
pub mod reference;

#[cfg(test)]
mod tests;
