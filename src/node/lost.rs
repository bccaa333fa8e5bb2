//! Transactions of this node's wallets that can no longer be mined, so that their content can be signed once more.
//!
//! Each is a file in the folder `lost/`, so that a restart forgets none. Each is sent again once: a claim is taken before, the
//! new transaction is noted before it is sent, and the outcome behind. After a crash in between, the note tells which
//! one to look for.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::engine::event::GoneReason;
use crate::files;
use crate::protocol::check::{TRANSACTION_BYTES_MAX, check_transaction};
use crate::protocol::encode::{decode, encode};
use crate::protocol::{CheckedTransaction, Network, TransactionId};

/// Lost transactions that are kept; of more, the one that was lost first is evicted. Each is a few kilobytes at most.
pub const LOST_MAX: usize = if cfg!(test) { 20 } else { 500 };
/// Their folder, in the data folder.
const FOLDER: &str = "lost";
/// The longest file, in bytes: hex digits of two transactions, and far more than what is beside them.
const FILE_BYTES_MAX: u64 = 2 * 2 * TRANSACTION_BYTES_MAX as u64 + 1024;

/// The lost transactions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lost(Arc<LostInner>);

#[derive(Debug)]
struct LostInner {
    folder: PathBuf,
    list: Mutex<List>,
}

/// In the order in which they were lost.
#[derive(Debug, Default)]
struct List {
    kept: VecDeque<Kept>,
    next: u64,
}

#[derive(Debug)]
struct Kept {
    /// Tells the order.
    number: u64,
    one: LostTransaction,
}

/// The content of a file.
#[derive(Debug, Serialize, Deserialize)]
struct KeptFile {
    number: u64,
    /// The encoded transaction, in hex.
    transaction: String,
    reason: String,
    /// The encoded transaction that was about to be sent in its place, in hex.
    #[serde(default)]
    begun: Option<String>,
    again: Option<TransactionId>,
}

/// A lost transaction.
#[derive(Debug, Clone)]
pub struct LostTransaction {
    /// As it was signed.
    pub transaction: CheckedTransaction,
    /// The reason why it can't be mined.
    pub reason: GoneReason,
    /// The transaction with its content that was about to be sent last. It may have been.
    pub begun: Option<CheckedTransaction>,
    /// Whether its content was signed again.
    pub again: Again,
}

/// Whether the content of a lost transaction was signed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Not yet.
    No,
    /// At this moment.
    UnderWay,
    /// As this transaction.
    As(TransactionId),
}

/// The right to send a lost transaction again. Given back when it is dropped, unless it is used.
#[derive(Debug)]
pub struct Claim {
    lost: Lost,
    id: TransactionId,
}

impl Lost {
    /// Reads what earlier runs have lost. A file that is none of theirs is left alone, and the log says so.
    pub(super) fn open(data_folder: &Path, network: &Network) -> Self {
        let folder = data_folder.join(FOLDER);
        let mut kept: Vec<Kept> = Vec::new();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let file = entry.path();
            if file.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&file, network) {
                Ok(one) => kept.push(one),
                Err(error) => tracing::warn!(file = %file.display(), %error, "no lost transaction"),
            }
        }
        kept.sort_by_key(|kept| kept.number);
        let next = kept.last().map_or(0, |kept| kept.number + 1);
        Self(Arc::new(LostInner { folder, list: Mutex::new(List { kept: kept.into(), next }) }))
    }

    /// Keeps a transaction. One that is known stays as it is. Blocks.
    pub(super) fn note(&self, transaction: CheckedTransaction, reason: GoneReason) {
        let mut list = self.0.list.lock();
        if list.kept.iter().any(|kept| kept.one.transaction.id() == transaction.id()) {
            return;
        }
        let number = list.next;
        list.next += 1;
        let kept = Kept { number, one: LostTransaction { transaction, reason, begun: None, again: Again::No } };
        self.write(&kept);
        list.kept.push_back(kept);
        if list.kept.len() > LOST_MAX
            && let Some(first) = list.kept.pop_front()
        {
            self.remove(&first.one.transaction.id());
        }
    }

    /// Forgets a transaction that has come back, unless it was sent again. Blocks.
    pub(super) fn forget(&self, id: &TransactionId) {
        let mut list = self.0.list.lock();
        let before = list.kept.len();
        list.kept.retain(|kept| kept.one.transaction.id() != *id || kept.one.again != Again::No);
        if list.kept.len() < before {
            self.remove(id);
        }
    }

    /// All of them, the newest first.
    pub fn all(&self) -> Vec<LostTransaction> {
        self.0.list.lock().kept.iter().rev().map(|kept| kept.one.clone()).collect()
    }

    /// Whether it can be sent again.
    pub fn offers(&self, id: &TransactionId) -> bool {
        let list = self.0.list.lock();
        list.kept.iter().any(|kept| kept.one.transaction.id() == *id && kept.one.again == Again::No)
    }

    /// Takes the right to send it again; or what has become of it, if it is known.
    pub fn claim(&self, id: &TransactionId) -> Result<(LostTransaction, Claim), Option<Again>> {
        let mut list = self.0.list.lock();
        let Kept { one, .. } = list.kept.iter_mut().find(|kept| kept.one.transaction.id() == *id).ok_or(None)?;
        if one.again != Again::No {
            return Err(Some(one.again));
        }
        one.again = Again::UnderWay;
        Ok((one.clone(), Claim { lost: self.clone(), id: *id }))
    }

    fn file(&self, id: &TransactionId) -> PathBuf {
        self.0.folder.join(format!("{id}.json"))
    }

    /// Durable, if the disk takes it. It is in memory in any case.
    fn write(&self, kept: &Kept) {
        let LostTransaction { transaction, reason, begun, again } = &kept.one;
        let content = KeptFile {
            number: kept.number,
            transaction: hex::encode(encode(transaction.signed())),
            reason: word(*reason).to_owned(),
            begun: begun.as_ref().map(|begun| hex::encode(encode(begun.signed()))),
            again: if let Again::As(id) = again { Some(*id) } else { None },
        };
        let id = transaction.id();
        let content = serde_json::to_vec(&content).expect("it has no map");
        let written =
            files::make_folder(&self.0.folder, false).and_then(|()| files::replace(&self.file(&id), &content));
        if let Err(error) = written {
            tracing::warn!(transaction = %id.short(), %error, "a lost transaction is kept until the node stops only");
        }
    }

    fn remove(&self, id: &TransactionId) {
        match fs::remove_file(self.file(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(transaction = %id.short(), %error, "a transaction that is not lost stays in its file");
            }
            _ => {}
        }
    }
}

impl Claim {
    /// This transaction is about to be sent. Blocks.
    pub fn begins(&self, anew: &CheckedTransaction) {
        let mut list = self.lost.0.list.lock();
        if let Some(kept) = list.kept.iter_mut().find(|kept| kept.one.transaction.id() == self.id) {
            kept.one.begun = Some(anew.clone());
            self.lost.write(kept);
        }
    }

    /// It was sent again.
    pub fn used(self, id: TransactionId) {
        let mut list = self.lost.0.list.lock();
        if let Some(kept) = list.kept.iter_mut().find(|kept| kept.one.transaction.id() == self.id) {
            kept.one.again = Again::As(id);
            self.lost.write(kept);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut list = self.lost.0.list.lock();
        let is_it = |kept: &&mut Kept| kept.one.transaction.id() == self.id && kept.one.again == Again::UnderWay;
        if let Some(kept) = list.kept.iter_mut().find(is_it) {
            kept.one.again = Again::No;
        }
    }
}

fn read(file: &Path, network: &Network) -> io::Result<Kept> {
    let text = files::read_text(file, FILE_BYTES_MAX)?;
    let found: KeptFile = serde_json::from_str(&text)?;
    let checked = |encoded: &str| {
        let bytes = hex::decode(encoded).map_err(io::Error::other)?;
        let signed = decode(&bytes, TRANSACTION_BYTES_MAX).map_err(io::Error::other)?;
        check_transaction(signed, network).map_err(io::Error::other)
    };
    let transaction = checked(&found.transaction)?;
    let begun = found.begun.as_deref().map(checked).transpose()?;
    let reason = REASONS.into_iter().find(|reason| word(*reason) == found.reason);
    let reason = reason.ok_or_else(|| io::Error::other(format!("no reason: {}", found.reason.escape_debug())))?;
    let again = found.again.map_or(Again::No, Again::As);
    Ok(Kept { number: found.number, one: LostTransaction { transaction, reason, begun, again } })
}

const REASONS: [GoneReason; 4] = [GoneReason::NonceUsed, GoneReason::NoCoins, GoneReason::NonceGap, GoneReason::NoRoom];

/// Its word in the files.
fn word(reason: GoneReason) -> &'static str {
    match reason {
        GoneReason::NonceUsed => "nonce_used",
        GoneReason::NoCoins => "no_coins",
        GoneReason::NonceGap => "nonce_gap",
        GoneReason::NoRoom => "no_room",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Action, Amount, Parameters, SecretKey, Transaction};

    fn network() -> Network {
        Network::new(Parameters::dev()).expect("a preset")
    }

    fn transaction(nonce: u64) -> CheckedTransaction {
        let key = SecretKey::from_seed([1; 32]);
        let action = Action::Record { data: b"important".to_vec().into() };
        let transaction = Transaction { sender: key.public_key(), nonce, fee: Amount::ZERO, action };
        CheckedTransaction::sign(transaction, &key, &network()).expect("well formed")
    }

    #[test]
    fn each_is_sent_again_once_also_across_a_restart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = || Lost::open(folder.path(), &network());
        let lost = open();
        let (one, new) = (transaction(0), TransactionId([7; 32]));
        let id = one.id();
        assert_eq!(lost.claim(&id).err(), Some(None));
        lost.note(one.clone(), GoneReason::NonceUsed);
        let (found, claim) = lost.claim(&id).expect("nobody has it");
        assert_eq!(found.transaction.id(), id);
        assert_eq!(lost.claim(&id).err(), Some(Some(Again::UnderWay)));
        assert!(!lost.offers(&id));
        assert!(open().offers(&id), "nothing came of it before the restart");
        claim.begins(&transaction(5));
        drop(claim);
        assert!(lost.offers(&id), "it failed, and may be tried again");
        for lost in [&lost, &open()] {
            let (found, _claim) = lost.claim(&id).expect("nobody has it");
            assert_eq!(found.begun.map(|begun| begun.id()), Some(transaction(5).id()), "that one may have been sent");
        }
        lost.claim(&id).expect("nobody has it").1.used(new);
        for lost in [&lost, &open()] {
            assert_eq!(lost.claim(&id).err(), Some(Some(Again::As(new))));
            // It is told to be lost once more, or comes back: it was sent again all the same.
            lost.note(one.clone(), GoneReason::NoCoins);
            lost.forget(&id);
            assert_eq!(lost.claim(&id).err(), Some(Some(Again::As(new))));
        }
    }

    #[test]
    fn the_first_of_many_are_evicted_and_one_that_came_back_is_forgotten() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lost = Lost::open(folder.path(), &network());
        (0..=LOST_MAX as u64).for_each(|nonce| lost.note(transaction(nonce), GoneReason::NoRoom));
        lost.forget(&transaction(2).id());
        for lost in [lost, Lost::open(folder.path(), &network())] {
            assert_eq!(lost.all().len(), LOST_MAX - 1);
            assert!(!lost.offers(&transaction(0).id()) && lost.offers(&transaction(1).id()));
            assert!(!lost.offers(&transaction(2).id()));
            assert_eq!(lost.all()[0].transaction.id(), transaction(LOST_MAX as u64).id(), "the newest first");
        }
    }

    #[test]
    fn what_is_no_lost_transaction_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lost = Lost::open(folder.path(), &network());
        REASONS.into_iter().zip(0..).for_each(|(reason, nonce)| lost.note(transaction(nonce), reason));
        let file = |name: &str| folder.path().join(FOLDER).join(name);
        let good = fs::read_to_string(lost.file(&transaction(0).id())).expect("there");
        // Another network's signature, half a file, none of ours.
        let lan = Network::new(Parameters::lan()).expect("a preset");
        for (name, text) in [("half.json", &good[..40]), ("not.txt", "{}"), ("other.json", "[]")] {
            fs::write(file(name), text).expect("written");
        }
        let again = Lost::open(folder.path(), &network());
        let reasons: Vec<_> = again.all().iter().rev().map(|one| one.reason).collect();
        assert_eq!(reasons, REASONS);
        assert!(Lost::open(folder.path(), &lan).all().is_empty());
        assert!(file("half.json").exists() && file("other.json").exists());
        // The next one is behind all others.
        again.note(transaction(9), GoneReason::NoCoins);
        assert_eq!(Lost::open(folder.path(), &network()).all()[0].transaction.id(), transaction(9).id());
    }
}
