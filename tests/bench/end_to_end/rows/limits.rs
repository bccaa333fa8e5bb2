//! The bare limits by themselves. Where they are compared with a node, they are measured again beside it.

use anyhow::Result;
use quipu::protocol::hash::sha256;
use quipu::protocol::{Action, Address, Amount, Network, Parameters, SecretKey, SignedTransaction, Transaction};

use crate::Context;
use crate::figure::FigureRow;
use crate::limits::append::append;
use crate::limits::request_response::PieceServer;
use crate::limits::signatures::Signatures;
use crate::process::folder;

pub(super) const NAME: &str = "limits";
/// A piece of a chain, as long as nodes request.
const PIECE_BYTES: u64 = 2 << 20;
/// A small transaction with its place in a journal.
const RECORD_BYTES: usize = 200;

pub(super) fn run(context: &mut Context) -> Result<Vec<FigureRow>> {
    let pieces = context.size(500, 20) as u64;
    let mut server = PieceServer::start();
    server.fetch(pieces / 10, PIECE_BYTES);
    let fetched = (pieces * PIECE_BYTES) as f64 / server.fetch(pieces, PIECE_BYTES).as_secs_f64() / 1e6;

    let transfers = transfers(context.size(32_768, 1_024));
    let network = Network::new(Parameters::dev())?;
    let signatures = Signatures::of(&transfers, &network.genesis_id());
    let verified = signatures.len() as f64 / signatures.verify().as_secs_f64();

    let records = context.size(2_000, 100);
    let appended = records as f64 / append(folder().path(), records, RECORD_BYTES).as_secs_f64();
    Ok(vec![
        FigureRow::new(NAME, "request-response, pieces of 2 MiB one after the other", fetched, "MB/s"),
        FigureRow::new(NAME, "Ed25519 in batches of 256, all cores", verified, "/s"),
        FigureRow::new(NAME, "appends of 200 bytes, each with fdatasync", appended, "/s"),
    ])
}

/// Transfers from as many accounts.
fn transfers(count: usize) -> Vec<SignedTransaction> {
    let network = Network::new(Parameters::dev()).expect("a preset is valid");
    let one = |number: usize| {
        let key = SecretKey::from_seed(sha256(&[&number.to_le_bytes()]));
        let action = Action::Transfer { to: Address([9; 20]), amount: Amount::COIN };
        let transaction = Transaction { sender: key.public_key(), nonce: 0, fee: Amount::ZERO, action };
        transaction.sign(&network.genesis_id(), &key)
    };
    (0..count).map(one).collect()
}
