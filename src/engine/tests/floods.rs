//! Peers that send more than their share.

use std::collections::HashMap;

use quipu_protocol::message::{REQUEST_IDS_MAX, RESPONSE_IDS_MAX};
use quipu_protocol::{Block, BlockId, Millis, Parameters, Request, Response, SignedTransaction, TransactionId};

use super::super::bundles::UNCHECKED_MAX;
use super::super::event::{Event, Gossip, Ticket};
use super::super::gossip::{OFFERED_MAX, OFFERED_PER_PEER_MAX, REFUSED_MAX};
use super::super::pace::ANSWER_TIMEOUT_MAX;
use super::super::serve::DEFERRED_PER_PEER_MAX;
use super::super::sync::STATUS_INTERVAL;
use super::{Bench, headers};

#[test]
fn a_request_longer_than_the_protocol_allows_is_refused_and_its_sender_dropped() {
    let mut bench = Bench::new();
    for (extra, answered) in [(0, true), (1, false)] {
        let peer = bench.connect();
        let locator = vec![BlockId([7; 32]); REQUEST_IDS_MAX + extra].into();
        bench.event(Event::Request { peer, ticket: Ticket(1), request: Request::Headers { locator } });
        let (_, response) = bench.seen.replied.pop().expect("every request is answered");
        assert_eq!((response.is_some(), bench.is_closed(peer)), (answered, !answered));
    }
}

#[test]
fn transactions_that_were_not_asked_for_are_a_wrong_answer() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let (wanted, other) = (bench.record(1, 1), bench.record(2, 1));
    let id = wanted.transaction.id(&bench.network.genesis_id());
    let mut status = bench.status_of(&bench.genesis(), 0);
    status.pending = 1;
    for answer in [vec![other], vec![wanted.clone(), wanted]] {
        let key = bench.take_asked(peer, |request| matches!(request, Request::Status(_))).0;
        bench.answer(peer, key, Response::Status(status.clone()));
        let key = bench.take_asked(peer, |request| *request == Request::Pending).0;
        bench.answer(peer, key, Response::Pending(vec![id].into()));
        let key = bench.take_asked(peer, |request| matches!(request, Request::Transactions { .. })).0;
        bench.answer(peer, key, Response::Transactions(answer.into()));
        assert_eq!(bench.occupancy("mempool_bytes"), 0);
        bench.wait(STATUS_INTERVAL);
    }
}

#[test]
fn transactions_that_wait_for_their_check_are_bounded() {
    let mut bench = Bench::new();
    bench.hold_transactions = true;
    let mut signed = bench.record(1, 1);
    for number in 0..UNCHECKED_MAX as u64 + 20_000 {
        let peer = if number % 10_000 == 0 { bench.connect() } else { super::super::event::PeerKey(bench.counter) };
        signed.transaction.nonce = number;
        let gossip = Gossip::Transactions(signed.clone().into());
        bench.event(Event::Gossip { peer, ticket: Ticket(number), gossip });
    }
    assert_eq!(bench.occupancy("unchecked_transactions"), UNCHECKED_MAX);
}

#[test]
fn remembered_refusals_are_bounded() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    for nonce in 0..REFUSED_MAX as u64 + 10 {
        let unpaid = bench.send(1, nonce, 2, 5, 0);
        bench.event(Event::Gossip { peer, ticket: Ticket(nonce), gossip: Gossip::Transactions(unpaid.into()) });
    }
    assert_eq!(bench.occupancy("refused_transactions"), REFUSED_MAX);
}

/// Blocks are requested only as fast as the disk writes them.
#[test]
fn a_slow_disk_slows_the_sync_down() {
    let large = Parameters { block_bytes_max: 4 << 20, ..Parameters::dev() };
    for (mut bench, count) in [(Bench::new(), 300), (Bench::with(large), 9)] {
        let genesis = bench.genesis();
        bench.hold_persisted = true;
        let peers = [bench.connect(), bench.connect()];
        let is_many = count == 300;
        let ours = if is_many { bench.chain(&genesis, count, 1) } else { bench.large_chain(&genesis, count, 1) };
        for (number, block) in ours.iter().enumerate() {
            bench.gossip_block(peers[number % 2], block);
        }
        let theirs = bench.chain(&ours[count as usize - 1].header, 5, 1);
        let peer = bench.connect_with(&theirs[4].header, u128::from(count) + 5);
        bench.answer_headers(peer, &headers(&theirs));
        assert!(!bench.is_asked_for_blocks(peer), "{count}");
        bench.event(Event::Persisted { sequence: count });
        bench.answer_blocks(peer, &theirs);
        assert_eq!(bench.height(), count + 5);
    }
}

/// Blocks are requested only as fast as they are checked, even before the engine knows how long they are.
#[test]
fn slow_checks_slow_the_sync_down() {
    let mut bench = Bench::with(Parameters { block_bytes_max: 4 << 20, ..Parameters::dev() });
    bench.hold_checks = true;
    let chain = bench.large_chain(&bench.genesis(), 12, 1);
    let tip = chain[11].header;
    let peers = [1, 2, 3].map(|_| {
        let peer = bench.connect_with(&tip, 12);
        if bench.is_asked(peer, |request| matches!(request, Request::Headers { .. })) {
            bench.answer_headers(peer, &headers(&chain));
        }
        peer
    });
    // More than one block exceeds the limit of an answer.
    let answer_next = |bench: &mut Bench| {
        let peer = peers.into_iter().find(|peer| bench.is_asked_for_blocks(*peer))?;
        let (key, request) = bench.take_asked(peer, |request| matches!(request, Request::Blocks { .. }));
        let block = bench.those_of(&chain, &request).swap_remove(0);
        bench.answer(peer, key, Response::Blocks(vec![block].into()));
        Some(())
    };
    let came = std::iter::from_fn(|| answer_next(&mut bench)).count();
    assert!((4..=4 + peers.len()).contains(&came), "{came} blocks of 4 MiB are in memory");
    bench.release_held();
    while answer_next(&mut bench).is_some() {}
    assert_eq!(bench.height(), 12);
}

/// Pulled transactions share the queue with gossiped ones.
#[test]
fn transactions_that_were_pulled_and_wait_for_their_check_are_bounded() {
    let mut bench = Bench::new();
    bench.hold_transactions = true;
    let mut signed = bench.record(1, 1);
    let mut number = 0;
    let mut status = bench.status_of(&bench.genesis(), 0);
    status.pending = RESPONSE_IDS_MAX as u64;
    for _ in 0..3 {
        let all: Vec<SignedTransaction> = (0..RESPONSE_IDS_MAX)
            .map(|_| {
                number += 1;
                signed.transaction.nonce = number;
                signed.clone()
            })
            .collect();
        let id = |signed: &SignedTransaction| signed.transaction.id(&bench.network.genesis_id());
        let by_id: HashMap<TransactionId, SignedTransaction> = all.iter().map(|one| (id(one), one.clone())).collect();
        let ids: Vec<TransactionId> = all.iter().map(id).collect();
        let peer = bench.connect();
        let key = bench.take_asked(peer, |request| matches!(request, Request::Status(_))).0;
        bench.answer(peer, key, Response::Status(status.clone()));
        let key = bench.take_asked(peer, |request| *request == Request::Pending).0;
        bench.answer(peer, key, Response::Pending(ids.into()));
        while bench.is_asked(peer, |request| matches!(request, Request::Transactions { .. })) {
            let (key, request) = bench.take_asked(peer, |request| matches!(request, Request::Transactions { .. }));
            let Request::Transactions { ids } = request else { unreachable!("just matched") };
            let given: Vec<SignedTransaction> = ids.iter().map(|id| by_id[id].clone()).collect();
            bench.answer(peer, key, Response::Transactions(given.into()));
        }
    }
    assert_eq!(bench.occupancy("unchecked_transactions"), UNCHECKED_MAX);
}

/// Each late answer says that the rest of its question is still wanted.
#[test]
fn transactions_to_pull_are_bounded() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let genesis = bench.genesis();
    let mut status = bench.status_of(&genesis, 0);
    status.pending = RESPONSE_IDS_MAX as u64;
    let (tell, _) = bench.take_asked(peer, |request| matches!(request, Request::Status(_)));
    bench.answer(peer, tell, Response::Status(status.clone()));
    let is_transactions = |request: &Request| matches!(request, Request::Transactions { .. });
    // Each question begins with a transaction that is there.
    let records = [1, 2].map(|number| bench.record(number, 1));
    let mut ids: Vec<TransactionId> = (0..2 * REQUEST_IDS_MAX).map(unknown).collect();
    for (at, record) in records.iter().enumerate() {
        ids[at * REQUEST_IDS_MAX] = record.transaction.id(&bench.network.genesis_id());
    }
    let (key, _) = bench.take_asked(peer, |request| *request == Request::Pending);
    bench.answer(peer, key, Response::Pending(ids.into()));
    let mut late = Vec::new();
    for _ in 0..2 {
        late.push(bench.take_asked(peer, is_transactions).0);
        let asked_at = bench.now;
        while bench.now < asked_at + ANSWER_TIMEOUT_MAX {
            bench.wait(Millis::from_secs(1));
            if bench.is_asked(peer, |request| matches!(request, Request::Status(_))) {
                let (key, _) = bench.take_asked(peer, |request| matches!(request, Request::Status(_)));
                bench.answer(peer, key, Response::Status(status.clone()));
            }
        }
    }
    let (key, _) = bench.take_asked(peer, |request| *request == Request::Pending);
    bench.answer(peer, key, Response::Pending((0..RESPONSE_IDS_MAX).map(|number| unknown(1 << 20 | number)).collect()));
    for (key, record) in late.into_iter().zip(records) {
        bench.answer(peer, key, Response::Transactions(vec![record].into()));
    }
    assert_eq!(bench.occupancy("wanted_transactions"), RESPONSE_IDS_MAX);
}

fn unknown(number: usize) -> TransactionId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&(number as u64).to_le_bytes());
    TransactionId(id)
}

/// One question with the same id a thousand times is one question.
#[test]
fn repeated_ids_are_answered_once() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let blocks = bench.chain(&bench.genesis(), 3, 1);
    for block in &blocks {
        bench.gossip_block(peer, block);
    }
    let ids: Vec<BlockId> = blocks.iter().map(|block| block.header.id()).collect();
    let many = ids.iter().cycle().take(REQUEST_IDS_MAX).copied().collect::<Vec<_>>();
    bench.event(Event::Request { peer, ticket: Ticket(1), request: Request::Blocks { ids: many.into() } });
    let served: Vec<BlockId> = bench.seen.served.pop().expect("it is served").iter().map(|place| place.id).collect();
    assert_eq!(served, ids);

    let record = bench.record(1, 1);
    let id = record.transaction.id(&bench.network.genesis_id());
    bench.gossip(peer, Gossip::Transactions(record.clone().into()));
    let request = Request::Transactions { ids: vec![id; REQUEST_IDS_MAX].into() };
    bench.event(Event::Request { peer, ticket: Ticket(2), request });
    let (_, given) = bench.seen.replied.pop().expect("it is answered");
    assert_eq!(given, Some(Response::Transactions(vec![record].into())));
}

#[test]
fn a_list_of_pending_transactions_that_names_one_twice_is_a_wrong_answer() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let mut status = bench.status_of(&bench.genesis(), 0);
    status.pending = 1;
    let id = bench.record(1, 1).transaction.id(&bench.network.genesis_id());
    for _ in 0..3 {
        let key = bench.take_asked(peer, |request| matches!(request, Request::Status(_))).0;
        bench.answer(peer, key, Response::Status(status.clone()));
        let key = bench.take_asked(peer, |request| *request == Request::Pending).0;
        bench.answer(peer, key, Response::Pending(vec![id; 100].into()));
        assert_eq!(bench.occupancy("wanted_transactions"), 0);
        if bench.is_closed(peer) {
            return;
        }
        bench.wait(STATUS_INTERVAL);
    }
    panic!("it goes on for ever");
}

#[test]
fn blocks_that_wait_for_their_check_are_bounded_for_each_peer_and_in_all() {
    let mut bench = Bench::new();
    bench.hold_checks = true;
    let genesis = bench.genesis();
    let blocks: Vec<Block> = (0..=255).map(|branch| bench.block(&genesis, branch, vec![])).collect();
    let mut number = 0;
    let mut offered = Vec::new();
    for round in 0..9 {
        for chunk in blocks.chunks(2 * OFFERED_PER_PEER_MAX) {
            let peer = bench.connect();
            for block in chunk {
                // Each is another block.
                let block = bench.solve(&genesis, block.body.clone(), |header| header.timestamp.0 += round);
                number += 1;
                bench.event(Event::Gossip { peer, ticket: Ticket(number), gossip: Gossip::Block(Box::new(block)) });
            }
            offered.push(bench.occupancy("offered_blocks"));
        }
    }
    assert_eq!(offered[..2], [OFFERED_PER_PEER_MAX, 2 * OFFERED_PER_PEER_MAX]);
    let most = OFFERED_MAX.min(offered.len() * OFFERED_PER_PEER_MAX);
    assert_eq!(offered.last(), Some(&most));
    bench.release_held();
    assert_eq!(bench.occupancy("offered_blocks"), 0);
    assert_eq!(bench.seen.verdicts.len() as u64, number, "each gets its verdict");
}

/// Between two chains there is no state to answer from, and the deferred requests must not pile up.
#[test]
fn requests_that_wait_for_the_end_of_a_reorganisation_are_bounded() {
    let (mut bench, _, genesis) = Bench::between_two_chains();
    let flood = bench.connect();
    for number in 0..200 {
        let request = Request::Headers { locator: vec![genesis.id()].into() };
        bench.event(Event::Request { peer: flood, ticket: Ticket(number), request });
    }
    assert_eq!(bench.occupancy("deferred_requests"), DEFERRED_PER_PEER_MAX);
    assert!(bench.is_closed(flood));
    assert_eq!(bench.seen.replied.len(), 200 - DEFERRED_PER_PEER_MAX);
    bench.event(Event::PeerDisconnected { peer: flood });
    assert_eq!((bench.occupancy("deferred_requests"), bench.seen.replied.len()), (0, 200));
}
