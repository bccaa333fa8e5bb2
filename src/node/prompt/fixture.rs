//! Plain data for the tests of the prompt.

use crate::engine::View;
use crate::engine::event::{MiningMode, Place};
use crate::engine::view::{MiningView, SyncView};
use crate::node::api::names::Names;
use crate::node::api::rows::Identity;
use crate::node::wallet::Current;
use crate::protocol::{
    Action, Address, Amount, Block, BlockId, Body, Header, Height, Network, Parameters, Reward, SecretKey,
    SignedTransaction, Transaction, UnixMillis, Work,
};

pub(super) fn network() -> Network {
    Network::new(Parameters::dev()).expect("a preset is valid")
}

pub(super) fn key() -> SecretKey {
    SecretKey::from_seed([7; 32])
}

pub(super) fn me() -> Address {
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse().expect("valid")
}

pub(super) fn identity() -> Identity {
    let keypair = libp2p::identity::Keypair::ed25519_from_bytes([7; 32]).expect("32 bytes");
    Identity {
        name: "lab2".to_owned(),
        peer_id: keypair.public().to_peer_id(),
        names: Names::only(me()),
        network: "dev".to_owned(),
        genesis: network().genesis_id(),
        finds_peers: true,
    }
}

pub(super) fn wallet() -> Current {
    Current { name: "default".to_owned(), address: me(), is_encrypted: true, is_locked: true, locks_at: None }
}

pub(super) fn view() -> View {
    View {
        batch: 0,
        tip: Place { height: Height(7), id: BlockId([0xab; 32]) },
        work: Work(u128::MAX),
        tip_timestamp: UnixMillis(1_000),
        account: me(),
        balance: Amount::from_units(250_000_000).into(),
        pending: 2,
        checkpoint: None,
        pool_price: Default::default(),
        mining: MiningView { mode: MiningMode::On, hash_rate: 4_150_000, job: Some((1, 5)), waits_for: None },
        syncing: Some(SyncView { height: Height(12_000), target: Height(20_000) }),
        is_fetching: true,
        peers: Vec::new(),
    }
}

/// A reward, a transfer, a text and bytes that are no text.
pub(super) fn block() -> Block {
    let (network, key) = (network(), key());
    let sign = |nonce, fee, action| -> SignedTransaction {
        let transaction = Transaction { sender: key.public_key(), nonce, fee: Amount::from_units(fee), action };
        transaction.sign(&network.genesis_id(), &key)
    };
    let record = |data: &[u8]| Action::Record { data: data.to_vec().into() };
    let transfer = Action::Transfer { to: me(), amount: Amount::from_units(250_000_000) };
    let transactions =
        vec![sign(0, 25_000_000, transfer), sign(1, 0, record(b"p \"7\"")), sign(2, 0, record(&[0xff, 0]))];
    let body = Body {
        context: network.genesis().body.context,
        reward: Reward { to: me(), amount: Amount::from_units(125_000_000) },
        transactions: transactions.into(),
    };
    let header = Header {
        version: crate::protocol::block::VERSION,
        height: Height(1),
        parent: network.genesis_id(),
        root: body.root(),
        timestamp: network.genesis().header.timestamp,
        target: network.parameters().easiest_target,
        nonce: u64::MAX,
    };
    Block { header, body }
}
