//! The node's identity towards peers.
//!
//! An Ed25519 key in a PKCS#8 PEM file, the form that `openssl pkey` reads and writes: `node.key`, made at the first
//! start. A file that exists is never written again, whatever is wrong with it. Two processes that make it at the same
//! moment end up with the same one. There is no password: a node must start without a person. The key of its
//! account is in a [wallet](super::wallet).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ed25519::KeypairBytes;
use ed25519::pkcs8::EncodePrivateKey;
use ed25519::pkcs8::spki::der::pem::LineEnding;
use libp2p::identity::Keypair;
use zeroize::Zeroizing;

use super::private_file;
use super::wallet::FileProblem;
use super::wallet::foreign::KeyFile;
use super::wallet::pem::FILE_BYTES_MAX;
use crate::files::make_folder;

/// The file of the identity.
pub const NODE_KEY_FILE: &str = "node.key";

/// Why the identity can't be used. Each says what to do; the file is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The data folder can't be made or used.
    #[error(
        "cannot use the data folder {}: {source}; make it writable, or choose another with --data-dir",
        .folder.display()
    )]
    Folder { folder: PathBuf, source: io::Error },
    /// A key file can't be read or written.
    #[error("cannot {verb} the key {}: {source}; check who owns it and its permissions", .file.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        file: PathBuf,
        source: io::Error,
    },
    /// The file is not an Ed25519 key.
    #[error("{}: {problem}, or move it away to begin with a new identity", .file.display())]
    Damaged { file: PathBuf, problem: FileProblem },
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

/// Reads the identity in `folder`, and makes the folder and the identity if they are not there.
pub fn load_or_create_identity(folder: &Path) -> Result<Keypair, KeyError> {
    make_folder(folder, true).map_err(|source| KeyError::Folder { folder: folder.to_owned(), source })?;
    let mut seed = load_or_create_seed(&folder.join(NODE_KEY_FILE))?;
    Ok(Keypair::ed25519_from_bytes(&mut *seed).expect("any 32 bytes are an Ed25519 key"))
}

/// The identity of this seed, in no file. For nodes that must be the same in each run.
pub fn identity_of(mut seed: [u8; 32]) -> Keypair {
    Keypair::ed25519_from_bytes(&mut seed).expect("any 32 bytes are an Ed25519 key")
}

type SecretSeed = Zeroizing<[u8; 32]>;

fn load_or_create_seed(file: &Path) -> Result<SecretSeed, KeyError> {
    let failed = |verb| move |source| KeyError::File { verb, file: file.to_owned(), source };
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut seed = SecretSeed::default();
            getrandom::fill(&mut *seed).map_err(|error| failed("write")(io::Error::other(error.to_string())))?;
            match private_file::write_new(file, to_pem(&seed).as_bytes()) {
                Ok(()) => return Ok(seed),
                // Another process was first: its key counts.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("write")(error)),
            }
        }
        Err(error) => return Err(failed("read")(error)),
        Ok(_) => {}
    }
    let content = private_file::read(file, FILE_BYTES_MAX).map_err(failed("read"))?;
    let opened = KeyFile::parse(&content).and_then(|key| key.open(None));
    opened.map_err(|problem| KeyError::Damaged { file: file.to_owned(), problem })
}

fn to_pem(seed: &SecretSeed) -> Zeroizing<String> {
    // Without the public key this is version 1 of PKCS#8, the only one that OpenSSL before 3.2 reads.
    let bytes = KeypairBytes { secret_key: **seed, public_key: None };
    bytes.to_pkcs8_pem(LineEnding::LF).expect("32 bytes always encode")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn made_once_and_kept() {
        let folder = folder();
        let inner = folder.path().join("a/b");
        let peer = || load_or_create_identity(&inner).expect("made or read").public().to_peer_id();
        assert_eq!(peer(), peer());
        let names: Vec<_> =
            fs::read_dir(&inner).expect("a folder").map(|entry| entry.expect("entry").file_name()).collect();
        assert_eq!(names, [NODE_KEY_FILE], "nothing temporary stays");
    }

    #[cfg(unix)]
    #[test]
    fn for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let inner = folder.path().join("node");
        load_or_create_identity(&inner).expect("made");
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join(NODE_KEY_FILE)), 0o600);
    }

    #[test]
    fn a_bad_file_is_refused_and_left_alone() {
        let good = to_pem(&SecretSeed::new([7; 32])).to_string();
        let cases: [(&str, String); 7] = [
            ("cut off", String::new()),
            ("cut off", good[..60].to_owned()),
            ("not a key file", "hello".to_owned()),
            ("not a key file", good.replace("PRIVATE", "PUBLIC")),
            ("tampered", good.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            ("damaged", good.replace("MC4C", "MC4D")),
            // X25519's identifier.
            ("an X25519 key", good.replace("MC4CAQAwBQYDK2VwBCIE", "MC4CAQAwBQYDK2VuBCIE")),
        ];
        for (word, content) in cases {
            let folder = folder();
            let file = folder.path().join(NODE_KEY_FILE);
            fs::write(&file, &content).expect("written");
            let error = load_or_create_identity(folder.path()).expect_err(word);
            let line = error.to_string();
            assert!(line.contains(word) && line.contains(NODE_KEY_FILE) && !line.contains('\n'), "{word}: {line}");
            assert_eq!(error.code(), "key_damaged");
            assert_eq!(fs::read_to_string(&file).expect("still there"), content);
        }
    }

    #[test]
    fn a_folder_in_place_of_a_key_and_a_file_in_place_of_the_folder() {
        let folder = folder();
        fs::create_dir(folder.path().join(NODE_KEY_FILE)).expect("made");
        assert_eq!(load_or_create_identity(folder.path()).expect_err("a folder").code(), "key_unreadable");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        assert_eq!(load_or_create_identity(&file).expect_err("a file").code(), "data_folder");
    }
}
