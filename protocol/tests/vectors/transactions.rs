//! Makes the vectors of transactions that are judged without accounts.

use quipu_protocol::check::{TRANSACTION_BYTES_MAX, check_transaction_bytes};
use quipu_protocol::encode::encode;
use quipu_protocol::transaction::RECORD_BYTES_MAX;
use quipu_protocol::{Action, Amount, PublicKey, Signature, SignedTransaction};

use crate::form::{HexBytes, TransactionAccepted, TransactionCase, Transactions};
use crate::world::{address, network, record, sign, transfer};

/// The expected outcome, stated by hand in this file, so that the library's own answer cannot become the expectation.
enum Want {
    Accept,
    Reject(u8),
}
use Want::{Accept, Reject};

/// An encoded point that is not on the curve: y = 2.
const NO_POINT: &str = "0200000000000000000000000000000000000000000000000000000000000000";
/// The neutral element.
const NEUTRAL: &str = "0100000000000000000000000000000000000000000000000000000000000000";
/// The neutral element with the sign of x = 0 set, which RFC 8032 forbids and ZIP 215 allows.
const NEUTRAL_NEGATIVE: &str = "0100000000000000000000000000000000000000000000000000000000000080";
/// The neutral element with y = p + 1, which is not reduced.
const NEUTRAL_UNREDUCED: &str = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
/// A point of order 8 and another one.
const ORDER_8: &str = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
const ORDER_8_OTHER: &str = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";

/// The order of Ed25519's base point, little endian.
const GROUP_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn bytes_32(hex: &str) -> [u8; 32] {
    hex::decode(hex).expect("hex").try_into().expect("32 bytes")
}

/// A transfer "signed" with a chosen key, a chosen commitment and the scalar 0.
fn crafted(key: &str, commitment: &str) -> SignedTransaction {
    let mut signed = sign(&network("dev"), 1, 0, 0, transfer(2, 5));
    signed.transaction.sender = PublicKey::Ed25519(bytes_32(key));
    signed.signature = Signature::Ed25519([bytes_32(commitment), [0; 32]].concat().try_into().expect("64 bytes"));
    signed
}

/// The same signature with the group's order added to its scalar, for which the equation still holds.
fn malleated(mut signed: SignedTransaction) -> SignedTransaction {
    let Signature::Ed25519(mut bytes) = signed.signature;
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(bytes_32(GROUP_ORDER)) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    signed.signature = Signature::Ed25519(bytes);
    signed
}

fn edited(mut signed: SignedTransaction, edit: impl FnOnce(&mut SignedTransaction)) -> SignedTransaction {
    edit(&mut signed);
    signed
}

fn accepted() -> Vec<(&'static str, &'static str, SignedTransaction)> {
    let (dev, knots) = (network("dev"), network("knots"));
    vec![
        ("a transfer", "dev", sign(&dev, 1, 0, 3, transfer(2, 5))),
        ("the smallest transfer, to oneself", "dev", sign(&dev, 1, 0, 0, transfer(1, 1))),
        ("largest numbers: no account has that much, but only a ledger knows", "dev", {
            sign(&dev, 1, u64::MAX, u64::MAX, transfer(2, u64::MAX))
        }),
        ("a record of nothing", "dev", sign(&dev, 2, 1, 0, record(0))),
        ("a record of any bytes", "dev", {
            sign(&dev, 2, 2, 0, Action::Record { data: vec![0, 0xff, 0xc3, 0x28].into() })
        }),
        ("the longest record", "dev", sign(&dev, 2, 3, 0, record(RECORD_BYTES_MAX))),
        ("the least fee, exactly", "knots", sign(&knots, 1, 0, 1000, transfer(2, 5))),
        ("zip 215: neutral key, neutral commitment", "dev", crafted(NEUTRAL, NEUTRAL)),
        ("zip 215: neutral element with a sign", "dev", crafted(NEUTRAL_NEGATIVE, NEUTRAL)),
        ("zip 215: neutral element, y not reduced", "dev", crafted(NEUTRAL_UNREDUCED, NEUTRAL_UNREDUCED)),
        ("zip 215: key of order 8, neutral commitment", "dev", crafted(ORDER_8, NEUTRAL)),
        ("zip 215: neutral key, commitment of order 8: valid with the cofactor only", "dev", {
            crafted(NEUTRAL, ORDER_8)
        }),
        ("zip 215: key and commitment of order 8", "dev", crafted(ORDER_8, ORDER_8_OTHER)),
    ]
}

fn rejected() -> Vec<(&'static str, &'static str, u8, Vec<u8>)> {
    let (dev, lan, knots) = (network("dev"), network("lan"), network("knots"));
    let good = || sign(&dev, 1, 0, 3, transfer(2, 5));
    let bytes = encode(&good());
    let signatures = [
        (
            "one bit of the signature changed",
            edited(good(), |signed| {
                let Signature::Ed25519(bytes) = &mut signed.signature;
                bytes[40] ^= 1;
            }),
        ),
        ("the amount changed after signing", edited(good(), |signed| signed.transaction.action = transfer(2, 6))),
        ("the fee changed after signing", edited(good(), |signed| signed.transaction.fee = Amount::from_units(2))),
        ("the nonce changed after signing", edited(good(), |signed| signed.transaction.nonce = 1)),
        (
            "signed by another key",
            edited(good(), |signed| {
                signed.signature = sign(&dev, 3, 0, 3, transfer(2, 5)).signature;
            }),
        ),
        ("a replay: signed for the network lan", sign(&lan, 1, 0, 3, transfer(2, 5))),
        ("a signature of zeros", edited(good(), |signed| signed.signature = Signature::Ed25519([0; 64]))),
        ("zip 215: the scalar is not below the group's order", malleated(good())),
        ("zip 215: the key is not on the curve", crafted(NO_POINT, NEUTRAL)),
        ("zip 215: the commitment is not on the curve", crafted(NEUTRAL, NO_POINT)),
    ];
    let mut cases = vec![
        ("no bytes", "dev", 1, Vec::new()),
        ("a byte too few", "dev", 1, bytes[..bytes.len() - 1].to_vec()),
        ("a byte too many", "dev", 1, [&bytes[..], &[0]].concat()),
        ("an unknown action", "dev", 1, {
            let mut bytes = bytes.clone();
            bytes[52] = 9;
            bytes
        }),
        ("alone, a record of 4097 bytes is over the limit on the encoding; in a block it breaks R3", "dev", 1, {
            encode(&sign(&dev, 1, 0, 0, record(RECORD_BYTES_MAX + 1)))
        }),
        ("a fee below the least", "knots", 8, encode(&sign(&knots, 1, 0, 999, transfer(2, 5)))),
        ("a record with a fee below the least", "knots", 8, encode(&sign(&knots, 1, 0, 0, record(3)))),
        ("a transfer of nothing", "dev", 9, encode(&sign(&dev, 1, 0, 3, transfer(2, 0)))),
    ];
    cases.extend(signatures.map(|(name, signed)| (name, "dev", 10, encode(&signed))));
    cases
}

pub(crate) fn transactions() -> Transactions {
    let accepted = accepted().into_iter().map(|(name, network, signed)| (name, network, Accept, encode(&signed)));
    let rejected = rejected().into_iter().map(|(name, network, rule, bytes)| (name, network, Reject(rule), bytes));
    let case = |(name, on, want, bytes): (&str, &str, Want, Vec<u8>)| {
        let (accept, reject) = match want {
            Accept => (Some(judge(on, &bytes).unwrap_or_else(|rule| panic!("{name}: {rule}"))), None),
            Reject(rule) => (None, Some(format!("R{rule}"))),
        };
        TransactionCase { name: name.to_owned(), network: on.to_owned(), bytes: HexBytes(bytes), accept, reject }
    };
    Transactions {
        about: "Bytes that are offered as a transaction on its own: accepted by R1, R3, R8, R9 and R10, or the rule \
                that they break."
            .to_owned(),
        cases: accepted.chain(rejected).map(case).collect(),
    }
}

/// The library's verdict: identifiers, or the broken rule.
pub(crate) fn judge(on: &str, bytes: &[u8]) -> Result<TransactionAccepted, String> {
    let checked = check_transaction_bytes(bytes, &network(on)).map_err(|violation| format!("R{}", violation.rule()))?;
    Ok(TransactionAccepted {
        id: checked.id().to_string(),
        leaf: checked.leaf().to_string(),
        sender: checked.sender().to_string(),
    })
}

#[test]
fn the_longest_transaction_is_a_full_record() {
    assert_eq!(encode(&sign(&network("dev"), 1, 0, 0, record(RECORD_BYTES_MAX))).len(), TRANSACTION_BYTES_MAX);
    assert_eq!(address(1), sign(&network("dev"), 1, 0, 0, record(0)).transaction.sender.address());
}
