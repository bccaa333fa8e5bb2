//! Wallets and names.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::words::AddressText;
use crate::node::wallet::{Current, Listed, RecoveryPhrase};
use crate::protocol::Address;

/// A name of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AliasRow {
    /// The name.
    pub name: String,
    /// The address.
    #[schema(value_type = AddressText)]
    pub address: Address,
}

/// A wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WalletRow {
    /// Its name.
    pub name: String,
    /// The account of its key; null if its file can't be read.
    #[schema(value_type = Option<AddressText>)]
    pub address: Option<Address>,
    /// Whether it is the node's own account.
    pub current: bool,
    /// Whether it has a password.
    pub encrypted: bool,
    /// Whether its key is unavailable until it is unlocked.
    pub locked: bool,
    /// The reason why its file can't be read.
    pub problem: Option<String>,
}

impl WalletRow {
    /// A wallet of the folder that is not the one in use.
    pub fn new(listed: &Listed, current: &Current) -> Self {
        if listed.is_current {
            return current.into();
        }
        let (address, encrypted, problem) = match &listed.state {
            Ok((address, encrypted)) => (Some(*address), *encrypted, None),
            Err(error) => (None, false, Some(error.to_string())),
        };
        Self { name: listed.name.clone(), address, current: false, encrypted, locked: encrypted, problem }
    }
}

impl From<&Current> for WalletRow {
    fn from(current: &Current) -> Self {
        Self {
            name: current.name.clone(),
            address: Some(current.address),
            current: true,
            encrypted: current.is_encrypted,
            locked: current.is_locked,
            problem: None,
        }
    }
}

/// A new wallet.
#[derive(Debug, Clone, Serialize)]
pub struct WalletMade {
    /// Its name.
    pub name: String,
    /// The account of its key.
    pub address: Address,
    /// The recovery phrase. Shown once.
    #[serde(serialize_with = "words")]
    pub words: RecoveryPhrase,
}

fn words<S: Serializer>(words: &RecoveryPhrase, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(words.phrase())
}
