//! The content of one gossip message about transactions: one transaction, or several together.
//!
//! A message costs its receiver more than a signature does, so a node that has several transactions to announce sends
//! them in one. A bundle adds no meaning to its transactions: each is judged by itself, whatever it came with.

use std::ops::Deref;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::{BorrowDecode, Decode, Encode};

use crate::check::TRANSACTION_BYTES_MAX;
use crate::encode::List;
use crate::transaction::SignedTransaction;

/// The most transactions in one gossip message, which are verified together.
pub const BUNDLE_TRANSACTIONS_MAX: usize = 256;
/// The longest encoded bundle, in bytes: a few milliseconds of a slow link, with room for several of the largest
/// records.
pub const BUNDLE_BYTES_MAX: usize = 64 << 10;
/// The list's count, which stands before the transactions.
const COUNT_BYTES: usize = 8;

const _: () = assert!(COUNT_BYTES + TRANSACTION_BYTES_MAX <= BUNDLE_BYTES_MAX, "the largest transaction fits");

/// From 1 to [`BUNDLE_TRANSACTIONS_MAX`] signed transactions. On the wire a bundle is a plain list.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct Bundle(List<SignedTransaction>);

impl Bundle {
    /// The fewest bundles that hold these transactions in their order, each within both limits.
    pub fn pack(transactions: impl IntoIterator<Item = SignedTransaction>) -> Vec<Self> {
        let mut bundles = Vec::new();
        let mut packed = Vec::new();
        let mut bytes = COUNT_BYTES;
        for signed in transactions {
            let is_full = packed.len() == BUNDLE_TRANSACTIONS_MAX || bytes + signed.length() > BUNDLE_BYTES_MAX;
            if is_full && !packed.is_empty() {
                bundles.push(Self(std::mem::take(&mut packed).into()));
                bytes = COUNT_BYTES;
            }
            bytes += signed.length();
            packed.push(signed);
        }
        if !packed.is_empty() {
            bundles.push(Self(packed.into()));
        }
        bundles
    }

    /// Length of the encoding, in bytes, computed without encoding.
    pub fn length(&self) -> usize {
        COUNT_BYTES + self.iter().map(SignedTransaction::length).sum::<usize>()
    }

    /// The transactions, at least one.
    pub fn into_vec(self) -> Vec<SignedTransaction> {
        self.0.into_vec()
    }
}

impl From<SignedTransaction> for Bundle {
    fn from(signed: SignedTransaction) -> Self {
        Self(vec![signed].into())
    }
}

impl Deref for Bundle {
    type Target = [SignedTransaction];
    fn deref(&self) -> &[SignedTransaction] {
        &self.0
    }
}

impl<C> Decode<C> for Bundle {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let transactions = List::<SignedTransaction>::decode(decoder)?;
        if (1..=BUNDLE_TRANSACTIONS_MAX).contains(&transactions.len()) {
            return Ok(Self(transactions));
        }
        let problem = format!("a bundle of {} transactions, not 1 to {BUNDLE_TRANSACTIONS_MAX}", transactions.len());
        Err(bincode::error::DecodeError::OtherString(problem))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Bundle {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        Self::decode(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Address, PublicKey, Signature};
    use crate::amount::Amount;
    use crate::encode::{DecodeError, decode, encode};
    use crate::transaction::{Action, RECORD_BYTES_MAX, Transaction};

    fn signed(action: Action) -> SignedTransaction {
        let transaction = Transaction { sender: PublicKey::Ed25519([1; 32]), nonce: 2, fee: Amount::ZERO, action };
        SignedTransaction { transaction, signature: Signature::Ed25519([3; 64]) }
    }

    fn record(bytes: usize) -> SignedTransaction {
        signed(Action::Record { data: vec![4; bytes].into() })
    }

    fn transfer() -> SignedTransaction {
        signed(Action::Transfer { to: Address([5; 20]), amount: Amount::COIN })
    }

    #[test]
    fn bundles_are_as_full_as_they_may_be() {
        let packed = |transactions: Vec<SignedTransaction>| {
            let bundles = Bundle::pack(transactions.clone());
            let all: Vec<_> = bundles.iter().flat_map(|bundle| bundle.iter().cloned()).collect();
            assert_eq!(all, transactions, "every transaction, in the given order");
            for bundle in &bundles {
                let bytes = encode(bundle);
                assert_eq!(bytes.len(), bundle.length());
                assert_eq!(decode(&bytes, BUNDLE_BYTES_MAX).as_ref(), Ok(bundle));
            }
            bundles.iter().map(|bundle| bundle.len()).collect::<Vec<_>>()
        };
        assert_eq!(packed(vec![]), [0; 0]);
        assert_eq!(packed(vec![transfer()]), [1]);
        assert_eq!(packed(vec![transfer(); 600]), [256, 256, 88]);
        assert_eq!(packed(vec![record(RECORD_BYTES_MAX); 31]), [15, 15, 1]);
        let exactly = BUNDLE_BYTES_MAX - COUNT_BYTES - 15 * TRANSACTION_BYTES_MAX - record(0).length();
        let mut mixed = vec![record(RECORD_BYTES_MAX); 15];
        mixed.push(record(exactly));
        assert_eq!(packed(mixed.clone()), [16], "to the last byte");
        mixed[15] = record(exactly + 1);
        assert_eq!(packed(mixed), [15, 1]);
    }

    #[test]
    fn bundles_are_neither_empty_nor_too_long() {
        for (count, is_bundle) in
            [(0, false), (1, true), (BUNDLE_TRANSACTIONS_MAX, true), (BUNDLE_TRANSACTIONS_MAX + 1, false)]
        {
            let list: List<SignedTransaction> = vec![transfer(); count].into();
            let decoded = decode::<Bundle>(&encode(&list), BUNDLE_BYTES_MAX);
            match decoded {
                Ok(bundle) => assert!(is_bundle && bundle.len() == count, "{count}"),
                Err(DecodeError::Malformed(_)) => assert!(!is_bundle, "{count}"),
                Err(other) => panic!("{count}: {other}"),
            }
        }
    }
}
