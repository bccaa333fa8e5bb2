//! What a user of a node may ask and what they are told, as plain data.
//!
//! The prompt and HTTP are two faces over this room: they read arguments and show answers, and never import each other.
//! What two of them need is here, so an answer has one shape, whoever asks.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`parse`] | what a value means, or what to write instead |
//! | [`query`] | what a user names: an account, a block, a transaction, a part of a list |
//! | `lookup` | finds what is named |
//! | `queries` | answers that need no engine: peers, status, records |
//! | [`rows`] | the answers |
//! | [`event`] | what happens |
//! | [`error`] | why something is refused: a stable code and a line for people |
//! | [`names`] | what accounts are called |
//! | `export`, [`receipt`] | the chain, and the proof of a transaction, in files |
//!
//! Not here: how an answer looks, and which front end may ask what.

pub mod error;
pub mod event;
pub(super) mod export;
pub(super) mod lookup;
pub mod names;
pub mod parse;
pub(super) mod queries;
pub mod query;
pub mod receipt;
pub mod rows;
