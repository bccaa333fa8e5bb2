//! Compact blocks.

use quipu_protocol::compact::{ID_BITS_MIN, LeafHasher, WHOLE_BYTES_MAX};
use quipu_protocol::{
    Block, CheckedBlock, CompactBlock, Header, Millis, Parameters, Request, Response, Signature, SignedTransaction,
};

use super::super::compact::{RECONSTRUCTION_BYTES_MAX, RECONSTRUCTIONS_MAX};
use super::super::event::{Command, Event, Fault, Gossip, Key, PeerKey, RequestFailure, Ticket, Verdict};
use super::super::pace::PULL_TIMEOUT;
use super::{Bench, headers};

/// Enough transactions for a compact announcement.
const TRANSACTIONS: u64 = 50;

fn is_pull(request: &Request) -> bool {
    matches!(request, Request::BlockTransactions { .. })
}

/// A block of transactions from one account, on top of a block that pays it.
struct Scene {
    bench: Bench,
    /// A peer that has reported its status, and so has been measured as quick.
    announcer: PeerKey,
    first: Block,
    block: Block,
}

impl Scene {
    /// A scene in which the engine knows the transactions for whose number `is_known` holds.
    fn new(is_known: impl Fn(u64) -> bool) -> Self {
        let mut bench = Bench::with(Parameters { block_bytes_max: 1 << 20, ..Parameters::dev() });
        let first = bench.block(&bench.genesis(), 1, vec![]);
        let announcer = bench.connect_with(&bench.genesis(), 0);
        bench.gossip_block(announcer, &first);
        let all: Vec<SignedTransaction> = (0..TRANSACTIONS).map(|nonce| bench.send(1, nonce, 2, 1, 3)).collect();
        // All of them arrive if none is missing, and otherwise only those within the bound on nonce gaps.
        bench.hear_of(announcer, all.iter().filter(|one| is_known(one.transaction.nonce)));
        let block = bench.block(&first.header, 1, all);
        bench.seen.checked = (0, 0);
        Self { bench, announcer, first, block }
    }

    fn compact(&self) -> CompactBlock {
        self.bench.compact(&self.block)
    }

    fn tip_is_the_block(&mut self) -> bool {
        self.bench.tip() == self.block.header.id()
    }

    /// Some transactions of the block.
    fn at(&self, places: &[u32]) -> Response {
        let at = |place: &u32| self.block.body.transactions[*place as usize].clone();
        Response::BlockTransactions(places.iter().map(at).collect())
    }
}

impl Bench {
    fn hear_of<'a>(&mut self, peer: PeerKey, transactions: impl IntoIterator<Item = &'a SignedTransaction>) {
        for signed in transactions {
            assert_eq!(self.bundle(peer, std::slice::from_ref(signed)), Verdict::Accept);
        }
    }

    /// The announcement of a peer that knows these transactions alone.
    fn compact(&self, block: &Block) -> CompactBlock {
        CompactBlock::of(&CheckedBlock::recall(block.clone(), &self.network), [])
    }

    fn announce(&mut self, peer: PeerKey, compact: CompactBlock) -> Ticket {
        self.counter += 1;
        let ticket = Ticket(self.counter);
        self.event(Event::Gossip { peer, ticket, gossip: Gossip::Compact(Box::new(compact)) });
        ticket
    }

    /// The verdicts on a message: one, or none yet.
    fn verdicts(&self, ticket: Ticket) -> Vec<Verdict> {
        self.seen.verdicts.iter().filter(|(of, _)| *of == ticket).map(|(_, verdict)| *verdict).collect()
    }

    fn take_pull(&mut self, peer: PeerKey) -> (Key, Vec<u32>) {
        let (key, request) = self.take_asked(peer, is_pull);
        let Request::BlockTransactions { places, .. } = request else { unreachable!("just matched") };
        (key, places.into_vec())
    }

    /// Whether the whole block is fetched from this peer, with no reconstruction under way.
    fn is_fetched_whole(&mut self, peer: PeerKey, block: &Block) -> bool {
        assert_eq!(self.occupancy("reconstructions"), 0);
        self.answer_blocks(peer, std::slice::from_ref(block));
        self.tip() == block.header.id()
    }
}

#[test]
fn a_block_whose_transactions_are_known_needs_no_question_and_no_signature() {
    let mut scene = Scene::new(|_| true);
    let (compact, announcer) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(announcer, compact);
    assert!(scene.tip_is_the_block());
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Accept]);
    assert_eq!(scene.bench.seen.checked, (0, 0), "no signature is verified twice");
    assert!(!scene.bench.is_asked(announcer, is_pull) && !scene.bench.is_asked_for_blocks(announcer));
    assert!(scene.bench.seen.published.is_empty(), "a gossiped block is forwarded by its verdict");
    assert_eq!(scene.bench.occupancy("requested_blocks"), 0);
}

#[test]
fn only_missing_transactions_are_pulled() {
    let missing = [0, 7, 8, 49];
    let mut scene = Scene::new(|number| !missing.contains(&number));
    let (compact, announcer) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(announcer, compact);
    let (key, places) = scene.bench.take_pull(announcer);
    assert_eq!(places, missing.map(|number| number as u32));
    assert!(scene.bench.verdicts(ticket).is_empty() && !scene.bench.is_asked_for_blocks(announcer));
    let answer = scene.at(&places);
    scene.bench.answer(announcer, key, answer);
    assert!(scene.tip_is_the_block());
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Accept]);
    assert_eq!(scene.bench.seen.checked, (0, missing.len()));
    assert_eq!((scene.bench.occupancy("reconstructions"), scene.bench.occupancy("requested_blocks")), (0, 0));
}

#[test]
fn a_block_of_unknown_transactions_is_fetched_as_a_whole_at_once() {
    let mut scene = Scene::new(|number| number < TRANSACTIONS / 2 - 1);
    let (compact, announcer) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(announcer, compact);
    assert!(!scene.bench.is_asked(announcer, is_pull));
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore]);
    assert!(scene.bench.is_fetched_whole(announcer, &scene.block.clone()));
}

#[test]
fn a_place_that_two_known_transactions_fit_is_pulled() {
    let mut scene = Scene::new(|_| true);
    let others: Vec<SignedTransaction> =
        (0..5_000).map(|nonce| scene.bench.send(1, TRANSACTIONS + nonce, 2, 1, 3)).collect();
    let announcer = scene.announcer;
    scene.bench.hear_of(announcer, &others);
    // The announcer does not know the others, so it can't tell them apart.
    let checked = CheckedBlock::recall(scene.block.clone(), &scene.bench.network);
    let compact = CompactBlock::with_id_bits(&checked, [], ID_BITS_MIN);
    let hasher = LeafHasher::of(compact.header());
    let id = |signed: &SignedTransaction| hasher.hash(&signed.leaf()) as u16;
    let other_ids: Vec<u16> = others.iter().map(id).collect();
    let own_ids: Vec<u16> = scene.block.body.transactions.iter().map(id).collect();
    let shared: Vec<u32> = (0..).zip(&own_ids).filter(|(_, id)| other_ids.contains(id)).map(|(at, _)| at).collect();
    assert!(!shared.is_empty(), "3.8 of them share an id by chance");
    scene.bench.announce(announcer, compact);
    let (key, places) = scene.bench.take_pull(announcer);
    assert_eq!(places, shared);
    let answer = scene.at(&places);
    scene.bench.answer(announcer, key, answer);
    assert!(scene.tip_is_the_block());
}

#[test]
fn ids_of_other_transactions_cost_the_block_nothing() {
    let mut scene = Scene::new(|_| true);
    let liar = scene.bench.connect();
    let mut lie = scene.block.clone();
    let mut transactions = lie.body.transactions.into_vec();
    transactions.swap(3, 4);
    lie.body.transactions = transactions.into();
    let lie = scene.bench.compact(&lie);
    let ticket = scene.bench.announce(liar, lie);
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore], "it may be a collision");
    assert!(!scene.tip_is_the_block() && !scene.bench.is_closed(liar));
    assert!(scene.bench.is_asked_for_blocks(liar), "its announcer is asked for the whole block");
    let (compact, announcer) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(announcer, compact);
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Accept], "and the true announcement is accepted meanwhile");
    assert!(scene.tip_is_the_block());
}

#[test]
fn answers_that_do_not_fit_are_their_senders_fault() {
    type Answer = fn(&Scene) -> Response;
    let cases: [(&str, Answer); 5] = [
        ("too few", |scene| scene.at(&[])),
        ("too many", |scene| scene.at(&[9, 10])),
        ("others of the block", |scene| scene.at(&[10])),
        ("others", |scene| Response::BlockTransactions(vec![scene.bench.send(1, 9, 3, 1, 3)].into())),
        ("another kind", |scene| Response::Transactions(vec![scene.block.body.transactions[9].clone()].into())),
    ];
    for (what, answer) in cases {
        let mut scene = Scene::new(|number| number != 9);
        let (compact, announcer) = (scene.compact(), scene.announcer);
        // Three wrong answers are too many.
        for _ in 0..2 {
            scene.bench.event(Event::Misbehaved { peer: announcer, fault: Fault::WrongAnswer });
        }
        let ticket = scene.bench.announce(announcer, compact);
        let (key, _) = scene.bench.take_pull(announcer);
        let answer = answer(&scene);
        scene.bench.answer(announcer, key, answer);
        assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore], "{what}");
        assert!(!scene.tip_is_the_block() && scene.bench.is_closed(announcer), "{what}");
        assert_eq!(scene.bench.seen.checked, (0, 0), "{what}");
        let honest = scene.bench.connect();
        assert_eq!(scene.bench.gossip_block(honest, &scene.block.clone()), Verdict::Accept, "{what}");
    }
}

/// A peer that has a block has checked it, so this can only be on purpose.
#[test]
fn a_pulled_transaction_with_a_bad_signature_is_the_end_of_the_session() {
    let mut scene = Scene::new(|number| number != 9);
    let mut transactions = scene.block.body.transactions.clone().into_vec();
    transactions[9].signature = Signature::Ed25519([1; 64]);
    scene.block = scene.bench.block(&scene.first.header, 1, transactions);
    let (compact, announcer) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(announcer, compact);
    let (key, places) = scene.bench.take_pull(announcer);
    let answer = scene.at(&places);
    scene.bench.answer(announcer, key, answer);
    assert!(scene.bench.is_closed(announcer) && !scene.tip_is_the_block());
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore]);
    // Only the whole block proves that it is bad.
    let another = scene.bench.connect();
    assert_eq!(scene.bench.gossip_block(another, &scene.block.clone()), Verdict::Reject);
}

#[test]
fn a_silent_announcer_is_not_waited_for() {
    let mut scene = Scene::new(|number| number != 9);
    let other = scene.bench.connect_with(&scene.first.header, 1);
    let (compact, silent) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(silent, compact);
    let _ = scene.bench.take_pull(silent);
    scene.bench.seen.asked.clear();
    scene.bench.wait(Millis(PULL_TIMEOUT.0 - 1));
    assert!(scene.bench.verdicts(ticket).is_empty() && scene.bench.seen.asked.is_empty());
    scene.bench.wait(Millis(1));
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore]);
    assert!(!scene.bench.is_closed(silent), "once is no fault");
    // Other peers are asked at once for their status, and then for the block.
    let block = scene.block.clone();
    scene.bench.tell(silent, &block.header, 2);
    assert!(!scene.bench.is_asked_for_blocks(silent));
    scene.bench.tell(other, &block.header, 2);
    assert!(scene.bench.is_fetched_whole(other, &block));
}

#[test]
fn a_silent_peer_is_asked_again_if_it_is_the_only_one() {
    let mut scene = Scene::new(|number| number != 9);
    let (compact, block, announcer) = (scene.compact(), scene.block.clone(), scene.announcer);
    scene.bench.announce(announcer, compact);
    for _ in 0..8 {
        scene.bench.wait(Millis::from_secs(1));
        scene.bench.tell_if_asked(announcer, &block.header, 2);
    }
    assert!(scene.bench.is_fetched_whole(announcer, &block));
}

#[test]
fn a_peer_that_has_forgotten_the_block_is_asked_for_all_of_it() {
    let mut scene = Scene::new(|number| number != 9);
    let (compact, announcer) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(announcer, compact);
    let (key, _) = scene.bench.take_pull(announcer);
    scene.bench.event(Event::Response { peer: announcer, key, result: Err(RequestFailure::Unreachable) });
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore]);
    assert!(scene.bench.is_fetched_whole(announcer, &scene.block.clone()));
}

#[test]
fn a_second_peer_is_not_held_up_by_the_first() {
    let mut scene = Scene::new(|number| number != 9);
    let (silent, other) = (scene.announcer, scene.bench.connect_with(&scene.first.header, 1));
    let (compact, wider) = (scene.compact(), {
        let checked = CheckedBlock::recall(scene.block.clone(), &scene.bench.network);
        CompactBlock::with_id_bits(&checked, [], ID_BITS_MIN + 3)
    });
    let first = scene.bench.announce(silent, compact);
    let second = scene.bench.announce(other, wider);
    let (late, _) = scene.bench.take_pull(silent);
    let (key, places) = scene.bench.take_pull(other);
    let answer = scene.at(&places);
    scene.bench.answer(other, key, answer.clone());
    assert!(scene.tip_is_the_block());
    assert_eq!(scene.bench.verdicts(second), [Verdict::Accept]);
    scene.bench.answer(silent, late, answer);
    assert_eq!(scene.bench.verdicts(first), [Verdict::Ignore], "it is there already");
    assert_eq!((scene.bench.occupancy("reconstructions"), scene.bench.occupancy("requested_blocks")), (0, 0));
}

#[test]
fn a_peer_that_leaves_takes_its_announcement_with_it() {
    let mut scene = Scene::new(|number| number != 9);
    let other = scene.bench.connect_with(&scene.first.header, 1);
    let (compact, announcer) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(announcer, compact);
    scene.bench.event(Event::PeerDisconnected { peer: announcer });
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore]);
    assert_eq!((scene.bench.occupancy("reconstructions"), scene.bench.occupancy("requested_blocks")), (0, 0));
    scene.bench.tell(other, &scene.block.header.clone(), 2);
    assert!(scene.bench.is_fetched_whole(other, &scene.block.clone()));
}

#[test]
fn a_restart_forgets_reconstructions() {
    let mut scene = Scene::new(|number| number != 9);
    let (compact, announcer) = (scene.compact(), scene.announcer);
    scene.bench.announce(announcer, compact);
    scene.bench.restart();
    assert_eq!(scene.bench.tip(), scene.first.header.id());
    let again = scene.bench.connect_with(&scene.block.header.clone(), 2);
    scene.bench.answer_headers(again, &headers(std::slice::from_ref(&scene.block.clone())));
    assert!(scene.bench.is_fetched_whole(again, &scene.block.clone()));
}

/// A check takes time, and by then the block may be there, or the peer gone.
#[test]
fn the_block_may_come_another_way_meanwhile() {
    let mut scene = Scene::new(|number| number != 9);
    let other = scene.bench.connect();
    let (compact, announcer) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(announcer, compact);
    let (key, places) = scene.bench.take_pull(announcer);
    assert_eq!(scene.bench.gossip_block(other, &scene.block.clone()), Verdict::Accept);
    assert!(scene.tip_is_the_block() && scene.bench.verdicts(ticket).is_empty());
    let answer = scene.at(&places);
    scene.bench.answer(announcer, key, answer);
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore]);
    assert!(!scene.bench.is_closed(announcer));
    assert_eq!((scene.bench.occupancy("reconstructions"), scene.bench.occupancy("requested_blocks")), (0, 0));
}

/// Its transactions are in the tip now, and pending on its branch.
#[test]
fn a_rival_of_the_tip_is_put_together_from_the_tip() {
    let mut scene = Scene::new(|_| true);
    let (compact, announcer) = (scene.compact(), scene.announcer);
    scene.bench.announce(announcer, compact);
    assert!(scene.tip_is_the_block());
    let all = scene.block.body.transactions.clone().into_vec();
    let rival = scene.bench.block(&scene.first.header, 2, all);
    let compact = scene.bench.compact(&rival);
    let ticket = scene.bench.announce(announcer, compact);
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore], "ties go to the block seen first");
    assert!(!scene.bench.is_asked(announcer, is_pull));
    let next = scene.bench.block(&rival.header, 2, vec![]);
    assert_eq!(scene.bench.gossip_block(announcer, &next), Verdict::Accept);
    assert_eq!(scene.bench.tip(), next.header.id(), "the rival was there");
    assert_eq!(scene.bench.seen.checked.1, 0);
}

#[test]
fn the_tip_may_change_while_something_is_pulled() {
    let mut scene = Scene::new(|number| number != 9);
    let (compact, announcer) = (scene.compact(), scene.announcer);
    let ticket = scene.bench.announce(announcer, compact);
    let (key, places) = scene.bench.take_pull(announcer);
    let other = scene.bench.connect();
    let rivals = scene.bench.chain(&scene.first.header, 2, 3);
    for rival in &rivals {
        assert_eq!(scene.bench.gossip_block(other, rival), Verdict::Accept);
    }
    let answer = scene.at(&places);
    scene.bench.answer(announcer, key, answer);
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore]);
    assert_eq!(scene.bench.tip(), rivals[1].header.id());
    let next = scene.bench.chain(&scene.block.header, 2, 1);
    for block in &next {
        scene.bench.gossip_block(announcer, block);
    }
    assert_eq!(scene.bench.tip(), next[1].header.id(), "it was kept until its branch became the best");
}

#[test]
fn an_announcement_that_comes_too_soon_waits_for_its_parent() {
    let mut scene = Scene::new(|_| true);
    let (between, announcer) = (scene.bench.block(&scene.first.header, 1, vec![]), scene.announcer);
    scene.block = scene.bench.block(&between.header, 1, scene.block.body.transactions.clone().into_vec());
    let compact = scene.compact();
    let length = compact.length();
    let ticket = scene.bench.announce(announcer, compact);
    assert_eq!(scene.bench.verdicts(ticket), [Verdict::Ignore]);
    assert_eq!((scene.bench.occupancy("orphans"), scene.bench.occupancy("orphan_bytes")), (1, 4 + length));
    assert_eq!(scene.bench.gossip_block(announcer, &between), Verdict::Accept);
    assert!(scene.tip_is_the_block());
    assert_eq!(scene.bench.occupancy("orphans"), 0);
}

/// The work in a header is paid once, so the memory pool is not searched for it again and again.
#[test]
fn a_header_is_good_for_a_few_tries() {
    let mut scene = Scene::new(|number| number != 9);
    let peers: Vec<PeerKey> = (0..6).map(|_| scene.bench.connect()).collect();
    for peer in &peers {
        for _ in 0..2 {
            let compact = scene.compact();
            scene.bench.announce(*peer, compact);
        }
    }
    let pulls = scene.bench.seen.asked.iter().filter(|(.., request)| is_pull(request));
    assert_eq!(pulls.map(|(peer, ..)| *peer).collect::<Vec<_>>(), peers[..3], "each peer has one try");
    for peer in &peers[..3] {
        let (key, _) = scene.bench.take_pull(*peer);
        scene.bench.fail(*peer, key);
    }
    let compact = scene.compact();
    scene.bench.announce(peers[5], compact);
    assert!(!scene.bench.is_asked(peers[5], is_pull));
    assert_eq!(scene.bench.occupancy("reconstructions"), 0);
}

#[test]
fn blocks_that_are_put_together_are_bounded() {
    let mut scene = Scene::new(|number| number != 9);
    let all = scene.block.body.transactions.clone().into_vec();
    let peers: Vec<PeerKey> = (0..10).map(|_| scene.bench.connect()).collect();
    let mut tickets = Vec::new();
    for (number, peer) in (0..60).zip(peers.iter().cycle()) {
        let block = scene.bench.block(&scene.first.header, 10 + number, all.clone());
        let compact = scene.bench.compact(&block);
        tickets.push(scene.bench.announce(*peer, compact));
        if number == 9 {
            assert_eq!(scene.bench.occupancy("reconstructions"), 10);
        }
    }
    assert_eq!(scene.bench.occupancy("reconstructions"), RECONSTRUCTIONS_MAX);
    assert!(scene.bench.occupancy("reconstruction_bytes") <= RECONSTRUCTION_BYTES_MAX);
    let one = scene.bench.connect();
    for peer in peers {
        scene.bench.event(Event::PeerDisconnected { peer });
    }
    assert!(tickets.iter().all(|ticket| scene.bench.verdicts(*ticket) == [Verdict::Ignore]));
    for number in 0..9 {
        let block = scene.bench.block(&scene.first.header, 100 + number, all.clone());
        let compact = scene.bench.compact(&block);
        scene.bench.announce(one, compact);
    }
    assert_eq!(scene.bench.occupancy("reconstructions"), 4, "of one peer");
}

#[test]
fn the_transactions_of_a_recent_block_are_given_and_no_others() {
    let mut scene = Scene::new(|_| true);
    let (compact, announcer) = (scene.compact(), scene.announcer);
    scene.bench.announce(announcer, compact);
    let id = scene.block.header.id();
    let ask = |scene: &mut Scene, block, places: Vec<u32>| {
        let ticket = Ticket(1_000_000 + scene.bench.seen.replied.len() as u64);
        let request = Request::BlockTransactions { block, places: places.into() };
        scene.bench.event(Event::Request { peer: announcer, ticket, request });
        scene.bench.seen.replied.pop().expect("a reply").1
    };
    let wanted = scene.at(&[0, 13, 49]);
    assert_eq!(ask(&mut scene, id, vec![0, 13, 49]), Some(wanted));
    assert_eq!(ask(&mut scene, id, vec![0, 50]), None, "the block has no more");
    let unknown = quipu_protocol::BlockId([9; 32]);
    assert_eq!(ask(&mut scene, unknown, vec![0]), None);
    assert!(!scene.bench.is_closed(announcer), "these are no faults");
    assert_eq!(ask(&mut scene, id, vec![13, 0]), None);
    assert!(scene.bench.is_closed(announcer), "places ascend");
}

/// The engine's announcement of a block of its own.
fn mined(bench: &mut Bench) -> Gossip {
    bench.event(Event::Command { ticket: Ticket(77), command: Command::Mine { count: 1, to: None } });
    let (key, mut header): (Key, Header) = bench.template.expect("there is something to mine");
    while !header.target.is_met_by(&header.id()) {
        header.nonce += 1;
    }
    bench.event(Event::Mined { key, nonce: header.nonce });
    bench.seen.published.pop().expect("the block is announced")
}

#[test]
fn a_short_block_is_announced_whole_and_a_long_one_by_its_ids() {
    let mut scene = Scene::new(|number| number < 20);
    let Gossip::Block(block) = mined(&mut scene.bench) else { panic!("it is short") };
    assert_eq!(block.body.transactions.len(), 20);
    let mut scene = Scene::new(|_| true);
    let Gossip::Compact(compact) = mined(&mut scene.bench) else { panic!("it is long") };
    assert_eq!(compact.count() as u64, TRANSACTIONS);
    assert!(compact.block_bytes_min() > WHOLE_BYTES_MAX && compact.length() < 364);
}
