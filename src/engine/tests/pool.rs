//! The memory pool: admission, eviction order, and floods.

use std::sync::Arc;

use quipu_protocol::check::check_transaction;
use quipu_protocol::ledger::Overlay;
use quipu_protocol::{
    Account, Action, Address, Amount, CheckedTransaction, Ledger, Network, Parameters, SecretKey, Transaction,
};

use super::super::event::PeerKey;
use super::super::mempool::{
    Dropped, ENTRY_BYTES, Mempool, NONCE_GAP_MAX, OWN_BYTES_MAX, PEER_BYTES_MAX, POOL_BYTES_MAX, Refusal,
    SENDER_TRANSACTIONS_MAX,
};
use crate::sim::random::Random;

struct PoolBench {
    network: Arc<Network>,
    ledger: Ledger,
    pool: Mempool,
}

fn key(seed: u32) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    SecretKey::from_seed(bytes)
}

fn address(seed: u32) -> Address {
    key(seed).public_key().address()
}

/// A pool, and accounts 1, 2, … with these balances.
fn pool(balances: &[u64]) -> PoolBench {
    let account = |(at, balance): (usize, &u64)| {
        (address(at as u32 + 1), Account { balance: Amount::from_units(*balance).into(), nonce: 0 })
    };
    PoolBench {
        network: Arc::new(Network::new(Parameters::dev()).expect("a preset is valid")),
        ledger: Ledger::from_accounts(balances.iter().enumerate().map(account)),
        pool: Mempool::default(),
    }
}

impl PoolBench {
    fn make(&self, from: u32, nonce: u64, amount: u64, fee: u64) -> CheckedTransaction {
        let action = Action::Transfer { to: Address([9; 20]), amount: Amount::from_units(amount) };
        self.sign(from, nonce, fee, action)
    }

    fn sign(&self, from: u32, nonce: u64, fee: u64, action: Action) -> CheckedTransaction {
        let key = key(from);
        let transaction = Transaction { sender: key.public_key(), nonce, fee: Amount::from_units(fee), action };
        CheckedTransaction::sign(transaction, &key, &self.network).expect("well formed")
    }

    fn add(&mut self, from: u32, nonce: u64, amount: u64, fee: u64) -> Result<(), Refusal> {
        let transaction = self.make(from, nonce, amount, fee);
        self.pool.add(transaction, None, false, &self.ledger)
    }

    /// Sender and nonce of the transactions that would be mined now.
    fn selected(&self) -> Vec<(Address, u64)> {
        let selected = self.pool.select(&self.ledger, usize::MAX);
        selected.iter().map(|one| (one.sender(), one.signed().transaction.nonce)).collect()
    }

    /// The selection by its definition: again and again the best paying transaction that can be mined.
    fn select_slowly(&self) -> Vec<CheckedTransaction> {
        let mut waiting = self.pool.list(&self.ledger);
        let mut overlay = Overlay::new(&self.ledger);
        let mut selected = Vec::new();
        // Fees are for equal lengths here, and `list` keeps the order in which equals came.
        loop {
            let can = |one: &CheckedTransaction| overlay.account(&one.sender()).nonce == one.signed().transaction.nonce;
            let Some(best) = waiting.iter().filter(|one| can(one)).map(|one| one.signed().transaction.fee).max() else {
                return selected;
            };
            let at = waiting.iter().position(|one| can(one) && one.signed().transaction.fee == best);
            let one = waiting.remove(at.expect("the best one is there"));
            overlay.apply(&one).expect("all that waits can be paid");
            selected.push(one);
        }
    }

    fn set(&mut self, account: u32, balance: u64, nonce: u64) {
        let account_now = self.ledger.account(&address(account));
        let after = Account { balance: Amount::from_units(balance).into(), nonce };
        let change = quipu_protocol::ledger::AccountChange { address: address(account), before: account_now, after };
        self.ledger.apply(&quipu_protocol::Delta { changes: vec![change].into() });
        self.pool.update([address(account)], &self.ledger);
    }
}

#[test]
fn transactions_signed_by_the_engine_pass_the_check() {
    let pool = pool(&[10]);
    let made = pool.make(1, 0, 5, 0);
    assert_eq!(check_transaction(made.signed().clone(), &pool.network), Ok(made));
}

#[test]
fn better_paying_ones_go_first_but_each_account_in_order() {
    let mut pool = pool(&[1000, 1000, 1000]);
    for (from, nonce, fee) in [(1, 0, 1), (1, 1, 90), (2, 0, 50), (3, 0, 50)] {
        pool.add(from, nonce, 1, fee).expect("taken");
    }
    let (a, b, c) = (address(1), address(2), address(3));
    assert_eq!(pool.selected(), [(b, 0), (c, 0), (a, 0), (a, 1)]);
}

#[test]
fn a_gap_waits_until_it_is_filled_and_is_bounded() {
    let mut pool = pool(&[1000]);
    pool.add(1, 1, 1, 0).expect("taken");
    assert_eq!(pool.selected(), []);
    assert!(!pool.pool.has_ready());
    pool.add(1, 0, 1, 0).expect("taken");
    assert_eq!(pool.selected().len(), 2);
    assert_eq!(pool.pool.next_nonce(&address(1), &pool.ledger), 2);
    assert_eq!(pool.add(1, 2 + NONCE_GAP_MAX + 1, 1, 0), Err(Refusal::Gap));
    assert_eq!(pool.add(1, u64::MAX, 1, 0), Err(Refusal::Gap));
    assert_eq!(pool.add(1, 2 + NONCE_GAP_MAX, 1, 0), Ok(()));
}

#[test]
fn all_pending_transactions_can_be_paid() {
    let mut pool = pool(&[100]);
    pool.add(1, 0, 60, 0).expect("taken");
    let refusal = pool.add(1, 1, 60, 0);
    let [balance, spendable, needed] = [100, 40, 60].map(Amount::from_units);
    assert_eq!(refusal, Err(Refusal::InsufficientBalance { balance: balance.into(), spendable, needed }));
    pool.add(1, 1, 39, 1).expect("taken");
    // The account pays something else meanwhile.
    pool.set(1, 70, 0);
    assert_eq!(pool.selected(), [(address(1), 0)]);
}

#[test]
fn a_replacement_pays_a_tenth_more() {
    let mut pool = pool(&[1000]);
    pool.add(1, 0, 5, 100).expect("taken");
    assert_eq!(pool.add(1, 0, 6, 109), Err(Refusal::FeeNotHigher));
    assert_eq!(pool.add(1, 0, 6, 110), Ok(()));
    assert_eq!(pool.pool.len(), 1);
    assert_eq!(pool.add(1, 0, 6, 110), Err(Refusal::Known));
    // From zero, one unit is more.
    pool.add(1, 1, 5, 0).expect("taken");
    assert_eq!(pool.add(1, 1, 6, 1), Ok(()));
}

#[test]
fn mined_and_overtaken_ones_leave() {
    let mut pool = pool(&[1000]);
    for nonce in 0..3 {
        pool.add(1, nonce, 1, 0).expect("taken");
    }
    pool.set(1, 990, 2);
    assert_eq!(pool.selected(), [(address(1), 2)]);
    assert_eq!(pool.add(1, 1, 7, 50), Err(Refusal::Stale));
}

#[test]
fn durable_ones_are_reported_when_they_leave() {
    let mut pool = pool(&[1000]);
    let kept = pool.make(1, 0, 1, 0);
    pool.pool.add(kept.clone(), None, true, &pool.ledger).expect("taken");
    pool.add(1, 1, 1, 0).expect("taken");
    pool.set(1, 900, 2);
    let dropped = pool.pool.take_dropped_durable();
    assert_eq!(dropped, [Dropped { transaction: kept, is_mined: false, is_own: false }]);
    assert!(pool.pool.is_empty() && pool.pool.bytes() == 0);
}

#[test]
fn one_sender_is_bounded() {
    let mut pool = pool(&[0]);
    let record = |pool: &PoolBench, nonce| pool.sign(1, nonce, 0, Action::Record { data: vec![].into() });
    for nonce in 0..SENDER_TRANSACTIONS_MAX as u64 {
        let transaction = record(&pool, nonce);
        pool.pool.add(transaction, None, false, &pool.ledger).expect("taken");
    }
    let one_more = record(&pool, SENDER_TRANSACTIONS_MAX as u64);
    assert_eq!(pool.pool.add(one_more, None, false, &pool.ledger), Err(Refusal::Full));
}

/// Free transactions from invented keys fill only their peer's share, and a full pool makes room for paying ones.
#[test]
fn a_flood_of_free_transactions_leaves_room_for_others() {
    let mut pool = pool(&[1_000_000]);
    let record =
        |pool: &PoolBench, from: u32, fee| pool.sign(from, 0, fee, Action::Record { data: vec![7; 4096].into() });
    let mut from = 100;
    let mut flood = |pool: &mut PoolBench, peer| loop {
        from += 1;
        let transaction = record(pool, from, 0);
        if let Err(refusal) = pool.pool.add(transaction, Some(PeerKey(peer)), false, &pool.ledger) {
            return refusal;
        }
    };
    assert_eq!(flood(&mut pool, 1), Refusal::ShareUsed);
    assert!(pool.pool.bytes() <= PEER_BYTES_MAX && pool.pool.bytes() > PEER_BYTES_MAX - 8192);
    let shares = POOL_BYTES_MAX.div_ceil(PEER_BYTES_MAX) as u64;
    for peer in 2..=shares {
        assert_eq!(flood(&mut pool, peer), Refusal::ShareUsed);
    }
    assert_eq!(flood(&mut pool, shares + 1), Refusal::Full);
    assert!(pool.pool.bytes() <= POOL_BYTES_MAX && pool.pool.bytes() > POOL_BYTES_MAX - 8192);
    let paying = record(&pool, 1, 50);
    pool.pool.add(paying.clone(), None, true, &pool.ledger).expect("paying transactions get in");
    pool.pool.assert_sound(&pool.ledger);
    assert_eq!(pool.pool.select(&pool.ledger, paying.length()), [paying]);
}

/// After any sequence of additions the sums are right, and the selection can be mined.
#[test]
fn the_pool_stays_sound() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut pool = pool(&[1000, 500, 100, 0]);
        let mut peer = 0;
        for _ in 0..400 {
            let from = random.between(1, 4) as u32;
            match random.between(0, 9) {
                0 => {
                    let account = pool.ledger.account(&address(from));
                    // Mined here, or undone by a reorganisation.
                    let nonce = (account.nonce + random.between(0, 4)).saturating_sub(2);
                    pool.set(from, random.between(0, 1000), nonce);
                }
                1 => {
                    pool.pool.forget_peer(PeerKey(peer));
                    peer += 1;
                }
                _ => {
                    let nonce = pool.ledger.account(&address(from)).nonce + random.between(0, 6);
                    let transaction = pool.make(from, nonce, random.between(1, 90), random.between(0, 20));
                    let from = Some(PeerKey(peer)).filter(|_| random.between(0, 2) > 0);
                    // Refused or not, the pool has to be sound.
                    let _ = pool.pool.add(transaction, from, from.is_none(), &pool.ledger);
                }
            }
            pool.pool.assert_sound(&pool.ledger);
            let selected = pool.pool.select(&pool.ledger, usize::MAX);
            let fees = |list: &[CheckedTransaction]| -> Vec<Amount> {
                list.iter().map(|one| one.signed().transaction.fee).collect()
            };
            assert_eq!(fees(&selected), fees(&pool.select_slowly()), "seed {seed}");
            assert_eq!(selected.is_empty(), !pool.pool.has_ready(), "seed {seed}");
        }
    }
}

/// A reorganisation reinstates all at once, and the pool is as if each was added by itself.
#[test]
fn bulk_reinstatement_equals_single_additions() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let (mut at_once, mut one_by_one) = (pool(&[1000, 500, 100, 0]), pool(&[1000, 500, 100, 0]));
        for account in 1..=4 {
            let (balance, nonce) = (random.between(0, 1000), random.between(0, 3));
            at_once.set(account, balance, nonce);
            one_by_one.set(account, balance, nonce);
        }
        for _ in 0..random.between(0, 30) {
            let (from, nonce) = (random.between(1, 4) as u32, random.between(0, 9));
            let waits = at_once.make(from, nonce, random.between(1, 90), random.between(0, 20));
            let from = Some(PeerKey(1)).filter(|_| random.between(0, 1) > 0);
            let added = at_once.pool.add(waits.clone(), from, from.is_none(), &at_once.ledger);
            assert_eq!(one_by_one.pool.add(waits, from, from.is_none(), &one_by_one.ledger), added);
        }
        // Some accounts have sent several, mostly each with its next nonce.
        let mut nonces = [0; 5];
        let mut left = Vec::new();
        for _ in 0..random.between(0, 20) {
            let from = random.between(1, 4) as usize;
            left.push(at_once.make(from as u32, nonces[from], random.between(1, 90), random.between(0, 20)));
            nonces[from] += random.between(0, 5).min(1);
        }
        let taken = at_once.pool.reinstate(&left, &at_once.ledger);
        let add = |one: &&CheckedTransaction| {
            one_by_one.pool.add(CheckedTransaction::clone(one), None, true, &one_by_one.ledger).is_ok()
        };
        assert_eq!(taken, left.iter().filter(add).cloned().collect::<Vec<_>>(), "seed {seed}");
        at_once.pool.assert_sound(&at_once.ledger);
        let all = |pool: &PoolBench| (pool.pool.list(&pool.ledger), pool.pool.best_ids(usize::MAX));
        assert_eq!(all(&at_once), all(&one_by_one), "seed {seed}");
        assert_eq!(at_once.pool.take_dropped_durable(), one_by_one.pool.take_dropped_durable(), "seed {seed}");
    }
}

/// Beyond the pool's bound, reinstated transactions compete for room as any others do.
#[test]
fn reinstated_transactions_pay_for_room_in_a_full_pool() {
    let mut pool = pool(&[0, 1_000_000]);
    let record =
        |pool: &PoolBench, from, nonce, fee| pool.sign(from, nonce, fee, Action::Record { data: vec![7; 4096].into() });
    let mut from = 100;
    loop {
        let one = record(&pool, from, 0, 0);
        if pool.pool.add(one, None, false, &pool.ledger).is_err() {
            break;
        }
        from += 1;
    }
    let before = pool.pool.len();
    let free: Vec<_> = (0..3).map(|nonce| record(&pool, 1, nonce, 0)).collect();
    let paying: Vec<_> = (0..3).map(|nonce| record(&pool, 2, nonce, 50)).collect();
    assert_eq!(pool.pool.reinstate(free.iter().chain(&paying), &pool.ledger), paying);
    assert_eq!(pool.pool.len(), before);
    pool.pool.assert_sound(&pool.ledger);
}

/// A queue with a gap is searched by halves, and the gap is found wherever it is.
#[test]
fn the_first_missing_nonce_is_found() {
    for hole in 0..9 {
        let mut pool = pool(&[1000]);
        for nonce in (0..9).filter(|nonce| *nonce != hole) {
            pool.add(1, nonce, 1, 0).expect("taken");
        }
        assert_eq!(pool.pool.next_nonce(&address(1), &pool.ledger), hole);
        pool.add(1, hole, 1, 0).expect("taken");
        assert_eq!(pool.pool.next_nonce(&address(1), &pool.ledger), 9);
    }
}

/// Fills the pool with free transactions of this length, each from another account without coins.
fn fill(pool: &mut PoolBench, first: u32, length: usize) {
    for from in first.. {
        let one = pool.sign(from, 0, 0, Action::Record { data: vec![7; length].into() });
        if let Err(refusal) = pool.pool.add(one, None, false, &pool.ledger) {
            return assert_eq!(refusal, Refusal::Full);
        }
    }
}

fn free_record(pool: &PoolBench, from: u32, nonce: u64) -> CheckedTransaction {
    pool.sign(from, nonce, 0, Action::Record { data: vec![8; 4096].into() })
}

#[test]
fn the_nodes_own_user_has_room_in_a_full_pool() {
    let mut pool = pool(&[1_000_000]);
    fill(&mut pool, 100, 4096);
    let own = free_record(&pool, 50, 0);
    assert_eq!(pool.pool.add(own.clone(), None, false, &pool.ledger), Err(Refusal::Full), "of a peer");
    pool.pool.add_own(own.clone(), &pool.ledger).expect("there is a reserve");
    pool.pool.assert_sound(&pool.ledger);
    // Nobody takes that room, whatever they pay.
    let before = pool.pool.len();
    for nonce in 0..3 {
        let paying = pool.sign(1, nonce, 50, Action::Record { data: vec![7; 4096].into() });
        pool.pool.add(paying, None, false, &pool.ledger).expect("it pays");
    }
    assert_eq!(pool.pool.len(), before, "three of the flood have left");
    assert!(pool.pool.get(&own.id()).is_some());
    // The reserve has an end, and then own ones compete.
    let mut taken = 1;
    let refusal = loop {
        if let Err(refusal) = pool.pool.add_own(free_record(&pool, 50, taken), &pool.ledger) {
            break refusal;
        }
        taken += 1;
    };
    let each = own.length() + ENTRY_BYTES;
    assert_eq!((refusal, taken), (Refusal::Full, (OWN_BYTES_MAX / each) as u64));
    pool.pool.assert_sound(&pool.ledger);
    // What is mined makes room.
    pool.set(50, 0, 1);
    pool.pool.add_own(free_record(&pool, 50, taken), &pool.ledger).expect("there is room again");
    pool.pool.assert_sound(&pool.ledger);
}

#[test]
fn among_free_transactions_those_of_accounts_with_coins_come_first() {
    let mut pool = pool(&[5, 0]);
    pool.pool.add(free_record(&pool, 2, 0), None, false, &pool.ledger).expect("taken");
    pool.pool.add(free_record(&pool, 1, 0), None, false, &pool.ledger).expect("taken");
    assert_eq!(pool.selected(), [(address(1), 0), (address(2), 0)]);
    fill(&mut pool, 100, 4096);
    let (with, without) = (free_record(&pool, 1, 1), free_record(&pool, 99, 0));
    assert_eq!(pool.pool.add(without, None, false, &pool.ledger), Err(Refusal::Full));
    pool.pool.add(with, None, false, &pool.ledger).expect("it evicts one without coins");
    pool.pool.assert_sound(&pool.ledger);
}

#[test]
fn among_free_transactions_the_account_with_the_most_of_the_pool_loses_first() {
    let mut pool = pool(&[]);
    for nonce in 0..2_000 {
        pool.pool.add(free_record(&pool, 7, nonce), None, false, &pool.ledger).expect("taken");
    }
    let each = free_record(&pool, 7, 0).length() + ENTRY_BYTES;
    for from in 100..100 + ((POOL_BYTES_MAX - pool.pool.bytes()) / each) as u32 {
        pool.pool.add(free_record(&pool, from, 0), None, false, &pool.ledger).expect("there is room");
    }
    assert_eq!(pool.pool.spendable(&address(7), &pool.ledger).1, 2_000);
    for from in 21..=40 {
        pool.pool.add(free_record(&pool, from, 0), None, false, &pool.ledger).expect("it has little of the pool");
    }
    assert_eq!(pool.pool.spendable(&address(7), &pool.ledger).1, 1_980);
    let more = free_record(&pool, 7, 1_980);
    assert_eq!(pool.pool.add(more, None, false, &pool.ledger), Err(Refusal::Full));
    pool.pool.assert_sound(&pool.ledger);
}

#[test]
fn the_price_is_the_least_fee_that_gets_in() {
    let mut pool = pool(&[1_000_000]);
    let length = free_record(&pool, 1, 0).length();
    assert_eq!(pool.pool.price().least_fee(length), Amount::ZERO, "there is room");
    fill(&mut pool, 100, 4096);
    let fee = pool.pool.price().least_fee(length).units();
    let pay = |pool: &PoolBench, fee| pool.sign(1, 0, fee, Action::Record { data: vec![8; 4096].into() });
    assert!(fee > 0 && pay(&pool, fee).length() == length);
    pool.pool.add(pay(&pool, fee), None, false, &pool.ledger).expect("the price is paid");
}
