//! The format of a wallet's file.
//!
//! ```text
//! -----BEGIN ENCRYPTED PRIVATE KEY-----     PKCS#8 (RFC 5958, version 1), the key by RFC 8410, encrypted by PBES2
//! …                                         (RFC 8018): PBKDF2-HMAC-SHA256 with 16 bytes of salt, AES-256-CBC.
//! -----END ENCRYPTED PRIVATE KEY-----       Without a password: PRIVATE KEY
//! -----BEGIN PUBLIC KEY-----                SubjectPublicKeyInfo (RFC 8410), so that a locked wallet knows its address
//! …
//! -----END PUBLIC KEY-----
//! sha256 of the above: <64 hex digits>      AES-CBC can't tell a wrong password from a changed file; this can
//! ```
//!
//! OpenSSL reads the first block and ignores the rest. A file is accepted only if it is byte for byte the canonical
//! form of its contents, and if its two halves belong together, which an encrypted one shows when it is opened. The
//! checksum is against accidents: anyone who can write the file can write that line too.

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::pem::{decode_vec, encode_string};
use pkcs8::der::{Decode, Encode};
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Pbkdf2Prf};
use pkcs8::{EncryptedPrivateKeyInfo, EncryptedPrivateKeyInfoRef, LineEnding, pkcs5};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::error::{FileProblem, WalletError};
use super::password::Password;
use super::words::{Seed, random};
use crate::protocol::{Address, PublicKey, SecretKey};

/// The longest key file, in bytes. Ours have about 500.
pub(crate) const FILE_BYTES_MAX: usize = 64 << 10;
/// The PBKDF2 iterations of the files that we write, and the least in those that we open.
pub(crate) const ITERATIONS: u32 = 600_000;
/// The most PBKDF2 iterations. More would be an attack on the person who opens the file.
pub(crate) const ITERATIONS_MAX: u32 = 10_000_000;

pub(crate) const PRIVATE_LABEL: &str = "PRIVATE KEY";
pub(crate) const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
pub(crate) const PUBLIC_LABEL: &str = "PUBLIC KEY";
pub(crate) const CHECKSUM_PREFIX: &str = "sha256 of the above: ";
const CHECKSUM_HEX_LEN: usize = 64;

/// The bytes before an Ed25519 key in PKCS#8, version 1 (RFC 8410, section 7).
const PRIVATE_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// The same in a SubjectPublicKeyInfo (RFC 8410, section 4).
pub(crate) const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const SALT_BYTES: usize = 16;
/// 48 bytes and their padding.
const CIPHERTEXT_BYTES: usize = 64;

/// The contents of a wallet's file.
#[derive(Debug, Clone)]
pub(crate) struct WalletFile {
    public: [u8; 32],
    private: Private,
}

#[derive(Clone)]
enum Private {
    Plain(Seed),
    Encrypted { parameters: Parameters, ciphertext: [u8; CIPHERTEXT_BYTES] },
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Plain(_)) { "Plain(…)" } else { "Encrypted(…)" })
    }
}

impl WalletFile {
    /// For a key, under a password or under none. `iterations` is [`ITERATIONS`], but for tests.
    pub(crate) fn seal(seed: &Seed, password: Option<&Password>, iterations: u32) -> Result<Self, WalletError> {
        let PublicKey::Ed25519(public) = SecretKey::from_seed(**seed).public_key();
        let Some(password) = password else { return Ok(Self { public, private: Private::Plain(seed.clone()) }) };
        let (salt, iv) = (random::<SALT_BYTES>()?, random::<16>()?);
        let parameters = Parameters::generate_pbkdf2_sha256_aes256cbc(iterations, &*salt, *iv)
            .expect("so many iterations and so short a salt are allowed");
        let mut buffer = Zeroizing::new([0; CIPHERTEXT_BYTES]);
        let plain = private_der(seed);
        buffer[..plain.len()].copy_from_slice(&*plain);
        parameters
            .encrypt_in_place(password.as_bytes(), &mut *buffer, plain.len())
            .expect("the buffer has room for the padding");
        Ok(Self { public, private: Private::Encrypted { parameters, ciphertext: *buffer } })
    }

    /// Parses a file, which must be in the exact form of [`Self::to_text`] and have at least `iterations_min`.
    pub(crate) fn parse(content: &[u8], iterations_min: u32) -> Result<Self, FileProblem> {
        if content.len() > FILE_BYTES_MAX {
            return Err(FileProblem::TooLong);
        }
        let (body, checksum) = split_checksum(content)?;
        if hex::encode(Sha256::digest(body)).as_bytes() != checksum {
            return Err(FileProblem::Tampered);
        }
        let body = std::str::from_utf8(body).map_err(|_| FileProblem::Tampered)?;
        let file = parse_blocks(body, iterations_min).ok_or(FileProblem::Tampered)?;
        if file.to_text().as_bytes() != content {
            return Err(FileProblem::Tampered);
        }
        if let Private::Plain(seed) = &file.private {
            file.check_halves(seed)?;
        }
        Ok(file)
    }

    /// The bytes of the file.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(1024));
        text.push_str(&self.private_pem());
        text.push_str(&self.public_pem());
        let checksum = hex::encode(Sha256::digest(text.as_bytes()));
        text.push_str(CHECKSUM_PREFIX);
        text.push_str(&checksum);
        text.push('\n');
        text
    }

    /// The block with the private key alone, encrypted if the file is.
    pub(crate) fn private_pem(&self) -> Zeroizing<String> {
        match &self.private {
            Private::Plain(seed) => pem(PRIVATE_LABEL, &*private_der(seed)),
            Private::Encrypted { parameters, ciphertext } => {
                let encrypted_data = OctetStringRef::new(ciphertext).expect("64 bytes are not too long");
                let info = EncryptedPrivateKeyInfo {
                    encryption_algorithm: pkcs5::EncryptionScheme::Pbes2(parameters.clone()),
                    encrypted_data,
                };
                pem(ENCRYPTED_LABEL, &info.to_der().expect("what was decoded or generated encodes"))
            }
        }
    }

    /// The block with the public key: an X.509 SubjectPublicKeyInfo.
    pub(crate) fn public_pem(&self) -> Zeroizing<String> {
        public_pem(&self.public)
    }

    /// Whether it needs a password.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.private, Private::Encrypted { .. })
    }

    /// The public half. That it belongs to an encrypted private half, only [`Self::open`] can tell.
    pub(crate) fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(self.public)
    }

    /// The address of the public half.
    pub(crate) fn address(&self) -> Address {
        self.public_key().address()
    }

    /// The secret half. Takes as long as its PBKDF2 iterations take.
    pub(crate) fn open(&self, password: Option<&Password>) -> Result<Seed, FileProblem> {
        let seed = match &self.private {
            Private::Plain(seed) => seed.clone(),
            Private::Encrypted { parameters, ciphertext } => {
                let password = password.ok_or(FileProblem::NeedsPassword)?;
                let mut buffer = Zeroizing::new(*ciphertext);
                let plain = parameters
                    .decrypt_in_place(password.as_bytes(), &mut *buffer)
                    .map_err(|_| FileProblem::WrongPassword)?;
                // A wrong password gives noise, which once in 256 times looks padded.
                let seed = plain.strip_prefix(&PRIVATE_PREFIX).and_then(|rest| <[u8; 32]>::try_from(rest).ok());
                Seed::new(seed.ok_or(FileProblem::WrongPassword)?)
            }
        };
        self.check_halves(&seed)?;
        Ok(seed)
    }

    fn check_halves(&self, seed: &Seed) -> Result<(), FileProblem> {
        let derived = SecretKey::from_seed(**seed).public_key();
        if derived == self.public_key() { Ok(()) } else { Err(FileProblem::Tampered) }
    }
}

/// Splits a file into the bytes under its checksum, and the checksum's digits.
fn split_checksum(content: &[u8]) -> Result<(&[u8], &[u8]), FileProblem> {
    let label = format!("-----BEGIN {ENCRYPTED_LABEL}-----\n");
    let plain_label = format!("-----BEGIN {PRIVATE_LABEL}-----\n");
    let begins_like = |label: &str| {
        let shorter = label.len().min(content.len());
        content[..shorter] == label.as_bytes()[..shorter]
    };
    let has_end = content.ends_with(b"\n");
    let last = content.strip_suffix(b"\n").unwrap_or(content);
    let start = last.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = &last[start..];
    let is_whole = has_end && line.len() == CHECKSUM_PREFIX.len() + CHECKSUM_HEX_LEN;
    match (line.strip_prefix(CHECKSUM_PREFIX.as_bytes()), is_whole) {
        (Some(checksum), true) => Ok((&content[..start], checksum)),
        (None, true) => Err(FileProblem::Tampered),
        (_, false) if begins_like(&label) || begins_like(&plain_label) => Err(FileProblem::CutOff),
        (Some(_), false) => Err(FileProblem::Tampered),
        (None, false) => Err(FileProblem::NotAKey),
    }
}

fn parse_blocks(body: &str, iterations_min: u32) -> Option<WalletFile> {
    let (private, public) = body.split_at(body.find(&format!("-----BEGIN {PUBLIC_LABEL}-----"))?);
    let (label, public) = decode_vec(public.as_bytes()).ok()?;
    let public = public.strip_prefix(&PUBLIC_PREFIX).filter(|_| label == PUBLIC_LABEL)?.try_into().ok()?;
    let (label, private) = decode_vec(private.as_bytes()).ok()?;
    let private = Zeroizing::new(private);
    let private = match label {
        PRIVATE_LABEL => Private::Plain(Seed::new(private.strip_prefix(&PRIVATE_PREFIX)?.try_into().ok()?)),
        ENCRYPTED_LABEL => {
            let info = EncryptedPrivateKeyInfoRef::from_der(&private).ok()?;
            let pkcs5::EncryptionScheme::Pbes2(parameters) = info.encryption_algorithm else { return None };
            let (Kdf::Pbkdf2(kdf), EncryptionScheme::Aes256Cbc { .. }) = (&parameters.kdf, &parameters.encryption)
            else {
                return None;
            };
            let is_ours = kdf.prf == Pbkdf2Prf::HmacWithSha256
                && kdf.key_length.is_none()
                && kdf.salt.as_bytes().len() == SALT_BYTES
                && (iterations_min..=ITERATIONS_MAX).contains(&kdf.iteration_count);
            let ciphertext = info.encrypted_data.as_bytes().try_into().ok().filter(|_| is_ours)?;
            Private::Encrypted { parameters, ciphertext }
        }
        _ => return None,
    };
    Some(WalletFile { public, private })
}

/// The checksum of a wallet's file with this private block and this public half, in hex.
pub(crate) fn checksum_of(label: &str, der: &[u8], public: &[u8; 32]) -> String {
    let mut hash = Sha256::new();
    hash.update(pem(label, der).as_bytes());
    hash.update(public_pem(public).as_bytes());
    hex::encode(hash.finalize())
}

fn public_pem(public: &[u8; 32]) -> Zeroizing<String> {
    pem(PUBLIC_LABEL, &[&PUBLIC_PREFIX[..], public].concat())
}

fn private_der(seed: &Seed) -> Zeroizing<[u8; 48]> {
    let mut der = Zeroizing::new([0; 48]);
    der[..16].copy_from_slice(&PRIVATE_PREFIX);
    der[16..].copy_from_slice(&**seed);
    der
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(encode_string(label, LineEnding::LF, der).expect("so few bytes have a PEM form"))
}
