//! Attacks of hostile peers, and the engine's answers.

use quipu_protocol::encode::encode;
use quipu_protocol::message::RESPONSE_HEADERS_MAX;
use quipu_protocol::{
    Action, Amount, Block, BlockId, Body, Header, Height, Millis, Parameters, Request, Response, Reward, Target,
    Transaction, UnixMillis,
};

use super::super::bodies::BODY_CACHE_BYTES_MAX;
use super::super::budget::QUESTION_GAP;
use super::super::event::{Event, Fault, Gossip, Notice, PeerKey, Ticket, Verdict};
use super::super::orphans::{EARLY_BYTES_MAX, EARLY_PER_PEER_MAX, ORPHAN_BYTES_MAX, ORPHANS_PER_PEER_MAX};
use super::super::pace::ANSWER_TIMEOUT;
use super::super::sync::STATUS_INTERVAL;
use super::{Bench, headers, key};

/// Changes to an otherwise good block, and the rules that they break.
#[test]
fn a_block_that_breaks_a_rule_is_rejected_and_its_sender_dropped() {
    type Change = fn(&mut Header);
    let cases: [(&str, Change); 5] = [
        ("version", |header| header.version = 1),
        ("height", |header| header.height = Height(2)),
        ("timestamp before the parent's", |header| header.timestamp = UnixMillis(header.timestamp.0 - 1)),
        ("easier target than there is", |header| header.target = Target(0x2100_ffff + 1)),
        ("harder target than the rule gives", |header| header.target = Target(0x2000_ffff)),
    ];
    for (what, change) in cases {
        let mut bench = Bench::new();
        let peer = bench.connect();
        let good = bench.block(&bench.genesis(), 1, vec![]);
        let bad = bench.solve(&bench.genesis(), good.body, change);
        assert_eq!(bench.gossip_block(peer, &bad), Verdict::Reject, "{what}");
        assert!(bench.is_closed(peer), "{what}");
        assert_eq!(bench.height(), 0, "{what}");
    }
}

#[test]
fn a_block_without_work_is_rejected() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let mut block = bench.block(&bench.genesis(), 1, vec![]);
    // Nearly every nonce is good on this network, so look for one of the others.
    while block.header.target.is_met_by(&block.header.id()) {
        block.header.nonce += 1;
    }
    assert_eq!(bench.gossip_block(peer, &block), Verdict::Reject);
    assert!(bench.is_closed(peer));
}

#[test]
fn a_reward_that_is_too_high_is_rejected_and_the_block_remembered() {
    let mut bench = Bench::new();
    let reward = Reward { to: key(1).public_key().address(), amount: Amount::from_units(Amount::COIN.units() + 1) };
    let body = Body { context: bench.context(&bench.genesis()), reward, transactions: vec![].into() };
    let bad = bench.solve(&bench.genesis(), body, |_| {});
    let (first, second) = (bench.connect(), bench.connect());
    assert_eq!(bench.gossip_block(first, &bad), Verdict::Reject);
    let refused = |notice: &Notice| matches!(notice, Notice::BlockRefused { violation, .. } if violation.rule() == 17);
    assert!(bench.seen.notices.iter().any(refused));
    // A child of it is not even checked.
    let child = bench.block(&bad.header, 1, vec![]);
    assert_eq!(bench.gossip_block(second, &child), Verdict::Ignore);
    assert_eq!(bench.height(), 0);
}

#[test]
fn a_mutilated_body_does_not_condemn_the_block() {
    let mut bench = Bench::new();
    let (liar, honest) = (bench.connect(), bench.connect());
    let first = bench.block(&bench.genesis(), 1, vec![]);
    bench.gossip_block(honest, &first);
    let good = bench.block(&first.header, 1, vec![bench.send(1, 0, 2, 5, 0)]);
    let mut mutilated = good.clone();
    let transaction = good.body.transactions[0].clone();
    mutilated.body.transactions = vec![transaction.clone(), transaction].into();
    assert_eq!(bench.gossip_block(liar, &mutilated), Verdict::Reject);
    assert!(bench.is_closed(liar));
    assert_eq!(bench.gossip_block(honest, &good), Verdict::Accept);
    assert_eq!(bench.height(), 2);
}

#[test]
fn an_invalid_block_below_valid_ones_brings_the_old_chain_back() {
    let mut bench = Bench::new();
    let honest = bench.connect();
    let genesis = bench.genesis();
    let ours = bench.chain(&genesis, 3, 1);
    for block in &ours {
        bench.gossip_block(honest, block);
    }
    let tip = bench.tip();
    // A longer chain whose second block spends coins that its sender does not have.
    let mut theirs = bench.chain(&genesis, 1, 2);
    theirs.push(bench.block(&theirs[0].header, 2, vec![bench.send(9, 0, 2, 5, 0)]));
    theirs.extend(bench.chain(&theirs[1].header, 4, 2));
    let liar = bench.connect_with(&theirs[5].header, 6);
    bench.answer_headers(liar, &headers(&theirs));
    bench.answer_blocks(liar, &theirs);
    assert_eq!(bench.tip(), tip, "back on the chain that is valid");
    assert!(bench.is_closed(liar));
    assert_eq!(bench.disk.best().collect::<Vec<BlockId>>(), ours.iter().map(|b| b.header.id()).collect::<Vec<_>>());
    assert!(!bench.seen.notices.iter().any(|notice| matches!(notice, Notice::Tip { reorg_depth: 1.., .. })));
    // No peer with the same chain is believed again.
    let another = bench.connect_with(&theirs[5].header, 6);
    assert!(!bench.is_asked_for_blocks(another));
    // The chain goes on.
    let next = bench.block(&ours[2].header, 1, vec![]);
    assert_eq!(bench.gossip_block(honest, &next), Verdict::Accept);
}

#[test]
fn headers_with_less_work_than_ours_are_not_kept() {
    let mut bench = Bench::new();
    let honest = bench.connect();
    let genesis = bench.genesis();
    for block in bench.chain(&genesis, 10, 1) {
        bench.gossip_block(honest, &block);
    }
    let weak = bench.chain(&genesis, 9, 2);
    let liar = bench.connect_with(&weak[8].header, 1_000_000);
    bench.answer_headers(liar, &headers(&weak));
    assert_eq!(bench.occupancy("headers"), 11, "the nine headers are not kept");
    assert!(!bench.is_asked_for_blocks(liar));
    // There might be more of them.
    bench.wait(QUESTION_GAP);
    bench.answer_headers(liar, &[]);
    // It claims again and again, and is cut off for it.
    for branch in 3..5 {
        bench.wait(STATUS_INTERVAL);
        let another = bench.chain(&genesis, 1, branch);
        bench.tell(liar, &another[0].header, 1_000_000);
        bench.answer_headers(liar, &[]);
    }
    assert!(bench.is_closed(liar));
}

#[test]
fn headers_that_do_not_follow_are_a_wrong_answer() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 5, 1);
    let gap = [chain[0].header, chain[2].header];
    let foreign = [chain[3].header];
    for answer in [&gap[..], &foreign[..]] {
        let peer = bench.connect_with(&chain[4].header, 5);
        bench.answer_headers(peer, answer);
        assert!(!bench.is_asked_for_blocks(peer));
        assert_eq!(bench.occupancy("headers"), 1);
    }
}

#[test]
fn headers_that_are_known_have_to_follow_each_other_too() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 5, 1);
    let honest = bench.connect();
    chain[..3].iter().for_each(|block| assert_eq!(bench.gossip_block(honest, block), Verdict::Accept));
    let peer = bench.connect_with(&chain[4].header, 5);
    bench.answer_headers(peer, &[0, 2, 3, 4].map(|at: usize| chain[at].header));
    assert!(!bench.is_asked_for_blocks(peer));
    assert_eq!(bench.occupancy("headers"), 4);
}

#[test]
fn orphans_are_bounded_for_each_peer_and_in_all() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    let peers: Vec<_> = (0..8).map(|_| bench.connect()).collect();
    for (branch, peer) in peers.iter().enumerate() {
        let blocks = bench.chain(&genesis, 2 * ORPHANS_PER_PEER_MAX as u64, branch as u8 + 1);
        for block in &blocks[1..] {
            assert_eq!(bench.gossip_block(*peer, block), Verdict::Ignore);
        }
    }
    assert_eq!(bench.occupancy("orphans"), peers.len() * ORPHANS_PER_PEER_MAX);
    assert!(bench.occupancy("orphan_bytes") <= ORPHAN_BYTES_MAX);
    assert_eq!(bench.occupancy("headers"), 1);
    bench.event(Event::PeerDisconnected { peer: peers[0] });
    assert_eq!(bench.occupancy("orphans"), (peers.len() - 1) * ORPHANS_PER_PEER_MAX);
}

#[test]
fn a_peer_that_never_answers_loses_its_share_to_others() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 20, 1);
    let tip = chain[19].header;
    let silent = bench.connect_with(&tip, 20);
    bench.answer_headers(silent, &headers(&chain));
    assert!(bench.is_asked_for_blocks(silent));
    let honest = bench.connect_with(&tip, 20);
    assert!(!bench.is_asked_for_blocks(honest), "all are asked for already");
    bench.wait(ANSWER_TIMEOUT);
    bench.answer_blocks(honest, &chain);
    assert_eq!(bench.height(), 20);
    while !bench.is_closed(silent) {
        assert!(bench.now < Millis::from_secs(90), "it is never given up");
        bench.wait(Millis::from_secs(1));
        bench.tell_if_asked(honest, &tip, 20);
    }
    assert_eq!(bench.seen.closed, [(silent, Fault::Silent)]);
}

#[test]
fn an_unrequested_answer_costs_its_sender_its_session() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 3, 1);
    let other = bench.chain(&bench.genesis(), 1, 2);
    let liar = bench.connect_with(&chain[2].header, 3);
    bench.answer_headers(liar, &headers(&chain));
    for _ in 0..3 {
        let (key, _) = bench.take_asked(liar, |request| matches!(request, Request::Blocks { .. }));
        bench.answer(liar, key, Response::Blocks(other.clone().into()));
        if bench.is_closed(liar) {
            break;
        }
        bench.tell(liar, &chain[2].header, 3);
    }
    assert!(bench.is_closed(liar));
    assert_eq!(bench.height(), 0);
    // Another peer has it.
    let honest = bench.connect_with(&chain[2].header, 3);
    bench.answer_blocks(honest, &chain);
    assert_eq!(bench.height(), 3);
}

#[test]
fn an_answer_of_another_kind_is_a_fault_and_a_late_one_is_nothing() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), 3, 1);
    let peer = bench.connect_with(&chain[2].header, 3);
    let (key, _) = bench.take_asked(peer, |request| matches!(request, Request::Headers { .. }));
    bench.fail(peer, key);
    bench.answer(peer, key, Response::Headers(headers(&chain).into()));
    assert_eq!(bench.occupancy("headers"), 1, "too late");
    for _ in 0..3 {
        let (key, _) = bench.take_asked(peer, |request| matches!(request, Request::Headers { .. }));
        bench.answer(peer, key, Response::Pending(vec![].into()));
    }
    assert!(bench.is_closed(peer));
}

#[test]
fn a_flood_of_requests_is_refused_and_then_its_sender() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    for number in 0..2_000 {
        let request = Request::Headers { locator: vec![].into() };
        bench.event(Event::Request { peer, ticket: Ticket(number), request });
    }
    let answered = bench.seen.replied.iter().filter(|(_, response)| response.is_some()).count();
    assert!((1..1_000).contains(&answered), "{answered}");
    assert!(bench.is_closed(peer));
    bench.event(Event::PeerDisconnected { peer });
    assert_eq!(bench.seen.replied.len(), 2_000, "every request is answered or refused");
}

#[test]
fn a_block_flood_is_ignored_beyond_the_budget_and_heals_later() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let chain = bench.chain(&bench.genesis(), 1_000, 1);
    for block in &chain {
        bench.gossip_block(peer, block);
    }
    let height = bench.height();
    assert!((1..1_000).contains(&height), "{height}");
    assert!(!bench.is_closed(peer));
    bench.tell(peer, &chain[999].header, 1_000);
    bench.answer_headers(peer, &headers(&chain[height as usize..]));
    let (key, request) = bench.take_asked(peer, |request| matches!(request, Request::Blocks { .. }));
    let Request::Blocks { ids } = request else { unreachable!("just matched") };
    assert_eq!(ids.len(), 1_000 - height as usize);
    bench.answer(peer, key, Response::Blocks(chain[height as usize..].to_vec().into()));
    assert_eq!(bench.height(), 1_000);
}

#[test]
fn a_forged_transaction_drops_its_forwarder() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let mut forged = bench.send(1, 0, 2, 5, 0);
    forged.signature = bench.send(3, 0, 2, 5, 0).signature;
    assert_eq!(bench.gossip(peer, Gossip::Transactions(forged.into())), Verdict::Reject);
    assert!(bench.is_closed(peer));
}

#[test]
fn a_transaction_that_cannot_be_paid_is_nobodys_fault() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let unpaid = bench.send(1, 0, 2, 5, 0);
    assert_eq!(bench.gossip(peer, Gossip::Transactions(unpaid.into())), Verdict::Ignore);
    assert!(!bench.is_closed(peer));
}

#[test]
fn a_block_from_the_future_is_kept_until_its_time() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let good = bench.block(&bench.genesis(), 1, vec![]);
    let time = bench.clock() + Millis::from_secs(61);
    let early: Block = bench.solve(&bench.genesis(), good.body, |header| header.timestamp = time);
    assert_eq!(bench.gossip_block(peer, &early), Verdict::Ignore);
    assert_eq!((bench.height(), bench.occupancy("early_blocks")), (0, 1));
    bench.wait(Millis::from_secs(1));
    assert_eq!((bench.height(), bench.occupancy("early_blocks")), (1, 0));
    assert!(!bench.is_closed(peer));
}

/// They cost no more than the easiest block, and must not push out blocks that only lack their parent.
#[test]
fn early_blocks_are_bounded_and_leave_orphans_alone() {
    let mut bench = Bench::with(Parameters { block_bytes_max: 4 << 20, ..Parameters::dev() });
    let honest = bench.connect();
    let genesis = bench.genesis();
    let orphans = bench.chain(&genesis, 3, 1);
    assert_eq!(bench.gossip_block(honest, &orphans[2]), Verdict::Ignore);
    let large = bench.large_chain(&genesis, 1, 2).remove(0).body;
    let mut nearest = None;
    for number in 0..2 * EARLY_PER_PEER_MAX as u64 {
        let peer = bench.connect();
        // One comes nearer, the next one is further than all before.
        let is_nearer = number % 2 == 0;
        let seconds = if is_nearer { 1_000 - number } else { 1_000 + number };
        let time = bench.clock() + Millis::from_secs(seconds);
        let early = bench.solve(&genesis, large.clone(), |header| header.timestamp = time);
        assert_eq!(bench.gossip_block(peer, &early), Verdict::Ignore);
        if is_nearer {
            nearest = Some(early);
        }
        assert!(bench.occupancy("early_bytes") <= EARLY_BYTES_MAX);
    }
    assert_eq!((bench.occupancy("orphans"), bench.occupancy("early_blocks")), (1, 1));
    bench.wait(Millis::from_secs(1_000));
    assert_eq!(bench.tip(), nearest.expect("there were some").header.id(), "the one whose time comes first was kept");
    let flood = bench.connect();
    for number in 0..2 * EARLY_PER_PEER_MAX as u64 {
        let time = bench.clock() + Millis::from_secs(100 + number);
        let body = bench.block(&genesis, 3, vec![]).body;
        let early = bench.solve(&genesis, body, |header| header.timestamp = time);
        bench.gossip_block(flood, &early);
    }
    assert_eq!(bench.occupancy("early_blocks"), EARLY_PER_PEER_MAX);
}

#[test]
fn headers_longer_than_the_protocol_allows_are_a_wrong_answer() {
    let mut bench = Bench::new();
    let chain = bench.chain(&bench.genesis(), RESPONSE_HEADERS_MAX as u64 + 1, 1);
    let peer = bench.connect_with(&chain[RESPONSE_HEADERS_MAX].header, RESPONSE_HEADERS_MAX as u128 + 1);
    bench.answer_headers(peer, &headers(&chain));
    assert_eq!(bench.occupancy("headers"), 1);
}

#[test]
fn nothing_is_asked_of_a_peer_that_was_cut_off() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    bench.event(Event::Misbehaved { peer, fault: Fault::Malformed });
    assert!(bench.is_closed(peer));
    bench.seen.asked.clear();
    bench.wait(STATUS_INTERVAL);
    bench.wait(STATUS_INTERVAL);
    assert!(bench.seen.asked.is_empty(), "{:?}", bench.seen.asked);
}

/// A status that the peer sends while its block is being judged does not save it.
#[test]
fn a_forwarder_of_an_invalid_block_is_dropped_whatever_it_claims_meanwhile() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let genesis = bench.genesis();
    let bad = bench.block(&genesis, 1, vec![bench.send(9, 0, 2, 5, 0)]);
    bench.hold_checks = true;
    bench.event(Event::Gossip { peer, ticket: Ticket(1), gossip: Gossip::Block(Box::new(bad)) });
    bench.tell(peer, &genesis, 0);
    bench.release_held();
    assert_eq!(bench.seen.verdicts, [(Ticket(1), Verdict::Reject)]);
    assert!(bench.is_closed(peer));
}

impl Bench {
    /// A bench during a reorganisation from 20 blocks to 21 of this peer, and the genesis header: the first blocks have
    /// been disconnected, the next have to be loaded.
    pub(super) fn between_two_chains() -> (Self, PeerKey, Header) {
        let mut bench = Bench::new();
        let honest = bench.connect();
        let genesis = bench.genesis();
        for block in bench.chain(&genesis, 20, 1) {
            bench.gossip_block(honest, &block);
        }
        bench.restart();
        let longer = bench.chain(&genesis, 21, 2);
        bench.hold_loads = true;
        let peer = bench.connect_with(&longer[20].header, 21);
        bench.answer_headers(peer, &headers(&longer));
        bench.answer_blocks(peer, &longer);
        let load = bench.held.pop().expect("after a restart nothing is cached");
        bench.event(load);
        (bench, peer, genesis)
    }
}

/// Between two chains a node has no headers to give, and half a chain would look like a lie.
#[test]
fn headers_are_answered_when_a_reorganisation_is_over() {
    let (mut bench, peer, genesis) = Bench::between_two_chains();
    let locator = vec![genesis.id()].into();
    assert_eq!(bench.held.len(), 1);
    bench.event(Event::Request { peer, ticket: Ticket(1), request: Request::Headers { locator } });
    assert!(bench.seen.replied.is_empty(), "{:?}", bench.seen.replied);
    bench.hold_loads = false;
    while let Some(load) = bench.held.pop() {
        bench.event(load);
    }
    let [(Ticket(1), Some(Response::Headers(given)))] = &bench.seen.replied[..] else { panic!("no answer") };
    assert_eq!(given.len(), 21);
}

/// Blocks are connected even if those of one load do not fit into the cache.
#[test]
fn a_reorganisation_of_blocks_that_the_cache_cannot_hold_ends() {
    let mut bench = Bench::with(Parameters { block_bytes_max: 4 << 20, ..Parameters::dev() });
    let honest = bench.connect();
    let genesis = bench.genesis();
    let ours = bench.large_chain(&genesis, 10, 1);
    for block in &ours {
        bench.gossip_block(honest, block);
    }
    bench.restart();
    let longer = bench.chain(&genesis, 11, 2);
    let peer = bench.connect_with(&longer[10].header, 11);
    bench.answer_headers(peer, &headers(&longer));
    bench.answer_blocks(peer, &longer);
    assert!(bench.occupancy("cached_body_bytes") <= BODY_CACHE_BYTES_MAX);
    assert_eq!(bench.tip(), longer[10].header.id());
}

#[test]
fn headers_of_two_chains_do_not_make_one() {
    let mut bench = Bench::new();
    let (one, other) = (bench.chain(&bench.genesis(), 3, 1), bench.chain(&bench.genesis(), 3, 2));
    let peer = bench.connect_with(&other[2].header, 3);
    bench.answer_headers(peer, &[one[0].header, other[1].header, other[2].header]);
    assert_eq!(bench.occupancy("headers"), 1);
    assert!(!bench.is_asked_for_blocks(peer));
}

#[test]
fn a_chain_of_headers_needs_the_work_of_each() {
    let mut bench = Bench::new();
    let mut chain = bench.chain(&bench.genesis(), 3, 1);
    while chain[2].header.target.is_met_by(&chain[2].header.id()) {
        chain[2].header.nonce += 1;
    }
    let peer = bench.connect_with(&chain[2].header, 3);
    bench.answer_headers(peer, &headers(&chain));
    assert!(bench.is_closed(peer));
    assert_eq!(bench.occupancy("headers"), 1);
}

/// One peer reports the chain, another shows that its first block is bad: both are on a chain that nobody checked.
#[test]
fn a_peer_on_a_chain_that_another_proves_bad_is_dropped() {
    let mut bench = Bench::new();
    let mut forged = bench.send(1, 0, 2, 5, 0);
    forged.signature = bench.send(3, 0, 2, 5, 0).signature;
    let bad = bench.block(&bench.genesis(), 1, vec![forged]);
    let child = bench.block(&bad.header, 1, vec![]);
    let leader = bench.connect_with(&child.header, 2);
    bench.answer_headers(leader, &[bad.header, child.header]);
    let other = bench.connect();
    assert_eq!(bench.gossip_block(other, &bad), Verdict::Reject);
    assert!(bench.is_closed(other) && bench.is_closed(leader));
}

#[test]
fn orphans_are_bounded_in_bytes() {
    let mut bench = Bench::new();
    let sender = key(1);
    let record = |nonce| {
        let action = Action::Record { data: vec![7; 4096].into() };
        Transaction { sender: sender.public_key(), nonce, fee: Amount::ZERO, action }
            .sign(&bench.network.genesis_id(), &sender)
    };
    let large = bench.block(&bench.genesis(), 1, (0..240).map(record).collect());
    let peer = bench.connect();
    let count = ORPHAN_BYTES_MAX / encode(&large).len() + 2;
    assert!(count < ORPHANS_PER_PEER_MAX, "otherwise the other bound applies");
    for number in 0..count {
        let unknown = BlockId([number as u8; 32]);
        let orphan = bench.solve(&bench.genesis(), large.body.clone(), |header| header.parent = unknown);
        assert_eq!(bench.gossip_block(peer, &orphan), Verdict::Ignore);
    }
    assert_eq!(bench.occupancy("orphans"), count - 2);
    assert!(bench.occupancy("orphan_bytes") <= ORPHAN_BYTES_MAX);
}
