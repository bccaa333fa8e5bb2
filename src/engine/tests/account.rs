//! Changes of the node's own account.

use quipu_protocol::{Address, Amount};

use super::super::event::{Answer, Command, Event, Ticket};
use super::{Bench, key};

fn address(seed: u8) -> Address {
    key(seed).public_key().address()
}

impl Bench {
    fn use_account(&mut self, seed: u8) {
        let answer = self.command(Command::UseAccount { address: address(seed) });
        assert!(matches!(answer, Ok(Answer::Done)), "{answer:?}");
    }

    fn coins(&mut self, seed: u8) -> u64 {
        match self.command(Command::Account { address: address(seed) }) {
            Ok(Answer::Account { account, .. }) => account.balance.whole_units().units() / Amount::COIN.units(),
            other => panic!("no account: {other:?}"),
        }
    }
}

#[test]
fn rewards_go_to_the_account_in_use_by_default() {
    let mut bench = Bench::new();
    bench.mine_always();
    bench.find_nonces(2);
    bench.use_account(5);
    bench.find_nonces(3);
    assert_eq!((bench.coins(0), bench.coins(5)), (2, 3));
    let view = bench.engine.view();
    assert_eq!((view.account, view.balance.whole_units().units()), (address(5), 3 * Amount::COIN.units()));
}

#[test]
fn a_running_job_goes_over_to_the_account_in_use_unless_it_named_one() {
    for (to, want) in [(None, (1, 2)), (Some(0), (3, 0))] {
        let mut bench = Bench::new();
        let mine = Command::Mine { count: 3, to: to.map(address) };
        bench.event(Event::Command { ticket: Ticket(1_000), command: mine });
        bench.find_nonces(1);
        bench.use_account(5);
        bench.find_nonces(2);
        assert_eq!((bench.coins(0), bench.coins(5)), want, "{to:?}");
    }
}

#[test]
fn a_transaction_is_found_while_it_waits() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    for block in bench.chain(&bench.genesis(), 1, 1) {
        bench.gossip_block(peer, &block);
    }
    let signed = bench.send(1, 0, 2, 5, 0);
    let id = signed.transaction.id(&bench.network.genesis_id());
    let found = |bench: &mut Bench| match bench.command(Command::Transaction { id }) {
        Ok(Answer::Transaction(found)) => found.map(|transaction| transaction.id()),
        other => panic!("not the answer: {other:?}"),
    };
    assert_eq!(found(&mut bench), None);
    bench.gossip(peer, super::Gossip::Transactions(signed.into()));
    assert_eq!(found(&mut bench), Some(id));
    bench.mine_always();
    bench.find_nonces(1);
    assert_eq!(found(&mut bench), None);
}
