//! Makes the vectors of encodings: each type that is hashed or sent, and bytes that encode none of them.

use quipu_protocol::compact::{BLOCK_TRANSACTIONS_MAX, Hint, LeafHasher};
use quipu_protocol::encode::{List, encode};
use quipu_protocol::merkle;
use quipu_protocol::transaction::RECORD_BYTES_MAX;
use quipu_protocol::{
    Action, Address, Amount, Announcement, Block, BlockId, Body, CheckedBlock, CompactBlock, Context, Header, Height,
    HistoryHash, LeafHash, OutcomeHash, PublicKey, Request, Response, Reward, Signature, SignedTransaction, Status,
    Target, Transaction, TransactionId, UnixMillis, Work,
};
use serde_json::{Value, json};

use crate::form::{BadEncoding, EncodingCase, Encodings, HexBytes};
use crate::world::network;

fn header() -> Header {
    Header {
        version: quipu_protocol::block::VERSION,
        height: Height(2),
        parent: BlockId([0xa1; 32]),
        root: LeafHash([0xa2; 32]),
        timestamp: UnixMillis(1_793_491_200_123),
        target: Target(0x1e03_ffff),
        nonce: 0x0123_4567_89ab_cdef,
    }
}

fn context() -> Context {
    Context { history: HistoryHash([0xa3; 32]), outcome: OutcomeHash([0xa4; 32]) }
}

fn reward() -> Reward {
    Reward { to: Address([0xb1; 20]), amount: Amount::from_units(100_000_003) }
}

fn signed(action: Action) -> SignedTransaction {
    let sender = PublicKey::Ed25519([0xc1; 32]);
    let transaction = Transaction { sender, nonce: 7, fee: Amount::from_units(3), action };
    SignedTransaction { transaction, signature: Signature::Ed25519([0xc2; 64]) }
}

fn transfer() -> SignedTransaction {
    signed(Action::Transfer { to: Address([0xc3; 20]), amount: Amount::from_units(u64::MAX) })
}

fn record(data: &[u8]) -> SignedTransaction {
    signed(Action::Record { data: data.to_vec().into() })
}

/// The plain list of these transactions, valid as a bundle or not.
fn bundle(transactions: &[SignedTransaction]) -> Vec<u8> {
    encode(&List::from(transactions.to_vec()))
}

/// A transaction whose key and signature are all zeros.
fn blank(action: Action) -> SignedTransaction {
    let transaction = Transaction { sender: PublicKey::Ed25519([0; 32]), nonce: 0, fee: Amount::ZERO, action };
    SignedTransaction { transaction, signature: Signature::Ed25519([0; 64]) }
}

fn block() -> Block {
    let transactions = vec![transfer(), record(b"knot")].into();
    Block { header: header(), body: Body { context: context(), reward: reward(), transactions } }
}

/// Two short ids of 19 bits with a hint each, since both ids collide with other known transactions.
fn compact() -> CompactBlock {
    let block = CheckedBlock::recall(block(), &network("lan"));
    let hasher = LeafHasher::of(block.header());
    let id_bits = 19;
    let id = |leaf: &LeafHash| hasher.hash(leaf) & ((1 << id_bits) - 1);
    let others = block.transactions().iter().map(|one| {
        let numbered = (0_u32..).map(|number| merkle::leaf(&number.to_le_bytes()));
        numbered.into_iter().find(|other| id(other) == id(&one.leaf())).expect("there are enough numbers")
    });
    CompactBlock::with_id_bits(&block, others.collect::<Vec<_>>(), id_bits)
}

fn status() -> Status {
    Status {
        tip: BlockId([0xd1; 32]),
        height: Height(1_000_000_007),
        work: Work(1 << 90),
        clock: UnixMillis(1_793_491_200_456),
        pending: 12,
        nickname: "läb".bytes().collect(),
    }
}

fn header_json(header: &Header) -> Value {
    json!({
        "version": header.version,
        "height": header.height.0.to_string(),
        "parent": header.parent,
        "root": header.root,
        "timestamp": header.timestamp.0.to_string(),
        "target": header.target.to_string(),
        "nonce": header.nonce.to_string(),
    })
}

fn context_json(context: &Context) -> Value {
    json!({ "history": context.history, "outcome": context.outcome })
}

fn reward_json(reward: &Reward) -> Value {
    json!({ "to": hex::encode(reward.to.0), "amount": reward.amount.units().to_string() })
}

fn signed_json(signed: &SignedTransaction) -> Value {
    let (PublicKey::Ed25519(sender), Signature::Ed25519(signature)) = (&signed.transaction.sender, &signed.signature);
    let action = match &signed.transaction.action {
        Action::Transfer { to, amount } => {
            json!({ "transfer": { "to": hex::encode(to.0), "amount": amount.units().to_string() } })
        }
        Action::Record { data } => json!({ "record": { "data": hex::encode(&data[..]) } }),
    };
    json!({
        "sender": { "ed25519": hex::encode(sender) },
        "nonce": signed.transaction.nonce.to_string(),
        "fee": signed.transaction.fee.units().to_string(),
        "action": action,
        "signature": { "ed25519": hex::encode(signature) },
    })
}

fn block_json(block: &Block) -> Value {
    let transactions: Vec<Value> = block.body.transactions.iter().map(signed_json).collect();
    json!({
        "header": header_json(&block.header),
        "context": context_json(&block.body.context),
        "reward": reward_json(&block.body.reward),
        "transactions": transactions,
    })
}

fn compact_json(compact: &CompactBlock) -> Value {
    let hint = |hint: &Hint| json!({ "position": hint.position, "bits": hint.bits });
    let hints: Vec<Value> = compact.hints().iter().map(hint).collect();
    json!({
        "header": header_json(compact.header()),
        "context": context_json(compact.context()),
        "reward": reward_json(compact.reward()),
        "id_bits": compact.id_bits(),
        "ids": hex::encode(compact.ids()),
        "hints": hints,
    })
}

fn status_json(status: &Status) -> Value {
    json!({
        "tip": status.tip,
        "height": status.height.0.to_string(),
        "work": status.work.0.to_string(),
        "clock": status.clock.0.to_string(),
        "pending": status.pending.to_string(),
        "nickname": hex::encode(&status.nickname[..]),
    })
}

fn accepted() -> Vec<EncodingCase> {
    let blocks: List<BlockId> = vec![BlockId([0xe1; 32]), BlockId([0xe2; 32])].into();
    let ids: List<TransactionId> = vec![TransactionId([0xe3; 32])].into();
    let requests = [
        (json!({ "status": status_json(&status()) }), Request::Status(status())),
        (json!({ "headers": &blocks[..] }), Request::Headers { locator: blocks.clone() }),
        (json!({ "blocks": &blocks[..] }), Request::Blocks { ids: blocks }),
        (json!("pending"), Request::Pending),
        (json!({ "transactions": &ids[..] }), Request::Transactions { ids: ids.clone() }),
        (
            json!({ "block_transactions": { "block": BlockId([0xe4; 32]), "places": [0, 7, 500] } }),
            Request::BlockTransactions { block: BlockId([0xe4; 32]), places: vec![0, 7, 500].into() },
        ),
    ];
    let announcements = [
        (json!({ "whole": block_json(&block()) }), Announcement::Whole(block())),
        (json!({ "compact": compact_json(&compact()) }), Announcement::Compact(compact())),
    ];
    let responses = [
        (json!({ "status": status_json(&status()) }), Response::Status(status())),
        (json!({ "headers": [] }), Response::Headers(List::default())),
        (json!({ "headers": [header_json(&header())] }), Response::Headers(vec![header()].into())),
        (json!({ "blocks": [block_json(&block())] }), Response::Blocks(vec![block()].into())),
        (json!({ "pending": &ids[..] }), Response::Pending(ids)),
        (
            json!({ "transactions": [signed_json(&record(b"")), signed_json(&transfer())] }),
            Response::Transactions(vec![record(b""), transfer()].into()),
        ),
        (
            json!({ "block_transactions": [signed_json(&transfer())] }),
            Response::BlockTransactions(vec![transfer()].into()),
        ),
    ];
    let case = |r#type: &str, value: Value, bytes: Vec<u8>| EncodingCase {
        r#type: r#type.to_owned(),
        value,
        bytes: HexBytes(bytes),
    };
    let mut cases = vec![
        case("header", header_json(&header()), encode(&header())),
        case("context", context_json(&context()), encode(&context())),
        case("reward", reward_json(&reward()), encode(&reward())),
        case("signed_transaction", signed_json(&transfer()), encode(&transfer())),
        case("signed_transaction", signed_json(&record(b"")), encode(&record(b""))),
        case("signed_transaction", signed_json(&record(b"knot")), encode(&record(b"knot"))),
        case("bundle", json!([signed_json(&transfer())]), bundle(&[transfer()])),
        case(
            "bundle",
            json!([signed_json(&record(b"knot")), signed_json(&transfer())]),
            bundle(&[record(b"knot"), transfer()]),
        ),
        case("block", block_json(&block()), encode(&block())),
        case("status", status_json(&status()), encode(&status())),
    ];
    cases.extend(announcements.map(|(value, announced)| case("announcement", value, encode(&announced))));
    cases.extend(requests.map(|(value, request)| case("request", value, encode(&request))));
    cases.extend(responses.map(|(value, response)| case("response", value, encode(&response))));
    cases
}

/// `bytes` with the part at `at` replaced.
fn with(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> HexBytes {
    bytes[at..at + new.len()].copy_from_slice(new);
    HexBytes(bytes)
}

fn refused() -> Vec<BadEncoding> {
    let (header, block, request, response) =
        (encode(&header()), encode(&block()), encode(&Request::Pending), encode(&Response::Status(status())));
    let one = bundle(&[transfer()]);
    let nothing = Action::Transfer { to: Address([0; 20]), amount: Amount::ZERO };
    let much = Action::Record { data: vec![0; RECORD_BYTES_MAX].into() };
    let (transfer, record) = (encode(&transfer()), encode(&record(b"knot")));
    let blocks = encode(&Request::Blocks { ids: vec![BlockId([0xe1; 32])].into() });
    let longer = |bytes: &[u8]| HexBytes([bytes, &[0]].concat());
    let shorter = |bytes: &[u8]| HexBytes(bytes[..bytes.len() - 1].to_vec());
    let huge = u64::MAX.to_le_bytes();
    let bomb = (1_u64 << 40).to_le_bytes();
    let cases = [
        ("nothing at all", "header", HexBytes(Vec::new())),
        ("a byte too few", "header", shorter(&header)),
        ("a byte too many", "header", longer(&header)),
        ("a byte too few", "block", shorter(&block)),
        ("a byte too many", "block", longer(&block)),
        ("a header without a body", "block", HexBytes(header.clone())),
        ("a count of transactions one too high", "block", with(block.clone(), 188, &[3])),
        ("a count of transactions one too low", "block", with(block.clone(), 188, &[1])),
        ("a decode bomb: 2^40 transactions claimed", "block", with(block.clone(), 188, &bomb)),
        ("a decode bomb: 2^64 - 1 transactions claimed", "block", with(block, 188, &huge)),
        ("an unknown scheme of keys", "signed_transaction", with(transfer.clone(), 0, &[1])),
        ("a tag whose high bytes are not zero", "signed_transaction", with(transfer.clone(), 3, &[1])),
        ("an unknown action", "signed_transaction", with(transfer.clone(), 52, &[2])),
        ("an unknown scheme of signatures", "signed_transaction", with(transfer.clone(), 84, &[1])),
        ("a byte too many", "signed_transaction", longer(&transfer)),
        ("a record one byte longer than claimed", "signed_transaction", with(record.clone(), 56, &[3])),
        ("a record one byte shorter than claimed", "signed_transaction", with(record.clone(), 56, &[5])),
        ("a decode bomb: a record of 2^40 bytes claimed", "signed_transaction", with(record, 56, &bomb)),
        ("no transaction", "bundle", HexBytes(bundle(&[]))),
        ("more than 256 transactions", "bundle", HexBytes(bundle(&vec![blank(nothing); 257]))),
        ("more than 65,536 bytes", "bundle", HexBytes(bundle(&vec![blank(much); 16]))),
        ("a transaction without a count before it", "bundle", HexBytes(transfer.clone())),
        ("a count of transactions one too high", "bundle", with(one.clone(), 0, &[2])),
        ("a byte too few", "bundle", shorter(&one)),
        ("a byte too many", "bundle", longer(&one)),
        ("a decode bomb: 2^64 - 1 transactions claimed", "bundle", with(one, 0, &huge)),
        ("an unknown request", "request", with(request.clone(), 0, &[6])),
        ("a request with a byte too many", "request", longer(&request)),
        ("a tag of one byte, as a varint form would have it", "request", HexBytes(vec![3])),
        ("a decode bomb: 2^64 - 1 ids, a product that wraps", "request", with(blocks, 4, &huge)),
        ("an unknown response", "response", with(response.clone(), 0, &[9])),
        ("a byte too few", "response", shorter(&response)),
    ];
    let case = |(name, r#type, bytes): (&str, &str, HexBytes)| BadEncoding {
        name: name.to_owned(),
        r#type: r#type.to_owned(),
        bytes,
    };
    cases.into_iter().chain(refused_announcements()).map(case).collect()
}

/// Damaged announcements of a block with two short ids of 19 bits, which take five bytes, and a hint for each.
fn refused_announcements() -> Vec<(&'static str, &'static str, HexBytes)> {
    const ID_BITS: usize = 4 + 96 + 64 + 28;
    const IDS: usize = ID_BITS + 1 + 8;
    const HINTS: usize = IDS + 5 + 8;
    let good = encode(&Announcement::Compact(compact()));
    let bytes = |head: &[u8], middle: &[u8], tail: &[u8]| HexBytes([head, middle, tail].concat());
    let ids = |id_bits: u8, ids: &[u8]| {
        let count = (ids.len() as u64).to_le_bytes();
        bytes(&good[..ID_BITS], &[&[id_bits][..], &count, ids].concat(), &[0; 8])
    };
    let hint = |position: u8| [position, 0, 0, 0, 9, 9, 9, 9];
    let hints = |first: u8, second: u8| with(good.clone(), HINTS, &[hint(first), hint(second)].concat());
    let huge = u64::MAX.to_le_bytes();
    let cases = [
        ("an unknown announcement", with(good.clone(), 0, &[2])),
        ("a byte too few", HexBytes(good[..good.len() - 1].to_vec())),
        ("a byte too many", bytes(&good, &[0], &[])),
        ("short ids of no bits", ids(0, &[])),
        ("short ids of 15 bits", ids(15, &[0; 2])),
        ("short ids of 33 bits", ids(33, &[0; 5])),
        ("half a short id", ids(16, &[0; 3])),
        ("a bit after the last short id", ids(19, &[0, 0, 8])),
        ("more short ids than a block has transactions", ids(16, &[0; 2 * (BLOCK_TRANSACTIONS_MAX + 1)])),
        ("hints out of order", hints(1, 0)),
        ("two hints for one short id", hints(1, 1)),
        ("a hint for no short id", hints(1, 2)),
        ("a decode bomb: 2^64 - 1 bytes of short ids claimed", with(good.clone(), ID_BITS + 1, &huge)),
        ("a decode bomb: 2^64 - 1 hints claimed", with(good.clone(), HINTS - 8, &huge)),
    ];
    cases.map(|(name, bytes)| (name, "announcement", bytes)).into()
}

pub(crate) fn encodings() -> Encodings {
    Encodings {
        about: "Values and their bytes; bytes that break R1. Addresses, keys, signatures, data and nicknames are hex \
                digits here. The values are made up: they keep R1 and nothing else."
            .to_owned(),
        accepted: accepted(),
        refused: refused(),
    }
}
