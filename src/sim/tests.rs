//! Engines that talk to each other, one story in each test.
//!
//! Deliberate bugs that these stories and the judge notice by themselves (`scripts/mutate --only sim`):
//!
//! | bug | noticed first by |
//! | --- | --- |
//! | requests in flight are never forgotten | seeds::the_judge_finds_nothing_in_any_story_second_half |
//! | what was asked of a lost peer stays asked | slow_links::forks_meet_over_very_slow_links_beside_one_that_never_answers |
//! | no deadline for requests | slow_links::forks_meet_over_very_slow_links_beside_one_that_never_answers |
//! | the same deadline for everybody | slow_links::forks_meet_over_very_slow_links |
//! | late answers are thrown away | slow_links::forks_meet_over_very_slow_links |
//! | a ban is forgotten at once | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | the bound of orphans is off | rules::a_flood_fills_no_container |
//! | a stale entry stays in the pool | after_a_partition_the_longer_chain_wins_and_nothing_is_lost |
//! | the pool does not hear of what is undone | rules::coins_that_a_reorganisation_takes_away_are_not_spent_any_more |
//! | equal work is enough to move | a_deep_reorganisation_from_disk_is_cut_up_and_seen_as_one |
//! | one transaction that comes back is not stored | after_a_partition_the_longer_chain_wins_and_nothing_is_lost |
//! | a transaction is not stored before its answer | a_transaction_sent_before_any_peer_connects_is_pulled |
//! | one block in sixteen is not stored | a_deep_reorganisation_from_disk_is_cut_up_and_seen_as_one |
//! | a reorganisation is written bit by bit | a_deep_reorganisation_from_disk_is_cut_up_and_seen_as_one |
//! | a header is condemned for a body that a peer has changed | rules::a_block_whose_body_was_changed_on_the_way_is_taken_from_others |
//! | blocks are passed on before they are judged | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | one account is not undone | it aborts |
//! | fees are created, not paid (R16) | adversaries::a_double_spender_with_a_majority_takes_back_what_was_confirmed |
//! | a nonce is good again and again (R15) | adversaries::a_double_spender_with_a_majority_takes_back_what_was_confirmed |
//! | nonces may have gaps (R15) | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | anybody can spend anything (R16) | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | rewards are too high (R17) | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | the body need not fit the header (R7) | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | signatures are not looked at (R10) | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | work is not looked at (R6) | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | times go back (R12) | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | any target is good (R13) | rules::a_rule_breaker_is_cut_off_stays_away_and_is_on_no_chain |
//! | times are too far ahead (R14) | a_clock_that_is_ahead_is_told_and_its_blocks_wait |

mod adversaries;
mod compact;
mod hosted;
mod literature;
mod rules;
mod scale;
mod seeds;
mod shares;
mod slow_links;

use super::id::NodeId;
use super::random::Random;
use super::world::World;
use crate::engine::event::{Answer, Command, CommandError, Notice};
use crate::protocol::{Account, Action, Amount, Height, Millis, Network, Parameters, TransactionId};

const SOON: Millis = Millis::from_secs(30);

fn world(nodes: usize) -> (World, Vec<NodeId>) {
    let mut world = World::new(Network::new(Parameters::dev()).expect("a preset is valid"), 7);
    let nodes = (0..nodes).map(|_| world.add_node()).collect();
    (world, nodes)
}

fn connect_all(world: &mut World, nodes: &[NodeId]) {
    for (at, a) in nodes.iter().enumerate() {
        for b in &nodes[at + 1..] {
            world.connect(*a, *b);
        }
    }
}

fn mine(world: &mut World, node: NodeId, count: u64) {
    let answer = world.command(node, Command::Mine { count, to: None });
    assert!(matches!(answer, Ok(Answer::Mined(blocks)) if blocks.len() as u64 == count));
}

fn send(world: &mut World, from: NodeId, to: NodeId, units: u64) -> TransactionId {
    let action = Action::Transfer { to: world.address(to), amount: Amount::from_units(units) };
    let command = Command::Send { key: world.key(from), action, fee: Some(Amount::from_units(1)) };
    match world.command(from, command) {
        Ok(Answer::Sent { id, .. }) => id,
        other => panic!("not sent: {other:?}"),
    }
}

fn account(world: &mut World, at: NodeId, of: NodeId) -> Account {
    let address = world.address(of);
    match world.command(at, Command::Account { address }) {
        Ok(Answer::Account { account, .. }) => account,
        other => panic!("no account: {other:?}"),
    }
}

fn heights(world: &mut World, nodes: &[NodeId]) -> Vec<u64> {
    nodes.iter().map(|node| world.view(*node).tip.height.0).collect()
}

fn agree_at(world: &mut World, nodes: &[NodeId], height: u64) {
    world.run_until(SOON, |world| {
        let tips: Vec<_> = nodes.iter().map(|node| world.view(*node).tip).collect();
        tips.iter().all(|tip| tip.height.0 == height && *tip == tips[0])
    });
}

#[test]
fn blocks_and_transactions_reach_everybody() {
    let (mut world, nodes) = world(4);
    for pair in nodes.windows(2) {
        world.connect(pair[0], pair[1]);
    }
    mine(&mut world, nodes[0], 3);
    agree_at(&mut world, &nodes, 3);
    let sent = 250_000_000;
    send(&mut world, nodes[0], nodes[3], sent);
    world.run_until(SOON, |world| world.view(nodes[3]).pending == 1);
    mine(&mut world, nodes[3], 1);
    agree_at(&mut world, &nodes, 4);
    for node in &nodes {
        assert_eq!(account(&mut world, *node, nodes[0]).balance.whole_units().units(), 300_000_000 - sent - 1);
        assert_eq!(account(&mut world, *node, nodes[3]).balance.whole_units().units(), 100_000_000 + sent + 1);
        assert_eq!(world.view(*node).pending, 0);
    }
}

#[test]
fn a_transaction_sent_before_any_peer_connects_is_pulled() {
    let (mut world, nodes) = world(2);
    mine(&mut world, nodes[0], 1);
    send(&mut world, nodes[0], nodes[1], 5);
    world.connect(nodes[0], nodes[1]);
    world.run_until(SOON, |world| world.view(nodes[1]).pending == 1);
}

#[test]
fn a_late_node_pulls_the_whole_chain() {
    let (mut world, mut nodes) = world(3);
    connect_all(&mut world, &nodes);
    mine(&mut world, nodes[0], 5_000);
    agree_at(&mut world, &nodes, 5_000);
    let late = world.add_node();
    for node in nodes.clone() {
        world.connect(node, late);
    }
    nodes.push(late);
    agree_at(&mut world, &nodes, 5_000);
    // The late node told its user of a few steps, not of 5,000 blocks one by one.
    assert!(world.notices(late).len() < 500, "{}", world.notices(late).len());
}

#[test]
fn after_a_partition_the_longer_chain_wins_and_nothing_is_lost() {
    let (mut world, nodes) = world(4);
    let (left, right) = nodes.split_at(2);
    connect_all(&mut world, &nodes);
    mine(&mut world, nodes[0], 2);
    agree_at(&mut world, &nodes, 2);
    mine(&mut world, nodes[2], 2);
    agree_at(&mut world, &nodes, 4);
    for a in left {
        for b in right {
            world.disconnect(*a, *b);
        }
    }
    let id = send(&mut world, nodes[0], nodes[1], 77);
    mine(&mut world, nodes[0], 3);
    mine(&mut world, nodes[2], 5);
    agree_at(&mut world, left, 7);
    agree_at(&mut world, right, 9);
    world.connect(nodes[1], nodes[2]);
    agree_at(&mut world, &nodes, 9);

    world.run_for(Millis::from_secs(1));
    let reorganised = |notice: &&Notice| matches!(notice, Notice::Tip { reorg_depth: 3, returned: 1, .. });
    assert_eq!(world.notices(nodes[0]).iter().filter(reorganised).count(), 1);
    assert!(!world.notices(nodes[3]).iter().any(|n| matches!(n, Notice::Tip { reorg_depth: 1.., .. })));
    world.run_until(SOON, |world| nodes.iter().all(|node| world.view(*node).pending == 1));
    mine(&mut world, nodes[3], 1);
    agree_at(&mut world, &nodes, 10);
    assert_eq!(account(&mut world, nodes[3], nodes[1]).balance.whole_units().units(), 77);
    let Ok(Answer::Pending(pending)) = world.command(nodes[0], Command::Pending) else { panic!("no list") };
    assert!(pending.iter().all(|transaction| transaction.id() != id));
}

#[test]
fn after_a_partition_a_node_with_a_checkpoint_stays_until_that_is_removed() {
    let (mut world, nodes) = world(4);
    let (left, right) = nodes.split_at(2);
    connect_all(&mut world, &nodes);
    mine(&mut world, nodes[0], 2);
    agree_at(&mut world, &nodes, 2);
    for a in left {
        for b in right {
            world.disconnect(*a, *b);
        }
    }
    mine(&mut world, nodes[0], 3);
    agree_at(&mut world, left, 5);
    mine(&mut world, nodes[2], 5);
    agree_at(&mut world, right, 7);
    let checkpoint = Command::SetCheckpoint { height: Some(Height(4)) };
    let Ok(Answer::Checkpoint(Some(held))) = world.command(nodes[0], checkpoint) else { panic!("no checkpoint") };
    for a in left {
        for b in right {
            world.connect(*a, *b);
        }
    }
    // Its neighbour goes over to the others, and it is left alone, also after a crash.
    agree_at(&mut world, &nodes[1..], 7);
    world.crash(nodes[0]);
    world.start(nodes[0]);
    for node in &nodes[1..] {
        world.connect(nodes[0], *node);
    }
    mine(&mut world, nodes[3], 2);
    mine(&mut world, nodes[0], 1);
    world.run_for(SOON);
    assert_eq!(heights(&mut world, &nodes), [6, 9, 9, 9]);
    assert_eq!(world.view(nodes[0]).checkpoint, Some(held));
    let is_refusal = |notice: &&Notice| matches!(notice, Notice::ReorganisationRefused { .. });
    // Once after each start.
    assert_eq!(world.notices(nodes[0]).iter().filter(is_refusal).count(), 2);
    assert!(world.closed().is_empty(), "nobody is to blame: {:?}", world.closed());

    world.command(nodes[0], Command::SetCheckpoint { height: None }).expect("removed");
    agree_at(&mut world, &nodes, 9);
}

#[test]
fn chains_of_equal_work_stay_until_one_is_longer() {
    let (mut world, nodes) = world(2);
    mine(&mut world, nodes[0], 2);
    mine(&mut world, nodes[1], 2);
    let tips = [world.view(nodes[0]).tip, world.view(nodes[1]).tip];
    world.connect(nodes[0], nodes[1]);
    world.run_for(Millis::from_secs(20));
    assert_eq!([world.view(nodes[0]).tip, world.view(nodes[1]).tip], tips);
    mine(&mut world, nodes[1], 1);
    agree_at(&mut world, &nodes, 3);
}

#[test]
fn a_deep_reorganisation_from_disk_is_cut_up_and_seen_as_one() {
    let (mut world, nodes) = world(2);
    mine(&mut world, nodes[0], 3_000);
    mine(&mut world, nodes[1], 3_100);
    // The cache is empty after a restart, so the blocks have to be loaded.
    world.crash(nodes[0]);
    world.start(nodes[0]);
    world.connect(nodes[0], nodes[1]);
    agree_at(&mut world, &nodes, 3_100);
    let depths = |world: &World| -> Vec<u64> {
        let depth = |notice: &Notice| match notice {
            Notice::Tip { reorg_depth, .. } if *reorg_depth > 0 => Some(*reorg_depth),
            _ => None,
        };
        world.notices(nodes[0]).iter().filter_map(depth).collect()
    };
    world.run_until(SOON, |world| !depths(world).is_empty());
    world.run_for(SOON);
    assert_eq!(depths(&world), [3_000]);
    assert_eq!(world.disk(nodes[0]).best().count(), 3_100);
}

#[test]
fn answered_commands_survive_a_crash() {
    let (mut world, nodes) = world(2);
    mine(&mut world, nodes[0], 10);
    let id = send(&mut world, nodes[0], nodes[1], 5);
    world.crash(nodes[0]);
    world.start(nodes[0]);
    assert_eq!(world.view(nodes[0]).tip.height.0, 10);
    let Ok(Answer::Pending(pending)) = world.command(nodes[0], Command::Pending) else { panic!("no list") };
    assert_eq!(pending.iter().map(|transaction| transaction.id()).collect::<Vec<_>>(), [id]);
}

#[test]
fn nobody_sends_coins_that_it_lacks() {
    let (mut world, nodes) = world(1);
    mine(&mut world, nodes[0], 1);
    send(&mut world, nodes[0], nodes[0], 60_000_000);
    let action = Action::Transfer { to: world.address(nodes[0]), amount: Amount::from_units(60_000_000) };
    let command = Command::Send { key: world.key(nodes[0]), action, fee: Some(Amount::ZERO) };
    let answer = world.command(nodes[0], command);
    assert!(matches!(answer, Err(CommandError::InsufficientBalance { .. })), "{answer:?}");
}

#[test]
fn resolve_says_whether_the_chain_was_replaced() {
    let (mut world, nodes) = world(3);
    mine(&mut world, nodes[0], 1);
    mine(&mut world, nodes[1], 4);
    let Ok(Answer::Resolved { replaced: false, asked: 0, .. }) = world.command(nodes[0], Command::Resolve) else {
        panic!("alone, a chain is authoritative");
    };
    world.connect(nodes[0], nodes[1]);
    world.connect(nodes[0], nodes[2]);
    let answer = world.command(nodes[0], Command::Resolve);
    let Ok(Answer::Resolved { replaced, answered: 2, asked: 2, tip, kept_back_until: None }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((replaced, tip.height.0), (true, 4));
    let Ok(Answer::Resolved { replaced: false, .. }) = world.command(nodes[0], Command::Resolve) else {
        panic!("the second time there is nothing better");
    };
}

#[test]
fn a_clock_that_is_ahead_is_told_and_its_blocks_wait() {
    let (mut world, nodes) = world(4);
    world.set_clock_offset(nodes[0], 90_000);
    connect_all(&mut world, &nodes);
    mine(&mut world, nodes[0], 1);
    world.run_for(Millis::from_secs(20));
    assert_eq!(heights(&mut world, &nodes), [1, 0, 0, 0]);
    assert!(world.notices(nodes[1]).iter().any(|notice| matches!(notice, Notice::ClockDiffers { .. })));
    assert!(world.notices(nodes[0]).iter().any(|notice| matches!(notice, Notice::OurClockDiffers { .. })));
    // Half a minute later its time has come.
    agree_at(&mut world, &nodes, 1);
    assert!(world.closed().is_empty(), "{:?}", world.closed());
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let story = || {
        let (mut world, nodes) = world(5);
        connect_all(&mut world, &nodes);
        mine(&mut world, nodes[0], 20);
        agree_at(&mut world, &nodes, 20);
        send(&mut world, nodes[0], nodes[1], 9);
        mine(&mut world, nodes[1], 1);
        agree_at(&mut world, &nodes, 21);
        (world.view(nodes[4]).tip, world.notices(nodes[4]).to_vec())
    };
    assert_eq!(story(), story());
}

/// Partitions, crashes, forks and payments in any order; then all links are up, and all nodes have to agree on a chain
/// in which no coin was lost or made.
#[test]
fn nodes_agree_after_any_faults() {
    for seed in 0..40 {
        let (mut world, nodes) = world(5);
        let mut random = Random::new(seed);
        connect_all(&mut world, &nodes);
        for _ in 0..60 {
            disturb(&mut world, &nodes, &mut random);
        }
        for node in &nodes {
            world.crash(*node);
            world.start(*node);
        }
        connect_all(&mut world, &nodes);
        world.run_for(Millis::from_secs(20));
        mine(&mut world, nodes[0], 1);
        world.run_until(SOON, |world| world.agree());
        world.run_for(Millis::from_secs(1));

        let height = world.view(nodes[0]).tip.height.0;
        let total: u64 =
            nodes.iter().map(|node| account(&mut world, nodes[0], *node).balance.whole_units().units()).sum();
        assert_eq!(total, height * Amount::COIN.units(), "seed {seed}: coins are subsidies");
        let chain: Vec<_> = world.disk(nodes[0]).best().collect();
        assert_eq!(chain.len() as u64, height, "seed {seed}");
        for node in &nodes {
            assert!(world.disk(*node).best().eq(chain.iter().copied()), "seed {seed}: the shown chain is on disk");
        }
        world.run_for(SOON);
        assert_eq!(world.open_tickets(), 0, "seed {seed}: everything gets its answer");
        assert!(world.closed().is_empty(), "seed {seed}: nobody did wrong, but {:?}", world.closed());
    }
}

fn disturb(world: &mut World, nodes: &[NodeId], random: &mut Random) {
    let mut pick = || nodes[random.between(0, nodes.len() as u64 - 1) as usize];
    let (a, b) = (pick(), pick());
    match random.between(0, 6) {
        0 | 1 => mine(world, a, random.between(1, 5)),
        2 => {
            let action =
                Action::Transfer { to: world.address(b), amount: Amount::from_units(random.between(1, 1 << 27)) };
            let fee = Amount::from_units(random.between(0, 9));
            // It may have too few coins, which is an answer too.
            let _ = world.command(a, Command::Send { key: world.key(a), action, fee: Some(fee) });
        }
        3 if a != b => world.disconnect(a, b),
        4 if a != b => {
            world.disconnect(a, b);
            world.connect(a, b);
        }
        5 => {
            // While it may be doing anything else.
            world.begin(a, Command::Mine { count: 3, to: None });
            world.run_for(Millis(random.between(0, 12)));
            world.crash(a);
            world.start(a);
        }
        _ => world.run_for(Millis(random.between(1, 3_000))),
    }
}
