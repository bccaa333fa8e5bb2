//! Makes the vectors of blocks whose header commits to a body that breaks a rule.

use quipu_protocol::{Action, Amount, Block, Context, HistoryNode, OutcomeHash, Peaks, SignedTransaction};

use crate::chains::{COIN, CaseChain, MINER, funded};
use crate::form::ChainCase;
use crate::world::{network, record, sign, transfer};

/// A block with these transactions, on a chain where the miner owns two coins.
fn with(name: &str, rule: u8, transactions: impl FnOnce(&CaseChain) -> Vec<SignedTransaction>) -> ChainCase {
    let mut chain = funded();
    let transactions = transactions(&chain);
    chain.good(10_000, transactions);
    chain.rejected(name, rule, "block")
}

/// A block with one payment and a fee of 1000, with its reward edited before the header is made.
fn reward(name: &str, edit: impl FnOnce(u64) -> u64) -> ChainCase {
    let mut chain = funded();
    let payment = chain.sign(MINER, 0, 1000, 2, 5);
    let mut block: Block = chain.draft(10_000, vec![payment]);
    block.body.reward.amount = Amount::from_units(edit(block.body.reward.amount.units()));
    block.header.root = block.body.root();
    chain.push(block);
    chain.rejected(name, 17, "block")
}

/// A block whose context is edited before the header is made.
fn context(name: &str, rule: u8, edit: impl FnOnce(&CaseChain, &mut Context)) -> ChainCase {
    let mut chain = funded();
    let mut block: Block = chain.draft(10_000, vec![]);
    edit(&chain, &mut block.body.context);
    block.header.root = block.body.root();
    chain.push(block);
    chain.rejected(name, rule, "block")
}

/// A block in a network whose subsidy is the largest 64-bit amount; the miner owns one subsidy.
fn riches(name: &str, transactions: impl FnOnce(&CaseChain) -> Vec<SignedTransaction>) -> ChainCase {
    let mut chain = CaseChain::new("riches");
    chain.good(10_000, vec![]);
    let transactions = transactions(&chain);
    chain.good(10_000, transactions);
    chain.rejected(name, 18, "block")
}

pub(crate) fn rejected() -> Vec<ChainCase> {
    let mut replayed = funded();
    let payment = replayed.sign(MINER, 0, 1000, 2, 5);
    replayed.good(10_000, vec![payment.clone()]).good(10_000, vec![payment]);
    let mut heir = CaseChain::new("heirs");
    let more = heir.sign(2, 0, 0, 5, 700_000_001);
    heir.good(10_000, vec![more]);
    vec![
        with("a record one byte too long", 3, |chain| vec![sign(&chain.network, MINER, 0, 1000, record(4097))]),
        with("a fee below the least", 8, |chain| vec![chain.sign(MINER, 0, 999, 2, 5)]),
        with("a transfer of nothing", 9, |chain| vec![chain.sign(MINER, 0, 1000, 2, 0)]),
        with("one bad signature among good ones", 10, |chain| {
            let mut transactions: Vec<_> = (0..3).map(|nonce| chain.sign(MINER, nonce, 1000, 2, 5)).collect();
            transactions[1].signature = transactions[0].signature;
            transactions
        }),
        with("a replay: a transaction of the network dev", 10, |_| {
            vec![sign(&network("dev"), MINER, 0, 1000, transfer(2, 5))]
        }),
        with("the same nonce twice in one block", 15, |chain| {
            vec![chain.sign(MINER, 0, 1000, 2, 5), chain.sign(MINER, 0, 1000, 3, 5)]
        }),
        with("the same transaction twice in one block", 15, |chain| {
            vec![chain.sign(MINER, 0, 1000, 2, 5), chain.sign(MINER, 0, 1000, 2, 5)]
        }),
        with("a gap before the nonce", 15, |chain| vec![chain.sign(MINER, 1, 1000, 2, 5)]),
        with("nonces in the wrong order", 15, |chain| {
            vec![chain.sign(MINER, 1, 1000, 2, 5), chain.sign(MINER, 0, 1000, 2, 5)]
        }),
        replayed.rejected("a replay: a transaction of the block before", 15, "block"),
        with("one unit more than there is", 16, |chain| vec![chain.sign(MINER, 0, 1000, 2, 2 * COIN - 999)]),
        with("a fee that cannot be paid", 16, |chain| {
            vec![sign(&chain.network, 5, 0, 1000, Action::Record { data: vec![].into() })]
        }),
        with("two payments of which only one can be paid", 16, |chain| {
            vec![chain.sign(MINER, 0, 1000, 2, COIN + COIN / 2), chain.sign(MINER, 1, 1000, 2, COIN)]
        }),
        with("the reward of a block spent in the same block", 16, |chain| {
            vec![chain.sign(MINER, 0, 1000, 2, 2 * COIN + 1)]
        }),
        with("to oneself, more than there is", 16, |chain| vec![chain.sign(MINER, 0, 1000, MINER, 2 * COIN)]),
        reward("a reward one unit too high", |amount| amount + 1),
        reward("a reward one unit too low", |amount| amount - 1),
        reward("a reward without the fees", |amount| amount - 1000),
        reward("a reward of nothing", |_| 0),
        reward("a reward of all that 64 bits hold", |_| u64::MAX),
        riches("overflow: fee and amount", |chain| vec![chain.sign(MINER, 0, 2, 2, u64::MAX - 1)]),
        riches("overflow: subsidy and fees", |chain| vec![chain.sign(MINER, 0, 1, 2, 5)]),
        context("the history of other blocks", 20, |_, context| context.history.0[31] ^= 1),
        context("a history that ends with the parent's parent", 20, |chain, context| {
            let headers = [chain.network.genesis().header, chain.first()];
            context.history = headers.iter().map(HistoryNode::of).collect::<Peaks>().root();
        }),
        context("a history that has the block's own parent twice", 20, |chain, context| {
            let mut below = chain.below().clone();
            below.push(HistoryNode::of(&chain.tip), |_, _| {});
            context.history = below.root();
        }),
        context("an outcome where there are no contracts", 21, |_, context| context.outcome = OutcomeHash([1; 32])),
        heir.rejected("one unit more than an opening balance", 16, "block"),
    ]
}
