//! Peers that are slow without being to blame, and peers that are slow on purpose.

use quipu_protocol::message::RESPONSE_HEADERS_MAX;
use quipu_protocol::{Block, BlockId, Header, Millis, Request, Response};

use super::super::budget::QUESTION_GAP;
use super::super::catch_up::REST_MAX;
use super::super::event::{Command, Event, PeerKey, RequestFailure, Ticket};
use super::super::pace::{ANSWER_TIMEOUT, ANSWER_TIMEOUT_MAX};
use super::super::peers::LATE_PER_PEER_MAX;
use super::super::sync::{BLOCKS_AHEAD_MAX, BLOCKS_PER_REQUEST_MAX, STATUS_INTERVAL};
use super::{Bench, headers};

fn is_status(request: &Request) -> bool {
    matches!(request, Request::Status(_))
}

fn is_headers(request: &Request) -> bool {
    matches!(request, Request::Headers { .. })
}

impl Bench {
    /// Waits in steps of a second.
    fn wait_seconds(&mut self, seconds: u64) {
        (0..seconds).for_each(|_| self.wait(Millis::from_secs(1)));
    }

    /// Connects a peer that takes `seconds` to report its tip, a few times.
    fn connect_slow(&mut self, seconds: u64, tip: &Header, work: u128) -> PeerKey {
        let peer = self.connect();
        for _ in 0..3 {
            while !self.is_asked(peer, is_status) {
                self.wait_seconds(1);
            }
            self.wait_seconds(seconds);
            self.tell(peer, tip, work);
        }
        peer
    }

    fn give_blocks(&mut self, peer: PeerKey, chain: &[Block]) {
        let (key, request) = self.take_asked(peer, |request| matches!(request, Request::Blocks { .. }));
        let blocks = self.those_of(chain, &request);
        self.answer(peer, key, Response::Blocks(blocks.into()));
    }
}

/// The round trip of ten seconds is more than the first timeout.
#[test]
fn a_slow_peer_that_is_the_only_one_is_waited_for() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 20, 1);
    let peer = bench.connect_slow(10, &chain[19].header, 20);
    bench.seen.asked.retain(|(.., request)| !is_status(request));
    let asked_before = bench.seen.asked.len();
    bench.wait_seconds(10);
    assert_eq!(bench.seen.asked.iter().filter(|(.., request)| is_headers(request)).count(), 1);
    bench.answer_headers(peer, &headers(&chain));
    bench.wait_seconds(10);
    bench.give_blocks(peer, &chain);
    assert_eq!((asked_before, bench.height()), (1, 20), "asked once for each");
    assert!(!bench.is_closed(peer));
}

#[test]
fn late_answers_are_used() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 20, 1);
    let tip = chain[19].header;
    let peer = bench.connect_with(&tip, 20);
    let (asked_first, _) = bench.take_asked(peer, is_headers);
    bench.wait_seconds(30);
    assert!(!bench.is_asked(peer, is_headers), "its answer would only arrive after the first");
    bench.answer(peer, asked_first, Response::Headers(headers(&chain).into()));
    let (late, _) = bench.take_asked(peer, |request| matches!(request, Request::Blocks { .. }));
    bench.wait_seconds(59);
    bench.answer(peer, late, Response::Blocks(chain.into()));
    assert_eq!(bench.height(), 20);
    assert_eq!(bench.occupancy("requested_blocks"), 0);
}

#[test]
fn lost_requests_are_repeated_for_less() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 40, 1);
    let tip = chain[39].header;
    let peer = bench.connect_with(&tip, 40);
    bench.answer_headers(peer, &headers(&chain));
    let mut counts = Vec::new();
    while counts.len() < 3 {
        let (_, request) = bench.take_asked(peer, |request| matches!(request, Request::Blocks { .. }));
        let Request::Blocks { ids } = request else { unreachable!("just matched") };
        counts.push(ids.len());
        for _ in 0..ANSWER_TIMEOUT_MAX.0 / 1_000 {
            bench.wait_seconds(1);
            bench.tell_if_asked(peer, &tip, 40);
        }
    }
    assert_eq!(counts, [40, 10, 3]);
}

/// The peer earns a long timeout by slow answers, and then withholds the blocks.
#[test]
fn a_deliberately_slow_peer_delays_nobody_with_a_faster_one() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 20, 1);
    let tip = chain[19].header;
    let slow = bench.connect_slow(20, &tip, 20);
    bench.answer_headers(slow, &headers(&chain));
    assert!(bench.is_asked_for_blocks(slow), "there is nobody else");
    let honest = bench.connect_with(&tip, 20);
    bench.wait(ANSWER_TIMEOUT);
    assert!(bench.is_asked_for_blocks(honest), "overdue blocks are requested elsewhere, long before the timeout");
    bench.give_blocks(honest, &chain);
    assert_eq!(bench.height(), 20);
    // A late delivery does no harm.
    bench.give_blocks(slow, &chain);
    assert_eq!((bench.height(), bench.occupancy("requested_blocks")), (20, 0));
    // The quick peer stays quick.
    bench.tell_if_asked(honest, &tip, 20);
    // With a quick peer at hand it is not even asked for the blocks that are left over from the first request.
    let count = BLOCKS_PER_REQUEST_MAX + 20;
    let more = bench.chain(&tip, count as u64, 1);
    let (more_tip, work) = (more[count - 1].header, 20 + count as u128);
    bench.wait(STATUS_INTERVAL);
    bench.tell_if_asked(slow, &more_tip, work);
    bench.tell_if_asked(honest, &more_tip, work);
    for peer in [honest, slow] {
        if bench.is_asked(peer, is_headers) {
            bench.answer_headers(peer, &headers(&more));
        }
    }
    assert!(bench.is_asked_for_blocks(honest) && !bench.is_asked_for_blocks(slow));
}

/// The first blocks come last of all. None of those that waited for them has to be loaded from the store again.
#[test]
fn blocks_that_are_fetched_ahead_are_in_memory_when_their_turn_comes() {
    let mut bench = Bench::new();
    let count = BLOCKS_AHEAD_MAX + 1_000;
    let chain = bench.chain(&bench.genesis(), count as u64, 1);
    let (tip, ids): (_, Vec<BlockId>) =
        (chain[count - 1].header, chain.iter().map(|block| block.header.id()).collect());
    let peers: Vec<PeerKey> = (0..6).map(|_| bench.connect_with(&tip, count as u128)).collect();
    bench.hold_loads = true;
    let is_for_first = |request: &Request| matches!(request, Request::Blocks { ids: asked } if asked.contains(&ids[0]));
    loop {
        if let Some(peer) = peers.iter().find(|peer| bench.is_asked(**peer, is_headers)) {
            let (key, request) = bench.take_asked(*peer, is_headers);
            let Request::Headers { locator } = request else { unreachable!("asked for headers") };
            let known = locator.iter().find_map(|id| ids.iter().position(|other| other == id)).map_or(0, |at| at + 1);
            let more = headers(&chain[known..count.min(known + RESPONSE_HEADERS_MAX)]);
            bench.answer(*peer, key, Response::Headers(more.into()));
            bench.wait(QUESTION_GAP);
            continue;
        }
        let is_other = |peer: &&PeerKey| bench.is_asked_for_blocks(**peer) && !bench.is_asked(**peer, is_for_first);
        let Some(peer) = peers.iter().find(is_other).copied() else { break };
        bench.give_blocks(peer, &chain);
    }
    let ahead = bench.engine.chain.cached_blocks();
    assert!(ahead >= BLOCKS_AHEAD_MAX / 2 && bench.height() == 0, "{ahead} blocks wait for the first");
    while let Some(peer) = peers.iter().find(|peer| bench.is_asked_for_blocks(**peer)).copied() {
        bench.give_blocks(peer, &chain);
    }
    assert_eq!(bench.height(), count as u64);
}

/// The better chain is promised by a peer that does not deliver; the other one is there.
#[test]
fn an_overdue_chain_is_not_followed_while_another_is_better_than_ours() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    let (withheld, there) = (bench.chain(&genesis, 30, 1), bench.chain(&genesis, 20, 2));
    let liar = bench.connect_slow(20, &withheld[29].header, 30);
    bench.answer_headers(liar, &headers(&withheld));
    let honest = bench.connect_with(&there[19].header, 20);
    bench.answer_headers(honest, &headers(&there));
    assert!(!bench.is_asked_for_blocks(honest));
    bench.wait(ANSWER_TIMEOUT);
    bench.give_blocks(honest, &there);
    assert_eq!(bench.height(), 20);
}

/// A claim that is slowly proven must not keep the miner at rest for longer than one that is never proven.
#[test]
fn a_slow_claim_stops_the_miner_no_longer_than_a_silent_one() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 30, 1);
    bench.mine_always();
    let slow = bench.connect();
    bench.wait_seconds(20);
    bench.tell(slow, &chain[29].header, 30);
    assert!(bench.template.is_none() && bench.is_asked(slow, is_headers));
    bench.wait(REST_MAX);
    assert!(bench.template.is_some());
}

/// Its long timeout must not become the user's.
#[test]
fn a_resolve_waits_no_longer_for_the_claim_of_a_slow_peer() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    let slow = bench.connect_slow(20, &genesis, 0);
    bench.wait(STATUS_INTERVAL);
    let ticket = Ticket(1_000_000);
    bench.event(Event::Command { ticket, command: Command::Resolve });
    let claimed = bench.chain(&genesis, 30, 1);
    bench.tell(slow, &claimed[29].header, 1_000);
    assert!(bench.is_asked(slow, is_headers) && bench.seen.answers.is_empty());
    bench.wait(ANSWER_TIMEOUT);
    assert_eq!(bench.seen.answers.len(), 1);
}

#[test]
fn late_questions_are_bounded() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let mut most = 0;
    for _ in 0..3 * LATE_PER_PEER_MAX {
        // Only every second question is answered.
        bench.take_asked(peer, is_status);
        while !bench.is_asked(peer, is_status) {
            bench.wait_seconds(1);
        }
        bench.tell(peer, &bench.genesis(), 0);
        while !bench.is_asked(peer, is_status) {
            bench.wait_seconds(1);
        }
        most = most.max(bench.occupancy("late_requests"));
    }
    assert_eq!(most, LATE_PER_PEER_MAX);
    assert!(!bench.is_closed(peer));
}

#[test]
fn late_answers_are_judged_like_timely_ones() {
    let answers = [(Err(RequestFailure::Malformed), 1), (Ok(Response::Pending(vec![].into())), 3)];
    for (answer, times) in answers {
        let mut bench = Bench::new();
        let chain = bench.chain(&bench.genesis(), 40, 1);
        let peer = bench.connect_with(&chain[39].header, 40);
        bench.answer_headers(peer, &headers(&chain));
        for _ in 0..times {
            let (key, _) = bench.take_asked(peer, |request| matches!(request, Request::Blocks { .. }));
            bench.wait_seconds(30);
            bench.event(Event::Response { peer, key, result: answer.clone() });
            bench.tell_if_asked(peer, &chain[39].header, 40);
        }
        assert!(bench.is_closed(peer), "{answer:?}");
    }
}
