//! Identifiers: SHA-256 hashes, a type for each kind, written as 64 hex digits.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::encode::EncodedSize;

/// A text is not the 64 hex digits of a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is 64 hex digits")]
pub struct HashError;

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes, the most significant first.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first eight hex digits after the leading zeros: enough for a person to tell two apart.
            pub fn short(&self) -> String {
                let text = hex::encode(self.0);
                let zeros = text.bytes().take_while(|digit| *digit == b'0').count().min(56);
                text[zeros..zeros + 8].to_owned()
            }
        }

        impl EncodedSize for $name {
            const ENCODED_BYTES_MIN: usize = 32;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(ascii(&digits(&self.0)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = HashError;
            fn from_str(text: &str) -> Result<Self, HashError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| HashError)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(ascii(&digits(&self.0)))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hash_type! {
    /// A block's identifier: the SHA-256 of its 96 header bytes, read as a big-endian number when it is
    /// compared with a target.
    BlockId
}
hash_type! {
    /// A transaction's identifier: the SHA-256 of the bytes that its sender signs. The signature is not part
    /// of it.
    TransactionId
}
hash_type! {
    /// A node of a Merkle tree. A transaction's leaf covers all of its bytes, the signature too.
    LeafHash
}
hash_type! {
    /// A node of the tree over all ancestors of a block, see [`crate::history`].
    HistoryHash
}
hash_type! {
    /// The commitment to what the contracts of a block did.
    OutcomeHash
}
hash_type! {
    /// The hash of a network's parameters.
    ParametersHash
}

/// The 64 hex digits of a hash.
fn digits(hash: &[u8; 32]) -> [u8; 64] {
    let mut digits = [0; 64];
    hex::encode_to_slice(hash, &mut digits).expect("two digits for each byte");
    digits
}

/// A text known to be ASCII.
pub(crate) fn ascii(text: &[u8]) -> &str {
    str::from_utf8(text).expect("ASCII is UTF-8")
}

/// SHA-256 of the concatenated `parts`.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A hash for one purpose: SHA-256(SHA-256(tag) ‖ SHA-256(tag) ‖ parts), as in BIP-340.
pub fn tagged_hash(tag: &str, parts: &[&[u8]]) -> [u8; 32] {
    let tag = Sha256::digest(tag.as_bytes());
    let mut hasher = Sha256::new();
    hasher.update(tag);
    hasher.update(tag);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = BlockId(sha256(&[b"a", b"bc"]));
        assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("12".parse::<BlockId>(), Err(HashError));
        assert_eq!(id.short(), "ba7816bf");
        assert_eq!(BlockId([0; 32]).short(), "00000000");
    }

    #[test]
    fn a_tag_separates() {
        assert_ne!(tagged_hash("a", &[b"x"]), tagged_hash("b", &[b"x"]));
        assert_eq!(tagged_hash("a", &[b"xy"]), tagged_hash("a", &[b"x", b"y"]));
    }
}
