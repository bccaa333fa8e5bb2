//! Verification of signatures in batches on all cores, without anything around it: the signed bytes lie ready in
//! memory. It is done by the library that a node takes on this machine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use commonware_codec::DecodeExt;
use commonware_cryptography::{BatchEntry, BatchVerifier};
use commonware_cryptography_curve25519::signing;
use commonware_parallel::Sequential;
use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use quipu::protocol::{self, BlockId, PublicKey, SignedTransaction};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// The size of the batches in a node's checker (`src/node/checker.rs`).
const BATCH_SIGNATURES: usize = 256;
/// The namespace of signed transactions: the specification, section 8.
const NAMESPACE: &[u8] = b"quipu transaction 2";

/// Signatures to be verified.
pub(crate) enum Signatures {
    /// With eight lanes of AVX-512 IFMA. Messages are without their frame.
    Lanes(Vec<(signing::VerifyingKey, signing::Signature, Vec<u8>)>),
    /// One after the other.
    Scalar(Vec<(VerificationKeyBytes, Signature, Vec<u8>)>),
}

impl Signatures {
    /// The signatures of transactions on the network with this genesis block.
    pub(crate) fn of<'a>(transactions: impl IntoIterator<Item = &'a SignedTransaction>, genesis: &BlockId) -> Self {
        let parts = transactions.into_iter().map(|signed| {
            let (PublicKey::Ed25519(key), protocol::Signature::Ed25519(signature)) =
                (&signed.transaction.sender, signed.signature);
            (*key, signature, signed.transaction.signing_bytes(genesis))
        });
        if has_lanes() {
            let lanes = |(key, signature, framed): ([u8; 32], [u8; 64], Vec<u8>)| {
                let key = signing::VerifyingKey::decode(key.to_vec()).expect("any 32 bytes");
                let signature = signing::Signature::decode(signature.to_vec()).expect("any 64 bytes");
                (key, signature, framed[1 + NAMESPACE.len()..].to_vec())
            };
            Self::Lanes(parts.map(lanes).collect())
        } else {
            Self::Scalar(parts.map(|(key, signature, framed)| (key.into(), signature.into(), framed)).collect())
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Lanes(signatures) => signatures.len(),
            Self::Scalar(signatures) => signatures.len(),
        }
    }

    /// The time that all cores together take for all of them.
    pub(crate) fn verify(&self) -> Duration {
        match self {
            Self::Lanes(signatures) => on_all_cores(signatures, verify_lanes),
            Self::Scalar(signatures) => on_all_cores(signatures, verify_scalar),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_lanes() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_lanes() -> bool {
    false
}

fn on_all_cores<T: Sync>(signatures: &[T], verify: fn(&[T])) -> Duration {
    let batches: Vec<_> = signatures.chunks(BATCH_SIGNATURES).collect();
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    verify(batch);
                }
            });
        }
    });
    start.elapsed()
}

/// The coefficients cost the same whatever they are.
fn coefficients() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([7; 32])
}

fn verify_lanes(signatures: &[(signing::VerifyingKey, signing::Signature, Vec<u8>)]) {
    fn entry<'a>(
        _: usize,
        (public_key, signature, message): &'a (signing::VerifyingKey, signing::Signature, Vec<u8>),
    ) -> BatchEntry<'a, signing::VerifyingKey> {
        BatchEntry { namespace: NAMESPACE, message, public_key, signature }
    }
    let are_valid = signing::VerifyingKey::verify_batch(&mut coefficients(), signatures, entry, &Sequential);
    assert!(are_valid, "they are valid");
}

fn verify_scalar(signatures: &[(VerificationKeyBytes, Signature, Vec<u8>)]) {
    let mut batch = batch::Verifier::new();
    for (key, signature, message) in signatures {
        batch.queue((*key, *signature, message));
    }
    batch.verify(coefficients()).expect("they are valid");
}
