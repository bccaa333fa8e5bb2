use super::*;
use crate::amount::Amount;
use crate::block::VERSION;
use crate::hash::HistoryHash;
use crate::network::Parameters;

fn network() -> Network {
    Network::new(Parameters::dev()).expect("a preset is valid")
}

fn transfer(seed: u8, nonce: u64) -> SignedTransaction {
    let key = SecretKey::from_seed([seed; 32]);
    let action = Action::Transfer { to: Address([9; 20]), amount: Amount::COIN };
    Transaction { sender: key.public_key(), nonce, fee: Amount::ZERO, action }.sign(&network().genesis_id(), &key)
}

fn mine(body: Body, network: &Network) -> Block {
    let genesis = network.genesis().header;
    let mut header = Header {
        version: VERSION,
        height: Height(1),
        parent: network.genesis_id(),
        root: body.root(),
        timestamp: genesis.timestamp,
        target: network.parameters().easiest_target,
        nonce: 0,
    };
    while check_header(&header, network).is_err() {
        header.nonce += 1;
    }
    Block { header, body }
}

fn body(transactions: Vec<SignedTransaction>) -> Body {
    let context = Context::of(HistoryHash([8; 32]));
    let reward = Reward { to: Address([1; 20]), amount: Amount::COIN };
    Body { context, reward, transactions: transactions.into() }
}

#[test]
fn a_good_block_passes_and_keeps_its_bytes() {
    let network = network();
    let block = mine(body((0..5).map(|nonce| transfer(2, nonce)).collect()), &network);
    let bytes = encode(&block);
    let checked = check_block_bytes(&bytes, &network).expect("a valid block");
    assert_eq!((checked.length(), encode(&checked)), (bytes.len(), bytes));
    assert_eq!(checked.to_block(), block);
    assert_eq!(CheckedBlock::recall(block, &network), checked);
    let assembled = CheckedBlock::assemble(
        *checked.header(),
        *checked.context(),
        *checked.reward(),
        checked.transactions().to_vec(),
        &network,
    );
    assert_eq!(assembled, Ok(checked));
}

#[test]
fn one_bad_signature_among_good_ones_is_named() {
    let network = network();
    let mut transactions: Vec<_> = (0..5).map(|nonce| transfer(2, nonce)).collect();
    transactions[3].signature = transactions[2].signature;
    let id = transactions[3].transaction.id(&network.genesis_id());
    let results = check_transactions(transactions.clone(), &network);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 4);
    assert_eq!(results[3], Err(Violation::Signature { id }));
    assert_eq!(check_block(mine(body(transactions), &network), &network), Err(Violation::Signature { id }));
}

#[test]
fn lists_that_are_verified_together_have_the_verdicts_of_each_alone() {
    let network = network();
    let mut lists: Vec<Vec<_>> = [0..3, 3..3, 3..4, 4..9]
        .map(|nonces: std::ops::Range<u64>| nonces.map(|nonce| transfer(2, nonce)).collect())
        .into();
    let alone = |lists: &[Vec<SignedTransaction>]| -> Vec<_> {
        lists.iter().map(|list| check_transactions(list.clone(), &network)).collect()
    };
    assert_eq!(check_lists(lists.clone(), &network), alone(&lists));
    lists[3][1].signature = lists[0][0].signature;
    lists[2][0].transaction.action = Action::Transfer { to: Address([1; 20]), amount: Amount::ZERO };
    let verdicts = check_lists(lists.clone(), &network);
    assert_eq!(verdicts, alone(&lists));
    assert_eq!(verdicts.iter().flatten().filter(|verdict| verdict.is_err()).count(), 2);
    assert_eq!(check_lists(vec![], &network), Vec::<Vec<_>>::new());
}

#[test]
fn a_signature_for_another_network_is_none_here() {
    let network = network();
    let key = SecretKey::from_seed([2; 32]);
    let transaction = transfer(2, 0).transaction;
    let lan = Network::new(Parameters::lan()).expect("a preset is valid");
    let replayed = transaction.sign(&lan.genesis_id(), &key);
    assert!(check_transaction(replayed.clone(), &lan).is_ok());
    assert!(matches!(check_transaction(replayed, &network), Err(Violation::Signature { .. })));
}

#[test]
fn a_mutilated_body_is_not_blamed_on_the_header() {
    let network = network();
    let mut block = mine(body(vec![transfer(2, 0), transfer(2, 1)]), &network);
    let mut transactions = block.body.transactions.into_vec();
    transactions.push(transactions[1].clone());
    block.body.transactions = transactions.into();
    let violation = check_block(block, &network).expect_err("a repeated transaction changes the root");
    assert_eq!((violation.rule(), violation.blame()), (7, crate::Blame::Bytes));
}

#[test]
fn an_overlong_body_condemns_only_the_header_that_commits_to_it() {
    let network = network();
    let data = || Action::Record { data: vec![0; RECORD_BYTES_MAX].into() };
    let record = |nonce| {
        let key = SecretKey::from_seed([2; 32]);
        Transaction { sender: key.public_key(), nonce, fee: Amount::ZERO, action: data() }
            .sign(&network.genesis_id(), &key)
    };
    let overlong = body((0..256).map(record).collect());
    let judge = |block: Block| {
        let violation = check_block_bytes(&encode(&block), &network).expect_err("more than 1 MiB");
        (violation.rule(), violation.blame())
    };
    assert_eq!(judge(mine(overlong.clone(), &network)), (2, crate::Blame::Block));
    let good = mine(body(vec![]), &network);
    assert_eq!(judge(Block { header: good.header, body: overlong }), (7, crate::Blame::Bytes));
}
