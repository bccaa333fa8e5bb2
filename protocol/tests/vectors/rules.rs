//! Every rule has a place in the specification, one variant, and vectors.

use std::collections::BTreeSet;
use std::mem::discriminant;

use quipu_protocol::time::{Millis, UnixMillis};
use quipu_protocol::{
    Address, Amount, Blame, BlockId, DecodeError, Height, HistoryHash, LeafHash, OutcomeHash, Target, TransactionId,
    Violation, Wei,
};

use crate::{chains, encodings, transactions};

/// One value of each variant, in the order of their numbers.
fn one_of_each() -> Vec<Violation> {
    let id = BlockId([0; 32]);
    let transaction = TransactionId([0; 32]);
    let leaf = LeafHash([0; 32]);
    let history = HistoryHash([0; 32]);
    let amount = Amount::ZERO;
    let target = Target(0);
    let time = UnixMillis(0);
    let height = Height(0);
    vec![
        Violation::Encoding(DecodeError::NotCanonical),
        Violation::BlockTooLong { length: 0, limit: 0 },
        Violation::RecordTooLong { length: 0, limit: 0 },
        Violation::Version { version: 0 },
        Violation::TargetForm { target },
        Violation::WorkTooLow { id, target },
        Violation::Root { claimed: leaf, actual: leaf },
        Violation::FeeTooLow { fee: amount, least: amount },
        Violation::EmptyTransfer,
        Violation::Signature { id: transaction },
        Violation::Height { height, parent: height },
        Violation::TimeBeforeParent { timestamp: time, parent: time },
        Violation::TargetRule { target, expected: target },
        Violation::TimeTooFarAhead { ahead: Millis(0), limit: Millis(0) },
        Violation::Nonce { id: transaction, nonce: 0, expected: 0 },
        Violation::Balance { id: transaction, sender: Address([0; 20]), balance: Wei::ZERO },
        Violation::Reward { amount, expected: amount },
        Violation::Overflow,
        Violation::Genesis { id },
        Violation::History { claimed: history, expected: history },
        Violation::Outcome { claimed: OutcomeHash::NONE, expected: OutcomeHash::NONE },
    ]
}

fn variant_name(violation: &Violation) -> String {
    let debug = format!("{violation:?}");
    debug.chars().take_while(char::is_ascii_alphabetic).collect()
}

fn blame_name(violation: &Violation) -> &'static str {
    match violation.blame() {
        Blame::Bytes => "bytes",
        Blame::Block => "block",
        Blame::Nobody => "nobody",
    }
}

/// The variants in the source of [`Violation`]: the enum is open to later ones, so no match outside of its crate can
/// be exhaustive. (The one in [`Violation::rule`] is, and a variant without a number does not compile.)
fn variants_in_source() -> Vec<(u8, String)> {
    let source = include_str!("../../src/violation.rs");
    let body = source.split("pub enum Violation {").nth(1).and_then(|rest| rest.split("\n}").next());
    let mut variants = Vec::new();
    let mut rule = None;
    for line in body.expect("the enum").lines() {
        if let Some(doc) = line.strip_prefix("    /// R") {
            rule = doc.split(':').next().and_then(|number| number.parse().ok());
        } else if line.starts_with("    ") && line.as_bytes()[4].is_ascii_uppercase() {
            let name = line.trim().chars().take_while(char::is_ascii_alphabetic).collect();
            variants.push((rule.take().expect("each variant's doc begins with its rule"), name));
        }
    }
    variants
}

#[test]
fn each_rule_has_one_variant() {
    let violations = one_of_each();
    let listed: Vec<_> = violations.iter().map(|violation| (violation.rule(), variant_name(violation))).collect();
    assert_eq!(listed, variants_in_source());
    assert_eq!(listed.iter().map(|(rule, _)| *rule).collect::<Vec<_>>(), (1..=listed.len() as u8).collect::<Vec<_>>());
    for (at, one) in violations.iter().enumerate() {
        assert!(violations[..at].iter().all(|other| discriminant(other) != discriminant(one)));
    }
}

#[test]
fn each_rule_stands_in_the_specification() {
    let readme = include_str!("../../README.md");
    let rejections = rejections();
    for violation in one_of_each() {
        let rule = violation.rule();
        let name = variant_name(&violation);
        let blame = blame_name(&violation);
        let heading = format!("\n#### R{rule}. ");
        assert_eq!(readme.matches(&heading).count(), 1, "one heading for R{rule}");
        let row = readme.lines().find(|line| line.starts_with(&format!("| R{rule} | `{name}` | {blame} |")));
        let row = row.unwrap_or_else(|| panic!("a row of the table for R{rule}, {name}, {blame}"));
        let files: Vec<_> = row.split('`').filter(|cell| cell.ends_with(".json")).collect();
        assert!(!files.is_empty(), "the row for R{rule} names a vector file");
        for file in files {
            let rejects = rejections.contains(&(file.to_owned(), format!("R{rule}")));
            assert!(rejects, "{file} has a case that R{rule} rejects");
        }
    }
    let beyond = format!("R{}", one_of_each().len() + 1);
    assert!(!readme.contains(&beyond), "{beyond} is not a rule");
}

/// Pairs of a vector file and a rule that rejects something in it.
fn rejections() -> BTreeSet<(String, String)> {
    let name = |file: &str, rule: String| (file.to_owned(), rule);
    let mut found = BTreeSet::new();
    let chains = chains::chains().cases.into_iter().filter_map(|case| case.reject);
    found.extend(chains.map(|reject| name("chains.json", reject.rule)));
    let transactions = transactions::transactions().cases.into_iter().filter_map(|case| case.reject);
    found.extend(transactions.map(|rule| name("transactions.json", rule)));
    found.extend(encodings::encodings().refused.first().map(|_| name("encodings.json", "R1".to_owned())));
    found
}
