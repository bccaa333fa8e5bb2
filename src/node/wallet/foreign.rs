//! Key files of any program: what `openssl pkey` reads (PKCS#8, versions 1 and 2, plain or encrypted by PBES2, in PEM or
//! DER), and OpenSSH's own form without a passphrase.
//!
//! A file that is imported has been mailed, pasted, checked out and edited, so its form does not matter: lines of any
//! width and end, blanks, text around, other blocks. The first private key is taken. Whatever else in the file says
//! something about it (a public half, our own checksum) must agree, for that is what shows damage.
//!
//! The cost parameters of a file are checked against limits before anything is computed.

mod blocks;
mod openssh;

use ed25519::KeypairBytes;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode, Error, ErrorKind};
use pkcs8::pkcs5::pbes2::{Kdf, PBES2_OID, Parameters};
use pkcs8::{AlgorithmIdentifierRef, EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef, pkcs5};
use zeroize::Zeroizing;

use self::blocks::{Block, Blocks};
use super::error::FileProblem;
use super::password::Password;
use super::pem::{
    CHECKSUM_PREFIX, ENCRYPTED_LABEL, FILE_BYTES_MAX, ITERATIONS_MAX, PRIVATE_LABEL, PUBLIC_LABEL, PUBLIC_PREFIX,
    checksum_of,
};
use super::words::Seed;
use crate::protocol::{PublicKey, SecretKey};

/// scrypt takes 128·N·r bytes; OpenSSL's own choice is 16 MiB, and 32 MiB is the most that it opens unasked.
const SCRYPT_MEMORY_BYTES_MAX: u64 = 128 << 20;
/// scrypt repeats its work this many times.
const SCRYPT_PARALLELISM_MAX: u16 = 16;

const OPENSSH_LABEL: &str = "OPENSSH PRIVATE KEY";
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Other kinds of keys, so that the message can name them.
const OTHER_KINDS: [(&str, &str); 7] = [
    ("1.2.840.113549.1.1.1", "this is an RSA key"),
    ("1.2.840.113549.1.1.10", "this is an RSA-PSS key"),
    ("1.2.840.10045.2.1", "this is an EC key"),
    ("1.2.840.10040.4.1", "this is a DSA key"),
    ("1.3.101.110", "this is an X25519 key"),
    ("1.3.101.111", "this is an X448 key"),
    ("1.3.101.113", "this is an Ed448 key"),
];
/// The same for older forms of PEM files.
const OTHER_LABELS: [(&str, &str); 4] = [
    ("RSA PRIVATE KEY", "this is an RSA key"),
    ("EC PRIVATE KEY", "this is an EC key"),
    ("EC PARAMETERS", "this is an EC key"),
    ("DSA PRIVATE KEY", "this is a DSA key"),
];

const OLD_ENCRYPTION: FileProblem = FileProblem::Unsupported("it is encrypted in a way that is not supported");
const PEM_ENCRYPTION: FileProblem = FileProblem::Unsupported("it has the old encryption of PEM files");
const PUTTY: FileProblem = FileProblem::Convert(
    "a key in PuTTY's form: load it in PuTTYgen, clear its passphrase, choose Conversions, Export OpenSSH key",
);
const UTF_16: FileProblem = FileProblem::Convert("a text in UTF-16, as PowerShell writes it: save it as UTF-8");

/// A private key that was read; it may need a password.
#[derive(Debug)]
pub(crate) struct KeyFile {
    secret: Secret,
    witnesses: Witnesses,
}

#[derive(Debug)]
enum Secret {
    Plain(Seed),
    Encrypted(Box<Parameters>, Vec<u8>),
}

/// What the rest of the file says about its private key.
struct Witnesses {
    /// The public halves in the file.
    publics: Vec<[u8; 32]>,
    /// The checksum of a wallet's file, in hex. It is of the block with this label and these bytes, and a public half.
    checksum: Option<String>,
    label: &'static str,
    der: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Witnesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witnesses").field("checksum", &self.checksum).finish_non_exhaustive()
    }
}

impl KeyFile {
    /// Parses the bytes of a file.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, FileProblem> {
        if content.len() > FILE_BYTES_MAX {
            return Err(FileProblem::TooLong);
        }
        let blocks = Blocks::of(content);
        let private = [PRIVATE_LABEL, ENCRYPTED_LABEL, OPENSSH_LABEL];
        let found = blocks.iter().find_map(|block| Some((block, private.into_iter().find(|it| *it == block.label)?)));
        let Some((block, label)) = found else { return without_block(content, &blocks) };
        if block.body.contains("Proc-Type:") {
            return Err(PEM_ENCRYPTION);
        }
        let der = block.decode().ok_or(FileProblem::Tampered)?;
        let public_half = |block: Block<'_>| block.decode()?.strip_prefix(&PUBLIC_PREFIX)?.try_into().ok();
        let publics = blocks.iter().filter(|block| block.label == PUBLIC_LABEL).filter_map(public_half).collect();
        let checksum = blocks.text().lines().find_map(|line| line.strip_prefix(CHECKSUM_PREFIX.trim_end()));
        let checksum = checksum.map(|digits| digits.trim().to_ascii_lowercase());
        let witnesses = Witnesses { publics, checksum, label, der };
        let is_changed = !witnesses.fit();
        // What is wrong with a changed file, in detail, leads nowhere.
        Self::new(witnesses).map_err(|problem| if is_changed { FileProblem::Tampered } else { problem })
    }

    fn new(witnesses: Witnesses) -> Result<Self, FileProblem> {
        let der = &witnesses.der;
        let secret = match witnesses.label {
            PRIVATE_LABEL => Secret::Plain(from_der(der, FileProblem::Tampered)?),
            OPENSSH_LABEL => Secret::Plain(openssh::parse(der)?),
            _ => {
                let info = EncryptedPrivateKeyInfoRef::from_der(der).map_err(|error| unreadable(der, &error))?;
                let pkcs5::EncryptionScheme::Pbes2(parameters) = info.encryption_algorithm else {
                    return Err(OLD_ENCRYPTION);
                };
                check_cost(&parameters.kdf)?;
                Secret::Encrypted(Box::new(parameters), info.encrypted_data.as_bytes().to_vec())
            }
        };
        if let Secret::Plain(seed) = &secret {
            witnesses.check(seed)?;
        }
        Ok(Self { secret, witnesses })
    }

    /// Whether it needs a password.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.secret, Secret::Encrypted(..))
    }

    /// Whether it is a wallet's file whose contents are as they were written, whatever has become of its form.
    pub(crate) fn is_whole_wallet(&self) -> bool {
        self.witnesses.checksum.is_some() && (!self.is_encrypted() || self.witnesses.fit())
    }

    /// The secret half. Slow if there is a password.
    pub(crate) fn open(&self, password: Option<&Password>) -> Result<Seed, FileProblem> {
        let (parameters, ciphertext) = match &self.secret {
            Secret::Plain(seed) => return Ok(seed.clone()),
            Secret::Encrypted(parameters, ciphertext) => (parameters, ciphertext),
        };
        let password = password.ok_or(FileProblem::NeedsPassword)?;
        // A changed file looks like a wrong password, unless something in it shows the change.
        let closed = if self.witnesses.fit() { FileProblem::WrongPassword } else { FileProblem::Tampered };
        let mut buffer = Zeroizing::new(ciphertext.clone());
        let plain = parameters.decrypt_in_place(password.as_bytes(), &mut buffer).map_err(|error| match error {
            pkcs5::Error::DecryptFailed => closed.clone(),
            _ => FileProblem::Unsupported("its encryption has parameters that are not supported"),
        })?;
        // A wrong password gives noise, which once in 256 times looks padded.
        let seed = from_der(plain, closed)?;
        self.witnesses.check(&seed)?;
        Ok(seed)
    }
}

impl Witnesses {
    /// Whether they agree with each other.
    fn fit(&self) -> bool {
        let fits = |checksum: &String| self.publics.iter().any(|public| *checksum == self.checksum_with(public));
        self.checksum.as_ref().is_none_or(fits)
    }

    /// Whether one of them vouches for this key, if there are any.
    fn check(&self, seed: &Seed) -> Result<(), FileProblem> {
        let PublicKey::Ed25519(derived) = SecretKey::from_seed(**seed).public_key();
        let has_public = self.publics.contains(&derived);
        match &self.checksum {
            None if has_public || self.publics.is_empty() => Ok(()),
            None => Err(FileProblem::OtherPublicKey),
            Some(checksum) if has_public || *checksum == self.checksum_with(&derived) => Ok(()),
            Some(_) => Err(FileProblem::Tampered),
        }
    }

    fn checksum_with(&self, public: &[u8; 32]) -> String {
        checksum_of(self.label, &self.der, public)
    }
}

/// A key in DER, or the reason why there is none.
fn without_block(content: &[u8], blocks: &Blocks) -> Result<KeyFile, FileProblem> {
    if let Some((_, kind)) = OTHER_LABELS.iter().find(|(label, _)| blocks.iter().any(|block| block.label == *label)) {
        return Err(FileProblem::ForeignKey(kind));
    }
    let text = blocks.text().trim();
    if text.starts_with("PuTTY-User-Key-File-") {
        return Err(PUTTY);
    }
    if content.len() > 2 && (content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff")) {
        return Err(UTF_16);
    }
    if PrivateKeyInfoRef::from_der(content).is_ok() {
        return KeyFile::new(Witnesses::none(PRIVATE_LABEL, content));
    }
    if EncryptedPrivateKeyInfoRef::from_der(content).is_ok() {
        return KeyFile::new(Witnesses::none(ENCRYPTED_LABEL, content));
    }
    // Even nothing at all: a full disk leaves empty files.
    if blocks.is_cut_off() || content.is_ascii() && "-----BEGIN ".starts_with(text) {
        return Err(FileProblem::CutOff);
    }
    let is_public = blocks.iter().any(|block| block.label == PUBLIC_LABEL) || text.starts_with("ssh-ed25519 ");
    Err(if is_public { FileProblem::PublicKey } else { FileProblem::NotAKey })
}

impl Witnesses {
    /// Of a file in DER, which holds nothing else.
    fn none(label: &'static str, der: &[u8]) -> Self {
        Self { publics: Vec::new(), checksum: None, label, der: Zeroizing::new(der.to_vec()) }
    }
}

/// Damaged, or encrypted by something that the parser does not know.
fn unreadable(der: &[u8], error: &Error) -> FileProblem {
    let form = AnyRef::from_der(der).and_then(|any| {
        any.sequence(|reader| {
            let algorithm = AlgorithmIdentifierRef::decode(reader)?;
            <&OctetStringRef>::decode(reader)?;
            Ok(algorithm.oid)
        })
    });
    match form {
        Ok(PBES2_OID) if !matches!(error.kind(), ErrorKind::OidUnknown { .. }) => FileProblem::Tampered,
        Ok(_) => OLD_ENCRYPTION,
        Err(_) => FileProblem::Tampered,
    }
}

fn from_der(der: &[u8], damaged: FileProblem) -> Result<Seed, FileProblem> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| damaged.clone())?;
    if info.algorithm.oid != ED25519 {
        let oid = info.algorithm.oid;
        let kind = OTHER_KINDS.iter().find(|(known, _)| ObjectIdentifier::new_unwrap(known) == oid);
        return Err(FileProblem::ForeignKey(kind.map_or("this is a key of another kind", |(_, kind)| kind)));
    }
    let pair = KeypairBytes::try_from(info).map_err(|_| damaged)?;
    let seed = Seed::new(pair.secret_key);
    let derived = SecretKey::from_seed(*seed).public_key();
    match pair.public_key {
        Some(public) if derived != PublicKey::Ed25519(public.to_bytes()) => Err(FileProblem::Tampered),
        _ => Ok(seed),
    }
}

fn check_cost(kdf: &Kdf) -> Result<(), FileProblem> {
    let is_fine = match kdf {
        Kdf::Pbkdf2(pbkdf2) => (1..=ITERATIONS_MAX).contains(&pbkdf2.iteration_count),
        Kdf::Scrypt(scrypt) => {
            let memory = scrypt.cost_parameter.saturating_mul(128 * u64::from(scrypt.block_size));
            scrypt.cost_parameter.is_power_of_two()
                && scrypt.cost_parameter > 1
                && (1..=SCRYPT_MEMORY_BYTES_MAX).contains(&memory)
                && (1..=SCRYPT_PARALLELISM_MAX).contains(&scrypt.parallelization)
        }
        _ => false,
    };
    if is_fine { Ok(()) } else { Err(FileProblem::Unsupported("opening it would take too much time or memory")) }
}
