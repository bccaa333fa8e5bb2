//! The checkpoint is never left, whatever peers offer.

use quipu_protocol::check::check_block;
use quipu_protocol::message::RESPONSE_HEADERS_MAX;
use quipu_protocol::{Block, Header, Height, Request};

use super::super::checkpoint::{BARRED_PAUSE, REFUSED_NOTICE_INTERVAL};
use super::super::event::{Answer, Command, CommandError, Event, Gossip, Notice, PeerKey, Place, Ticket, Verdict};
use super::super::sync::STATUS_INTERVAL;
use super::{Bench, headers};

impl Bench {
    fn set_checkpoint(&mut self, height: impl Into<Option<u64>>) {
        let answer = self.command(Command::SetCheckpoint { height: height.into().map(Height) });
        assert!(matches!(answer, Ok(Answer::Checkpoint(_))), "{answer:?}");
    }

    /// A node without peers whose chain has `count` blocks of branch 1.
    fn with_chain(count: u64) -> (Self, Vec<Block>) {
        let mut bench = Self::new();
        let ours = bench.chain(&bench.genesis(), count, 1);
        let peer = bench.connect();
        for block in &ours {
            bench.gossip_block(peer, block);
        }
        bench.event(Event::PeerDisconnected { peer });
        (bench, ours)
    }

    fn refusals(&self) -> Vec<(u64, PeerKey, u64)> {
        let refusal = |notice: &Notice| match notice {
            Notice::ReorganisationRefused { checkpoint, peer, height } => Some((checkpoint.height.0, *peer, height.0)),
            _ => None,
        };
        self.seen.notices.iter().filter_map(refusal).collect()
    }

    /// The number of stored blocks, and of headers in memory without genesis.
    fn kept(&self) -> (usize, usize) {
        (self.disk.stored().headers.len(), self.occupancy("headers") - 1)
    }
}

fn is_for_headers(request: &Request) -> bool {
    matches!(request, Request::Headers { .. })
}

fn place(block: &Block) -> Place {
    Place { height: block.header.height, id: block.header.id() }
}

/// The header at which a branch leaves ours.
fn fork(bench: &Bench, ours: &[Block], height: usize) -> Header {
    height.checked_sub(1).map_or(bench.genesis(), |at| ours[at].header)
}

#[test]
fn a_heavier_branch_is_followed_if_it_has_the_checkpoint() {
    for by_gossip in [false, true] {
        for fork_height in 0..4 {
            let what = format!("gossip {by_gossip}, fork at {fork_height}");
            let (mut bench, ours) = Bench::with_chain(4);
            bench.set_checkpoint(2);
            let theirs = bench.chain(&fork(&bench, &ours, fork_height), 8, 2);
            let tip = theirs[7].header;
            let height = fork_height as u64 + 8;
            let peer = if by_gossip {
                let peer = bench.connect();
                for block in &theirs {
                    bench.gossip_block(peer, block);
                }
                peer
            } else {
                let peer = bench.connect_with(&tip, u128::from(height));
                bench.answer_headers(peer, &headers(&theirs));
                peer
            };
            assert!(!bench.is_closed(peer), "{what}");
            if fork_height >= 2 {
                if !by_gossip {
                    bench.answer_blocks(peer, &theirs);
                }
                assert_eq!(bench.tip(), tip.id(), "{what}");
                assert_eq!(bench.refusals(), [], "{what}");
                continue;
            }
            assert_eq!(bench.tip(), ours[3].header.id(), "{what}");
            assert!(!bench.is_asked_for_blocks(peer), "{what}");
            assert_eq!(bench.kept(), (4, 4), "{what}");
            let told = if by_gossip { vec![] } else { vec![(2, peer, height)] };
            assert_eq!(bench.refusals(), told, "{what}");
            assert_eq!(bench.engine.view().syncing, None, "{what}");
        }
    }
}

/// Where the difficulty has risen, a branch can have more work in fewer blocks than the checkpoint has below it.
#[test]
fn no_branch_from_below_is_kept_however_low_it_is() {
    let (mut bench, _) = Bench::with_chain(4);
    bench.set_checkpoint(3);
    let peer = bench.connect();
    for block in bench.chain(&bench.genesis(), 2, 2) {
        assert_eq!(bench.gossip_block(peer, &block), Verdict::Ignore);
    }
    assert_eq!(bench.kept(), (4, 4));
    assert_eq!(bench.refusals(), [], "it has less work");
}

#[test]
fn a_branch_that_is_stored_is_left_aside_until_the_checkpoint_is_removed() {
    let (mut bench, ours) = Bench::with_chain(4);
    let theirs = bench.chain(&ours[0].header, 4, 2);
    for block in &theirs[..3] {
        let block = Box::new(check_block(block.clone(), &bench.network).expect("valid"));
        bench.command(Command::SubmitBlock { block }).expect("the own user's blocks are stored");
    }
    // Blocks must be loaded before the tip can be left, so the branch is complete by then.
    bench.restart();
    bench.hold_loads = true;
    let peer = bench.connect();
    bench.gossip_block(peer, &theirs[3]);
    assert_eq!((bench.held.len(), bench.kept()), (1, (8, 8)));
    bench.set_checkpoint(2);
    bench.release_held();
    assert_eq!(bench.tip(), ours[3].header.id());

    // The checkpoint applies before a goal is chosen.
    bench.restart();
    bench.event(Event::Tick);
    assert_eq!((bench.tip(), bench.engine.view().checkpoint), (ours[3].header.id(), Some(place(&ours[1]))));
    let peer = bench.connect_with(&theirs[3].header, 5);
    assert!(!bench.is_asked(peer, |request| !matches!(request, Request::Pending)), "its tip is known");
    assert_eq!(bench.refusals(), [(2, peer, 5)]);
    let child = bench.chain(&theirs[3].header, 1, 2);
    assert_eq!(bench.gossip_block(peer, &child[0]), Verdict::Ignore);
    assert_eq!(bench.kept(), (8, 8));
    assert_eq!(bench.tip(), ours[3].header.id());

    bench.set_checkpoint(None);
    assert_eq!(bench.tip(), theirs[3].header.id(), "a stored branch needs no peer");
    bench.restart();
    assert_eq!(bench.engine.view().checkpoint, None);
}

#[test]
fn without_the_checkpoint_the_peers_are_asked_again() {
    let (mut bench, ours) = Bench::with_chain(4);
    bench.set_checkpoint(2);
    let theirs = bench.chain(&ours[0].header, 8, 2);
    let tip = theirs[7].header;
    let peer = bench.connect_with(&tip, 9);
    bench.answer_headers(peer, &headers(&theirs));
    bench.set_checkpoint(None);
    bench.tell(peer, &tip, 9);
    bench.answer_headers(peer, &headers(&theirs));
    bench.answer_blocks(peer, &theirs);
    assert_eq!(bench.tip(), tip.id());
}

#[test]
fn a_checkpoint_is_moved_shown_and_kept() {
    let (mut bench, ours) = Bench::with_chain(4);
    let above = bench.command(Command::SetCheckpoint { height: Some(Height(5)) });
    assert!(matches!(above, Err(CommandError::NoSuchHeight { tip: Height(4) })), "{above:?}");
    assert_eq!(bench.disk.stored().checkpoint, None);
    for height in [4, 1, 3] {
        let want = Some(place(&ours[height - 1]));
        let answer = bench.command(Command::SetCheckpoint { height: Some(Height(height as u64)) });
        assert!(matches!(answer, Ok(Answer::Checkpoint(now)) if now == want), "{answer:?}");
        assert_eq!((bench.engine.view().checkpoint, bench.disk.stored().checkpoint), (want, want));
    }
    // With a lower checkpoint, a branch that leaves ours above it is welcome.
    bench.set_checkpoint(1);
    let theirs = bench.chain(&ours[0].header, 4, 2);
    let peer = bench.connect();
    for block in &theirs {
        bench.gossip_block(peer, block);
    }
    assert_eq!(bench.tip(), theirs[3].header.id());
}

/// Work that began before the checkpoint was set is dropped.
#[test]
fn work_under_way_is_dropped() {
    let (mut bench, ours) = Bench::with_chain(4);
    let (checked, fetched) = (bench.chain(&bench.genesis(), 1, 2), bench.chain(&ours[0].header, 8, 3));
    let peer = bench.connect_with(&fetched[7].header, 9);
    bench.answer_headers(peer, &headers(&fetched));
    bench.hold_checks = true;
    let gossip = Gossip::Block(Box::new(checked[0].clone()));
    bench.event(Event::Gossip { peer, ticket: Ticket(1_000), gossip });
    bench.set_checkpoint(2);
    assert_eq!(bench.engine.view().syncing, None);
    bench.release_held();
    bench.answer_blocks(peer, &fetched);
    assert_eq!(bench.disk.stored().headers.len(), 4);
    assert_eq!(bench.tip(), ours[3].header.id());
    assert!(!bench.is_closed(peer));
    // Nothing of that peer's blocks the way of a good chain.
    let ours = bench.chain(&ours[3].header, 2, 1);
    bench.tell(peer, &ours[1].header, 6);
    bench.answer_headers(peer, &headers(&ours));
    bench.answer_blocks(peer, &ours);
    assert_eq!(bench.tip(), ours[1].header.id());
}

/// The other side of a partition keeps growing: it is heard, but not again and again.
#[test]
fn a_peer_on_the_other_side_is_asked_now_and_then_and_not_punished() {
    let (mut bench, _) = Bench::with_chain(4);
    bench.mine_always();
    bench.set_checkpoint(4);
    let rounds = 40;
    // The answers are full ones, from the block where it left our chain.
    let long = RESPONSE_HEADERS_MAX as u64 + rounds;
    let theirs = bench.chain(&bench.genesis(), long, 2);
    let other = bench.connect();
    bench.tell(other, &bench.genesis(), 0);
    let (mut asked, mut rests) = (0, 0);
    for round in 0..rounds {
        let length = RESPONSE_HEADERS_MAX + round as usize;
        bench.tell_if_asked(other, &theirs[length].header, length as u128 + 1);
        rests += u32::from(bench.template.is_none());
        while bench.is_asked(other, is_for_headers) {
            asked += 1;
            bench.answer_headers(other, &headers(&theirs[..RESPONSE_HEADERS_MAX]));
        }
        bench.wait(STATUS_INTERVAL);
    }
    let span = rounds * STATUS_INTERVAL.0;
    assert!((2..=span / BARRED_PAUSE.0 + 1).contains(&asked), "{asked}");
    let told = bench.refusals().len() as u64;
    assert!((2..=span / REFUSED_NOTICE_INTERVAL.0 + 1).contains(&told), "{told}");
    assert!(rests <= 1, "a verified claim does not stop the miner");
    assert!(!bench.is_closed(other));
    assert_eq!(bench.kept(), (4, 4));
}

#[test]
fn one_tip_is_asked_for_and_told_once() {
    let (mut bench, _) = Bench::with_chain(4);
    bench.set_checkpoint(4);
    let theirs = bench.chain(&bench.genesis(), 8, 2);
    let other = bench.connect_with(&theirs[7].header, 8);
    bench.answer_headers(other, &headers(&theirs));
    for _ in 0..40 {
        bench.wait(STATUS_INTERVAL);
        bench.tell_if_asked(other, &theirs[7].header, 8);
        assert!(!bench.is_asked(other, is_for_headers));
    }
    assert_eq!(bench.refusals().len(), 1);
    // But `resolve` asks it again.
    bench.event(Event::Command { ticket: Ticket(1_000), command: Command::Resolve });
    bench.tell(other, &theirs[7].header, 8);
    bench.answer_headers(other, &headers(&theirs));
    assert!(
        bench.seen.answers.iter().any(|(_, answer)| matches!(answer, Ok(Answer::Resolved { replaced: false, .. })))
    );
}

/// A peer may have blocks of ours that it has left since.
#[test]
fn a_peer_that_left_our_chain_is_not_punished() {
    let (mut bench, ours) = Bench::with_chain(4);
    bench.set_checkpoint(4);
    let theirs = bench.chain(&bench.genesis(), RESPONSE_HEADERS_MAX as u64 + 10, 2);
    let peer = bench.connect_with(&ours[3].header, 4);
    for length in 0..9 {
        let at = RESPONSE_HEADERS_MAX + length;
        bench.wait(BARRED_PAUSE);
        // Between its tips it reports one of ours, and so is asked for the headers after that.
        bench.tell(peer, &ours[3].header, 4);
        bench.wait(STATUS_INTERVAL);
        bench.tell(peer, &theirs[at].header, at as u128 + 1);
        bench.answer_headers(peer, &headers(&theirs[..RESPONSE_HEADERS_MAX]));
        assert!(!bench.is_closed(peer), "{length}");
    }
}

#[test]
fn orphans_of_a_barred_branch_are_forgotten() {
    let (mut bench, _) = Bench::with_chain(4);
    bench.set_checkpoint(4);
    let theirs = bench.chain(&bench.genesis(), 8, 2);
    let peer = bench.connect();
    for block in &theirs[5..] {
        bench.gossip_block(peer, block);
    }
    assert_eq!(bench.occupancy("orphans"), 3);
    bench.tell(peer, &theirs[7].header, 8);
    bench.answer_headers(peer, &headers(&theirs));
    assert_eq!(bench.occupancy("orphans"), 0);
}

#[test]
fn the_miner_goes_on_from_the_checkpoint() {
    let (mut bench, ours) = Bench::with_chain(4);
    bench.set_checkpoint(4);
    bench.mine_always();
    bench.find_nonces(3);
    assert_eq!(bench.height(), 7);
    assert_eq!(bench.disk.stored().checkpoint, Some(place(&ours[3])));
}
