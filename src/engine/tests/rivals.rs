//! Branches of the same length, one of them dated back for a little more work.

use quipu_protocol::check::{Parent, check_block};
use quipu_protocol::{Block, BlockId, Body, Header, Millis, Parameters, Reward, Target};

use super::super::event::{Answer, Command, Event, NotFollowed, Notice, PeerKey, Ticket, Verdict};
use super::{Bench, headers, key};

/// Blocks of some work, so that a few per cent show.
fn parameters() -> Parameters {
    Parameters { easiest_target: Target(0x2000_ffff), ..Parameters::lan() }
}

impl Bench {
    /// Blocks that follow each other after these times, in seconds, above genesis.
    fn paced(&self, seconds: &[u64], branch: u8) -> Vec<Block> {
        let mut parent = (self.genesis(), Parent::genesis(&self.network));
        let mut blocks = Vec::new();
        for seconds in seconds {
            let reward = Reward { to: key(branch).public_key().address(), amount: self.network.parameters().subsidy };
            let body = Body { context: self.context(&parent.0), reward, transactions: vec![].into() };
            let timestamp = parent.0.timestamp + Millis::from_secs(*seconds);
            let target = parent.1.target_after(timestamp, &self.network);
            let block = self.solve(&parent.0, body, |header| (header.timestamp, header.target) = (timestamp, target));
            parent = (block.header, parent.1.child(&block.header));
            blocks.push(block);
        }
        blocks
    }

    fn accept(&mut self, peer: PeerKey, blocks: &[Block]) {
        for block in blocks {
            assert_eq!(self.gossip_block(peer, block), Verdict::Accept);
            assert_eq!(self.tip(), block.header.id());
        }
    }

    fn told_of_rivals(&self) -> usize {
        let is_one = |notice: &&Notice| matches!(notice, Notice::NotFollowed { why: NotFollowed::Rival, .. });
        self.seen.notices.iter().filter(is_one).count()
    }

    fn is_fetching_a_chain(&self) -> bool {
        self.engine.sync_view().is_some()
    }
}

/// Our chain of two blocks, and a rival whose first block is dated back.
fn with_rival() -> (Bench, PeerKey, Vec<Block>, Vec<Block>) {
    let mut bench = Bench::with(parameters());
    let peer = bench.connect();
    let (ours, rival) = (bench.paced(&[10, 10, 10], 1), bench.paced(&[0, 10, 10], 2));
    assert!(work(&rival[..2]) > work(&ours[..2]), "the date alone gives it more work");
    bench.accept(peer, &ours[..2]);
    for block in &rival[..2] {
        assert_eq!(bench.gossip_block(peer, block), Verdict::Ignore);
    }
    (bench, peer, ours, rival)
}

fn work(blocks: &[Block]) -> u128 {
    blocks.iter().map(|block| block.header.target.work().0).sum()
}

fn tip_of(blocks: &[Block]) -> BlockId {
    blocks.last().expect("blocks").header.id()
}

fn grace(bench: &Bench) -> Millis {
    bench.network.parameters().grace
}

#[test]
fn a_branch_that_is_no_longer_does_not_win_by_its_dates() {
    let (mut bench, _, ours, _) = with_rival();
    assert_eq!(bench.tip(), tip_of(&ours[..2]));
    assert!(!bench.is_fetching_a_chain(), "it is there already");
    bench.wait(Millis(grace(&bench).0 - 1));
    assert_eq!(bench.tip(), tip_of(&ours[..2]));
}

#[test]
fn the_next_block_decides() {
    let (mut bench, peer, ours, _) = with_rival();
    bench.accept(peer, &ours[2..]);
    let (mut bench, peer, _, rival) = with_rival();
    bench.accept(peer, &rival[2..]);
}

/// Nobody mines: all nodes end on the branch with the most work, without another block.
#[test]
fn once_no_block_comes_the_most_work_wins() {
    let (mut bench, peer, ours, rival) = with_rival();
    bench.wait(grace(&bench));
    assert_eq!(bench.tip(), tip_of(&rival[..2]));
    bench.accept(peer, &rival[2..]);
    bench.event(Event::PeerDisconnected { peer });
    // The wait began anew with the tip: the branch that was left cannot come back by a little.
    let peer = bench.connect();
    for block in &ours {
        bench.gossip_block(peer, block);
    }
    assert_eq!(bench.tip(), tip_of(&rival));
}

#[test]
fn the_engine_wakes_for_a_rival_by_itself() {
    let (mut bench, _, _, rival) = with_rival();
    let until = bench.now + grace(&bench);
    while bench.now < until {
        // A deadline may be this very moment.
        let span = bench.engine.next_wake().saturating_sub(bench.now).max(Millis(1));
        bench.wait(span);
    }
    assert_eq!((bench.tip(), bench.now), (tip_of(&rival[..2]), until));
}

#[test]
fn the_user_moves_to_a_rival_at_once() {
    let (mut bench, _, _, rival) = with_rival();
    bench.event(Event::Command { ticket: Ticket(99), command: Command::Resolve });
    assert_eq!(bench.tip(), tip_of(&rival[..2]));
}

#[test]
fn a_waiting_rival_does_not_hold_up_resolve() {
    let (mut bench, peer, _, rival) = with_rival();
    bench.event(Event::Command { ticket: Ticket(99), command: Command::Resolve });
    bench.tell(peer, &rival[1].header, work(&rival[..2]));
    let answer = bench.seen.answers.iter().find(|(ticket, _)| *ticket == Ticket(99));
    assert!(matches!(answer, Some((_, Ok(Answer::Resolved { replaced: true, .. })))), "{answer:?}");
}

/// A rival that the user has stored must not keep a better chain from being fetched.
#[test]
fn a_better_chain_is_fetched_beside_a_waiting_rival() {
    let mut bench = Bench::with(parameters());
    let peer = bench.connect();
    let (ours, rival) = (bench.paced(&[10, 10], 1), bench.paced(&[0, 10], 2));
    bench.accept(peer, &ours);
    for block in rival {
        let block = check_block(block, &bench.network).expect("valid");
        let added = bench.command(Command::SubmitBlock { block: Box::new(block) });
        assert!(matches!(added, Ok(Answer::Added { is_best: false, .. })), "{added:?}");
    }
    let better = bench.paced(&[10, 9, 10, 10], 3);
    let other = bench.connect_with(&better[3].header, work(&better));
    bench.answer_headers(other, &headers(&better));
    let asked: Vec<Block> = better.clone();
    bench.answer_blocks(other, &asked);
    assert_eq!(bench.tip(), tip_of(&better));
}

/// A branch with clearly more work wins, whatever its length: its miners found blocks faster.
#[test]
fn half_a_block_more_is_enough() {
    let mut bench = Bench::with(parameters());
    let peer = bench.connect();
    // Many blocks in no time get harder and harder.
    let (slow, fast) = (bench.paced(&[10; 8], 1), bench.paced(&[0; 8], 2));
    let lead = work(&fast) - work(&slow);
    assert!(2 * lead > slow[7].header.target.work().0, "{lead}");
    bench.accept(peer, &slow);
    bench.gossip_block(peer, &fast[0]);
    for block in &fast[1..] {
        bench.gossip_block(peer, block);
    }
    assert_eq!(bench.tip(), tip_of(&fast));
}

/// After a long pause a block may take a fraction of the work of the one below it.
#[test]
fn an_easy_block_on_our_own_tip_is_no_rival() {
    let mut bench = Bench::with(parameters());
    let peer = bench.connect();
    let blocks = bench.paced(&[&[0; 30][..], &[3_600]].concat(), 1);
    let [below, last] = [&blocks[29], &blocks[30]].map(|block| block.header.target.work().0);
    assert!(2 * last < below, "{last} {below}");
    bench.accept(peer, &blocks[..30]);
    let block = check_block(blocks[30].clone(), &bench.network).expect("valid");
    let added = bench.command(Command::SubmitBlock { block: Box::new(block) });
    assert!(matches!(added, Ok(Answer::Added { is_best: true, .. })), "{added:?}");
}

/// The user hears of it once a block should have come, and only once.
#[test]
fn a_rival_that_waits_for_long_is_told() {
    let (mut bench, peer, _, rival) = with_rival();
    assert_eq!(bench.told_of_rivals(), 0);
    let tip: Header = rival[1].header;
    for _ in 0..5 {
        bench.wait(Millis(5_000));
        bench.tell_if_asked(peer, &tip, work(&rival[..2]));
    }
    assert_eq!(bench.told_of_rivals(), 1);
}
