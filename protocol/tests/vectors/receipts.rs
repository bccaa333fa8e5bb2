//! Makes the vectors of receipts: texts with the proof in them, and texts that prove nothing, with the reason.

use quipu_protocol::hash::sha256;
use quipu_protocol::merkle::{self, Step};
use quipu_protocol::receipt::{Proof, ReceiptError};
use quipu_protocol::record::{Content, Record};
use quipu_protocol::{Action, Header, LeafHash, SignedTransaction, Target};

use crate::chains::{CaseChain, MINER};
use crate::form::{ReceiptAccepted, ReceiptCase, ReceiptRejected, Receipts};
use crate::records;
use crate::world::{sign, transfer};

pub(crate) use quipu_protocol::receipt::Receipt;

fn record(record: &Record) -> Action {
    Action::Record { data: record.to_data().expect("within its limits").into() }
}

fn report() -> Record {
    let content = Content::File { sha256: sha256(&[b"abc"]), name: "report.pdf".to_owned(), size: 3 };
    Record { tags: vec!["lot-17".parse().expect("a tag")], content }
}

/// A chain on genesis, each block `millis` after the one before. The transactions are in block number `at`, from 1, and
/// the receipt is for the one at `position`.
fn receipt(
    network: &'static str,
    millis: &[u64],
    at: usize,
    transactions: impl Fn(&CaseChain) -> Vec<SignedTransaction>,
    position: usize,
) -> Receipt {
    let mut chain = CaseChain::new(network);
    let (mut headers, mut leaves, mut context) = (vec![chain.tip], Vec::new(), None);
    let transactions = transactions(&chain);
    for (height, millis) in (1..).zip(millis) {
        let block = chain.draft(*millis, if height == at { transactions.clone() } else { vec![] });
        if height == at {
            context = Some(block.body.context.leaf());
            leaves.push(block.body.reward.leaf());
            leaves.extend(transactions.iter().map(SignedTransaction::leaf));
        }
        chain.push(block);
        headers.push(chain.tip);
    }
    let mut path = merkle::path(&leaves, 1 + position);
    path.extend(context.map(Step::Left));
    Receipt::new(&chain.network, &transactions[position], path, headers.split_off(at - 1))
}

/// A text in the first of four blocks of `dev`.
pub(crate) fn fixed() -> Receipt {
    let text = Record::text("shipment 17 arrived");
    receipt("dev", &[1000; 4], 1, |chain| vec![sign(&chain.network, MINER, 0, 0, record(&text))], 0)
}

/// A file's fingerprint: the second of three transactions in the third of six blocks of a network that retargets.
pub(crate) fn retargeted() -> Receipt {
    let transactions = |chain: &CaseChain| {
        let sign = |nonce, action| sign(&chain.network, MINER, nonce, 1000, action);
        vec![sign(0, transfer(2, 5)), sign(1, record(&report())), sign(2, transfer(3, 7))]
    };
    receipt("knots", &[20_000, 9_000, 4_000, 31_000, 2_500, 0], 3, transactions, 1)
}

fn moved() -> Receipt {
    receipt("knots", &[20_000, 12_000], 2, |chain| vec![chain.sign(MINER, 0, 1000, 2, 17)], 0)
}

/// The same receipt with another last header, whose id it names as its tip.
fn with_last(mut receipt: Receipt, meets: bool, edit: impl FnOnce(&mut Header, &Header)) -> Receipt {
    let [.., parent, last] = receipt.headers.as_mut_slice() else { unreachable!("at least two headers") };
    edit(last, parent);
    while last.target.is_met_by(&last.id()) != meets {
        last.nonce += 1;
    }
    receipt.tip = last.id();
    receipt
}

fn edited(mut receipt: Receipt, edit: impl FnOnce(&mut Receipt)) -> Receipt {
    edit(&mut receipt);
    receipt
}

/// Readable receipts with an untrue claim.
fn refuted() -> Vec<(&'static str, &'static str, Receipt)> {
    let signed_as = |fee, action: &dyn Fn() -> Action| {
        receipt("knots", &[20_000], 1, |chain| vec![sign(&chain.network, MINER, 0, fee, action())], 0)
    };
    vec![
        ("parameters that make no network", "parameters", {
            edited(fixed(), |receipt| receipt.parameters.block_bytes_max = 1)
        }),
        ("another subsidy", "genesis", edited(fixed(), |receipt| receipt.parameters.subsidy = Default::default())),
        ("another genesis block", "genesis", edited(fixed(), |receipt| receipt.genesis = moved().genesis)),
        ("the transaction is cut off", "transaction", edited(fixed(), |receipt| receipt.transaction.truncate(100))),
        ("no transaction", "transaction", edited(fixed(), |receipt| receipt.transaction.clear())),
        ("a fee below the least", "transaction_rule", signed_as(999, &|| transfer(2, 5))),
        ("a transfer of nothing", "transaction_rule", signed_as(1000, &|| transfer(2, 0))),
        ("another nonce than was signed", "signature", edited(fixed(), |receipt| receipt.transaction[36] ^= 1)),
        ("signed for another network", "signature", {
            let other = crate::world::network("riches");
            let signed = sign(&other, MINER, 0, 0, record(&Record::text("x")));
            edited(fixed(), |receipt| receipt.transaction = quipu_protocol::encode::encode(&signed))
        }),
        ("a step of the path is missing", "path", {
            edited(retargeted(), |receipt| {
                receipt.path.pop();
            })
        }),
        ("a step from the other side", "path", {
            edited(fixed(), |receipt| {
                let [Step::Left(sibling), context] = receipt.path[..] else { unreachable!("the reward, the context") };
                receipt.path = vec![Step::Right(sibling), context];
            })
        }),
        ("the block of another transaction", "path", {
            edited(fixed(), |receipt| {
                receipt.headers.remove(0);
            })
        }),
        ("a header is missing", "link", {
            edited(fixed(), |receipt| {
                receipt.headers.remove(3);
            })
        }),
        ("a parent at height 0 that is not genesis", "not_genesis", {
            edited(fixed(), |receipt| receipt.headers[0].nonce = 7)
        }),
        ("a height is left out", "height", with_last(retargeted(), true, |last, _| last.height.0 += 1)),
        ("time goes back", "time", {
            with_last(retargeted(), true, |last, parent| last.timestamp.0 = parent.timestamp.0 - 1)
        }),
        (
            "a target of an easier time",
            "target",
            with_last(retargeted(), true, |last, _| last.target = Target(0x2007_ffff)),
        ),
        ("a target that is none", "target", edited(moved(), |receipt| receipt.headers[0].target = Target(0))),
        ("another version", "header_version", with_last(retargeted(), true, |last, _| last.version = 3)),
        ("no work in the last header", "work", with_last(retargeted(), false, |last, _| last.nonce += 1)),
        ("no work in the parent", "work", {
            edited(moved(), |receipt| {
                while receipt.headers[0].target.is_met_by(&receipt.headers[0].id()) {
                    receipt.headers[0].nonce += 1;
                }
            })
        }),
        ("the last header is missing", "tip", {
            edited(fixed(), |receipt| {
                receipt.headers.pop();
            })
        }),
        ("another last header, with work", "tip", {
            let tip = fixed().tip;
            edited(with_last(fixed(), true, |last, _| last.nonce += 1), |receipt| receipt.tip = tip)
        }),
    ]
}

/// Texts that are not a receipt, or not written as one.
fn unreadable() -> Vec<(&'static str, &'static str, String)> {
    let text = fixed().to_json();
    let replaced = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from} stands once in a receipt");
        text.replace(from, to)
    };
    let tip = format!("\"{}\"", fixed().tip);
    let steps = |count: usize| edited(fixed(), |receipt| receipt.path = vec![Step::Left(LeafHash([0; 32])); count]);
    vec![
        ("nothing", "form", String::new()),
        ("an empty object", "form", "{}".to_owned()),
        ("cut off", "form", text[..text.len() / 2].to_owned()),
        ("something behind it", "form", format!("{text}{{}}")),
        ("version 2", "version", replaced("\"quipu_receipt\": 1", "\"quipu_receipt\": 2")),
        ("version 2 with other fields", "version", "{\"more\": [1], \"quipu_receipt\": 2}".to_owned()),
        ("an unknown field", "form", replaced("  \"tip\"", "  \"note\": 1,\n  \"tip\"")),
        ("a missing field", "form", replaced(&format!(",\n  \"tip\": {tip}"), "")),
        ("a repeated field", "form", replaced("  \"tip\"", &format!("  \"tip\": {tip},\n  \"tip\""))),
        ("an unknown parameter", "form", replaced("\"fee_min\": \"0\"", "\"fee_min\": \"0\", \"fee_max\": \"0\"")),
        ("a number as text", "form", replaced("1793491200000", "\"1793491200000\"")),
        ("a header of 95 bytes", "form", text.replacen("    \"02", "    \"", 1)),
        ("no digits", "form", text.replacen("    \"02", "    \"0x", 1)),
        ("33 steps", "form", steps(33).to_json()),
        ("a step to no side", "form", text.replacen("\"left\"", "\"up\"", 1)),
        ("one header", "form", edited(fixed(), |receipt| receipt.headers.truncate(1)).to_json()),
        ("fields in another order", "not_canonical", {
            replaced("  \"quipu_receipt\": 1,\n", "").replacen("\n}", ",\n  \"quipu_receipt\": 1\n}", 1)
        }),
        ("hex digits in upper case", "not_canonical", text.replace(&tip, &tip.to_uppercase())),
        ("an amount with needless zeros", "not_canonical", replaced("\"subsidy\": \"1\"", "\"subsidy\": \"1.0\"")),
        ("a needless escape", "not_canonical", replaced("\"dev\"", "\"\\u0064ev\"")),
    ]
}

pub(crate) fn receipts() -> Receipts {
    let alone = edited(fixed(), |receipt| {
        receipt.headers.truncate(2);
        receipt.tip = receipt.headers[1].id();
    });
    let compact: String = fixed().to_json().split_whitespace().collect();
    let accepted = [
        ("a text on genesis, at a fixed difficulty", fixed().to_json()),
        ("a file among other transactions, with retargeting", retargeted().to_json()),
        ("a transfer, in the last block", moved().to_json()),
        ("the block alone", alone.to_json()),
        ("no blanks", compact),
        ("other blanks", fixed().to_json().replace('\n', "\r\n\t ")),
    ];
    let accepted = accepted.map(|(name, receipt)| {
        let accept = judge(receipt.as_bytes()).unwrap_or_else(|rejected| panic!("{name}: {rejected:?}"));
        ReceiptCase { name: name.to_owned(), receipt, accept: Some(accept), reject: None }
    });
    let reject = |name: &str, receipt, unreadable, reason: &str| {
        let reject = Some(ReceiptRejected { unreadable, reason: reason.to_owned() });
        ReceiptCase { name: name.to_owned(), receipt, accept: None, reject }
    };
    let refuted = refuted().into_iter().map(|(name, reason, receipt)| reject(name, receipt.to_json(), false, reason));
    let unreadable = unreadable().into_iter().map(|(name, reason, text)| reject(name, text, true, reason));
    Receipts {
        about: "Texts that are offered as a receipt: what they prove, or why nothing. Numbers are decimal strings."
            .to_owned(),
        cases: accepted.into_iter().chain(refuted).chain(unreadable).collect(),
    }
}

/// The library's verdict.
pub(crate) fn judge(text: &[u8]) -> Result<ReceiptAccepted, ReceiptRejected> {
    let proof = Receipt::read(text).and_then(|receipt| receipt.verify());
    proof.map(|proof| facts(&proof)).map_err(|error: ReceiptError| ReceiptRejected {
        unreadable: error.is_unreadable(),
        reason: error.code().to_owned(),
    })
}

fn facts(proof: &Proof) -> ReceiptAccepted {
    let (block, tip) = (proof.block(), proof.tip());
    ReceiptAccepted {
        network: proof.network().parameters().name.clone(),
        genesis: proof.network().genesis_id().to_string(),
        id: proof.id().to_string(),
        sender: proof.sender().to_string(),
        record: proof.record().map(records::facts),
        height: block.height.to_string(),
        block: block.id.to_string(),
        timestamp: block.timestamp.0.to_string(),
        parent_timestamp: proof.parent_timestamp().0.to_string(),
        earliest: proof.earliest().0.to_string(),
        latest: proof.latest().map(|latest| latest.0.to_string()),
        confirmations: proof.confirmations().to_string(),
        work: proof.work().to_string(),
        tip: tip.id.to_string(),
        tip_height: tip.height.to_string(),
        tip_timestamp: tip.timestamp.0.to_string(),
    }
}
