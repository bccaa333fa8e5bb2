//! The only place that knows tokio, libp2p, redb, files, threads and clocks.

#[cfg(test)]
pub(crate) mod fixture;
pub mod store;
pub mod thread;
