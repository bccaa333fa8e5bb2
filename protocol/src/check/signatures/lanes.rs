//! The library that is faster with AVX-512 IFMA.

use commonware_codec::DecodeExt;
use commonware_cryptography::{BatchEntry, BatchVerifier};
use commonware_cryptography_curve25519::signing;
use commonware_parallel::Sequential;

use super::coefficients;
use crate::account::{PublicKey, Signature};
use crate::check::CheckedTransaction;
use crate::hash::BlockId;
use crate::transaction::{SIGNING_NAMESPACE, SignedTransaction};

/// The smallest batch that fills eight lanes.
const BATCH_MIN: usize = 8;

/// Whether this processor multiplies 52-bit numbers in eight lanes, and a batch of this size gains by it.
pub(super) fn are_worth_it(signatures: usize) -> bool {
    #[cfg(target_arch = "x86_64")]
    return signatures >= BATCH_MIN
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma");
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (signatures, BATCH_MIN);
        false
    }
}

/// Key, signature, and the message without the frame that the library adds.
type Item = (signing::VerifyingKey, signing::Signature, Vec<u8>);

/// Whether all of them, at least one, are valid.
pub(super) fn are_valid(transactions: &[CheckedTransaction], genesis: &BlockId) -> bool {
    fn entry<'a>(_: usize, (public_key, signature, message): &'a Item) -> BatchEntry<'a, signing::VerifyingKey> {
        BatchEntry { namespace: SIGNING_NAMESPACE, message, public_key, signature }
    }
    let items: Vec<Item> = transactions.iter().map(|transaction| item(transaction, genesis)).collect();
    signing::VerifyingKey::verify_batch(&mut coefficients(transactions, genesis), &items, entry, &Sequential)
}

fn item(transaction: &CheckedTransaction, genesis: &BlockId) -> Item {
    let SignedTransaction { transaction, signature } = transaction.signed();
    let (PublicKey::Ed25519(key), Signature::Ed25519(signature)) = (&transaction.sender, signature);
    // Whether they are points of the curve is judged with the batch.
    let key = signing::VerifyingKey::decode(key.to_vec()).expect("any 32 bytes");
    let signature = signing::Signature::decode(signature.to_vec()).expect("any 64 bytes");
    (key, signature, transaction.signing_message(genesis))
}
