//! Transactions whose blocks leave the best chain: their fate, and the report to the user.

use std::collections::BTreeSet;

use quipu_protocol::encode::encode;
use quipu_protocol::{
    Action, Amount, Block, Body, Header, Height, Parameters, Reward, SignedTransaction, Transaction, Wei,
};

use super::super::chain::LEFT_BYTES_MAX;
use super::super::event::{Fate, GoneReason, Notice, Place, ROLLED_BACK_TOLD_MAX, RolledBack};
use super::super::mempool::{NONCE_GAP_MAX, SENDER_TRANSACTIONS_MAX};
use super::{Bench, headers, key};

impl Bench {
    /// A branch of blocks by one miner with these transactions, a list for each block.
    pub(super) fn branch(&self, on: &Header, miner: u8, contents: Vec<Vec<SignedTransaction>>) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for transactions in contents {
            let parent = blocks.last().map_or(*on, |block| block.header);
            blocks.push(self.block(&parent, miner, transactions));
        }
        blocks
    }

    pub(super) fn gossip_blocks(&mut self, blocks: &[Block]) {
        let peer = self.connect();
        for block in blocks {
            self.gossip_block(peer, block);
        }
    }

    /// The notices of rolled back transactions so far, and the number of unlisted ones in each.
    fn rolled_back(&self) -> Vec<(&[RolledBack], usize)> {
        let told = |notice| match notice {
            &Notice::RolledBack { ref transactions, untold } => Some((&transactions[..], untold)),
            _ => None,
        };
        self.seen.notices.iter().filter_map(told).collect()
    }
}

/// The transaction, its former block, and its fate.
fn row(told: &RolledBack) -> (SignedTransaction, Place, Fate) {
    (told.transaction.signed().clone(), told.place, told.fate)
}

fn place(block: &Block) -> Place {
    Place { height: block.header.height, id: block.header.id() }
}

#[test]
fn each_transaction_of_a_block_that_left_is_told_with_its_fate() {
    let mut bench = Bench::new();
    let common = bench.chain(&bench.genesis(), 2, 1);
    let fork = common[1].header;
    let in_both = bench.send(1, 0, 3, 10, 0);
    let (replaced, replacement) = (bench.send(1, 1, 3, 11, 0), bench.send(1, 1, 4, 11, 0));
    let waits_again = bench.send(1, 2, 3, 12, 0);
    // Only the losing branch has given the second account any coins.
    let unpaid: Vec<_> = (0..=NONCE_GAP_MAX + 1).map(|nonce| bench.send(2, nonce, 3, 1, 0)).collect();
    let to_us = bench.send(1, 3, 0, 13, 0);
    let ours = [
        vec![in_both.clone(), replaced.clone()],
        [vec![waits_again.clone()], unpaid.clone(), vec![to_us.clone()]].concat(),
    ];
    let ours = bench.branch(&fork, 2, ours.to_vec());
    let theirs = bench.branch(&fork, 1, vec![vec![], vec![in_both.clone()], vec![replacement]]);
    bench.gossip_blocks(&[common, ours.clone()].concat());
    bench.seen.notices.clear();
    bench.gossip_blocks(&theirs);

    let at = bench.seen.notices.iter().position(|notice| matches!(notice, Notice::RolledBack { .. }));
    let after = &bench.seen.notices[at.expect("told") + 1];
    assert!(matches!(after, Notice::Tip { reorg_depth: 2, returned: 2, .. }), "{after:?}");
    let told = bench.rolled_back();
    assert_eq!((told.len(), told[0].1), (1, 0));
    let (first, second) = (place(&ours[0]), place(&ours[1]));
    let mut want = vec![
        (to_us, second, Fate::Pending),
        (in_both, first, Fate::Mined),
        (replaced, first, Fate::Gone(GoneReason::NonceUsed)),
        (waits_again, second, Fate::Pending),
    ];
    let last = unpaid.len() - 1;
    want.extend(unpaid.into_iter().enumerate().map(|(at, transaction)| {
        let reason = if at == last { GoneReason::NonceGap } else { GoneReason::NoCoins };
        (transaction, second, Fate::Gone(reason))
    }));
    assert_eq!(told[0].0.iter().map(row).collect::<Vec<_>>(), want);
}

/// The own account loses the rewards and the payments of the blocks that left, and the user is told how much.
#[test]
fn a_fall_of_the_own_balance_is_told() {
    let fall = |miners: [u8; 2], theirs: u8| {
        let mut bench = Bench::new();
        let common = bench.chain(&bench.genesis(), 1, 0);
        let fork = common[0].header;
        let first = bench.block(&fork, miners[0], vec![]);
        let second = bench.block(&first.header, miners[1], vec![]);
        bench.gossip_blocks(&[common, vec![first, second]].concat());
        let before = bench.engine.view().balance;
        bench.gossip_blocks(&bench.chain(&fork, 3, theirs));
        let fell = bench.seen.notices.iter().filter_map(|notice| match notice {
            Notice::Tip { reorg_depth: 2, fell, .. } => Some(*fell),
            _ => None,
        });
        let fell: Vec<_> = fell.collect();
        let seen = before.checked_sub(bench.engine.view().balance).unwrap_or_default();
        assert_eq!(fell, [seen], "once, and as the view shows it");
        fell[0]
    };
    let reward = Wei::from(Parameters::dev().subsidy);
    let twice = reward.checked_add(reward).expect("small");
    assert_eq!(fall([0, 0], 1), twice);
    assert_eq!(fall([0, 1], 1), reward, "the newest block left it as it was");
    assert_eq!(fall([1, 1], 2), Wei::ZERO);
    assert_eq!(fall([1, 0], 0), Wei::ZERO, "it rises");
}

/// The new tip is reported when everything of the same moment is connected, and its transactions with it.
#[test]
fn a_transaction_is_mined_again_also_above_where_the_chains_changed_places() {
    let mut bench = Bench::new();
    let common = bench.chain(&bench.genesis(), 1, 1);
    let fork = common[0].header;
    let sent = bench.send(1, 0, 3, 10, 0);
    let ours = bench.branch(&fork, 2, vec![vec![sent.clone()]]);
    let theirs = bench.branch(&fork, 4, vec![vec![], vec![], vec![], vec![sent]]);
    bench.gossip_blocks(&[common, ours].concat());
    let peer = bench.connect_with(&theirs[3].header, 5);
    bench.answer_headers(peer, &headers(&theirs));
    bench.answer_blocks(peer, &theirs);
    assert_eq!(bench.tip(), theirs[3].header.id());
    assert_eq!(bench.rolled_back()[0].0[0].fate, Fate::Mined);
}

#[test]
fn own_transactions_are_reported_and_the_rest_is_counted() {
    let mut bench = Bench::new();
    let common = bench.chain(&bench.genesis(), 1, 1);
    let fork = common[0].header;
    let count = SENDER_TRANSACTIONS_MAX as u64 + 1;
    // The last one pays us, and is the one that finds no room in the pool.
    let sent: Vec<_> =
        (0..count).map(|nonce| bench.send(1, nonce, if nonce + 1 == count { 0 } else { 3 }, 1, 0)).collect();
    let contents = sent.chunks(2_048).map(<[_]>::to_vec).collect::<Vec<_>>();
    let ours = bench.branch(&fork, 2, contents);
    let theirs = bench.chain(&fork, ours.len() as u64 + 1, 4);
    bench.gossip_blocks(&[common, ours, theirs].concat());

    let told = bench.rolled_back();
    let [(told, untold)] = told[..] else { panic!("one reorganisation, one notice: {}", told.len()) };
    assert_eq!((told.len(), untold), (ROLLED_BACK_TOLD_MAX, sent.len() - ROLLED_BACK_TOLD_MAX));
    assert_eq!(told[0].transaction.signed(), &sent[sent.len() - 1]);
    assert_eq!(told[0].fate, Fate::Gone(GoneReason::NoRoom));
    for (told, sent) in told[1..].iter().zip(&sent) {
        assert_eq!((told.transaction.signed(), told.fate), (sent, Fate::Pending));
    }
}

/// Some transactions are mined again in other blocks: the rest is pending again, and the user is told of all.
#[test]
fn some_of_many_are_mined_again_and_the_rest_is_pending_again() {
    const UNTOLD: usize = 400;
    const SENT: usize = ROLLED_BACK_TOLD_MAX + UNTOLD;
    for mined_again in [0, 1_499, 1_500, SENT] {
        let mut bench = Bench::new();
        let common = bench.chain(&bench.genesis(), 1, 1);
        let fork = common[0].header;
        let sent: Vec<_> = (0..SENT as u64).map(|nonce| bench.send(1, nonce, 3, 1, 0)).collect();
        let ours = bench.branch(&fork, 2, sent.chunks(1_500).map(<[_]>::to_vec).collect());
        let mut contents: Vec<_> = sent[..mined_again].chunks(1_200).map(<[_]>::to_vec).collect();
        contents.resize(ours.len() + 1, Vec::new());
        let theirs = bench.branch(&fork, 4, contents);
        bench.gossip_blocks(&[common, ours, theirs.clone()].concat());

        assert_eq!(bench.tip(), theirs[theirs.len() - 1].header.id());
        let [(told, UNTOLD)] = bench.rolled_back()[..] else { panic!("one notice") };
        let fates = (0..ROLLED_BACK_TOLD_MAX).map(|at| if at < mined_again { Fate::Mined } else { Fate::Pending });
        assert!(told.iter().map(|one| one.fate).eq(fates), "{mined_again} were mined again");
        assert_eq!(bench.engine.view().pending, SENT - mined_again);
    }
}

#[test]
fn blocks_without_transactions_roll_nothing_back() {
    let mut bench = Bench::new();
    let genesis = bench.genesis();
    let (ours, theirs) = (bench.chain(&genesis, 2, 1), bench.chain(&genesis, 3, 2));
    bench.gossip_blocks(&[ours, theirs].concat());
    assert_eq!((bench.height(), bench.rolled_back().len()), (3, 0));
}

/// The way back from a branch whose block turned out bad.
#[test]
fn a_reorganisation_that_fails_rolls_nothing_back() {
    let mut bench = Bench::new();
    let common = bench.chain(&bench.genesis(), 1, 1);
    let fork = common[0].header;
    let ours = bench.branch(&fork, 1, vec![vec![bench.send(1, 0, 3, 5, 0)]]);
    let mut theirs = bench.branch(&fork, 2, vec![vec![bench.send(1, 0, 4, 5, 0)]]);
    theirs.push(bench.bad_block(&theirs[0].header));
    bench.gossip_blocks(&[common, ours.clone(), theirs].concat());
    assert_eq!(bench.tip(), ours[0].header.id());
    assert_eq!(bench.rolled_back().len(), 0);
    assert!(bench.seen.notices.iter().any(|notice| matches!(notice, Notice::BlockRefused { .. })));
}

impl Bench {
    /// A block with an excessive reward, which only the rules on accounts reveal.
    fn bad_block(&self, parent: &Header) -> Block {
        let reward = Reward { to: key(9).public_key().address(), amount: Amount::from_units(Amount::COIN.units() + 1) };
        self.solve(parent, Body { context: self.context(parent), reward, transactions: vec![].into() }, |_| {})
    }
}

/// The second branch is better than the good part of the first, and all blocks of both are there at once.
#[test]
fn two_reorganisations_at_once_are_both_reported() {
    let mut bench = Bench::new();
    let common = bench.chain(&bench.genesis(), 1, 1);
    let fork = common[0].header;
    let sent = bench.send(1, 0, 3, 5, 0);
    bench.gossip_blocks(&[common, bench.branch(&fork, 1, vec![vec![sent]])].concat());
    // Blocks must be loaded before the tip can be left, and the others arrive meanwhile.
    bench.restart();
    bench.hold_loads = true;
    let mut first = bench.chain(&fork, 2, 2);
    first.push(bench.bad_block(&first[1].header));
    first.extend(bench.chain(&first[2].header, 2, 2));
    let second = bench.chain(&fork, 3, 4);
    bench.gossip_blocks(&first);
    bench.gossip_blocks(&second);
    bench.release_held();
    assert_eq!(bench.tip(), second[2].header.id());
    let depths: Vec<u64> = bench
        .seen
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Tip { reorg_depth, .. } => Some(*reorg_depth),
            _ => None,
        })
        .collect();
    assert_eq!(depths, [1, 2]);
    let told = bench.rolled_back();
    assert_eq!(told.iter().map(|(told, _)| told[0].fate).collect::<Vec<_>>(), [Fate::Pending]);
    assert_eq!(bench.engine.view().pending, 1);
}

/// A transaction that was mined again, in a block that is disconnected because of a bad one above it, is pending again.
#[test]
fn transactions_of_a_bad_branch_are_pending_again() {
    let mut bench = Bench::new();
    let common = bench.chain(&bench.genesis(), 1, 1);
    let fork = common[0].header;
    let sent = bench.send(1, 0, 3, 5, 0);
    bench.gossip_blocks(&[common, bench.branch(&fork, 1, vec![vec![sent.clone()], vec![]])].concat());
    bench.restart();
    bench.hold_loads = true;
    let mut bad = bench.branch(&fork, 2, vec![vec![sent]]);
    bad.push(bench.bad_block(&bad[0].header));
    bad.extend(bench.chain(&bad[1].header, 2, 2));
    let good = bench.chain(&fork, 3, 4);
    bench.gossip_blocks(&bad);
    bench.gossip_blocks(&good);
    bench.release_held();
    assert_eq!(bench.tip(), good[2].header.id());
    assert!(bench.seen.notices.iter().any(|notice| matches!(notice, Notice::BlockRefused { .. })));
    let told = bench.rolled_back();
    assert_eq!(told.iter().map(|(told, _)| told[0].fate).collect::<Vec<_>>(), [Fate::Pending]);
    assert_eq!(bench.engine.view().pending, 1);
}

/// A part of the old chain comes back when a branch turns out bad: its transactions are not reported.
#[test]
fn transactions_of_a_restored_part_are_not_rolled_back() {
    let mut bench = Bench::new();
    let common = bench.chain(&bench.genesis(), 1, 1);
    let fork = common[0].header;
    let sent: Vec<_> = (0..3).map(|nonce| bench.send(1, nonce, 3, 5, 0)).collect();
    let ours = bench.branch(&fork, 1, sent.iter().map(|one| vec![one.clone()]).collect());
    bench.gossip_blocks(&[common, ours.clone()].concat());
    bench.restart();
    bench.hold_loads = true;
    // A branch from below all of ours with all sent transactions, and one from below our last block with one of two.
    let mut bad = bench.branch(&fork, 2, vec![sent.clone()]);
    bad.push(bench.bad_block(&bad[0].header));
    bad.extend(bench.chain(&bad[1].header, 3, 2));
    let good = bench.branch(&ours[0].header, 4, vec![vec![], vec![sent[1].clone()], vec![]]);
    bench.gossip_blocks(&bad);
    bench.gossip_blocks(&good);
    bench.release_held();
    assert_eq!(bench.tip(), good[2].header.id());
    assert!(bench.seen.notices.iter().any(|notice| matches!(notice, Notice::BlockRefused { .. })));
    let want = vec![(sent[1].clone(), place(&ours[1]), Fate::Mined), (sent[2].clone(), place(&ours[2]), Fate::Pending)];
    let [(told, 0)] = bench.rolled_back()[..] else { panic!("one notice") };
    assert_eq!(told.iter().map(row).collect::<Vec<_>>(), want);
}

/// The newest transactions are forgotten, since they need earlier ones, but never those of the node's own account; and
/// the user is told how many are forgotten.
#[test]
fn a_very_deep_reorganisation_has_bounded_memory() {
    let large = Parameters { block_bytes_max: 4 << 20, ..Parameters::dev() };
    let mut bench = Bench::with(large);
    let genesis = bench.genesis();
    let mut ours = bench.large_chain(&genesis, 10, 1);
    let of_one = ours[0].body.transactions.len();
    let action = Action::Record { data: vec![7].into() };
    let own = Transaction { sender: key(0).public_key(), nonce: 0, fee: Amount::ZERO, action };
    let own = own.sign(&bench.network.genesis_id(), &key(0));
    ours.push(bench.block(&ours[9].header, 1, vec![own.clone()]));
    bench.gossip_blocks(&ours);
    bench.restart();
    bench.hold_loads = true;
    bench.gossip_blocks(&bench.chain(&genesis, 12, 2));
    let mut most = 0;
    while let Some(load) = bench.held.pop() {
        bench.event(load);
        most = most.max(bench.occupancy("left_block_bytes"));
    }
    let block_bytes = encode(&ours[0]).len();
    let kept = LEFT_BYTES_MAX / block_bytes;
    assert!(kept < ours.len() && most <= LEFT_BYTES_MAX && most > LEFT_BYTES_MAX - block_bytes, "{most}");
    assert_eq!((bench.height(), bench.occupancy("left_block_bytes")), (12, 0));
    let [(told, untold)] = bench.rolled_back()[..] else { panic!("one notice") };
    assert_eq!(told.len() + untold, 10 * of_one + 1);
    assert_eq!((told[0].transaction.signed(), told[0].place.height, told[0].fate), (&own, Height(11), Fate::Pending));
    assert_eq!(bench.engine.view().pending, kept * of_one + 1);
    let others = bench.disk.stored().pending.into_iter().filter(|signed| *signed != own);
    let waiting: BTreeSet<u64> = others.map(|signed| signed.transaction.nonce).collect();
    assert!(waiting.into_iter().eq(0..(kept * of_one) as u64), "the oldest are pending again");
    let depth = |notice: &Notice| matches!(notice, Notice::Tip { reorg_depth: 11, .. });
    assert!(bench.seen.notices.iter().any(depth));
}
