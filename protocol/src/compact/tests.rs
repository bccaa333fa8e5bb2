use super::*;
use crate::account::{Address, PublicKey, Signature};
use crate::amount::Amount;
use crate::block::Body;
use crate::encode::{decode, encode};
use crate::network::{Network, Parameters};
use crate::transaction::{Action, Transaction};

fn network() -> Network {
    Network::new(Parameters::dev()).expect("a preset is valid")
}

/// Transfers with invalid signatures.
fn transfers(numbers: std::ops::Range<u64>) -> Vec<CheckedTransaction> {
    let network = network();
    let transfer = |nonce| {
        let action = Action::Transfer { to: Address([9; 20]), amount: Amount::COIN };
        let transaction = Transaction { sender: PublicKey::Ed25519([7; 32]), nonce, fee: Amount::ZERO, action };
        let signed = SignedTransaction { transaction, signature: Signature::Ed25519([0; 64]) };
        CheckedTransaction::recall(signed, &network)
    };
    numbers.map(transfer).collect()
}

fn block(transactions: &[CheckedTransaction]) -> CheckedBlock {
    let reward = Reward { to: Address([1; 20]), amount: Amount::COIN };
    let transactions = transactions.iter().map(|one| one.signed().clone()).collect();
    let Block { header, body: Body { context, .. } } = *network().genesis();
    CheckedBlock::recall(Block { header, body: Body { context, reward, transactions } }, &network())
}

fn leaves(transactions: &[CheckedTransaction]) -> Vec<LeafHash> {
    transactions.iter().map(CheckedTransaction::leaf).collect()
}

fn places_of<T>(found: &[Option<T>]) -> Vec<usize> {
    found.iter().enumerate().filter(|(_, one)| one.is_some()).map(|(place, _)| place).collect()
}

#[test]
fn a_block_is_a_fiftieth_of_itself_whatever_else_waits() {
    let all = transfers(0..60_000);
    let block = block(&all[..5_000]);
    for waiting in [0, 100, 5_000, 55_000] {
        let compact = CompactBlock::of(&block, leaves(&all[5_000..5_000 + waiting]));
        let length = encode(&compact).len();
        assert_eq!(compact.length(), length);
        assert!(length * 50 <= block.length(), "{length} bytes with {waiting} others for {}", block.length());
        let found = compact.find(&all[..5_000 + waiting]);
        let found: Option<Vec<_>> = found.into_iter().collect();
        assert_eq!(found.as_deref(), Some(block.transactions()), "with {waiting} others, all are told apart");
    }
}

#[test]
fn unknown_transactions_are_missing() {
    let all = transfers(0..1_000);
    let compact = CompactBlock::of(&block(&all[..100]), leaves(&all[100..]));
    let known: Vec<_> = all.iter().filter(|one| one.signed().transaction.nonce % 10 != 3).cloned().collect();
    let found = compact.find(&known);
    assert_eq!(places_of(&found), (0..100).filter(|place| place % 10 != 3).collect::<Vec<_>>());
    assert!(found.iter().zip(&all).all(|(found, own)| found.is_none() || found.as_ref() == Some(own)));
}

#[test]
fn transactions_that_share_an_id_are_told_apart_by_hints_and_only_by_them() {
    let all = transfers(0..20_000);
    let block = block(&all[..2_000]);
    let others = leaves(&all[2_000..]);
    // About a quarter of the positions share their 16 bits with another one.
    let hinted = CompactBlock::with_id_bits(&block, others, ID_BITS_MIN);
    assert!((300..700).contains(&hinted.hints().len()), "{} hints", hinted.hints().len());
    assert!(hinted.find(&all).iter().all(Option::is_some));
    let own = CompactBlock::with_id_bits(&block, [], ID_BITS_MIN);
    assert!(own.hints().len() < 100, "{} hints", own.hints().len());
    assert!(own.find(block.transactions()).iter().all(Option::is_some));
    let found = own.find(&all);
    let wrong = found.iter().zip(&all).filter(|(found, own)| found.as_ref().is_some_and(|found| found != *own));
    assert_eq!(wrong.count(), 0, "where two fit, none is taken");
    assert!(found.iter().any(Option::is_none));
}

#[test]
fn a_transaction_that_fits_two_places_is_at_neither() {
    let all = transfers(0..3);
    let compact = CompactBlock::with_id_bits(&block(&all), [], ID_BITS_MIN);
    let mut bytes = encode(&compact);
    let ids = bytes.len() - 8 - 6;
    let first = bytes[ids..ids + 2].to_vec();
    bytes[ids + 4..ids + 6].copy_from_slice(&first);
    let twice: CompactBlock = decode(&bytes, 1000).expect("it is well formed");
    assert_eq!(places_of(&twice.find(&all)), [1]);
}

#[test]
fn only_announced_transactions_fit() {
    let all = transfers(0..50);
    let compact = CompactBlock::of(&block(&all[..40]), leaves(&all[40..]));
    let signed = |places: &[usize]| places.iter().map(|place| all[*place].signed().clone()).collect::<Vec<_>>();
    assert!(compact.fits(&[3, 17, 39], &signed(&[3, 17, 39])));
    let mut resigned = signed(&[3]);
    resigned[0].signature = Signature::Ed25519([1; 64]);
    let wrong: [(&[u32], Vec<SignedTransaction>); 6] = [
        (&[3, 17], signed(&[3])),
        (&[3], signed(&[3, 17])),
        (&[3, 17], signed(&[17, 3])),
        (&[3], signed(&[45])),
        (&[3], resigned),
        (&[40], signed(&[40])),
    ];
    for (places, transactions) in wrong {
        assert!(!compact.fits(places, &transactions), "{places:?}");
    }
}

#[test]
fn ids_of_every_width_are_read_as_they_were_packed() {
    for id_bits in ID_BITS_MIN..=ID_BITS_MAX {
        for count in 0..20 {
            let ids: Vec<u32> = (0..count)
                .map(|at: u32| id_of(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(u64::from(at) + 1), id_bits))
                .collect();
            let packed = pack(ids.iter().copied(), id_bits).into();
            let Block { header, body: Body { context, reward, .. } } = network().genesis().clone();
            let compact = CompactBlock { header, context, reward, id_bits, ids: packed, hints: List::default() };
            assert_eq!((0..compact.count()).map(|place| compact.id(place)).collect::<Vec<_>>(), ids, "{id_bits}");
            assert_eq!(decode(&encode(&compact), 1000), Ok(compact));
        }
    }
}

#[test]
fn fetching_in_groups_keeps_items_and_order() {
    for count in [0, 1, 63, 64, 65, 200] {
        assert!(fetched(0..count).eq(0..count), "{count}");
    }
}
