//! Peers that send more than their share.

use quipu_protocol::message::REQUEST_IDS_MAX;
use quipu_protocol::{BlockId, Parameters, Request, Response};

use super::super::event::{Event, Gossip, Ticket};
use super::super::gossip::{REFUSED_MAX, UNCHECKED_MAX};
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

/// It is the shortest question with the longest answer.
#[test]
fn lists_of_pending_transactions_are_given_sparingly() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    for number in 0..50 {
        bench.event(Event::Request { peer, ticket: Ticket(number), request: Request::Pending });
    }
    let answered = bench.seen.replied.iter().filter(|(_, response)| response.is_some()).count();
    assert!((1..=10).contains(&answered), "{answered}");
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
        let gossip = Gossip::Transaction(Box::new(signed.clone()));
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
        bench.event(Event::Gossip { peer, ticket: Ticket(nonce), gossip: Gossip::Transaction(Box::new(unpaid)) });
    }
    assert_eq!(bench.occupancy("refused_transactions"), REFUSED_MAX);
}

/// Blocks are asked for as fast as the disk takes them.
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
