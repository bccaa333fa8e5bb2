//! quipu is a peer-to-peer ledger node: several on a network find each other and agree on one tamper-evident chain of
//! signed transactions. This page is the map of its code; `docs/architecture.md` has a picture, the way of a block and
//! of a transaction hop by hop, and a table of where things are.
//!
//! # The parts, and who may import whom
//!
//! ```text
//!   protocol  <-  engine  <-  sim     a virtual network that drives many engines in virtual time
//!                         <-  node    the real thing: sockets, files, threads, clocks, the prompt
//!   sim  <-  simulate                 the command that runs scenarios, with summaries and reports
//!   sim, node  <-  rehearsal          real prompts over a virtual network, for scenario scripts
//!   simulate, node  <-  cli           the programs of the command line: they start nodes and simulations
//! ```
//!
//! - [`protocol`] (a crate of its own, `protocol/`) is the agreement between peers: types, their bytes, the rules of
//!   blocks and transactions, wire messages. Pure functions. Its README is the specification.
//! - [`engine`] is the node's brain. One function, [`Engine::handle`](engine::Engine::handle), takes an event (a
//!   message came, a check is done, time has passed) and returns effects (ask a peer, write a batch, answer the user).
//!   It alone decides which chain is best, which transactions wait to be mined, what to fetch from which peer, and
//!   which peer to cut off.
//! - [`sim`] surrounds many engines with virtual links, disks and clocks, from one seed.
//! - [`node`] surrounds one engine with the real world. Its parts are thin: they carry out effects and report events.
//! - [`simulate`] is `quipu simulate`: scenario files, a summary, a report with charts.
//! - [`cli`] holds the programs of the command line: arguments, `quipu`, `quipu wallet`, `quipu verify`. It starts
//!   nodes and simulations; `main` calls it.
//! - [`rehearsal`] puts the prompt, the store and the wallets of `node` in front of engines in a world of `sim`. Only
//!   tests import it.
//! - [`output`], [`text`] and [`random`] are leaves that any of these may use. Only `output` writes to stdout and stderr.
//!
//! The engine knows no clock, no file, no thread and no network; `sim` and `node` never see each other. The compiler
//! enforces this: the feature `node` (on by default) brings tokio, libp2p and redb, and
//! `cargo test --no-default-features` builds and tests all the rest without them. `tests/imports.rs` enforces the rest.
//!
//! # Follow a block
//!
//! ```text
//!   a peer ── gossip ──> node::swarm ── Event::Gossip ──> engine            header known? parent? time? work?
//!                                                           │ by short ids: its transactions are in the memory pool, or
//!                                                           │ pulled; their signatures were checked there
//!                                                           │ whole: Effect::Check
//!   node::checker (all cores: root, signatures) <───────────┘
//!            └── Event::BlocksChecked ──> engine ──> chain::advance         nonces, balances, reward; reorganise
//!                                                      │ Effect::Peer, a verdict ──> swarm passes it on
//!                                                      │ Effect::User, a notice ──> the prompt, http
//!                                                      └ Effect::Store ──> node::store, one commit for all that waits
//!                                                        node::index follows the commits: where is which record?
//! ```
//!
//! Each arrow goes one way. Queues between the parts are bounded, or hold at most one answer for each question; no two
//! loops wait for each other.
//!
//! # What always holds
//!
//! - **Acknowledged changes are durable.** Answers to the node's user, and messages that show peers a transaction of
//!   that user, wait for the disk in one place, `src/engine/release.rs`. Nothing else waits: a shown block may be gone
//!   after a power cut, and comes back from peers. `src/sim/storage.rs` crashes virtual disks,
//!   `src/node/store/faults.rs` cuts the power of real files.
//! - **A tip is only replaced by one with more work**, and a reorganisation is seen, and written, as one step.
//! - **Checked values have types that only the checks make**
//!   ([`CheckedBlock`](protocol::CheckedBlock), [`CheckedTransaction`](protocol::CheckedTransaction)).
//! - **Nothing is forwarded before it was judged**, so a peer that forwards something invalid is at fault.
//! - **Nothing waits for ever.** Requests are derived from the state after every event; a lost answer heals by its
//!   deadline, lost gossip by the next status exchange.
//! - **Every container has a bound**, a named constant with its unit at the end of its name and its eviction beside it.
//!
//! # What is deliberately not here
//!
//! No smart contracts, no consensus but proof of work, no peer discovery beyond the LAN, the peers one names and those
//! one has met. No trait that only one type implements. Threads talk through queues; beside those they share published
//! values (such as the view) and small tables of the shell (such as aliases and watched transactions), each behind one
//! lock that is held for moments. The panic hook and the log are the only global state.

// All output is checked: see `output`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub use quipu_protocol as protocol;

#[cfg(feature = "node")]
pub mod cli;
#[deny(missing_docs)]
pub mod engine;
#[cfg(feature = "node")]
pub(crate) mod files;
#[cfg(test)]
mod logged;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "node")]
pub mod output;
pub mod random;
#[cfg(feature = "node")]
pub mod rehearsal;
#[deny(missing_docs)]
pub mod sim;
#[cfg(feature = "node")]
pub mod simulate;
#[cfg(feature = "node")]
pub mod text;
