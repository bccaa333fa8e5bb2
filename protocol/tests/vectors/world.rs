//! The networks, keys and transactions of the vectors.

use quipu_protocol::{
    Action, Address, Amount, Millis, Network, Parameters, SecretKey, SignedTransaction, Target, Transaction,
};

/// The presets, and two more: `knots` has every parameter in use and costs about 32 hashes a block; in `riches`
/// a block creates as many coins as 64 bits hold.
pub(crate) fn parameters() -> Vec<Parameters> {
    let knots = Parameters {
        name: "knots".to_owned(),
        easiest_target: Target(0x2007_ffff),
        fee_min: Amount::from_units(1000),
        block_bytes_max: 16 << 10,
        ..Parameters::lan()
    };
    let riches = Parameters {
        name: "riches".to_owned(),
        half_life: Millis(0),
        easiest_target: Target(0x2100_ffff),
        subsidy: Amount::MAX,
        block_bytes_max: 4 << 20,
        ..Parameters::lan()
    };
    vec![Parameters::lan(), Parameters::dev(), knots, riches]
}

pub(crate) fn network(name: &str) -> Network {
    let parameters = parameters().into_iter().find(|parameters| parameters.name == name);
    Network::new(parameters.expect("one of ours")).expect("valid parameters")
}

/// The key whose seed is 32 times this byte.
pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

pub(crate) fn address(seed: u8) -> Address {
    key(seed).public_key().address()
}

pub(crate) fn sign(network: &Network, seed: u8, nonce: u64, fee: u64, action: Action) -> SignedTransaction {
    let key = key(seed);
    let transaction = Transaction { sender: key.public_key(), nonce, fee: Amount::from_units(fee), action };
    transaction.sign(&network.genesis_id(), &key)
}

pub(crate) fn transfer(to: u8, units: u64) -> Action {
    Action::Transfer { to: address(to), amount: Amount::from_units(units) }
}

/// A record of that many full stops.
pub(crate) fn record(length: usize) -> Action {
    Action::Record { data: vec![b'.'; length].into() }
}
