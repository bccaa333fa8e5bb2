//! Long branches of headers, in two passes, so that memory does not grow with their length.
//!
//! A branch whose first answer does not show more work than ours is downloaded twice. The first pass checks each header
//! and forgets it: it keeps the sum of work, the last header, and the id of every [`MARK_SPACING`]-th. Once the work is
//! more than ours, the second pass downloads the same headers again and adds them to the tree. An id commits to all
//! headers below it, so headers that lead to the next mark are those of the first pass, and need no second check.
//!
//! This is the headers presync of Bitcoin Core (`headerssync.h`), with ids in place of its salted bits: they take more
//! memory, and leave nothing to chance and nothing to look ahead for. Each session has a download of its own, so that no
//! peer can spoil another's. A few have their turn at a time; those that do not answer in time lose it.

use quipu_protocol::check::Parent;
use quipu_protocol::{BlockId, Header, Height, Millis, Work};

use super::super::Engine;
use super::super::event::{Effect, Fault, NotFollowed, Notice, Now, PeerKey};
use super::super::header_tree::{BlockRef, HEIGHT_MAX, HeaderTree};
use super::super::peers::PeerState;

/// Headers from one mark to the next: as many as one answer holds.
pub(crate) const MARK_SPACING: usize = 4_096;
/// Marks of one branch, 32 bytes each: enough for the highest block that the tree can hold. A longer branch is given up.
pub(crate) const MARKS_MAX: usize = (HEIGHT_MAX as usize).div_ceil(MARK_SPACING);
/// Sessions that download a branch at a time. The others wait for their turn.
const TURNS_MAX: usize = 4;
/// The length of a turn. The session that has waited longest gets the next one.
const TURN: Millis = Millis(5_000);

/// A branch that has not shown more work than ours, or whose headers are being downloaded again since it has.
#[derive(Debug)]
pub(crate) struct Presync {
    /// The block of the tree from which it branches off.
    fork: BlockRef,
    fork_id: BlockId,
    /// The last header of the first pass, its place as a parent, and the work of the chain up to it.
    last: BlockId,
    parent: Parent,
    work: Work,
    /// The number of headers above the fork.
    count: usize,
    marks: Vec<BlockId>,
    again: Option<SecondPass>,
    /// The end of the present turn or of the last one: then it began to wait for the next.
    turn_end: Millis,
}

/// The second pass over a branch.
#[derive(Debug)]
struct SecondPass {
    /// The number of segments that are in the tree.
    segments: usize,
    /// The headers since then, in a row, and the id of the last.
    headers: Vec<Header>,
    last: BlockId,
}

/// Headers of the second pass are not those of the first.
#[derive(Debug, PartialEq, Eq)]
struct Contradiction;

impl Presync {
    /// A branch without headers, above a block.
    pub(super) fn above(fork: BlockRef, tree: &HeaderTree, now: Now) -> Self {
        let fork_id = tree.id(fork);
        let (parent, work) = (tree.as_parent(fork), tree.work(fork));
        let (marks, again, turn_end) = (Vec::new(), None, now.elapsed);
        Self { fork, fork_id, last: fork_id, parent, work, count: 0, marks, again, turn_end }
    }

    /// The id after which headers are to be downloaded next.
    pub(crate) fn after(&self) -> BlockId {
        self.again.as_ref().map_or(self.last, |again| again.last)
    }

    pub(super) fn fork(&self) -> BlockRef {
        self.fork
    }

    pub(super) fn last(&self) -> (BlockId, Parent) {
        (self.last, self.parent)
    }

    /// The work of the chain up to the last header.
    pub(super) fn work(&self) -> Work {
        self.work
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn is_in_second_pass(&self) -> bool {
        self.again.is_some()
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.marks.len() >= MARKS_MAX
    }

    /// Adds headers in the first pass, which were checked and have this much work.
    pub(super) fn extend(&mut self, headers: &[Header], work: Work) {
        for header in headers {
            self.parent = self.parent.child(header);
            self.count += 1;
            if self.count.is_multiple_of(MARK_SPACING) {
                self.marks.push(header.id());
            }
        }
        if let Some(last) = headers.last() {
            (self.last, self.work) = (last.id(), self.work + work);
        }
    }

    pub(super) fn begin_second_pass(&mut self) {
        self.again = Some(SecondPass { segments: 0, headers: Vec::new(), last: self.fork_id });
    }

    /// The number of headers from one mark to the next, and the id at the end.
    fn segment(&self, number: usize) -> (usize, BlockId) {
        let length = MARK_SPACING.min(self.count - number * MARK_SPACING);
        (length, self.marks.get(number).copied().unwrap_or(self.last))
    }

    fn is_done(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.last == self.last)
    }

    /// Accepts consecutive headers in the second pass. Returns those that are proven to be the ones of the first.
    fn accept_again(&mut self, headers: &[Header]) -> Result<Vec<Header>, Contradiction> {
        let mut again = self.again.take().expect("called in the second pass");
        let mut proven = Vec::new();
        for header in headers {
            if again.last == self.last {
                break;
            }
            if header.parent != again.last {
                return Err(Contradiction);
            }
            again.headers.push(*header);
            again.last = header.id();
            let (length, mark) = self.segment(again.segments);
            if again.headers.len() == length {
                if again.last != mark {
                    return Err(Contradiction);
                }
                again.segments += 1;
                proven.append(&mut again.headers);
            }
        }
        self.again = Some(again);
        Ok(proven)
    }

    /// The marks and the headers that are kept.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.marks.len(), self.again.as_ref().map_or(0, |again| again.headers.len()))
    }
}

impl Engine {
    /// Processes headers of the second pass over a branch.
    pub(super) fn on_headers_again(
        &mut self,
        peer: PeerKey,
        mut presync: Box<Presync>,
        headers: &[Header],
        tip: BlockId,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.chain.tree().bars_child_of(presync.fork) {
            return self.bar(peer, tip, now);
        }
        let Ok(proven) = presync.accept_again(headers) else {
            self.give_up_presync(peer, &presync, tip, NotFollowed::Contradicted, now);
            return self.peers.punish(peer, Fault::WrongAnswer, effects);
        };
        let mut best = None;
        for header in &proven {
            best = self.chain.insert_vetted(header);
            if best.is_none() {
                // It has turned out to break a rule.
                return;
            }
        }
        let Some(session) = self.peers.get_mut(peer) else { return };
        if presync.is_done() {
            (session.best, session.doubtful) = (best.or(session.best), false);
            tracing::debug!(%peer, headers = presync.count, "headers of a long chain with more work");
        } else {
            session.presync = Some(presync);
        }
    }

    /// Forgets a branch that was shown to have more work than ours, and tells the user.
    pub(super) fn give_up_presync(
        &mut self,
        peer: PeerKey,
        presync: &Presync,
        tip: BlockId,
        why: NotFollowed,
        now: Now,
    ) {
        let Some(session) = self.peers.get_mut(peer) else { return };
        (session.exhausted_tip, session.doubtful) = (Some(tip), true);
        tracing::debug!(%peer, %tip, headers = presync.count, %why, "long chain given up");
        self.report_not_followed(peer, presync.last, presync.parent.height, why, now);
    }

    /// Ends the turn of a peer that did not deliver headers.
    pub(super) fn end_turn(&mut self, peer: PeerKey, now: Now) {
        let Some(presync) = self.peers.get_mut(peer).and_then(|session| session.presync.as_mut()) else { return };
        presync.turn_end = presync.turn_end.min(now.elapsed);
        if presync.again.is_some() {
            let (last, height) = (presync.last, presync.parent.height);
            self.report_not_followed(peer, last, height, NotFollowed::Undelivered, now);
        }
    }

    /// Whether a peer may be asked for more headers of a long branch now. Takes a free turn if it is the next to get one.
    pub(super) fn takes_turn(&mut self, peer: PeerKey, now: Now) -> bool {
        let may_ask = self.may_take_turn(peer, now);
        if may_ask
            && let Some(presync) = self.peers.get_mut(peer).and_then(|session| session.presync.as_mut())
            && presync.turn_end <= now.elapsed
        {
            presync.turn_end = now.elapsed + TURN;
        }
        may_ask
    }

    /// Whether a peer has its turn, or is the next to get one and one is free.
    pub(super) fn may_take_turn(&self, peer: PeerKey, now: Now) -> bool {
        let Some(presync) = self.peers.get(peer).and_then(|session| session.presync.as_ref()) else { return true };
        let since = presync.turn_end;
        let is_before = |(other, session): &(PeerKey, &PeerState)| {
            let Some(presync) = &session.presync else { return false };
            let has_turn = presync.turn_end > now.elapsed;
            let waits = (presync.turn_end, *other) < (since, peer) && self.wants_headers(session);
            *other != peer && (has_turn || waits && session.flight.is_none() && !session.awaits_late(now))
        };
        since > now.elapsed || self.peers.iter().filter(is_before).take(TURNS_MAX).count() < TURNS_MAX
    }

    /// Tells the user of a chain with more work that is not followed, unless that was told lately.
    pub(in super::super) fn report_not_followed(
        &mut self,
        peer: PeerKey,
        tip: BlockId,
        height: Height,
        why: NotFollowed,
        now: Now,
    ) {
        if self.not_followed.is_news(tip, now) {
            self.notify(Notice::NotFollowed { peer, height, why });
        }
    }
}

#[cfg(test)]
mod tests {
    use quipu_protocol::{Network, Parameters, UnixMillis};

    use super::*;
    use crate::engine::header_tree::GENESIS;

    /// A branch of headers that nobody checks, after its first pass.
    fn shown(count: usize) -> (Presync, Vec<Header>) {
        let network = Network::new(Parameters::dev()).expect("valid");
        let genesis = network.genesis().header;
        let mut headers: Vec<Header> = Vec::new();
        for nonce in 0..count as u64 {
            let parent = headers.last().copied().unwrap_or(genesis);
            headers.push(Header { height: parent.height.next(), parent: parent.id(), nonce, ..genesis });
        }
        let now = Now { elapsed: Millis(0), unix: UnixMillis(0) };
        let mut presync = Presync::above(GENESIS, &HeaderTree::new(&network, 1), now);
        presync.extend(&headers, Work(count as u128));
        presync.begin_second_pass();
        (presync, headers)
    }

    #[test]
    fn the_second_pass_takes_answers_of_any_length() {
        for count in [1, MARK_SPACING - 1, MARK_SPACING, 2 * MARK_SPACING + 7] {
            for length in [1_000, MARK_SPACING, 3 * MARK_SPACING] {
                let (mut presync, headers) = shown(count);
                let mut proven = Vec::new();
                for answer in headers.chunks(length) {
                    assert_eq!(presync.after(), answer[0].parent);
                    proven.extend(presync.accept_again(answer).expect("they are the same"));
                    assert!(presync.sizes().1 < MARK_SPACING);
                }
                assert_eq!((presync.is_done(), proven), (true, headers), "{count} in answers of {length}");
            }
        }
    }

    #[test]
    fn headers_beyond_the_first_pass_are_left_for_later() {
        let (mut presync, mut headers) = shown(MARK_SPACING + 2);
        let last = headers[MARK_SPACING + 1];
        headers.push(Header { height: last.height.next(), parent: last.id(), ..last });
        assert_eq!(presync.accept_again(&headers).map(|proven| proven.len()), Ok(MARK_SPACING + 2));
    }

    /// Each change leaves the ids at the marks as they were, or the ids in between.
    #[test]
    fn nothing_but_the_headers_of_the_first_pass_is_proven() {
        type Change = fn(&mut Vec<Header>);
        let changes: [(&str, Change); 4] = [
            ("a header that does not follow", |headers| headers[5].nonce += 1),
            ("a mark that does not follow", |headers| headers[MARK_SPACING - 2].nonce += 1),
            ("another header at a mark", |headers| headers[MARK_SPACING - 1].nonce += 1),
            ("one header less", |headers| *headers = headers.split_off(1)),
        ];
        for (what, change) in changes {
            let (mut presync, mut headers) = shown(2 * MARK_SPACING);
            change(&mut headers);
            assert_eq!(presync.accept_again(&headers), Err(Contradiction), "{what}");
        }
        let (mut presync, mut headers) = shown(MARK_SPACING + 3);
        headers[MARK_SPACING + 2].nonce += 1;
        assert_eq!(presync.accept_again(&headers), Err(Contradiction), "another header at the end");
    }

    #[test]
    fn a_branch_has_an_end() {
        let (mut presync, _) = shown(1);
        presync.marks = vec![BlockId([0; 32]); MARKS_MAX - 1];
        assert!(!presync.is_too_long());
        presync.marks.push(BlockId([0; 32]));
        assert!(presync.is_too_long());
    }
}
