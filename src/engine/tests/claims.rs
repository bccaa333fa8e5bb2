//! Peers that claim a better chain, or show its headers and keep its blocks back, under ever new identities.

use quipu_protocol::{Block, Header, Millis, UnixMillis};

use super::super::catch_up::{REST_MAX, REST_PER_BLOCK, TIP_AGE_MAX};
use super::super::chain::WITHHELD_MAX;
use super::super::event::{Command, Event, Gossip, NotFollowed, Notice, PeerKey, Verdict};
use super::super::pace::ANSWER_TIMEOUT;
use super::super::sync::{FAR_BEHIND, STATUS_INTERVAL, WITHHELD_TOLD_AFTER};
use super::super::view::MiningWait;
use super::{Bench, headers};

/// The step in which these tests look at the miner.
const STEP: Millis = Millis(100);
/// A chain far ahead, in blocks.
const FAR: u64 = FAR_BEHIND + 3;

impl Bench {
    fn leave(&mut self, peer: PeerKey) {
        self.event(Event::PeerDisconnected { peer });
    }

    /// A bench that mines, and has caught up with an honest peer. Its tip is as old as genesis.
    fn caught_up() -> (Self, PeerKey) {
        let mut bench = Bench::new();
        bench.mine_always();
        let genesis = bench.genesis();
        let honest = bench.connect_with(&genesis, 0);
        (bench, honest)
    }

    /// A bench that mines, has caught up with an honest peer, and has a young tip.
    fn up_to_date() -> (Self, PeerKey, Header) {
        let (mut bench, honest) = Self::caught_up();
        let tip = bench.young_block(&bench.genesis(), 1);
        assert_eq!(bench.gossip_block(honest, &tip), Verdict::Accept);
        (bench, honest, tip.header)
    }

    fn young_block(&self, parent: &Header, branch: u8) -> Block {
        let body = self.block(parent, branch, vec![]).body;
        let now = self.clock();
        self.solve(parent, body, |header| header.timestamp = UnixMillis(now.0.max(header.timestamp.0)))
    }

    /// Lets identities come and go for a minute. Each stays for `period` and does `act`. Returns the longest time for
    /// which the miner rested.
    fn longest_rest(&mut self, period: Millis, mut act: impl FnMut(&mut Self, PeerKey)) -> Millis {
        let (mut longest, mut rest) = (Millis(0), Millis(0));
        let end = self.now + Millis::from_secs(60);
        while self.now < end {
            let peer = self.connect();
            act(self, peer);
            let leaves = self.now + period;
            while self.now < leaves {
                self.wait(STEP);
                self.keep_the_first_alive();
                rest = if self.template.is_some() { Millis(0) } else { rest + STEP };
                longest = longest.max(rest);
            }
            self.leave(peer);
        }
        longest
    }

    /// Answers for the peer that came first, which has nothing new.
    fn keep_the_first_alive(&mut self) {
        let genesis = self.genesis();
        self.tell_if_asked(PeerKey(1), &genesis, 0);
    }

    fn claim(&mut self, peer: PeerKey, number: u8) {
        let claimed = self.chain(&self.genesis(), FAR, number);
        self.tell(peer, &claimed.last().expect("there are some").header, 1_000_000);
    }
}

#[test]
fn claims_of_any_number_of_identities_stop_nothing() {
    for period in [Millis(1_000), Millis(3_900), Millis(9_000)] {
        let (mut bench, honest, tip) = Bench::up_to_date();
        let mut number = 0;
        let rest = bench.longest_rest(period, |bench, peer| {
            number += 1;
            bench.claim(peer, number);
            let record = bench.record(u32::from(number), 10);
            assert_eq!(bench.gossip(honest, Gossip::Transactions(record.into())), Verdict::Accept);
            let published = bench.seen.published.len();
            bench.find_nonces(1);
            bench.wait(STEP);
            assert_eq!(bench.seen.published.len(), published + 1, "an own block is announced");
            assert_eq!(bench.engine.view().syncing, None);
        });
        assert_eq!(rest, Millis(0), "{period}");
        assert!(bench.height() > tip.height.0);
    }
}

/// A node that has just started has nobody to compare with, and waits a moment for what is claimed to be shown.
#[test]
fn claims_stop_a_node_at_its_start_for_a_moment_and_once() {
    let mut bench = Bench::new();
    bench.mine_always();
    let mut number = 0;
    let mut stopped = 0;
    let rest = bench.longest_rest(Millis(3_900), |bench, peer| {
        number += 1;
        bench.claim(peer, number);
        stopped += u32::from(bench.template.is_none());
    });
    assert!(rest <= REST_MAX, "{rest}");
    assert!((1..=2).contains(&stopped), "{stopped}: the second identity finds what the first one has left");
    let waits = |notice: &&Notice| matches!(notice, Notice::MiningWaits { .. });
    assert_eq!(bench.seen.notices.iter().filter(waits).count(), stopped as usize);
}

#[test]
fn headers_whose_blocks_are_withheld_do_not_stop_a_node_that_is_up_to_date() {
    let (mut bench, _, tip) = Bench::up_to_date();
    let withheld = bench.chain(&tip, FAR, 7);
    let last = withheld.last().expect("there are some").header;
    let rest = bench.longest_rest(Millis(3_900), |bench, peer| {
        bench.tell(peer, &last, u128::from(FAR) + 1);
        if bench.is_asked(peer, |request| matches!(request, quipu_protocol::Request::Headers { .. })) {
            bench.answer_headers(peer, &headers(&withheld));
        }
    });
    assert_eq!(rest, Millis(0));
}

/// On an idle network the tip may be old for hours, and then its age must not be enough.
#[test]
fn headers_whose_blocks_are_withheld_stop_an_idle_node_for_a_moment_and_once() {
    let (mut bench, honest) = Bench::caught_up();
    assert!(bench.template.is_some(), "the age of the tip alone stops nothing");
    let genesis = bench.genesis();
    let withheld = bench.chain(&genesis, FAR, 7);
    let mut rested = 0;
    let rest = bench.longest_rest(Millis(3_900), |bench, peer| {
        let known = FAR_BEHIND as usize + 1;
        let (last, count) = (withheld[known].header, known + 1);
        bench.tell(peer, &last, count as u128);
        if bench.is_asked(peer, |request| matches!(request, quipu_protocol::Request::Headers { .. })) {
            bench.answer_headers(peer, &headers(&withheld[..count]));
        }
        rested += u32::from(bench.template.is_none());
    });
    assert!(rest > Millis(0) && rest <= REST_MAX, "{rest}");
    assert!(rested <= 2, "{rested}");
    // A young tip ends it for good; an old one begins it anew.
    let young = bench.young_block(&genesis, 1);
    assert_eq!(bench.gossip_block(honest, &young), Verdict::Accept);
    bench.wait(STEP);
    assert!(bench.template.is_some());
    bench.wait(TIP_AGE_MAX + STEP);
    let peer = bench.connect_with(&withheld[FAR as usize - 1].header, u128::from(FAR));
    bench.answer_headers(peer, &headers(&withheld[FAR_BEHIND as usize + 2..]));
    assert!(bench.template.is_none());
    assert_eq!(bench.engine.view().mining.waits_for, Some(MiningWait::Chain));
}

#[test]
fn a_fresh_node_catches_up_before_it_mines() {
    let mut bench = Bench::new();
    bench.mine_always();
    assert!(bench.template.is_some(), "alone it mines at once");
    let chain = bench.chain(&bench.genesis(), 200, 1);
    let peer = bench.connect_with(&chain[199].header, 200);
    assert!(bench.template.is_none(), "a claim is enough at the start");
    bench.wait(Millis(1_000));
    bench.answer_headers(peer, &headers(&chain));
    // The blocks come slowly, for longer than the rest could last without them.
    for part in chain.chunks(40) {
        bench.wait(Millis(2_000));
        assert!(bench.template.is_none());
        bench.tell_if_asked(peer, &chain[199].header, 200);
        bench.answer_blocks(peer, part);
    }
    assert_eq!(bench.height(), 200);
    assert!(bench.template.is_some());
}

/// To keep a starting node at rest costs the work of a block for each moment.
#[test]
fn blocks_that_trickle_let_a_starting_node_mine() {
    let mut bench = Bench::new();
    bench.mine_always();
    trickle(bench, 10, Millis(REST_MAX.0 + 10 * REST_PER_BLOCK.0));
}

#[test]
fn many_blocks_at_once_are_no_reason_to_rest_for_long_when_the_others_are_withheld() {
    let mut bench = Bench::new();
    bench.mine_always();
    let chain = bench.chain(&bench.genesis(), 100, 1);
    let peer = bench.connect_with(&chain[99].header, 100);
    bench.answer_headers(peer, &headers(&chain));
    bench.answer_blocks(peer, &chain[..60]);
    bench.wait(STEP);
    assert_eq!((bench.height(), bench.template.is_none()), (60, true));
    bench.wait(REST_MAX);
    assert!(bench.template.is_some());
}

#[test]
fn blocks_that_trickle_stop_no_node_that_has_caught_up() {
    let (bench, _) = Bench::caught_up();
    trickle(bench, 10, REST_MAX);
}

/// A peer gives one block of its chain every three seconds.
fn trickle(mut bench: Bench, blocks: usize, rest_max: Millis) {
    let chain = bench.chain(&bench.genesis(), 100, 1);
    let peer = bench.connect_with(&chain[99].header, 100);
    bench.answer_headers(peer, &headers(&chain));
    let mut rested = Millis(0);
    for block in &chain[..blocks] {
        bench.answer_blocks(peer, std::slice::from_ref(block));
        for _ in 0..30 {
            rested = if bench.template.is_none() { rested + STEP } else { rested };
            bench.wait(STEP);
        }
        bench.tell_if_asked(peer, &chain[99].header, 100);
        bench.keep_the_first_alive();
    }
    assert!(rested.0 <= rest_max.0 + STEP.0 * blocks as u64, "{rested}, at most {rest_max}");
    assert_eq!(bench.height(), blocks as u64);
}

/// The next identity must not hold up a chain that is there with the headers that the one before it has shown.
#[test]
fn a_withheld_branch_stays_withheld_whoever_shows_it() {
    let (mut bench, _, tip) = Bench::up_to_date();
    let (withheld, there) = (bench.chain(&tip, 30, 7), bench.chain(&tip, 20, 2));
    let first = bench.connect_with(&withheld[29].header, 31);
    bench.answer_headers(first, &headers(&withheld));
    bench.leave(first);
    let second = bench.connect_with(&withheld[29].header, 31);
    assert!(bench.is_asked_for_blocks(second), "there is nothing else");
    let honest = bench.connect_with(&there[19].header, 21);
    bench.answer_headers(honest, &headers(&there));
    bench.answer_blocks(honest, &there);
    assert_eq!(bench.height(), 21);
    // A block that is built on it is withheld as well, until its first block comes.
    let longer = bench.chain(&withheld[29].header, 1, 7);
    let better = bench.chain(&there[19].header, 1, 2);
    bench.tell_if_asked(second, &withheld[29].header, 31);
    bench.wait(STATUS_INTERVAL);
    let third = bench.connect_with(&longer[0].header, 32);
    bench.answer_headers(third, &headers(&longer));
    bench.tell(honest, &better[0].header, 22);
    bench.answer_headers(honest, &headers(&better));
    bench.answer_blocks(honest, &better);
    assert_eq!(bench.height(), 22);
    bench.answer_blocks(second, &withheld);
    bench.answer_blocks(third, &longer);
    assert_eq!(bench.height(), 32);
    assert_eq!(bench.occupancy("withheld_blocks"), 0);
}

#[test]
fn the_user_is_told_of_a_better_chain_whose_blocks_do_not_come() {
    for period in [Millis(8_000), Millis::from_secs(3_600)] {
        let (mut bench, honest, tip) = Bench::up_to_date();
        let withheld = bench.chain(&tip, 30, 7);
        let told = |bench: &Bench| {
            let reasons = bench.seen.notices.iter().filter_map(|notice| match notice {
                Notice::NotFollowed { why, height, .. } => Some((*why, height.0)),
                _ => None,
            });
            reasons.collect::<Vec<_>>()
        };
        let end = bench.now + WITHHELD_TOLD_AFTER + Millis(20_000);
        while bench.now < end {
            assert!(bench.now > end.saturating_sub(Millis(20_000)) || told(&bench).is_empty());
            let peer = bench.connect_with(&withheld[29].header, 31);
            if bench.is_asked(peer, |request| matches!(request, quipu_protocol::Request::Headers { .. })) {
                bench.answer_headers(peer, &headers(&withheld));
            }
            let leaves = end.min(bench.now + period);
            while bench.now < leaves {
                bench.wait(Millis(1_000));
                bench.tell_if_asked(honest, &tip, 1);
                bench.tell_if_asked(peer, &withheld[29].header, 31);
            }
            bench.leave(peer);
        }
        assert_eq!(told(&bench), [(NotFollowed::Withheld, 31)], "once, with sessions of {period}");
    }
}

#[test]
fn withheld_blocks_that_are_remembered_are_bounded() {
    let (mut bench, _, tip) = Bench::up_to_date();
    for number in 0..WITHHELD_MAX as u64 + 2 {
        let body = bench.block(&tip, 7, vec![]).body;
        let block = bench.solve(&tip, body, |header| header.timestamp.0 += number);
        let peer = bench.connect_with(&block.header, 2);
        bench.answer_headers(peer, &[block.header]);
        bench.leave(peer);
    }
    assert_eq!(bench.occupancy("withheld_blocks"), WITHHELD_MAX);
}

#[test]
fn a_resolve_waits_for_no_claim_of_a_later_identity() {
    let (mut bench, honest, tip) = Bench::up_to_date();
    bench.counter += 1;
    let ticket = super::Ticket(bench.counter);
    bench.event(Event::Command { ticket, command: Command::Resolve });
    bench.wait(Millis(500));
    let later = bench.connect();
    bench.claim(later, 9);
    bench.tell(honest, &tip, 1);
    assert!(bench.seen.answers.iter().any(|(of, _)| *of == ticket), "it is answered");
}

#[test]
fn a_resolve_waits_for_a_claim_until_its_answer_is_overdue() {
    let (mut bench, honest, _) = Bench::up_to_date();
    bench.counter += 1;
    let ticket = super::Ticket(bench.counter);
    bench.event(Event::Command { ticket, command: Command::Resolve });
    bench.claim(honest, 9);
    let is_answered = |bench: &Bench| bench.seen.answers.iter().any(|(of, _)| *of == ticket);
    bench.wait(STEP);
    assert!(!is_answered(&bench));
    bench.wait(ANSWER_TIMEOUT);
    assert!(is_answered(&bench));
}

#[test]
fn a_peer_that_keeps_common_blocks_back_does_not_hold_up_another_branch() {
    let (mut bench, _) = Bench::caught_up();
    let common = bench.chain(&bench.genesis(), 2, 1);
    let (silent_branch, honest_branch) = (bench.chain(&common[1].header, 4, 2), bench.chain(&common[1].header, 2, 3));
    let (silent_chain, honest_chain) = ([common.clone(), silent_branch].concat(), [common, honest_branch].concat());
    let [silent_tip, honest_tip] = [&silent_chain, &honest_chain].map(|chain| chain.last().expect("not empty").header);

    let silent = bench.connect_with(&silent_tip, 1_000);
    bench.answer_headers(silent, &headers(&silent_chain));
    assert!(bench.is_asked_for_blocks(silent));
    let honest = bench.connect_with(&honest_tip, 500);
    bench.answer_headers(honest, &headers(&honest_chain));
    bench.wait(ANSWER_TIMEOUT);
    bench.keep_the_first_alive();
    bench.answer_blocks(honest, &honest_chain);
    assert_eq!(bench.tip(), honest_tip.id());
}
