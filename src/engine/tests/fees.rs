//! The default fee, and room for the node's own user.

use std::sync::Arc;

use quipu_protocol::{Action, Amount, CheckedTransaction, Transaction};

use super::super::event::{Answer, Command, CommandError};
use super::{Bench, key};
use crate::protocol::SecretKey;

fn record() -> Action {
    Action::Record { data: vec![7; 4096].into() }
}

impl Bench {
    /// Fills the memory pool with free records of accounts without coins.
    fn fill_pool(&mut self) {
        for number in 0_u32.. {
            let mut seed = [99; 32];
            seed[..4].copy_from_slice(&number.to_le_bytes());
            let key = SecretKey::from_seed(seed);
            let transaction = Transaction { sender: key.public_key(), nonce: 0, fee: Amount::ZERO, action: record() };
            let signed = CheckedTransaction::sign(transaction, &key, &self.network).expect("well formed");
            if self.engine.mempool.add(signed, None, false, self.engine.chain.ledger()).is_err() {
                return;
            }
        }
    }

    fn send_record(&mut self, from: u8, fee: Option<Amount>) -> Result<Amount, CommandError> {
        match self.command(Command::Send { key: Arc::new(key(from)), action: record(), fee })? {
            Answer::Sent { fee, .. } => Ok(fee),
            other => panic!("not sent, but {other:?}"),
        }
    }
}

#[test]
fn the_default_fee_is_the_least_that_gets_in() {
    let mut bench = Bench::new();
    let peer = bench.connect();
    let block = bench.block(&bench.genesis(), 0, vec![]);
    bench.gossip_block(peer, &block);
    assert_eq!(bench.send_record(0, None), Ok(Amount::ZERO), "the pool has room");
    bench.fill_pool();
    let fee = bench.send_record(0, None).expect("there is room");
    let full = bench.engine.view();
    assert!(fee > Amount::ZERO, "it would not get in at peers otherwise");
    assert!(full.pool_price.least_fee(4_228) == fee, "others are told the same");
    // An account that cannot pay it has the reserve alone.
    let mut sent = 0;
    let refused = loop {
        match bench.send_record(9, None) {
            Ok(fee) => assert_eq!(fee, Amount::ZERO),
            Err(error) => break error,
        }
        sent += 1;
    };
    assert!(sent > 1_000, "{sent}");
    let CommandError::PoolFull { least_fee: Some(least) } = refused else { panic!("{refused:?}") };
    assert_eq!(refused.to_string(), format!("the memory pool has no room: mine first, or offer a fee of {least}"));
    assert_eq!(bench.send_record(0, Some(least)), Ok(least));
}
