//! The vectors in `vectors/`: made from code with fixed keys, compared with the files, then read from the files and
//! judged by the library.
//!
//! `QUIPU_BLESS=1 cargo test -p quipu-protocol --test vectors` writes the files. They change only when the protocol
//! does.

mod bodies;
mod chains;
mod encodings;
mod form;
mod receipts;
mod records;
mod replay;
mod rules;
mod tampering;
mod transactions;
mod unreadable;
mod values;
mod world;

use quipu_protocol::bundle::BUNDLE_BYTES_MAX;
use quipu_protocol::compact::LeafHasher;
use quipu_protocol::encode::{decode, encode};
use quipu_protocol::merkle;
use quipu_protocol::message::RESPONSE_BYTES_MAX;
use quipu_protocol::record::Record;
use quipu_protocol::work::Retarget;
use quipu_protocol::{
    Address, Amount, Announcement, Block, Bundle, Context, DecodeError, Header, Millis, PublicKey, Request, Response,
    Reward, SignedTransaction, Status, Target, UnixMillis,
};

use form::{RecordFacts, read_or_bless};

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is a decimal number of 64 bits"))
}

fn compact(text: &str) -> Target {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 8);
    Target(digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_else(|| panic!("{text}")))
}

#[test]
fn hashes() {
    let file = read_or_bless("hashes.json", &values::hashes());
    for case in file.tagged {
        assert_eq!(hex::encode(quipu_protocol::hash::tagged_hash(&case.tag, &[&case.message.0])), case.hash);
    }
    for case in file.block_ids {
        let header: Header = decode(&case.header.0, 96).expect("a header");
        assert_eq!(header.id().to_string(), case.id);
    }
    for case in file.reward_ids {
        let reward: Reward = decode(&case.reward.0, 28).expect("a reward");
        assert_eq!(reward.id(&case.parent.parse().expect("an id")).to_string(), case.id);
        assert_eq!(reward.leaf().to_string(), case.leaf);
    }
    for case in file.short_ids {
        let header: Header = decode(&case.header.0, 96).expect("a header");
        let hash = LeafHasher::of(&header).hash(&case.leaf.parse().expect("a hash"));
        assert_eq!(hash.to_string(), case.hash);
    }
}

#[test]
fn addresses() {
    let file = read_or_bless("addresses.json", &values::addresses());
    for case in file.of_keys {
        let key = hex::decode(case.public_key).expect("hex").try_into().expect("32 bytes");
        assert_eq!(PublicKey::Ed25519(key).address().to_string(), case.address);
    }
    for case in file.accepted {
        assert_eq!(case.text.parse::<Address>().expect("an address").0[..], case.bytes.0);
    }
    for text in file.refused {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

#[test]
fn amounts() {
    let file = read_or_bless("amounts.json", &values::amounts());
    for case in file.shown.iter().chain(&file.accepted) {
        assert_eq!(case.text.parse(), Ok(Amount::from_units(number(&case.units))), "{}", case.text);
    }
    for case in &file.shown {
        assert_eq!(Amount::from_units(number(&case.units)).to_string(), case.text);
    }
    for text in file.refused {
        assert!(text.parse::<Amount>().is_err(), "{text}");
    }
}

#[test]
fn targets() {
    let file = read_or_bless("targets.json", &values::targets());
    let bound = |hex: &str| ethnum::U256::from_str_radix(hex, 16).expect("64 hex digits");
    for case in file.compact {
        let target = compact(&case.compact);
        assert_eq!(target.expand(), Some(bound(&case.bound)), "{}", case.compact);
        assert_eq!(target.work().to_string(), case.work, "{}", case.compact);
    }
    for text in file.refused {
        assert_eq!(compact(&text).expand(), None, "{text}");
    }
    for case in file.compress {
        assert_eq!(Target::compress(bound(&case.bound)), compact(&case.compact), "{}", case.bound);
    }
    for case in file.retarget {
        let rule = Retarget {
            spacing: Millis(number(&case.spacing)),
            half_life: Millis(number(&case.half_life)),
            grace: Millis(number(&case.grace)),
            easiest: compact(&case.easiest),
        };
        let [before, since] = [&case.before, &case.since].map(|text| Millis(number(text)));
        let got = rule.target_after(compact(&case.parent_target), before, since);
        assert_eq!(got, compact(&case.target), "{}", case.name);
    }
}

#[test]
fn merkle_trees() {
    for case in read_or_bless("merkle.json", &values::merkle_trees()).cases {
        assert_eq!(merkle::root(case.leaves.iter().map(|leaf| merkle::leaf(&leaf.0))).to_string(), case.root);
    }
}

#[test]
fn networks() {
    for case in read_or_bless("networks.json", &values::networks()).cases {
        let network = world::network(&case.name);
        assert_eq!(network.parameters().hash().to_string(), case.hash);
        assert_eq!(network.genesis_id().to_string(), case.genesis_id);
        assert_eq!(decode::<Block>(&case.genesis.0, 300).as_ref(), Ok(network.genesis()));
    }
}

/// Decodes bytes as the named type and encodes the value again.
fn recode(r#type: &str, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    fn one<T: bincode::Encode + bincode::Decode<()>>(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        decode::<T>(bytes, RESPONSE_BYTES_MAX).map(|value| encode(&value))
    }
    let bundle = |bytes| decode::<Bundle>(bytes, BUNDLE_BYTES_MAX).map(|bundle| encode(&bundle));
    match r#type {
        "header" => one::<Header>(bytes),
        "context" => one::<Context>(bytes),
        "reward" => one::<Reward>(bytes),
        "signed_transaction" => one::<SignedTransaction>(bytes),
        "bundle" => bundle(bytes),
        "block" => one::<Block>(bytes),
        "status" => one::<Status>(bytes),
        "announcement" => one::<Announcement>(bytes),
        "request" => one::<Request>(bytes),
        "response" => one::<Response>(bytes),
        other => panic!("{other} is not a type of the encodings"),
    }
}

#[test]
fn encodings() {
    let file = read_or_bless("encodings.json", &encodings::encodings());
    for case in file.accepted {
        assert_eq!(recode(&case.r#type, &case.bytes.0), Ok(case.bytes.0));
    }
    for case in file.refused {
        assert!(recode(&case.r#type, &case.bytes.0).is_err(), "{}: {}", case.r#type, case.name);
    }
}

#[test]
fn transactions() {
    for case in read_or_bless("transactions.json", &transactions::transactions()).cases {
        let want = case.accept.ok_or_else(|| case.reject.expect("accepted or rejected"));
        assert_eq!(transactions::judge(&case.network, &case.bytes.0), want, "{}", case.name);
    }
}

#[test]
fn chains() {
    for case in read_or_bless("chains.json", &chains::chains()).cases {
        let want = case.accept.ok_or_else(|| case.reject.expect("accepted or rejected"));
        let got = replay::replay(&world::network(&case.network), UnixMillis(number(&case.now)), &case.blocks);
        assert_eq!(got, want, "{}", case.name);
    }
}

#[test]
fn records() {
    let file = read_or_bless("records.json", &records::records());
    for case in file.read {
        assert_eq!(records::facts(&Record::read(&case.data.0)), case.says, "{}", case.name);
        let written = case.written.unwrap_or(case.data).0;
        assert_eq!(records::from_facts(&case.says).to_data(), Ok(written), "{}", case.name);
    }
    for case in file.refused {
        let says = RecordFacts { tags: case.tags, content: case.content, content_hash: String::new() };
        let error = records::from_facts(&says).to_data().expect_err(&case.name);
        assert_eq!(records::reason(&error), case.reason, "{}", case.name);
    }
}

#[test]
fn receipts() {
    for case in read_or_bless("receipts.json", &receipts::receipts()).cases {
        let want = case.accept.ok_or_else(|| case.reject.expect("accepted or rejected"));
        assert_eq!(receipts::judge(case.receipt.as_bytes()), want, "{}", case.name);
    }
}
