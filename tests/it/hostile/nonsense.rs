//! Well formed but meaningless frames: extremes in every field, unknown ids, lists of the same thing.

use libp2p::identity::Keypair;
use quipu::protocol::bundle::BUNDLE_TRANSACTIONS_MAX;
use quipu::protocol::encode::encode;
use quipu::protocol::message::REQUEST_IDS_MAX;
use quipu::protocol::{
    Action, Address, Amount, Announcement, Block, BlockId, Body, Bundle, CheckedBlock, CompactBlock, Header, Height,
    LeafHash, List, Request, Response, Reward, SecretKey, SignedTransaction, Status, Target, Transaction,
    TransactionId, UnixMillis, Work,
};

use super::attacker::{Answers, Attacker, ByteDelays, network};
use super::siege::Siege;
use super::{honest_answers, promise, record_of};
use crate::harness::number;

/// The outcome for the sender.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It breaks a rule that every node can judge.
    CutOff,
    /// A node on another chain might believe it.
    Stays,
}

/// Impossible claims in statuses.
pub(crate) fn meaningless_statuses() {
    let siege = Siege::begin();
    let extreme = || Status {
        tip: BlockId([0xff; 32]),
        height: Height(u64::MAX),
        work: Work(u128::MAX),
        clock: UnixMillis(u64::MAX),
        pending: u64::MAX,
        nickname: vec![0xff; 33].into(),
    };
    let liars: [(&str, Status); 5] = [
        ("everything at its most", extreme()),
        ("a clock at the beginning of time", Status { clock: UnixMillis(0), ..promise() }),
        ("work without height", Status { height: Height(0), work: Work(u128::MAX), ..promise() }),
        ("height without work", Status { work: Work(0), height: Height(u64::MAX), ..promise() }),
        ("a name of control characters", Status { nickname: b"\x1b[2J\x07\r\n\0".to_vec().into(), ..promise() }),
    ];
    siege.during("statuses that mean nothing", || {
        for (name, status) in &liars {
            let told = status.clone();
            let answers: Answers = Box::new(move |request| match request {
                Request::Status(_) => Some(encode(&Response::Status(told.clone()))),
                other => honest_answers()(other),
            });
            let attacker = Attacker::connect(&siege.node, answers);
            attacker.ask(encode(&Request::Status(status.clone())));
            attacker.wait_answered(&siege.node, 1);
            // The text that people see of it.
            let shown = siege.node.run("peers").to_string();
            assert!(!shown.contains("\\u001b") && !shown.contains('\x07'), "{name}: {shown}");
        }
    });
}

/// Questions without an answer get an empty one, or none.
pub(crate) fn meaningless_requests() {
    let siege = Siege::begin();
    let tip: BlockId = siege.node.tip().parse().expect("an id");
    let unknown = |count: usize| (0..count).map(|number| BlockId([number as u8; 32])).collect::<Vec<_>>();
    let requests = [
        Request::Headers { locator: vec![].into() },
        Request::Headers { locator: unknown(REQUEST_IDS_MAX).into() },
        Request::Headers { locator: vec![tip; REQUEST_IDS_MAX].into() },
        Request::Blocks { ids: vec![].into() },
        Request::Blocks { ids: unknown(REQUEST_IDS_MAX).into() },
        Request::Blocks { ids: vec![tip; REQUEST_IDS_MAX].into() },
        Request::Transactions { ids: vec![].into() },
        Request::BlockTransactions { block: tip, places: vec![].into() },
        Request::Transactions { ids: vec![TransactionId([7; 32]); REQUEST_IDS_MAX].into() },
    ];
    siege.during("requests that mean nothing", || {
        let attacker = Attacker::connect(&siege.node, honest_answers());
        for (asked, request) in (1..).zip(&requests) {
            attacker.ask(encode(request));
            attacker.wait_answered(&siege.node, asked);
        }
    });
}

/// Decodable gossip that no node could have accepted.
pub(crate) fn meaningless_gossip() {
    let siege = Siege::begin();
    let cases = [transactions(), blocks()].concat();
    siege.during("gossip that means nothing", || {
        for (name, kind, bytes, end) in &cases {
            let keypair = Keypair::generate_ed25519();
            let attacker = Attacker::connect_as(&siege.node, &keypair, ByteDelays::default(), honest_answers());
            let attacker = attacker.unwrap_or_else(|| siege.node.fail(&format!("{name}: it was not let in")));
            attacker.publish(kind, bytes.clone());
            match end {
                End::CutOff => attacker.wait_closed(&siege.node),
                End::Stays => {
                    attacker.wait_sent(&siege.node);
                    attacker.ask(encode(&Request::Pending));
                    attacker.wait_answered(&siege.node, 1);
                }
            }
        }
    });
    assert_eq!(number(&siege.node.run("status"), "pending"), 0, "none of it could be mined");
}

type Case = (&'static str, &'static str, Vec<u8>, End);

fn transactions() -> Vec<Case> {
    let key = SecretKey::from_seed([3; 32]);
    let to = Address([9; 20]);
    let sign = |nonce, fee, action| {
        Transaction { sender: key.public_key(), nonce, fee, action }.sign(&network().genesis_id(), &key)
    };
    let signed = |nonce, fee, action| encode(&Bundle::from(sign(nonce, fee, action)));
    let transfer = |amount| Action::Transfer { to, amount };
    let case = |name, bytes, end| (name, "transactions", bytes, end);
    let (zero, most) = (Amount::ZERO, Amount::MAX);
    let mut forged: SignedTransaction = record_of(77, 0, 10);
    forged.transaction.fee = most;
    let poor = sign(0, zero, transfer(Amount::COIN));
    vec![
        case("coins that it does not have", signed(0, zero, transfer(most)), End::Stays),
        case("more coins than there are", signed(1, most, transfer(most)), End::Stays),
        case("the last nonce", signed(u64::MAX, zero, transfer(zero)), End::CutOff),
        case("a nonce far ahead", signed(1_000_000, zero, Action::Record { data: vec![1].into() }), End::Stays),
        case("a changed fee", encode(&Bundle::from(forged.clone())), End::CutOff),
        case("no transaction", encode(&List::<SignedTransaction>::default()), End::CutOff),
        case(
            "too many transactions",
            encode(&List::from(vec![poor.clone(); BUNDLE_TRANSACTIONS_MAX + 1])),
            End::CutOff,
        ),
        case("the same again and again", encode(&List::from(vec![poor.clone(); BUNDLE_TRANSACTIONS_MAX])), End::Stays),
        case("a changed fee among others", encode(&List::from(vec![poor.clone(), forged, poor])), End::CutOff),
    ]
}

fn blocks() -> Vec<Case> {
    let genesis = network().genesis().header;
    let block = |header: Header| {
        let context = network().genesis().body.context;
        let reward = Reward { to: Address([1; 20]), amount: Amount::COIN };
        let body = Body { context, reward, transactions: vec![].into() };
        let header = Header { root: body.root(), ..header };
        whole(super::with_work(Block { header, body }, true))
    };
    let child = Header { height: Height(1), parent: network().genesis_id(), ..genesis };
    let case = |name, bytes, end| (name, "blocks", bytes, end);
    vec![
        case("the genesis block", whole(network().genesis().clone()), End::Stays),
        case("a block at the last height", block(Header { height: Height(u64::MAX), ..child }), End::CutOff),
        case("a block of another version", block(Header { version: u32::MAX, ..child }), End::CutOff),
        case("a block at the end of time", block(Header { timestamp: UnixMillis(u64::MAX), ..child }), End::Stays),
        case("a block before its parent", block(Header { timestamp: UnixMillis(0), ..child }), End::CutOff),
        case("a block on itself", block(Header { parent: BlockId([0; 32]), ..child }), End::Stays),
        case(
            "a target that is none",
            {
                let body = network().genesis().body.clone();
                whole(Block { header: Header { target: Target(u32::MAX), ..child }, body })
            },
            End::CutOff,
        ),
        case(
            "a root of nothing",
            {
                let header = Header { root: LeafHash([0; 32]), ..child };
                whole(super::with_work(Block { header, body: network().genesis().body.clone() }, true))
            },
            End::CutOff,
        ),
        case("short ids of a block without work", by_ids(child, false), End::CutOff),
        case(
            "short ids of a block that nobody has",
            by_ids(Header { parent: BlockId([1; 32]), ..child }, true),
            End::Stays,
        ),
    ]
}

fn whole(block: Block) -> Vec<u8> {
    encode(&Announcement::Whole(block))
}

/// A hundred unknown transactions.
fn by_ids(header: Header, has_work: bool) -> Vec<u8> {
    let transactions = (0..100).map(|seed| record_of(seed, 0, 0)).collect();
    let context = network().genesis().body.context;
    let reward = Reward { to: Address([1; 20]), amount: Amount::COIN };
    let block = super::with_work(Block { header, body: Body { context, reward, transactions } }, has_work);
    encode(&Announcement::Compact(CompactBlock::of(&CheckedBlock::recall(block, &network()), [])))
}
