//! OpenSSH's own form of private keys, `openssh-key-v1` (PROTOCOL.key in its source): one Ed25519 key, not encrypted.

use crate::node::wallet::error::FileProblem;
use crate::node::wallet::words::Seed;
use crate::protocol::{PublicKey, SecretKey};

const MAGIC: &[u8] = b"openssh-key-v1\0";
const KIND: &[u8] = b"ssh-ed25519";

const PASSPHRASE: FileProblem = FileProblem::Convert(
    "an OpenSSH key with a passphrase: make a copy of it, take the passphrase off with `ssh-keygen -p -N '' -f COPY`, and \
     import the copy",
);
const SECURITY_KEY: FileProblem =
    FileProblem::Convert("not the key itself, which never leaves its security key: choose another key");

/// Other kinds of keys, by the beginnings of their names.
const OTHER_KINDS: [(&[u8], &str); 3] =
    [(b"ssh-rsa", "this is an RSA key"), (b"ssh-dss", "this is a DSA key"), (b"ecdsa-", "this is an EC key")];

/// The secret half.
pub(super) fn parse(bytes: &[u8]) -> Result<Seed, FileProblem> {
    let mut fields = Fields(bytes.strip_prefix(MAGIC).ok_or(FileProblem::Tampered)?);
    let (cipher, mut public, mut secret) = header(&mut fields).ok_or(FileProblem::Tampered)?;
    match public.string().ok_or(FileProblem::Tampered)? {
        KIND => {}
        kind if kind.starts_with(b"sk-") => return Err(SECURITY_KEY),
        kind => {
            let known = OTHER_KINDS.iter().find(|(beginning, _)| kind.starts_with(beginning));
            return Err(FileProblem::ForeignKey(known.map_or("this is a key of another kind", |(_, kind)| kind)));
        }
    }
    if cipher != b"none" {
        return Err(PASSPHRASE);
    }
    secret.seed(&mut public).ok_or(FileProblem::Tampered)
}

/// The name of the cipher, the public key, and the part that may be encrypted.
fn header<'a>(fields: &mut Fields<'a>) -> Option<(&'a [u8], Fields<'a>, Fields<'a>)> {
    let cipher = fields.string()?;
    let (_derivation, _options) = (fields.string()?, fields.string()?);
    let keys = fields.number()?;
    let (public, secret) = (fields.string()?, fields.string()?);
    (keys == 1).then_some((cipher, Fields(public), Fields(secret)))
}

/// Bytes that are still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// The seed of the secret part, if all its fields fit together and with the public key.
    fn seed(&mut self, public: &mut Self) -> Option<Seed> {
        let is_opened = self.number()? == self.number()?;
        let (kind, half, both, _comment) = (self.string()?, self.string()?, self.string()?, self.string()?);
        let is_padded = (1..).zip(self.0).all(|(number, byte): (u8, _)| number == *byte);
        let (seed, again) = both.split_at_checked(32)?;
        let seed = Seed::new(seed.try_into().ok()?);
        let PublicKey::Ed25519(derived) = SecretKey::from_seed(*seed).public_key();
        let has_halves = [half, again, public.string()?].iter().all(|half| **half == derived);
        (is_opened && is_padded && kind == KIND && has_halves).then_some(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat()
    }

    /// A key file's bytes with a seed and the public half of another.
    fn key(cipher: &[u8], seed: u8, public: u8) -> Vec<u8> {
        let PublicKey::Ed25519(public) = SecretKey::from_seed([public; 32]).public_key();
        let blob = [string(KIND), string(&public)].concat();
        let both = [&[seed; 32][..], &public].concat();
        let secret = [&[9; 8][..], &blob, &string(&both), &string(b"comment"), &[1, 2, 3]].concat();
        let head = [MAGIC, &string(cipher), &string(b"none"), &string(b""), &1u32.to_be_bytes()].concat();
        [head, string(&blob), string(&secret)].concat()
    }

    #[test]
    fn no_change_gives_another_key() {
        let good = key(b"none", 7, 7);
        assert_eq!(parse(&good), Ok(Seed::new([7; 32])));
        assert_eq!(parse(&key(b"none", 7, 8)), Err(FileProblem::Tampered));
        assert_eq!(parse(&key(b"aes256-ctr", 7, 7)), Err(PASSPHRASE));
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(
                parse(&changed).is_ok_and(|seed| seed == Seed::new([7; 32])) || parse(&changed).is_err(),
                "byte {at}"
            );
            assert!(parse(&good[..at]).is_err(), "{at} bytes");
        }
    }
}
