//! `quipu wallet sign`: signs a prepared transaction where the wallet is, for a node or a page that has no key.
//!
//! It signs nothing but transactions, and describes the transaction before it asks for a password, and together with the
//! signature.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;

use super::open;
use super::outcome::{WalletOutcome, description};
use crate::files::open_or_pipe;
use crate::node::api::rows::TransactionRow;
use crate::node::wallet::WalletError;
use crate::node::wallet::folder::{Folder, unusable};
use crate::node::wallet::password::Sources;
use crate::protocol::{SecretKey, Signature, SignedTransaction, Transaction};
use crate::text::bytes_without_mark;

/// The longest prepared transaction, in bytes.
const BYTES_MAX: u64 = 8 * 1024;

/// `wallet sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// The wallet that signs
    #[arg(value_name = "WALLET")]
    which: String,
    /// The bytes to sign, as the page saves them or `POST /api/v1/transactions/prepare` gives them (there in hex)
    #[arg(value_name = "FILE")]
    prepared: PathBuf,
}

pub(super) fn run(folder: &Folder, sign: &Sign, passwords: &Sources) -> Result<WalletOutcome, WalletError> {
    let name = folder.find(&sign.which.parse()?)?;
    let wallet = folder.read(&name)?;
    let mut content = Vec::new();
    let read = open_or_pipe(&sign.prepared).and_then(|file| file.take(2 * BYTES_MAX + 2).read_to_end(&mut content));
    read.map_err(|source| unusable("read", &sign.prepared, source))?;
    let text = std::str::from_utf8(bytes_without_mark(&content));
    let bytes = text.ok().and_then(|text| hex::decode(text.trim()).ok()).unwrap_or(content);
    let problem = || WalletError::NotATransaction { file: sign.prepared.clone() };
    let (genesis, transaction) = Transaction::from_signing_bytes(&bytes).map_err(|_| problem())?;
    if transaction.sender != wallet.public_key() {
        let sender = transaction.sender.address();
        return Err(WalletError::OtherSender { name: name.to_string(), sender });
    }
    let id = transaction.id(&genesis);
    let mut signed = SignedTransaction { transaction, signature: Signature::Ed25519([0; 64]) };
    let summary = TransactionRow::new(&signed, id, wallet.address());
    let said = description(&name, &genesis, &summary);
    let (seed, _) = open(folder, &name, &wallet, passwords, &said)?;
    signed.signature = SecretKey::from_seed(*seed).sign(&bytes);
    let Signature::Ed25519(signature) = signed.signature;
    Ok(WalletOutcome::Signed { name, genesis, summary: Box::new(summary), signature: hex::encode(signature) })
}
