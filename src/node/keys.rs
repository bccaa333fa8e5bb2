//! The node's two keys: who it is to peers, and what its account signs with.
//!
//! Each is an Ed25519 key in a PKCS#8 PEM file, the form that `openssl pkey` reads and writes: `node.key` and
//! `account.pem`. They are made at the first start. A file that exists is never written again, whatever is wrong with
//! it: it may be all that stands between its owner and the coins. Two processes that make a key at the same moment
//! end up with the same one. There is no password here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519::KeypairBytes;
use ed25519::pkcs8::spki::der::pem::LineEnding;
use ed25519::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use libp2p::identity::Keypair;
use zeroize::Zeroizing;

use crate::protocol::SecretKey;

/// Who the node is to peers.
pub const NODE_KEY_FILE: &str = "node.key";
/// The key of the node's own account.
pub const ACCOUNT_KEY_FILE: &str = "account.pem";
/// No key file is longer than this, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// Both keys of a node.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Who the node is to peers.
    pub identity: Keypair,
    /// What its account signs with.
    pub account: Arc<SecretKey>,
}

/// Why a key can't be used. Each says what to do; the file is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The data folder can't be made or used.
    #[error("cannot use the data folder {}: {source}; make it writable, or choose another with --data-dir", .folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A key file can't be read or written.
    #[error("cannot {verb} the key {}: {source}; check who owns it and its permissions", .file.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// Which.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not an Ed25519 key.
    #[error(
        "{} is {problem}; put back a copy of it, or move it away to begin with a new {meaning} (the file was not touched)",
        .file.display()
    )]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What it is instead.
        problem: &'static str,
        /// What a new file would stand for.
        meaning: &'static str,
    },
}

impl KeyError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "data_folder",
            Self::File { .. } => "key_unreadable",
            Self::Damaged { .. } => "key_damaged",
        }
    }
}

impl Keys {
    /// Reads the keys in `folder`, and makes the folder and those that are not there.
    pub fn load_or_create(folder: &Path) -> Result<Self, KeyError> {
        make_private_folder(folder).map_err(|source| KeyError::Folder { folder: folder.to_owned(), source })?;
        let mut identity = load_or_create_seed(&folder.join(NODE_KEY_FILE), "identity")?;
        let account = load_or_create_seed(&folder.join(ACCOUNT_KEY_FILE), "account")?;
        let identity = Keypair::ed25519_from_bytes(&mut *identity).expect("any 32 bytes are an Ed25519 key");
        Ok(Self { identity, account: Arc::new(SecretKey::from_seed(*account)) })
    }
}

type Seed = Zeroizing<[u8; 32]>;

fn load_or_create_seed(file: &Path, meaning: &'static str) -> Result<Seed, KeyError> {
    let failed = |verb| move |source| KeyError::File { verb, file: file.to_owned(), source };
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut seed = Seed::default();
            getrandom::fill(&mut *seed).map_err(|error| failed("write")(io::Error::other(error.to_string())))?;
            match write_new(file, to_pem(&seed).as_bytes()) {
                Ok(()) => return Ok(seed),
                // Another process was first: its key counts.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("write")(error)),
            }
        }
        Err(error) => return Err(failed("read")(error)),
        Ok(_) => {}
    }
    let text = read(file).map_err(failed("read"))?;
    from_pem(&text).map_err(|problem| KeyError::Damaged { file: file.to_owned(), problem, meaning })
}

fn to_pem(seed: &Seed) -> Zeroizing<String> {
    // Without the public key this is version 1 of PKCS#8, the only one that OpenSSL before 3.2 reads.
    let bytes = KeypairBytes { secret_key: **seed, public_key: None };
    bytes.to_pkcs8_pem(LineEnding::LF).expect("32 bytes always encode")
}

fn from_pem(text: &[u8]) -> Result<Seed, &'static str> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err("empty, it should be a private key");
    }
    let text = std::str::from_utf8(text).map_err(|_| "no PEM file")?;
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return Err("protected by a password, which is not supported (`openssl pkey -in FILE` takes it off)");
    }
    if !text.contains("-----BEGIN PRIVATE KEY-----") {
        return Err("no private key in PEM form (PKCS#8)");
    }
    if !text.contains("-----END PRIVATE KEY-----") {
        return Err("truncated");
    }
    let bytes = KeypairBytes::from_pkcs8_pem(text).map_err(|error| match error {
        ed25519::pkcs8::Error::PublicKey(_) => "a key of another kind, it should be Ed25519",
        _ => "damaged, or not an Ed25519 key",
    })?;
    let seed = Seed::new(bytes.secret_key);
    if let Some(public) = bytes.public_key {
        let derived = SecretKey::from_seed(*seed).public_key();
        if derived != crate::protocol::PublicKey::Ed25519(public.to_bytes()) {
            return Err("damaged: its two halves do not belong together");
        }
    }
    Ok(seed)
}

fn read(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut opened = File::open(file)?;
    warn_if_open_to_others(file, &opened.metadata()?);
    // Room from the start: a buffer that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    Read::by_ref(&mut opened).take(KEY_FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// Writes a file that did not exist, durably and for its owner alone, or leaves nothing behind.
fn write_new(file: &Path, content: &[u8]) -> io::Result<()> {
    let folder = file.parent().expect("a key file is in a folder");
    let name = file.file_name().expect("a key file has a name").to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let result = write_private(&temporary, content).and_then(|()| move_if_absent(&temporary, file));
    // After a rename it is gone already; after a failure nothing may stay.
    let _ = fs::remove_file(&temporary);
    result?;
    sync_folder(folder)
}

/// `link` fails where `rename` would replace a key that another process has just made.
fn move_if_absent(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !to.exists() => fs::rename(from, to),
        result => result,
    }
}

fn write_private(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // What a killed process with our number left behind.
    let _ = fs::remove_file(file);
    let mut opened = options.open(file)?;
    opened.write_all(content)?;
    opened.sync_all()
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes what was created or renamed in a folder survive a power cut. Windows has no such call and needs none.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn warn_if_open_to_others(file: &Path, metadata: &fs::Metadata) {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    if mode & 0o077 != 0 {
        tracing::warn!("other users may read the key {0}: run `chmod 600 {0}`", file.display());
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_others(_file: &Path, _metadata: &fs::Metadata) {}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn public(keys: &Keys) -> (libp2p::PeerId, crate::protocol::Address) {
        (keys.identity.public().to_peer_id(), keys.account.public_key().address())
    }

    #[test]
    fn made_once_and_kept() {
        let folder = folder();
        let inner = folder.path().join("a/b");
        let made = public(&Keys::load_or_create(&inner).expect("made"));
        assert_eq!(public(&Keys::load_or_create(&inner).expect("read")), made);
        let mut names: Vec<_> =
            fs::read_dir(&inner).expect("a folder").map(|entry| entry.expect("entry").file_name()).collect();
        names.sort();
        assert_eq!(names, [ACCOUNT_KEY_FILE, NODE_KEY_FILE], "nothing temporary stays");
    }

    #[cfg(unix)]
    #[test]
    fn for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let inner = folder.path().join("node");
        Keys::load_or_create(&inner).expect("made");
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join(NODE_KEY_FILE)), 0o600);
        assert_eq!(mode(&inner.join(ACCOUNT_KEY_FILE)), 0o600);
    }

    #[test]
    fn a_bad_file_is_refused_and_left_alone() {
        let good = to_pem(&Seed::new([7; 32])).to_string();
        let rsa_like = good.replace("MC4CAQAwBQYDK2VwBCIE", "MC4CAQAwBQYDK2VuBCIE"); // X25519's identifier
        let cases: [(&str, String); 7] = [
            ("empty", String::new()),
            ("truncated", good[..60].to_owned()),
            ("no private key", "hello".to_owned()),
            ("no private key", good.replace("PRIVATE", "PUBLIC")),
            ("password", good.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            ("damaged", good.replace("MC4C", "MC4D")),
            ("another kind", rsa_like),
        ];
        for (word, content) in cases {
            let folder = folder();
            let file = folder.path().join(ACCOUNT_KEY_FILE);
            fs::write(&file, &content).expect("written");
            let error = Keys::load_or_create(folder.path()).expect_err(word);
            let line = error.to_string();
            assert!(line.contains(word) && line.contains(ACCOUNT_KEY_FILE) && !line.contains('\n'), "{word}: {line}");
            assert_eq!(error.code(), "key_damaged");
            assert_eq!(fs::read_to_string(&file).expect("still there"), content);
        }
    }

    #[test]
    fn a_folder_in_place_of_a_key_and_a_file_in_place_of_the_folder() {
        let folder = folder();
        fs::create_dir(folder.path().join(NODE_KEY_FILE)).expect("made");
        assert_eq!(Keys::load_or_create(folder.path()).expect_err("a folder").code(), "key_unreadable");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        assert_eq!(Keys::load_or_create(&file).expect_err("a file").code(), "data_folder");
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let folder = folder();
        let file = folder.path().join(ACCOUNT_KEY_FILE);
        fs::write(&file, "precious").expect("written");
        let error = write_new(&file, b"other").expect_err("it exists");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).expect("still there"), "precious");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn openssl_reads_ours_and_we_read_its() {
        let openssl = |arguments: &[&str]| Command::new("openssl").args(arguments).output();
        if openssl(&["version"]).is_err() {
            eprintln!("skipped: there is no openssl on this machine");
            return;
        }
        let folder = folder();
        let file = folder.path().join(ACCOUNT_KEY_FILE);
        let path = file.to_str().expect("a plain path");
        let keys = Keys::load_or_create(folder.path()).expect("made");
        let crate::protocol::PublicKey::Ed25519(ours) = keys.account.public_key();
        let shown = openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"]).expect("runs");
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        assert!(shown.stdout.ends_with(&ours));

        fs::remove_file(&file).expect("removed");
        assert!(openssl(&["genpkey", "-algorithm", "ed25519", "-out", path]).expect("runs").status.success());
        let keys = Keys::load_or_create(folder.path()).expect("read");
        let crate::protocol::PublicKey::Ed25519(ours) = keys.account.public_key();
        let shown = openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"]).expect("runs");
        assert!(shown.stdout.ends_with(&ours));

        assert!(openssl(&["genpkey", "-algorithm", "X25519", "-out", path]).expect("runs").status.success());
        assert!(Keys::load_or_create(folder.path()).expect_err("X25519").to_string().contains("another kind"));
    }
}
