//! Requests that a client may repeat: the second one gets the answer of the first, and does nothing
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! A request's plan is in a file before it is carried out, and its answer afterwards. So a node that was killed in between
//! still knows what to look for when the request comes again. The file is named by the hash of the key.
//!
//! Not here: what a plan means, and what of it was done.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::files;
use crate::node::api::error::{Code, Failure};
use crate::protocol::{Address, Amount, TransactionId, UnixMillis};

/// The header.
pub(super) const HEADER: &str = "idempotency-key";
/// The folder of the files, in the data folder.
const FOLDER: &str = "idempotency";
/// The longest key, in characters.
const KEY_CHARACTERS_MAX: usize = 128;
/// Keys that are remembered. The one that was used longest ago is forgotten.
const KEYS_MAX: usize = 1000;
/// The time for which a key is remembered, at most.
const KEPT_MILLIS: u64 = 24 * 60 * 60 * 1000;
/// The longest file, in bytes: far more than the plan and the answer of the most records in one request.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// All keys. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Keys(Arc<KeysInner>);

#[derive(Debug)]
struct KeysInner {
    folder: PathBuf,
    /// The files of the requests that are being carried out. Bounded by the connections.
    under_way: Mutex<HashSet<String>>,
}

/// A request's key, of the right form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(String);

/// A key that one request has for itself, until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    keys: Keys,
    name: String,
    /// The SHA-256 of the request's body, in hex.
    body: String,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The SHA-256 of its body, in hex.
    body: String,
    /// When it came.
    at: UnixMillis,
    /// The transactions that it was going to send.
    pub(super) plan: Vec<Planned>,
    /// Its answer, once it was carried out.
    pub(super) answer: Option<Answer>,
}

/// A transaction that was going to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Planned {
    pub(super) id: TransactionId,
    pub(super) sender: Address,
    pub(super) nonce: u64,
    pub(super) fee: Amount,
}

/// An answer in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(axum::http::header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

impl Key {
    /// The key of a request, if it has one. With quotes (the draft) or without (most clients), it is the same key.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut given = headers.get_all(HEADER).iter();
        let Some(value) = given.next() else { return Ok(None) };
        let text = value.to_str().unwrap_or_default();
        let key = text.strip_prefix('"').map_or(Some(text), |text| text.strip_suffix('"')).unwrap_or_default();
        let fits = (1..=KEY_CHARACTERS_MAX).contains(&key.len());
        let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
        if given.next().is_some() || !fits || !is_plain {
            let detail = format!(
                "Idempotency-Key is one text of 1 to {KEY_CHARACTERS_MAX} visible ASCII characters without quotes and \
                 backslashes inside, such as a UUID"
            );
            return Err(Problem::bad("bad_idempotency_key", detail));
        }
        Ok(Some(Self(key.to_owned())))
    }
}

impl Keys {
    pub(super) fn new(data_folder: &Path) -> Self {
        Self(Arc::new(KeysInner { folder: data_folder.join(FOLDER), under_way: Mutex::default() }))
    }

    /// Takes a key for a request with this body, unless another request has it.
    pub(super) fn claim(&self, key: &Key, body: [u8; 32]) -> Result<Claim, Problem> {
        let name = format!("{}.json", hex::encode(Sha256::digest(key.0.as_bytes())));
        if !self.0.under_way.lock().insert(name.clone()) {
            let detail = "a request with this Idempotency-Key is being carried out: ask again when it is answered";
            return Err(Problem::new(StatusCode::CONFLICT, "idempotency_key_in_use", detail));
        }
        Ok(Claim { keys: self.clone(), name, body: hex::encode(body) })
    }

    /// Makes room for one more file. Blocks.
    fn evict(&self) -> io::Result<()> {
        let folder = &self.0.folder;
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.file_name()));
        }
        if files.len() < KEYS_MAX {
            return Ok(());
        }
        files.sort();
        let under_way = self.0.under_way.lock().clone();
        let surplus = files.len() + 1 - KEYS_MAX;
        let old = files.iter().filter(|(_, name)| !name.to_str().is_some_and(|name| under_way.contains(name)));
        old.take(surplus).try_for_each(|(_, name)| fs::remove_file(folder.join(name)))
    }
}

impl Claim {
    /// What is known of an earlier request with this key. It must have had the same body. Blocks.
    pub(super) fn known(&self, now: UnixMillis) -> Result<Option<Known>, Problem> {
        let file = self.file();
        let text = match files::read_text(&file, FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| unusable("read", &file, &error))?,
        };
        let known: Known = serde_json::from_str(&text)
            .map_err(|error| unusable("read", &file, &io::Error::new(io::ErrorKind::InvalidData, error)))?;
        if now.0.saturating_sub(known.at.0) > KEPT_MILLIS {
            return Ok(None);
        }
        if known.body != self.body {
            let detail = "this Idempotency-Key was used for another request: take a new key for a new request";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail));
        }
        Ok(Some(known))
    }

    /// Remembers a request, durably. Blocks.
    pub(super) fn remember(&self, now: UnixMillis, plan: Vec<Planned>, answer: Option<Answer>) -> Result<(), Problem> {
        let file = self.file();
        let known = Known { body: self.body.clone(), at: now, plan, answer };
        let text = serde_json::to_string(&known).expect("strings and numbers always serialise");
        let folder = &self.keys.0.folder;
        let written = files::make_folder(folder, true)
            .and_then(|()| if file.exists() { Ok(()) } else { self.keys.evict() })
            .and_then(|()| files::replace(&file, text.as_bytes()));
        written.map_err(|error| unusable("write", &file, &error))
    }

    /// Forgets a request that did nothing. Blocks.
    pub(super) fn forget(&self) {
        // A plan that stays behind is found not to have been carried out.
        let _ = fs::remove_file(self.file());
    }

    fn file(&self) -> PathBuf {
        self.keys.0.folder.join(&self.name)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.keys.0.under_way.lock().remove(&self.name);
    }
}

fn unusable(what: &str, file: &Path, error: &io::Error) -> Problem {
    let code = if what == "read" { Code::FileUnreadable } else { Code::WriteFailed };
    Failure::new(code, format!("cannot {what} {}: {error}; nothing was done", file.display())).into()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_793_491_200_000);

    fn key(values: &[&str]) -> Result<Option<Key>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, value.parse().expect("visible"));
        }
        Key::of(&headers).map_err(|problem| problem.code())
    }

    fn plan(nonce: u64) -> Vec<Planned> {
        vec![Planned { id: TransactionId([7; 32]), sender: Address([1; 20]), nonce, fee: Amount::COIN }]
    }

    #[test]
    fn a_key_is_one_short_word() {
        assert_eq!(key(&[]), Ok(None));
        let longest = "x".repeat(KEY_CHARACTERS_MAX);
        for (given, meant) in [("a", "a"), ("\"8e03-d5\"", "8e03-d5"), (&longest, &longest), ("a:b/c", "a:b/c")] {
            assert_eq!(key(&[given]), Ok(Some(Key(meant.to_owned()))), "{given}");
        }
        let long = "x".repeat(KEY_CHARACTERS_MAX + 1);
        for given in ["", "\"\"", "\"", "\"a", "a\"", "a b", "a\\b", &long] {
            assert_eq!(key(&[given]), Err("bad_idempotency_key"), "{given}");
        }
        assert_eq!(key(&["a", "a"]), Err("bad_idempotency_key"));
    }

    #[test]
    fn a_key_stands_for_one_body_for_a_day_and_for_one_request_at_a_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (keys, key) = (Keys::new(folder.path()), Key("k".to_owned()));
        let claim = keys.claim(&key, [1; 32]).expect("it is free");
        assert_eq!(claim.known(NOW), Ok(None));
        assert_eq!(keys.claim(&key, [1; 32]).map_err(|problem| problem.code()).err(), Some("idempotency_key_in_use"));
        claim.remember(NOW, plan(1), None).expect("room");
        let answer = Answer { status: 201, body: "{}".to_owned() };
        claim.remember(NOW, plan(2), Some(answer.clone())).expect("room");
        drop(claim);

        // Another run of the node.
        let keys = Keys::new(folder.path());
        let other = keys.claim(&key, [2; 32]).expect("it is free");
        assert_eq!(other.known(NOW).map_err(|problem| problem.code()), Err("idempotency_key_reused"));
        drop(other);
        let again = keys.claim(&key, [1; 32]).expect("it is free");
        let last = UnixMillis(NOW.0 + KEPT_MILLIS);
        let known = again.known(last).expect("the same body").expect("it is known");
        assert_eq!((known.plan, known.answer), (plan(2), Some(answer)));
        assert_eq!(again.known(UnixMillis(last.0 + 1)), Ok(None));
        again.forget();
        assert_eq!(again.known(NOW), Ok(None));
    }

    #[test]
    fn old_keys_are_forgotten() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keys = Keys::new(folder.path());
        let claim = |n: usize| keys.claim(&Key(n.to_string()), [0; 32]).expect("it is free");
        let kept = claim(0);
        kept.remember(NOW, plan(0), None).expect("room");
        for n in 1..KEYS_MAX {
            fs::write(claim(n).file(), "{}").expect("room");
        }
        let oldest = claim(5).file();
        for old in [&oldest, &kept.file()] {
            fs::File::options()
                .write(true)
                .open(old)
                .expect("there")
                .set_modified(SystemTime::UNIX_EPOCH)
                .expect("ours");
        }
        claim(KEYS_MAX).remember(NOW, plan(0), None).expect("room");
        let count = fs::read_dir(&keys.0.folder).expect("it is there").count();
        assert_eq!(count, KEYS_MAX);
        assert!(kept.file().exists(), "a request that is being carried out is not forgotten");
        assert!(!oldest.exists() && claim(6).file().exists());
    }
}
