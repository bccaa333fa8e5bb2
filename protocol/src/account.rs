//! Ownership of coins: keys, signatures and addresses.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha3::{Digest, Keccak256};
use zeroize::{Zeroize, zeroize_stack};

use crate::encode::{EncodedSize, encode};
use crate::hash::{ascii, sha256};

/// A public key. A tag names its scheme, so that another scheme can be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum PublicKey {
    /// Ed25519 (RFC 8032), 32 bytes.
    Ed25519([u8; 32]),
}

/// Length of an encoded signature, in bytes: its tag and 64 more.
pub(crate) const SIGNATURE_BYTES: usize = 68;

/// A signature of the same scheme as the key it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Signature {
    /// Ed25519 (RFC 8032), 64 bytes, judged by the rules of ZIP 215.
    Ed25519([u8; 64]),
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ed25519(bytes) = self;
        write!(f, "Ed25519({}…)", hex::encode(&bytes[..4]))
    }
}

impl PublicKey {
    /// The address that this key controls: the first 20 bytes of the SHA-256 of the encoded, tagged key.
    pub fn address(&self) -> Address {
        let hash = sha256(&[&encode(self)]);
        Address(*hash.first_chunk().expect("32 bytes hold 20"))
    }

    /// Whether `signature` is valid for `message` by the rules of ZIP 215, under which a single check and a
    /// batch always agree. (RFC 8032 leaves that open, and a network must not fork over it.)
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let (Self::Ed25519(key), Signature::Ed25519(signature)) = (self, signature);
        ed25519_zebra::VerificationKey::try_from(*key)
            .and_then(|key| key.verify(&ed25519_zebra::Signature::from(*signature), message))
            .is_ok()
    }
}

/// The part of the stack that is cleared after a secret was worked on, in bytes: more than such work uses.
const STACK_WIPED_BYTES: usize = 16 << 10;

/// A signing key. Its memory is cleared when it is dropped, and moving it leaves no copy behind.
pub struct SecretKey(Box<ed25519_zebra::SigningKey>);

impl SecretKey {
    /// The key of RFC 8032 for a seed of 32 random bytes.
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let key = expand(&seed);
        seed.zeroize();
        zeroize_stack::<STACK_WIPED_BYTES>();
        key
    }

    /// The key that verifies what this one signs.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(ed25519_zebra::VerificationKey::from(&*self.0).into())
    }

    /// Signs as RFC 8032 says: the same message always gets the same signature.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature = sign(&self.0, message);
        zeroize_stack::<STACK_WIPED_BYTES>();
        signature
    }
}

/// Not inlined, so that its copies of the seed are where the stack is cleared afterwards.
#[inline(never)]
fn expand(seed: &[u8; 32]) -> SecretKey {
    SecretKey(Box::new(ed25519_zebra::SigningKey::from(*seed)))
}

/// Not inlined, for the same reason.
#[inline(never)]
fn sign(key: &ed25519_zebra::SigningKey, message: &[u8]) -> Signature {
    Signature::Ed25519(key.sign(message).into())
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// `0x` and 40 hex digits.
const ADDRESS_TEXT_BYTES: usize = 42;

/// The name of an account: 20 bytes, written `0x` and 40 hex digits whose case is a checksum (EIP-55).
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Address(pub [u8; 20]);

/// Hashes as two numbers: in a map that costs a quarter less than hashing bytes of any length.
impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (head, tail) = self.0.split_first_chunk().expect("20 bytes hold 16");
        state.write_u128(u128::from_ne_bytes(*head));
        state.write_u32(u32::from_ne_bytes(tail.try_into().expect("4 bytes are left")));
    }
}

/// The order of the bytes, as derived, but compared as numbers: most code that orders addresses does little else.
impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |address: &Self| {
            let (head, tail) = address.0.split_first_chunk().expect("20 bytes hold 16");
            (u128::from_be_bytes(*head), u32::from_be_bytes(tail.try_into().expect("4 bytes are left")))
        };
        number(self).cmp(&number(other))
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl EncodedSize for Address {
    const ENCODED_BYTES_MIN: usize = 20;
}

/// The reason why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not `0x` and 40 hex digits.
    #[error("an address is 0x and 40 hex digits")]
    Form,
    /// The mixed case is not the checksum of the digits: a digit was mistyped.
    #[error("the address has a typing error: its checksum does not fit, please copy it again")]
    Checksum,
}

impl Address {
    /// The address as it is written, in ASCII.
    fn text(&self) -> [u8; ADDRESS_TEXT_BYTES] {
        let mut text = [0; ADDRESS_TEXT_BYTES];
        let (prefix, digits) = text.split_at_mut(2);
        prefix.copy_from_slice(b"0x");
        hex::encode_to_slice(self.0, digits).expect("two digits for each byte");
        let hash = Keccak256::digest(&*digits);
        for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
            // Decimal digits have no case.
            if byte & 0x80 != 0 {
                pair[0].make_ascii_uppercase();
            }
            if byte & 0x08 != 0 {
                pair[1].make_ascii_uppercase();
            }
        }
        text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(ascii(&self.text()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Digits all in lower or all in upper case carry no checksum and are accepted, as EIP-55 says.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix("0x").ok_or(AddressError::Form)?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| AddressError::Form)?;
        let address = Self(bytes);
        let has_lower = digits.bytes().any(|digit| digit.is_ascii_lowercase());
        let has_upper = digits.bytes().any(|digit| digit.is_ascii_uppercase());
        if has_lower && has_upper && address.to_string() != text {
            return Err(AddressError::Checksum);
        }
        Ok(address)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(ascii(&self.text()))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod wiped;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_eip_55() {
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            let address: Address = text.parse().expect("a valid address");
            assert_eq!(address.to_string(), text);
            assert_eq!(text.to_lowercase().parse(), Ok(address));
        }
    }

    #[test]
    fn addresses_are_in_the_order_of_their_bytes() {
        for at in 0..20 {
            let (mut low, mut high) = ([0; 20], [0; 20]);
            (low[at], high[at]) = (1, 0x80);
            // Bytes after the first one that differs do not matter.
            low[at + 1..].fill(0xff);
            assert!(Address(low) < Address(high), "byte {at}");
            assert!(Address(high) > Address(low), "byte {at}");
        }
        assert_eq!(Address([7; 20]).cmp(&Address([7; 20])), Ordering::Equal);
    }

    #[test]
    fn typing_errors_are_found() {
        let good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let typo = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAec";
        assert_eq!(typo.parse::<Address>(), Err(AddressError::Checksum));
        for bad in ["", "0x", &good[2..], &good[..41], "0xzz", "warehouse"] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::Form), "{bad}");
        }
    }

    #[test]
    fn signs_as_rfc_8032_test_2() {
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let key = SecretKey::from_seed(hex::decode(seed).expect("hex").try_into().expect("32 bytes"));
        let PublicKey::Ed25519(public) = key.public_key();
        assert_eq!(hex::encode(public), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = key.sign(&[0x72]);
        let Signature::Ed25519(bytes) = signature;
        assert!(hex::encode(bytes).starts_with("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8f"));
        assert!(key.public_key().verify(&[0x72], &signature));
        assert!(!key.public_key().verify(&[0x73], &signature));
    }
}
