//! Peers that promise and don't deliver, and the things that they must not hold up.

use std::collections::HashSet;

use quipu_protocol::check::check_header;
use quipu_protocol::message::RESPONSE_HEADERS_MAX;
use quipu_protocol::{
    Action, Amount, Block, BlockId, Header, Millis, Request, Response, SecretKey, SignedTransaction, Transaction,
};

use super::super::event::{Command, Event, Gossip, MiningMode, PeerKey, Ticket, Verdict};
use super::super::pace::ANSWER_TIMEOUT;
use super::super::sync::STATUS_INTERVAL;
use super::{Bench, headers};

impl Bench {
    pub(super) fn mine_always(&mut self) {
        let command = Command::SetMining { mode: MiningMode::On, to: None };
        self.event(Event::Command { ticket: Ticket(1_000_000), command });
    }

    /// Finds nonces for this many blocks.
    pub(super) fn find_nonces(&mut self, count: usize) {
        for _ in 0..count {
            let (key, mut header) = self.template.take().expect("something is searched for");
            while check_header(&header, &self.network).is_err() {
                header.nonce += 1;
            }
            self.event(Event::Mined { key, nonce: header.nonce });
        }
    }

    pub(super) fn those_of(&self, chain: &[Block], request: &Request) -> Vec<Block> {
        let Request::Blocks { ids } = request else { panic!("no request for blocks: {request:?}") };
        let ids: HashSet<&BlockId> = ids.iter().collect();
        chain.iter().filter(|block| ids.contains(&block.header.id())).cloned().collect()
    }

    pub(super) fn record(&self, from: u32, length: usize) -> SignedTransaction {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&from.to_le_bytes());
        let key = SecretKey::from_seed(seed);
        let action = Action::Record { data: vec![0; length].into() };
        let transaction = Transaction { sender: key.public_key(), nonce: 0, fee: Amount::ZERO, action };
        transaction.sign(&self.network.genesis_id(), &key)
    }

    /// Lets all questions to a peer time out, except those for its status.
    fn withhold(&mut self, peer: PeerKey, tip: &Header, work: u128) {
        for _ in 0..4 {
            self.wait(ANSWER_TIMEOUT);
            self.wait(Millis(STATUS_INTERVAL.0 - ANSWER_TIMEOUT.0));
            self.tell_if_asked(peer, tip, work);
        }
    }

    pub(super) fn tell_if_asked(&mut self, peer: PeerKey, tip: &Header, work: u128) {
        if self.is_asked(peer, |request| matches!(request, Request::Status(_))) {
            self.tell(peer, tip, work);
        }
    }
}

/// One withheld block must not stop the network: the others mine, and their next block is accepted.
#[test]
fn a_withheld_block_neither_stops_the_miner_nor_another_block() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    let (withheld, other) = (bench.chain(&genesis, 1, 1), bench.chain(&genesis, 1, 2));
    let honest = bench.connect_with(&genesis, 0);
    bench.mine_always();
    let liar = bench.connect_with(&withheld[0].header, 1);
    bench.answer_headers(liar, &headers(&withheld));
    assert!(bench.is_asked_for_blocks(liar));
    assert!(bench.template.is_some(), "a block more or less is no reason to rest");
    bench.withhold(liar, &withheld[0].header, 1);
    assert!(bench.template.is_some(), "mining must go on while one block is withheld");
    assert_eq!(bench.gossip_block(honest, &other[0]), Verdict::Accept);
    assert_eq!(bench.tip(), other[0].header.id());
}

/// The withheld headers have the most work; a chain whose blocks are there goes first.
#[test]
fn a_chain_that_nobody_delivers_does_not_hold_up_one_that_is_there() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    let (withheld, there) = (bench.chain(&genesis, 30, 1), bench.chain(&genesis, 20, 2));
    let liar = bench.connect_with(&withheld[29].header, 30);
    bench.answer_headers(liar, &headers(&withheld));
    let honest = bench.connect_with(&there[19].header, 20);
    bench.answer_headers(honest, &headers(&there));
    for _ in 0..10 {
        bench.wait(ANSWER_TIMEOUT);
        bench.tell_if_asked(liar, &withheld[29].header, 30);
        bench.tell_if_asked(honest, &there[19].header, 20);
        if bench.is_asked_for_blocks(honest) {
            bench.answer_blocks(honest, &there);
        }
    }
    assert_eq!(bench.height(), 20);
}

/// A claim costs nothing, so it counts only until it was verified.
#[test]
fn a_claim_without_headers_does_not_stop_the_miner_for_long() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    bench.mine_always();
    let liar = bench.connect();
    let mut stopped = 0;
    for branch in 1..=8 {
        let claimed = bench.chain(&genesis, 20, branch);
        bench.tell(liar, &claimed[19].header, 1_000);
        stopped += u32::from(bench.template.is_none());
        // The first header is good, and the others are too early: no fault.
        let block = bench.block(&genesis, branch, vec![]);
        let time = bench.clock() + Millis::from_secs(100_000);
        let early = bench.solve(&genesis, block.body, |header| header.timestamp = time);
        bench.answer_headers(liar, &[early.header]);
        bench.wait(STATUS_INTERVAL);
    }
    assert!(!bench.is_closed(liar));
    assert_eq!(stopped, 1);
}

#[test]
fn a_peer_that_trickles_blocks_leaves_the_rest_to_others() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 2_000, 1);
    let tip = chain[1_999].header;
    let slow = bench.connect_with(&tip, 2_000);
    bench.answer_headers(slow, &headers(&chain));
    let fast = bench.connect_with(&tip, 2_000);
    let asked_for = |request: &Request| matches!(request, Request::Blocks { .. });
    let mut rounds = 0;
    while bench.height() < 2_000 {
        rounds += 1;
        assert!(rounds < 30, "at {} after {rounds} times four seconds", bench.height());
        while bench.is_asked(fast, asked_for) {
            let (key, request) = bench.take_asked(fast, asked_for);
            let blocks = bench.those_of(&chain, &request);
            bench.answer(fast, key, Response::Blocks(blocks.into()));
        }
        bench.wait(Millis(ANSWER_TIMEOUT.0 - 1));
        bench.tell_if_asked(slow, &tip, 2_000);
        bench.tell_if_asked(fast, &tip, 2_000);
        if bench.is_asked(slow, asked_for) {
            let (key, request) = bench.take_asked(slow, asked_for);
            let blocks = bench.those_of(&chain, &request);
            bench.answer(slow, key, Response::Blocks(blocks[..1].to_vec().into()));
        }
    }
}

/// A request cannot be for less, and the chain may not be there at all.
#[test]
fn a_tip_of_which_no_block_comes_is_given_up_for_a_while() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 1, 1);
    let tip = chain[0].header;
    let liar = bench.connect_with(&tip, 1);
    bench.answer_headers(liar, &headers(&chain));
    let (key, _) = bench.take_asked(liar, |request| matches!(request, Request::Blocks { .. }));
    bench.fail(liar, key);
    for _ in 0..2 {
        bench.wait(STATUS_INTERVAL);
        bench.tell(liar, &tip, 1);
        assert!(!bench.is_asked_for_blocks(liar));
        assert_eq!(bench.engine.view().syncing, None);
    }
    bench.wait(Millis::from_secs(30));
    bench.tell(liar, &tip, 1);
    assert!(bench.is_asked_for_blocks(liar));
}

/// Headers that are too early now are requested again when their time has come.
#[test]
fn early_headers_are_fetched_when_their_time_has_come() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    let good = bench.block(&genesis, 1, vec![]);
    let time = bench.clock() + Millis::from_secs(90);
    let early = bench.solve(&genesis, good.body, |header| header.timestamp = time);
    let peer = bench.connect_with(&early.header, 1);
    bench.answer_headers(peer, &[early.header]);
    assert!(!bench.is_closed(peer));
    while !bench.is_asked(peer, |request| matches!(request, Request::Headers { .. })) {
        assert!(bench.now < Millis::from_secs(100), "never asked again");
        bench.wait(STATUS_INTERVAL);
        bench.tell(peer, &early.header, 1);
    }
    bench.answer_headers(peer, &[early.header]);
    bench.answer_blocks(peer, &[early]);
    assert_eq!(bench.height(), 1);
}

/// A tip that was reported while an older one's headers were under way was not requested yet.
#[test]
fn a_tip_told_meanwhile_is_asked_for() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 2, 1);
    let peer = bench.connect_with(&chain[0].header, 1);
    let (key, _) = bench.take_asked(peer, |request| matches!(request, Request::Headers { .. }));
    let status = bench.status_of(&chain[1].header, 2);
    bench.event(Event::Request { peer, ticket: Ticket(1), request: Request::Status(status) });
    bench.answer(peer, key, Response::Headers(headers(&chain[..1]).into()));
    bench.answer_blocks(peer, &chain[..1]);
    bench.answer_headers(peer, &headers(&chain[1..]));
    bench.answer_blocks(peer, &chain[1..]);
    assert_eq!(bench.height(), 2);
}

/// The same full answer again and again leads nowhere and ends.
#[test]
fn headers_that_lead_nowhere_are_a_fault() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), RESPONSE_HEADERS_MAX as u64 + 10, 1);
    let honest = bench.connect();
    let tip = chain[RESPONSE_HEADERS_MAX + 9].header;
    bench.tell(honest, &tip, RESPONSE_HEADERS_MAX as u128 + 10);
    bench.answer_headers(honest, &headers(&chain[..RESPONSE_HEADERS_MAX]));
    let liar = bench.connect_with(&bench.chain(&tip, 1, 2)[0].header, 1_000_000);
    for _ in 0..10 {
        if bench.is_closed(liar) {
            return;
        }
        bench.answer_headers(liar, &headers(&chain[..RESPONSE_HEADERS_MAX]));
    }
    panic!("it is asked for ever");
}

/// A branch that left ours long ago would have to be longer: its blocks are cheap where the difficulty has risen since,
/// and stored blocks stay.
#[test]
fn blocks_of_a_branch_far_behind_are_not_kept() {
    let mut bench = Bench::new();
    let honest = bench.connect();
    let genesis = bench.genesis();
    for block in bench.chain(&genesis, 200, 1) {
        bench.gossip_block(honest, &block);
    }
    assert_eq!(bench.height(), 200);
    let spammer = bench.connect();
    for branch in 2..20 {
        assert_eq!(bench.gossip_block(spammer, &bench.block(&genesis, branch, vec![])), Verdict::Ignore);
    }
    assert_eq!(bench.occupancy("headers"), 201);
    assert_eq!(bench.disk.stored().headers.len(), 200);
}

/// A block mined while a longer chain is being fetched joins the chain all the same.
#[test]
fn a_block_that_was_mined_during_a_sync_is_connected() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 5, 1);
    let peer = bench.connect_with(&chain[4].header, 5);
    bench.answer_headers(peer, &headers(&chain));
    bench.event(Event::Command { ticket: Ticket(7), command: Command::Mine { count: 3, to: None } });
    bench.find_nonces(3);
    assert_eq!(bench.height(), 3, "each on top of the one before");
    bench.answer_blocks(peer, &chain);
    assert_eq!(bench.tip(), chain[4].header.id());
}

/// Another peer may still send what one peer's share excludes.
#[test]
fn a_peer_that_used_up_its_share_keeps_nothing_from_others() {
    use super::super::mempool::PEER_BYTES_MAX;
    let mut bench = Bench::new();
    let (flood, honest) = (bench.connect(), bench.connect());
    let mut number = 0;
    let refused = loop {
        number += 1;
        let record = bench.record(number, 4096);
        if bench.gossip(flood, Gossip::Transactions(record.clone().into())) == Verdict::Ignore {
            break record;
        }
    };
    assert!(bench.occupancy("mempool_bytes") > PEER_BYTES_MAX - 8192);
    assert_eq!(bench.gossip(honest, Gossip::Transactions(refused.into())), Verdict::Accept);
}
