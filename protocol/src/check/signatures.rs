//! Many signatures at once, in a fraction of the time that one by one takes.
//!
//! Each verdict is that of ZIP 215, as for a single signature: a batch is valid if and only if every signature in it is.
//! Two libraries judge so. One is two to three times as fast as the other on processors with AVX-512 IFMA, and slower
//! on others and in the smallest batches.

#[cfg(feature = "lanes")]
mod lanes;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::CheckedTransaction;
use crate::account::{PublicKey, Signature};
use crate::hash::{BlockId, sha256};
use crate::transaction::SignedTransaction;

/// Whether the signatures of all transactions, at least one, are valid on the network with this genesis block.
pub(super) fn are_valid(transactions: &[CheckedTransaction], genesis: &BlockId) -> bool {
    #[cfg(feature = "lanes")]
    if lanes::are_worth_it(transactions.len()) {
        return lanes::are_valid(transactions, genesis);
    }
    are_valid_one_after_the_other(transactions, genesis)
}

/// A batch is a sum with random coefficients. Their generator is seeded with a hash of the whole batch, so that the
/// signer cannot know them before the signatures are fixed, and two nodes always judge alike.
fn coefficients(transactions: &[CheckedTransaction], genesis: &BlockId) -> ChaCha20Rng {
    let leaves: Vec<u8> = transactions.iter().flat_map(|transaction| transaction.leaf().0).collect();
    ChaCha20Rng::from_seed(sha256(&[b"quipu batch 1", genesis.as_bytes(), &leaves]))
}

fn are_valid_one_after_the_other(transactions: &[CheckedTransaction], genesis: &BlockId) -> bool {
    let mut batch = ed25519_zebra::batch::Verifier::new();
    for transaction in transactions {
        let SignedTransaction { transaction, signature } = transaction.signed();
        let (PublicKey::Ed25519(key), Signature::Ed25519(signature)) = (&transaction.sender, signature);
        batch.queue((
            ed25519_zebra::VerificationKeyBytes::from(*key),
            ed25519_zebra::Signature::from(*signature),
            &transaction.signing_bytes(genesis),
        ));
    }
    batch.verify(coefficients(transactions, genesis)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::signature_is_valid;
    use super::*;
    use crate::account::SecretKey;
    use crate::amount::Amount;
    use crate::network::{Network, Parameters};
    use crate::transaction::{Action, Transaction};

    /// The eight points of low order and their non-canonical encodings, as listed in the test vectors of ZIP 215.
    const LOW_ORDER: [&str; 10] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    fn network() -> Network {
        Network::new(Parameters::dev()).expect("a preset is valid")
    }

    fn record(seed: u8, length: usize) -> SignedTransaction {
        let key = SecretKey::from_seed([seed; 32]);
        let action = Action::Record { data: vec![seed; length].into() };
        let transaction = Transaction { sender: key.public_key(), nonce: 0, fee: Amount::ZERO, action };
        transaction.sign(&network().genesis_id(), &key)
    }

    /// The verdict of both libraries on a batch, which is that on each alone.
    fn judge(signed: &[SignedTransaction]) -> bool {
        let network = network();
        let checked: Vec<_> = signed.iter().map(|one| CheckedTransaction::recall(one.clone(), &network)).collect();
        let alone = checked.iter().all(|one| signature_is_valid(one, &network));
        let genesis = network.genesis_id();
        #[cfg(feature = "lanes")]
        assert_eq!(lanes::are_valid(&checked, &genesis), alone, "{signed:?}");
        assert_eq!(are_valid_one_after_the_other(&checked, &genesis), alone, "{signed:?}");
        assert_eq!(are_valid(&checked, &genesis), alone);
        alone
    }

    fn with_bytes(mut signed: SignedTransaction, change: impl FnOnce(&mut [u8; 64])) -> SignedTransaction {
        let Signature::Ed25519(bytes) = &mut signed.signature;
        change(bytes);
        signed
    }

    #[test]
    fn good_batches_of_every_size_are_good() {
        let all: Vec<_> = (0..40).map(|seed| record(seed, usize::from(seed) * 101)).collect();
        (1..=all.len()).for_each(|size| assert!(judge(&all[..size]), "{size}"));
    }

    #[test]
    fn one_bad_signature_spoils_a_batch_wherever_it_is() {
        let good: Vec<_> = (0..20).map(|seed| record(seed, 10)).collect();
        for at in 0..good.len() {
            for bit in [0, 7, 255, 256, 300, 508] {
                let mut batch = good.clone();
                batch[at] = with_bytes(batch[at].clone(), |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                assert!(!judge(&batch), "bit {bit} of signature {at}");
            }
        }
    }

    /// What RFC 8032 leaves open, ZIP 215 settles: low order and second encodings of points are accepted.
    #[test]
    fn points_of_low_order_are_judged_alike() {
        let points = LOW_ORDER.map(|point| <[u8; 32]>::try_from(hex::decode(point).expect("hex")).expect("32 bytes"));
        let good: Vec<_> = (0..9).map(|seed| record(seed, 10)).collect();
        for key in points {
            for commitment in points {
                let mut crafted = with_bytes(record(1, 5), |bytes| {
                    bytes[..32].copy_from_slice(&commitment);
                    bytes[32..].fill(0);
                });
                crafted.transaction.sender = PublicKey::Ed25519(key);
                assert!(judge(&[&good[..], &[crafted]].concat()));
            }
            // The commitment of an honest signature moved by a point of low order is another point.
            let moved = with_bytes(record(2, 5), |bytes| bytes[..32].copy_from_slice(&key));
            assert!(!judge(&[&good[..], &[moved]].concat()));
        }
    }

    #[test]
    fn scalars_that_are_not_reduced_are_refused() {
        // The order of the group, little endian.
        let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").expect("hex");
        let good: Vec<_> = (0..9).map(|seed| record(seed, 10)).collect();
        for seed in 0..4 {
            let signed = with_bytes(record(seed, 7), |bytes| {
                let mut carry = 0;
                for (byte, add) in bytes[32..].iter_mut().zip(&order) {
                    let sum = u16::from(*byte) + u16::from(*add) + carry;
                    (*byte, carry) = (sum as u8, sum >> 8);
                }
            });
            assert!(!judge(&[&good[..], &[signed]].concat()), "the same point, another encoding");
        }
    }

    #[test]
    fn bytes_that_are_no_points_are_refused() {
        let good: Vec<_> = (0..9).map(|seed| record(seed, 10)).collect();
        let mut refused = 0;
        for first in 0..=255_u8 {
            let mut key = record(1, 5);
            let mut bytes = [first.wrapping_mul(29); 32];
            bytes[0] = first;
            key.transaction.sender = PublicKey::Ed25519(bytes);
            let commitment = with_bytes(record(1, 5), |signature| signature[..32].copy_from_slice(&bytes));
            refused += u32::from(!judge(&[&good[..], &[key]].concat()));
            refused += u32::from(!judge(&[&good[..], &[commitment]].concat()));
        }
        assert_eq!(refused, 512);
    }
}
