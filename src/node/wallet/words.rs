//! The recovery phrase: 24 English words (BIP-39) from which a wallet's key is derived (SLIP-0010, Ed25519).
//!
//! The seed is that of BIP-39 with an empty passphrase. The key is the one at [`PATH`], so any program that knows both
//! standards finds it. The derivation can't be reversed: a wallet's
//! file does not hold the words.

use std::fmt::{self, Write};

use bip0039::{English, Mnemonic};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

use super::error::{WalletError, WordsError};

/// A seed of RFC 8032: the secret half of an Ed25519 key.
pub(crate) type Seed = Zeroizing<[u8; 32]>;

/// Where the key is derived: BIP-44's purpose, then 1 (the coin type of SLIP-0044 for coins that are not traded), then
/// the first account. Each step is hardened, as SLIP-0010 demands for Ed25519.
pub const PATH: [u32; 3] = [44, 1, 0];
/// The same for people.
pub const PATH_TEXT: &str = "m/44'/1'/0'";
/// The bit that makes a step hardened.
const HARDENED: u32 = 1 << 31;
/// Words in a line, where people read them.
const WORDS_A_LINE: usize = 4;

/// A recovery phrase. Cleared when it is dropped, and not shown by `Debug`.
#[derive(Clone)]
pub struct RecoveryPhrase(Mnemonic<English>);

impl fmt::Debug for RecoveryPhrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryPhrase(…)")
    }
}

impl RecoveryPhrase {
    /// 24 words from 256 bits of the system's randomness.
    pub fn random() -> Result<Self, WalletError> {
        let entropy = random::<32>()?;
        Ok(Self(Mnemonic::from_entropy(entropy.to_vec()).expect("BIP-39 knows 256 bits")))
    }

    /// Parses words separated by any blanks, in any case.
    pub fn parse(text: &str) -> Result<Self, WordsError> {
        let mut phrase = Zeroizing::new(String::with_capacity(text.len()));
        for word in text.split_whitespace() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        }
        Mnemonic::from_phrase(phrase.as_str()).map(Self).map_err(|error| match error {
            bip0039::Error::UnknownWord(word) => {
                // All words of the list are ASCII; of others the parser gives another normal form.
                let wrong = |(_, other): &(usize, &str)| *other == word || !other.is_ascii();
                let (at, word) = phrase.split(' ').enumerate().find(wrong).unwrap_or((0, &word));
                WordsError::Unknown { position: at + 1, word: word.chars().take(20).collect() }
            }
            bip0039::Error::InvalidChecksum => WordsError::Checksum,
            bip0039::Error::BadWordCount(_) | bip0039::Error::BadEntropyBitCount(_) => {
                WordsError::Count(phrase.split_whitespace().count())
            }
        })
    }

    /// The words, separated by blanks. To be shown once, to their owner.
    pub fn phrase(&self) -> &str {
        self.0.phrase()
    }

    /// The secret half of the wallet's key.
    pub(crate) fn key_seed(&self) -> Seed {
        derive(&*Zeroizing::new(self.0.to_seed("")), &PATH)
    }
}

/// A recovery phrase as it is shown: its words with their numbers, on several lines.
pub fn numbered(phrase: &str) -> Zeroizing<String> {
    // Room from the start: a buffer that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let words: Vec<&str> = phrase.split(' ').collect();
    for (row, line) in words.chunks(WORDS_A_LINE).enumerate() {
        for (column, word) in line.iter().enumerate() {
            let number = row * WORDS_A_LINE + column + 1;
            write!(text, "  {number:>2} {word:<9}").expect("a string takes everything");
        }
        let end = text.trim_end().len();
        text.truncate(end);
        text.push('\n');
    }
    text
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, WalletError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(WalletError::NoRandomness)?;
    Ok(bytes)
}

/// SLIP-0010 for Ed25519; each step is taken as hardened.
fn derive(seed: &[u8], path: &[u32]) -> Seed {
    let mut node = mac(b"ed25519 seed", &[seed]);
    for step in path {
        let (key, chain_code) = node.split_at(32);
        node = mac(chain_code, &[&[0], key, &(step | HARDENED).to_be_bytes()]);
    }
    Zeroizing::new(*node.first_chunk().expect("64 bytes hold 32"))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("a key of any length is taken");
    for part in parts {
        mac.update(part);
    }
    let mut output = mac.finalize().into_bytes();
    let copy = Zeroizing::new(output.as_slice().try_into().expect("SHA-512 has 64 bytes"));
    output.as_mut_slice().zeroize();
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{PublicKey, SecretKey};

    const ABANDON: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                           abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art";

    /// (entropy, words, seed with the passphrase TREZOR) of the reference list that BIP-39 names.
    #[test]
    fn vectors_of_bip_39() {
        for (entropy, words, seed) in [
            (
                "00".repeat(32),
                ABANDON.to_owned(),
                "bda85446c68413707090a52022edd26a1c9462295029f2e60cd7c4f2bbd3097170af7a4d73245cafa9c3cca8d561a7c3de6f5d4a10be8ed2a5e608d68f92fcc8",
            ),
            (
                "7f".repeat(32),
                format!("{0}useful {0}useful {0}title", "legal winner thank year wave sausage worth "),
                "bc09fca1804f7e69da93c2f2028eb238c227f2e9dda30cd63699232578480a4021b146ad717fbb7e451ce9eb835f43620bf5c514db0f8add49f5d121449d3e87",
            ),
            (
                "ff".repeat(32),
                format!("{}vote", "zoo ".repeat(23)),
                "dd48c104698c30cfe2b6142103248622fb7bb0ff692eebb00089b32d22484e1613912f0a5b694407be899ffd31ed3992c456cdf60f5d4564b8ba3f05a69890ad",
            ),
        ] {
            let made = RecoveryPhrase(Mnemonic::from_entropy(hex::decode(&entropy).expect("hex")).expect("256 bits"));
            assert_eq!(made.phrase(), words);
            let read = RecoveryPhrase::parse(&words).expect("valid");
            assert_eq!(hex::encode(read.0.entropy()), entropy);
            assert_eq!(hex::encode(read.0.to_seed("TREZOR")), seed);
        }
    }

    /// The Ed25519 vectors 1 and 2 of SLIP-0010: path, secret half, public half.
    #[test]
    fn vectors_of_slip_0010() {
        let first = "000102030405060708090a0b0c0d0e0f";
        let second = "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542";
        let cases: [(&str, &[u32], &str, &str); 6] = [
            (
                first,
                &[],
                "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7",
                "a4b2856bfec510abab89753fac1ac0e1112364e7d250545963f135f2a33188ed",
            ),
            (
                first,
                &[0],
                "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3",
                "8c8a13df77a28f3445213a0f432fde644acaa215fc72dcdf300d5efaa85d350c",
            ),
            (
                first,
                &[0, 1],
                "b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2",
                "1932a5270f335bed617d5b935c80aedb1a35bd9fc1e31acafd5372c30f5c1187",
            ),
            (
                first,
                &[0, 1, 2, 2, 1_000_000_000],
                "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
                "3c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a",
            ),
            (
                second,
                &[],
                "171cb88b1b3c1db25add599712e36245d75bc65a1a5c9e18d76f9f2b1eab4012",
                "8fe9693f8fa62a4305a140b9764c5ee01e455963744fe18204b4fb948249308a",
            ),
            (
                second,
                &[0],
                "1559eb2bbec5790b0c65d8693e4d0875b1747f4970ae8b650486ed7470845635",
                "86fab68dcb57aa196c77c5f264f215a112c22a912c10d123b0d03c3c28ef1037",
            ),
        ];
        for (seed, path, secret, public) in cases {
            let key = derive(&hex::decode(seed).expect("hex"), path);
            assert_eq!(hex::encode(*key), secret, "{path:?}");
            let PublicKey::Ed25519(derived) = SecretKey::from_seed(*key).public_key();
            assert_eq!(hex::encode(derived), public, "{path:?}");
        }
    }

    #[test]
    fn the_path_is_what_it_says() {
        let steps: Vec<String> = PATH.iter().map(|step| format!("/{step}'")).collect();
        assert_eq!(PATH_TEXT, format!("m{}", steps.concat()));
    }

    #[test]
    fn random_words_are_24_and_restore_the_key() {
        let words = RecoveryPhrase::random().expect("random");
        assert_eq!(words.phrase().split(' ').count(), 24);
        let typed = format!("\n  {}\t\n", words.phrase().to_uppercase().replace(' ', "\r\n "));
        assert_eq!(RecoveryPhrase::parse(&typed).expect("valid").key_seed(), words.key_seed());
        assert_ne!(RecoveryPhrase::random().expect("random").phrase(), words.phrase());
        assert_eq!(format!("{words:?}"), "RecoveryPhrase(…)");
    }

    #[test]
    fn what_is_mistyped_is_named() {
        let cases = [
            (ABANDON.replacen("abandon", "abandom", 1), "word 1 of the recovery phrase, \"abandom\""),
            (ABANDON.replace("art", "arte"), "word 24 of the recovery phrase, \"arte\""),
            (ABANDON.replace("art", "able"), "wrong checksum"),
            (ABANDON.replacen("abandon ", "", 1), "not 23"),
            (String::new(), "not 0"),
            ("zoö ".repeat(24), "word 1 "),
        ];
        for (text, want) in cases {
            let error = RecoveryPhrase::parse(&text).expect_err(want).to_string();
            assert!(error.contains(want) && !error.contains('\n'), "{error}");
        }
    }
}
