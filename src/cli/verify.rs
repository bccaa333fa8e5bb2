//! `quipu verify`: says what a receipt proves, or why it proves nothing. Needs no node and no network, unless the user
//! wants a node's answer as well.
//!
//! | exit status | |
//! | --- | --- |
//! | 0 | proven, with everything that was asked for |
//! | 1 | refuted: the receipt is wrong, or the file, the witness or the chain contradicts it |
//! | 2 | unreadable: the receipt or the file can't be read, the node can't be asked, or the result can't be written; undecided: a witness is missing |
//!
//! # JSON
//!
//! With `--json`, one line on stdout:
//!
//! ```json
//! {"ok":true,"command":"verify","result":{…}}
//! {"ok":false,"command":"verify","error":{"verdict":"refuted","code":"signature","message":"…"}}
//! ```
//!
//! `verdict` is `refuted`, `unreadable` or `undecided`. Codes are the reasons of the protocol's README, section 17, and
//! `not_built_in`, `other_network`, `no_record`, `other_file`, `needs_witness`, `not_witnessed`, `not_best`, `io_error`,
//! `cannot_ask`.
//! The result is
//! `{network: {name, genesis, built_in}, transaction: {id, sender, nonce, fee, type, to, amount}, record, block: {height,
//! id, time}, form, parent_time, earliest, latest, confirmations, work, tip: {height, id, time}, hash_rate, seconds, file,
//! witness, node}`:
//!
//! - `record` is null for a transfer, else `{tags, content_hash}` and one of `text`, `file: {sha256, name, size}`, `json`
//!   (the JSON as it was typed, in a string) and `hex`; `to` and `amount` are null for a record;
//! - `form` is `full`, `sampled` or `witnessed`; `parent_time` is null in the last one;
//! - times are Unix milliseconds, `latest` is null if no block follows; amounts and `work` are decimal strings;
//! - `hash_rate` is this machine's, in hashes per second, `seconds` what it would need for `work`;
//! - `file` is true if a file was given, for then it is the recorded one, else null; `witness` is null or the `{height,
//!   id}` of the block that was witnessed; `node` is null or `{height}` of the chain that has the block.

mod ask;
mod report;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use serde_json::json;
use sha2::{Digest, Sha256};

pub use self::ask::AskError;
use self::ask::{Whom, ask};
use self::report::Report;
use super::invocation::{ConfigError, default_folder};
use crate::engine::event::Place as BlockPlace;
use crate::files::{fingerprint, open_or_pipe, read_text};
use crate::node::api::peer_address::peer_address;
use crate::node::api::proven::is_built_in;
use crate::node::miner::measure_rate;
use crate::output;
use crate::protocol::receipt::{Form, Proof, RECEIPT_BYTES_MAX, Receipt, ReceiptError};
use crate::protocol::transaction::RECORD_BYTES_MAX;
use crate::protocol::{BlockId, Content, Height, Network};
use crate::text::bytes_without_mark;

/// How long the hash rate is measured.
const RATE_TIME: Duration = Duration::from_millis(5);

const PROVEN: u8 = 0;
const REFUTED: u8 = 1;
const UNREADABLE: u8 = 2;

/// The receipt, and everything to compare it with.
#[derive(Debug, clap::Args)]
pub struct VerifyArguments {
    /// The receipt, as the command `receipt` wrote it
    #[arg(value_name = "RECEIPT")]
    pub receipt: PathBuf,

    /// A file that must be the recorded one; of a recorded text, a file that holds just that text
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// A published block id: the receipt must contain it, as the block itself or one on top of it. A receipt of the form
    /// `witnessed` needs it
    #[arg(long, value_name = "ID")]
    pub witness: Option<BlockId>,

    /// Also ask whether the block is on the best chain: the node of the data folder, or the one at an address
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, value_parser = peer_address)]
    pub node: Option<Option<Multiaddr>>,
}

/// The surroundings of the command.
#[derive(Debug, Clone, Copy)]
pub struct VerifyContext<'a> {
    /// The folder of the node to ask; `None`: that of a node of the receipt's network.
    pub data_dir: Option<&'a Path>,
    /// The name of that node, if it has one.
    pub name: Option<&'a str>,
    /// The network that the receipt must be of, if one was named.
    pub network: Option<&'a Arc<Network>>,
}

/// The reason why it is not proven, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The receipt itself.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// There is no folder to look for a node in.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file can't be read.
    #[error("{} cannot be read: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    /// A network with the name of a built-in one.
    #[error("the receipt is of a network that calls itself {name}, but is not the built-in one")]
    NotBuiltIn { name: String },
    /// Another network than was named.
    #[error("the receipt is of network {found}, not of {wanted}")]
    OtherNetwork {
        /// Name and tag of the receipt's network.
        found: String,
        /// Name and tag of the requested network.
        wanted: String,
    },
    /// A file was given for a transfer.
    #[error("the transaction is a transfer: it records nothing that a file could be")]
    NoRecord,
    /// The file is another one.
    #[error("{} is not what was recorded: its SHA-256 is {found}, the recorded one {recorded}", file.display())]
    OtherFile {
        file: PathBuf,
        /// The hash of the file.
        found: String,
        /// The hash in the record.
        recorded: String,
    },
    /// The receipt shows no work, and nothing else speaks for its last block.
    #[error(
        "the receipt holds, and shows no work: it proves that block {height} is on the chain only to those who know its last \
         block from elsewhere. Give that block's id, as it was published, with --witness ID, or ask a node with --node"
    )]
    NeedsWitness {
        /// The height of the transaction's block.
        height: Height,
    },
    /// A witnessed block is not in the receipt.
    #[error(
        "block {id} witnesses nothing here: it is none of the blocks that the receipt shows from the transaction's on, or, where \
         no work is shown, not the last one"
    )]
    NotWitnessed {
        /// The published id.
        id: BlockId,
    },
    /// The asked chain has other blocks.
    #[error("{}", not_best(*height, *tip))]
    NotBest {
        /// The height of the block.
        height: Height,
        /// The height of the chain.
        tip: Height,
    },
    /// The chain could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
}

fn not_best(height: Height, tip: Height) -> String {
    let why = if tip < height { "it is not there yet, or was replaced" } else { "it was replaced" };
    format!("block {height} is not in the best chain of that node (its height is {tip}): {why} by a reorganisation")
}

impl VerifyError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Receipt(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Io { .. } => "io_error",
            Self::NotBuiltIn { .. } => "not_built_in",
            Self::OtherNetwork { .. } => "other_network",
            Self::NoRecord => "no_record",
            Self::OtherFile { .. } => "other_file",
            Self::NeedsWitness { .. } => "needs_witness",
            Self::NotWitnessed { .. } => "not_witnessed",
            Self::NotBest { .. } => "not_best",
            Self::Ask(_) => "cannot_ask",
        }
    }

    /// Whether nothing has been refuted.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Receipt(error) => error.is_unreadable(),
            Self::Config(_) | Self::Io { .. } | Self::Ask(_) | Self::NeedsWitness { .. } => true,
            _ => false,
        }
    }
}

/// Verifies, writes the result to stdout (an unreadable receipt to stderr, unless in JSON), and returns the exit
/// status.
pub fn run(arguments: &VerifyArguments, place: VerifyContext<'_>, json: bool) -> u8 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (text, status) = match verify(arguments, place) {
        Ok(verified) => {
            let report = Report { verified, hash_rate: measure_rate(cores, RATE_TIME) };
            (if json { report.to_json() } else { report.to_text() }, PROVEN)
        }
        Err(error) => {
            let (verdict, status) = match error {
                VerifyError::NeedsWitness { .. } => ("undecided", UNREADABLE),
                _ if error.is_unreadable() => ("unreadable", UNREADABLE),
                _ => ("refuted", REFUTED),
            };
            let text = if json {
                let error = json!({ "verdict": verdict, "code": error.code(), "message": error.to_string() });
                format!(r#"{{"ok":false,"command":"verify","error":{error}}}"#)
            } else {
                format!("{verdict}: {error}")
            };
            (text, status)
        }
    };
    if status == UNREADABLE && !json {
        output::show(text + "\n");
        return status;
    }
    match output::unless_closed(output::write(&(text + "\n"))) {
        Ok(()) => status,
        // Not 1, which would refute.
        Err(error) => {
            output::complain(output::unwritten(&error));
            UNREADABLE
        }
    }
}

/// Verifies as [`run`] does, and writes nothing.
pub fn judge(arguments: &VerifyArguments, place: VerifyContext<'_>) -> Result<(), VerifyError> {
    verify(arguments, place).map(drop)
}

/// A receipt that holds, with everything that was asked for.
#[derive(Debug)]
struct Verified {
    proof: Proof,
    is_built_in: bool,
    /// The compared file.
    file: Option<PathBuf>,
    witnessed: Option<BlockPlace>,
    /// Height of the asked chain.
    node: Option<Height>,
}

fn verify(arguments: &VerifyArguments, place: VerifyContext<'_>) -> Result<Verified, VerifyError> {
    let receipt = Receipt::read(&read(&arguments.receipt)?)?;
    let proof = receipt.verify()?;
    let is_built_in = check_network(proof.network(), place.network)?;
    if let Some(file) = &arguments.file {
        check_file(file, &proof)?;
    }
    let witnessed = arguments.witness.map(|id| find(&proof, id)).transpose()?;
    if proof.form() == Form::Witnessed && witnessed.is_none() && arguments.node.is_none() {
        return Err(VerifyError::NeedsWitness { height: proof.block().height });
    }
    let node = match &arguments.node {
        Some(node) => {
            let folder = match place.data_dir {
                Some(folder) => folder.to_owned(),
                None => default_folder(&proof.network().parameters().name, place.name)?,
            };
            let whom = node.as_ref().map_or(Whom::Folder(&folder), Whom::Node);
            // Where no work is shown, a node's word is needed for the last block: the transaction's is below it.
            let asked = if proof.form() == Form::Witnessed { proof.tip() } else { proof.block() };
            let block = BlockPlace { height: asked.height, id: asked.id };
            let standing = ask(whom, &Arc::new(proof.network().clone()), block)?;
            if !standing.is_best {
                return Err(VerifyError::NotBest { height: block.height, tip: standing.height });
            }
            Some(standing.height)
        }
        None => None,
    };
    Ok(Verified { proof, is_built_in, file: arguments.file.clone(), witnessed, node })
}

/// The receipt's bytes, at most one more than a receipt may have.
fn read(path: &Path) -> Result<Vec<u8>, VerifyError> {
    let failed = |error| VerifyError::Io { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = open_or_pipe(path).map_err(failed)?;
    file.take(RECEIPT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes_without_mark(&bytes).to_vec())
}

/// Whether the network is a built-in one, whose name no other may have.
fn check_network(network: &Network, wanted: Option<&Arc<Network>>) -> Result<bool, VerifyError> {
    let name = &network.parameters().name;
    let Ok(is_built_in) = is_built_in(network) else { return Err(VerifyError::NotBuiltIn { name: name.clone() }) };
    let title = |network: &Network| format!("{} ({})", network.parameters().name, network.tag());
    match wanted {
        Some(wanted) if wanted.genesis_id() != network.genesis_id() => {
            Err(VerifyError::OtherNetwork { found: title(network), wanted: title(wanted) })
        }
        _ => Ok(is_built_in),
    }
}

fn check_file(file: &Path, proof: &Proof) -> Result<(), VerifyError> {
    let record = proof.record().ok_or(VerifyError::NoRecord)?;
    let recorded = hex::encode(record.content_hash());
    let fingerprint = fingerprint(file, || false).map_err(|error| VerifyError::Io { path: file.to_owned(), error })?;
    let (hash, _) = fingerprint.expect("nobody cancels it");
    let found = hex::encode(hash);
    let is_text = matches!(record.content, Content::Text(_) | Content::Json(_));
    let is_same = found == recorded
        // An editor may have put a byte order mark before the text.
        || is_text && read_text(file, RECORD_BYTES_MAX as u64 + 3).is_ok_and(|text| is_recorded(&text, &recorded));
    if is_same { Ok(()) } else { Err(VerifyError::OtherFile { file: file.to_owned(), found, recorded }) }
}

fn is_recorded(text: &str, recorded: &str) -> bool {
    hex::encode(Sha256::digest(text)) == recorded
}

/// The block with this id, among those that are proven to be the transaction's or to stand on it.
fn find(proof: &Proof, id: BlockId) -> Result<BlockPlace, VerifyError> {
    let block = proof.find(&id).ok_or(VerifyError::NotWitnessed { id })?;
    Ok(BlockPlace { height: block.height, id })
}

#[cfg(test)]
mod tests;
