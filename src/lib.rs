//! quipu: a peer-to-peer ledger node.

pub use quipu_protocol as protocol;

pub mod engine;
pub mod sim;
