//! Changed receipts: only changes of blanks are accepted, and the reason fits the change.

use quipu_protocol::receipt::ReceiptError;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::receipts::{Receipt, fixed, retargeted, sampled, varied, with_bytes, with_last, witnessed};

/// The number of random corruptions.
const CORRUPTIONS: usize = 10_000;

fn judge(text: &[u8]) -> Result<Receipt, ReceiptError> {
    let receipt = Receipt::read(text)?;
    receipt.verify().map(|_| receipt)
}

/// The field of the text that a byte is in.
fn field_of(text: &str, at: usize) -> &str {
    let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let field = line.trim_start().strip_prefix('"').and_then(|rest| rest.split_once("\": "));
    match field {
        Some((_, "{")) | None => "brackets",
        Some((_, _)) if line.starts_with("    ") => "network",
        Some((field, _)) => field,
    }
}

/// The reasons that fit a change in a field, for a receipt that can still be read.
fn fitting(field: &str) -> &[&'static str] {
    match field {
        "network" => &["genesis", "parameters"],
        "genesis" => &["genesis"],
        "transaction" => &["transaction", "transaction_rule", "signature"],
        "proof" => &["path", "not_genesis", "target", "work", "history", "samples", "tip"],
        "tip" => &["tip"],
        _ => &[],
    }
}

#[test]
fn each_single_bit_of_the_text_is_guarded_and_the_reason_fits() {
    for receipt in [fixed(), retargeted(), witnessed()] {
        let text = receipt.to_json();
        assert_eq!(judge(text.as_bytes()), Ok(receipt.clone()));
        let mut reasons = std::collections::BTreeSet::new();
        for at in 0..text.len() {
            let field = field_of(&text, at);
            let mut bytes = text.clone().into_bytes();
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let error = judge(&bytes).expect_err(&format!("bit {bit} of byte {at}, in {field}"));
                let code = error.code();
                let fits = error.is_unreadable() || fitting(field).contains(&code);
                assert!(fits, "bit {bit} of byte {at}, in {field}: {error}");
                reasons.insert(code);
                bytes[at] ^= 1 << bit;
            }
        }
        for reason in ["form", "version", "not_canonical", "genesis", "transaction", "signature", "path", "tip"] {
            assert!(reasons.contains(reason), "no bit is refused as {reason}: {reasons:?}");
        }
    }
}

/// All bits of the proofs, and of the ids, of some receipts; `QUIPU_RECEIPTS` says of how many.
#[test]
fn every_bit_of_varied_receipts_is_guarded() {
    let count = std::env::var("QUIPU_RECEIPTS").map_or(6, |count| count.parse().expect("a number of receipts"));
    for number in 0..count {
        let receipt = varied(number);
        let form = receipt.proof.form();
        assert_eq!(judge(receipt.to_json().as_bytes()), Ok(receipt.clone()), "{number}");
        let mut length = 0;
        with_bytes(&receipt, |bytes| length = bytes.len());
        for bit in 0..8 * length {
            let text = with_bytes(&receipt, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            assert!(judge(text.as_bytes()).is_err(), "bit {bit} of receipt {number}, {form:?}");
        }
        for bit in 0..256 {
            let mut changed = receipt.clone();
            changed.tip.0[bit / 8] ^= 1 << (bit % 8);
            assert!(changed.verify().is_err(), "bit {bit} of the tip of receipt {number}, {form:?}");
        }
    }
}

/// Of a sampled receipt, which is long, one bit of each byte.
#[test]
fn each_byte_of_a_sampled_proof_is_guarded() {
    let receipt = sampled();
    let mut length = 0;
    with_bytes(&receipt, |bytes| length = bytes.len());
    let mut reasons = std::collections::BTreeSet::new();
    for at in 0..length {
        let text = with_bytes(&receipt, |bytes| bytes[at] ^= 1 << (at % 8));
        reasons.insert(judge(text.as_bytes()).expect_err(&format!("byte {at}")).code());
    }
    for reason in ["form", "path", "target", "work", "history"] {
        assert!(reasons.contains(reason), "no bit is refused as {reason}: {reasons:?}");
    }
}

/// One bit of each field of the last header, which no later header can guard.
#[test]
fn each_field_of_the_last_header_is_guarded_by_a_reason_of_its_own() {
    let dated = with_last(retargeted(), true, |last, _| last.timestamp.0 += 90_000);
    let eased = with_last(retargeted(), true, |last, _| last.target.0 ^= 1);
    let refilled = with_last(retargeted(), false, |last, _| last.root.0[0] ^= 1);
    for (reason, changed) in [("target", dated), ("target", eased), ("work", refilled)] {
        assert_eq!(changed.verify().map_err(|error| error.code()).expect_err("changed"), reason);
    }
    // A nonce may meet the target by chance, and changes the id.
    let changed = with_last(retargeted(), true, |last, _| last.nonce += 1);
    let renamed = Receipt { tip: retargeted().tip, ..changed };
    assert!(matches!(renamed.verify(), Err(ReceiptError::Tip { .. })));
}

#[test]
fn random_corruptions_are_never_accepted() {
    let mut random = ChaCha20Rng::from_seed([7; 32]);
    let texts =
        [fixed(), retargeted(), witnessed(), sampled()].map(|receipt| (receipt.to_json().into_bytes(), receipt));
    for number in 0..CORRUPTIONS {
        let (text, receipt) = &texts[number % 4];
        let corrupt = corrupted(text, &texts[(number + 1) % 4].0, &mut random);
        if let Ok(found) = judge(&corrupt) {
            assert_eq!(found, *receipt, "corruption {number}: {}", String::from_utf8_lossy(&corrupt));
        }
    }
}

/// Some bytes replaced, a part cut out, a part doubled, a part of another receipt put in, or the end cut off.
fn corrupted(text: &[u8], other: &[u8], random: &mut ChaCha20Rng) -> Vec<u8> {
    let mut below = |limit: usize| random.next_u64() as usize % limit;
    let mut bytes = text.to_vec();
    let (from, to) = (below(text.len()), below(text.len()));
    let (from, to) = (from.min(to), from.max(to));
    match below(5) {
        0 => {
            for _ in 0..1 + below(8) {
                bytes[below(text.len())] = below(256) as u8;
            }
        }
        1 => drop(bytes.drain(from..to)),
        2 => drop(bytes.splice(from..from, text[from..to].iter().copied())),
        3 => {
            let start = below(other.len());
            let length = below(200);
            let part = other[start..(start + length).min(other.len())].to_vec();
            let end = (from + part.len()).min(bytes.len());
            drop(bytes.splice(from..end, part));
        }
        _ => bytes.truncate(from),
    }
    bytes
}
