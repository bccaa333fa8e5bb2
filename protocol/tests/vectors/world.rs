//! The networks, keys and transactions of the vectors.

use quipu_protocol::{
    Action, Address, Amount, Contracts, Millis, Network, OpeningBalance, Parameters, SecretKey, SignedTransaction,
    Target, Transaction,
};

/// The presets, and three more: `knots` has every parameter in use and costs about 32 hashes a block; in `riches`
/// a block creates as many coins as 64 bits hold; in `heirs` three accounts own coins before the first block.
pub(crate) fn parameters() -> Vec<Parameters> {
    let knots = Parameters {
        name: "knots".to_owned(),
        easiest_target: Target(0x2007_ffff),
        fee_min: Amount::from_units(1000),
        block_bytes_max: 16 << 10,
        contracts: None,
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
    let opening = |seed, units| OpeningBalance { address: address(seed), amount: Amount::from_units(units) };
    let mut opening_balances = vec![opening(2, 700_000_000), opening(3, u64::MAX), opening(4, 1)];
    opening_balances.sort_by_key(|opening| opening.address);
    let heirs = Parameters {
        name: "heirs".to_owned(),
        opening_balances,
        contracts: Some(Contracts { block_gas: 100_000, transaction_gas: 50_000, chain_id: 1337 }),
        ..Parameters::dev()
    };
    vec![Parameters::lan(), Parameters::class(), Parameters::dev(), knots, riches, heirs]
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
