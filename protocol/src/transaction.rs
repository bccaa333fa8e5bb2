//! Transactions: the statements that an account's owner signs.

use bincode::{Decode, Encode};

use crate::account::{Address, PublicKey, SecretKey, Signature};
use crate::amount::Amount;
use crate::encode::{DecodeError, EncodedSize, List, decode, encode};
use crate::hash::{BlockId, LeafHash, TransactionId, sha256};
use crate::merkle;

/// The most data that one record carries, in bytes (rule R3).
pub const RECORD_BYTES_MAX: usize = 4096;

/// Begins everything that is signed, so that a signature made for another purpose never fits: the length of a namespace,
/// as a varint (LEB128), and the namespace.
const SIGNING_FRAME: &[u8] = b"\x13quipu transaction 2";

/// The namespace in the frame.
#[cfg(any(test, feature = "lanes"))]
pub(crate) const SIGNING_NAMESPACE: &[u8] = SIGNING_FRAME.split_first().expect("a length comes first").1;

/// The difference between a transfer's encoding and that of an empty record: recipient 20, amount 8, and no count of 8.
const TRANSFER_BYTES_MORE: usize = 20;

/// The effect of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Action {
    /// Moves coins from the sender to another account.
    Transfer {
        /// The recipient of the coins.
        to: Address,
        /// The number of coins, more than zero.
        amount: Amount,
    },
    /// Puts data on the chain, signed by the sender.
    Record {
        /// Any bytes, at most [`RECORD_BYTES_MAX`] of them.
        data: List<u8>,
    },
}

/// The part of a transaction that its sender signs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Transaction {
    /// The key whose account pays.
    pub sender: PublicKey,
    /// The number of transactions that the account has made before this one.
    pub nonce: u64,
    /// The coins paid to the miner.
    pub fee: Amount,
    /// A transfer or a record.
    pub action: Action,
}

/// A transaction with its sender's signature over [`Transaction::signing_bytes`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SignedTransaction {
    /// The signed content.
    pub transaction: Transaction,
    /// The signature, valid for the sender's key.
    pub signature: Signature,
}

impl EncodedSize for SignedTransaction {
    /// A record of no bytes: key 36, nonce 8, fee 8, action 4 + 8, signature 68.
    const ENCODED_BYTES_MIN: usize = 132;
}

impl Transaction {
    /// The bytes that are signed: a framed namespace, the id of the network's genesis block, the transaction. A signature
    /// is therefore worth nothing on another network.
    pub fn signing_bytes(&self, genesis: &BlockId) -> Vec<u8> {
        [SIGNING_FRAME, &self.signing_message(genesis)].concat()
    }

    /// The signed bytes without the frame.
    pub(crate) fn signing_message(&self, genesis: &BlockId) -> Vec<u8> {
        [genesis.as_bytes(), &encode(self)[..]].concat()
    }

    /// Decodes signing bytes into the genesis block's id and the transaction.
    pub fn from_signing_bytes(bytes: &[u8]) -> Result<(BlockId, Self), DecodeError> {
        let rest = bytes.strip_prefix(SIGNING_FRAME).and_then(|rest| rest.split_first_chunk());
        let (genesis, rest) = rest.ok_or_else(|| DecodeError::Malformed("another namespace".to_owned()))?;
        Ok((BlockId(*genesis), decode(rest, bytes.len())?))
    }

    /// The SHA-256 of the signed bytes.
    pub fn id(&self, genesis: &BlockId) -> TransactionId {
        Self::id_of_encoding(&encode(self), genesis)
    }

    /// [`Transaction::id`] from an encoding that exists already.
    pub(crate) fn id_of_encoding(encoded: &[u8], genesis: &BlockId) -> TransactionId {
        TransactionId(sha256(&[SIGNING_FRAME, genesis.as_bytes(), encoded]))
    }

    /// Adds the signature of `key`, which must be the sender's for the result to be valid.
    pub fn sign(self, genesis: &BlockId, key: &SecretKey) -> SignedTransaction {
        let signature = key.sign(&self.signing_bytes(genesis));
        SignedTransaction { transaction: self, signature }
    }

    /// The coins that leave the sender's account: the fee and the transferred amount. `None` if that exceeds 64 bits.
    pub fn spends(&self) -> Option<Amount> {
        match &self.action {
            Action::Transfer { amount, .. } => self.fee.checked_add(*amount),
            Action::Record { .. } => Some(self.fee),
        }
    }
}

impl SignedTransaction {
    /// Length of the encoding, in bytes, computed without encoding.
    pub fn length(&self) -> usize {
        Self::length_with(&self.transaction.action)
    }

    /// Length of the encoding of any transaction with this action, in bytes.
    pub fn length_with(action: &Action) -> usize {
        Self::ENCODED_BYTES_MIN
            + match action {
                Action::Record { data } => data.len(),
                Action::Transfer { .. } => TRANSFER_BYTES_MORE,
            }
    }

    /// The Merkle leaf of the encoded transaction, the signature included.
    pub fn leaf(&self) -> LeafHash {
        merkle::leaf(&encode(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &[u8]) -> SignedTransaction {
        let key = SecretKey::from_seed([1; 32]);
        let action = Action::Record { data: data.to_vec().into() };
        Transaction { sender: key.public_key(), nonce: 0, fee: Amount::ZERO, action }.sign(&BlockId([0; 32]), &key)
    }

    #[test]
    fn the_shortest_encoding_is_as_short_as_stated() {
        let bytes = encode(&record(b""));
        assert_eq!(bytes.len(), SignedTransaction::ENCODED_BYTES_MIN);
        assert_eq!(decode(&bytes, 1000), Ok(record(b"")));
    }

    #[test]
    fn a_length_is_that_of_the_encoding() {
        let mut transfer = record(b"");
        transfer.transaction.action = Action::Transfer { to: Address([1; 20]), amount: Amount::COIN };
        for signed in [record(b""), record(b"knot"), record(&[7; RECORD_BYTES_MAX]), transfer] {
            assert_eq!(signed.length(), encode(&signed).len(), "{signed:?}");
        }
    }

    #[test]
    fn the_id_leaves_the_signature_out_and_the_leaf_does_not() {
        let (one, mut other) = (record(b"x"), record(b"x"));
        other.signature = Signature::Ed25519([7; 64]);
        let genesis = BlockId([0; 32]);
        assert_eq!(one.transaction.id(&genesis), other.transaction.id(&genesis));
        assert_ne!(one.leaf(), other.leaf());
        assert_ne!(one.transaction.id(&genesis), one.transaction.id(&BlockId([1; 32])));
    }

    #[test]
    fn the_frame_is_the_length_of_the_namespace_and_the_namespace() {
        assert_eq!(SIGNING_FRAME[0] as usize, SIGNING_NAMESPACE.len());
        let transaction = record(b"data").transaction;
        let genesis = BlockId([7; 32]);
        let bytes = transaction.signing_bytes(&genesis);
        assert_eq!(bytes, [SIGNING_FRAME, &transaction.signing_message(&genesis)].concat());
        assert_eq!(transaction.id(&genesis).0, sha256(&[&bytes]));
    }

    #[test]
    fn signing_bytes_can_be_decoded() {
        let genesis = BlockId([7; 32]);
        let transaction = record(b"data").transaction;
        let bytes = transaction.signing_bytes(&genesis);
        assert_eq!(Transaction::from_signing_bytes(&bytes), Ok((genesis, transaction)));
        let mut other_namespace = bytes.clone();
        other_namespace[0] ^= 1;
        let longer = [&bytes[..], &[0]].concat();
        for bad in [&other_namespace[..], &longer, &bytes[..bytes.len() - 1], SIGNING_FRAME, &[]] {
            assert!(Transaction::from_signing_bytes(bad).is_err(), "{bad:?}");
        }
    }
}
