//! Adversaries' gains, and the limits of them.

use crate::engine::event::{Answer, Command, Fault, Notice};
use crate::protocol::{Action, Millis, Network, Parameters, Target};
use crate::sim::adversary::Adversary;
use crate::sim::adversary::double_spend::DoubleSpend;
use crate::sim::adversary::eclipse::Eclipse;
use crate::sim::adversary::equivocate::Equivocator;
use crate::sim::adversary::liar::Liar;
use crate::sim::adversary::pretender::Pretender;
use crate::sim::adversary::spam::Spam;
use crate::sim::adversary::timestamp::Timestamp;
use crate::sim::adversary::uncle::Uncle;
use crate::sim::id::NodeId;
use crate::sim::judge::Judge;
use crate::sim::miner::HashRate;
use crate::sim::setup::{Setup, Topology};
use crate::sim::world::World;

/// About 16 hashes.
const EASY_TARGET: Target = Target(0x200f_ffff);

/// A network with these shares of the hash rate, in percent, and a block every ten seconds.
pub(super) fn world(seed: u64, shares: &[u64], topology: Topology) -> World {
    let parameters = Parameters { name: "easy".to_owned(), easiest_target: EASY_TARGET, ..Parameters::lan() };
    // Blocks are eight times as hard as the easiest, so that an easier target is worth something.
    let hashes_per_hour = 360 * 8 * EASY_TARGET.work().0 as u64;
    let setup = Setup {
        seed,
        network: Network::new(parameters).expect("valid parameters"),
        topology,
        hash_rates: shares.iter().map(|share| hashes_per_hour * share / 100).collect(),
        transactions_per_hour: 0,
        ..Setup::lan(shares.len())
    };
    setup.build().expect("a possible world")
}

fn height(world: &World, node: u32) -> u64 {
    world.tip(NodeId(node)).height.0
}

#[test]
fn one_honest_link_is_enough_against_neighbours_that_stand_still() {
    for (honest_links, keeps_up) in [(vec![(0, 6)], true), (vec![], false)] {
        // Node 0 is the victim, node 6 mines, the others hide it.
        let pairs = (1..6).flat_map(|bad| [(0, bad), (bad, 6)]).chain(honest_links).collect();
        let mut world = world(1, &[0, 0, 0, 0, 0, 0, 100], Topology::Given(pairs));
        (1..6).for_each(|bad| world.corrupt(NodeId(bad), Adversary::Eclipse(Eclipse::default())));
        world.run(Millis::from_secs(600));
        assert!(height(&world, 6) > 30, "{}", height(&world, 6));
        assert_eq!(height(&world, 0) + 2 > height(&world, 6), keeps_up, "{}", height(&world, 0));
    }
}

#[test]
fn flooders_and_liars_are_cut_off_and_the_others_go_on() {
    for (name, adversary) in [("spam", Adversary::Spam(Spam::default())), ("liar", Adversary::Liar(Liar::default()))] {
        let mut world = world(2, &[10, 40, 50], Topology::Full);
        world.corrupt(NodeId(0), adversary);
        let mut judge = Judge::new(&world, Millis::from_secs(1));
        world.run(Millis::from_secs(900));
        judge.check(&mut world).unwrap_or_else(|finding| panic!("{name}: {finding}"));
        let closed = world.closed();
        let blamed = |(by, who, fault): &&(NodeId, NodeId, Fault)| {
            *who == NodeId(0) && *by != NodeId(0) && *fault != Fault::Silent
        };
        assert!(closed.iter().any(|one| blamed(&one)), "{name}: {closed:?}");
        assert!(height(&world, 1) > 50 && height(&world, 1).abs_diff(height(&world, 2)) <= 1, "{name}");
    }
}

/// Both of its blocks of a height are on some chain for a while, and the next block decides between them.
#[test]
fn two_halves_that_are_told_different_things_agree_with_the_next_block() {
    let mut world = world(4, &[30, 35, 35, 0], Topology::Full);
    world.corrupt(NodeId(0), Adversary::Equivocator(Equivocator::default()));
    let mut judge = Judge::new(&world, Millis::from_secs(1));
    world.run(Millis::from_secs(1_800));
    judge.check(&mut world).unwrap_or_else(|finding| panic!("{finding}"));
    let known: Vec<_> = world.nodes().map(|node| world.address(node)).collect();
    let paid: Vec<_> = world.disk(NodeId(3)).chain().map(|block| block.reward().to).collect();
    let (own, twins) = (paid.iter().filter(|to| **to == known[0]), paid.iter().filter(|to| !known.contains(to)));
    let (own, twins) = (own.count(), twins.count());
    assert!(own > 5 && twins > 5, "of each pair one block is on the chain: {own} {twins}");
    world.set_hash_rate(NodeId(0), HashRate::PerHour(0));
    world.run_until(Millis::from_secs(300), |world| world.agree());
    assert!(height(&world, 1) > 120, "{}", height(&world, 1));
}

/// With more than half of the hash rate the attack works, as it must; the others' data stays sound.
#[test]
fn a_double_spender_with_a_majority_takes_back_what_was_confirmed() {
    let mut world = world(3, &[60, 40], Topology::Full);
    world.shards.iter_mut().for_each(|shard| shard.keeps_notices = true);
    world.corrupt(NodeId(0), Adversary::DoubleSpend(DoubleSpend::new(world.address(NodeId(1)))));
    let mut judge = Judge::new(&world, Millis::from_secs(1));
    world.run(Millis::from_secs(1_800));
    judge.check(&mut world).unwrap_or_else(|finding| panic!("{finding}"));
    let taken_back =
        |notice: &&Notice| matches!(notice, Notice::RolledBack { transactions, .. } if !transactions.is_empty());
    assert!(world.notices(NodeId(1)).iter().filter(taken_back).count() > 0, "the payee is told");
}

/// `protocol/README.md`, section 6: a miner of 30 % that dates 60 s ahead gets under 32 % of the blocks.
#[test]
fn a_miner_that_dates_ahead_gains_little() {
    let (mut own, mut all) = (0, 0);
    for seed in 1..=4 {
        let mut world = world(seed, &[30, 35, 35], Topology::Full);
        world.corrupt(NodeId(0), Adversary::Timestamp(Timestamp { ahead: Millis(59_500) }));
        world.run(Millis::from_secs(5_000));
        let cheat = world.address(NodeId(0));
        let paid: Vec<bool> = world.disk(NodeId(1)).chain().map(|block| block.reward().to == cheat).collect();
        own += paid.iter().filter(|paid| **paid).count();
        all += paid.len();
    }
    let (share, error) = (own as f64 / all as f64, (0.3 * 0.7 / all as f64).sqrt());
    eprintln!("30 % of the hash rate, dated 60 s ahead: {share:.4} +- {error:.4} of {all} blocks");
    assert!(all > 1_200 && share < 0.33 + error && share > 0.30 - 2.0 * error, "{own} of {all}");
}

/// A sibling that is dated back has no more work, so it replaces nothing, and its maker gets its honest share.
#[test]
fn an_uncle_maker_gains_nothing() {
    let mut world = world(11, &[30, 35, 35], Topology::Full);
    world.corrupt(NodeId(0), Adversary::Uncle(Uncle::default()));
    let mut judge = Judge::new(&world, Millis::from_secs(1));
    let mut replaced = 0;
    for _ in 0..360 {
        let before = world.tip(NodeId(1));
        judge.watch(&mut world, Millis::from_secs(10)).unwrap_or_else(|finding| panic!("{finding}"));
        replaced += u32::from(!world.disk(NodeId(1)).chain().any(|block| block.id() == before.id));
    }
    judge.check(&mut world).unwrap_or_else(|finding| panic!("{finding}"));
    let cheat = world.address(NodeId(0));
    let paid: Vec<bool> = world.disk(NodeId(1)).chain().map(|block| block.reward().to == cheat).collect();
    let own = paid.iter().filter(|paid| **paid).count();
    eprintln!("30 % of the hash rate, siblings dated back: {own} of {} blocks", paid.len());
    let (share, error) = (own as f64 / paid.len() as f64, (0.3 * 0.7 / paid.len() as f64).sqrt());
    assert!(replaced < 10 && share < 0.3 + 2.0 * error, "{replaced} tips were replaced, {own} of {}", paid.len());
    assert!(paid.len() > 200, "{} blocks", paid.len());
    assert!(height(&world, 1).abs_diff(height(&world, 2)) <= 1);
}

/// Claims, withheld blocks and refusals under ever new identities cost the honest nodes next to nothing.
#[test]
fn pretenders_stop_neither_mining_nor_relay_nor_agreement() {
    let run = |pretenders: u32| {
        let mut world = world(9, &[50, 50, 0, 0, 0], Topology::Full);
        (5 - pretenders..5).for_each(|bad| world.corrupt(NodeId(bad), Adversary::Pretender(Pretender::default())));
        let mut judge = Judge::new(&world, Millis::from_secs(1));
        for number in 0..60u8 {
            judge.watch(&mut world, Millis::from_secs(10)).unwrap_or_else(|finding| panic!("{finding}"));
            let action = Action::Record { data: vec![number].into() };
            let command = Command::Send { key: world.key(NodeId(0)), action, fee: None };
            let Ok(Answer::Sent { id, .. }) = world.command(NodeId(0), command) else {
                panic!("a free record is taken")
            };
            judge.await_transaction(&mut world, id, Millis::from_secs(2)).unwrap_or_else(|finding| panic!("{finding}"));
        }
        assert!(height(&world, 0).abs_diff(height(&world, 1)) <= 1);
        judge.check(&mut world).unwrap_or_else(|finding| panic!("{finding}"));
        height(&world, 0)
    };
    let (alone, among_pretenders) = (run(0), run(3));
    assert!(among_pretenders * 10 > alone * 8, "{among_pretenders} blocks instead of {alone}");
}

/// A node that starts among pretenders with one honest peer finds that peer's chain.
#[test]
fn a_node_that_joins_among_pretenders_catches_up() {
    let mut world = world(10, &[100, 0, 0, 0], Topology::Full);
    (1..4).for_each(|bad| world.corrupt(NodeId(bad), Adversary::Pretender(Pretender::default())));
    world.run(Millis::from_secs(900));
    let joined = world.join(4);
    world.run(Millis::from_secs(30));
    assert!(
        height(&world, 0) > 50 && height(&world, joined.0) + 1 >= height(&world, 0),
        "{}",
        height(&world, joined.0)
    );
}
