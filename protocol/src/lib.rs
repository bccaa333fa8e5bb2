//! The agreement between quipu peers: types, their bytes, hashes, rules and wire messages.
//!
//! Everything here is a pure function of its arguments. There is no I/O, no clock, no randomness, no
//! thread and no async in this crate, so two nodes that run it on the same bytes always agree. The specification is
//! `README.md` beside this crate, written so that another team can implement it; its rule numbers R1, R2, … are those
//! of [`Violation`]. The cases in `vectors/` are in a form that other languages can read.
//!
//! Read in this order:
//!
//! | module | what it fixes |
//! | --- | --- |
//! | [`encode`] | the encoding of values, and the bytes that it refuses |
//! | [`hash`] | identifiers, tagged hashes |
//! | [`amount`], [`time`] | units |
//! | [`work`] | targets, accumulated work, the retargeting rule |
//! | [`merkle`] | the commitment to a list of leaves |
//! | [`account`] | keys, signatures, addresses |
//! | [`transaction`], [`block`] | the content of the chain |
//! | [`history`] | the commitment to all ancestors of a block |
//! | [`network`] | the parameters of a network and its genesis block |
//! | [`check`] | the rules that need no state, and the types that prove they were applied |
//! | [`ledger`] | the rules that need the accounts: connect a block, undo it |
//! | [`message`], [`bundle`] | the messages between peers |
//! | [`compact`] | new blocks announced in a fraction of their bytes |
//! | [`violation`] | one variant for each rule |
//! | [`record`] | the meaning of records' data: a convention, not a rule |
//! | [`harmless`] | which characters of foreign text are never shown as they are |
//! | [`receipt`] | a file that proves a transaction to people without a node |

#![deny(missing_docs)]

pub mod account;
pub mod amount;
pub mod block;
pub mod bundle;
pub mod check;
pub mod compact;
pub mod encode;
pub mod harmless;
pub mod hash;
pub mod history;
pub mod ledger;
pub mod merkle;
pub mod message;
pub mod network;
pub mod receipt;
pub mod record;
pub mod time;
pub mod transaction;
pub mod violation;
pub mod work;

pub use account::{Address, AddressError, PublicKey, SecretKey, Signature};
pub use amount::{Amount, AmountError, Wei};
pub use block::{Block, Body, Context, Header, Height, Reward};
pub use bundle::Bundle;
pub use check::{CheckedBlock, CheckedBody, CheckedTransaction};
pub use compact::{Announcement, CompactBlock};
pub use encode::{DecodeError, List};
pub use hash::{BlockId, HistoryHash, LeafHash, OutcomeHash, TransactionId};
pub use history::{HistoryNode, Peaks};
pub use ledger::{Account, Delta, Ledger};
pub use message::{Request, Response, Status};
pub use network::{Contracts, Network, OpeningBalance, Parameters};
pub use receipt::{Proof, Receipt, ReceiptError};
pub use record::{Content, Record, RecordError, Tag, TagError};
pub use time::{Millis, UnixMillis};
pub use transaction::{Action, SignedTransaction, Transaction};
pub use violation::{Blame, Violation};
pub use work::{Target, Work};
