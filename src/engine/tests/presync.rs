//! Branches of many easy headers, which are downloaded in two passes.

use quipu_protocol::message::RESPONSE_HEADERS_MAX;
use quipu_protocol::{BlockId, Body, Header, Height, Millis, Parameters, Request, Response, Reward, Target, Work};

use super::super::budget::QUESTION_GAP;
use super::super::event::{Command, Event, Fault, NotFollowed, Notice, PeerKey};
use super::super::pace::ANSWER_TIMEOUT_MAX;
use super::super::sync::{MARK_SPACING, STATUS_INTERVAL};
use super::{Bench, headers, key};

/// Blocks get harder fast while they follow each other at once, and are as easy as can be when each takes its time.
fn parameters() -> Parameters {
    let (half_life, easiest_target) = (Millis::from_secs(20), Target(0x2100_ffff));
    Parameters { half_life, easiest_target, ..Parameters::lan() }
}

/// Headers as a peer has them, with the ids by which they are asked for.
struct Branch {
    headers: Vec<Header>,
    ids: Vec<BlockId>,
}

impl Branch {
    /// `count` headers above another, each of work 1.
    fn easy(bench: &Bench, on: &Header, count: usize, branch: u8) -> Self {
        let parameters = bench.network.parameters();
        let reward = Reward { to: key(branch).public_key().address(), amount: parameters.subsidy };
        let body = Body { context: bench.context(on), reward, transactions: vec![].into() };
        let mut branch = Self { headers: Vec::new(), ids: Vec::new() };
        for _ in 0..count {
            let parent = *branch.headers.last().unwrap_or(on);
            let timestamp = parent.timestamp + parameters.target_spacing;
            branch.push(bench.solve(&parent, body.clone(), |header| header.timestamp = timestamp).header);
        }
        branch
    }

    fn push(&mut self, header: Header) {
        self.headers.push(header);
        self.ids.push(header.id());
    }

    fn work(&self) -> u128 {
        self.headers.iter().map(|header| header.target.work().0).sum()
    }

    fn tip(&self) -> &Header {
        self.headers.last().expect("a branch has headers")
    }

    /// The headers that answer a question.
    fn answer_to(&self, locator: &[BlockId]) -> &[Header] {
        let start = locator.iter().find_map(|id| self.ids.iter().position(|other| other == id)).map_or(0, |at| at + 1);
        &self.headers[start..self.headers.len().min(start + RESPONSE_HEADERS_MAX)]
    }
}

impl Bench {
    /// A bench on a short chain with at least this much work.
    fn with_work(work: u128) -> Self {
        let mut bench = Self::with(parameters());
        let peer = bench.connect();
        let mut parent = bench.genesis();
        while bench.engine.view().work < Work(work) {
            let mut body = bench.block(&bench.genesis(), 1, vec![]).body;
            body.context = bench.context(&parent);
            let target = bench.engine.as_parent(&parent.id()).expect("the tip");
            let target = target.target_after(parent.timestamp, &bench.network);
            let block = bench.solve(&parent, body, |header| header.target = target);
            bench.gossip_block(peer, &block);
            assert_eq!(bench.tip(), block.header.id());
            parent = block.header;
        }
        bench.event(Event::PeerDisconnected { peer });
        bench
    }

    fn connect_to(&mut self, branch: &Branch) -> PeerKey {
        self.connect_with(branch.tip(), branch.work())
    }

    fn is_asked_for_headers(&self, peer: PeerKey) -> bool {
        self.is_asked(peer, |request| matches!(request, Request::Headers { .. }))
    }

    /// Answers a question for headers.
    fn serve_once(&mut self, peer: PeerKey, branch: &Branch) {
        let (key, request) = self.take_asked(peer, |request| matches!(request, Request::Headers { .. }));
        let Request::Headers { locator } = request else { unreachable!("just matched") };
        self.answer(peer, key, Response::Headers(branch.answer_to(&locator).to_vec().into()));
        let bounds = self.engine.bounds();
        for (name, used) in self.engine.occupancy() {
            let bound = bounds.iter().find(|(of, _)| *of == name);
            assert!(bound.is_none_or(|(_, bound)| used <= *bound), "{name}: {used} of {bound:?}");
        }
    }

    /// Answers questions for headers until there are none, or this many. Returns their number.
    fn serve(&mut self, peer: PeerKey, branch: &Branch, most: usize) -> usize {
        let mut answers = 0;
        while answers < most {
            if !self.is_asked_for_headers(peer) {
                self.wait(QUESTION_GAP);
            }
            if !self.is_asked_for_headers(peer) {
                break;
            }
            self.serve_once(peer, branch);
            answers += 1;
        }
        answers
    }

    fn not_followed(&self) -> Vec<NotFollowed> {
        let why = |notice: &Notice| match notice {
            Notice::NotFollowed { why, .. } => Some(*why),
            _ => None,
        };
        self.seen.notices.iter().filter_map(why).collect()
    }
}

#[test]
fn a_branch_of_any_length_is_followed_once_it_has_more_work() {
    let mut bench = Bench::with_work(66_000);
    let ours = bench.engine.view();
    let own_headers = bench.occupancy("headers");
    let count = ours.work.0 as usize + 1;
    assert!(ours.tip.height < Height(100) && count > 65_536, "few blocks against many: {count}");
    let branch = Branch::easy(&bench, &bench.genesis(), count, 2);
    let peer = bench.connect_to(&branch);
    let pass = count.div_ceil(RESPONSE_HEADERS_MAX);
    for _ in 0..pass {
        assert_eq!((bench.occupancy("headers"), bench.occupancy("presync_headers")), (own_headers, 0));
        bench.serve_once(peer, &branch);
    }
    assert_eq!(bench.occupancy("presync_marks"), count / MARK_SPACING, "nothing else is kept");
    for segment in 0..pass {
        assert_eq!(bench.occupancy("headers"), own_headers + segment * MARK_SPACING);
        bench.serve_once(peer, &branch);
    }
    assert_eq!(bench.occupancy("headers"), own_headers + count);
    assert_eq!((bench.occupancy("presync_marks"), bench.occupancy("presync_headers")), (0, 0));
    assert!(!bench.is_asked_for_headers(peer) && bench.is_asked_for_blocks(peer));
    assert!(!bench.is_closed(peer) && bench.not_followed().is_empty());
}

#[test]
fn a_branch_with_less_work_leaves_nothing_and_its_growth_is_downloaded_alone() {
    let mut bench = Bench::with_work(9_000);
    let own_headers = bench.occupancy("headers");
    let ours = bench.engine.view().work.0;
    let mut branch = Branch::easy(&bench, &bench.genesis(), ours as usize, 2);
    let peer = bench.connect_with(branch.tip(), ours + 1);
    let answers = bench.serve(peer, &branch, usize::MAX);
    assert_eq!(answers, branch.ids.len().div_ceil(RESPONSE_HEADERS_MAX) + 1, "the last one is empty");
    assert_eq!(bench.occupancy("headers"), own_headers, "it has as much work as ours");
    let more = Branch::easy(&bench, branch.tip(), 1, 3);
    branch.push(more.headers[0]);
    bench.wait(STATUS_INTERVAL);
    bench.tell(peer, branch.tip(), branch.work());
    assert_eq!(bench.serve(peer, &branch, usize::MAX), answers, "the new one, and all again");
    assert!(bench.is_asked_for_blocks(peer));
}

/// In the second pass the peer sends other headers, from the first one on or from a later one.
#[test]
fn other_headers_in_the_second_pass_are_not_kept() {
    for kept in [0, MARK_SPACING, MARK_SPACING + 10] {
        let mut bench = Bench::with_work(9_000);
        let own_headers = bench.occupancy("headers");
        let count = bench.engine.view().work.0 as usize + 1;
        let shown = Branch::easy(&bench, &bench.genesis(), count, 2);
        let mut other = Branch { headers: Vec::new(), ids: Vec::new() };
        shown.headers[..kept].iter().for_each(|header| other.push(*header));
        let on = *other.headers.last().unwrap_or(&bench.genesis());
        let rest = Branch::easy(&bench, &on, count - kept, 3);
        rest.headers.iter().for_each(|header| other.push(*header));
        let liar = bench.connect_to(&shown);
        bench.serve(liar, &shown, count.div_ceil(RESPONSE_HEADERS_MAX));
        bench.serve(liar, &other, usize::MAX);
        assert_eq!(bench.occupancy("headers"), own_headers + kept / MARK_SPACING * MARK_SPACING);
        assert_eq!(bench.occupancy("presync_marks"), 0);
        assert_eq!(bench.not_followed(), [NotFollowed::Contradicted], "{kept}");
        assert!(!bench.is_asked_for_blocks(liar));
        // It is not believed the same tip again.
        bench.wait(STATUS_INTERVAL);
        bench.tell(liar, shown.tip(), shown.work());
        assert!(!bench.is_asked_for_headers(liar));
        // A peer that has it all gets its chance.
        let honest = bench.connect_to(&shown);
        bench.serve(honest, &shown, usize::MAX);
        assert!(bench.is_asked_for_blocks(honest));
    }
}

#[test]
fn headers_that_contradict_themselves_again_and_again_end_the_session() {
    let mut bench = Bench::with_work(5_000);
    let count = bench.engine.view().work.0 as usize + 1;
    let liar = bench.connect();
    for branch in 0..3 {
        let shown = Branch::easy(&bench, &bench.genesis(), count, 2 + branch);
        let other = Branch::easy(&bench, &bench.genesis(), count, 12 + branch);
        bench.tell(liar, shown.tip(), shown.work());
        bench.serve(liar, &shown, count.div_ceil(RESPONSE_HEADERS_MAX));
        bench.serve(liar, &other, usize::MAX);
        bench.wait(STATUS_INTERVAL);
    }
    assert_eq!(bench.seen.closed, [(liar, Fault::WrongAnswer)]);
    assert_eq!(bench.not_followed(), [NotFollowed::Contradicted], "the user is told once a minute at most");
}

#[test]
fn another_peer_goes_on_where_the_second_pass_ended() {
    let mut bench = Bench::with_work(13_000);
    let count = bench.engine.view().work.0 as usize + 1;
    let branch = Branch::easy(&bench, &bench.genesis(), count, 2);
    let pass = count.div_ceil(RESPONSE_HEADERS_MAX);
    let first = bench.connect_to(&branch);
    assert_eq!(bench.serve(first, &branch, pass + 2), pass + 2);
    bench.event(Event::PeerDisconnected { peer: first });
    assert_eq!(bench.occupancy("presync_marks"), 0, "its marks are gone, what it has proven is there");
    let second = bench.connect_to(&branch);
    assert_eq!(bench.serve(second, &branch, usize::MAX), 2 + 2 * (pass - 2), "what is there needs no second pass");
    assert!(bench.is_asked_for_blocks(second) && bench.not_followed().is_empty());
}

#[test]
fn a_peer_that_does_not_send_them_again_is_told_of_and_does_not_hold_others_up() {
    let mut bench = Bench::with_work(5_000);
    let count = bench.engine.view().work.0 as usize + 1;
    let branch = Branch::easy(&bench, &bench.genesis(), count, 2);
    let silent = bench.connect_to(&branch);
    let honest = bench.connect_to(&branch);
    bench.serve(silent, &branch, count.div_ceil(RESPONSE_HEADERS_MAX));
    assert!(bench.is_asked_for_headers(silent), "for the second time");
    bench.wait(ANSWER_TIMEOUT_MAX);
    assert_eq!(bench.not_followed(), [NotFollowed::Undelivered]);
    bench.tell(honest, branch.tip(), branch.work());
    bench.serve(honest, &branch, usize::MAX);
    assert!(bench.is_asked_for_blocks(honest));
}

#[test]
fn a_few_peers_at_a_time_send_long_branches_and_all_have_their_turn() {
    let mut bench = Bench::with_work(30_000);
    let count = bench.engine.view().work.0 as usize + 1;
    let branch = Branch::easy(&bench, &bench.genesis(), count, 2);
    let peers: Vec<PeerKey> = (0..6).map(|_| bench.connect_to(&branch)).collect();
    for peer in &peers {
        bench.serve_once(*peer, &branch);
    }
    let asked = |bench: &Bench| peers.iter().map(|peer| bench.is_asked_for_headers(*peer)).collect::<Vec<bool>>();
    assert_eq!(asked(&bench), [true, true, true, true, false, false]);
    bench.wait(Millis::from_secs(6));
    for peer in &peers {
        bench.tell(*peer, branch.tip(), branch.work());
    }
    for peer in &peers[..4] {
        bench.serve_once(*peer, &branch);
    }
    assert_eq!(asked(&bench), [true, true, false, false, true, true], "those that have waited longest");
}

#[test]
fn a_peer_whose_turn_is_over_waits_behind_those_that_had_none() {
    let mut bench = Bench::with_work(13_000);
    let count = bench.engine.view().work.0 as usize + 1;
    let branch = Branch::easy(&bench, &bench.genesis(), count, 2);
    let peers: Vec<PeerKey> = (0..8).map(|_| bench.connect_to(&branch)).collect();
    for peer in &peers {
        bench.serve_once(*peer, &branch);
    }
    bench.wait(Millis::from_secs(3));
    for peer in &peers[..4] {
        bench.serve_once(*peer, &branch);
    }
    let asked = |bench: &Bench| peers.iter().map(|peer| bench.is_asked_for_headers(*peer)).collect::<Vec<bool>>();
    assert_eq!(asked(&bench), [true, true, true, true, false, false, false, false]);
    // Its answer is the first event after the end of the turns.
    bench.now = bench.now + Millis::from_secs(3);
    bench.serve_once(peers[0], &branch);
    assert_eq!(asked(&bench), [false, true, true, true, true, true, true, true]);
}

#[test]
fn a_checkpoint_ends_the_download_of_a_branch_that_leaves_it_out() {
    let mut bench = Bench::with_work(5_000);
    let own_headers = bench.occupancy("headers");
    let count = bench.engine.view().work.0 as usize + 1;
    let branch = Branch::easy(&bench, &bench.genesis(), count, 2);
    let peer = bench.connect_to(&branch);
    bench.serve(peer, &branch, count.div_ceil(RESPONSE_HEADERS_MAX));
    bench.command(Command::SetCheckpoint { height: Some(Height(1)) }).expect("there is a block");
    bench.serve(peer, &branch, usize::MAX);
    assert_eq!(bench.occupancy("headers"), own_headers);
    let refused = |notice: &Notice| matches!(notice, Notice::ReorganisationRefused { .. });
    assert!(bench.seen.notices.iter().any(refused) && !bench.is_closed(peer));
}

#[test]
fn an_answer_with_headers_may_end_anywhere() {
    for length in [1, 7, 29] {
        let mut bench = Bench::new();
        let chain = bench.chain(&bench.genesis(), 30, 1);
        let peer = bench.connect_with(&chain[29].header, 30);
        for part in chain.chunks(length) {
            bench.wait(QUESTION_GAP);
            bench.answer_headers(peer, &headers(part));
        }
        bench.wait(QUESTION_GAP);
        assert!(!bench.is_asked_for_headers(peer), "all came");
        while bench.is_asked_for_blocks(peer) {
            let wanted = bench.height() as usize;
            bench.answer_blocks(peer, &chain[wanted..]);
        }
        assert_eq!((bench.height(), bench.is_closed(peer)), (30, false), "{length}");
    }
}
