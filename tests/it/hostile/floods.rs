//! Floods of each kind of message, one kind at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::{Either, select as first_of};
use futures::io::AsyncWriteExt;
use quipu::protocol::encode::encode;
use quipu::protocol::message::{REQUEST_BYTES_MAX, REQUEST_IDS_MAX, REQUEST_PLACES_MAX, topic};
use quipu::protocol::{Amount, Announcement, BlockId, Bundle, Request, Status, TransactionId};

use super::attacker::{Attacker, network};
use super::raw::{run_for, select, streams};
use super::siege::Siege;
use super::{genesis_status, honest_answers, orphan, promise, record_of};
use crate::harness::{DEADLINE, Node, number};

/// Requests at once: twice as many as a connection takes.
const REQUESTS_PER_WAVE: usize = 32;
/// The interval between waves, until the node has had enough.
const WAVE_INTERVAL: Duration = Duration::from_millis(20);
const WAVES_MAX: usize = 2000;
/// Transactions, of 4 KB each: more than one peer may have in the pool.
const TRANSACTIONS: u64 = 8_000;
/// Blocks without a parent, of 62 KB each: more than there is room for.
const ORPHANS: u8 = 250;
/// Peers that send before they have greeted, and the blocks of 62 KB that each sends.
const EARLY_PEERS: u8 = 60;
const EARLY_BLOCKS: u8 = 60;
/// Where the id of a block's parent is in its announcement: after the tag, the version and the height.
const PARENT_OFFSET: usize = 4 + 4 + 8;
/// The longest flood of those. The node hangs up on peers that do not greet.
const EARLY_SPAN_MAX: Duration = Duration::from_secs(20);
/// Control messages of each kind.
const CONTROLS: usize = 5000;
/// The longest flood of control messages. The node hangs up on peers that do not identify themselves.
const CONTROL_SPAN_MAX: Duration = Duration::from_secs(5);

/// Each kind of request, in an expensive form that a busy machine can still send faster than the budget allows.
pub(crate) fn of_each_request() {
    let siege = Siege::begin();
    let ids = || vec![network().genesis_id(); REQUEST_IDS_MAX / 4];
    let tip: BlockId = siege.node.tip().parse().expect("an id");
    let kinds = [
        ("status", Request::Status(Status { ..genesis_status(promise()) })),
        ("headers", Request::Headers { locator: ids().into() }),
        ("blocks", Request::Blocks { ids: vec![tip; 1000].into() }),
        ("pending", Request::Pending),
        ("transactions", Request::Transactions { ids: vec![TransactionId([1; 32]); REQUEST_IDS_MAX / 4].into() }),
        ("transactions of a block", {
            Request::BlockTransactions { block: tip, places: (0..REQUEST_PLACES_MAX as u32).collect() }
        }),
    ];
    for (kind, request) in kinds {
        siege.during(&format!("a flood of requests for {kind}"), || {
            let attacker = Attacker::connect(&siege.node, honest_answers());
            let frame = encode(&request);
            // Beyond its budget each request is a fault, and a hundred faults are too many.
            for wave in 0.. {
                (0..REQUESTS_PER_WAVE).for_each(|_| attacker.ask(frame.clone()));
                if attacker.is_closed_within(WAVE_INTERVAL) {
                    break;
                }
                assert!(wave < WAVES_MAX, "{kind}: it is still connected, with {} answers", attacker.answered());
            }
        });
    }
}

/// Transactions without fees, each of another account, and blocks with unknown parents.
pub(crate) fn of_each_gossip() {
    let siege = Siege::begin();
    siege.during("a flood of transactions", || {
        let attacker = Attacker::connect(&siege.node, honest_answers());
        for bundle in Bundle::pack((0..TRANSACTIONS).map(|seed| record_of(seed, 0, 4000))) {
            attacker.publish("transactions", encode(&bundle));
        }
        attacker.wait_sent(&siege.node);
        // Messages are under way for a while, and are lost with the connection.
        let deadline = Instant::now() + DEADLINE;
        while taken(&siege.node) < TRANSACTIONS / 2 {
            assert!(Instant::now() < deadline, "the flood never came: {} transactions", taken(&siege.node));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let taken = taken(&siege.node);
    assert!(taken < TRANSACTIONS, "one peer got all of its transactions into the pool");
    eprintln!("siege: {taken} of {TRANSACTIONS} transactions were taken");
    siege.during("a flood of blocks without parents", || {
        let attacker = Attacker::connect(&siege.node, honest_answers());
        for seed in 0..ORPHANS {
            let records = (0..15).map(|nonce| record_of(seed.into(), nonce, 4000)).collect();
            attacker.publish("blocks", encode(&Announcement::Whole(orphan(seed, Amount::COIN, records))));
        }
        attacker.wait_sent(&siege.node);
    });
}

/// The number of transactions that a node has, in its pool and in blocks.
fn taken(node: &Node) -> u64 {
    number(&node.run("status"), "pending") + node.mined_ids().len() as u64
}

/// Subscriptions and gossipsub's other control messages, and pings.
pub(crate) fn of_control_messages() {
    let siege = Siege::begin();
    siege.during("topics left and joined again and again", || {
        let attacker = Attacker::connect(&siege.node, honest_answers());
        (0..CONTROLS).for_each(|_| attacker.resubscribe());
        attacker.wait_sent(&siege.node);
    });
    let blocks = topic(&network(), "blocks");
    let id = |number: usize| field(2, &number.to_le_bytes().repeat(4));
    let many_ids = |number: usize| (0..100).flat_map(|at| id(number * 100 + at)).collect::<Vec<u8>>();
    let named = |bytes: &str| field(1, bytes.as_bytes());
    type Make<'a> = Box<dyn Fn(usize) -> Vec<u8> + Send + Sync + 'a>;
    let kinds: [(&str, Make<'_>); 6] = [
        (
            "subscriptions to unknown topics",
            Box::new(|number| field(1, &[vec![8, 1], field(2, format!("topic {number}").as_bytes())].concat())),
        ),
        ("IHAVE", Box::new(|number| field(3, &field(1, &[named(&blocks), many_ids(number)].concat())))),
        ("IWANT", Box::new(|number| field(3, &field(2, &field(1, &number.to_le_bytes().repeat(4)))))),
        ("GRAFT", Box::new(|_| field(3, &field(3, &named(&blocks))))),
        ("PRUNE", Box::new(|_| field(3, &field(4, &named(&blocks))))),
        ("empty messages", Box::new(|_| field(2, &field(4, blocks.as_bytes())))),
    ];
    let gossip = kinds.map(|(kind, make)| {
        let framed: Make<'_> = Box::new(move |number| {
            let message = make(number);
            [varint(message.len()), message].concat()
        });
        (kind, "/meshsub/1.1.0", framed)
    });
    // The echoes are never read.
    let ping: Make<'_> = Box::new(|number| number.to_le_bytes().repeat(4));
    for (kind, protocol, message) in gossip.into_iter().chain([("pings", "/ipfs/ping/1.0.0", ping)]) {
        flood(&siege, kind, protocol, message);
    }
}

/// Sends that many messages on one raw stream of a protocol, or as many as the node accepts.
fn flood(siege: &Siege, kind: &str, protocol: &str, message: impl Fn(usize) -> Vec<u8> + Sync) {
    let address = siege.address();
    siege.during(&format!("a flood of {kind}"), || {
        let sent = AtomicUsize::new(0);
        let _ = run_for(CONTROL_SPAN_MAX, async {
            let (opened, connection) = streams(address, 1).await?;
            let speak = Box::pin(async {
                for mut stream in opened {
                    select(&mut stream, protocol).await?;
                    for number in 0..CONTROLS {
                        stream.write_all(&message(number)).await?;
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                    stream.flush().await?;
                }
                Ok::<_, std::io::Error>(())
            });
            match first_of(speak, Box::pin(connection)).await {
                Either::Left((result, _)) | Either::Right((result, _)) => result,
            }
        });
        // The node may hang up before it has read all of them, never before the first.
        let sent = sent.into_inner();
        assert!(sent > 0, "{kind} were never sent");
        eprintln!("siege: {sent} of {CONTROLS} were sent");
    });
}

/// Streams with an unfinished request, of each connection.
const UNFINISHED_REQUESTS: usize = 30;
/// 60 connections have two unfinished requests each, 16 MB in all. Without a bound the requests alone have 236 MB.
const UNFINISHED_MEMORY_BYTES_MAX: u64 = 120 << 20;

/// Blocks without a parent, of nearly the longest length, from peers that never say who they are. Each sends less than
/// what is called a flood.
pub(crate) fn of_gossip_before_the_greeting() {
    let siege = Siege::begin();
    let address = siege.address();
    let blocks = topic(&network(), "blocks");
    let records = (0..15).map(|nonce| record_of(0, nonce, 4000)).collect();
    let block = encode(&Announcement::Whole(orphan(0, Amount::COIN, records)));
    siege.during("a flood of gossip before the greeting", || {
        let sent = AtomicUsize::new(0);
        let peer = |peer: u8| {
            let (blocks, block, sent) = (&blocks, &block, &sent);
            async move {
                let (opened, connection) = streams(address, 1).await?;
                let speak = Box::pin(async {
                    for mut stream in opened {
                        select(&mut stream, "/meshsub/1.1.0").await?;
                        for number in 0..EARLY_BLOCKS {
                            let mut block = block.clone();
                            block[PARENT_OFFSET..][..2].copy_from_slice(&[peer, number]); // another message each
                            let message = field(2, &[field(2, &block), field(4, blocks.as_bytes())].concat());
                            stream.write_all(&[varint(message.len()), message].concat()).await?;
                            stream.flush().await?;
                            sent.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    std::future::pending::<std::io::Result<()>>().await
                });
                match first_of(speak, Box::pin(connection)).await {
                    Either::Left((result, _)) | Either::Right((result, _)) => result,
                }
            }
        };
        let _ = run_for(EARLY_SPAN_MAX, async {
            futures::future::join_all((0..EARLY_PEERS).map(peer)).await;
            Ok(())
        });
        let sent = sent.into_inner();
        // A slow machine sends fewer before the node hangs up.
        assert!(sent >= usize::from(EARLY_PEERS), "only {sent} blocks were sent");
    });
}

/// Requests of the longest length without their last byte, on as many streams as the node takes.
pub(crate) fn of_requests_without_their_ends() {
    let siege = Siege::begin();
    let address = siege.address();
    let sync = topic(&network(), "sync");
    let claimed = u32::try_from(REQUEST_BYTES_MAX).expect("far below 4 GiB").to_le_bytes();
    let all_but_one = [&claimed[..], &vec![7; REQUEST_BYTES_MAX - 1]].concat();
    siege.during("a flood of requests without their ends", || {
        let sent = AtomicUsize::new(0);
        let peer = || async {
            let (opened, connection) = streams(address, UNFINISHED_REQUESTS).await?;
            let requests = opened.into_iter().map(|mut stream| {
                let (sync, all_but_one, sent) = (&sync, &all_but_one, &sent);
                async move {
                    select(&mut stream, sync).await?;
                    stream.write_all(all_but_one).await?;
                    stream.flush().await?;
                    sent.fetch_add(1, Ordering::Relaxed);
                    std::future::pending::<std::io::Result<()>>().await
                }
            });
            // Streams that the node closes are no end of the connection.
            let speak = Box::pin(async {
                futures::future::join_all(requests).await;
                Ok(())
            });
            match first_of(speak, Box::pin(connection)).await {
                Either::Left((result, _)) | Either::Right((result, _)) => result,
            }
        };
        let _ = run_for(CONTROL_SPAN_MAX, async {
            futures::future::join_all((0..EARLY_PEERS).map(|_| peer())).await;
            Ok(())
        });
        let sent = sent.into_inner();
        assert!(sent >= usize::from(EARLY_PEERS), "only {sent} requests were sent");
        eprintln!("siege: {sent} requests lack their last byte");
    });
    let memory = siege.node.memory_peak_bytes();
    assert!(memory < UNFINISHED_MEMORY_BYTES_MAX, "{memory} bytes were resident");
}

/// A field of a protobuf message that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len()), bytes.to_vec()].concat()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
