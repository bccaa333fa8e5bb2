//! Budgets of requests: what waits, what is refused, and what this node asks of others.

use quipu_protocol::{Block, CheckedBlock, CompactBlock, Header, Millis, Parameters, Request, Response};

use super::super::budget::{BLOCK_BYTES, Bucket, FAILED_ANNOUNCEMENT_COST, QUESTION_GAP, REQUESTS};
use super::super::compact::{TRIES_COUNT_FOR, TRIES_PER_BLOCK_MAX};
use super::super::event::{Event, Gossip, Now, PeerKey, RequestFailure, Ticket, Verdict};
use super::super::serve::{DELAYED_MAX, DELAYED_PER_PEER_MAX, SERVING_MAX, SERVING_PER_PEER_MAX, pending_cost};
use super::super::sync::STATUS_INTERVAL;
use super::{Bench, headers};

fn is_status(request: &Request) -> bool {
    matches!(request, Request::Status(_))
}

impl Bench {
    fn now(&self) -> Now {
        Now { elapsed: self.now, unix: self.clock() }
    }

    fn request(&mut self, peer: PeerKey, number: u64, request: Request) {
        self.event(Event::Request { peer, ticket: Ticket(number), request });
    }

    fn answered(&self) -> usize {
        self.seen.replied.iter().filter(|(_, response)| response.is_some()).count()
    }

    fn refuse(&mut self, peer: PeerKey, fits: impl Fn(&Request) -> bool) {
        let (key, _) = self.take_asked(peer, fits);
        self.event(Event::Response { peer, key, result: Err(RequestFailure::Refused) });
    }

    /// The announcement of a block by a peer that gives it another reward, so that it can't be put together.
    fn spoiled(&self, block: &Block) -> Gossip {
        let mut spoiled = block.clone();
        spoiled.body.reward.to = super::key(99).public_key().address();
        Gossip::Compact(Box::new(CompactBlock::of(&CheckedBlock::recall(spoiled, &self.network), [])))
    }

    /// The number of announcements of new blocks that are looked at before the rest is over budget.
    fn announcements_until_ignored(&mut self, peer: PeerKey, announce: impl Fn(&Self, &Block) -> Gossip) -> usize {
        let genesis = self.genesis();
        for number in 0..10_000 {
            let body = self.block(&genesis, 5, vec![]).body;
            let block = self.solve(&genesis, body, |header| header.timestamp.0 += 1 + number as u64);
            let before = self.occupancy("headers");
            let gossip = announce(self, &block);
            self.gossip(peer, gossip);
            if self.occupancy("headers") == before {
                return number;
            }
        }
        panic!("they are never ignored");
    }
}

#[test]
fn requests_over_budget_wait_and_are_answered_in_their_order() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let burst = REQUESTS.burst as usize;
    for number in 0..burst + DELAYED_PER_PEER_MAX + 1 {
        bench.request(peer, number as u64, Request::Headers { locator: vec![].into() });
    }
    assert_eq!((bench.answered(), bench.seen.replied.len()), (burst, burst + 1), "one is refused");
    assert_eq!(bench.occupancy("delayed_requests"), DELAYED_PER_PEER_MAX);
    bench.wait(Millis(1_000));
    let tickets: Vec<u64> = bench.seen.replied.split_off(burst + 1).iter().map(|(ticket, _)| ticket.0).collect();
    assert_eq!(tickets, (burst as u64..).take(DELAYED_PER_PEER_MAX).collect::<Vec<_>>());
    assert!(!bench.is_closed(peer));
}

#[test]
fn requests_that_wait_are_bounded_in_all_and_refused_when_their_peer_leaves() {
    let mut bench = Bench::new();
    let peers: Vec<PeerKey> = (0..DELAYED_MAX / DELAYED_PER_PEER_MAX + 2).map(|_| bench.connect()).collect();
    let mut number = 0;
    for peer in &peers {
        for _ in 0..REQUESTS.burst as usize + DELAYED_PER_PEER_MAX {
            number += 1;
            bench.request(*peer, number, Request::Headers { locator: vec![].into() });
        }
    }
    assert_eq!(bench.occupancy("delayed_requests"), DELAYED_MAX);
    for peer in peers {
        bench.event(Event::PeerDisconnected { peer });
    }
    assert_eq!(bench.occupancy("delayed_requests"), 0);
    assert_eq!(bench.seen.replied.len() as u64, number, "each request has its reply");
}

/// What is not used of a response's greatest length is given back, so short blocks cost little.
#[test]
fn blocks_cost_their_bytes() {
    let mut bench = Bench::with(Parameters { block_bytes_max: 1 << 20, ..Parameters::dev() });
    let peer = bench.connect();
    let block = bench.block(&bench.genesis(), 1, vec![]);
    bench.gossip_block(peer, &block);
    let ids = vec![block.header.id(); 2];
    let per_response = 2 << 20;
    for length in [per_response, 540_000] {
        let peer = bench.connect();
        for number in 0..REQUESTS.burst {
            bench.request(peer, number, Request::Blocks { ids: ids.clone().into() });
            if bench.seen.served.len() as u64 > number {
                bench.event(Event::Served { peer, unused_bytes: per_response - length });
            }
        }
        let served = (BLOCK_BYTES.burst as usize - per_response) / length + 1;
        assert_eq!(std::mem::take(&mut bench.seen.served).len(), served, "{length} bytes each");
    }
}

/// Each names thousands of places, and is read even if its peer is long gone.
#[test]
fn requests_for_blocks_that_are_being_read_are_bounded() {
    let mut bench = Bench::new();
    let ids = vec![bench.genesis().id()];
    let ask =
        |bench: &mut Bench, peer, number| bench.request(peer, number, Request::Blocks { ids: ids.clone().into() });
    let sizes = |bench: &Bench| (bench.occupancy("serving_requests"), bench.occupancy("delayed_requests"));
    let first = bench.connect();
    for number in 0..=SERVING_PER_PEER_MAX as u64 {
        ask(&mut bench, first, number);
    }
    assert_eq!(sizes(&bench), (SERVING_PER_PEER_MAX, 1));
    let waits_long = bench.engine.next_wake() > bench.now;
    assert!(waits_long, "only the end of a read wakes it");
    bench.event(Event::Served { peer: first, unused_bytes: 0 });
    assert_eq!(sizes(&bench), (SERVING_PER_PEER_MAX, 0), "the next one's turn");
    // Sessions come and go, and leave their requests behind.
    let mut gone = Vec::new();
    for number in SERVING_PER_PEER_MAX..SERVING_MAX {
        let peer = bench.connect();
        ask(&mut bench, peer, 1_000 + number as u64);
        bench.event(Event::PeerDisconnected { peer });
        gone.push(peer);
    }
    assert_eq!(sizes(&bench), (SERVING_MAX, 0));
    let honest = bench.connect();
    ask(&mut bench, honest, 9_000);
    assert_eq!(sizes(&bench), (SERVING_MAX, 1));
    let served = bench.seen.served.len();
    bench.event(Event::Served { peer: gone[0], unused_bytes: 0 });
    assert_eq!((sizes(&bench), bench.seen.served.len()), ((SERVING_MAX, 0), served + 1));
}

#[test]
fn a_request_that_waits_costs_nothing_before_it_is_answered() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    for number in 0..REQUESTS.burst {
        bench.request(peer, number, Request::Headers { locator: vec![].into() });
    }
    let ids = vec![bench.genesis().id()];
    bench.request(peer, REQUESTS.burst, Request::Blocks { ids: ids.into() });
    let looks = 2 * BLOCK_BYTES.burst / bench.network.block_bytes_max() as u64;
    (0..looks).for_each(|_| bench.event(Event::Tick));
    assert_eq!((bench.seen.served.len(), bench.occupancy("delayed_requests")), (0, 1));
    bench.wait(Millis(1_000 / REQUESTS.per_second + 1));
    assert_eq!((bench.seen.served.len(), bench.occupancy("delayed_requests")), (1, 0));
}

#[test]
fn a_request_that_waits_for_its_bytes_takes_no_requests_from_the_budget() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let blocks = BLOCK_BYTES.burst / bench.network.block_bytes_max() as u64;
    let id = bench.genesis().id();
    for number in 0..=blocks {
        bench.request(peer, number, Request::Blocks { ids: vec![id].into() });
        if number < blocks {
            bench.event(Event::Served { peer, unused_bytes: 0 });
        }
    }
    assert_eq!((bench.seen.served.len() as u64, bench.occupancy("delayed_requests")), (blocks, 1));
    (0..REQUESTS.burst).for_each(|_| bench.event(Event::Tick));
    bench.wait(Millis(1_000 * bench.network.block_bytes_max() as u64 / BLOCK_BYTES.per_second + 1));
    assert_eq!((bench.seen.served.len() as u64, bench.occupancy("delayed_requests")), (blocks + 1, 0));
    let rest = REQUESTS.burst - blocks - 1;
    for number in 0..rest {
        bench.request(peer, 1_000 + number, Request::Headers { locator: vec![].into() });
    }
    assert_eq!(bench.answered() as u64, rest);
}

#[test]
fn a_list_of_pending_transactions_costs_as_much_as_it_is_long() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let count = 1_024;
    for number in 0..count {
        let record = bench.record(number, 1);
        assert_eq!(bench.gossip(peer, Gossip::Transactions(record.into())), Verdict::Accept);
    }
    assert_eq!((pending_cost(0), pending_cost(count as usize)), (1, 2));
    for number in 0..REQUESTS.burst {
        bench.request(peer, number, Request::Pending);
    }
    assert_eq!(bench.answered() as u64, REQUESTS.burst / 2);
}

#[test]
fn a_refusal_is_neither_silence_nor_withholding() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 30, 1);
    let tip = chain[29].header;
    let busy = bench.connect_with(&tip, 30);
    bench.answer_headers(busy, &headers(&chain));
    let is_blocks = |request: &Request| matches!(request, Request::Blocks { .. });
    for _ in 0..20 {
        bench.refuse(busy, is_blocks);
        assert!(!bench.is_asked_for_blocks(busy), "not at once");
        while !bench.is_asked_for_blocks(busy) {
            bench.wait(QUESTION_GAP);
            bench.tell_if_asked(busy, &tip, 30);
        }
    }
    assert!(!bench.is_closed(busy));
    // Somebody else is asked at once.
    let other = bench.connect_with(&tip, 30);
    bench.refuse(busy, is_blocks);
    bench.answer_blocks(other, &chain);
    assert_eq!(bench.height(), 30);
}

#[test]
fn a_status_that_is_refused_again_and_again_ends_no_session() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    for _ in 0..10 {
        bench.refuse(peer, is_status);
        bench.wait(STATUS_INTERVAL);
    }
    assert!(!bench.is_closed(peer));
}

#[test]
fn questions_of_a_kind_have_a_gap_whatever_prompts_them() {
    let mut bench = Bench::new();
    let (honest, attacker) = (bench.connect(), bench.connect());
    let genesis = bench.genesis();
    let begin = bench.now;
    let mut asked = [0, 0];
    for number in 0..200 {
        // Each block prompts a question to its sender and, since it can't be put together, to others.
        let body = bench.block(&genesis, 7, vec![]).body;
        let block = bench.solve(&genesis, body, |header| header.timestamp.0 += number);
        let orphan = bench.chain(&block.header, 2, 7).remove(1);
        let spoiled = bench.spoiled(&block);
        bench.gossip(attacker, spoiled);
        bench.gossip_block(attacker, &orphan);
        bench.wait(Millis(20));
        for (peer, count) in [honest, attacker].into_iter().zip(&mut asked) {
            if bench.is_asked(peer, is_status) {
                *count += 1;
                bench.tell(peer, &genesis, 0);
            }
        }
    }
    let most = (bench.now.saturating_sub(begin).0 / QUESTION_GAP.0) as usize + 1;
    assert!(asked.iter().all(|count| (2..=most).contains(count)), "{asked:?}, at most {most}");
    assert!(!bench.is_closed(honest));
}

#[test]
fn headers_in_vain_are_asked_for_after_a_gap() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    let claim = |bench: &Bench, branch| bench.chain(&genesis, 5, branch)[4].header;
    let first = claim(&bench, 1);
    let peer = bench.connect_with(&first, 5);
    let is_headers = |request: &Request| matches!(request, Request::Headers { .. });
    bench.refuse(peer, is_headers);
    bench.wait(Millis(QUESTION_GAP.0 - 1));
    assert!(!bench.is_asked(peer, is_headers));
    bench.wait(Millis(1));
    assert!(bench.is_asked(peer, is_headers));
}

#[test]
fn a_failed_announcement_costs_its_sender_budget() {
    let mut bench = Bench::new();
    let (honest, attacker) = (bench.connect(), bench.connect());
    let whole = bench.announcements_until_ignored(honest, |_, block| Gossip::Block(Box::new(block.clone())));
    let mut other = Bench::new();
    let spoiler = other.connect();
    let spoiled = other.announcements_until_ignored(spoiler, |bench, block| bench.spoiled(block));
    assert!(spoiled as u64 <= whole as u64 / FAILED_ANNOUNCEMENT_COST + 1, "{spoiled} of {whole}");
    assert!(!bench.is_closed(attacker) && !other.is_closed(spoiler));
}

/// One failure must not keep the true announcement out, and many must not be tried.
#[test]
fn a_block_is_tried_a_few_times_in_two_minutes_whoever_announces_it() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    let block = bench.block(&genesis, 1, vec![]);
    let good = Gossip::Compact(Box::new(CompactBlock::of(&CheckedBlock::recall(block.clone(), &bench.network), [])));
    for _ in 0..TRIES_PER_BLOCK_MAX {
        let attacker = bench.connect();
        let spoiled = bench.spoiled(&block);
        bench.gossip(attacker, spoiled);
        bench.event(Event::PeerDisconnected { peer: attacker });
    }
    let (early, late) = (bench.connect(), bench.connect());
    assert_eq!(bench.gossip(early, good.clone()), Verdict::Ignore);
    assert_eq!(bench.height(), 0);
    bench.wait(TRIES_COUNT_FOR);
    assert_eq!(bench.gossip(late, good), Verdict::Accept);
    assert_eq!(bench.height(), 1);
}

/// The budgets are those that this node grants, so a peer of its kind never makes it wait.
#[test]
fn what_is_asked_of_a_peer_stays_within_its_budget() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 1_500, 1);
    let tip: Header = chain[1_499].header;
    let peer = bench.connect_with(&tip, 1_500);
    bench.answer_headers(peer, &headers(&chain));
    let mut budget = Bucket::new(REQUESTS, bench.now());
    let (begin, mut longest, mut last) = (bench.now, 0, bench.now);
    while bench.height() < 1_500 {
        let due = bench.seen.asked.iter().position(|(_, _, request)| matches!(request, Request::Blocks { .. }));
        if let Some(at) = due {
            assert!(budget.take(1, bench.now()), "a request too many after {}", bench.now);
            let (_, key, request) = bench.seen.asked.remove(at);
            // One block each time, as where blocks are long.
            let one = bench.those_of(&chain, &request)[..1].to_vec();
            bench.answer(peer, key, Response::Blocks(one.into()));
            longest = longest.max(bench.now.saturating_sub(last).0);
            last = bench.now;
        }
        bench.tell_if_asked(peer, &tip, 1_500);
        bench.wait(Millis(1));
        assert!(bench.now < begin + Millis::from_secs(60), "it comes to a halt");
    }
    assert!(longest <= 100, "{longest} ms without a block");
}
