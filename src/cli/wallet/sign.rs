//! `quipu wallet sign`: signs a prepared transaction where the wallet is, for a node or a page that has no key.
//!
//! It signs nothing but transactions, and describes the transaction before it asks for a password, and together with the
//! signature. Given the saved answer of `POST /api/v1/transactions/prepare`, its output is the body of
//! `POST /api/v1/transactions`, and the description goes to stderr.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::open;
use super::outcome::{WalletOutcome, description};
use crate::files::open_or_pipe;
use crate::node::api::rows::TransactionRow;
use crate::node::wallet::WalletError;
use crate::node::wallet::folder::{Folder, unusable};
use crate::node::wallet::password::Sources;
use crate::output;
use crate::protocol::encode::encode;
use crate::protocol::{SecretKey, Signature, SignedTransaction, Transaction};
use crate::text::bytes_without_mark;

/// The longest file, in bytes: a saved answer has the longest transaction three times, once with escapes.
const BYTES_MAX: u64 = 128 << 10;

/// `wallet sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// The wallet that signs
    #[arg(value_name = "WALLET")]
    which: String,
    /// The saved answer of `POST /api/v1/transactions/prepare`: prints the JSON to submit. Or the bytes to sign alone, as they
    /// are or in hex
    #[arg(value_name = "FILE")]
    prepared: PathBuf,
}

/// What the file needs of a saved answer. All else in it follows from these bytes.
#[derive(Deserialize)]
struct Saved {
    signing_bytes: String,
}

/// The body of `POST /api/v1/transactions`.
#[derive(Debug, Serialize)]
pub struct SubmitBody {
    /// The encoded transaction without its signature, in hex.
    pub transaction: String,
    /// 128 hex digits.
    pub signature: String,
}

pub(super) fn run(folder: &Folder, sign: &Sign, passwords: &Sources) -> Result<WalletOutcome, WalletError> {
    let name = folder.find(&sign.which.parse()?)?;
    let wallet = folder.read(&name)?;
    let mut content = Vec::new();
    let read = open_or_pipe(&sign.prepared).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut content));
    read.map_err(|source| unusable("read", &sign.prepared, source))?;
    let text = std::str::from_utf8(bytes_without_mark(&content)).unwrap_or_default().trim();
    let saved: Option<Saved> = serde_json::from_str(text).ok();
    let digits = saved.as_ref().map_or(text, |saved| &saved.signing_bytes);
    let bytes = hex::decode(digits).unwrap_or(content.clone());
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
    if saved.is_some() && !wallet.is_encrypted() {
        // stdout is for the body; and nobody was asked.
        output::show(&said);
    }
    signed.signature = SecretKey::from_seed(*seed).sign(&bytes);
    let Signature::Ed25519(signature) = signed.signature;
    let submit =
        SubmitBody { transaction: hex::encode(encode(&signed.transaction)), signature: hex::encode(signature) };
    Ok(WalletOutcome::Signed { name, genesis, summary: Box::new(summary), submit, is_saved: saved.is_some() })
}
