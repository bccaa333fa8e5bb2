//! Keys in files: the wallets of the data folder, and the one that the node signs with.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`session`] | the wallet of a running node: lock, unlock, switch |
//! | [`words`] | the recovery phrase |
//! | [`password`] | passwords and their sources |
//! | [`name`], [`limits`], [`error`] | names of wallets, limits, errors |
//! | `folder`, `pem`, `foreign` | the files: their places, our format, formats of other programs |
//! | `wiped` | a stack without copies of secrets |
//!
//! Always true: a file is written whole or not at all, for its owner alone, and never in the place of another key; no
//! error changes a file. Passwords, phrases, seeds and decrypted bytes are cleared from memory, and never printed,
//! except that a new phrase is shown once. A wallet's file is opened only if it is exactly as this program writes it.
//!
//! Not here: the node's identity towards peers ([`keys`](super::keys)), which has no password because a node must start
//! without a person; and the commands of the prompt, which call [`session`].

pub mod error;
pub(crate) mod folder;
pub(crate) mod foreign;
pub mod limits;
pub mod name;
pub mod password;
pub(crate) mod pem;
pub mod session;
pub(crate) mod wiped;
pub mod words;

pub use error::{FileProblem, WalletError, WordsError};
pub use name::WalletName;
pub use password::Password;
pub use session::{Current, Listed, Wallets};
pub use words::RecoveryPhrase;

#[cfg(test)]
mod tests;
