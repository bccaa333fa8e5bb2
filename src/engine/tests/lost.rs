//! Transactions that the node has promised to keep, and that can never be mined.

use std::sync::Arc;

use quipu_protocol::{Action, Amount, Header, SignedTransaction};

use super::super::event::{Answer, Command, CommandError, GoneReason, Notice};
use super::super::lag::LAG_TIME;
use super::{Bench, key};

impl Bench {
    /// A bench on a chain of two blocks that have paid the first account.
    fn paid() -> Self {
        let mut bench = Bench::new();
        let chain = bench.chain(&bench.genesis(), 2, 1);
        let peer = bench.connect();
        for block in chain {
            bench.gossip_block(peer, &block);
        }
        bench
    }

    /// The first account sends a tenth of coins from this node. Returns the transaction as it waits.
    fn pay(&mut self, tenths: u64) -> SignedTransaction {
        let action = Action::Transfer {
            to: key(9).public_key().address(),
            amount: Amount::from_units(tenths * Amount::COIN.units() / 10),
        };
        let send = Command::Send { key: Arc::new(key(1)), action, fee: Some(Amount::ZERO) };
        let Ok(Answer::Sent { id, .. }) = self.command(send) else { panic!("it is sent") };
        self.engine.mempool.get(&id).expect("it waits").signed().clone()
    }

    fn best_header(&self) -> Header {
        self.engine.chain.tree().header(self.engine.chain.tip())
    }

    /// Another node's block on our tip.
    fn foreign_block(&mut self, transactions: Vec<SignedTransaction>) {
        let tip = self.best_header();
        let block = self.block(&tip, 5, transactions);
        let peer = self.connect();
        self.gossip_block(peer, &block);
        self.wait(LAG_TIME);
    }

    fn lost(&self) -> Vec<(SignedTransaction, GoneReason)> {
        let told = |notice: &Notice| match notice {
            Notice::Lost { transaction, reason } => Some((transaction.signed().clone(), *reason)),
            _ => None,
        };
        self.seen.notices.iter().filter_map(told).collect()
    }
}

#[test]
fn what_is_mined_is_not_lost() {
    let mut bench = Bench::paid();
    let sent: Vec<_> = (0..4).map(|_| bench.pay(1)).collect();
    bench.foreign_block(sent[..1].to_vec());
    bench.foreign_block(sent[1..].to_vec());
    assert_eq!((bench.lost(), bench.engine.mempool.len()), (vec![], 0));
}

#[test]
fn what_another_transaction_with_its_nonce_replaces_is_told_with_what_needs_it() {
    let mut bench = Bench::paid();
    let balance = 2 * bench.network.parameters().subsidy.units();
    let [first, second, third] = [1, 2, 3].map(|tenths| bench.pay(tenths));
    // The wallet was used at another node too.
    let elsewhere = bench.send(1, 0, 3, balance - Amount::COIN.units() / 5, 0);
    bench.foreign_block(vec![elsewhere]);
    let mut lost = bench.lost();
    lost.sort_by_key(|(transaction, _)| transaction.transaction.nonce);
    assert_eq!(lost, [(first, GoneReason::NonceUsed), (third, GoneReason::NoCoins)]);
    assert_eq!(bench.engine.mempool.len(), 1, "the second one still can be mined");
    bench.foreign_block(vec![second]);
    assert_eq!(bench.lost().len(), 2);
}

#[test]
fn a_replacement_is_told() {
    let mut bench = Bench::paid();
    let first = bench.pay(1);
    let better = bench.send(1, 0, 3, 10, 1_000);
    let checked = quipu_protocol::CheckedTransaction::recall(better, &bench.network);
    bench.command(Command::Submit { transaction: Box::new(checked) }).expect("it pays more");
    assert_eq!(bench.lost(), [(first, GoneReason::NonceUsed)]);
}

#[test]
fn one_that_must_be_next_replaces_nothing() {
    let mut bench = Bench::paid();
    bench.pay(1);
    let mut give = |nonce| {
        let signed = bench.send(1, nonce, 3, 10, 1_000);
        let checked = quipu_protocol::CheckedTransaction::recall(signed, &bench.network);
        bench.command(Command::SubmitNext { transaction: Box::new(checked) })
    };
    for nonce in [0, 2] {
        assert_eq!(give(nonce).err(), Some(CommandError::WrongNonce { nonce, next: 1 }));
    }
    give(1).expect("it is the next one");
    assert_eq!((bench.lost(), bench.engine.mempool.len()), (vec![], 2));
}

#[test]
fn a_reorganisation_loses_what_its_chain_has_no_place_for() {
    let mut bench = Bench::paid();
    let fork = bench.best_header();
    let [first, second] = [1, 2].map(|tenths| bench.pay(tenths));
    bench.foreign_block(vec![]);
    // The longer chain has mined the first, and another one in place of the second.
    let elsewhere = bench.send(1, 1, 3, 7, 0);
    let theirs = [vec![first], vec![elsewhere], vec![]];
    let theirs = bench.branch(&fork, 6, theirs.to_vec());
    bench.gossip_blocks(&theirs);
    assert_eq!(bench.tip(), theirs[2].header.id());
    assert_eq!(bench.lost(), [(second, GoneReason::NonceUsed)]);
}

/// Others' transactions that came back from a block are kept as well, but nobody here has promised that.
#[test]
fn what_others_lose_is_theirs_to_tell() {
    let mut bench = Bench::paid();
    let fork = bench.best_header();
    let foreign = bench.send(1, 0, 3, 5, 0);
    bench.foreign_block(vec![foreign]);
    let theirs = bench.branch(&fork, 6, vec![vec![], vec![]]);
    bench.gossip_blocks(&theirs);
    assert_eq!(bench.engine.mempool.len(), 1, "it is pending again");
    let elsewhere = bench.send(1, 0, 3, 7, 0);
    bench.foreign_block(vec![elsewhere]);
    assert_eq!((bench.lost(), bench.engine.mempool.len()), (vec![], 0));
}
