//! Names for accounts, as this user sees them: the node's own account, its other wallets, and aliases.

use std::collections::BTreeMap;

use crate::node::handle::Handle;
use crate::protocol::Address;
use crate::text::short_address;

/// A name in a column of its own is cut here, in characters.
const NAME_CHARACTERS_MAX: usize = 13;

/// Names for addresses. A snapshot: made again when a name or a wallet changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The node's own account.
    pub me: Address,
    /// The names of other accounts. Of several names of one address, the first in their order.
    pub known: BTreeMap<Address, String>,
}

impl Names {
    /// The current names of the node.
    pub fn of(handle: &Handle) -> Self {
        let mut known = BTreeMap::new();
        for (name, address) in handle.aliases().list() {
            known.entry(address).or_insert(name);
        }
        for wallet in handle.wallets().list().unwrap_or_default() {
            if let Ok((address, _)) = wallet.state {
                known.entry(address).or_insert(wallet.name);
            }
        }
        Self { me: handle.address(), known }
    }

    /// Knows only the owner of this account.
    pub fn only(me: Address) -> Self {
        Self { me, known: BTreeMap::new() }
    }

    /// `0x… (you)`, `0x… (warehouse)`, or the address alone.
    pub fn full(&self, address: &Address) -> String {
        match self.known.get(address) {
            _ if *address == self.me => format!("{address} (you)"),
            Some(name) => format!("{address} ({name})"),
            None => address.to_string(),
        }
    }

    /// `you`, a name, or both ends of the address; fits a column.
    pub fn short(&self, address: &Address) -> String {
        match self.known.get(address) {
            _ if *address == self.me => "you".to_owned(),
            Some(name) if name.chars().count() > NAME_CHARACTERS_MAX => {
                name.chars().take(NAME_CHARACTERS_MAX - 1).chain(['…']).collect()
            }
            Some(name) => name.clone(),
            None => short_address(address),
        }
    }
}
