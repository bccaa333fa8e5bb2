//! The gate between the engine and the disk: nothing here is durable before the test says so.

use super::*;

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.connect();
    bench.wait(Millis(100));
    bench.fund(1);
    assert!(bench.unwritten.is_empty());
    bench.seen = Seen::default();
    bench.hold_writes = true;
    bench
}

impl Bench {
    /// Gives the node's user coins, and lets the block's announcement pass.
    fn fund(&mut self, blocks: u64) {
        self.mine(blocks);
        self.wait(Millis(100));
    }

    /// Gives a command whose answer the disk may delay.
    fn give(&mut self, command: Command) {
        self.counter += 1;
        let ticket = Ticket(self.counter);
        self.event(Event::Command { ticket, command });
    }

    fn mine(&mut self, blocks: u64) {
        self.give(Command::Mine { count: blocks, to: Some(key(0).public_key().address()) });
        self.find_nonces(blocks as usize);
    }

    fn record_something(&mut self) {
        let action = Action::Record { data: vec![].into() };
        self.give(Command::Send { key: Arc::new(key(0)), action, fee: Some(Amount::ZERO) });
    }

    fn shown_transactions(&self) -> usize {
        let of = |gossip: &Gossip| match gossip {
            Gossip::Transactions(bundle) => bundle.iter().count(),
            Gossip::Block(block) => block.body.transactions.len(),
            Gossip::Compact(compact) => compact.count(),
        };
        self.seen.published.iter().map(of).sum()
    }

    fn shown_blocks(&self) -> usize {
        self.seen.published.iter().filter(|gossip| !matches!(gossip, Gossip::Transactions(_))).count()
    }
}

#[test]
fn a_mined_block_is_announced_and_told_at_once_and_answered_when_it_is_durable() {
    let mut bench = bench();
    bench.mine(1);
    assert_eq!((bench.shown_blocks(), bench.seen.answers.len(), bench.seen.syncs), (1, 0, 1));
    assert!(bench.seen.notices.iter().any(|notice| matches!(notice, Notice::Tip { .. })));
    bench.persist();
    assert!(matches!(bench.seen.answers[..], [(_, Ok(Answer::Mined(_)))]), "{:?}", bench.seen.answers);
}

/// Otherwise a node that is killed in between would sign another transaction with a nonce that peers have seen.
#[test]
fn an_own_transaction_reaches_nobody_before_it_is_durable() {
    let mut bench = bench();
    bench.record_something();
    bench.wait(Millis(1000));
    assert_eq!((bench.shown_transactions(), bench.seen.answers.len(), bench.seen.syncs), (0, 0, 1));
    bench.persist();
    assert_eq!((bench.shown_transactions(), bench.seen.answers.len()), (1, 1));
}

#[test]
fn an_own_block_with_an_own_transaction_waits_for_the_transaction_alone() {
    let mut bench = bench();
    bench.record_something();
    bench.mine(1);
    bench.wait(Millis(1000));
    assert_eq!((bench.shown_blocks(), bench.shown_transactions()), (0, 0));
    bench.persist();
    assert_eq!(bench.unwritten.len(), 1, "the block is not durable");
    assert_eq!((bench.shown_blocks(), bench.seen.answers.len()), (1, 1));
    bench.persist();
    assert_eq!(bench.seen.answers.len(), 2);
}

#[test]
fn a_peer_is_served_no_own_transaction_before_it_is_durable() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.record_something();
    let id = *bench.engine.mempool.best_ids(1).first().expect("it waits");
    bench.seen.replied.clear();
    bench.event(Event::Request { peer, ticket: Ticket(900), request: Request::Transactions { ids: vec![id].into() } });
    bench.event(Event::Request { peer, ticket: Ticket(901), request: Request::Pending });
    assert!(matches!(bench.seen.replied[..], [(Ticket(901), Some(Response::Pending(_)))]), "{:?}", bench.seen.replied);
    bench.persist();
    assert!(matches!(&bench.seen.replied[1], (Ticket(900), Some(Response::Transactions(list))) if list.len() == 1));
}

#[test]
fn a_block_is_served_when_it_is_written() {
    let mut bench = bench();
    let peer = bench.connect();
    bench.mine(1);
    let id = bench.engine.view().tip.id;
    bench.event(Event::Request { peer, ticket: Ticket(900), request: Request::Blocks { ids: vec![id].into() } });
    assert!(bench.seen.served.is_empty());
    bench.persist();
    assert_eq!(bench.seen.served.len(), 1);
}

#[test]
fn a_peers_blocks_do_not_wait_for_the_disk() {
    let mut bench = bench();
    let peer = bench.connect();
    let batch = bench.engine.view().batch;
    let parent = *bench.engine.chain.cached_tip().expect("it was mined just now").header();
    let block = bench.block(&parent, 1, vec![]);
    assert_eq!(bench.gossip_block(peer, &block), Verdict::Accept);
    assert_eq!(bench.engine.view().tip.id, block.header.id());
    assert!(bench.seen.notices.iter().any(|notice| matches!(notice, Notice::Tip { .. })), "it is told");
    let next = bench.block(&block.header, 2, vec![]);
    assert_eq!(bench.gossip_block(peer, &next), Verdict::Accept, "it is built upon");
    assert_eq!((bench.unwritten.len(), bench.seen.syncs), (2, 0), "nobody waits for either");
    assert!(bench.engine.view().batch == batch + 2 && !bench.engine.awaits_disk());
}

/// Otherwise a crash would lose an acknowledged transaction, since only the own user's are stored.
#[test]
fn a_transaction_that_a_peer_has_brought_is_kept_when_the_user_sends_it_too() {
    let mut bench = bench();
    let peer = bench.connect();
    let signed = bench.send(0, 0, 2, 5, 0);
    bench.gossip(peer, Gossip::Transactions(signed.clone().into()));
    assert!(bench.unwritten.is_empty());
    let checked = check_transactions(vec![signed], &bench.network).remove(0).expect("valid");
    let submit = Command::Submit { transaction: Box::new(checked) };
    bench.give(submit.clone());
    assert_eq!((bench.unwritten.len(), bench.seen.answers.len()), (1, 0));
    bench.persist();
    assert!(matches!(bench.seen.answers[..], [(_, Ok(Answer::Sent { .. }))]), "{:?}", bench.seen.answers);
    assert_eq!(bench.disk.stored().pending.len(), 1);
    bench.give(submit);
    assert_eq!((bench.unwritten.len(), bench.seen.answers.len()), (0, 2), "once is enough");
}
