//! Chains that were mined under a clock that was ahead.

use quipu_protocol::{Block, Header, Millis, UnixMillis};

use super::super::budget::QUESTION_GAP;
use super::super::event::{Answer, Command, Event, NotFollowed, Notice, Place, Ticket};
use super::super::sync::STATUS_INTERVAL;
use super::{Bench, headers};

const DAY: Millis = Millis(24 * 3_600_000);

impl Bench {
    /// Blocks that were mined while a clock was a day ahead.
    fn dated_ahead(&self, count: usize) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for number in 0..count as u64 {
            let parent: Header = blocks.last().map_or_else(|| self.genesis(), |block| block.header);
            let body = self.block(&parent, 7, vec![]).body;
            let time = UnixMillis(self.clock().0 + DAY.0 + number * 1_000);
            blocks.push(self.solve(&parent, body, |header| header.timestamp = time));
        }
        blocks
    }

    fn kept_back(&self) -> Vec<(u64, NotFollowed)> {
        let told = |notice: &Notice| match notice {
            Notice::NotFollowed { height, why, .. } => Some((height.0, *why)),
            _ => None,
        };
        self.seen.notices.iter().filter_map(told).collect()
    }

    fn own_ahead(&self) -> Vec<Place> {
        let told = |notice: &Notice| match notice {
            Notice::TipAhead { tip, .. } => Some(*tip),
            _ => None,
        };
        self.seen.notices.iter().filter_map(told).collect()
    }
}

#[test]
fn a_better_chain_of_tomorrow_is_kept_back_and_told() {
    let mut bench = Bench::new();
    let chain = bench.dated_ahead(6);
    let peer = bench.connect_with(&chain[5].header, 6);
    bench.answer_headers(peer, &headers(&chain));
    let [(6, NotFollowed::Early(wait))] = bench.kept_back()[..] else { panic!("{:?}", bench.kept_back()) };
    assert_eq!(wait, DAY.saturating_sub(bench.network.parameters().future_time_max));
    bench.event(Event::Command { ticket: Ticket(99), command: Command::Resolve });
    bench.wait(QUESTION_GAP);
    bench.tell(peer, &chain[5].header, 6);
    bench.wait(QUESTION_GAP);
    bench.answer_headers(peer, &headers(&chain));
    bench.wait(STATUS_INTERVAL);
    let answer = bench.seen.answers.iter().find(|(ticket, _)| *ticket == Ticket(99));
    let Some((_, Ok(Answer::Resolved { replaced: false, kept_back_until: Some(until), .. }))) = answer else {
        panic!("{answer:?}")
    };
    assert!(until.0 > bench.clock().0 + DAY.0 / 2);
    assert_eq!(bench.kept_back().len(), 1, "once");
    assert_eq!(bench.height(), 0);
}

#[test]
fn a_block_that_is_early_by_a_moment_is_not_worth_a_word() {
    let mut bench = Bench::new();
    let limit = bench.network.parameters().future_time_max;
    let genesis = bench.genesis();
    let body = bench.block(&genesis, 7, vec![]).body;
    let time = UnixMillis(bench.clock().0 + limit.0 + 5_000);
    let block = bench.solve(&genesis, body, |header| header.timestamp = time);
    let peer = bench.connect_with(&block.header, 1);
    bench.answer_headers(peer, &[block.header]);
    assert_eq!(bench.kept_back(), []);
}

#[test]
fn a_node_compares_its_own_chain_with_its_clock() {
    let mut bench = Bench::new();
    let chain = bench.dated_ahead(2);
    // While the clock is ahead, all is well.
    bench.clock_ahead = DAY;
    let peer = bench.connect();
    for block in &chain[..1] {
        bench.gossip_block(peer, block);
    }
    assert_eq!((bench.height(), bench.own_ahead()), (1, vec![]));
    bench.clock_ahead = Millis(0);
    bench.wait(STATUS_INTERVAL);
    bench.wait(STATUS_INTERVAL);
    let told = bench.own_ahead();
    assert_eq!(told.iter().map(|tip| tip.height.0).collect::<Vec<_>>(), [1], "once");
}
