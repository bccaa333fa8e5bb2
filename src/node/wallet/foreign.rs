//! Key files of other programs: PKCS#8 in PEM form, versions 1 and 2, plain or encrypted by PBES2.
//!
//! The cost parameters of a file are checked against limits before anything is computed.

use ed25519::KeypairBytes;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::pem::decode_vec;
use pkcs8::der::{Decode, Error, ErrorKind};
use pkcs8::pkcs5::pbes2::{Kdf, PBES2_OID, Parameters};
use pkcs8::{AlgorithmIdentifierRef, EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef, pkcs5};
use zeroize::Zeroizing;

use super::error::FileProblem;
use super::password::Password;
use super::pem::{CHECKSUM_PREFIX, ENCRYPTED_LABEL, FILE_BYTES_MAX, ITERATIONS_MAX, PRIVATE_LABEL, WalletFile};
use super::words::Seed;
use crate::protocol::{PublicKey, SecretKey};

/// scrypt takes 128·N·r bytes; OpenSSL's own choice is 16 MiB, and 32 MiB is the most that it opens unasked.
const SCRYPT_MEMORY_BYTES_MAX: u64 = 128 << 20;
/// scrypt repeats its work this many times.
const SCRYPT_PARALLELISM_MAX: u16 = 16;

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
const OTHER_LABELS: [(&str, &str); 5] = [
    ("RSA PRIVATE KEY", "this is an RSA key"),
    ("EC PRIVATE KEY", "this is an EC key"),
    ("EC PARAMETERS", "this is an EC key"),
    ("DSA PRIVATE KEY", "this is a DSA key"),
    ("OPENSSH PRIVATE KEY", "this is a key in OpenSSH's own form"),
];

const OLD_ENCRYPTION: FileProblem = FileProblem::Unsupported("it is encrypted in a way that is not supported");

/// A private key that was read; it may need a password.
#[derive(Debug)]
pub(crate) enum KeyFile {
    /// No password is needed.
    Plain(Seed),
    /// A password is needed.
    Encrypted(Box<Parameters>, Vec<u8>),
    /// A file that this program wrote.
    Ours(WalletFile),
}

impl KeyFile {
    /// Parses the bytes of a file.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, FileProblem> {
        if content.len() > FILE_BYTES_MAX {
            return Err(FileProblem::TooLong);
        }
        let text = std::str::from_utf8(content).map_err(|_| FileProblem::NotAKey)?;
        let Some((label, block, rest)) = first_block(text)? else { return Err(no_block(text)) };
        if !rest.trim().is_empty() && (rest.contains("PUBLIC KEY") || rest.contains(CHECKSUM_PREFIX.trim_end())) {
            return WalletFile::parse(content, 1).map(Self::Ours);
        }
        if let Some((_, kind)) = OTHER_LABELS.iter().find(|(other, _)| *other == label) {
            return Err(FileProblem::ForeignKey(kind));
        }
        if label != PRIVATE_LABEL && label != ENCRYPTED_LABEL {
            return Err(FileProblem::NotAKey);
        }
        let der = Zeroizing::new(decode_vec(block.as_bytes()).map_err(|_| FileProblem::Tampered)?.1);
        if label == PRIVATE_LABEL {
            return from_der(&der, FileProblem::Tampered).map(Self::Plain);
        }
        let info = EncryptedPrivateKeyInfoRef::from_der(&der).map_err(|error| unreadable(&der, &error))?;
        let pkcs5::EncryptionScheme::Pbes2(parameters) = info.encryption_algorithm else { return Err(OLD_ENCRYPTION) };
        check_cost(&parameters.kdf)?;
        Ok(Self::Encrypted(Box::new(parameters), info.encrypted_data.as_bytes().to_vec()))
    }

    /// Whether it needs a password.
    pub(crate) fn is_encrypted(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Encrypted(..) => true,
            Self::Ours(file) => file.is_encrypted(),
        }
    }

    /// The secret half. Slow if there is a password.
    pub(crate) fn open(&self, password: Option<&Password>) -> Result<Seed, FileProblem> {
        match self {
            Self::Plain(seed) => Ok(seed.clone()),
            Self::Ours(file) => file.open(password),
            Self::Encrypted(parameters, ciphertext) => {
                let password = password.ok_or(FileProblem::NeedsPassword)?;
                let mut buffer = Zeroizing::new(ciphertext.clone());
                let plain =
                    parameters.decrypt_in_place(password.as_bytes(), &mut buffer).map_err(|error| match error {
                        pkcs5::Error::DecryptFailed => FileProblem::WrongPassword,
                        _ => FileProblem::Unsupported("its encryption has parameters that are not supported"),
                    })?;
                // A wrong password gives noise, which once in 256 times looks padded.
                from_der(plain, FileProblem::WrongPassword)
            }
        }
    }
}

/// The first PEM block: its label, its text, and what comes after it. `None` if no block begins.
fn first_block(text: &str) -> Result<Option<(&str, &str, &str)>, FileProblem> {
    const BEGIN: &str = "-----BEGIN ";
    let Some(start) = text.find(BEGIN) else { return Ok(None) };
    let after = &text[start + BEGIN.len()..];
    let label = after.split_once("-----").ok_or(FileProblem::CutOff)?.0;
    let end = format!("-----END {label}-----");
    let at = text[start..].find(&end).ok_or(FileProblem::CutOff)?;
    let (block, rest) = text[start..].split_at(at + end.len());
    Ok(Some((label, block, rest)))
}

fn no_block(text: &str) -> FileProblem {
    // Even nothing at all: a full disk leaves empty files.
    let is_start = "-----BEGIN ".starts_with(text.trim());
    if is_start { FileProblem::CutOff } else { FileProblem::NotAKey }
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
