//! Changed receipts: only changes of blanks are accepted, and the reason fits the change.

use quipu_protocol::receipt::ReceiptError;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::receipts::{Receipt, fixed, retargeted};

/// The number of random corruptions.
const CORRUPTIONS: usize = 10_000;

fn judge(text: &[u8]) -> Result<Receipt, ReceiptError> {
    let receipt = Receipt::read(text)?;
    receipt.verify().map(|_| receipt)
}

/// The part of the text that a byte is in: the field, and for headers their number.
fn part_of(text: &str, at: usize) -> String {
    let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    match line.trim_start().strip_prefix('"').and_then(|rest| rest.split_once("\": ")) {
        Some((field, _)) if line.starts_with("    ") => format!("network.{field}"),
        Some((field, _)) => field.to_owned(),
        None if line.contains("left") || line.contains("right") => "path".to_owned(),
        None if line.starts_with("    \"") => {
            let before = text[..line_start].lines().rev().take_while(|line| line.starts_with("    \"")).count();
            format!("header {}", before + 1)
        }
        None => "brackets".to_owned(),
    }
}

/// The reasons that fit a change in a part, for a receipt that can still be read.
fn fitting(part: &str, headers: usize) -> Vec<&'static str> {
    let own = ["header_version", "height", "time", "target", "work"];
    match part {
        "network.name"
        | "network.easiest_target"
        | "network.target_spacing"
        | "network.block_bytes_max"
        | "network.block_gas"
        | "network.transaction_gas"
        | "network.chain_id" => vec!["genesis", "parameters"],
        "genesis" => vec!["genesis"],
        "transaction" => vec!["transaction", "transaction_rule", "signature"],
        "path" => vec!["path"],
        "tip" => vec!["tip"],
        part if part.starts_with("network.") => vec!["genesis"],
        part => {
            let number: usize = part.strip_prefix("header ").and_then(|number| number.parse().ok()).unwrap_or_default();
            assert!((1..=headers).contains(&number), "{part} can't be changed and still be read");
            let mut reasons = own.to_vec();
            reasons.push(if number == headers { "tip" } else { "link" });
            reasons.extend((number == 1).then_some("not_genesis"));
            reasons.extend((number == 2).then_some("path"));
            reasons.extend((number > 1).then_some("link"));
            reasons
        }
    }
}

#[test]
fn each_single_bit_is_guarded_and_the_reason_fits() {
    for receipt in [fixed(), retargeted()] {
        let text = receipt.to_json();
        assert_eq!(judge(text.as_bytes()), Ok(receipt.clone()));
        let mut reasons = std::collections::BTreeSet::new();
        for at in 0..text.len() {
            let part = part_of(&text, at);
            let mut bytes = text.clone().into_bytes();
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let error = judge(&bytes).expect_err(&format!("bit {bit} of byte {at}, in {part}"));
                let code = error.code();
                assert!(
                    error.is_unreadable() || fitting(&part, receipt.headers.len()).contains(&code),
                    "bit {bit} of byte {at}, in {part}: {error}"
                );
                reasons.insert(code);
                bytes[at] ^= 1 << bit;
            }
        }
        for reason in ["form", "version", "not_canonical", "genesis", "transaction", "signature", "path", "link", "tip"]
        {
            assert!(reasons.contains(reason), "no bit is refused as {reason}: {reasons:?}");
        }
    }
}

/// One byte of each field of the last header, which no later header can guard.
#[test]
fn each_field_of_the_last_header_is_guarded_by_a_reason_of_its_own() {
    let receipt = retargeted();
    let cases: [(&str, &str, usize); 7] = [
        ("version", "header_version", 0),
        ("height", "height", 4),
        ("parent", "link", 12),
        ("body root", "work", 44),
        ("timestamp", "time", 81),
        ("target", "target", 84),
        ("nonce", "work", 88),
    ];
    for (field, want, at) in cases {
        let mut found = Vec::new();
        for bit in 0..8 {
            let mut changed = receipt.clone();
            let last = changed.headers.last_mut().expect("headers");
            let mut bytes = last.to_bytes();
            bytes[at] ^= 1 << bit;
            *last = quipu_protocol::encode::decode(&bytes, 96).expect("every 96 bytes are a header");
            found.push(changed.verify().expect_err(field).code());
        }
        assert!(found.contains(&want), "{field}: {found:?}");
    }
}

#[test]
fn the_tip_guards_the_last_header_where_any_nonce_will_do() {
    let mut receipt = fixed();
    receipt.headers.last_mut().expect("headers").nonce ^= 1;
    assert!(matches!(receipt.verify(), Err(ReceiptError::Tip { .. })));
}

#[test]
fn random_corruptions_are_never_accepted() {
    let mut random = ChaCha20Rng::from_seed([7; 32]);
    let texts = [fixed(), retargeted()].map(|receipt| (receipt.to_json().into_bytes(), receipt));
    for number in 0..CORRUPTIONS {
        let (text, receipt) = &texts[number % 2];
        let corrupt = corrupted(text, &texts[(number + 1) % 2].0, &mut random);
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
