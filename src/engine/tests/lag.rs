//! The memory pool lags behind full blocks, and nobody can tell.

use quipu_protocol::{Block, Millis, Request, Response, SignedTransaction};

use super::super::event::{Answer, Command, Event, PeerKey, Ticket, Verdict};
use super::Bench;

impl Bench {
    fn lag(&self) -> usize {
        self.occupancy("mempool_lag")
    }

    /// Three pending transactions, and a block that has mined the first two.
    fn lagging(&mut self) -> (PeerKey, Vec<SignedTransaction>, Block) {
        let peer = self.connect();
        let paid = self.block(&self.genesis(), 1, vec![]);
        self.gossip_block(peer, &paid);
        let sent: Vec<_> = (0..3).map(|nonce| self.send(1, nonce, 2, 1, 0)).collect();
        assert_eq!(self.bundle(peer, &sent), Verdict::Accept);
        let block = self.block(&paid.header, 1, sent[..2].to_vec());
        assert_eq!(self.gossip_block(peer, &block), Verdict::Accept);
        assert_eq!(self.tip(), block.header.id());
        (peer, sent, block)
    }
}

#[test]
fn the_pool_follows_a_block_after_it_was_passed_on() {
    let mut bench = Bench::new();
    let (_, sent, _) = bench.lagging();
    assert!(bench.lag() > 0, "the verdict came first");
    assert_eq!(bench.engine.view().pending, 1, "what was mined is not counted");
    let Ok(Answer::Pending(pending)) = bench.command(Command::Pending) else { panic!("a list") };
    assert_eq!((pending[0].signed(), pending.len(), bench.lag()), (&sent[2], 1, 0));
}

#[test]
fn the_pool_follows_by_itself_after_a_moment() {
    let mut bench = Bench::new();
    bench.lagging();
    bench.wait(Millis(29));
    assert!(bench.lag() > 0);
    bench.wait(Millis(1));
    assert_eq!((bench.lag(), bench.engine.view().pending), (0, 1));
}

#[test]
fn a_peer_is_told_of_no_mined_transaction() {
    let mut bench = Bench::new();
    let (peer, sent, _) = bench.lagging();
    bench.counter += 1;
    let ticket = Ticket(bench.counter);
    bench.event(Event::Request { peer, ticket, request: Request::Pending });
    let Some((_, Some(Response::Pending(ids)))) = bench.seen.replied.last() else { panic!("a list of ids") };
    assert_eq!(ids.to_vec(), [sent[2].transaction.id(&bench.network.genesis_id())]);
}

#[test]
fn a_branch_that_takes_over_finds_a_pool_that_lags_behind() {
    let mut bench = Bench::new();
    let (peer, sent, block) = bench.lagging();
    bench.gossip_block(peer, &bench.block(&block.header, 4, vec![]));
    assert!(bench.lag() > 0);
    let fork = bench.chain(&block.header, 2, 3);
    for block in &fork {
        bench.gossip_block(peer, block);
    }
    assert_eq!((bench.tip(), bench.lag()), (fork[1].header.id(), 0));
    let Ok(Answer::Pending(pending)) = bench.command(Command::Pending) else { panic!("a list") };
    assert_eq!((pending[0].signed(), pending.len()), (&sent[2], 1));
}
