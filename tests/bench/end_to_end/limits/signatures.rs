//! Verification of signatures in batches on all cores, without anything around it: the signed bytes lie ready in
//! memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use quipu::protocol::{self, BlockId, PublicKey, SignedTransaction};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// The size of the batches in a node's checker (`src/node/checker.rs`).
const BATCH_SIGNATURES: usize = 256;

/// Signatures to be verified.
pub(crate) struct Signatures(Vec<(VerificationKeyBytes, Signature, Vec<u8>)>);

impl Signatures {
    /// The signatures of transactions on the network with this genesis block.
    pub(crate) fn of<'a>(transactions: impl IntoIterator<Item = &'a SignedTransaction>, genesis: &BlockId) -> Self {
        let one = |signed: &SignedTransaction| {
            let (PublicKey::Ed25519(key), protocol::Signature::Ed25519(signature)) =
                (&signed.transaction.sender, signed.signature);
            let message = signed.transaction.signing_bytes(genesis);
            (VerificationKeyBytes::from(*key), Signature::from(signature), message)
        };
        Self(transactions.into_iter().map(one).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that all cores together take for all of them.
    pub(crate) fn verify(&self) -> Duration {
        let batches: Vec<_> = self.0.chunks(BATCH_SIGNATURES).collect();
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
}

fn verify(signatures: &[(VerificationKeyBytes, Signature, Vec<u8>)]) {
    let mut batch = batch::Verifier::new();
    for (key, signature, message) in signatures {
        batch.queue((*key, *signature, message));
    }
    // The coefficients cost the same whatever they are.
    batch.verify(ChaCha20Rng::from_seed([7; 32])).expect("they are valid");
}
