//! Bytes from peers, and the rules that are applied to them: no input panics, a value has one encoding, and the
//! reference model agrees.

use std::sync::{Arc, OnceLock};

use quipu::protocol::block::VERSION;
use quipu::protocol::bundle::{BUNDLE_BYTES_MAX, BUNDLE_TRANSACTIONS_MAX};
use quipu::protocol::check::{
    Parent, TRANSACTION_BYTES_MAX, check_block, check_header, check_header_in_context, check_transaction,
};
use quipu::protocol::encode::{decode, encode};
use quipu::protocol::message::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use quipu::protocol::network::BLOCK_BYTES_LIMIT;
use quipu::protocol::{
    Announcement, Block, Bundle, Header, Ledger, Network, Request, Response, SignedTransaction, UnixMillis, Violation,
};
use quipu::sim::reference::forge::Forge;
use quipu::sim::reference::{Model, Refused};

fn network() -> &'static Arc<Network> {
    static NETWORK: OnceLock<Arc<Network>> = OnceLock::new();
    NETWORK.get_or_init(|| Arc::new(Network::new(Forge::parameters()).expect("valid parameters")))
}

/// A block as it is, and as it would be with its work done.
pub(crate) fn blocks(data: &[u8]) {
    judge(data);
    let Ok(mut block) = decode::<Block>(data, BLOCK_BYTES_LIMIT) else { return };
    assert_eq!(encode(&block), data, "a value has one encoding");
    let genesis = network().genesis().header;
    let header = &mut block.header;
    (header.version, header.height, header.parent) = (VERSION, genesis.height.next(), genesis.id());
    header.timestamp = UnixMillis(genesis.timestamp.0 + header.timestamp.0 % 100_000);
    header.target = Parent::genesis(network()).target_after(header.timestamp, network());
    header.root = block.body.root();
    while check_header(&block.header, network()).is_err() {
        block.header.nonce = block.header.nonce.wrapping_add(1);
    }
    judge(&encode(&block));
}

/// Compares the crate and the model on a block that may follow genesis.
fn judge(data: &[u8]) {
    let expected = by_the_crate(data).map_err(|violation| Refused::Rule(violation.rule()));
    let found = Model::new(network().parameters()).offer(data, UnixMillis(u64::MAX)).map(|_| ());
    // The genesis block's header is known already, whatever the body is.
    let is_header_known = data.get(4..12) == Some(&[0; 8]) && found.is_ok();
    if found != Err(Refused::NoParent) && !is_header_known {
        assert_eq!(found, expected, "the model disagrees");
    }
}

fn by_the_crate(data: &[u8]) -> Result<(), Violation> {
    let block: Block = decode(data, BLOCK_BYTES_LIMIT)?;
    check_header(&block.header, network())?;
    check_header_in_context(&block.header, &Parent::genesis(network()), network())?;
    let checked = check_block(block, network())?;
    Ledger::opening(network()).connect(&checked, network()).map(|_| ())
}

/// An announcement of a block, and transactions that fit it.
pub(crate) fn announcements(data: &[u8]) {
    let Ok(announcement) = decode::<Announcement>(data, BLOCK_BYTES_LIMIT + 4) else { return };
    assert_eq!(encode(&announcement), data, "a value has one encoding");
    if let Announcement::Compact(compact) = announcement {
        assert_eq!(compact.length() + 4, data.len());
        let found = compact.find(&[]);
        assert!(found.len() == compact.count() && found.iter().all(Option::is_none));
        assert!(compact.fits(&[], &[]));
    }
}

pub(crate) fn transactions(data: &[u8]) {
    let Ok(signed) = decode::<SignedTransaction>(data, TRANSACTION_BYTES_MAX) else { return };
    assert_eq!(encode(&signed), data, "a value has one encoding");
    if let Ok(checked) = check_transaction(signed.clone(), network()) {
        assert_eq!(checked.id(), signed.transaction.id(&network().genesis_id()));
    }
}

/// A message of the topic of transactions.
pub(crate) fn bundles(data: &[u8]) {
    let Ok(bundle) = decode::<Bundle>(data, BUNDLE_BYTES_MAX) else { return };
    assert_eq!(encode(&bundle), data, "a value has one encoding");
    assert_eq!(bundle.length(), data.len());
    assert!((1..=BUNDLE_TRANSACTIONS_MAX).contains(&bundle.len()), "{} transactions", bundle.len());
    assert_eq!(Bundle::pack(bundle.iter().cloned()), [bundle]);
}

/// Two headers, one after the other.
pub(crate) fn headers(data: &[u8]) {
    let (first, second) = data.split_at(data.len().min(96));
    let Ok(parent) = decode::<Header>(first, 96) else { return };
    assert_eq!(parent.to_bytes(), *first, "a value has one encoding");
    // The verdicts are ignored: the checks only must not panic.
    let _refused = check_header(&parent, network()).is_err();
    if parent.target.expand().is_some()
        && let Ok(header) = decode::<Header>(second, 96)
    {
        let _refused = check_header_in_context(&header, &Parent::genesis(network()).child(&parent), network()).is_err();
    }
}

pub(crate) fn requests(data: &[u8]) {
    if let Ok(request) = decode::<Request>(data, REQUEST_BYTES_MAX) {
        assert_eq!(encode(&request), data, "a value has one encoding");
    }
}

pub(crate) fn responses(data: &[u8]) {
    let Ok(response) = decode::<Response>(data, RESPONSE_BYTES_MAX) else { return };
    assert_eq!(encode(&response), data, "a value has one encoding");
    if let Response::Status(status) = &response {
        assert!(!status.nickname().contains(char::is_control), "a nickname is fit for a terminal");
    }
}
