//! The questions of a node's user and their answers, as plain data.
//!
//! The prompt and HTTP are two faces over this module: they read arguments and show answers, and never import each
//! other. Code that both need is here, so an answer has the same shape in both.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`parse`] | the meaning of a value, or what to write instead |
//! | [`query`] | users' names for an account, a block, a transaction, a part of a list |
//! | `lookup` | the things behind those names |
//! | `walk`, `mined` | the blocks of a list, the transactions of the chain |
//! | `queries` | answers that need no engine: peers, status, records |
//! | `search` | what a text names, in whole or in part |
//! | `again` | a lost transaction, signed once more |
//! | [`rows`] | the answers |
//! | [`event`] | events |
//! | [`error`] | refusals: a stable code and a line for people |
//! | [`names`] | names of accounts |
//! | [`backup`] | a copy of the data folder |
//! | `export`, [`receipt`] | the chain, and the proof of a transaction, in files |
//!
//! Not here: the look of an answer, and the questions that each front end allows.

pub(super) mod again;
pub mod backup;
pub mod error;
pub mod event;
pub(super) mod export;
pub(super) mod lookup;
pub(super) mod mined;
pub mod names;
pub mod parse;
pub mod peer_address;
pub mod proven;
pub(super) mod queries;
pub mod query;
pub mod receipt;
pub mod rows;
pub(super) mod search;
pub(super) mod walk;
