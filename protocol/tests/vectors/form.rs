//! The form of the vector files. Fields are written in the order declared here.
//!
//! Numbers that may exceed 53 bits are decimal strings, compact targets are `0x` and eight hex digits, hashes and
//! ids are 64 hex digits, amounts are in units.

use quipu_protocol::network::{Contracts, OpeningBalance};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Bytes: a hex string, or a list of hex strings and runs of one byte, to be joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HexBytes(pub Vec<u8>);

/// The shortest run that is written as a run; shorter ones are written out.
const RUN_BYTES_MIN: usize = 128;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum BytesPart {
    Hex(String),
    Run { repeat: String, times: usize },
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut parts, mut plain) = (Vec::new(), Vec::new());
        for run in self.0.chunk_by(|one, other| one == other) {
            if run.len() < RUN_BYTES_MIN {
                plain.extend(run);
                continue;
            }
            parts.push(BytesPart::Hex(hex::encode(std::mem::take(&mut plain))));
            parts.push(BytesPart::Run { repeat: hex::encode(&run[..1]), times: run.len() });
        }
        if parts.is_empty() {
            return serializer.serialize_str(&hex::encode(plain));
        }
        parts.push(BytesPart::Hex(hex::encode(plain)));
        parts.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Whole(String),
            Parts(Vec<BytesPart>),
        }
        let bytes = match Form::deserialize(deserializer)? {
            Form::Whole(text) => hex::decode(text),
            Form::Parts(parts) => parts
                .into_iter()
                .map(|part| match part {
                    BytesPart::Hex(text) => hex::decode(text),
                    BytesPart::Run { repeat, times } => hex::decode(repeat).map(|run| run.repeat(times)),
                })
                .collect::<Result<Vec<_>, _>>()
                .map(|parts| parts.concat()),
        };
        bytes.map(Self).map_err(D::Error::custom)
    }
}

/// Declares plain structs that are written and read.
macro_rules! records {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name { $($(#[$attribute])* pub $field: $type),* }
    )*};
}

records! {
    /// `hashes.json`
    Hashes {
        about: String,
        tagged: Vec<Tagged>,
        block_ids: Vec<BlockIdCase>,
        reward_ids: Vec<RewardIdCase>,
        short_ids: Vec<ShortIdCase>,
    }
    Tagged { tag: String, message: HexBytes, hash: String }
    BlockIdCase { header: HexBytes, id: String }
    ShortIdCase { header: HexBytes, leaf: String, hash: String }
    RewardIdCase { parent: String, reward: HexBytes, id: String, leaf: String }

    /// `addresses.json`
    Addresses { about: String, of_keys: Vec<KeyCase>, accepted: Vec<AddressCase>, refused: Vec<String> }
    KeyCase { public_key: String, address: String }
    AddressCase { text: String, bytes: HexBytes }

    /// `amounts.json`
    Amounts { about: String, shown: Vec<AmountCase>, accepted: Vec<AmountCase>, refused: Vec<String> }
    AmountCase { text: String, units: String }

    /// `targets.json`
    Targets {
        about: String,
        compact: Vec<CompactCase>,
        refused: Vec<String>,
        compress: Vec<CompressCase>,
        retarget: Vec<RetargetCase>,
    }
    CompactCase { compact: String, bound: String, work: String }
    CompressCase { bound: String, compact: String }
    RetargetCase {
        name: String,
        spacing: String,
        half_life: String,
        grace: String,
        easiest: String,
        parent_target: String,
        before: String,
        since: String,
        target: String,
    }

    /// `merkle.json`
    Merkle { about: String, cases: Vec<MerkleCase> }
    MerkleCase { leaves: Vec<HexBytes>, root: String }

    /// `networks.json`
    Networks { about: String, cases: Vec<NetworkCase> }
    NetworkCase {
        name: String,
        genesis_time: String,
        target_spacing: String,
        half_life: String,
        grace: String,
        easiest_target: String,
        future_time_max: String,
        subsidy: String,
        fee_min: String,
        block_bytes_max: u32,
        opening_balances: Vec<OpeningBalance>,
        contracts: Option<Contracts>,
        encoding: HexBytes,
        hash: String,
        genesis: HexBytes,
        genesis_id: String,
        tag: String,
    }

    /// `encodings.json`
    Encodings { about: String, accepted: Vec<EncodingCase>, refused: Vec<BadEncoding> }
    EncodingCase { r#type: String, value: Value, bytes: HexBytes }
    BadEncoding { name: String, r#type: String, bytes: HexBytes }

    /// `transactions.json`
    Transactions { about: String, cases: Vec<TransactionCase> }
    TransactionCase {
        name: String,
        network: String,
        bytes: HexBytes,
        #[serde(skip_serializing_if = "Option::is_none")]
        accept: Option<TransactionAccepted>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reject: Option<String>,
    }
    TransactionAccepted { id: String, leaf: String, sender: String }

    /// `chains.json`
    Chains { about: String, cases: Vec<ChainCase> }
    ChainCase {
        name: String,
        network: String,
        now: String,
        blocks: Vec<HexBytes>,
        #[serde(skip_serializing_if = "Option::is_none")]
        accept: Option<ChainAccepted>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reject: Option<ChainRejected>,
    }
    ChainAccepted { tip: String, height: String, work: String, accounts: Vec<AccountCase> }
    AccountCase { address: String, balance: String, nonce: String }
    ChainRejected { block: usize, rule: String, blame: String }

    /// `records.json`
    Records { about: String, read: Vec<RecordCase>, refused: Vec<RefusedRecord> }
    RecordCase {
        name: String,
        data: HexBytes,
        says: RecordFacts,
        #[serde(skip_serializing_if = "Option::is_none")]
        written: Option<HexBytes>,
    }
    /// `content` is an object with one of `text`, `file` (`sha256`, `name`, `size`), `json` (as typed), `bytes` (hex).
    RecordFacts { tags: Vec<String>, content: Value, content_hash: String }
    RefusedRecord { name: String, tags: Vec<String>, content: Value, reason: String }

    /// `receipts.json`
    Receipts { about: String, cases: Vec<ReceiptCase> }
    ReceiptCase {
        name: String,
        receipt: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        accept: Option<ReceiptAccepted>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reject: Option<ReceiptRejected>,
    }
    ReceiptAccepted {
        network: String,
        genesis: String,
        id: String,
        sender: String,
        record: Option<RecordFacts>,
        form: String,
        height: String,
        block: String,
        timestamp: String,
        parent_timestamp: Option<String>,
        earliest: String,
        latest: Option<String>,
        confirmations: String,
        work: String,
        tip: String,
        tip_height: String,
        tip_timestamp: String,
    }
    ReceiptRejected { unreadable: bool, reason: String }
}

/// Reads a vector file, after checking that it equals `made`. With `QUIPU_BLESS` set, writes it first.
pub(crate) fn read_or_bless<T: Serialize + DeserializeOwned>(name: &str, made: &T) -> T {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let text = serde_json::to_string_pretty(made).expect("plain records") + "\n";
    if std::env::var_os("QUIPU_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the vectors folder can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{name} is not what the tests make. If that is wanted, the protocol has changed: run QUIPU_BLESS=1 cargo \
         test -p quipu-protocol --test vectors, and read the difference"
    );
    serde_json::from_str(&found).expect("written a moment ago")
}
