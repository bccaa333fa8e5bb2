//! Keys that are safe in files: wallets of the data folder, and the one that the node signs with.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`session`] | the wallet of a running node: locked, unlocked, changed for another |
//! | [`command`] | `quipu wallet …` |
//! | [`words`] | the recovery phrase |
//! | [`password`] | where passwords come from |
//! | [`name`], [`limits`], [`error`] | what a wallet may be called, how much is too much, why it can't be used |
//! | `folder`, `pem`, `foreign` | the files: where they are, what is in ours, what is in those of others |
//!
//! What always holds: a file is written whole or not at all, for its owner alone, and never in the place of another key;
//! no error changes a file. Passwords, phrases, seeds and decrypted bytes are cleared from memory, and nothing prints
//! them but the one who made a phrase, once. A wallet's file is opened only if it is exactly what this program writes.
//!
//! Not here: the node's identity towards peers ([`keys`](super::keys)), which has no password because a node must start
//! without a person; and the commands of the prompt, which call [`session`].

pub mod command;
pub mod error;
mod folder;
pub(in crate::node) mod foreign;
pub mod limits;
pub mod name;
pub mod password;
pub(in crate::node) mod pem;
pub mod session;
pub mod words;

pub use error::{FileProblem, WalletError, WordsError};
pub use name::WalletName;
pub use password::Password;
pub use session::{Current, Listed, Wallets};
pub use words::Words;

#[cfg(test)]
mod tests;
